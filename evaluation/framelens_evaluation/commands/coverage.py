"""``framelens-eval coverage``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, check_folder, command_line, progress

_HELP = """Check that the intervals of `framelens-eval prevalence` hold what they promise.

Gold rows are drawn again and again from corpora whose true shares are known, and it is counted how often a
95 % interval holds the truth: on made-up corpora (rare labels, weak models, groups with errors of their own,
articles drawn whole) and, with --data, on judged sentences, of which a part is drawn as gold and all of which
are the truth.

Examples:

    framelens-eval coverage -o coverage/

    framelens-eval coverage --data test.jsonl --model bundled --by side

    framelens-eval coverage --data test.jsonl --model predictions.jsonl --no-simulated --gold-rows 100,300
"""


@app.command(help=_HELP)
def coverage(
    data: Annotated[Path | None, typer.Option(help="judged sentences (JSONL), held out")] = None,
    model: Annotated[
        str, typer.Option(help="with --data: bundled, a model folder or hub id, or a file of predictions")
    ] = "bundled",
    by: Annotated[
        str | None, typer.Option(help="with --data: a field that makes groups, such as side or source")
    ] = None,
    gold_rows: Annotated[str, typer.Option(help="sizes of the gold sample")] = "100,200,400",
    repetitions: Annotated[int, typer.Option(min=1, help="draws in each setting")] = 1000,
    no_simulated: Annotated[
        bool, typer.Option("--no-simulated", help="leave the made-up corpora out")
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the report")] = Path("coverage"),
    seed: Annotated[int, typer.Option(min=0, help="seed of everything random")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="resamples behind the adjusted count")] = 300,
) -> None:
    """Check the intervals."""
    from framelens_evaluation.prevalence.coverage import held_out_world, measure_coverage
    from framelens_evaluation.prevalence.coverage_document import coverage_document, coverage_lines
    from framelens_evaluation.prevalence.worlds import SCENARIOS
    from framelens_evaluation.reporting.output import write_outputs
    from framelens_evaluation.reporting.provenance import Source
    from framelens_evaluation.statistics.bootstrap import Resampling

    check_folder(output)
    sizes = _sizes(gold_rows)
    world, sources = None, []
    with progress() as tell:
        if data is not None:
            from framelens_evaluation.inputs.dataset import read_gold
            from framelens_evaluation.inputs.systems import open_system

            gold = read_gold(data)
            tell(f"labelling {len(gold.labelled):,} sentences with {model}")
            system = open_system(model)
            world = held_out_world(gold.labelled, system.answer(gold.labelled), by)
            sources = [
                Source(role="data", name=gold.name, sha256=gold.sha256),
                Source(role="model", name=system.name, sha256=system.digest),
            ]
        elif no_simulated:
            raise InputError("without made-up corpora there must be --data to draw from")
        result = measure_coverage(
            Resampling(seed, resamples),
            sizes=sizes,
            n_repetitions=repetitions,
            scenarios=() if no_simulated else SCENARIOS,
            held_out=world,
            sources=sources,
            command=command_line(),
            progress=tell,
        )
    page = write_outputs(result, coverage_document(result), output)
    for line in coverage_lines(result):
        typer.echo(line)
    typer.echo(f"report: {page}")


def _sizes(given: str) -> list[int]:
    try:
        return [int(each) for each in given.split(",")]
    except ValueError as error:
        raise InputError(f"--gold-rows takes numbers with commas, such as 100,200, got {given!r}") from error
