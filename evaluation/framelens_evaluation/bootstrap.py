"""Intervals by resampling whole articles.

Sentences of one article resemble each other, so resampling them singly gives intervals that are too
narrow; whole clusters are drawn instead (Davison and Hinkley 1997, section 3.8; Field and Welsh 2007),
and the quantiles of the resampled values are the interval (Efron and Tibshirani 1993, chapter 13). A
statistic that is a function of counts needs the counts of each cluster only, so that a resample is
one product of a vector of multiplicities with a matrix of counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import InputError
from framelens_evaluation.metrics import NO_LABEL, number

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    import numpy.typing as npt

    from framelens_evaluation.metrics import FloatArray, IntArray

    Statistic = Callable[[npt.NDArray[Any]], FloatArray]

__all__ = [
    "Interval",
    "Resampling",
    "bootstrap",
    "cluster_codes",
    "cluster_confusions",
    "cluster_sums",
    "paired_difference",
    "resample",
]

#: Multiplicities held in memory at once, about 64 MB of them.
_CHUNK = 8_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95 % percentile bootstrap interval.

    Attributes:
        value: the statistic of the sample itself; None where it is not defined.
        low: 2.5 % quantile over the resamples on which the statistic is defined; None where it is
            defined on none of them or on the sample itself not, and with fewer than two clusters.
        high: the 97.5 % quantile, likewise.
    """

    value: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, value: Any, draws: FloatArray, n_clusters: int) -> Interval:
        """The interval of a statistic from its values on the resamples.

        Args:
            value: on the sample itself; NaN where it is not defined.
            draws: shape (n_resamples,), NaN likewise.
            n_clusters: how many clusters were resampled.
        """
        point = number(value)
        defined = draws[~np.isnan(draws)]
        if point is None or n_clusters < 2 or not len(defined):
            return cls(point, None, None)
        low, high = np.percentile(defined, (2.5, 97.5))
        return cls(point, float(low), float(high))

    @property
    def includes_zero(self) -> bool:
        """Whether 0 lies in the interval; True where there is none, since nothing is then shown."""
        return self.low is None or self.high is None or self.low <= 0.0 <= self.high

    def __str__(self) -> str:
        if self.value is None:
            return "n/a"
        if self.low is None or self.high is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Resampling:
    """How the intervals of a run are made.

    Attributes:
        seed: at least 0.
        n_resamples: at least 1.

    Raises:
        InputError: either is smaller.
    """

    seed: int
    n_resamples: int

    def __post_init__(self) -> None:
        if self.seed < 0 or self.n_resamples < 1:
            raise InputError(
                f"seed must be at least 0 and n_resamples at least 1, got {self.seed} and {self.n_resamples}"
            )

    def rng(self, stream: int) -> np.random.Generator:
        """A generator of its own for each quantity, so that it does not depend on what else is measured."""
        return np.random.default_rng([self.seed, stream])


def cluster_codes(clusters: Sequence[Hashable]) -> tuple[IntArray, int]:
    """Cluster names as numbers from 0 in the order of their first sentence.

    Returns:
        Shape (n_sentences,), and the number of clusters.
    """
    known: dict[Hashable, int] = {}
    codes = np.fromiter((known.setdefault(name, len(known)) for name in clusters), np.int64, len(clusters))
    return codes, len(known)


def cluster_sums(values: npt.NDArray[Any], clusters: IntArray, n_clusters: int) -> FloatArray:
    """Sums of rows by cluster.

    Args:
        values: shape (n_sentences, ...).
        clusters: shape (n_sentences,), numbers below ``n_clusters``.
        n_clusters: size of the result's first axis.

    Returns:
        Shape (n_clusters, ...).
    """
    sums = np.zeros((n_clusters, *values.shape[1:]))
    np.add.at(sums, clusters, values)
    return sums


def cluster_confusions(gold: IntArray, given: IntArray, clusters: IntArray, n_clusters: int) -> FloatArray:
    """A confusion matrix for each cluster.

    Args:
        gold: shape (n_sentences,), places in `LABELS`.
        given: the same shape; `NO_LABEL` where no label was given.
        clusters: the same shape.
        n_clusters: size of the result's first axis.

    Returns:
        Shape (n_clusters, n_labels, n_labels + 1); see `framelens_evaluation.metrics`.
    """
    shape = (n_clusters, NO_LABEL, NO_LABEL + 1)
    cells = np.ravel_multi_index((clusters, gold, given), shape) if n_clusters else gold
    return np.bincount(cells, minlength=int(np.prod(shape))).reshape(shape).astype(np.float64)


def resample(sums: npt.NDArray[Any], n_resamples: int, rng: np.random.Generator) -> FloatArray:
    """Totals of resamples that draw as many clusters as there are, with replacement.

    Args:
        sums: shape (n_clusters, ...), counts by cluster.
        n_resamples: at least 1.
        rng: the only source of randomness; the result depends on it and on the arguments alone.

    Returns:
        Shape (n_resamples, ...); zeros where there are no clusters.

    Raises:
        InputError: ``n_resamples`` is below 1.
    """
    if n_resamples < 1:
        raise InputError(f"n_resamples must be at least 1, got {n_resamples}")
    n_clusters = len(sums)
    totals = np.zeros((n_resamples, int(np.prod(sums.shape[1:]))))
    if not n_clusters:
        return totals.reshape(n_resamples, *sums.shape[1:])
    flat = sums.reshape(n_clusters, -1).astype(np.float64)
    step = max(1, _CHUNK // n_clusters)
    for first in range(0, n_resamples, step):
        rows = min(step, n_resamples - first)
        times = np.empty((rows, n_clusters))
        for row in range(rows):
            times[row] = np.bincount(rng.integers(n_clusters, size=n_clusters), minlength=n_clusters)
        totals[first : first + rows] = times @ flat
    return totals.reshape(n_resamples, *sums.shape[1:])


def bootstrap(
    sums: npt.NDArray[Any], statistic: Statistic, n_resamples: int, rng: np.random.Generator
) -> Interval:
    """95 % percentile interval of a statistic of summed counts.

    Args:
        sums: shape (n_clusters, ...), counts by cluster.
        statistic: from counts of shape (n_resamples, ...) or (...) to one number each, such as `macro_f1`.
        n_resamples: at least 1; with 1,000 a bound's standard error is about 2 % of the interval's width.
        rng: seeded by the caller.

    Raises:
        InputError: ``n_resamples`` is below 1.
    """
    draws = statistic(resample(sums, n_resamples, rng))
    return Interval.of(statistic(sums.sum(0)), draws, len(sums))


def paired_difference(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    statistic: Statistic,
    n_resamples: int,
    rng: np.random.Generator,
) -> Interval:
    """95 % percentile interval of ``statistic(first) - statistic(second)`` on the same resamples.

    Args:
        first: shape (n_clusters, ...), counts of one system by cluster.
        second: the same shape, counts of the other on the same sentences.
        statistic: see `bootstrap`.
        n_resamples: see `bootstrap`.
        rng: seeded by the caller.

    Raises:
        InputError: the two differ in shape, or ``n_resamples`` is below 1.
    """
    if first.shape != second.shape:
        raise InputError(f"both systems need counts of one shape, got {first.shape} and {second.shape}")
    draws = resample(np.stack([first, second], axis=1), n_resamples, rng)
    gap = statistic(first.sum(0)) - statistic(second.sum(0))
    return Interval.of(gap, statistic(draws[:, 0]) - statistic(draws[:, 1]), len(first))
