"""Intervals: reproducible, around the value, and by article."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef

from framelens import InputError
from framelens_evaluation.statistics.bootstrap import (
    Interval,
    Resampling,
    Spread,
    bootstrap,
    cluster_codes,
    cluster_confusions,
    cluster_sums,
    draw,
    multiplicities,
    resample,
)
from framelens_evaluation.statistics.metrics import accuracy, macro_f1, mcc

few = settings(max_examples=40, deadline=None)  # a busy machine has no deadlines


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noisy(gold: np.ndarray, share_right: float, seed: int) -> np.ndarray:
    draws = rng(seed)
    return np.where(draws.random(len(gold)) < share_right, gold, draws.integers(3, size=len(gold)))


@pytest.fixture
def gold() -> np.ndarray:
    return rng(1).integers(3, size=600)


@pytest.fixture
def clusters() -> np.ndarray:
    return np.arange(600) // 4


def test_the_seed_decides(gold, clusters) -> None:
    sums = cluster_confusions(gold, noisy(gold, 0.7, 2), clusters, 150)
    assert bootstrap(sums, macro_f1, 200, rng(3)) == bootstrap(sums, macro_f1, 200, rng(3))
    assert bootstrap(sums, macro_f1, 200, rng(3)) != bootstrap(sums, macro_f1, 200, rng(4))


def test_the_interval_holds_the_value(gold, clusters) -> None:
    sums = cluster_confusions(gold, noisy(gold, 0.7, 2), clusters, 150)
    for statistic in (macro_f1, accuracy):
        found = bootstrap(sums, statistic, 500, rng())
        assert found.low < found.value < found.high
        assert found.value == pytest.approx(float(statistic(sums.sum(0))))
        assert 0.04 < found.high - found.low < 0.12


def test_an_interval_of_independent_sentences_agrees_with_the_binomial(gold) -> None:
    given_ = noisy(gold, 0.7, 2)
    sums = cluster_confusions(gold, given_, np.arange(600), 600)
    found = bootstrap(sums, accuracy, 4000, rng())
    spread = 1.96 * np.sqrt(found.value * (1 - found.value) / 600)
    assert found.high - found.value == pytest.approx(spread, rel=0.12)
    assert found.value - found.low == pytest.approx(spread, rel=0.12)


def test_repeated_sentences_need_article_resampling() -> None:
    # Every article holds one sentence nine times over: 60 independent observations, not 540.
    gold = np.repeat(rng(1).integers(3, size=60), 9)
    given_ = np.repeat(noisy(gold[::9], 0.6, 2), 9)
    by_article = bootstrap(cluster_confusions(gold, given_, np.arange(540) // 9, 60), macro_f1, 1000, rng())
    by_sentence = bootstrap(cluster_confusions(gold, given_, np.arange(540), 540), macro_f1, 1000, rng())
    assert by_article.value == pytest.approx(by_sentence.value)
    widths = [found.high - found.low for found in (by_article, by_sentence)]
    assert widths[0] / widths[1] == pytest.approx(3, rel=0.25)  # the square root of nine


@few
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from("abcd")), max_size=40))
def test_counts_by_cluster_add_up(rows) -> None:
    codes, n = cluster_codes([name for _, _, name in rows])
    gold = np.array([g for g, _, _ in rows], dtype=np.int64)
    found = np.array([f for _, f, _ in rows], dtype=np.int64)
    sums = cluster_confusions(gold, found, codes, n)
    assert sums.shape == (n, 3, 4)
    assert sums.sum() == len(rows)
    for g, f, _ in rows:
        assert sums.sum(0)[g, f] == sum((a, b) == (g, f) for a, b, _ in rows)


def test_sums_by_cluster() -> None:
    values = np.array([[1, 2], [3, 4], [5, 6]])
    assert cluster_sums(values, np.array([1, 0, 1]), 2).tolist() == [[3, 4], [6, 8]]


def test_a_resample_draws_as_many_clusters_as_there_are() -> None:
    totals = resample(np.ones((30, 2, 2)), 50, rng())
    assert totals.shape == (50, 2, 2)
    assert (totals == 30).all()


def test_chunks_change_nothing(monkeypatch) -> None:
    sums = rng(5).integers(9, size=(40, 3, 4))
    whole = resample(sums, 30, rng())
    monkeypatch.setattr("framelens_evaluation.statistics.bootstrap._CHUNK", 7 * 40)
    assert (resample(sums, 30, rng()) == whole).all()


def test_systems_on_the_same_resamples_differ_by_what_they_do_differently(gold, clusters) -> None:
    good = noisy(gold, 0.7, 2)
    better = np.where(np.arange(600) % 12 == 0, gold, good)  # the same, but for some mistakes mended
    sums = np.stack(
        [cluster_confusions(gold, found, clusters, 150) for found in (better, good, good)], axis=1
    )
    scores, draws = macro_f1(sums.sum(0)), macro_f1(resample(sums, 500, rng()))
    gap = Interval.of(scores[0] - scores[1], draws[:, 0] - draws[:, 1], 150)
    assert Interval.of(scores[1] - scores[2], draws[:, 1] - draws[:, 2], 150) == Interval(0.0, 0.0, 0.0)
    alone = bootstrap(sums[:, 0], macro_f1, 500, rng())
    assert not gap.includes_zero
    assert gap.high - gap.low < (alone.high - alone.low) / 2


def test_what_is_not_defined_is_none() -> None:
    assert bootstrap(np.zeros((0, 3, 4)), macro_f1, 10, rng()) == Interval(None, None, None)
    one_article = cluster_confusions(np.array([0, 1]), np.array([0, 1]), np.array([0, 0]), 1)
    assert bootstrap(one_article, macro_f1, 10, rng()) == Interval(1.0, None, None)
    assert str(Interval(None, None, None)) == "n/a"
    assert str(Interval(1.0, None, None)) == "1.000"
    assert str(Interval(0.7549, 0.7311, 0.7792)) == "0.755 [0.731, 0.779]"
    assert Interval(1.0, None, None).includes_zero


@pytest.mark.parametrize(("seed", "n"), [(-1, 10), (0, 0)])
def test_settings_are_checked(seed: int, n: int) -> None:
    with pytest.raises(InputError, match="at least"):
        Resampling(seed, n)


def test_no_resamples_are_refused() -> None:
    with pytest.raises(InputError, match="n_resamples"):
        resample(np.ones((3, 1)), 0, rng())


def test_a_hundred_thousand_sentences_take_seconds() -> None:
    n = 100_000
    gold = rng(1).integers(3, size=n)
    sums = cluster_confusions(gold, noisy(gold, 0.7, 2), np.arange(n) // 3, n // 3 + 1)
    begun = time.process_time()
    bootstrap(sums, macro_f1, 1000, rng())
    assert time.process_time() - begun < 10  # about 1 s


def explicit(times: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """The rows of a resample, written out."""
    return np.repeat(np.arange(len(clusters)), times[clusters].astype(int))


def test_resamples_are_those_written_out(gold, clusters) -> None:
    given_ = noisy(gold, 0.7, 2)
    drawn = resample(cluster_confusions(gold, given_, clusters, 150), 6, rng(4))
    (times,) = multiplicities(150, 6, rng(4), at_once=6)
    assert (times.sum(1) == 150).all()
    for counts, row in zip(drawn, times, strict=True):
        again = explicit(row, clusters)
        assert float(macro_f1(counts)) == pytest.approx(f1_score(gold[again], given_[again], average="macro"))
        assert float(mcc(counts)) == pytest.approx(matthews_corrcoef(gold[again], given_[again]))


def test_multiplicities_do_not_depend_on_how_many_come_at_once() -> None:
    whole = np.concatenate(list(multiplicities(20, 7, rng(), at_once=7)))
    assert (np.concatenate(list(multiplicities(20, 7, rng(), at_once=3))) == whole).all()
    assert np.concatenate(list(multiplicities(0, 7, rng(), at_once=3))).shape == (7, 0)


class Mean:
    """Of one value a cluster."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def draw(self, times: np.ndarray) -> np.ndarray:
        return (times @ self.values / times.sum(1))[:, None]


