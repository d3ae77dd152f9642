"""Killing ``framelens label`` at random moments, and comparing what it leaves with an unbroken run's.

A job labels a made-up corpus into shards. At a moment drawn from [0, what the unbroken run took], all
its processes are stopped, it is looked at what stands on the disk, and one of them, or all, get SIGKILL.
The same command is given again, at once: workers that have lost their parent may still be at work. A job
that lost a worker alone goes on by itself, and the next moment is drawn. A run that ends before its
moment comes is no kill; its job is done and compared, and another job begins.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from framelens import InputError
from framelens.corpus import Counts
from framelens.speed import framelens_command
from framelens_evaluation.endurance.made_up import write_corpus
from framelens_evaluation.endurance.processes import Role, Run, check_linux
from framelens_evaluation.reporting.provenance import Part, Provenance, Started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "PHASES",
    "TARGETS",
    "BrokenJob",
    "Kill",
    "Kills",
    "Labelled",
    "Phase",
    "Target",
    "compare",
    "measure_kills",
    "phase_of",
]

Phase = Literal["starting", "survey", "loading", "labelling", "finishing"]
#: What stands on the disk in each phase, in order.
PHASES: Final[dict[Phase, str]] = {
    "starting": "the lock is not this run's: Python starts and imports",
    "survey": "a lock and no plan: in a job's first run the model is loaded and the corpus read through",
    "loading": "a plan, and nothing of this run: in a later run the model is loaded",
    "labelling": "shards half written, or more of them finished than before",
    "finishing": "every shard finished: the manifest is written, workers end",
}
Target = Literal["all processes", "parent", "worker"]
TARGETS: Final[tuple[Target, ...]] = ("all processes", "parent", "worker")
#: Worker deaths in one run from which the job may give up, as it says in its help.
_MAY_GIVE_UP: Final = 3
_GAVE_UP: Final = 2
_SECONDS_FOR_ORPHANS: Final = 15.0
#: A run that takes so many times an unbroken one's time, and a minute more, hangs.
_PATIENCE: Final = 20


class Kill(Part):
    """One kill that hit a living run.

    Attributes:
        job: number of the job, from 1.
        run: number of the run of that job, from 1.
        second: since the run began.
        phase: see `PHASES`.
        target: what was killed.
        shards_done: finished shards on the disk.
    """

    job: int
    run: int
    second: float
    phase: Phase
    target: Target
    shards_done: int


class BrokenJob(Part):
    """A job that was killed until it was done, beside the unbroken one.

    Attributes:
        runs: how often the command was given.
        kills: how many hit.
        shards_equal: shards whose SHA-256 is that of the unbroken job's.
        shards_other: shards that differ, are missing or too many.
        counts_equal: whether the manifest counts the same records, sentences, labels and shards.
        leftovers: temporary files left behind.
        survivors: processes that lived on after the job.
        problem: why the job did not come to its end; None if it did.
    """

    runs: int
    kills: int
    shards_equal: int
    shards_other: int
    counts_equal: bool
    leftovers: int
    survivors: int
    problem: str | None

    @property
    def passed(self) -> bool:
        """Whether nothing tells it from an unbroken one."""
        flaws = (self.shards_other, self.leftovers, self.survivors, self.problem)
        return self.counts_equal and not any(flaws)


class Kills(Part):
    """What the kills came to.

    Attributes:
        n_sentences: of the corpus.
        n_shards: of a job.
        workers: processes that label.
        unbroken_seconds: what the unbroken run took.
        kills: in order.
        jobs: in order.
        provenance: how it was measured. The seed decides the corpus, the moments and the targets; what a
            moment meets hangs on the machine.
    """

    n_sentences: int
    n_shards: int
    workers: int
    unbroken_seconds: float
    kills: tuple[Kill, ...]
    jobs: tuple[BrokenJob, ...]
    provenance: Provenance

    @property
    def passed(self) -> bool:
        """Whether nothing tells any job from an unbroken one."""
        return all(job.passed for job in self.jobs)


@dataclass(frozen=True)
class Labelled:
    """What must not hang on how often a job was broken.

    Attributes:
        digests: SHA-256 of every shard, by its name.
        counts: what the manifest says of records, sentences, labels and shards.
    """

    digests: dict[str, str]
    counts: dict[str, Any]

    @classmethod
    def read(cls, out: Path) -> Labelled:
        """A job's folder; without a manifest there are no counts."""
        digests = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (out / "shards").glob("part-*")
        }
        path = out / "manifest.json"
        manifest = json.loads(path.read_bytes()) if path.is_file() else {}
        return cls(digests, {name: manifest.get(name) for name in (*Counts().to_dict(), "shards")})


