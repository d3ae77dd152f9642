"""Tests of whether two systems differ on the same sentences, and by how much.

Three tests, because papers report all three and they assume different things:

* McNemar's exact test counts the sentences on which one system alone is right. It takes sentences as
  independent, which those of one article are not, so its p-value is too small where articles repeat
  themselves.
* Approximate randomisation swaps the two systems' answers for whole articles at random (Noreen 1989,
  chapter 2; Yeh 2000). It tests any measure, and needs only that articles are independent.
* The paired bootstrap by article gives an interval of the difference; see
  `framelens_evaluation.statistics.bootstrap`.

A score here is a function of confusion matrices, (..., n_labels, n_labels + 1), to one number each or to
several in a last axis; NaN stands for "not defined".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens import LABELS, InputError
from framelens.errors import require
from framelens_evaluation.statistics.bootstrap import Interval, bootstrap, cluster_sums
from framelens_evaluation.statistics.metrics import accuracy, f1, macro_f1, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from framelens_evaluation.statistics.bootstrap import Statistic
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = [
    "MEASURES",
    "Discordance",
    "approximate_randomisation",
    "discordance",
    "holm",
    "mcnemar_exact",
    "measures",
]

#: What systems are compared by; the last axis of `measures`.
MEASURES: Final[tuple[str, ...]] = ("macro_f1", "accuracy", *(f"f1_{label}" for label in LABELS))
#: Signs held in memory at once, about 64 MB of them.
_CHUNK = 8_000_000
# Equal differences that were summed in another order count as equal.
_TIE = 1e-12


def measures(counts: npt.NDArray[Any]) -> FloatArray:
    """Every measure of `MEASURES`.

    Args:
        counts: shape (..., n_labels, n_labels + 1); see `framelens_evaluation.statistics.metrics`.

    Returns:
        Shape (..., n_measures); NaN where one is not defined.
    """
    overall = np.stack([macro_f1(counts), accuracy(counts)], axis=-1)
    return np.concatenate([overall, f1(counts)], axis=-1)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's test from the binomial distribution (McNemar 1947).

    Under the hypothesis that both are right equally often, each sentence on which only one is right is
    as likely the first's as the second's. It takes sentences as independent.

    Args:
        only_first: sentences on which only the first is right, often called b.
        only_second: those on which only the second is, often called c.

    Returns:
        In (0, 1]; 1 where there are no such sentences.

    Raises:
        InputError: a count is negative.
        MissingExtraError: scipy is not installed.
    """
    if only_first < 0 or only_second < 0:
        raise InputError(f"counts must be at least 0, got {only_first} and {only_second}")
    if only_first + only_second == 0:
        return 1.0
    found = require("scipy.stats", "eval").binomtest(only_first, only_first + only_second, 0.5)
    return float(found.pvalue)


@dataclass(frozen=True, slots=True)
class Discordance:
    """Sentences on which one of two systems alone is right.

    Attributes:
        only_first: on which the first is.
        only_second: on which the second is.
        p_value: of McNemar's exact test; see `mcnemar_exact`.
        cohens_g: share of the first among them less a half, in [-0.5, 0.5] (Cohen 1988, chapter 5), with an
            interval by article; no value where there are no such sentences.
        odds_ratio: ``only_first / only_second``, with the same interval; a bound, or the value, is None
            where it is infinite.
    """

    only_first: int
    only_second: int
    p_value: float
    cohens_g: Interval
    odds_ratio: Interval


