"""Runs of ``framelens`` as processes of their own, and what Linux tells of them meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from framelens import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Member", "Role", "Run", "check_linux"]

Role = Literal["parent", "worker", "helper"]
_PROC: Final = Path("/proc")
_SECONDS_BETWEEN_LOOKS: Final = 0.002
_SECONDS_TO_STOP: Final = 2.0


def check_linux() -> None:
    """See that the system tells what is asked of it.

    Raises:
        InputError: it is no Linux, or one before 4.14.
    """
    if not (_PROC / "self" / "smaps_rollup").is_file():
        raise InputError(
            f"expected Linux 4.14 or newer, whose /proc shows a process's workers and their memory, got "
            f"{sys.platform}; measure it there"
        )


@dataclass(frozen=True, slots=True)
class Member:
    """A process of a run.

    Attributes:
        pid: its number.
        role: ``parent`` is the process that was started, ``worker`` one that labels for it, ``helper``
            what Python starts besides.
        state: a letter, as in ``/proc/PID/stat``: ``T`` is stopped.
    """

    pid: int
    role: Role
    state: str


class Run:
    """One run of a command in a session of its own, by which all its processes are found.

    A context manager that kills what is left of them.

    Args:
        command: with its arguments.
        log: file that its output is appended to.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._log = log
        # Once nothing of it lives, the system may give its number to another program.
        self._gone = False
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
            )
        self.pid = self._process.pid
        self._begun = time.monotonic()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.signal_all(signal.SIGKILL)
        self._process.wait()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._begun

    def ended_within(self, seconds: float) -> bool:
        """Wait so long, or until the command has ended."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    @property
    def code(self) -> int | None:
        """What the command ended with; negative is a signal, None that it runs."""
        return self._process.poll()

    @property
    def last_words(self) -> str:
        """The last line of the log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")

    def members(self) -> list[Member]:
        """The processes that live now, by their numbers."""
        if self._gone:
            return []
        found = []
        for folder in _PROC.iterdir():
            if not folder.name.isdecimal():
                continue
            # It may end while one looks.
            with suppress(OSError):
                # The name, in brackets, may hold spaces and brackets.
                state, _, _, session = (
                    (folder / "stat").read_bytes().rpartition(b")")[2].decode("ascii").split()[:4]
                )
                if int(session) == self.pid and state not in "ZX":
                    found.append(Member(int(folder.name), self._role(folder), state))
        self._gone = not found and self.code is not None
        return sorted(found, key=lambda member: member.pid)

    def _role(self, folder: Path) -> Role:
        if int(folder.name) == self.pid:
            return "parent"
        # What multiprocessing calls a process that it spawns; the other one minds its semaphores.
        return "worker" if b"spawn_main" in (folder / "cmdline").read_bytes() else "helper"

    def stop(self) -> bool:
        """Hold all its processes where they are.

        Returns:
            Whether the command still ran.
        """
        self.signal_all(signal.SIGSTOP)
        until = time.monotonic() + _SECONDS_TO_STOP
        while self.code is None and time.monotonic() < until:
            if all(member.state == "T" for member in self.members()):
                break
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if self.code is None:
            return True
        # Workers that were just about to end as well.
        self.signal_all(signal.SIGCONT)
        return False

    def signal_all(self, number: int) -> None:
        """Send a signal to all its processes, those that outlived their parent included."""
        if self.members():
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)
