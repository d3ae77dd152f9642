"""Measuring: where thresholds come from, what the figures say, and the command from end to end."""

from __future__ import annotations

import dataclasses
import gzip
import json
import sys
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.metrics import f1_score

from framelens_evaluation import cli
from framelens_evaluation.bench.data import build_data, splits_of
from framelens_evaluation.bench.methods import Always, Answers, Parts, TfIdf
from framelens_evaluation.bench.page import bench_document, task_line
from framelens_evaluation.bench.report import AS_SPLIT, WITHOUT_REPEATS, BenchReport, ModelFacts
from framelens_evaluation.bench.run import compare, measure_task, run_bench
from framelens_evaluation.bench.tasks import all_tasks
from framelens_evaluation.reporting.html import render_html
from framelens_evaluation.reporting.markdown import render_markdown
from framelens_evaluation.statistics.bootstrap import Interval, Resampling

if TYPE_CHECKING:
    from pathlib import Path

    from framelens_evaluation.bench.data import BenchData
    from framelens_evaluation.bench.tasks import Task

TASKS = all_tasks()
PTC, BABE, CHECKTHAT = TASKS["ptc_emnlp2019"], TASKS["babe_sg2"], TASKS["checkthat2023_subj_en"]
HOW = Resampling(seed=0, n_resamples=100)
OURS = ModelFacts(name="framelens (bundled)", given="bundled", digest="d" * 64, is_framelens=True)


class Told:
    """Gives the probability of the positive class that a sentence's own text names."""

    name = "probe"

    def answer(self, parts: Parts) -> Answers:
        def columns(texts: list[str]) -> np.ndarray:
            share = np.array([float(text.split()[-1]) for text in texts])
            found = np.empty((len(texts), 2))
            found[:, parts.scorer.positive], found[:, 1 - parts.scorer.positive] = share, 1 - share
            return found

        return Answers(columns(parts.dev_texts), columns(parts.test_texts))


class Recorder(TfIdf):
    """TF-IDF that keeps what it was given and what it gave."""

    def __init__(self) -> None:
        self.seen: list[tuple[Parts, Answers]] = []

    def answer(self, parts: Parts) -> Answers:
        answers = super().answer(parts)
        self.seen.append((parts, answers))
        return answers


def told(dev: list[tuple[bool, float]], test: list[tuple[bool, float]]) -> BenchData:
    def rows(split: str, cases: list[tuple[bool, float]]):
        for i, (is_it, share) in enumerate(cases):
            yield f"{split} {i} {share}", "propaganda" if is_it else "non-propaganda", split, f"{split} {i}"

    train = [(True, 0.9), (False, 0.1)]
    return build_data(PTC, [*rows("train", train), *rows("dev", dev), *rows("test", test)], ())


def separable(task: Task, n: int, repeats: int = 0) -> BenchData:
    """Sentences that one word tells apart; ``repeats`` sentences of test stand in train as well."""
    first, second = list(task.labels)[:2]
    words = {first: "glorious", second: "wooden"}
    rows = []
    names = ("none",) if task.splits.kind == "cross-validation" else ("train", "dev", "test")
    for split in names:
        for i in range(n):
            label = first if i % 2 else second
            rows.append((f"The {words[label]} pier number {split} {i}.", label, split, f"{split} {i // 2}"))
    for i in range(repeats):
        label = first if i % 2 else second
        rows.append((f"the {words[label]} pier NUMBER test {i}", label, "train", f"copy {i}"))
    return build_data(task, rows, ())


def by_name(result, method: str, variant: str = AS_SPLIT):
    (found,) = [r for r in result.results if (r.method, r.variant) == (method, variant)]
    return found


