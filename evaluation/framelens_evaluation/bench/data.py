"""A benchmark's sentences: reading them, dividing them, and finding those that stand in two parts."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import InputError
from framelens_evaluation.bench.tasks import SPLIT_NAMES
from framelens_evaluation.reporting.provenance import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from framelens_evaluation.bench.tasks import Task
    from framelens_evaluation.statistics.metrics import IntArray

__all__ = [
    "BenchData",
    "BenchRow",
    "Split",
    "build_data",
    "find_data_dir",
    "read_converted",
    "repeated",
    "same_text",
    "splits_of",
    "without_repeats",
]

#: One of so many groups of a training part becomes dev where none was published.
_DEV_SHARE = 10


@dataclass(frozen=True, slots=True)
class BenchRow:
    """A sentence of a benchmark.

    Attributes:
        text: the sentence, never blank.
        label: its class, a place in the task's ``classes``.
        split: ``train``, ``dev``, ``test``, or ``none``.
        group: what it is split and resampled with; its own text where the file names no group.
    """

    text: str
    label: int
    split: str
    group: str


@dataclass(frozen=True, eq=False)
class BenchData:
    """A task's sentences.

    Attributes:
        task: its declaration.
        rows: in the order of the file.
        left_out: rows that are not used, by reason.
        n_without_group: rows whose file names no group for them.
        sources: the files.
    """

    task: Task
    rows: tuple[BenchRow, ...]
    left_out: dict[str, int]
    n_without_group: int
    sources: tuple[Source, ...]


@dataclass(frozen=True, eq=False)
class Split:
    """Places in ``BenchData.rows``; no place stands in two of the three."""

    train: IntArray
    dev: IntArray
    test: IntArray


def find_data_dir(given: Path | None) -> Path:
    """The folder of the converted sets: ``bench`` in the one given, else in ``$FRAMELENS_DATA``.

    Raises:
        InputError: neither names a folder, or it has no ``bench``.
    """
    name = given or os.environ.get("FRAMELENS_DATA")
    if not name:
        raise InputError(
            "where are the benchmarks? Give --data-dir or set FRAMELENS_DATA to the folder that holds "
            "bench/, or give --public DIR with the sets as they are published"
        )
    folder = Path(name) / "bench"
    if not folder.is_dir():
        raise InputError(f"expected the benchmarks in {folder}, and there is no such folder")
    return folder


def read_converted(task: Task, folder: Path) -> BenchData:
    """A task's file of gzipped JSON lines.

    Each line has ``text``, ``label`` and ``split``, and the field that the task groups by; others are
    ignored.

    Args:
        task: its declaration.
        folder: that holds the file.

    Raises:
        InputError: the file is missing or cannot be read, or a line is no sentence of the task.
    """
    path = folder / task.file
    if not path.is_file():
        homes = "; ".join(map(str, task.homes))
        readable = " --public DIR reads it as it is published." if task.public else ""
        raise InputError(
            f"{path} is missing: {task.title}, as gzipped JSON lines with text, label, split and "
            f"{task.group}. It comes from {homes}.{readable}"
        )
    try:
        content = path.read_bytes()
        lines = gzip.decompress(content).decode("utf-8").split("\n")
        entries = [(at, json.loads(line)) for at, line in enumerate(lines, start=1) if line.strip()]
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise InputError(f"{path} cannot be read as gzipped JSON lines: {error}") from error
    source = Source(role=task.name, name=path.name, sha256=hashlib.sha256(content).hexdigest())
    return build_data(task, (_fields(task, entry, f"{path}:{at}") for at, entry in entries), (source,))


def _fields(task: Task, entry: Any, where: str) -> tuple[str, str, str, str | None]:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: expected a JSON object")
    for name in ("text", "label", "split"):
        if not isinstance(entry.get(name), str):
            raise InputError(f"{where}: expected a string as {name!r}, got {entry.get(name)!r}")
    group = entry.get(task.group)
    return entry["text"], entry["label"], entry["split"], None if group in (None, "") else str(group)


def build_data(
    task: Task, fields: Iterable[tuple[str, str, str, str | None]], sources: tuple[Source, ...]
) -> BenchData:
    """Rows of a task from (text, label, split, group); a group of None is the sentence's own.

    Raises:
        InputError: a label or split that the task does not know, or no sentence in a part that it needs.
    """
    known = {label: task.classes.index(name) for label, name in task.labels.items()}
    expected = SPLIT_NAMES if task.splits.kind == "published" else ("none",)
    rows: list[BenchRow] = []
    left_out: Counter[str] = Counter()
    n_without_group = 0
    for text, label, split, group in fields:
        if not text.strip():
            left_out["blank text"] += 1
            continue
        if label in task.leaves_out:
            left_out[f"{label}: {task.leaves_out[label]}"] += 1
            continue
        if label not in known:
            raise InputError(f"{task.name}: expected a label among {', '.join(known)}, got {label!r}")
        if split not in expected:
            raise InputError(f"{task.name}: expected a split among {', '.join(expected)}, got {split!r}")
        n_without_group += group is None
        key = f"text {same_text(text)}" if group is None else f"group {group}"
        rows.append(BenchRow(text, known[label], split, key))
    found = {row.split for row in rows}
    needed = {"none"} if task.splits.kind == "cross-validation" else {"train", "test"}
    needed |= {"dev"} if task.splits.dev == "published" else set()
    if needed - found:
        raise InputError(f"{task.name} holds no sentences of {', '.join(sorted(needed - found))}")
    return BenchData(task, tuple(rows), dict(left_out), n_without_group, sources)


def same_text(text: str) -> str:
    """What two sentences share that differ in case, spaces and punctuation alone.

    A text of punctuation alone is only equal to itself.
    """
    return re.sub(r"\W+", "", text.lower()) or text.strip()


def splits_of(data: BenchData) -> tuple[Split, ...]:
    """The parts of a task: one split, or one for each fold, whose test parts cover every row once.

    Groups fall into folds and into dev by a hash of their names, so that the parts depend neither on the
    order of the file nor on a seed.

    Raises:
        InputError: a part that the split needs would be empty.
    """
    settings = data.task.splits
    groups = [row.group for row in data.rows]
    if settings.kind == "cross-validation":
        fold = np.array([_bucket("fold", group, settings.folds) for group in groups])
        parts = [(np.flatnonzero(fold != at), np.flatnonzero(fold == at)) for at in range(settings.folds)]
        return tuple(_with_dev(data, train, test) for train, test in parts if len(test))
    split = np.array([row.split for row in data.rows])
    train, dev, test = (np.flatnonzero(split == name) for name in SPLIT_NAMES)
    if settings.dev == "published":
        return (Split(train, dev, test),)
    return (_with_dev(data, train, test),)


def _with_dev(data: BenchData, train: IntArray, test: IntArray) -> Split:
    in_dev = np.array([_bucket("dev", data.rows[i].group, _DEV_SHARE) == 0 for i in train], dtype=bool)
    if in_dev.all() or not in_dev.any():
        raise InputError(f"{data.task.name}: too few groups ({data.task.group_is}) to cut dev from train")
    return Split(train[~in_dev], train[in_dev], test)


def _bucket(purpose: str, name: str, n: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{purpose}:{name}".encode()).digest()[:8], "big") % n


def repeated(data: BenchData, these: IntArray, among: IntArray) -> IntArray:
    """Those of ``these`` places whose sentence also stands at one of ``among``; see `same_text`."""
    known = _texts(data, among)
    return these[[same_text(data.rows[i].text) in known for i in these]] if len(these) else these


def without_repeats(data: BenchData, split: Split) -> Split:
    """Train without what dev or test repeats, and dev without what test repeats; test stays whole.

    Raises:
        InputError: nothing is left of train or of dev.
    """
    elsewhere = np.concatenate([split.dev, split.test])
    train = np.setdiff1d(split.train, repeated(data, split.train, elsewhere), assume_unique=True)
    dev = np.setdiff1d(split.dev, repeated(data, split.dev, split.test), assume_unique=True)
    if not len(train) or not len(dev):
        raise InputError(f"{data.task.name}: every sentence of train or of dev also stands in another part")
    return Split(train, dev, split.test)


def _texts(data: BenchData, places: Sequence[int] | IntArray) -> set[str]:
    return {same_text(data.rows[i].text) for i in places}
