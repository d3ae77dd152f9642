"""How good probabilities are: log loss, Brier score, and calibration with what chance alone would give.

Calibration is measured in bins of equally many sentences. The familiar expected calibration error
(ECE) is the mean absolute gap between a bin's mean probability and its observed share. It is biased:
a perfectly calibrated model also gets an ECE above 0, the more the fewer sentences there are, and a
bootstrap of it adds the same bias once more. So it stands here without an interval, beside what
a perfectly calibrated model with the same probabilities would get, and beside the debiased ECE. The
estimate to rely on is the root mean squared gap, whose bias can be taken away wholly and which has an
interval (`Calibration.rms_error`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import LABELS
from framelens_evaluation.reporting.provenance import Part
from framelens_evaluation.statistics.bootstrap import Interval, Spread
from framelens_evaluation.statistics.metrics import number, ratio
from framelens_evaluation.statistics.proportions import wilson

if TYPE_CHECKING:
    import numpy.typing as npt

    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = [
    "LOG_CLIP",
    "N_BINS",
    "SMALLEST_BIN",
    "Calibration",
    "Losses",
    "Reliability",
    "ReliabilityBin",
    "brier_losses",
    "equal_mass_bins",
    "log_losses",
]

#: Probabilities below it count as this much in the log loss; about what float32 tells from 0 beside 1.
LOG_CLIP = 1e-7
#: Bins of a reliability diagram (Guo et al. 2017 use as many) ...
N_BINS = 15
#: ... and fewer where a bin would hold fewer sentences than this.
SMALLEST_BIN = 20
# Sentences that labels are drawn for at once, over all draws.
_CHUNK = 250_000
# Differences of sums below this share of them are none.
_ROUNDING = 1e-9


class ReliabilityBin(Part):
    """Sentences of like probability.

    Attributes:
        n: sentences.
        low: the smallest probability in the bin.
        high: the largest.
        predicted: their mean probability.
        observed: the share for which it came true, with a 95 % interval of Wilson (1927) as if each article
            were one observation: with the effective number of articles (ΣN)² / ΣN² for n, N being an
            article's sentences, or their weight, in the bin. Resampling would give a share of 0 or 1
            an interval without width. None with fewer than two articles.
    """

    n: int
    low: float
    high: float
    predicted: float
    observed: Interval


class Calibration(Part):
    """How far the largest probability of a sentence is from the chance that its label is right.

    Attributes:
        ece: mean absolute gap between `ReliabilityBin.predicted` and `ReliabilityBin.observed` over
            sentences, as it is (Naeini et al. 2015; in bins of equal mass, Nguyen and O'Connor 2015).
            Biased upwards.
        ece_if_calibrated: the same for a perfectly calibrated model with these very probabilities: mean,
            2.5 % and 97.5 % quantiles over labels drawn at random from them. The labels are drawn
            independently of each other, so that the range is somewhat too low and narrow where
            mistakes come in clusters.
        ece_debiased: the same less an estimate of its bias, and 0 at least (Kumar et al. 2019, section 4.3
            and appendix): what normal noise of a bin's own variance, which is taken over articles, adds to
            the absolute gap. It takes away part of the bias: all where gaps are wide beside the noise, and
            about two fifths for a calibrated model.
        rms_error: root mean squared gap, debiased; see `Reliability`. In units of probability as well,
            and 0 where the square is not estimated above 0. As a mean square it weighs large gaps more,
            so it may exceed ``ece``.
        rms_error_if_calibrated: the same for labels drawn from the probabilities.
        reliability: the bins, from the lowest probabilities to the highest: of equally many sentences,
            except that sentences of one probability stay together.
    """

    ece: float | None
    ece_if_calibrated: Spread
    ece_debiased: float | None
    rms_error: Interval
    rms_error_if_calibrated: Spread
    reliability: tuple[ReliabilityBin, ...]


def log_losses(probabilities: FloatArray, gold: IntArray) -> FloatArray:
    """Minus the natural logarithm of the gold label's probability, which counts as `LOG_CLIP` at least.

    Args:
        probabilities: shape (n_sentences, n_labels).
        gold: shape (n_sentences,), places in `LABELS`.

    Returns:
        Shape (n_sentences,), in [0, 16.2].
    """
    losses: FloatArray = -np.log(np.clip(probabilities[np.arange(len(gold)), gold], LOG_CLIP, 1.0))
    return losses


def brier_losses(probabilities: FloatArray, gold: IntArray) -> FloatArray:
    """Squared distance of the probabilities from 1 for the gold label and 0 for others (Brier 1950).

    It is summed over labels: 0 is perfect and 2 is a wrong label with certainty. The Brier score of two
    classes is often given as half of this.

    Args:
        probabilities: shape (n_sentences, n_labels).
        gold: shape (n_sentences,), places in `LABELS`.

    Returns:
        Shape (n_sentences,), in [0, 2].
    """
    squares: FloatArray = ((probabilities - np.eye(len(LABELS))[gold]) ** 2).sum(-1)
    return squares


class Losses:
    """Mean losses and the labels' shares, on any resample.

    Args:
        sums: shape (n_clusters, 3 + n_labels): by cluster the sums of the weights, of weighted log and Brier
            losses, and of the weights by gold label.
    """

    def __init__(self, sums: FloatArray) -> None:
        self._sums = sums

    @staticmethod
    def columns(gold: IntArray, probabilities: FloatArray, weights: FloatArray) -> FloatArray:
        """What is to be summed by cluster, shape (n_sentences, 3 + n_labels)."""
        columns = [np.ones(len(gold)), log_losses(probabilities, gold), brier_losses(probabilities, gold)]
        found: FloatArray = np.column_stack([*columns, np.eye(len(LABELS))[gold]]) * weights[:, None]
        return found

    def draw(self, times: FloatArray) -> FloatArray:
        """See `framelens_evaluation.statistics.bootstrap.Resampled`.

        Returns:
            Shape (n_resamples, 2 + n_labels): mean log loss, mean Brier score, share of each label.
        """
        totals = times @ self._sums
        return ratio(totals[:, 1:], totals[:, :1])


def equal_mass_bins(values: npt.NDArray[Any], weights: FloatArray, n_bins: int) -> IntArray:
    """Bins of equal weight, numbered from 0 in the order of the values, none of them empty.

    Equal values stay together, in the bin where the middle of their weight falls; so a bin may be
    heavier than others, and there may be fewer.

    Args:
        values: shape (n_sentences,).
        weights: the same shape, above 0.
        n_bins: at least 1.

    Returns:
        Shape (n_sentences,).
    """
    distinct, group = np.unique(values, return_inverse=True)
    mass = np.bincount(group, weights=weights, minlength=len(distinct))
    end = np.cumsum(mass)
    if not len(end):
        return np.zeros(0, dtype=np.int64)
    bins = np.floor((end - mass / 2) / end[-1] * n_bins).astype(np.int64)
    _, used = np.unique(bins, return_inverse=True)
    numbers: IntArray = used[group].astype(np.int64)
    return numbers


class Reliability:
    """Probabilities beside what came true, in bins, on any resample.

    The square of the gap between a bin's observed share and mean probability overestimates the square of
    the true gap, by the variance of the observed one. Kumar et al. (2019, section 4; before them
    Bröcker 2012 and Ferro and Fricker 2012) subtract an estimate of that variance, which comes to
    averaging the products of residuals over pairs of different sentences. Sentences of one article do not
    vary independently, so here the pairs are of sentences from different articles: with D_a the sum of
    the residuals (1 or 0, less the probability) of article a in a bin and N_a its sentences there, the
    squared gap is ((Σ D_a)² - Σ D_a²) / ((Σ N_a)² - Σ N_a²). With one sentence an article and one
    probability a bin it is Kumar's estimator exactly. For a calibrated model it is 0 on average, and so at
    times negative.

    In a resample the copies of an article form no pairs either; otherwise each resample would bring back the
    bias that was taken away. For a calibrated model the interval is somewhat too wide then, not too narrow.
    The bins are those of the sample and not drawn anew, so that the interval is about these bins.

    Args:
        predicted: shape (n_sentences,), probabilities of an event.
        hit: the same shape, whether it came true.
        clusters: the same shape.
        n_clusters: how many there are.
        weights: the same shape.
        n_bins: None takes `N_BINS`, and fewer where a bin would hold fewer than `SMALLEST_BIN`.
    """

    def __init__(
        self,
        predicted: FloatArray,
        hit: npt.NDArray[np.bool_],
        clusters: IntArray,
        n_clusters: int,
        weights: FloatArray,
        n_bins: int | None = None,
    ) -> None:
        if n_bins is None:
            n_bins = min(N_BINS, max(1, len(predicted) // SMALLEST_BIN))
        self._predicted = predicted
        self._weights = weights
        self._bins = equal_mass_bins(predicted, weights, n_bins)
        self._n_bins = int(self._bins.max()) + 1 if len(self._bins) else 0
        self._cells = clusters * self._n_bins + self._bins

        def by_cell(values: FloatArray) -> FloatArray:
            sums = np.bincount(self._cells, weights=values, minlength=n_clusters * self._n_bins)
            return sums.reshape(n_clusters, self._n_bins).astype(np.float64)

        self._mass = by_cell(weights)
        self._gaps = by_cell(weights * (hit - predicted))
        self._hits = by_cell(weights * hit)
        self._sums = np.concatenate([self._mass, self._gaps], axis=1)
        self._squares = np.concatenate([self._mass**2, self._gaps**2], axis=1)

    def draw(self, times: FloatArray) -> FloatArray:
        """See `framelens_evaluation.statistics.bootstrap.Resampled`.

        Returns:
            Shape (n_resamples, 1): the root mean squared gap.
        """
        mass, gap = np.hsplit(times @ self._sums, 2)
        mass_square, gap_square = np.hsplit(times**2 @ self._squares, 2)
        return _rms_error(gap, gap_square, mass, mass_square)[:, None]

    def bins(self) -> tuple[ReliabilityBin, ...]:
        """The bins; none without sentences."""
        mass = self._mass.sum(0)
        share = self._hits.sum(0) / mass
        low, high = wilson(share, mass**2 / (self._mass**2).sum(0))
        single = (self._mass > 0).sum(0) < 2
        found = []
        for at in range(self._n_bins):
            inside = self._bins == at
            values = self._predicted[inside]
            ends = (None, None) if single[at] else (float(low[at]), float(high[at]))
            found.append(
                ReliabilityBin(
                    n=len(values),
                    low=float(values.min()),
                    high=float(values.max()),
                    predicted=float(np.average(values, weights=self._weights[inside])),
                    observed=Interval(float(share[at]), *ends),
                )
            )
        return tuple(found)

    def calibration(self, rms_error: Interval, n_draws: int, rng: np.random.Generator) -> Calibration:
        """Calibration beside that of a calibrated model.

        Args:
            rms_error: from what was drawn of this.
            n_draws: how often labels are drawn from the probabilities, at least 1.
            rng: for these.
        """
        eces, rms_errors = self._if_calibrated(n_draws, rng)
        return Calibration(
            ece=self.ece,
            ece_if_calibrated=Spread.of(eces),
            ece_debiased=self.ece_debiased,
            rms_error=rms_error,
            rms_error_if_calibrated=Spread.of(rms_errors),
            reliability=self.bins(),
        )

    @property
    def ece(self) -> float | None:
        """Mean absolute gap; None without sentences."""
        return number(ratio(np.abs(self._gaps.sum(0)).sum(), self._mass.sum()))

    @property
    def ece_debiased(self) -> float | None:
        """Mean absolute gap less what noise adds to it; None without sentences."""
        if not self._n_bins:
            return None
        mass = self._mass.sum(0)
        gap = self._gaps.sum(0) / mass
        residuals = self._gaps - gap * self._mass
        noise = np.sqrt((residuals**2).sum(0)) / mass
        # The mean of a folded normal distribution: what |gap| is on average under this noise.
        z = np.divide(np.abs(gap), noise, out=np.full_like(gap, np.inf), where=noise > 0)
        inside = np.array([math.erf(value / math.sqrt(2)) for value in z])
        folded = noise * np.sqrt(2 / np.pi) * np.exp(-(z**2) / 2) + np.abs(gap) * inside
        of_bin = 2 * np.abs(gap) - folded
        return max(0.0, float((mass * of_bin).sum() / mass.sum()))

    def _if_calibrated(self, n_draws: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """ECE and root mean squared gap for labels drawn from the probabilities, shape (n_draws,) each."""
        by_bin = np.lexsort((self._cells, self._bins))  # cells side by side, and within bins
        cells, bins = self._cells[by_bin], self._bins[by_bin]
        starts = np.flatnonzero(np.diff(cells, prepend=-1))
        bin_starts = np.flatnonzero(np.diff(bins[starts], prepend=-1))
        predicted, weights = self._predicted[by_bin], self._weights[by_bin]
        mass, mass_square = self._mass.sum(0)[None], (self._mass**2).sum(0)[None]
        eces, rms_errors = np.empty(n_draws), np.empty(n_draws)
        at_once = max(1, _CHUNK // len(predicted))
        for first in range(0, n_draws, at_once):
            rows = slice(first, min(first + at_once, n_draws))
            hit = rng.random((rows.stop - first, len(predicted))) < predicted
            of_cell = np.add.reduceat((hit - predicted) * weights, starts, axis=1)
            gap = np.add.reduceat(of_cell, bin_starts, axis=1)
            square = np.add.reduceat(of_cell**2, bin_starts, axis=1)
            eces[rows] = np.abs(gap).sum(1) / mass.sum()
            rms_errors[rows] = _rms_error(gap, square, mass, mass_square)
        return eces, rms_errors


def _rms_error(
    gap: FloatArray, gap_square: FloatArray, mass: FloatArray, mass_square: FloatArray
) -> FloatArray:
    """Root mean squared gap from pairs of sentences of different articles; see `Reliability`.

    Args:
        gap: shape (n, n_bins), sums of residuals.
        gap_square: the same shape, sums over articles of the square of their sum of residuals.
        mass: the same shape or (1, n_bins), sums of weights.
        mass_square: as ``mass``, sums over articles of the square of their sum of weights.

    Returns:
        Shape (n,); NaN where no bin has two articles.
    """
    pairs = mass**2 - mass_square
    # A bin with a single article has no pairs, but for rounding, and is left out.
    known = np.where(pairs > _ROUNDING * mass_square, mass, 0.0)
    of_bin = np.divide(gap**2 - gap_square, pairs, out=np.zeros_like(gap), where=known > 0)
    mean = ratio((known * of_bin).sum(-1), np.broadcast_to(known.sum(-1), len(gap)))
    return np.sqrt(np.maximum(mean, 0.0))
