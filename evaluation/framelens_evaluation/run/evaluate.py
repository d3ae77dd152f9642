"""One evaluation: every system on the same sentences, the same resamples, in one run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS, InputError, MissingExtraError
from framelens_evaluation.inputs.baselines import BASELINES
from framelens_evaluation.inputs.dataset import gold_labels, shared_sentences
from framelens_evaluation.inputs.systems import fitted_baseline
from framelens_evaluation.reporting.provenance import (
    Source,
    Started,
)
from framelens_evaluation.run.details import measure_details
from framelens_evaluation.run.report import (
    DataSummary,
    Difference,
    Report,
    Subset,
    SubsetResult,
    SystemResult,
)
from framelens_evaluation.statistics import metrics
from framelens_evaluation.statistics.bootstrap import (
    Interval,
    Resampling,
    cluster_codes,
    cluster_confusions,
    resample,
)
from framelens_evaluation.statistics.scores import score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy.typing as npt

    from framelens_evaluation.inputs.baselines import BaselineName
    from framelens_evaluation.inputs.dataset import GoldSentence, GoldSet
    from framelens_evaluation.inputs.systems import Answers, System
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["Evaluation", "evaluate"]

_WHERE: dict[Subset, str] = {
    "all": "all sentences",
    "natural": "the natural sample",
    "reweighted": "the reweighted sentences",
    "seen outlets": "seen outlets",
    "unseen outlets": "unseen outlets",
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A report, and the rows behind it, which a page shows some of and a report never holds.

    Attributes:
        report: the figures.
        rows: the labelled sentences.
        answers: of the first system, for ``rows``.
    """

    report: Report
    rows: tuple[GoldSentence, ...]
    answers: Answers


@dataclass
class _Measured:
    """A system's answers for every sentence of the data."""

    system: System
    name: str
    answers: Answers
    labelled: npt.NDArray[np.bool_]
    results: list[SubsetResult] = field(default_factory=list)

    @property
    def given(self) -> IntArray:
        return self.answers.given[self.labelled]

    @property
    def probabilities(self) -> FloatArray:
        return self.answers.probabilities[self.labelled]


