"""Wilson's interval against scipy, and what must hold for any share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from framelens_evaluation.statistics.proportions import wilson

few = settings(max_examples=60, deadline=None)  # a busy machine has no deadlines


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 12), (12, 12), (40, 300), (1, 1)])
def test_it_is_scipy_s(k: int, n: int) -> None:
    expected = binomtest(k, n).proportion_ci(method="wilson")
    low, high = wilson(k / n, n)
    assert (float(low), float(high)) == pytest.approx((expected.low, expected.high))


@few
@given(st.floats(0, 1), st.floats(1, 1e6), st.floats(1, 1e3))
def test_it_holds_the_share_and_narrows_with_more_observations(p: float, n: float, more: float) -> None:
    low, high = wilson(p, np.array([n, n * more]))
    assert (low >= 0).all()
    assert (low <= p + 1e-12).all()
    assert (high <= 1).all()
    assert (high >= p - 1e-12).all()
    assert high[1] - low[1] <= high[0] - low[0] + 1e-12


def test_none_and_all_are_exact_ends() -> None:
    low, high = wilson(np.array([0.0, 1.0]), 7.3)
    assert low[0] == 0.0
    assert high[1] == 1.0
    assert high[0] == pytest.approx(1 - low[1])


def test_what_is_not_defined_stays_so() -> None:
    low, high = wilson(np.array([np.nan, 0.5]), 10)
    assert np.isnan([low[0], high[0]]).all()
    assert low[1] < 0.5 < high[1]
