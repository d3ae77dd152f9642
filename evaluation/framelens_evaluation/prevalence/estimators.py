"""Shares from a hand-labelled sample, with and without the help of predictions on the whole corpus.

The population is finite: the sentences of a corpus, each with one true label. What is estimated is the
share of each label *in that corpus*. A sample of it was labelled by hand, each sentence drawn with a known
inclusion probability. Three estimators:

* `plain_count`: the share of predicted labels. No gold, no correction.
* `gold_only`: the weighted share in the sample (Hájek 1971).
* `prediction_powered`: the mean prediction over the corpus plus the sample's weighted mean of "gold minus
  prediction". In survey sampling it is the difference estimator (Särndal, Swensson and Wretman 1992,
  section 6.3); Angelopoulos et al. (2023) call it prediction-powered inference. The predictions are
  multiplied by λ in [0, 1], tuned to the least variance (PPI++, Angelopoulos, Duchi and Zrnic 2023,
  section 6), one λ for all labels, so that the shares sum to 1. Where the prediction is useless, λ is near
  0 and the estimate is that of the sample alone.

**Variance.** Taylor linearisation over the drawn units (articles where whole articles are clusters), within
strata, with Hájek's (1964) approximation for unequal probabilities without replacement. For simple random
sampling it is the textbook's, finite population correction included: a sample that holds half of the corpus
leaves half of the variance, and the whole corpus leaves none.

**Interval.** Normal intervals fail where a label is rare, since a sample without an error in it shows no
variance. Two measures against that. The interval is Wilson's (1927), with the effective sample size of the
design in place of n (Korn and Graubard 1998; Franco et al. 2019), and a quantile of t. And the sample's
correlation of gold and prediction is shrunk as if half a sentence more of the rarer outcome had been seen, on
which the prediction said nothing (half, as Jeffreys' prior for a share adds): a prediction is believed no
more than the gold rows of that label can bear out. Without it, a sample in which the classifier happens to
make no error would give an interval of almost no width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS
from framelens.errors import require
from framelens_evaluation.statistics.bootstrap import cluster_sums
from framelens_evaluation.statistics.metrics import ratio
from framelens_evaluation.statistics.proportions import wilson

if TYPE_CHECKING:
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = [
    "Moments",
    "Sample",
    "Shares",
    "borrowed",
    "gold_only",
    "indicators",
    "modified_wilson",
    "plain_count",
    "prediction_powered",
    "t_quantile",
]

#: Sentences of the rarer outcome that are added in thought; see above.
_PSEUDO = 0.5
#: A variance below this is what roundings leave of 0.
_ROUNDING = 1e-12
#: Effective number of sentences of a label up to which Wilson's bound is modified: 3, and whatever a
#: rounding makes of it.
_FEW = 3.5


@dataclass(frozen=True, eq=False)
class Moments:
    """What is known of the predictions on every sentence of a population.

    Attributes:
        n: how many sentences.
        mean: shape (n_labels,), mean prediction; sums to 1.
        variance: shape (n_labels,), variance of the predictions.
    """

    n: int
    mean: FloatArray
    variance: FloatArray


@dataclass(frozen=True, eq=False)
class Sample:
    """Sentences labelled by hand.

    Attributes:
        gold: shape (n,), places in `LABELS`; `NO_LABEL` where the judge found the sentence to be out of the
            codebook's scope. Shares are then among the sentences within scope.
        predictions: shape (n, n_labels), rows summing to 1.
        inclusion: shape (n,), in (0, 1].
        clusters: shape (n,), the units that were drawn, as numbers.
        strata: shape (n,), within which they were drawn, as numbers.
    """

    gold: IntArray
    predictions: FloatArray
    inclusion: FloatArray
    clusters: IntArray
    strata: IntArray

    def __len__(self) -> int:
        return len(self.gold)

    def take(self, rows: IntArray) -> Sample:
        """The rows named."""
        return Sample(
            self.gold[rows],
            self.predictions[rows],
            self.inclusion[rows],
            self.clusters[rows],
            self.strata[rows],
        )

    @property
    def weights(self) -> FloatArray:
        """Inverse inclusion probabilities, summing to 1."""
        inverse: FloatArray = 1.0 / self.inclusion
        shares: FloatArray = inverse / inverse.sum()
        return shares

    @property
    def sampled(self) -> float:
        """What part of the population the sample is."""
        return float(self.weights @ self.inclusion)

    @property
    def n_units(self) -> int:
        """How many clusters were drawn."""
        return len(np.unique(np.stack([self.strata, self.clusters]), axis=1).T) if len(self) else 0


@dataclass(frozen=True, eq=False)
class Shares:
    """A share of each label with its interval; NaN where it is not defined.

    Attributes:
        value: shape (n_labels,), in [0, 1].
        low: the same shape.
        high: the same shape.
        tuning: λ of the prediction-powered estimate; NaN for the others.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    tuning: float = math.nan

    @classmethod
    def undefined(cls) -> Shares:
        """No estimate."""
        nothing = np.full(len(LABELS), np.nan)
        return cls(nothing, nothing, nothing)


