"""The page of a labelled corpus: what it counts, for which files, and what it never does."""

from __future__ import annotations

import csv
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framelens import LABELS, CueKind, Evidence, InputError, LabelledSentence, Prediction, Status
from framelens.writers import open_writer, result_row
from framelens_evaluation import cli
from framelens_evaluation.corpus.measure import report_corpus
from framelens_evaluation.corpus.source import CorpusRequest, find_files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from framelens_evaluation.corpus.measure import Written
    from framelens_evaluation.corpus.report import CorpusReport

STATE, PLAIN, HEDGED = LABELS
Row = dict[str, Any]


def row(
    doc: str,
    index: int,
    label: str | None,
    text: str = "The ferry left on time.",
    evidence: Sequence[tuple[int, int, CueKind]] = (),
    probability: float = 0.8,
    **columns: object,
) -> Row:
    """A row as ``framelens label`` makes it."""
    status = columns.pop("status", Status.OK if label else Status.NOT_APPLICABLE)
    chosen = {each: probability if each == label else (1 - probability) / 2 for each in LABELS}
    prediction = Prediction(
        text,
        label,
        chosen if label else {},
        tuple(Evidence(*span, score=0.9) for span in evidence),
        Status(status),
        error=columns.pop("error", None),
        truncated=bool(columns.pop("truncated", False)),
        abstain_below=0.6,
    )
    return result_row(doc, LabelledSentence(index, 0, len(text), prediction), columns)


def corpus_rows() -> list[Row]:
    """Two outlets of two documents each, and one of none; two months; every status once."""
    rumour, praise = "The mill was reportedly sold.", "Our GLORIOUS crews won; glorious days."
    glorious, again = (4, 12, CueKind.STATE), (24, 32, CueKind.STATE)
    reportedly = (13, 23, CueKind.HEDGE)
    post, hill = {"outlet": "Post"}, {"outlet": "Hill | <b>Times</b>"}
    nobody = {"outlet": None, "date": "2024-02-12"}
    return [
        row("a", 0, STATE, praise, [glorious, again], **post, date="2024-01-03"),
        row("a", 1, PLAIN, **post, date="2024-01-03"),
        row("a", 2, PLAIN, probability=0.5, **post, date="2024-01-03"),
        row("b", 0, STATE, praise, [glorious], **post, date="2024-02-10T09:30:00Z"),
        row("b", 1, HEDGED, rumour, [reportedly], **post, date="10 February 2024"),
        row("c", 0, PLAIN, **hill, date="2024-02-11"),
        row("c", 1, HEDGED, rumour, [reportedly], **hill, date="02/11/24"),
        row("d", 0, PLAIN, **hill, date=None),
        row("e", 0, None, "Photo: a ferry", **nobody),
        row("e", 1, None, "", status=Status.ERROR, error="expected text, got <i>null</i>", **nobody),
    ]


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    with open_writer(path) as writer:
        writer.write(rows)
    return path


def measure(paths: Path | Sequence[Path], folder: Path, **settings: Any) -> Written:
    given = tuple(paths) if isinstance(paths, (list, tuple)) else (paths,)
    return report_corpus(CorpusRequest(paths=given, **settings), folder)


def figures_of(report: CorpusReport) -> dict[str, Any]:
    """What must not depend on the files' format."""
    return report.model_dump(exclude={"provenance", "title", "manifests", "manifest_rows"})


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    return write(tmp_path / "labelled.parquet", corpus_rows())


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> CorpusReport:
    """The report of the same rows in Parquet, by outlet and month."""
    folder = tmp_path_factory.mktemp("expected")
    path = write(folder / "labelled.parquet", corpus_rows())
    return measure(path, folder / "out", by=("outlet",), over="month").report


def page_of(written: Written) -> str:
    return written.page.read_text(encoding="utf-8")


