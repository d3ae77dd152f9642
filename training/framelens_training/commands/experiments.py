"""``framelens-train experiments``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens_training.console import app, check_extra, say

__all__ = ["experiments"]


@app.command()
def experiments(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run directories of `fit`; the first is what the others change.", show_default=False
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Table to write, .md; its figures go beside it as .json.")
    ] = Path("experiments.md"),
) -> None:
    """Put many fits into one table: what each changed, and what it gave on dev.

    Runs must share their dev set: fit them on one folder of `framelens-train data`.

        framelens-train experiments runs/minilm runs/mpnet runs/mpnet-more -o experiments.md
    """
    check_extra()
    from framelens_training.experiments import as_json, table
    from framelens_training.experiments import experiments as measure
    from framelens_training.files import write_json

    found = measure(runs)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(table(found), encoding="utf-8")
    write_json(out.with_suffix(".json"), as_json(found))
    say(f"{len(found)} runs are in {out}")
