"""``framelens-train``: from annotated sentences to the directory that ships."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from framelens.errors import FramelensError, MissingExtraError

__all__ = ["app", "main"]

app = typer.Typer(
    help=(
        "Fit, calibrate and export framing models.\n\n"
        "The whole way of the bundled model, from the annotated sentences:\n\n"
        "    framelens-train fit minilm -o runs/minilm --data-dir DATA\n\n"
        "    framelens-train export runs/minilm -o model/framelens/bundled\n\n"
        "    framelens-eval run bundled --data runs/minilm/splits/test.jsonl "
        "--train runs/minilm/splits/train.jsonl -o runs/minilm/test\n\n"
        "    framelens-train card runs/minilm model/framelens/bundled "
        "--report test=runs/minilm/test/report.json"
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
)
#: What the extra ``train`` installs and a fit or an export imports.
_NEEDED = ("torch", "transformers", "accelerate", "datasets", "sklearn", "tensorboard", "onnx", "onnxscript")

NewRun = Annotated[Path, typer.Option("-o", "--out", help="Run directory to write.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing run.")]
RunDir = Annotated[Path, typer.Argument(help="A run directory, as `fit` wrote it.", show_default=False)]


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
    _check_extra()
    from framelens_training.fit import fit as run_fit
    from framelens_training.recipe import Recipe, load_recipe

    changes = list(change or ())
    if base is not None:
        changes.append(f"base={base}")
    if seed is not None:
        changes.append(f"train.seed={seed}")
    settings = load_recipe(recipe, Recipe, changes)
    best = run_fit(settings, out, data_dir, overwrite)
    _say(f"dev macro-F1 {best['eval_macro_f1']:.4f}; the model is in {out / 'model'}")


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
    _check_extra()
    from framelens_training.distil import distil as run_distil
    from framelens_training.recipe import DistilRecipe, load_recipe

    settings = load_recipe(recipe, DistilRecipe, list(change or ()))
    figures = run_distil(settings, out, data_dir, overwrite)
    _say("dev macro-F1: " + ", ".join(f"{name} {value:.4f}" for name, value in figures.items()))


@app.command()
def export(
    run: RunDir,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the bundle.", show_default=False)],
) -> None:
    """Calibrate on dev, write fp16 weights and the ONNX graph, and put them in place if parity holds."""
    _check_extra()
    from framelens_training.export import export as run_export

    calibration, parity = run_export(run, out)
    _say(
        f"temperature {calibration.temperature:.3f}, ECE on dev {calibration.ece_before:.3f} -> "
        f"{calibration.ece_after:.3f}"
    )
    for path in parity:
        _say(
            f"{path.path}: {path.agreement:.3%} equal labels of {path.n_sentences}, largest difference "
            f"{path.max_difference:.1e}, batch dependence {path.batch_dependence:.1e}"
        )
    _say(f"the bundle is in {out}")


@app.command()
def card(
    run: RunDir,
    bundle: Annotated[Path, typer.Argument(help="The exported bundle.", show_default=False)],
    report: Annotated[
        list[str],
        typer.Option(
            help="NAME=report.json of `framelens-eval run`; give it once a split.", show_default=False
        ),
    ],
    readme: Annotated[
        Path | None, typer.Option(help="A README whose quality table to renew.", show_default=False)
    ] = None,
) -> None:
    """Write model_card.md and quality.json into the bundle from the measured files alone."""
    from framelens_training.card import write_card, write_readme

    reports = {}
    for entry in report:
        name, separator, path = entry.partition("=")
        if not separator or not Path(path).is_file():
            raise typer.BadParameter(f"expected NAME=report.json of an existing file, got {entry!r}")
        reports[name] = _read_report(Path(path))
    write_card(run, bundle, reports)
    if readme is not None:
        write_readme(readme, bundle)
    _say(f"wrote {bundle / 'model_card.md'} and {bundle / 'quality.json'}")


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _check_extra() -> None:
    if missing := [module for module in _NEEDED if find_spec(module) is None]:
        raise MissingExtraError(
            f"training needs {', '.join(missing)}, which is not installed: pip install 'framelens[train]'"
        )


def _read_report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_bytes())
    except ValueError as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}") from error
    if not isinstance(report, dict):
        raise typer.BadParameter(f"{path} is not a report of framelens-eval")
    return report


def main() -> None:
    """Run the command; an expected error is one line and exit code 2."""
    try:
        app()
    except FramelensError as error:
        # Not through rich, which would take the brackets of framelens[train] or of a path for markup.
        typer.echo(f"framelens-train: {' '.join(str(error).split())}", err=True)
        sys.exit(2)
