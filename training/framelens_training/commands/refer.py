"""``framelens-train refer``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens_training.console import app, say

__all__ = ["refer"]


@app.command()
def refer(
    sentences: Annotated[
        list[Path],
        typer.Argument(help="Judged sentences as JSON lines, .jsonl or .jsonl.gz.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="References to write.", show_default=False)],
    articles: Annotated[
        list[Path] | None,
        typer.Option(help="JSON lines that tell where an article comes from, for sentences that do not."),
    ] = None,
    skip_unsourced: Annotated[
        bool, typer.Option("--skip-unsourced", help="Leave out sentences of unknown origin.")
    ] = False,
) -> None:
    """Write judged sentences by reference: labels and where the text stands, but no text.

    Each sentence names the repo, commit and path that it comes from. One that does not
    has them from others of its article, or from --articles.

    `framelens-train data --fetch` turns references back into sentences.
    """
    from framelens_training.references import refer_files, write_references

    references, skipped = refer_files(sentences, articles or (), skip_unsourced=skip_unsourced)
    write_references(out, references)
    repos = {reference.repo for reference in references}
    say(f"{len(references):,} references to {len(repos):,} repositories are in {out}")
    if skipped:
        say(f"left out: {skipped:,} sentences of unknown origin")
