"""What a run of benchmarks gives: typed, and written as ``report.json``."""

from __future__ import annotations

from typing import Literal

from framelens_evaluation.bench.tasks import Home, Metric, Published
from framelens_evaluation.reporting.provenance import Part, Provenance
from framelens_evaluation.statistics.bootstrap import Interval

__all__ = [
    "AS_SPLIT",
    "WITHOUT_REPEATS",
    "BenchReport",
    "Comparison",
    "FoldResult",
    "MethodResult",
    "ModelFacts",
    "Repeats",
    "TaskResult",
    "Variant",
]

Variant = Literal["as split", "without repeats"]
AS_SPLIT: Variant = "as split"
WITHOUT_REPEATS: Variant = "without repeats"


class ModelFacts(Part):
    """The model whose encoder was measured.

    Attributes:
        name: for reading.
        given: as the command was given it.
        digest: of a framelens model; None for others.
        is_framelens: whether the warnings of overlap with its training data apply.
    """

    name: str
    given: str
    digest: str | None
    is_framelens: bool


class Comparison(Part):
    """A published figure beside ours.

    Attributes:
        system: whose figure.
        published: the figure.
        where: it lies above, inside or below our 95 % interval; None where there is no interval.
    """

    system: str
    published: float
    where: Literal["above", "inside", "below"] | None


class FoldResult(Part):
    """One fitting.

    Attributes:
        score: on its test part; None where it is not defined.
        threshold: chosen on its dev part; None where none is used.
        chosen: settings that its dev part decided.
        n_train: sentences fitted on.
        n_dev: sentences that decided.
        n_test: sentences measured on.
    """

    score: float | None
    threshold: float | None
    chosen: dict[str, float]
    n_train: int
    n_dev: int
    n_test: int


class MethodResult(Part):
    """One method on one task.

    Attributes:
        method: its name.
        variant: on which training part.
        score: the metric on test; over folds, the mean.
        folds: each fitting; one where there is a published split.
        comparisons: with each published figure; none for the floors.
        seconds: wall time.
    """

    method: str
    variant: Variant
    score: Interval
    folds: tuple[FoldResult, ...]
    comparisons: tuple[Comparison, ...]
    seconds: float


class Repeats(Part):
    """Sentences that stand in two parts of the split, apart from case, spaces and punctuation.

    Summed over folds where there are any.

    Attributes:
        test_in_train: sentences of test that also stand in train.
        test_in_dev: sentences of test that also stand in dev.
        dev_in_train: sentences of dev that also stand in train.
    """

    test_in_train: int
    test_in_dev: int
    dev_in_train: int


class TaskResult(Part):
    """One task.

    Attributes:
        name: of the task.
        title: for headings.
        asks: what is to be decided.
        metric: what is measured.
        homes: where the sentences come from.
        licence: of the set.
        n_sentences: used.
        n_test: measured on, over all folds.
        class_shares: of the test sentences' classes.
        left_out: rows that were not used, by reason.
        split: how the parts were made.
        resampled: what the intervals resample.
        n_groups: how many of them are in test.
        repeats: sentences that stand in two parts.
        published: figures of others.
        none_comparable: why there are none.
        caveats: what a reader must know of the data.
        overlap: what of it the model was fitted on; None for none that is known.
        results: by method.
        not_measured: methods that do not suit the task.
    """

    name: str
    title: str
    asks: str
    metric: Metric
    homes: tuple[Home, ...]
    licence: str
    n_sentences: int
    n_test: int
    class_shares: dict[str, float]
    left_out: dict[str, int]
    split: str
    resampled: str
    n_groups: int
    repeats: Repeats
    published: tuple[Published, ...]
    none_comparable: str | None
    caveats: tuple[str, ...]
    overlap: str | None
    results: tuple[MethodResult, ...]
    not_measured: tuple[str, ...]


class BenchReport(Part):
    """A run.

    Attributes:
        model: whose encoder; None where no method used one.
        tasks: in the order of the command.
        provenance: how it was measured.
    """

    schema_version: Literal[1] = 1
    model: ModelFacts | None
    tasks: tuple[TaskResult, ...]
    provenance: Provenance
