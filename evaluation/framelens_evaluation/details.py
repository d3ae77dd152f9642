"""What only our model gives: evidence, calibration, and the refusal of what is out of scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import Label, Status
from framelens_evaluation import metrics, words
from framelens_evaluation.bootstrap import bootstrap, cluster_codes, cluster_confusions, cluster_sums
from framelens_evaluation.dataset import gold_labels
from framelens_evaluation.report import Calibration, EvidenceScores, ModelDetails, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from framelens import Prediction
    from framelens_evaluation.bootstrap import Interval, Resampling
    from framelens_evaluation.dataset import GoldSentence
    from framelens_evaluation.metrics import FloatArray, IntArray

__all__ = ["N_BINS", "model_details"]

N_BINS = 15
# Streams of random numbers; the subsets of a run take 0 and upwards.
_ALL, _CUED, _PLAIN = 0, 10, 11


def model_details(
    rows: Sequence[GoldSentence],
    on_rows: Sequence[Prediction],
    on_others: Sequence[Prediction],
    probabilities: npt.NDArray[np.floating[Any]],
    how: Resampling,
) -> ModelDetails:
    """Measure what only a framelens model gives.

    Args:
        rows: the labelled sentences.
        on_rows: their predictions, in the same order; one without a label shows no evidence.
        on_others: predictions for the sentences judged not applicable.
        probabilities: shape (len(rows), n_labels), also for the sentences that were refused a label.
        how: how to make the intervals.

    Raises:
        InputError: evidence lies outside its sentence.
    """
    return ModelDetails(
        evidence=_evidence(rows, on_rows, how),
        calibration=_calibration(rows, probabilities),
        scope=_scope(rows, on_rows, on_others, probabilities, how),
    )


def _interval(
    how: Resampling,
    values: IntArray,
    articles: Sequence[str],
    statistic: Callable[[npt.NDArray[Any]], FloatArray],
    stream: int,
) -> Interval:
    codes, n = cluster_codes(articles)
    return bootstrap(cluster_sums(values, codes, n), statistic, how.n_resamples, how.rng(stream))


def _evidence(rows: Sequence[GoldSentence], found: Sequence[Prediction], how: Resampling) -> EvidenceScores:
    spans = [[(span.start, span.end) for span in p.evidence] for p in found]
    cued = [i for i, row in enumerate(rows) if row.cue is not None]
    counts = words.word_counts(
        [rows[i].text for i in cued],
        [spans[i] for i in cued],
        [[cue] for i in cued if (cue := rows[i].cue) is not None],
    )
    articles = [rows[i].article for i in cued]
    plain = [i for i, row in enumerate(rows) if row.cue is None and row.label is Label.INDEPENDENT_REPORTING]
    shown = np.array([(bool(spans[i]), 1) for i in plain], dtype=np.int64).reshape(-1, 2)
    return EvidenceScores(
        n_with_cue=len(cued),
        precision=_interval(how, counts, articles, words.word_precision, stream=_CUED),
        recall=_interval(how, counts, articles, words.word_recall, stream=_CUED),
        f1=_interval(how, counts, articles, words.word_f1, stream=_CUED),
        n_without_cue=len(plain),
        shown_without_cue=_interval(
            how, shown, [rows[i].article for i in plain], metrics.share, stream=_PLAIN
        ),
    )


def _calibration(rows: Sequence[GoldSentence], probabilities: npt.NDArray[np.floating[Any]]) -> Calibration:
    gold = metrics.encode_labels(gold_labels(rows))
    wrong = probabilities.argmax(-1) != gold
    return Calibration(
        n_bins=N_BINS,
        ece=metrics.expected_calibration_error(probabilities, gold, N_BINS),
        n_mistakes=int(wrong.sum()),
        confidence_on_mistakes=float(probabilities[wrong].max(-1).mean()) if wrong.any() else None,
    )


def _scope(
    rows: Sequence[GoldSentence],
    on_labelled: Sequence[Prediction],
    on_others: Sequence[Prediction],
    probabilities: npt.NDArray[np.floating[Any]],
    how: Resampling,
) -> Scope:
    scores = metrics.ScopeScores(
        n_out=len(on_others),
        n_labelled=len(on_labelled),
        caught=sum(p.status is Status.NOT_APPLICABLE for p in on_others),
        refused=sum(p.status is Status.NOT_APPLICABLE for p in on_labelled),
    )
    codes, n = cluster_codes([row.article for row in rows])
    forced = probabilities.argmax(-1)
    sums = cluster_confusions(metrics.encode_labels(gold_labels(rows)), forced, codes, n)
    return Scope(
        n_out=scores.n_out,
        n_labelled=scores.n_labelled,
        caught=scores.caught,
        refused=scores.refused,
        precision=scores.precision,
        recall=scores.recall,
        # The stream of the subset "all", so that the two macro-F1 are on the same resamples.
        macro_f1_forced=bootstrap(sums, metrics.macro_f1, how.n_resamples, how.rng(_ALL)),
    )
