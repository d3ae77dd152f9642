"""Finding a text again in a file that does not spell it quite alike, from a trace that does not give it away.

Texts are compared by their word characters (``\\w``) alone, case-folded and without accents, so that lost
punctuation, other quotation marks, line breaks and glued words do no harm. A trace is a digest of these
characters and their number. An anchor is a shorter digest of the first of them: one pass over the words of a
file meets every text that begins there, whatever their number, and the trace confirms it.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = [
    "ANCHOR_HEX",
    "Column",
    "Found",
    "Trace",
    "View",
    "Wanted",
    "anchor",
    "find",
    "normalised",
    "trace",
]

#: How many normalised characters the anchor is taken of; a shorter text gives all that it has.
ANCHOR_CHARACTERS = 16
ANCHOR_HEX = 6
_HASH_HEX = 16
#: Longer than any sentence with its context; it bounds what a strange trace can ask for.
_MAX_CHARACTERS = 100_000

_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")
#: Marks that begin a text. Of straight quotation marks it cannot be told.
_OPENING = "“‘«‹„‚([{¿¡"
_BEFORE = re.compile(r"[^\w\s]*\Z")
_AFTER = re.compile(r"[^\w\s]*")
#: Where two sentences of a context were glued together.
_GLUED = re.compile(r"(?<=[a-z])([.!?][”’»]?)(?=[“‘«]?[A-Z])")
#: The full stop of a text whose punctuation stands apart.
_STOP_APART = re.compile(r"\s+[.!?…][^\w\s]*(?!\S)")


class Trace(BaseModel):
    """What confirms a text.

    Attributes:
        hash: digest of its normalised characters.
        length: their number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hash: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{_HASH_HEX}}}$")]
    length: Annotated[int, Field(ge=1, le=_MAX_CHARACTERS)]


