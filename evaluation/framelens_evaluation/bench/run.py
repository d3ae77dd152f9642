"""Measuring methods on benchmarks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import numpy as np

from framelens_evaluation.bench.data import repeated, splits_of, without_repeats
from framelens_evaluation.bench.methods import FITTED, FLOORS, Parts, suits
from framelens_evaluation.bench.report import (
    AS_SPLIT,
    WITHOUT_REPEATS,
    BenchReport,
    Comparison,
    FoldResult,
    MethodResult,
    ModelFacts,
    Repeats,
    TaskResult,
)
from framelens_evaluation.bench.scoring import Scorer
from framelens_evaluation.reporting.provenance import (
    Started,
)
from framelens_evaluation.statistics.metrics import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from framelens_evaluation.bench.data import BenchData, Split
    from framelens_evaluation.bench.encoder import Encoder
    from framelens_evaluation.bench.methods import Answers, Method
    from framelens_evaluation.bench.report import Variant
    from framelens_evaluation.reporting.provenance import Source
    from framelens_evaluation.statistics.bootstrap import Interval, Resampling

__all__ = ["compare", "measure_task", "model_facts", "run_bench"]

#: One stream for every method, so that all are measured on the same resamples.
_STREAM = 0


def run_bench(
    sets: Iterable[BenchData],
    methods: Sequence[Method],
    how: Resampling,
    *,
    model: ModelFacts | None = None,
    command: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
    after_task: Callable[[BenchReport], None] = lambda _: None,
) -> BenchReport:
    """Measure every method on every set.

    Args:
        sets: the tasks' sentences; read one after the other.
        methods: from `framelens_evaluation.bench.methods.build_methods`.
        how: seed and number of resamples.
        model: whose encoder the methods use.
        command: as it was called.
        tell: told each step.
        after_task: given the report so far after each task, since a run may take hours.

    Raises:
        InputError: a set that cannot be split, or whose training part has one class.
    """
    started = Started()
    results: list[TaskResult] = []
    sources: list[Source] = []

    def report() -> BenchReport:
        return BenchReport(
            model=model,
            tasks=tuple(results),
            provenance=started.provenance(
                command=command,
                seed=how.seed,
                n_resamples=how.n_resamples,
                sources=sources,
            ),
        )

    for data in sets:
        results.append(measure_task(data, methods, how, model=model, tell=tell))
        sources += data.sources
        after_task(report())
    return report()


def model_facts(encoder: Encoder, given: str) -> ModelFacts:
    """What the report says of an encoder."""
    return ModelFacts(
        name=encoder.name, given=given, digest=encoder.digest, is_framelens=encoder.is_framelens
    )


def measure_task(
    data: BenchData,
    methods: Sequence[Method],
    how: Resampling,
    *,
    model: ModelFacts | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> TaskResult:
    """Measure every method that suits a task; see `run_bench`.

    Raises:
        InputError: the set cannot be split, or a training part has one class.
    """
    task = data.task
    splits = splits_of(data)
    variants: list[tuple[Variant, tuple[Split, ...]]] = [(AS_SPLIT, splits)]
    if task.deduplicated:
        variants.append((WITHOUT_REPEATS, tuple(without_repeats(data, split) for split in splits)))
    results = []
    for method in methods:
        if not suits(method.name, task):
            continue
        # What is not fitted learns nothing from the sentences that are repeated.
        for variant, parts in variants if method.name in FITTED else variants[:1]:

            def step(what: str, method: Method = method, variant: str = variant) -> None:
                tell(f"{task.name}: {method.name}, {variant}: {what}")

            results.append(_measure(data, parts, method, variant, how, step))
    tested = np.concatenate([split.test for split in splits])
    shares = np.bincount([data.rows[i].label for i in tested], minlength=len(task.classes)) / len(tested)
    return TaskResult(
        name=task.name,
        title=task.title,
        asks=task.asks,
        metric=task.metric,
        homes=task.homes,
        licence=task.licence,
        n_sentences=len(data.rows),
        n_test=len(tested),
        class_shares={name: float(share) for name, share in zip(task.classes, shares, strict=True)},
        left_out=data.left_out,
        split=task.described_splits,
        resampled=_resampled(data),
        n_groups=len({data.rows[i].group for i in tested}),
        repeats=_repeats(data, splits),
        published=task.published,
        none_comparable=task.none_comparable,
        caveats=task.caveats,
        overlap=task.overlaps_training if model is not None and model.is_framelens else None,
        results=tuple(results),
        not_measured=tuple(
            method.name for method in methods if not suits(method.name, task) and method.name not in FLOORS
        ),
    )


def _measure(
    data: BenchData,
    splits: Sequence[Split],
    method: Method,
    variant: Variant,
    how: Resampling,
    tell: Callable[[str], None],
) -> MethodResult:
    scorer = Scorer(len(data.task.classes), data.task.positive)
    labels = np.array([row.label for row in data.rows])
    given = np.full(len(labels), -1)
    folds: list[FoldResult] = []
    clock = time.perf_counter()
    for at, split in enumerate(splits):
        tell(f"part {at + 1} of {len(splits)}" if len(splits) > 1 else "fitting")
        answers = method.answer(_parts(data, split, scorer, how.seed, tell))
        threshold = None if answers.is_final else scorer.threshold(labels[split.dev], answers.dev)
        given[split.test] = scorer.decide(answers.test, threshold)
        folds.append(_fold(scorer.score(labels[split.test], given[split.test]), threshold, answers, split))
    tested = np.concatenate([split.test for split in splits])
    groups = [data.rows[i].group for i in tested]
    fold = np.repeat(np.arange(len(splits)), [len(split.test) for split in splits])
    score = scorer.interval(labels[tested], given[tested], groups, how, _STREAM, fold)
    return MethodResult(
        method=method.name,
        variant=variant,
        score=score,
        folds=tuple(folds),
        comparisons=()
        if method.name in FLOORS
        else tuple(compare(score, p.system, p.value) for p in data.task.published),
        seconds=time.perf_counter() - clock,
    )


def _parts(data: BenchData, split: Split, scorer: Scorer, seed: int, tell: Callable[[str], None]) -> Parts:
    """What a method may see; the classes of test are not in it."""
    rows = data.rows
    return Parts(
        task=data.task,
        scorer=scorer,
        train_texts=[rows[i].text for i in split.train],
        train_labels=np.array([rows[i].label for i in split.train]),
        dev_texts=[rows[i].text for i in split.dev],
        dev_labels=np.array([rows[i].label for i in split.dev]),
        test_texts=[rows[i].text for i in split.test],
        seed=seed,
        tell=tell,
    )


def _fold(score: float, threshold: float | None, answers: Answers, split: Split) -> FoldResult:
    return FoldResult(
        score=number(score),
        threshold=threshold,
        chosen=answers.chosen,
        n_train=len(split.train),
        n_dev=len(split.dev),
        n_test=len(split.test),
    )


def compare(score: Interval, system: str, published: float) -> Comparison:
    """Where a published figure lies; the bounds count as inside.

    The interval holds our sampling error alone. The published figure has one too, which is not known, so
    "above" and "below" are no tests of a difference between systems.
    """
    where: Literal["above", "inside", "below"] | None
    if score.low is None or score.high is None:
        where = None
    elif published > score.high:
        where = "above"
    elif published < score.low:
        where = "below"
    else:
        where = "inside"
    return Comparison(system=system, published=published, where=where)


def _resampled(data: BenchData) -> str:
    """What the intervals resample."""
    if data.n_without_group == len(data.rows):
        return "sentence; the set names no articles"
    if data.n_without_group:
        return f"{data.task.group_is}; {data.n_without_group} sentences that name none singly"
    return data.task.group_is


def _repeats(data: BenchData, splits: Sequence[Split]) -> Repeats:
    return Repeats(
        test_in_train=sum(len(repeated(data, split.test, split.train)) for split in splits),
        test_in_dev=sum(len(repeated(data, split.test, split.dev)) for split in splits),
        dev_in_train=sum(len(repeated(data, split.dev, split.train)) for split in splits),
    )
