"""Figures of a run: scores, confusion, reliability, and risk against coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS
from framelens_evaluation.reporting.document import Figure
from framelens_evaluation.reporting.figures import (
    INK,
    LABEL_COLOURS,
    LABEL_NAMES,
    MUTED,
    RULE,
    SERIES,
    drawing,
    to_svg,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.run.report import Report, SystemResult
    from framelens_evaluation.statistics.probability import ReliabilityBin

__all__ = ["confusion_figure", "reliability_figure", "risk_figure", "score_figure"]

#: Sentences below which a curve is not drawn.
_FEWEST = 20
_GIVEN = (*(LABEL_NAMES[label] for label in LABELS), "no label")


def score_figure(report: Report) -> Figure:
    """Macro-F1 of every system on every subset, with intervals."""
    systems, names = report.systems, [part.subset for part in report.systems[0].subsets]
    title = "Macro-F1 by system"
    height = 0.9 + len(systems) * (0.16 * len(names) + 0.12)
    with drawing(7.2, height) as (figure, axes):
        for at, name in enumerate(names):
            offset = (at - (len(names) - 1) / 2) * 0.8 / len(names)
            for row, system in enumerate(systems):
                found = system.subsets[at].macro_f1
                if found.value is None:
                    continue
                label = name if row == 0 else None
                colour = SERIES[at % len(SERIES)]
                axes.plot(found.value, row + offset, "o", color=colour, markersize=5, label=label)
                if found.low is not None and found.high is not None:
                    axes.plot((found.low, found.high), (row + offset,) * 2, color=colour, linewidth=1.6)
        if report.judge_ceiling is not None and report.judge_ceiling.value is not None:
            axes.axvline(report.judge_ceiling.value, color=INK, linestyle=":", label="judge against judge")
        axes.set_yticks(range(len(systems)), [system.name for system in systems])
        axes.set_ylim(len(systems) - 0.4, -0.6)
        axes.set_xlim(0, 1.02)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("macro-F1, 95 % interval")
        figure.legend(loc="outside upper left", ncols=min(4, len(names) + 1))
        whole = "; ".join(f"{system.name} {system.subsets[0].macro_f1}" for system in systems)
        description = f"Dots with intervals, one group a system. On all sentences: {whole}."
        svg = to_svg(figure, title, description)
    return Figure("macro-f1", svg, title, description)


def confusion_figure(system: SystemResult) -> Figure:
    """Gold by given, as shares of the gold label."""
    counts = np.array(system.confusion)
    kept = counts.shape[1] if counts[:, -1].any() else counts.shape[1] - 1
    counts = counts[:, :kept]
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    title = f"Confusion of {system.name}"
    with drawing(5.2, 2.9) as (figure, axes):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
        for (row, column), share in np.ndenumerate(shares):
            axes.text(
                column,
                row,
                f"{share:.0%}\n{counts[row, column]:,}" if totals[row, 0] else "n/a",
                ha="center",
                va="center",
                color="white" if share > 0.6 else "#1a1a1a",
            )
        axes.set_xticks(range(kept), _GIVEN[:kept])
        axes.set_yticks(range(len(LABELS)), [LABEL_NAMES[label] for label in LABELS])
        axes.set_xlabel("given by the system")
        axes.set_ylabel("gold")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        cells = "; ".join(
            f"{LABEL_NAMES[label]}: "
            + ", ".join(f"{n} {name}" for n, name in zip(line, _GIVEN[:kept], strict=True))
            for label, line in zip(LABELS, counts, strict=True)
        )
        description = f"Rows are gold labels. {cells}."
        svg = to_svg(figure, title, description)
    caption = "Each row sums to 100 %: how the sentences of a gold label were labelled. n/a: there are none."
    return Figure("confusion", svg, title, description, caption, wide=False)


def reliability_figure(system: SystemResult) -> Figure | None:
    """Observed share against mean probability, label by label; None without probabilities."""
    labels = system.subsets[0].labels
    if not any(found.reliability for found in labels):
        return None
    title = f"Reliability of {system.name}"
    with drawing(7.2, 2.9, ncols=len(LABELS), sharey=True, sharex=True) as (figure, axes):
        for panel, found in zip(axes, labels, strict=True):
            colour = LABEL_COLOURS[found.label]
            panel.plot((0, 1), (0, 1), color=MUTED, linewidth=1, linestyle="--")
            for point in found.reliability:
                observed = point.observed
                if observed.low is not None and observed.high is not None:
                    panel.plot((point.predicted,) * 2, (observed.low, observed.high), color=colour, alpha=0.5)
            panel.plot(
                [point.predicted for point in found.reliability],
                [point.observed.value for point in found.reliability],
                "o-",
                color=colour,
                markersize=4,
            )
            panel.set_title(LABEL_NAMES[found.label], color=INK)
            panel.set_aspect("equal")
            panel.set_xlim(-0.02, 1.02)
            panel.set_ylim(-0.02, 1.02)
        axes[0].set_ylabel("observed share")
        axes[len(axes) // 2].set_xlabel("mean probability given, bins of equal mass")
        gaps = ", ".join(f"{LABEL_NAMES[found.label]} {_widest(found.reliability)}" for found in labels)
        description = (
            "One panel a label; on the dashed diagonal probabilities are true. "
            f"Widest distance from it: {gaps}."
        )
        svg = to_svg(figure, title, description)
    caption = (
        "Above the diagonal the label is more frequent than the system says, below it less. "
        "Lines through the points: 95 % intervals by article."
    )
    return Figure("reliability", svg, title, description, caption)


def _widest(points: Sequence[ReliabilityBin]) -> str:
    gaps = [abs(value - point.predicted) for point in points if (value := point.observed.value) is not None]
    return f"{max(gaps):.2f}" if gaps else "n/a"


def risk_figure(report: Report) -> Figure | None:
    """Share of wrong labels among the surest sentences; None without probabilities."""
    curves = [
        (system, system.subsets[0].selective)
        for system in report.systems
        if system.subsets[0].selective is not None
    ]
    if not curves:
        return None
    title = "Risk against coverage"
    with drawing(7.2, 3.2) as (figure, axes):
        for at, (system, selective) in enumerate(curves):
            # The share of a handful of sentences is noise; the last point stays, whatever n is.
            stable = [point for point in selective.curve if point[0] * selective.n_sentences >= _FEWEST]
            coverage, risk = zip(*(stable or selective.curve[-1:]), strict=True)
            axes.plot(
                coverage,
                risk,
                # A system that is equally sure of everything has one point, which a line does not show.
                marker="o" if len(coverage) < 3 else "",
                color=SERIES[at % len(SERIES)],
                label=system.name,
                linewidth=1.3 if at else 2.2,
            )
        axes.set_xlim(0, 1.01)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("share of the sentences labelled, surest first")
        axes.set_ylabel("share of wrong labels")
        axes.axhline(0, color=RULE, linewidth=0.8)
        figure.legend(loc="outside right upper")
        ends = "; ".join(f"{s.name}: {c.curve[-1][1]:.2f} at {c.curve[-1][0]:.0%}" for s, c in curves)
        description = f"One line a system, rising to its error rate on everything it labels. {ends}."
        svg = to_svg(figure, title, description)
    caption = (
        "A system that knows where it is wrong errs less on the sentences that it is surest of: its line "
        f"falls to the left. {_fall(report.systems[0])}"
    )
    return Figure("risk-coverage", svg, title, description, caption)


def _fall(system: SystemResult) -> str:
    """Whether the system's line does fall."""
    selective, everything = system.subsets[0].selective, system.subsets[0].accuracy.value
    half = selective.at[-1] if selective is not None and selective.at else None
    if half is None or half.accuracy.value is None or everything is None:
        return ""
    says = "more often right" if half.accuracy.value > everything else "**no more often** right"
    return (
        f"On the surest {half.nominal:.0%}, {system.name} is {says}: {half.accuracy.value:.1%}, against "
        f"{everything:.1%} of all."
    )
