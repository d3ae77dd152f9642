"""From the cue tagger's probabilities to spans of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from framelens.labels import CUE_KINDS
from framelens.prediction import Evidence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens.arrays import FloatArray

__all__ = ["evidence_spans"]

#: A span grows over tokens that reach this share of the threshold.
GROWTH = 0.5


def evidence_spans(
    text: str, tokens: Sequence[tuple[int, int, int]], cue_probabilities: FloatArray, threshold: float
) -> tuple[Evidence, ...]:
    """Spans around tokens that reach the threshold, grown to whole words and joined across one character.

    A span holds neighbouring tokens that reach half the threshold, and is kept if one of them reaches
    all of it: one threshold alone gives scattered single words.

    Args:
        text: the sentence.
        tokens: (position, start, end) of each token of the sentence, in order.
        cue_probabilities: (n_tokens, n_cues + 1), rows summing to 1.
        threshold: least probability of the best cue of a span's surest token, in [0, 1].

    Returns:
        Spans in order, without overlap.
    """
    best = cue_probabilities[:, 1:].argmax(-1)
    scores = cue_probabilities[:, 1:].max(-1)
    if scores.size == 0 or scores.max() < threshold:
        return ()
    runs: list[tuple[int, int, int, list[float]]] = []
    for position, start, end in tokens:
        if scores[position] < threshold * GROWTH or start == end:
            continue
        kind, score = int(best[position]), float(scores[position])
        start, end = _whole_words(text, start, end)
        if runs and start <= runs[-1][1]:
            # Pieces of one word, or the same span twice: the first kind stands.
            first, last, known, found = runs[-1]
            runs[-1] = (first, max(last, end), known, [*found, score])
        elif runs and runs[-1][2] == kind and start - runs[-1][1] <= 1:
            first, _, _, found = runs[-1]
            runs[-1] = (first, end, kind, [*found, score])
        else:
            runs.append((start, end, kind, [score]))
    return tuple(
        Evidence(start, end, CUE_KINDS[kind], float(np.mean(found)))
        for start, end, kind, found in runs
        if max(found) >= threshold
    )


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    if text[start].isalnum():
        while start > 0 and text[start - 1].isalnum():
            start -= 1
    if text[end - 1].isalnum():
        while end < len(text) and text[end].isalnum():
            end += 1
    return start, end
