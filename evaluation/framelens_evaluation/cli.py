"""The command ``framelens-eval``."""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framelens import FramelensError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from framelens_evaluation.baselines import BaselineName

__all__ = ["app", "main"]

app = typer.Typer(
    name="framelens-eval",
    help="Measure how often framelens is wrong, and how fast it is.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)

_RUN_HELP = """Score a model and baselines on the same judged sentences.

Writes report.json and report.md: macro-F1, precision, recall and F1 by label, and accuracy, each with
a 95 % interval from resampling articles; differences to every baseline; evidence, calibration and scope.

Examples:

    framelens-eval run bundled --data dev.jsonl

    framelens-eval run bundled --data test.jsonl --train train.jsonl

    framelens-eval run my-model/ --data dev.jsonl -o my-report/
"""

_SPEED_HELP = """Time a model beside a plain Hugging Face pipeline on the same sentences.

Example:

    framelens-eval speed path/to/model --texts sentences.txt --repeats 7
"""

_SENTENCES_HELP = """Compare sentence splitters on hard cases and print a Markdown table.

Example:

    framelens-eval sentences > splitters.md
"""


@app.command(help=_RUN_HELP)
def run(
    model: Annotated[str, typer.Argument(help="bundled, a model folder, or a Hugging Face hub id")],
    data: Annotated[Path, typer.Option(help="judged sentences (JSONL) to measure on")],
    train: Annotated[
        Path | None,
        typer.Option(help="sentences the model was fitted on; baselines are fitted on them too"),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="majority, tfidf or frozen; repeatable. Default: all of them, with --train"),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the report")] = Path("report"),
    seed: Annotated[int, typer.Option(min=0, help="seed of the resampling")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="resamples behind each interval")] = 1000,
    note: Annotated[
        str | None, typer.Option(help="a remark for the report, such as who judged the data")
    ] = None,
) -> None:
    """Score a model and baselines."""
    # Here, so that --help answers at once.
    from framelens import FramingClassifier
    from framelens_evaluation.dataset import read_gold
    from framelens_evaluation.markdown import headline
    from framelens_evaluation.report import write_report
    from framelens_evaluation.run import evaluate

    names = _baseline_names(baseline)
    if output.exists() and not output.is_dir():
        raise InputError(f"the report needs a folder, and {output} is a file")
    gold = read_gold(data)
    fitted_on = read_gold(train) if train else None
    with _progress() as tell:
        tell(f"loading the model {model}")
        report = evaluate(
            FramingClassifier.from_pretrained(model),
            gold,
            fitted_on,
            baselines=names,
            seed=seed,
            n_resamples=resamples,
            command=shlex.join(["framelens-eval", *sys.argv[1:]]),
            note=note,
            progress=tell,
        )
    written = write_report(report, output)
    typer.echo(headline(report.systems))
    typer.echo(f"report: {written}")


@app.command(help=_SENTENCES_HELP)
def sentences() -> None:
    """Compare sentence splitters."""
    from framelens_evaluation.segmentation import compare_splitters, markdown_table

    with _progress() as tell:
        tell("comparing sentence splitters")
        scores = compare_splitters()
    typer.echo(markdown_table(scores))


@app.command(help=_SPEED_HELP)
def speed(
    model: Annotated[str, typer.Argument(help="bundled, or a model folder with the ONNX graph")],
    texts: Annotated[Path, typer.Option(help=".txt with one sentence a line, or .jsonl with 'text' fields")],
    repeats: Annotated[int, typer.Option(min=1, help="counted turns of each of the two")] = 5,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="file for the result as JSON")] = None,
) -> None:
    """Time a model."""
    from framelens.bundle import find_bundle
    from framelens_evaluation.speed import measure_speed, read_texts

    read = read_texts(texts)
    folder = find_bundle(model).folder
    with _progress() as tell:
        tell(f"labelling {len(read):,} sentences {2 * (repeats + 1)} times")
        result = measure_speed(read, folder, repeats)
    if output is not None:
        try:
            output.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {output}: {error.strerror}") from error
    typer.echo(result.to_markdown())


def _baseline_names(given: list[str] | None) -> list[BaselineName] | None:
    """The names checked before anything is read or run."""
    if not given:
        return None
    from framelens_evaluation.baselines import BASELINES

    unknown = [name for name in given if name not in BASELINES]
    if unknown:
        raise InputError(f"expected a baseline among {', '.join(BASELINES)}, got {unknown[0]!r}")
    return [name for name in BASELINES if name in given]


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Steps on stderr: a spinner on a terminal, one line a step elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting") as status:

        def tell(step: str) -> None:
            status.update(step)
            if not console.is_terminal:
                console.print(step, markup=False, highlight=False)

        yield tell


def main() -> None:
    """Run the command; an expected error is one line on stderr and exit code 2."""
    try:
        app()
    except FramelensError as error:
        typer.echo(f"framelens-eval: {' '.join(str(error).split())}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
