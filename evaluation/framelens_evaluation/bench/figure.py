"""Every task's figures on one axis, beside what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from framelens_evaluation.bench.report import WITHOUT_REPEATS
from framelens_evaluation.reporting.document import Figure
from framelens_evaluation.reporting.figures import INK, MUTED, RULE, SERIES, drawing, to_svg

if TYPE_CHECKING:
    from framelens_evaluation.bench.report import BenchReport, MethodResult, TaskResult

__all__ = ["overview"]

_COLOURS = {
    "majority": MUTED,
    "always": MUTED,
    "tfidf": SERIES[1],
    "probe": SERIES[0],
    "finetune": SERIES[4],
    "zero-shot": SERIES[2],
}
_MARKERS = {"majority": "x", "always": "+"}
_ORDER = (*_COLOURS, "published")
_TITLE = "Benchmarks beside published figures"
#: Inches for a result, for the gap between tasks, and for axis and legend.
_LINE, _GAP, _REST = 0.19, 0.2, 1.1


def overview(report: BenchReport) -> Figure | None:
    """A dot with its interval for each result, a bar across each task for each published figure.

    None where nothing was measured.
    """
    tasks = [task for task in report.tasks if any(r.score.value is not None for r in task.results)]
    if not tasks:
        return None
    lines = sum(len(_shown(task)) for task in tasks)
    with drawing(7.2, _REST + _LINE * lines + _GAP * len(tasks)) as (figure, axes):
        ticks, at = [], 0.0
        handles: dict[str, Any] = {}
        for task in tasks:
            shown = _shown(task)
            top = at
            for result in shown:
                handles.setdefault(_legend(result), _dot(axes, result, at))
                at += _LINE
            bottom = at - _LINE
            for published in task.published:
                bar = axes.vlines(
                    published.value, top - _LINE / 2, bottom + _LINE / 2, colors=INK, linewidth=1.8, zorder=1
                )
                handles["published"] = bar
            ticks.append(((top + bottom) / 2, f"{task.name}\n{task.metric}"))
            at += _GAP
            if task is not tasks[-1]:
                axes.axhline(at - _LINE / 2 - _GAP / 2, color=RULE, linewidth=0.8)
        axes.set_yticks([place for place, _ in ticks], [label for _, label in ticks])
        axes.set_ylim(at - _GAP, -_LINE)
        axes.set_xlim(-0.02, 1.0)
        axes.set_xlabel("the task's metric")
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        order = sorted(handles, key=lambda name: (_ORDER.index(name.split(",")[0]), name))
        figure.legend(
            [handles[name] for name in order], order, loc="outside upper left", ncols=4, fontsize=8.5
        )
        svg = to_svg(figure, _TITLE, _description(tasks))
    return Figure(
        name="benchmarks",
        svg=svg,
        title=_TITLE,
        description=_description(tasks),
        caption=(
            "Dots: ours, with the 95 % interval; hollow ones are fitted without the training sentences that "
            "dev or test repeats. Upright bars: published figures. Metrics differ between tasks."
        ),
    )


def _shown(task: TaskResult) -> list[MethodResult]:
    return [result for result in task.results if result.score.value is not None]


def _legend(result: MethodResult) -> str:
    return f"{result.method}, no repeats" if result.variant == WITHOUT_REPEATS else result.method


def _dot(axes: Any, result: MethodResult, at: float) -> Any:
    score, colour = result.score, _COLOURS[result.method]
    if score.low is not None and score.high is not None:
        axes.hlines(at, score.low, score.high, colors=colour, linewidth=1.6, zorder=2)
    hollow = result.variant == WITHOUT_REPEATS
    (dot,) = axes.plot(
        [score.value],
        [at],
        marker=_MARKERS.get(result.method, "o"),
        markersize=5.5,
        linestyle="none",
        color=colour,
        markerfacecolor="none" if hollow else colour,
        zorder=3,
    )
    return dot


def _description(tasks: list[TaskResult]) -> str:
    said = []
    for task in tasks:
        ours = ", ".join(f"{_legend(r)} {r.score.value:.3f}" for r in _shown(task))
        published = ", ".join(f"{p.system} {p.value:.3f}" for p in task.published) or "none comparable"
        said.append(f"{task.name}, {task.metric}: {ours}; published {published}")
    return ". ".join(said) + "."
