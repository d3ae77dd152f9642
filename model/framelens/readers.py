"""Reading what is to be labelled: articles and tables, one record after the other.

An *article* (``.txt``, ``.md``, or ``-`` for standard input) is one record. A *table* (``.jsonl``,
``.ndjson``, ``.csv``, ``.tsv``, ``.parquet``) has one record a row. All but Parquet, which compresses
inside, may also end in ``.gz`` or ``.zst``. Text is UTF-8.

Offsets refer to the text as it stands in the file: line ends are not rewritten (see
`framelens.decoding`). Memory is bounded by one record, for Parquet by one row group, and not by the
file. No record is dropped: one whose text is null or no string comes with its `Record.error`. Only
blank lines between the records of a JSON Lines or CSV file are no records.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from framelens.decoding import STDIN, read_text, suffixes, unusable
from framelens.errors import InputError
from framelens.tables import N_ROWS_LOOKED_AT, TABLE_SUFFIXES, Table, open_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "ARTICLE_SUFFIXES",
    "TABLE_SUFFIXES",
    "InputInfo",
    "InputKind",
    "Record",
    "check_inputs",
    "input_kind",
    "read_records",
]

ARTICLE_SUFFIXES: Final = (".txt", ".md")

_DEFAULT_TEXT_COLUMN = "text"


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
    """

    source: str
    kind: InputKind
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A text to be labelled.

    Attributes:
        doc_id: of a row the value of the id column, else ``<name of the file>:<row from 0>``; of an
            article its name. Names are as given.
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


class _Wanted(NamedTuple):
    """The columns that were asked for."""

    text: str | None
    id: str | None
    context: str | None


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
    if suffix == ".parquet" and compression:
        expected = "plain .parquet, which is compressed inside"
        raise unusable(name, expected, suffix + compression, "decompress it first")
    if suffix in TABLE_SUFFIXES:
        return InputKind.TABLE
    raise unusable(
        name,
        f"a name that ends in {', '.join((*ARTICLE_SUFFIXES, *TABLE_SUFFIXES))}, or in .gz or .zst behind it",
        (suffix + compression) or "no suffix",
        "convert the file to one of these, or rename it if it is one",
    )


def check_inputs(
    inputs: Sequence[str | Path],
    *,
    text_column: str | None = None,
    id_column: str | None = None,
    context_column: str | None = None,
) -> tuple[InputInfo, ...]:
    """Look into every input before any work is done: articles as a whole, of tables the first rows.

    Standard input is not looked into, because it can be read only once.

    Args:
        inputs: names of files, or "-"; see the module.
        text_column: as in `read_records`.
        id_column: as in `read_records`.
        context_column: as in `read_records`.

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
    wanted = _Wanted(text_column, id_column, context_column)
    return tuple(_look_into(source, wanted) for source in sources)


def read_records(
    inputs: Sequence[str | Path],
    *,
    text_column: str | None = None,
    id_column: str | None = None,
    context_column: str | None = None,
) -> Iterator[Record]:
    """Read texts, in the order of the inputs and of their rows.

    Args:
        inputs: names of files, or "-"; see the module.
        text_column: column of a table that holds the text. By default ``text``, else the only column
            that holds strings. Articles have no columns.
        id_column: column of a table that identifies a text. Where its value is null, the row's place
            in the file stands in.
        context_column: column of a table with what stands before the text; it stays among
            `Record.columns`.

    Yields:
        One record for every article and row.

    Raises:
        InputError: an input cannot be read; see `check_inputs`. Records before the fault have been
            yielded by then.
    """
    wanted = _Wanted(text_column, id_column, context_column)
    for source in map(str, inputs):
        if _present_kind(source) is InputKind.ARTICLE:
            yield Record(source, read_text(source), {})
            continue
        with open_table(source) as table:
            text = _text_column(table, source, wanted)
            for number, row in enumerate(table.rows):
                yield _record(row, f"{source}:{number}", text, wanted)


def _look_into(source: str, wanted: _Wanted) -> InputInfo:
    kind = _present_kind(source)
    if kind is InputKind.ARTICLE:
        if source != STDIN:
            read_text(source)
        return InputInfo(source, kind)
    with open_table(source) as table:
        taken = (_text_column(table, source, wanted), wanted.id)
        for _ in islice(table.rows, N_ROWS_LOOKED_AT):
            pass
        return InputInfo(source, kind, tuple(name for name in table.columns if name not in taken))


def _present_kind(source: str) -> InputKind:
    """The kind of an input, which is a file that is there or standard input."""
    if source == STDIN:
        return InputKind.ARTICLE
    try:
        mode = Path(source).stat().st_mode
    except OSError as error:
        advice = "check its spelling and its folder"
        raise unusable(source, "a file", error.strerror or str(error), advice) from error
    if stat.S_ISDIR(mode):
        advice = "give the files in it; the shell expands a pattern such as FOLDER/*.txt"
        raise unusable(source, "a file", "a folder", advice)
    if not stat.S_ISREG(mode):
        raise unusable(source, "a file", "a device or pipe", "write to a file first, or pipe an article to -")
    return input_kind(source)


def _text_column(table: Table, source: str, wanted: _Wanted) -> str:
    """The name of the column that holds the text, once all that were asked for are there."""
    names = _listed(table.columns)
    for name in wanted:
        if name is not None and name not in table.columns:
            raise unusable(source, f"a column {name!r}", f"the columns {names}", "give one of these")
    chosen = wanted.text
    if chosen is None and _DEFAULT_TEXT_COLUMN in table.columns:
        chosen = _DEFAULT_TEXT_COLUMN
    if chosen is None:
        free = [name for name in table.text_columns if name not in wanted]
        if len(free) != 1:
            expected = f"a column {_DEFAULT_TEXT_COLUMN!r} or exactly one column of strings"
            raise unusable(
                source, expected, f"the columns {names}", "name the text's with --text-column (text_column=)"
            )
        chosen = free[0]
    if table.typed and chosen not in table.text_columns:
        advice = f"give one of the columns of strings: {_listed(table.text_columns) or 'there is none'}"
        raise unusable(source, f"strings in the column {chosen!r}", "another type", advice)
    return chosen


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:30])) + (", …" if len(names) > 30 else "")


def _record(row: dict[str, Any], place: str, text_column: str, wanted: _Wanted) -> Record:
    columns = {name: value for name, value in row.items() if name not in (text_column, wanted.id)}
    identity = None if wanted.id is None else row.get(wanted.id)
    doc_id = place if identity is None else str(identity)
    text = row.get(text_column)
    context = None if wanted.context is None else row.get(wanted.context)
    error = _fault(text, text_column)
    if error is None and context is not None:
        error = _fault(context, wanted.context)
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
