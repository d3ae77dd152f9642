"""A measurement of speed for reading: tables, a figure, the terms, and the README's table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from framelens import InputError
from framelens_evaluation.reporting.document import Callout, Document, Figure, Section, Table, Text
from framelens_evaluation.reporting.figures import ACCENT, INK, drawing, to_svg
from framelens_evaluation.reporting.markdown import table
from framelens_evaluation.reporting.provenance import provenance_section
from framelens_evaluation.speed.costs import cost_section

if TYPE_CHECKING:
    from pathlib import Path

    from framelens_evaluation.reporting.document import Block
    from framelens_evaluation.speed.pairs import MedianInterval
    from framelens_evaluation.speed.result import Agreement, SpeedReport, SystemSpeed

__all__ = ["lines", "readme_table", "speed_document", "write_readme"]

_MARKS: Final = tuple(f"<!-- speed:{edge} -->" for edge in ("begin", "end"))
_CLOCKS: Final = (
    "**Two clocks.** `labelling` runs from opening the input to the last row on the disk, with start-up, "
    "imports and loading the model left out on both sides: by the pipeline's own clock, and by what the "
    "manifest of ours says of reading through and labelling. Ours begins when the first worker is ready, so "
    "that the wait for the others counts against it. `whole process` is what a user waits for, start-up too."
)
_PAIRS: Final = (
    "Every run is a process of its own. All systems run once in every round, in an order that rotates; the "
    "first round warms up and is not counted. A ratio is the pipeline's seconds over ours in the same round, "
    "and the figure is the median over rounds."
)


def speed_document(report: SpeedReport) -> Document:
    """The report of a measurement of speed."""
    terms = report.terms
    return Document(
        title="Speed of labelling",
        lead=(
            "Sentences a second from file to file, beside the same model in a plain transformers "
            f"pipeline: {terms.n_sentences:,} sentences of {terms.mean_tokens:.0f} tokens on "
            f"{terms.device}, with {terms.cores} cores."
        ),
        headline=tuple(
            (f"{path.ratio.shown()}×", f"the pipeline's speed: {path.title}")
            for path in report.paths
            if path.ratio is not None
        ),
        sections=tuple(
            section
            for section in (
                _speed(report), _labels(report), _quality(report), _tokeniser(report), _costs(report),
                _terms(report),
                provenance_section(report.provenance),
            )
            if section is not None
        ),
    )  # fmt: skip


def lines(report: SpeedReport) -> list[str]:
    """What the command prints: a line a system."""
    found = []
    for system in report.systems:
        if system.why_not is not None:
            found.append(f"{system.name}: not available: {system.why_not}")
            continue
        parts = [f"{system.name}: {_number(system.rate)} sentences/s"]
        if system.ratio is not None and system.process_ratio is not None:
            parts.append(f"{system.ratio.shown()} times the pipeline")
            parts.append(f"the whole process {system.process_ratio.shown()} times")
        if system.agreement is not None:
            parts.append(f"{_share(system.agreement)} labels as {report.reference} fp32")
        if system.quality is not None:
            parts.append(f"macro-F1 {system.quality.macro_f1}")
        found.append(", ".join(parts))
    return found


def readme_table(report: SpeedReport) -> str:
    """The README's table, as Markdown, and what was measured."""
    scored = any(system.quality is not None for system in report.systems)
    head = [
        "file to file", "sentences/s", "times the pipeline", "times, start-up included",
        f"same labels as {report.reference} fp32",
    ]  # fmt: skip
    rows = [
        [
            f"`{_command(system)}`" if system.ratio else system.title,
            _number(system.rate),
            system.ratio.shown() if system.ratio else "1",
            system.process_ratio.shown() if system.process_ratio else "1",
            "reference" if system.agreement is None else _share(system.agreement),
        ]
        for system in (report.pipeline, *report.paths)
    ]
    terms, machine = report.terms, report.provenance.machine
    if scored:
        head += [f"macro-F1, n = {terms.n_gold:,}", "difference to the default"]
        for row, system in zip(rows, (report.pipeline, *report.paths), strict=True):
            row += _scores(system)
    versions = ", ".join(
        f"{name} {report.provenance.versions[name]}" for name in ("onnxruntime", "torch", "transformers")
    )
    where = "" if terms.device == "cpu" else f", {terms.device}"
    return (
        table(head, rows)
        + f"\n{terms.n_sentences:,} sentences of {terms.mean_tokens:.0f} tokens; {machine.processor}, "
        f"{terms.cores} cores{where}; {versions}; {_medians(report)}."
    )


