"""Adjusted count: invert the confusion matrix (Gart and Buck 1966; Forman 2008; Hopkins and King 2010).

Of the sentences whose true label is j, a share M[j, k] is given the label k. So the shares of given labels
are M' times the true shares, and solving for the latter corrects them. The error rates M are those of
all gold rows together: it is assumed that **they are equal in every group**, that groups differ in their
shares alone (prior shift). Where a group's sentences are harder, the result is biased and its interval does
not say so; prediction-powered inference needs no such assumption.

Labels that were never confused in a small sample are confused somewhere in the corpus. So every resample is
smoothed by half a sentence more of each true label, given labels at random (a Dirichlet prior of 1/6 a cell);
without it the intervals of a good classifier are far too narrow. The estimate itself is not smoothed.

The shares are kept on the simplex (not negative, summing to 1) by least squares under that constraint.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS
from framelens_evaluation.prevalence.estimators import Shares
from framelens_evaluation.statistics.bootstrap import cluster_sums, resample
from framelens_evaluation.statistics.metrics import NO_LABEL, ratio

if TYPE_CHECKING:
    from framelens_evaluation.prevalence.estimators import Sample
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["adjusted_count", "error_rates", "solve_shares"]

_N_LABELS = len(LABELS)
#: Groups whose resamples are held in memory at once.
_GROUPS_AT_ONCE = 100
#: Sentences added to each cell of a resample; see above.
_PSEUDO = 0.5 / _N_LABELS
#: Keeps a matrix in which two labels err alike from being singular.
_RIDGE = 1e-9


def error_rates(counts: FloatArray) -> FloatArray:
    """Rows of weighted counts, gold by given, as rates.

    Args:
        counts: shape (..., n_gold, n_labels).

    Returns:
        The same shape, rows summing to 1; NaN where a gold label does not occur.
    """
    return ratio(counts, counts.sum(-1, keepdims=True))


def solve_shares(rates: FloatArray, given: FloatArray) -> FloatArray:
    """True shares that give these shares of given labels, by least squares on the simplex.

    The optimum lies inside one of the simplex's faces, and there it solves a linear system; with three labels
    all seven faces are tried, which is exact.

    Args:
        rates: shape (..., n_labels, n_labels), gold by given, rows summing to 1.
        given: shape (..., n_groups, n_labels), each summing to 1.

    Returns:
        Shape (..., n_groups, n_labels), each row in [0, 1] and summing to 1; NaN where the rates are NaN.
    """
    undefined = np.asarray(np.isnan(rates).any((-2, -1)))
    rates = np.where(undefined[..., None, None], np.eye(_N_LABELS), rates)
    gram = rates @ np.swapaxes(rates, -1, -2) + _RIDGE * np.eye(_N_LABELS)
    aim = np.swapaxes(given @ np.swapaxes(rates, -1, -2), -1, -2)
    best = np.zeros(aim.shape)
    least = np.full((*aim.shape[:-2], 1, aim.shape[-1]), np.inf)
    for size in range(1, _N_LABELS + 1):
        for face in map(list, combinations(range(_N_LABELS), size)):
            system = np.ones((*gram.shape[:-2], size + 1, size + 1))
            system[..., :size, :size] = gram[..., face, :][..., face]
            system[..., size, size] = 0.0
            right = np.concatenate([aim[..., face, :], np.ones_like(least)], axis=-2)
            found = np.zeros(aim.shape)
            found[..., face, :] = np.linalg.solve(system, right)[..., :size, :]
            loss = (found * (gram @ found - 2 * aim)).sum(-2, keepdims=True)
            better = (found >= -1e-12).all(-2, keepdims=True) & (loss < least)
            best, least = np.where(better, found, best), np.where(better, loss, least)
    best = np.swapaxes(np.clip(best, 0.0, 1.0), -1, -2)
    best /= best.sum(-1, keepdims=True)
    return np.where(undefined[..., None, None], np.nan, best)


def adjusted_count(
    sample: Sample,
    given: IntArray,
    counts: IntArray,
    n_resamples: int,
    rng: np.random.Generator,
    level: float = 0.95,
) -> list[Shares]:
    """Adjusted counts of groups and of the whole corpus, with percentile bootstrap intervals.

    Each resample draws the gold rows' clusters anew, and in each group the errors on as many sentences as it
    has. Both shrink as the finite population correction wants: the first with the part of the corpus that is
    not gold, the second with the part that is not in the group. Gold rows out of the codebook's scope count
    as a fourth true label; its share is taken from the gold rows, for every group alike, and the shares are
    those within scope.

    Args:
        sample: gold rows of the whole corpus.
        given: shape (n,), their predicted labels as places in `LABELS`.
        counts: shape (n_groups, n_labels), sentences of each group by predicted label.
        n_resamples: behind each interval.
        rng: seeded by the caller.
        level: of the intervals, in (0, 1).

    Returns:
        One a group, and one for the whole corpus behind them; NaN where a label does not occur in gold, since
        its error rates are then unknown; intervals of NaN with fewer than two clusters.
    """
    _, units = np.unique(sample.clusters, return_inverse=True)
    n_units = int(units.max()) + 1 if len(units) else 0
    weights = sample.weights * len(sample) if len(sample) else np.zeros(0)
    cells = np.zeros((len(sample), NO_LABEL + 1, _N_LABELS))
    cells[np.arange(len(sample)), sample.gold, given] = weights
    by_unit = cluster_sums(cells, units, n_units)
    point = by_unit.sum(0)
    draws = resample(by_unit, n_resamples, rng)
    draws[:, :NO_LABEL] += rng.gamma(_PSEUDO, size=(n_resamples, NO_LABEL, _N_LABELS))
    if len(sample):
        draws = point + np.sqrt(1 - sample.sampled) * (draws - point)
    counts = np.concatenate([counts, counts.sum(0, keepdims=True)])
    outside = np.sqrt(1 - counts.sum(-1) / max(int(counts[-1].sum()), 1))
    found: list[Shares] = []
    for first in range(0, len(counts), _GROUPS_AT_ONCE):
        here = slice(first, first + _GROUPS_AT_ONCE)
        found += _groups(point, draws, counts[here], outside[here], n_units, rng, level)
    return found


def _groups(
    point: FloatArray,
    draws: FloatArray,
    counts: IntArray,
    outside: FloatArray,
    n_units: int,
    rng: np.random.Generator,
    level: float,
) -> list[Shares]:
    size = counts.sum(-1)
    given = ratio(counts, size[:, None])
    value = _solve(point, given)
    rates = error_rates(point[:NO_LABEL])
    nothing = np.full(_N_LABELS, np.nan)
    if n_units < 2 or np.isnan(rates).any():
        return [Shares(row, nothing, nothing) for row in value]
    # What is drawn anew are the errors; the true labels of a finite corpus stand.
    of_label = np.rint(size[:, None] * np.nan_to_num(value)).astype(np.int64)
    errors = rng.multinomial(of_label, rates, size=(len(draws), *of_label.shape)).sum(-2)
    noise = (errors - of_label @ rates) * (outside / np.maximum(size, 1))[:, None]
    drawn = _solve(draws, given + noise)
    low, high = np.quantile(drawn, (0.5 - level / 2, 0.5 + level / 2), axis=0)
    return [Shares(*row) for row in zip(value, low, high, strict=True)]


def _solve(counts: FloatArray, given: FloatArray) -> FloatArray:
    """Shares within scope, after the part of the given labels that lies out of scope is taken off."""
    outside = ratio(counts[..., NO_LABEL, :].sum(-1), counts.sum((-2, -1)))[..., None, None]
    wrongly = np.nan_to_num(error_rates(counts[..., NO_LABEL:, :]))
    inside = (given - outside * wrongly) / (1 - outside)
    return solve_shares(error_rates(counts[..., :NO_LABEL, :]), inside)
