"""The strings that a file of a public repository holds, whatever its kind, in their order."""

from __future__ import annotations

import csv
import gzip
import html
import io
import json
import re
import zipfile
import zlib
from collections import defaultdict
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from framelens.decoding import MAX_RECORD_BYTES
from framelens_training.locate import Column

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator

__all__ = ["UnreadableError", "readings", "split_member"]

#: A small archive can unpack to more than any memory.
MAX_UNPACKED_BYTES = 512 * 2**20

_TABLES = {".csv": ",", ".tsv": "\t"}
_JSON = (".json", ".jsonl", ".ndjson")
_LARGE_FILE = b"version https://git-lfs.github.com/spec/"
_MEMBER = re.compile(r"(.+?\.zip)!(.+)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^<>]*>")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class UnreadableError(ValueError):
    """A file that holds no text that can be read; the message says why, in a few words."""


def split_member(path: str) -> tuple[str, str | None]:
    """The path of a file, and the name of a member if it is an archive.

    >>> split_member("2031/may.zip!articles/7.json")
    ('2031/may.zip', 'articles/7.json')
    >>> split_member("Peace at last!.txt")
    ('Peace at last!.txt', None)
    """
    found = _MEMBER.fullmatch(path)
    return (found[1], found[2]) if found else (path, None)


def readings(path: str, data: bytes) -> Iterator[list[Column]]:
    """The strings of a file, in several ways to read it, the likeliest first.

    A file is read by its suffix. A text is one string. A table (``.csv``, ``.tsv``) has a column of strings
    for each of its columns, JSON one for each name of a field, in the order of the document; records count
    from 0 without the table's header, or as the outermost list of JSON or the lines of JSON Lines do.
    ``.gz`` is unpacked, and ``archive.zip!member`` is a member of an archive. Then comes what holds HTML,
    as a reader sees it, then JSON as one column, for it may have a field a sentence, and then a table or
    JSON as a text, for it may be broken.

    Args:
        path: of the file, with the member if it is an archive.
        data: content of the file or archive.

    Raises:
        UnreadableError: the file is binary or damaged, unpacks to too much, or has no such member.
    """
    if data.startswith(_LARGE_FILE):
        raise UnreadableError("kept in git LFS, which is not fetched")
    file, member = split_member(path)
    if member is not None:
        data = _member(data, member)
    name = PurePosixPath((member or file).lower())
    if name.suffix == ".gz":
        data, name = _gunzipped(data), PurePosixPath(name.stem)
    text = _decoded(data)
    whole = [Column([text], [0])]
    if name.suffix in _TABLES:
        columns = _by_field(_table_strings(text, _TABLES[name.suffix]))
    elif name.suffix in _JSON:
        strings = list(_json_strings(_parsed(text)))
        columns = _by_field(strings)
    else:
        columns = whole
    yield columns
    yield _without_markup(columns)
    if name.suffix in _JSON:
        yield _by_field((None, record, string) for _, record, string in strings)
    if columns is not whole:
        yield whole


def _by_field(strings: Iterable[tuple[Hashable, int, str]]) -> list[Column]:
    """Columns of strings that come each with its field and its record."""
    columns: dict[Hashable, tuple[list[str], list[int]]] = defaultdict(lambda: ([], []))
    for field, record, string in strings:
        columns[field][0].append(string)
        columns[field][1].append(record)
    return [Column(*column) for column in columns.values()]


def _without_markup(columns: Iterable[Column]) -> list[Column]:
    """Columns that hold tags or character references, without them."""
    plain = []
    for column in columns:
        strings = [html.unescape(_TAG.sub(" ", string)) for string in column.strings]
        if strings != column.strings:
            plain.append(Column(strings, column.records))
    return plain


def _member(data: bytes, member: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive, archive.open(member) as stream:
            return _all(stream)
    except KeyError as error:
        raise UnreadableError("no such member in the archive") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise UnreadableError("damaged archive") from error
    except (RuntimeError, NotImplementedError) as error:
        raise UnreadableError("archive encrypted or packed in an unknown way") from error


def _gunzipped(data: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            return _all(stream)
    except (zlib.error, EOFError, OSError) as error:
        raise UnreadableError("damaged gzip file") from error


def _all(stream: BinaryIO | Any) -> bytes:
    data: bytes = stream.read(MAX_UNPACKED_BYTES + 1)
    if len(data) > MAX_UNPACKED_BYTES:
        raise UnreadableError(f"unpacks to more than {MAX_UNPACKED_BYTES >> 20} MiB")
    return data


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    # git's own rule.
    if b"\0" in data[:8000]:
        raise UnreadableError("a binary file")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def _table_strings(text: str, separator: str) -> Iterator[tuple[int, int, str]]:
    csv.field_size_limit(max(csv.field_size_limit(), MAX_RECORD_BYTES))
    head = text[: text.find("\n")]
    if separator not in head:
        separator = next((mark for mark in ";\t|," if mark in head), separator)
    # What comes before the place where a table is broken is as good as ever.
    with suppress(csv.Error):
        for record, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=separator), -1):
            for field, cell in enumerate(row):
                yield field, record, cell


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return [_line(line) for line in text.split("\n")]


def _line(line: str) -> Any:
    """A line of JSON Lines; nothing where it is broken, so that it spoils no other."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _json_strings(value: Any) -> Iterator[tuple[tuple[str, ...], int, str]]:
    """Every string with the names that lead to it and the index in the outermost list."""
    # With a stack of its own: a document may be nested deeper than calls may be.
    left: list[tuple[tuple[str, ...], int | None, Any]] = [((), None, value)]
    while left:
        names, record, value = left.pop()
        if isinstance(value, str):
            yield names, record or 0, _SURROGATE.sub("\ufffd", value)
        elif isinstance(value, dict):
            left.extend(((*names, name), record, each) for name, each in reversed(value.items()))
        elif isinstance(value, list):
            numbered = enumerate(value) if record is None else ((record, each) for each in value)
            left.extend(reversed([(names, at, each) for at, each in numbered]))
