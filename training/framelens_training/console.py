"""What every subcommand of ``framelens-train`` shares: the application, common options, and what it says."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from framelens.errors import MissingExtraError

__all__ = ["Base", "Built", "NewRun", "Offline", "Overwrite", "Resume", "RunDir", "app", "check_extra", "say"]

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
_NEEDED = (
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "datasketch",
    "sklearn",
    "tensorboard",
    "onnx",
    "onnxscript",
)

NewRun = Annotated[Path, typer.Option("-o", "--out", help="Run directory to write.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an existing run.")]
Built = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="A data set that `framelens-train data` built, in place of the recipe's sources.",
        show_default=False,
    ),
]
Base = Annotated[
    str | None,
    typer.Option(
        "--base",
        help="Another encoder: a folder or a hub id, such as FacebookAI/roberta-base.",
        show_default=False,
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with a run that was killed, to the same result.")
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Take nothing from the network: a hub id must be in the local cache."),
]
RunDir = Annotated[Path, typer.Argument(help="A run directory, as `fit` wrote it.", show_default=False)]


def say(text: str) -> None:
    """One line on stderr."""
    typer.echo(text, err=True)


def check_extra() -> None:
    """See that the extra ``train`` is installed, before anything is begun.

    Raises:
        MissingExtraError: it is not.
    """
    if missing := [module for module in _NEEDED if find_spec(module) is None]:
        raise MissingExtraError(
            f"training needs {', '.join(missing)}, which is not installed: pip install 'framelens[train]'"
        )
