"""``framelens-eval bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, check_folder, command_line, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from framelens_evaluation.bench.data import BenchData
    from framelens_evaluation.bench.methods import MethodName
    from framelens_evaluation.bench.report import BenchReport
    from framelens_evaluation.bench.tasks import Task

_HELP = """Measure a model's encoder on public benchmarks, beside the figures that others published.

Propaganda, hedges, subjectivity, bias, attribution and discourse roles: eight sets that other people
annotated. A classifier is fitted on each set's training part; its threshold, penalty or epoch is chosen on
dev, and never on test. No set ships with the package: --data-dir names the folder that holds bench/ with
the converted sets, and --public reads three of them as they are published. --list says where each lives.

Methods: tfidf (words and characters, no model), probe (the frozen encoder with logistic regression),
finetune (the encoder itself, three epochs; minutes to hours), zero-shot (our labels as they are, where a
set has a class that resembles one). The most frequent class always stands beside them.

Examples:

    framelens-eval bench --list

    framelens-eval bench --data-dir data -o bench-report

    framelens-eval bench ptc_emnlp2019 conll2010_wiki --method finetune --data-dir data

    framelens-eval bench babe_sg2 --public BABE/data --model sentence-transformers/all-MiniLM-L6-v2
"""


@app.command(help=_HELP)
def bench(
    tasks: Annotated[
        list[str] | None, typer.Argument(help="names from --list; default: all", show_default=False)
    ] = None,
    model: Annotated[
        str, typer.Option(help="bundled, a model folder, or a Hugging Face hub id of any encoder")
    ] = "bundled",
    method: Annotated[
        list[str] | None,
        typer.Option(help="tfidf, probe, finetune or zero-shot; repeatable. Default: tfidf and probe"),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="folder that holds bench/; default: $FRAMELENS_DATA")
    ] = None,
    public: Annotated[
        Path | None, typer.Option(help="read the sets from here as they are published, instead")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the report")] = Path("bench"),
    seed: Annotated[int, typer.Option(min=0, help="seed of fine-tuning and resampling")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="resamples behind each interval")] = 1000,
    show: Annotated[bool, typer.Option("--list", help="say what the tasks are, and stop")] = False,
) -> None:
    """Measure on public benchmarks."""
    # Here, so that --help answers at once.
    from framelens_evaluation.bench.page import bench_document, task_line, task_list
    from framelens_evaluation.bench.tasks import pick_tasks

    picked = pick_tasks(tasks or [])
    if show:
        typer.echo(task_list(picked))
        return
    from framelens_evaluation.bench.data import find_data_dir
    from framelens_evaluation.bench.encoder import Encoder
    from framelens_evaluation.bench.methods import build_methods
    from framelens_evaluation.bench.run import model_facts, run_bench
    from framelens_evaluation.reporting.output import write_outputs
    from framelens_evaluation.statistics.bootstrap import Resampling

    names = _method_names(method)
    if public is not None and not tasks:
        picked = tuple(task for task in picked if task.public is not None)
    folder = public if public is not None else find_data_dir(data_dir)
    check_folder(output)

    def save(so_far: BenchReport) -> None:
        write_outputs(so_far, bench_document(so_far), output)

    with progress() as tell:
        encoder = None
        # Every set is read before anything is measured: a missing file must not end a run of hours.
        sets = list(_read(picked, folder, is_public=public is not None))
        if names != ["tfidf"]:
            tell(f"loading the model {model}")
            encoder = Encoder(model)
        report = run_bench(
            sets,
            build_methods(names, encoder, model),
            Resampling(seed, resamples),
            model=model_facts(encoder, model) if encoder is not None else None,
            command=command_line(),
            tell=tell,
            after_task=save,
        )
        written = write_outputs(report, bench_document(report), output)
    for result in report.tasks:
        typer.echo(task_line(result))
    typer.echo(f"report: {written}")


def _read(tasks: tuple[Task, ...], folder: Path, is_public: bool) -> Iterator[BenchData]:
    from framelens_evaluation.bench.data import read_converted
    from framelens_evaluation.bench.public import read_public

    for task in tasks:
        yield read_public(task, folder) if is_public else read_converted(task, folder)


def _method_names(given: list[str] | None) -> list[MethodName]:
    """The names checked before anything is read or run."""
    from framelens_evaluation.bench.methods import METHODS

    unknown = [name for name in given or [] if name not in METHODS]
    if unknown:
        raise InputError(f"expected a method among {', '.join(METHODS)}, got {unknown[0]!r}")
    return [name for name in METHODS if name in (given or ["tfidf", "probe"])]