@cache
def t_quantile(level: float, freedom: float) -> float:
    """Quantile of t behind a two-sided interval; NaN without a degree of freedom."""
    stats = require("scipy.stats", "eval")
    return float(stats.t.ppf(0.5 + level / 2, freedom)) if freedom >= 1 else math.nan


def modified_wilson(value: FloatArray, n: FloatArray, quantile: float) -> tuple[FloatArray, FloatArray]:
    """Wilson's score interval of shares, modified where hardly anything was seen.

    Of a label seen up to three times in effect, Wilson's lower bound lies too high; a Poisson bound replaces
    it, and likewise the upper bound of a label seen nearly always (Brown, Cai and DasGupta 2001, section
    4.1.1).

    Args:
        value: in [0, 1].
        n: effective sample sizes, above 0; infinite where the share is known.
        quantile: of the normal distribution or of t.

    Returns:
        Lower and upper bounds, in [0, 1].
    """
    low, high = wilson(value, n, quantile)
    tail = math.erfc(quantile / math.sqrt(2))

    def bound(share: FloatArray, plain: FloatArray) -> FloatArray:
        seen = np.where(np.isinf(n), np.inf, share * np.where(np.isinf(n), 1.0, n))
        few = (seen > 0) & (seen <= _FEW)
        if few.any():
            gamma = require("scipy.stats", "eval").gamma
            plain = np.where(few, np.minimum(plain, gamma.ppf(tail, np.where(few, seen, 1.0)) / n), plain)
        return np.clip(plain, 0.0, 1.0)

    return bound(value, low), 1 - bound(1 - value, 1 - high)


def indicators(codes: IntArray) -> FloatArray:
    """Codes as rows of 0 and 1; `NO_LABEL` becomes a row of zeros.

    Returns:
        Shape (n, n_labels).
    """
    rows: FloatArray = (codes[:, None] == np.arange(len(LABELS))).astype(np.float64)
    return rows


def plain_count(counts: IntArray, level: float = 0.95) -> Shares:
    """Shares of predicted labels with the binomial interval that is usually printed beside them.

    The interval takes every predicted label for a true one: it covers what the classifier says, and not the
    share in the corpus.

    Args:
        counts: shape (n_labels,), sentences by predicted label.
        level: of the interval, in (0, 1).
    """
    n = float(counts.sum())
    if not n:
        return Shares.undefined()
    value = counts / n
    normal = float(require("scipy.stats", "eval").norm.ppf(0.5 + level / 2))
    return Shares(value, *modified_wilson(value, np.full(len(LABELS), n), normal))


def gold_only(sample: Sample, level: float = 0.95) -> Shares:
    """Weighted shares in the sample, without predictions.

    Args:
        sample: drawn from the population.
        level: of the intervals, in (0, 1).

    Returns:
        NaN without a sentence within scope; intervals of NaN with fewer than two drawn units.
    """
    parts = _linearise(sample, 0.0)
    if parts is None:
        return Shares.undefined()
    n_effective = _effective(sample, parts.residual, np.ones(len(LABELS)))
    low, high = modified_wilson(parts.value, n_effective, t_quantile(level, sample.n_units - 1))
    return Shares(parts.value, low, high)


