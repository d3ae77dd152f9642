"""``framelens-eval prevalence``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, check_folder, command_line, progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from framelens_evaluation.prevalence.plan import Plan
    from framelens_evaluation.prevalence.results import Prevalence

_HELP = """Estimate the share of each label, by outlet, month or any column, corrected for the model's errors.

Counting predicted labels is biased by whatever the model gets wrong, and its interval says nothing of that.
A few hundred sentences of the same corpus, drawn at random and labelled by hand, correct it:
prediction-powered inference gives shares with intervals that hold whatever the model's errors are. The plain
count, the adjusted count (confusion matrix inverted) and the hand-labelled sample alone stand beside it. A
group with fewer than --min-gold gold rows is corrected by those of all groups and flagged "borrowed".

The round trip:

    framelens label corpus.parquet -o labelled.parquet

    framelens-eval prevalence labelled.parquet --by outlet --plan 0.05 -o plan/

(fill in the column gold of plan/to_label.csv by hand)

    framelens-eval prevalence labelled.parquet --by outlet --gold plan/to_label.csv -o shares/

--plan 0.05 draws the sentences from which every share is expected to be known to ±5 percentage points, and
writes them with the probability of having been drawn. Any other gold file does too: rows are found by doc_id
and sentence_index, or by id; the gold label stands in the column gold or label; inclusion_probability says
how likely a row was to be drawn, and without it the rows are taken for a simple random sample of the corpus.

LABELLED is one or more tables that framelens label wrote, or folders of them. year, quarter, month, week and
day are made from --date-column. Writes report.html, report.md, report.json, figures and estimates.csv.
"""


@app.command(help=_HELP)
def prevalence(
    labelled: Annotated[list[Path], typer.Argument(help="tables of labelled sentences, or folders of them")],
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="columns to group by: given again, or with commas such as outlet,month; none: whole corpus"
        ),
    ] = None,
    gold: Annotated[
        Path | None, typer.Option(help="hand-labelled rows of the same corpus; with --plan, an earlier pilot")
    ] = None,
    plan: Annotated[
        float | None,
        typer.Option(help="plan a sample: the wanted half-width of the intervals, such as 0.05"),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the report")] = Path("shares"),
    date_column: Annotated[str, typer.Option(help="column of ISO 8601 dates")] = "date",
    gold_column: Annotated[
        str | None, typer.Option(help="column of the gold label; default: gold where it is there, else label")
    ] = None,
    blank: Annotated[
        str, typer.Option(help="what a row without a gold label means: refuse, skip or out-of-scope")
    ] = "refuse",
    cluster: Annotated[
        str,
        typer.Option(
            help="gold column of the unit that was drawn; none: single sentences; auto: article, doc_id"
        ),
    ] = "auto",
    prediction: Annotated[
        str, typer.Option(help="probability, or label for the label alone")
    ] = "probability",
    min_gold: Annotated[int, typer.Option(min=3, help="gold rows below which a group borrows")] = 30,
    no_borrow: Annotated[bool, typer.Option("--no-borrow", help="show n/a instead of borrowing")] = False,
    draw: Annotated[
        str, typer.Option(help="with --plan: uniform, or uncertainty, which asks more about unsure sentences")
    ] = "uniform",
    level: Annotated[float, typer.Option(help="level of the intervals")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="seed of the resampling and of the draw")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="resamples behind the adjusted count")] = 1000,
) -> None:
    """Estimate shares, or plan the sample for it."""
    from framelens_evaluation.corpus.dates import unread_dates
    from framelens_evaluation.corpus.names import column_names
    from framelens_evaluation.prevalence.document import estimates_csv, prevalence_document
    from framelens_evaluation.prevalence.estimate import Rules, estimate_prevalence
    from framelens_evaluation.prevalence.gold import read_gold_table
    from framelens_evaluation.prevalence.plan import as_draw
    from framelens_evaluation.prevalence.plan_document import make_plan, plan_document
    from framelens_evaluation.prevalence.population import open_population
    from framelens_evaluation.reporting.output import write_outputs
    from framelens_evaluation.statistics.bootstrap import Resampling

    if gold is None and plan is None:
        raise InputError(
            "shares need hand-labelled rows: give them with --gold, or let --plan 0.05 draw the sentences to "
            "label"
        )
    if prediction not in ("probability", "label"):
        raise InputError(f"expected --prediction probability or label, got {prediction!r}")
    check_folder(output)
    rules = Rules(level, min_gold, not no_borrow)
    how = Resampling(seed, resamples)
    columns = column_names(by or ())
    soft = prediction == "probability"
    with progress() as tell:
        tell("reading the labelled sentences")
        with open_population(labelled, columns, date_column=date_column, soft=soft) as population:
            hand = None if gold is None else read_gold_table(gold, gold_column, blank)
            joined = {"cluster": cluster, "date_column": date_column, "command": command_line()}
            tell(f"{population.n_rows:,} sentences")
            if plan is not None:
                settings = {
                    "--date-column": (date_column, "date"),
                    "--prediction": (prediction, "probability"),
                    "--min-gold": (min_gold, 30),
                    "--level": (level, 0.95),
                }
                then = _next_command(labelled, columns, settings, output, no_borrow=no_borrow)
                planned = make_plan(
                    population, plan, output, how, rules,
                    draw=as_draw(draw), pilot=hand, next_command=then, **joined,
                )  # fmt: skip
                told, page = _tell_plan(planned), write_outputs(planned, plan_document(planned), output)
            elif hand is not None:
                shares = estimate_prevalence(population, hand, how, rules, **joined)
                told, page = _tell_shares(shares), write_outputs(shares, prevalence_document(shares), output)
                (output / "estimates.csv").write_text(estimates_csv(shares), encoding="utf-8")
    if population.dates is not None and population.dates.example is not None:
        dates = population.dates
        typer.echo(f"mind: {unread_dates(dates.unread, dates.given, str(dates.example))}", err=True)
    typer.echo(told)
    typer.echo(f"report: {page}")


def _tell_shares(result: Prevalence) -> str:
    best = result.overall.shares["prediction_powered"]
    plain = result.overall.shares["plain_count"]
    lines = [f"{label}: {best[label]} (plain count {plain[label].value:.1%})" for label in best]
    return "\n".join([*lines, *(f"mind: {warning}" for warning in result.warnings)])


def _tell_plan(plan: Plan) -> str:
    first = f"{plan.n_drawn:,} of {plan.n_sentences:,} sentences to label by hand: {' or '.join(plan.files)}"
    return "\n".join([first, *(f"mind: {note}" for note in plan.notes), f"then: {plan.next_command}"])


def _next_command(
    labelled: Sequence[Path],
    by: Sequence[str],
    settings: Mapping[str, tuple[object, object]],
    output: Path,
    *,
    no_borrow: bool,
) -> str:
    """The call that estimates the shares; settings are named where they are not what is assumed."""
    words: list[object] = ["framelens-eval", "prevalence", *labelled]
    words += ["--by", ",".join(by)] if by else []
    for name, (value, usual) in settings.items():
        words += [name, value] if value != usual else []
    words += ["--no-borrow"] if no_borrow else []
    words += ["--gold", output / "to_label.csv", "-o", output / "shares"]
    return shlex.join(map(str, words))
