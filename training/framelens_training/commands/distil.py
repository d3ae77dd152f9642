"""``framelens-train distil``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens_training.console import Built, NewRun, Overwrite, app, check_extra, say

__all__ = ["distil"]


@app.command()
def distil(
    recipe: Annotated[
        str,
        typer.Argument(help="A shipped recipe by name (fast), or the path of a .toml.", show_default=False),
    ],
    out: NewRun,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder that holds annotated/ and raw/; else $FRAMELENS_DATA.", show_default=False),
    ] = None,
    data: Built = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="SECTION.FIELD=VALUE, such as student.layers=[0,5], in place of the recipe's; repeatable.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fit a student to what larger models make of judged sentences and of many without labels.

    Those without labels are of raw/*.jsonl.gz, but for held-out outlets and articles and for evaluation
    sets. `export` then writes the student's model, in int8 where the recipe says so.

    Examples:

    Nine layers of an MPNet, about forty minutes on two cores, and its teacher before it:

        framelens-train fit mpnet -o runs/mpnet --data data

        framelens-train distil mpnet9 -o runs/mpnet9 --data data --data-dir DATA

    The same without articles, from judged sentences alone:

        framelens-train distil mpnet9 -o runs/judged --data data --set pool.sentences_of_file=0

    The model behind `framelens label --fast`:

        framelens-train distil fast -o runs/fast --data data --data-dir DATA
    """
    check_extra()
    from framelens_training.distil import distil as run_distil
    from framelens_training.recipe import DistilRecipe, load_recipe

    settings = load_recipe(recipe, DistilRecipe, list(change or ()))
    figures = run_distil(settings, out, data_dir, overwrite, data, say)
    say("dev macro-F1: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
