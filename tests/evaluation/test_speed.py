"""Speed: the arithmetic of pairs, whose turn it is, what is read, and the command from end to end."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens import LABELS, InputError, JobError
from framelens_evaluation import cli
from framelens_evaluation.speed.answers import Answers, agreement, of_path, of_pipeline, qualities
from framelens_evaluation.speed.document import lines, readme_table, speed_document, write_readme
from framelens_evaluation.speed.measure import Turn, _on_gold, paths_named, run_rounds
from framelens_evaluation.speed.pairs import median_interval, ratios, rotated
from framelens_evaluation.speed.result import SpeedReport
from framelens_evaluation.speed.sentences import read_sentences
from framelens_evaluation.statistics.bootstrap import Resampling
from framelens_evaluation.statistics.metrics import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable

STATE, PLAIN, HEDGED = LABELS
few = settings(max_examples=60, deadline=None)
ROOT = Path(__file__).parents[2]


def test_median_and_its_interval_by_hand() -> None:
    five = median_interval([5.0, 1.0, 4.0, 2.0, 3.0])
    assert (five.value, five.low, five.high, five.least, five.most) == (3.0, 1.0, 5.0, 1.0, 5.0)
    assert five.coverage == 1 - 2 / 2**5
    six = median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert (six.value, six.low, six.high, six.coverage) == (3.5, 1.0, 6.0, 1 - 2 / 2**6)
    # One value inwards leaves out (1 + 9) of 512 on either side, two inwards (1 + 9 + 36).
    nine = median_interval([float(i) for i in range(9)])
    assert (nine.value, nine.low, nine.high, nine.coverage) == (4.0, 1.0, 7.0, 1 - 2 * 10 / 512)
    one = median_interval([2.0])
    assert (one.value, one.low, one.high, one.coverage, one.shown()) == (2.0, None, None, None, "2.00")
    assert five.shown(1) == "3.0 [1.0, 5.0]"
    with pytest.raises(InputError, match="at least one"):
        median_interval([])


@pytest.mark.parametrize("n", range(2, 13))
def test_coverage_is_the_share_of_sides_on_which_values_can_fall(n: int) -> None:
    found = median_interval([float(i) for i in range(n)])
    assert found.low is not None
    assert found.high is not None
    # The i-th smallest is below the true median where at least i values are; so count all ways to fall.
    covered = [found.low < sum(below) <= found.high for below in itertools.product((False, True), repeat=n)]
    assert found.coverage == pytest.approx(sum(covered) / 2**n)
    assert found.coverage >= 0.95 or (found.low, found.high) == (0, n - 1)


@few
@given(st.lists(st.floats(0.1, 100), min_size=1, max_size=15), st.randoms(use_true_random=False))
def test_the_order_of_rounds_does_not_matter(values, random) -> None:
    found = median_interval(values)
    shuffled = list(values)
    random.shuffle(shuffled)
    assert median_interval(shuffled) == found
    assert (
        found.least <= (found.low or found.value) <= found.value <= (found.high or found.value) <= found.most
    )


def test_ratios_are_of_the_same_round() -> None:
    assert ratios([2.0, 4.0], [10.0, 12.0]) == [5.0, 3.0]
    with pytest.raises(InputError, match="same rounds"):
        ratios([1.0], [1.0, 2.0])


@few
@given(st.integers(1, 6), st.integers(0, 20))
def test_every_system_is_first_in_its_turn(n, turn) -> None:
    names = [str(i) for i in range(n)]
    assert sorted(rotated(names, turn)) == names
    assert {rotated(names, turn + i)[0] for i in range(n)} == set(names)


def system(name: str, log: list[str], fails_at: int | None = None) -> Callable[[Path, Path], Turn]:
    nothing = Answers(np.zeros(0, dtype=np.int64), np.zeros((0, 3)))

    def run(corpus: Path, out: Path) -> Turn:
        assert corpus == Path("corpus")
        assert not out.exists()
        log.append(name)
        if fails_at is not None and log.count(name) > fails_at:
            raise JobError(f"{name} broke")
        return Turn(float(len(log)), 0.0, 1, nothing)

    return run


def test_rounds_warm_up_rotate_and_drop_what_cannot_run() -> None:
    log: list[str] = []
    steps: list[str] = []
    systems = {
        "p": system("p", log),
        "a": system("a", log),
        "x": system("x", log, fails_at=0),
        "b": system("b", log),
    }
    turns, failed = run_rounds(systems, Path("corpus"), 2, steps.append)
    assert "".join(log) == "paxb" + "abp" + "bpa"
    assert failed == {"x": "x broke"}
    assert {name: [turn.labelling_seconds for turn in found] for name, found in turns.items()} == {
        "p": [7.0, 9.0],
        "a": [5.0, 10.0],
        "b": [6.0, 8.0],
    }
    assert steps[:1] == ["warming up: p"]
    assert steps[-1] == "round 2 of 2: a"


@pytest.mark.parametrize(("name", "fails_at"), [("p", 0), ("p", 1), ("a", 1), ("a", 2)])
def test_a_failure_that_would_spoil_pairs_is_told(name: str, fails_at: int) -> None:
    log: list[str] = []
    systems = {other: system(other, log, fails_at if other == name else None) for other in "pa"}
    with pytest.raises(JobError, match=f"{name} broke"):
        run_rounds(systems, Path("corpus"), 2, lambda _: None)


def test_no_rounds_and_no_paths() -> None:
    with pytest.raises(InputError, match="repeats"):
        run_rounds({"p": system("p", [])}, Path("corpus"), 0, lambda _: None)
    assert [path.name for path in paths_named("bf16, default,")] == ["bf16", "default"]
    for wrong in ("", "default,default", "default,warp"):
        with pytest.raises(InputError, match="each path once, of default, torch"):
            paths_named(wrong)


def answers(given: str, p: float = 0.8) -> Answers:
    """One character a sentence, its label's number, or ``.`` where none was given."""
    codes = np.array([NO_LABEL if c == "." else int(c) for c in given])
    probabilities = np.full((len(codes), 3), (1 - p) / 2)
    probabilities[codes == NO_LABEL] = np.nan
    known = codes != NO_LABEL
    probabilities[np.flatnonzero(known), codes[known]] = p
    return Answers(codes, probabilities)


