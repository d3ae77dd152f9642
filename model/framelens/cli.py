"""The command ``framelens``."""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import sys
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Annotated, Any

import typer

from framelens import __version__
from framelens.choices import BackendChoice, Engine, Format, OnError, PrecisionChoice, Unit
from framelens.errors import FramelensError, InputError
from framelens.labels import LABELS

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["app", "main"]

app = typer.Typer(
    help=(
        "Tell, sentence by sentence, state-media framing from independent reporting from hedged claims.\n\n"
        "Try it:  framelens label --example"
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
)
_INTERRUPTED = 130


Model = Annotated[
    str, typer.Option(help="bundled, fast, a folder, or a Hugging Face hub id.", rich_help_panel="Model")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"framelens {__version__}\n")
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


_LABEL_HELP = (
    "Label every sentence of articles, tables or whole corpora.\n\n"
    "[bold]Examples[/]\n\n"
    "framelens label --example\n"
    "framelens label article.txt\n"
    "framelens label articles/*.txt -o labelled.parquet\n"
    "framelens label corpus.csv.gz --text-column sentence -o labelled.jsonl.zst\n"
    "framelens label corpus.jsonl --unit document --text-column body -o labelled.csv\n"
    "cat article.txt | framelens label - --format csv\n\n"
    "[bold]A job that resumes[/]\n\n"
    "framelens label corpus/ --text-column body -o labelled/\n\n"
    "This reads the files of a folder and below, and writes labelled/shards/part-000000.parquet and so on. "
    "After a crash, a power cut or Ctrl-C give the same command again: finished shards stay, the others are "
    "written, and all are the same bytes as those of a run that was never stopped. If an input, the model or "
    "an option has changed, the command says which, and stops. labelled/manifest.json is written at the end, "
    "accounts for every record and names the files that were passed over.\n\n"
    "[bold]Object stores[/]\n\n"
    "framelens label s3://bucket/news/ -o 's3://bucket/labelled/?region=eu-west-1'\n\n"
    "Inputs and folders of shards may be s3://, gs:// or abfs:// names; a folder's ends in a slash. "
    "Credentials are those of the environment. Behind ? stand pyarrow's options, such as region, "
    "endpoint_override and scheme, and anonymous=true for a public bucket of S3 (gs://anonymous@bucket/ on "
    "Google's); a question mark in a name is %3F. Neither credentials nor options are written anywhere. A "
    "job there is locked by an object, OUT/lock, which stays when its process is killed: remove it then, "
    "and give the command again.\n\n"
    "[bold]What comes out[/]\n\n"
    "One row a sentence: doc_id, sentence_index, start, end (characters), text, label, three probabilities, "
    "evidence, status (ok, empty, error, not_applicable), error, truncated, abstained, and the input's own "
    "columns. doc_id is FILE:ROW unless --id-column names another; with sentence_index it joins rows to the "
    "input. Beside FILE stands FILE.manifest.json, which says what was done."
)


@app.command(help=_LABEL_HELP)
def label(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            help=".txt or .md articles; .jsonl, .csv or .tsv tables; all of these also .gz or .zst; "
            ".parquet, .arrow, .feather; folders of these, quoted patterns such as 'data/**/*.csv', and what "
            "datasets saved with save_to_disk, here or on an object store. - reads an article from standard "
            "input.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str,
        typer.Option(
            "-o",
            "--out",
            help="A file, whose suffix gives the format; or a folder, which ends in a slash, for a job that "
            "resumes. - is standard output.",
        ),
    ] = "-",
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="By default the suffix of OUT, parquet in a folder, text on a terminal and jsonl in a pipe.",
            show_default=False,
        ),
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Label the article that ships with framelens.")
    ] = False,
    unit: Annotated[
        Unit,
        typer.Option(help="auto: articles are split into sentences, a table's texts are one sentence each."),
    ] = Unit.AUTO,
    text_column: Annotated[
        str | None,
        typer.Option(
            help="By default text, or the only column of strings.",
            rich_help_panel="Tables",
            show_default=False,
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(help="By default the row's number.", rich_help_panel="Tables", show_default=False),
    ] = None,
    context_column: Annotated[
        str | None,
        typer.Option(help="What stands before each sentence.", rich_help_panel="Tables", show_default=False),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(
            help="Between the columns of .csv and .tsv; by default the comma, in a .csv without one in its "
            "header the semicolon or tab, and in .tsv the tab.",
            rich_help_panel="Tables",
            show_default=False,
        ),
    ] = None,
    encoding: Annotated[
        str, typer.Option(help="Of text formats, such as cp1252.", rich_help_panel="Tables")
    ] = "utf-8",
    on_error: Annotated[
        OnError,
        typer.Option(
            help="A record that cannot be read: flag gives it a row of the status error, fail stops before "
            "the first sentence is labelled.",
        ),
    ] = OnError.FLAG,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes, each with one thread. By default one a core for a corpus that is worth it, and "
            "four that share a GPU. With onnx on processors no label depends on it.",
            min=1,
            rich_help_panel="Corpora",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[
        Engine,
        typer.Option(
            help="ray: workers on the cluster that RAY_ADDRESS or ray start names, else on this machine. "
            "Needs OUT/ and the extra \\[ray]; what one engine has begun the other goes on with.",
            rich_help_panel="Corpora",
        ),
    ] = Engine.LOCAL,
    dedupe: Annotated[
        bool,
        typer.Option(
            "--dedupe",
            help="Remember 128 MiB of labelled sentences a worker, and label equal ones once.",
            rich_help_panel="Corpora",
        ),
    ] = False,
    shard_size: Annotated[
        int,
        typer.Option(help="Sentences, about, in a shard of OUT/.", min=1, rich_help_panel="Corpora"),
    ] = 20_000,
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            help="Label with a small int8 model that learned from the bundled one: many times as fast. Its "
            "score on held-out sentences cannot be told from that one's, but not all labels are the same, so "
            "use one of them throughout. "
            "The same as --model fast; framelens info --model fast says how good it is.",
        ),
    ] = False,
    abstain_below: Annotated[
        float, typer.Option(help="Mark labels less probable than this as abstentions.", min=0.0, max=1.0)
    ] = 0.0,
    model: Model = "bundled",
    backend: Annotated[
        BackendChoice, typer.Option(help="torch needs the extra \\[torch].", rich_help_panel="Model")
    ] = BackendChoice.ONNX,
    precision: Annotated[
        PrecisionChoice | None,
        typer.Option(
            help="By default fp32, or int8 for an int8 model with onnx. bf16 and, on GPUs, fp16 need the "
            "torch backend.",
            rich_help_panel="Model",
            show_default=False,
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.", rich_help_panel="Model")] = "cpu",
    threads: Annotated[
        int | None,
        typer.Option(
            help="By default the backend's choice.", min=1, rich_help_panel="Model", show_default=False
        ),
    ] = None,
) -> None:
    """Label every sentence of articles, tables or whole corpora."""
    from framelens.jobs import LabelJob
    from framelens.labelling import run_label
    from framelens.storage import public

    if example and inputs:
        raise InputError(
            "--example labels the article that ships with framelens; leave it out to label inputs"
        )
    if not example and not inputs:
        raise InputError("give one or more inputs, - for standard input, or --example to see what comes out")
    if fast and model not in ("bundled", "fast"):
        raise InputError(f"--fast is a model of its own, got --model {model} as well; leave one of them out")
    stdout, stderr = _consoles()
    options: dict[str, Any] = {
        "backend": backend.value, "precision": None if precision is None else precision.value,
        "device": device, "threads": threads, "abstain_below": abstain_below,
    }  # fmt: skip
    chosen = None if form is None else form.value
    if chosen is None and out == "-":
        chosen = "text" if example or sys.stdout.isatty() else "jsonl"
    with as_file(files("framelens") / "data" / "example.md") as path:
        job = LabelJob(
            inputs=(str(path),) if example else tuple(inputs or ()),
            output=out,
            format=chosen,
            unit=unit.value,
            text_column=text_column,
            id_column=id_column,
            context_column=context_column,
            name="example.md" if example else None,
            delimiter=delimiter,
            encoding=encoding,
            on_error=on_error.value,
            shard_size=shard_size,
        )
        counts, had_been_done = run_label(
            job,
            model="fast" if fast else model,
            options=options,
            workers=workers,
            dedupe=dedupe,
            out=stdout,
            err=stderr,
            engine=engine.value,
        )
    if out != "-":
        summary = _summary(counts, public(out)) + ("; it was done before" if had_been_done else "")
        stderr.print(summary, soft_wrap=True, highlight=False, markup=False)


@app.command()
def info(
    model: Model = "bundled",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed",
            help="Measure instead, in about half a minute, how fast this machine labels, and how best.",
        ),
    ] = False,
) -> None:
    """Versions, model digest, label order and measured quality; or the speed of this machine."""
    from framelens.bundle import find_bundle
    from framelens.manifest import versions

    if speed:
        _tell_speed(model, as_json)
        return
    bundle = find_bundle(model)
    content = {
        "versions": versions(),
        "model": model,
        "model_digest": bundle.digest,
        "labels": [str(label) for label in LABELS],
        "context_sentences": bundle.config.context_sentences,
        "max_tokens": bundle.config.max_tokens,
        "calibration_temperature": bundle.config.calibration_temperature,
        "quality": bundle.quality,
    }
    stdout, _ = _consoles()
    if as_json:
        stdout.file.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        return
    from framelens.terminal import render_info

    stdout.print(render_info(content))


