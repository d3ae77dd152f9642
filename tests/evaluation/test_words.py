"""Words in spans, by hand and beside a plain definition."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens import InputError
from framelens_evaluation.statistics.words import word_counts, word_f1, word_precision, word_recall

few = settings(max_examples=80, deadline=None)  # a busy machine has no deadlines
TEXT = "The ferry reportedly sank, harbour staff said."


def span(piece: str, text: str = TEXT) -> tuple[int, int]:
    start = text.index(piece)
    return start, start + len(piece)


def test_by_hand() -> None:
    # Shown: "reportedly sank,"; gold: "reportedly".
    assert word_counts([TEXT], [[span("reportedly sank")]], [[span("reportedly")]]).tolist() == [[1, 2, 1]]


def test_a_word_counts_when_one_character_is_in_a_span() -> None:
    counts = word_counts([TEXT], [[span("portedl")]], [[span("sank")]])
    assert counts.tolist() == [[0, 1, 1]]


def test_white_space_and_empty_spans_touch_no_word() -> None:
    at = TEXT.index(" sank")
    assert word_counts([TEXT], [[(at, at + 1), (3, 3)]], [[]]).tolist() == [[0, 0, 0]]


def test_overlapping_spans_count_a_word_once() -> None:
    counts = word_counts([TEXT], [[span("reportedly"), span("reportedly sank")]], [[span("reportedly")]])
    assert counts.tolist() == [[1, 2, 1]]


def test_neighbouring_texts_do_not_touch() -> None:
    counts = word_counts(["one two", "three", ""], [[(4, 7)], [], []], [[], [(0, 5)], []])
    assert counts.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_no_texts() -> None:
    assert word_counts([], [], []).shape == (0, 3)


def test_scores() -> None:
    counts = np.array([[1, 2, 1], [0, 0, 3]])
    total = counts.sum(0)
    assert float(word_precision(total)) == 0.5
    assert float(word_recall(total)) == 0.25
    assert float(word_f1(total)) == pytest.approx(1 / 3)
    assert np.isnan(word_precision(counts[1]))
    assert np.isnan(word_f1(np.array([0, 2, 0])))


@pytest.mark.parametrize("wrong", [(-1, 3), (5, 2), (0, len(TEXT) + 1)])
def test_a_span_outside_its_text_is_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="sentence 1 has"):
        word_counts([TEXT, TEXT], [[], [wrong]], [[], []])


def test_lengths_are_checked() -> None:
    with pytest.raises(InputError, match="one length"):
        word_counts([TEXT], [], [[]])


@st.composite
def annotated(draw) -> tuple[str, list[tuple[int, int]], list[tuple[int, int]]]:
    text = draw(st.text("ab .\n\u00a0\u2028é", max_size=20))
    offsets = st.tuples(st.integers(0, len(text)), st.integers(0, len(text))).map(lambda p: (min(p), max(p)))
    spans = st.lists(offsets, max_size=3)
    return text, draw(spans), draw(spans)


@few
@given(st.lists(annotated(), max_size=5))
def test_agrees_with_the_plain_definition(rows) -> None:
    def touched(text: str, spans: list[tuple[int, int]]) -> set[int]:
        inside = {i for start, end in spans for i in range(start, end)}
        words = [m.span() for m in re.finditer(r"\S+", text)]
        return {n for n, (start, end) in enumerate(words) if inside & set(range(start, end))}

    expected = []
    for text, shown, gold in rows:
        ours, theirs = touched(text, shown), touched(text, gold)
        expected.append([len(ours & theirs), len(ours), len(theirs)])
    found = word_counts([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows])
    assert found.tolist() == expected
