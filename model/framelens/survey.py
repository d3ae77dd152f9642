"""Reading inputs through before any work: what they hold, and how they are cut into parts.

A *part* is a run of records in reading order that is labelled as one and, in a job, written as one
shard. Where a part ends hangs on the records alone, so that every machine and every number of workers
cuts alike. A document is never cut.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from framelens.decoding import unusable
from framelens.formats import settled
from framelens.readers import InputKind, read_records
from framelens.writers import own_column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from framelens.corpus import Unit
    from framelens.readers import InputInfo, ReadOptions, Record

__all__ = ["Part", "PartReader", "Survey", "record_weight", "survey_inputs"]

#: Characters of a document that count as a sentence.
_CHARACTERS_OF_SENTENCE: Final = 200
#: Characters of a lone sentence, or of columns that only pass through, that count as one sentence more:
#: they cost memory and no labelling.
_CHARACTERS_CARRIED: Final = 4000
#: Characters that take as much memory as a number does.
_CHARACTERS_OF_VALUE: Final = 32
_ROWS_TYPED_AT_ONCE: Final = 1024
#: A gap of so many records is read over; behind a longer one the file is opened again.
_READ_OVER: Final = 50_000


@dataclass(frozen=True, slots=True)
class Part:
    """A run of records.

    Attributes:
        number: its place, from 0.
        start: place of its first record among those of all inputs.
        records: how many it has, at least 1.
        digest: of the records as they were read, to notice that an input has changed since.
    """

    number: int
    start: int
    records: int
    digest: str


@dataclass
class Survey:
    """What reading through has found.

    Attributes:
        records: of each input, in order.
        columns: names of what records carry.
        schema: Arrow types of these under the names that they are written by; None if not asked for.
        parts: all records, in order.
        n_unreadable: records with an error.
        first_unreadable: the first of these: its id and its error.
    """

    records: list[int] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    schema: Any = None
    parts: list[Part] = field(default_factory=list)
    n_unreadable: int = 0
    first_unreadable: str | None = None


def record_weight(record: Record, unit: Unit) -> int:
    """About how many sentences a record is, by its characters alone; at least 1."""
    carried = sum(map(_characters, record.columns.values()))
    if unit == "document":
        return 1 + len(record.text) // _CHARACTERS_OF_SENTENCE + carried // _CHARACTERS_CARRIED
    return 1 + (len(record.text) + carried) // _CHARACTERS_CARRIED


def _characters(value: Any) -> int:
    """About how many characters take as much memory as a value: an embedding is as large as an article."""
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_characters, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_characters, value))
    return _CHARACTERS_OF_VALUE


def survey_inputs(
    infos: Sequence[InputInfo],
    options: ReadOptions,
    units: Sequence[Unit],
    *,
    part_size: int,
    typed: bool,
    seen: Callable[[int], None],
) -> Survey:
    """Read every record once.

    Args:
        infos: the inputs; none is standard input.
        options: how they are read.
        units: what a record of each input is taken as.
        part_size: weight, see `record_weight`, at which a part ends.
        typed: whether own columns must have one type each, for Parquet.
        seen: is called with the number of records so far.

    Raises:
        InputError: an input cannot be read, or a column holds values that no one type fits.
    """
    found = Survey()
    columns = dict.fromkeys(column for info in infos for column in info.columns)
    types = _Types()
    cutter = _Cutter(part_size)
    for info, unit in zip(infos, units, strict=True):
        before = cutter.records
        records = _looked_at(read_records([info.source], options), found, columns)
        if typed:
            records = types.watching(records, info)
        for record in records:
            cutter.add(record, record_weight(record, unit))
            if cutter.records % _ROWS_TYPED_AT_ONCE == 0:
                seen(cutter.records)
        found.records.append(cutter.records - before)
    seen(cutter.records)
    found.parts = cutter.finish()
    found.columns = list(columns)
    if typed:
        found.schema = types.schema(found.columns)
    return found


def _looked_at(records: Iterable[Record], found: Survey, columns: dict[str, None]) -> Iterator[Record]:
    for record in records:
        if not columns.keys() >= record.columns.keys():
            columns.update(dict.fromkeys(record.columns))
        if record.error is not None:
            found.n_unreadable += 1
            if found.first_unreadable is None:
                found.first_unreadable = f"{record.doc_id}: {record.error}"
        yield record


class _Cutter:
    """Cuts records into parts."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._parts: list[Part] = []
        self._start = 0
        self._weight = 0
        self._digest = _RecordsDigest()
        self.records = 0

    def add(self, record: Record, weight: int) -> None:
        self.records += 1
        self._weight += weight
        self._digest.add(record)
        if self._weight >= self._size:
            self._cut()

    def finish(self) -> list[Part]:
        if self.records > self._start:
            self._cut()
        return self._parts

    def _cut(self) -> None:
        n = self.records - self._start
        self._parts.append(Part(len(self._parts), self._start, n, self._digest.hex()))
        self._start, self._weight, self._digest = self.records, 0, _RecordsDigest()


