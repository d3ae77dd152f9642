"""Reports on endurance: kills, memory, cold starts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from framelens_evaluation.endurance.kills import PHASES, TARGETS
from framelens_evaluation.endurance.memory import MOST_GROWTH, MOST_MEGABYTES
from framelens_evaluation.endurance.start import MOST_SECONDS, STANDARD_LIBRARY
from framelens_evaluation.reporting.document import Callout, Cell, Document, Figure, Section, Table, Text
from framelens_evaluation.reporting.figures import SERIES, drawing, to_svg
from framelens_evaluation.reporting.provenance import provenance_section

if TYPE_CHECKING:
    from framelens_evaluation.endurance.kills import BrokenJob, Kills
    from framelens_evaluation.endurance.memory import Memory, MemoryRun
    from framelens_evaluation.endurance.start import Start
    from framelens_evaluation.reporting.document import Tone

__all__ = ["kills_document", "memory_document", "start_document"]


def kills_document(result: Kills) -> Document:
    """The report on kills."""
    n_kills, n_jobs = len(result.kills), len(result.jobs)
    passed = sum(job.passed for job in result.jobs)
    runs = sum(job.runs for job in result.jobs)
    if result.passed:
        verdict = Callout(
            f"After {n_kills:,} kills all {n_jobs * result.n_shards:,} shards are byte for byte those of the "
            "unbroken run, the manifests count the same, no temporary file and no process was left behind.",
            "good",
        )
    else:
        verdict = Callout(f"{n_jobs - passed} of {n_jobs} jobs are not what an unbroken one is.", "bad")
    kills = tuple(
        (kill.job, kill.run, f"{kill.second:.2f}", kill.phase, kill.target, f"{kill.shards_done}")
        for kill in result.kills
    )
    return Document(
        title="framelens label, killed at random moments",
        lead=(
            f"A corpus of {result.n_sentences:,} made-up sentences is labelled into {result.n_shards:,} "
            f"shards with {result.workers} worker{'' if result.workers == 1 else 's'}, once unbroken "
            f"({result.unbroken_seconds:.1f} s) and {n_jobs} times broken by SIGKILL; the same command goes "
            "on each time."
        ),
        headline=(
            (f"{n_kills:,}", f"kills of a living run, over {runs} runs of {n_jobs} jobs"),
            (f"{passed} of {n_jobs}", "jobs with every shard byte-identical and every count equal"),
        ),
        sections=(
            Section("What came of it", (verdict, _where(result))),
            Section("Jobs", (Table(_JOB_HEADER, tuple(map(_job_row, range(1, n_jobs + 1), result.jobs))),)),
            Section(
                "Kills",
                (Table(("job", "run", "second", "phase", "killed", "shards done"), kills, folded_after=15),),
            ),
            Section("How to read this", tuple(map(Text, _KILLS_READING))),
            provenance_section(result.provenance),
        ),
    )


_JOB_HEADER = ("job", "runs", "kills", "shards equal", "other", "counts", "left behind", "verdict")
_KILLS_READING = (
    "A **moment** is drawn evenly from zero to what the unbroken run took; a run that has ended by then is "
    "no kill. All processes of the run are stopped, what stands on the disk is looked at, one target is "
    "drawn, and it gets SIGKILL, which no program can catch.",
    "After **parent** the workers have lost the process that told them what to do; the command is given "
    "again at once, while they may still be at work. After **worker** the run goes on by itself.",
    "A kill shows what a process loses, not what a power cut does to a disk: for that every file is made "
    "durable (fsync) before it is renamed, which this does not test.",
)


def _where(result: Kills) -> Table:
    """Kills by phase and target."""
    met = Counter((kill.phase, kill.target) for kill in result.kills)
    rows = [
        (
            phase,
            meaning,
            *(met[phase, target] for target in TARGETS),
            sum(met[phase, target] for target in TARGETS),
        )
        for phase, meaning in PHASES.items()
    ]
    totals = [sum(met[phase, target] for phase in PHASES) for target in TARGETS]
    rows.append(("all", "", *totals, sum(totals)))
    header = ("phase", "what stood on the disk", *(f"killed: {target}" for target in TARGETS), "together")
    return Table(header, tuple(rows), "Where the kills struck.")


def _job_row(number: int, job: BrokenJob) -> tuple[object, ...]:
    left = (
        f"{job.leftovers} files, {job.survivors} processes" if job.leftovers or job.survivors else "nothing"
    )
    verdict = Cell("as unbroken", tone="good") if job.passed else Cell(job.problem or "differs", tone="bad")
    counts = "equal" if job.counts_equal else Cell("differ", tone="bad")
    return (number, job.runs, job.kills, job.shards_equal, job.shards_other, counts, left, verdict)


def memory_document(result: Memory) -> Document:
    """The report on memory."""
    smallest, largest = result.runs[0], result.runs[-1]
    if result.distinct is None:
        corpus = "hardly two of which are equal"
    else:
        corpus = f"drawn from a pool of {result.distinct:,}, with --dedupe"
    headline = [
        (
            _gigabytes(result.peak),
            f"peak of all processes together (target: under {_gigabytes(MOST_MEGABYTES)})",
        )
    ]
    verdicts = [_verdict(result.peak < MOST_MEGABYTES, f"The peak is {_gigabytes(result.peak)}")]
    if len(result.runs) > 1:
        between = f"from {smallest.n_sentences:,} to {largest.n_sentences:,} sentences"
        headline.append((f"{result.growth - 1:+.1%}", f"{between} (target: at most {MOST_GROWTH - 1:+.0%})"))
        verdicts.append(
            _verdict(result.growth <= MOST_GROWTH, f"The peak grows by {result.growth - 1:+.1%} {between}")
        )
    return Document(
        title="Memory of framelens label",
        lead=(
            f"Corpora of made-up sentences, {corpus}, are labelled into shards with {result.workers} "
            f"worker{'' if result.workers == 1 else 's'}, and the memory of all processes is sampled "
            "meanwhile."
        ),
        headline=tuple(headline),
        sections=(
            Section("What came of it", (*verdicts, _peaks(result), _course(result))),
            Section("How to read this", tuple(map(Text, _MEMORY_READING))),
            provenance_section(result.provenance),
        ),
    )


_MEMORY_READING = (
    "**Resident, summed** (Rss) counts a page that two processes share twice, so it can only be too high; "
    "the targets are held against it. **Shared counted once** (Pss) divides such a page by its owners. The "
    "disk's cache, which the system gives back when memory is short, is in neither, but for files mapped "
    "into memory.",
    "Samples are a fifth of a second apart. The peaks of single processes are the kernel's own (VmHWM), miss "
    "nothing, and fall on different moments: their sum is an upper bound that no moment need have reached.",
)


def _verdict(met: bool, text: str) -> Callout:
    tone: Tone = "good" if met else "bad"
    return Callout(f"{text}: {'within' if met else 'beyond'} the target.", tone)


def _peaks(result: Memory) -> Table:
    rows = tuple(
        (
            f"{run.n_sentences:,}", f"{run.seconds:,.1f}", f"{run.n_sentences / run.seconds:,.0f}",
            f"{run.peak_rss:,.0f}", f"{run.peak_pss:,.0f}", _by_role(run), f"{run.n_samples:,}",
        )
        for run in result.runs
    )  # fmt: skip
    header = (
        "sentences", "seconds", "sentences/s", "peak, resident, summed (MB)",
        "peak, shared counted once (MB)", "largest of each process (MB)", "samples",
    )  # fmt: skip
    return Table(header, rows, "MB are 10^6 bytes; seconds include loading.")


def _by_role(run: MemoryRun) -> str:
    named = [f"{each.role} {each.megabytes:,.0f}" for each in run.processes if each.role != "helper"]
    return ", ".join(named)


def _course(result: Memory) -> Figure:
    title = "Memory over a run"
    ends = ", ".join(f"{run.n_sentences:,} sentences: {run.peak_rss:,.0f} MB" for run in result.runs)
    description = f"Resident memory of all processes by share of the run's time; peaks: {ends}."
    with drawing(7.2, 3.0) as (figure, axis):
        for i, run in enumerate(result.runs):
            places = [100 * sample.second / run.seconds for sample in run.course]
            axis.plot(
                places, [sample.rss for sample in run.course], color=SERIES[i % len(SERIES)],
                label=f"{run.n_sentences:,} sentences",
            )  # fmt: skip
        axis.set_xlim(0, 100)
        axis.set_ylim(0, 1.1 * result.peak)
        axis.set_xlabel("share of the run's time (%)")
        axis.set_ylabel("MB, all processes")
        figure.legend(loc="outside upper left", ncols=3, fontsize=8.5)
        svg = to_svg(figure, title, description)
    caption = "Resident memory, summed. Flat after loading: nothing is kept of what has been labelled."
    return Figure("memory-course", svg, title, description, caption)


def _gigabytes(megabytes: float) -> str:
    return f"{megabytes / 1000:.2f} GB"


def start_document(result: Start) -> Document:
    """The report on cold starts."""
    label = result.label
    rows = tuple(
        (f"`{each.name}`", f"{each.process:.3f}", _span(each.process_seconds), f"{each.wall:.3f}",
         _span(each.wall_seconds))
        for each in result.timings
    )  # fmt: skip
    header = (
        "command",
        "process time (s, median)",
        "turns",
        "wall time (s, median)",
        "turns",
    )
    imports = tuple((each.package, each.modules, f"{1000 * each.seconds:.0f}") for each in result.imports)
    return Document(
        title="One article from a cold start",
        lead=(
            "What it costs to start framelens, load the model and label the article that ships with it "
            f"({result.article}), each time in a new process; the disk's cache is warm."
        ),
        headline=(
            (f"{label.process:.2f} s", f"process time of one article (target: under {MOST_SECONDS} s)"),
            (f"{label.wall:.2f} s", "wall time"),
        ),
        sections=(
            Section(
                "Commands",
                (
                    _verdict(result.passed, f"One article takes {label.process:.2f} s of process time"),
                    Table(header, rows, f"{len(label.wall_seconds)} turns each, in alternation."),
                ),
            ),
            Section(
                "What importing costs",
                (
                    Table(
                        ("package", "modules", "milliseconds"),
                        imports,
                        f"Of one more turn of labelling under `-X importtime`, which slows it; all imports "
                        f"together {1000 * result.import_seconds:.0f} ms. Each module without what it "
                        f"imports; {STANDARD_LIBRARY} is one row.",
                    ),
                ),
            ),
            Section(
                "How to read this",
                (
                    Text(
                        "**Process time** is that of all threads, in the program and in the system. It "
                        "hangs less than wall time on what else runs. What is neither importing nor "
                        "starting Python is loading the model and labelling."
                    ),
                ),
            ),
            provenance_section(result.provenance),
        ),
    )


def _span(turns: tuple[float, ...]) -> str:
    return f"{min(turns):.3f} to {max(turns):.3f}"
