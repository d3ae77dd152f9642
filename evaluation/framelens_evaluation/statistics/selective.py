"""Labelling only what one is sure of: error rates against the share of sentences that are labelled.

Sentences are accepted from the highest top probability downwards (El-Yaniv and Wiener 2010; Geifman and
El-Yaniv 2017). Coverage is the share of all sentences that are accepted, and selective risk the share
of wrong labels among them. A sentence that the system itself refuses is never accepted, so that coverage
may end below 1. Sentences of one probability are accepted together, since no threshold can part them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from framelens_evaluation.reporting.provenance import Part
from framelens_evaluation.statistics.bootstrap import Interval
from framelens_evaluation.statistics.metrics import NO_LABEL, accuracy, macro_f1, number, ratio
from framelens_evaluation.statistics.ranking import Order

if TYPE_CHECKING:
    import numpy.typing as npt

    from framelens_evaluation.statistics.bootstrap import Drawn
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["COVERAGES", "AtCoverage", "RiskCoverage", "Selective", "aurc"]

#: Coverages at which scores are reported.
COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
_CURVE_POINTS = 100
# Sums of weights are compared with this relative slack.
_SLACK = 1e-9
_TINY = np.finfo(np.float64).tiny


class AtCoverage(Part):
    """Scores of the surest sentences.

    Attributes:
        nominal: the coverage asked for.
        coverage: the smallest coverage that a threshold gives and that is not below it; None where the
            system refuses too many sentences to reach it.
        threshold: accept what has a top probability of this at least.
        n_accepted: sentences accepted.
        accuracy: of the accepted, with the threshold found anew in every resample.
        macro_f1: likewise, over the labels that occur in gold among the accepted.
    """

    nominal: float
    coverage: float | None
    threshold: float | None
    n_accepted: int | None
    accuracy: Interval
    macro_f1: Interval


class Selective(Part):
    """Risk against coverage.

    Attributes:
        n_sentences: sentences that could be ranked or were refused.
        max_coverage: share of them that were not refused.
        aurc: see `aurc`.
        excess_aurc: ``aurc`` less that of an oracle which makes the same mistakes and is least sure of
            them, r + (1 - r) ln(1 - r) at an error rate of r (Geifman et al. 2019, section 3); 0 is perfect.
        at: scores at `COVERAGES`.
        curve: (coverage, selective risk), at most 100 points by rising coverage.
    """

    n_sentences: int
    max_coverage: Interval
    aurc: Interval
    excess_aurc: Interval
    at: tuple[AtCoverage, ...]
    curve: tuple[tuple[float, float], ...]


def aurc(wrong: FloatArray, mass: FloatArray) -> FloatArray:
    """Area under the risk-coverage curve: mean selective risk over the coverages from 0 to the largest.

    Geifman et al. (2019) average the risk after each accepted sentence; here risk is averaged over all
    coverages between them too, so that weights, ties and repeated sentences have one meaning: within a
    group of equal probability, errors come in at the group's rate. The two differ by less than 1 / n.

    Args:
        wrong: shape (..., n_groups), weight of wrong labels by group of equal probability, surest first.
        mass: the same shape, weight of all labels.

    Returns:
        Shape (...,), in [0, 1]; NaN for a total weight of 0.
    """
    end = np.cumsum(mass, axis=-1)
    total = end[..., -1:]
    # With E(c) the errors so far, E(c) / c is integrated by parts: the integral of -ln(c) over dE(c), and
    # that of -ln(c) is c - c ln(c). Only groups with errors count.
    columns = np.flatnonzero((wrong > 0).any(axis=tuple(range(wrong.ndim - 1))))
    last, of_group = np.take(end, columns, axis=-1), np.take(mass, columns, axis=-1)
    whole = np.maximum(total, _TINY)
    gained = _integral(last / whole) - _integral((last - of_group) / whole)
    share_wrong = np.take(wrong, columns, axis=-1) / np.maximum(of_group, _TINY)
    return np.where(total[..., 0] > 0, np.einsum("...g,...g->...", share_wrong, gained), np.nan)


def _integral(coverage: FloatArray) -> FloatArray:
    """Of -ln from 0 on."""
    found: FloatArray = coverage * (1.0 - np.log(np.maximum(coverage, _TINY)))
    return found


class RiskCoverage:
    """Everything in `Selective`, on any resample.

    Args:
        gold: shape (n_sentences,), places in `LABELS`.
        given: the same shape; `NO_LABEL` where the system refused.
        probabilities: shape (n_sentences, n_labels); read where a label was given, and without NaN there.
        clusters: shape (n_sentences,).
        n_clusters: how many there are.
        weights: shape (n_sentences,).
    """

    def __init__(
        self,
        gold: IntArray,
        given: IntArray,
        probabilities: FloatArray,
        clusters: IntArray,
        n_clusters: int,
        weights: FloatArray,
    ) -> None:
        labelled = np.flatnonzero(given != NO_LABEL)
        confidence = probabilities[labelled].max(-1)
        self._order = Order.of(confidence)
        ranked = labelled[self._order.places]
        self._n_sentences = len(gold)
        self._n_articles = len(np.unique(clusters[labelled]))
        self._confidence = confidence[self._order.places]
        self._clusters = clusters[ranked]
        self._weights = weights[ranked]
        self._wrong = given[ranked] != gold[ranked]
        self._cells = gold[ranked] * NO_LABEL + given[ranked]
        self._ends = np.append(self._order.starts[1:], len(ranked)) if len(ranked) else self._order.starts
        refused = given == NO_LABEL
        self._refused = np.bincount(clusters[refused], weights=weights[refused], minlength=n_clusters)

    def draw(self, times: FloatArray) -> FloatArray:
        """See `framelens_evaluation.statistics.bootstrap.Resampled`.

        Returns:
            Shape (n_resamples, 3 + 2 * n_coverages): largest coverage, AURC, its excess over the oracle,
            then accuracy at each of `COVERAGES`, and macro-F1.
        """
        found = np.full((len(times), 3 + 2 * len(COVERAGES)), np.nan)
        refused = times @ self._refused
        if not len(self._ends):
            found[:, 0] = ratio(np.zeros_like(refused), refused)
            return found
        counts = np.take(times, self._clusters, axis=1)
        counts *= self._weights
        mass, wrong = self._order.grouped(counts), self._order.grouped(counts * self._wrong)
        end = np.cumsum(mass, axis=1)
        covered = end[:, -1]
        found[:, 0] = ratio(covered, covered + refused)
        found[:, 1] = aurc(wrong, mass)
        found[:, 2] = found[:, 1] - _oracle_aurc(ratio(wrong.sum(1), covered))
        for row, weights, cumulated, total in zip(found, counts, end, covered + refused, strict=True):
            matrices, reached = self._at_coverages(weights, self._groups(cumulated, total, COVERAGES))
            row[3 : 3 + len(COVERAGES)] = np.where(reached, accuracy(matrices), np.nan)
            row[3 + len(COVERAGES) :] = np.where(reached, macro_f1(matrices), np.nan)
        return found

    def _groups(self, cumulated: FloatArray, total: float, coverages: tuple[float, ...]) -> IntArray:
        """How many groups it takes to reach coverages; one more than there are where all do not."""
        wanted = np.array(coverages) * total * (1.0 - _SLACK)
        groups = np.searchsorted(cumulated, wanted) + 1
        return np.where(wanted > 0, groups, len(cumulated) + 1)

    def _at_coverages(
        self, weights: FloatArray, groups: IntArray
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Confusion matrices, shape (n_coverages, n_labels, n_labels + 1), and whether each is reached."""
        reached = groups <= len(self._ends)
        n_accepted = np.where(reached, self._ends[np.minimum(groups, len(self._ends)) - 1], len(weights))
        # Falling coverages cut the sentences into pieces; counts of the pieces are cumulated.
        rising = n_accepted[::-1]
        sizes = np.diff(rising, prepend=0, append=len(weights))
        piece = np.repeat(np.arange(len(sizes)), sizes)
        n_cells = NO_LABEL * NO_LABEL
        cells = np.bincount(piece * n_cells + self._cells, weights=weights, minlength=len(sizes) * n_cells)
        matrices = np.zeros((len(groups), NO_LABEL, NO_LABEL + 1))
        pieces = cells.reshape(len(sizes), NO_LABEL, NO_LABEL)[:-1]
        matrices[..., :NO_LABEL] = np.cumsum(pieces, axis=0)[::-1]
        return matrices, reached

    def result(self, drawn: Drawn) -> Selective:
        """Risk and coverage of the sample, with intervals from what was drawn; some label must be given."""
        mass, wrong = self._order.grouped(self._weights), self._order.grouped(self._weights * self._wrong)
        end, errors = np.cumsum(mass), np.cumsum(wrong)

        def interval(at: int) -> Interval:
            return drawn.interval(at, n_clusters=self._n_articles)

        total = float(self._refused.sum() + end[-1])
        groups = self._groups(end, total, COVERAGES)
        at = []
        for place, (nominal, count) in enumerate(zip(COVERAGES, groups, strict=True)):
            reached = count <= len(end)
            n_accepted = int(self._ends[count - 1]) if reached else None
            at.append(
                AtCoverage(
                    nominal=nominal,
                    coverage=number(end[count - 1] / total) if reached else None,
                    threshold=None if n_accepted is None else float(self._confidence[n_accepted - 1]),
                    n_accepted=n_accepted,
                    accuracy=interval(3 + place),
                    macro_f1=interval(3 + len(COVERAGES) + place),
                )
            )
        points = tuple((1 + place) / _CURVE_POINTS for place in range(_CURVE_POINTS))
        shown: IntArray = np.unique(np.minimum(self._groups(end, total, points), len(end)))
        return Selective(
            n_sentences=self._n_sentences,
            max_coverage=drawn.interval(0),
            aurc=interval(1),
            excess_aurc=interval(2),
            at=tuple(at),
            curve=tuple(
                (float(end[count - 1] / total), float(errors[count - 1] / end[count - 1])) for count in shown
            ),
        )


def _oracle_aurc(risk: FloatArray) -> FloatArray:
    right = 1.0 - risk
    return risk + right * np.log(right, out=np.zeros_like(right), where=right > 0)