def prediction_powered(
    sample: Sample, population: Moments, level: float = 0.95, tuning: float | None = None
) -> Shares:
    """Shares by prediction-powered inference; see the module.

    Args:
        sample: drawn from the population.
        population: the predictions on all of it, those in the sample included.
        level: of the intervals, in (0, 1).
        tuning: λ; None takes the one of least variance. It multiplies the mean prediction over the whole
            population; the paper's, for the mean over what was not sampled, is λ · (1 - n / N).

    Returns:
        Summing to 1, but where a share would be negative and is set to 0. NaN without a sentence within
        scope; intervals of NaN with fewer than three drawn units.
    """
    lam = _tuning(sample, population.variance) if tuning is None else tuning
    parts = _linearise(sample, lam)
    if parts is None:
        return Shares.undefined()
    shift = lam * (population.mean - sample.weights @ sample.predictions) / parts.within
    value = np.clip(parts.value + shift, 0.0, 1.0)
    outcome, error = _variances(sample, parts, lam, population.variance)
    left = np.nan_to_num(ratio(error, outcome), nan=1.0)
    low, high = modified_wilson(
        value, _effective(sample, parts.residual, left), t_quantile(level, sample.n_units - 2)
    )
    return Shares(value, low, high, lam)


def borrowed(pool: Sample, pooled: Moments, group: Moments, level: float = 0.95) -> Shares:
    """Shares in a group from the errors on the gold rows of all groups.

    It assumes that the predictions err by the same amount on average in this group as in all together. The
    interval holds the pool's sampling error and the chance by which a group of this size departs from
    the average, and no violation of the assumption.

    Args:
        pool: gold rows of all groups.
        pooled: the predictions on the whole population.
        group: the predictions on the group.
        level: of the intervals, in (0, 1).

    Returns:
        As `prediction_powered`.
    """
    lam = _tuning(pool, pooled.variance)
    parts = _linearise(pool, lam)
    if parts is None or not group.n:
        return Shares.undefined()
    shift = lam * (group.mean - pool.weights @ pool.predictions) / parts.within
    value = np.clip(parts.value + shift, 0.0, 1.0)
    _, error = _variances(pool, parts, lam, pooled.variance)
    sampling = error * _design_effect(pool, parts.residual) / len(pool)
    half = t_quantile(level, pool.n_units - 2) * np.sqrt(sampling + error / group.n)
    return Shares(value, np.clip(value - half, 0.0, 1.0), np.clip(value + half, 0.0, 1.0), lam)


@dataclass(frozen=True, eq=False)
class _Parts:
    """Attributes: shares in the sample; its share within scope; linearised outcomes and residuals."""

    value: FloatArray
    within: float
    outcome: FloatArray
    residual: FloatArray


def _linearise(sample: Sample, lam: float) -> _Parts | None:
    """The sample's shares, and each row's part in their error; None without a sentence within scope.

    Where some sentences are out of scope the share is a ratio of two means, whose linearisation is
    (outcome - share · within) / (mean of within) (Särndal, Swensson and Wretman 1992, section 5.6).
    """
    weights, outcome = sample.weights if len(sample) else np.zeros(0), indicators(sample.gold)
    inside = outcome.sum(-1)
    within = float(weights @ inside)
    if within <= 0:
        return None
    value = np.clip(weights @ outcome / within, 0.0, 1.0)  # the weights' sum may be off by a rounding
    linear = (outcome - value * inside[:, None]) / within
    centred = sample.predictions - weights @ sample.predictions
    return _Parts(value, within, linear, linear - lam * centred / within)