def write_readme(readme: Path, report: SpeedReport) -> None:
    """Put the measured table between the README's speed marks.

    Raises:
        InputError: the README cannot be read or written, or has no marks.
    """
    begin, end = _MARKS
    try:
        text = readme.read_text(encoding="utf-8")
        before, found, rest = text.partition(begin)
        _, ended, after = rest.partition(end)
        if not found or not ended:
            raise InputError(f"expected {begin} and, behind it, {end} in {readme}; write them there")
        readme.write_text(f"{before}{begin}\n{readme_table(report)}\n{end}{after}", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot renew the table in {readme}: {error.strerror}") from error


def _command(system: SystemSpeed) -> str:
    return " ".join(("framelens label", *system.options))


def _number(found: MedianInterval | None) -> str:
    return "n/a" if found is None else f"{found.value:,.0f}"


def _percent(share: float) -> str:
    """In percent, never rounded up to all."""
    shown = f"{100 * share:.2f}"
    if shown == "100.00" and share < 1:
        shown = "99.99"
    return f"{shown} %"


def _share(found: Agreement) -> str:
    if found.share is None or found.low is None or found.high is None:
        return "n/a"
    return f"{_percent(found.share)} [{100 * found.low:.2f}, {100 * found.high:.2f}]"


def _scores(system: SystemSpeed) -> list[str]:
    if system.quality is None:
        return ["n/a", "n/a"]
    difference = system.quality.difference
    return [str(system.quality.macro_f1), "" if difference is None else str(difference)]


def _medians(report: SpeedReport) -> str:
    """What the figures are, and what stands in brackets behind ratios."""
    n = report.terms.repeats
    medians = f"medians of {n} paired round{'' if n == 1 else 's'}"
    known = next((path.ratio for path in report.paths if path.ratio is not None), None)
    if known is None or known.coverage is None:
        return medians
    outermost = (known.low, known.high) == (known.least, known.most)
    ends = "the smallest and the largest" if outermost else "two order statistics"
    return f"{medians}; in brackets {ends}, a {100 * known.coverage:.1f} % interval"


def _speed(report: SpeedReport) -> Section:
    rows = []
    for system in report.systems:
        if system.why_not is not None or system.rate is None:
            continue
        tokens = system.rate.value * report.terms.mean_tokens
        rows.append(
            (
                system.title,
                f"`{_command(system)}`" if system.ratio else "",
                _number(system.rate),
                f"{system.rate.least:,.0f} to {system.rate.most:,.0f}",
                f"{tokens:,.0f}",
                "1" if system.ratio is None else system.ratio.shown(),
                "" if system.ratio is None else f"{system.ratio.least:.2f} to {system.ratio.most:.2f}",
                "1" if system.process_ratio is None else system.process_ratio.shown(),
                f"{min(system.process_seconds):,.1f} to {max(system.process_seconds):,.1f}",
            )
        )
    header = (
        "", "command", "sentences/s", "all rounds", "tokens/s", "times the pipeline, labelling", "all rounds",
        "times the pipeline, whole process", "seconds, whole process",
    )  # fmt: skip
    missing = [
        Callout(f"{system.title}: not available: {system.why_not}")
        for system in report.systems
        if system.why_not is not None
    ]
    blocks: list[Block] = [
        Table(header, tuple(rows), f"{_medians(report).capitalize()}."),
        *missing,
    ]
    if report.paths:
        blocks.insert(1, _figure(report))
    return Section("Speed", tuple(blocks))


def _costs(report: SpeedReport) -> Section | None:
    """Only of processors: a GPU is not rented by its cores."""
    return cost_section(report) if report.terms.device == "cpu" else None


def _figure(report: SpeedReport) -> Figure:
    paths = [path for path in report.paths if path.ratio is not None and path.process_ratio is not None]
    title = "Times the speed of the pipeline"
    with drawing(height=1.0 + 0.62 * len(paths)) as (figure, axes):
        for at, path in enumerate(paths):
            for found, shift, colour in ((path.ratio, -0.19, ACCENT), (path.process_ratio, 0.19, "#56b4e9")):
                if found is None:
                    continue
                axes.barh(at + shift, found.value, height=0.34, color=colour)
                if found.low is not None and found.high is not None:
                    axes.plot([found.low, found.high], [at + shift] * 2, color=INK, linewidth=1.4)
                axes.annotate(
                    f" {found.value:.2f}", (max(found.value, found.high or 0), at + shift), va="center"
                )
        axes.axvline(1.0, color=INK, linewidth=0.8, linestyle="--")
        axes.set_yticks(range(len(paths)), [path.title for path in paths])
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("times the pipeline; dark: labelling, light: the whole process")
        described = "; ".join(
            f"{path.title}: labelling {path.ratio.shown()}, whole process {path.process_ratio.shown()}"
            for path in paths
            if path.ratio is not None and path.process_ratio is not None
        )
        svg = to_svg(figure, title, described)
    return Figure("ratios", svg, title, described, f"{_medians(report).capitalize()}.")


def _labels(report: SpeedReport) -> Section:
    rows = []
    for system in report.systems:
        found = system.agreement
        if found is None:
            continue
        apart = "n/a" if found.largest_difference is None else f"{found.largest_difference:.5f}"
        rows.append(
            (
                system.title,
                _share(found),
                f"{found.n_compared - found.n_same:,} of {found.n_compared:,}",
                apart,
            )
        )
    text = (
        "Sentences to which both sides give a label; ours give none to what the codebook does not apply to. "
        "Brackets are Wilson's 95 % interval. The pipeline gives one probability a sentence, so only "
        "that one is compared."
    )
    unlabelled = max((path.n_unlabelled for path in report.paths), default=0)
    if unlabelled:
        text += (
            f" Ours left {unlabelled:,} of {report.terms.n_sentences:,} sentences without a label, most "
            "of them without running the network."
        )
    header = ("", f"same label as {report.reference} fp32", "others", "largest difference of a probability")
    return Section("The same labels?", (Text(text), Table(header, tuple(rows))))


def _quality(report: SpeedReport) -> Section | None:
    rows = tuple((system.title, *_scores(system)) for system in report.systems if system.quality is not None)
    if not rows:
        return None
    terms = report.terms
    text = (
        f"{terms.n_gold:,} sentences of {terms.n_gold_articles:,} articles in {terms.gold} have a gold "
        "label. 95 % intervals from resampling articles; the difference is taken on the same resamples. No "
        "side is given context."
    )
    header = ("", "macro-F1", "difference to the default")
    return Section("What it costs in quality", (Text(text), Table(header, rows)))


def _tokeniser(report: SpeedReport) -> Section:
    found = report.tokeniser
    rows = (
        ("one thread", f"{found.sentences_one:,.0f}", f"{found.tokens_one:,.0f}"),
        (f"all {report.terms.cores} cores", f"{found.sentences_all:,.0f}", f"{found.tokens_all:,.0f}"),
    )
    text = "Encoding alone, in this process. No system that reads text with this tokeniser can be faster."
    return Section("The tokeniser's own limit", (Text(text), Table(("", "sentences/s", "tokens/s"), rows)))


def _terms(report: SpeedReport) -> Section:
    terms = report.terms
    threads = ", ".join(
        f"{system.name} {system.threads}" for system in report.systems if system.threads is not None
    )
    rows: list[tuple[object, ...]] = [
        ("sentences", f"{terms.n_sentences:,}, all different; {terms.n_repeated:,} repeated ones left out"),
        (
            "their length",
            f"{terms.mean_characters:.0f} characters, {terms.mean_tokens:.1f} tokens on average",
        ),
        (
            "model",
            f"digest `{terms.model_digest[:16]}…`, the same on both sides; `--fast` is another model",
        ),
        ("device", f"{terms.device}; {terms.cores} cores"),
        ("ours", f"{terms.workers} workers with one thread each, shards of {terms.shard_size:,} sentences"),
        (
            "pipeline",
            f"one process, batches of {terms.batch_size}, float32, truncation on, a generator in, JSONL out",
        ),
        ("workers or threads", threads),
        ("rounds", f"{terms.repeats}, after one to warm up"),
    ]
    if terms.load_before is not None:
        rows.append(("load of the machine in the minute before", f"{terms.load_before:.2f}"))
    return Section("Terms", (Text(_CLOCKS), Text(_PAIRS), Table(("", ""), tuple(rows))))
