"""What every subcommand of ``framelens-eval`` shares: the application, progress, and how it was called."""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from framelens import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["app", "check_folder", "command_line", "progress"]

app = typer.Typer(
    name="framelens-eval",
    help="Measure how often a labeller of news sentences is wrong, where, and what that does to your shares.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


def command_line() -> str:
    """The command as it was called, for a report."""
    return shlex.join(["framelens-eval", *sys.argv[1:]])


def check_folder(output: Path) -> None:
    """See that a report can go there, before anything is measured.

    Raises:
        InputError: it is a file.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"the report needs a folder, and {output} is a file")


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Steps on stderr: a spinner on a terminal, one line a step elsewhere."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting") as status:

        def tell(step: str) -> None:
            status.update(step)
            if not console.is_terminal:
                console.print(step, markup=False, highlight=False)

        yield tell
