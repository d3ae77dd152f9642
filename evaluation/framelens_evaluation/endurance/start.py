"""What ``framelens label`` of one article costs from a cold start, and what of it is importing.

Every turn is a new process. The disk's cache is warm: a turn before the counted ones reads the files in.
Process time is user and system time of all threads, from ``os.wait4``, so that waiting for other
programs does not count.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from importlib.resources import as_file, files
from statistics import median
from typing import TYPE_CHECKING, Final

from framelens import InputError
from framelens.speed import framelens_command
from framelens_evaluation.reporting.provenance import Part, Provenance, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["MOST_SECONDS", "ImportCost", "Start", "Timing", "import_costs", "measure_start"]

#: Target: process time of one article.
MOST_SECONDS: Final = 1.5
STANDARD_LIBRARY: Final = "Python's own library"
_LINE: Final = re.compile(r"^import time:\s*(\d+) \|\s*\d+ \|\s*(\S+)$", re.MULTILINE)
_IMPORTS_SHOWN: Final = 12


class Timing(Part):
    """One command, several times.

    Attributes:
        name: as people call it.
        process_seconds: user and system time of each turn.
        wall_seconds: of each turn.
    """

    name: str
    process_seconds: tuple[float, ...]
    wall_seconds: tuple[float, ...]

    @property
    def process(self) -> float:
        """The median."""
        return median(self.process_seconds)

    @property
    def wall(self) -> float:
        """The median."""
        return median(self.wall_seconds)


class ImportCost(Part):
    """What a package costs to import.

    Attributes:
        package: its name, or `STANDARD_LIBRARY`.
        modules: of it that were imported.
        seconds: of these modules themselves, without what they import of other packages.
    """

    package: str
    modules: int
    seconds: float


class Start(Part):
    """What a start costs.

    Attributes:
        article: the input.
        timings: labelling it first, then what less costs.
        imports: of one more turn of labelling, under ``-X importtime``; the dearest packages.
        import_seconds: of all packages.
        provenance: how it was measured.
    """

    article: str
    timings: tuple[Timing, ...]
    imports: tuple[ImportCost, ...]
    import_seconds: float
    provenance: Provenance

    @property
    def label(self) -> Timing:
        """Of labelling."""
        return self.timings[0]

    @property
    def passed(self) -> bool:
        """Whether it meets the target."""
        return self.label.process < MOST_SECONDS


def measure_start(
    repeats: int, *, command: str | None = None, progress: Callable[[str], None] = lambda _: None
) -> Start:
    """Time commands in turns (A B C D A B C D …), so that what else the machine does falls on all.

    Args:
        repeats: counted turns, at least 1.
        command: for the report.
        progress: is told what is done.

    Raises:
        InputError: ``repeats`` is below 1, a command failed, or the system tells no process times.
    """
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, got {repeats}")
    if not hasattr(os, "wait4"):
        raise InputError(f"expected a system that tells process times (os.wait4), got {sys.platform}")
    started = Started()
    with as_file(files("framelens") / "data" / "example.md") as article:
        label = framelens_command("label", str(article), "--format", "text")
        commands = {
            "framelens label article.txt": label,
            "framelens --version": framelens_command("--version"),
            'python -c "import framelens"': [sys.executable, "-c", "import framelens"],
            'python -c "pass"': [sys.executable, "-c", "pass"],
        }
        turns: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for turn in range(repeats + 1):
            progress(f"turn {turn} of {repeats}" if turn else "a turn that is not counted")
            for name, each in commands.items():
                turns[name].append(_timed(each))
        progress("weighing imports")
        costs = import_costs(_importing(label))
    return Start(
        article=article.name,
        timings=tuple(_timing(name, found[1:]) for name, found in turns.items()),
        imports=tuple(costs[:_IMPORTS_SHOWN]),
        import_seconds=round(sum(cost.seconds for cost in costs), 4),
        provenance=started.provenance(command=command, seed=0, n_resamples=None, sources=()),
    )


def import_costs(told: str) -> list[ImportCost]:
    """What ``python -X importtime`` tells, by package, the dearest first."""
    seconds: Counter[str] = Counter()
    modules: Counter[str] = Counter()
    for microseconds, module in _LINE.findall(told):
        top = module.partition(".")[0]
        package = STANDARD_LIBRARY if top in sys.stdlib_module_names else top
        seconds[package] += int(microseconds)
        modules[package] += 1
    return [
        ImportCost(package=package, modules=modules[package], seconds=total / 1e6)
        for package, total in seconds.most_common()
    ]


def _timing(name: str, turns: Iterable[tuple[float, float]]) -> Timing:
    process, wall = zip(*turns, strict=True)
    return Timing(
        name=name,
        process_seconds=tuple(round(each, 4) for each in process),
        wall_seconds=tuple(round(each, 4) for each in wall),
    )


def _timed(command: Sequence[str]) -> tuple[float, float]:
    """Process time and wall time."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    # Popen has not seen it end, and would wait for it again.
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise InputError(f"{' '.join(command)} ended with code {process.returncode}; try it by hand")
    return usage.ru_utime + usage.ru_stime, wall


def _importing(command: Sequence[str]) -> str:
    """What Python tells of imports while it runs a command, which begins with Python."""
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    return done.stderr.decode(errors="replace")
