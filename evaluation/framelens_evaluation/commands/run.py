"""``framelens-eval run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, check_folder, command_line, progress

if TYPE_CHECKING:
    from framelens_evaluation.baselines import BaselineName

_HELP = """Score a model and baselines on the same judged sentences.

Writes report.json and report.md: macro-F1, precision, recall and F1 by label, and accuracy, each with
a 95 % interval from resampling articles; differences to every baseline; evidence, calibration and scope.

Examples:

    framelens-eval run bundled --data dev.jsonl

    framelens-eval run bundled --data test.jsonl --train train.jsonl

    framelens-eval run my-model/ --data dev.jsonl -o my-report/
"""


@app.command(help=_HELP)
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
    from framelens_evaluation.report import write_report
    from framelens_evaluation.run import evaluate
    from framelens_evaluation.run_document import headline

    names = _baseline_names(baseline)
    check_folder(output)
    gold = read_gold(data)
    fitted_on = read_gold(train) if train else None
    with progress() as tell:
        tell(f"loading the model {model}")
        report = evaluate(
            FramingClassifier.from_pretrained(model),
            gold,
            fitted_on,
            baselines=names,
            seed=seed,
            n_resamples=resamples,
            command=command_line(),
            note=note,
            progress=tell,
        )
    written = write_report(report, output)
    typer.echo(headline(report.systems))
    typer.echo(f"report: {written}")


def _baseline_names(given: list[str] | None) -> list[BaselineName] | None:
    """The names checked before anything is read or run."""
    if not given:
        return None
    from framelens_evaluation.baselines import BASELINES

    unknown = [name for name in given if name not in BASELINES]
    if unknown:
        raise InputError(f"expected a baseline among {', '.join(BASELINES)}, got {unknown[0]!r}")
    return [name for name in BASELINES if name in given]
