"""``framelens-eval speed``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, progress

_HELP = """Time a model beside a plain Hugging Face pipeline on the same sentences.

Example:

    framelens-eval speed path/to/model --texts sentences.txt --repeats 7
"""


@app.command(help=_HELP)
def speed(
    model: Annotated[str, typer.Argument(help="bundled, or a model folder with the ONNX graph")],
    texts: Annotated[Path, typer.Option(help=".txt with one sentence a line, or .jsonl with 'text' fields")],
    repeats: Annotated[int, typer.Option(min=1, help="counted turns of each of the two")] = 5,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="file for the result as JSON")] = None,
) -> None:
    """Time a model."""
    from framelens.bundle import find_bundle
    from framelens_evaluation.speed import measure_speed, read_texts

    read = read_texts(texts)
    folder = find_bundle(model).folder
    with progress() as tell:
        tell(f"labelling {len(read):,} sentences {2 * (repeats + 1)} times")
        result = measure_speed(read, folder, repeats)
    if output is not None:
        try:
            output.write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {output}: {error.strerror}") from error
    typer.echo(result.to_markdown())