def test_agreement_is_of_sentences_that_both_labelled() -> None:
    found = agreement(answers("0120..", 0.8), answers("012.1.", 0.7))
    assert (found.n_compared, found.n_same, found.share) == (3, 3, 1.0)
    assert found.largest_difference == pytest.approx(0.1)
    # Wilson's lower end for n of n is n / (n + z²).
    assert found.low == pytest.approx(3 / (3 + 1.959963984540054**2))
    assert agreement(answers("0122"), answers("0011")).n_same == 1
    nothing = agreement(answers(".."), answers("01"))
    assert (nothing.n_compared, nothing.share) == (0, None)
    assert nothing.low is nothing.largest_difference is None


def test_answers_of_both_sides_are_the_same_arrays(tmp_path: Path) -> None:
    rows = [{"id": "0", "label": str(PLAIN), "score": 0.75}, {"id": "1", "label": str(HEDGED), "score": 0.5}]
    path = tmp_path / "peer.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    peer = of_pipeline(path)
    schema = pa.schema([("label", pa.string()), *((f"p_{label}", pa.float32()) for label in LABELS)])
    columns = {"label": [str(PLAIN), None], **{f"p_{label}": [0.25, None] for label in LABELS}}
    ours = of_path(pa.table(columns, schema))
    assert peer.given.tolist() == [1, 2]
    assert ours.given.tolist() == [1, NO_LABEL]
    assert ours.n_unlabelled == 1
    found = agreement(peer, ours)
    assert (found.n_compared, found.n_same, found.largest_difference) == (1, 1, 0.5)


