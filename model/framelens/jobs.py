"""One run of ``framelens label``: inputs in, a rendering or a table out."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from framelens.corpus import Counts, label_records
from framelens.decoding import STDIN
from framelens.manifest import build_manifest, write_manifest
from framelens.readers import InputKind, check_inputs, read_records
from framelens.terminal import PICTURE_WIDTH, render_document, render_sentences, to_html, to_svg
from framelens.writers import check_output, open_writer, result_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from framelens.classifier import FramingClassifier
    from framelens.corpus import LabelledRecord, Unit
    from framelens.readers import InputInfo

__all__ = ["RENDERED", "LabelJob", "run_job"]

#: Formats made for people; every other one is a table of one row a sentence.
RENDERED = ("text", "svg", "html")
STDOUT = "-"


@dataclass(frozen=True)
class LabelJob:
    """What a run is asked to do.

    Attributes:
        inputs: names of files, or ``-`` for standard input.
        output: a file, or ``-`` for standard output.
        format: of the output; None goes by its suffix.
        unit: ``auto`` splits articles into sentences and takes a table's texts as one each.
        text_column, id_column, context_column: see `framelens.readers.read_records`.
        title: heading of a rendering of a single input; None shows its name.
    """

    inputs: tuple[str, ...]
    output: str = STDOUT
    format: str | None = None
    unit: Literal["auto", "sentence", "document"] = "auto"
    text_column: str | None = None
    id_column: str | None = None
    context_column: str | None = None
    title: str | None = None

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
    picture = _picture_format(job)
    check_output(
        f"{job.output}.jsonl" if picture else job.output, None if picture else job.format, inputs=job.inputs
    )
    infos = check_inputs(job.inputs, **job.columns)
    total = _read_through(job, infos)
    started = time.monotonic()
    counts = Counts()
    with _progress(err, total) as progress:
        labelled = _counted(_label(job, infos, classifier), counts, progress)
        if picture:
            _render(job, picture, labelled, out)
        else:
            _tabulate(job, infos, labelled)
    if job.output != STDOUT:
        manifest = build_manifest(
            arguments=asdict(job) | settings,
            model_digest=classifier.digest,
            inputs=[Path(name) for name in job.inputs if name != STDIN],
            counts=counts,
            seconds=time.monotonic() - started,
        )
        write_manifest(manifest, Path(job.output))
    return counts


def _unit(job: LabelJob, info: InputInfo) -> Unit:
    if job.unit != "auto":
        return job.unit
    return "document" if info.kind is InputKind.ARTICLE else "sentence"


def _label(
    job: LabelJob, infos: Sequence[InputInfo], classifier: FramingClassifier
) -> Iterator[LabelledRecord]:
    for unit, group in groupby(infos, key=lambda info: _unit(job, info)):
        records = read_records([info.source for info in group], **job.columns)
        yield from label_records(classifier, records, unit)


def _read_through(job: LabelJob, infos: Sequence[InputInfo]) -> int | None:
    """The number of records, once every one of them has been read; None with standard input."""
    tables = [info.source for info in infos if info.kind is InputKind.TABLE]
    n_records = sum(1 for _ in read_records(tables, **job.columns))
    if any(info.source == STDIN for info in infos):
        return None
    return n_records + len(infos) - len(tables)


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


def _progress(err: Console, total: int | None) -> Progress:
    progress = Progress(
        TextColumn("labelling"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    progress.add_task("label", total=total, rate="")
    return progress


def _tabulate(job: LabelJob, infos: Sequence[InputInfo], labelled: Iterator[LabelledRecord]) -> None:
    columns = dict.fromkeys(column for info in infos for column in info.columns)
    with open_writer(job.output, job.format, inputs=job.inputs, columns=columns) as writer:
        for entry in labelled:
            record = entry.record
            writer.write(
                [result_row(record.doc_id, sentence, record.columns) for sentence in entry.document.sentences]
            )


def _picture_format(job: LabelJob) -> str | None:
    """The format of a rendering; None for a table."""
    suffix = Path(job.output).suffix.removeprefix(".").lower()
    chosen = job.format or (suffix if suffix in RENDERED else None)
    return chosen if chosen in RENDERED else None


def _render(job: LabelJob, picture: str, labelled: Iterator[LabelledRecord], out: Console) -> None:
    pages = (_page(job, entry) for entry in labelled)
    if picture == "text":
        with _opened(job.output, out) as console:
            for page in pages:
                console.print(page)
        return
    title = job.title or ", ".join(Path(name).name for name in job.inputs)
    whole = Group(*pages)
    content = to_svg(whole, title) if picture == "svg" else to_html(whole)
    if job.output == STDOUT:
        out.file.write(content)
    else:
        Path(job.output).write_text(content, encoding="utf-8")


def _page(job: LabelJob, entry: LabelledRecord) -> RenderableType:
    sentences = entry.document.sentences
    if len(sentences) == 1 and sentences[0].end == len(entry.document.text):
        return render_sentences(sentences)
    return render_document(entry.document, job.title or entry.record.doc_id)


@contextmanager
def _opened(output: str, out: Console) -> Iterator[Console]:
    if output == STDOUT:
        yield out
        return
    with Path(output).open("w", encoding="utf-8") as file:
        yield Console(file=file, width=PICTURE_WIDTH)
