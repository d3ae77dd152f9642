"""A bounded memory of what was labelled last, so that an equal sentence is not labelled again."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from framelens.prediction import Prediction

__all__ = ["Pair", "PredictionCache"]

#: A sentence and what stands before it.
Pair = tuple[str, str | None]
#: What an entry takes beside its strings: the prediction, its probabilities, and the place in the table.
_OVERHEAD = 900
#: What a span of evidence takes.
_SPAN = 200


class PredictionCache:
    """Predictions by (sentence, context); the least recently used are forgotten first.

    Args:
        limit: bytes that the entries take, about; 0 keeps nothing.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._entries: OrderedDict[Pair, Prediction] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, pair: Pair) -> Prediction | None:
        """The prediction of an equal pair, if it is remembered."""
        found = self._entries.get(pair)
        if found is not None:
            self._entries.move_to_end(pair)
        return found

    def put(self, pair: Pair, prediction: Prediction) -> None:
        """Remember a pair that is not yet remembered."""
        size = _size(pair, prediction)
        if size > self._limit:
            return
        self._entries[pair] = prediction
        self._size += size
        while self._size > self._limit:
            self._size -= _size(*self._entries.popitem(last=False))

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._size = 0


def _size(pair: Pair, prediction: Prediction) -> int:
    text, context = pair
    return sys.getsizeof(text) + sys.getsizeof(context) + _OVERHEAD + _SPAN * len(prediction.evidence)
