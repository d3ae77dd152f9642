"""How the figures of an audit are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from framelens_evaluation.reporting.document import Cell
from framelens_evaluation.reporting.figures import LABEL_NAMES

if TYPE_CHECKING:
    from framelens import Label
    from framelens_evaluation.audit.result import Grade
    from framelens_evaluation.reporting.document import Tone
    from framelens_evaluation.statistics.bootstrap import Interval

__all__ = ["grade_cell", "label_name", "p_value", "point_interval", "points", "rate"]

_TONES: Final[dict[Grade, Tone | None]] = {"pass": "good", "mind": "warn", "fail": "bad", "n/a": None}


def points(value: float | None) -> str:
    """A difference of probabilities in percentage points."""
    return "n/a" if value is None else f"{_signed(value)} pp"


def point_interval(value: Interval) -> str:
    """The same with its interval, without the unit."""
    if value.value is None or value.low is None or value.high is None:
        return points(value.value)
    return f"{_signed(value.value)} [{_signed(value.low)}, {_signed(value.high)}]"


def _signed(value: float) -> str:
    # Adding 0 turns a rounded -0.0 into 0.0.
    return f"{round(100 * value, 1) + 0.0:+.1f}"


def rate(value: Interval) -> str:
    """A rate in per cent, with its interval."""
    if value.value is None:
        return "n/a"
    if value.low is None or value.high is None:
        return f"{100 * value.value:.1f} %"
    return f"{100 * value.value:.1f} % [{100 * value.low:.1f}, {100 * value.high:.1f}]"


def label_name(label: Label | None) -> str:
    """A label's short name."""
    return "no label" if label is None else LABEL_NAMES[label]


def grade_cell(grade: Grade) -> Cell:
    """A grade as a coloured cell that sorts by gravity."""
    order = ("fail", "mind", "pass", "n/a").index(grade)
    return Cell(grade, sort=order, tone=_TONES[grade])


def p_value(value: float | None) -> str:
    """A p-value."""
    if value is None:
        return "n/a"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
