"""One evaluation: every system on the same sentences, the same resamples, in one run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from framelens import LABELS, InputError
from framelens_evaluation import metrics
from framelens_evaluation.baselines import BASELINES, build_baseline
from framelens_evaluation.bootstrap import (
    Interval,
    Resampling,
    cluster_codes,
    cluster_confusions,
    resample,
)
from framelens_evaluation.dataset import gold_labels
from framelens_evaluation.details import model_details
from framelens_evaluation.provenance import describe_machine, installed_versions
from framelens_evaluation.report import (
    DataSummary,
    Difference,
    LabelResult,
    Report,
    Subset,
    SubsetResult,
    SystemResult,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt

    from framelens import Prediction
    from framelens_evaluation.baselines import BaselineName
    from framelens_evaluation.dataset import GoldSentence, GoldSet
    from framelens_evaluation.metrics import FloatArray, IntArray
    from framelens_evaluation.report import ModelDetails

__all__ = ["MODEL_ALONE", "MODEL_PAIRED", "Classifier", "evaluate"]

#: Names of our model in a report: with the sentences before, and without them.
MODEL_PAIRED = "framelens with context"
MODEL_ALONE = "framelens without context"
_WHERE: dict[Subset, str] = {
    "all": "all sentences",
    "natural": "the natural sample",
    "seen outlets": "seen outlets",
    "unseen outlets": "unseen outlets",
}


class Classifier(Protocol):
    """What is asked of a model; `framelens.FramingClassifier` is one."""

    def predict_proba(
        self, texts: list[str], /, context: list[str | None] | None = None
    ) -> npt.NDArray[np.floating[Any]]:
        """Probabilities of shape (n_sentences, n_labels), ordered as `LABELS`."""

    def label_many(
        self, texts: list[str], /, context: list[str | None] | None = None
    ) -> Iterable[Prediction]:
        """One prediction a text, in order."""


@dataclass
class _System:
    """A system's labels for the labelled sentences, as codes, and what else is known of it."""

    name: str
    reads: str
    given: IntArray
    details: ModelDetails | None = None
    is_model: bool = False
    results: list[SubsetResult] = field(default_factory=list)


