"""One run of ``framelens label``: inputs in, a rendering, a table or a folder of shards out."""

from __future__ import annotations

import io
import os
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console, Group
from rich.text import Text

from framelens.corpus import Counts, label_records
from framelens.decoding import STDIN, UTF8, shown, suffixes, unusable
from framelens.errors import InputError
from framelens.inputs import find_inputs
from framelens.manifest import build_manifest, describe_inputs, write_manifest
from framelens.progress import Reporter
from framelens.readers import InputKind, ReadOptions, check_inputs, read_records
from framelens.shards import SHARD_FORMATS, Task
from framelens.storage import is_uri, is_within, local_name, location, names_folder, public
from framelens.survey import PartReader, survey_inputs
from framelens.terminal import (
    PICTURE_WIDTH,
    render_document,
    render_legend,
    render_profile,
    render_sentences,
    to_html,
    to_svg,
)
from framelens.workers import Crew
from framelens.writers import TABLE_FORMATS, check_output, open_writer, output_format, replacing, result_row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from framelens.classifier import FramingClassifier
    from framelens.corpus import LabelledRecord, Unit
    from framelens.inputs import Inputs
    from framelens.readers import InputInfo, Record
    from framelens.survey import Survey

__all__ = ["RENDERED", "LabelJob", "Prepared", "check_job", "named", "refuse_unreadable", "run_job"]

#: Formats made for people; every other one is a table of one row a sentence.
RENDERED = ("text", "svg", "html")
STDOUT = "-"
#: Sentences, about, in a shard: a quarter of a minute to a minute of one core.
SHARD_SIZE = 20_000
#: Sentences, about, that a worker is given at once where the rows go into one file.
_SENTENCES_AT_ONCE = 2048
_PICTURE_SUFFIXES = {".txt": "text", ".text": "text", ".svg": "svg", ".html": "html", ".htm": "html"}


@dataclass(frozen=True)
class LabelJob:
    """What a run is asked to do.

    Attributes:
        inputs: names of files, folders, patterns and `datasets` directories, or ``-`` for standard
            input; see `framelens.inputs`. Files may lie on an object store, see `framelens.storage`.
        output: a file, a folder of shards, which is there or ends in a slash, or ``-`` for standard output.
        format: of the output; None goes by its suffix, and writes Parquet shards.
        unit: ``auto`` splits articles into sentences and takes a table's texts as one each.
        text_column, id_column, context_column, delimiter, encoding: see `framelens.readers.ReadOptions`.
        name: what a single article is called in the output; None calls it as ``inputs`` does.
        on_error: ``flag`` gives a record that cannot be labelled a row that says why; ``fail`` refuses
            inputs with such a record before the first is labelled.
        shard_size: sentences, about, in a shard.
    """

    inputs: tuple[str, ...]
    output: str = STDOUT
    format: str | None = None
    unit: Literal["auto", "sentence", "document"] = "auto"
    text_column: str | None = None
    id_column: str | None = None
    context_column: str | None = None
    name: str | None = None
    delimiter: str | None = None
    encoding: str = UTF8
    on_error: Literal["flag", "fail"] = "flag"
    shard_size: int = SHARD_SIZE

    def __post_init__(self) -> None:
        object.__setattr__(self, "output", local_name(self.output))

    @property
    def in_shards(self) -> bool:
        """Whether the output is a folder of shards."""
        if self.output == STDOUT:
            return False
        if is_uri(self.output):
            return names_folder(self.output)
        return self.output.endswith(("/", os.sep)) or Path(self.output).is_dir()


@dataclass(frozen=True)
class Prepared:
    """What looking at a job has found.

    Attributes:
        inputs: the files.
        infos: what is known of each.
        units: what a record of each is taken as.
        options: how they are read.
    """

    inputs: Inputs
    infos: tuple[InputInfo, ...]
    units: tuple[Unit, ...]
    options: ReadOptions

    @property
    def weight(self) -> int:
        """Bytes of text in the inputs, about; 0 for standard input."""
        files = [name for name in self.inputs.files if name != STDIN]
        return sum(location(name).stat().st_size * (4 if _is_compressed(name) else 1) for name in files)

    def guessed_separators(self) -> list[str]:
        """What to tell of CSV files whose separator was told by their header."""
        return [
            f"{shown(info.source)}: columns are separated by {info.separator!r}"
            for info in self.infos
            if info.separator not in (None, ",", self.options.delimiter)
            and suffixes(info.source)[0] == ".csv"
        ]


