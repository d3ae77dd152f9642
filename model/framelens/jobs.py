"""One run of ``framelens label``: inputs in, a rendering or a table out."""

from __future__ import annotations

import io
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from framelens.corpus import Counts, label_records
from framelens.decoding import STDIN, shown, suffixes, unusable
from framelens.manifest import build_manifest, describe_inputs, write_manifest
from framelens.readers import TABLE_SUFFIXES, InputKind, check_inputs, read_records
from framelens.terminal import (
    PICTURE_WIDTH,
    render_document,
    render_legend,
    render_profile,
    render_sentences,
    to_html,
    to_svg,
)
from framelens.writers import check_output, open_writer, replacing, result_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from framelens.classifier import FramingClassifier
    from framelens.corpus import LabelledRecord, Unit
    from framelens.readers import InputInfo

__all__ = ["RENDERED", "LabelJob", "check_job", "run_job"]

#: Formats made for people; every other one is a table of one row a sentence.
RENDERED = ("text", "svg", "html")
STDOUT = "-"
_PICTURE_SUFFIXES = {".txt": "text", ".text": "text", ".svg": "svg", ".html": "html", ".htm": "html"}


@dataclass(frozen=True)
class LabelJob:
    """What a run is asked to do.

    Attributes:
        inputs: names of files, or ``-`` for standard input.
        output: a file, or ``-`` for standard output.
        format: of the output; None goes by its suffix.
        unit: ``auto`` splits articles into sentences and takes a table's texts as one each.
        text_column, id_column, context_column: see `framelens.readers.read_records`.
        name: what a single article is called in the output; None calls it as ``inputs`` does.
    """

    inputs: tuple[str, ...]
    output: str = STDOUT
    format: str | None = None
    unit: Literal["auto", "sentence", "document"] = "auto"
    text_column: str | None = None
    id_column: str | None = None
    context_column: str | None = None
    name: str | None = None

    @property
    def columns(self) -> dict[str, str | None]:
        """The columns, as `framelens.readers` takes them."""
        return {
            "text_column": self.text_column,
            "id_column": self.id_column,
            "context_column": self.context_column,
        }


def run_job(
    job: LabelJob, classifier: FramingClassifier, out: Console, err: Console, settings: dict[str, object]
) -> Counts:
    """Label every input.

    Args:
        job: what to do.
        classifier: what labels.
        out: where a rendering for the terminal goes.
        err: where progress goes, if it is a terminal.
        settings: of the classifier, for the manifest.

    Returns:
        What was met.

    Raises:
        InputError: an input or the output cannot be used. Inputs are read through before the first
            sentence is labelled, so that a broken line costs no work.
    """
    infos = check_job(job)
    picture = _picture_format(job)
    # A terminal that shows the result needs no other sign of life, and the two would write over each other.
    quiet = not err.is_terminal or (job.output == STDOUT and out.is_terminal)
    counts = Counts()
    with _progress(err, quiet) as progress:
        total, columns = _read_through(job, infos)
        described = [] if job.output == STDOUT else describe_inputs(job.inputs)
        progress.update(progress.task_ids[0], total=total, description="labelling")
        started = time.monotonic()
        labelled = _counted(_label(job, infos, classifier), counts, progress)
        if picture:
            _render(job, picture, _pages(labelled, job, counts), out)
        else:
            _tabulate(job, columns, labelled)
    if job.output != STDOUT:
        manifest = build_manifest(
            arguments=asdict(job) | {"inputs": [job.name] if job.name else job.inputs} | settings,
            model_digest=classifier.digest,
            inputs=described,
            counts=counts,
            seconds=time.monotonic() - started,
        )
        write_manifest(manifest, Path(job.output))
    return counts


def check_job(job: LabelJob) -> tuple[InputInfo, ...]:
    """Look at the output and into the inputs, before anything costly such as loading a model.

    Returns:
        What is known of each input.

    Raises:
        InputError: an input or the output cannot be used.
    """
    if job.output != STDOUT and (job.output.endswith("/") or Path(job.output).is_dir()):
        advice = "add a file name, such as results.jsonl"
        raise unusable(job.output, "the name of a file", "a folder", advice)
    if _picture_format(job):
        # Whatever the format, the same must hold of the name.
        check_output(job.output, "jsonl", inputs=job.inputs)
    else:
        check_output(job.output, job.format, inputs=job.inputs)
    return check_inputs(job.inputs, **job.columns)


def _unit(job: LabelJob, info: InputInfo) -> Unit:
    if job.unit != "auto":
        return job.unit
    return "document" if info.kind is InputKind.ARTICLE else "sentence"


