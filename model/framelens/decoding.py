"""From the bytes of an input to text: compression, binary files, UTF-8.

Text is decoded and never rewritten, so that offsets count the characters of the text as it stands in
the file: a line that ends in CR LF keeps both. Only a byte order mark at the very start is taken off.
It is UTF-8 unless another encoding is named, which must agree with ASCII on ASCII's characters.
"""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

import pyarrow as pa

from framelens.errors import InputError, JobError
from framelens.storage import ObjectPath, is_uri, key_of, public

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "COMPRESSIONS",
    "MAX_RECORD_BYTES",
    "STDIN",
    "UTF8",
    "check_encoding",
    "open_bytes",
    "read_text",
    "shown",
    "suffixes",
    "text_lines",
    "unusable",
]

#: The input that means standard input.
STDIN: Final = "-"
#: The encoding of every text, unless another is named.
UTF8: Final = "utf-8"
#: Suffixes of the compressions that are read and written, and their names.
COMPRESSIONS: Final = {".gz": "gzip", ".zst": "Zstandard"}
#: Longest article, line or field: it bounds the memory that a broken file can take.
MAX_RECORD_BYTES: Final = 32 * 2**20

_LIMIT = f"{MAX_RECORD_BYTES >> 20} MiB"
_BYTE_ORDER_MARK = "\ufeff"
_FROM_UTF16 = "convert it with: iconv -f utf-16 -t utf-8 OLD > NEW"
_EXTRACT = "extract its text first"
# UTF-32 stands before UTF-16, whose mark it begins with.
_MAGIC: Final = (
    (b"%PDF-", "a PDF", _EXTRACT),
    (b"PK\x03\x04", "a ZIP archive (as .docx, .xlsx, .odt and .epub are)", _EXTRACT),
    (b"\xd0\xcf\x11\xe0", "an old Office document (.doc, .xls)", _EXTRACT),
    (b"{\\rtf", "an RTF document", _EXTRACT),
    (b"\x89PNG", "a PNG image", _EXTRACT),
    (b"\xff\xd8\xff", "a JPEG image", _EXTRACT),
    (b"GIF89a", "a GIF image", _EXTRACT),
    (b"\x1f\x8b", "gzip data", "let its name end in .gz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard data", "let its name end in .zst"),
    (b"BZh", "bzip2 data", "decompress it first"),
    (b"\xfd7zXZ\x00", "xz data", "decompress it first"),
    (b"7z\xbc\xaf", "a 7-Zip archive", "decompress it first"),
    (b"PAR1", "a Parquet file", "let its name end in .parquet"),
    (b"SQLite format 3", "an SQLite database", "export its table to .csv"),
    (b"\xff\xfe\x00\x00", "text in UTF-32", _FROM_UTF16.replace("16", "32")),
    (b"\xff\xfe", "text in UTF-16", _FROM_UTF16),
    (b"\xfe\xff", "text in UTF-16", _FROM_UTF16),
)


def shown(source: str) -> str:
    """The name of an input as messages show it: on one line, printable, and without secrets."""
    if source == STDIN:
        return "standard input"
    source = public(source)
    return source if source.isprintable() else repr(source)


def unusable(source: str, expected: str, got: str, advice: str, *, line: int | None = None) -> InputError:
    """The error for an input that cannot be used, on one line.

    Args:
        source: name of the input.
        expected: what should be there.
        got: what is there.
        advice: what to do.
        line: number of the line, from 1.
    """
    place = shown(source) if line is None else f"{shown(source)}: line {line}"
    return InputError(f"{place}: expected {expected}, got {' '.join(got.split())}; {advice}")


def suffixes(source: str) -> tuple[str, str]:
    """Suffix of the format and suffix of the compression, in lower case; "" where there is none.

    >>> suffixes("corpus/May.JSONL.gz")
    ('.jsonl', '.gz')
    """
    name = PurePath(key_of(source).lower())
    compression = name.suffix if name.suffix in COMPRESSIONS else ""
    return PurePath(name.stem if compression else name.name).suffix, compression


def check_encoding(name: str) -> str:
    """The encoding under the name that Python gives it.

    Raises:
        InputError: there is no such encoding, or it does not agree with ASCII on ASCII's characters, as
            UTF-16 does not: lines could not be told in its bytes.
    """
    ascii_text = "".join(map(chr, range(128)))
    try:
        found = codecs.lookup(name)
        plain = found.decode(ascii_text.encode())[0] == ascii_text
    except (LookupError, ValueError, TypeError) as error:
        plain = False
        if isinstance(error, LookupError):
            raise InputError(
                f"expected the name of an encoding such as cp1252, got {name!r}; leave it out for UTF-8"
            ) from error
    if not plain:
        raise InputError(
            f"expected an encoding that extends ASCII, got {found.name}; convert the files first: "
            f"iconv -f {found.name} -t utf-8 OLD > NEW"
        )
    return found.name