def test_the_threshold_is_that_of_dev_even_where_test_would_like_another() -> None:
    dev = [(True, 0.9), (True, 0.8), (False, 0.6), (False, 0.2)]
    # On test, 0.3 would be perfect; dev says 0.7, between 0.6 and 0.8.
    test = [(True, 0.9), (True, 0.5), (True, 0.4), (False, 0.2), (False, 0.1)]
    result = by_name(measure_task(told(dev, test), [Told()], HOW), "probe")
    (fold,) = result.folds
    assert fold.threshold == pytest.approx(0.7)
    assert result.score.value == pytest.approx(f1_score([1, 1, 1, 0, 0], [1, 0, 0, 0, 0]))
    # And another dev moves it.
    moved = measure_task(told([(True, 0.4), (False, 0.2)], test), [Told()], HOW)
    assert by_name(moved, "probe").score.value == 1.0


def test_labels_of_test_change_the_score_and_nothing_else() -> None:
    data = separable(PTC, 24)
    flipped = dataclasses.replace(
        data,
        rows=tuple(
            dataclasses.replace(row, label=1 - row.label) if row.split == "test" else row for row in data.rows
        ),
    )
    first, second = Recorder(), Recorder()
    right, wrong = measure_task(data, [first], HOW), measure_task(flipped, [second], HOW)
    for (seen, gave), (seen_too, gave_too) in zip(first.seen, second.seen, strict=True):
        assert seen.train_texts == seen_too.train_texts
        assert np.array_equal(seen.train_labels, seen_too.train_labels)
        assert np.array_equal(seen.dev_labels, seen_too.dev_labels)
        assert np.array_equal(gave.dev, gave_too.dev)
        assert np.array_equal(gave.test, gave_too.test)
    assert by_name(right, "tfidf").folds[0].threshold == by_name(wrong, "tfidf").folds[0].threshold
    assert by_name(right, "tfidf").score == Interval(1.0, 1.0, 1.0)
    assert by_name(wrong, "tfidf").score == Interval(0.0, 0.0, 0.0)


def test_the_floors_are_not_given_a_threshold() -> None:
    dev = test = [(True, 0.9), (False, 0.2), (False, 0.1)]
    result = measure_task(told(dev, test), [Always("majority"), Always("always")], HOW)
    # Train is tied, and the first class is then the majority; "always" gives two false of three.
    assert by_name(result, "always").score.value == pytest.approx(0.5)
    assert by_name(result, "majority").folds[0].threshold is None


def test_the_majority_class_reaches_no_f1_of_the_rarer_one() -> None:
    rows = [(f"{split} {i}", "propaganda" if i == 0 else "non-propaganda", split, f"{split} {i}")
            for split in ("train", "dev", "test") for i in range(4)]  # fmt: skip
    result = measure_task(build_data(PTC, rows, ()), [Always("majority"), Always("always")], HOW)
    assert by_name(result, "majority").score.value == 0.0
    assert by_name(result, "always").score.value == pytest.approx(2 / 5)


def test_cross_validation_scores_every_sentence_once() -> None:
    data = separable(BABE, 120)
    result = measure_task(data, [TfIdf(), Always("majority"), Always("always")], HOW)
    tfidf = by_name(result, "tfidf")
    assert tfidf.score.value == 1.0
    assert len(tfidf.folds) == len(splits_of(data)) == 5
    assert sum(fold.n_test for fold in tfidf.folds) == result.n_test == 120
    assert all(fold.n_train + fold.n_dev + fold.n_test == 120 for fold in tfidf.folds)
    assert all(fold.score == 1.0 for fold in tfidf.folds)
    assert result.n_groups == 60
    majority = by_name(result, "majority")
    # The mean of the folds, not the folds' answers together, of which some name the other class.
    assert majority.score.value == pytest.approx(np.mean([fold.score for fold in majority.folds]))
    assert {r.method for r in result.results} == {"tfidf", "majority"}
    assert result.not_measured == ()


def test_repeats_are_counted_and_a_second_figure_is_measured_without_them() -> None:
    data = separable(PTC, 30, repeats=6)
    recorder = Recorder()
    result = measure_task(data, [recorder], HOW)
    assert result.repeats.test_in_train == 6
    assert (result.repeats.test_in_dev, result.repeats.dev_in_train) == (0, 0)
    whole, clean = by_name(result, "tfidf"), by_name(result, "tfidf", WITHOUT_REPEATS)
    assert whole.folds[0].n_train == 36
    assert clean.folds[0].n_train == 30
    assert clean.folds[0].n_test == whole.folds[0].n_test == 30
    assert not any("NUMBER" in text for text in recorder.seen[1][0].train_texts)
    # What is not fitted is measured once.
    floors = measure_task(data, [Always("majority")], HOW)
    assert [r.variant for r in floors.results] == [AS_SPLIT]


