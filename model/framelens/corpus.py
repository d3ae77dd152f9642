"""Labelling records: articles into sentences, or the rows of a table one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from framelens.labels import LABELS
from framelens.prediction import LabelledDocument, LabelledSentence, Prediction, Profile, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from framelens.classifier import FramingClassifier
    from framelens.readers import Record

__all__ = ["Counts", "LabelledRecord", "Unit", "label_records"]

Unit = Literal["sentence", "document"]
#: A document has a few dozen sentences: so many of them, at least, fill a window of sentences.
_SENTENCES_OF_DOCUMENT = 8


@dataclass(frozen=True, slots=True)
class LabelledRecord:
    """A record and its labelled sentences; there is at least one, so that no record is lost.

    Attributes:
        record: what was read.
        document: what was found.
        unit: whether the record was taken as one sentence or was split.
    """

    record: Record
    document: LabelledDocument
    unit: Unit


@dataclass
class Counts:
    """What a run has met so far: the numbers of its manifest."""

    records: int = 0
    sentences: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    truncated: int = 0
    abstained: int = 0

    @property
    def profile(self) -> Profile:
        """How all the sentences so far are distributed over the labels."""
        counts = {label: self.labels[str(label)] for label in LABELS}
        n_unlabelled = self.sentences - sum(counts.values())
        return Profile(self.sentences, counts, n_abstained=self.abstained, n_unlabelled=n_unlabelled)

    def to_dict(self) -> dict[str, Any]:
        """The numbers as plain JSON types."""
        return {
            "records": self.records,
            "sentences": self.sentences,
            "labels": {str(label): self.labels[str(label)] for label in LABELS},
            "statuses": dict(sorted(self.statuses.items())),
            "truncated": self.truncated,
            "abstained": self.abstained,
        }

    def add_counts(self, counts: Mapping[str, Any]) -> None:
        """Add numbers of `to_dict`."""
        self.records += counts["records"]
        self.sentences += counts["sentences"]
        self.labels.update(counts["labels"])
        self.statuses.update(counts["statuses"])
        self.truncated += counts["truncated"]
        self.abstained += counts["abstained"]

    def add(self, labelled: LabelledRecord) -> None:
        """Count one record."""
        self.records += 1
        for sentence in labelled.document.sentences:
            prediction = sentence.prediction
            self.sentences += 1
            self.statuses[str(prediction.status)] += 1
            self.truncated += prediction.truncated
            self.abstained += prediction.abstained
            if prediction.label is not None:
                self.labels[str(prediction.label)] += 1


def label_records(
    classifier: FramingClassifier, records: Iterable[Record], unit: Unit
) -> Iterator[LabelledRecord]:
    """Label records in their order, reading a bounded number ahead.

    Args:
        classifier: what labels.
        records: from `framelens.readers.read_records`.
        unit: ``document`` splits each record's text into sentences; ``sentence`` takes it as one,
            with the record's context where it has one.

    Yields:
        One labelled record a record. A record without usable text has one sentence, of the
        status ``error`` or ``empty``.
    """
    remaining = iter(records)
    ahead = classifier.lookahead
    if unit == "document":
        ahead = max(1, ahead // _SENTENCES_OF_DOCUMENT)
    while window := list(islice(remaining, ahead)):
        label = _as_sentences if unit == "sentence" else _as_documents
        yield from label(classifier, window)


def _as_sentences(classifier: FramingClassifier, window: list[Record]) -> Iterator[LabelledRecord]:
    usable = [record for record in window if record.error is None]
    found = classifier.label_many((r.text for r in usable), (r.context for r in usable))
    for record in window:
        prediction = next(found) if record.error is None else _failed(record)
        yield LabelledRecord(record, _single(record, prediction), "sentence")


def _as_documents(classifier: FramingClassifier, window: list[Record]) -> Iterator[LabelledRecord]:
    found = classifier.label_documents(record.text for record in window if record.error is None)
    for record in window:
        if record.error is not None:
            yield LabelledRecord(record, _single(record, _failed(record)), "document")
            continue
        document = next(found)
        if not document.sentences:
            document = _single(record, Prediction(record.text, None, status=Status.EMPTY))
        yield LabelledRecord(record, document, "document")


def _failed(record: Record) -> Prediction:
    return Prediction(record.text, None, status=Status.ERROR, error=record.error)


def _single(record: Record, prediction: Prediction) -> LabelledDocument:
    return LabelledDocument(record.text, (LabelledSentence(0, 0, len(record.text), prediction),))
