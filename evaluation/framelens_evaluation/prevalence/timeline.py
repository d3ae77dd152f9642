"""Places of years, quarters, months, weeks and days on an axis, so that what is missing leaves a gap."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Timeline", "timeline"]

#: A place for each name, and the names of evenly spaced places.
Timeline = tuple[dict[str, int], list[tuple[int, str]]]

_PATTERNS = {
    "year": r"(\d{4})",
    "quarter": r"(\d{4})-Q([1-4])",
    "month": r"(\d{4})-(\d{2})",
    "week": r"(\d{4})-W(\d{2})",
    "day": r"(\d{4})-(\d{2})-(\d{2})",
}


def timeline(unit: str, names: Iterable[str], most_ticks: int = 6) -> Timeline:
    """Places of moments that are named as `framelens_evaluation.prevalence.population` names them.

    Args:
        unit: one of its ``TIME_UNITS``.
        names: of moments; where one is named otherwise, all are placed in their order without gaps.
        most_ticks: ticks at most.

    Returns:
        Places from 0, and ticks.
    """
    known = sorted(set(names))
    numbers = [_number(unit, name) for name in known]
    if None in numbers or not known:
        step = max(1, -(-len(known) // most_ticks))
        return {name: at for at, name in enumerate(known)}, list(enumerate(known))[::step]
    whole = [number for number in numbers if number is not None]
    first, last = min(whole), max(whole)
    step = max(1, -(-(last - first + 1) // most_ticks))
    ticks = [(at, _name(unit, first + at)) for at in range(0, last - first + 1, step)]
    return {name: number - first for name, number in zip(known, whole, strict=True)}, ticks


def _number(unit: str, name: str) -> int | None:
    """The moment's place on an endless axis; None where it is not named as this unit is."""
    found = re.fullmatch(_PATTERNS[unit], name)
    if found is None:
        return None
    parts = [int(part) for part in found.groups()]
    try:
        match unit:
            case "week":
                return date.fromisocalendar(parts[0], parts[1], 1).toordinal() // 7
            case "day":
                return date(*parts).toordinal()
            case _:
                per_year = {"year": 1, "quarter": 4, "month": 12}[unit]
                return parts[0] * per_year + (parts[1] - 1 if len(parts) > 1 else 0)
    except ValueError:
        return None


def _name(unit: str, number: int) -> str:
    match unit:
        case "year":
            return str(number)
        case "quarter":
            return f"{number // 4}-Q{number % 4 + 1}"
        case "month":
            return f"{number // 12}-{number % 12 + 1:02d}"
        case "week":
            year, week, _ = date.fromordinal(number * 7 + 1).isocalendar()
            return f"{year}-W{week:02d}"
        case _:
            return date.fromordinal(number).isoformat()
