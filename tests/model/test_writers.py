"""What is written, that it can be read again, and that nothing half-written stays."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens.errors import InputError
from framelens.labels import PROBABILITY_COLUMNS, CueKind, Label
from framelens.prediction import Evidence, LabelledSentence, Prediction, Status
from framelens.readers import ReadOptions, read_records
from framelens.writers import (
    OUTPUT_COLUMNS,
    OUTPUT_SCHEMA,
    check_output,
    open_writer,
    own_column,
    result_row,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TEXT_FILES = [f"out.{kind}{end}" for kind in ("jsonl", "csv", "tsv") for end in ("", ".gz", ".zst")]
FILES = [*TEXT_FILES, "out.ndjson", "out.parquet"]

SURE = Prediction(
    "Officials reportedly left.",
    Label.HEDGED_CLAIM,
    {Label.STATE_MEDIA_FRAMING: 0.125, Label.INDEPENDENT_REPORTING: 0.25, Label.HEDGED_CLAIM: 0.625},
    evidence=(Evidence(10, 20, CueKind.HEDGE, 0.75),),
    abstain_below=0.7,
)
BROKEN = Prediction("", None, status=Status.ERROR, error="column 'text': expected a string, got null")


def row(text: str = "A sentence.", doc_id: str = "d", **columns: Any) -> dict[str, Any]:
    found = Prediction(text, Label.HEDGED_CLAIM, SURE.probabilities)
    return result_row(doc_id, LabelledSentence(0, 0, len(text), found), columns)


def write(path: Path | str, *batches: Sequence[dict[str, Any]], **options: Any) -> None:
    with open_writer(path, **options) as writer:
        for batch in batches:
            writer.write(batch)


def message(call: Callable[[], Any], output: str) -> str:
    """The message of the error, which names the output, fits on one line and says what to do."""
    with pytest.raises(InputError) as caught:
        call()
    text = str(caught.value)
    assert text.startswith(f"{output}: expected ")
    assert len(text.splitlines()) == 1
    assert ", got " in text
    assert "; " in text
    return text


def refused(path: Path | str, output_format: str | None = None, **options: Any) -> str:
    """The message that the check and the opening agree on."""
    checked = message(lambda: check_output(path, output_format, **options), str(path))
    assert message(lambda: write(path, [row()], format=output_format, **options), str(path)) == checked
    return checked


# --- rows -----------------------------------------------------------------------------------------


def test_the_columns_are_those_of_the_design() -> None:
    assert ", ".join(OUTPUT_COLUMNS) == (
        "doc_id, sentence_index, start, end, text, label, p_state_media_framing, p_independent_reporting, "
        "p_hedged_claim, evidence, status, error, truncated, abstained"
    )


def test_a_row_holds_the_sentence_and_the_own_columns() -> None:
    found = result_row("d7", LabelledSentence(3, 100, 126, SURE), {"outlet": "x", "n": None})
    assert list(found) == [*OUTPUT_COLUMNS, "outlet", "n"]
    assert found == {
        "doc_id": "d7",
        "sentence_index": 3,
        "start": 100,
        "end": 126,
        "text": "Officials reportedly left.",
        "label": "hedged_claim",
        "p_state_media_framing": 0.125,
        "p_independent_reporting": 0.25,
        "p_hedged_claim": 0.625,
        "evidence": [{"start": 10, "end": 20, "kind": "hedge_cue", "score": 0.75}],
        "status": "ok",
        "error": None,
        "truncated": False,
        "abstained": True,
        "outlet": "x",
        "n": None,
    }
    assert type(found["label"]) is str
    assert type(found["status"]) is str


def test_a_row_without_label_has_nan_for_probabilities() -> None:
    found = result_row("d", LabelledSentence(0, 0, 0, BROKEN), {})
    assert found["label"] is None
    assert all(math.isnan(found[name]) for name in PROBABILITY_COLUMNS)
    assert (found["status"], found["error"]) == ("error", BROKEN.error)


def test_probabilities_are_rounded() -> None:
    third = Prediction("A", Label.HEDGED_CLAIM, dict.fromkeys(Label, 1 / 3))
    assert result_row("d", LabelledSentence(0, 0, 1, third), {})["p_hedged_claim"] == 0.333333


def test_own_columns_never_meet_ours() -> None:
    columns = {"label": "theirs", "input_label": "older", "text": "article", "outlet": "x", "input_file": "f"}
    found = result_row("d", LabelledSentence(0, 0, 26, SURE), columns)
    assert found["label"] == "hedged_claim"
    assert found["input_label"] == "theirs"
    assert found["input_input_label"] == "older"
    assert (found["input_text"], found["outlet"], found["input_file"]) == ("article", "x", "f")


@settings(deadline=None)
@given(st.sets(st.builds("{}{}".format, st.sampled_from(["", "input_", "input_" * 2]), st.text(max_size=4))))
def test_own_names_stay_apart(names: set[str]) -> None:
    names |= {prefix + name for prefix in ("", "input_", "input_input_") for name in ("text", "label", "x")}
    assert len({own_column(name) for name in names} | set(OUTPUT_COLUMNS)) == len(names) + len(OUTPUT_COLUMNS)


# --- formats --------------------------------------------------------------------------------------


def test_json_lines_are_one_object_a_line(tmp_path: Path) -> None:
    first = result_row("d", LabelledSentence(0, 0, 26, SURE), {"outlet": "Le\u2028Monde"})
    second = result_row("e", LabelledSentence(0, 0, 0, BROKEN), {"outlet": None})
    write(tmp_path / "out.jsonl", [first], [], [second])
    data = (tmp_path / "out.jsonl").read_bytes()
    lines = data.decode().split("\n")
    assert lines.pop() == ""
    assert json.loads(lines[0]) == first
    assert json.loads(lines[1]) == {**second, **dict.fromkeys(PROBABILITY_COLUMNS)}
    assert b"NaN" not in data
    assert "Le\u2028Monde".encode() in data


def test_json_has_null_for_what_it_cannot_hold(tmp_path: Path) -> None:
    columns: dict[str, Any] = {"deep": {"a": [math.nan, math.inf, 1.5]}, "t": (1, -math.inf), "n": 7}
    write(tmp_path / "out.jsonl", [row(**columns)])
    found = json.loads((tmp_path / "out.jsonl").read_text("utf-8"))
    assert (found["deep"], found["t"], found["n"]) == ({"a": [None, None, 1.5]}, [1, None], 7)


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_values_that_text_has_no_type_for(tmp_path: Path, name: str) -> None:
    columns: dict[str, Any] = {
        "day": date(2024, 5, 1),
        "moment": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "price": Decimal("1.50"),
        "raw": b"\xff\x00",
    }
    write(tmp_path / name, [row(**columns)])
    (found,) = read_records([tmp_path / name])
    assert {key: found.columns[key] for key in columns} == {
        "day": "2024-05-01",
        "moment": "2024-05-01T12:00:00+00:00",
        "price": "1.50",
        "raw": "/wA=",
    }


@pytest.mark.parametrize(("name", "separator"), [("out.csv", ","), ("out.tsv", "\t")])
def test_csv_has_evidence_as_json_and_nothing_for_missing_values(
    tmp_path: Path, name: str, separator: str
) -> None:
    first = result_row("d", LabelledSentence(0, 0, 26, SURE), {"n": 1.5, "ok": True, "tags": ["a", "ä"]})
    second = result_row("e", LabelledSentence(0, 0, 0, BROKEN), {"n": math.nan, "ok": None, "tags": None})
    write(tmp_path / name, [first, second])
    with (tmp_path / name).open(encoding="utf-8", newline="") as file:
        header, cells, empty = csv.reader(file, delimiter=separator)
    assert header == [*OUTPUT_COLUMNS, "n", "ok", "tags"]
    found = dict(zip(header, cells, strict=True))
    assert json.loads(found["evidence"]) == first["evidence"]
    assert (found["truncated"], found["abstained"], found["ok"]) == ("false", "true", "true")
    assert (found["p_hedged_claim"], found["n"], found["tags"]) == ("0.625", "1.5", '["a", "ä"]')
    missing = dict(zip(header, empty, strict=True))
    assert {missing[key] for key in (*PROBABILITY_COLUMNS, "label", "n", "ok", "tags")} == {""}
    assert missing["evidence"] == "[]"


def test_csv_lines_end_in_lf_and_a_lone_cr_is_quoted(tmp_path: Path) -> None:
    write(tmp_path / "out.csv", [row("a\rb"), row("c")])
    data = (tmp_path / "out.csv").read_bytes()
    assert b"\r\n" not in data
    assert b'"a\rb"' in data
    assert [r.text for r in read_records([tmp_path / "out.csv"])] == ["a\rb", "c"]


def test_parquet_is_typed(tmp_path: Path) -> None:
    first = result_row("d", LabelledSentence(0, 0, 26, SURE), {"n": 1, "x": None, "tags": []})
    second = result_row("e", LabelledSentence(0, 0, 0, BROKEN), {"n": None, "x": None, "tags": ["a"]})
    write(tmp_path / "out.parquet", [first], [second])
    table = pq.read_table(tmp_path / "out.parquet")
    own = [("n", pa.int64()), ("x", pa.string()), ("tags", pa.list_(pa.string()))]
    assert table.schema.equals(pa.schema([*OUTPUT_SCHEMA, *(pa.field(*column) for column in own)]))
    assert [str(table.schema.field(name).type) for name in PROBABILITY_COLUMNS] == ["float"] * 3
    span = "struct<start: int32, end: int32, kind: string, score: float>"
    assert str(table.schema.field("evidence").type).endswith(f": {span}>")
    found, missing = table.to_pylist()
    assert found == first
    assert all(math.isnan(missing[name]) for name in PROBABILITY_COLUMNS)
    assert (missing["label"], missing["n"], missing["error"]) == (None, None, BROKEN.error)


def test_parquet_is_written_in_row_groups(tmp_path: Path) -> None:
    first = row()
    rows = [{**first, "text": f"Sentence {i}."} for i in range(20_000)]
    write(tmp_path / "out.parquet", rows[:15_000], rows[15_000:])
    with pq.ParquetFile(tmp_path / "out.parquet") as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [8192, 8192, 3616]
    assert [r.text for r in read_records([tmp_path / "out.parquet"])] == [r["text"] for r in rows]


def test_a_row_group_of_long_texts_is_smaller(tmp_path: Path) -> None:
    long = "x" * 17_000_000
    write(tmp_path / "out.parquet", [row(long), row(long), row("short")])
    with pq.ParquetFile(tmp_path / "out.parquet") as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 1]


@pytest.mark.parametrize("name", ["out.csv", "out.tsv.gz", "out.parquet"])
def test_no_rows_give_a_table_with_its_columns(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, [], columns=["outlet", "text"])
    assert list(read_records([tmp_path / name])) == []
    said = message(
        lambda: list(read_records([tmp_path / name], ReadOptions(text_column="q"))), str(tmp_path / name)
    )
    assert "'abstained', 'outlet', 'input_text'" in said


def test_no_rows_give_empty_json_lines(tmp_path: Path) -> None:
    write(tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == b""


@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_columns_that_are_declared_may_come_later(tmp_path: Path, name: str) -> None:
    batches = [[row("A")], [row("B", label="theirs"), row("C", outlet="x")]]
    write(tmp_path / name, *batches, columns=["label", "outlet"])
    found = list(read_records([tmp_path / name]))
    assert [r.columns["outlet"] or "" for r in found] == ["", "", "x"]
    assert [r.columns["input_label"] or "" for r in found] == ["", "theirs", ""]


def test_csv_refuses_columns_that_come_later(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    said = message(lambda: write(path, [row("A")], [row("B", outlet="x")]), str(path))
    assert "'outlet'" in said
    assert ".jsonl" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ({"n": 1}, {"n": "one"}),
        ({"n": 1}, {"n": 1.5}),
        ({"n": "one"}, {"n": 1}),
        ({"n": None}, {"n": 1}),
        ({"n": 1}, {"n": 2**70}),
        ({"n": date(2024, 5, 1)}, {"n": datetime(2024, 5, 1, 12, tzinfo=UTC)}),
        ({"n": {"a": 1}}, {"n": {"a": 1, "b": 2}}),
        ({"n": {"a": [1]}}, {"n": {"a": [1.5]}}),
        ({"n": [{"a": 1}]}, {"n": [{"b": 2}]}),
        ({}, {"n": 1}),
    ],
)
def test_parquet_refuses_rows_that_do_not_fit(
    tmp_path: Path, first: dict[str, Any], later: dict[str, Any]
) -> None:
    path = tmp_path / "out.parquet"
    said = message(lambda: write(path, [row(**first)] * 8192, [row(**later)]), str(path))
    assert "'n'" in said
    assert ".jsonl" in said
    assert list(tmp_path.iterdir()) == []


def test_parquet_refuses_a_column_of_two_types(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    assert "one type" in message(lambda: write(path, [row(n=1), row(n="one")]), str(path))


def test_parquet_refuses_objects_without_fields(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    assert "'n'" in message(lambda: write(path, [row(n={})]), str(path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
def test_halves_of_surrogate_pairs_are_replaced(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, [row("a\ud83db", doc_id="caf\udce9", note="\ude00"), row("whole \U0001f600")])
    found = list(read_records([tmp_path / name], ReadOptions(id_column="doc_id")))
    assert [r.text for r in found] == ["a\ufffdb", "whole \U0001f600"]
    assert (found[0].doc_id, found[0].columns["note"]) == ("caf\ufffd", "\ufffd")


def test_nul_is_replaced_in_csv_and_kept_elsewhere(tmp_path: Path) -> None:
    for name, text in [("a.csv", "a\ufffdb"), ("a.jsonl", "a\0b"), ("a.parquet", "a\0b")]:
        write(tmp_path / name, [row("a\0b", n=1)])
        assert [r.text for r in read_records([tmp_path / name])] == [text]


@pytest.mark.parametrize("name", FILES)
def test_equal_rows_give_equal_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / "other").mkdir()
    for folder in (tmp_path, tmp_path / "other"):
        write(folder / name, [row("A", n=1)], [row("B", n=2)])
    assert (tmp_path / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    if name.endswith(".gz"):
        assert (tmp_path / name).read_bytes()[3:8] == bytes(5)  # no name, no time


# --- round trips ----------------------------------------------------------------------------------

JSON_VALUES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
STRINGS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
HARD = st.sampled_from(
    ["", "\n", "\r", "\r\n", '"', '""', ",", "\t", "\ufeff", "'", "\\", "a\u2028b", "=1", " "]
)


@settings(deadline=None, max_examples=20)
@given(
    name=st.sampled_from(["out.jsonl", "out.jsonl.gz", "out.jsonl.zst"]),
    texts=st.lists(st.text() | HARD, min_size=1, max_size=6),
    columns=st.dictionaries(st.text(max_size=6), JSON_VALUES | st.lists(JSON_VALUES, max_size=2), max_size=3),
)
def test_json_lines_round_trip(
    tmp_path_factory: pytest.TempPathFactory, name: str, texts: list[str], columns: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("trip") / name
    rows = [row(text, doc_id=f"{i}{text}", **columns) for i, text in enumerate(texts)]
    write(path, rows[:2], rows[2:])
    found = list(read_records([path], ReadOptions(id_column="doc_id")))
    assert [{"doc_id": r.doc_id, "text": r.text, **r.columns} for r in found] == rows
    own = [own_column(name) for name in columns]
    assert [list(r.columns)[len(OUTPUT_COLUMNS) - 2 :] for r in found] == [own] * len(rows)


@settings(deadline=None, max_examples=20)
@given(
    name=st.sampled_from([name for name in TEXT_FILES if "jsonl" not in name]),
    texts=st.lists(STRINGS | HARD, min_size=1, max_size=6),
    columns=st.dictionaries(STRINGS | HARD, STRINGS | HARD, max_size=3),
)
def test_csv_round_trip(
    tmp_path_factory: pytest.TempPathFactory, name: str, texts: list[str], columns: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("trip") / name
    rows = [row(text, doc_id=text, **columns) for text in texts]
    write(path, rows[:2], rows[2:])
    found = list(read_records([path], ReadOptions(id_column="doc_id")))
    assert [(r.doc_id, r.text) for r in found] == [(text, text) for text in texts]
    own = {own_column(name): value for name, value in columns.items()}
    assert [dict(list(r.columns.items())[len(OUTPUT_COLUMNS) - 2 :]) for r in found] == [own] * len(rows)


@settings(deadline=None, max_examples=20)
@given(
    texts=st.lists(st.text() | HARD, min_size=1, max_size=6),
    columns=st.dictionaries(
        STRINGS | HARD, st.text(max_size=8) | st.integers(-9, 9) | st.booleans(), max_size=3
    ),
    tags=st.lists(st.text(max_size=3), max_size=2),
)
def test_parquet_round_trip(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], columns: dict[str, Any], tags: list[str]
) -> None:
    path = tmp_path_factory.mktemp("trip") / "out.parquet"
    rows = [row(text, doc_id=text, **{**columns, "tags": tags, "note": None}) for text in texts]
    write(path, rows[:2], rows[2:])
    found = list(read_records([path], ReadOptions(id_column="doc_id")))
    assert [{"doc_id": r.doc_id, "text": r.text, **r.columns} for r in found] == rows


# --- where it is written --------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_the_file_appears_when_it_is_complete(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"older")
    with open_writer(path) as writer:
        writer.write([row("A")])
        assert path.read_bytes() == b"older"
        assert len(list(tmp_path.iterdir())) == 2
    assert list(tmp_path.iterdir()) == [path]
    assert [r.text for r in read_records([path])] == ["A"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("error", "older"), [(KeyboardInterrupt, True), (RuntimeError, False)])
def test_nothing_stays_when_it_breaks_off(
    tmp_path: Path, name: str, error: type[BaseException], older: bool
) -> None:
    path = tmp_path / name
    if older:
        path.write_bytes(b"older")

    def break_off() -> None:
        with open_writer(path) as writer:
            writer.write([row("A")] * 9000)
            raise error

    with pytest.raises(error):
        break_off()
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"older"] * older


@pytest.mark.parametrize("name", FILES)
def test_nothing_stays_when_a_row_cannot_be_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError if "parquet" in name else TypeError):
        write(tmp_path / name, [row("A", odd={(1, 2): 3})])
    assert list(tmp_path.iterdir()) == []


def test_the_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    write(tmp_path / "out.jsonl", [row()])
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "out.jsonl").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out.jsonl").symlink_to(tmp_path / "real" / "out.jsonl")
    write(tmp_path / "out.jsonl", [row("A")])
    assert (tmp_path / "out.jsonl").is_symlink()
    assert [r.text for r in read_records([tmp_path / "real" / "out.jsonl"])] == ["A"]


@pytest.mark.parametrize(
    ("name", "output_format"),
    [
        ("out", "csv"),
        ("out.csv", "csv"),
        ("out.data", "jsonl.gz"),
        ("out.gz", "tsv.gz"),
        ("out.x", "parquet"),
    ],
)
def test_a_format_may_be_given(tmp_path: Path, name: str, output_format: str) -> None:
    write(tmp_path / name, [row("A\n")], format=output_format)
    renamed = (tmp_path / name).rename(tmp_path / f"renamed.{output_format}")
    assert [r.text for r in read_records([renamed])] == ["A\n"]


@pytest.mark.parametrize(
    ("name", "output_format"),
    [("out.csv", "jsonl"), ("out.csv.gz", "csv"), ("out.csv", "csv.gz"), ("out.gz", "csv")],
)
def test_a_format_that_contradicts_the_name_is_refused(tmp_path: Path, name: str, output_format: str) -> None:
    assert "change the name" in refused(tmp_path / name, output_format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "output_format"),
    [("out.xlsx", None), ("out", None), ("out.gz", None), ("out.json", None), ("o", "x")],
)
def test_an_unknown_format_is_refused(tmp_path: Path, name: str, output_format: str | None) -> None:
    assert "jsonl, csv, tsv, parquet" in refused(tmp_path / name, output_format)


def test_compressed_parquet_is_refused(tmp_path: Path) -> None:
    assert "leave .gz out" in refused(tmp_path / "out.parquet.gz")


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    assert f"mkdir -p {tmp_path / 'no'}" in refused(tmp_path / "no" / "out.csv")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    assert "a folder" in refused(tmp_path / "out.csv")


def test_a_device_is_refused() -> None:
    assert "device" in refused("/dev/null", "jsonl")
    assert Path("/dev/null").is_char_device()


def test_a_name_too_long_is_refused(tmp_path: Path) -> None:
    assert "too long" in refused(tmp_path / f"{'x' * 300}.csv")


def test_an_input_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "corpus.jsonl"
    source.write_bytes(b'{"text": "A"}\n')
    (tmp_path / "link.jsonl").symlink_to(source)
    monkeypatch.chdir(tmp_path)
    for output in (source, tmp_path / "link.jsonl", "corpus.jsonl", "../" + tmp_path.name + "/corpus.jsonl"):
        assert "choose another name" in refused(output, inputs=["-", tmp_path / "other.txt", source])
    assert source.read_bytes() == b'{"text": "A"}\n'


# --- standard output ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output_format", "suffix"), [(None, "jsonl"), ("jsonl", "jsonl"), ("csv", "csv"), ("tsv", "tsv")]
)
def test_standard_output(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes], output_format: str | None, suffix: str
) -> None:
    write("-", [row("A\n", n="1")], [row("Б", n="2")], format=output_format)
    path = tmp_path / f"out.{suffix}"
    path.write_bytes(capsysbinary.readouterr().out)
    assert [(r.text, r.columns["n"]) for r in read_records([path])] == [("A\n", "1"), ("Б", "2")]


@pytest.mark.parametrize("output_format", ["parquet", "jsonl.gz", "csv.zst", "xml"])
def test_standard_output_is_plain_text(output_format: str) -> None:
    message(lambda: check_output("-", output_format), "standard output")


def test_gzip_and_zstandard_are_what_other_tools_read(tmp_path: Path) -> None:
    for name in ("out.jsonl", "out.jsonl.gz", "out.jsonl.zst"):
        write(tmp_path / name, [row("A")], [row("B")])
    plain = (tmp_path / "out.jsonl").read_bytes()
    assert gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()) == plain
    packed = (tmp_path / "out.jsonl.zst").read_bytes()
    assert pa.CompressedInputStream(io.BytesIO(packed), "zstd").read() == plain
