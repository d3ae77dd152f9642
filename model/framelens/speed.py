"""How fast this machine labels: whole ``framelens label`` jobs, one for each way to run the model.

A way (here a *path*) is a name with the options that a user would give, and is run as a user would run it: in
a process of its own, file to folder. Nothing here changes how anything is labelled.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from framelens.bundle import BUNDLED
from framelens.errors import InputError, JobError, require
from framelens.labels import LABELS
from framelens.workers import available_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pyarrow as pa
    from rich.console import RenderableType

__all__ = [
    "PATHS",
    "REFERENCE",
    "LabelPath",
    "Measured",
    "PathRun",
    "built_in_sentences",
    "framelens_command",
    "last_line",
    "measure_machine",
    "recommend",
    "render_speed",
    "run_path",
    "same_labels",
    "timed_command",
    "why_not",
    "write_corpus",
]


@dataclass(frozen=True)
class LabelPath:
    """A way to run the model.

    Attributes:
        name: how it is asked for.
        title: what it is.
        options: of ``framelens label``.
        modules: packages that it needs beyond the core.
    """

    name: str
    title: str
    options: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    def chosen(self, model: str, device: str) -> list[str]:
        """Options of ``framelens label`` that take this path with a model on a device."""
        # The options may name a model of their own, in place of the given one.
        given = [] if model == BUNDLED or "--fast" in self.options else ["--model", model]
        return [*given, "--device", device, *self.options]


#: Every path, the plainest first.
PATHS: Final = {
    path.name: path
    for path in (
        LabelPath("default", "ONNX"),
        LabelPath("torch", "torch, fp32", ("--backend", "torch"), ("torch", "transformers")),
        LabelPath(
            "bf16", "torch, bf16", ("--backend", "torch", "--precision", "bf16"), ("torch", "transformers")
        ),
        LabelPath(
            "fp16", "torch, fp16", ("--backend", "torch", "--precision", "fp16"), ("torch", "transformers")
        ),
        LabelPath("fast", "the fast model, int8", ("--fast",)),
        LabelPath("ray", "ONNX, on Ray", ("--engine", "ray"), ("ray",)),
    )
}
#: The path whose labels the others are held against.
REFERENCE: Final = "torch"

#: Names that the capabilities of a processor have in torch where it multiplies bfloat16 by itself.
_BF16: Final = ("amx_bf16", "avx512_bf16", "bf16", "arm_bf16", "sve_bf16")
#: What `measure_machine` measures: all that need no cluster.
_MEASURED: Final = ("default", "torch", "bf16", "fast")
_SENTENCES_OF_WORKER: Final = 240
#: So that the last shards of a run end at about the same time.
_SHARDS_OF_WORKER: Final = 2
_TEN_MILLION: Final = 10_000_000
#: A path whose labels differ on more of the built-in sentences is named, but not recommended.
_SAME_ENOUGH: Final = 0.99
#: How much faster a path must be than a plainer one to be worth its options.
_WORTH_IT: Final = 1.1


@dataclass(frozen=True)
class PathRun:
    """One run of a path.

    Attributes:
        sentences: that were labelled.
        process_seconds: of the whole process, from its start to its end.
        reading_seconds: of reading the input through and cutting it into parts, by the manifest.
        labelling_seconds: from when a worker was ready until the last shard was there, by the manifest.
        worker_seconds: the sum over shards of the time that their workers took, by the manifest.
        workers: processes that labelled.
        answers: ``doc_id``, ``label`` and the probabilities, sorted by ``doc_id``.
    """

    sentences: int
    process_seconds: float
    reading_seconds: float
    labelling_seconds: float
    worker_seconds: float
    workers: int
    answers: pa.Table

    @property
    def steady_rate(self) -> float:
        """Sentences a second while every worker works: what a long corpus comes to."""
        return self.sentences * self.workers / self.worker_seconds


def why_not(path: LabelPath, device: str = "cpu") -> str | None:
    """Why a path cannot be run here; None where it can, as far as that is told beforehand."""
    for module in path.modules:
        if find_spec(module) is None:
            return f"{module} is not installed"
    if unknown := _unknown_option(path.options):
        return f"framelens label has no {unknown}"
    if "fp16" in path.options and device == "cpu":
        return "fp16 is for GPUs"
    if "bf16" in path.options and not _multiplies_bf16(device):
        return "the processor does not multiply bfloat16 by itself, which makes bf16 slow"
    return None


def _unknown_option(options: Sequence[str]) -> str | None:
    from typer.main import get_command

    from framelens.cli import app

    label = get_command(app).commands["label"]  # type: ignore[attr-defined]
    known = {name for param in label.params for name in param.opts}
    return next((option for option in options if option.startswith("--") and option not in known), None)


def _multiplies_bf16(device: str) -> bool:
    torch: Any = require("torch", "torch")
    if device != "cpu":
        return bool(not device.startswith("cuda") or torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in _BF16)


def write_corpus(texts: Iterable[str], path: Path) -> None:
    """Write sentences as JSON Lines with ``id`` and ``text``; sorted as text, ids keep their order."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        for i, text in enumerate(texts):
            stream.write(json.dumps({"id": f"{i:09}", "text": text}, ensure_ascii=False) + "\n")


