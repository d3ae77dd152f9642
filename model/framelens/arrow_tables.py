"""Tables that know their types: Parquet files, and Arrow or Feather files in both of Arrow's formats."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from framelens.decoding import unusable
from framelens.errors import JobError
from framelens.storage import ObjectPath, location

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ARROW_SUFFIXES", "TypedTable", "holds_text", "open_typed"]

#: Arrow's own formats; a `datasets` directory holds such files.
ARROW_SUFFIXES: Final = (".arrow", ".feather")
_ROWS_AT_ONCE: Final = 1024
_MAGIC_OF_FILE: Final = b"ARROW1"
_MAGIC_OF_OLD_FEATHER: Final = b"FEA1"


@dataclass(frozen=True, slots=True)
class TypedTable:
    """An open table.

    Attributes:
        schema: of its columns, with times to the microsecond, as the rows have them.
        rows: one dict a row, read as they are taken.
    """

    schema: Any
    rows: Iterator[dict[str, Any]]


@contextmanager
def open_typed(source: str, suffix: str, skip: int = 0) -> Iterator[TypedTable]:
    """Open a Parquet, Arrow or Feather file.

    Args:
        source: name of the file.
        suffix: ``.parquet`` or one of `ARROW_SUFFIXES`.
        skip: rows at the beginning to leave out; they are hardly read.

    Raises:
        InputError: the file is empty or damaged. Also raised inside the ``with`` block, where its rows
            are read.
    """
    kind = "a Parquet file" if suffix == ".parquet" else "an Arrow file"
    try:
        if location(source).stat().st_size == 0:
            raise unusable(source, kind, "an empty one", "leave it out, or fetch it again")
        with ExitStack() as stack:
            opened = _open_parquet if suffix == ".parquet" else _open_arrow
            schema, batches = opened(source, skip, stack)
            fields = [pa.field(field.name, _plain_type(field.type)) for field in schema]
            yield TypedTable(pa.schema(fields), _rows(batches, source))
    except JobError:
        # Of a store, and not of what lies there.
        raise
    except (pa.ArrowException, OSError) as error:
        advice = "fetch or write it again, or correct its suffix"
        raise unusable(source, kind, f"damaged or other data ({error})", advice) from error


def holds_text(kind: Any) -> bool:
    """Whether an Arrow type is of strings; a column that is null throughout counts as one."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(test(kind) for test in tests)


def _open_parquet(source: str, skip: int, stack: ExitStack) -> tuple[Any, Iterator[Any]]:
    # Buffered ahead, the whole file is in memory before its last row is read.
    file = stack.enter_context(pq.ParquetFile(_seekable(source, stack), pre_buffer=False))
    first = 0
    while first < file.num_row_groups and file.metadata.row_group(first).num_rows <= skip:
        skip -= file.metadata.row_group(first).num_rows
        first += 1
    groups = list(range(first, file.num_row_groups))
    return file.schema_arrow, _behind(file.iter_batches(batch_size=_ROWS_AT_ONCE, row_groups=groups), skip)


def _seekable(source: str, stack: ExitStack) -> Any:
    """What Arrow's readers take: the name of a local file, or an open object."""
    path = location(source)
    return stack.enter_context(path.open_random()) if isinstance(path, ObjectPath) else source


def _open_arrow(source: str, skip: int, stack: ExitStack) -> tuple[Any, Iterator[Any]]:
    # Not memory-mapped: the pages of a long file would count as this process's memory.
    file = _seekable(source, stack)
    if file is source:
        file = stack.enter_context(pa.OSFile(source))
    magic = file.read(len(_MAGIC_OF_FILE))
    file.seek(0)
    if magic.startswith(_MAGIC_OF_OLD_FEATHER):
        advice = "write it again: pyarrow.feather.write_feather(pyarrow.feather.read_table(OLD), NEW)"
        raise unusable(source, "an Arrow file", "Feather's first version", advice)
    if magic == _MAGIC_OF_FILE:
        reader = stack.enter_context(pa.ipc.open_file(file))
        batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        reader = stack.enter_context(pa.ipc.open_stream(file))
        batches = iter(reader)
    return reader.schema, _behind(batches, skip)


def _behind(batches: Iterator[Any], skip: int) -> Iterator[Any]:
    """The rows behind the first ``skip``, in batches of a bounded size."""
    for batch in batches:
        if skip >= batch.num_rows:
            skip -= batch.num_rows
            continue
        for start in range(skip, batch.num_rows, _ROWS_AT_ONCE):
            yield batch.slice(start, _ROWS_AT_ONCE)
        skip = 0


def _rows(batches: Iterator[Any], source: str) -> Iterator[dict[str, Any]]:
    for batch in batches:
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
    kind = _to_microseconds(column.type)
    return column if kind == column.type else column.cast(kind, safe=False)


def _to_microseconds(kind: Any) -> Any:
    if not pa.types.is_temporal(kind) or getattr(kind, "unit", None) != "ns":
        return kind
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return pa.time64("us") if pa.types.is_time(kind) else pa.duration("us")


def _plain_type(kind: Any) -> Any:
    """The type in which the values of a column are written again: no dictionary, no extension."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _plain_type(kind.storage_type)
    return _to_microseconds(kind)
