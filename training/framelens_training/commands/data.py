"""``framelens-train data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens_training.console import app, say

__all__ = ["data"]


@app.command()
def data(
    sources: Annotated[
        str | None,
        typer.Argument(
            help="A shipped declaration by name (default, public, seed), or the path of a .toml; else the "
            "recipe's.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder to write.", show_default=False)
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="Recipe whose \\[data] says which outlets and articles are held out.")
    ] = "minilm",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the files that do not lie beside the .toml; else $FRAMELENS_DATA.",
            show_default=False,
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option("--with", help="A source that is declared but off; repeatable.", show_default=False),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option("--without", help="A source to leave out; repeatable.", show_default=False),
    ] = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="Fetch the text behind references with git, and keep it.")
    ] = False,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder of what was fetched; else framelens in $XDG_CACHE_HOME or ~/.cache.",
            show_default=False,
        ),
    ] = None,
    git_base: Annotated[
        str | None,
        typer.Option(
            help="Where the repositories stand, else GitHub; owner/name follows.", show_default=False
        ),
    ] = None,
    allow_restricted: Annotated[
        bool,
        typer.Option(
            "--allow-restricted",
            help="Read sources whose terms keep weights from shipping, for an experiment.",
        ),
    ] = False,
    check_seed: Annotated[
        bool, typer.Option("--check-seed", help="Measure how varied the shipped seed set is; write nothing.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier build.")] = False,
) -> None:
    """Build a data set from declared sources: checked, split, without duplicates and leaks, with its card.

    With a folder of judged sentences:

        framelens-train data -o data --data-dir DATA

    Without one, from the public repositories that hold the text:

        framelens-train data public --fetch -o data

    Without either, from the package's own seed set:

        framelens-train data seed --recipe quickstart -o data

    With sentences of public sets, which a recipe's \\[auxiliary] can name the tasks of:

        framelens-train data --with conll2010_wiki --with ptc -o data --data-dir DATA

    Then fit on it with the same recipe:

        framelens-train fit minilm --data data -o runs/minilm

    The folder holds train.jsonl, dev.jsonl, test.jsonl, dropped.jsonl, data.json and DATA_CARD.md, and
    auxiliary.jsonl where a public set is on.

    A .toml of your own has a \\[\\[source]] for each source: name, kind (annotated, references, seed,
    benchmark), files, role (split, train, evaluate), licence, terms (open, unstated, non-commercial, agpl).
    Its files are .jsonl or .jsonl.gz, and are looked for beside it and then in --data-dir.

        framelens-train data mine.toml --recipe mine-recipe.toml -o data
    """
    if check_seed:
        _check_seed()
        return
    if out is None:
        raise typer.BadParameter("expected a folder to write, as in -o data", param_hint="--out")
    from framelens_training.build import build, check_target, write_build
    from framelens_training.fetch import GITHUB
    from framelens_training.gather import Fetching, default_cache
    from framelens_training.recipe import Recipe, load_recipe

    check_target(out, overwrite)
    settings = load_recipe(recipe, Recipe).data
    changes = {
        "sources": sources or settings.sources,
        "include": (*settings.include, *(include or ())),
        "exclude": (*settings.exclude, *(exclude or ())),
        "allow_restricted": settings.allow_restricted or allow_restricted,
    }
    fetching = Fetching(fetch, cache or default_cache(), git_base or GITHUB)
    made = build(settings.model_copy(update=changes), data_dir, fetching, say)
    write_build(made, out)
    for name, counted in made.splits.counts().items():
        say(f"{name}: " + ", ".join(f"{label} {n:,}" for label, n in sorted(counted.items())))
    say(f"left out {len(made.splits.removed):,} sentences; the data set and its card are in {out}")


def _check_seed() -> None:
    from framelens_training.seed import read_seed
    from framelens_training.seed_check import check_seed

    found = check_seed(read_seed())
    for line in found.lines():
        typer.echo(line)
    if found.out_of_bounds:
        raise typer.Exit(1)
