"""Areas under curves against scikit-learn, with ties, weights and resamples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from framelens_evaluation.statistics.ranking import LabelRanking, auprc, auroc

few = settings(max_examples=60, deadline=None)  # a busy machine has no deadlines
# Few values, so that there are ties; zero weights, since a resample leaves articles out.
rows = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.9]), st.booleans(), st.sampled_from([0.0, 0.5, 1.0, 3.0])),
    min_size=2,
    max_size=40,
)


def columns(found: list[tuple[float, bool, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, positive, weights = zip(*found, strict=True)
    return np.array(scores), np.array(positive), np.array(weights)


@few
@given(rows)
def test_agrees_with_scikit_learn(found) -> None:
    scores, positive, weights = columns(found)
    if not weights[positive].sum() or not weights[~positive].sum():
        assert np.isnan(auroc(scores, positive, weights))
        assert np.isnan(auprc(scores, positive, weights))
        return
    kept = weights > 0  # scikit-learn's AUROC takes a weight of 0 for a point of the curve
    assert auroc(scores, positive, weights) == pytest.approx(
        roc_auc_score(positive[kept], scores[kept], sample_weight=weights[kept])
    )
    assert auprc(scores, positive, weights) == pytest.approx(
        average_precision_score(positive, scores, sample_weight=weights)
    )


def test_agrees_with_scikit_learn_without_ties() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(500) < 0.2
    scores = rng.normal(size=500) + positive
    weights = rng.random(500)
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores))
    assert auprc(scores, positive) == pytest.approx(average_precision_score(positive, scores))
    assert auroc(scores, positive, weights) == pytest.approx(
        roc_auc_score(positive, scores, sample_weight=weights)
    )
    assert auprc(scores, positive, weights) == pytest.approx(
        average_precision_score(positive, scores, sample_weight=weights)
    )


def test_a_case_worked_by_hand() -> None:
    scores = np.array([0.9, 0.7, 0.7, 0.4, 0.1])
    positive = np.array([True, True, False, False, True])
    # Of six pairs the first positive wins two, the second one and a tie, the third none.
    assert auroc(scores, positive) == pytest.approx(3.5 / 6)
    # Precision 1 at the first, 2/3 where the tie comes in, 3/5 at the last; a third of the recall each.
    assert auprc(scores, positive) == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)


def test_chance_perfection_and_their_opposite() -> None:
    rng = np.random.default_rng(1)
    positive = rng.random(20_000) < 0.1
    assert auroc(rng.random(20_000), positive) == pytest.approx(0.5, abs=0.02)
    assert auprc(rng.random(20_000), positive) == pytest.approx(0.1, abs=0.02)
    assert (auroc(positive * 1.0, positive), auprc(positive * 1.0, positive)) == (1.0, 1.0)
    assert auroc(1.0 - positive, positive) == 0.0
    # A constant ranks nothing: chance exactly.
    assert auroc(np.zeros(20_000), positive) == 0.5
    assert auprc(np.zeros(20_000), positive) == pytest.approx(positive.mean())


@pytest.mark.parametrize("positive", [[], [True], [False, False], [True, True]])
def test_one_class_is_not_defined(positive: list[bool]) -> None:
    scores, hit = np.linspace(0, 1, len(positive)), np.array(positive, dtype=bool)
    assert np.isnan([auroc(scores, hit), auprc(scores, hit)]).all()


@pytest.mark.parametrize("digits", [1, 6])
def test_a_resample_is_the_same_as_repeated_rows(digits: int) -> None:
    rng = np.random.default_rng(2)
    gold, clusters = rng.integers(3, size=120), rng.integers(12, size=120)
    probabilities = rng.dirichlet(np.ones(3), size=120).round(digits)
    times = rng.multinomial(12, np.full(12, 1 / 12), size=5).astype(float)
    found = LabelRanking(gold, probabilities, clusters, np.ones(120)).draw(times)
    for row, multiplicity in zip(found, times, strict=True):
        again = np.repeat(np.arange(120), multiplicity[clusters].astype(int))
        for at in range(3):
            positive, scores = gold[again] == at, probabilities[again, at]
            assert row[0, at] == pytest.approx(roc_auc_score(positive, scores))
            assert row[1, at] == pytest.approx(average_precision_score(positive, scores))
        assert row[0, 3] == pytest.approx(row[0, :3].mean())
