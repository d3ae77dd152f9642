"""Rates with intervals for small and clustered samples, and the test for exchangeable names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens_evaluation.statistics.bootstrap import (
    Interval,
    bootstrap,
    cluster_codes,
    cluster_sums,
    resample,
)
from framelens_evaluation.statistics.metrics import share
from framelens_evaluation.statistics.proportions import wilson
from framelens_evaluation.statistics.significance import holm

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy.typing as npt

    from framelens_evaluation.statistics.bootstrap import Resampling
    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = ["N_PERMUTATIONS", "Exchange", "column_shifts", "exchange_test", "failure_rate", "mean_by"]

#: So many that a p-value of 1 / (1 + N) times 40 states stays far below 0.05.
N_PERMUTATIONS: Final = 20_000
#: Whole matrices are permuted for the spread; a tenth is enough for a 95 % quantile.
N_SPREADS: Final = 2_000


def failure_rate(failed: npt.NDArray[np.bool_], clusters: Sequence[Hashable]) -> Interval:
    """Share of failures with a 95 % Wilson interval (Wilson 1927), at the effective sample size.

    Cases made from one sentence fail together. Their number is therefore divided by the design effect,
    the variance of the share between clusters over that of independent cases (Korn and Graubard 1998;
    Dean and Pagano 2015, who find Wilson's interval on it to cover well). With one case a cluster this
    is Wilson's own interval. Where all or none fail, the design effect cannot be seen, and the clusters
    are counted.

    Args:
        failed: shape (n_cases,).
        clusters: the sentence that each case was made from.
    """
    n = len(failed)
    if not n:
        return Interval(None, None, None)
    rate = float(failed.mean())
    codes, n_clusters = cluster_codes(clusters)
    if n_clusters == n:
        effective = float(n)
    elif rate in (0.0, 1.0) or n_clusters < 2:
        effective = float(n_clusters)
    else:
        counts = cluster_sums(np.stack([failed, np.ones(n)], axis=1), codes, n_clusters)
        residuals = counts[:, 0] - rate * counts[:, 1]
        variance = n_clusters / (n_clusters - 1) * float((residuals**2).sum()) / n**2
        effective = min(float(n), max(1.0, rate * (1 - rate) / variance)) if variance else float(n)
    low, high = wilson(rate, effective)
    return Interval(rate, float(low), float(high))


def mean_by(values: FloatArray, clusters: Sequence[Hashable], how: Resampling, stream: int) -> Interval:
    """A mean with the 95 % interval from resampling clusters.

    Args:
        values: shape (n_cases,); a NaN among them makes the mean not defined.
        clusters: of each case.
        how: seed and resamples.
        stream: of random numbers.
    """
    codes, n_clusters = cluster_codes(clusters)
    sums = cluster_sums(np.stack([values, np.ones(len(values))], axis=1), codes, n_clusters)
    return bootstrap(sums, share, how.n_resamples, how.rng(stream))


def column_shifts(values: FloatArray, how: Resampling, stream: int) -> list[Interval]:
    """Mean of each column with the 95 % interval from resampling rows.

    Args:
        values: shape (n_rows, n_columns).
        how: seed and resamples; all columns see the same resamples.
        stream: of random numbers.
    """
    if not len(values):
        return [Interval(None, None, None)] * values.shape[1]
    draws = resample(values, how.n_resamples, how.rng(stream)) / len(values)
    means = values.mean(0)
    return [Interval.of(means[at], draws[:, at], len(values)) for at in range(values.shape[1])]


@dataclass(frozen=True, eq=False)
class Exchange:
    """Whether names are exchangeable.

    Attributes:
        p_holm: shape (n_names,), two-sided, adjusted over the names.
        spread: largest minus smallest mean.
        spread_by_chance: 95 % quantile of the spread if names were exchangeable.
        p_spread: of the spread.
    """

    p_holm: FloatArray
    spread: float
    spread_by_chance: float
    p_spread: float


def exchange_test(shifts: FloatArray, rng: np.random.Generator) -> Exchange | None:
    """Permutation test that no name moves the score (Good 2005, chapter 7: permutation within blocks).

    If names are exchangeable, each row's values could stand under any name. The mean of one column is
    then that of one value drawn from each row, the same for all columns, so that one set of draws
    serves all names; the spread needs whole permuted matrices.

    Args:
        shifts: shape (n_templates, n_names), differences to the row's mean.
        rng: the only source of randomness.

    Returns:
        None where there are no rows, fewer than two names, or a value that is not a number.
    """
    n_rows, n_names = shifts.shape
    if not n_rows or n_names < 2 or np.isnan(shifts).any():
        return None
    means = shifts.mean(0)
    null = np.zeros(N_PERMUTATIONS)
    for row in shifts:
        null += row[rng.integers(n_names, size=N_PERMUTATIONS)]
    sizes = np.sort(np.abs(null) / n_rows)
    # Rounding must not make an equal value look smaller: with exact ties everywhere p is 1.
    reached = len(sizes) - np.searchsorted(sizes, np.abs(means) - 1e-12, side="left")
    spreads = np.array([_spread(_permuted_means(shifts, rng)) for _ in range(N_SPREADS)])
    spread = _spread(means)
    return Exchange(
        p_holm=np.array(holm(((1 + reached) / (1 + N_PERMUTATIONS)).tolist()), dtype=np.float64),
        spread=spread,
        spread_by_chance=float(np.quantile(spreads, 0.95)),
        p_spread=float((1 + (spreads >= spread - 1e-12).sum()) / (1 + N_SPREADS)),
    )


def _permuted_means(shifts: FloatArray, rng: np.random.Generator) -> FloatArray:
    means: FloatArray = rng.permuted(shifts, axis=1).mean(0)
    return means


def _spread(means: npt.NDArray[Any]) -> float:
    return float(means.max() - means.min())