def test_quality_beside_the_default() -> None:
    gold = [STATE, PLAIN, HEDGED] * 4
    articles = [f"a{i // 3}" for i in range(12)]
    right, wrong = answers("012" * 4), answers("012" * 2 + "021" * 2)
    found = qualities({"default": wrong, "same": wrong, "better": right}, gold, articles, Resampling(0, 50))
    assert found["default"].difference is None
    # F1 of the labels is 1, 1/2 and 1/2.
    assert found["default"].macro_f1.value == pytest.approx(2 / 3)
    same, better = found["same"].difference, found["better"].difference
    assert same is not None
    assert better is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)
    assert better.value == pytest.approx(1 / 3)
    assert better.low is not None
    assert better.low >= 0
    alone = qualities({"bf16": right}, gold, articles, Resampling(0, 50))
    assert alone["bf16"].difference is None


def test_gold_sentences_of_a_file_of_their_own_are_labelled_once_more(tmp_path: Path) -> None:
    data, gold = tmp_path / "data.jsonl", tmp_path / "gold.jsonl"
    labelled = [{"text": f"Ship {i}.", "label": [str(PLAIN), None][i % 2], "article": "a"} for i in range(4)]
    for path in (data, gold):
        path.write_text("".join(json.dumps(row) + "\n" for row in labelled), encoding="utf-8")
    seen: list[str] = []

    def run(corpus: Path, out: Path) -> Turn:
        seen.append(corpus.read_text(encoding="utf-8"))
        return Turn(1.0, 1.0, 1, answers("12"))

    timed = {"default": answers("0.2.")}
    of_data = _on_gold({"default": run}, read_sentences(data), None, timed, tmp_path, lambda _: None)
    assert of_data["default"].given.tolist() == [0, 2], "those of the timed sentences with a label"
    assert not seen
    of_gold = _on_gold(
        {"default": run}, read_sentences(data), read_sentences(gold), timed, tmp_path, lambda _: None
    )
    assert of_gold["default"].given.tolist() == [1, 2]
    assert [json.loads(line)["text"] for line in seen[0].splitlines()] == ["Ship 0.", "Ship 2."]