class _RecordsDigest:
    """A digest of what records hold."""

    def __init__(self) -> None:
        self._total = hashlib.blake2b(digest_size=16)

    def add(self, record: Record) -> None:
        # repr says a string, a number, a time or a nesting of them exactly, and escapes half surrogates.
        content = (record.doc_id, record.text, record.context, record.error, record.columns)
        self._total.update(repr(content).encode())

    def hex(self) -> str:
        return self._total.hexdigest()


class _Types:
    """One Arrow type for every own column: those that the files fix, else those that the values have."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def watching(self, records: Iterable[Record], info: InputInfo) -> Iterator[Record]:
        if info.schema is not None or info.separator is not None:
            for name in info.columns:
                kind = pa.string() if info.schema is None else info.schema.field(name).type
                self._add(name, kind, info.source)
            yield from records
            return
        if info.kind is InputKind.ARTICLE:
            yield from records
            return
        remaining = iter(records)
        while rows := list(islice(remaining, _ROWS_TYPED_AT_ONCE)):
            for name in dict.fromkeys(name for row in rows for name in row.columns):
                self._add(name, _type_of([row.columns.get(name) for row in rows], name, info), info.source)
            yield from rows

    def schema(self, columns: Iterable[str]) -> Any:
        kinds = {name: settled(self._found.get(name, pa.null())) for name in columns}
        schema = pa.schema([(own_column(name), kind) for name, kind in kinds.items()])
        try:
            # Told now and not by the first shard: objects without members, for one, have no type there.
            pq.write_table(schema.empty_table(), pa.BufferOutputStream())
        except pa.ArrowException as error:
            advice = "give --format jsonl, whose rows need no types"
            raise unusable(
                "the inputs", "columns that Parquet has a type for", f"others ({error})", advice
            ) from error
        return schema

    def _add(self, name: str, kind: Any, source: str) -> None:
        known = self._found.setdefault(name, kind)
        if known == kind:
            return
        pair = [pa.schema([(name, known)]), pa.schema([(name, kind)])]
        try:
            self._found[name] = pa.unify_schemas(pair, promote_options="permissive").field(name).type
        except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
            raise _mixed(source, name, f"{known} before and {kind}") from error


def _type_of(values: list[Any], name: str, info: InputInfo) -> Any:
    try:
        return pa.array(values).type
    except UnicodeEncodeError:
        # Half of a surrogate pair, which the writer replaces.
        return pa.string()
    except (ArithmeticError, TypeError, ValueError, pa.ArrowException) as error:
        raise _mixed(info.source, name, f"several ({error})") from error


def _mixed(source: str, name: str, got: str) -> Exception:
    return unusable(
        source,
        f"values of one type in the column {name!r}",
        got,
        "give --format jsonl, whose rows need not be alike",
    )


class PartReader:
    """Reads parts again, in any order, quickest in theirs.

    Args:
        infos: the inputs as they were surveyed.
        options: as in the survey.
        units: as in the survey.
        records: of each input, from the survey.
    """

    def __init__(
        self, infos: Sequence[InputInfo], options: ReadOptions, units: Sequence[Unit], records: Sequence[int]
    ) -> None:
        self._infos = infos
        self._options = options
        self._units = units
        self._counts = records
        self._position = 0
        self._stream: Iterator[tuple[Unit, Record]] = iter(())

    def read(self, part: Part) -> list[tuple[Unit, list[Record]]]:
        """The records of a part, in runs of one unit.

        Raises:
            InputError: an input cannot be read, or holds other records than when it was surveyed.
        """
        if self._position == 0 or not 0 <= part.start - self._position <= _READ_OVER:
            self._stream, self._position = self._from(part.start), part.start
        for _ in islice(self._stream, part.start - self._position):
            pass
        taken = list(islice(self._stream, part.records))
        self._position = part.start + len(taken)
        digest = _RecordsDigest()
        for _, record in taken:
            digest.add(record)
        if digest.hex() != part.digest:
            place = f"records {part.start:,} to {part.start + part.records - 1:,} of the inputs"
            advice = "an input was changed while the job ran; label it anew into another folder"
            raise unusable(place, "what they held when the job was begun", "something else", advice)
        return [
            (unit, [record for _, record in run]) for unit, run in groupby(taken, key=lambda entry: entry[0])
        ]

    def _from(self, start: int) -> Iterator[tuple[Unit, Record]]:
        for info, unit, n in zip(self._infos, self._units, self._counts, strict=True):
            if start >= n:
                start -= n
                continue
            for record in read_records([info.source], self._options, skip=start):
                yield unit, record
            start = 0
