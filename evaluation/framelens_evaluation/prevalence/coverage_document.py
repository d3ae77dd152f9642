"""The report on whether the intervals hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens_evaluation.prevalence.coverage import ACCEPTED
from framelens_evaluation.prevalence.results import METHOD_NAMES
from framelens_evaluation.reporting.document import Callout, Cell, Document, Figure, Section, Table, Text
from framelens_evaluation.reporting.figures import LABEL_NAMES, MUTED, RULE, SERIES, drawing, to_svg
from framelens_evaluation.reporting.provenance import provenance_section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.prevalence.coverage import Cover, Coverage, CoverRow
    from framelens_evaluation.reporting.document import Block, Tone

__all__ = ["coverage_document", "coverage_lines"]

_NAMES: Final[dict[Cover, str]] = {
    "prediction_powered": METHOD_NAMES["prediction_powered"],
    "borrowed": "borrowed",
    "gold_only": METHOD_NAMES["gold_only"],
    "adjusted_count": METHOD_NAMES["adjusted_count"],
    "plain_count": METHOD_NAMES["plain_count"],
}
_ORDER: Final[tuple[Cover, ...]] = (
    "prediction_powered",
    "borrowed",
    "gold_only",
    "adjusted_count",
    "plain_count",
)
_COLOURS: Final[dict[Cover, str]] = dict(zip(_ORDER, (*SERIES[:2], SERIES[2], SERIES[4], MUTED), strict=True))
#: Intervals of fewer repetitions say nothing about coverage.
_ENOUGH: Final = 100
_MOST_LINES: Final = 15


def coverage_document(result: Coverage) -> Document:
    """The report."""
    made_up = [row for row in result.rows if not row.real and row.n_repetitions >= _ENOUGH]
    real = [row for row in result.rows if row.real and row.n_repetitions >= _ENOUGH]
    sections = [Section(title, tuple(_blocks(rows, name))) for title, name, rows in (
        ("Held-out data", "held-out", real), ("Made-up corpora", "made-up", made_up),
    ) if rows]  # fmt: skip
    error = 1.96 * float(np.sqrt(0.95 * 0.05 / result.n_repetitions))
    return Document(
        title="Do the intervals of shares hold?",
        lead=(
            f"From corpora whose true shares are known, gold rows are drawn {result.n_repetitions:,} times, "
            f"and it is counted how often a {result.level:.0%} interval holds the true share. A coverage of "
            f"95 % is measured to ±{100 * error:.1f} points."
        ),
        headline=tuple(_headline(real or made_up)),
        sections=(
            *sections,
            Section("All figures", (_all_rows(result),)),
            Section("How to read this", tuple(_reading())),
            provenance_section(result.provenance),
        ),
    )


def coverage_lines(result: Coverage) -> list[str]:
    """One line a method, for a terminal."""
    real = [row for row in result.rows if row.real]
    return [f"{name}: {value}" for value, name in _headline(real or result.rows)]


def _headline(rows: Sequence[CoverRow]) -> list[tuple[str, str]]:
    found = []
    for method in _ORDER:
        known = _known(rows, method)
        if known:
            mean = sum(known) / len(known)
            right = sum(ACCEPTED[0] <= each <= ACCEPTED[1] for each in known)
            found.append(
                (f"{mean:.1%}", f"{_NAMES[method]}: mean coverage; {right} of {len(known)} within 93 to 97 %")
            )
    return found


def _known(rows: Sequence[CoverRow], method: Cover) -> list[float]:
    return [
        row.coverage
        for row in rows
        if row.method == method and row.coverage is not None and row.n_repetitions >= _ENOUGH
    ]


def _blocks(rows: Sequence[CoverRow], name: str) -> list[Block]:
    settings = list(dict.fromkeys((row.scenario, row.n_gold) for row in rows))
    shown = [method for method in _ORDER if _known(rows, method)]
    lines = []
    for scenario, n_gold in settings:
        here = [row for row in rows if (row.scenario, row.n_gold) == (scenario, n_gold)]
        lines.append((scenario, n_gold, *(_range(_known(here, method)) for method in shown)))
    # A figure of every setting at once would be too tall to read.
    sizes = list(dict.fromkeys(n_gold for _, n_gold in settings)) if len(settings) > _MOST_LINES else [None]
    return [
        *(
            _figure(rows, [each for each in settings if size in (None, each[1])], name, size)
            for size in sizes
        ),
        Table(
            ("corpus", "gold rows", *(_NAMES[method] for method in shown)),
            tuple(lines),
            "Mean coverage over groups and labels in percent, with the lowest and the highest. Marked: means "
            "outside 93 to 97 %.",
        ),
    ]


def _range(known: Sequence[float]) -> Cell:
    if not known:
        return Cell("n/a")
    mean = sum(known) / len(known)
    tone: Tone | None = "bad" if mean < ACCEPTED[0] else "warn" if mean > ACCEPTED[1] else None
    return Cell(f"{100 * mean:.1f} [{100 * min(known):.1f}, {100 * max(known):.1f}]", sort=mean, tone=tone)


def _figure(
    rows: Sequence[CoverRow], settings: Sequence[tuple[str, int]], name: str, size: int | None
) -> Figure:
    """The coverage in some settings, all of one size where that is given."""
    rows = [row for row in rows if (row.scenario, row.n_gold) in settings]
    title = f"Coverage on {name} data" + ("" if size is None else f" with {size} gold rows")
    shown = [method for method in _ORDER if _known(rows, method)]
    means = {method: sum(_known(rows, method)) / len(_known(rows, method)) for method in shown}
    description = (
        f"Share of {len(settings)} settings' intervals that hold the truth; mean coverage: "
        + ", ".join(f"{_NAMES[method]} {mean:.1%}" for method, mean in means.items())
        + "."
    )
    with drawing(7.2, 1.0 + 0.27 * len(settings)) as (figure, axis):
        axis.axvspan(*ACCEPTED, color=RULE, alpha=0.7, linewidth=0)
        for at, (scenario, n_gold) in enumerate(settings):
            here = [row for row in rows if (row.scenario, row.n_gold) == (scenario, n_gold)]
            for method in reversed(shown):
                known = _known(here, method)
                places = [max(each, 0.6) for each in known]
                axis.plot(places, [at] * len(known), **_mark(method), alpha=0.75)
        for method in shown:
            axis.plot([], [], **_mark(method), label=_NAMES[method])
        axis.set_yticks(
            range(len(settings)), [scenario if size else f"{scenario}, n = {n}" for scenario, n in settings]
        )
        axis.set_ylim(len(settings) - 0.4, -0.6)
        axis.set_xlim(0.588, 1.008)
        axis.set_xticks([0.6, 0.7, 0.8, 0.9, 0.95, 1.0], ["≤ 60 %", "70 %", "80 %", "90 %", "95 %", "100 %"])
        figure.legend(loc="outside upper left", ncols=3, fontsize=8.5)
        svg = to_svg(figure, title, description)
    caption = (
        f"{title}. One mark a group and label; those below 60 % stand at the left edge. Grey band: 93 to 97 "
        "%. The plain count has one interval a corpus, which holds the truth always or never."
    )
    return Figure(f"coverage-{name}" + ("" if size is None else f"-{size}"), svg, title, description, caption)


def _mark(method: Cover) -> dict[str, Any]:
    plain = method == "plain_count"
    return {
        "linestyle": "none",
        "marker": "|" if plain else "o",
        "markersize": 7 if plain else 3.6,
        "color": _COLOURS[method],
    }


def _all_rows(result: Coverage) -> Table:
    lines = []
    for row in result.rows:
        covered = Cell("n/a")
        if row.coverage is not None:
            covered = Cell(
                f"{row.coverage:.1%} [{row.low:.1%}, {row.high:.1%}]",
                sort=row.coverage,
                tone=None if row.right or row.method == "plain_count" else "warn",
            )
        bias = "n/a" if row.bias is None else f"{100 * row.bias:+.2f}"
        width = "n/a" if row.width is None else f"{100 * row.width:.1f}"
        lines.append(
            (
                row.scenario, row.n_gold, row.group, LABEL_NAMES[row.label], _NAMES[row.method],
                f"{row.truth:.1%}", covered, bias, width, row.n_repetitions,
            )
        )  # fmt: skip
    header = (
        "corpus", "gold rows", "group", "label", "method", "truth", "coverage", "bias (points)", "width "
        "(points)",
        "repetitions",
    )  # fmt: skip
    caption = "The interval of a coverage is the experiment's own error."
    return Table(header, tuple(lines), caption, searchable=True, folded_after=30)


def _reading() -> list[Block]:
    return [
        Text(
            "**Below 93 %** an interval promises more than it keeps. **Above 97 %** it is wider than it need "
            "be, which is safe: so it is for a good model and few gold rows, where a sample holds hardly an "
            "error to learn from."
        ),
        Text(
            "The **adjusted count** keeps its promise where the error rates are equal in all groups, and not "
            "where one group has its own: that is its assumption. So it is with **borrowed** shares, which "
            "are prediction-powered and corrected by the gold rows of all groups."
        ),
        Callout(
            "Where articles are drawn and one of them is very large, intervals are too narrow whenever it "
            "was not drawn: no estimator sees from a sample what it does not hold. Prediction-powered "
            "inference suffers less, since the predictions cover the whole corpus.",
            "note",
        ),
    ]