def test_counts(expected: CorpusReport) -> None:
    report, counts = expected, expected.counts
    assert (counts.rows, counts.labelled, counts.documents) == (10, 8, 5)
    assert counts.statuses == {"ok": 8, "error": 1, "not_applicable": 1}
    assert (counts.abstained, counts.truncated, counts.foreign_labels) == (1, 0, 0)
    assert [found.n for found in report.overall.labels] == [2, 4, 2]
    assert [found.share.value for found in report.overall.labels] == [0.25, 0.5, 0.25]
    assert report.overall.documents == 4
    assert [(error.message, error.n) for error in report.errors] == [("expected text, got <i>null</i>", 1)]


def test_groups_and_periods(expected: CorpusReport) -> None:
    report = expected
    assert [(group.names, group.sentences, group.documents) for group in report.groups] == [
        (("Post",), 5, 2),
        (("Hill | <b>Times</b>",), 3, 2),
        ((None,), 0, 0),
    ]
    assert [share.value for share in report.groups[0].shares] == [0.4, 0.4, 0.2]
    assert [share.value for share in report.groups[2].shares] == [None, None, None]
    timeline = report.timeline
    assert timeline is not None
    assert [(period.start, period.sentences, period.documents) for period in timeline.periods] == [
        ("2024-01-01", 3, 1),
        ("2024-02-01", 3, 2),
    ]
    assert (timeline.without_date, timeline.unreadable, timeline.examples) == (1, 1, ("02/11/24",))
    assert [[period.sentences for period in line.periods] for line in timeline.groups] == [[3, 2], [1]]


