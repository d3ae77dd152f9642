"""Writing what was labelled: one row a sentence, as JSON Lines, CSV, TSV or Parquet.

Every row has `OUTPUT_COLUMNS`, in this order, and behind them the input's own columns under their own
names. A name of ours gets the prefix ``input_`` when an input uses it, see `own_column`.

========== ===================== =========================== ============================
..         a missing value       NaN in a probability        evidence
========== ===================== =========================== ============================
JSON Lines null                  null                        list of objects
CSV, TSV   empty                 empty                       the same list as JSON text
Parquet    null                  NaN                         list of structs
========== ===================== =========================== ============================

A file appears under its name only when it is complete: it is written beside the target and renamed.
Half of a surrogate pair, which no encoding can hold, is written as U+FFFD, and so is NUL in CSV. JSON
and CSV write bytes as base64 and times as ISO 8601; JSON writes an infinity as null.
"""

from __future__ import annotations

import gzip
import math
import os
import secrets
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

import pyarrow as pa

from framelens.decoding import STDIN, shown, suffixes, unusable
from framelens.formats import FORMATS, OUTPUT_COLUMNS, OUTPUT_SCHEMA, format_writer
from framelens.labels import LABELS, PROBABILITY_COLUMNS
from framelens.storage import is_uri, public

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from framelens.prediction import LabelledSentence

__all__ = [
    "FORMATS",
    "OUTPUT_COLUMNS",
    "OUTPUT_SCHEMA",
    "TABLE_FORMATS",
    "RowWriter",
    "check_output",
    "open_writer",
    "output_format",
    "own_column",
    "remove_temporaries",
    "replacing",
    "result_row",
    "sync_folder",
]

#: Suffixes of tables that are written.
TABLE_FORMATS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
_STDOUT = STDIN
_PREFIX = "input_"
_TEMPORARY = ".framelens-"


