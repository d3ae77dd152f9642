"""Where a figure comes from: command, code, data, machine, versions, seed and time."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from framelens_evaluation.reporting.document import Section, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Machine",
    "Part",
    "Provenance",
    "Source",
    "Started",
    "code_revision",
    "describe_machine",
    "installed_versions",
    "provenance_section",
]

_PACKAGES = (
    "framelens",
    "duckdb",
    "numpy",
    "scipy",
    "scikit-learn",
    "onnxruntime",
    "tokenizers",
    "torch",
    "transformers",
)


class Part(BaseModel):
    """A part of a report: frozen, and strict about its fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Machine(Part):
    """Where a figure was measured."""

    platform: str
    processor: str | None
    n_cpus: int | None
    python: str


class Source(Part):
    """A file that a figure was measured on.

    Attributes:
        role: what it was used for, such as ``data`` or ``gold``.
        name: its path as given.
        sha256: digest of its bytes; None where it was not read as one file.
        described: what it holds, in a few words.
    """

    role: str
    name: str
    sha256: str | None
    described: str = ""


class Provenance(Part):
    """Everything needed to make a figure again.

    Attributes:
        created: when the run began, in UTC.
        seconds: wall time.
        command: how it was called; None from Python.
        code: revision of this package's source; None where it is not under version control.
        seed: of everything random.
        n_resamples: behind each interval; None where there is none.
        sources: the files that were read.
        versions: of what a figure can depend on; None for what is not installed.
        machine: where it ran.
    """

    created: datetime
    seconds: float
    command: str | None
    code: str | None
    seed: int
    n_resamples: int | None
    sources: tuple[Source, ...]
    versions: dict[str, str | None]
    machine: Machine


class Started:
    """A run that begins when this is made, and whose provenance is given when it ends."""

    def __init__(self) -> None:
        self._created = datetime.now(UTC)
        self._clock = time.perf_counter()
        # Before anything is measured: the source may change under a long run.
        self._code = code_revision()

    def provenance(
        self, *, command: str | None, seed: int, n_resamples: int | None, sources: Iterable[Source]
    ) -> Provenance:
        """What is known of the run so far; the arguments are the attributes of `Provenance`."""
        return Provenance(
            created=self._created,
            seconds=round(time.perf_counter() - self._clock, 1),
            command=command,
            code=self._code,
            seed=seed,
            n_resamples=n_resamples,
            sources=tuple(sources),
            versions=installed_versions(),
            machine=describe_machine(),
        )


def describe_machine() -> Machine:
    """This machine."""
    processor = platform.processor() or None
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    return Machine(
        platform=platform.platform(),
        processor=processor,
        n_cpus=os.cpu_count(),
        python=platform.python_version(),
    )


def installed_versions() -> dict[str, str | None]:
    """Versions of what a score can depend on; None for what is not installed."""
    found: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def code_revision() -> str | None:
    """Commit of the source that runs, with ``+changes`` where it was edited since; None if it has none."""
    here = Path(__file__).resolve()
    tracked = _git(here.parent, "ls-files", "--error-unmatch", here.name)
    commit = _git(here.parent, "rev-parse", "HEAD") if tracked else None
    if not commit:
        return None
    changed = _git(here.parent, "status", "--porcelain", "--untracked-files=no")
    return f"{commit[:12]}+changes" if changed else commit[:12]


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def provenance_section(found: Provenance) -> Section:
    """The section that closes every report."""
    rows: list[tuple[object, ...]] = [
        ("command", f"`{found.command}`" if found.command else "called from Python"),
        ("time", f"{found.created:%Y-%m-%d %H:%M} UTC, {found.seconds:,.0f} s"),
        ("code", found.code or "not under version control"),
        ("seed", found.seed),
    ]
    if found.n_resamples is not None:
        rows.append(("resamples behind an interval", f"{found.n_resamples:,}"))
    for source in found.sources:
        digest = f"; sha256 `{source.sha256[:16]}…`" if source.sha256 else ""
        described = f": {source.described}" if source.described else ""
        rows.append((source.role, f"{source.name}{described}{digest}"))
    machine = found.machine
    versions = ", ".join(f"{name} {number}" for name, number in found.versions.items() if number)
    rows += [
        (
            "machine",
            f"{machine.processor or machine.platform}, {machine.n_cpus} CPUs, Python {machine.python}",
        ),
        ("versions", versions),
    ]
    return Section("How this was measured", (Table(("", ""), tuple(rows)),))
