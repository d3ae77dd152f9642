"""Estimators of shares: against hand-worked cases, other software and the true share."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from framelens import LABELS
from framelens_evaluation.prevalence.adjusted import adjusted_count, error_rates, solve_shares
from framelens_evaluation.prevalence.coverage import repeat
from framelens_evaluation.prevalence.estimators import (
    Moments,
    Sample,
    borrowed,
    gold_only,
    indicators,
    modified_wilson,
    plain_count,
    prediction_powered,
    t_quantile,
)
from framelens_evaluation.prevalence.worlds import SCENARIOS, Scenario, make_world
from framelens_evaluation.statistics.metrics import NO_LABEL

few = settings(max_examples=40, deadline=None)  # a busy machine has no deadlines
NORMAL = stats.norm.ppf(0.975)


def sample(gold, predictions=None, inclusion=0.1, clusters=None, strata=None) -> Sample:
    codes = np.asarray(gold, dtype=np.int64)
    n = len(codes)
    if predictions is None:
        predictions = np.full((n, 3), 1 / 3)
    return Sample(
        codes,
        np.asarray(predictions, dtype=np.float64),
        np.broadcast_to(np.asarray(inclusion, dtype=np.float64), (n,)).copy(),
        np.arange(n) if clusters is None else np.asarray(clusters),
        np.zeros(n, np.int64) if strata is None else np.asarray(strata),
    )


def moments(predictions: np.ndarray, ddof: int = 0) -> Moments:
    return Moments(len(predictions), predictions.mean(0), predictions.var(0, ddof=ddof))


# --- prediction-powered inference against other software ------------------------------------------


def reference_inputs() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions and labels of 240 sentences, 60 of them gold; by formula, so that they never change."""
    at = np.arange(240)
    raw = 1.1 + np.sin(np.outer(at + 1, [1.3, 2.1, 3.7]))
    predictions = raw / raw.sum(1, keepdims=True)
    gold = np.where(np.sin(5.0 * at) > 0.2, predictions.argmax(1), at % 3)
    return predictions, gold, at[at * 7 % 240 < 60]


def test_it_is_that_of_ppi_python() -> None:
    # ppi_mean_pointestimate(eye(3)[gold[rows]], predictions[rows], predictions[rest]) of ppi-python 0.2.3,
    # with numpy 2.4.6: one coordinate a label, and the λ of least total variance ("overall", its default).
    predictions, gold, rows = reference_inputs()
    taken = sample(gold[rows], predictions[rows], len(rows) / 240)
    found = prediction_powered(taken, moments(predictions, ddof=1))
    assert found.value == pytest.approx([0.46713679117, 0.249362064339, 0.283501144491], abs=1e-11)


def test_without_tuning_it_is_that_of_ppi_python() -> None:
    # The same with lam=1. Its unlabelled rows are those outside the sample, ours the whole population.
    predictions, gold, rows = reference_inputs()
    taken = sample(gold[rows], predictions[rows], len(rows) / 240)
    found = prediction_powered(taken, moments(predictions), tuning=240 / (240 - len(rows)))
    assert found.value == pytest.approx([0.483243962613, 0.227505430639, 0.289250606748], abs=1e-11)


def test_with_weights_it_is_that_of_ppi_python() -> None:
    # The same with lam=1 and w=1 + rows % 4.
    predictions, gold, rows = reference_inputs()
    rest = np.setdiff1d(np.arange(240), rows)
    taken = sample(gold[rows], predictions[rows], 1 / (1.0 + rows % 4))
    found = prediction_powered(taken, moments(predictions[rest]), tuning=1.0)
    assert found.value == pytest.approx([0.472974767832, 0.233120557297, 0.293904674872], abs=1e-11)


# --- hand-worked cases ----------------------------------------------------------------------------


