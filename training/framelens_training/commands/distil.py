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
    """Fit a small int8 student to what a larger model makes of many sentences without labels.

    The sentences are those of raw/*.jsonl.gz that are in no held-out outlet or article and in no
    evaluation set. `export` then writes the int8 model behind `framelens label --fast`.
    """
    check_extra()
    from framelens_training.distil import distil as run_distil
    from framelens_training.recipe import DistilRecipe, load_recipe

    settings = load_recipe(recipe, DistilRecipe, list(change or ()))
    figures = run_distil(settings, out, data_dir, overwrite, data, say)
    say("dev macro-F1: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))