class RowWriter(Protocol):
    """What `open_writer` gives."""

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows of `result_row`, in their order.

        Raises:
            InputError: a row does not fit the columns that the rows before it fixed.
        """


def own_column(name: str) -> str:
    """The name under which an input's own column is written.

    A name of ours, and such a name behind prefixes, gets one more prefix: two columns never meet,
    and a column is called the same whatever stands beside it.

    >>> own_column("outlet"), own_column("label"), own_column("input_label")
    ('outlet', 'input_label', 'input_input_label')
    """
    bare = name
    while bare.startswith(_PREFIX):
        bare = bare.removeprefix(_PREFIX)
    return _PREFIX + name if bare in OUTPUT_COLUMNS else name


def result_row(doc_id: str, sentence: LabelledSentence, columns: Mapping[str, Any]) -> dict[str, Any]:
    """One row of the output.

    Args:
        doc_id: names the document.
        sentence: ``start`` and ``end`` are offsets in the document; those of the evidence count from
            the start of the row's ``text``.
        columns: the input's own columns.

    Returns:
        `OUTPUT_COLUMNS` and the own columns. Probabilities are rounded to 6 places and NaN where there
        is no label; the label is None unless the status is ``ok``.
    """
    found = sentence.prediction
    probabilities = [round(found.probabilities.get(label, math.nan), 6) for label in LABELS]
    return {
        "doc_id": doc_id,
        "sentence_index": sentence.index,
        "start": sentence.start,
        "end": sentence.end,
        "text": found.text,
        "label": None if found.label is None else str(found.label),
        **dict(zip(PROBABILITY_COLUMNS, probabilities, strict=True)),
        "evidence": [span.to_dict() for span in found.evidence],
        "status": str(found.status),
        "error": found.error,
        "truncated": found.truncated,
        "abstained": found.abstained,
        **{own_column(name): value for name, value in columns.items()},
    }


def check_output(
    path: str | Path,
    format: str | None = None,  # noqa: A002 (the name that the command line gives it)
    *,
    inputs: Iterable[str | Path] = (),
) -> None:
    """Whether a result can be written there, before any work is done.

    Args:
        path: as in `open_writer`.
        format: as in `open_writer`.
        inputs: files that are read, which the output must not replace.

    Raises:
        InputError: the format is unknown or contradicts the suffix, the folder is missing or cannot be
            written to, or the path is that of a folder, a device or an input.
    """
    name = str(path)
    if is_uri(name):
        folder = f"{public(name).rstrip('/')}/"
        advice = f"give a folder, such as {folder} with its slash, or write a local file and copy it"
        raise unusable(name, "a local file", "an object on a store", advice)
    _format_of(name, format)
    if name == _STDOUT:
        return
    try:
        target = _free_target(name)
    except OSError as error:
        raise unusable(name, "a name to write to", error.strerror or str(error), "choose another") from error
    for source in map(str, inputs):
        if source != STDIN and Path(source).resolve() == target:
            raise unusable(name, "an output other than the inputs", "an input", "choose another name")


@contextmanager
def open_writer(
    path: str | Path,
    format: str | None = None,  # noqa: A002 (the name that the command line gives it)
    *,
    inputs: Iterable[str | Path] = (),
    columns: Iterable[str] = (),
    schema: Any = None,
    stream: BinaryIO | None = None,
) -> Iterator[RowWriter]:
    """Open a result for writing.

    Leaving the ``with`` block puts the file in its place; leaving it by an exception, an interrupt
    included, leaves nothing behind and an older file untouched. Standard output is written to as
    the rows come.

    Args:
        path: name of a file, or "-" for standard output.
        format: one of `FORMATS`, with ``.gz`` or ``.zst`` behind it for a compressed text format. By
            default what the suffix says, and JSON Lines on standard output.
        inputs: files that are read, which the output must not replace.
        columns: names of the inputs' own columns, as in `Record.columns`, where they are known. CSV
            and Parquet have these and those of the rows first written: for CSV of the first call, for
            Parquet of the first row group, which also fixes their types. JSON Lines has no such limit.
        schema: Arrow schema of these columns, under the names that they are written by; fixes a Parquet
            file's types from the start.
        stream: takes the bytes, not compressed, and is left open; the path is then only a name.

    Raises:
        InputError: see `check_output`.
    """
    name = str(path)
    if stream is None:
        check_output(path, format, inputs=inputs)
    kind, compression = _format_of(name, format)
    own = [own_column(column) for column in columns]
    with ExitStack() as streams:
        if stream is None and name == _STDOUT:
            stream = sys.stdout.buffer
            streams.callback(stream.flush)
        elif stream is None:
            stream = streams.enter_context(replacing(Path(name).resolve(), compression))
        with ExitStack() as stack:
            writer = format_writer(kind, stream, name, own, stack, schema)
            yield writer
            writer.finish()


def output_format(path: str | Path, format: str | None = None) -> str:  # noqa: A002
    """Which of `FORMATS` an output has; see `open_writer`.

    Raises:
        InputError: the format is unknown or contradicts the suffix.
    """
    return _format_of(str(path), format)[0]


def _free_target(name: str) -> Path:
    """The file to write, links followed, where there is a file or nothing."""
    target = Path(name).resolve()
    if target.is_dir():
        raise unusable(name, "the name of a file", "a folder", "add a file name, such as results.jsonl")
    if not target.parent.is_dir():
        advice = f"make it first: mkdir -p {shown(str(Path(name).parent))}"
        raise unusable(name, "a folder to write to", "one that is not there", advice)
    if target.exists() and not target.is_file():
        raise unusable(name, "the name of a file", "a device or pipe", "write to - and redirect it")
    if not os.access(target.parent, os.W_OK):
        raise unusable(name, "a folder to write to", "one without permission", "choose another folder")
    return target


def _format_of(name: str, wanted: str | None) -> tuple[str, str]:
    """Format and suffix of the compression."""
    named = _parts(name)
    chosen = named if name != _STDOUT else ("jsonl", "")
    if wanted is not None:
        chosen = _parts(f"any.{wanted}")
        agree = named == chosen or (named[0] not in FORMATS and named[1] in ("", chosen[1]))
        if name != _STDOUT and not agree:
            advice = "leave the format out, or change the name"
            raise unusable(name, f"a name for the format {wanted}", f"one for {''.join(named)}", advice)
    kind, compression = chosen
    got = f"{kind}{compression}" or "no suffix"
    where, allowed = (name, FORMATS) if name != _STDOUT else ("standard output", FORMATS[:3])
    if kind not in allowed:
        raise unusable(where, f"one of the formats {', '.join(allowed)}", got, "choose one of these")
    if compression and name == _STDOUT:
        raise unusable(where, "a format without compression", got, "compress in a pipe")
    if compression and kind == "parquet":
        raise unusable(where, "plain parquet, which is compressed inside", got, f"leave {compression} out")
    return chosen


def _parts(name: str) -> tuple[str, str]:
    suffix, compression = suffixes(name)
    kind = suffix.removeprefix(".")
    return ("jsonl" if kind == "ndjson" else kind), compression


@contextmanager
def replacing(target: Path, compression: str = "") -> Iterator[BinaryIO]:
    """A stream into a file beside the target, which takes its place at the end.

    Leaving the ``with`` block by an exception leaves nothing behind and an older file untouched.

    Args:
        target: the file; its folder exists.
        compression: empty, ``.gz`` or ``.zst``.
    """
    temporary = target.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            if compression == ".gz":
                # Neither name nor time goes into the file: equal rows give equal bytes.
                with gzip.GzipFile("", "wb", 6, file, mtime=0) as compressed:
                    yield cast("BinaryIO", compressed)
            elif compression == ".zst":
                # Arrow closes the stream that it is given, and this one is still to be synchronised.
                with (
                    os.fdopen(os.dup(file.fileno()), "wb") as twin,
                    pa.CompressedOutputStream(twin, "zstd") as out,
                ):
                    yield out
            else:
                yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder as durable as the files; Windows, which cannot, does so by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_temporaries(folder: Path) -> None:
    """Remove what `replacing` leaves when its process is killed."""
    for path in folder.glob(f"{_TEMPORARY}*.tmp"):
        path.unlink(missing_ok=True)
