"""How values of a corpus are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.statistics.bootstrap import Interval

__all__ = ["clipped", "column_names", "group_name", "percent", "shown_value"]

_NONE: Final = "(none)"
_EMPTY: Final = "(empty)"
_LONGEST: Final = 60


def column_names(given: Sequence[str]) -> tuple[str, ...]:
    """Names of columns from an option that may be repeated and may hold several, with commas."""
    return tuple(name.strip() for each in given for name in each.split(",") if name.strip())


def clipped(text: str, longest: int = _LONGEST) -> str:
    """A text on one line, cut with an ellipsis where it is longer."""
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1].rstrip()}…"


def shown_value(value: str | None, longest: int = _LONGEST) -> str:
    """A value of a column grouped by; a long one keeps its beginning and its end, which tell it apart."""
    if value is None:
        return _NONE
    flat = " ".join(value.split())
    if len(flat) <= longest:
        return flat or _EMPTY
    tail = longest // 3
    return f"{flat[: longest - tail - 1].rstrip()}…{flat[-tail:].lstrip()}"


def group_name(names: Sequence[str | None], longest: int = _LONGEST) -> str:
    """The values that name a group, as one text."""
    each = max(8, (longest - 3 * (len(names) - 1)) // len(names))
    return " · ".join(shown_value(name, each) for name in names)


def percent(value: Interval, digits: int = 1) -> str:
    """A share with its interval in per cent, as ``12.3 % [10.1, 14.8]``; ``n/a`` where it is not defined."""
    if value.value is None:
        return "n/a"
    point = f"{100 * value.value:.{digits}f} %"
    if value.low is None or value.high is None:
        return point
    return f"{point} [{100 * value.low:.{digits}f}, {100 * value.high:.{digits}f}]"
