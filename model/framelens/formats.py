"""Rows as bytes: JSON Lines, CSV, TSV and Parquet.

How a value is written is told in `framelens.writers`, which opens the streams that go in here.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from framelens.decoding import unusable
from framelens.labels import PROBABILITY_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import ExitStack

__all__ = ["FORMATS", "OUTPUT_COLUMNS", "OUTPUT_SCHEMA", "FormatWriter", "format_writer", "settled"]

_EVIDENCE: Final = pa.struct(
    [("start", pa.int32()), ("end", pa.int32()), ("kind", pa.string()), ("score", pa.float32())]
)
#: The columns of every result as Parquet types them.
OUTPUT_SCHEMA: Final = pa.schema(
    [
        ("doc_id", pa.string()),
        ("sentence_index", pa.int32()),
        ("start", pa.int32()),
        ("end", pa.int32()),
        ("text", pa.string()),
        ("label", pa.string()),
        *((name, pa.float32()) for name in PROBABILITY_COLUMNS),
        ("evidence", pa.list_(_EVIDENCE)),
        ("status", pa.string()),
        ("error", pa.string()),
        ("truncated", pa.bool_()),
        ("abstained", pa.bool_()),
    ]
)
#: Names of the columns of every result, in order.
OUTPUT_COLUMNS: Final[tuple[str, ...]] = tuple(OUTPUT_SCHEMA.names)
#: What a result can be written as.
FORMATS: Final = ("jsonl", "csv", "tsv", "parquet")

_SEPARATORS: Final = {"csv": ",", "tsv": "\t"}
_ROWS_IN_GROUP = 8192
#: Bounds a row group where texts are long.
_CHARACTERS_IN_GROUP = 2**25
#: Halves of surrogate pairs: no encoding holds them.
_HALVES = re.compile("[\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_USE_JSON_LINES = "write .jsonl, whose rows need not be alike"


class FormatWriter(Protocol):
    """Writes rows in one format."""

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows, in their order; some may be held back until `finish`."""

    def finish(self) -> None:
        """Write what is held back. Called once, and only when nothing went wrong."""


def format_writer(
    kind: str, stream: BinaryIO, name: str, own: Sequence[str], stack: ExitStack, schema: Any = None
) -> FormatWriter:
    """A writer of one of `FORMATS`.

    Args:
        kind: the format.
        stream: takes the bytes; it is not closed.
        name: of the output, for the messages.
        own: names of own columns that are known before the first row.
        stack: closed before the stream is.
        schema: types of all own columns, for Parquet; by default those of the first rows.
    """
    if kind == "jsonl":
        return _JsonLines(stream)
    if kind == "parquet":
        return _Parquet(stream, name, own, stack, schema)
    return _Csv(stream, name, own, _SEPARATORS[kind])


class _JsonLines:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._stream.write(_utf8("".join(f"{_json(row)}\n" for row in rows)))

    def finish(self) -> None:
        pass


class _Csv:
    def __init__(self, stream: BinaryIO, name: str, own: Sequence[str], separator: str) -> None:
        self._stream = stream
        self._name = name
        self._own = own
        self._columns: list[str] = []
        self._buffer = io.StringIO(newline="")
        self._plain = csv.writer(self._buffer, delimiter=separator, lineterminator="\n")
        self._quoting = csv.writer(
            self._buffer, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL
        )

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        self._begin(rows)
        for row in rows:
            _refuse_new_columns(row, self._columns, self._name)
            self._add([_cell(row.get(column)) for column in self._columns])
        self._send()

    def finish(self) -> None:
        self._begin(())
        self._send()

    def _begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        if not self._columns:
            self._columns = [*OUTPUT_COLUMNS, *_own_columns(self._own, rows)]
            self._add(self._columns)

    def _add(self, cells: list[str]) -> None:
        # Before Python 3.13 a lone CR is not quoted when lines end in LF, and ends the line for readers.
        writer = self._quoting if any("\r" in cell for cell in cells) else self._plain
        writer.writerow(cells)

    def _send(self) -> None:
        # NUL is a character of JSON and of Python and ends a CSV file for most of its readers.
        self._stream.write(_utf8(self._buffer.getvalue().replace("\0", _REPLACEMENT)))
        self._buffer.seek(0)
        self._buffer.truncate()