def run_path(
    path: LabelPath,
    corpus: Path,
    folder: Path,
    *,
    model: str = BUNDLED,
    workers: int,
    shard_size: int,
    device: str = "cpu",
) -> PathRun:
    """Label a file of `write_corpus` in a new process.

    Args:
        path: how.
        corpus: the file.
        folder: of the job; not there yet.
        model: ``bundled``, a folder, or a hub id.
        workers: processes that label.
        shard_size: sentences of a shard.
        device: as ``framelens label --device`` takes it.

    Raises:
        JobError: the command failed.
    """
    chosen = path.chosen(model, device)
    arguments = [
        str(corpus), "-o", f"{folder}/", "--text-column", "text", "--id-column", "id",
        "--workers", str(workers), "--shard-size", str(shard_size), *chosen,
    ]  # fmt: skip
    shown = shlex.join(["framelens", "label", *chosen])
    seconds, _ = timed_command(framelens_command("label", *arguments), shown)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return PathRun(
        sentences=manifest["sentences"],
        process_seconds=seconds,
        reading_seconds=manifest["reading_through_seconds"],
        labelling_seconds=manifest["wall_seconds"],
        worker_seconds=manifest["worker_seconds"],
        workers=manifest["workers"],
        answers=_answers(folder / "shards"),
    )


def framelens_command(*arguments: str) -> list[str]:
    """How this Python calls ``framelens``, whether or not the script is on the path."""
    return [sys.executable, "-c", "from framelens.cli import main; main()", *arguments]


def timed_command(command: Sequence[str], name: str) -> tuple[float, str]:
    """Run a command.

    Args:
        command: what to run.
        name: what it is called in an error.

    Returns:
        Seconds from its start to its end, and the last line of its output.

    Raises:
        JobError: it failed.
    """
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        said = last_line(done.stderr)
        raise JobError(f"{name}: expected it to end well, got exit code {done.returncode}: {said}")
    return seconds, last_line(done.stdout)