def evaluate(
    model: Classifier | None,
    data: GoldSet,
    train: GoldSet | None = None,
    *,
    baselines: Sequence[BaselineName] | None = None,
    seed: int = 0,
    n_resamples: int = 1000,
    command: str | None = None,
    note: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Measure a model beside baselines.

    Our model stands in the report twice, with the sentences before as context and without, unless its
    ``context_sentences`` is 0: then it does not read them. Subsets are all labelled sentences, those of
    the stratum ``natural``, and those whose outlet occurs in ``train`` or does not; a sentence of unknown
    outlet is in neither of the last two.

    Args:
        model: None measures the baselines alone.
        data: what to measure on.
        train: what the baselines are fitted on and what tells seen from unseen outlets; it should be
            what the model was fitted on.
        baselines: which; None means all of them with ``train`` and none without.
        seed: of the resampling.
        n_resamples: articles are drawn this often for the 95 % intervals.
        command: how the run was called, for the report.
        note: a remark on the data, for the report.
        progress: told of each step as it begins.

    Raises:
        InputError: no labelled sentences, nothing to measure, baselines without ``train``, or a
            model that does not give one prediction a sentence.
        MissingExtraError: a baseline needs what is not installed.
    """
    begun, created = time.perf_counter(), datetime.now(UTC)
    tell = progress or (lambda _: None)
    names = baselines if baselines is not None else (BASELINES if train else ())
    if not data.labelled:
        raise InputError(f"{data.name} holds no labelled sentences")
    if model is None and not names:
        raise InputError("nothing to measure: give a model, or baselines and their training sentences")
    how = Resampling(seed, n_resamples)
    systems = _run_systems(model, data, train, names, how, tell)
    differences = []
    for stream, (subset, mask) in enumerate(_subsets(data.labelled, train)):
        tell(f"resampling articles: {subset}")
        differences += _measure(systems, subset, mask, data.labelled, how, stream)
    return Report(
        created=created,
        seconds=round(time.perf_counter() - begun, 1),
        command=command,
        note=note,
        seed=seed,
        n_resamples=n_resamples,
        data=_summary(data),
        train=_summary(train) if train else None,
        shared_articles=len(train.articles & data.articles) if train else None,
        model_digest=getattr(model, "digest", None),
        model_context_sentences=getattr(model, "context_sentences", None),
        versions=installed_versions(),
        machine=describe_machine(),
        systems=tuple(
            SystemResult(name=s.name, reads=s.reads, subsets=tuple(s.results), details=s.details)
            for s in systems
        ),
        differences=tuple(differences),
    )


def _summary(data: GoldSet) -> DataSummary:
    return DataSummary(
        name=data.name,
        sha256=data.sha256,
        n_labelled=len(data.labelled),
        n_out_of_scope=len(data.out_of_scope),
        n_articles=len({row.article for row in data.labelled}),
    )


def _run_systems(
    model: Classifier | None,
    data: GoldSet,
    train: GoldSet | None,
    names: Sequence[BaselineName],
    how: Resampling,
    tell: Callable[[str], None],
) -> list[_System]:
    """Every system's labels; the model's two readings first."""
    if names and train is None:
        raise InputError("the baselines are fitted in the run: give the training sentences too")
    systems = []
    if model is not None:
        modes = [(MODEL_PAIRED, True), (MODEL_ALONE, False)]
        if getattr(model, "context_sentences", None) == 0:
            del modes[0]
        for name, with_context in modes:
            tell(f"labelling {len(data.sentences):,} sentences: {name}")
            systems.append(_run_model(name, model, data, with_context, how))
    if train is not None:
        for baseline in dict.fromkeys(names):
            tell(f"fitting and running the baseline {baseline}")
            systems.append(_run_baseline(baseline, data, train))
    return systems


def _run_baseline(name: BaselineName, data: GoldSet, train: GoldSet) -> _System:
    baseline = build_baseline(name)
    baseline.fit([row.text for row in train.labelled], gold_labels(train.labelled))
    given = baseline.predict_proba([row.text for row in data.labelled]).argmax(-1)
    return _System(name, "nothing" if name == "majority" else "sentence", given)


def _run_model(name: str, model: Classifier, data: GoldSet, with_context: bool, how: Resampling) -> _System:
    def contexts(rows: Sequence[GoldSentence]) -> list[str | None] | None:
        return [row.context or None for row in rows] if with_context else None

    rows, labelled = data.sentences, data.labelled
    found = list(model.label_many([row.text for row in rows], context=contexts(rows)))
    if len(found) != len(rows):
        raise InputError(f"the model gave {len(found)} predictions for {len(rows)} sentences")
    probabilities = model.predict_proba([row.text for row in labelled], context=contexts(labelled))
    if probabilities.shape != (len(labelled), len(LABELS)):
        raise InputError(
            f"probabilities must have the shape {(len(labelled), len(LABELS))}, got {probabilities.shape}"
        )
    on_labelled = [p for row, p in zip(rows, found, strict=True) if row.label is not None]
    on_others = [p for row, p in zip(rows, found, strict=True) if row.label is None]
    return _System(
        name,
        "sentence and context" if with_context else "sentence",
        metrics.encode_labels([p.label for p in on_labelled]),
        model_details(labelled, on_labelled, on_others, probabilities, how),
        is_model=True,
    )


def _subsets(
    rows: Sequence[GoldSentence], train: GoldSet | None
) -> list[tuple[Subset, npt.NDArray[np.bool_]]]:
    """Names of the subsets and which rows are in each, shape (n_sentences,)."""
    natural = np.array([row.stratum == "natural" for row in rows])
    found: list[tuple[Subset, npt.NDArray[np.bool_]]] = [
        ("all", np.ones(len(rows), dtype=bool)),
        ("natural", natural),
    ]
    if train is not None:
        known = np.array([row.outlet_id is not None for row in rows])
        seen = np.array([row.outlet_id in train.outlets for row in rows])
        found += [("seen outlets", seen), ("unseen outlets", known & ~seen)]
    return found


def _measure(
    systems: Sequence[_System],
    subset: Subset,
    mask: npt.NDArray[np.bool_],
    rows: Sequence[GoldSentence],
    how: Resampling,
    stream: int,
) -> list[Difference]:
    """Add every system's result on a subset; the differences between them are returned."""
    kept = [row for row, keep in zip(rows, mask, strict=True) if keep]
    gold = metrics.encode_labels(gold_labels(kept))
    codes, n = cluster_codes([row.article for row in kept])
    by_system = [cluster_confusions(gold, system.given[mask], codes, n) for system in systems]
    sums = np.stack(by_system, axis=1)
    draws = resample(sums, how.n_resamples, how.rng(stream))
    for i, system in enumerate(systems):
        system.results.append(_subset_result(subset, sums[:, i], draws[:, i]))
    macro, macro_draws = metrics.macro_f1(sums.sum(0)), metrics.macro_f1(draws)
    differences = []
    for i, system in enumerate(systems):
        for j, other in enumerate(systems[i + 1 :], start=i + 1):
            if system.is_model:
                gap = Interval.of(macro[i] - macro[j], macro_draws[:, i] - macro_draws[:, j], n)
                words = _in_words(system.name, other.name, subset, gap)
                differences.append(
                    Difference(
                        system=system.name, other=other.name, subset=subset, macro_f1=gap, in_words=words
                    )
                )
    return differences


def _subset_result(subset: Subset, sums: FloatArray, draws: FloatArray) -> SubsetResult:
    """Scores of one system from its counts by article and by resample."""
    counts, n = sums.sum(0), len(sums)
    scores = {f.__name__: (f(counts), f(draws)) for f in (metrics.precision, metrics.recall, metrics.f1)}

    def of_label(score: str, at: int) -> Interval:
        value, drawn = scores[score]
        return Interval.of(value[at], drawn[:, at], n)

    return SubsetResult(
        subset=subset,
        n_sentences=int(counts.sum()),
        n_articles=n,
        n_refused=int(counts[:, metrics.NO_LABEL].sum()),
        macro_f1=Interval.of(metrics.macro_f1(counts), metrics.macro_f1(draws), n),
        accuracy=Interval.of(metrics.accuracy(counts), metrics.accuracy(draws), n),
        labels=tuple(
            LabelResult(
                label=label,
                n_gold=int(counts[at].sum()),
                precision=of_label("precision", at),
                recall=of_label("recall", at),
                f1=of_label("f1", at),
            )
            for at, label in enumerate(LABELS)
        ),
    )


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
    return f"{where} {system} is {better} than {other}, by {abs(gap.value):.3f} of macro-F1."