def measure_kills(
    folder: Path,
    *,
    n_sentences: int,
    shard_size: int,
    workers: int,
    n_kills: int,
    seed: int,
    command: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Kills:
    """Kill jobs until so many kills have hit, and compare each with an unbroken one.

    A job that does not come to its end is the last.

    Args:
        folder: where corpus and jobs go; there and empty.
        n_sentences: of the corpus.
        shard_size: sentences, about, in a shard.
        workers: processes that label, at least 1.
        n_kills: how many must hit, at least 1.
        seed: of the corpus, the moments and the targets.
        command: for the report.
        progress: is told what is done.

    Raises:
        InputError: a number is below 1, the system is no Linux, or the unbroken run failed.
    """
    check_linux()
    if n_kills < 1:
        raise InputError(f"kills must be at least 1, got {n_kills}")
    started = Started()
    corpus = folder / "corpus.jsonl"
    write_corpus(corpus, n_sentences, seed)
    progress(f"labelling {n_sentences:,} sentences unbroken")
    arguments = [str(corpus), "--shard-size", str(shard_size), "--workers", str(workers)]
    seconds = _label_unbroken(arguments, folder / "unbroken")
    unbroken = Labelled.read(folder / "unbroken")
    executioner = _Executioner(arguments, seconds, len(unbroken.digests), random.Random(seed))
    jobs: list[BrokenJob] = []
    while len(executioner.kills) < n_kills:
        out = folder / f"broken-{len(jobs) + 1:03}"
        before = len(executioner.kills)
        runs, survivors, problem = executioner.break_job(out, len(jobs) + 1, n_kills)
        n_hit = len(executioner.kills) - before
        jobs.append(compare(out, unbroken, runs=runs, kills=n_hit, survivors=survivors, problem=problem))
        progress(f"{len(executioner.kills)} of {n_kills} kills, {len(jobs)} jobs compared")
        if problem is not None:
            break
    return Kills(
        n_sentences=n_sentences,
        n_shards=len(unbroken.digests),
        workers=workers,
        unbroken_seconds=round(seconds, 2),
        kills=tuple(executioner.kills),
        jobs=tuple(jobs),
        provenance=started.provenance(command=command, seed=seed, n_resamples=None, sources=()),
    )


def phase_of(out: Path, pid: int, done_before: int, n_shards: int) -> Phase:
    """How far a run is, by what stands on the disk.

    Args:
        out: the job's folder; there or not.
        pid: of the run's parent.
        done_before: shards that were finished when the run began.
        n_shards: that the job will have.
    """
    lock = out / "lock"
    if not lock.is_file() or not lock.read_text(encoding="utf-8").startswith(f"process {pid} "):
        return "starting"
    if not (out / "job.json").is_file():
        return "survey"
    done = _shards_done(out)
    if done >= n_shards:
        return "finishing"
    # Those of an earlier run were removed when the lock was taken.
    return "labelling" if done > done_before or _temporaries(out / "shards") else "loading"


def compare(
    out: Path, unbroken: Labelled, *, runs: int, kills: int, survivors: int = 0, problem: str | None = None
) -> BrokenJob:
    """What a job that was broken has in common with one that was not; arguments as in `BrokenJob`."""
    found = Labelled.read(out)
    equal = sum(found.digests.get(name) == digest for name, digest in unbroken.digests.items())
    return BrokenJob(
        runs=runs,
        kills=kills,
        shards_equal=equal,
        shards_other=len(unbroken.digests.keys() | found.digests.keys()) - equal,
        counts_equal=found.counts == unbroken.counts,
        leftovers=sum(map(_temporaries, (out, out / "shards", out / "commits"))),
        survivors=survivors,
        problem=problem,
    )


class _Executioner:
    """Breaks jobs, and remembers every kill.

    Args:
        arguments: of ``framelens label``, but for the output.
        seconds: what an unbroken run takes.
        n_shards: of a job.
        rng: draws moments and targets.
    """

    def __init__(self, arguments: list[str], seconds: float, n_shards: int, rng: random.Random) -> None:
        self._arguments = arguments
        self._seconds = seconds
        self._n_shards = n_shards
        self._rng = rng
        self.kills: list[Kill] = []

    def break_job(self, out: Path, job: int, n_kills: int) -> tuple[int, int, str | None]:
        """Give the command again and again until the job is done.

        Returns:
            How often it was given, how many processes lived on, and why the job was not done.
        """
        runs: list[Run] = []
        with ExitStack() as stack:
            while True:
                run = stack.enter_context(Run(_label_command(self._arguments, out), out.with_suffix(".log")))
                runs.append(run)
                to_blame = self._break_run(run, out, (job, len(runs)), n_kills)
                if not run.ended_within(60 + _PATIENCE * self._seconds):
                    problem: str | None = f"run {len(runs)} hung"
                    break
                problem = _problem(run, to_blame)
                if problem is not None or run.code == 0:
                    break
            return len(runs), _survivors(runs), problem

    def _break_run(self, run: Run, out: Path, place: tuple[int, int], n_kills: int) -> list[Target]:
        """Kill the run, or workers of it; what was killed."""
        hit: list[Target] = []
        done_before = _shards_done(out)
        while len(self.kills) < n_kills and set(hit) <= {"worker"}:
            if run.ended_within(self._rng.uniform(0, self._seconds)) or not run.stop():
                break
            phase = phase_of(out, run.pid, done_before, self._n_shards)
            second, done = round(run.seconds, 3), _shards_done(out)
            target = self._kill(run)
            hit.append(target)
            self.kills.append(
                Kill(job=place[0], run=place[1], second=second, phase=phase, target=target, shards_done=done)
            )
        return hit

    def _kill(self, run: Run) -> Target:
        """Kill something of a stopped run, and let the rest go on."""
        roles: dict[Role, list[int]] = {}
        for member in run.members():
            roles.setdefault(member.role, []).append(member.pid)
        target = self._rng.choice(TARGETS if "worker" in roles else TARGETS[:2])
        if target == "all processes":
            run.signal_all(signal.SIGKILL)
            return target
        os.kill(run.pid if target == "parent" else self._rng.choice(roles["worker"]), signal.SIGKILL)
        run.signal_all(signal.SIGCONT)
        return target


def _label_unbroken(arguments: list[str], out: Path) -> float:
    """The seconds that it takes."""
    with Run(_label_command(arguments, out), out.with_suffix(".log")) as run:
        while not run.ended_within(60.0):
            pass
        if run.code != 0:
            raise InputError(f"the unbroken run ended with code {run.code}: {run.last_words}")
        return run.seconds


def _label_command(arguments: list[str], out: Path) -> list[str]:
    return framelens_command("label", *arguments, "-o", f"{out}{os.sep}")


def _problem(run: Run, hit: list[Target]) -> str | None:
    """What is wrong about how a run ended; None where that is done or explained by what was killed."""
    killed = run.code == -signal.SIGKILL and bool(set(hit) - {"worker"})
    gave_up = run.code == _GAVE_UP and hit.count("worker") >= _MAY_GIVE_UP
    if run.code == 0 or killed or gave_up:
        return None
    return f"a run ended with code {run.code}: {run.last_words}"


def _survivors(runs: list[Run]) -> int:
    """Processes that have not ended with their runs, after some patience."""
    until = time.monotonic() + _SECONDS_FOR_ORPHANS
    while (n := sum(len(run.members()) for run in runs)) and time.monotonic() < until:
        time.sleep(0.05)
    return n


def _shards_done(out: Path) -> int:
    return len(list((out / "commits").glob("part-*")))


def _temporaries(folder: Path) -> int:
    return len(list(folder.glob(".*")))
