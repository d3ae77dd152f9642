"""Scores against hand-worked cases, scikit-learn, and what must hold for any labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, matthews_corrcoef, precision_recall_fscore_support

from framelens import LABELS, InputError, Label
from framelens_evaluation.metrics import (
    Confusion,
    ScopeScores,
    macro_f1,
    mcc,
)

STATE, PLAIN, HEDGED = LABELS
few = settings(max_examples=40, deadline=None)  # a busy machine has no deadlines
labels = st.sampled_from(LABELS)
pairs = st.lists(st.tuples(labels, st.one_of(st.none(), labels)), max_size=60)


def confusion(rows: list[tuple[Label, Label | None]]) -> Confusion:
    return Confusion.of([gold for gold, _ in rows], [found for _, found in rows])


def test_scores_of_a_case_worked_by_hand() -> None:
    gold = [STATE, STATE, STATE, PLAIN, PLAIN, HEDGED]
    given_ = [STATE, STATE, PLAIN, PLAIN, STATE, HEDGED]
    scores = Confusion.of(gold, given_).scores()
    assert scores.labels[STATE].precision == pytest.approx(2 / 3)
    assert scores.labels[STATE].recall == pytest.approx(2 / 3)
    assert scores.labels[PLAIN].f1 == pytest.approx(1 / 2)
    assert scores.labels[HEDGED].f1 == 1.0
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert scores.accuracy == pytest.approx(4 / 6)


def test_a_refused_sentence_costs_recall_and_not_precision() -> None:
    scores = Confusion.of([STATE, STATE, PLAIN], [STATE, None, PLAIN]).scores()
    assert scores.labels[STATE].precision == 1.0
    assert scores.labels[STATE].recall == 0.5
    assert scores.n_refused == 1
    assert scores.accuracy == pytest.approx(2 / 3)


def test_a_label_absent_from_gold_is_none_and_not_averaged() -> None:
    scores = Confusion.of([STATE, PLAIN, PLAIN], [STATE, PLAIN, HEDGED]).scores()
    absent = scores.labels[HEDGED]
    assert (absent.n_gold, absent.n_given, absent.recall, absent.f1) == (0, 1, None, None)
    assert absent.precision == 0.0  # it was given, and wrongly
    assert scores.macro_f1 == pytest.approx((1 + 2 / 3) / 2)


def test_a_label_never_given_has_f1_zero_and_no_precision() -> None:
    scores = Confusion.of([STATE, PLAIN], [PLAIN, PLAIN]).scores()
    assert scores.labels[STATE].precision is None
    assert scores.labels[STATE].f1 == 0.0


def test_nothing_measured_is_none() -> None:
    scores = Confusion.of([], []).scores()
    assert scores.macro_f1 is None
    assert scores.accuracy is None


@few
@given(st.lists(labels, min_size=1))
def test_a_perfect_system_gets_one(gold: list[Label]) -> None:
    scores = Confusion.of(gold, gold).scores()
    assert scores.macro_f1 == 1.0
    assert scores.accuracy == 1.0
    assert all(scores.labels[label].f1 == (1.0 if label in gold else None) for label in LABELS)


@few
@given(pairs.filter(bool))
def test_agrees_with_scikit_learn(rows: list[tuple[Label, Label | None]]) -> None:
    gold, found = [str(g) for g, _ in rows], [str(f) if f else "none" for _, f in rows]
    names = [str(label) for label in LABELS]
    expected = precision_recall_fscore_support(gold, found, labels=names, zero_division=np.nan)
    scores = confusion(rows).scores()
    for at, label in enumerate(LABELS):
        ours = scores.labels[label]
        assert ours.n_gold == expected[3][at]
        assert [ours.precision, ours.recall] == [
            None if np.isnan(score[at]) else pytest.approx(score[at]) for score in expected[:2]
        ]
        if ours.n_gold:
            assert ours.f1 == pytest.approx(expected[2][at])
    occurring = [at for at in range(3) if expected[3][at]]
    assert scores.macro_f1 == pytest.approx(np.mean(expected[2][occurring]))
    assert scores.accuracy == pytest.approx(accuracy_score(gold, found))


@few
@given(pairs, st.randoms(use_true_random=False))
def test_order_does_not_matter(rows: list[tuple[Label, Label | None]], random) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert (confusion(rows).counts == confusion(shuffled).counts).all()


@few
@given(pairs, pairs)
def test_adding_counts_is_counting_together(
    first: list[tuple[Label, Label | None]], second: list[tuple[Label, Label | None]]
) -> None:
    together = confusion(first) + confusion(second)
    assert (together.counts == confusion(first + second).counts).all()


def test_many_matrices_at_once() -> None:
    one = Confusion.of([STATE, PLAIN], [STATE, STATE]).counts
    other = Confusion.of([HEDGED], [HEDGED]).counts
    both = macro_f1(np.stack([one, other, np.zeros_like(one)]))
    assert both[:2].tolist() == pytest.approx([1 / 3, 1.0])
    assert np.isnan(both[2])


@few
@given(pairs.filter(bool))
def test_matthews_correlation_agrees_with_scikit_learn(rows: list[tuple[Label, Label | None]]) -> None:
    gold, found = [str(g) for g, _ in rows], [str(f) if f else "none" for _, f in rows]
    value = float(mcc(confusion(rows).counts))
    if len(set(gold)) == 1 or len(set(found)) == 1:
        assert np.isnan(value)  # where scikit-learn says 0
    else:
        assert value == pytest.approx(matthews_corrcoef(gold, found))


def test_matthews_correlation_of_two_classes_by_hand() -> None:
    counts = np.zeros((3, 4))
    counts[0, :2], counts[1, :2] = (6, 2), (1, 3)
    # (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN))
    assert float(mcc(counts)) == pytest.approx((6 * 3 - 1 * 2) / np.sqrt(7 * 8 * 4 * 5))
    assert float(mcc(counts / 3)) == pytest.approx(float(mcc(counts)))


def test_matthews_correlation_of_chance_and_perfection() -> None:
    rng = np.random.default_rng(0)
    gold = rng.choice(3, size=30_000, p=[0.7, 0.2, 0.1])
    at_random = np.bincount(gold * 4 + rng.choice(4, size=30_000, p=[0.6, 0.2, 0.1, 0.1]), minlength=12)
    assert float(mcc(at_random.reshape(3, 4))) == pytest.approx(0, abs=0.02)
    assert float(mcc(np.eye(3, 4) * 5)) == 1.0
    refused = np.zeros((3, 4))
    refused[:, 3] = 2
    assert np.isnan(mcc(np.stack([refused, np.zeros((3, 4))]))).all()


def test_refusing_lowers_the_matthews_correlation() -> None:
    counts = np.eye(3, 4) * 10
    counts[:, 3] = 5
    assert 0.5 < float(mcc(counts)) < 1


def test_lengths_and_shapes_are_checked() -> None:
    with pytest.raises(InputError, match="one length"):
        Confusion.of([STATE], [])
    with pytest.raises(InputError, match="shape"):
        Confusion(np.zeros((3, 3), dtype=np.int64))


def test_scope_scores() -> None:
    scores = ScopeScores(n_out=4, n_labelled=10, caught=3, refused=1)
    assert scores.precision == 0.75
    assert scores.recall == 0.75
    assert ScopeScores(n_out=0, n_labelled=10, caught=0, refused=0).precision is None
    assert ScopeScores(n_out=0, n_labelled=10, caught=0, refused=0).recall is None
