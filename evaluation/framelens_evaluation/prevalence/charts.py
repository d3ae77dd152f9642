"""Pictures of shares: over time, or group by group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from framelens import LABELS, Label
from framelens_evaluation.prevalence.population import NONE, TIME_UNITS
from framelens_evaluation.prevalence.timeline import timeline
from framelens_evaluation.reporting.document import Figure
from framelens_evaluation.reporting.figures import INK, LABEL_COLOURS, LABEL_NAMES, MUTED, drawing, to_svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.prevalence.results import Estimate, GroupEstimates, Method, Prevalence

__all__ = ["dot_figures", "overall_figure", "share_figures", "time_figures"]

#: Panels of a figure over time; groups beyond stand in the table.
_MOST_PANELS: Final = 8
_MOST_DOTS: Final = 30


def share_figures(result: Prevalence) -> list[Figure]:
    """The figures that suit the grouping."""
    if not result.groups:
        return [overall_figure(result)]
    unit = next((name for name in result.by if name in TIME_UNITS), None)
    shown = [group for group in result.groups if unit is None or group.key[result.by.index(unit)] != NONE]
    times = {group.key[result.by.index(unit)] for group in shown} if unit else set()
    return time_figures(result, unit) if unit and len(times) > 1 else dot_figures(result)


def overall_figure(result: Prevalence) -> Figure:
    """The methods side by side on the whole corpus."""
    methods: list[tuple[Method, str]] = [
        ("prediction_powered", "prediction-powered"),
        ("gold_only", "gold only"),
        ("adjusted_count", "adjusted count"),
        ("plain_count", "plain count"),
    ]
    title = "Shares in the whole corpus by method"
    with drawing(7.2, 2.2, ncols=len(LABELS), sharey=True) as (figure, axes):
        for axis, label in zip(axes, LABELS, strict=True):
            for at, (method, _) in enumerate(methods):
                colour = MUTED if method == "plain_count" else LABEL_COLOURS[label]
                _whisker(axis, result.overall.shares[method][label], at, colour, filled=True)
            axis.set_title(LABEL_NAMES[label])
            axis.set_yticks(range(len(methods)), [name for _, name in methods])
            axis.set_ylim(len(methods) - 0.5, -0.5)
            _percent(axis.xaxis)
            _roomy(axis)
        svg = to_svg(figure, title, _overall_words(result))
    return Figure("shares", svg, title, _overall_words(result), "The bars are the intervals.")


def _overall_words(result: Prevalence) -> str:
    said = [
        f"{LABEL_NAMES[label]} {result.overall.shares['prediction_powered'][label]} by prediction-powered "
        f"inference, {result.overall.shares['plain_count'][label]} by plain count"
        for label in LABELS
    ]
    return "; ".join(said) + "."


def dot_figures(result: Prevalence) -> list[Figure]:
    """One row a group, one panel a label."""
    largest = sorted(result.groups, key=lambda group: -group.n_sentences)[:_MOST_DOTS]
    shown = [group for group in result.groups if group in largest]
    title = f"Shares by {' and '.join(result.by)}"
    description = _described(shown)
    with drawing(7.2, 1.1 + 0.3 * len(shown), ncols=len(LABELS), sharey=True) as (figure, axes):
        for axis, label in zip(axes, LABELS, strict=True):
            for at, group in enumerate(shown):
                plain = group.shares["plain_count"][label].value
                if plain is not None:
                    axis.plot([plain], [at], "|", color=MUTED, markersize=9, markeredgewidth=1.8)
                best = group.shares["prediction_powered"][label]
                _whisker(axis, best, at, LABEL_COLOURS[label], filled=group.rectifier == "own")
            axis.set_title(LABEL_NAMES[label])
            axis.set_yticks(range(len(shown)), [_short(" / ".join(group.key)) for group in shown])
            axis.set_ylim(len(shown) - 0.5, -0.5)
            _percent(axis.xaxis)
            _roomy(axis)
        svg = to_svg(figure, title, description)
    caption = (
        "Dots with bars: prediction-powered share and its interval, hollow where the correction is borrowed "
        "from all groups. Grey stroke: plain count."
    )
    if len(shown) < len(result.groups):
        caption += f" The {len(shown)} largest of {len(result.groups):,} groups; the table has all."
    return [Figure("shares", svg, title, description, caption)]


@dataclass(frozen=True, eq=False)
class _Series:
    """Attributes: what the panel is called, and its groups in the order of time with their places."""

    name: str
    points: list[tuple[int, GroupEstimates]]


def time_figures(result: Prevalence, unit: str) -> list[Figure]:
    """One figure a label: a panel for each combination of the other group columns."""
    place = result.by.index(unit)
    dated = [group for group in result.groups if group.key[place] != NONE]
    places, ticks = timeline(unit, (group.key[place] for group in dated))
    panels: dict[str, list[tuple[int, GroupEstimates]]] = {}
    for group in dated:
        others = " / ".join(value for at, value in enumerate(group.key) if at != place) or "whole corpus"
        panels.setdefault(others, []).append((places[group.key[place]], group))
    by_size = sorted(panels, key=lambda name: -sum(group.n_sentences for _, group in panels[name]))
    series = [
        _Series(name, sorted(panels[name], key=lambda point: point[0])) for name in by_size[:_MOST_PANELS]
    ]
    more = (
        f" The {_MOST_PANELS} largest of {len(panels):,} series; the table has all."
        if len(panels) > len(series)
        else ""
    )
    return [_time_figure(series, label, ticks, unit, more) for label in LABELS]


def _time_figure(
    series: Sequence[_Series], label: Label, ticks: Sequence[tuple[int, str]], unit: str, more: str
) -> Figure:
    n_columns = min(2, len(series))
    n_rows = -(-len(series) // n_columns)
    title = f"{label.value.replace('_', ' ').capitalize()} by {unit}"
    description = _time_words(series, label)
    with drawing(
        7.2, 0.6 + 1.8 * n_rows, nrows=n_rows, ncols=n_columns, sharex=True, sharey=True, squeeze=False
    ) as (figure, axes):
        for axis, each in zip(axes.flat, series, strict=False):
            _panel(axis, each, label)
            axis.set_title(_short(each.name, 44))
            _percent(axis.yaxis)
            axis.set_xticks([at for at, _ in ticks], [name for _, name in ticks])
            axis.tick_params(axis="x", labelrotation=30)
        for axis in axes.flat[max(0, len(series) - n_columns) : len(series)]:
            axis.tick_params(axis="x", labelbottom=True)
        for axis in axes.flat[len(series) :]:
            axis.set_visible(False)
        high = max((bound for each in series for bound in _tops(each, label)), default=1.0)
        axes.flat[0].set_ylim(0, min(1.0, high * 1.08 + 0.01))
        last = max(at for each in series for at, _ in each.points)
        axes.flat[0].set_xlim(-0.5, last + 0.5)
        svg = to_svg(figure, title, description)
    caption = (
        f"**{label.value}**. Coloured: prediction-powered share and the band of its intervals; hollow dots "
        f"are corrected by the gold rows of all groups (borrowed). Grey, dashed: plain count.{more}"
    )
    return Figure(f"shares-{label.value.replace('_', '-')}", svg, title, description, caption)


def _tops(series: _Series, label: Label) -> list[float]:
    found = []
    for _, group in series.points:
        best, plain = group.shares["prediction_powered"][label], group.shares["plain_count"][label]
        found += [value for value in (best.high, best.value, plain.value) if value is not None]
    return found


def _panel(axis: Any, series: _Series, label: Label) -> None:
    colour = LABEL_COLOURS[label]
    # A gap in time is a gap in the lines: joined, it would look measured.
    plain = [math.nan] * (series.points[-1][0] + 1)
    for at, group in series.points:
        value = group.shares["plain_count"][label].value
        plain[at] = math.nan if value is None else value
    axis.plot(plain, color=MUTED, linestyle=(0, (4, 2)), linewidth=1.2, marker=".", markersize=3)
    runs: list[list[tuple[int, Estimate]]] = []
    for at, group in series.points:
        estimate = group.shares["prediction_powered"][label]
        if estimate.value is None:
            continue
        if not runs or at != runs[-1][-1][0] + 1:
            runs.append([])
        runs[-1].append((at, estimate))
        fill = "full" if group.rectifier == "own" else "none"
        axis.plot([at], [estimate.value], "o", color=colour, markersize=4, fillstyle=fill)
    for run in runs:
        _band(axis, run, colour)


def _band(axis: Any, run: Sequence[tuple[int, Estimate]], colour: str) -> None:
    axis.plot([at for at, _ in run], [each.value for _, each in run], color=colour)
    sized = [(at, each.low, each.high) for at, each in run if each.low is not None]
    if len(sized) == 1:
        at, low, high = sized[0]
        axis.plot([at, at], [low, high], color=colour, linewidth=1.2)
    elif sized:
        places, lows, highs = zip(*sized, strict=True)
        axis.fill_between(places, lows, highs, color=colour, alpha=0.18, linewidth=0)


def _whisker(axis: Any, estimate: Estimate, at: int, colour: str, *, filled: bool) -> None:
    if estimate.value is None:
        axis.annotate(
            "n/a", (0.02, at), xycoords=("axes fraction", "data"), va="center", color=MUTED, fontsize=8
        )
        return
    if estimate.low is not None:
        axis.plot([estimate.low, estimate.high], [at, at], color=colour, linewidth=1.6)
    face = colour if filled else "white"
    axis.plot([estimate.value], [at], "o", color=colour, markersize=5, markerfacecolor=face)


def _percent(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def _roomy(axis: Any) -> None:
    """From 0 to what is shown, and no more than five ticks."""
    axis.set_xlim(0, min(1.02, axis.get_xlim()[1]))
    axis.locator_params(axis="x", nbins=4)
    axis.spines["left"].set_color(INK)


def _short(text: str, most: int = 26) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _described(groups: Sequence[GroupEstimates]) -> str:
    """The extremes of each label."""
    parts = []
    for label in LABELS:
        known = [
            (group.shares["prediction_powered"][label].value, " / ".join(group.key))
            for group in groups
            if group.shares["prediction_powered"][label].value is not None
        ]
        if known:
            low, high = min(known), max(known)
            parts.append(f"{LABEL_NAMES[label]} from {low[0]:.1%} ({low[1]}) to {high[0]:.1%} ({high[1]})")
    borrowed = sum(group.rectifier == "borrowed" for group in groups)
    return f"Prediction-powered shares of {len(groups)} groups: {'; '.join(parts)}. {borrowed} are borrowed."


def _time_words(series: Sequence[_Series], label: Label) -> str:
    parts = []
    for each in series:
        known = [
            (at, group)
            for at, group in each.points
            if group.shares["prediction_powered"][label].value is not None
        ]
        if known:
            first, last = known[0][1], known[-1][1]
            parts.append(
                f"{each.name}: {first.shares['prediction_powered'][label]} at first, "
                f"{last.shares['prediction_powered'][label]} at last"
            )
    return "; ".join(parts) + "."
