"""A run of benchmarks as a document, and in lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framelens_evaluation.bench.figure import overview
from framelens_evaluation.bench.report import WITHOUT_REPEATS
from framelens_evaluation.reporting.document import Callout, Cell, Document, Section, Table, Text
from framelens_evaluation.reporting.provenance import provenance_section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.bench.report import BenchReport, MethodResult, TaskResult
    from framelens_evaluation.bench.tasks import Task
    from framelens_evaluation.reporting.document import Block, Tone

__all__ = ["bench_document", "task_line", "task_list"]

_READING = (
    "Each figure is measured on all test sentences, with a 95 % interval from resampling whole articles "
    "where the set names them. The interval covers the choice of test sentences, not that of training "
    "sentences, folds or seed. Over folds, a figure is the mean of theirs. A published figure is said to lie "
    "above, inside or below **our** interval; "
    "it has an error of its own, which is not known, so this is no test of one system against another. "
    "Published systems differ from ours in size, in training data and, where a note says so, in the split."
)
_METHODS = (
    ("majority", "the most frequent class of train, for every sentence"),
    ("always", "the measured class, for every sentence: the floor of an F1 of one class"),
    (
        "tfidf",
        "TF-IDF of words, word pairs and 3 to 5 characters, logistic regression with C = 1, classes weighted "
        "equally; uses no model",
    ),
    (
        "probe",
        "the model's encoder as it is, its first token's vector beside the mean of all tokens', standardised "
        "by train; logistic regression, classes weighted equally, C chosen on dev of 0.0001 to 1",
    ),
    (
        "finetune",
        "the model's encoder trained on with a new linear layer on the mean of its tokens; classes weighted "
        "equally, one seed, the best epoch chosen on dev",
    ),
    ("zero-shot", "the probability of one label of ours, as it is; nothing is fitted but the threshold"),
)
#: Which method stands in the headline, the first that was measured.
_FOREMOST = ("finetune", "probe", "zero-shot", "tfidf")
_THRESHOLD = (
    "Where F1 of one class is measured, a sentence is given the class from a threshold upwards. The "
    "threshold is the one of the best F1 on dev, for each method and fold. No method ever sees a label of "
    "test."
)


def bench_document(report: BenchReport) -> Document:
    """The document of a run."""
    model = report.model
    lead = "Sets that others annotated, with the figures that they published."
    if model is not None:
        lead += f" The encoder is that of **{model.name}**."
    used = {result.method for task in report.tasks for result in task.results}
    return Document(
        title="Public benchmarks",
        lead=lead,
        headline=tuple(headline for task in report.tasks[:4] if (headline := _headline(task))),
        sections=(
            Section("At a glance", _glance(report)),
            *(Section(task.title, _task_blocks(task)) for task in report.tasks),
            Section(
                "Methods",
                (
                    Table(("method", "what it does"), tuple(row for row in _METHODS if row[0] in used)),
                    Text(_THRESHOLD),
                ),
            ),
            provenance_section(report.provenance),
        ),
    )


def _foremost(task: TaskResult) -> MethodResult | None:
    """The result for the headline: by method and variant, never by how high it is on test."""
    found = [result for result in task.results if result.method in _FOREMOST]
    return min(found, key=lambda r: (_FOREMOST.index(r.method), r.variant != WITHOUT_REPEATS), default=None)


def _headline(task: TaskResult) -> tuple[str, str] | None:
    result = _foremost(task)
    if result is None:
        return None
    value = "n/a" if result.score.value is None else f"{result.score.value:.3f}"
    published = ", ".join(f"{p.system} {p.value:.3f}" for p in task.published)
    beside = f"; published: {published}" if published else ""
    warned = "; not clean" if task.overlap else ""
    return value, f"{task.name}, {task.metric}, {_called(result)}{beside}{warned}"


def _called(result: MethodResult) -> str:
    return result.method if result.variant != WITHOUT_REPEATS else f"{result.method} {WITHOUT_REPEATS}"


def _glance(report: BenchReport) -> tuple[Block, ...]:
    blocks: list[Block] = [Text(_READING)]
    overlaps = [task for task in report.tasks if task.overlap]
    if overlaps:
        names = "; ".join(f"`{task.name}` ({task.overlap})" for task in overlaps)
        blocks.append(
            Callout(
                f"The model was fitted on sentences of {names}. Do not quote what it reaches there as clean.",
                "bad",
            )
        )
    figure = overview(report)
    if figure is not None:
        blocks.append(figure)
    rows = [_row(task, result) for task in report.tasks for result in task.results]
    header = ("task", "train / dev / test", "method", "ours [95 %]", "published, and where it lies")
    caption = (
        "Every method on every task. Where there are folds, train and dev are their means, test their sum."
    )
    blocks.append(Table(header, tuple(rows), caption=caption))
    published = tuple(
        (task.name, p.system, f"{p.value:.4g}", f"{p.source}{f', {p.url}' if p.url else ''}", p.note)
        for task in report.tasks
        for p in task.published
    )
    if published:
        header = ("task", "system", "published", "source", "how its setting differs")
        blocks.append(Table(header, published, caption="Where the published figures stand."))
    return tuple(blocks)


def _row(task: TaskResult, result: MethodResult) -> tuple[object, ...]:
    value = result.score.value
    return (
        f"{task.name}, {task.metric}",
        _sizes(result),
        _called(result),
        Cell(str(result.score), sort=value),
        _published_cell(task, result),
    )


def _sizes(result: MethodResult) -> str:
    """Sentences of train, dev and test; means over folds."""
    n = len(result.folds)
    train, dev = (round(sum(sizes) / n) for sizes in _train_and_dev(result))
    test = sum(fold.n_test for fold in result.folds)
    return f"{train:,} / {dev:,} / {test:,}"


def _train_and_dev(result: MethodResult) -> tuple[list[int], list[int]]:
    return [fold.n_train for fold in result.folds], [fold.n_dev for fold in result.folds]


def _published_cell(task: TaskResult, result: MethodResult) -> Cell | str:
    if not task.published:
        return "none comparable"
    if not result.comparisons:
        return ""
    above = [comparison.where == "above" for comparison in result.comparisons]
    tone: Tone = "bad" if all(above) else "warn" if any(above) else "good"
    said = (f"{c.system} {c.published:.3f} {c.where or 'n/a'}" for c in result.comparisons)
    return Cell(", ".join(said), tone=tone)


def _task_blocks(task: TaskResult) -> tuple[Block, ...]:
    blocks: list[Block] = [
        Text(
            f"{task.asks} From {'; '.join(map(str, task.homes))}. Licence: {task.licence}. "
            f"Split: {task.split}. {task.n_test:,} test sentences, of the classes {_shares(task)}. "
            f"Unit of resampling: {task.resampled}; {task.n_groups:,} in test."
        )
    ]
    if task.overlap:
        blocks.append(
            Callout(
                f"The model was fitted on {task.overlap}; what it reaches here is not clean. "
                "`tfidf` uses no model and is untouched by that.",
                "bad",
            )
        )
    blocks += [Callout(caveat) for caveat in task.caveats]
    if task.none_comparable:
        blocks.append(Text(f"No published figure is comparable: {task.none_comparable}."))
    else:
        blocks += [Text(text) for result in task.results if (text := _beside_published(task, result))]
    blocks.append(Text(_repeats(task)))
    if task.left_out:
        said = "; ".join(
            f"{n:,} {'row' if n == 1 else 'rows'} ({reason})" for reason, n in task.left_out.items()
        )
        blocks.append(Text(f"Left out: {said}."))
    if task.not_measured:
        blocks.append(
            Text(f"Not measured, since the task declares no such label: {', '.join(task.not_measured)}.")
        )
    header = ("method", "train / dev / test", str(task.metric), "chosen on dev", "seconds")
    rows = tuple(
        (
            _called(result),
            _sizes(result),
            Cell(str(result.score), sort=result.score.value),
            _chosen(result),
            f"{result.seconds:,.0f}",
        )
        for result in task.results
    )
    blocks.append(Table(header, rows))
    if any(len(result.folds) > 1 for result in task.results):
        blocks.append(Text(f"Fold by fold: {'; '.join(map(_by_fold, task.results))}."))
    return tuple(blocks)


def _by_fold(result: MethodResult) -> str:
    scores = ("n/a" if fold.score is None else f"{fold.score:.3f}" for fold in result.folds)
    return f"{_called(result)} {', '.join(scores)}"


def _shares(task: TaskResult) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in task.class_shares.items())


def _repeats(task: TaskResult) -> str:
    found = task.repeats
    return (
        "Apart from case, spaces and punctuation, "
        f"{found.test_in_train:,} of {task.n_test:,} test sentences stand in train too, "
        f"{found.test_in_dev:,} in dev, and {found.dev_in_train:,} dev sentences in train"
        + (" (summed over folds)." if len(task.results[0].folds) > 1 else ".")
    )


def _beside_published(task: TaskResult, result: MethodResult) -> str:
    """What a result says about the published figures; empty for the floors."""
    if not result.comparisons:
        return ""
    said = []
    for comparison, published in zip(result.comparisons, task.published, strict=True):
        note = f"; {published.note}" if published.note else ""
        named = f"{published.system}, {published.value:.3f} ({published.source}{note}),"
        if comparison.where is None:
            said.append(f"{named} cannot be placed, since there is no interval")
        elif comparison.where == "above":
            said.append(f"{named} lies above this interval: **it is not reached**")
        else:
            said.append(f"{named} lies {comparison.where} this interval")
    return f"**{_called(result)}**: {result.score}. The published {'; '.join(said)}."


def _chosen(result: MethodResult) -> str:
    """Thresholds and settings, fold by fold where there are several."""
    said = []
    if any(fold.threshold is not None for fold in result.folds):
        cuts = ("n/a" if fold.threshold is None else f"{fold.threshold:.2f}" for fold in result.folds)
        said.append(f"threshold {', '.join(cuts)}")
    said += [
        f"{name} {', '.join(f'{fold.chosen[name]:g}' for fold in result.folds)}"
        for name in result.folds[0].chosen
    ]
    return "; ".join(said)


def task_line(task: TaskResult) -> str:
    """A task's figures in one line, for a terminal."""
    figures = ", ".join(f"{_called(result)} {result.score}" for result in task.results)
    published = ", ".join(f"{p.system} {p.value:.3f}" for p in task.published) or "none comparable"
    warning = "; NOT CLEAN: the model was fitted on " + task.overlap if task.overlap else ""
    return f"{task.name}: {task.metric}: {figures}; published: {published}{warning}"


def task_list(tasks: Sequence[Task]) -> str:
    """What the tasks are, for a terminal."""
    return "\n\n".join(_listed(task) for task in tasks)


def _listed(task: Task) -> str:
    published = "; ".join(f"{p.system} {p.value:.3f} ({p.source})" for p in task.published)
    if task.public is None:
        public = "the converted file alone can be read"
    else:
        note = f" ({task.public.note})" if task.public.note else ""
        public = f"--public reads {', '.join(task.public.files.values())}{note}"
    lines = [
        f"{task.name}: {task.title}",
        f"  asks       {task.asks}",
        f"  metric     {task.metric}",
        f"  split      {task.described_splits}",
        f"  file       bench/{task.file}; {public}",
        *(f"  home       {home}" for home in task.homes),
        f"  licence    {task.licence}",
        f"  published  {published or f'none comparable: {task.none_comparable}'}",
    ]
    if task.overlaps_training:
        lines.append(f"  warning    the bundled model was fitted on {task.overlaps_training}")
    return "\n".join(lines)
