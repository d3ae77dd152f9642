"""A job on the disk: its plan, its lock, its shards, and what says that a shard is done.

::

    OUT/
      job.json                    what decides the shards, and what reading through has found
      parts.jsonl                 which records make which shard
      shards/part-000000.parquet  the rows
      commits/part-000000.json    written behind the shard: it is complete
      manifest.json               written at the end
      lock                        held by the process that works on the job

Every file is written beside its place, made durable and renamed, and ``job.json`` behind ``parts.jsonl``,
so that at every moment what is there under its name is complete.

On an object store (see `framelens.storage`) all this is the same but for the lock, which no system takes
back when its owner dies: it is an object that is removed at the end and on Ctrl-C, and that one who knows
its owner dead removes by hand. Nor can it be taken and looked at in one step there: of two processes that
begin in the same moment both can go on. Equal ones write the same bytes under the same names and lose time
only; of others one is told at the end.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow.parquet as pq

from framelens.decoding import shown, unusable
from framelens.errors import JobError
from framelens.storage import ObjectPath, location
from framelens.survey import Part
from framelens.writers import remove_temporaries, replacing, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["JobFolder", "open_job_folder"]

_LOCK: Final = "lock"
_PLAN: Final = "job.json"
_PARTS: Final = "parts.jsonl"
_MANIFEST: Final = "manifest.json"
_SHARDS: Final = "shards"
_COMMITS: Final = "commits"


class JobFolder:
    """The folder of one job; made by `open_job_folder`.

    Args:
        path: the folder, which is there and locked.
    """

    def __init__(self, path: Path | ObjectPath) -> None:
        self.path = path
        self._shards = path / _SHARDS
        self._commits = path / _COMMITS
        for folder in self._local_folders():
            folder.mkdir(exist_ok=True)
            remove_temporaries(folder)
        if isinstance(path, Path):
            sync_folder(path)

    @property
    def plan(self) -> dict[str, Any] | None:
        """What `begin` was given; None for a new job.

        Raises:
            InputError: the file is damaged, or gone while shards are there.
        """
        path = self.path / _PLAN
        if path.is_file():
            return _read_json(path)
        # Of another plan, they would be taken for shards of this one.
        if _sizes(self._commits) or _sizes(self._shards):
            advice = "put it back, or choose a new folder"
            raise unusable(str(path), "what the shards beside it were made by", "nothing", advice)
        return None

    @property
    def parts(self) -> list[Part]:
        """The parts of the job, in order."""
        return [Part(**json.loads(line)) for line in (self.path / _PARTS).read_bytes().splitlines()]

    def begin(self, plan: dict[str, Any], parts: Sequence[Part]) -> None:
        """Write down what the job is."""
        lines = (f"{json.dumps(asdict(part))}\n".encode() for part in parts)
        _write(b"".join(lines), self.path / _PARTS)
        _write_json(plan, self.path / _PLAN)

    def shard(self, number: int, form: str) -> Path | ObjectPath:
        """Where a part's shard lies; `framelens.storage.address` makes a `ShardTarget.path` of it."""
        return self._shards / f"part-{number:06}.{form}"

    def size(self, number: int, form: str) -> int | None:
        """Bytes of a part's shard; None where there is none."""
        path = self.shard(number, form)
        return path.stat().st_size if path.is_file() else None

    def rows(self, number: int, form: str) -> int | None:
        """Rows of a part's shard by its own account, which only Parquet gives."""
        if form != "parquet":
            return None
        path = self.shard(number, form)
        if isinstance(path, Path):
            return int(pq.read_metadata(path).num_rows)
        with path.open_random() as file:
            return int(pq.read_metadata(file).num_rows)

    def commit(self, number: int, report: dict[str, Any]) -> None:
        """Write down that a part's shard is complete."""
        _write_json(report, self._commits / f"part-{number:06}.json")

    def committed(self, parts: Sequence[Part], form: str) -> dict[int, dict[str, Any]]:
        """What `commit` was given, by part; of shards that are gone or cut short the commit is taken back."""
        found = {}
        commits, shards = _sizes(self._commits), _sizes(self._shards)
        for part in parts:
            path = self._commits / f"part-{part.number:06}.json"
            if path.name not in commits:
                continue
            report = _read_json(path)
            if shards.get(self.shard(part.number, form).name) == report["bytes"]:
                found[part.number] = report
            else:
                path.unlink()
        return found

    @property
    def finished(self) -> bool:
        """Whether `finish` has been called."""
        return (self.path / _MANIFEST).is_file()

    def reopen(self) -> None:
        """Take `finish` back: a shard of a finished job is gone and will be written again."""
        (self.path / _MANIFEST).unlink(missing_ok=True)

    def finish(self, manifest: dict[str, Any]) -> None:
        """Write the manifest, which says that the job is done."""
        _write_json(manifest, self.path / _MANIFEST)

    def clean(self) -> None:
        """Remove what was being written when a worker or this process was stopped."""
        for folder in self._local_folders():
            remove_temporaries(folder)

    def _local_folders(self) -> list[Path]:
        """The folders that are made, and swept of temporary files; an object store needs neither."""
        folders = (self.path, self._shards, self._commits)
        return [folder for folder in folders if isinstance(folder, Path)]


