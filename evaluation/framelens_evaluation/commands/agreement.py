"""``framelens-eval agreement``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, check_folder, command_line, progress

_HELP = """Measure how far judges of sentences agree, and how high that lets a model score.

JUDGEMENTS are tables (.jsonl, .csv, .tsv, .parquet) with one judgement a row, in the columns item (or id),
judge, and label or rule; and where they are known article, stratum, sure, text, context:

    item,judge,label
    s1,ann,state_media_framing
    s1,ben,hedged_claim

Without the column judge, a file is one judge's, called as the file is (ann.csv is ann):

    id,label
    s1,state_media_framing
    s2,independent_reporting

So is a tab-separated file (.tsv, .txt) without a header: item, rule or label, and if known sure, cue:

    s1    S1        1    glorious
    s2    hedged    0

A label is one of the three, or state framing, independent or hedged for short; a rule is S1, S2, H1, H2 or
I; X or nothing says "not annotated"; sure is 1 or 0.

Gives Krippendorff's alpha, Cohen's kappa by pair, agreement by label, rule, certainty and stratum, which
values are confused, and the macro-F1 of one judge against another: what a model can be expected to reach.

Examples:

    framelens-eval agreement judge_a.tsv judge_b.tsv --items sentences.jsonl -o report/

    framelens-eval agreement judgements.csv --with-x --note "three trained students"

    framelens-eval agreement judgements.jsonl --against predictions.jsonl

    framelens-eval agreement judgements.jsonl --items sentences.jsonl --against bundled

The report.json is what `framelens-eval run --judges` reads.
"""


@app.command(help=_HELP)
def agreement(
    judgements: Annotated[list[Path], typer.Argument(help="tables of judgements, or one file a judge")],
    items: Annotated[
        Path | None,
        typer.Option(help="table with the column id (or item) and any of text, context, article, stratum"),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="a file of predictions, or bundled, a folder or a hub id (these need the texts)"),
    ] = None,
    with_x: Annotated[
        bool, typer.Option("--with-x", help='count "not annotated" as a fourth value, not as missing')
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the report")] = Path("report"),
    seed: Annotated[int, typer.Option(min=0, help="seed of the resampling")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="resamples behind each interval")] = 2000,
    note: Annotated[
        str | None, typer.Option(help="who the judges are, for the report; say if all are of one kind")
    ] = None,
) -> None:
    """Measure agreement."""
    # Here, so that --help answers at once.
    from framelens_evaluation.agreement.document import agreement_document, reading_of_alpha
    from framelens_evaluation.agreement.judgements import read_judgements
    from framelens_evaluation.agreement.measure import measure_agreement
    from framelens_evaluation.inputs.baselines import BASELINES, build_baseline
    from framelens_evaluation.inputs.systems import open_system
    from framelens_evaluation.reporting.output import write_outputs

    check_folder(output)
    if against in BASELINES and build_baseline(against).needs_fitting:
        raise InputError(
            f"the baseline {against} is fitted on training sentences, which this command does not read: "
            "write its predictions to a file, and give that"
        )
    found = read_judgements(judgements, items)
    with progress() as tell:
        model = None
        if against is not None:
            tell(f"opening {against}")
            model = (against, open_system(against))
        report = measure_agreement(
            found,
            with_x=with_x,
            against=model,
            seed=seed,
            n_resamples=resamples,
            command=command_line(),
            note=note,
            progress=tell,
        )
        written = write_outputs(report, agreement_document(report, found), output)
    typer.echo(reading_of_alpha(report).replace("**", ""))
    typer.echo(f"agreed: {report.labels.agreed}")
    typer.echo(f"one judge against another: macro-F1 {report.ceiling.macro_f1}")
    if report.ceiling.model is not None:
        typer.echo(f"{report.model} against the same judges: macro-F1 {report.ceiling.model}")
    typer.echo(f"report: {written}")
