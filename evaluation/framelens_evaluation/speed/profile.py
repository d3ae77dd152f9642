"""Where the time of one path goes, on one thread."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens import InputError
from framelens.speed import timed_command, why_not
from framelens_evaluation.reporting.document import Document, Section, Table, Text
from framelens_evaluation.reporting.provenance import Part, Provenance, Source, Started, provenance_section
from framelens_evaluation.speed.sampled import LOADING, STAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens.speed import LabelPath
    from framelens_evaluation.reporting.document import Block
    from framelens_evaluation.speed.sentences import Sentences

__all__ = ["ProfileReport", "Share", "lines", "measure_profile", "profile_document", "shares"]

_SENTENCES_OF_PARAGRAPH = 3
_PARAGRAPHS_OF_ARTICLE = 8
#: Operators with a smaller share are not shown.
_LEAST_OPERATOR = 0.005
_HOW = (
    "One process with one thread labels articles that are made of the sentences, {paragraph} to a paragraph "
    "and {article} to an article, so that splitting has its part. A second thread looks about a thousand "
    "times a second at what runs, and the time since its last look goes to the stage of the innermost "
    "function of ours. In writing is that every shard is made durable, which weighs more in a short run. "
    "Shares are of the stages alone; starting, importing and loading the model are left out of them."
)
_OPERATORS = (
    "By onnxruntime's own profiler, in a run of its own because it slows the network down. Shares are of the "
    "time in operators."
)


class Share(Part):
    """A part of the time.

    Attributes:
        name: of the stage or operator.
        seconds: that it took.
        share: of the whole, in [0, 1].
    """

    name: str
    seconds: float
    share: float


class ProfileReport(Part):
    """Where the time of a path goes.

    Attributes:
        path: its name.
        title: what it is.
        options: of ``framelens label``.
        n_sentences: that came of splitting, and were labelled.
        seconds: of the stages together.
        loading_seconds: of starting, importing and loading.
        looks: how often was looked.
        stages: in the order in which a sentence passes them.
        operators: of the network, the dearest first; empty where onnxruntime does not run it.
        device: that the model ran on.
        provenance: where the figures come from.
    """

    path: str
    title: str
    options: tuple[str, ...]
    n_sentences: int
    seconds: float
    loading_seconds: float
    looks: int
    stages: tuple[Share, ...]
    operators: tuple[Share, ...]
    device: str
    provenance: Provenance


def shares(seconds: dict[str, float], names: Sequence[str]) -> tuple[Share, ...]:
    """Parts of the time that the named take together, in their order; what is not named is left out."""
    known = {name: seconds.get(name, 0.0) for name in names}
    whole = sum(known.values())
    return tuple(
        Share(name=name, seconds=round(value, 4), share=value / whole if whole else 0.0)
        for name, value in known.items()
    )


def measure_profile(
    data: Sentences,
    path: LabelPath,
    *,
    model: str = "bundled",
    device: str = "cpu",
    command: str | None = None,
) -> ProfileReport:
    """Profile a path.

    Args:
        data: sentences, of which articles are made.
        path: what to profile.
        model: ``bundled``, a folder, or a hub id.
        device: such as ``cpu``.
        command: how it was called.

    Raises:
        InputError: the path cannot be run here.
        JobError: it failed.
    """
    if reason := why_not(path, device):
        raise InputError(f"the path {path.name} is not available: {reason}")
    started = Started()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        articles = folder / "articles.jsonl"
        _write_articles(data.texts, articles)
        arguments = [
            "label", str(articles), "--unit", "document", "--text-column", "text", "--workers", "1",
            *path.chosen(model, device), "-o",
        ]  # fmt: skip
        clocks = _run(folder / "stages.json", [], [*arguments, f"{folder / 'stages'}/"])
        manifest = json.loads((folder / "stages" / "manifest.json").read_bytes())
        operators: dict[str, float] = {}
        if "torch" not in path.options:
            found = _run(folder / "ops.json", ["--operators"], [*arguments, f"{folder / 'operators'}/"])
            operators = found["operators"]
    stages = shares(clocks["seconds"], STAGES)
    return ProfileReport(
        path=path.name,
        title=path.title,
        options=path.options,
        n_sentences=manifest["sentences"],
        seconds=round(sum(stage.seconds for stage in stages), 3),
        loading_seconds=round(clocks["seconds"].get(LOADING, 0.0), 3),
        looks=clocks["looks"],
        stages=stages,
        operators=shares(operators, sorted(operators, key=lambda name: -operators[name])),
        device=device,
        provenance=started.provenance(
            command=command,
            seed=0,
            n_resamples=None,
            sources=[Source(role="data", name=data.name, sha256=data.sha256)],
        ),
    )


def _write_articles(texts: Sequence[str], path: Path) -> None:
    step = _SENTENCES_OF_PARAGRAPH
    paragraphs = [" ".join(texts[at : at + step]) for at in range(0, len(texts), step)]
    with path.open("w", encoding="utf-8") as out:
        for at in range(0, len(paragraphs), _PARAGRAPHS_OF_ARTICLE):
            body = "\n\n".join(paragraphs[at : at + _PARAGRAPHS_OF_ARTICLE])
            out.write(json.dumps({"text": body}) + "\n")


def _run(clocks: Path, options: Sequence[str], arguments: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "framelens_evaluation.speed.sampled", str(clocks), *options, "--"]
    timed_command([*command, *arguments], "profiling")
    found: dict[str, Any] = json.loads(clocks.read_bytes())
    return found


def lines(report: ProfileReport) -> list[str]:
    """What the command prints."""
    rate = report.n_sentences / report.seconds if report.seconds else 0.0
    found = [f"{report.path}: {rate:,.0f} sentences/s on one thread"]
    return [*found, *(f"{stage.share:6.1%}  {stage.name}" for stage in report.stages)]


def profile_document(report: ProfileReport) -> Document:
    """The report of a profile."""
    rows = tuple(
        (
            stage.name,
            f"{stage.share:.1%}",
            f"{stage.seconds:,.2f}",
            f"{1e6 * stage.seconds / report.n_sentences:,.0f}",
        )
        for stage in report.stages
    )
    how = _HOW.format(
        paragraph=_SENTENCES_OF_PARAGRAPH, article=_SENTENCES_OF_PARAGRAPH * _PARAGRAPHS_OF_ARTICLE
    )
    blocks: tuple[Block, ...] = (
        Text(how),
        Table(("stage", "share", "seconds", "µs a sentence"), rows),
        Text(f"{report.looks:,} looks; {report.loading_seconds:.1f} s of start and loading are left out."),
    )
    sections = [Section("Stages", blocks)]
    if report.operators:
        table = Table(
            ("operator", "share of the network", "seconds"),
            tuple(
                (entry.name, f"{entry.share:.1%}", f"{entry.seconds:,.2f}")
                for entry in report.operators
                if entry.share >= _LEAST_OPERATOR
            ),
        )
        sections.append(Section("Operators of the network", (Text(_OPERATORS), table)))
    sections.append(provenance_section(report.provenance))
    rate = report.n_sentences / report.seconds if report.seconds else 0.0
    network = next(stage for stage in report.stages if stage.name == "network")
    return Document(
        title=f"Where the time goes: {report.title}",
        lead=f"{report.n_sentences:,} sentences on one thread of the device {report.device}.",
        headline=(
            (f"{network.share:.0%}", "of the time is the network's"),
            (f"{rate:,.0f}", "sentences a second on one thread"),
        ),
        sections=tuple(sections),
    )