def run_job(
    job: LabelJob,
    classifier: FramingClassifier | Crew,
    out: Console,
    err: Console,
    settings: dict[str, Any],
    model_digest: str | None = None,
) -> Counts:
    """Label every input into one file or onto standard output.

    Args:
        job: what to do.
        classifier: what labels, or the workers that have one each.
        out: where a rendering for the terminal goes.
        err: where progress goes.
        settings: of the classifier, for the manifest.
        model_digest: of the model that the workers have.

    Returns:
        What was met.

    Raises:
        InputError: an input or the output cannot be used. Inputs are read through before the first
            sentence is labelled, so that a broken line costs no work.
    """
    prepared = check_job(job)
    picture = _picture_format(job)
    form = None if picture else output_format(job.output, job.format)
    for line in prepared.guessed_separators():
        err.print(line, soft_wrap=True, highlight=False, markup=False)
    # A terminal that shows the result needs no other sign of life, and the two would write over each other.
    quiet = job.output == STDOUT and out.is_terminal
    counts = Counts()
    with Reporter(err, quiet=quiet) as reporter:
        survey = _survey(prepared, form, reporter)
        refuse_unreadable(job, survey.n_unreadable, survey.first_unreadable)
        described = [] if job.output == STDOUT else describe_inputs(prepared.inputs.files)
        has_stdin = any(info.source == STDIN for info in prepared.infos)
        reporter.begin("labelling", None if has_stdin else sum(survey.records))
        started = time.monotonic()
        labelled = _counted(_label(job, prepared, survey, classifier), counts, reporter)
        if picture:
            _render(job, prepared.inputs.files, picture, _pages(labelled, len(prepared.infos), counts), out)
        else:
            _tabulate(job, prepared, survey, labelled)
    if not has_stdin and counts.records != sum(survey.records):
        raise InputError(
            f"expected {sum(survey.records):,} records as at the first reading, got {counts.records:,}: "
            "an input was changed meanwhile; label it again"
        )
    if job.output != STDOUT:
        digest = model_digest if isinstance(classifier, Crew) else classifier.digest
        manifest = build_manifest(
            arguments=asdict(job) | {"inputs": [job.name] if job.name else job.inputs} | settings,
            model_digest=str(digest),
            inputs=described,
            counts=counts,
            seconds=time.monotonic() - started,
            skipped=prepared.inputs.skipped,
        )
        write_manifest(manifest, Path(job.output))
    return counts


def check_job(job: LabelJob) -> Prepared:
    """Look at the output and into the inputs, before anything costly such as loading a model.

    Raises:
        InputError: an input or the output cannot be used.
    """
    if job.shard_size < 1:
        raise InputError(f"expected a shard size of at least 1, got {job.shard_size}")
    inputs = find_inputs(job.inputs, None if job.output == STDOUT else location(job.output))
    if job.in_shards:
        _check_shards(job, inputs)
    else:
        # Whatever the format of a rendering, the same must hold of the name.
        form = "jsonl" if _picture_format(job) else job.format
        check_output(job.output, form, inputs=inputs.files)
    options = ReadOptions(
        text_column=job.text_column,
        id_column=job.id_column,
        context_column=job.context_column,
        delimiter=job.delimiter,
        encoding=job.encoding,
        lenient=frozenset(inputs.lenient),
    )
    infos = check_inputs(inputs.files, options)
    return Prepared(inputs, infos, tuple(_unit(job, info) for info in infos), options)


def refuse_unreadable(job: LabelJob, n: int, first: str | None) -> None:
    """Stop where a record cannot be read and that was asked for.

    Raises:
        InputError: there is such a record, and the job says ``on_error="fail"``.
    """
    if n and job.on_error == "fail":
        others = f" and {n - 1:,} more" if n > 1 else ""
        raise InputError(
            f"{first}{others}; mend the input, or give --on-error flag to get a row that says so"
        )


def named(job: LabelJob, runs: list[tuple[Unit, list[Record]]]) -> list[tuple[Unit, list[Record]]]:
    """Runs of records, called as the job says that its article is called."""
    return [(unit, [_named(job, record) for record in records]) for unit, records in runs]


def _named(job: LabelJob, record: Record) -> Record:
    return record if job.name is None else replace(record, doc_id=job.name)