def evaluate(
    systems: Sequence[System],
    data: GoldSet,
    train: GoldSet | None = None,
    *,
    baselines: Sequence[BaselineName] | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
    faithfulness: bool = True,
    judge_ceiling: Interval | None = None,
    command: str | None = None,
    note: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Evaluation:
    """Measure systems beside baselines.

    Subsets are all labelled sentences; those of the stratum ``natural``; all of them reweighted, where
    every one carries its inclusion probability; and those whose outlet occurs in ``train`` or does not,
    where a sentence of unknown outlet is in neither.

    Args:
        systems: what to measure; the first one is looked at closely.
        data: what to measure on.
        train: what the baselines are fitted on and what tells seen from unseen outlets; it should be
            what the systems were fitted on.
        baselines: which to add; None means all that are installed with ``train``, and without it those
            that need no fitting.
        seed: of the resampling.
        n_resamples: articles are drawn this often for the 95 % intervals.
        faithfulness: whether to ask the first system again with its evidence taken away.
        judge_ceiling: macro-F1 of one judge against another, shown beside the systems.
        command: how the run was called, for the report.
        note: a remark on the data, for the report.
        progress: told of each step as it begins.

    Raises:
        InputError: no labelled sentences, no system, a baseline without ``train``, or a system that
            does not answer for every sentence.
        MissingExtraError: a baseline that was asked for needs what is not installed.
    """
    started = Started()
    tell = progress or (lambda _: None)
    if not data.labelled:
        raise InputError(f"{data.name} holds no labelled sentences")
    if not systems:
        raise InputError("nothing to measure: give at least one system")
    how = Resampling(seed, n_resamples)
    others, left_out = _baselines(baselines, systems, train, tell)
    measured = _ask([*systems, *others], data, tell)
    differences = []
    for stream, (subset, mask, weights) in enumerate(_subsets(data.labelled, train)):
        tell(f"resampling articles: {subset}")
        differences += _measure(measured, len(systems), subset, mask, weights, data.labelled, how, stream)
    first = measured[0]
    tell(f"looking closely at {first.name}")
    details = measure_details(first.system, data, first.answers, how, faithfulness=faithfulness, tell=tell)
    report = Report(
        provenance=started.provenance(
            command=command,
            seed=seed,
            n_resamples=n_resamples,
            sources=_sources(first, data, train),
        ),
        note=note,
        data=_summary(data),
        train=_summary(train) if train else None,
        shared_articles=len(train.articles & data.articles) if train else None,
        shared_sentences=shared_sentences(data, train) if train else None,
        left_out=tuple(left_out),
        model_digest=first.system.digest,
        model_context_sentences=_context_sentences(first.system),
        judge_ceiling=judge_ceiling,
        systems=tuple(_result(each, data.labelled) for each in measured),
        differences=tuple(differences),
        details=details,
    )
    return Evaluation(report, data.labelled, first.answers.of(first.labelled))


def _baselines(
    names: Sequence[BaselineName] | None,
    systems: Sequence[System],
    train: GoldSet | None,
    tell: Callable[[str], None],
) -> tuple[list[System], list[str]]:
    """The baselines that are not among the systems already, and those left out with the reason."""
    wanted = names if names is not None else BASELINES if train else ("lexicon",)
    fitted, left_out = [], []
    for name in dict.fromkeys(wanted):
        if name in {system.name for system in systems}:
            continue
        tell(f"fitting the baseline {name}")
        try:
            fitted.append(fitted_baseline(name, train))
        except MissingExtraError as error:
            if names is not None:
                raise
            left_out.append(f"{name}: {error}")
    return fitted, left_out


def _ask(systems: Sequence[System], data: GoldSet, tell: Callable[[str], None]) -> list[_Measured]:
    """Every system's answers for every sentence, under names that differ."""
    labelled = np.array([row.label is not None for row in data.sentences])
    measured: list[_Measured] = []
    for system in systems:
        same = sum(each.system.name == system.name for each in measured)
        name = f"{system.name} ({same + 1})" if same else system.name
        tell(f"labelling {len(data.sentences):,} sentences: {name}")
        answers = system.answer(data.sentences)
        shape = (len(data.sentences), len(LABELS))
        if answers.given.shape != shape[:1] or answers.probabilities.shape != shape:
            raise InputError(
                f"{name} must answer for {shape[0]} sentences and {shape[1]} labels, "
                f"got arrays of {answers.given.shape} and {answers.probabilities.shape}"
            )
        measured.append(_Measured(system, name, answers, labelled))
    return measured


def _subsets(
    rows: Sequence[GoldSentence], train: GoldSet | None
) -> list[tuple[Subset, npt.NDArray[np.bool_], FloatArray | None]]:
    """Names of the subsets, which rows are in each, and weights where a subset has them."""
    everything = np.ones(len(rows), dtype=bool)
    natural = np.array([row.stratum == "natural" for row in rows])
    found: list[tuple[Subset, npt.NDArray[np.bool_], FloatArray | None]] = [
        ("all", everything, None),
    ]
    if natural.any():
        found.append(("natural", natural, None))
    drawn = [row.inclusion_probability for row in rows]
    known_draws = [probability for probability in drawn if probability is not None]
    if len(known_draws) == len(rows):
        found.append(("reweighted", everything, 1.0 / np.array(known_draws)))
    if train is not None:
        known = np.array([row.outlet_id is not None for row in rows])
        outlets = train.outlets  # gathered from all sentences whenever it is asked for
        seen = np.array([row.outlet_id in outlets for row in rows])
        found += [("seen outlets", seen, None), ("unseen outlets", known & ~seen, None)]
    return found


def _measure(
    measured: Sequence[_Measured],
    n_systems: int,
    subset: Subset,
    mask: npt.NDArray[np.bool_],
    weights: FloatArray | None,
    rows: Sequence[GoldSentence],
    how: Resampling,
    stream: int,
) -> list[Difference]:
    """Add every system's result on a subset; the differences between them are returned."""
    kept = [row for row, keep in zip(rows, mask, strict=True) if keep]
    gold = metrics.encode_labels(gold_labels(kept))
    codes, n = cluster_codes([row.article for row in kept])
    weighing = None if weights is None else weights[mask]
    for each in measured:
        found = score(gold, each.given[mask], each.probabilities[mask], codes, how, stream, weights=weighing)
        each.results.append(SubsetResult(subset=subset, **dict(found)))
    sums = np.stack(
        [cluster_confusions(gold, each.given[mask], codes, n, weighing) for each in measured], axis=1
    )
    draws = metrics.macro_f1(resample(sums, how.n_resamples, how.rng(stream)))
    values = metrics.macro_f1(sums.sum(0))
    differences = []
    for i, first in enumerate(measured[:n_systems]):
        for j, other in enumerate(measured[i + 1 :], start=i + 1):
            gap = Interval.of(values[i] - values[j], draws[:, i] - draws[:, j], n)
            words = _in_words(first.name, other.name, subset, gap)
            differences.append(
                Difference(system=first.name, other=other.name, subset=subset, macro_f1=gap, in_words=words)
            )
    return differences


def _result(each: _Measured, rows: Sequence[GoldSentence]) -> SystemResult:
    gold = metrics.encode_labels(gold_labels(rows))
    confusion = cluster_confusions(gold, each.given, np.zeros_like(gold), 1)[0]
    return SystemResult(
        name=each.name,
        reads=each.system.reads,
        digest=each.system.digest,
        subsets=tuple(each.results),
        confusion=tuple(tuple(int(n) for n in line) for line in confusion),
    )


def _summary(data: GoldSet) -> DataSummary:
    counts = Counter(gold_labels(data.labelled))
    return DataSummary(
        name=data.name,
        sha256=data.sha256,
        n_labelled=len(data.labelled),
        n_out_of_scope=len(data.out_of_scope),
        n_articles=len({row.article for row in data.labelled}),
        n_by_label={label: counts[label] for label in LABELS},
    )


def _sources(first: _Measured, data: GoldSet, train: GoldSet | None) -> Iterator[Source]:
    yield Source(
        role="model", name=first.name, sha256=first.system.digest, described=f"reads {first.system.reads}"
    )
    for role, found in (("data", data), ("train", train)):
        if found is not None:
            described = (
                f"{len(found.labelled):,} labelled sentences of "
                f"{len({row.article for row in found.labelled}):,} articles, "
                f"{len(found.out_of_scope):,} not applicable"
            )
            yield Source(role=role, name=found.name, sha256=found.sha256, described=described)


def _context_sentences(system: System) -> int | None:
    classifier = getattr(system, "classifier", None)
    found: int | None = getattr(classifier, "context_sentences", None)
    return found


def _in_words(system: str, other: str, subset: Subset, gap: Interval) -> str:
    where = f"On {_WHERE[subset]}"
    if gap.value is None:
        return f"{where} there is nothing to compare."
    if gap.low is None or gap.high is None:
        return f"{where} {system} and {other} stand in too few articles to be compared."
    if gap.includes_zero:
        return (
            f"{where} {system} and {other} cannot be told apart: the interval of their gap, "
            f"{gap.value:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}], includes 0."
        )
    better = "better" if gap.value > 0 else "worse"
    low, high = sorted((abs(gap.low), abs(gap.high)))
    by = f"{abs(gap.value):.3f} [{low:.3f}, {high:.3f}]"
    return f"{where} {system} is {better} than {other}, by {by} of macro-F1."
