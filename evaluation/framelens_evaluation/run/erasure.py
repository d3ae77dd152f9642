"""Taking words of a sentence away: the evidence, or random words like it.

A word is a run of characters other than white space, as in `framelens_evaluation.statistics.words`; it is
in a span if one of its characters is. Words are deleted and the others joined by spaces, which asks nothing
of a system but to read text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from framelens import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

__all__ = ["kept_words", "random_runs", "words_in_spans"]

_WORD = re.compile(r"\S+")


def words_in_spans(
    text: str, spans: Sequence[tuple[int, int]]
) -> tuple[tuple[str, ...], npt.NDArray[np.bool_]]:
    """The words of a text, and which of them are in a span.

    Args:
        text: the sentence.
        spans: [start, end) characters.

    Returns:
        n_words words, and an array of shape (n_words,).

    Raises:
        InputError: a span lies outside the text.
    """
    for start, end in spans:
        if not 0 <= start <= end <= len(text):
            raise InputError(
                f"expected evidence within the text's {len(text)} characters, got [{start}, {end})"
            )
    found = list(_WORD.finditer(text))
    inside = [any(word.start() < end and start < word.end() for start, end in spans) for word in found]
    return tuple(word.group() for word in found), np.array(inside, dtype=bool)


def kept_words(words: Sequence[str], kept: npt.NDArray[np.bool_]) -> str:
    """Some of the words, joined by spaces.

    Args:
        words: n_words words.
        kept: shape (n_words,).
    """
    return " ".join(word for word, keep in zip(words, kept, strict=True) if keep)


def random_runs(inside: npt.NDArray[np.bool_], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Other words instead: as many, in as many runs of the same lengths, anywhere in the sentence.

    Every choice of places and every order of the runs is equally likely; the given one is among them.

    Args:
        inside: shape (n_words,).
        rng: the only source of randomness.

    Returns:
        The same shape.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inside.astype(np.int8), [0]])))
    lengths = rng.permutation(edges[1::2] - edges[::2])
    n_others = len(inside) - int(inside.sum())
    # Runs stay apart if at most one stands before, between or behind the other words.
    places = np.sort(rng.choice(n_others + 1, size=len(lengths), replace=False))
    drawn = np.zeros(len(inside), dtype=bool)
    taken = 0
    for place, length in zip(places, lengths, strict=True):
        drawn[place + taken : place + taken + length] = True
        taken += length
    return drawn
