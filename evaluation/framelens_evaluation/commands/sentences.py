"""``framelens-eval sentences``."""

from __future__ import annotations

import typer

from framelens_evaluation.console import app, progress

_HELP = """Compare sentence splitters on hard cases and print a Markdown table.

Example:

    framelens-eval sentences > splitters.md
"""


@app.command(help=_HELP)
def sentences() -> None:
    """Compare sentence splitters."""
    from framelens_evaluation.segmentation import compare_splitters, markdown_table

    with progress() as tell:
        tell("comparing sentence splitters")
        scores = compare_splitters()
    typer.echo(markdown_table(scores))
