"""Values with their intervals, one a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framelens_evaluation.statistics.bootstrap import Interval

__all__ = ["draw_interval"]


def draw_interval(
    axes: Any, y: float, found: Interval, colour: str, *, filled: bool = True, scale: float = 1.0
) -> None:
    """Draw a dot for the value and a line for the interval; nothing for what is not defined.

    Args:
        axes: of matplotlib.
        y: the line's place.
        found: the value.
        colour: of dot and line.
        filled: a dot, else a ring.
        scale: what the numbers are multiplied by.
    """
    if found.value is None:
        return
    if found.low is not None and found.high is not None:
        axes.plot([scale * found.low, scale * found.high], [y, y], color=colour, solid_capstyle="round")
    face = colour if filled else "white"
    axes.plot(
        [scale * found.value], [y], "o", markersize=6, markerfacecolor=face, markeredgecolor=colour, zorder=3
    )