def test_reads_different_sentences_and_what_is_known_of_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [
        {"text": "It sank.", "label": "hedged_claim", "article": "a"},
        {"text": "It sailed."},
        {"text": "It sank.", "label": "independent_reporting", "article": "b"},
        {"text": "It stayed.", "label": "state"},
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    found = read_sentences(path)
    assert found.texts == ("It sank.", "It sailed.", "It stayed.")
    assert found.labels == (HEDGED, None, None), "without an article there is nothing to resample"
    assert (found.labelled, found.n_repeated, found.n_in_file) == ([0], 1, 3)
    plain = tmp_path / "a.txt"
    plain.write_text("\n".join(f" Ship {i} sailed. " for i in range(50)), encoding="utf-8")
    drawn = read_sentences(plain, 10, seed=3)
    assert drawn.texts == read_sentences(plain, 10, seed=3).texts
    assert drawn.texts != read_sentences(plain, 10, seed=4).texts
    assert len(set(drawn.texts)) == 10
    order = [int(text.split()[1]) for text in drawn.texts]
    assert order == sorted(order)
    assert len(read_sentences(plain, 99).texts) == 50


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no sentences"),
        (b'{"text": "a"}\n{"body": "b"}\n', r"a\.jsonl:2: .*'text'"),
        (b'{"text": "  "}', r"a\.jsonl:1"),
        (b"[1]", r"a\.jsonl:1"),
        (b"{", r"a\.jsonl:1: expected a JSON object"),
        (b'{"text": "a", "label": "odd", "article": "x"}', r"a\.jsonl:1: label"),
        (b"\xff", "UTF-8"),
    ],
)
def test_what_cannot_be_read_is_told(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_sentences(path)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["framelens-eval", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected --data with sentences of your own"),
        (("--paths", "warp"), "of default, torch, bf16, fp16, fast, ray"),
        (("--profile", "warp", "--data", "absent.jsonl"), "of default, torch, bf16, fp16, fast, ray"),
        (("--data", "absent.jsonl"), "absent.jsonl"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_measured(monkeypatch, capsys, arguments, message) -> None:
    assert call(monkeypatch, "speed", *arguments) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""


def test_the_command_from_end_to_end(monkeypatch, capsys, check_page, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from framelens.speed import PATHS, LabelPath, built_in_sentences

    monkeypatch.setitem(PATHS, "odd", LabelPath("odd", "an odd one", ("--warp",)))
    data, readme, folder = tmp_path / "data.jsonl", tmp_path / "README.md", tmp_path / "report"
    gold = itertools.cycle(LABELS)
    rows = [
        {"text": text, "label": next(gold), "article": f"a{i // 2}"}
        for i, text in enumerate(built_in_sentences(20))
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    readme.write_text("before\n<!-- speed:begin -->\nold\n<!-- speed:end -->\nafter\n", encoding="utf-8")
    code = call(
        monkeypatch, "speed", "--data", data, "--sentences", 19, "--repeats", 1, "--paths", "default,odd",
        "--workers", 1, "--resamples", 20, "--readme", readme, "-o", folder,
    )  # fmt: skip
    shown = capsys.readouterr()
    assert code == 0, shown.err
    report = SpeedReport.model_validate_json((folder / "report.json").read_bytes())
    pipeline, default, odd = report.systems
    assert (pipeline.ratio, odd.why_not) == (None, "framelens label has no --warp")
    assert [path.name for path in report.paths] == ["default"]
    assert (report.terms.n_sentences, report.terms.workers, report.terms.n_gold) == (19, 1, 19)
    assert default.rate is not None
    assert default.ratio is not None
    assert default.process_ratio is not None
    assert default.rate.value == pytest.approx(19 / default.labelling_seconds[0])
    assert default.ratio.value == pytest.approx(pipeline.labelling_seconds[0] / default.labelling_seconds[0])
    assert default.process_ratio.value == pytest.approx(
        pipeline.process_seconds[0] / default.process_seconds[0]
    )
    for found in (pipeline, default):
        # A whole process takes longer than the labelling in it.
        assert found.process_seconds[0] > found.labelling_seconds[0]
        assert found.agreement is not None
        assert (found.agreement.n_compared, found.agreement.n_same) == (19, 19)
        assert found.agreement.largest_difference is not None
        assert found.agreement.largest_difference < 1e-4
        assert found.quality is not None
    assert pipeline.quality is not None
    assert pipeline.quality.difference is not None
    assert pipeline.quality.difference.value == 0
    assert report.tokeniser.tokens_one > report.tokeniser.sentences_one
    assert "odd: not available: framelens label has no --warp" in shown.out
    assert shown.out.startswith("pipeline: ")
    page = (folder / "report.html").read_text(encoding="utf-8")
    check_page(page)
    assert rows[0]["text"] not in page
    assert (folder / "figures" / "ratios.svg").is_file()
    begin, end = "before\n<!-- speed:begin -->\n", "\n<!-- speed:end -->\nafter\n"
    assert readme.read_text(encoding="utf-8") == f"{begin}{readme_table(report)}{end}"
    assert len(lines(report)) == 3
    assert len(speed_document(report).figures) == 1
    bare = tmp_path / "bare.md"
    bare.write_text("<!-- speed:end --> <!-- speed:begin -->", encoding="utf-8")
    with pytest.raises(InputError, match="speed:begin"):
        write_readme(bare, report)
    with pytest.raises(InputError, match=r"absent\.md"):
        write_readme(tmp_path / "absent.md", report)


def test_the_readme_s_table_is_the_measured_one() -> None:
    measured = ROOT / "docs" / "reports" / "speed" / "report.json"
    if not measured.is_file():
        pytest.skip("no measured speed here")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.partition("<!-- speed:begin -->")[2].partition("<!-- speed:end -->")[0]
    assert shown.strip() == readme_table(SpeedReport.model_validate_json(measured.read_bytes())).strip()
