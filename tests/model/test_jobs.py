"""A run from files to a file: every kind of input, unit and output, and nothing left behind when it fails."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import xml.etree.ElementTree as ET
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from framelens import LABELS, CueKind, FramingClassifier, InputError
from framelens.decoding import suffixes
from framelens.jobs import LabelJob, check_job, run_job
from framelens.labels import PROBABILITY_COLUMNS
from framelens.writers import OUTPUT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from framelens.corpus import Counts
    from framelens.prediction import LabelledDocument, Prediction

DATA = Path(__file__).parents[1] / "data"
ARTICLES = sorted((DATA / "articles").glob("*.txt"))
JUDGED = [json.loads(line) for line in (DATA / "judged_sentences.jsonl").read_text("utf-8").splitlines()]
HEDGED = "The convoy was reportedly hit near the bridge."


@pytest.fixture(scope="module")
def classifier() -> FramingClassifier:
    return FramingClassifier(threads=1)


def run(classifier: FramingClassifier, *inputs: str | Path, **job: Any) -> Counts:
    out, err = (Console(file=io.StringIO(), width=100) for _ in range(2))
    return run_job(LabelJob(tuple(map(str, inputs)), **job), classifier, out, err, {"model": "bundled"})


def shown(classifier: FramingClassifier, *inputs: str | Path, **job: Any) -> str:
    out = Console(file=io.StringIO(), width=100)
    err = Console(file=io.StringIO())
    run_job(LabelJob(tuple(map(str, inputs)), format="text", **job), classifier, out, err, {})
    assert err.file.getvalue() == ""
    return str(out.file.getvalue())


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


def plain(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return pa.input_stream(str(path), compression="zstd").read() if path.suffix == ".zst" else data


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of any output, with the types that JSON gives them."""
    if path.name.endswith(".parquet"):
        return pq.read_table(path).to_pylist()
    text = plain(path).decode()
    if ".jsonl" in path.name:
        return [json.loads(line) for line in text.splitlines()]
    found = list(
        csv.DictReader(io.StringIO(text, newline=""), delimiter="\t" if ".tsv" in path.name else ",")
    )
    for row in found:
        row |= {name: int(row[name]) for name in ("sentence_index", "start", "end")}
        row |= {name: float(row[name]) if row[name] else None for name in PROBABILITY_COLUMNS}
        row |= {name: json.loads(row[name]) for name in ("evidence", "truncated", "abstained")}
        row |= {name: row[name] or None for name in ("label", "error")}
    return found


def check_row(row: dict[str, Any]) -> None:
    assert tuple(row)[: len(OUTPUT_COLUMNS)] == OUTPUT_COLUMNS
    probabilities = [row[name] for name in PROBABILITY_COLUMNS]
    if row["status"] != "ok":
        assert row["label"] is None
        assert all(p is None or p != p for p in probabilities)
        assert row["evidence"] == []
        return
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert row["label"] == str(LABELS[probabilities.index(max(probabilities))])
    assert row["end"] - row["start"] == len(row["text"])
    for span in row["evidence"]:
        assert 0 <= span["start"] < span["end"] <= len(row["text"])
        assert span["kind"] in list(CueKind)


def table(suffix: str, records: list[dict[str, Any]]) -> bytes:
    if suffix == ".jsonl":
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
    if suffix == ".parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(records), sink)
        return bytes(sink.getvalue().to_pybytes())
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(records[0]), delimiter="\t" if suffix == ".tsv" else ",")
    writer.writeheader()
    writer.writerows(records)
    return buffer.getvalue().encode()


ARTICLE = ARTICLES[0].read_bytes().decode()
RECORDS = [{"id": f"r{i}", "text": text, "outlet": "Sennet Post"} for i, text in enumerate([HEDGED, ARTICLE])]
COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd}
TABLES = [f"{kind}{end}" for kind, end in product((".jsonl", ".csv", ".tsv"), COMPRESS)] + [".parquet"]


