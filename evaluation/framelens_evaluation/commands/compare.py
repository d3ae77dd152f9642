"""``framelens-eval compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, check_folder, command_line, progress

if TYPE_CHECKING:
    from framelens_evaluation.inputs.systems import LabelMap

_HELP = """Compare two or more systems on the same judged sentences.

A system is: bundled, a model folder, a hub id, a baseline (majority, lexicon, tfidf, frozen; most need
--train), or a file of predictions (.jsonl, .csv, .tsv, .parquet with the columns id or text, and label). The
first is compared with each other one.

Two systems are told apart when the 95 % interval of their difference leaves out 0 and a randomisation test
by article, corrected for the number of tests, has p < 0.05. Writes report.html, report.md, report.json, and
the table for a paper as table.md, table.tex and table.csv.

Examples:

    framelens-eval compare bundled tfidf --data test.jsonl --train train.jsonl -o report/

    framelens-eval compare bundled theirs.jsonl --name ours --name theirs --data test.jsonl

    framelens-eval compare bundled some/model --labels some/model=map.json --data test.jsonl

where map.json says what that model's labels mean: {"propaganda": "state_media_framing", ...}
"""


@app.command(help=_HELP)
def compare(
    systems: Annotated[list[str], typer.Argument(help="two or more; the first is the reference")],
    data: Annotated[Path, typer.Option(help="judged sentences (JSONL) to compare on")],
    train: Annotated[
        Path | None, typer.Option(help="judged sentences (JSONL) that baselines are fitted on")
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SYSTEM=MAP.json",
            help="what the labels of a model that is not ours mean; repeatable. MAP.json alone serves if "
            "only one system can need it",
        ),
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="a name for the report, one for each system in their order")
    ] = None,
    all_pairs: Annotated[
        bool, typer.Option("--all-pairs", help="compare each system with each other")
    ] = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the report")] = Path("report"),
    seed: Annotated[int, typer.Option(min=0, help="seed of everything random")] = 0,
    resamples: Annotated[
        int, typer.Option(min=1, help="resamples behind each interval, and shuffles behind each p")
    ] = 10_000,
    note: Annotated[
        str | None, typer.Option(help="who judged the data and how, for the report and the table's caption")
    ] = None,
) -> None:
    """Compare systems."""
    # Here, so that --help answers at once.
    from framelens_evaluation.compare.document import comparison_document, shared_with_train, verdict
    from framelens_evaluation.compare.measure import compare_systems
    from framelens_evaluation.compare.paper_tables import write_tables
    from framelens_evaluation.inputs.dataset import read_gold
    from framelens_evaluation.inputs.systems import open_system
    from framelens_evaluation.reporting.output import write_outputs

    if len(systems) < 2:
        raise InputError(f"a comparison needs two systems or more, got {', '.join(systems)} alone")
    check_folder(output)
    maps = _label_maps(labels or [], systems)
    gold = read_gold(data)
    fitted_on = read_gold(train) if train else None
    with progress() as tell:
        opened = []
        for spec in systems:
            tell(f"opening {spec}")
            opened.append((spec, open_system(spec, train=fitted_on, label_map=maps.get(spec))))
        compared = compare_systems(
            opened,
            gold,
            train=fitted_on,
            names=name,
            all_pairs=all_pairs,
            seed=seed,
            n_resamples=resamples,
            command=command_line(),
            note=note,
            progress=tell,
        )
        tell("writing the report")
        written = write_outputs(compared.result, comparison_document(compared), output)
        write_tables(compared.result, output)
    for system in compared.result.systems:
        typer.echo(f"{system.name}: macro-F1 {system.score('macro_f1')}")
    for pair in compared.result.pairs:
        typer.echo(verdict(pair, compared.result.n_tests).replace("**", ""))
    shared = shared_with_train(compared.result)
    if shared:
        typer.echo(f"warning: {shared}".replace("**", ""), err=True)
    typer.echo(f"report: {written}")


def _label_maps(given: list[str], systems: list[str]) -> dict[str, LabelMap]:
    """The label map of each system that has one, checked before anything is run."""
    from framelens_evaluation.inputs.baselines import BASELINES
    from framelens_evaluation.inputs.systems import is_prediction_file, read_label_map

    could = [s for s in systems if s not in (*BASELINES, "bundled") and not is_prediction_file(s)]
    maps = {}
    for each in given:
        spec, separator, path = each.rpartition("=")
        if not separator and len(could) == 1:
            spec = could[0]
        if spec not in could:
            names = ", ".join(could) or "none of these systems"
            raise InputError(
                f"--labels expects SYSTEM=MAP.json, where SYSTEM is among: {names}; got {each!r}"
            )
        maps[spec] = read_label_map(Path(path))
    return maps