@contextmanager
def open_job_folder(name: str | Path) -> Iterator[JobFolder]:
    """Open a job's folder for this process alone; a new one is made.

    Args:
        name: of a local folder, or the URI of one on an object store.

    Raises:
        InputError: there is a file of that name, or the folder holds something else than a job.
        JobError: another process works on it, or an object store does not answer.
    """
    path = location(name)
    opened = _open_local(path) if isinstance(path, Path) else _open_remote(path)
    with opened as folder:
        try:
            yield folder
        finally:
            folder.clean()


@contextmanager
def _open_remote(path: ObjectPath) -> Iterator[JobFolder]:
    name = f"{str(path).rstrip('/')}/"
    if path.key and path.is_file():
        raise unusable(name, "a folder", "an object", "choose another name")
    others = path.sizes_inside().keys() - {_LOCK, _PLAN, _PARTS, _MANIFEST, _SHARDS, _COMMITS}
    if others:
        advice = "choose another"
        raise unusable(name, "a new or empty folder, or that of a job", f"one with {min(others)}", advice)
    with _locked_object(path / _LOCK, name):
        yield JobFolder(path)


@contextmanager
def _locked_object(lock: ObjectPath, name: str) -> Iterator[None]:
    """Hold a lock that outlives this process if it is killed; see the module."""
    if lock.is_file():
        raise _taken(lock, name)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    # The last part tells our lock from that of a process that began in the same moment.
    ours = f"process {os.getpid()} on {platform.node()} since {now} ({secrets.token_hex(4)})\n".encode()
    try:
        lock.write_bytes(ours)
        if lock.read_bytes() != ours:
            raise _taken(lock, name)
        yield
    finally:
        # Where the store is out of reach, the next run meets the lock and says so.
        with suppress(JobError):
            if lock.read_bytes() == ours:
                lock.unlink(missing_ok=True)


def _taken(lock: ObjectPath, name: str) -> JobError:
    owner = shown(" ".join(lock.read_bytes().decode(errors="replace").split()))
    return JobError(
        f"{name}: expected a job that no one works on, got one that is worked on by {owner}; wait for it, "
        f"or, if you know that it has ended, remove {lock} and repeat the command"
    )


@contextmanager
def _open_local(path: Path) -> Iterator[JobFolder]:
    name = f"{path}{os.sep}"
    if path.exists() and not path.is_dir():
        raise unusable(name, "a folder", "a file", "choose another name, or leave the slash out")
    if path.is_dir() and not (path / _LOCK).is_file() and any(path.iterdir()):
        raise unusable(
            name, "a new or empty folder, or that of a job", "one with other files", "choose another"
        )
    if not path.parent.is_dir():
        raise unusable(name, "a folder to make it in", "none", f"mkdir -p {shown(str(path.parent))}")
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise unusable(
            name, "a folder to write to", error.strerror or str(error), "choose another"
        ) from error
    with _locked(path / _LOCK, name):
        yield JobFolder(path)


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    """Hold a lock, which the system takes back when this process ends, however it ends."""
    with path.open("a+", encoding="utf-8") as file:
        try:
            _lock(file.fileno())
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            owner = " ".join(file.read().split()) or "another process"
            raise JobError(
                f"{name}: expected a job that no one works on, got one that is worked on by {owner}; "
                "wait for it, or stop it and repeat the command"
            ) from error
        except OSError as error:
            raise unusable(
                name, "a file system with locks", error.strerror or str(error), "write to a local folder"
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}\n")
        file.flush()
        yield


def _lock(descriptor: int) -> None:
    if os.name == "nt":
        import msvcrt

        # Bytes far behind the end, because Windows lets no one read what is locked.
        os.lseek(descriptor, 2**30, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        os.lseek(descriptor, 0, os.SEEK_SET)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _sizes(folder: Path | ObjectPath) -> dict[str, int]:
    """Bytes of the files in a folder, by their names."""
    if isinstance(folder, ObjectPath):
        return {name: size for name, size in folder.sizes_inside().items() if size is not None}
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def _read_json(path: Path | ObjectPath) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise unusable(
            str(path), "a file of framelens", "a damaged one", "label into another folder"
        ) from error
    return content


def _write_json(content: dict[str, Any], path: Path | ObjectPath) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    # A file's name need not be Unicode; Python's escape of such a byte is also JSON's.
    _write(text.encode(errors="backslashreplace"), path)


def _write(content: bytes, path: Path | ObjectPath) -> None:
    """Put a file in its place, whole."""
    if isinstance(path, ObjectPath):
        path.write_bytes(content)
        return
    with replacing(path) as stream:
        stream.write(content)
