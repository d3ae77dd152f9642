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
"""

from __future__ import annotations

import json
import os
import platform
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from framelens.decoding import shown, unusable
from framelens.errors import JobError
from framelens.survey import Part
from framelens.writers import remove_temporaries, replacing, sync_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["JobFolder", "open_job_folder"]

_LOCK: Final = "lock"
_PLAN: Final = "job.json"
_PARTS: Final = "parts.jsonl"
_MANIFEST: Final = "manifest.json"


class JobFolder:
    """The folder of one job; made by `open_job_folder`.

    Args:
        path: the folder, which is there and locked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._shards = path / "shards"
        self._commits = path / "commits"
        for folder in (path, self._shards, self._commits):
            folder.mkdir(exist_ok=True)
            remove_temporaries(folder)
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
        if any(self._commits.iterdir()) or any(self._shards.iterdir()):
            advice = "put it back, or choose a new folder"
            raise unusable(str(path), "what the shards beside it were made by", "nothing", advice)
        return None

    @property
    def parts(self) -> list[Part]:
        """The parts of the job, in order."""
        with (self.path / _PARTS).open(encoding="utf-8") as lines:
            return [Part(**json.loads(line)) for line in lines]

    def begin(self, plan: dict[str, Any], parts: Sequence[Part]) -> None:
        """Write down what the job is."""
        with replacing(self.path / _PARTS) as stream:
            for part in parts:
                stream.write(f"{json.dumps(asdict(part))}\n".encode())
        _write_json(plan, self.path / _PLAN)

    def shard(self, number: int, form: str) -> Path:
        """Where a part's shard lies."""
        return self._shards / f"part-{number:06}.{form}"

    def commit(self, number: int, report: dict[str, Any]) -> None:
        """Write down that a part's shard is complete."""
        _write_json(report, self._commits / f"part-{number:06}.json")

    def committed(self, parts: Sequence[Part], form: str) -> dict[int, dict[str, Any]]:
        """What `commit` was given, by part; of shards that are gone or cut short the commit is taken back."""
        found = {}
        names = {path.name for path in self._commits.iterdir()}
        for part in parts:
            path = self._commits / f"part-{part.number:06}.json"
            if path.name not in names:
                continue
            report = _read_json(path)
            shard = self.shard(part.number, form)
            if shard.is_file() and shard.stat().st_size == report["bytes"]:
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
        for folder in (self.path, self._shards, self._commits):
            remove_temporaries(folder)


@contextmanager
def open_job_folder(path: Path) -> Iterator[JobFolder]:
    """Open a job's folder for this process alone; a new one is made.

    Raises:
        InputError: there is a file of that name, or the folder holds something else than a job.
        JobError: another process works on it.
    """
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
        folder = JobFolder(path)
        try:
            yield folder
        finally:
            folder.clean()


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


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise unusable(
            str(path), "a file of framelens", "a damaged one", "label into another folder"
        ) from error
    return content


def _write_json(content: dict[str, Any], path: Path) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    with replacing(path) as stream:
        # A file's name need not be Unicode; Python's escape of such a byte is also JSON's.
        stream.write(text.encode(errors="backslashreplace"))
