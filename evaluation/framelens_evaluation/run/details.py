"""A close look at one system: refusals, evidence, conformal sets and slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import Label
from framelens_evaluation.inputs.dataset import gold_labels
from framelens_evaluation.run.faithfulness import measure_faithfulness
from framelens_evaluation.run.report import Details, EvidenceScores, Scope
from framelens_evaluation.run.slices import slice_scores
from framelens_evaluation.statistics import metrics, words
from framelens_evaluation.statistics.bootstrap import (
    bootstrap,
    cluster_codes,
    cluster_confusions,
    cluster_sums,
)
from framelens_evaluation.statistics.conformal import conformal_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from framelens import Evidence
    from framelens_evaluation.inputs.dataset import GoldSentence, GoldSet
    from framelens_evaluation.inputs.systems import Answers, System
    from framelens_evaluation.statistics.bootstrap import Interval, Resampling
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["measure_details"]

# Streams of random numbers; the subsets of a run take 0 and upwards.
_ALL, _CUED, _PLAIN, _SLICES, _FAITHFULNESS, _CONFORMAL = 0, 10, 11, 12, 13, 14


def measure_details(
    system: System,
    data: GoldSet,
    answers: Answers,
    how: Resampling,
    *,
    faithfulness: bool,
    tell: Callable[[str], None],
) -> Details:
    """Look closely at a system.

    Args:
        system: asked again for `faithfulness`.
        data: what was measured on.
        answers: the system's, for every sentence of ``data``.
        how: how to make the intervals.
        faithfulness: whether to ask again with the evidence taken away.
        tell: told of each step.

    Raises:
        InputError: evidence lies outside its sentence.
    """
    labelled = np.array([row.label is not None for row in data.sentences])
    rows, found = data.labelled, answers.of(labelled)
    gold = metrics.encode_labels(gold_labels(rows))
    wrong = (found.given != gold) & (found.given != metrics.NO_LABEL)
    sure = found.probabilities[wrong, found.given[wrong]]
    sure = sure[~np.isnan(sure)]
    faithful = None
    if faithfulness and found.evidence is not None and system.reads != "a file":
        tell("taking the evidence away")
        faithful = measure_faithfulness(system, rows, found, how, _FAITHFULNESS, tell=tell)
    return Details(
        scope=_scope(rows, gold, found, answers.given[~labelled], how),
        evidence=None if found.evidence is None else _evidence(rows, found.evidence, how),
        faithfulness=faithful,
        conformal=conformal_sets(
            gold, found.probabilities, [row.article for row in rows], how.rng(_CONFORMAL)
        ),
        n_mistakes=int(wrong.sum()),
        confidence_on_mistakes=float(sure.mean()) if len(sure) else None,
        slices=slice_scores(rows, gold, found.given, how, _SLICES),
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


def _evidence(
    rows: Sequence[GoldSentence], found: Sequence[Sequence[Evidence]], how: Resampling
) -> EvidenceScores:
    spans = [[(span.start, span.end) for span in shown] for shown in found]
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


def _scope(
    rows: Sequence[GoldSentence], gold: IntArray, found: Answers, given_out: IntArray, how: Resampling
) -> Scope:
    scores = metrics.ScopeScores(
        n_out=len(given_out),
        n_labelled=len(rows),
        caught=int((given_out == metrics.NO_LABEL).sum()),
        refused=int((found.given == metrics.NO_LABEL).sum()),
    )
    codes, n = cluster_codes([row.article for row in rows])
    # Where there are no probabilities to force a label from, a refusal stays one.
    known = ~np.isnan(found.probabilities).any(1)
    forced = found.given.copy()
    forced[known] = found.probabilities[known].argmax(-1)
    sums = cluster_confusions(gold, forced, codes, n)
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
