"""Scores against hand-worked cases, scikit-learn, and what must hold for any labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, matthews_corrcoef, precision_recall_fscore_support

from framelens import LABELS, Label
from framelens_evaluation.statistics.bootstrap import cluster_confusions
from framelens_evaluation.statistics.metrics import (
    NO_LABEL,
    FloatArray,
    ScopeScores,
    accuracy,
    encode_labels,
    f1,
    macro_f1,
    mcc,
    precision,
    recall,
)

STATE, PLAIN, HEDGED = LABELS
few = settings(max_examples=40, deadline=None)  # a busy machine has no deadlines
labels = st.sampled_from(LABELS)
pairs = st.lists(st.tuples(labels, st.one_of(st.none(), labels)), max_size=60)


def confusion(gold: list[Label], found: list[Label | None]) -> FloatArray:
    """Counts as the product makes them, all sentences being of one article."""
    codes = encode_labels(gold)
    return cluster_confusions(codes, encode_labels(found), np.zeros_like(codes), 1)[0]


def of_pairs(rows: list[tuple[Label, Label | None]]) -> FloatArray:
    return confusion([gold for gold, _ in rows], [found for _, found in rows])


def test_scores_of_a_case_worked_by_hand() -> None:
    counts = confusion(
        [STATE, STATE, STATE, PLAIN, PLAIN, HEDGED], [STATE, STATE, PLAIN, PLAIN, STATE, HEDGED]
    )
    assert precision(counts) == pytest.approx([2 / 3, 1 / 2, 1])
    assert recall(counts) == pytest.approx([2 / 3, 1 / 2, 1])
    assert f1(counts) == pytest.approx([2 / 3, 1 / 2, 1])
    assert macro_f1(counts) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert accuracy(counts) == pytest.approx(4 / 6)


def test_a_refused_sentence_costs_recall_and_not_precision() -> None:
    counts = confusion([STATE, STATE, PLAIN], [STATE, None, PLAIN])
    assert counts[:, NO_LABEL].tolist() == [1, 0, 0]
    assert precision(counts)[0] == 1.0
    assert recall(counts)[0] == 0.5
    assert accuracy(counts) == pytest.approx(2 / 3)


def test_a_label_absent_from_gold_is_not_defined_and_not_averaged() -> None:
    counts = confusion([STATE, PLAIN, PLAIN], [STATE, PLAIN, HEDGED])
    assert np.isnan([recall(counts)[2], f1(counts)[2]]).all()
    assert precision(counts)[2] == 0.0  # it was given, and wrongly
    assert macro_f1(counts) == pytest.approx((1 + 2 / 3) / 2)


def test_a_label_never_given_has_f1_zero_and_no_precision() -> None:
    counts = confusion([STATE, PLAIN], [PLAIN, PLAIN])
    assert np.isnan(precision(counts)[0])
    assert f1(counts)[0] == 0.0


def test_nothing_measured_is_not_defined() -> None:
    counts = confusion([], [])
    assert np.isnan([macro_f1(counts), accuracy(counts)]).all()


@few
@given(st.lists(labels, min_size=1))
def test_a_perfect_system_gets_one(gold: list[Label]) -> None:
    counts = confusion(gold, list(gold))
    assert macro_f1(counts) == 1.0
    assert accuracy(counts) == 1.0
    expected = [1.0 if label in gold else np.nan for label in LABELS]
    assert f1(counts) == pytest.approx(expected, nan_ok=True)


@few
@given(pairs.filter(bool))
def test_agrees_with_scikit_learn(rows: list[tuple[Label, Label | None]]) -> None:
    gold, found = [str(g) for g, _ in rows], [str(f) if f else "none" for _, f in rows]
    names = [str(label) for label in LABELS]
    expected = precision_recall_fscore_support(gold, found, labels=names, zero_division=np.nan)
    counts = of_pairs(rows)
    assert counts.sum(-1).tolist() == expected[3].tolist()
    assert precision(counts) == pytest.approx(expected[0], nan_ok=True)
    assert recall(counts) == pytest.approx(expected[1], nan_ok=True)
    occurs = expected[3] > 0
    assert f1(counts)[occurs] == pytest.approx(expected[2][occurs])
    assert macro_f1(counts) == pytest.approx(np.mean(expected[2][occurs]))
    assert accuracy(counts) == pytest.approx(accuracy_score(gold, found))


@few
@given(pairs, st.randoms(use_true_random=False))
def test_order_does_not_matter(rows: list[tuple[Label, Label | None]], random) -> None:
    shuffled = rows.copy()
    random.shuffle(shuffled)
    assert (of_pairs(rows) == of_pairs(shuffled)).all()


@few
@given(pairs, pairs)
def test_adding_counts_is_counting_together(
    first: list[tuple[Label, Label | None]], second: list[tuple[Label, Label | None]]
) -> None:
    assert (of_pairs(first) + of_pairs(second) == of_pairs(first + second)).all()


def test_many_matrices_at_once() -> None:
    one = confusion([STATE, PLAIN], [STATE, STATE])
    other = confusion([HEDGED], [HEDGED])
    both = macro_f1(np.stack([one, other, np.zeros_like(one)]))
    assert both[:2].tolist() == pytest.approx([1 / 3, 1.0])
    assert np.isnan(both[2])


@few
@given(pairs.filter(bool))
def test_matthews_correlation_agrees_with_scikit_learn(rows: list[tuple[Label, Label | None]]) -> None:
    gold, found = [str(g) for g, _ in rows], [str(f) if f else "none" for _, f in rows]
    value = float(mcc(of_pairs(rows)))
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


def test_scope_scores() -> None:
    scores = ScopeScores(n_out=4, n_labelled=10, caught=3, refused=1)
    assert scores.precision == 0.75
    assert scores.recall == 0.75
    assert ScopeScores(n_out=0, n_labelled=10, caught=0, refused=0).precision is None
    assert ScopeScores(n_out=0, n_labelled=10, caught=0, refused=0).recall is None
