"""What a run gives: typed, and written as ``report.json``."""

from __future__ import annotations

from typing import Literal

from framelens import Label
from framelens_evaluation.reporting.provenance import Part, Provenance
from framelens_evaluation.run.faithfulness import Faithfulness
from framelens_evaluation.run.slices import SliceResult
from framelens_evaluation.statistics.bootstrap import Interval
from framelens_evaluation.statistics.conformal import Conformal
from framelens_evaluation.statistics.scores import Scores

__all__ = [
    "DataSummary",
    "Details",
    "Difference",
    "EvidenceScores",
    "Report",
    "Scope",
    "Subset",
    "SubsetResult",
    "SystemResult",
]

#: Parts of the data that are scored on their own; ``reweighted`` is all of it, each sentence counted by
#: the inverse of its inclusion probability.
Subset = Literal["all", "natural", "reweighted", "seen outlets", "unseen outlets"]


class DataSummary(Part):
    """A file of gold sentences.

    Attributes:
        name: its path as given.
        sha256: digest of its bytes.
        n_labelled: sentences with a label; all scores but the scope's are on these.
        n_out_of_scope: sentences judged not applicable.
        n_articles: articles of the labelled sentences.
        n_by_label: labelled sentences by label.
    """

    name: str
    sha256: str
    n_labelled: int
    n_out_of_scope: int
    n_articles: int
    n_by_label: dict[Label, int]


class SubsetResult(Scores):
    """Scores on some of the labelled sentences."""

    subset: Subset


class SystemResult(Part):
    """One system on every subset.

    Attributes:
        name: unique in its report.
        reads: what it sees of a sentence.
        digest: SHA-256 of the model or file; None for what was fitted in the run.
        subsets: in one order for every system; the first is ``all``.
        confusion: on ``all``: gold by given, the last column "no label"; ordered as `LABELS`.
    """

    name: str
    reads: str
    digest: str | None
    subsets: tuple[SubsetResult, ...]
    confusion: tuple[tuple[int, ...], ...]


class EvidenceScores(Part):
    """Evidence beside the judges' cue, in words; see `framelens_evaluation.statistics.words.word_counts`.

    Attributes:
        n_with_cue: labelled sentences with a gold cue; precision, recall and F1 are micro over them.
        n_without_cue: sentences of independent reporting, which have no cue.
        shown_without_cue: share of the latter on which evidence is shown at all.
    """

    n_with_cue: int
    precision: Interval
    recall: Interval
    f1: Interval
    n_without_cue: int
    shown_without_cue: Interval


class Scope(Part):
    """A system's refusals beside the judges' "not applicable".

    Attributes:
        n_out: gold rows judged not applicable.
        n_labelled: gold rows with a label.
        caught: of ``n_out``, those refused.
        refused: of ``n_labelled``, those refused.
        precision: share of the refused that were judged not applicable; None where none was refused.
        recall: share of ``n_out`` that were refused; None where there are none.
        macro_f1_forced: on all labelled sentences, if each had to get its most probable label.
    """

    n_out: int
    n_labelled: int
    caught: int
    refused: int
    precision: float | None
    recall: float | None
    macro_f1_forced: Interval


class Details(Part):
    """What is measured of the first system alone.

    Attributes:
        scope: its refusals.
        evidence: beside the judges' cues; None for a system that shows none.
        faithfulness: whether the evidence is what decides; None likewise, and where it cannot be asked again.
        conformal: sets of labels with a promised coverage; None without probabilities.
        n_mistakes: labelled sentences that got a wrong label.
        confidence_on_mistakes: mean probability of the label given on these; None where there are none.
        slices: worst first.
    """

    scope: Scope
    evidence: EvidenceScores | None
    faithfulness: Faithfulness | None
    conformal: Conformal | None
    n_mistakes: int
    confidence_on_mistakes: float | None
    slices: tuple[SliceResult, ...]


class Difference(Part):
    """Macro-F1 of one system minus another's, on the same resamples."""

    system: str
    other: str
    subset: Subset
    macro_f1: Interval
    in_words: str


class Report(Part):
    """A run.

    Attributes:
        provenance: what made it.
        note: what the caller says about the data, such as who judged it.
        data: what was measured on.
        train: what the baselines were fitted on; None where nothing was given.
        shared_articles: articles that stand in both data and train; 0 is what makes the scores honest.
            None without train.
        shared_sentences: labelled sentences of the data that stand in train too, but for case and
            everything that is no letter or digit. None without train.
        left_out: baselines that were not measured, and why.
        model_digest: of the first system; None where it has none.
        model_context_sentences: how many sentences before a sentence the first system was made to read;
            None where it is no framelens model.
        judge_ceiling: macro-F1 of one judge scored against another, from `framelens-eval agreement`;
            None where it was not given.
        systems: the measured ones first, then the baselines.
        differences: of every measured system to every system after it.
        details: of the first system.
    """

    schema_version: Literal[2] = 2
    provenance: Provenance
    note: str | None
    data: DataSummary
    train: DataSummary | None
    shared_articles: int | None
    shared_sentences: int | None
    left_out: tuple[str, ...]
    model_digest: str | None
    model_context_sentences: int | None
    judge_ceiling: Interval | None
    systems: tuple[SystemResult, ...]
    differences: tuple[Difference, ...]
    details: Details
