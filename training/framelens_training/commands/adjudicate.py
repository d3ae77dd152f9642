"""``framelens-train adjudicate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from framelens.errors import InputError
from framelens_training.console import app, say

if TYPE_CHECKING:
    from framelens_training.adjudicate import Tally

__all__ = ["adjudicate"]

_HELP = (
    "Read the judgements of a round back, check them, and settle what can be settled.\n\n"
    "ROUND is a folder that `framelens-train sample` wrote. JUDGEMENTS are one judge each: a folder of "
    "batchNN.tsv, a single .tsv, or an export of Label Studio in its format JSON. Without any, the .tsv "
    "and exports in ROUND/judgeN/ are read.\n\n"
    "A line is id, rule (S1, S2, H1, H2, I or X), sure (1 or 0) and cue, separated by tabs. Checked are "
    "the ids, their number and order, the rules, and that every cue stands in its sentence; all faults "
    "are listed at once.\n\n"
    "Judges who give one label settle a sentence; so do more than half of three or more. The others go to "
    "ROUND/adjudication/batchNN.txt, where both readings stand without names. A further reader answers "
    "these in the same form, in batchNN.tsv beside them, which is read without being named. Sentences "
    "without a label (X) go to not_annotated.jsonl.\n\n"
    "Examples:\n\n"
    "    framelens-train adjudicate round4/\n\n"
    "    framelens-train adjudicate round4/ ann/ ben/ export.json -o settled.jsonl --partial\n\n"
    "    framelens-train adjudicate round4/ --adjudicated chair.tsv\n\n"
    "Raw agreement is the share of those read twice or more to which all judges gave one label, or X.\n\n"
    "The command can be given again whenever there are more judgements; equal ones give equal files."
)
_COLUMNS = {
    "items": "items",
    "waiting": "waiting",
    "read_twice": "read twice",
    "agreed": "agreed",
    "disputed": "open",
    "adjudicated": "adjudicated",
    "not_annotated": "not annotated",
    "settled": "settled",
}


@app.command(help=_HELP)
def adjudicate(
    folder: Annotated[
        Path, typer.Argument(metavar="ROUND", help="As `sample` wrote it.", show_default=False)
    ],
    judgements: Annotated[
        list[Path] | None, typer.Argument(help="A folder or file a judge.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="File of the settled sentences.", show_default="ROUND/settled.jsonl"
        ),
    ] = None,
    adjudicated: Annotated[
        list[Path] | None,
        typer.Option(
            help="Answers of a further reader: a file or folder; repeatable.",
            show_default="ROUND/adjudication/",
        ),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Go on with the sentences that have all their judgements."),
    ] = False,
) -> None:
    """Read judgements back and settle them."""
    from framelens_training.adjudicate import adjudicate as run_adjudicate

    outcome = run_adjudicate(
        folder, list(judgements or ()), out, adjudicated=list(adjudicated or ()), partial=partial
    )
    for line in [*outcome.notes, *outcome.faults]:
        say(line)
    if outcome.faults and not partial:
        raise InputError(
            f"expected judgements without a fault, got {len(outcome.faults):,} (listed above); mend them, or "
            "go on with what is whole: --partial"
        )
    for line in _table(outcome.tallies):
        say(line)
    say(f"settled sentences: {outcome.settled}")
    if outcome.sheets:
        for sheet, (n_open, n_items) in outcome.sheets.items():
            say(f"to adjudicate: {sheet} ({n_open:,} of its {n_items:,} items are open)")
        say("answer each in a .tsv beside it, then give this command again")
    items = folder / "items.jsonl"
    say(f"agreement: framelens-eval agreement {outcome.judgements} --items {items} -o {folder}/agreement")


def _table(tallies: dict[str, Tally]) -> list[str]:
    """Lines of aligned columns; raw agreement is of the items that were read twice or more."""
    rows = [["stratum", *_COLUMNS.values(), "raw agreement"]]
    for name, tally in tallies.items():
        share = f"{tally.agreed / tally.read_twice:.1%}" if tally.read_twice else "-"
        rows.append([name, *(f"{getattr(tally, column):,}" for column in _COLUMNS), share])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(n) for cell, n in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
