"""``framelens-train``: from annotated sentences to the directory that ships."""

from __future__ import annotations

import sys

import typer

from framelens.errors import FramelensError
from framelens_training.commands import (
    adjudicate,
    calibrate,
    card,
    data,
    distil,
    experiments,
    export,
    fit,
    pretrain,
    refer,
    sample,
)
from framelens_training.console import app

__all__ = ["app", "main"]

# Importing a command registers it; this is the order of --help's list.
COMMANDS = (sample, adjudicate, data, pretrain, fit, experiments, distil, calibrate, export, card, refer)


def main() -> None:
    """Run the command; an expected error is one line and exit code 2."""
    try:
        app()
    except FramelensError as error:
        # Not through rich, which would take the brackets of framelens[train] or of a path for markup.
        typer.echo(f"framelens-train: {' '.join(str(error).split())}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
