"""A comparison as a table for a paper: Markdown, LaTeX and CSV with the same rounded numbers."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from framelens import InputError, Label
from framelens_evaluation.reporting.markdown import table
from framelens_evaluation.statistics.significance import MEASURES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from framelens_evaluation.compare.result import Comparison
    from framelens_evaluation.statistics.bootstrap import Interval

__all__ = ["MEASURE_NAMES", "Entry", "as_p", "as_points", "caption", "entries", "points", "write_tables"]

#: Names for tables and axes.
MEASURE_NAMES: Final = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    f"f1_{Label.STATE_MEDIA_FRAMING}": "F1 state framing",
    f"f1_{Label.INDEPENDENT_REPORTING}": "F1 independent",
    f"f1_{Label.HEDGED_CLAIM}": "F1 hedged",
}
_MARK = "†"
_UNDEFINED = "n/a"
_MINUS = "−"
_TEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # After the end of a row LaTeX would take a bracket for an option.
    "[": "{[}",
    "]": "{]}",
    "−": r"\ensuremath{-}",
    "†": r"\textsuperscript{\dag}",
    "–": "--",
    "…": r"\ldots{}",
}
_TEX_PATTERN = re.compile("|".join(map(re.escape, _TEX_SPECIAL)))


@dataclass(frozen=True, slots=True)
class Entry:
    """One number of the table, rounded.

    Attributes:
        row: a system, or a pair as ``A − B``.
        is_difference: whether the numbers are differences in points, 100 of which are 1.
        measure: one of `MEASURES`.
        value: as shown; ``n/a`` where it is not defined.
        low: lower bound as shown; empty where there is none.
        high: upper bound, likewise.
        p_corrected: as shown; empty where nothing is tested.
        mark: ``†`` where the corrected test and the interval tell the two systems apart, else empty.
    """

    row: str
    is_difference: bool
    measure: str
    value: str
    low: str
    high: str
    p_corrected: str = ""
    mark: str = ""

    @property
    def shown(self) -> tuple[str, str]:
        """Value with its mark, and the interval in brackets or nothing."""
        return f"{self.value}{self.mark}", f"[{self.low}, {self.high}]" if self.low else ""


def as_points(value: float) -> str:
    """A difference in points with its sign: 0.0123 is ``+1.2``."""
    rounded = round(100 * value, 1)
    return f"{abs(rounded):.1f}" if rounded == 0 else f"{rounded:+.1f}".replace("-", _MINUS)


def points(found: Interval) -> str:
    """A difference in points with its interval: ``+1.2 [−0.3, +2.8]``."""
    value, low, high = _rounded(found, as_points)
    return f"{value} [{low}, {high}]" if low else value


def as_p(value: float) -> str:
    """A p-value with four digits, and never as 0."""
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def _as_score(value: float) -> str:
    return f"{value:.3f}"


def _rounded(found: Interval, show: Callable[[float], str]) -> tuple[str, str, str]:
    if found.value is None:
        return _UNDEFINED, "", ""
    if found.low is None or found.high is None:
        return show(found.value), "", ""
    return show(found.value), show(found.low), show(found.high)


def entries(result: Comparison) -> list[Entry]:
    """Every number of the table: each system's scores, then the differences."""
    from_reference = {pair.second: pair for pair in result.pairs if pair.first == result.systems[0].name}
    found = []
    for system in result.systems:
        pair = from_reference.get(system.name)
        for measure in MEASURES:
            mark = _MARK if pair is not None and pair.difference(measure).told_apart else ""
            numbers = _rounded(system.score(measure), _as_score)
            found.append(Entry(system.name, False, measure, *numbers, mark=mark))
    for pair in result.pairs:
        for gap in pair.differences:
            numbers = _rounded(gap.difference, as_points)
            p = "" if gap.p_corrected is None else as_p(gap.p_corrected)
            mark = _MARK if gap.told_apart else ""
            row = f"{pair.first} {_MINUS} {pair.second}"
            found.append(Entry(row, True, gap.measure, *numbers, p_corrected=p, mark=mark))
    return found


def caption(result: Comparison) -> str:
    """What the table shows, with everything that a reader must know to judge it."""
    how = result.provenance
    judged = f" Gold labels: {result.note.rstrip('.')}." if result.note else ""
    return (
        f"Scores on {result.n_sentences:,} sentences of {result.n_articles:,} articles, with 95 % intervals "
        f"from resampling articles; below, differences in points (100 points are 1) on the same resamples. "
        f"{_MARK} differs from {result.systems[0].name}, or from 0: the interval leaves out 0, and p < 0.05 "
        "in an approximate randomisation test by article after Holm's correction over "
        f"{result.n_tests} tests. {how.n_resamples:,} resamples and shuffles, seed {how.seed}.{judged}"
    )


def write_tables(result: Comparison, folder: Path) -> None:
    """Write ``table.md``, ``table.tex`` and ``table.csv``.

    Raises:
        InputError: the folder cannot be written.
    """
    found = entries(result)
    texts = {
        "table.md": to_markdown(found, caption(result)),
        "table.tex": to_latex(found, caption(result)),
        "table.csv": to_csv(found),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the tables into {folder}: {error.strerror}") from error


def _lines(found: Sequence[Entry]) -> list[list[Entry]]:
    """The entries row by row: each row has one entry for every measure."""
    return [list(found[at : at + len(MEASURES)]) for at in range(0, len(found), len(MEASURES))]


def to_markdown(found: Sequence[Entry], title: str) -> str:
    """The table, with its caption below."""
    rows = [(line[0].row, *(" ".join(filter(None, e.shown)) for e in line)) for line in _lines(found)]
    return table(("", *MEASURE_NAMES.values()), rows) + f"\n{title}\n"


def to_latex(found: Sequence[Entry], title: str) -> str:
    r"""A ``table*`` that needs the package booktabs alone; an interval stands below its value."""
    names = " & ".join(_tex(name) for name in MEASURE_NAMES.values())
    body = []
    was_difference = False
    for line in _lines(found):
        if line[0].is_difference and not was_difference:
            body.append(r"\midrule")
        was_difference = line[0].is_difference
        values = " & ".join(_tex(entry.shown[0]) for entry in line)
        bounds = " & ".join(
            rf"{{\scriptsize {_tex(entry.shown[1])}}}" if entry.shown[1] else "" for entry in line
        )
        body += [rf"{_tex(line[0].row)} & {values} \\", rf" & {bounds} \\"]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table*}",
            r"\centering",
            rf"\caption{{{_tex(title)}}}",
            r"\label{tab:comparison}",
            rf"\begin{{tabular}}{{l{'c' * len(MEASURES)}}}",
            r"\toprule",
            rf" & {names} \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table*}",
            "",
        ]
    )


def to_csv(found: Sequence[Entry]) -> str:
    """One number a line; signs are ASCII, so that any program reads them."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("row", "kind", "measure", "value", "low", "high", "p_corrected", "differs"))
    for e in found:
        kind = "difference in points" if e.is_difference else "score"
        numbers = [text.replace(_MINUS, "-") for text in (e.value, e.low, e.high)]
        writer.writerow((e.row, kind, e.measure, *numbers, e.p_corrected, e.mark))
    return stream.getvalue()


def _tex(text: str) -> str:
    """Text with nothing in it that LaTeX would take for a command."""
    escaped = _TEX_PATTERN.sub(lambda found: _TEX_SPECIAL[found[0]], text)
    return " ".join(escaped.split())
