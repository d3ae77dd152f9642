"""``framelens-eval corpus``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from framelens_evaluation.console import app, check_folder, command_line, progress

_HELP = """Show a labelled corpus on one page: shares by group and over time, cues, confidence, sentences.

Takes what `framelens label` wrote: Parquet, JSON Lines, CSV or TSV (text also as .gz or .zst), several files
or a folder of them. Writes report.html, which loads nothing from elsewhere, report.md and report.json, which
hold no sentence, `figures/*.svg`, and `tables/*.csv` with every group and period. Memory stays flat
whatever the size: counting is done by DuckDB over the files.

Shares are plain counts of what the classifier said; their intervals take documents as the unit of sampling
and do not hold its errors. For true shares see `framelens-eval prevalence`.

Examples:

    framelens-eval corpus labelled.parquet --by outlet --over month -o corpus-report/

    framelens-eval corpus shards/ --by country --by outlet --over week --date-column published

    framelens-eval corpus sentences.jsonl.gz --cluster article_id --samples 500
"""


@app.command(help=_HELP)
def corpus(
    labelled: Annotated[list[Path], typer.Argument(help="files of framelens label, or folders of them")],
    by: Annotated[
        list[str] | None,
        typer.Option(help="columns whose values are the groups: given again for pairs, or with a comma"),
    ] = None,
    over: Annotated[
        Literal["day", "week", "month", "quarter", "year"] | None,
        typer.Option(help="draw shares over time, by such a period"),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the report")] = Path(
        "corpus-report"
    ),
    date_column: Annotated[str, typer.Option(help="column of the date, for --over")] = "date",
    cluster: Annotated[
        str, typer.Option(help="column that names what sentences belong to; intervals take it as the unit")
    ] = "doc_id",
    samples: Annotated[int, typer.Option(min=0, max=1000, help="sentences on the page")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="seed of the choice of sentences")] = 0,
    title: Annotated[str | None, typer.Option(help="heading of the page")] = None,
    threads: Annotated[int, typer.Option(min=1, help="threads that count")] = 2,
) -> None:
    """Show a labelled corpus."""
    # Here, so that --help answers at once.
    from framelens_evaluation.corpus.dates import unread_dates
    from framelens_evaluation.corpus.document import headline
    from framelens_evaluation.corpus.measure import report_corpus
    from framelens_evaluation.corpus.names import column_names
    from framelens_evaluation.corpus.source import CorpusRequest

    request = CorpusRequest(
        paths=tuple(labelled),
        by=column_names(by or ()),
        over=over,
        date_column=date_column,
        cluster=cluster,
        samples=samples,
        seed=seed,
        title=title,
        threads=threads,
    )
    check_folder(output)
    with progress() as tell:
        written = report_corpus(request, output, command=command_line(), progress=tell)
    dates = written.report.timeline
    if dates is not None and dates.unreadable:
        given = written.report.counts.rows - dates.without_date
        typer.echo(f"mind: {unread_dates(dates.unreadable, given, dates.examples[0])}", err=True)
    typer.echo(headline(written.report))
    typer.echo(f"report: {written.page}")
