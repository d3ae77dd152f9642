"""Figures of a corpus: shares by group, over time, over time by group, and confidence."""

from __future__ import annotations

import unicodedata
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens import LABELS
from framelens.errors import require
from framelens_evaluation.corpus.names import group_name, percent
from framelens_evaluation.corpus.periods import every_start
from framelens_evaluation.reporting.document import Figure
from framelens_evaluation.reporting.figures import LABEL_COLOURS, LABEL_NAMES, MUTED, drawing, to_svg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from framelens_evaluation.corpus.report import Group, Overall, Period, Timeline
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["N_GROUPS_DRAWN", "confidence_figure", "group_figure", "multiples_figure", "timeline_figure"]

N_GROUPS_DRAWN: Final = 25
#: More points than these run together, and their markers and bands with them.
_N_MARKED: Final = 60
_N_BANDS_IN_MULTIPLES: Final = 120


def group_figure(groups: Sequence[Group], by: Sequence[str], overall: Overall) -> Figure:
    """The largest groups, most state framing first: one panel a label, dots with intervals."""
    shown = sorted(groups[:N_GROUPS_DRAWN], key=lambda group: -(group.shares[0].value or 0.0))
    names = [group_name(group.names, 30) for group in shown]
    title = f"Shares by {' and '.join(by)}"
    rows = np.arange(len(shown))
    with _drawing(7.2, 1.0 + 0.25 * len(shown), ncols=len(LABELS), sharey=True) as (figure, axes):
        for at, (axis, label) in enumerate(zip(axes, LABELS, strict=True)):
            colour = LABEL_COLOURS[label]
            value, low, high = (
                100 * _filled([getattr(group.shares[at], end) for group in shown], rows, len(rows), np.nan)
                for end in ("value", "low", "high")
            )
            axis.hlines(rows, low, high, color=colour, alpha=0.75, linewidth=1.6)
            for known, face in ((~np.isnan(low), colour), (np.isnan(low), "none")):
                # A line of no points that is not clipped would spoil the layout.
                if known.any():
                    axis.plot(
                        value[known], rows[known], "o", color=colour, mfc=face, markersize=4.5, clip_on=False
                    )
            whole = overall.labels[at].share.value
            if whole is not None:
                axis.axvline(100 * whole, color=MUTED, linestyle=":", linewidth=1)
            axis.set_title(LABEL_NAMES[label])
            axis.set_xlim(left=0, right=_rounded_up(axis.get_xlim()[1]))
            axis.xaxis.set_major_formatter("{x:.0f} %")
            axis.locator_params(axis="x", nbins=4)
            axis.grid(visible=False, axis="y")
            axis.tick_params(axis="y", length=0)
        figure.get_layout_engine().set(w_pad=0.1)
        axes[0].set_yticks(rows, [_plain(name) for name in names])
        axes[0].set_ylim(len(shown) - 0.4, -0.6)
        _leave_room(figure, names)
        description = _described_groups(shown)
        svg = to_svg(figure, title, description)
    caption = (
        "Dots are shares of the labelled sentences, lines their 95 % intervals over documents, the dotted "
        "line the whole corpus. A hollow dot has one document, hence no interval. "
        "Each panel has its own scale, from 0."
    )
    return Figure("shares-by-group", svg, title, description, caption)


def timeline_figure(timeline: Timeline) -> Figure:
    """Shares of every label by period, and how many sentences each period has; of two periods or more."""
    title = f"Shares by {timeline.over}"
    starts, place = _grid(timeline.periods, timeline)
    volume = _filled([period.sentences for period in timeline.periods], place, len(starts), 0.0)
    with _drawing(7.2, 4.2, nrows=2, sharex=True, height_ratios=[3, 1]) as (figure, (above, below)):
        for at, label in enumerate(LABELS):
            _draw_line(above, starts, place, timeline.periods, at, LABEL_NAMES[label], bands=True)
        above.set_ylim(0, _rounded_up(above.get_ylim()[1]))
        above.yaxis.set_major_formatter("{x:.0f} %")
        above.set_ylabel("share")
        below.fill_between(starts, volume, step="mid", color=MUTED, alpha=0.55, linewidth=0)
        below.set_ylim(bottom=0)
        below.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        below.locator_params(axis="y", nbins=3, integer=True)
        below.set_ylabel("sentences")
        _date_axis(below, starts)
        figure.legend(loc="outside upper left", ncols=len(LABELS))
        description = _described(timeline.periods, timeline)
        svg = to_svg(figure, title, description)
    caption = (
        "Above: shares of the labelled sentences with 95 % intervals over documents. Below: labelled "
        f"sentences. A line breaks where a {timeline.over} has none."
    )
    return Figure("shares-over-time", svg, title, description, caption)


