"""``framelens-eval cost``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, progress

_HELP = """Measure what scoring itself costs: seconds and peak memory on made-up predictions.

Computes everything that `run` reports of one system on one set of sentences, with every interval:
scores, ranking, calibration, and risk against coverage. Needs no model and no data.

Examples:

    framelens-eval cost

    framelens-eval cost --sentences 1000000 --articles 50000 --resamples 200 -o cost.json
"""


@app.command(help=_HELP)
def cost(
    sentences: Annotated[int, typer.Option(min=1, help="how many sentences to make up")] = 100_000,
    articles: Annotated[int, typer.Option(min=1, help="how many articles they stand in")] = 10_000,
    resamples: Annotated[int, typer.Option(min=1, help="resamples behind each interval")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="seed of predictions and resamples")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="file for the result as JSON")] = None,
) -> None:
    """Measure what scoring costs."""
    from framelens_evaluation.cost import measure_cost

    with progress() as tell:
        tell(f"scoring {sentences:,} made-up sentences")
        result = measure_cost(sentences, articles, resamples, seed)
    if output is not None:
        try:
            output.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {output}: {error.strerror}") from error
    typer.echo(str(result))
