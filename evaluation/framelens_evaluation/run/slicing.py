"""What an evaluation's data are sliced by."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from framelens.sentences import NewsSplitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from framelens_evaluation.inputs.dataset import GoldSentence

__all__ = ["DIMENSIONS", "Slice", "has_quotation", "slices_of"]

_YEAR = re.compile(r"\d{4}(?!\d)")
#: Upper bounds of the bins of length, in words; fixed, so that reports on other data have the same bins.
_LENGTHS = (10, 20, 30, 40)
_DOUBLE_QUOTE = re.compile(r"[“”„«»]|(?<!\d)\"|\"\w")
# A quotation in single marks opens before a word and closes behind one, and may have apostrophes within
# words; an apostrophe that opens a word belongs to a few of them.
_SINGLE_QUOTED = re.compile(
    r"(?<![\w’'])['‘](?!(?:\d\ds?|em|tis|twas|n|cause)\b)(?=\w)"
    r"(?:[^'’‘]|(?<=\w)['’](?=\w))*?[\w.,!?…]['’](?!\w)"
)
_MOST_CONTEXT = 3


class Slice(NamedTuple):
    """Some of the sentences.

    Attributes:
        dimension: what the data were sliced by, one of `DIMENSIONS`.
        value: which slice.
        mask: shape (n_sentences,), the sentences in it.
    """

    dimension: str
    value: str
    mask: npt.NDArray[np.bool_]

    @property
    def name(self) -> str:
        """Dimension and value."""
        return f"{self.dimension}: {self.value}"


def has_quotation(text: str) -> bool:
    """Whether quotation marks stand in a sentence; apostrophes and the sign of inches do not count.

    One mark is enough, since a quotation can begin or end in another sentence; of single marks, which
    look like apostrophes, a pair around words is needed.
    """
    return bool(_DOUBLE_QUOTE.search(text) or _SINGLE_QUOTED.search(text))


def _year(row: GoldSentence) -> str | None:
    found = _YEAR.match(row.date or "")
    return found.group() if found else None


def _length(row: GoldSentence) -> str:
    n = len(row.text.split())
    low = 1
    for high in _LENGTHS:
        if n <= high:
            return f"{low} to {high} words"
        low = high + 1
    return f"{low} or more words"


@cache
def _splitter() -> NewsSplitter:
    return NewsSplitter()


def _context(row: GoldSentence) -> str:
    n = len(_splitter().spans(row.context)) if row.context.strip() else 0
    if n >= _MOST_CONTEXT:
        return f"{_MOST_CONTEXT} or more sentences before"
    return ("no sentence before", "1 sentence before", "2 sentences before")[n]


_SURE = {1: "sure", 0: "not sure", None: None}
_VALUES: Final[dict[str, Callable[[GoldSentence], str | None]]] = {
    "outlet": lambda row: row.outlet_id,
    "source": lambda row: row.source,
    "country": lambda row: row.country,
    "side": lambda row: row.side,
    "year": _year,
    "length": _length,
    "quotation": lambda row: "with marks" if has_quotation(row.text) else "without marks",
    "digits": lambda row: "some" if any(map(str.isdecimal, row.text)) else "none",
    "context": _context,
    "stratum": lambda row: row.stratum,
    "rule": lambda row: row.rule,
    "judge": lambda row: _SURE[row.sure],
}
#: What the data are sliced by: facts of the outlet and of the text, and what the judge noted.
DIMENSIONS: Final[tuple[str, ...]] = tuple(_VALUES)


def slices_of(rows: Sequence[GoldSentence]) -> tuple[Slice, ...]:
    """Every slice of the data, in the order of `DIMENSIONS` and then of their values.

    A sentence without a value, such as one of unknown outlet, is in no slice of that dimension.
    """
    return tuple(found for dimension in DIMENSIONS for found in _slices_by(dimension, rows))


def _slices_by(dimension: str, rows: Sequence[GoldSentence]) -> Iterator[Slice]:
    values = [_VALUES[dimension](row) for row in rows]
    for value in sorted({value for value in values if value}):
        yield Slice(dimension, value, np.array([each == value for each in values]))
