"""Rates with intervals, and the test for exchangeable names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from framelens_evaluation.audit.result import grade_of, worse
from framelens_evaluation.audit.statistics import (
    column_shifts,
    exchange_test,
    failure_rate,
    mean_by,
)
from framelens_evaluation.statistics.bootstrap import Interval, Resampling

HOW = Resampling(seed=1, n_resamples=400)


def cases(n_failed: int, n: int) -> np.ndarray:
    return np.arange(n) < n_failed


@pytest.mark.parametrize(("n_failed", "n"), [(0, 10), (1, 10), (5, 12), (12, 12), (40, 300), (1, 1)])
def test_independent_cases_have_wilson_s_interval(n_failed: int, n: int) -> None:
    found = failure_rate(cases(n_failed, n), list(range(n)))
    wilson = binomtest(n_failed, n).proportion_ci(method="wilson")
    assert found.value == n_failed / n
    assert found.low == pytest.approx(wilson.low, abs=1e-12)
    assert found.high == pytest.approx(wilson.high, abs=1e-12)


def test_no_cases() -> None:
    assert failure_rate(np.zeros(0, dtype=bool), []) == Interval(None, None, None)


def test_copies_of_a_case_add_nothing() -> None:
    once = failure_rate(cases(6, 40), list(range(40)))
    copied = failure_rate(np.repeat(cases(6, 40), 5), list(np.repeat(np.arange(40), 5)))
    assert copied.value == once.value
    # The between-cluster variance has 39 for a denominator, so the clusters count a little less.
    assert copied.low == pytest.approx(once.low, abs=0.004)
    assert copied.high == pytest.approx(once.high, abs=0.004)


def test_where_none_or_all_fail_the_clusters_count() -> None:
    clusters = list(np.repeat(np.arange(8), 10))
    assert failure_rate(np.zeros(80, dtype=bool), clusters).high == failure_rate(cases(0, 8), range(8)).high
    assert failure_rate(np.ones(80, dtype=bool), clusters).low == failure_rate(cases(8, 8), range(8)).low
    one = failure_rate(cases(2, 5), [0] * 5)
    assert one.high - one.low > 0.8


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=40), st.randoms())
def test_rates_are_bounded_and_do_not_depend_on_order(rows, random) -> None:
    def of(some):
        return failure_rate(np.array([failed for failed, _ in some]), [cluster for _, cluster in some])

    found = of(rows)
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1
    shuffled = list(rows)
    random.shuffle(shuffled)
    again = of(shuffled)
    assert again.value == pytest.approx(found.value)
    assert again.low == pytest.approx(found.low)
    assert again.high == pytest.approx(found.high)


def test_clustered_intervals_cover() -> None:
    rng = np.random.default_rng(5)
    clusters = list(np.repeat(np.arange(60), 6))
    hits = 0
    for _ in range(300):
        of_cluster = rng.beta(1, 4, size=60)
        failed = rng.random(360) < np.repeat(of_cluster, 6)
        found = failure_rate(failed, clusters)
        hits += found.low <= 0.2 <= found.high
    assert 0.91 <= hits / 300 <= 0.99


def test_names_that_do_nothing_are_exchangeable() -> None:
    found = exchange_test(np.zeros((20, 7)), np.random.default_rng(0))
    assert found is not None
    assert (found.p_holm == 1).all()
    assert found.spread == 0
    assert found.p_spread == 1


def test_one_name_that_moves_every_row_is_found() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(0, 0.01, size=(30, 12))
    values[:, 4] += 0.05
    found = exchange_test(values - values.mean(1, keepdims=True), rng)
    assert found is not None
    assert found.p_holm[4] < 0.01
    assert (np.delete(found.p_holm, 4) > 0.05).all()
    assert found.spread > found.spread_by_chance
    assert found.p_spread < 0.01


def test_the_test_keeps_its_size() -> None:
    rng = np.random.default_rng(3)
    hits = []
    for _ in range(40):
        values = rng.standard_t(3, size=(15, 8))
        found = exchange_test(values - values.mean(1, keepdims=True), rng)
        assert found is not None
        hits.append((found.p_holm < 0.05).any())
    # At most 5 % in truth; 8 of 40 has a chance below 0.001.
    assert sum(hits) < 8


@pytest.mark.parametrize(
    "shifts", [np.zeros((0, 5)), np.zeros((4, 1)), np.full((3, 3), np.nan)], ids=["empty", "one", "nan"]
)
def test_nothing_to_test(shifts) -> None:
    assert exchange_test(shifts, np.random.default_rng(0)) is None


def test_means_by_cluster_and_by_column() -> None:
    values = np.array([0.1, 0.3, 0.5, 0.7])
    found = mean_by(values, ["a", "a", "b", "b"], HOW, 0)
    assert found.value == pytest.approx(0.4)
    # Two clusters: the resamples are both a, both b, or one of each.
    assert (found.low, found.high) == pytest.approx((0.2, 0.6))
    assert mean_by(np.array([0.1, np.nan]), ["a", "b"], HOW, 0).value is None
    assert mean_by(np.zeros(0), [], HOW, 0).value is None
    columns = column_shifts(np.array([[1.0, -1.0], [3.0, -1.0]]), HOW, 0)
    assert [each.value for each in columns] == [2.0, -1.0]
    assert (columns[0].low, columns[0].high) == (1.0, 3.0)
    assert (columns[1].low, columns[1].high) == (-1.0, -1.0)
    assert column_shifts(np.zeros((0, 2)), HOW, 0)[1].value is None
    assert column_shifts(np.full((2, 1), np.nan), HOW, 0)[0].value is None


@pytest.mark.parametrize(
    ("rate", "grade"),
    [
        (Interval(0.10, 0.02, 0.4), "pass"),
        (Interval(0.11, 0.02, 0.4), "mind"),
        (Interval(0.3, 0.11, 0.6), "fail"),
        (Interval(None, None, None), "n/a"),
    ],
)
def test_grades(rate: Interval, grade: str) -> None:
    assert grade_of(rate, 0.1) == grade


def test_the_worse_grade_counts() -> None:
    assert worse("pass", "fail") == worse("fail", "mind") == "fail"
    assert worse("n/a", "pass") == "pass"