def _tuning(sample: Sample, variance: FloatArray) -> float:
    """λ of least total variance, from the sample's covariance and the population's variance."""
    if len(sample) < 2 or not variance.sum():
        return 0.0
    weights, outcome = sample.weights, indicators(sample.gold)
    centred = outcome - weights @ outcome
    covariance = (weights @ (centred * sample.predictions)).sum()
    return float(np.clip(covariance / variance.sum(), 0.0, 1.0))


def _variances(sample: Sample, parts: _Parts, lam: float, known: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Variance of one outcome and of one residual by label, the latter with the correlation shrunk."""
    weights = sample.weights
    n = len(sample)
    centred = (sample.predictions - weights @ sample.predictions) / parts.within
    covariance = np.maximum(weights @ (parts.outcome * centred), 0.0)
    has = (sample.gold[:, None] == np.arange(len(LABELS))).sum(0)
    rarer = np.minimum(has, n - has)
    lost = 1.0 - rarer / (rarer + _PSEUDO)
    error = weights @ parts.residual**2 + 2 * lam * lost * covariance
    # A label absent from the sample shows no variance; a prediction's variance is at most its outcome's.
    outcome = np.maximum(parts.value * (1 - parts.value), lam**2 * known / parts.within**2)
    outcome = np.where(outcome > _ROUNDING, outcome, 0.0)
    return outcome, error * n / max(n - 2, 1)


def _effective(sample: Sample, residual: FloatArray, left: FloatArray) -> FloatArray:
    """The size of a simple random sample, without predictions, that would be as precise.

    Args:
        sample: the sample.
        residual: as in `_design_effect`.
        left: shape (n_labels,), what part of an outcome's variance the predictions leave.

    Returns:
        Shape (n_labels,); infinite where the whole population was drawn.
    """
    size = ratio(np.full(len(LABELS), float(len(sample))), _design_effect(sample, residual) * left)
    return np.nan_to_num(size, nan=np.inf)


def _design_effect(sample: Sample, residual: FloatArray) -> FloatArray:
    """Variance under the design over that of as many independent draws (Kish 1965, section 8.2).

    Args:
        sample: says how its rows were drawn.
        residual: shape (n, n_labels), with weighted mean 0.

    Returns:
        Shape (n_labels,); Kish's effect of the weights alone where all residuals are 0.
    """
    n, weights = len(sample), sample.weights
    simple = (weights @ residual**2) / max(n - 1, 1)
    simple = np.where(simple > _ROUNDING, simple, 0.0)
    effect = ratio(_design_variance(sample, weights[:, None] * residual), simple)
    alone = n * float(weights**2 @ (1 - sample.inclusion))
    return np.where(np.isnan(effect), alone, effect)


def _design_variance(sample: Sample, parts: FloatArray) -> FloatArray:
    """Variance of a sum of parts over the drawn units.

    Args:
        sample: says how its rows were drawn.
        parts: shape (n, n_labels).

    Returns:
        Shape (n_labels,).
    """
    pairs = np.stack([sample.strata, sample.clusters])
    found, units = np.unique(pairs, axis=1, return_inverse=True)
    units, n_units = units.reshape(-1), found.shape[1]
    _, strata = np.unique(found[0], return_inverse=True)
    left = np.bincount(units, weights=1.0 - sample.inclusion) / np.bincount(units)
    return _within_strata(cluster_sums(parts, units, n_units), left, strata)


def _within_strata(parts: FloatArray, left: FloatArray, strata: IntArray) -> FloatArray:
    """Hájek's variance of a sum, stratum by stratum.

    A stratum with one drawn unit is centred at 0, the mean of all, since it has no spread of its own.
    """
    n_strata = int(strata.max()) + 1
    size = np.bincount(strata, minlength=n_strata)
    total = np.bincount(strata, weights=left, minlength=n_strata)
    centre = ratio(cluster_sums(left[:, None] * parts, strata, n_strata), total[:, None])
    centre = np.where((size > 1)[:, None], np.nan_to_num(centre), 0.0)
    spread = cluster_sums(left[:, None] * (parts - centre[strata]) ** 2, strata, n_strata)
    return (size / np.maximum(size - 1, 1)) @ spread