def test_sets_without_articles_say_what_is_resampled() -> None:
    rows = [(f"Pier {split} {i} {'fine' if i % 2 else 'long'}.", "SUBJ" if i % 2 else "OBJ", split, None)
            for split in ("train", "dev", "test") for i in range(20)]  # fmt: skip
    result = measure_task(build_data(CHECKTHAT, rows, ()), [TfIdf()], HOW)
    assert result.resampled == "sentence; the set names no articles"
    assert result.n_groups == 20


@pytest.mark.parametrize(
    ("published", "where"),
    [(0.55, "below"), (0.6, "inside"), (0.65, "inside"), (0.7, "inside"), (0.71, "above")],
)
def test_where_a_published_figure_lies(published: float, where: str) -> None:
    assert compare(Interval(0.65, 0.6, 0.7), "T", published).where == where
    assert compare(Interval(0.65, None, None), "T", published).where is None


# --- the report --------------------------------------------------------------------------------------


@cache
def report(model: ModelFacts | None = OURS) -> BenchReport:
    discourse = TASKS["newsdiscourse"]
    sets = [separable(PTC, 30, repeats=6), separable(BABE, 80), separable(discourse, 30)]
    return run_bench(sets, [Always("majority"), Always("always"), TfIdf()], HOW, model=model)


def test_the_report_says_what_was_reached_and_what_was_not() -> None:
    text = render_markdown(bench_document(report()))
    assert "lies below this interval" in text
    assert "6 of 30 test sentences stand in train too" in text
    assert "published training set repeats" in text
    assert "MGN 0.610" in text
    hard = measure_task(told([(True, 0.9), (False, 0.2)], [(True, 0.1), (False, 0.9)] * 9), [Told()], HOW)
    failed = report().model_copy(update={"tasks": (hard,)})
    assert "it is not reached" in render_markdown(bench_document(failed))


def test_the_report_warns_where_the_model_was_fitted_on_the_data() -> None:
    ours = report()
    assert "Do not quote" in render_markdown(bench_document(ours))
    assert "NOT CLEAN" in task_line(ours.tasks[2])
    assert "NOT CLEAN" not in task_line(ours.tasks[0])
    others = OURS.model_copy(update={"is_framelens": False})
    data = separable(TASKS["newsdiscourse"], 10)
    assert (
        measure_task(data, [Always("majority")], HOW, model=OURS).overlap
        == "sentences of its train and dev splits"
    )
    for model in (None, others):
        assert measure_task(data, [Always("majority")], HOW, model=model).overlap is None


def test_the_report_reads_back_and_draws() -> None:
    found = report()
    assert BenchReport.model_validate_json(found.model_dump_json()) == found
    document = bench_document(found)
    (figure,) = document.figures
    assert "ptc_emnlp2019, F1 of propaganda: majority" in figure.description
    assert "published MGN 0.610, BERT 0.577" in figure.description
    assert "<svg" in render_html(document)


def test_the_headline_is_not_the_method_that_did_best_on_test() -> None:
    hopeless = [(True, 0.1), (False, 0.9)] * 4
    data = told([(True, 0.9), (False, 0.2)], hopeless)
    found = run_bench([data], [Always("always"), Told(), TfIdf()], HOW)
    probe, always = (by_name(found.tasks[0], name).score.value for name in ("probe", "always"))
    assert probe == 0.0
    assert always == pytest.approx(2 / 3)
    ((value, said),) = bench_document(found).headline
    assert value == "0.000"
    assert "F1 of propaganda, probe" in said


def test_a_report_stands_after_every_task() -> None:
    lengths: list[int] = []
    run_bench(
        [separable(PTC, 20), separable(BABE, 80)],
        [TfIdf()],
        HOW,
        after_task=lambda so_far: lengths.append(len(so_far.tasks)),
    )
    assert lengths == [1, 2]


