"""``framelens-eval speed``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, check_folder, command_line, progress

if TYPE_CHECKING:
    from framelens_evaluation.speed.sentences import Sentences

_HELP = """Time labelling, file to file, beside the same model in a plain Hugging Face pipeline.

DATA is JSON Lines with `text` fields, or .txt with one sentence a line: a few thousand sentences of your own.
Whole commands run in turns, each in a process of its own, once to warm up and then --repeats times. Writes
report.html, report.md, report.json and figures/: sentences a second and ratios with intervals, with and
without start-up, equal labels, and, where rows have `label` and `article`, macro-F1 of every path.

Examples:

    framelens-eval speed --data sentences.jsonl -o speed/

    framelens-eval speed --data sentences.jsonl --gold dev.jsonl --paths default,bf16 --repeats 6

    framelens-eval speed --data sentences.jsonl --profile bf16 -o profile/

Paths: default (ONNX, in int8 where the model has it), torch (fp32), bf16 and fp16 (torch), fast, ray. What
this machine lacks is named and left out. --profile says instead where the time of one path goes, on one
thread.

Let nothing else run meanwhile.
"""


@app.command(help=_HELP)
def speed(
    data: Annotated[
        Path | None, typer.Option(help="sentences: .jsonl with 'text' fields, or .txt", show_default=False)
    ] = None,
    gold: Annotated[
        Path | None,
        typer.Option(
            help="JSONL of judged sentences for macro-F1; by default those of DATA", show_default=False
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="bundled, a folder, or a hub id of a framelens model")
    ] = "bundled",
    sentences: Annotated[int, typer.Option(min=1, help="how many of DATA to draw at random")] = 4000,
    repeats: Annotated[int, typer.Option(min=1, help="counted rounds")] = 5,
    paths: Annotated[
        str | None,
        typer.Option(
            help="which paths, with commas; by default default,torch,bf16,fast, on a GPU torch,bf16,fp16",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes of ours; by default one a core", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="for both sides: cpu, cuda, cuda:1")] = "cpu",
    profile: Annotated[
        str | None, typer.Option(help="say where the time of this path goes instead", show_default=False)
    ] = None,
    readme: Annotated[
        Path | None,
        typer.Option(
            help="file whose table between speed:begin and speed:end is renewed", show_default=False
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the report")] = Path("report"),
    seed: Annotated[int, typer.Option(min=0, help="of the draw and of the resampling")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="resamples behind an interval of macro-F1")] = 1000,
) -> None:
    """Time labelling beside a pipeline."""
    # Here, so that --help answers at once.
    from framelens_evaluation.reporting.output import write_outputs
    from framelens_evaluation.speed.document import lines, speed_document, write_readme
    from framelens_evaluation.speed.measure import measure_speed, paths_named
    from framelens_evaluation.speed.sentences import read_sentences

    usual = "default,torch,bf16,fast" if device == "cpu" else "torch,bf16,fp16"
    chosen = paths_named(profile or paths or usual)
    check_folder(output)
    if data is None:
        raise InputError(
            f"expected --data with sentences of your own, got none; give a .jsonl with a 'text' in every "
            f"row, or a .txt with a sentence a line, {sentences:,} of them or more (--sentences N takes N)"
        )
    read = read_sentences(data, sentences, seed)
    if profile is not None:
        _profile(read, profile, model, device, output)
        return
    judged = None if gold is None else read_sentences(gold)
    if judged is not None and not judged.labelled:
        raise InputError(f"{gold}: expected rows with 'text', 'label' and 'article', got none with a label")
    with progress() as tell:
        report = measure_speed(
            read,
            chosen,
            gold=judged,
            model=model,
            device=device,
            workers=workers,
            repeats=repeats,
            seed=seed,
            n_resamples=resamples,
            command=command_line(),
            tell=tell,
        )
        tell("drawing the report")
        written = write_outputs(report, speed_document(report), output)
    if readme is not None:
        write_readme(readme, report)
    for line in lines(report):
        typer.echo(line)
    if len(read.texts) < sentences:
        typer.echo(
            f"mind: {data} has only {len(read.texts):,} different sentences, {sentences:,} were asked for"
        )
    typer.echo(f"report: {written}")


def _profile(read: Sentences, path: str, model: str, device: str, output: Path) -> None:
    from framelens.speed import PATHS
    from framelens_evaluation.reporting.output import write_outputs
    from framelens_evaluation.speed.profile import lines, measure_profile, profile_document

    with progress() as tell:
        tell(f"profiling {path}")
        found = measure_profile(read, PATHS[path], model=model, device=device, command=command_line())
        written = write_outputs(found, profile_document(found), output)
    for line in lines(found):
        typer.echo(line)
    typer.echo(f"report: {written}")