def multiples_figure(timeline: Timeline) -> Figure:
    """The same for the largest groups, on equal axes."""
    title = f"Shares by {timeline.over}, largest groups"
    n_columns = min(3, len(timeline.groups))
    n_rows = -(-len(timeline.groups) // n_columns)
    grid = {"nrows": n_rows, "ncols": n_columns, "sharex": True, "sharey": True, "squeeze": False}
    with _drawing(7.2, 0.7 + 1.75 * n_rows, **grid) as (figure, axes):
        flat = list(axes.flat)
        starts, _ = _grid(timeline.periods, timeline)
        for at, (axis, line) in enumerate(zip(flat, timeline.groups, strict=False)):
            _, place = _grid(line.periods, timeline)
            for label_at, label in enumerate(LABELS):
                name = LABEL_NAMES[label] if at == 0 else None
                bands = len(starts) <= _N_BANDS_IN_MULTIPLES
                _draw_line(axis, starts, place, line.periods, label_at, name, bands=bands)
            axis.set_title(_plain(group_name(line.names, 26)), fontsize=9)
        flat[0].set_ylim(0, _rounded_up(flat[0].get_ylim()[1]))
        flat[0].yaxis.set_major_formatter("{x:.0f} %")
        for axis in flat[len(timeline.groups) :]:
            axis.set_visible(False)
        # Above an empty place, the axis that is lowest in its column has to name the dates.
        for axis in flat[len(timeline.groups) - n_columns : len(timeline.groups)]:
            axis.tick_params(labelbottom=True)
        _date_axis(flat[0], starts, n_ticks=3)
        figure.legend(loc="outside upper left", ncols=len(LABELS))
        names = ", ".join(group_name(line.names) for line in timeline.groups)
        description = f"One panel a group, of {names}. The figures are in tables/groups_by_period.csv."
        svg = to_svg(figure, title, description)
    return Figure("shares-over-time-by-group", svg, title, description)


def confidence_figure(overall: Overall) -> Figure:
    """How sure the classifier was of the labels that it gave."""
    title = "Probability of the label given"
    edges = np.array(overall.confidence_edges)
    with _drawing(7.2, 2.4, ncols=len(LABELS), sharex=True) as (figure, axes):
        said = []
        for axis, found in zip(axes, overall.labels, strict=True):
            counts = np.array(found.confidence or (), dtype=np.float64)
            axis.set_title(LABEL_NAMES[found.label])
            axis.set_xlim(edges[0], edges[-1])
            axis.set_xticks((0.4, 0.6, 0.8, 1.0))
            axis.set_ylim(0, 1)
            axis.set_xlabel("probability")
            axis.yaxis.set_major_formatter("{x:.0f} %")
            axis.locator_params(axis="y", nbins=4)
            if not counts.sum():
                axis.text(0.5, 0.5, "none", transform=axis.transAxes, ha="center", color=MUTED)
                axis.set_yticks([])
                said.append(f"{LABEL_NAMES[found.label]}: none.")
                continue
            shares = 100 * counts / counts.sum()
            axis.bar(
                edges[:-1], shares, np.diff(edges) * 0.92, align="edge", color=LABEL_COLOURS[found.label]
            )
            axis.set_ylim(0, _rounded_up(1.06 * shares.max()))
            sure = shares[edges[:-1] >= 0.9 - 1e-9].sum()
            said.append(f"{LABEL_NAMES[found.label]}: {sure:.0f} % of the sentences at 0.9 or more.")
        axes[0].set_ylabel("of the label's sentences")
        description = "Three histograms. " + " ".join(said)
        svg = to_svg(figure, title, description)
    return Figure("confidence", svg, title, description)


@contextmanager
def _drawing(width: float, height: float, **subplots: Any) -> Iterator[tuple[Any, Any]]:
    """`drawing`, for names in any script: the page's font is the reader's, whatever is installed here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        with drawing(width, height, **subplots) as drawn:
            yield drawn


def _plain(name: str) -> str:
    """A name that matplotlib does not take for mathematics."""
    return name.replace("$", r"\$")


def _leave_room(figure: Any, names: Sequence[str]) -> None:
    """Room at the left for wide letters, which the font that lays out the figure need not have."""

    def width(name: str) -> int:
        return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in name)

    missing = max(map(width, names), default=0) - max(map(len, names), default=0)
    if missing > 0:
        margin = min(0.25, 0.0095 * missing)
        figure.get_layout_engine().set(rect=(margin, 0, 1 - margin, 1))


def _rounded_up(percent_: float) -> float:
    """The end of an axis of per cent: at most 100, and at least 5, whose ticks are whole numbers."""
    return float(min(100.0, max(5.0, percent_)))


def _grid(periods: Sequence[Period], timeline: Timeline) -> tuple[Any, list[int]]:
    """Starts of all periods of the time line, and the places of some of them."""
    all_days = np.array([period.start for period in timeline.periods], dtype="datetime64[D]")
    starts = every_start(all_days[0], all_days[-1], timeline.over)
    days = np.array([period.start for period in periods], dtype="datetime64[D]")
    return starts, [int(at) for at in np.searchsorted(starts, days)]


def _filled(
    values: Sequence[float | None], place: Sequence[int] | IntArray, n: int, missing: float
) -> FloatArray:
    filled = np.full(n, missing)
    filled[place] = [np.nan if value is None else value for value in values]
    return filled


def _draw_line(
    axis: Any,
    starts: Any,
    place: list[int],
    periods: Sequence[Period],
    at: int,
    name: str | None,
    *,
    bands: bool,
) -> None:
    colour = LABEL_COLOURS[LABELS[at]]
    value, low, high = (
        100 * _filled([getattr(period.shares[at], end) for period in periods], place, len(starts), np.nan)
        for end in ("value", "low", "high")
    )
    # A point between two gaps has no line to be seen by, and a band of one point no width.
    there = np.concatenate([[False], ~np.isnan(value), [False]])
    alone = there[1:-1] & ~there[:-2] & ~there[2:]
    axis.plot(
        starts,
        value,
        color=colour,
        label=name,
        linewidth=1.5,
        marker="o" if len(starts) <= _N_MARKED else None,
        markersize=2.6,
    )
    axis.plot(starts[alone], value[alone], "o", color=colour, markersize=2.6)
    if bands:
        axis.fill_between(starts, low, high, color=colour, alpha=0.18, linewidth=0)
        axis.vlines(starts[alone], low[alone], high[alone], color=colour, alpha=0.5, linewidth=1.2)


def _date_axis(axis: Any, starts: Any, n_ticks: int = 8) -> None:
    dates: Any = require("matplotlib.dates", "eval")
    locator = dates.AutoDateLocator(minticks=min(3, n_ticks), maxticks=n_ticks)
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    span = starts[-1] - starts[0]
    # Half a period, and room for the dots at either end.
    margin = max(span / (2 * (len(starts) - 1)), span / 60)
    axis.set_xlim(starts[0] - margin, starts[-1] + margin)


def _described_groups(groups: Sequence[Group]) -> str:
    """The ends of every panel; the table below has the rest."""
    said = [f"{len(groups)} groups, one row each; the table below has the figures."]
    for at, label in enumerate(LABELS):
        known = sorted((group.shares[at].value or 0.0, group_name(group.names)) for group in groups)
        (least, lowest), (most, highest) = known[0], known[-1]
        said.append(
            f"{LABEL_NAMES[label]}: from {100 * least:.1f} % ({lowest}) to {100 * most:.1f} % ({highest})."
        )
    return " ".join(said)


def _described(periods: Sequence[Period], timeline: Timeline) -> str:
    if not periods:
        return "no sentences."
    first, last = periods[0], periods[-1]
    said = [f"{len(periods):,} {timeline.over}s from {first.start} to {last.start}."]
    for at, label in enumerate(LABELS):
        known = [(period.shares[at].value or 0.0, period.start) for period in periods]
        (least, when_least), (most, when_most) = min(known), max(known)
        said.append(
            f"{LABEL_NAMES[label]}: first {percent(first.shares[at])}, last {percent(last.shares[at])}, "
            f"least {100 * least:.1f} % ({when_least}), most {100 * most:.1f} % ({when_most})."
        )
    return " ".join(said)
