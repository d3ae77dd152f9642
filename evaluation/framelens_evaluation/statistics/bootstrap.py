"""Intervals by resampling whole articles.

Sentences of one article resemble each other, so resampling them singly gives intervals that are too
narrow; whole clusters are drawn instead (Davison and Hinkley 1997, section 3.8; Field and Welsh 2007),
and the quantiles of the resampled values are the interval (Efron and Tibshirani 1993, chapter 13). A
statistic that is a function of counts needs the counts of each cluster only, so that a resample is
one product of a vector of multiplicities with a matrix of counts. Any other statistic takes the
multiplicities as weights of the sentences (`Resampled`); those given to one `draw` share their resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from framelens import InputError
from framelens_evaluation.statistics.metrics import NO_LABEL, number

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence

    import numpy.typing as npt

    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

    Statistic = Callable[[npt.NDArray[Any]], FloatArray]

__all__ = [
    "Drawn",
    "Interval",
    "Resampled",
    "Resampling",
    "Spread",
    "bootstrap",
    "cluster_codes",
    "cluster_confusions",
    "cluster_sums",
    "draw",
    "multiplicities",
    "resample",
]

#: Multiplicities held in memory at once, about 64 MB of them.
_CHUNK = 8_000_000
#: The same where each becomes the weight of a sentence: small enough for the processor's cache.
_CHUNK_SENTENCES = 250_000


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
class Spread:
    """How a quantity varies over repetitions; None where it is not defined.

    Attributes:
        mean: over the repetitions.
        low: the lower end; what it is (a quantile, the smallest) is said where it is used.
        high: the upper end.
    """

    mean: float | None
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values: npt.NDArray[Any], quantiles: tuple[float, float] = (2.5, 97.5)) -> Spread:
        """The spread of values, shape (n_repetitions,), NaN left out; quantiles are in percent."""
        defined = values[~np.isnan(values)]
        if not len(defined):
            return cls(None, None, None)
        low, high = np.percentile(defined, quantiles)
        return cls(float(defined.mean()), float(low), float(high))

    def __str__(self) -> str:
        if self.mean is None or self.low is None or self.high is None:
            return "n/a"
        return f"{self.mean:.3f} ({self.low:.3f} to {self.high:.3f})"


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

    def rng(self, stream: int, purpose: int = 0) -> np.random.Generator:
        """A generator of its own for each quantity, so that it does not depend on what else is measured.

        Args:
            stream: what is measured, at least 0.
            purpose: 0 draws the resamples; other numbers are for what else a stream draws.
        """
        # numpy pads a seed with zeros, so that a purpose of 0 needs no place of its own.
        return np.random.default_rng([self.seed, stream, purpose] if purpose else [self.seed, stream])


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
    flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
    sums = np.zeros((n_clusters, flat.shape[1]))
    for column in range(flat.shape[1]):
        sums[:, column] = np.bincount(clusters, weights=flat[:, column], minlength=n_clusters)
    return sums.reshape(n_clusters, *values.shape[1:])


def cluster_confusions(
    gold: IntArray,
    given: IntArray,
    clusters: IntArray,
    n_clusters: int,
    weights: FloatArray | None = None,
) -> FloatArray:
    """A confusion matrix for each cluster.

    Args:
        gold: shape (n_sentences,), places in `LABELS`.
        given: the same shape; `NO_LABEL` where no label was given.
        clusters: the same shape.
        n_clusters: size of the result's first axis.
        weights: the same shape; how much each sentence counts, 1 where absent.

    Returns:
        Shape (n_clusters, n_labels, n_labels + 1); see `framelens_evaluation.statistics.metrics`.
    """
    shape = (n_clusters, NO_LABEL, NO_LABEL + 1)
    cells = np.ravel_multi_index((clusters, gold, given), shape) if n_clusters else gold
    counts = np.bincount(cells, weights=weights, minlength=int(np.prod(shape)))
    return counts.reshape(shape).astype(np.float64)


def multiplicities(
    n_clusters: int, n_resamples: int, rng: np.random.Generator, at_once: int
) -> Iterator[FloatArray]:
    """How often each cluster stands in resamples that draw as many clusters as there are.

    Args:
        n_clusters: may be 0.
        n_resamples: at least 1.
        rng: each resample takes its next ``n_clusters`` integers, whatever ``at_once`` is.
        at_once: resamples in one array, at least 1; the last may have fewer.

    Yields:
        Shape (up to ``at_once``, n_clusters).

    Raises:
        InputError: ``n_resamples`` is below 1.
    """
    if n_resamples < 1:
        raise InputError(f"n_resamples must be at least 1, got {n_resamples}")
    for first in range(0, n_resamples, at_once):
        times = np.zeros((min(at_once, n_resamples - first), n_clusters))
        if n_clusters:
            for row in times:
                row[:] = np.bincount(rng.integers(n_clusters, size=n_clusters), minlength=n_clusters)
        yield times


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
    n_clusters = len(sums)
    flat = sums.reshape(n_clusters, int(np.prod(sums.shape[1:]))).astype(np.float64)
    at_once = max(1, _CHUNK // max(1, n_clusters))
    totals = [times @ flat for times in multiplicities(n_clusters, n_resamples, rng, at_once)]
    return np.concatenate(totals).reshape(n_resamples, *sums.shape[1:])


class Resampled(Protocol):
    """Statistics of sentences that can be computed on any resample of their clusters."""

    def draw(self, times: FloatArray) -> FloatArray:
        """The statistics of some resamples.

        Args:
            times: shape (n_resamples, n_clusters), how often each cluster was drawn.

        Returns:
            Shape (n_resamples, ...), NaN where a statistic is not defined.
        """


@dataclass(frozen=True, eq=False)
class Drawn:
    """Statistics of a sample and of its resamples.

    Attributes:
        value: shape (...), of the sample itself.
        draws: shape (n_resamples, ...).
        n_clusters: how many clusters were resampled.
    """

    value: FloatArray
    draws: FloatArray
    n_clusters: int

    def interval(self, *at: int, n_clusters: int | None = None) -> Interval:
        """The statistic at a place of the arrays.

        Args:
            at: the place.
            n_clusters: in how many clusters what it is about occurs, where not in all. With fewer than two
                there is no interval: the resamples would all tell the same of that cluster.
        """
        known = self.n_clusters if n_clusters is None else n_clusters
        return Interval.of(self.value[at], np.moveaxis(self.draws, 0, -1)[at], known)


def draw(
    statistics: Sequence[Resampled], n_clusters: int, n_sentences: int, how: Resampling, stream: int
) -> tuple[Drawn, ...]:
    """Several statistics on the same resamples.

    The sample itself is the resample that has every cluster once, so that a statistic is written once.

    Args:
        statistics: what to compute.
        n_clusters: of the sample.
        n_sentences: of the sample; with it the memory is bounded.
        how: seed and number of resamples.
        stream: which of the seed's streams; those of `resample` with the same generator and number of
            clusters are the same resamples.
    """
    at_once = max(1, _CHUNK_SENTENCES // max(1, n_clusters, n_sentences))
    found: list[list[FloatArray]] = [[] for _ in statistics]
    for times in multiplicities(n_clusters, how.n_resamples, how.rng(stream), at_once):
        for drawn, statistic in zip(found, statistics, strict=True):
            drawn.append(statistic.draw(times))
    itself = np.ones((1, n_clusters))
    return tuple(
        Drawn(statistic.draw(itself)[0], np.concatenate(drawn), n_clusters)
        for statistic, drawn in zip(statistics, found, strict=True)
    )


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
