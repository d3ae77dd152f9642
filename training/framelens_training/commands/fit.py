"""``framelens-train fit``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from framelens_training.console import Base, Built, NewRun, Offline, Overwrite, Resume, app, check_extra, say

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
    data: Built = None,
    base: Base = None,
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
    resume: Resume = False,
    offline: Offline = False,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes between two checkpoints: what a crash may cost.")
    ] = 2.0,
    overwrite: Overwrite = False,
) -> None:
    r"""Fit a recipe; the best epoch by dev macro-F1 is kept.

    Splits by article and by outlet, drops training sentences that stand in dev, test or a sealed set, and
    fills the run directory: recipe.json, splits/, environment.json, metrics.jsonl, checkpoints/ with
    TensorBoard's logs, dev_predictions.jsonl, plots/ and, at the very end, model/.

    Examples:

    The recipe of the bundled model, about ten minutes on two cores, on what `data` has built:

        framelens-train fit minilm -o runs/minilm --data data

    Go on after a crash; recipe and options must be those that the run was begun with:

        framelens-train fit minilm -o runs/minilm --data data --resume

    Another encoder; its lower layers learn more slowly, and unsure sentences count half:

        framelens-train fit minilm -o runs/roberta \
            --base FacebookAI/roberta-base --set train.learning_rate=3e-5 \
            --set train.layer_decay=0.9 --set train.unsure_weight=0.5

    With tasks of public sets beside ours, which `data --with` has put into the data set:

        framelens-train fit minilm -o runs/tasks --data data \
            --set 'auxiliary.tasks=["hedge", "propaganda"]' --set auxiliary.share=0.5

    A large one, through low-rank changes of its weights:

        framelens-train fit minilm -o runs/large \
            --base FacebookAI/xlm-roberta-large --set lora.rank=16 \
            --set train.batch_size=8 --set train.gradient_accumulation=4

    On several GPUs:

        accelerate launch -m framelens_training.cli fit minilm \
            -o runs/minilm --data data

    Then watch it, calibrate it and export it:

        tensorboard --logdir runs/minilm/checkpoints/runs

        framelens-train calibrate runs/minilm

        framelens-train export runs/minilm -o bundles/minilm
    """
    check_extra()
    from framelens_training.fit import fit as run_fit
    from framelens_training.recipe import Recipe, load_recipe
    from framelens_training.resume import is_finished

    changes = list(change or ())
    if base is not None:
        changes.append(f"base={base}")
    if seed is not None:
        changes.append(f"train.seed={seed}")
    settings = load_recipe(recipe, Recipe, changes)
    was_finished = resume and is_finished(out)
    best = run_fit(
        settings,
        out,
        data_dir,
        overwrite,
        data,
        resume=resume,
        offline=offline,
        checkpoint_minutes=checkpoint_minutes,
    )
    if os.environ.get("RANK", "0") == "0":
        done = f"{out} was finished already, nothing was done: its " if was_finished else ""
        say(
            f"{done}dev macro-F1 {best['eval_macro_f1']:.4f} in epoch {best['epoch']:g}; "
            f"the model is in {out / 'model'}"
        )