def test_the_difference_estimator_by_hand() -> None:
    # Corpus: mean prediction 0.5, 0.3, 0.2. Gold minus prediction in the sample, first label: 1 - 0.8,
    # 0 - 0.6, 1 - 0.7, 0 - 0.3, of mean -0.1; so its share is 0.5 - 0.1.
    predictions = [[0.8, 0.1, 0.1], [0.6, 0.2, 0.2], [0.7, 0.2, 0.1], [0.3, 0.5, 0.2]]
    taken = sample([0, 1, 0, 1], predictions)
    population = Moments(40, np.array([0.5, 0.3, 0.2]), np.array([0.05, 0.05, 0.01]))
    found = prediction_powered(taken, population, tuning=1.0)
    assert found.value == pytest.approx([0.4, 0.55, 0.05])
    assert found.value.sum() == pytest.approx(1)


def test_inclusion_probabilities_weight_the_gold_rows() -> None:
    # A row drawn with probability 1/4 stands for four: (4 + 1) / (4 + 1 + 1) of the first label.
    found = gold_only(sample([0, 0, 2], inclusion=[0.25, 1.0, 1.0]))
    assert found.value == pytest.approx([5 / 6, 0, 1 / 6])


def test_out_of_scope_rows_leave_the_shares() -> None:
    found = gold_only(sample([0, 0, 1, NO_LABEL, NO_LABEL]))
    assert found.value == pytest.approx([2 / 3, 1 / 3, 0])
    nobody = gold_only(sample([NO_LABEL, NO_LABEL]))
    assert np.isnan(nobody.value).all()
    assert np.isnan(prediction_powered(sample([NO_LABEL]), moments(np.full((9, 3), 1 / 3))).value).all()


def test_out_of_scope_rows_with_predictions() -> None:
    # Within scope 3/4; totals (2 + shift) / 4 with λ = 1, where the shift is population minus sample mean.
    taken = sample([0, 0, 1, NO_LABEL], [[0.5, 0.3, 0.2]] * 4)
    population = Moments(100, np.array([0.6, 0.2, 0.2]), np.array([0.1, 0.1, 0.1]))
    found = prediction_powered(taken, population, tuning=1.0)
    assert found.value == pytest.approx([0.6 / 0.75, 0.15 / 0.75, 0.0])


def test_plain_interval_is_wilson_s() -> None:
    found = plain_count(np.array([40, 50, 10]))
    for at, count in enumerate((40, 50, 10)):
        wanted = stats.binomtest(count, 100).proportion_ci(method="wilson")
        assert (found.low[at], found.high[at]) == pytest.approx((wanted.low, wanted.high))
    assert np.isnan(plain_count(np.zeros(3, np.int64)).value).all()


def test_a_label_seen_once_has_a_poisson_bound() -> None:
    low, high = modified_wilson(np.array([0.02, 0.98, 0.0]), np.full(3, 50.0), NORMAL)
    assert low[0] == pytest.approx(-math.log(0.95) / 50)
    assert high[1] == pytest.approx(1 + math.log(0.95) / 50)
    assert low[2] == 0
    assert high[2] == pytest.approx(NORMAL**2 / (50 + NORMAL**2))


def test_finite_population_correction_is_the_textbook_s() -> None:
    # With a fraction f of the corpus in the sample the variance is 1 - f of what it is without.
    gold = [0] * 30 + [1] * 50 + [2] * 20
    found = gold_only(sample(gold, inclusion=0.4))
    low, high = modified_wilson(np.array([0.3, 0.5, 0.2]), np.full(3, 100 / 0.6), t_quantile(0.95, 99))
    assert found.low == pytest.approx(low)
    assert found.high == pytest.approx(high)