def _label(
    job: LabelJob, infos: Sequence[InputInfo], classifier: FramingClassifier
) -> Iterator[LabelledRecord]:
    for unit, group in groupby(infos, key=lambda info: _unit(job, info)):
        records = read_records([info.source for info in group], **job.columns)
        if job.name is not None:
            records = (replace(record, doc_id=job.name) for record in records)
        yield from label_records(classifier, records, unit)


def _read_through(job: LabelJob, infos: Sequence[InputInfo]) -> tuple[int | None, list[str]]:
    """The number of records and the names of their columns, once every one of them has been read.

    The number is None with standard input.
    """
    columns = dict.fromkeys(column for info in infos for column in info.columns)
    tables = [info.source for info in infos if info.kind is InputKind.TABLE]
    n_records = 0
    for record in read_records(tables, **job.columns):
        n_records += 1
        columns.update(dict.fromkeys(record.columns))
    if any(info.source == STDIN for info in infos):
        return None, list(columns)
    return n_records + len(infos) - len(tables), list(columns)


def _counted(
    labelled: Iterator[LabelledRecord], counts: Counts, progress: Progress
) -> Iterator[LabelledRecord]:
    task = progress.task_ids[0]
    started = time.monotonic()
    for record in labelled:
        counts.add(record)
        rate = counts.sentences / max(time.monotonic() - started, 1e-3)
        progress.update(task, advance=1, rate=f"{counts.sentences:,} sentences, {rate:,.0f}/s")
        yield record


def _progress(err: Console, quiet: bool) -> Progress:
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=quiet,
    )
    progress.add_task("reading through", total=None, rate="")
    return progress


def _tabulate(job: LabelJob, columns: Sequence[str], labelled: Iterator[LabelledRecord]) -> None:
    with open_writer(job.output, job.format, inputs=job.inputs, columns=columns) as writer:
        for entry in labelled:
            record = entry.record
            writer.write(
                [result_row(record.doc_id, sentence, record.columns) for sentence in entry.document.sentences]
            )


def _picture_format(job: LabelJob) -> str | None:
    """The format of a rendering; None for a table.

    Raises:
        InputError: the output's suffix is none that is known, or contradicts the format.
    """
    suffix, compression = suffixes(job.output)
    named = None if compression else _PICTURE_SUFFIXES.get(suffix)
    if job.format is None:
        if job.output != STDOUT and named is None and suffix not in TABLE_SUFFIXES:
            expected = f"a name that ends in {', '.join((*TABLE_SUFFIXES, *_PICTURE_SUFFIXES))}"
            got = suffix + compression or "no suffix"
            raise unusable(job.output, expected, got, "choose one of these, or give --format")
        return named
    picture = job.format if job.format in RENDERED else None
    clashes = named not in (None, picture) or (picture and (compression or suffix in TABLE_SUFFIXES))
    if clashes:
        expected = f"a name for the format {job.format}"
        advice = "leave the format out, or change the name"
        raise unusable(job.output, expected, f"one for {suffix}{compression}", advice)
    return picture


def _render(job: LabelJob, picture: str, pages: Iterator[RenderableType], out: Console) -> None:
    with _opened(job.output, out) as console:
        if picture == "text":
            for page in pages:
                console.print(page, width=min(console.width, PICTURE_WIDTH))
            return
        others = len(job.inputs) - 1
        title = job.name or shown(job.inputs[0]) + (f" and {others:,} more" if others else "")
        whole = Group(*pages)
        console.file.write(to_svg(whole, title) if picture == "svg" else to_html(whole, title))
        console.file.flush()


def _pages(labelled: Iterator[LabelledRecord], job: LabelJob, counts: Counts) -> Iterator[RenderableType]:
    """A page for every document, a line for every sentence of a table, and what they come to.

    Args:
        labelled: what is shown.
        job: names of its documents are shown where there are several.
        counts: of what has been taken from ``labelled``.
    """
    unit = None
    for entry in labelled:
        if unit and "document" in (unit, entry.unit):
            yield ""
        unit = entry.unit
        if unit == "sentence":
            yield render_sentences(entry.document.sentences)
        else:
            doc_id = entry.record.doc_id
            yield render_document(entry.document, None if len(job.inputs) == 1 else shown(doc_id))
    if unit == "sentence" or counts.records > 1:
        yield ""
        yield Text.assemble("" if unit == "sentence" else "in all ", render_profile(counts.profile))
    yield render_legend()


@contextmanager
def _opened(output: str, out: Console) -> Iterator[Console]:
    """Where a rendering goes; a file takes its place only when it is complete."""
    if output == STDOUT:
        yield out
        return
    with replacing(Path(output).resolve()) as stream:
        file = io.TextIOWrapper(stream, encoding="utf-8")
        yield Console(file=file, width=PICTURE_WIDTH, color_system=None)
        # Flushes; the stream is closed by its owner.
        file.detach()