def test_nothing_defined_is_not_reported_as_zero() -> None:
    """A test part without the class: its F1 is not defined."""
    dev, test = [(True, 0.9), (False, 0.2)], [(False, 0.3), (False, 0.8)]
    result = measure_task(told(dev, test), [Told()], HOW)
    assert by_name(result, "probe").score == Interval(None, None, None)
    assert by_name(result, "probe").comparisons[0].where is None
    empty = report().model_copy(update={"tasks": (result,)})
    text = render_markdown(bench_document(empty))
    assert "n/a" in text
    assert not bench_document(empty).figures


# --- the command -------------------------------------------------------------------------------------


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["framelens-eval", "bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder that holds one made-up set in the converted layout."""
    (tmp_path / "bench").mkdir()
    with gzip.open(tmp_path / "bench" / PTC.file, "wt", encoding="utf-8") as file:
        for row in separable(PTC, 40).rows:
            label = "propaganda" if PTC.classes[row.label] == "propaganda" else "non-propaganda"
            entry = {"text": row.text, "label": label, "split": row.split, "doc_id": row.group}
            file.write(json.dumps(entry) + "\n")
    return tmp_path


def test_the_command_measures_and_writes(monkeypatch, capsys, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "report"
    code = call(
        monkeypatch, "ptc_emnlp2019", "--method", "tfidf", "--data-dir", folder, "-o", output,
        "--resamples", 50, "--seed", 3,
    )  # fmt: skip
    shown = capsys.readouterr()
    assert code == 0
    assert "ptc_emnlp2019: F1 of propaganda: majority 0.667 [0.667, 0.667], always 0.667" in shown.out
    assert "tfidf 1.000 [1.000, 1.000]" in shown.out
    assert "published: MGN 0.610, BERT 0.577" in shown.out
    assert str(output / "report.html") in shown.out.replace("\n", "")
    assert "tfidf, without repeats" in shown.err
    found = BenchReport.model_validate_json((output / "report.json").read_text(encoding="utf-8"))
    assert found.model is None
    assert (found.provenance.seed, found.provenance.n_resamples) == (3, 50)
    assert found.provenance.sources[0].role == "ptc_emnlp2019"
    assert (output / "figures" / "benchmarks.svg").is_file()


def test_the_command_reads_published_files(monkeypatch, capsys, tmp_path: Path) -> None:
    public = tmp_path / "published"
    public.mkdir()
    for split, name in CHECKTHAT.public.files.items():
        lines = ["sentence_id\tsentence\tlabel"]
        for i in range(20):
            word, label = ("fine", "SUBJ") if i % 2 else ("long", "OBJ")
            lines.append(f"{split}-{i}\tThe {word} pier {split} {i}\t{label}")
        (public / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = ("--method", "tfidf", "--public", public, "-o", tmp_path / "report")
    assert call(monkeypatch, "checkthat2023_subj_en", *arguments) == 0
    assert "tfidf 1.000" in capsys.readouterr().out
    assert call(monkeypatch, "polnear", *arguments) == 2
    assert "converted file polnear.jsonl.gz alone" in capsys.readouterr().err


def test_the_list_needs_no_data(monkeypatch, capsys) -> None:
    monkeypatch.delenv("FRAMELENS_DATA", raising=False)
    assert call(monkeypatch, "--list") == 0
    shown = capsys.readouterr().out
    for task in TASKS.values():
        assert f"{task.name}: {task.title}" in shown
    assert "the bundled model was fitted on sentences of its train and dev splits" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tides",), "expected a task among"),
        (("--method", "oracle"), "expected a method among tfidf, probe, finetune, zero-shot"),
        (("--method", "tfidf"), "FRAMELENS_DATA"),
        (("--data-dir", "absent"), "no such folder"),
    ],
)
def test_what_is_wrong_is_one_line(monkeypatch, capsys, arguments, message) -> None:
    monkeypatch.delenv("FRAMELENS_DATA", raising=False)
    assert call(monkeypatch, *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err
    assert len(shown.err.splitlines()) == 1
