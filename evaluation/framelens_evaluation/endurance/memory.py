"""Peak memory of ``framelens label``, the process and its workers together, at corpora of several sizes.

Two sums over the processes, sampled while they run. The sum of **resident** memory (``Rss``) counts a
page that two of them share, such as those of a library, twice: it can only be too high, and is what the
targets are held against. The sum of **proportional** memory (``Pss``) divides a shared page by the number
of its owners, and so counts it once; owners outside the run make it too low. Both from
``/proc/PID/smaps_rollup``. A peak between two samples is missed by them, but not by each process's own
``VmHWM``, which the kernel keeps. (``ru_maxrss`` would count what the process was forked from as well.)
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from framelens import InputError
from framelens.speed import framelens_command
from framelens_evaluation.endurance.made_up import write_corpus
from framelens_evaluation.endurance.processes import Role, Run, check_linux
from framelens_evaluation.reporting.provenance import Part, Provenance, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "MOST_GROWTH",
    "MOST_MEGABYTES",
    "Memory",
    "MemoryRun",
    "ProcessPeak",
    "Sample",
    "measure_memory",
    "thinned",
]

#: Targets: the largest corpus beside the smallest, and in all (10^6 bytes).
MOST_GROWTH: Final = 1.10
MOST_MEGABYTES: Final = 1500.0
_SECONDS_BETWEEN_SAMPLES: Final = 0.2
_SAMPLES_KEPT: Final = 200


class Sample(Part):
    """Memory at a moment, in 10^6 bytes.

    Attributes:
        second: since the run began.
        rss: sum of resident memory.
        pss: sum of proportional memory.
    """

    second: float
    rss: float
    pss: float


class ProcessPeak(Part):
    """One process of a run.

    Attributes:
        role: what it does.
        megabytes: its largest resident memory, by the kernel's own account, in 10^6 bytes.
    """

    role: Role
    megabytes: float


class MemoryRun(Part):
    """A corpus that was labelled.

    Attributes:
        n_sentences: its size.
        seconds: wall time, loading included.
        peak_rss: largest sum of resident memory, in 10^6 bytes.
        peak_pss: largest sum of proportional memory, in 10^6 bytes.
        n_samples: what these are the largest of.
        processes: each one's own peak.
        course: at most 200 samples, each the largest of its stretch of time.
    """

    n_sentences: int
    seconds: float
    peak_rss: float
    peak_pss: float
    n_samples: int
    processes: tuple[ProcessPeak, ...]
    course: tuple[Sample, ...]


class Memory(Part):
    """What memory labelling takes.

    Attributes:
        workers: processes that label.
        distinct: how many distinct sentences there were, and that the job had ``--dedupe``; None where
            hardly two were equal.
        runs: by size of the corpus.
        provenance: how it was measured.
    """

    workers: int
    distinct: int | None
    runs: tuple[MemoryRun, ...]
    provenance: Provenance

    @property
    def growth(self) -> float:
        """Peak at the largest corpus over that at the smallest."""
        return self.runs[-1].peak_rss / self.runs[0].peak_rss

    @property
    def peak(self) -> float:
        """The largest of the peaks, in 10^6 bytes."""
        return max(run.peak_rss for run in self.runs)


def measure_memory(
    folder: Path,
    *,
    sizes: Sequence[int],
    workers: int,
    distinct: int | None,
    seed: int,
    command: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Memory:
    """Label corpora and watch the memory.

    Args:
        folder: where corpora and jobs go; there and empty.
        sizes: sentences of each corpus, at least one corpus.
        workers: processes that label, at least 1.
        distinct: draw the sentences from a pool of so many, and label with ``--dedupe``.
        seed: of the sentences.
        command: for the report.
        progress: is told what is done.

    Raises:
        InputError: there is no size, a number is below 1, the system is no Linux, or a run failed.
    """
    check_linux()
    if not sizes:
        raise InputError("expected at least one size of a corpus, got none")
    started = Started()
    runs = []
    for size in sorted(set(sizes)):
        corpus = folder / f"{size}.jsonl"
        progress(f"writing {size:,} sentences")
        write_corpus(corpus, size, seed, distinct)
        progress(f"labelling {size:,} sentences")
        arguments = [str(corpus), "-o", f"{folder / str(size)}{os.sep}", "--workers", str(workers)]
        arguments += [] if distinct is None else ["--dedupe"]
        runs.append(_watched(framelens_command("label", *arguments), folder / f"{size}.log", size))
    return Memory(
        workers=workers,
        distinct=distinct,
        runs=tuple(runs),
        provenance=started.provenance(command=command, seed=seed, n_resamples=None, sources=()),
    )


def thinned(samples: Sequence[Sample], most: int = _SAMPLES_KEPT) -> list[Sample]:
    """At most so many samples, in order, the one with the largest ``rss`` of each stretch."""
    step = -(-len(samples) // most) or 1
    return [max(samples[i : i + step], key=lambda sample: sample.rss) for i in range(0, len(samples), step)]


def _watched(command: Sequence[str], log: Path, n_sentences: int) -> MemoryRun:
    samples: list[Sample] = []
    peaks: dict[int, ProcessPeak] = {}
    with Run(command, log) as run:
        while True:
            samples.append(_sample(run, peaks))
            if run.ended_within(_SECONDS_BETWEEN_SAMPLES):
                break
        seconds = run.seconds
        if run.code != 0:
            raise InputError(
                f"labelling {n_sentences:,} sentences ended with code {run.code}: {run.last_words}"
            )
    return MemoryRun(
        n_sentences=n_sentences,
        seconds=round(seconds, 2),
        peak_rss=max(sample.rss for sample in samples),
        peak_pss=max(sample.pss for sample in samples),
        n_samples=len(samples),
        processes=tuple(peaks.values()),
        course=tuple(thinned(samples)),
    )


def _sample(run: Run, peaks: dict[int, ProcessPeak]) -> Sample:
    """Memory now; ``peaks`` is brought up to date."""
    second = run.seconds
    rss = pss = 0.0
    for member in run.members():
        # A process may end while one looks.
        with suppress(OSError):
            found = _megabytes(member.pid, "smaps_rollup")
            rss += found.get("Rss", 0.0)
            pss += found.get("Pss", 0.0)
            own = _megabytes(member.pid, "status").get("VmHWM", 0.0)
            known = peaks.get(member.pid)
            # A process that is about to end has given its memory back.
            if known is None or own > known.megabytes:
                peaks[member.pid] = ProcessPeak(role=member.role, megabytes=round(own, 1))
    return Sample(second=round(second, 2), rss=round(rss, 1), pss=round(pss, 1))


def _megabytes(pid: int, name: str) -> dict[str, float]:
    text = Path("/proc", str(pid), name).read_text(encoding="utf-8", errors="replace")
    return {
        key: int(size) * 1024 / 1e6 for key, size in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)
    }
