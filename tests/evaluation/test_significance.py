"""Tests of a difference: exact where that can be worked out, of the right size, and by article."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens import InputError
from framelens_evaluation.statistics.bootstrap import cluster_codes, cluster_confusions
from framelens_evaluation.statistics.metrics import accuracy, macro_f1
from framelens_evaluation.statistics.significance import (
    MEASURES,
    approximate_randomisation,
    discordance,
    holm,
    mcnemar_exact,
    measures,
)

few = settings(max_examples=40, deadline=None)
p_lists = st.lists(st.none() | st.floats(0, 1), max_size=8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noisy(gold: np.ndarray, share_right: float, draws: np.random.Generator) -> np.ndarray:
    return np.where(draws.random(len(gold)) < share_right, gold, draws.integers(3, size=len(gold)))


def sums(gold: np.ndarray, given_: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    return cluster_confusions(gold, given_, clusters, int(clusters.max()) + 1)


def test_mcnemar_by_hand() -> None:
    # Six discordant sentences, one against five: twice (1 + 6) of the 64 ways.
    assert mcnemar_exact(1, 5) == pytest.approx(2 * 7 / 64)
    assert mcnemar_exact(5, 1) == mcnemar_exact(1, 5)
    assert mcnemar_exact(3, 3) == 1.0
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(0, 10) == pytest.approx(2 / 1024)
    with pytest.raises(InputError, match="at least 0"):
        mcnemar_exact(-1, 2)


def test_measures_are_those_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    gold = rng(1).integers(3, size=200)
    found = noisy(gold, 0.6, rng(2))
    expected = [
        sklearn.f1_score(gold, found, average="macro"),
        sklearn.accuracy_score(gold, found),
        *sklearn.f1_score(gold, found, average=None),
    ]
    scores = measures(sums(gold, found, np.arange(200) // 4).sum(0))
    assert scores == pytest.approx(expected)
    assert scores.shape == (len(MEASURES),)


def test_randomisation_agrees_with_every_swap_tried() -> None:
    gold = rng(3).integers(3, size=36)
    clusters = np.arange(36) // 4
    first, second = (sums(gold, noisy(gold, share, rng(5)), clusters) for share in (0.8, 0.5))
    observed = abs(macro_f1(first.sum(0)) - macro_f1(second.sum(0)))
    as_large = 0
    for swaps in product([False, True], repeat=9):
        swap = np.array(swaps)[:, None, None]
        one, other = np.where(swap, second, first).sum(0), np.where(swap, first, second).sum(0)
        as_large += abs(macro_f1(one) - macro_f1(other)) >= observed - 1e-12
    found = approximate_randomisation(first, second, macro_f1, 20_000, rng())
    assert float(found) == pytest.approx(as_large / 2**9, abs=0.012)
    assert 0.01 < float(found) < 0.6


def test_randomisation_rejects_a_true_hypothesis_as_often_as_it_says() -> None:
    # Sentences of an article are copies, so that only a test by article keeps its level.
    draws, rejected, by_sentence, n = rng(7), 0, 0, 300
    clusters = np.arange(160) // 4
    for _ in range(n):
        gold = np.repeat(draws.integers(3, size=40), 4)
        first, second = (np.repeat(noisy(gold[::4], 0.7, draws), 4) for _ in range(2))
        p = approximate_randomisation(
            sums(gold, first, clusters), sums(gold, second, clusters), accuracy, 199, draws
        )
        rejected += bool(p <= 0.05)
        found = discordance(first == gold, second == gold, clusters, 40, 1, draws)
        by_sentence += found.p_value <= 0.05
    assert rejected / n < 0.085  # 0.05 and three standard errors
    assert by_sentence / n > 0.2  # McNemar's test takes the copies for evidence


def test_randomisation_finds_a_difference() -> None:
    gold = rng(1).integers(3, size=600)
    clusters = np.arange(600) // 3
    good, bad = (sums(gold, noisy(gold, share, rng(2)), clusters) for share in (0.8, 0.5))
    p = approximate_randomisation(good, bad, measures, 999, rng())
    assert p.shape == (5,)
    assert (p == 1 / 1000).all()


@few
@given(st.integers(0, 10**6))
def test_randomisation_does_not_care_which_is_first_or_in_what_order(seed: int) -> None:
    gold = rng(seed).integers(3, size=40)
    clusters = np.arange(40) // 4
    first, second = (sums(gold, noisy(gold, 0.6, rng(seed + at)), clusters) for at in (1, 2))
    there = approximate_randomisation(first, second, measures, 50, rng())
    back = approximate_randomisation(second, first, measures, 50, rng())
    assert there == pytest.approx(back, nan_ok=True)
    assert ((there > 0) & (there <= 1) | np.isnan(there)).all()


def test_equal_systems_have_p_one() -> None:
    gold = rng(1).integers(3, size=60)
    counts = sums(gold, noisy(gold, 0.7, rng(2)), np.arange(60) // 3)
    assert (approximate_randomisation(counts, counts, measures, 99, rng()) == 1).all()


def test_what_is_not_defined_has_no_p() -> None:
    gold = np.zeros(20, dtype=np.int64)  # two labels do not occur
    first, second = (sums(gold, noisy(gold, 0.5, rng(at)), np.arange(20) // 2) for at in (1, 2))
    p = approximate_randomisation(first, second, measures, 99, rng())
    assert np.isnan(p).tolist() == [False, False, False, True, True]
    one = approximate_randomisation(first[:1], second[:1], measures, 99, rng())
    assert np.isnan(one).all()
    none = approximate_randomisation(first[:0], second[:0], macro_f1, 99, rng())
    assert np.isnan(none)


def test_chunks_change_nothing(monkeypatch) -> None:
    gold = rng(1).integers(3, size=60)
    first, second = (sums(gold, noisy(gold, 0.6, rng(at)), np.arange(60) // 3) for at in (2, 3))
    whole = approximate_randomisation(first, second, measures, 200, rng())
    monkeypatch.setattr("framelens_evaluation.statistics.significance._CHUNK", 7 * 20)
    assert (approximate_randomisation(first, second, measures, 200, rng()) == whole).all()


def test_what_cannot_be_tested_is_refused() -> None:
    counts = np.zeros((2, 3, 4))
    with pytest.raises(InputError, match="one shape"):
        approximate_randomisation(counts, counts[:1], macro_f1, 10, rng())
    with pytest.raises(InputError, match="n_resamples"):
        approximate_randomisation(counts, counts, macro_f1, 0, rng())


def test_discordance_counts_and_effects() -> None:
    first = np.array([True] * 30 + [False] * 10 + [True] * 20)
    second = np.array([False] * 30 + [True] * 10 + [True] * 20)
    codes, n = cluster_codes([at // 2 for at in rng(1).permutation(60)])
    found = discordance(first, second, codes, n, 500, rng())
    assert (found.only_first, found.only_second) == (30, 10)
    assert found.p_value == mcnemar_exact(30, 10)
    assert found.cohens_g.value == pytest.approx(0.25)
    assert found.odds_ratio.value == pytest.approx(3.0)
    assert found.cohens_g.low < 0.25 < found.cohens_g.high
    assert found.odds_ratio.low == pytest.approx((0.5 + found.cohens_g.low) / (0.5 - found.cohens_g.low))


def test_discordance_without_an_opposite_is_infinite_and_without_any_undefined() -> None:
    yes, no = np.ones(4, dtype=bool), np.zeros(4, dtype=bool)
    codes = np.arange(4)
    always = discordance(yes, no, codes, 4, 50, rng())
    assert always.cohens_g.value == 0.5
    assert always.odds_ratio.value is None
    never = discordance(yes, yes, codes, 4, 50, rng())
    assert never.cohens_g.value is None
    assert never.p_value == 1.0


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.4]) == [0.8, None, 0.8]
    assert holm([0.7, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@few
@given(p_lists, st.randoms(use_true_random=False))
def test_holm_keeps_the_order_and_lies_between_none_and_bonferroni(p_values, random) -> None:
    found = holm(p_values)
    n = sum(p is not None for p in p_values)
    for p, corrected in zip(p_values, found, strict=True):
        assert (p is None) == (corrected is None)
        if p is not None:
            assert p <= corrected <= min(1.0, n * p) + 1e-12
    places = list(range(len(p_values)))
    random.shuffle(places)
    assert holm([p_values[at] for at in places]) == [found[at] for at in places]
