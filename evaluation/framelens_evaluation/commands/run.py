"""``framelens-eval run``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, check_folder, command_line, progress

if TYPE_CHECKING:
    from framelens_evaluation.inputs.baselines import BaselineName
    from framelens_evaluation.inputs.systems import System

_HELP = """Score a model and baselines on the same judged sentences.

MODEL is `bundled`, a folder or hub id of a framelens model, any Hugging Face text-classification model
(with --labels, if its labels are called otherwise), a baseline by name, or a file of predictions.

Writes report.html (one self-contained page), report.md (no news text in it), report.json and figures/:
scores with 95 % intervals from resampling articles, differences to every baseline, calibration, risk
against coverage, conformal sets, slices, evidence, and the surest mistakes.

Examples:

    framelens-eval run bundled --data test.jsonl

    framelens-eval run bundled --data test.jsonl --train train.jsonl -o my-report/

    framelens-eval run someone/their-model --labels map.json --data test.jsonl

    framelens-eval run predictions.csv --data test.jsonl --train train.jsonl

DATA has one JSON object a line, or is a table (.csv, .tsv, .parquet), with these fields:

    {"text": "The kiln reportedly cracked.", "label": "hedged_claim", "article": "courier-17"}

**text, label, article** are needed. label is null where the codebook does not apply; article is what the
intervals resample. **stratum** is `natural` for sentences that were drawn at random, and anything else
where certain ones were looked for. **cue** is the deciding words, or their [start, end) characters.
**outlet_id** (or outlet), **country, side, source, date** (2024-03-12), **rule** (S1, S2, H1, H2, I) and
**sure** (1 or 0) make slices; **context** is the sentences before; **id** joins a file of predictions;
**inclusion_probability** (how likely the sentence was to be drawn) adds figures for the whole population.

A map is a JSON object of a foreign model's labels to ours: {"propaganda": "state_media_framing", ...}.
"""


@app.command(help=_HELP)
def run(
    model: Annotated[str, typer.Argument(help="what to measure; see above")],
    data: Annotated[Path, typer.Option(help="judged sentences (JSONL) to measure on")],
    train: Annotated[
        Path | None,
        typer.Option(help="sentences the model was fitted on; baselines are fitted on them too"),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="JSON file: a foreign model's labels to ours", metavar="MAP")
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            help="majority, lexicon, tfidf or frozen; repeatable. Default: all with --train, else lexicon"
        ),
    ] = None,
    judges: Annotated[
        Path | None,
        typer.Option(help="report.json of `framelens-eval agreement`: shows how well judges agree"),
    ] = None,
    faithfulness: Annotated[
        bool, typer.Option(help="ask the model again with its evidence taken away")
    ] = True,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the report")] = Path("report"),
    seed: Annotated[int, typer.Option(min=0, help="seed of the resampling")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="resamples behind each interval")] = 1000,
    note: Annotated[
        str | None, typer.Option(help="a remark for the report, such as who judged the data")
    ] = None,
) -> None:
    """Score a model and baselines."""
    # Here, so that --help answers at once.
    from framelens_evaluation.agreement.measure import read_judge_ceiling
    from framelens_evaluation.inputs.dataset import read_gold
    from framelens_evaluation.inputs.systems import open_system, read_label_map
    from framelens_evaluation.reporting.output import write_outputs
    from framelens_evaluation.run.document import headline, run_document, warnings
    from framelens_evaluation.run.evaluate import evaluate

    names = _baseline_names(baseline)
    check_folder(output)
    label_map = read_label_map(labels) if labels else None
    ceiling = read_judge_ceiling(judges) if judges else None
    gold = read_gold(data)
    fitted_on = read_gold(train) if train else None
    with progress() as tell:
        tell(f"loading {model}")
        found = evaluate(
            _readings(open_system(model, train=fitted_on, label_map=label_map)),
            gold,
            fitted_on,
            baselines=names,
            seed=seed,
            n_resamples=resamples,
            faithfulness=faithfulness,
            judge_ceiling=ceiling,
            command=command_line(),
            note=note,
            progress=tell,
        )
        tell("drawing the report")
        written = write_outputs(found.report, run_document(found), output)
    typer.echo(headline(found.report))
    for warning in warnings(found.report):
        typer.echo(f"mind: {warning}".replace("**", ""))
    typer.echo(f"report: {written}")


def _readings(system: System) -> list[System]:
    """A framelens model that reads context is measured without it too."""
    from dataclasses import replace

    from framelens_evaluation.inputs.systems import FramingSystem

    if isinstance(system, FramingSystem) and system.with_context:
        alone = replace(system, name=f"{system.name} without context", with_context=False)
        return [system, alone]
    return [system]


def _baseline_names(given: list[str] | None) -> list[BaselineName] | None:
    """The names checked before anything is read or run."""
    if not given:
        return None
    from framelens_evaluation.inputs.baselines import BASELINES

    unknown = [name for name in given if name not in BASELINES]
    if unknown:
        raise InputError(f"expected a baseline among {', '.join(BASELINES)}, got {unknown[0]!r}")
    return [name for name in BASELINES if name in given]
