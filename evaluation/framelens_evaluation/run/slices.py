"""Where a system does worse: its scores on slices of the data, each against the rest.

What is compared, and how it is tested, is in `framelens_evaluation.statistics.gaps`. The p-values are
corrected by Holm's method (1979), which needs no assumption on how the tests depend on each other:
slices overlap, as an outlet's with its country's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from framelens_evaluation.reporting.document import Callout, Cell, Figure, Section, Table, Text
from framelens_evaluation.reporting.figures import ACCENT, INK, MUTED, drawing, to_svg
from framelens_evaluation.reporting.provenance import Part
from framelens_evaluation.run.slicing import Slice, slices_of
from framelens_evaluation.statistics.bootstrap import Interval, cluster_codes, cluster_confusions, resample
from framelens_evaluation.statistics.gaps import gap_p_values, label_adjusted_gap
from framelens_evaluation.statistics.metrics import accuracy, macro_f1
from framelens_evaluation.statistics.significance import holm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from framelens_evaluation.inputs.dataset import GoldSentence
    from framelens_evaluation.reporting.document import Block, Tone
    from framelens_evaluation.statistics.bootstrap import Resampling
    from framelens_evaluation.statistics.metrics import IntArray

__all__ = [
    "ALPHA",
    "MIN_ARTICLES",
    "MIN_SENTENCES",
    "SliceResult",
    "slice_scores",
    "slices_section",
]

#: A slice is tested if both it and the rest have at least so many sentences and articles.
MIN_SENTENCES: Final = 20
MIN_ARTICLES: Final = 5
#: A slice differs where its corrected p-value is below this.
ALPHA: Final = 0.05

#: Counts held at once while resampling, about 160 MB of them.
_CHUNK = 20_000_000
_FEW = f"fewer than {MIN_SENTENCES} sentences or {MIN_ARTICLES} articles"
_SHOWN = 15


class SliceResult(Part):
    """One system on one slice of the data.

    Attributes:
        dimension: what the data were sliced by, one of `framelens_evaluation.run.slicing.DIMENSIONS`.
        value: which slice.
        n_sentences: in the slice.
        n_articles: with a sentence in the slice.
        accuracy: in the slice; not comparable between slices with different mixes of labels.
        macro_f1: in the slice, over the labels that occur there; not comparable either.
        gap: accuracy in the slice less that outside it at one mix of labels, in [-1, 1]; see the module.
            The interval is too narrow where a slice is wholly right or wrong; the test is not.
        p_value: of a gap of 0, two-sided; None where it was not tested.
        p_adjusted: the same, corrected for all slices.
        untested: why there is no test; None where there is one.
        same_as: an earlier slice with the very same sentences, as ``dimension: value``.
    """

    dimension: str
    value: str
    n_sentences: int
    n_articles: int
    accuracy: Interval
    macro_f1: Interval
    gap: Interval
    p_value: float | None
    p_adjusted: float | None
    untested: str | None = None
    same_as: str | None = None

    @property
    def name(self) -> str:
        """Dimension and value."""
        return f"{self.dimension}: {self.value}"

    @property
    def differs(self) -> bool:
        """Whether the slice differs from the rest after correction."""
        return self.p_adjusted is not None and self.p_adjusted < ALPHA


def slice_scores(
    rows: Sequence[GoldSentence], gold: IntArray, given: IntArray, how: Resampling, stream: int
) -> tuple[SliceResult, ...]:
    """Score one system on every slice, and test each against the rest of the data.

    Sentences without a value, such as one of unknown outlet, are in no slice of that dimension; they
    belong to the rest of each.

    Args:
        rows: n_sentences judged sentences.
        gold: shape (n_sentences,), places in `LABELS`.
        given: the same shape, the system's; `NO_LABEL` counts as wrong.
        how: how to make the intervals, which are by article.
        stream: of random numbers; all slices share its resamples.

    Returns:
        The slices that were tested, the largest loss first; behind them the others, the largest first.
    """
    slices = slices_of(rows)
    codes, n_articles = cluster_codes([row.article for row in rows])
    masks = [each.mask for each in slices]
    untested = [_untested(mask, gold, codes) for mask in masks]
    asked = gap_p_values(masks, gold, given, codes, n_articles)
    p_values = [None if why else p for p, why in zip(asked, untested, strict=True)]
    adjusted = _adjusted(p_values, masks)
    same = _same_as(slices)
    totals = cluster_confusions(gold, given, codes, n_articles)
    results: list[SliceResult] = []
    # Few slices at a time, and the same resamples for each: the generator begins anew.
    step = max(1, _CHUNK // max(1, totals.size))
    for first in range(0, len(slices), step):
        chunk = masks[first : first + step]
        parts = [cluster_confusions(gold[m], given[m], codes[m], n_articles) for m in chunk]
        sums = np.stack([totals, *parts], axis=1)
        draws = resample(sums, how.n_resamples, how.rng(stream))
        for at, mask in enumerate(chunk, start=1):
            i = first + at - 1
            n_inside = len(np.unique(codes[mask]))
            inside, whole = sums[:, at].sum(0), totals.sum(0)
            gap = label_adjusted_gap(inside, whole - inside)
            gap_draws = label_adjusted_gap(draws[:, at], draws[:, 0] - draws[:, at])
            results.append(
                SliceResult(
                    dimension=slices[i].dimension,
                    value=slices[i].value,
                    n_sentences=int(mask.sum()),
                    n_articles=n_inside,
                    accuracy=Interval.of(accuracy(inside), accuracy(draws[:, at]), n_inside),
                    macro_f1=Interval.of(macro_f1(inside), macro_f1(draws[:, at]), n_inside),
                    gap=Interval.of(gap, gap_draws, n_inside),
                    p_value=p_values[i],
                    p_adjusted=adjusted[i],
                    untested=untested[i],
                    same_as=same[i],
                )
            )
    return tuple(sorted(results, key=_worst_first))


def _worst_first(result: SliceResult) -> tuple[bool, float]:
    if result.untested is not None or result.gap.value is None:
        return True, -result.n_sentences
    return False, result.gap.value


def _untested(mask: npt.NDArray[np.bool_], gold: IntArray, codes: IntArray) -> str | None:
    def has_few(part: npt.NDArray[np.bool_]) -> bool:
        return int(part.sum()) < MIN_SENTENCES or len(np.unique(codes[part])) < MIN_ARTICLES

    if has_few(mask):
        return _FEW
    if has_few(~mask):
        return f"the rest has {_FEW}"
    return None if np.intersect1d(gold[mask], gold[~mask]).size else "no label in common with the rest"


def _adjusted(p_values: Sequence[float | None], masks: Sequence[npt.NDArray[np.bool_]]) -> list[float | None]:
    """Corrected p-values; slices that part the data alike ask one question, which counts once."""
    # A slice and its complement part it alike.
    keys = [min(mask.tobytes(), (~mask).tobytes()) for mask in masks]
    asked = {key: p for key, p in zip(keys, p_values, strict=True) if p is not None}
    corrected = dict(zip(asked, holm(list(asked.values())), strict=True))
    return [None if p is None else corrected[key] for key, p in zip(keys, p_values, strict=True)]


def _same_as(slices: Sequence[Slice]) -> list[str | None]:
    known: dict[bytes, str] = {}
    firsts = [known.setdefault(each.mask.tobytes(), each.name) for each in slices]
    return [None if first == each.name else first for each, first in zip(slices, firsts, strict=True)]


# What a report says of slices. -------------------------------------------------------------------------

_HOW = (
    "The data are cut by outlet, source, country, side and year, by facts of the text, and by what the judge "
    "noted. A slice has its own mix of labels, so its accuracy and macro-F1 cannot be compared with those of "
    "another. The **gap** can: it is the slice's recall less that of all other sentences, label by label, "
    "averaged with Mantel-Haenszel weights; that is the difference in accuracy at one mix of labels. A gap "
    f"is tested where slice and rest have at least {MIN_SENTENCES} sentences of {MIN_ARTICLES} articles, "
    "sentences of one article being taken as dependent, and the p-values are corrected for all slices "
    "(Holm). A slice of fewer than about a dozen articles can hardly pass such a test, whatever its gap. In "
    "the table, an equals sign names another slice with the very same sentences."
)


def slices_section(results: Sequence[SliceResult], *, system: str = "") -> Section:
    """The section on slices: which differ, a picture of the worst, and all of them.

    Args:
        results: from `slice_scores`.
        system: named in the title, where a report has several such sections.
    """
    title = f"Slices: {system}" if system else "Slices"
    if not results:
        return Section(title, (Text("There are no sentences to slice."),))
    tested = [result for result in results if result.untested is None]
    blocks: list[Block] = [Text(_HOW), _verdict(tested)]
    if tested:
        blocks.append(_figure(tested[:_SHOWN], title))
    blocks.append(_table(results))
    return Section(title, tuple(blocks))


def _verdict(tested: Sequence[SliceResult]) -> Callout:
    n = len({result.same_as or result.name for result in tested})
    found = [result for result in tested if result.differs and result.same_as is None]
    worse = [result for result in found if result.gap.value is not None and result.gap.value < 0]
    better = [result for result in found if result not in worse]
    if not found:
        return Callout(
            f"None of the {n} slices tested can be told from the rest after correction. That does not make "
            "them equal: the intervals below show how much a small slice could differ."
        )
    parts = [
        f"**{word}** than on the rest: {_listed(each)}."
        for word, each in (("Worse", worse), ("Better", better[::-1]))
        if each
    ]
    return Callout(
        f"Of {n} slices tested, {len(found)} differ after correction. " + " ".join(parts),
        "warn" if worse else "note",
    )


def _listed(results: Iterable[SliceResult]) -> str:
    return ", ".join(f"{result.name} ({_signed(result.gap.value)})" for result in results)


def _signed(value: float | None) -> str:
    return "n/a" if value is None else f"{value:+.3f}"


def _figure(worst: Sequence[SliceResult], section: str) -> Figure:
    """Gaps of the worst slices, with intervals, the worst on top."""
    title = f"{section}: the {len(worst)} with the lowest gap"
    with drawing(7.2, 0.9 + 0.26 * len(worst)) as (figure, axes):
        for at, result in enumerate(worst):
            colour = ACCENT if result.differs else MUTED
            gap = result.gap
            if gap.low is not None and gap.high is not None:
                axes.plot((gap.low, gap.high), (at, at), color=colour, linewidth=1.8)
            axes.plot(gap.value, at, "o" if result.differs else "D", color=colour, markersize=5)
        axes.axvline(0, color=INK, linewidth=1)
        names = [f"{_shortened(result.name)}  ({result.n_sentences:,})" for result in worst]
        axes.set_yticks(range(len(worst)), names)
        axes.set_ylim(len(worst) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("gap to the rest at one mix of labels; 0 is no difference")
        said = "; ".join(
            f"{result.name} {_signed(result.gap.value)}{', differs' if result.differs else ''}"
            for result in worst
        )
        description = f"Dots with 95 % intervals around a line at 0. From the lowest: {said}."
        svg = to_svg(figure, title, description)
    name = "".join(c if c.isalnum() else "-" for c in section.lower()).strip("-")
    caption = (
        "Number of sentences in brackets. Blue dots differ from the rest after correction for all slices; "
        "grey diamonds do not, even where the interval of one slice alone leaves out 0."
    )
    return Figure("-".join(filter(None, name.split("-"))), svg, title, description, caption)


def _shortened(name: str, most: int = 42) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _table(results: Sequence[SliceResult]) -> Table:
    return Table(
        ("slice", "n", "articles", "gap", "p, corrected", "accuracy", "macro-F1"),
        tuple(
            (
                f"{result.name} (= {result.same_as})" if result.same_as else result.name,
                f"{result.n_sentences:,}",
                f"{result.n_articles:,}",
                _gap_cell(result),
                _p_cell(result),
                result.accuracy,
                result.macro_f1,
            )
            for result in results
        ),
        caption="Every slice: those tested from the largest loss, then the others",
        searchable=True,
        folded_after=_SHOWN,
    )


def _gap_cell(result: SliceResult) -> Cell:
    gap = result.gap
    text = _signed(gap.value)
    if gap.low is not None and gap.high is not None:
        text += f" [{gap.low:+.3f}, {gap.high:+.3f}]"
    tone: Tone | None = None
    if result.differs and gap.value is not None:
        tone = "bad" if gap.value < 0 else "good"
    return Cell(text, sort=gap.value, tone=tone)


def _p_cell(result: SliceResult) -> Cell:
    p = result.p_adjusted
    if p is None:
        return Cell("n/a")
    return Cell("<0.001" if p < 0.001 else f"{p:.3f}", sort=p)
