"""Tables as rows: JSON Lines, CSV, TSV, Parquet and Arrow, each read as its rows are taken."""

from __future__ import annotations

import csv
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from framelens.arrow_tables import ARROW_SUFFIXES, holds_text, open_typed
from framelens.decoding import MAX_RECORD_BYTES, UTF8, open_bytes, suffixes, text_lines, unusable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["N_ROWS_LOOKED_AT", "TABLE_SUFFIXES", "TYPED_SUFFIXES", "Table", "open_table"]

#: Tables that compress inside and fix their columns' types.
TYPED_SUFFIXES: Final = (".parquet", *ARROW_SUFFIXES)
TABLE_SUFFIXES: Final = (".jsonl", ".ndjson", ".csv", ".tsv", *TYPED_SUFFIXES)
#: JSON Lines names no columns, so they are gathered from this many rows.
N_ROWS_LOOKED_AT: Final = 100

_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}
#: What may separate the columns of a ``.csv`` file whose header holds no comma.
_OTHER_SEPARATORS: Final = ";\t"


@dataclass(frozen=True, slots=True)
class Table:
    """An open table.

    Attributes:
        columns: names, in order; for JSON Lines those of the first rows.
        text_columns: those that hold nothing but strings and nulls.
        rows: one dict a row, read as they are taken.
        schema: the columns' Arrow types, where the file itself fixes them.
        separator: what stands between the columns of a CSV or TSV file.
    """

    columns: list[str]
    text_columns: list[str]
    rows: Iterator[dict[str, Any]]
    schema: Any = None
    separator: str | None = None


@contextmanager
def open_table(
    source: str, *, separator: str | None = None, encoding: str = UTF8, skip: int = 0
) -> Iterator[Table]:
    """Open a table by its suffix, which is one of `TABLE_SUFFIXES`.

    Args:
        source: name of the file.
        separator: between the columns of a CSV or TSV file; None takes the comma or the tab, and in a
            ``.csv`` file whose header has no comma the semicolon or tab that it has.
        encoding: of a text format, from `framelens.decoding.check_encoding`.
        skip: rows at the beginning to leave out. They are read, but not all of them understood: meant
            for rows that have been read before.

    Raises:
        InputError: the file is empty, damaged, not in its encoding, or has no columns. Also raised inside
            the ``with`` block, where a row is broken.
    """
    suffix = suffixes(source)[0]
    if suffix in TYPED_SUFFIXES:
        with open_typed(source, suffix, skip) as typed:
            _refuse_duplicates(typed.schema.names, source)
            texts = [field.name for field in typed.schema if holds_text(field.type)]
            yield Table(typed.schema.names, texts, typed.rows, typed.schema)
        return
    with open_bytes(source) as stream:
        lines = text_lines(stream, source, encoding)
        if suffix in _SEPARATORS:
            yield _csv_table(lines, source, separator, skip)
        else:
            yield _json_table(lines, source, skip)


def _json_table(lines: Iterator[str], source: str, skip: int) -> Table:
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    head = list(_json_rows(islice(numbered, N_ROWS_LOOKED_AT), source))
    if not head:
        raise unusable(source, "one JSON object a line", "blank lines only", "leave it out")
    found: dict[str, set[type]] = {}
    for row in head:
        for name, value in row.items():
            found.setdefault(name, set()).add(type(value))
    texts = [name for name, types in found.items() if str in types and types <= {str, type(None)}]
    rest = islice(numbered, max(0, skip - len(head)), None)
    return Table(list(found), texts, chain(head[skip:], _json_rows(rest, source)))


def _json_rows(numbered: Iterable[tuple[int, str]], source: str) -> Iterator[dict[str, Any]]:
    advice = "mend the line; a JSON array becomes lines with: jq -c '.[]' OLD > NEW"
    for number, line in numbered:
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


def _csv_table(lines: Iterator[str], source: str, separator: str | None, skip: int) -> Table:
    # The limit belongs to the whole process; it is only ever raised. The default refuses fields of
    # more than 128 KiB, which an article in HTML can be.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))
    usual = _SEPARATORS[suffixes(source)[0]]
    if separator is None:
        head = next(lines, "")
        lines = chain([head], lines)
        separator = _separator_of(head) if usual == "," else usual
    rows = _csv_rows(csv.reader(lines, delimiter=separator, strict=True), source)
    _, header = next(rows, (1, []))
    if not header:
        raise unusable(source, "a header", "blank lines only", "leave it out")
    _refuse_duplicates(header, source)
    # Taken for a table of one column, the file would be labelled with its separators in the text.
    if len(header) == 1 and any(mark in header[0] for mark in ",;\t|" if mark != separator):
        advice = "name the separator, such as --delimiter ';', or save the file again with commas"
        raise unusable(source, f"columns separated by {separator!r}", f"one, {header[0]!r}", advice, line=1)
    return Table(header, header, islice(_csv_dicts(rows, header, source), skip, None), separator=separator)


def _separator_of(header: str) -> str:
    """The comma, unless the header has none and has exactly one of the others that are usual."""
    others = [mark for mark in _OTHER_SEPARATORS if mark in header]
    return others[0] if "," not in header and len(others) == 1 else ","


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


def _refuse_duplicates(names: Sequence[str], source: str) -> None:
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise unusable(source, "columns of different names", f"{twice[0]!r} several times", "rename one")