@pytest.mark.parametrize("unit", ["auto", "sentence", "document"])
@pytest.mark.parametrize("suffix", TABLES)
def test_tables_of_every_format_in_every_unit(
    classifier: FramingClassifier, tmp_path: Path, suffix: str, unit: Any
) -> None:
    kind, compression = suffixes(f"in{suffix}")
    source = tmp_path / f"in{suffix}"
    source.write_bytes(COMPRESS[compression](table(kind, RECORDS)))
    target = tmp_path / "out.jsonl"
    counts = run(classifier, source, output=str(target), unit=unit, id_column="id")
    found = rows(target)
    assert counts.records == 2
    assert counts.sentences == len(found)
    assert found[0]["label"] == "hedged_claim"
    for row in found:
        check_row(row)
        assert row["outlet"] == "Sennet Post"
        text = RECORDS[int(row["doc_id"][1:])]["text"]
        assert text[row["start"] : row["end"]] == row["text"]
    in_article = [row for row in found if row["doc_id"] == "r1"]
    assert [row["sentence_index"] for row in in_article] == list(range(len(in_article)))
    assert (len(in_article) > 5) == (unit == "document")


@pytest.mark.parametrize("unit", ["auto", "sentence", "document"])
@pytest.mark.parametrize("suffix", [".txt", ".md", ".txt.gz", ".md.zst"])
def test_articles_in_every_unit(
    classifier: FramingClassifier, tmp_path: Path, suffix: str, unit: Any
) -> None:
    source = tmp_path / f"in{suffix}"
    source.write_bytes(COMPRESS[suffixes(source.name)[1]](ARTICLE.encode()))
    run(classifier, source, output=str(tmp_path / "out.parquet"), unit=unit)
    found = rows(tmp_path / "out.parquet")
    assert (len(found) == 1) == (unit == "sentence")
    for row in found:
        check_row(row)
        assert row["doc_id"] == str(source)
        assert ARTICLE[row["start"] : row["end"]] == row["text"]


@pytest.mark.parametrize(
    "name", ["o.jsonl", "o.csv", "o.tsv", "o.parquet", "o.jsonl.gz", "o.csv.zst", "o.tsv.gz"]
)
def test_every_table_says_the_same(classifier: FramingClassifier, tmp_path: Path, name: str) -> None:
    run(classifier, *ARTICLES, output=str(tmp_path / "expected.jsonl"))
    run(classifier, *ARTICLES, output=str(tmp_path / name))
    expected, found = rows(tmp_path / "expected.jsonl"), rows(tmp_path / name)
    texts = {str(path): path.read_bytes().decode() for path in ARTICLES}
    assert len(found) == len(expected)
    for row, other in zip(found, expected, strict=True):
        check_row(row)
        assert texts[row["doc_id"]][row["start"] : row["end"]] == row["text"]
        exact = [column for column in OUTPUT_COLUMNS if column not in (*PROBABILITY_COLUMNS, "evidence")]
        assert [row[column] for column in exact] == [other[column] for column in exact]
        assert [(e["start"], e["end"], e["kind"]) for e in row["evidence"]] == [
            (e["start"], e["end"], e["kind"]) for e in other["evidence"]
        ]


def test_several_inputs_of_mixed_kinds_keep_their_order(
    classifier: FramingClassifier, tmp_path: Path
) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.jsonl"
    first.write_bytes(table(".csv", RECORDS[:1]))
    second.write_bytes(
        table(".jsonl", [{"text": "Talks open on Monday in Corvane.", "label": "mine", "day": 3}])
    )
    run(classifier, first, ARTICLES[0], second, ARTICLES[1], output=str(tmp_path / "out.csv"))
    found = rows(tmp_path / "out.csv")
    order = list(dict.fromkeys(row["doc_id"] for row in found))
    assert order == [f"{first}:0", str(ARTICLES[0]), f"{second}:0", str(ARTICLES[1])]
    (row,) = (row for row in found if row["doc_id"] == f"{second}:0")
    assert (row["input_label"], row["day"], row["outlet"]) == ("mine", "3", "")