@dataclass(frozen=True, slots=True)
class Column:
    """Strings of a file that belong together, in order: a text, a column of a table, a field of JSON.

    Attributes:
        strings: what stands there.
        records: the number of the record that each is of, as many as strings.
    """

    strings: Sequence[str]
    records: Sequence[int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A text to find.

    Attributes:
        anchor: of the text, from `anchor`.
        text: trace of the text.
        context: trace of what stands directly before it, if anything.
        record: the number of the record in which it is looked for first.
    """

    anchor: str
    text: Trace
    context: Trace | None = None
    record: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A text as it stands in the file, with its punctuation, white space single.

    Attributes:
        text: what was wanted.
        context: what stands directly before it, if that was wanted too, and with sentences parted that were
            glued together; None if something else stands there.
    """

    text: str
    context: str | None


@lru_cache(maxsize=1 << 14)
def _fold(character: str) -> str:
    """What one character is compared by: nothing, unless it is a word character."""
    if not (character.isalnum() or character == "_"):
        return ""
    apart = unicodedata.normalize("NFKD", character).casefold()
    return "".join(c for c in apart if c.isalnum() or c == "_")


def _folded(word: str) -> str:
    return word.lower() if word.isascii() else "".join(map(_fold, word))


def normalised(text: str) -> str:
    """The word characters of a text, case-folded and without accents."""
    return "".join(map(_folded, _WORD.findall(text)))


def _digest(normal: str, digits: int) -> str:
    return hashlib.sha256(normal.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


class View:
    """A text by its normalised characters, and the way back from them to the text.

    Attributes:
        text: as it stands.
        normal: its normalised characters.
        begins: where its words begin in `normal`, ascending.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.begins: list[int] = []
        self._starts: list[int] = []
        pieces: list[str] = []
        length = 0
        for word in _WORD.finditer(text):
            if folded := _folded(word.group()):
                self.begins.append(length)
                self._starts.append(word.start())
                pieces.append(folded)
                length += len(folded)
        self.normal = "".join(pieces)

    def place(self, at: int) -> int:
        """The index in the text of the character that gave the normalised character ``at``."""
        word = bisect_right(self.begins, at) - 1
        index, left = self._starts[word], at - self.begins[word]
        while left >= (size := len(_fold(self.text[index]))):
            left -= size
            index += 1
        return index

    def span(self, begin: int, end: int) -> tuple[int, int]:
        """Where the normalised characters from ``begin`` up to ``end``, at least one, stand in the text."""
        return self.place(begin), self.place(end - 1) + 1

    def normal_span(self, start: int, end: int) -> tuple[int, int]:
        """Which normalised characters the characters from ``start`` up to ``end`` of the text give."""
        before = len(normalised(self.text[:start]))
        return before, before + len(normalised(self.text[start:end]))


def trace(text: str) -> Trace:
    """The trace of a text.

    Raises:
        pydantic.ValidationError: a ValueError; the text has no word character, or far too many.
    """
    normal = normalised(text)
    return Trace(hash=_digest(normal, _HASH_HEX), length=len(normal))


def anchor(text: str) -> str:
    """Digest of the first normalised characters of a text; so short that many texts share it."""
    return _digest(normalised(text)[:ANCHOR_CHARACTERS], ANCHOR_HEX)


def find(wanted: Sequence[Wanted], columns: Iterable[Column]) -> dict[int, Found]:
    """Find texts in a file.

    Where one stands in several places, the place with its context before it is taken, then the one whose
    record is nearest, then the first.

    Args:
        wanted: what to look for.
        columns: the file.

    Returns:
        What was found, by its index in ``wanted``.
    """
    by_anchor: dict[str, list[int]] = defaultdict(list)
    for index, each in enumerate(wanted):
        by_anchor[each.anchor].append(index)
    sizes = sorted({min(each.text.length, ANCHOR_CHARACTERS) for each in wanted})
    best: dict[int, tuple[tuple[bool, int], View, int]] = {}
    for column in columns:
        view = View("\n".join(column.strings))
        ends = list(accumulate(len(string) + 1 for string in column.strings))
        for begin, index in _met(view, by_anchor, sizes, wanted):
            each = wanted[index]
            distance = 0
            if each.record is not None:
                record = column.records[bisect_right(ends, view.place(begin))]
                distance = abs(record - each.record)
            rank = (_context_begin(view, begin, each.context) is not None, -distance)
            if index not in best or rank > best[index][0]:
                best[index] = rank, view, begin
    return {index: _found(wanted[index], view, begin) for index, (_, view, begin) in best.items()}


def _met(
    view: View, by_anchor: dict[str, list[int]], sizes: Sequence[int], wanted: Sequence[Wanted]
) -> Iterator[tuple[int, int]]:
    """Where which of the wanted texts stands: a normalised offset and an index in ``wanted``."""
    normal = view.normal
    for begin in view.begins:
        for size in sizes:
            start = normal[begin : begin + size]
            if len(start) < size:
                break
            for index in by_anchor.get(_digest(start, ANCHOR_HEX), ()):
                text = wanted[index].text
                if min(text.length, ANCHOR_CHARACTERS) == size and _stands(view, begin, text):
                    yield begin, index


def _stands(view: View, begin: int, text: Trace) -> bool:
    there = view.normal[begin : begin + text.length]
    return len(there) == text.length and _digest(there, _HASH_HEX) == text.hash


def _context_begin(view: View, begin: int, context: Trace | None) -> int | None:
    if context is None or context.length > begin:
        return None
    before = begin - context.length
    return before if _stands(view, before, context) else None


def _found(wanted: Wanted, view: View, begin: int) -> Found:
    text = _restored(view, begin, wanted.text)
    before = _context_begin(view, begin, wanted.context)
    if wanted.context is None or before is None:
        return Found(text, None)
    return Found(text, _GLUED.sub(r"\1 ", _restored(view, before, wanted.context)))


def _restored(view: View, begin: int, text: Trace) -> str:
    start, end = view.span(begin, begin + text.length)
    whole = _head(view.text, start) + view.text[start:end] + _tail(view.text, end)
    return _SPACE.sub(" ", whole)


def _parting(marks: str) -> int:
    """Where marks between two glued sentences part: opening ones belong to the second."""
    return len(marks.rstrip(_OPENING))


def _head(text: str, start: int) -> str:
    """The marks before a text: all that stand alone with it, and opening ones after another text."""
    found = _BEFORE.search(text[max(0, start - 64) : start])
    marks = found.group() if found else ""
    glued = start > len(marks) and not text[start - len(marks) - 1].isspace()
    return marks[_parting(marks) :] if glued else marks


def _tail(text: str, end: int) -> str:
    """The marks after a text: all, but for those that open the next one."""
    found = _AFTER.match(text, end)
    marks = found.group() if found else ""
    stop = end + len(marks)
    if stop < len(text) and not text[stop].isspace():
        marks = marks[: _parting(marks)]
    elif not re.search(r"[.!?…]", marks) and (apart := _STOP_APART.match(text, stop)):
        marks += apart.group()
    return marks
