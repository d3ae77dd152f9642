"""``framelens-train pretrain``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from framelens_training.console import Base, NewRun, Offline, Overwrite, Resume, app, check_extra, say

__all__ = ["pretrain"]


@app.command()
def pretrain(
    recipe: Annotated[
        str,
        typer.Argument(help="A shipped recipe by name (news), or the path of a .toml.", show_default=False),
    ],
    out: NewRun,
    articles: Annotated[
        list[Path] | None,
        typer.Option(
            help="File of articles (.jsonl, .jsonl.gz), or a folder of them; repeatable. Otherwise raw/ of "
            "--data-dir.",
            show_default=False,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder that holds raw/, and sealed/ and bench/, which are kept out; else $FRAMELENS_DATA.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A data set that `framelens-train data` built, whose dev and test are kept out; otherwise "
            "it is built from the recipe's sources.",
            show_default=False,
        ),
    ] = None,
    base: Base = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="SECTION.FIELD=VALUE, such as train.epochs=1, in place of the recipe's; repeatable.",
            show_default=False,
        ),
    ] = None,
    resume: Resume = False,
    offline: Offline = False,
    checkpoint_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes between two checkpoints: what a crash may cost.")
    ] = 5.0,
    overwrite: Overwrite = False,
) -> None:
    r"""Let an encoder read raw news before it is fitted: it learns to fill in masked words.

    An article is a JSON object a line with its text, and if known its article (a name) and outlet.
    None is read of an outlet that is held out, none of dev or test, and none that holds a sentence
    of an evaluation set or nearly one. In the run directory, corpus.json says what was left out and
    why, and metrics.jsonl the perplexity on held-out articles before and after.

    Examples:

    The articles of a data folder, and what `data` has built:

        framelens-train pretrain news -o runs/news --data-dir DATA --data data

    Then fit on top of it, on the sentences that it was kept apart from:

        framelens-train fit minilm -o runs/minilm-news \
            --base runs/news/model --data runs/news/splits

    A first try on few articles:

        framelens-train pretrain news -o runs/try --data-dir DATA \
            --set corpus.articles_of_file=50 --set train.epochs=1

    Another encoder, on articles of your own; after a crash, the same once more with --resume:

        framelens-train pretrain news -o runs/mine --articles mine/ --data data \
            --base FacebookAI/roberta-base --set train.learning_rate=5e-5

    On several GPUs:

        accelerate launch -m framelens_training.cli pretrain news \
            -o runs/news --data-dir DATA --data data
    """
    check_extra()
    from framelens_training.pretrain import pretrain as run_pretrain
    from framelens_training.recipe import PretrainRecipe, load_recipe

    changes = list(change or ())
    if base is not None:
        changes.append(f"base={base}")
    settings = load_recipe(recipe, PretrainRecipe, changes)
    perplexity = run_pretrain(
        settings,
        out,
        articles or (),
        data_dir,
        overwrite,
        data,
        resume=resume,
        offline=offline,
        checkpoint_minutes=checkpoint_minutes,
        say=say,
    )
    if os.environ.get("RANK", "0") == "0":
        say(
            f"perplexity on held-out articles {perplexity['before']:.2f} -> {perplexity['after']:.2f}; "
            f"the encoder is in {out / 'model'}"
        )
        say(f"next: framelens-train fit RECIPE --base {out / 'model'} --data {out / 'splits'} -o RUN")
