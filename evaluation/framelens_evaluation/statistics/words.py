"""Agreement of two sets of spans, counted in words.

A word is a longest run of characters other than white space (``\\S+``), punctuation included. It is
in a set of spans if at least one of its characters is. Counted over sentences, this gives the
token-level precision, recall and F1 of DeYoung et al. 2020 (ERASER, agreement with human
rationales), with two choices made here: tokens are words, so that no model's tokeniser matters, and
counts are summed over sentences before a ratio is taken (micro), so that they can be added and resampled.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import InputError
from framelens_evaluation.statistics.metrics import ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["word_counts", "word_f1", "word_precision", "word_recall"]

_WORD = re.compile(r"\S+")


def word_counts(
    texts: Sequence[str],
    shown: Sequence[Sequence[tuple[int, int]]],
    gold: Sequence[Sequence[tuple[int, int]]],
) -> IntArray:
    """Words in the spans shown and in the gold spans, sentence by sentence.

    See the module for what a word is and when it is in a span.

    Args:
        texts: n_sentences texts.
        shown: for each, [start, end) character offsets of the spans to be measured.
        gold: for each, those of the gold spans.

    Returns:
        Shape (n_sentences, 3): words in both, words shown, words in gold.

    Raises:
        InputError: the three differ in length, or a span lies outside its text.
    """
    if not len(texts) == len(shown) == len(gold):
        raise InputError(
            f"texts and spans must be of one length, got {len(texts)}, {len(shown)} and {len(gold)}"
        )
    # One long text, so that the work is done on arrays; the separator keeps words of neighbours apart.
    starts = np.cumsum([0, *(len(text) + 1 for text in texts)])
    n_characters = int(starts[-1])
    words = np.array([m.span() for m in _WORD.finditer("\n".join(texts))], dtype=np.int64).reshape(-1, 2)
    sentence = np.searchsorted(starts, words[:, 0], side="right") - 1
    in_shown = _touches(words, _flatten(texts, shown, starts), n_characters)
    in_gold = _touches(words, _flatten(texts, gold, starts), n_characters)
    columns = (in_shown & in_gold, in_shown, in_gold)
    counted = [np.bincount(sentence[column], minlength=len(texts)) for column in columns]
    return np.stack(counted, axis=1).astype(np.int64)


def _flatten(texts: Sequence[str], spans: Sequence[Sequence[tuple[int, int]]], starts: IntArray) -> IntArray:
    """Spans as offsets in the joined text, shape (n_spans, 2)."""
    rows = [
        (i, start, end) for i, (_, found) in enumerate(zip(texts, spans, strict=True)) for start, end in found
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    lengths = np.diff(starts) - 1
    wrong = (table[:, 1] < 0) | (table[:, 2] < table[:, 1]) | (table[:, 2] > lengths[table[:, 0]])
    if wrong.any():
        i, start, end = table[wrong.argmax()]
        raise InputError(f"sentence {i} has {lengths[i]} characters, got the span [{start}, {end})")
    return table[:, 1:] + starts[table[:, 0]][:, None]


def _touches(words: IntArray, spans: IntArray, n_characters: int) -> npt.NDArray[np.bool_]:
    """Whether each word has a character in a span."""
    edges = np.bincount(spans[:, 0], minlength=n_characters + 1)
    edges = edges - np.bincount(spans[:, 1], minlength=n_characters + 1)
    covered = np.concatenate([[0], np.cumsum(np.cumsum(edges) > 0)])
    touched: npt.NDArray[np.bool_] = covered[words[:, 1]] > covered[words[:, 0]]
    return touched


def word_precision(counts: npt.NDArray[Any]) -> FloatArray:
    """Share of the words shown that are gold; (..., 3) of `word_counts` to (...,), NaN for none shown."""
    return ratio(counts[..., 0], counts[..., 1])


def word_recall(counts: npt.NDArray[Any]) -> FloatArray:
    """Share of the gold words that are shown; (..., 3) of `word_counts` to (...,), NaN for none in gold."""
    return ratio(counts[..., 0], counts[..., 2])


def word_f1(counts: npt.NDArray[Any]) -> FloatArray:
    """Twice the words in both over shown plus gold; (..., 3) to (...,), NaN for none in gold."""
    gold = counts[..., 2]
    return ratio(2 * counts[..., 0], np.where(gold > 0, gold + counts[..., 1], 0))
