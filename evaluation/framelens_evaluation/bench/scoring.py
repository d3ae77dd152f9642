"""A task's metric, and the threshold that goes with it.

Counts are the state, as everywhere in this package: for each class the hits, the sentences that have it
and the sentences that were given it, so that sums over articles can be resampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens_evaluation.statistics.bootstrap import bootstrap, cluster_codes, cluster_sums
from framelens_evaluation.statistics.metrics import ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from framelens_evaluation.statistics.bootstrap import Interval, Resampling
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["Scorer"]


@dataclass(frozen=True, slots=True)
class Scorer:
    """F1 of one of two classes, or the mean F1 of all classes.

    Attributes:
        n_classes: at least 2.
        positive: the class whose F1 is measured, of two; None for the mean of all.
    """

    n_classes: int
    positive: int | None = None

    def decide(self, probabilities: FloatArray, threshold: float | None) -> IntArray:
        """Classes from probabilities.

        Args:
            probabilities: shape (n_sentences, n_classes).
            threshold: from `threshold`; the positive class is given from it upwards. None gives each
                sentence its most probable class.

        Returns:
            Shape (n_sentences,).
        """
        if self.positive is None or threshold is None:
            return np.asarray(probabilities.argmax(-1), dtype=np.int64)
        given = probabilities[:, self.positive] >= threshold
        return np.where(given, self.positive, 1 - self.positive).astype(np.int64)

    def threshold(self, gold: IntArray, probabilities: FloatArray) -> float | None:
        """The threshold of the best F1 on these sentences, which must never be those of test.

        Every cut between two distinct probabilities is tried; of equally good ones, the one nearest to 0.5
        is taken. None for macro-F1, which needs none, and where no sentence is of the class.

        Args:
            gold: shape (n_sentences,).
            probabilities: shape (n_sentences, n_classes).
        """
        if self.positive is None or not (gold == self.positive).any():
            return None
        levels, level = np.unique(probabilities[:, self.positive], return_inverse=True)
        size = np.bincount(level)
        hits = np.bincount(level, weights=gold == self.positive)
        # Given the class: all sentences of this level and above.
        given, right = size[::-1].cumsum()[::-1], hits[::-1].cumsum()[::-1]
        f1 = 2 * right / (given + right[0])
        # Halfway, but never down to the lower level itself where two levels are neighbouring floats.
        halfway = np.maximum((levels[:-1] + levels[1:]) / 2, np.nextafter(levels[:-1], np.inf))
        cuts = np.concatenate([[0.0], halfway])
        best = np.flatnonzero(f1 >= f1.max() - 1e-12)
        return float(cuts[best[np.abs(cuts[best] - 0.5).argmin()]])

    def counts(self, gold: IntArray, given: IntArray) -> IntArray:
        """Hits, gold and given by sentence and class: shape (n_sentences, n_classes, 3)."""
        classes = np.arange(self.n_classes)
        is_gold, is_given = gold[:, None] == classes, given[:, None] == classes
        return np.stack([is_gold & is_given, is_gold, is_given], axis=-1).astype(np.int64)

    def statistic(self, counts: npt.NDArray[Any]) -> FloatArray:
        """The metric of summed counts: (..., n_classes, 3) to (...,).

        NaN where the class is absent from gold, or there are no sentences; a class that is absent from gold
        is not averaged in.
        """
        hits, gold, given = counts[..., 0], counts[..., 1], counts[..., 2]
        f1 = ratio(2 * hits, np.where(gold > 0, gold + given, 0))
        if self.positive is not None:
            return np.asarray(f1[..., self.positive])
        defined = ~np.isnan(f1)
        return ratio(np.where(defined, f1, 0.0).sum(-1), defined.sum(-1))

    def score(self, gold: IntArray, given: IntArray) -> float:
        """The metric; NaN where it is not defined."""
        return float(self.statistic(self.counts(gold, given).sum(0)))

    def best_score(self, gold: IntArray, probabilities: FloatArray) -> float:
        """The metric at the best threshold on these sentences; NaN where it is not defined."""
        return self.score(gold, self.decide(probabilities, self.threshold(gold, probabilities)))

    def interval(
        self,
        gold: IntArray,
        given: IntArray,
        groups: Sequence[str],
        how: Resampling,
        stream: int,
        folds: IntArray | None = None,
    ) -> Interval:
        """The metric, over folds its mean, with its interval from resampling groups.

        The mean of the folds' scores is what published figures of cross-validation are. A resample draws
        groups of all folds together; a group lies in one fold.

        Args:
            gold: shape (n_sentences,).
            given: the same shape.
            groups: as many names of groups.
            how: seed and number of resamples.
            stream: of random numbers; one stream draws the same groups for every method.
            folds: the same shape, numbers from 0; None for one fold.
        """
        codes, n = cluster_codes(groups)
        fold = np.zeros(len(gold), dtype=np.int64) if folds is None else folds
        n_folds = int(fold.max(initial=0)) + 1
        counts = np.zeros((len(gold), n_folds, self.n_classes, 3))
        counts[np.arange(len(gold)), fold] = self.counts(gold, given)
        return bootstrap(
            cluster_sums(counts, codes, n), self._mean_over_folds, how.n_resamples, how.rng(stream)
        )

    def _mean_over_folds(self, counts: npt.NDArray[Any]) -> FloatArray:
        """(..., n_folds, n_classes, 3) to (...,): the mean over the folds on which the metric is defined."""
        scores = self.statistic(counts)
        defined = ~np.isnan(scores)
        return ratio(np.where(defined, scores, 0.0).sum(-1), defined.sum(-1))
