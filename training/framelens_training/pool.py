"""The sentences that a round of annotation is drawn from: read through twice, and never held with their text.

A pool is of *sentences* (rows with ``text`` and ``context``) or of *articles* (rows with the ``text`` of many
sentences, and ``.txt`` files), in any format that `framelens.readers` knows. `Pool.survey` reads it once and
keeps 32 bytes a sentence: a digest of the text, its place, its group and its article. `Pool.fetch` reads it
again for the text of those that are wanted. White space in what is fetched is single spaces; ``start`` and
``end`` count the article's own characters.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
from pydantic import ValidationError

from framelens.errors import InputError, JobError
from framelens.inputs import find_inputs
from framelens.readers import InputKind, ReadOptions, check_inputs, read_records
from framelens.scope import out_of_scope
from framelens.sentences import NewsSplitter
from framelens_training.leakage import leaks
from framelens_training.locate import trace
from framelens_training.rows import outlet_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import numpy.typing as npt

    from framelens.readers import InputInfo, Record
    from framelens_training.locate import Trace

__all__ = ["NO_GROUPS", "Pool", "Sentence", "Survey", "Unit", "blind_id", "digest", "told_counts"]

Unit = Literal["auto", "sentence", "document"]
#: In place of a column: all sentences are one group.
NO_GROUPS: Final = "none"
#: Sentences before one, of the same article, that are its context.
CONTEXT_SENTENCES: Final = 2
_UNKNOWN = "unknown"
_TOLD_EVERY: Final = 256
_NOT_WORD = re.compile(r"\W")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a pool.

    Attributes:
        text: on one line.
        context: up to two sentences before it, on one line; empty where there are none.
        source_id: what the pool calls it; None for one of an article.
        group: what it is balanced by.
        article: what of which no more than a few are taken.
        provenance: the other columns of its row, with ``pool_record``, the row's id or else its place in the
            pool; and of an article's sentence where it stands there.
    """

    text: str
    context: str
    source_id: str | None
    group: str
    article: str
    provenance: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Survey:
    """The distinct sentences of a pool that can be annotated, as arrays of shape (n_sentences,).

    Attributes:
        digests: of the texts, see `digest`; each once.
        rows: of the pool, over all its files.
        places: of the sentence among those of its row.
        groups: places in ``group_names``.
        articles: digests of their names.
        group_names: sorted.
        left_out: how many were not taken, by reason.
        n_rows: rows of the pool.
    """

    digests: npt.NDArray[np.uint64]
    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.int32]
    groups: npt.NDArray[np.int32]
    articles: npt.NDArray[np.uint64]
    group_names: tuple[str, ...]
    left_out: dict[str, int]
    n_rows: int

    def __len__(self) -> int:
        return len(self.digests)


class _Row(NamedTuple):
    number: int
    record: Record
    is_article: bool
    has_id: bool


