"""What the page of a corpus is made of: typed, written as ``report.json``."""

from __future__ import annotations

from typing import Literal

from framelens import Label
from framelens_evaluation.corpus.source import Over
from framelens_evaluation.reporting.provenance import Part, Provenance
from framelens_evaluation.statistics.bootstrap import Interval

__all__ = [
    "CorpusReport",
    "Counts",
    "Cue",
    "DistinctCue",
    "ErrorCount",
    "Group",
    "GroupedPeriods",
    "LabelShare",
    "ManifestSummary",
    "Overall",
    "Period",
    "Timeline",
]


class Counts(Part):
    """What the files hold.

    Attributes:
        rows: of all files.
        labelled: rows with a label, abstentions included; shares are of these.
        documents: clusters of all rows; None where no column names them.
        statuses: rows by status, as written.
        truncated: rows whose end was cut off before labelling.
        abstained: labelled rows below the threshold of ``framelens label``.
        foreign_labels: rows with a label that is not one of the three; counted as not labelled.
    """

    rows: int
    labelled: int
    documents: int | None
    statuses: dict[str, int]
    truncated: int
    abstained: int
    foreign_labels: int


class LabelShare(Part):
    """One label over the whole corpus.

    Attributes:
        label: its name.
        n: sentences with it.
        share: of the labelled sentences, with its 95 % interval over documents.
        design_effect: variance of the share over that of independent sentences; None where undefined.
        mean_probability: mean of the label's probability over all labelled sentences; None without any.
        confidence: sentences with it by probability of the label, in the bins of `Overall`; None likewise.
    """

    label: Label
    n: int
    share: Interval
    design_effect: float | None
    mean_probability: float | None
    confidence: tuple[int, ...] | None


class Overall(Part):
    """The whole corpus.

    Attributes:
        documents: with at least one labelled sentence; what the intervals resample in thought.
        labels: in the order of `LABELS`.
        confidence_edges: ends of the bins of confidence, one more than bins.
    """

    documents: int
    labels: tuple[LabelShare, ...]
    confidence_edges: tuple[float, ...]


class Group(Part):
    """One group of sentences.

    Attributes:
        names: values of the columns grouped by, in their order; None where a value is missing.
        documents: with at least one labelled sentence.
        sentences: with a label.
        shares: in the order of `LABELS`.
    """

    names: tuple[str | None, ...]
    documents: int
    sentences: int
    shares: tuple[Interval, ...]


class Period(Part):
    """One period.

    Attributes:
        start: its first day, as ISO 8601.
        documents: with at least one labelled sentence.
        sentences: with a label.
        shares: in the order of `LABELS`.
    """

    start: str
    documents: int
    sentences: int
    shares: tuple[Interval, ...]


class GroupedPeriods(Part):
    """The time line of one group."""

    names: tuple[str | None, ...]
    periods: tuple[Period, ...]


class Timeline(Part):
    """Shares over time.

    Attributes:
        asked: length of a period, as asked for; ``tables/periods.csv`` has these.
        over: length of a period here, which is longer where the former gives more than 400.
        column: where the dates come from.
        periods: that hold labelled sentences, in order.
        groups: the same for the largest groups.
        n_left_out: labelled sentences with a stray date far before or after all others.
        without_date: rows whose date is missing.
        unreadable: rows whose date could not be read.
        examples: some dates that could not be read, most frequent first.
    """

    asked: Over
    over: Over
    column: str
    periods: tuple[Period, ...]
    groups: tuple[GroupedPeriods, ...]
    n_left_out: int
    without_date: int
    unreadable: int
    examples: tuple[str, ...]


class Cue(Part):
    """A phrase that was shown as evidence.

    Attributes:
        kind: what it speaks for.
        cue: in lower case, without punctuation at its ends.
        n: how often it was shown.
        documents: in how many of them.
    """

    kind: str
    cue: str
    n: int
    documents: int


class DistinctCue(Part):
    """A cue that one group uses more than the others do.

    Attributes:
        names: of the group.
        kind, cue: see `Cue`.
        documents: of the group that hold it.
        documents_elsewhere: of all other groups.
        z: log-odds ratio over its standard error (Monroe et al. 2008).
    """

    names: tuple[str | None, ...]
    kind: str
    cue: str
    documents: int
    documents_elsewhere: int
    z: float


class ErrorCount(Part):
    """A message of ``framelens label`` and how many rows have it."""

    message: str
    n: int


class ManifestSummary(Part):
    """What ``framelens label`` noted beside a file; None for what it did not."""

    name: str
    model: str | None
    model_digest: str | None
    version: str | None
    precision: str | None
    abstain_below: float | None
    sentences: int | None


class CorpusReport(Part):
    """A labelled corpus in figures; it holds no sentence.

    Attributes:
        manifest_rows: sentences that they count; None unless every file has one that does.
        by: columns grouped by.
        n_groups: how many groups there are.
        groups: the largest, by labelled sentences; all of them are in ``tables/groups.csv``.
        cues: the most frequent of each kind that stand in at least two documents; None without evidence.
        cue_documents: documents with at least one cue.
        n_sampled: sentences shown on the page.
    """

    schema_version: Literal[1] = 1
    provenance: Provenance
    title: str
    manifests: tuple[ManifestSummary, ...]
    manifest_rows: int | None
    counts: Counts
    overall: Overall
    by: tuple[str, ...]
    n_groups: int
    groups: tuple[Group, ...]
    timeline: Timeline | None
    cues: tuple[Cue, ...] | None
    cue_documents: int
    distinct_cues: tuple[DistinctCue, ...]
    errors: tuple[ErrorCount, ...]
    n_error_messages: int
    n_sampled: int