def _check_shards(job: LabelJob, inputs: Inputs) -> None:
    """A job must find the same inputs again, and its rows must tell which is which."""
    if job.format not in (None, *SHARD_FORMATS):
        advice = "choose one of these, or give the name of a file"
        raise unusable(
            job.output, f"shards of the format {' or '.join(SHARD_FORMATS)}", str(job.format), advice
        )

    if STDIN in inputs.files:
        raise unusable(
            job.output, "inputs that can be read again", "standard input", "save it to a file first"
        )
    twice = [name for name, run in groupby(sorted(map(public, inputs.files))) if len(list(run)) > 1]
    if twice:
        raise unusable(twice[0], "every input once", "it several times", "give it once")
    inside = [name for name in inputs.files if is_within(name, job.output)]
    if inside:
        advice = "choose a folder outside the inputs"
        raise unusable(job.output, "a folder without inputs", f"one with {shown(inside[0])}", advice)


def _is_compressed(name: str) -> bool:
    suffix, compression = suffixes(name)
    return bool(compression) or suffix == ".parquet"


def _unit(job: LabelJob, info: InputInfo) -> Unit:
    if job.unit != "auto":
        return job.unit
    return "document" if info.kind is InputKind.ARTICLE else "sentence"


def _survey(prepared: Prepared, form: str | None, reporter: Reporter) -> Survey:
    """All but standard input, read through."""
    known = [
        (info, unit)
        for info, unit in zip(prepared.infos, prepared.units, strict=True)
        if info.source != STDIN
    ]
    return survey_inputs(
        [info for info, _ in known],
        prepared.options,
        [unit for _, unit in known],
        part_size=_SENTENCES_AT_ONCE,
        typed=form == "parquet",
        seen=reporter.read,
    )


def _label(
    job: LabelJob, prepared: Prepared, survey: Survey, classifier: FramingClassifier | Crew
) -> Iterator[LabelledRecord]:
    if isinstance(classifier, Crew):
        reader = PartReader(prepared.infos, prepared.options, prepared.units, survey.records)
        tasks = (Task(part.number, named(job, reader.read(part))) for part in survey.parts)
        for _, found in classifier.run(tasks, lambda *_: None, ordered=True):
            yield from found
        return
    pairs = zip(prepared.infos, prepared.units, strict=True)
    for unit, group in groupby(pairs, key=lambda pair: pair[1]):
        records = read_records([info.source for info, _ in group], prepared.options)
        yield from label_records(classifier, (_named(job, record) for record in records), unit)


def _counted(
    labelled: Iterator[LabelledRecord], counts: Counts, reporter: Reporter
) -> Iterator[LabelledRecord]:
    for record in labelled:
        counts.add(record)
        reporter.labelled(counts)
        yield record


def _tabulate(job: LabelJob, prepared: Prepared, survey: Survey, labelled: Iterator[LabelledRecord]) -> None:
    with open_writer(
        job.output, job.format, inputs=prepared.inputs.files, columns=survey.columns, schema=survey.schema
    ) as writer:
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
        if job.output != STDOUT and named is None and suffix not in TABLE_FORMATS:
            expected = f"a name that ends in {', '.join((*TABLE_FORMATS, *_PICTURE_SUFFIXES))}"
            got = suffix + compression or "no suffix"
            advice = "choose one of these, give --format, or end it in a slash for a folder of shards"
            raise unusable(job.output, expected, got, advice)
        return named
    picture = job.format if job.format in RENDERED else None
    clashes = named not in (None, picture) or (picture and (compression or suffix in TABLE_FORMATS))
    if clashes:
        expected = f"a name for the format {job.format}"
        advice = "leave the format out, or change the name"
        raise unusable(job.output, expected, f"one for {suffix}{compression}", advice)
    return picture


def _render(
    job: LabelJob, files: Sequence[str], picture: str, pages: Iterator[RenderableType], out: Console
) -> None:
    with _opened(job.output, out) as console:
        if picture == "text":
            for page in pages:
                console.print(page, width=min(console.width, PICTURE_WIDTH))
            return
        others = len(files) - 1
        title = job.name or shown(files[0]) + (f" and {others:,} more" if others else "")
        whole = Group(*pages)
        console.file.write(to_svg(whole, title) if picture == "svg" else to_html(whole, title))
        console.file.flush()


def _pages(labelled: Iterator[LabelledRecord], n_inputs: int, counts: Counts) -> Iterator[RenderableType]:
    """A page for every document, a line for every sentence of a table, and what they come to.

    Args:
        labelled: what is shown.
        n_inputs: names of documents are shown where there are several.
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
            yield render_document(entry.document, None if n_inputs == 1 else shown(doc_id))
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
