"""``framelens-train fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens_training.console import NewRun, Overwrite, app, check_extra, say

__all__ = ["fit"]


@app.command()
def fit(
    recipe: Annotated[
        str,
        typer.Argument(help="A shipped recipe by name (minilm), or the path of a .toml.", show_default=False),
    ],
    out: NewRun,
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder that holds annotated/; else $FRAMELENS_DATA.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A data set that `framelens-train data` built, in place of the recipe's sources.",
            show_default=False,
        ),
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Another encoder: a path or a hub id.", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed than the recipe's.", show_default=False)
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="SECTION.FIELD=VALUE, such as model.pooling=mean, in place of the recipe's; repeatable.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fit a recipe; the best epoch by dev macro-F1 is kept.

    Splits by article and by outlet, drops training sentences that stand in dev, test or a sealed
    set, and writes splits, metrics, logs and the model into the run directory.
    """
    check_extra()
    from framelens_training.fit import fit as run_fit
    from framelens_training.recipe import Recipe, load_recipe

    changes = list(change or ())
    if base is not None:
        changes.append(f"base={base}")
    if seed is not None:
        changes.append(f"train.seed={seed}")
    settings = load_recipe(recipe, Recipe, changes)
    best = run_fit(settings, out, data_dir, overwrite, data)
    say(f"dev macro-F1 {best['eval_macro_f1']:.4f}; the model is in {out / 'model'}")
