"""Losses against scikit-learn; calibration against hand-worked cases and against what must hold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, log_loss

from framelens_evaluation.statistics.bootstrap import Resampling, cluster_sums, draw
from framelens_evaluation.statistics.probability import (
    LOG_CLIP,
    Calibration,
    Losses,
    Reliability,
    brier_losses,
    equal_mass_bins,
    log_losses,
)

few = settings(max_examples=40, deadline=None)  # a busy machine has no deadlines


def made_up(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(3), size=n)
    return rng.integers(3, size=n), probabilities


def calibration(
    predicted: np.ndarray, hit: np.ndarray, clusters: np.ndarray, n_resamples: int = 200
) -> Calibration:
    n_clusters, how = int(clusters.max()) + 1, Resampling(0, n_resamples)
    reliability = Reliability(predicted, hit, clusters, n_clusters, np.ones(len(hit)))
    (drawn,) = draw([reliability], n_clusters, len(hit), how, 0)
    return reliability.calibration(drawn.interval(0), n_resamples, how.rng(0, 1))


def test_losses_agree_with_scikit_learn() -> None:
    gold, probabilities = made_up(200)
    assert log_losses(probabilities, gold).mean() == pytest.approx(log_loss(gold, probabilities))
    by_label = [brier_score_loss(gold == at, probabilities[:, at]) for at in range(3)]
    assert brier_losses(probabilities, gold).mean() == pytest.approx(sum(by_label))


def test_losses_by_hand() -> None:
    probabilities = np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.5, 0.25, 0.25]])
    assert brier_losses(probabilities, np.array([0, 1, 0])).tolist() == [0.0, 2.0, 0.375]
    assert log_losses(probabilities, np.array([0, 1, 0])) == pytest.approx(
        [0.0, -np.log(LOG_CLIP), np.log(2)]
    )


def test_resampled_losses_are_those_of_repeated_rows() -> None:
    gold, probabilities = made_up(60)
    clusters = np.arange(60) % 7
    times = np.random.default_rng(3).multinomial(7, np.full(7, 1 / 7), size=4).astype(float)
    columns = Losses.columns(gold, probabilities, np.ones(60))
    found = Losses(cluster_sums(columns, clusters, 7)).draw(times)
    for row, multiplicity in zip(found, times, strict=True):
        again = np.repeat(np.arange(60), multiplicity[clusters].astype(int))
        assert row[0] == pytest.approx(log_loss(gold[again], probabilities[again], labels=[0, 1, 2]))
        assert row[1] == pytest.approx(brier_losses(probabilities[again], gold[again]).mean())
        assert row[2:] == pytest.approx(np.bincount(gold[again], minlength=3) / len(again))


def test_bins_have_equal_mass_and_keep_ties_together() -> None:
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert equal_mass_bins(values, np.ones(6), 3).tolist() == [0, 0, 1, 1, 2, 2]
    assert equal_mass_bins(values[::-1], np.ones(6), 3).tolist() == [2, 2, 1, 1, 0, 0]
    assert equal_mass_bins(values, np.array([4.0, 1, 1, 1, 1, 4]), 3).tolist() == [0, 1, 1, 1, 1, 2]
    assert equal_mass_bins(np.array([0.5, 0.5, 0.5, 0.9]), np.ones(4), 4).tolist() == [0, 0, 0, 1]
    assert equal_mass_bins(np.zeros(0), np.zeros(0), 4).tolist() == []


@few
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 4)), min_size=1, max_size=30), st.integers(1, 8))
def test_bins_of_weighted_rows_are_those_of_repeated_rows(rows, n_bins: int) -> None:
    values, weights = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    once = equal_mass_bins(values, weights, n_bins)
    repeated = equal_mass_bins(np.repeat(values, weights.astype(int)), np.ones(int(weights.sum())), n_bins)
    assert np.repeat(once, weights.astype(int)).tolist() == repeated.tolist()
    order = np.argsort(values, kind="stable")
    assert (np.diff(once[order]) >= 0).all()
    assert sorted(set(once.tolist())) == list(range(int(once.max()) + 1))


def test_calibration_error_by_hand() -> None:
    # Forty sentences at 0.9 of which 30 came true, and forty at 0.6 of which 10 did.
    predicted = np.repeat([0.9, 0.6], 40)
    hit = np.concatenate([np.arange(40) < 30, np.arange(40) < 10])
    found = calibration(predicted, hit, np.arange(80))
    assert found.ece == pytest.approx((0.15 + 0.35) / 2)
    assert [(point.n, point.predicted, point.observed.value) for point in found.reliability] == [
        (40, pytest.approx(0.6), 0.25),
        (40, pytest.approx(0.9), 0.75),
    ]
    # Kumar et al. (2019): from the squared gap goes the variance of the observed share over n - 1.
    squares = [0.15**2 - 0.75 * 0.25 / 39, 0.35**2 - 0.25 * 0.75 / 39]
    assert found.rms_error.value == pytest.approx(np.sqrt(np.mean(squares)))


def test_pairs_are_of_different_articles() -> None:
    rng = np.random.default_rng(4)
    predicted, clusters = np.full(30, 0.4), rng.integers(6, size=30)
    hit, weights = rng.random(30) < 0.8, rng.random(30)
    reliability = Reliability(predicted, hit, clusters, 6, weights, n_bins=1)
    times = np.array([[1.0, 1, 1, 1, 1, 1], [2.0, 0, 1, 3, 0, 0]])
    for row, multiplicity in zip(reliability.draw(times), times, strict=True):
        above = below = 0.0
        for i, j in itertools.permutations(range(30), 2):
            if clusters[i] != clusters[j]:
                mass = weights[i] * weights[j] * multiplicity[clusters[i]] * multiplicity[clusters[j]]
                above += mass * (hit[i] - 0.4) * (hit[j] - 0.4)
                below += mass
        assert row[0] == pytest.approx(np.sqrt(above / below))


def test_a_calibrated_model_is_told_from_one_that_is_not() -> None:
    rng = np.random.default_rng(5)
    predicted, clusters = rng.uniform(0.4, 1.0, size=3000), np.arange(3000) // 5
    calibrated = calibration(predicted, rng.random(3000) < predicted, clusters)
    assert calibrated.ece_if_calibrated.low < calibrated.ece < calibrated.ece_if_calibrated.high
    assert calibrated.rms_error.low == 0.0
    assert calibrated.rms_error.value <= calibrated.rms_error_if_calibrated.high
    boastful = calibration(predicted, rng.random(3000) < predicted - 0.2, clusters)
    assert boastful.ece > boastful.ece_if_calibrated.high
    assert boastful.rms_error.low < 0.2 < boastful.rms_error.high
    assert boastful.rms_error.low > boastful.rms_error_if_calibrated.high


def test_the_debiased_square_is_right_on_average_and_the_plain_error_is_not() -> None:
    # True gaps of 0.06 everywhere, and articles that go wrong as a whole now and then.
    rng, squares, plain = np.random.default_rng(6), [], []
    clusters = np.arange(600) // 4
    for _ in range(200):
        predicted = rng.uniform(0.5, 0.9, size=600)
        together = (rng.random(150) < 0.4)[clusters]
        chance = np.where(together, rng.random(150)[clusters], rng.random(600))
        reliability = Reliability(predicted, chance < predicted - 0.06, clusters, 150, np.ones(600))
        squares.append(reliability.draw(np.ones((1, 150)))[0, 0] ** 2)
        plain.append(reliability.ece)
    # The clipping at 0 lifts the mean a little.
    assert np.mean(squares) == pytest.approx(0.06**2, rel=0.25)
    assert np.mean(plain) > 0.07


def test_what_a_calibrated_model_gets_falls_with_the_sentences() -> None:
    rng, found = np.random.default_rng(7), []
    for n in (300, 4800):
        predicted = rng.uniform(0.4, 1.0, size=n)
        found.append(calibration(predicted, rng.random(n) < predicted, np.arange(n)).ece_if_calibrated.mean)
    assert found[0] / found[1] == pytest.approx(4, rel=0.25)  # the square root of sixteen


def test_the_interval_of_a_bin_counts_articles() -> None:
    predicted, hit = np.full(40, 0.2), np.arange(40) < 10
    alone = calibration(predicted, hit, np.arange(40)).reliability[0].observed
    expected = binomtest(10, 40).proportion_ci(method="wilson")
    assert (alone.value, alone.low, alone.high) == pytest.approx(
        (0.25, expected.low, expected.high), abs=1e-6
    )
    # Ten articles of four sentences tell as much as ten sentences would.
    in_tens = calibration(predicted, hit, np.arange(40) % 10).reliability[0].observed
    expected = binomtest(0, 10).proportion_ci(method="wilson")
    assert in_tens.high - in_tens.low > 1.5 * (alone.high - alone.low)
    never = calibration(predicted, np.zeros(40, dtype=bool), np.arange(40) % 10).reliability[0].observed
    assert (never.value, never.low, never.high) == pytest.approx((0.0, 0.0, expected.high), abs=1e-6)


def test_what_is_not_defined() -> None:
    one_article = calibration(np.linspace(0.5, 0.9, 30), np.arange(30) % 2 == 0, np.zeros(30, dtype=np.int64))
    assert one_article.rms_error.value is None
    assert one_article.rms_error_if_calibrated.mean is None
    assert one_article.ece is not None
    assert one_article.reliability[0].observed.low is None
    nothing = Reliability(np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64), 0, np.zeros(0))
    assert nothing.ece is None
    assert np.isnan(nothing.draw(np.ones((1, 0)))).all()


def test_the_debiased_ece_lies_nearer_to_the_truth_than_the_plain_one() -> None:
    """A calibrated model has a true error of 0, one that says 0.1 too much of 0.1."""
    rng = np.random.default_rng(5)
    for true_gap in (0.0, 0.1):
        plain, debiased = [], []
        for _ in range(60):
            predicted = rng.uniform(0.3, 0.9, 300)
            hit = rng.random(300) < predicted - true_gap
            found = calibration(predicted, hit, np.arange(300) // 2, n_resamples=2)
            plain.append(found.ece)
            debiased.append(found.ece_debiased)
        assert abs(np.mean(debiased) - true_gap) < 0.7 * abs(np.mean(plain) - true_gap)


def test_without_noise_nothing_is_taken_away() -> None:
    """Every sentence of a bin misses by the same: the gap is known, and there is no bias."""
    found = calibration(np.full(40, 0.75), np.ones(40, dtype=bool), np.arange(40), n_resamples=2)
    assert found.ece == pytest.approx(0.25)
    assert found.ece_debiased == pytest.approx(0.25)
