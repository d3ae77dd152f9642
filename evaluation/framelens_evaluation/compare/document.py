"""A comparison for reading: verdicts in words, tables, figures, and the sentences that decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from framelens import LABELS
from framelens_evaluation.compare.paper_tables import MEASURE_NAMES, as_p, entries, points
from framelens_evaluation.compare.result import ALPHA
from framelens_evaluation.reporting.document import (
    Callout,
    Cell,
    Document,
    Example,
    Examples,
    Figure,
    Section,
    Table,
    Text,
)
from framelens_evaluation.reporting.figures import INK, LABEL_NAMES, MUTED, SERIES, drawing, to_svg
from framelens_evaluation.reporting.intervals import draw_interval
from framelens_evaluation.reporting.provenance import provenance_section
from framelens_evaluation.statistics.metrics import NO_LABEL
from framelens_evaluation.statistics.significance import MEASURES

if TYPE_CHECKING:
    from framelens_evaluation.compare.measure import Compared
    from framelens_evaluation.compare.result import Comparison, Pair
    from framelens_evaluation.reporting.document import Block

__all__ = ["N_EXAMPLES", "comparison_document", "shared_with_train", "verdict"]

#: Sentences shown of each direction of a pair.
N_EXAMPLES: Final = 50
# More pairs than this are drawn by macro-F1 alone, else the figure is longer than a screen.
_N_PAIRS_IN_FULL = 3
_ABOUT = (
    "The test of a difference is approximate randomisation: the two systems' answers are swapped for whole "
    "articles at random, and p is how often that alone makes a difference as large (Noreen 1989; Yeh 2000). "
    "The interval is a paired bootstrap by article. Two systems count as told apart when the interval leaves "
    "out 0 **and** p is below {alpha} after Holm's correction over all {n_tests} tests of this report "
    "({n_measures} measures in {n_pairs}); p cannot be "
    "smaller than 1 over the number of shuffles. A difference is in points; 100 points are 1."
)
_LIMITS = (
    "These figures say how much the choice of articles matters. They do not cover how much a model changes "
    "when it is trained again with another seed, nor errors that the gold labels themselves have."
)
_MCNEMAR = (
    "McNemar's exact test takes the sentences on which one system alone is right, b where it is the "
    "first and c where it is the second, and asks whether b and c differ by more than chance. "
    "It takes sentences as independent, which those of one article are not, so its p (uncorrected) is given "
    "for comparison with other papers and decides nothing here. The intervals of the effect sizes are by "
    "article. Cohen's g is the first system's share of these sentences less a half: 0.05 is called small, "
    "0.15 medium, 0.25 large (Cohen 1988)."
)


def comparison_document(compared: Compared) -> Document:
    """The report of a comparison."""
    result = compared.result
    first = result.pairs[0]
    gap = first.difference("macro_f1")
    p = "n/a" if gap.p_corrected is None else as_p(gap.p_corrected)
    others = " and ".join([", ".join(s.name for s in result.systems[1:-1]), result.systems[-1].name])
    return Document(
        title=f"{result.systems[0].name} against {others.removeprefix(' and ')}",
        lead=(
            f"{len(result.systems)} systems on the same {result.n_sentences:,} sentences of "
            f"{result.n_articles:,} articles{_compared_with(result)}."
        ),
        headline=(
            *((str(system.score("macro_f1")), f"macro-F1 of {system.name}") for system in result.systems[:2]),
            (points(gap.difference), f"points of macro-F1, {first.first} − {first.second}"),
            (p, "its p after correction"),
        ),
        sections=(
            _verdicts(result),
            _scores(result),
            _differences(result),
            _mcnemar(result),
            *(_pair_section(compared, pair) for pair in result.pairs),
            provenance_section(result.provenance),
        ),
    )


def shared_with_train(result: Comparison) -> str:
    """A warning of articles or sentences that stand in the training file too; empty without any."""
    found = [f"{result.shared_articles:,} articles"] if result.shared_articles else []
    if result.shared_sentences:
        found.append(f"{result.shared_sentences:,} of the {result.n_sentences:,} sentences")
    if not found:
        return ""
    return (
        f"**{' and '.join(found)} stand in the training sentences too.** Whatever was fitted on them scores "
        "too well here, and the comparison favours it."
    )


def verdict(pair: Pair, n_tests: int) -> str:
    """What the comparison of two systems shows of macro-F1, in a sentence.

    Args:
        pair: the two.
        n_tests: hypotheses of the report, which its p-values are corrected for.
    """
    gap = pair.difference("macro_f1")
    found, p = gap.difference, gap.p_corrected
    if found.value is None or found.low is None or p is None:
        return f"{pair.first} and {pair.second} cannot be compared: there are too few articles."
    over = "one test" if n_tests == 1 else f"{n_tests} tests"
    numbers = f"{points(found)} points of macro-F1, p = {as_p(p)} after correction over {over}"
    numbers = numbers.replace("= <", "< ")
    if gap.told_apart:
        word = "better" if found.value > 0 else "worse"
        return f"{pair.first} is **{word}** than {pair.second}: {numbers}."
    reasons = ["the interval includes 0"] if found.includes_zero else []
    reasons += [f"p is not below {ALPHA}"] if p >= ALPHA else []
    return (
        f"{pair.first} and {pair.second} **cannot be told apart** on these sentences: {numbers} "
        f"({' and '.join(reasons)}). That is no proof that they are equally good."
    )


def _compared_with(result: Comparison) -> str:
    n = len(result.systems)
    if n == 2:
        return ""
    every = len(result.pairs) == n * (n - 1) // 2
    return f", each compared with {'each other' if every else result.systems[0].name}"


def _verdicts(result: Comparison) -> Section:
    blocks: list[Block] = []
    for pair in result.pairs:
        gap = pair.difference("macro_f1")
        better = gap.told_apart and (gap.difference.value or 0.0) > 0
        blocks.append(
            Callout(verdict(pair, result.n_tests), "good" if better else "bad" if gap.told_apart else "warn")
        )
    shared = shared_with_train(result)
    if shared:
        blocks.append(Callout(shared, "bad"))
    if result.n_tests >= ALPHA * (_n_shuffles(result) + 1):
        blocks.append(
            Callout(
                f"**{_n_shuffles(result):,} shuffles are too few for {result.n_tests} tests**: no corrected "
                f"p-value can fall below {ALPHA}. Raise `--resamples`.",
                "bad",
            )
        )
    if result.note:
        blocks.append(Text(f"Gold labels: {result.note}"))
    left = f", {result.n_left_out:,} more judged out of scope are left out" if result.n_left_out else ""
    shares = ", ".join(f"{n:,} {LABEL_NAMES[label]}" for label, n in result.n_by_label.items())
    blocks += [
        Text(f"Sentences by gold label: {shares}{left}."),
        Text(
            _ABOUT.format(
                alpha=ALPHA,
                n_tests=result.n_tests,
                n_measures=len(MEASURES),
                n_pairs="one pair" if len(result.pairs) == 1 else f"{len(result.pairs)} pairs",
            )
        ),
        Text(_LIMITS),
    ]
    return Section("Verdict", tuple(blocks))


def _n_shuffles(result: Comparison) -> int:
    return result.provenance.n_resamples or 0


def _scores(result: Comparison) -> Section:
    refused = {system.name: system.n_refused for system in result.systems}
    found = [entry for entry in entries(result) if not entry.is_difference]
    overall, by_label = [], []
    for at in range(0, len(found), len(MEASURES)):
        line = found[at : at + len(MEASURES)]
        name = line[0].row
        cells = [f"{entry.value} {entry.shown[1]}".rstrip() for entry in line]
        overall.append((name, *cells[:2], f"{refused[name]:,}"))
        by_label.append((name, *cells[2:]))
    names = tuple(MEASURE_NAMES.values())
    return Section(
        "Scores",
        (
            Table(("system", *names[:2], "refused"), tuple(overall), "With 95 % intervals by article"),
            Table(("system", *names[2:]), tuple(by_label), "F1 by label, with 95 % intervals by article"),
            Text(
                "A sentence that a system refuses to label counts as wrong. `table.md`, `table.tex` and "
                "`table.csv` beside this report hold the table for a paper, with the same rounded numbers."
            ),
        ),
    )


def _differences(result: Comparison) -> Section:
    rows = []
    for pair in result.pairs:
        for gap in pair.differences:
            reached = "told apart" if gap.told_apart else "not told apart"
            rows.append(
                (
                    f"{pair.first} − {pair.second}",
                    MEASURE_NAMES[gap.measure],
                    Cell(points(gap.difference), sort=gap.difference.value),
                    _p(gap.p_value),
                    _p(gap.p_corrected),
                    Cell(reached, tone="good" if gap.told_apart else "warn"),
                )
            )
    header = ("pair", "measure", "difference, points", "p", "p corrected", f"at {ALPHA}")
    return Section(
        "Differences",
        (
            _forest(result),
            Table(
                header,
                tuple(rows),
                "Differences with 95 % intervals by article; p of approximate randomisation by article, "
                f"before and after Holm's correction over {result.n_tests} tests",
                folded_after=30,
            ),
        ),
    )


def _p(value: float | None) -> str:
    return "n/a" if value is None else as_p(value)


def _forest(result: Comparison) -> Figure:
    """Differences with their intervals, one a line, filled where the systems are told apart."""
    in_full = len(result.pairs) <= _N_PAIRS_IN_FULL
    shown = MEASURES if in_full else MEASURES[:1]
    lines = [(pair, pair.difference(measure)) for pair in result.pairs for measure in shown]
    names = [
        MEASURE_NAMES[gap.measure] if in_full else f"{_short(pair.first)} − {_short(pair.second)}"
        for pair, gap in lines
    ]
    # Of several pairs drawn in full, each has a line of its own above its measures.
    headed = in_full and len(result.pairs) > 1
    places, headings, place = [], [], 0.0
    for at, (pair, _) in enumerate(lines):
        if headed and at % len(shown) == 0:
            place += 0.4 if at else 0.0
            headings.append((place, f"{_short(pair.first)} − {_short(pair.second)}"))
            place += 1
        places.append(place)
        place += 1
    with drawing(7.2, 0.9 + 0.27 * (place + 0.5)) as (figure, axes):
        for y, (_, gap) in zip(places, lines, strict=True):
            colour = SERIES[0] if gap.told_apart else MUTED
            draw_interval(axes, y, gap.difference, colour, filled=gap.told_apart, scale=100)
        ticks = sorted([*zip(places, names, strict=True), *headings])
        axes.set_yticks([y for y, _ in ticks], [name for _, name in ticks])
        for (y, _), tick in zip(ticks, axes.get_yticklabels(), strict=True):
            if y in dict(headings):
                tick.set_weight("bold")
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.set_ylim(place - 0.2, -0.7)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("difference in points; right of 0 the first of the pair is better")
        described = "; ".join(
            f"{pair.first} minus {pair.second}, {MEASURE_NAMES[gap.measure]}: "
            f"{points(gap.difference)} points, {'told apart' if gap.told_apart else 'not told apart'}"
            for pair, gap in lines
        )
        title = "Differences between systems"
        svg = to_svg(figure, title, described)
    return Figure(
        name="differences",
        svg=svg,
        title=title,
        description=described,
        caption="Dot and line: difference and 95 % interval by article. A filled dot: told apart after "
        "correction. A hollow one: not told apart."
        + ("" if in_full else " Macro-F1 alone is drawn; the table has every measure."),
    )


def _short(name: str, most: int = 22) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _mcnemar(result: Comparison) -> Section:
    rows = []
    for pair in result.pairs:
        found = pair.discordance
        b, c = f"{found.only_first:,}", f"{found.only_second:,}"
        rows.append(
            (f"{pair.first}, {pair.second}", b, c, as_p(found.p_value), str(found.cohens_g), _odds(pair))
        )
    header = ("first, second", "b", "c", "p", "Cohen's g", "b / c")
    return Section("McNemar's test", (Text(_MCNEMAR), Table(header, tuple(rows))))


def _odds(pair: Pair) -> str:
    """The odds ratio; infinite where the second system is never right alone."""
    found, g = pair.discordance.odds_ratio, pair.discordance.cohens_g
    if g.value is None:
        return "n/a"
    value, low, high = ("∞" if x is None else f"{x:.2f}" for x in (found.value, found.low, found.high))
    return value if g.low is None else f"{value} [{low}, {high}]"


def _pair_section(compared: Compared, pair: Pair) -> Section:
    rows = []
    for won in pair.wins:
        counts = (won.both, won.only_first, won.only_second, won.neither)
        rows.append((LABEL_NAMES[won.label], f"{sum(counts):,}", *(f"{n:,}" for n in counts)))
    header = ("gold label", "sentences", "both right", f"only {pair.first}", f"only {pair.second}", "neither")
    names = [system.name for system in compared.result.systems]
    name = f"wins-{names.index(pair.first) + 1}-{names.index(pair.second) + 1}"
    blocks: list[Block] = [
        _wins_figure(name, pair),
        Table(header, tuple(rows), "Who is right, by gold label"),
    ]
    for winner, loser in ((pair.first, pair.second), (pair.second, pair.first)):
        blocks.append(_examples(compared, winner, loser))
    return Section(f"Who wins where: {pair.first} and {pair.second}", tuple(blocks))


def _wins_figure(name: str, pair: Pair) -> Figure:
    """Sentences on which one system alone is right, to either side, by gold label."""
    title = f"Only one is right: {pair.first} and {pair.second}"
    with drawing(7.2, 2.5) as (figure, axes):
        places = np.arange(len(pair.wins))
        for side, counts, colour in (
            (-1, [w.only_first for w in pair.wins], SERIES[0]),
            (1, [w.only_second for w in pair.wins], SERIES[1]),
        ):
            axes.barh(places, [side * n for n in counts], color=colour, height=0.62)
            for y, n in zip(places, counts, strict=True):
                axes.annotate(
                    f"{n:,}", (side * n, y), (4 * side, 0), textcoords="offset points",
                    va="center", ha="left" if side > 0 else "right", color=INK,
                )  # fmt: skip
        most = max(1, *(n for w in pair.wins for n in (w.only_first, w.only_second)))
        axes.set_xlim(-1.18 * most, 1.18 * most)
        axes.axvline(0, color=MUTED, linewidth=1)
        axes.set_yticks(places, [LABEL_NAMES[w.label] for w in pair.wins])
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.xaxis.set_major_formatter(lambda x, _: f"{abs(x):,.0f}")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlabel("sentences")
        for x, place, said in (
            (0.0, "left", f"← only {_short(pair.first, 34)} is right"),
            (1.0, "right", f"only {_short(pair.second, 34)} is right →"),
        ):
            axes.text(x, 1.02, said, transform=axes.transAxes, ha=place, va="bottom", color=INK)
        described = "; ".join(
            f"{LABEL_NAMES[w.label]}: {w.only_first} sentences only {pair.first}, "
            f"{w.only_second} only {pair.second}"
            for w in pair.wins
        )
        svg = to_svg(figure, title, described)
    return Figure(name, svg, title, described, "Sentences by gold label on which one system alone is right.")


def _examples(compared: Compared, winner: str, loser: str) -> Examples:
    """Sentences on which one system alone is right; the other's most confident mistakes first."""
    names = [system.name for system in compared.result.systems]
    right, wrong = compared.answers[names.index(winner)], compared.answers[names.index(loser)]
    found = np.flatnonzero((right.given == compared.gold) & (wrong.given != compared.gold))
    sure = wrong.probabilities[found].max(-1)
    sure[(wrong.given[found] == NO_LABEL) | np.isnan(sure)] = 0.0
    order = found[np.argsort(-sure, kind="stable")][:N_EXAMPLES]
    shows = next((a for a in (right, wrong) if a.evidence is not None), None)
    items = []
    for at in (int(i) for i in order):
        row, given = compared.rows[at], int(wrong.given[at])
        facts = {"gold": LABEL_NAMES[LABELS[compared.gold[at]]], loser: _given(given)}
        probability = float(wrong.probabilities[at].max())
        if given != NO_LABEL and not np.isnan(probability):
            facts[f"probability by {loser}"] = f"{probability:.2f}"
        facts["stratum"] = row.stratum
        marks = () if shows is None or shows.evidence is None else shows.evidence[at]
        items.append(Example(row.text, tuple((m.start, m.end, str(m.kind)) for m in marks), facts))
    if not items:
        return Examples((), f"**{winner} right, {loser} wrong**: no sentence.")
    n_shown = f"all {len(found):,}" if len(found) <= N_EXAMPLES else f"{N_EXAMPLES} of {len(found):,}"
    ordered = f", the most confident mistakes of {loser} first" if sure.any() else ""
    marked = f"; marked: evidence shown by {winner if shows is right else loser}" if shows else ""
    said = f"**{winner} right, {loser} wrong**: {n_shown} sentences{ordered}{marked}."
    return Examples(tuple(items), said, ("gold", loser, "stratum"))


def _given(code: int) -> str:
    return "no label" if code == NO_LABEL else LABEL_NAMES[LABELS[code]]