def test_a_column_that_comes_late_is_in_the_csv(classifier: FramingClassifier, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    records: list[dict[str, Any]] = [{"text": HEDGED}] * 150
    source.write_bytes(table(".jsonl", [*records, {"text": HEDGED, "late": "yes"}]))
    run(classifier, source, output=str(tmp_path / "out.csv"))
    assert [row["late"] for row in rows(tmp_path / "out.csv")] == [""] * 150 + ["yes"]


def test_unusable_records_are_rows_with_a_status(classifier: FramingClassifier, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    texts = [HEDGED, None, "", 5, "\ud800", "By Ann B. Clark", "word " * 2000]
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    counts = run(classifier, source, output=str(tmp_path / "out.jsonl"), text_column="text")
    found = rows(tmp_path / "out.jsonl")
    statuses = [row["status"] for row in found]
    assert statuses[:6] == ["ok", "error", "empty", "error", "error", "not_applicable"]
    assert all((row["error"] is not None) == (row["status"] == "error") for row in found)
    assert counts.statuses["error"] == 3
    assert counts.truncated == sum(row["truncated"] for row in found)


def test_the_model_finds_what_is_beyond_doubt(classifier: FramingClassifier, tmp_path: Path) -> None:
    run(classifier, DATA / "judged_sentences.jsonl", output=str(tmp_path / "out.jsonl"), id_column="id")
    found = rows(tmp_path / "out.jsonl")
    assert [row["doc_id"] for row in found] == [row["id"] for row in JUDGED]
    assert [row["input_label"] for row in found] == [row["label"] for row in JUDGED]
    right = sum(row["label"] == row["input_label"] for row in found)
    assert right > 0.6 * len(found)


@pytest.mark.parametrize("name", ["o.svg", "o.html", "o.txt", "o.log"])
def test_renderings_hold_every_sentence_once(
    classifier: FramingClassifier, tmp_path: Path, name: str
) -> None:
    run(classifier, ARTICLES[0], output=str(tmp_path / name), format="text" if name == "o.log" else None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.manifest.json"]
    content = (tmp_path / name).read_text("utf-8")
    if name == "o.svg":
        lines = [
            "".join(element.itertext())
            for element in ET.fromstring(content).iter("{http://www.w3.org/2000/svg}text")
        ]
        content = " ".join(lines)
    found = "".join(content.split())
    for mark in ("hedged", "state-mediaframing"):
        assert mark in found
    for sentence in classifier.label_document(ARTICLE).sentences:
        words = sentence.prediction.text.split()
        assert words[0] in content
    if name in ("o.txt", "o.log"):
        assert "\x1b" not in content
        assert all(line == line.rstrip() for line in content.splitlines())


def test_names_stand_above_several_documents_only(classifier: FramingClassifier) -> None:
    alone = shown(classifier, ARTICLES[0])
    assert ARTICLES[0].name not in alone
    assert "in all" not in alone
    both = shown(classifier, *ARTICLES[:2])
    assert both.index(ARTICLES[0].name) < both.index(ARTICLES[1].name)
    assert both.count("in all") == 1


def test_one_sentence_without_line_end_is_an_article(classifier: FramingClassifier, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text(HEDGED)
    text = shown(classifier, tmp_path / "one.txt")
    assert text.splitlines()[0].endswith(f"│ {HEDGED}")
    assert "1 sentence: 0 % state-media framing, 0 % independent reporting, 100 % hedged claim" in text


def test_rows_of_a_table_stand_below_each_other(classifier: FramingClassifier, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes(table(".jsonl", JUDGED[:20]))
    text = shown(classifier, tmp_path / "in.jsonl")
    assert len({line.index("│") for line in text.splitlines() if "│" in line}) == 1
    assert text.count("20 sentences: ") == 1


BAD_OUTPUTS = [
    ("folder", "csv", "parquet or jsonl"),
    ("new/", "text", "parquet or jsonl"),
    ("missing/out.jsonl", None, "mkdir -p"),
    ("missing/out.svg", None, "mkdir -p"),
    ("out.docx", None, "got .docx"),
    ("out", None, "no suffix"),
    ("out.svg.gz", None, "got .svg.gz"),
    ("out.svg", "csv", "one for .svg"),
    ("out.csv", "svg", "one for .csv"),
    ("out.svg", "html", "one for .svg"),
    ("out.jsonl", "csv", "one for jsonl"),
    ("article.txt", None, "an input"),
    ("article.txt", "text", "an input"),
    ("article.txt", "svg", "one for .txt"),
    ("../here/article.txt", "text", "an input"),
    ("table.csv", None, "an input"),
]


@pytest.mark.parametrize(("name", "form", "expected"), BAD_OUTPUTS)
def test_outputs_that_cannot_be(tmp_path: Path, name: str, form: Any, expected: str) -> None:
    here = tmp_path / "here"
    (here / "folder").mkdir(parents=True)
    (here / "article.txt").write_text(ARTICLE)
    (here / "table.csv").write_bytes(table(".csv", RECORDS))
    before = contents(here)
    inputs = (str(here / "article.txt"), str(here / "table.csv"))
    with pytest.raises(InputError) as caught:
        check_job(LabelJob(inputs, output=f"{here}/{name}", format=form))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(here) == before


class Stopping(FramingClassifier):
    """The real classifier, stopped by Ctrl-C after the third text."""

    def label_many(
        self, texts: Iterable[str], context: Iterable[str | None] | None = None
    ) -> Iterator[Prediction]:
        for i, prediction in enumerate(super().label_many(texts, context)):
            if i == 3:
                raise KeyboardInterrupt
            yield prediction

    def label_documents(self, texts: Iterable[str], splitter: Any = None) -> Iterator[LabelledDocument]:
        yield from super().label_documents(texts, splitter)
        raise KeyboardInterrupt


class Idle(FramingClassifier):
    """The real classifier, which must not be asked."""

    def label_many(self, *_: Any, **__: Any) -> Any:
        raise AssertionError


@pytest.fixture(scope="module")
def stopping() -> FramingClassifier:
    return Stopping(threads=1)


@pytest.fixture(scope="module")
def idle() -> FramingClassifier:
    return Idle(threads=1)


OUTPUTS = ["o.jsonl", "o.csv.gz", "o.tsv.zst", "o.parquet", "o.svg", "o.html", "o.txt"]


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("unit", ["sentence", "document"])
def test_an_interrupt_leaves_nothing_and_keeps_the_older_file(
    stopping: FramingClassifier, tmp_path: Path, name: str, unit: Any
) -> None:
    (tmp_path / name).write_text("older")
    before = contents(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(stopping, DATA / "judged_sentences.jsonl", output=str(tmp_path / name), unit=unit)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_broken_last_line_costs_no_work(idle: FramingClassifier, tmp_path: Path, name: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(table(".jsonl", JUDGED * 3) + b'{"text": ')
    before = contents(tmp_path)
    with pytest.raises(InputError, match=f"line {3 * len(JUDGED) + 1}: expected one JSON object a line"):
        run(idle, source, output=str(tmp_path / name))
    assert contents(tmp_path) == before


def test_progress_shows_on_a_terminal_that_does_not_show_the_result(
    classifier: FramingClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")

    def reported(output: str, *, out_is_terminal: bool) -> str:
        out = Console(file=io.StringIO(), force_terminal=out_is_terminal)
        err = Console(file=io.StringIO(), force_terminal=True)
        run_job(LabelJob((str(ARTICLES[0]),), output, format="text"), classifier, out, err, {})
        return str(err.file.getvalue())

    assert "labelling" in reported(str(tmp_path / "o.txt"), out_is_terminal=True)
    assert "labelling" in reported("-", out_is_terminal=False)
    assert reported("-", out_is_terminal=True) == ""


def test_a_name_that_is_no_unicode(classifier: FramingClassifier, tmp_path: Path) -> None:
    source = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")
    Path(source).write_text(HEDGED)
    run(classifier, source, output=str(tmp_path / "o.svg"))
    ET.fromstring((tmp_path / "o.svg").read_bytes())
    assert json.loads((tmp_path / "o.svg.manifest.json").read_bytes())["arguments"]["inputs"] == [source]
