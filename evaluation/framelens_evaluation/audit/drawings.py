"""The figures of an audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from framelens import LABELS
from framelens_evaluation.reporting.document import Figure
from framelens_evaluation.reporting.figures import INK, LABEL_NAMES, MUTED, SERIES, drawing, to_svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.audit.result import CheckResult, Grade, Symmetry

__all__ = ["failure_figure", "state_map"]

_GRADES: Final[dict[Grade, tuple[str, str]]] = {
    "pass": (SERIES[4], "o"),
    "mind": (SERIES[1], "D"),
    "fail": (SERIES[5], "s"),
    "n/a": (SERIES[6], "x"),
}


def failure_figure(checks: Sequence[CheckResult], name: str, title: str) -> Figure:
    """Failure rates with intervals and bars, one row a check.

    Args:
        checks: at least one.
        name: of the file.
        title: what it shows.
    """
    rows = list(range(len(checks)))
    with drawing(6.4, 0.95 + 0.21 * len(checks)) as (figure, axes):
        for grade, (colour, marker) in _GRADES.items():
            at = [row for row in rows if checks[row].grade == grade]
            if not at:
                continue
            rates = [checks[row].failure_rate for row in at]
            values = np.array([rate.value or 0.0 for rate in rates])
            low = np.array([rate.value if rate.low is None else rate.low for rate in rates], dtype=float)
            high = np.array([rate.value if rate.high is None else rate.high for rate in rates], dtype=float)
            axes.errorbar(
                values, at, xerr=np.abs(np.stack([values - low, high - values])), fmt=marker, color=colour,
                markersize=5, elinewidth=1.3, label=grade, linestyle="none",
            )  # fmt: skip
        for row, check in zip(rows, checks, strict=True):
            axes.plot([check.bar, check.bar], [row - 0.45, row + 0.45], color=INK, linewidth=1)
        axes.set_yticks(rows, [f"{check.title}  {check.id.split('-')[0]}" for check in checks])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(checks) - 0.4, -0.6)
        widest = max(0.2, *(check.failure_rate.high or 0.0 for check in checks))
        axes.set_xlim(-0.02 * widest, 1.04 * widest)
        axes.xaxis.set_major_formatter(lambda rate, _: f"{100 * rate:.0f} %")
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("failure rate")
        figure.legend(loc="outside upper right", ncols=4, handletextpad=0.2, columnspacing=1.0)
        worst = sorted(checks, key=lambda check: -(check.failure_rate.value or 0.0))[:5]
        described = "; ".join(f"{each.id} {each.title} {each.failure_rate}" for each in worst)
        description = f"{len(checks)} checks. Highest failure rates: {described}."
        svg = to_svg(figure, title, description)
    return Figure(
        name,
        svg,
        title,
        description,
        "Marker: failure rate, with its 95 % interval. Upright line: the bar up to which a check passes.",
        wide=False,
    )


def state_map(symmetry: Symmetry) -> Figure:
    """States by expected label: how far state framing moves from the mean over states."""
    columns = [LABEL_NAMES[label] for label in LABELS]
    values = np.array(
        [
            [np.nan if each is None else 100 * each for each in state.shift_by_expected]
            for state in symmetry.states
        ]
    )
    means = np.array(
        [np.nan if each.shifts[0].value is None else 100 * each.shifts[0].value for each in symmetry.states]
    )
    cells = np.column_stack([means, values])
    limit = max(1.0, float(np.nanmax(np.abs(cells))))
    title = "State framing by state and expected label"
    with drawing(5.6, 1.2 + 0.2 * len(cells)) as (figure, axes):
        image = axes.imshow(cells, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        for row, column in np.ndindex(*cells.shape):
            value = float(cells[row, column])
            if not np.isnan(value):
                strong = abs(value) > 0.6 * limit
                # Black and white, and not the page's ink: the cells have one colour in both modes.
                axes.text(
                    column, row, f"{round(value, 1) + 0.0:+.1f}", ha="center", va="center", fontsize=8,
                    color="white" if strong else "black",
                )  # fmt: skip
        axes.set_yticks(range(len(cells)), [state.state for state in symmetry.states])
        axes.set_xticks(range(len(columns) + 1), ["all", *(name.replace(" ", "\n") for name in columns)])
        axes.xaxis.tick_top()
        axes.set_xlabel("templates that expect")
        axes.xaxis.set_label_position("top")
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.axvline(0.5, color=MUTED, linewidth=1)
        axes.spines[:].set_visible(False)
        colours = figure.colorbar(image, ax=axes, location="bottom", shrink=0.8, aspect=40, pad=0.01)
        colours.set_label("p(state framing) minus the mean over states, percentage points")
        colours.outline.set_visible(False)
        top, low = symmetry.states[0], symmetry.states[-1]
        description = (
            f"{len(cells)} states, most state framing first: {top.state} {means[0]:+.1f} percentage points, "
            f"{low.state} {means[-1]:+.1f}."
        )
        svg = to_svg(figure, title, description)
    return Figure(
        "states",
        svg,
        title,
        description,
        "Red: this state's names draw the sentence toward state framing; blue: away from it. "
        "All numbers near 0: names do not matter.",
        wide=False,
    )
