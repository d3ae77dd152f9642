"""Spans by hand: thresholds, whole words, joining, two kinds."""

import numpy as np
import pytest

from framelens.evidence import evidence_spans
from framelens.labels import CueKind

TEXT = "The puppet clique reportedly fled."
#: (position, start, end): [CLS] the pup ##pet clique reportedly fled . [SEP]
TOKENS = [(1, 0, 3), (2, 4, 7), (3, 7, 10), (4, 11, 17), (5, 18, 28), (6, 29, 33), (7, 33, 34)]


def spans(scores: dict[int, tuple[float, float]], threshold: float = 0.5) -> list[tuple[str, str, float]]:
    """Evidence for (state, hedge) probabilities by token position."""
    cues = np.zeros((9, 3), dtype=np.float32)
    for position, (state, hedge) in scores.items():
        cues[position, 1:] = state, hedge
    cues[:, 0] = 1 - cues.sum(1)
    found = evidence_spans(TEXT, TOKENS, cues, threshold)
    return [(TEXT[s.start : s.end], str(s.kind), pytest.approx(s.score)) for s in found]


def test_nothing_reaches_the_threshold() -> None:
    assert spans({2: (0.4, 0.1)}) == []


def test_a_word_piece_becomes_its_word() -> None:
    assert spans({3: (0.8, 0.0)}) == [("puppet", "state_cue", 0.8)]


def test_neighbouring_tokens_join() -> None:
    assert spans({2: (0.9, 0), 3: (0.7, 0), 4: (0.8, 0)}) == [("puppet clique", "state_cue", 0.8)]


def test_a_span_grows_over_tokens_that_reach_half_the_threshold() -> None:
    assert [text for text, _, _ in spans({2: (0.3, 0), 3: (0.6, 0), 4: (0.25, 0)})] == ["puppet clique"]
    assert [text for text, _, _ in spans({3: (0.6, 0), 4: (0.24, 0)})] == ["puppet"]


def test_a_span_without_a_sure_token_is_none() -> None:
    assert spans({2: (0.4, 0), 3: (0.45, 0), 5: (0, 0.8)}) == [("reportedly", "hedge_cue", 0.8)]


def test_kinds_stay_apart() -> None:
    assert spans({4: (0.6, 0.1), 5: (0.1, 0.9)}) == [
        ("clique", "state_cue", 0.6),
        ("reportedly", "hedge_cue", 0.9),
    ]


def test_a_gap_of_a_word_parts_spans() -> None:
    assert [text for text, _, _ in spans({1: (0.9, 0), 4: (0.9, 0)})] == ["The", "clique"]


def test_special_tokens_are_no_evidence() -> None:
    assert spans({0: (0.9, 0), 8: (0.9, 0)}) == []


def test_the_threshold_is_inclusive() -> None:
    assert spans({5: (0.0, 0.5)}, threshold=0.5) == [("reportedly", str(CueKind.HEDGE), 0.5)]