class Pool:
    """Files of sentences or articles.

    Args:
        names: of files, folders and patterns.
        unit: what a row is; ``auto`` takes a table with a column ``context`` for one of sentences.
        by: column of the groups, `NO_GROUPS` for none. By default ``outlet_id``, which is made of ``outlet``
            where a row has only that.
        words: fewest and most words of a sentence.
        known: fingerprints of sentences that are left out, see `framelens_training.leakage`.
        traces: of sentences that are left out, see `framelens_training.locate`.
        closed: articles that are left out, by name.

    Raises:
        InputError: a file cannot be read.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        unit: Unit = "auto",
        by: str | None = None,
        words: tuple[int, int] = (5, 80),
        known: Collection[str] = (),
        traces: Collection[Trace] = (),
        closed: Collection[str] = (),
    ) -> None:
        self.files = find_inputs(names).files
        self._infos = check_inputs(self.files, ReadOptions(text_column="text"))
        self._unit, self._by, self._words, self._known = unit, by, words, known
        self._traces, self._closed = traces, closed
        self._splitter = NewsSplitter()

    def survey(self, tell: Callable[[int], None]) -> Survey:
        """Read the pool through once.

        Args:
            tell: is told how many rows have been read.

        Raises:
            InputError: a row cannot be read, no row has the column of the groups, or nothing is left.
        """
        digests, articles = array("Q"), array("Q")
        rows, places, groups = array("q"), array("i"), array("i")
        names: dict[str, int] = {}
        left_out: Counter[str] = Counter()
        n_rows = 0
        for row in self._rows():
            n_rows = row.number + 1
            if n_rows % _TOLD_EVERY == 0:
                tell(n_rows)
            if row.record.error is not None:
                left_out["unreadable"] += 1
                continue
            name = _article(row)
            group, article = self._group(row.record), digest(name)
            for place, (start, end) in enumerate(self._spans(row)):
                text = _one_line(row.record.text[start:end])
                if fault := self._fault(text, name):
                    left_out[fault] += 1
                    continue
                digests.append(digest(_NOT_WORD.sub("", text.lower())))
                articles.append(article)
                rows.append(row.number)
                places.append(place)
                groups.append(names.setdefault(group, len(names)))
        if self._by not in (None, NO_GROUPS) and set(names) == {_UNKNOWN}:
            raise InputError(
                f"expected a column {self._by!r} in the pool to balance by, got no row that has it; name "
                f"another, or give --by {NO_GROUPS}"
            )
        kept = np.unique(np.frombuffer(digests, np.uint64), return_index=True)[1]
        kept.sort()
        left_out["repeated"] = len(digests) - len(kept)
        if not len(kept):
            raise InputError(
                f"expected sentences to choose from, got none in {n_rows:,} rows of the pool (left out: "
                f"{told_counts(left_out)})"
            )
        ordered = sorted(names)
        rank = {name: at for at, name in enumerate(ordered)}
        renamed = np.array([rank[name] for name in names], np.int32)
        return Survey(
            digests=np.frombuffer(digests, np.uint64)[kept],
            rows=np.frombuffer(rows, np.int64)[kept],
            places=np.frombuffer(places, np.int32)[kept],
            groups=renamed[np.frombuffer(groups, np.int32)[kept]],
            articles=np.frombuffer(articles, np.uint64)[kept],
            group_names=tuple(ordered),
            left_out={why: n for why, n in left_out.items() if n},
            n_rows=n_rows,
        )

    def fetch(
        self, survey: Survey, wanted: npt.NDArray[np.int64], tell: Callable[[int], None]
    ) -> list[Sentence]:
        """Read the pool again for some sentences.

        Args:
            survey: of this pool.
            wanted: places in the survey.
            tell: is told how many rows have been read.

        Returns:
            The sentences, in the order of ``wanted``.

        Raises:
            JobError: the pool is no longer what was surveyed.
        """
        of_row: dict[int, list[tuple[int, int]]] = {}
        for at, (row_number, place) in enumerate(
            zip(survey.rows[wanted].tolist(), survey.places[wanted].tolist(), strict=True)
        ):
            of_row.setdefault(row_number, []).append((place, at))
        found: list[Sentence | None] = [None] * len(wanted)
        for row in self._rows():
            if row.number % _TOLD_EVERY == 0:
                tell(row.number)
            if row.number not in of_row or row.record.error is not None:
                continue
            spans = self._spans(row)
            for place, at in of_row[row.number]:
                if place < len(spans):
                    found[at] = self._sentence(row, spans, place)
        sentences = [sentence for sentence in found if sentence is not None]
        same = len(sentences) == len(wanted) and all(
            digest(_NOT_WORD.sub("", sentence.text.lower())) == known
            for sentence, known in zip(sentences, survey.digests[wanted].tolist(), strict=True)
        )
        if not same:
            raise JobError("the pool has changed while it was read; begin again when nothing writes to it")
        return sentences

    def _rows(self) -> Iterator[_Row]:
        number = 0
        for info in self._infos:
            has_id = "id" in info.columns
            has_context = "context" in info.columns
            options = ReadOptions(
                text_column="text",
                id_column="id" if has_id else None,
                context_column="context" if has_context else None,
            )
            is_article = self._is_article(info, has_context=has_context)
            for record in read_records([info.source], options):
                yield _Row(number, record, is_article, has_id)
                number += 1

    def _is_article(self, info: InputInfo, *, has_context: bool) -> bool:
        if info.kind is InputKind.ARTICLE or self._unit == "document":
            return True
        return self._unit == "auto" and not has_context

    def _spans(self, row: _Row) -> list[tuple[int, int]]:
        text = row.record.text
        return self._splitter.spans(text) if row.is_article else [(0, len(text))]

    def _fault(self, text: str, article: str) -> str | None:
        """Why a sentence cannot be annotated."""
        fewest, most = self._words
        if not fewest <= len(text.split()) <= most:
            return "too short or long"
        if out_of_scope(text):
            return "out of scope"
        if article in self._closed:
            return "in articles of the test set"
        if self._traces and _trace(text) in self._traces:
            return "known"
        return "known" if self._known and leaks(text, self._known) else None

    def _group(self, record: Record) -> str:
        if self._by == NO_GROUPS:
            return "all"
        if self._by is not None:
            return _shown(record.columns.get(self._by))
        return _shown(_outlet_id(record.columns))

    def _sentence(self, row: _Row, spans: Sequence[tuple[int, int]], place: int) -> Sentence:
        record = row.record
        provenance = {name: value for name, value in record.columns.items() if name != "context"}
        article = _article(row)
        provenance |= {
            "article": article,
            "outlet_id": _outlet_id(record.columns),
            "pool_record": record.doc_id,
        }
        before = record.context or ""
        start, end = spans[place]
        if row.is_article:
            before = " ".join(record.text[s:e] for s, e in spans[max(0, place - CONTEXT_SENTENCES) : place])
            provenance |= {"sentence_index": place, "start": start, "end": end}
        return Sentence(
            text=_one_line(record.text[start:end]),
            context=_one_line(before),
            source_id=record.doc_id if row.has_id and not row.is_article else None,
            group=self._group(record),
            article=article,
            provenance=provenance,
        )


def digest(text: str) -> int:
    """Eight bytes of BLAKE2b of a text, as a number."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def blind_id(text: str) -> str:
    """A name for a sentence that says nothing but which sentence it is, the same in every round.

    >>> blind_id("The ferry left.") == blind_id("THE FERRY LEFT")
    True
    """
    return f"s{digest(_NOT_WORD.sub('', text.lower())):016x}"


def told_counts(counts: dict[str, int]) -> str:
    """Counts as a message shows them."""
    return ", ".join(f"{n:,} {what}" for what, n in counts.items() if n) or "none"


def _trace(text: str) -> Trace | None:
    """None for a text that can have no trace, as it has no word character."""
    try:
        return trace(text)
    except ValidationError:
        return None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _article(row: _Row) -> str:
    """The name of a row's article; a sentence of none stands alone."""
    given = row.record.columns.get("article")
    return row.record.doc_id if given in (None, "") else str(given)


def _outlet_id(columns: dict[str, Any]) -> str | None:
    """A row's own id of its outlet, else the one that `outlet_id` makes of the outlet's name."""
    if columns.get("outlet_id") not in (None, ""):
        return str(columns["outlet_id"])
    outlet = columns.get("outlet")
    return None if outlet in (None, "") else outlet_id(str(outlet))


def _shown(value: Any) -> str:
    return _UNKNOWN if value in (None, "") else str(value)
