"""Asking a system each sentence once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from framelens import LABELS, Label
from framelens_evaluation.statistics.metrics import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from framelens_evaluation.inputs.systems import System
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["Answered", "Question", "ask", "label_of"]

#: Sentences between two words of progress.
_STEP: Final = 1000


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence of the audit; it has nothing before it."""

    text: str
    context: str = ""
    id: str | None = None


@dataclass(frozen=True, eq=False)
class Answered:
    """What a system said of each sentence.

    Attributes:
        places: row of each sentence in the arrays.
        given: shape (n_sentences,), places in `LABELS`; `NO_LABEL` where it gave no label.
        probabilities: shape (n_sentences, n_labels), NaN where it gave none.
    """

    places: dict[str, int]
    given: IntArray
    probabilities: FloatArray

    def labels(self, texts: Sequence[str]) -> IntArray:
        """Labels of sentences, in their order: shape (len(texts),)."""
        return self.given[self._rows(texts)]

    def scores(self, texts: Sequence[str]) -> FloatArray:
        """Probabilities of sentences, in their order: shape (len(texts), n_labels)."""
        return self.probabilities[self._rows(texts)]

    def _rows(self, texts: Sequence[str]) -> IntArray:
        return np.fromiter((self.places[text] for text in texts), np.int64, len(texts))


def ask(system: System, texts: Iterable[str], progress: Callable[[str], None]) -> Answered:
    """Label every different sentence once.

    Raises:
        InputError: the system cannot answer for one of them.
    """
    places = {text: at for at, text in enumerate(dict.fromkeys(texts))}
    questions = [Question(text) for text in places]
    given = np.full(len(questions), NO_LABEL, dtype=np.int64)
    probabilities = np.full((len(questions), len(LABELS)), np.nan)
    for first in range(0, len(questions), _STEP):
        progress(f"asking {system.name}: {first:,} of {len(questions):,} sentences")
        part = slice(first, first + _STEP)
        answers = system.answer(questions[part])
        given[part], probabilities[part] = answers.given, answers.probabilities
    return Answered(places, given, probabilities)


def label_of(code: int) -> Label | None:
    """A label by its place; None for `NO_LABEL`."""
    return None if code == NO_LABEL else LABELS[code]
