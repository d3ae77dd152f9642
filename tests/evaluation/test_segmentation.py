"""Scoring of sentence splitters, and the hand-written cases."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from framelens.errors import InputError
from framelens_evaluation.segmentation import (
    BoundaryCase,
    BoundaryCounts,
    NaiveSplitter,
    SplitterScore,
    compare_splitters,
    count_boundaries,
    load_cases,
    markdown_table,
    measure_speed,
    score_splitter,
)

if TYPE_CHECKING:
    from pathlib import Path

# Ends of sentences at 2, 5 and 8; the last is no boundary.
CASE = BoundaryCase("a", "plain", "tune", "A. B. C.", (2, 5))


class Fixed:
    """Answers the same spans whatever it is asked."""

    def __init__(self, *spans: tuple[int, int]) -> None:
        self._spans = list(spans)

    def spans(self, text: str) -> list[tuple[int, int]]:
        return self._spans if text else []


@pytest.fixture(scope="module")
def scores() -> list[SplitterScore]:
    return compare_splitters()


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 2), (3, 5), (6, 8)], BoundaryCounts(right=2)),
        ([(0, 2), (3, 8)], BoundaryCounts(right=1, missed=1)),
        ([(0, 8)], BoundaryCounts(missed=2)),
        ([], BoundaryCounts(missed=2)),
        ([(0, 1), (1, 5), (6, 8)], BoundaryCounts(right=1, spurious=1, missed=1)),
    ],
)
def test_count_boundaries(spans: list[tuple[int, int]], expected: BoundaryCounts) -> None:
    assert count_boundaries(CASE, spans) == expected


def test_ratios_by_hand() -> None:
    counts = BoundaryCounts(right=3, spurious=1, missed=2)
    assert counts.precision == 3 / 4
    assert counts.recall == 3 / 5
    assert counts.f1 == pytest.approx(2 * 0.75 * 0.6 / (0.75 + 0.6))
    assert BoundaryCounts().f1 == 1.0
    assert BoundaryCounts(missed=1).recall == 0.0


def test_score_sums_before_it_divides() -> None:
    single = BoundaryCase("b", "quote", "tune", "A. B. C.", ())
    score = score_splitter("fixed", Fixed((0, 2), (3, 8)), [CASE, CASE, single])
    assert (score.n_items, score.n_perfect, score.n_boundaries) == (3, 0, 4)
    assert score.precision.value == 2 / 3
    assert score.recall.value == 2 / 4
    assert score.f1.value == pytest.approx(4 / 7)
    assert score.by_phenomenon == {
        "plain": BoundaryCounts(right=2, missed=2),
        "quote": BoundaryCounts(spurious=1),
    }


def test_interval_is_a_point_where_all_items_are_alike_and_wide_where_they_differ() -> None:
    alike = score_splitter("fixed", Fixed((0, 2), (3, 8)), [CASE] * 20)
    assert alike.recall.low == alike.recall.high == alike.recall.value == 0.5
    easy = BoundaryCase("c", "plain", "tune", CASE.text, (2,))
    mixed = score_splitter("fixed", Fixed((0, 2), (3, 8)), [CASE, easy] * 10, seed=3)
    assert mixed.recall.value == 20 / 30
    # Recall of a resample with k hard items among 20 is 20 / (20 + k); k is binomial (20, 1/2),
    # whose central 95 % is 6 to 14.
    assert mixed.recall.low == pytest.approx(20 / 34, abs=0.02)
    assert mixed.recall.high == pytest.approx(20 / 26, abs=0.02)


def test_no_cases_is_an_error() -> None:
    with pytest.raises(InputError, match="no cases"):
        score_splitter("fixed", Fixed(), [])


def test_naive_splitter() -> None:
    text = " He left. She stayed!  why? Mr. X "
    found = [text[start:end] for start, end in NaiveSplitter().spans(text)]
    assert found == ["He left.", "She stayed!  why?", "Mr.", "X"]
    assert NaiveSplitter().spans(" \n") == []


def test_cases_are_consistent() -> None:
    cases = load_cases()
    assert len(cases) >= 100
    assert len({case.text for case in cases}) == len(cases)
    by_part = {part: [case for case in cases if case.part == part] for part in ("tune", "held")}
    assert sum(map(len, by_part.values())) == len(cases)
    assert abs(len(by_part["tune"]) - len(by_part["held"])) <= len(cases) // 10
    assert {case.phenomenon for case in by_part["tune"]} == {case.phenomenon for case in by_part["held"]}
    for case in cases:
        assert case.text == case.text.strip()
        assert "¶" not in case.text
        assert list(case.ends) == sorted(set(case.ends))
        for end in case.ends:
            assert not case.text[end - 1].isspace()
            assert case.text[end].isspace()
        # A blank line always ends a sentence, so the gold standard must say so.
        for gap in re.finditer(r"\s*\n\s*\n\s*", case.text):
            assert gap.start() in case.ends, case.id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"marked": None}, "to be strings"),
        ({"part": "test"}, "part must be"),
        ({"marked": "One. ¶Two."}, "directly behind"),
        ({"marked": "One.¶Two."}, "directly behind"),
        ({"marked": "One.¶ "}, "is empty"),
        ({"marked": ""}, "is empty"),
        ({"marked": "¶ One."}, "directly behind"),
    ],
)
def test_bad_cases_are_refused(change: dict[str, str | None], message: str, tmp_path: Path) -> None:
    item = {"id": "x", "phenomenon": "plain", "part": "tune", "marked": "One.¶ Two."}
    path = tmp_path / "cases.jsonl"
    path.write_text(json.dumps(item) + "\n", encoding="utf-8")
    assert load_cases(path) == [BoundaryCase("x", "plain", "tune", "One. Two.", (4,))]
    path.write_text(json.dumps(item | change) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        load_cases(path)


def test_a_line_that_is_no_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    for line in ("[]", "{", '{"id": "x"}', ""):
        path.write_text(f"{line}\n", encoding="utf-8")
        with pytest.raises(InputError, match="line 1: expected an object"):
            load_cases(path)


def test_an_id_used_twice_is_refused(tmp_path: Path) -> None:
    line = json.dumps({"id": "x", "phenomenon": "plain", "part": "tune", "marked": "One."})
    path = tmp_path / "cases.jsonl"
    path.write_text(f"{line}\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 2: the id 'x' was used before"):
        load_cases(path)


def test_default_splitter_beats_the_others_on_held_cases(scores: list[SplitterScore]) -> None:
    held = {score.splitter: score for score in scores if score.part == "held"}
    assert held["framelens"].f1.low > held["naive"].f1.high
    assert held["framelens"].f1.value > held["nupunkt"].f1.value
    assert held["framelens"].f1.value >= 0.95


def test_table_shows_every_score_and_phenomenon(scores: list[SplitterScore]) -> None:
    table = markdown_table(scores)
    assert len(scores) == 9
    assert all(f"| {s.splitter} | {s.part} | {s.n_items} |" in table for s in scores)
    assert all(f"| {case.phenomenon} |" in table for case in load_cases())
    assert all(s.mchar_per_s > 0 for s in scores)


def test_speed_is_characters_over_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 4.0, 10.0, 12.0, 20.0, 23.0])
    monkeypatch.setattr("framelens_evaluation.segmentation.time.process_time", lambda: next(clock))
    assert measure_speed(Fixed(), "x" * 3_000_000) == pytest.approx(1.5)
