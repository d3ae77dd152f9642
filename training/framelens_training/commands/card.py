"""``framelens-train card``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from framelens_training.console import RunDir, app, say

__all__ = ["card"]


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
    say(f"wrote {bundle / 'model_card.md'} and {bundle / 'quality.json'}")


def _read_report(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_bytes())
    except ValueError as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}") from error
    if not isinstance(report, dict):
        raise typer.BadParameter(f"{path} is not a report of framelens-eval")
    return report
