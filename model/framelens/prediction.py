"""What labelling gives: small frozen values with nothing of the model in them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from framelens.errors import InputError
from framelens.labels import LABELS, CueKind, Label

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Evidence", "LabelledDocument", "LabelledSentence", "Prediction", "Profile", "Status"]


class Status(StrEnum):
    """Whether a text was labelled, and if not, why."""

    OK = "ok"
    EMPTY = "empty"
    ERROR = "error"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span of the text that speaks for a label.

    Attributes:
        start: offset of its first character in the text.
        end: offset behind its last character.
        kind: what it speaks for.
        score: mean over the span's tokens of the probability of each one's likelier cue, in [0, 1].
    """

    start: int
    end: int
    kind: CueKind
    score: float

    def to_dict(self) -> dict[str, Any]:
        """The span as plain JSON types."""
        return {"start": self.start, "end": self.end, "kind": str(self.kind), "score": round(self.score, 4)}


@dataclass(frozen=True, slots=True)
class Prediction:
    """The label of one sentence.

    Attributes:
        text: the sentence as it was given; empty where the input was no text.
        label: the most probable label; None unless ``status`` is ``ok``.
        probabilities: calibrated probability of every label, in the order of `LABELS`; empty unless
            ``status`` is ``ok``.
        evidence: spans of ``text``, in order of their start; they do not overlap.
        status: whether the text was labelled, and if not, why.
        error: what was wrong with the input, where ``status`` is ``error``.
        truncated: whether the sentence was longer than the model reads and its end was cut off.
        abstained: whether the label's probability is below ``abstain_below``.
        abstain_below: the threshold, in [0, 1]; 0 never abstains.
    """

    text: str
    label: Label | None
    probabilities: Mapping[Label, float] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    status: Status = Status.OK
    error: str | None = None
    truncated: bool = False
    abstain_below: float = 0.0

    @property
    def probability(self) -> float:
        """Probability of the label; NaN where there is none."""
        return float("nan") if self.label is None else self.probabilities[self.label]

    @property
    def abstained(self) -> bool:
        """Whether the label is too uncertain for the threshold; False where there is no label."""
        return self.label is not None and self.probability < self.abstain_below

    def with_threshold(self, abstain_below: float) -> Prediction:
        """The same prediction under another abstention threshold, without running the model again.

        Args:
            abstain_below: in [0, 1].

        Raises:
            InputError: the threshold is outside [0, 1].
        """
        return replace(self, abstain_below=check_threshold(abstain_below))

    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain JSON types; probabilities are null where there is no label."""
        return {
            "text": self.text,
            "label": None if self.label is None else str(self.label),
            "probabilities": {str(label): self.probabilities.get(label) for label in LABELS},
            "evidence": [span.to_dict() for span in self.evidence],
            "status": str(self.status),
            "error": self.error,
            "truncated": self.truncated,
            "abstained": self.abstained,
        }


@dataclass(frozen=True, slots=True)
class LabelledSentence:
    """A sentence of a document.

    Attributes:
        index: its place among the document's sentences, from 0.
        start: offset of its first character in the document.
        end: offset behind its last character.
        prediction: its label; evidence offsets count from ``start``.
    """

    index: int
    start: int
    end: int
    prediction: Prediction

    @property
    def text(self) -> str:
        """The sentence itself."""
        return self.prediction.text

    @property
    def label(self) -> Label | None:
        """Its label; None where it has none."""
        return self.prediction.label

    def to_dict(self) -> dict[str, Any]:
        """The sentence as plain JSON types."""
        return {"index": self.index, "start": self.start, "end": self.end, **self.prediction.to_dict()}


@dataclass(frozen=True, slots=True)
class Profile:
    """How a document's sentences are distributed over the labels.

    A share is a plain count and carries the classifier's errors; it describes this document and
    estimates nothing beyond it.

    Attributes:
        n_sentences: all sentences, labelled or not.
        counts: labelled sentences by label, abstentions included.
        n_abstained: labelled sentences whose probability is below the threshold.
        n_unlabelled: sentences that are fragments, bylines, captions, empty or unreadable.
    """

    n_sentences: int
    counts: Mapping[Label, int]
    n_abstained: int
    n_unlabelled: int

    @property
    def shares(self) -> dict[Label, float]:
        """Share of each label among the labelled sentences; empty where none is labelled."""
        total = sum(self.counts.values())
        return {label: self.counts[label] / total for label in LABELS} if total else {}

    def to_dict(self) -> dict[str, Any]:
        """The profile as plain JSON types."""
        return {
            "n_sentences": self.n_sentences,
            "counts": {str(label): self.counts[label] for label in LABELS},
            "shares": {str(label): share for label, share in self.shares.items()},
            "n_abstained": self.n_abstained,
            "n_unlabelled": self.n_unlabelled,
        }


@dataclass(frozen=True, slots=True)
class LabelledDocument:
    """A document and its labelled sentences.

    Attributes:
        text: the document as it was given; ``text[s.start:s.end]`` is sentence ``s``.
        sentences: in the order of the text.
    """

    text: str
    sentences: tuple[LabelledSentence, ...]

    @property
    def profile(self) -> Profile:
        """Counts and shares of the labels."""
        found = [sentence.prediction for sentence in self.sentences]
        counts = {label: sum(p.label is label for p in found) for label in LABELS}
        return Profile(
            n_sentences=len(found),
            counts=counts,
            n_abstained=sum(p.abstained for p in found),
            n_unlabelled=sum(p.label is None for p in found),
        )

    def with_threshold(self, abstain_below: float) -> LabelledDocument:
        """The same document under another abstention threshold, without running the model again.

        Raises:
            InputError: the threshold is outside [0, 1].
        """
        moved = (
            replace(sentence, prediction=sentence.prediction.with_threshold(abstain_below))
            for sentence in self.sentences
        )
        return replace(self, sentences=tuple(moved))

    def to_dict(self) -> dict[str, Any]:
        """The document as plain JSON types."""
        return {
            "sentences": [sentence.to_dict() for sentence in self.sentences],
            "profile": self.profile.to_dict(),
        }


def check_threshold(abstain_below: float) -> float:
    """The threshold itself.

    Raises:
        InputError: it is outside [0, 1].
    """
    if not 0.0 <= abstain_below <= 1.0:
        raise InputError(f"abstain_below must be between 0 and 1, got {abstain_below}")
    return float(abstain_below)
