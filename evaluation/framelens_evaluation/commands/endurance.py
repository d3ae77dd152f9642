"""``framelens-eval endurance``."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, check_folder, command_line, progress

if TYPE_CHECKING:
    from collections.abc import Iterator

_HELP = """Test what `framelens label` endures: kills, large corpora, cold starts.

Needs no data: the corpora are made up from a seed. Every part runs the command itself, in processes of its
own.

Examples:

    framelens-eval endurance kills -o kills/

    framelens-eval endurance memory -o memory/

    framelens-eval endurance start -o start/
"""
_KILLS_HELP = """Kill a job at random moments until it is done; compare it with an unbroken one.

SIGKILL hits all processes of the job, its parent, or one worker, at moments drawn evenly from an unbroken
run's time; the same command goes on each time. Reports where each kill struck, and whether every shard has
the SHA-256 that it has unbroken. Exit code 1 if one has not. Linux only.

Examples:

    framelens-eval endurance kills --kills 30 --seed 7 -o kills/

    framelens-eval endurance kills --kills 5 --sentences 600 --shard-size 20      (a quick look)
"""
_MEMORY_HELP = """Watch the memory of labelling corpora of several sizes.

Sums the memory of the job's process and its workers, and compares the largest corpus with the smallest. By
default hardly two sentences are equal, and a million take a quarter of an hour on two cores and more;
--distinct draws them from a pool instead and labels with --dedupe, which is quick. Linux only.

Examples:

    framelens-eval endurance memory -o memory/

    framelens-eval endurance memory --distinct 2000 -o memory/

    framelens-eval endurance memory --sizes 2000,20000      (a quick look)
"""
_START_HELP = """Time `framelens label` of one article from a cold start, and weigh its imports.

Process time (user and system) and wall time in new processes, beside what less costs. Not on Windows.

Example:

    framelens-eval endurance start --repeats 9 -o start/
"""
endurance = typer.Typer(
    name="endurance",
    help=_HELP,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(endurance)

_Output = Annotated[Path, typer.Option("--output", "-o", help="folder for the report")]
_Scratch = Annotated[
    Path | None,
    typer.Option(
        help="new folder for corpora and jobs, which stay; by default temporary", show_default=False
    ),
]
_Workers = Annotated[int, typer.Option(min=1, help="processes that label")]
_Seed = Annotated[int, typer.Option(min=0, help="seed of everything random")]


@endurance.command(help=_KILLS_HELP)
def kills(
    output: _Output = Path("kills"),
    n_kills: Annotated[int, typer.Option("--kills", min=1, help="how many must hit a living run")] = 30,
    sentences: Annotated[int, typer.Option(min=1, help="how many to make up")] = 4000,
    shard_size: Annotated[int, typer.Option(min=1, help="sentences, about, in a shard")] = 50,
    workers: _Workers = 2,
    seed: _Seed = 0,
    scratch: _Scratch = None,
) -> None:
    """Kill a job at random moments."""
    from framelens_evaluation.endurance.documents import kills_document
    from framelens_evaluation.endurance.kills import measure_kills
    from framelens_evaluation.reporting.output import write_outputs

    check_folder(output)
    with progress() as tell, _working_folder(scratch) as folder:
        result = measure_kills(
            folder, n_sentences=sentences, shard_size=shard_size, workers=workers, n_kills=n_kills, seed=seed,
            command=command_line(), progress=tell,
        )  # fmt: skip
    document = kills_document(result)
    page = write_outputs(result, document, output)
    for value, meaning in document.headline:
        typer.echo(f"{value} {meaning}")
    typer.echo(f"report: {page}")
    if not result.passed:
        raise typer.Exit(1)


@endurance.command(help=_MEMORY_HELP)
def memory(
    output: _Output = Path("memory"),
    sizes: Annotated[str, typer.Option(help="sentences of each corpus")] = "100000,1000000",
    distinct: Annotated[
        int | None,
        typer.Option(min=1, help="distinct sentences, labelled with --dedupe", show_default=False),
    ] = None,
    workers: _Workers = 2,
    seed: _Seed = 0,
    scratch: _Scratch = None,
) -> None:
    """Watch the memory of large corpora."""
    from framelens_evaluation.endurance.documents import memory_document
    from framelens_evaluation.endurance.memory import measure_memory
    from framelens_evaluation.reporting.output import write_outputs

    check_folder(output)
    wanted = _sizes(sizes)
    with progress() as tell, _working_folder(scratch) as folder:
        result = measure_memory(
            folder, sizes=wanted, workers=workers, distinct=distinct, seed=seed,
            command=command_line(), progress=tell,
        )  # fmt: skip
    document = memory_document(result)
    page = write_outputs(result, document, output)
    for value, meaning in document.headline:
        typer.echo(f"{value} {meaning}")
    typer.echo(f"report: {page}")


@endurance.command(help=_START_HELP)
def start(
    output: _Output = Path("start"),
    repeats: Annotated[int, typer.Option(min=1, help="counted turns of each command")] = 7,
) -> None:
    """Time a cold start."""
    from framelens_evaluation.endurance.documents import start_document
    from framelens_evaluation.endurance.start import measure_start
    from framelens_evaluation.reporting.output import write_outputs

    check_folder(output)
    with progress() as tell:
        result = measure_start(repeats, command=command_line(), progress=tell)
    page = write_outputs(result, start_document(result), output)
    for timing in result.timings:
        typer.echo(f"{timing.name}: {timing.process:.3f} s process time, {timing.wall:.3f} s wall time")
    typer.echo(f"report: {page}")


@contextmanager
def _working_folder(scratch: Path | None) -> Iterator[Path]:
    """Where corpora and jobs go.

    Raises:
        InputError: the folder is there already, or cannot be made.
    """
    if scratch is None:
        with TemporaryDirectory(prefix="framelens-endurance-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    try:
        scratch.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"expected a new folder for --scratch, got {scratch}: {error.strerror}") from error
    yield scratch


def _sizes(given: str) -> list[int]:
    try:
        return [int(each) for each in given.split(",")]
    except ValueError as error:
        raise InputError(f"--sizes takes numbers with commas, such as 1000,10000, got {given!r}") from error
