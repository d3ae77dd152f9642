"""Which periods a time line shows: no more than can be read, and no stray dates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.corpus.source import Over
    from framelens_evaluation.statistics.metrics import IntArray

__all__ = ["COARSER", "N_PERIODS_AT_MOST", "Window", "choose_window", "every_start"]

N_PERIODS_AT_MOST: Final = 400
COARSER: Final[dict[Over, Over]] = {"day": "week", "week": "month", "month": "quarter", "quarter": "year"}
#: Share of the sentences that may be cut off at either end.
_STRAY: Final = 0.0005

Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Window:
    """What a time line shows.

    Attributes:
        over: length of a period: as asked for, or longer where that gives too many.
        first: start of the first period, as ISO 8601.
        last: start of the last.
        n_left_out: labelled sentences dated before or after.
    """

    over: Over
    first: str
    last: str
    n_left_out: int


def choose_window(starts: Sequence[str], sentences: IntArray, over: Over) -> Window | None:
    """The periods to show; None where there are none.

    One wrong year would press all others into a corner: the 0.05 % of sentences at either end are left
    out where that shortens the whole by more than half.

    Args:
        starts: of the periods that hold sentences, as ISO 8601, in order.
        sentences: labelled ones in each.
        over: length of a period.
    """
    if not starts:
        return None
    days = np.array(starts, dtype="datetime64[D]")
    below = np.cumsum(sentences) / sentences.sum()
    first = int(np.argmax(below > _STRAY))
    last = int(np.argmax(below >= 1 - _STRAY))
    if 2 * (days[last] - days[first]) >= days[-1] - days[0]:
        first, last = 0, len(days) - 1
    kept = days[first : last + 1]
    while over in COARSER and len(every_start(kept[0], kept[-1], over)) > N_PERIODS_AT_MOST:
        over = COARSER[over]
    n_left_out = int(sentences.sum() - sentences[first : last + 1].sum())
    return Window(over, str(kept[0]), str(kept[-1]), n_left_out)


def every_start(first: np.datetime64, last: np.datetime64, over: Over) -> Days:
    """First days of all periods from that of one day to that of another, empty ones included.

    Args:
        first: a day; weeks are counted from it.
        last: a day, not before it.
        over: length of a period.
    """
    unit, step = {
        "day": ("D", 1),
        "week": ("D", 7),
        "month": ("M", 1),
        "quarter": ("M", 3),
        "year": ("Y", 1),
    }[over]
    begin, end = first.astype(f"datetime64[{unit}]"), last.astype(f"datetime64[{unit}]")
    if over == "quarter":
        begin = begin - int(begin.astype(int) % 3)
    return np.arange(begin, end + 1, step).astype("datetime64[D]")
