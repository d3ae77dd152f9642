"""Every score of one system on one set of sentences, all from the same resamples of articles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import LABELS, InputError, Label
from framelens_evaluation.reporting.provenance import Part
from framelens_evaluation.statistics import metrics
from framelens_evaluation.statistics.bootstrap import (
    Interval,
    cluster_codes,
    cluster_confusions,
    cluster_sums,
    draw,
)
from framelens_evaluation.statistics.metrics import NO_LABEL
from framelens_evaluation.statistics.probability import (
    LOG_CLIP,
    Calibration,
    Losses,
    Reliability,
    ReliabilityBin,
)
from framelens_evaluation.statistics.ranking import LabelRanking
from framelens_evaluation.statistics.selective import RiskCoverage, Selective

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy.typing as npt

    from framelens_evaluation.statistics.bootstrap import Drawn, Resampled, Resampling
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["LabelScore", "Scores", "score"]

#: Rows of probabilities may miss 1 by this much; files often hold two digits.
_SUM_SLACK = 0.02
_IF_CALIBRATED = 1  # purpose of the random numbers that labels are drawn with


class LabelScore(Part):
    """Scores of one label; see `framelens_evaluation.statistics.metrics` for what is not defined when.

    Attributes:
        label: the label.
        n_gold: sentences that have it.
        n_given: sentences that got it.
        precision: share of those given it that have it.
        recall: share of those that have it that were given it; a refusal is a miss.
        f1: of precision and recall.
        auroc: area under the ROC curve of its probability, this label against the others; 0.5 by chance.
        auprc: area under the precision-recall curve, as average precision; ``prevalence`` by chance.
        prevalence: share of the scored sentences that have it.
        calibration_error: root mean squared gap of its probability, debiased; see
            `framelens_evaluation.statistics.probability.Reliability`.
        reliability: observed shares beside its probabilities, in bins of equal mass; empty without
            probabilities.
    """

    label: Label
    n_gold: int
    n_given: int
    precision: Interval
    recall: Interval
    f1: Interval
    auroc: Interval
    auprc: Interval
    prevalence: Interval
    calibration_error: Interval
    reliability: tuple[ReliabilityBin, ...]


class Scores(Part):
    """Scores of a system; counts are of sentences, and every score is weighted where there are weights.

    Attributes:
        n_sentences: sentences with a gold label.
        n_articles: their articles, which the intervals resample.
        n_refused: sentences that got no label.
        n_scored: sentences that have probabilities. AUROC, AUPRC, prevalence, log loss, Brier score and
            calibration are about these, also where the system refused a label.
        n_effective: how many unweighted sentences tell as much, (Σw)² / Σw² (Kish 1965); None without
            weights.
        macro_f1: mean F1 over the labels that occur in gold.
        accuracy: share of right labels; a refusal is wrong.
        mcc: Matthews correlation, a refusal being one more class; near 0 by chance.
        macro_auroc: mean over the labels on which it is defined.
        macro_auprc: likewise.
        log_loss: in nats; probabilities below 1e-7 count as 1e-7.
        n_clipped: sentences whose gold label had a probability below that.
        brier: squared error summed over labels, 0 to 2.
        labels: in the order of `LABELS`.
        calibration: of the top label; None without probabilities.
        selective: labelling only what is sure; None without probabilities for a sentence that got a label.
            Sentences that got a label without probabilities cannot be ranked and are not in it.
    """

    n_sentences: int
    n_articles: int
    n_refused: int
    n_scored: int
    n_effective: float | None
    macro_f1: Interval
    accuracy: Interval
    mcc: Interval
    macro_auroc: Interval
    macro_auprc: Interval
    log_loss: Interval
    n_clipped: int
    brier: Interval
    labels: tuple[LabelScore, ...]
    calibration: Calibration | None
    selective: Selective | None


class _Labels:
    """Scores of confusion counts by article, on any resample: (n_resamples, 3 + 3 * n_labels)."""

    def __init__(self, counts: FloatArray) -> None:
        self._counts = counts.reshape(len(counts), NO_LABEL * (NO_LABEL + 1))

    def draw(self, times: FloatArray) -> FloatArray:
        counts = (times @ self._counts).reshape(-1, NO_LABEL, NO_LABEL + 1)
        whole = [metrics.macro_f1(counts), metrics.accuracy(counts), metrics.mcc(counts)]
        by_label = [metrics.precision(counts), metrics.recall(counts), metrics.f1(counts)]
        return np.concatenate([np.stack(whole, axis=1), *by_label], axis=1)


def score(
    gold: IntArray,
    given: IntArray,
    probabilities: npt.NDArray[np.floating[Any]],
    clusters: Sequence[Hashable] | IntArray,
    how: Resampling,
    stream: int,
    *,
    weights: npt.NDArray[np.floating[Any]] | None = None,
) -> Scores:
    """Score a system, with 95 % intervals from resampling articles.

    Args:
        gold: shape (n_sentences,), places in `LABELS`.
        given: the same shape; `NO_LABEL` where the system refused.
        probabilities: shape (n_sentences, n_labels), rows summing to 1; a row of NaN where it has none.
        clusters: articles of the sentences, by name, or as an array of numbers.
        how: seed and number of resamples. Labels are drawn as often to tell what a calibrated model gets.
        stream: which of the seed's streams; systems scored on the same sentences with the same stream
            have the same resamples.
        weights: shape (n_sentences,), above 0: inverse inclusion probabilities. Scores then estimate those of
            the population that was drawn from, by ratios of weighted sums (Hájek 1971).

    Raises:
        InputError: shapes differ, or codes, probabilities or weights are out of range.
    """
    _check(gold, given, probabilities, len(clusters), weights)
    codes, n_articles = _codes(clusters)
    values = probabilities.astype(np.float64)
    mass = np.ones(len(gold)) if weights is None else weights.astype(np.float64)
    scored = ~np.isnan(values).any(-1)
    ranked = np.flatnonzero(scored | (given == NO_LABEL))
    calibration = _Calibrations(gold[scored], values[scored], codes[scored], n_articles, mass[scored])
    selective = RiskCoverage(
        gold[ranked], given[ranked], values[ranked], codes[ranked], n_articles, mass[ranked]
    )
    losses = Losses.columns(gold[scored], values[scored], mass[scored])
    statistics: list[Resampled] = [
        _Labels(cluster_confusions(gold, given, codes, n_articles, mass)),
        Losses(cluster_sums(losses, codes[scored], n_articles)),
        LabelRanking(gold[scored], values[scored], codes[scored], mass[scored]),
        selective,
        calibration.top,
        *calibration.labels,
    ]
    by_label, losing, ranking, covering, of_top, *of_labels = draw(
        statistics, n_articles, len(gold), how, stream
    )
    n_scored, last = int(scored.sum()), len(LABELS)
    n_scored_articles = len(np.unique(codes[scored]))
    drawn = how.rng(stream, _IF_CALIBRATED)

    def of_scored(found: Drawn, *at: int) -> Interval:
        return found.interval(*at, n_clusters=n_scored_articles)

    return Scores(
        n_sentences=len(gold),
        n_articles=n_articles,
        n_refused=int((given == NO_LABEL).sum()),
        n_scored=n_scored,
        n_effective=None if weights is None else metrics.number(_effective(mass)),
        macro_f1=by_label.interval(0),
        accuracy=by_label.interval(1),
        mcc=by_label.interval(2),
        macro_auroc=of_scored(ranking, 0, last),
        macro_auprc=of_scored(ranking, 1, last),
        log_loss=of_scored(losing, 0),
        n_clipped=int((values[scored][np.arange(n_scored), gold[scored]] < LOG_CLIP).sum()),
        brier=of_scored(losing, 1),
        labels=tuple(
            LabelScore(
                label=label,
                n_gold=int((gold == at).sum()),
                n_given=int((given == at).sum()),
                precision=by_label.interval(3 + at, n_clusters=len(np.unique(codes[given == at]))),
                recall=by_label.interval(3 + last + at, n_clusters=len(np.unique(codes[gold == at]))),
                f1=by_label.interval(3 + 2 * last + at, n_clusters=len(np.unique(codes[gold == at]))),
                auroc=ranking.interval(0, at, n_clusters=len(np.unique(codes[scored & (gold == at)]))),
                auprc=ranking.interval(1, at, n_clusters=len(np.unique(codes[scored & (gold == at)]))),
                prevalence=of_scored(losing, 2 + at),
                calibration_error=of_scored(of_labels[at], 0),
                reliability=calibration.labels[at].bins(),
            )
            for at, label in enumerate(LABELS)
        ),
        calibration=calibration.top.calibration(of_scored(of_top, 0), how.n_resamples, drawn)
        if n_scored
        else None,
        selective=selective.result(covering) if (scored & (given != NO_LABEL)).any() else None,
    )


class _Calibrations:
    """Reliability of the most probable label and of each label; the arguments are those of `Reliability`."""

    def __init__(
        self, gold: IntArray, values: FloatArray, clusters: IntArray, n_clusters: int, mass: FloatArray
    ) -> None:
        right = values.argmax(-1) == gold
        self.top = Reliability(values.max(-1), right, clusters, n_clusters, mass)
        self.labels = tuple(
            Reliability(values[:, at], gold == at, clusters, n_clusters, mass) for at in range(len(LABELS))
        )


def _effective(mass: FloatArray) -> FloatArray:
    return metrics.ratio(mass.sum() ** 2, (mass**2).sum())


def _codes(clusters: Sequence[Hashable] | IntArray) -> tuple[IntArray, int]:
    if not isinstance(clusters, np.ndarray):
        return cluster_codes(clusters)
    # Numbers of a larger set may leave gaps; their order stays, and with it the resamples.
    names, codes = np.unique(clusters, return_inverse=True)
    return codes.astype(np.int64), len(names)


def _check(
    gold: IntArray,
    given: IntArray,
    probabilities: npt.NDArray[np.floating[Any]],
    n_clusters: int,
    weights: npt.NDArray[np.floating[Any]] | None,
) -> None:
    n = len(gold)
    if (given.shape, probabilities.shape, n_clusters) != ((n,), (n, len(LABELS)), n):
        raise InputError(
            f"expected labels, probabilities and articles of {n} sentences, got arrays of {given.shape} and "
            f"{probabilities.shape} and {n_clusters} articles"
        )
    if ((gold < 0) | (gold >= NO_LABEL) | (given < 0) | (given > NO_LABEL)).any():
        raise InputError(f"expected gold codes 0 to {NO_LABEL - 1} and given codes 0 to {NO_LABEL}")
    if weights is not None and (weights.shape != (n,) or not (np.isfinite(weights) & (weights > 0)).all()):
        raise InputError(f"expected {n} weights above 0, got an array of {weights.shape}")
    missing = np.isnan(probabilities)
    whole = (probabilities >= 0).all(1) & (np.abs(probabilities.sum(1) - 1) <= _SUM_SLACK)
    wrong = np.flatnonzero(~(whole | missing.all(1)))
    if len(wrong):
        raise InputError(
            f"expected probabilities that sum to 1, or none of a sentence, got "
            f"{probabilities[wrong[0]].tolist()} for sentence {wrong[0]}"
        )
