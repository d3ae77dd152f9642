"""Paired turns: who runs when, and what the ratios of the rounds come to."""

from __future__ import annotations

from math import comb
from statistics import median
from typing import TYPE_CHECKING

from framelens import InputError
from framelens_evaluation.reporting.provenance import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MedianInterval", "median_interval", "ratios", "rotated"]

_WANTED = 0.95


class MedianInterval(Part):
    """A median, and an interval for it that assumes nothing of the distribution.

    The interval goes from one order statistic to its mirror image. That each value falls on either side of
    the true median with equal chance gives its exact coverage from the binomial distribution (David and
    Nagaraja 2003, "Order Statistics", section 7.1). Five values reach 93.75 % at most, six 96.9 %.

    Attributes:
        value: the median.
        low: lower end; None with fewer than two values.
        high: upper end, likewise.
        coverage: of the interval, in [0.5, 1): the least that is at least 0.95, or what the values from the
            smallest to the largest reach; None where there is no interval.
        least: the smallest value.
        most: the largest value.
        n: how many values.
    """

    value: float
    low: float | None
    high: float | None
    coverage: float | None
    least: float
    most: float
    n: int

    def shown(self, digits: int = 2) -> str:
        """The median with its interval."""
        value = f"{self.value:,.{digits}f}"
        if self.low is None or self.high is None:
            return value
        return f"{value} [{self.low:,.{digits}f}, {self.high:,.{digits}f}]"


def median_interval(values: Sequence[float]) -> MedianInterval:
    """Median of values that were measured independently; see `MedianInterval`.

    Raises:
        InputError: there are none.
    """
    if not values:
        raise InputError("expected at least one value to take the median of, got none")
    ordered = sorted(values)
    n = len(ordered)
    low = high = coverage = None
    if n > 1:
        # Of the intervals that cover enough, the one furthest inside; else the outermost.
        rank = max((k for k in range(1, n // 2 + 1) if _coverage(n, k) >= _WANTED), default=1)
        low, high, coverage = ordered[rank - 1], ordered[n - rank], _coverage(n, rank)
    return MedianInterval(
        value=median(ordered), low=low, high=high, coverage=coverage, least=ordered[0], most=ordered[-1], n=n
    )


def _coverage(n: int, rank: int) -> float:
    """Chance that the median lies between the ``rank``-th smallest and the ``rank``-th largest of n."""
    return float(1 - 2 * sum(comb(n, k) for k in range(rank)) / 2**n)


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """How many times as fast ours were, round by round, from the seconds of the same work.

    Raises:
        InputError: the numbers of rounds differ.
    """
    if len(ours) != len(theirs):
        raise InputError(f"expected turns of the same rounds, got {len(ours)} and {len(theirs)}")
    return [their / our for our, their in zip(ours, theirs, strict=True)]


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """The order of a round: each round begins with the next name, so that none is always first."""
    first = turn % len(names)
    return [*names[first:], *names[:first]]
