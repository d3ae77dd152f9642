"""Tables as rows: JSON Lines, CSV, TSV and Parquet, each read as its rows are taken."""

from __future__ import annotations

import csv
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from framelens.decoding import MAX_RECORD_BYTES, open_bytes, suffixes, text_lines, unusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["N_ROWS_LOOKED_AT", "TABLE_SUFFIXES", "Table", "open_table"]

TABLE_SUFFIXES: Final = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
#: JSON Lines names no columns, so they are gathered from this many rows.
N_ROWS_LOOKED_AT: Final = 100

_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}
_PARQUET_BATCH = 1024


@dataclass(frozen=True, slots=True)
class Table:
    """An open table.

    Attributes:
        columns: names, in order; for JSON Lines those of the first rows.
        text_columns: those that hold nothing but strings and nulls.
        rows: one dict a row, read as they are taken.
        typed: whether the file itself fixes which columns hold text.
    """

    columns: list[str]
    text_columns: list[str]
    rows: Iterator[dict[str, Any]]
    typed: bool = False


@contextmanager
def open_table(source: str) -> Iterator[Table]:
    """Open a table by its suffix, which is one of `TABLE_SUFFIXES`.

    Raises:
        InputError: the file is empty, damaged, not UTF-8, or has no columns. Also raised inside the
            ``with`` block, where a row is broken.
    """
    suffix = suffixes(source)[0]
    if suffix == ".parquet":
        with _open_parquet(source) as table:
            yield table
    else:
        with open_bytes(source) as stream:
            lines = text_lines(stream, source)
            if suffix in _SEPARATORS:
                yield _csv_table(lines, source, _SEPARATORS[suffix])
            else:
                yield _json_table(lines, source)


def _json_table(lines: Iterable[str], source: str) -> Table:
    rows = _json_rows(lines, source)
    head = list(islice(rows, N_ROWS_LOOKED_AT))
    if not head:
        raise unusable(source, "one JSON object a line", "blank lines only", "leave it out")
    found: dict[str, set[type]] = {}
    for row in head:
        for name, value in row.items():
            found.setdefault(name, set()).add(type(value))
    texts = [name for name, types in found.items() if str in types and types <= {str, type(None)}]
    return Table(list(found), texts, chain(head, rows))


def _json_rows(lines: Iterable[str], source: str) -> Iterator[dict[str, Any]]:
    advice = "mend the line; a JSON array becomes lines with: jq -c '.[]' OLD > NEW"
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            where = (
                f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
            )
            got = f"broken JSON ({where})"
            raise unusable(source, "one JSON object a line", got, advice, line=number) from error
        if not isinstance(row, dict):
            got = f"a value of type {type(row).__name__}"
            raise unusable(source, "one JSON object a line", got, advice, line=number)
        yield row


def _csv_table(lines: Iterable[str], source: str, separator: str) -> Table:
    # The limit belongs to the whole process; it is only ever raised. The default refuses fields of
    # more than 128 KiB, which an article in HTML can be.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))
    rows = _csv_rows(csv.reader(lines, delimiter=separator, strict=True), source)
    _, header = next(rows, (1, []))
    if not header:
        raise unusable(source, "a header", "blank lines only", "leave it out")
    _refuse_duplicates(header, source)
    # Taken for a table of one column, the file would be labelled with its separators in the text.
    if len(header) == 1 and any(mark in header[0] for mark in ",;\t|" if mark != separator):
        advice = "save it again with commas (.csv) or tabs (.tsv) between the columns"
        raise unusable(source, f"columns separated by {separator!r}", f"one, {header[0]!r}", advice, line=1)
    return Table(header, header, _csv_dicts(rows, header, source))


def _csv_rows(reader: Any, source: str) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the number of the line where it begins."""
    while True:
        line = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            advice = (
                'double quotes inside a quoted field, as in "a ""b""", close each one, and end lines with LF'
            )
            raise unusable(source, "a row of fields", f"a broken one ({error})", advice, line=line) from error
        if row:
            yield line, row


def _csv_dicts(
    rows: Iterable[tuple[int, list[str]]], header: list[str], source: str
) -> Iterator[dict[str, Any]]:
    for line, row in rows:
        if len(row) != len(header):
            expected = f"{len(header)} fields as in the header"
            advice = "put fields that hold separators, quotes or line breaks in double quotes"
            raise unusable(source, expected, str(len(row)), advice, line=line)
        yield dict(zip(header, row, strict=True))


@contextmanager
def _open_parquet(source: str) -> Iterator[Table]:
    try:
        if Path(source).stat().st_size == 0:
            raise unusable(source, "a Parquet file", "an empty one", "leave it out, or fetch it again")
        # Buffered ahead, the whole file is in memory before its last row is read.
        with pq.ParquetFile(source, pre_buffer=False) as file:
            schema = file.schema_arrow
            _refuse_duplicates(schema.names, source)
            texts = [field.name for field in schema if _holds_text(field.type)]
            yield Table(schema.names, texts, _parquet_rows(file, source), typed=True)
    except (pa.ArrowException, OSError) as error:
        advice = "fetch or write it again, or correct its suffix"
        raise unusable(source, "a Parquet file", f"damaged or other data ({error})", advice) from error


def _parquet_rows(file: Any, source: str) -> Iterator[dict[str, Any]]:
    for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
        try:
            columns = [_at_microseconds(column).to_pylist() for column in batch.columns]
        except ValueError as error:
            expected, advice = (
                "strings in UTF-8 and times to the microsecond",
                "write it again without the others",
            )
            raise unusable(source, expected, str(error), advice) from error
        for values in zip(*columns, strict=True):
            yield dict(zip(batch.schema.names, values, strict=True))


def _at_microseconds(column: Any) -> Any:
    """Times to the microsecond: what nanoseconds become in Python depends on whether pandas is there."""
    kind = column.type
    if not pa.types.is_temporal(kind) or getattr(kind, "unit", None) != "ns":
        return column
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False)
    return column.cast(pa.time64("us") if pa.types.is_time(kind) else pa.duration("us"), safe=False)


def _holds_text(kind: Any) -> bool:
    """Whether an Arrow type is of strings; a column that is null throughout counts as one."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(test(kind) for test in tests)


def _refuse_duplicates(names: Sequence[str], source: str) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise unusable(source, "columns of different names", f"{twice[0]!r} several times", "rename one")