def _tell_speed(model: str, as_json: bool) -> None:
    from framelens.speed import measure_machine, render_speed

    stdout, stderr = _consoles()
    with stderr.status("starting") as status:
        content = measure_machine(model, status.update)
    if as_json:
        stdout.file.write(json.dumps(content, indent=2) + "\n")
    else:
        stdout.print(render_speed(content))


@app.command()
def codebook() -> None:
    """What the labels mean, and what they do not."""
    from rich.markdown import Markdown

    text = (files("framelens") / "data" / "codebook.md").read_text(encoding="utf-8")
    stdout, _ = _consoles()
    if stdout.is_terminal:
        stdout.print(Markdown(text), width=min(stdout.width, 100))
    else:
        stdout.file.write(text)


def _consoles() -> tuple[Console, Console]:
    from rich.console import Console

    return Console(), Console(stderr=True)


def _summary(counts: Any, out: str) -> str:
    records = f"{counts.records:,} record{'' if counts.records == 1 else 's'}"
    sentences = f"{counts.sentences:,} sentence{'' if counts.sentences == 1 else 's'}"
    parts = [f"{sentences} of {records} in {out}"]
    parts += [
        f"{n:,} {status.replace('_', ' ')}" for status, n in sorted(counts.statuses.items()) if status != "ok"
    ]
    if counts.truncated:
        parts.append(f"{counts.truncated:,} truncated")
    if 2 * counts.truncated > counts.sentences:
        parts.append("if these are articles, --unit document splits them into sentences")
    if counts.abstained:
        parts.append(f"{counts.abstained:,} abstained")
    return "; ".join(parts)


def main() -> None:
    """Run the command; an expected error is one line on stderr and exit code 2, and Ctrl-C is 130."""
    # Python ends by looking for cycles among all objects: a tenth of a second, for nothing.
    atexit.register(gc.freeze)
    try:
        try:
            app()
        finally:
            # Else a full disk would be met only when Python exits, which then says so at length.
            sys.stdout.flush()
    except FramelensError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    except BrokenPipeError:
        _drop_output()
        sys.exit(1)
    except OSError as error:
        # A full disk or a vanished folder. Without a number it is no word of the system's but a bug.
        if error.errno is None:
            raise
        _drop_output()
        place = error.filename or "the output"
        sys.stderr.write(f"error: {place}: {error.strerror}; make room, or write elsewhere\n")
        sys.exit(2)
    except SystemExit as end:
        # Typer turns Ctrl-C into this code, and says nothing.
        if end.code == _INTERRUPTED:
            # What is left is Python's own end, in which another Ctrl-C gives a traceback.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            sys.stderr.write("interrupted\n")
        raise


def _drop_output() -> None:
    """Keep Python from complaining, as it exits, of what it could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
