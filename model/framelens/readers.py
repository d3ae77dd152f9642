"""Reading what is to be labelled: articles and tables, one record after the other.

An *article* (``.txt``, ``.md``, or ``-`` for standard input) is one record. A *table* (``.jsonl``,
``.ndjson``, ``.csv``, ``.tsv``, ``.parquet``, ``.arrow``, ``.feather``) has one record a row. All but
the last three, which compress inside, may also end in ``.gz`` or ``.zst``. Text is UTF-8 unless another
encoding is named. A Parquet file in folders such as ``year=2020`` has a column ``year`` of strings.

Offsets refer to the text as it stands in the file: line ends are not rewritten (see
`framelens.decoding`). Memory is bounded by one record, for Parquet by one row group and for Arrow by
one record batch, and not by the file. No record is dropped: one whose text is null or no string comes
with its `Record.error`. Only blank lines between the records of a JSON Lines or CSV file are no records.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import pyarrow as pa

from framelens.decoding import STDIN, UTF8, check_encoding, read_text, shown, suffixes, unusable
from framelens.errors import InputError
from framelens.storage import ObjectPath, key_of, location, public
from framelens.tables import N_ROWS_LOOKED_AT, TABLE_SUFFIXES, TYPED_SUFFIXES, Table, open_table

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

__all__ = [
    "ARTICLE_SUFFIXES",
    "TABLE_SUFFIXES",
    "InputInfo",
    "InputKind",
    "ReadOptions",
    "Record",
    "check_inputs",
    "input_kind",
    "read_records",
]

ARTICLE_SUFFIXES: Final = (".txt", ".md")

_DEFAULT_TEXT_COLUMN = "text"
_PARTITION = re.compile(r"([^=]+)=(.*)")
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class InputKind(StrEnum):
    """What an input holds."""

    ARTICLE = "article"
    TABLE = "table"


@dataclass(frozen=True, slots=True)
class InputInfo:
    """What is known of an input before it is read through.

    Attributes:
        source: its name as given.
        kind: whether it is one article or a table of texts.
        columns: names of what its records carry in `Record.columns`; for JSON Lines those of the
            first records.
        schema: Arrow types of these columns, where the file fixes them.
        separator: what stands between the columns of a CSV or TSV file.
    """

    source: str
    kind: InputKind
    columns: tuple[str, ...] = ()
    schema: Any = None
    separator: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A text to be labelled.

    Attributes:
        doc_id: of a row the value of the id column, else ``<name of the file>:<row from 0>``; of an
            article its name. Names are as given, but for bytes that are no text: these are spelled out.
        text: the text; empty where there is an error.
        columns: the row's other columns, without those of the text and the id.
        error: why the text cannot be labelled; None where it can.
        context: what stands before the text, from the context column; None where there is none.
    """

    doc_id: str
    text: str
    columns: dict[str, Any]
    error: str | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How inputs are read.

    Attributes:
        text_column: column of a table that holds the text. By default ``text``, else the only column
            that holds strings. Articles have no columns.
        id_column: column of a table that identifies a text. Where its value is null, the row's place
            in the file stands in.
        context_column: column of a table with what stands before the text; it stays among
            `Record.columns`.
        delimiter: between the columns of a CSV or TSV file; None goes by the suffix and the header, see
            `framelens.tables.open_table`.
        encoding: of text formats; one that extends ASCII.
        lenient: articles that are one record with its `Record.error` when they cannot be read; every
            other one stops the reading.

    Raises:
        InputError: the delimiter or the encoding is none.
    """

    text_column: str | None = None
    id_column: str | None = None
    context_column: str | None = None
    delimiter: str | None = None
    encoding: str = UTF8
    lenient: Collection[str] = frozenset()

    def __post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise InputError(f"expected a delimiter of one character such as ';', got {self.delimiter!r}")
        object.__setattr__(self, "encoding", check_encoding(self.encoding))

    @property
    def columns(self) -> tuple[str | None, str | None, str | None]:
        """The columns that were asked for: of the text, the id and the context."""
        return self.text_column, self.id_column, self.context_column

    def open(self, source: str, skip: int = 0) -> AbstractContextManager[Table]:
        """Open a table; see `framelens.tables.open_table`."""
        return open_table(source, separator=self.delimiter, encoding=self.encoding, skip=skip)


def input_kind(source: str | Path) -> InputKind:
    """Whether an input is an article or a table, by its name alone.

    Raises:
        InputError: the suffix is none of `ARTICLE_SUFFIXES` and `TABLE_SUFFIXES`, or it is that of
            a compressed Parquet file.
    """
    name = str(source)
    suffix, compression = suffixes(name)
    if name == STDIN or suffix in ARTICLE_SUFFIXES:
        return InputKind.ARTICLE
    if suffix in TYPED_SUFFIXES and compression:
        expected = f"plain {suffix}, which is compressed inside"
        raise unusable(name, expected, suffix + compression, "decompress it first")
    if suffix in TABLE_SUFFIXES:
        return InputKind.TABLE
    raise unusable(
        name,
        f"a name that ends in {', '.join((*ARTICLE_SUFFIXES, *TABLE_SUFFIXES))}, or in .gz or .zst behind it",
        (suffix + compression) or "no suffix",
        "convert the file to one of these, or rename it if it is one",
    )


def check_inputs(inputs: Sequence[str | Path], options: ReadOptions | None = None) -> tuple[InputInfo, ...]:
    """Look into every input before any work is done: articles as a whole, of tables the first rows.

    Standard input is not looked into, because it can be read only once.

    Args:
        inputs: names of files, or "-"; see the module.
        options: how they are read.

    Returns:
        What is known of each input, in their order.

    Raises:
        InputError: there is no input, or one is missing, a folder, of unknown suffix, empty,
            unreadable, broken in its first rows, or lacks a column.
    """
    if not inputs:
        raise InputError(
            "expected at least one input, got none; give names of files, or - for standard input"
        )
    sources = [str(source) for source in inputs]
    if sources.count(STDIN) > 1:
        raise unusable(STDIN, "- at most once", "it several times", "give it once")
    return tuple(_look_into(source, options or ReadOptions()) for source in sources)


def read_records(
    inputs: Sequence[str | Path], options: ReadOptions | None = None, *, skip: int = 0
) -> Iterator[Record]:
    """Read texts, in the order of the inputs and of their rows.

    Args:
        inputs: names of files, or "-"; see the module.
        options: how they are read.
        skip: rows of the first input to leave out, which have been read before.

    Yields:
        One record for every article and row.

    Raises:
        InputError: an input cannot be read; see `check_inputs`. Records before the fault have been
            yielded by then.
    """
    options = options or ReadOptions()
    for source in map(str, inputs):
        if _present_kind(source) is InputKind.ARTICLE:
            if not skip:
                yield _article(source, options)
        else:
            with options.open(source, skip) as table:
                text = _text_column(table, source, options)
                partitions = _partitions(source, table.columns)
                place = _identity(source)
                for number, row in enumerate(table.rows, skip):
                    yield _record(row | partitions, f"{place}:{number}", text, options)
        skip = 0


def _identity(source: str) -> str:
    """The name as text, without secrets: bytes of it that are none are spelled out, so that two stay two."""
    return public(source).encode(errors="backslashreplace").decode()


def _article(source: str, options: ReadOptions) -> Record:
    try:
        return Record(_identity(source), read_text(source, options.encoding), {})
    except InputError as error:
        if source not in options.lenient:
            raise
        return Record(_identity(source), "", {}, error=str(error).removeprefix(f"{shown(source)}: "))


def _look_into(source: str, options: ReadOptions) -> InputInfo:
    kind = _present_kind(source)
    if kind is InputKind.ARTICLE:
        if source != STDIN:
            _article(source, options)
        return InputInfo(source, kind)
    with options.open(source) as table:
        taken = (_text_column(table, source, options), options.id_column)
        for _ in islice(table.rows, N_ROWS_LOOKED_AT):
            pass
        schema, partitions = table.schema, _partitions(source, table.columns)
        if schema is not None:
            fields = [field for field in schema if field.name not in taken]
            schema = pa.schema([*fields, *(pa.field(name, pa.string()) for name in partitions)])
        columns = tuple(name for name in (*table.columns, *partitions) if name not in taken)
        return InputInfo(source, kind, columns, schema, table.separator)


def _partitions(source: str, columns: Collection[str]) -> dict[str, str | None]:
    """Columns that the folders of a Parquet file name, as Hive, Spark and Arrow write them."""
    if suffixes(source)[0] != ".parquet":
        return {}
    found = map(_PARTITION.fullmatch, PurePath(key_of(source)).parts[:-1])
    values = {unquote(match[1]): unquote(match[2]) for match in found if match}
    return {
        name: None if value == _NULL_PARTITION else value
        for name, value in values.items()
        if name not in columns
    }


def _present_kind(source: str) -> InputKind:
    """The kind of an input, which is a file that is there or standard input."""
    if source == STDIN:
        return InputKind.ARTICLE
    path = location(source)
    if isinstance(path, ObjectPath):
        return _present_object(source, path)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        advice = "check its spelling and its folder"
        raise unusable(source, "a file", error.strerror or str(error), advice) from error
    if stat.S_ISDIR(mode):
        advice = "give the files in it, or a pattern such as 'FOLDER/**/*.txt'"
        raise unusable(source, "a file", "a folder", advice)
    if not stat.S_ISREG(mode):
        raise unusable(source, "a file", "a device or pipe", "write to a file first, or pipe an article to -")
    return input_kind(source)


def _present_object(source: str, path: ObjectPath) -> InputKind:
    try:
        path.stat()
    except FileNotFoundError as error:
        if path.is_dir():
            raise unusable(source, "an object", "a folder", "end its name in a slash") from error
        raise unusable(source, "an object", "none", "check its spelling and its folder") from error
    return input_kind(source)


def _text_column(table: Table, source: str, options: ReadOptions) -> str:
    """The name of the column that holds the text, once all that were asked for are there."""
    names = _listed(table.columns)
    for name in options.columns:
        if name is not None and name not in table.columns:
            raise unusable(source, f"a column {name!r}", f"the columns {names}", "give one of these")
    chosen = options.text_column
    if chosen is None and _DEFAULT_TEXT_COLUMN in table.columns:
        chosen = _DEFAULT_TEXT_COLUMN
    if chosen is None:
        free = [name for name in table.text_columns if name not in options.columns]
        if len(free) != 1:
            expected = f"a column {_DEFAULT_TEXT_COLUMN!r} or exactly one column of strings"
            raise unusable(
                source, expected, f"the columns {names}", "name the text's with --text-column (text_column=)"
            )
        chosen = free[0]
    if table.schema is not None and chosen not in table.text_columns:
        advice = f"give one of the columns of strings: {_listed(table.text_columns) or 'there is none'}"
        raise unusable(source, f"strings in the column {chosen!r}", "another type", advice)
    return chosen


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:30])) + (", …" if len(names) > 30 else "")


def _record(row: dict[str, Any], place: str, text_column: str, options: ReadOptions) -> Record:
    columns = {name: value for name, value in row.items() if name not in (text_column, options.id_column)}
    identity = None if options.id_column is None else row.get(options.id_column)
    doc_id = place if identity is None else str(identity)
    text = row.get(text_column)
    context = None if options.context_column is None else row.get(options.context_column)
    error = _fault(text, text_column)
    if error is None and context is not None:
        error = _fault(context, options.context_column)
    if text is None or error is not None:
        return Record(doc_id, "", columns, error=error)
    return Record(doc_id, text, columns, context=context)


def _fault(value: Any, column: str | None) -> str | None:
    """What keeps a value from being a text."""
    if value is None:
        return f"column {column!r}: expected a string, got null"
    if not isinstance(value, str):
        return f"column {column!r}: expected a string, got a value of type {type(value).__name__}"
    try:
        # The escapes of JSON can spell half of a surrogate pair, which no tokeniser takes.
        value.encode()
    except UnicodeEncodeError as error:
        return (
            f"column {column!r}: expected Unicode text, got half a surrogate pair at character {error.start}"
        )
    return None