class _Parquet:
    def __init__(
        self, stream: BinaryIO, name: str, own: Sequence[str], stack: ExitStack, schema: Any
    ) -> None:
        self._stream = stream
        self._name = name
        self._own = own
        self._stack = stack
        self._file: Any = None
        self._types = schema
        self._schema: Any = None
        self._rows: list[Mapping[str, Any]] = []
        self._characters = 0

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self._rows.append(row)
            self._characters += sum(len(value) for value in row.values() if isinstance(value, str))
            if len(self._rows) >= _ROWS_IN_GROUP or self._characters >= _CHARACTERS_IN_GROUP:
                self._send()

    def finish(self) -> None:
        if self._rows or self._file is None:
            self._send()

    def _send(self) -> None:
        rows, self._rows, self._characters = self._rows, [], 0
        if self._file is None:
            self._begin(rows)
        for row in rows:
            _refuse_new_columns(row, self._schema.names, self._name)
        columns = [self._array([row.get(field.name) for row in rows], field) for field in self._schema]
        self._file.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def _begin(self, rows: Sequence[Mapping[str, Any]]) -> None:
        fields = self._types
        if fields is None:
            fields = [
                pa.field(
                    name,
                    settled(self._array([row.get(name) for row in rows], pa.field(name, pa.null())).type),
                )
                for name in _own_columns(self._own, rows)
            ]
        self._schema = pa.schema([*OUTPUT_SCHEMA, *fields])
        try:
            writer = pq.ParquetWriter(self._stream, self._schema, compression="zstd")
        except pa.ArrowException as error:
            expected = "columns that Parquet has a type for"
            raise unusable(self._name, expected, f"others ({error})", _USE_JSON_LINES) from error
        self._file = self._stack.enter_context(writer)

    def _array(self, values: list[Any], field: Any) -> Any:
        """The values as an array of the field's type; where that is null, of the type they have."""
        kind = None if pa.types.is_null(field.type) else field.type
        try:
            try:
                array = pa.array(values, type=kind)
            except UnicodeEncodeError:
                array = pa.array([_whole(value) for value in values], type=kind)
        except (ArithmeticError, TypeError, ValueError, pa.ArrowException) as error:
            expected = f"{kind or 'one type'} in the column {field.name!r}, as in its first rows"
            raise unusable(self._name, expected, f"another value ({error})", _USE_JSON_LINES) from error
        if not all(_keeps(array.type, value) for value in values):
            expected = f"values of {array.type} in the column {field.name!r}, as in its first rows"
            raise unusable(self._name, expected, "some that it would cut short", _USE_JSON_LINES)
        return array


def _own_columns(known: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys([*known, *(name for row in rows for name in row)])
    return [name for name in names if name not in OUTPUT_COLUMNS]


def _refuse_new_columns(row: Mapping[str, Any], columns: Sequence[str], name: str) -> None:
    new = [column for column in row if column not in columns]
    if new:
        raise unusable(name, "the columns of the first rows", f"another one, {new[0]!r}", _USE_JSON_LINES)


def settled(kind: Any) -> Any:
    """A type to write by: what was null in all of the rows that were looked at is a string."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(settled(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, settled(field.type)) for field in kind])
    return kind


def _keeps(kind: Any, value: Any) -> bool:
    """Whether a type holds all of a value: Arrow drops fractions, times of day and unknown fields."""
    if isinstance(value, float):
        return not pa.types.is_integer(kind)
    if isinstance(value, datetime):
        return not pa.types.is_date(kind)
    if isinstance(value, dict) and pa.types.is_struct(kind):
        return all(
            kind.get_field_index(name) >= 0 and _keeps(kind.field(name).type, inner)
            for name, inner in value.items()
        )
    if isinstance(value, list) and pa.types.is_list(kind):
        return all(_keeps(kind.value_type, inner) for inner in value)
    return True


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _HALVES.sub(_REPLACEMENT, text).encode()


def _whole(value: Any) -> Any:
    """The value without halves of surrogate pairs."""
    if isinstance(value, str):
        return _HALVES.sub(_REPLACEMENT, value)
    if isinstance(value, dict):
        return {_whole(name): _whole(inner) for name, inner in value.items()}
    return [_whole(inner) for inner in value] if isinstance(value, list) else value


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, dict, list, tuple)):
        return _json(value)
    return str(value if isinstance(value, (int, float)) else _plain(value))


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=_plain)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=_plain)


def _finite(value: Any) -> Any:
    """The value with null for NaN and the infinities, which JSON lacks."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def _plain(value: Any) -> str:
    """What JSON has no type for: bytes as base64, times as ISO 8601, anything else as Python prints it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    return str(value.isoformat() if hasattr(value, "isoformat") else value)