def test_statistics_drawn_together_share_their_resamples(monkeypatch) -> None:
    values, how = rng(1).normal(size=(80)), Resampling(3, 90)
    first, twice = draw([Mean(values), Mean(2 * values)], 80, 80, how, stream=5)
    assert twice.draws == pytest.approx(2 * first.draws)
    assert first.value == pytest.approx([values.mean()])
    # And with the resamples of counts of the same stream.
    sums = resample(np.column_stack([values, np.ones(80)]), 90, how.rng(5))
    assert first.draws[:, 0] == pytest.approx(sums[:, 0] / sums[:, 1])
    interval = first.interval(0)
    assert (interval.low, interval.high) == pytest.approx(tuple(np.percentile(first.draws, (2.5, 97.5))))
    monkeypatch.setattr("framelens_evaluation.statistics.bootstrap._CHUNK_SENTENCES", 800)
    assert draw([Mean(values)], 80, 80, how, stream=5)[0].draws == pytest.approx(first.draws)


def test_streams_and_purposes_differ() -> None:
    how = Resampling(0, 10)
    first = [how.rng(stream, purpose).random() for stream in (0, 1) for purpose in (0, 1, 2)]
    assert len(set(first)) == 6
    assert how.rng(1, 2).random() == first[5]


def test_weighted_counts_by_cluster() -> None:
    gold, found = np.array([0, 0, 2]), np.array([0, 3, 2])
    counts = cluster_confusions(gold, found, np.array([1, 1, 0]), 2, np.array([0.5, 2.0, 3.0]))
    assert counts.sum() == 5.5
    assert (counts[1, 0, 0], counts[1, 0, 3], counts[0, 2, 2]) == (0.5, 2.0, 3.0)


def test_spread() -> None:
    found = Spread.of(np.array([3.0, 1.0, np.nan, 2.0]), (0.0, 100.0))
    assert found == Spread(2.0, 1.0, 3.0)
    assert str(found) == "2.000 (1.000 to 3.000)"
    assert Spread.of(np.array([np.nan])) == Spread(None, None, None)
    assert str(Spread(None, None, None)) == "n/a"
