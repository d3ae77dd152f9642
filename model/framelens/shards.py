"""Labelling one part: as a shard on the disk, or as labelled records."""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from framelens.corpus import Counts, label_records
from framelens.storage import ObjectPath, location
from framelens.writers import open_writer, result_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from framelens.classifier import FramingClassifier
    from framelens.corpus import LabelledRecord, Unit
    from framelens.readers import Record

__all__ = ["SHARD_FORMATS", "ShardTarget", "Task", "perform"]

#: What the shards of a job can be written as.
SHARD_FORMATS = ("parquet", "jsonl")
_SECONDS_BETWEEN_TICKS = 1.0


@dataclass(frozen=True)
class ShardTarget:
    """Where a part's rows go.

    Attributes:
        path: of the shard, or a URI of `framelens.storage`; it appears when it is complete.
        format: one of `SHARD_FORMATS`.
        columns: names of the inputs' own columns.
        schema: their types as Arrow serialises them, for Parquet; None for JSON Lines.
    """

    path: str
    format: str
    columns: tuple[str, ...]
    schema: bytes | None


@dataclass(frozen=True)
class Task:
    """A part to be labelled.

    Attributes:
        number: of the part.
        runs: its records, with what each is taken as.
        target: the shard to write; None gives the labelled records back.
    """

    number: int
    runs: list[tuple[Unit, list[Record]]]
    target: ShardTarget | None = None


def perform(
    classifier: FramingClassifier, task: Task, tick: Callable[[Counts], None]
) -> dict[str, Any] | list[LabelledRecord]:
    """Label a part.

    Args:
        classifier: what labels.
        task: what to label.
        tick: is called about once a second with what this part has come to.

    Returns:
        Of a shard what was written: `Counts.to_dict` with its ``bytes``, ``sha256`` and ``seconds``.
        Without a shard the labelled records, in order.

    Raises:
        InputError: a value does not fit its column.
        JobError: the shard cannot be stored.
    """
    started = time.monotonic()
    counts = Counts()
    labelled = _ticking(classifier, task, counts, tick)
    if task.target is None:
        return list(labelled)
    target = task.target
    schema = None if target.schema is None else pa.ipc.read_schema(pa.py_buffer(target.schema))
    path = location(target.path)
    # For an object store a shard, which is small enough, grows in memory: a kill leaves no file behind.
    held = io.BytesIO()
    stream = held if isinstance(path, ObjectPath) else None
    with open_writer(
        target.path, target.format, columns=target.columns, schema=schema, stream=stream
    ) as writer:
        for entry in labelled:
            record = entry.record
            writer.write([result_row(record.doc_id, s, record.columns) for s in entry.document.sentences])
    if isinstance(path, ObjectPath):
        content = held.getbuffer()
        digest, size = hashlib.sha256(content).hexdigest(), len(content)
        path.write_bytes(content)
    else:
        with path.open("rb") as shard:
            digest = hashlib.file_digest(shard, "sha256").hexdigest()
        size = path.stat().st_size
    seconds = round(time.monotonic() - started, 3)
    return {**counts.to_dict(), "bytes": size, "sha256": digest, "seconds": seconds}


def _ticking(
    classifier: FramingClassifier, task: Task, counts: Counts, tick: Callable[[Counts], None]
) -> Iterator[LabelledRecord]:
    told = time.monotonic()
    for unit, records in task.runs:
        for entry in label_records(classifier, records, unit):
            counts.add(entry)
            yield entry
            if time.monotonic() - told > _SECONDS_BETWEEN_TICKS:
                told = time.monotonic()
                tick(counts)
