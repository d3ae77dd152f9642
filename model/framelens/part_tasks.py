"""The parts of a job as tasks, which whoever labels them can read: this process or another machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from framelens.jobs import named
from framelens.shards import ShardTarget, Task
from framelens.survey import PartReader

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from framelens.corpus import Unit
    from framelens.jobs import LabelJob
    from framelens.readers import InputInfo, ReadOptions
    from framelens.survey import Part

__all__ = ["PartTasks", "TaskMaker"]


@dataclass(frozen=True)
class TaskMaker:
    """What it takes to read any part of a job and to write its shard; it pickles.

    Attributes:
        job: what was asked for.
        infos: the inputs as they were surveyed.
        options: how they are read.
        units: what a record of each input is taken as.
        records: of each input.
        format: of the shards.
        columns: see `ShardTarget`.
        schema: see `ShardTarget`.
    """

    job: LabelJob
    infos: Sequence[InputInfo]
    options: ReadOptions
    units: Sequence[Unit]
    records: Sequence[int]
    format: str
    columns: tuple[str, ...]
    schema: bytes | None

    def reader(self) -> PartReader:
        """A reader of the parts, quickest in their order."""
        return PartReader(self.infos, self.options, self.units, self.records)

    def task(self, reader: PartReader, part: Part, path: str) -> Task:
        """Read a part.

        Args:
            reader: from `reader`.
            part: what to read.
            path: of its shard, see `ShardTarget`.

        Raises:
            InputError: an input cannot be read, or holds other records than when it was surveyed.
        """
        runs = named(self.job, reader.read(part))
        return Task(part.number, runs, ShardTarget(path, self.format, self.columns, self.schema))


@dataclass(frozen=True)
class PartTasks:
    """Tasks, each of which is read when it is asked for.

    Attributes:
        maker: how they are made.
        parts: what is to be labelled, in order, with the path of the shard of each.
    """

    maker: TaskMaker
    parts: Sequence[tuple[Part, str]]

    def __iter__(self) -> Iterator[Task]:
        reader = self.maker.reader()
        for part, path in self.parts:
            yield self.maker.task(reader, part, path)
