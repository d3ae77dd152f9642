"""How well a probability ranks sentences: areas under the ROC and the precision-recall curve.

Both are computed from cumulative weights over sentences sorted once, so that a thousand resamples,
which only change the weights, cost a thousand cumulative sums. Sentences of one probability cannot be
told apart by any threshold: they enter the curves together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import LABELS
from framelens_evaluation.statistics.metrics import ratio

if TYPE_CHECKING:
    import numpy.typing as npt

    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["LabelRanking", "Order", "auprc", "auroc"]

# Differences of sums of weights below this share of the sum are none.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Order:
    """Sentences from the highest score to the lowest.

    Attributes:
        places: shape (n_sentences,), the sentences in this order.
        starts: shape (n_groups,), where in it each group of equal scores begins.
    """

    places: IntArray
    starts: IntArray

    @classmethod
    def of(cls, scores: npt.NDArray[Any]) -> Order:
        """The order of scores, shape (n_sentences,), without NaN."""
        places = np.argsort(-scores, kind="stable")
        falling = scores[places]
        begins = np.ones(len(scores), dtype=bool)
        begins[1:] = falling[1:] != falling[:-1]
        return cls(places, np.flatnonzero(begins))

    def grouped(self, weights: FloatArray) -> FloatArray:
        """Sums of weights over equal scores.

        Args:
            weights: shape (..., n_sentences), in this order already.

        Returns:
            Shape (..., n_groups).
        """
        if len(self.starts) == weights.shape[-1]:
            return weights
        sums: FloatArray = np.add.reduceat(weights, self.starts, axis=-1)
        return sums


class _Areas:
    """Both areas for one event, for any weights of the sentences.

    Everything is read off at the positives, which are few: the weight of all sentences down to a positive
    less that of the positives down to it is that of the negatives.

    Args:
        scores: shape (n_sentences,).
        positive: the same shape.
    """

    def __init__(self, scores: npt.NDArray[Any], positive: npt.NDArray[np.bool_]) -> None:
        self.order = Order.of(scores)
        hit = positive[self.order.places]
        starts, n = self.order.starts, len(scores)
        sizes = np.diff(starts, append=n)
        self._positives = np.flatnonzero(hit)
        # Of each positive the group of equal scores: first and last sentence, first and last positive.
        self._first = np.repeat(starts, sizes)[hit]
        self._last = np.repeat(starts + sizes - 1, sizes)[hit]
        down_to = np.cumsum(hit)
        self._first_hit: IntArray = (down_to - hit)[self._first]
        self._last_hit = down_to[self._last] - 1
        self._has_ties = len(starts) < n

    def compute(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """AUROC and AUPRC, shape (n,) each, for weights of shape (n, n_sentences) in this order."""
        if not len(self._positives):
            nothing = np.full(len(weights), np.nan)
            return nothing, nothing
        all_down_to = np.cumsum(weights, axis=1)
        positives = np.take(weights, self._positives, axis=1)
        positives_down_to = np.cumsum(positives, axis=1)
        n_positive = positives_down_to[:, -1]
        n_negative = all_down_to[:, -1] - n_positive
        n_negative = np.where(n_negative > _ROUNDING * all_down_to[:, -1], n_negative, 0.0)
        found = np.take(all_down_to, self._last, axis=1)
        right = np.take(positives_down_to, self._last_hit, axis=1) if self._has_ties else positives_down_to
        below = n_negative[:, None] - (found - right)
        if self._has_ties:
            first = np.take(all_down_to, self._first, axis=1) - np.take(weights, self._first, axis=1)
            first_right = np.take(positives_down_to, self._first_hit, axis=1)
            first_right -= np.take(positives, self._first_hit, axis=1)
            below += ((found - first) - (right - first_right)) / 2  # a tie is half of a pair in order
        roc = ratio(np.einsum("ij,ij->i", positives, below), n_positive * n_negative)
        precision = right / np.maximum(found, np.finfo(np.float64).tiny)
        total = np.where(n_negative > 0, n_positive, 0.0)
        return roc, ratio(np.einsum("ij,ij->i", positives, precision), total)


def _alone(
    scores: npt.NDArray[Any], positive: npt.NDArray[np.bool_], weights: FloatArray | None
) -> tuple[float, float]:
    areas = _Areas(scores, positive)
    by_score = np.ones(len(scores)) if weights is None else weights[areas.order.places]
    roc, precision_recall = areas.compute(by_score[None])
    return float(roc[0]), float(precision_recall[0])


def auroc(
    scores: npt.NDArray[Any], positive: npt.NDArray[np.bool_], weights: FloatArray | None = None
) -> float:
    """Probability that a positive scores above a negative, a tie counting half (Hanley and McNeil 1982).

    Args:
        scores: shape (n_sentences,).
        positive: the same shape.
        weights: the same shape; 1 where absent.

    Returns:
        In [0, 1], 0.5 by chance; NaN without positives or without negatives.
    """
    return _alone(scores, positive, weights)[0]


def auprc(
    scores: npt.NDArray[Any], positive: npt.NDArray[np.bool_], weights: FloatArray | None = None
) -> float:
    """Area under the precision-recall curve, as average precision.

    The sum over thresholds of the gain in recall times the precision there, without interpolation,
    which would be too optimistic (Davis and Goadrich 2006; Boyd et al. 2013). By chance it is the
    share of positives, and not 0.5.

    Args:
        scores: shape (n_sentences,).
        positive: the same shape.
        weights: the same shape; 1 where absent.

    Returns:
        In [0, 1]; NaN without positives or without negatives.
    """
    return _alone(scores, positive, weights)[1]


def _defined_mean(values: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not NaN; NaN where nothing is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(-1), defined.sum(-1))


class LabelRanking:
    """`auroc` and `auprc` of every label against the others, on any resample.

    Args:
        gold: shape (n_sentences,), places in `LABELS`.
        probabilities: shape (n_sentences, n_labels), without NaN.
        clusters: shape (n_sentences,).
        weights: shape (n_sentences,).
    """

    def __init__(
        self, gold: IntArray, probabilities: FloatArray, clusters: IntArray, weights: FloatArray
    ) -> None:
        self._areas = [_Areas(probabilities[:, at], gold == at) for at in range(len(LABELS))]
        self._clusters = [clusters[areas.order.places] for areas in self._areas]
        self._weights = [weights[areas.order.places] for areas in self._areas]

    def draw(self, times: FloatArray) -> FloatArray:
        """See `framelens_evaluation.statistics.bootstrap.Resampled`.

        Returns:
            Shape (n_resamples, 2, n_labels + 1): AUROC and AUPRC by label, and their mean over the labels
            on which they are defined.
        """
        found = np.full((len(times), 2, len(LABELS) + 1), np.nan)
        for at, (areas, clusters, weights) in enumerate(
            zip(self._areas, self._clusters, self._weights, strict=True)
        ):
            counts = np.take(times, clusters, axis=1)
            counts *= weights
            found[:, 0, at], found[:, 1, at] = areas.compute(counts)
        found[:, :, -1] = _defined_mean(found[:, :, :-1])
        return found
