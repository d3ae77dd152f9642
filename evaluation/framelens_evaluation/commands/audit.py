"""``framelens-eval audit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framelens import InputError
from framelens_evaluation.console import app, check_folder, command_line, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.audit.material import Check
    from framelens_evaluation.statistics.bootstrap import Resampling

_HELP = """Test behaviour: hedges, sources, quotes, typography, and the exchange of states.

Numbered checks on invented sentences that ship with framelens; no data file is needed. A check asks
for a label (MFT), for a change that must move it (DIR), or for a change that must not (INV). The
symmetry checks fill the same templates with the names of 40 states: the label must not depend on
which state it is.

Writes report.html, report.md and report.json; prints failure rates by capability and kind, how many checks
pass, are to mind (above their bar, but perhaps by chance) and fail, and which fail.

Examples:

    framelens-eval audit bundled -o audit/

    framelens-eval audit --list

    framelens-eval audit my-model/ --only S --only H7-DIR

    framelens-eval audit some/hub-model --labels map.json

    framelens-eval audit --cases cases.jsonl        (to label elsewhere; then audit answers.jsonl)
"""


@app.command(help=_HELP)
def audit(
    model: Annotated[
        str | None,
        typer.Argument(help="bundled, a model folder or hub id, a baseline, or a file of predictions"),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder for the report")] = Path("audit"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="an id (H1-MFT), a letter (H), a capability (hedging) or a kind (INV); repeatable. The "
            "symmetry checks (S) take most of the time"
        ),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="JSON object of another model's labels to ours")] = None,
    train: Annotated[Path | None, typer.Option(help="judged sentences (JSONL) to fit a baseline on")] = None,
    list_checks: Annotated[
        bool, typer.Option("--list", help="print the numbered checks with their meanings, and stop")
    ] = False,
    cases: Annotated[
        Path | None, typer.Option(help="write the sentences to this file (JSONL), and stop")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="seed of resampling, permutation and typing errors")] = 0,
    resamples: Annotated[int, typer.Option(min=1, help="resamples behind the intervals of shifts")] = 1000,
) -> None:
    """Test behaviour."""
    # Here, so that --help answers at once.
    from framelens_evaluation.audit.audit import run_audit
    from framelens_evaluation.audit.material import read_material, select_checks
    from framelens_evaluation.audit.pages import audit_document, catalogue, grade_line, group_table
    from framelens_evaluation.audit.state_pages import symmetry_line
    from framelens_evaluation.inputs.dataset import read_gold
    from framelens_evaluation.inputs.systems import open_system, read_label_map
    from framelens_evaluation.reporting.output import write_outputs
    from framelens_evaluation.statistics.bootstrap import Resampling

    checks = select_checks(read_material().checks, only)
    how = Resampling(seed, resamples)
    if list_checks:
        typer.echo(catalogue(checks))
        return
    if cases is not None:
        _write_cases(cases, how, checks)
        return
    if model is None:
        raise InputError(
            "audit needs a model: bundled, a folder, a hub id, a baseline or a file of predictions"
        )
    check_folder(output)
    label_map = None if labels is None else read_label_map(labels)
    fitted_on = None if train is None else read_gold(train)
    with progress() as tell:
        tell(f"loading {model}")
        system = open_system(model, train=fitted_on, label_map=label_map)
        result = run_audit(system, how, checks, command=command_line(), progress=tell)
        tell("writing the report")
        written = write_outputs(result, audit_document(result), output)
    typer.echo(group_table(result))
    typer.echo(grade_line(result))
    if result.symmetry is not None:
        typer.echo(symmetry_line(result.symmetry))
    typer.echo(f"report: {written}")


def _write_cases(path: Path, how: Resampling, checks: Sequence[Check]) -> None:
    """The sentences, one JSON object a line."""
    from framelens_evaluation.audit.audit import questions

    lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in questions(how, checks)]
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from error
    typer.echo(f"{len(lines):,} sentences: {path}")
