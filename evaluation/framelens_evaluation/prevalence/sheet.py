"""The sample as files to fill in."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from framelens import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from framelens_evaluation.prevalence.plan import DrawnRow

__all__ = ["SHEETS", "check_sheets", "write_sheets"]

#: Names of the files; each holds the same rows.
SHEETS = ("to_label.csv", "to_label.jsonl")


def check_sheets(folder: Path) -> None:
    """See that no file of hand-made labels would be replaced.

    Raises:
        InputError: one is there.
    """
    for name in SHEETS:
        if (folder / name).exists():
            raise InputError(
                f"{folder / name} is already there and may hold labels made by hand: move it, or name "
                "another folder with -o"
            )


def write_sheets(rows: Sequence[DrawnRow], folder: Path) -> tuple[str, ...]:
    """Write the sample as CSV for a spreadsheet and as JSON Lines for a program.

    The column ``gold`` is blank. The model's own labels are left out, since a judge who sees
    them agrees with them too often; they are found again by the key.

    Returns:
        The names of the files.

    Raises:
        InputError: the folder cannot be written, or holds such a file.
    """
    check_sheets(folder)
    table = [_columns(row) for row in rows]
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # With a byte order mark, as spreadsheets otherwise take UTF-8 for something else.
        (folder / SHEETS[0]).write_text(stream.getvalue(), encoding="utf-8-sig")
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table)
        (folder / SHEETS[1]).write_text(lines, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the sample into {folder}: {error.strerror}") from error
    return SHEETS


def _columns(row: DrawnRow) -> dict[str, str | float | None]:
    shown: dict[str, str | None] = {"context": row.context, "text": row.text} if row.text is not None else {}
    groups = {name: value for name, value in row.group.items() if name not in row.key}
    design: dict[str, str | float] = {
        "inclusion_probability": row.inclusion_probability,
        "stratum": row.stratum,
    }
    return {**row.key, "gold": None, **shown, **groups, **design}