@contextmanager
def open_bytes(source: str) -> Iterator[BinaryIO]:
    """Open a file or object, decompressed, or standard input.

    Raises:
        JobError: an object store does not answer.
        InputError: the file cannot be read, or is not what its compression suffix says. Also raised
            for what happens inside the ``with`` block, because that is where the bytes are read.
    """
    compression = suffixes(source)[1]
    try:
        with ExitStack() as stack:
            file: Any = source
            if is_uri(source):
                file = stack.enter_context(ObjectPath.parse(source).open_stream())
            if source == STDIN:
                yield sys.stdin.buffer
            elif compression == ".gz":
                yield cast("BinaryIO", stack.enter_context(gzip.open(file, "rb")))
            elif compression == ".zst":
                yield stack.enter_context(io.BufferedReader(pa.input_stream(file, compression="zstd")))
            else:
                yield file if is_uri(source) else stack.enter_context(Path(source).open("rb"))
    except JobError:
        # Of a store, and not of what lies there.
        raise
    except (EOFError, OSError, zlib.error) as error:
        # Errors of the operating system carry a text of their own; those of a damaged archive do not.
        if isinstance(error, OSError) and error.strerror:
            raise unusable(source, "a readable file", error.strerror, "check its permissions") from error
        raise unusable(
            source,
            f"{COMPRESSIONS.get(compression, 'readable')} data",
            f"damaged or other data ({error})",
            "fetch or compress it again, or correct its suffix",
        ) from error


def read_text(source: str, encoding: str = UTF8) -> str:
    """The whole text of an article.

    Args:
        source: name of a file, or "-" for standard input.
        encoding: of its bytes, from `check_encoding`.

    Returns:
        The text, line ends unchanged, without byte order mark.

    Raises:
        InputError: the input is empty, binary, too large, damaged, or not in its encoding.
    """
    with open_bytes(source) as stream:
        data = stream.read(MAX_RECORD_BYTES + 1)
    if len(data) > MAX_RECORD_BYTES:
        advice = "split it, or give its texts as .jsonl, one a line, because an article is read as a whole"
        raise unusable(source, f"an article of at most {_LIMIT}", "a larger one", advice)
    _refuse_empty_or_binary(data, source)
    text = _decode(data, source, encoding, line=1, offset=0).removeprefix(_BYTE_ORDER_MARK)
    if not text:
        raise _empty(source)
    return text


def text_lines(stream: BinaryIO, source: str, encoding: str = UTF8) -> Iterator[str]:
    """The lines of a table, with their ends; they end at LF only, as JSON Lines and CSV need it.

    Args:
        stream: of bytes, from `open_bytes`.
        source: its name, for the messages.
        encoding: of its bytes, from `check_encoding`.

    Raises:
        InputError: the input is empty or binary, or a line is too long or not in its encoding.
    """
    offset = 0
    for number in count(1):
        data = stream.readline(MAX_RECORD_BYTES + 1)
        if len(data) > MAX_RECORD_BYTES:
            advice = "check that line breaks (LF) separate the records"
            raise unusable(source, f"lines of at most {_LIMIT}", "a longer one", advice, line=number)
        if number == 1:
            _refuse_empty_or_binary(data, source)
        if not data:
            return
        line = _decode(data, source, encoding, line=number, offset=offset)
        yield line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        offset += len(data)


def _empty(source: str) -> InputError:
    return unusable(source, "text", "an empty file", "leave it out, or fetch it again")


def _refuse_empty_or_binary(head: bytes, source: str) -> None:
    if not head:
        raise _empty(source)
    for magic, kind, advice in _MAGIC:
        if head.startswith(magic):
            raise unusable(source, "text in UTF-8", f"what looks like {kind}", advice)


def _decode(data: bytes, source: str, encoding: str, *, line: int, offset: int) -> str:
    """Decode bytes that begin at byte ``offset`` of the input, in line ``line``."""
    at = data.find(b"\0")
    if at >= 0:
        what, advice = (
            "a NUL byte",
            f"extract the text of a binary file first; if it is UTF-16, {_FROM_UTF16}",
        )
    else:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            at = error.start
            what = f"the byte 0x{data[at]:02x}"
            advice = "name its encoding: --encoding cp1252, or convert it: iconv -f cp1252 -t utf-8 OLD > NEW"
    line += data.count(b"\n", 0, at)
    expected = f"text in {encoding.upper()}"
    raise unusable(source, expected, f"{what} at byte {offset + at} of the file", advice, line=line)