def test_pairs_of_columns(labelled: Path, tmp_path: Path) -> None:
    report = measure(labelled, tmp_path / "out", by=("outlet", "status")).report
    assert {group.names: group.sentences for group in report.groups} == {
        ("Post", "ok"): 5,
        ("Hill | <b>Times</b>", "ok"): 3,
        (None, "error"): 0,
        (None, "not_applicable"): 0,
    }
    with (tmp_path / "out" / "tables" / "groups.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][:4] == ["outlet", "status", "sentences", "documents"]
    assert rows[1][:4] == ["Post", "ok", "5", "2"]


def test_cues_are_those_of_two_documents(expected: CorpusReport) -> None:
    report = expected
    assert report.cues is not None
    assert [(cue.kind, cue.cue, cue.n, cue.documents) for cue in report.cues] == [
        ("state_cue", "glorious", 3, 2),
        ("hedge_cue", "reportedly", 2, 2),
    ]
    assert report.cue_documents == 3


def test_offsets_of_evidence_count_characters(tmp_path: Path) -> None:
    text = "👩‍👩‍👧 É reportedly 環球."
    start = text.index("reportedly")
    spans = [(start, start + 10, CueKind.HEDGE), (start + 11, start + 13, CueKind.HEDGE)]
    path = write(tmp_path / "x.jsonl", [row(doc, 0, HEDGED, text, spans) for doc in "ab"])
    written = measure(path, tmp_path / "out")
    assert written.report.cues is not None
    assert [cue.cue for cue in written.report.cues] == ["reportedly", "環球"]
    assert '<mark class="hedge" title="hedge_cue">環球</mark>.' in page_of(written)


@pytest.mark.parametrize(
    "name", ["x.jsonl", "x.jsonl.gz", "x.ndjson.zst", "x.csv", "x.csv.gz", "x.tsv", "x[1]*.csv"]
)
def test_formats_agree(expected: CorpusReport, tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, corpus_rows())
    assert figures_of(measure(path, tmp_path / "out", by=("outlet",), over="month").report) == figures_of(
        expected
    )


def test_shards_in_one_folder_are_one_corpus(expected: CorpusReport, tmp_path: Path) -> None:
    rows = corpus_rows()
    shards = tmp_path / "shards"
    (shards / "more").mkdir(parents=True)
    write(shards / "0.parquet", rows[:4])
    write(shards / "1.csv", rows[4:7])
    write(shards / "more" / "2.jsonl", rows[7:])
    (shards / "0.parquet.manifest.json").write_text("{}", encoding="utf-8")
    (shards / ".framelens-1.parquet").write_bytes(b"half a file")
    report = measure(shards, tmp_path / "out", by=("outlet",), over="month").report
    assert figures_of(report) == figures_of(expected)
    assert len(report.provenance.sources) == 3


def test_evidence_as_text_and_other_types_in_parquet(labelled: Path, tmp_path: Path) -> None:
    table = pq.read_table(labelled)
    evidence = [json.dumps(spans) for spans in table["evidence"].to_pylist()]
    table = table.set_column(table.schema.get_field_index("evidence"), "evidence", pa.array(evidence))
    label = table["label"].combine_chunks().dictionary_encode()
    table = table.set_column(table.schema.get_field_index("label"), "label", label)
    pq.write_table(table, tmp_path / "other.parquet")
    first = measure(labelled, tmp_path / "first").report
    assert figures_of(first) == figures_of(measure(tmp_path / "other.parquet", tmp_path / "second").report)


def test_only_a_label_is_needed(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("label\n" + "\n".join([STATE, PLAIN, PLAIN]) + "\n", encoding="utf-8")
    written = measure(tmp_path / "x.csv", tmp_path / "out")
    report = written.report
    assert (report.counts.rows, report.counts.documents, report.n_sampled) == (3, None, 0)
    assert report.cues is None
    assert report.overall.labels[0].confidence is None
    assert report.overall.labels[0].share.low is None
    assert "No column names the documents" in page_of(written)


def test_one_document_has_no_interval(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", [row("a", at, label) for at, label in enumerate(LABELS)])
    written = measure(path, tmp_path / "out")
    assert [found.share.low for found in written.report.overall.labels] == [None] * 3
    assert "With one document" in page_of(written)


def test_sentences_of_their_own_ask_for_their_articles(tmp_path: Path) -> None:
    rows = [row(f"s{at}", 0, LABELS[at % 2], article=f"article {at // 3}") for at in range(9)]
    path = write(tmp_path / "x.parquet", rows)
    alone = measure(path, tmp_path / "alone")
    grouped = measure(path, tmp_path / "grouped", cluster="article")
    assert "name the column of the article" in page_of(alone)
    assert "name the column of the article" not in page_of(grouped)
    assert (alone.report.counts.documents, grouped.report.counts.documents) == (9, 3)


def test_nothing_labelled(tmp_path: Path) -> None:
    broken = {"status": Status.ERROR, "error": "expected text", "outlet": "Post", "date": "2024-01-02"}
    rows = [row("a", at, None, "", **broken) for at in range(3)]
    written = measure(write(tmp_path / "x.parquet", rows), tmp_path / "out", by=("outlet",), over="day")
    assert written.report.counts.labelled == 0
    assert [found.share.value for found in written.report.overall.labels] == [None] * 3
    assert "No row has a label" in page_of(written)
    assert "n/a" in page_of(written)


def test_one_label_only(tmp_path: Path) -> None:
    rows = [row(f"d{at // 2}", at % 2, PLAIN, outlet="Post") for at in range(20)]
    report = measure(write(tmp_path / "x.parquet", rows), tmp_path / "out", by=("outlet",)).report
    all_of_them = report.overall.labels[1]
    assert (all_of_them.share.value, all_of_them.share.high, all_of_them.design_effect) == (1.0, 1.0, None)
    assert all_of_them.share.low is not None
    assert 0.5 < all_of_them.share.low < 0.9


def test_no_date_at_all(tmp_path: Path) -> None:
    rows = [row("a", 0, PLAIN, date=None), row("b", 0, PLAIN, date="")]
    with pytest.raises(InputError, match=r"column 'date' \(--date-column\): every date is empty"):
        measure(write(tmp_path / "x.parquet", rows), tmp_path / "out", over="month")
    rows = [row("a", at, PLAIN, date="12/03/2024") for at in range(3)]
    with pytest.raises(InputError, match="3 of 3 dates could not be read, such as '12/03/2024'; write them"):
        measure(write(tmp_path / "y.parquet", rows), tmp_path / "out", over="month")


def test_dates_of_sentences_without_a_label_alone(tmp_path: Path) -> None:
    rows = [row("a", 0, PLAIN, date=None), row("b", 0, None, date="2024-01-02")]
    written = measure(write(tmp_path / "x.parquet", rows), tmp_path / "out", over="month")
    assert written.report.timeline is not None
    assert (written.report.timeline.periods, written.report.timeline.without_date) == ((), 1)
    assert "that can be read" in page_of(written)


@pytest.mark.parametrize("by", [("--by", "outlet", "--by", "month"), ("--by", "outlet, month")])
def test_columns_may_be_given_again_or_with_commas(tmp_path: Path, monkeypatch, by: tuple[str, ...]) -> None:
    rows = [row(f"d{at}", 0, PLAIN, outlet="Post", month="May") for at in range(3)]
    table, folder = write(tmp_path / "x.parquet", rows), tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["framelens-eval", "corpus", str(table), *by, "-o", str(folder)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert json.loads((folder / "report.json").read_text(encoding="utf-8"))["by"] == ["outlet", "month"]


def test_labels_of_others_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(f"doc_id,label\na,{STATE}\nb,propaganda\n", encoding="utf-8")
    written = measure(tmp_path / "x.csv", tmp_path / "out")
    assert (written.report.counts.foreign_labels, written.report.counts.labelled) == (1, 1)
    assert "none of the three" in page_of(written)


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_an_empty_label_is_none(tmp_path: Path, kind: str) -> None:
    rows = [{"doc_id": "a", "label": str(STATE)}, {"doc_id": "b", "label": ""}, {"doc_id": "c", "label": " "}]
    if kind == "jsonl":
        content = "".join(json.dumps(each) + "\n" for each in rows)
    else:
        lines = ['"doc_id","label"', *('"{doc_id}","{label}"'.format(**each) for each in rows)]
        content = "\n".join(lines) + "\n"
    (tmp_path / f"x.{kind}").write_text(content, encoding="utf-8")
    counts = measure(tmp_path / f"x.{kind}", tmp_path / "out").report.counts
    assert (counts.foreign_labels, counts.labelled) == (0, 1)
    assert counts.statuses == {"not labelled": 2, "ok": 1}


def test_nothing_of_the_corpus_is_markup(check_page, tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script> & <img src=x onerror=alert(2)>"
    rows = [
        row(hostile, 0, STATE, hostile, [(0, 8, CueKind.STATE)], outlet=hostile, date=date)
        for date in ("<svg>", "2024-01-02")
    ]
    written = measure(
        write(tmp_path / "x.parquet", rows), tmp_path / "out", by=("outlet",), over="day", title=hostile
    )
    page = page_of(written)
    check_page(page)
    assert "<script>alert" not in page
    assert "<img" not in page


def test_mathematics_and_other_scripts_in_names(check_page, tmp_path: Path) -> None:
    names = ["$x^2$ & $", "環球新聞報道環球新聞報道", "Новая волна", "नमस्ते", "a" * 200, "", "العالم"]
    rows = [row(f"{name}{at}", 0, PLAIN, outlet=name, date="2024-05") for at in range(2) for name in names]
    written = measure(write(tmp_path / "x.parquet", rows), tmp_path / "out", by=("outlet",), over="month")
    page = page_of(written)
    check_page(page)
    assert written.report.n_groups == len(names)
    assert "$x^2$ &amp; $" in page
    assert "(empty)" in page


def test_long_sentences_are_cut_around_their_evidence(tmp_path: Path) -> None:
    text = "word " * 4000 + "glorious" + " word" * 4000
    start = text.index("glorious")
    rows = [row("a", 0, STATE, text, [(start, start + 8, CueKind.STATE)])]
    page = page_of(measure(write(tmp_path / "x.parquet", rows), tmp_path / "out"))
    assert '<mark class="state" title="state_cue">glorious</mark>' in page
    assert "600 of 40,008 characters" in page
    assert len(page) < 200_000


def test_evidence_outside_its_sentence_is_left_out(tmp_path: Path) -> None:
    evidence = '[{""start"": 2, ""end"": 99, ""kind"": ""state_cue""}, {""start"": null}, {}, null]'
    content = f'doc_id,text,label,evidence\na,Short.,{STATE},"{evidence}"\nb,Short.,{STATE},broken\n'
    (tmp_path / "x.csv").write_text(content, encoding="utf-8")
    page = page_of(measure(tmp_path / "x.csv", tmp_path / "out"))
    assert "<p>Short.</p>" in page


def many(n_documents: int, n_groups: int = 4) -> list[Row]:
    return [
        row(
            f"d{document}",
            at,
            HEDGED if document == 7 and at == 0 else LABELS[(document * at) % 5 > 3],
            f"Sentence {at} of {document}.",
            outlet=f"Outlet {document % n_groups}",
            date=f"20{document % 30 + 10}-{document % 12 + 1:02}-01",
        )
        for document in range(n_documents)
        for at in range(5)
    ]


def test_samples_show_rare_labels_and_every_group(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", many(60))
    written = measure(path, tmp_path / "out", by=("outlet",), samples=20)
    page = page_of(written)
    shown = re.findall(r'<div data-fact="(label|outlet)"><dt>.*?</dt><dd>(.*?)</dd>', page)
    assert written.report.n_sampled == 20
    assert [value for name, value in shown if name == "label"].count("hedged") == 1
    assert {value for name, value in shown if name == "outlet"} == {f"Outlet {at}" for at in range(4)}
    assert measure(path, tmp_path / "none", samples=0).report.n_sampled == 0


def test_samples_depend_on_the_seed_alone(tmp_path: Path) -> None:
    rows = many(60)
    path = write(tmp_path / "x.parquet", rows)
    back = write(tmp_path / "y.jsonl", rows[::-1])

    def sample(source: Path, **settings: Any) -> list[str]:
        page = page_of(measure(source, tmp_path / "out", samples=9, **settings))
        return re.findall(r"<p>(Sentence .*?)</p>", page)

    assert sample(path) == sample(back, threads=1)
    assert sample(path) != sample(path, seed=1)


def test_neither_markdown_nor_json_holds_a_sentence(labelled: Path, tmp_path: Path) -> None:
    measure(labelled, tmp_path / "out", by=("outlet",), over="month")
    for name in ("report.md", "report.json"):
        content = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert "The ferry left" not in content
        assert "The mill was" not in content
    assert "The ferry left" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_many_groups_and_days_make_no_large_page(tmp_path: Path) -> None:
    names = [f"Outlet number {at}" for at in range(5000)]
    columns = {
        "doc_id": [f"d{at}" for at in range(10_000)],
        "label": [str(LABELS[at % 3]) for at in range(10_000)],
        "outlet": names * 2,
        "date": [f"{2000 + at % 20}-{at % 12 + 1:02}-{at % 28 + 1:02}" for at in range(10_000)],
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    written = measure(tmp_path / "x.parquet", tmp_path / "out", by=("outlet",), over="day")
    report = written.report
    assert (report.n_groups, len(report.groups)) == (5000, 2000)
    assert written.page.stat().st_size < 2_000_000
    assert report.timeline is not None
    assert (report.timeline.asked, report.timeline.over) == ("day", "month")
    with (tmp_path / "out" / "tables" / "groups.csv").open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == 5001


def test_tables_hold_what_the_report_holds(labelled: Path, tmp_path: Path) -> None:
    report = measure(labelled, tmp_path / "out", by=("outlet",), over="month").report
    with (tmp_path / "out" / "tables" / "groups_by_period.csv").open(encoding="utf-8", newline="") as file:
        found = {(line["outlet"], line["month"]): line for line in csv.DictReader(file)}
    assert report.timeline is not None
    for line in report.timeline.groups:
        for period in line.periods:
            written = found[line.names[0] or "", period.start]
            assert int(written["sentences"]) == period.sentences
            for label, share in zip(LABELS, period.shares, strict=True):
                assert written[f"share_{label}"] == f"{share.value:.6f}"
                assert written[f"low_{label}"] == ("" if share.low is None else f"{share.low:.6f}")


def test_a_stray_year_does_not_press_the_others_together(tmp_path: Path) -> None:
    columns = {
        "doc_id": [str(at) for at in range(4001)],
        "label": [str(PLAIN)] * 4001,
        "date": [f"2024-{at % 12 + 1:02}-01" for at in range(4000)] + ["1024-01-01"],
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    written = measure(tmp_path / "x.parquet", tmp_path / "out", over="month")
    timeline = written.report.timeline
    assert timeline is not None
    assert (timeline.periods[0].start, timeline.n_left_out, timeline.over) == ("2024-01-01", 1, "month")
    assert "1 labelled sentence with a stray date" in page_of(written)


def test_the_manifest_is_shown_and_held_against_the_file(labelled: Path, tmp_path: Path) -> None:
    manifest = labelled.with_name("labelled.parquet.manifest.json")
    content = {
        "model_digest": "0123456789abcdef" * 4,
        "arguments": {"model": "bundled", "precision": "fp32", "abstain_below": 0.6},
        "versions": {"framelens": "9.8.7"},
        "sentences": 10,
    }
    manifest.write_text(json.dumps(content), encoding="utf-8")
    written = measure(labelled, tmp_path / "out")
    assert written.report.manifests[0].version == "9.8.7"
    assert "0123456789abcdef…" in page_of(written)
    assert "was changed after it was labelled" not in page_of(written)
    manifest.write_text(json.dumps({**content, "sentences": 11}), encoding="utf-8")
    assert "was changed after it was labelled" in page_of(measure(labelled, tmp_path / "out"))
    manifest.write_text("[broken", encoding="utf-8")
    assert measure(labelled, tmp_path / "out").report.manifests == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"by": ("country",)}, "expected a column 'country' (--by), got the columns abstained, date"),
        ({"over": "month", "date_column": "published"}, "'published' (--date-column)"),
        ({"cluster": "article"}, "'article' (--cluster)"),
        ({"by": ("a", "b", "c")}, "at most 2 different columns"),
        ({"by": ("outlet", "outlet")}, "at most 2 different columns"),
    ],
)
def test_columns_that_are_not_there(labelled: Path, tmp_path: Path, settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        measure(labelled, tmp_path / "out", **settings)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("none", encoding="utf-8")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and then nothing")
    (tmp_path / "broken.jsonl").write_text('{"label": "hedged_claim"}\n{"label": \n', encoding="utf-8")
    (tmp_path / "header.csv").write_text("label,doc_id\n", encoding="utf-8")
    for name, message in [
        ("absent.parquet", "no such file"),
        ("empty", "got none"),
        ("notes.txt", "another suffix"),
        ("broken.parquet", "cannot read the labelled corpus"),
        ("broken.jsonl", "broken JSON"),
        ("header.csv", "holds no row"),
    ]:
        with pytest.raises(InputError, match=message):
            measure(tmp_path / name, tmp_path / "out")
    (tmp_path / "corpus.csv").write_text("id,text\n1,The ferry left.\n", encoding="utf-8")
    with pytest.raises(InputError, match="run framelens label first"):
        measure(tmp_path / "corpus.csv", tmp_path / "out")
    with pytest.raises(InputError, match="at least one"):
        find_files(())


def test_too_many_groups(labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framelens_evaluation.corpus.tallies.N_GROUPS_AT_MOST", 2)
    with pytest.raises(InputError, match="at most 2 groups, got 3 by outlet"):
        measure(labelled, tmp_path / "out", by=("outlet",))


def test_the_command(labelled: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    folder = tmp_path / "out"
    arguments = ["corpus", labelled, "--by", "outlet", "--over", "month", "--samples", "5", "-o", folder]
    monkeypatch.setattr(sys, "argv", ["framelens-eval", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr()
    assert not ended.value.code
    assert "mind: 1 of 9 dates could not be read, such as '02/11/24'; write them as" in shown.err
    assert "8 labelled of 10 rows" in shown.out
    assert "independent_reporting: 50.0 % [" in shown.out
    assert f"report: {folder / 'report.html'}" in shown.out
    written = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert written["schema_version"] == 1
    assert written["provenance"]["command"].startswith("framelens-eval corpus")
    assert len(written["provenance"]["sources"][0]["sha256"]) == 64
