"""What a run gives: typed, written as ``report.json`` and, for reading, as ``report.md``."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from framelens import InputError, Label
from framelens_evaluation.bootstrap import Interval
from framelens_evaluation.provenance import Machine, Part

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Calibration",
    "DataSummary",
    "Difference",
    "EvidenceScores",
    "LabelResult",
    "ModelDetails",
    "Report",
    "Scope",
    "Subset",
    "SubsetResult",
    "SystemResult",
    "write_report",
]

Subset = Literal["all", "natural", "seen outlets", "unseen outlets"]


class DataSummary(Part):
    """A file of gold sentences.

    Attributes:
        name: its path as given.
        sha256: digest of its bytes.
        n_labelled: sentences with a label; all scores but the scope's are on these.
        n_out_of_scope: sentences judged not applicable.
        n_articles: articles of the labelled sentences.
    """

    name: str
    sha256: str
    n_labelled: int
    n_out_of_scope: int
    n_articles: int


class LabelResult(Part):
    """Scores of one label; a value is None where the label does not occur, or was never given."""

    label: Label
    n_gold: int
    precision: Interval
    recall: Interval
    f1: Interval


class SubsetResult(Part):
    """Scores on some of the labelled sentences; macro-F1 is over the labels that occur in gold."""

    subset: Subset
    n_sentences: int
    n_articles: int
    n_refused: int
    macro_f1: Interval
    accuracy: Interval
    labels: tuple[LabelResult, ...]


class EvidenceScores(Part):
    """Evidence beside the judges' cue, in words; see `framelens_evaluation.words.word_counts`.

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


class Calibration(Part):
    """Confidence, that is the largest probability, beside being right, on every labelled sentence.

    Attributes:
        n_bins: bins of equal mass behind ``ece``.
        ece: see `framelens_evaluation.metrics.expected_calibration_error`.
        n_mistakes: sentences whose most probable label is not the gold one.
        confidence_on_mistakes: mean over these; None where there are none.
    """

    n_bins: int
    ece: float | None
    n_mistakes: int
    confidence_on_mistakes: float | None


class Scope(Part):
    """The status ``not_applicable`` beside the judges' "not applicable".

    Attributes:
        n_out: gold rows judged not applicable.
        n_labelled: gold rows with a label.
        caught: of ``n_out``, those with the status.
        refused: of ``n_labelled``, those with the status.
        macro_f1_forced: on all labelled sentences, if each had to get its most probable label.
    """

    n_out: int
    n_labelled: int
    caught: int
    refused: int
    precision: float | None
    recall: float | None
    macro_f1_forced: Interval


class ModelDetails(Part):
    """What only our model gives."""

    evidence: EvidenceScores
    calibration: Calibration
    scope: Scope


class SystemResult(Part):
    """One system on every subset."""

    name: str
    reads: str
    subsets: tuple[SubsetResult, ...]
    details: ModelDetails | None = None


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
        command: how it was called; None from Python.
        note: what the caller says about the data, such as who judged it.
        shared_articles: articles that stand in both data and train; 0 is what makes the scores honest.
            None without train.
        model_digest: None where the model has none, or where there was no model.
        model_context_sentences: how many sentences before a sentence the model was made to read. With
            0, its scores with context are those of a use that it was not made for. None as above.
        seconds: wall time.
    """

    schema_version: Literal[1] = 1
    created: datetime
    seconds: float
    command: str | None
    note: str | None
    seed: int
    n_resamples: int
    data: DataSummary
    train: DataSummary | None
    shared_articles: int | None
    model_digest: str | None
    model_context_sentences: int | None
    versions: dict[str, str | None]
    machine: Machine
    systems: tuple[SystemResult, ...]
    differences: tuple[Difference, ...]


def write_report(report: Report, folder: Path) -> Path:
    """Write ``report.json`` and ``report.md`` into a folder, which is made if need be.

    Returns:
        The path of ``report.md``.

    Raises:
        InputError: the folder cannot be written.
    """
    from framelens_evaluation.run_document import render

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.json").write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
        readable = folder / "report.md"
        readable.write_text(render(report), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the report into {folder}: {error.strerror}") from error
    return readable
