"""Agreement of judges for reading: what it amounts to, tables, figures, and the sentences they differ on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from framelens import LABELS, Label
from framelens_evaluation.agreement.judgements import MISSING, RULES
from framelens_evaluation.agreement.measure import values_of
from framelens_evaluation.compare.paper_tables import points
from framelens_evaluation.reporting.document import (
    Callout,
    Document,
    Example,
    Examples,
    Figure,
    Section,
    Table,
    Text,
)
from framelens_evaluation.reporting.figures import ACCENT, INK, LABEL_NAMES, MUTED, drawing, to_svg
from framelens_evaluation.reporting.intervals import draw_interval
from framelens_evaluation.reporting.provenance import provenance_section
from framelens_evaluation.statistics.metrics import NO_LABEL

if TYPE_CHECKING:
    from framelens_evaluation.agreement.judgements import Judgements
    from framelens_evaluation.agreement.result import AgreementReport, Level
    from framelens_evaluation.reporting.document import Block

__all__ = ["RELIABLE", "TENTATIVE", "agreement_document", "reading_of_alpha"]

#: Krippendorff (2004, p. 241): rely on what reaches the first; draw tentative conclusions from the second.
RELIABLE: Final = 0.8
TENTATIVE: Final = 0.667
_N_DISAGREEMENTS = 200
_N_PAIRS_SHOWN = 15
_MEANING = (
    "Krippendorff's alpha is 1 where judges always agree and 0 where they agree as often as chance would "
    "have it, given how often each value occurs; it takes any number of judges and missing values. "
    "Krippendorff (2004, p. 241) asks for 0.800 to rely on data, and for 0.667 where tentative conclusions "
    "will do; both are conventions. Agreement shows that judges read alike, not that they read rightly: "
    "judges of one kind, or trained together, share their errors."
)
_CEILING = (
    "One judge's labels are scored against another's as a system's are against gold, on the sentences to "
    "which both gave a label, in both directions, and the mean over pairs and directions is taken. F1 of a "
    "label is the same in both directions, so these differ only where a judge never gave one of the labels. "
    "A model that reaches this mean agrees with a judge as well as another judge does. It can come "
    "out above, where judges err at random; that is no proof of being better than a judge."
)


def reading_of_alpha(report: AgreementReport) -> str:
    """What the alpha of the labels comes to, in plain words."""
    alpha = report.labels.alpha
    if alpha.value is None:
        return (
            "Alpha is **not defined** here: all judgements of the doubly judged sentences have one value, "
            "and agreement on the only value that occurs is no evidence."
        )
    levels = (
        (RELIABLE, f"at least {RELIABLE:.3f}, Krippendorff's level for data to rely on"),
        (TENTATIVE, f"between {TENTATIVE:.3f} and {RELIABLE:.3f}, good for tentative conclusions only"),
        (float("-inf"), f"below {TENTATIVE:.3f}, Krippendorff's least for even tentative conclusions"),
    )
    said = next(words for least, words in levels if alpha.value >= least)
    start = f"Alpha of the labels is **{alpha}**: {said}"
    if alpha.low is None or alpha.high is None:
        return f"{start}. There are too few articles for an interval."
    crossed = [f"{least:.3f}" for least in (TENTATIVE, RELIABLE) if alpha.low < least <= alpha.high]
    if crossed:
        return f"{start}; but the interval reaches across {' and '.join(crossed)}, so that is not settled."
    return f"{start}, and so is the whole interval."


def agreement_document(report: AgreementReport, judgements: Judgements) -> Document:
    """The report of an agreement.

    Args:
        report: as measured.
        judgements: what it was measured on, for the sentences that judges differ on.
    """
    who = " and ".join(report.judges) if len(report.judges) == 2 else f"{len(report.judges)} judges"
    headline = [
        (str(report.labels.alpha), f"Krippendorff's alpha on {report.n_twice:,} sentences"),
        (str(report.labels.agreed), "pairs of judgements that agree"),
        (str(report.ceiling.macro_f1), "macro-F1 of one judge against another"),
    ]
    if report.ceiling.model is not None:
        headline.append((str(report.ceiling.model), f"macro-F1 of {report.model} against the same judges"))
    sections = [_overall(report), _by_value(report), _groups(report), _pairs(report), _ceiling(report)]
    shown = _disagreements(report, judgements)
    return Document(
        title="Agreement of judges",
        lead=(
            f"How far {who} agree on the label of a sentence: {report.n_judgements:,} judgements of "
            f"{report.n_items:,} sentences, {report.n_twice:,} of them judged twice or more."
        ),
        headline=tuple(headline),
        sections=tuple(
            section
            for section in (*sections, shown, provenance_section(report.provenance))
            if section is not None
        ),
    )


def _name(value: str) -> str:
    return LABEL_NAMES[Label(value)] if value in set(LABELS) else value


def _overall(report: AgreementReport) -> Section:
    alpha = report.labels.alpha
    reliable = alpha.low is not None and alpha.low >= RELIABLE
    blocks: list[Block] = [Callout(reading_of_alpha(report), "good" if reliable else "warn")]
    if report.labels.agreed.value == 0.0:
        blocks.append(
            Callout(
                "**No two judgements agree.** If only the sentences on which judges differ were handed in, "
                "nothing here says how far they agree: hand in every sentence that two judges judged.",
                "bad",
            )
        )
    if report.note:
        blocks.append(Text(f"Judges: {report.note}"))
    x = (
        "counts as a fourth value"
        if report.with_x
        else "is left out as missing (`--with-x` counts it as a value)"
    )
    unit = "articles" if report.by_article else "articles, and sentences without a known article singly"
    blocks += [
        Text(_MEANING),
        Text(
            f"“Not annotated” was said {report.n_not_annotated:,} times and {x}. Intervals are 95 %, from "
            f"resampling {unit}. They say how much the choice of sentences matters, not the choice of judges."
        ),
        _alpha_figure(report),
    ]
    return Section("Agreement", tuple(blocks))


def _levels(report: AgreementReport) -> list[tuple[str, Level]]:
    found = [("labels", report.labels)]
    found += [("rules", report.rules)] if report.rules is not None else []
    found += [(level.name, level) for level in report.by_sure]
    return found + [(f"stratum {level.name}", level) for level in report.by_stratum]


def _alpha_figure(report: AgreementReport) -> Figure:
    levels = _levels(report)
    title = "Krippendorff's alpha"
    described = "; ".join(f"{name}: {level.alpha} on {level.n_items} sentences" for name, level in levels)
    lows = [level.alpha.low for _, level in levels if level.alpha.low is not None]
    lows += [level.alpha.value for _, level in levels if level.alpha.value is not None]
    with drawing(7.2, 1.0 + 0.3 * len(levels)) as (figure, axes):
        for at, (_, level) in enumerate(levels):
            draw_interval(axes, at, level.alpha, ACCENT, filled=True)
        # Set to either side, so that they stay apart on a long axis.
        for least, name, side in ((TENTATIVE, "tentative", "right"), (RELIABLE, "rely", "left")):
            axes.axvline(least, color=MUTED, linewidth=1, linestyle="--")
            axes.text(least, -0.75, f"{name} {least:g}", ha=side, va="bottom", color=INK, fontsize=8.5)
        axes.set_yticks(range(len(levels)), [f"{name} (n {level.n_items:,})" for name, level in levels])
        axes.set_ylim(len(levels) - 0.4, -0.7)
        axes.set_xlim(min(0.5, *(low - 0.03 for low in lows)) if lows else 0.0, 1.02)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("alpha")
        svg = to_svg(figure, title, described)
    return Figure(
        "alpha",
        svg,
        title,
        described,
        "Dot and line: alpha and its 95 % interval. Dashed: Krippendorff's conventional levels.",
    )


def _by_value(report: AgreementReport) -> Section:
    header = ("value", "given", "agreement")
    blocks: list[Block] = [
        Text(
            "Agreement on a value: given it by one judge, how often another gives it too (Spitzer and Fleiss "
            "1974). A rare value can be agreed on badly while the overall agreement is high."
        ),
        _table_of(report.labels, header, "By label"),
    ]
    if report.rules is not None:
        blocks.append(_table_of(report.rules, header, "By rule of the codebook"))
    blocks += [
        _heat_map(report),
        Text(
            "Off the diagonal stand the disagreements. "
            + (
                f"Rows are the values of {report.judges[0]}, columns those of {report.judges[1]}."
                if len(report.judges) == 2
                else "All ordered pairs of judges are pooled, so the table is symmetric."
            )
        ),
    ]
    return Section("By value", tuple(blocks))


def _table_of(level: Level, header: tuple[str, ...], caption: str) -> Table:
    rows = tuple((_name(v.value), f"{v.n_given:,}", str(v.agreement)) for v in level.values)
    return Table(header, rows, caption)


def _heat_map(report: AgreementReport) -> Figure:
    two = len(report.judges) == 2
    counts = report.pairs[0].confusion if two else report.pooled
    names = [_name(value) for value in report.values]
    title = "Which values are confused"
    described = "; ".join(
        f"{names[i]} by {report.judges[0] if two else 'one judge'}: "
        + ", ".join(f"{n:,} {names[j]}" for j, n in enumerate(row))
        for i, row in enumerate(counts)
    )
    with drawing(5.6, 1.1 + 0.62 * len(names)) as (figure, axes):
        for i, row in enumerate(counts):
            for j, n in enumerate(row):
                part = n / sum(row) if sum(row) else 0.0
                axes.fill_between([j - 0.5, j + 0.5], i - 0.5, i + 0.5, color=ACCENT, alpha=part, linewidth=0)
                said = f"{n:,}\n{100 * part:.0f} %" if sum(row) else "0"
                axes.text(j, i, said, ha="center", va="center", color="white" if part > 0.55 else INK)
        axes.set_xticks(range(len(names)), names)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(names) - 0.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.grid(visible=False)
        axes.set_xlabel(report.judges[1] if two else "another judge")
        axes.set_ylabel(report.judges[0] if two else "one judge")
        svg = to_svg(figure, title, described)
    return Figure("confusion", svg, title, described, "Count, and share of its row.", wide=False)


def _groups(report: AgreementReport) -> Section:
    rows = tuple(
        (name, f"{level.n_items:,}", f"{level.n_clusters:,}", str(level.alpha), str(level.agreed))
        for name, level in _levels(report)
    )
    header = ("values or sentences", "sentences", "articles", "alpha", "agreed")
    return Section(
        "By rule, certainty and stratum",
        (
            Table(header, rows, "Agreement with 95 % intervals", folded_after=30),
            Text(
                "Alpha depends on how often each value occurs, so it may differ between strata where judges "
                "are equally careful. “Agreed” is the share of pairs of judgements with one value."
            ),
        ),
    )


def _pairs(report: AgreementReport) -> Section:
    rows = tuple(
        (f"{pair.first}, {pair.second}", f"{pair.n_items:,}", str(pair.kappa), str(pair.agreed))
        for pair in report.pairs
    )
    header = ("judges", "sentences", "Cohen's kappa", "agreed")
    blocks: list[Block] = [Table(header, rows, "Pairs of judges", folded_after=_N_PAIRS_SHOWN)]
    names = [_name(value) for value in report.values]
    if len(report.pairs) > 1:
        cells = [(i, j) for i in range(len(names)) for j in range(len(names)) if i != j]
        confused = tuple(
            (f"{pair.first}, {pair.second}", *(f"{pair.confusion[i][j]:,}" for i, j in cells))
            for pair in report.pairs
        )
        blocks.append(
            Table(
                ("judges", *(f"{names[i]} / {names[j]}" for i, j in cells)),
                confused,
                "Disagreements of each pair: the first's value / the second's",
                folded_after=_N_PAIRS_SHOWN,
            )
        )
    return Section("Pairs of judges", tuple(blocks))


def _ceiling(report: AgreementReport) -> Section:
    found = report.ceiling
    blocks: list[Block] = [Text(_CEILING)]
    rows = []
    # Both directions of a pair stand next to each other, and are mostly equal.
    for there, back in zip(found.directions[::2], found.directions[1::2], strict=True):
        if there[2] == back[2]:
            rows.append((f"{back[0]} and {there[0]}, either as gold", str(there[2])))
        else:
            rows += [(f"{judged}, {gold} as gold", str(score)) for judged, gold, score in (there, back)]
    rows += [
        (f"{report.model}, {each.judge} as gold ({each.n_items:,} sentences)", str(each.macro_f1))
        for each in report.model_against
    ]
    mean = [(f"**judges: mean** ({found.n_items:,} sentences)", str(found.macro_f1))]
    if found.model is not None and found.difference is not None:
        mean.append((f"**{report.model}: mean against the same judges**", str(found.model)))
        mean.append((f"**{report.model} less judges**, points", points(found.difference)))
        blocks.append(Callout(_against(report), "note"))
    table = Table(
        ("who is scored", "macro-F1"),
        (*mean, *rows),
        "Macro-F1 with 95 % intervals",
        folded_after=_N_PAIRS_SHOWN,
    )
    return Section("What is left for a model to reach", (*blocks, table))


def _against(report: AgreementReport) -> str:
    gap, model = report.ceiling.difference, report.model
    if gap is None or gap.value is None or gap.low is None:
        return f"There are too few sentences to set {model} beside the judges."
    numbers = f"{points(gap)} points"
    if gap.includes_zero:
        return (
            f"On these sentences {model} **cannot be told apart** from a judge in macro-F1: the difference "
            f"{numbers} has an interval that includes 0 (100 points are 1)."
        )
    if gap.value < 0:
        return f"{model} agrees with the judges **less** than they do with each other: macro-F1 {numbers}."
    return (
        f"{model} agrees with the judges **more** than they do with each other: macro-F1 {numbers}. It may "
        "have been fitted to the same judges, or they may err at random."
    )


def _disagreements(report: AgreementReport, judgements: Judgements) -> Section | None:
    """Sentences on which judges differ, where their texts are known; on the page alone."""
    _, codes = values_of(judgements, report.with_x)
    rules = tuple(RULES)
    items: list[Example] = []
    n_found = 0
    for at, item in enumerate(judgements.items):
        if not item.text or len(set(codes[at].tolist()) - {MISSING}) < 2:
            continue
        n_found += 1
        if len(items) == _N_DISAGREEMENTS:
            continue
        facts = {}
        for judge, label, rule, sure in zip(
            judgements.judges, judgements.labels[at], judgements.rules[at], judgements.sure[at], strict=True
        ):
            if label == MISSING:
                continue
            said = "not annotated" if label == NO_LABEL else LABEL_NAMES[LABELS[label]]
            said += f" ({rules[rule]})" if rule != MISSING else ""
            facts[judge] = said + (", unsure" if sure == 0 else "")
        values = {report.values[code] for code in codes[at].tolist() if code != MISSING}
        facts["between"] = " and ".join(sorted(_name(value) for value in values))
        if item.stratum is not None:
            facts["stratum"] = item.stratum
        items.append(
            Example(item.text, facts=facts, note=f"Before it: {item.context}" if item.context else "")
        )
    if not items:
        return None
    shown = f"all {n_found:,}" if n_found == len(items) else f"the first {len(items):,} of {n_found:,}"
    caption = f"Sentences on which judges differ: {shown}."
    alone = Text("The sentences stand on the page alone.")
    return Section("Disagreements", (alone, Examples(tuple(items), caption, ("between", "stratum"))))
