"""A whole run on a model with known answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from framelens import InputError, Label
from framelens_evaluation.bootstrap import Interval
from framelens_evaluation.dataset import GoldSet
from framelens_evaluation.report import Report, write_report
from framelens_evaluation.run import MODEL_ALONE, MODEL_PAIRED, evaluate

if TYPE_CHECKING:
    from pathlib import Path

N = 200


@pytest.fixture
def report(model, gold, train) -> Report:
    return evaluate(
        model, gold, train, baselines=["majority", "tfidf"], n_resamples=N, command="made by a test"
    )


def test_every_system_stands_on_every_subset(report: Report) -> None:
    assert [system.name for system in report.systems] == [MODEL_PAIRED, MODEL_ALONE, "majority", "tfidf"]
    for system in report.systems:
        sizes = {part.subset: part.n_sentences for part in system.subsets}
        assert sizes == {"all": 24, "natural": 16, "seen outlets": 12, "unseen outlets": 12}
        assert system.subsets[0].n_articles == 12
        assert (system.details is None) == (system.name in ("majority", "tfidf"))


def test_scores_are_those_of_the_known_answers(report: Report) -> None:
    with_context, alone, majority, _ = (system.subsets[0] for system in report.systems)
    assert with_context.accuracy.value == pytest.approx(23 / 24)  # one was refused
    assert with_context.n_refused == 1
    assert with_context.labels[0].f1.value == 1.0
    assert with_context.labels[1].recall.value == pytest.approx(7 / 8)
    assert with_context.labels[1].precision.value == 1.0
    assert alone.labels[0].recall.value == pytest.approx(1 / 2)
    assert alone.labels[1].precision.value == pytest.approx(7 / 11)
    assert majority.accuracy.value == pytest.approx(1 / 3)
    assert with_context.macro_f1.low <= with_context.macro_f1.value <= with_context.macro_f1.high


def test_differences_are_paired_and_said_in_words(report: Report) -> None:
    by_pair = {(d.system, d.other): d for d in report.differences if d.subset == "all"}
    assert set(by_pair) == {
        (MODEL_PAIRED, MODEL_ALONE),
        (MODEL_PAIRED, "majority"),
        (MODEL_PAIRED, "tfidf"),
        (MODEL_ALONE, "majority"),
        (MODEL_ALONE, "tfidf"),
    }
    clear = by_pair[MODEL_PAIRED, "majority"]
    assert clear.macro_f1.low > 0
    assert "better than majority" in clear.in_words
    scores = {system.name: system.subsets[0].macro_f1.value for system in report.systems}
    for (ours, other), found in by_pair.items():
        assert found.macro_f1.value == pytest.approx(scores[ours] - scores[other])
        assert ("includes 0" in found.in_words) == (found.macro_f1.low <= 0 <= found.macro_f1.high)


def test_an_unclear_gap_is_called_so(model, gold) -> None:
    model.alone = dict(model.paired)
    (gap, *_) = evaluate(model, gold, n_resamples=N).differences
    assert gap.macro_f1 == Interval(0.0, 0.0, 0.0)
    assert "cannot be told apart" in gap.in_words
    assert "includes 0" in gap.in_words


def test_evidence_calibration_and_scope(report: Report) -> None:
    details = report.systems[0].details
    evidence = details.evidence
    assert (evidence.n_with_cue, evidence.n_without_cue) == (16, 8)
    assert evidence.precision.value == 1.0
    assert evidence.recall.value == 0.5
    assert evidence.f1.value == pytest.approx(2 / 3)
    assert evidence.shown_without_cue.value == pytest.approx(1 / 8)
    assert details.calibration.ece == pytest.approx(0.2)  # always right, and 0.8 sure
    assert details.calibration.n_mistakes == 0
    assert details.calibration.confidence_on_mistakes is None
    assert report.systems[1].details.calibration.n_mistakes == 4
    assert report.systems[1].details.calibration.confidence_on_mistakes == pytest.approx(0.8)
    scope = details.scope
    assert (scope.n_out, scope.caught, scope.n_labelled, scope.refused) == (4, 3, 24, 1)
    assert (scope.precision, scope.recall) == (0.75, 0.75)
    assert scope.macro_f1_forced.value == 1.0


def test_the_report_describes_its_run(report: Report) -> None:
    assert report.command == "made by a test"
    assert report.data.sha256 == "a" * 64
    assert (report.data.n_labelled, report.data.n_out_of_scope) == (24, 4)
    assert report.model_digest == "d" * 64
    assert report.model_context_sentences == 2
    assert report.shared_articles == 0
    assert report.versions["numpy"] == np.__version__


def test_shared_articles_are_counted(model, gold) -> None:
    report = evaluate(model, gold, gold, baselines=["majority"], n_resamples=N)
    assert report.shared_articles == 14
    assert report.systems[0].subsets[3].n_sentences == 0
    assert report.systems[0].subsets[3].macro_f1 == Interval(None, None, None)


def test_same_seed_same_scores_whatever_else_is_measured(model, gold, train, report: Report) -> None:
    again = evaluate(model, gold, train, baselines=["tfidf"], n_resamples=N)
    assert again.systems[0] == report.systems[0]
    other = evaluate(model, gold, train, baselines=["tfidf"], n_resamples=N, seed=1)
    assert other.systems[1] != report.systems[1]


def test_without_train_there_are_no_outlet_subsets(model, gold) -> None:
    report = evaluate(model, gold, n_resamples=N)
    assert [part.subset for part in report.systems[0].subsets] == ["all", "natural"]
    assert report.train is None
    assert report.shared_articles is None


def test_baselines_alone(gold, train) -> None:
    report = evaluate(None, gold, train, baselines=["majority"], n_resamples=N)
    assert [system.name for system in report.systems] == ["majority"]
    assert report.model_digest is None
    assert report.differences == ()


def test_what_cannot_be_run(model, gold, train) -> None:
    with pytest.raises(InputError, match="training sentences"):
        evaluate(model, gold, baselines=["tfidf"])
    with pytest.raises(InputError, match="nothing to measure"):
        evaluate(None, gold)
    with pytest.raises(InputError, match="no labelled sentences"):
        evaluate(model, GoldSet("none", "c" * 64, gold.out_of_scope))
    with pytest.raises(InputError, match="n_resamples"):
        evaluate(model, gold, n_resamples=0)


def test_a_model_that_drops_sentences_is_refused(model, gold, monkeypatch) -> None:
    whole = model.label_many
    monkeypatch.setattr(model, "label_many", lambda *a, **k: list(whole(*a, **k))[1:])
    with pytest.raises(InputError, match="27 predictions for 28"):
        evaluate(model, gold)


def test_written_report(report: Report, tmp_path: Path) -> None:
    readable = write_report(report, tmp_path / "new" / "report").read_text(encoding="utf-8")
    written = (tmp_path / "new" / "report" / "report.json").read_text(encoding="utf-8")
    assert json.loads(written)["schema_version"] == 1
    assert Report.model_validate_json(written) == report
    found = report.systems[0].subsets[0]
    assert f"| all | {MODEL_PAIRED} | sentence and context | 24 | 12 | {found.macro_f1} |" in readable
    assert str(Label.HEDGED_CLAIM) in readable
    assert "NaN" not in written
    assert " nan" not in readable
    # Of equally frequent labels the first is the majority; the others are never given.
    assert "| all | majority | hedged_claim | 8 | n/a | 0.000 [0.000, 0.000] |" in readable


def test_a_report_needs_a_folder(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot write"):
        write_report(report, tmp_path / "file")
