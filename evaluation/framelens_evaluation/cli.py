"""The command ``framelens-eval``."""

from __future__ import annotations

import sys

import typer

from framelens import FramelensError
from framelens_evaluation.commands import (
    agreement,
    audit,
    bench,
    compare,
    corpus,
    cost,
    coverage,
    endurance,
    prevalence,
    run,
    sentences,
    speed,
)
from framelens_evaluation.console import app

__all__ = ["app", "main"]

# Importing a command registers it; this is the order of --help's list.
COMMANDS = (
    run,
    compare,
    audit,
    bench,
    agreement,
    prevalence,
    coverage,
    corpus,
    sentences,
    speed,
    endurance,
    cost,
)


def main() -> None:
    """Run the command; an expected error is one line on stderr and exit code 2."""
    try:
        app()
    except FramelensError as error:
        typer.echo(f"framelens-eval: {' '.join(str(error).split())}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