def discordance(
    first_right: npt.NDArray[np.bool_],
    second_right: npt.NDArray[np.bool_],
    clusters: IntArray,
    n_clusters: int,
    n_resamples: int,
    rng: np.random.Generator,
) -> Discordance:
    """Count the sentences on which two systems differ in being right.

    Args:
        first_right: shape (n_sentences,), whether the first system is right.
        second_right: the same of the second.
        clusters: shape (n_sentences,), numbers below ``n_clusters``.
        n_clusters: how many articles there are.
        n_resamples: at least 1.
        rng: seeded by the caller.

    Raises:
        InputError: ``n_resamples`` is below 1.
        MissingExtraError: scipy is not installed.
    """
    alone = np.stack([first_right & ~second_right, second_right & ~first_right], axis=1).astype(np.int64)
    b, c = (int(n) for n in alone.sum(0))
    g = bootstrap(cluster_sums(alone, clusters, n_clusters), _cohens_g, n_resamples, rng)
    # The odds rise with g, so the quantiles of one are those of the other.
    odds = Interval(_odds(g.value), _odds(g.low), _odds(g.high))
    return Discordance(b, c, mcnemar_exact(b, c), g, odds)


def _cohens_g(alone: npt.NDArray[Any]) -> FloatArray:
    """(only first, only second) in the last axis to Cohen's g."""
    return ratio(alone[..., 0], alone.sum(-1)) - 0.5


def _odds(g: float | None) -> float | None:
    return None if g is None or g >= 0.5 else (0.5 + g) / (0.5 - g)


def approximate_randomisation(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    statistic: Statistic,
    n_resamples: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Two-sided p-values for ``statistic(first) - statistic(second)``, by swapping whole articles.

    If the systems do not differ, which of them gave which answers to an article is arbitrary. Each
    shuffle swaps them in every article with probability 1/2. The p-value is the share of the shuffles
    with a difference at least as large, the observed one counted among them, so that it is never 0
    (Noreen 1989; Phipson and Smyth 2010).

    Args:
        first: shape (n_clusters, ...), counts of one system by article.
        second: the same shape, counts of the other on the same sentences.
        statistic: from counts of shape (n, ...) or (...) to one or several numbers each.
        n_resamples: shuffles; the smallest p-value that can come out is ``1 / (n_resamples + 1)``.
        rng: the only source of randomness.

    Returns:
        The shape of ``statistic(first.sum(0))``, in (0, 1]; NaN where the difference is not defined, and
        with fewer than two articles.

    Raises:
        InputError: the two differ in shape, or ``n_resamples`` is below 1.
    """
    if first.shape != second.shape:
        raise InputError(f"both systems need counts of one shape, got {first.shape} and {second.shape}")
    if n_resamples < 1:
        raise InputError(f"n_resamples must be at least 1, got {n_resamples}")
    n_clusters, shape = len(first), first.shape[1:]
    observed = np.abs(statistic(first.sum(0)) - statistic(second.sum(0)))
    if n_clusters < 2:
        return np.full(observed.shape, np.nan)
    total = (first + second).sum(0)
    gap = (first - second).reshape(n_clusters, -1).astype(np.float64)
    as_large = np.zeros(observed.shape)
    step = max(1, _CHUNK // n_clusters)
    for begin in range(0, n_resamples, step):
        rows = min(step, n_resamples - begin)
        signs = rng.integers(2, size=(rows, n_clusters), dtype=np.int8).astype(np.float64) * 2 - 1
        shuffled = (signs @ gap).reshape(rows, *shape)
        # The counts are whole numbers, so these sums and halves are exact.
        gaps = np.abs(statistic((total + shuffled) / 2) - statistic((total - shuffled) / 2))
        as_large += (gaps >= observed - _TIE).sum(0)
    found: FloatArray = np.where(np.isnan(observed), np.nan, (as_large + 1) / (n_resamples + 1))
    return found


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values corrected for testing several hypotheses at once (Holm 1979).

    Comparing them to 0.05 keeps the chance of even one false finding among them at 5 %, however the
    tests depend on each other.

    Args:
        p_values: in [0, 1]; None for a test that could not be made, which is not counted.

    Returns:
        In the same order, each at least as large as it was; None stays None.
    """
    tested = sorted((p, at) for at, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, at) in enumerate(tested):
        least = max(least, min(1.0, p * (len(tested) - rank)))
        corrected[at] = least
    return corrected