@pytest.mark.parametrize("clusters", [None, [at // 3 for at in range(30)]])
def test_a_whole_corpus_of_gold_leaves_no_doubt(clusters) -> None:
    rng = np.random.default_rng(0)
    predictions = rng.dirichlet([1, 1, 1], 30)
    gold = rng.integers(3, size=30)
    everything = sample(gold, predictions, 1.0, clusters)
    truth = np.bincount(gold, minlength=3) / 30
    for found in (gold_only(everything), prediction_powered(everything, moments(predictions))):
        assert found.value == pytest.approx(truth)
        assert found.low == pytest.approx(truth)
        assert found.high == pytest.approx(truth)


def test_sentences_that_repeat_their_article_add_nothing() -> None:
    gold = [0, 1, 1, 2, 0, 1, 1, 1, 0, 2] * 6
    once = gold_only(sample(gold))
    twice = gold_only(sample(np.repeat(gold, 2), clusters=np.repeat(np.arange(60), 2)))
    naive = gold_only(sample(np.repeat(gold, 2)))
    assert twice.value == pytest.approx(once.value)
    assert twice.high - twice.low == pytest.approx(once.high - once.low, rel=0.01)
    assert (naive.high - naive.low < 0.8 * (once.high - once.low)).all()


def test_strata_that_explain_the_label_narrow_the_interval() -> None:
    gold, strata = [0] * 40 + [1] * 60, [0] * 40 + [1] * 60
    plain, layered = gold_only(sample(gold)), gold_only(sample(gold, strata=strata))
    assert layered.value == pytest.approx(plain.value)
    assert layered.low[0] == pytest.approx(0.4)  # within the strata nothing varies
    assert plain.high[0] - plain.low[0] > 0.15


def test_a_useless_prediction_is_not_used() -> None:
    taken = sample([0, 1, 2] * 20, np.tile([[0.2, 0.5, 0.3], [0.5, 0.2, 0.3]], (30, 1)))
    population = Moments(600, np.array([0.9, 0.05, 0.05]), np.array([0.0225, 0.0225, 0.0]))
    found = prediction_powered(taken, population)
    assert found.tuning == pytest.approx(0, abs=0.05)
    assert found.value == pytest.approx(gold_only(taken).value, abs=0.03)


def test_a_good_prediction_narrows_the_interval_and_a_lucky_sample_does_not_deceive() -> None:
    gold = np.array([0] * 30 + [1] * 50 + [2] * 20)
    sure = 0.97 * indicators(gold) + 0.01
    found = prediction_powered(sample(gold, sure), moments(np.tile(sure, (10, 1))))
    alone = gold_only(sample(gold, sure))
    assert (found.high - found.low < 0.6 * (alone.high - alone.low)).all()
    # No error among 100 rows: at most 3 % of all are wrong, by the rule of three, and the interval says so.
    assert (found.high - found.low > 0.02).all()


def test_borrowing_by_hand() -> None:
    pool = sample([0, 1] * 30, [[0.7, 0.2, 0.1], [0.3, 0.5, 0.2]] * 30)
    pooled = Moments(600, np.array([0.5, 0.35, 0.15]), np.array([0.04, 0.0225, 0.0025]))
    group = Moments(25, np.array([0.6, 0.3, 0.1]), np.array([0.04, 0.02, 0.0025]))
    found = borrowed(pool, pooled, group)
    # λ = (0.1 + 0.075 + 0) / 0.065 is clipped to 1: group's mean prediction plus the pool's mean error.
    assert found.tuning == 1.0
    assert found.value == pytest.approx([0.6 + 0.0, 0.3 + 0.15, 0.0], abs=1e-9)
    small = borrowed(pool, pooled, Moments(5, group.mean, group.variance))
    assert (small.high - small.low > found.high - found.low)[:2].all()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_rows_have_no_interval(n: int) -> None:
    taken = sample([0, 1][:n])
    found = prediction_powered(taken, moments(np.full((20, 3), 1 / 3)))
    assert np.isnan(found.low).all()
    assert np.isnan(found.value).all() == (n == 0)
    assert np.isnan(gold_only(taken).low).all() == (n < 2)


def test_one_cluster_has_no_interval() -> None:
    taken = sample([0, 1, 2, 0], clusters=[7, 7, 7, 7])
    assert np.isnan(gold_only(taken).low).all()
    assert np.isnan(prediction_powered(taken, moments(np.full((20, 3), 1 / 3))).low).all()


@st.composite
def samples(draw) -> tuple[Sample, Moments]:
    n = draw(st.integers(3, 60))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    gold = rng.choice(4, size=n, p=[0.5, 0.3, 0.1, 0.1])
    predictions = rng.dirichlet([1, 1, 1], n)
    inclusion = rng.uniform(0.05, 1.0, n)
    taken = sample(gold, predictions, inclusion, rng.integers(0, n, n), rng.integers(0, 2, n))
    return taken, moments(rng.dirichlet([2, 1, 1], 300))


@few
@given(samples(), st.integers(0, 10**6))
def test_order_does_not_matter_and_bounds_hold(drawn: tuple[Sample, Moments], seed: int) -> None:
    taken, population = drawn
    assume((taken.gold != NO_LABEL).any())
    mixed = taken.take(np.random.default_rng(seed).permutation(len(taken)))
    for one, other in (
        (gold_only(taken), gold_only(mixed)),
        (prediction_powered(taken, population), prediction_powered(mixed, population)),
        (borrowed(taken, population, population), borrowed(mixed, population, population)),
    ):
        for first, second in ((one.value, other.value), (one.low, other.low), (one.high, other.high)):
            assert first == pytest.approx(second, abs=1e-9, nan_ok=True)
        there = ~np.isnan(one.low)
        assert ((one.low >= 0) & (one.low <= one.value + 1e-9))[there].all()
        assert ((one.high <= 1) & (one.value <= one.high + 1e-9))[there].all()
    assert gold_only(taken).value.sum() == pytest.approx(1)


# --- adjusted count -------------------------------------------------------------------------------


@st.composite
def rates(draw) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    return 0.6 * np.eye(3) + 0.4 * rng.dirichlet([1, 1, 1], 3)


@few
@given(rates(), st.integers(0, 10**6))
def test_true_shares_are_found_again(matrix: np.ndarray, seed: int) -> None:
    truth = np.random.default_rng(seed).dirichlet([1, 1, 1], 4)
    assert solve_shares(matrix, truth @ matrix) == pytest.approx(truth, abs=1e-6)


@few
@given(rates(), st.integers(0, 10**6))
def test_shares_lie_on_the_simplex_at_the_least_squares(matrix: np.ndarray, seed: int) -> None:
    given_shares = np.random.default_rng(seed).dirichlet([0.3, 0.3, 0.3], 3)
    found = solve_shares(matrix, given_shares)
    assert ((found >= 0) & (found <= 1)).all()
    assert found.sum(-1) == pytest.approx(np.ones(3))
    for row, aim in zip(found, given_shares, strict=True):
        # Another solver: non-negative least squares with a heavy row for the sum.
        other, _ = optimize.nnls(np.vstack([matrix.T, np.full(3, 1e4)]), np.append(aim, 1e4))
        assert row == pytest.approx(other, abs=1e-4)


def test_the_adjusted_count_by_hand() -> None:
    # 80 % of the first label's sentences get it, 90 % of the second's. Of 1,000 sentences 450 got the first:
    # 0.8 s + 0.1 (1 - s) = 0.45, so s = 0.5.
    gold = [0] * 50 + [1] * 50 + [2] * 10
    said = [0] * 40 + [1] * 10 + [0] * 5 + [1] * 45 + [2] * 10
    counts = np.array([[450, 550, 0], [45, 54, 1]])
    first, _, whole = adjusted_count(sample(gold), np.array(said), counts, 400, np.random.default_rng(0))
    assert first.value == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)
    assert first.low[0] < 0.45 < 0.55 < first.high[0]
    assert whole.value.sum() == pytest.approx(1)


def test_without_errors_the_adjusted_count_is_the_plain_one() -> None:
    gold = np.array([0, 1, 2] * 10)
    found, _ = adjusted_count(sample(gold), gold, np.array([[20, 50, 30]]), 200, np.random.default_rng(0))
    assert found.value == pytest.approx([0.2, 0.5, 0.3], abs=1e-6)
    # That no error was seen among ten does not mean that there is none.
    assert (found.high - found.low > 0.02).all()


def test_out_of_scope_rows_are_taken_off_the_given_labels() -> None:
    # A fifth is out of scope and always called the first label: (0.52 - 0.2) / 0.8 of the rest is.
    gold, said = np.array([0, 1, 2, 2, NO_LABEL] * 6), np.array([0, 1, 2, 2, 0] * 6)
    found, _ = adjusted_count(sample(gold), said, np.array([[52, 24, 24]]), 50, np.random.default_rng(0))
    assert found.value == pytest.approx([0.4, 0.3, 0.3], abs=1e-6)


def test_a_label_without_gold_has_no_adjusted_count() -> None:
    gold = np.array([0, 1] * 10)
    found, _ = adjusted_count(sample(gold), gold, np.array([[5, 5, 0]]), 20, np.random.default_rng(0))
    assert np.isnan(found.value).all()
    assert np.isnan(found.low).all()
    assert np.isnan(error_rates(np.array([[1.0, 3.0], [0.0, 0.0]]))[1]).all()


# --- do the intervals hold? -----------------------------------------------------------------------


def coverage_of(scenario: Scenario, n_gold: int, method: str, resamples: int = 0) -> np.ndarray:
    """Coverage by group and label, over 300 samples; over 100 with resamples."""
    world = make_world(scenario, np.random.default_rng(1))
    rng = np.random.default_rng(2)
    counts, _ = repeat(
        world, n_gold, scenario.design, 100 if resamples else 300, resamples, rng, borrow=scenario.borrow
    )
    return np.array([count.held / count.seen for (_, name), count in counts.items() if name == method])


@pytest.mark.parametrize(
    "name",
    ["second group has its own errors", "rare label (3 %)", "drawn by article", "drawn by uncertainty"],
)
def test_prediction_powered_intervals_hold(name: str) -> None:
    scenario = next(each for each in SCENARIOS if each.name == name)
    found = coverage_of(scenario, 200, "prediction_powered")
    # One coverage of 95 % is measured with a standard error of 1.3 points.
    assert found.min() > 0.91
    assert 0.935 < found.mean() < 0.975


def test_on_a_small_corpus_the_correction_counts() -> None:
    scenario = next(each for each in SCENARIOS if each.name.startswith("small corpus"))
    found = coverage_of(scenario, 600, "prediction_powered")
    # Without the finite population correction the intervals would be 1.6 times as wide, and cover 99.8 %.
    assert 0.93 < found.mean() < 0.97


def test_plain_intervals_do_not_hold() -> None:
    found = coverage_of(SCENARIOS[0], 100, "plain_count")
    assert found.mean() < 0.5


def test_the_adjusted_count_holds_where_its_assumption_does_and_not_elsewhere() -> None:
    alike = next(each for each in SCENARIOS if each.name == "shares differ between groups")
    unlike = next(each for each in SCENARIOS if each.name == "second group has its own errors")
    assert coverage_of(alike, 300, "adjusted_count", 60).mean() > 0.9
    assert coverage_of(unlike, 300, "adjusted_count", 60).min() < 0.5


def test_borrowing_holds_where_its_assumption_does_and_not_elsewhere() -> None:
    alike, unlike = (each for each in SCENARIOS if each.borrow)
    assert coverage_of(alike, 200, "borrowed").min() > 0.9
    assert coverage_of(unlike, 200, "borrowed").min() < 0.8
    assert len(LABELS) == coverage_of(alike, 60, "borrowed").shape[1]