def last_line(output: bytes) -> str:
    """What a process said last."""
    lines = output.decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _answers(shards: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = ["doc_id", "label", *(f"p_{label}" for label in LABELS)]
    parts = [pq.read_table(path, columns=columns) for path in sorted(shards.glob("*.parquet"))]
    return pa.concat_tables(parts).sort_by("doc_id")


def same_labels(first: pa.Table, second: pa.Table) -> tuple[int, int]:
    """How many sentences of two runs on the same corpus both have a label, and how many the same one."""
    pairs = zip(first["label"].to_pylist(), second["label"].to_pylist(), strict=True)
    both = [a == b for a, b in pairs if a is not None and b is not None]
    return len(both), sum(both)


def built_in_sentences(n: int) -> list[str]:
    """Made-up sentences in the manner of news, about 34 tokens each, no two of them the same.

    Args:
        n: how many; templates come in turns, each time with another number in them.
    """
    templates = (files("framelens") / "data" / "speed.txt").read_text(encoding="utf-8").splitlines()
    return [templates[i % len(templates)].format(n=1000 + i) for i in range(n)]


@dataclass(frozen=True)
class Measured:
    """What a path came to on this machine.

    Attributes:
        name: of the path.
        title: what it is.
        options: of ``framelens label``.
        workers: processes that labelled.
        sentences_per_second: while every worker works; None where it could not be run.
        n_compared: sentences to which it and the reference gave a label.
        n_same: of these, how many got the same one.
        why_not: why it could not be run.
    """

    name: str
    title: str
    options: tuple[str, ...]
    workers: int
    sentences_per_second: float | None = None
    n_compared: int = 0
    n_same: int = 0
    why_not: str | None = None

    @property
    def hours(self) -> float | None:
        """Hours for ten million sentences."""
        rate = self.sentences_per_second
        return None if rate is None else _TEN_MILLION / rate / 3600


def measure_machine(
    model: str = BUNDLED, tell: Callable[[str], None] = lambda _: None, *, workers: int | None = None
) -> dict[str, Any]:
    """Measure every path that this machine can run on its processor.

    The rate is by the workers' own clocks, so starting and loading are not in it. Labels are held against
    those of torch in fp32, or of the default path where there is no torch.

    Args:
        model: ``bundled``, a folder, or a hub id.
        tell: is called with each step.
        workers: processes; None takes one a core.

    Returns:
        As plain JSON types: ``cores``, ``n_sentences``, ``reference``, ``paths`` (those of `Measured`, with
        ``hours``) and ``recommended``, a command.

    Raises:
        JobError: the default path failed.
    """
    workers = workers or available_cores()
    wanted = [(PATHS[name], workers) for name in _MEASURED]
    if workers > 1:
        wanted.insert(1, (PATHS["default"], 1))
    texts = built_in_sentences(_SENTENCES_OF_WORKER * workers)
    runs: list[tuple[Measured, pa.Table | None]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for at, (path, n) in enumerate(wanted):
            corpus = Path(scratch) / f"{n}.jsonl"
            write_corpus(texts[: _SENTENCES_OF_WORKER * n], corpus)
            tell(f"measuring {path.title} with {n} worker{'' if n == 1 else 's'}")
            runs.append(_try(path, corpus, Path(scratch) / f"run-{at}", model, n))
    reference = next(
        name for name in (REFERENCE, "default") if any(m.name == name and a is not None for m, a in runs)
    )
    theirs = next(answers for found, answers in runs if found.name == reference and answers is not None)
    measured = [_compared(found, answers, theirs) for found, answers in runs]
    return {
        "cores": available_cores(),
        "n_sentences": len(texts),
        "reference": reference,
        "paths": [asdict(found) | {"hours": found.hours} for found in measured],
        "recommended": recommend(measured),
    }


def _try(
    path: LabelPath, corpus: Path, folder: Path, model: str, workers: int
) -> tuple[Measured, pa.Table | None]:
    reason = why_not(path)
    if reason is None:
        size = _SENTENCES_OF_WORKER // _SHARDS_OF_WORKER
        try:
            run = run_path(path, corpus, folder, model=model, workers=workers, shard_size=size)
        except JobError as error:
            if path.name == "default":
                raise
            reason = str(error)
        else:
            found = Measured(path.name, path.title, path.options, workers, round(run.steady_rate, 1))
            return found, run.answers
    return Measured(path.name, path.title, path.options, workers, why_not=reason), None


def _compared(found: Measured, answers: pa.Table | None, reference: pa.Table) -> Measured:
    if answers is None:
        return found
    # A run with fewer workers had the first of the sentences.
    n_compared, n_same = same_labels(answers, reference.slice(0, len(answers)))
    return Measured(**asdict(found) | {"n_compared": n_compared, "n_same": n_same})


def recommend(measured: Sequence[Measured]) -> str:
    """The command of the fastest path that gives the labels of the reference.

    A path must be a tenth faster than a plainer one, which stands before it, and agree with the reference on
    99 % of the sentences; whether fewer will do is the user's to say.

    Raises:
        InputError: no path could be run.
    """
    best: Measured | None = None
    best_rate = 0.0
    for found in measured:
        rate = found.sentences_per_second
        if rate is None or found.n_same < _SAME_ENOUGH * found.n_compared:
            continue
        if best is None or rate > _WORTH_IT * best_rate:
            best, best_rate = found, rate
    if best is None:
        raise InputError("expected a path that labels as the reference does, got none; see `why_not` of each")
    workers = ("--workers", str(best.workers)) if best.workers < available_cores() else ()
    return " ".join(["framelens label CORPUS -o OUT/", *best.options, *workers])


def render_speed(content: dict[str, Any]) -> RenderableType:
    """What ``framelens info --speed`` shows.

    Args:
        content: from `measure_machine`.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("options", no_wrap=True)
    for name in ("workers", "sentences/s", "hours", "same labels"):
        table.add_column(name, justify="right", no_wrap=True)
    for path in content["paths"]:
        cells = (" ".join(path["options"]) or "(default)", str(path["workers"]))
        if path["why_not"] is None:
            same = f"{path['n_same']:,} of {path['n_compared']:,}"
            shown = "reference" if path["name"] == content["reference"] == REFERENCE else same
            rate, hours = f"{path['sentences_per_second']:,.0f}", f"{path['hours']:,.1f}"
            table.add_row(*map(Text, (*cells, rate, hours, shown)))
        else:
            table.add_row(*map(Text, (*cells, "n/a", "n/a", "n/a")))
    reasons = [Text(f"{p['title']}: {p['why_not']}", style="dim") for p in content["paths"] if p["why_not"]]
    terms = (
        f"{content['cores']} cores, {content['n_sentences']:,} made-up sentences once each; labels beside "
        f"those of {PATHS[content['reference']].title}. Hours are for ten million. "
        "Another load on the machine changes the figures."
    )
    advice = Text.assemble("\nfor a corpus:  ", (content["recommended"], "bold"))
    return Group(table, *reasons, Text(terms, style="dim"), advice)
