"""Whether a system's label rests on the evidence that it shows.

Two measures of DeYoung et al. 2020 (ERASER, section 4.2), with p the probability of the label that the
system gave to the whole sentence:

* **comprehensiveness** = p(sentence) - p(sentence without the evidence): large where the label needs it;
* **sufficiency** = p(sentence) - p(evidence alone): near 0, or below, where the evidence is enough.

Taking words away lowers p by itself, since what is left is no sentence. So both are also measured for
random words of the same sentence, as many as the evidence and in as many runs; what matters is the
difference to them. Such measures tell whether a system uses what it shows, and not whether a reader
would agree (Jain and Wallace 2019; Jacovi and Goldberg 2020); agreement is
`framelens_evaluation.statistics.words`.

How words are taken away is in `framelens_evaluation.run.erasure`; the context stays as it is. A sentence
whose every word is evidence has nothing left, and is counted and left out.

Evidence is cues of state framing and of hedging. Where a sentence is called independent all the same,
they speak against its label: there, taking them away should raise p, and such sentences stand apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens import LABELS, InputError, Label
from framelens_evaluation.reporting.document import Callout, Cell, Figure, Section, Table, Text, three_digits
from framelens_evaluation.reporting.figures import INK, LABEL_NAMES, MUTED, SERIES, drawing, to_svg
from framelens_evaluation.reporting.provenance import Part
from framelens_evaluation.run.erasure import kept_words, random_runs, words_in_spans
from framelens_evaluation.statistics.bootstrap import Interval, cluster_codes, cluster_sums, resample
from framelens_evaluation.statistics.metrics import NO_LABEL, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from framelens_evaluation.inputs.dataset import GoldSentence
    from framelens_evaluation.inputs.systems import Answers, System
    from framelens_evaluation.reporting.document import Block
    from framelens_evaluation.statistics.bootstrap import Resampling
    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = [
    "ENOUGH",
    "Contrast",
    "Faithfulness",
    "LabelFaithfulness",
    "faithfulness_section",
    "measure_faithfulness",
]

#: Sentences after which no further article is drawn, to bound the time.
ENOUGH: Final = 2000

# What a generator is for, beside resampling, which is 0.
_SAMPLING, _PLACING = 1, 2
#: Labels that evidence can speak for.
_SPOKEN_FOR: Final = (Label.STATE_MEDIA_FRAMING, Label.HEDGED_CLAIM)


class Contrast(Part):
    """One measure, for evidence and for random words of the same sentences.

    Attributes:
        evidence: mean over sentences.
        random: the same for random words, mean over sentences of the mean over draws.
        difference: the first less the second, sentence by sentence.
    """

    evidence: Interval
    random: Interval
    difference: Interval


class LabelFaithfulness(Part):
    """The measures on the sentences that were given one label.

    Attributes:
        label: the label given; None for state framing and hedged together, for which evidence can speak.
        n_sentences: with evidence, and with words that are none.
        n_articles: that they stand in.
        words_shown: share of the sentences' words that are evidence, in [0, 1]; None without sentences.
        comprehensiveness: in [-1, 1]; higher is better.
        sufficiency: in [-1, 1]; lower is better.
        flips: share of the sentences whose most probable label changes when the words are taken away.
    """

    label: Label | None
    n_sentences: int
    n_articles: int
    words_shown: float | None
    comprehensiveness: Contrast
    sufficiency: Contrast
    flips: Contrast


class Faithfulness(Part):
    """Whether a system's labels rest on its evidence.

    Attributes:
        n_given: sentences that were given a label.
        n_with_evidence: those of them that show evidence.
        n_all_evidence: those whose every word is evidence, which are left out.
        n_draws: of random words for each sentence.
        results: for the labels that evidence can speak for, together, and then by the label given, in
            the order of `LABELS`.
    """

    n_given: int
    n_with_evidence: int
    n_all_evidence: int
    n_draws: int
    results: tuple[LabelFaithfulness, ...]


@dataclass(frozen=True, slots=True)
class _Shortened:
    """Some words of a sentence, asked like a sentence."""

    text: str
    context: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """A sentence to be taken apart: its words, which of them are evidence, and what it was given."""

    row: GoldSentence
    words: tuple[str, ...]
    shown: npt.NDArray[np.bool_]
    given: int
    probability: float


def measure_faithfulness(
    system: System,
    rows: Sequence[GoldSentence],
    answers: Answers,
    how: Resampling,
    stream: int,
    n_draws: int = 5,
    tell: Callable[[str], None] | None = None,
    *,
    enough: int = ENOUGH,
) -> Faithfulness:
    """Measure comprehensiveness and sufficiency of a system's evidence against random words.

    Args:
        system: asked again, with words taken away.
        rows: n_sentences sentences.
        answers: the system's, for ``rows``; those with a label and evidence are used.
        how: how to make the intervals, which are by article.
        stream: of random numbers.
        n_draws: random choices of words for each sentence, at least 1.
        tell: told of each step.
        enough: articles are drawn at random, and whole, until they hold so many sentences with evidence.

    Raises:
        InputError: the system shows no evidence, gives no probabilities, or cannot be asked anything new;
            ``n_draws`` or ``enough`` is below 1; evidence lies outside its sentence.
    """
    if n_draws < 1 or enough < 1:
        raise InputError(f"n_draws and enough must be at least 1, got {n_draws} and {enough}")
    if answers.evidence is None:
        raise InputError(f"{system.name} shows no evidence, whose faithfulness could be measured")
    if system.reads == "a file":
        raise InputError(f"{system.name} is a file, which cannot be asked about sentences without evidence")
    given = answers.given != NO_LABEL
    with_evidence = np.array([bool(spans) for spans in answers.evidence], dtype=bool) & given
    cases = [_case(rows[i], answers, i) for i in np.flatnonzero(with_evidence).tolist()]
    if any(np.isnan(case.probability) for case in cases):
        raise InputError(f"{system.name} gives labels without probabilities, which faithfulness is made of")
    open_cases = [case for case in cases if not case.shown.all()]
    sample = _sampled(open_cases, enough, how.rng(stream, _SAMPLING))
    values = _measured(system, sample, n_draws, how.rng(stream, _PLACING), tell or (lambda _: None))
    labels: tuple[Label | None, ...] = (None, *LABELS)
    return Faithfulness(
        n_given=int(given.sum()),
        n_with_evidence=len(cases),
        n_all_evidence=len(cases) - len(open_cases),
        n_draws=n_draws,
        results=tuple(_result(label, sample, values, how, stream) for label in labels),
    )


def _case(row: GoldSentence, answers: Answers, at: int) -> _Case:
    spans = () if answers.evidence is None else answers.evidence[at]
    words, shown = words_in_spans(row.text, [(span.start, span.end) for span in spans])
    given = int(answers.given[at])
    return _Case(row, words, shown, given, float(answers.probabilities[at, given]))


def _sampled(cases: Sequence[_Case], enough: int, rng: np.random.Generator) -> list[_Case]:
    """Whole articles at random until there are enough; in the order of the cases."""
    if len(cases) <= enough:
        return list(cases)
    codes, n_articles = cluster_codes([case.row.article for case in cases])
    order = rng.permutation(n_articles)
    held = np.cumsum(np.bincount(codes, minlength=n_articles)[order])
    kept = set(order[: int(np.searchsorted(held, enough)) + 1].tolist())
    return [case for case, code in zip(cases, codes, strict=True) if int(code) in kept]


def _measured(
    system: System,
    cases: Sequence[_Case],
    n_draws: int,
    rng: np.random.Generator,
    tell: Callable[[str], None],
) -> FloatArray:
    """Comprehensiveness, sufficiency and flips, by evidence and by random words.

    Returns:
        Shape (n_cases, n_measures, 2).
    """
    if not cases:
        return np.empty((0, 3, 2))
    draws = [[random_runs(case.shown, rng) for _ in range(n_draws)] for case in cases]
    chosen = {"evidence": [[case.shown] for case in cases], "random words": draws}
    by_choice = []
    for name, choices in chosen.items():
        n = sum(map(len, choices))
        tell(f"asking about {n:,} sentences without {name}, and as many with nothing else")
        without = _ask(system, cases, choices, keep=False)
        alone = _ask(system, cases, choices, keep=True)
        given = np.array([case.given for case in cases])
        whole = np.array([case.probability for case in cases])[:, None]
        rows = np.arange(len(cases))
        left, enough = without[rows, :, given], alone[rows, :, given]
        flips = without.argmax(-1) != given[:, None]
        by_choice.append(np.stack([whole - left, whole - enough, flips], axis=-1).mean(1))
    return np.stack(by_choice, axis=-1)


def _ask(
    system: System,
    cases: Sequence[_Case],
    choices: Sequence[Sequence[npt.NDArray[np.bool_]]],
    *,
    keep: bool,
) -> FloatArray:
    """Probabilities with the chosen words alone, or without them; shape (n_cases, n_choices, n_labels)."""
    asked = [
        _Shortened(kept_words(case.words, mask == keep), case.row.context)
        for case, masks in zip(cases, choices, strict=True)
        for mask in masks
    ]
    # In a short sentence several draws take the same words.
    places = {each: at for at, each in enumerate(dict.fromkeys(asked))}
    found = system.answer(list(places)).probabilities
    if np.isnan(found).any():
        raise InputError(f"{system.name} gives no probabilities for some sentences with words taken away")
    return found[[places[each] for each in asked]].reshape(len(cases), -1, len(LABELS))


def _result(
    label: Label | None, cases: Sequence[_Case], values: FloatArray, how: Resampling, stream: int
) -> LabelFaithfulness:
    labels = _SPOKEN_FOR if label is None else (label,)
    kept = [i for i, case in enumerate(cases) if LABELS[case.given] in labels]
    codes, n_articles = cluster_codes([cases[i].row.article for i in kept])
    # Sums of each measure, by evidence and at random, and behind them the number of sentences.
    measures = values[kept].reshape(len(kept), int(np.prod(values.shape[1:])))
    table = np.concatenate([measures, np.ones((len(kept), 1))], axis=1)
    sums = cluster_sums(table, codes, n_articles)
    means, draws = _means(sums.sum(0)), _means(resample(sums, how.n_resamples, how.rng(stream)))
    words = sum(len(cases[i].words) for i in kept)

    def contrast(at: int) -> Contrast:
        evidence, chance = 2 * at, 2 * at + 1
        return Contrast(
            evidence=Interval.of(means[evidence], draws[:, evidence], n_articles),
            random=Interval.of(means[chance], draws[:, chance], n_articles),
            difference=Interval.of(
                means[evidence] - means[chance], draws[:, evidence] - draws[:, chance], n_articles
            ),
        )

    return LabelFaithfulness(
        label=label,
        n_sentences=len(kept),
        n_articles=n_articles,
        words_shown=sum(int(cases[i].shown.sum()) for i in kept) / words if words else None,
        comprehensiveness=contrast(0),
        sufficiency=contrast(1),
        flips=contrast(2),
    )


def _means(sums: npt.NDArray[Any]) -> FloatArray:
    return ratio(sums[..., :-1], sums[..., -1:])


# What a report says of it. -----------------------------------------------------------------------------


def faithfulness_section(found: Faithfulness, *, system: str = "") -> Section:
    """The section on faithfulness: the verdict, a picture and a table.

    Args:
        found: from `measure_faithfulness`.
        system: named in the title, where a report has several such sections.
    """
    title = f"Faithfulness of the evidence: {system}" if system else "Faithfulness of the evidence"
    overall = found.results[0]
    if not overall.n_sentences:
        return Section(title, (Text("No sentence was shown with evidence for its label and words besides."),))
    n_measured = sum(result.n_sentences for result in found.results[1:])
    blocks: list[Block] = [
        Text(
            "Does the label rest on the words shown for it? **Comprehensiveness** is how much the label's "
            "probability falls when these words are deleted, **sufficiency** how much it falls when they "
            "alone are left (DeYoung et al. 2020). Deleting any words does harm, so each is set against "
            f"random words of the same sentence, as many and in as many runs, drawn {found.n_draws} times. "
            "Only the difference says something about the evidence, and it says whether the system uses "
            "these words, not whether a reader would pick them."
        ),
        _verdict(overall),
        Text(
            f"Of {found.n_given:,} sentences with a label, {found.n_with_evidence:,} show evidence; "
            f"{n_measured:,} of them are measured, and {found.n_all_evidence:,} left out for having no other "
            "words. Evidence is cues of state framing and of hedging; in a sentence called independent it "
            "speaks against the label, and deleting it should raise the label's probability. Such sentences "
            "are in the table alone."
        ),
        _figure(found, title),
        _table(found),
    ]
    return Section(title, tuple(blocks))


def _verdict(overall: LabelFaithfulness) -> Callout:
    needed = overall.comprehensiveness.difference
    enough = overall.sufficiency.difference
    if needed.low is None or enough.high is None:
        return Callout("Too few articles to say whether the evidence matters more than random words.")
    parts = [
        f"Deleting the evidence costs the label {three_digits(overall.comprehensiveness.evidence.value)} of "
        f"its probability, deleting random words {three_digits(overall.comprehensiveness.random.value)}; "
        f"the evidence alone costs it {three_digits(overall.sufficiency.evidence.value)}, random words alone "
        f"{three_digits(overall.sufficiency.random.value)}."
    ]
    is_needed = needed.low > 0
    is_enough = enough.high < 0
    match is_needed, is_enough:
        case True, True:
            parts.append("The label rests on the words shown more than on others, both ways.")
        case True, False:
            parts.append("The label needs the words shown, but they alone are no better than others.")
        case False, True:
            parts.append("The words shown carry the label better than others, but it does not need them.")
        case _:
            parts.append("**The words shown do no better than random ones.**")
    return Callout(" ".join(parts), "good" if is_needed and is_enough else "warn")


def _name(label: Label | None) -> str:
    return "both together" if label is None else LABEL_NAMES[label]


def _figure(found: Faithfulness, section: str) -> Figure:
    shown = [each for each in found.results if each.n_sentences and each.label in (None, *_SPOKEN_FOR)]
    title = f"{section}: against random words"
    panels = (
        ("comprehensiveness (higher is better)", [result.comprehensiveness for result in shown]),
        ("sufficiency (lower is better)", [result.sufficiency for result in shown]),
    )
    with drawing(7.2, 1.1 + 0.5 * len(shown), ncols=2, sharey=True) as (figure, axes):
        for panel, (name, contrasts) in zip(axes, panels, strict=True):
            panel.axvline(0, color=INK, linewidth=1)
            for at, contrast in enumerate(contrasts):
                for part, offset, colour, marker in (
                    (contrast.evidence, -0.14, SERIES[0], "o"),
                    (contrast.random, 0.14, MUTED, "D"),
                ):
                    if part.low is not None and part.high is not None:
                        panel.plot((part.low, part.high), (at + offset,) * 2, color=colour)
                    label = None if at else ("evidence" if marker == "o" else "random words")
                    panel.plot(part.value, at + offset, marker, color=colour, markersize=5, label=label)
            panel.set_title(name)
            panel.set_xlabel("fall of the label's probability")
            panel.grid(visible=False, axis="y")
            panel.set_ylim(len(shown) - 0.5, -0.5)
        axes[0].set_yticks(
            range(len(shown)), [f"{_name(result.label)} ({result.n_sentences:,})" for result in shown]
        )
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
        said = "; ".join(
            f"{_name(result.label)}: comprehensiveness {result.comprehensiveness.evidence} against "
            f"{result.comprehensiveness.random}, sufficiency {result.sufficiency.evidence} against "
            f"{result.sufficiency.random}"
            for result in shown
        )
        description = f"Evidence against random words, by the label given. {said}."
        svg = to_svg(figure, title, description)
    name = "-".join(re.findall(r"[a-z0-9]+", section.lower()))
    return Figure(name, svg, title, description, "95 % intervals by article; in brackets, the sentences.")


def _table(found: Faithfulness) -> Table:
    rows: list[tuple[object, ...]] = []
    for result in found.results:
        against = result.label is not None and result.label not in _SPOKEN_FOR
        share = "n/a" if result.words_shown is None else f"{result.words_shown:.1%}"
        for name, contrast, more_is_better in (
            ("comprehensiveness", result.comprehensiveness, not against),
            ("sufficiency", result.sufficiency, against),
            ("label changes", result.flips, not against),
        ):
            rows.append(
                (
                    f"{_name(result.label)} (against)" if against else _name(result.label),
                    f"{result.n_sentences:,}",
                    share,
                    name,
                    contrast.evidence,
                    contrast.random,
                    _difference(contrast.difference, more_is_better),
                )
            )
    caption = "Falls of the label's probability, and labels that change when the words are deleted"
    header = ("label given", "n", "words shown", "measure", "evidence", "random words", "difference")
    return Table(header, tuple(rows), caption)


def _difference(gap: Interval, more_is_better: bool) -> Cell:
    if gap.value is None or gap.includes_zero:
        return Cell(str(gap))
    return Cell(str(gap), tone="good" if (gap.value > 0) == more_is_better else "bad")
