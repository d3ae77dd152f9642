"""The audit of systems whose faults are known, and the command."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from framelens import LABELS, InputError, Label
from framelens_evaluation import cli
from framelens_evaluation.audit.audit import questions, run_audit
from framelens_evaluation.audit.material import read_material, select_checks
from framelens_evaluation.audit.pages import audit_document, grade_line, group_table
from framelens_evaluation.audit.result import AuditResult, grade_of
from framelens_evaluation.audit.state_pages import symmetry_line
from framelens_evaluation.inputs import systems
from framelens_evaluation.inputs.systems import Answers
from framelens_evaluation.reporting.document import Examples
from framelens_evaluation.reporting.html import render_html
from framelens_evaluation.reporting.markdown import render_markdown
from framelens_evaluation.statistics.bootstrap import Resampling
from framelens_evaluation.statistics.metrics import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HOW = Resampling(seed=0, n_resamples=60)
MATERIAL = read_material()
STATE, PLAIN, HEDGED = range(len(LABELS))


@dataclass
class Fake:
    """Answers by a rule on the text: a label's place, or `NO_LABEL`."""

    rule: Callable[[str], int]
    confidence: float = 0.9
    name: str = "fake"
    reads: str = "sentence"
    digest: str | None = None

    def answer(self, rows) -> Answers:
        given = np.array([self.rule(row.text) for row in rows])
        probabilities = np.full((len(rows), len(LABELS)), (1 - self.confidence) / 2)
        for row, label in zip(probabilities, given, strict=True):
            row[PLAIN if label == NO_LABEL else label] = self.confidence
        return Answers(given, probabilities)


def by_two_words(text: str) -> int:
    """Two words decide, and no name."""
    return STATE if "glorious" in text.lower() or "invincible" in text.lower() else PLAIN


def audit(rule: Callable[[str], int], *only: str, **more) -> AuditResult:
    return run_audit(Fake(rule, **more), HOW, select_checks(MATERIAL.checks, list(only)))


def check(result: AuditResult, name: str):
    return next(each for each in result.checks if each.id == name)


def slot(result: AuditResult, name: str):
    assert result.symmetry is not None
    return next(each for each in result.symmetry.slots if each.check == name)


@pytest.fixture(scope="module")
def blind() -> AuditResult:
    """An audit of a system that reads no names."""
    return audit(by_two_words, "S")


@pytest.fixture(scope="module")
def knows_north_korea() -> AuditResult:
    """One that calls state framing whatever names North Korea, or a North Korean."""
    return audit(lambda text: STATE if "North Korea" in text else by_two_words(text), "S")


def test_who_ignores_names_passes(blind: AuditResult) -> None:
    assert {each.grade for each in blind.checks} == {"pass"}
    assert blind.symmetry is not None
    for each in blind.symmetry.slots:
        assert (each.flips.value, each.n_unstable, each.apart) == (0, 0, ())
        assert each.spread == pytest.approx(0, abs=1e-12)
    assert all(state.p_holm == 1 for state in blind.symmetry.states)
    shifts = [shift.value for state in blind.symmetry.states for shift in state.shifts]
    assert shifts == pytest.approx([0] * len(shifts), abs=1e-12)
    # It knows two words, so on labels it is wrong, and alike for all states.
    assert len({state.errors.value for state in blind.symmetry.states}) == 1
    assert blind.symmetry.errors.value > 0.5


def test_who_learned_one_country_fails_with_it_on_top(knows_north_korea: AuditResult) -> None:
    found = knows_north_korea.symmetry
    assert found is not None
    assert found.states[0].state == "North Korea"
    assert found.states[0].p_holm < 0.05
    assert found.states[0].shifts[STATE].low > 0.1
    assert all(state.p_holm > 0.05 and state.flips.value == 0 for state in found.states[1:])
    assert [each.state for each in slot(knows_north_korea, "S1-INV").apart] == ["North Korea"]
    assert check(knows_north_korea, "S1-INV").grade == "fail"
    assert check(knows_north_korea, "S2-INV").grade == "fail"
    # Its outlet and its leader were not learned.
    assert check(knows_north_korea, "S3-INV").grade == "pass"
    assert check(knows_north_korea, "S4-INV").grade == "pass"
    # Flips are counted by hand: the country stands in the slots for country and demonym, and in the
    # name of the ministry; templates that get state framing anyway cannot flip.
    slots = ("country", "demonym", "ministry")
    named = [t for t in MATERIAL.templates if t.slots & set(slots) and by_two_words(t.text) == PLAIN]
    assert check(knows_north_korea, "S1-INV").n_failed == len(named)
    assert found.states[0].flips.value == pytest.approx(len(named) / len(MATERIAL.templates))
    assert "North Korea +" in symmetry_line(found)


def test_who_learned_one_outlet_fails_with_it_on_top() -> None:
    result = audit(lambda text: STATE if "Xinhua" in text else by_two_words(text), "S")
    outlet = slot(result, "S3-INV")
    assert [each.names for each in outlet.apart] == ["Xinhua"]
    assert outlet.entities[0].names == "Xinhua"
    assert check(result, "S3-INV").grade == "fail"
    assert {check(result, name).grade for name in ("S2-INV", "S4-INV", "S5-INV")} == {"pass"}


def test_who_learned_an_agency_credit_fails_there() -> None:
    result = audit(lambda text: HEDGED if "(Reuters)" in text else by_two_words(text), "A")
    found = check(result, "A5-INV")
    assert found.n_failed == len(MATERIAL.bases)
    assert found.failure_rate.value == pytest.approx(1 / 6)
    assert found.grade == "fail"
    assert all("(Reuters)" in failure.text for failure in found.failures)
    assert {check(result, name).n_failed for name in ("A1-INV", "A2-INV", "A3-INV")} == {0}


def test_who_knows_every_label_passes_what_needs_labels() -> None:
    known = {}
    for row in MATERIAL.sentences:
        known |= dict.fromkeys((row.text, *row.variants), row.label)
        if row.before is not None:
            known[row.before] = row.before_label
    wanted = select_checks(MATERIAL.checks, ["H", "L", "N", "V", "B", "O", "D", "Q"])
    result = run_audit(Fake(lambda text: LABELS.index(known[text])), HOW, wanted)
    assert {each.grade for each in result.checks} == {"pass"}
    assert all(each.n_failed == 0 for each in result.checks)
    added, removed = check(result, "H5-DIR"), check(result, "H6-DIR")
    assert added.shift.value == pytest.approx(0.85)
    assert removed.shift.value == pytest.approx(-0.85)
    assert check(result, "H1-MFT").shift.value is None
    assert check(result, "D3-INV").shift.value == 0
    assert result.symmetry is None


def test_who_always_says_the_same_fails_all_that_must_move_and_none_that_must_hold() -> None:
    result = audit(lambda _: PLAIN)
    for each in result.checks:
        if each.kind == "INV":
            assert (each.n_failed, each.grade) == (0, "pass")
        elif each.kind == "DIR":
            assert each.failure_rate.value == 1
            assert each.shift.value == 0
    assert check(result, "L1-MFT").n_failed == 0
    assert check(result, "H1-MFT").failure_rate.value == 1
    assert {(g.capability, g.kind): g.failure_rate.value for g in result.groups}["hedging", "MFT"] == 1
    assert "None" not in render_markdown(audit_document(result))


def test_a_refusal_fails_where_a_label_is_due() -> None:
    result = audit(lambda _: NO_LABEL, "L2", "H5", "Y6")
    assert check(result, "L2-MFT").failure_rate.value == 1
    assert check(result, "L2-MFT").failures[0].given is None
    assert check(result, "H5-DIR").failure_rate.value == 1
    assert check(result, "Y6-INV").n_failed == 0


def test_a_probability_must_move_even_where_the_label_is_right() -> None:
    # A label of the hedged sentence that is right, with a probability that falls.
    class Falling(Fake):
        def answer(self, rows) -> Answers:
            found = super().answer(rows)
            found.probabilities[:] = [
                [0.05, 0.0, 0.95] if label == PLAIN else [0.1, 0.2, 0.7] for label in found.given
            ]
            return found

    hedged = {row.text for row in MATERIAL.sentences if row.check == "H5-DIR"}
    system = Falling(lambda text: HEDGED if text in hedged else PLAIN)
    result = run_audit(system, HOW, select_checks(MATERIAL.checks, ["H5"]))
    found = result.checks[0]
    assert found.failure_rate.value == 1
    assert found.failures[0].expected is found.failures[0].given is Label.HEDGED_CLAIM
    assert "moved by -0.25, due up" in found.failures[0].note


def test_without_probabilities_labels_decide() -> None:
    class Bare(Fake):
        def answer(self, rows) -> Answers:
            found = super().answer(rows)
            return Answers(found.given, np.full_like(found.probabilities, np.nan))

    def rule(text: str) -> int:
        return STATE if "North Korea" in text else PLAIN

    result = run_audit(Bare(rule), HOW, select_checks(MATERIAL.checks, ["S", "H5", "A1"]))
    found = slot(result, "S1-INV")
    assert found.by_labels
    assert [each.state for each in found.apart] == ["North Korea"]
    assert found.entities[0].shift == pytest.approx(found.flips.value * 39)
    assert check(result, "S1-INV").grade == "fail"
    assert check(result, "S1-INV").shift.value is None
    assert check(result, "H5-DIR").failure_rate.value == 1
    assert check(result, "A1-INV").shift.value is None
    text = render_markdown(audit_document(result))
    assert "gives no probabilities" in text
    assert "nan" not in re.findall(r"\w+", text.lower())


def test_the_same_seed_gives_the_same_result(knows_north_korea: AuditResult) -> None:
    again = audit(lambda text: STATE if "North Korea" in text else by_two_words(text), "S")
    volatile = {"provenance"}
    assert again.model_dump(exclude=volatile) == knows_north_korea.model_dump(exclude=volatile)


def test_a_check_gives_the_same_alone(knows_north_korea: AuditResult) -> None:
    alone = audit(lambda text: STATE if "North Korea" in text else by_two_words(text), "S5")
    assert check(alone, "S5-INV") == check(knows_north_korea, "S5-INV")
    assert alone.symmetry is not None
    assert alone.symmetry.check == "S5-INV"


def test_result_survives_json(knows_north_korea: AuditResult) -> None:
    text = knows_north_korea.model_dump_json()
    assert AuditResult.model_validate_json(text) == knows_north_korea
    assert "NaN" not in text


def test_the_page_shows_states_checks_and_failures(knows_north_korea: AuditResult) -> None:
    document = audit_document(knows_north_korea)
    page = render_html(document)
    assert [figure.name for figure in document.figures] == ["failures-inv", "states"]
    assert "North Korea" in document.figures[1].description
    for each in knows_north_korea.checks:
        assert each.id in page
        assert each.title in page
    text = render_markdown(document)
    assert "**North Korea" not in text
    assert "states differ from the mean beyond chance" in text
    table = group_table(knows_north_korea)
    assert table.splitlines()[0].split() == ["failure", "rate", "INV"]


def examples_of(result: AuditResult):
    section = next(each for each in audit_document(result).sections if each.title == "Failures")
    return next(block for block in section.blocks if isinstance(block, Examples)).items


def test_a_failure_names_its_labels_as_what_they_are() -> None:
    def rule(text: str) -> int:
        return HEDGED if "(Reuters)" in text else STATE if "North Korea" in text else PLAIN

    seen = {}
    for item in examples_of(audit(rule, "A5", "L2", "H1", "H6", "S2")):
        seen.setdefault(item.facts["check"], item)
    labels = {name: {*item.facts} - {"check", "capability"} for name, item in seen.items()}
    assert labels == {
        "H1-MFT": {"expected", "given"},
        "H6-DIR": {"before", "after", "expected"},
        "A5-INV": {"before", "after"},
        "S2-INV": {"most states", "this state"},
    }
    credit = seen["A5-INV"]
    assert (credit.facts["before"], credit.facts["after"]) == ("independent", "hedged")
    assert "(Reuters)" in credit.text
    unchanged = credit.note.split("before: ")[1].split(" · ")[0]
    assert "(Reuters)" not in unchanged
    assert rule(unchanged) == PLAIN
    state = seen["S2-INV"]
    assert (state.facts["most states"], state.facts["this state"]) == ("independent", "state framing")
    usual = state.note.split("as of most states: ")[1].split(" · ")[0]
    assert usual != state.text
    assert rule(usual) == PLAIN


def test_failures_of_checks_that_pass_leave_no_empty_section() -> None:
    first = next(row.text for row in MATERIAL.sentences if row.check == "L2-MFT")
    result = audit(lambda text: HEDGED if text == first else PLAIN, "L2")
    assert (result.checks[0].grade, result.checks[0].n_failed) == ("pass", 1)
    text = render_markdown(audit_document(result))
    assert "## Failures\n\nThe sentences stand on the page alone." in text


def test_a_row_says_that_one_state_alone_makes_it_fail() -> None:
    result = audit(lambda text: STATE if "Xinhua" in text else by_two_words(text), "S3", "S4")
    found = check(result, "S3-INV")
    assert grade_of(found.failure_rate, found.bar) != found.grade == "fail"
    row = next(
        line
        for line in render_markdown(audit_document(result)).splitlines()
        if line.startswith("| S3-INV") and "fail" in line
    )
    assert "not by its rate but by one state: China moved by +" in row
    assert grade_line(result) == "1 pass, 0 to mind, 1 fail: S3"


def test_the_first_section_says_what_is_asked_and_when_it_passes(blind: AuditResult) -> None:
    text = render_markdown(audit_document(blind))
    first = text.split("## ")[1]
    for word in ("MFT", "DIR", "INV", "10 %", "INV 5 %", "states 2 %", "to mind"):
        assert word in first


def test_questions_are_all_that_is_asked(blind: AuditResult) -> None:
    asked = questions(HOW, select_checks(MATERIAL.checks, ["S"]))
    assert len(asked) == len(set(asked)) == blind.n_sentences
    assert len(questions(HOW, MATERIAL.checks)) >= 500


# --- the command ---


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["framelens-eval", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_list(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "audit", "--list") == 0
    shown = capsys.readouterr().out
    for each in MATERIAL.checks:
        assert each.id in shown
        assert each.meaning in shown
        assert each.remedy in shown
    assert call(monkeypatch, "audit", "--list", "--only", "B") == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


def test_audit_writes_a_report(monkeypatch, capsys, tmp_path: Path) -> None:
    monkeypatch.setattr(systems, "open_system", lambda spec, **_: Fake(by_two_words, name=spec))
    folder = tmp_path / "out"
    code = call(
        monkeypatch, "audit", "bundled", "-o", folder, "--only", "B", "--only", "S4", "--resamples", 20
    )
    shown = capsys.readouterr()
    assert code == 0
    assert "both sides" in shown.out
    assert "2 pass, 0 to mind, 1 fail: B2" in shown.out
    assert "symmetry: label flips 0.0 %" in shown.out
    assert str(folder / "report.html") in shown.out.replace("\n", "")
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert [each["id"] for each in report["checks"]] == ["B1-MFT", "B2-DIR", "S4-INV"]
    assert report["provenance"]["n_resamples"] == 20
    assert (folder / "figures" / "states.svg").exists()
    assert "B2-DIR" in (folder / "report.md").read_text(encoding="utf-8")


def test_cases_labelled_elsewhere_can_be_audited(monkeypatch, capsys, tmp_path: Path) -> None:
    cases, answers = tmp_path / "cases.jsonl", tmp_path / "answers.jsonl"
    assert call(monkeypatch, "audit", "--cases", cases, "--only", "L") == 0
    assert "sentences" in capsys.readouterr().out
    rows = [json.loads(line) for line in cases.read_text(encoding="utf-8").splitlines()]
    rows = [{**row, "label": "independent_reporting"} for row in rows]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert call(monkeypatch, "audit", answers, "--only", "L", "-o", tmp_path / "out") == 0
    shown = capsys.readouterr().out
    assert re.search(r"hedge look-alikes +0\.0 % \[0\.0, \d+\.\d\]", shown)
    # Without another sentence of the audit, the file is no answer to it.
    assert call(monkeypatch, "audit", answers, "--only", "B", "-o", tmp_path / "out") == 2
    assert "has no prediction for the sentence" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "audit needs a model"),
        (["bundled", "--only", "Z"], "--only Z"),
        (["bundled", "--labels", "absent.json"], "absent.json"),
        (["tfidf", "--only", "B"], "--train"),
        (["--cases", "absent/cases.jsonl"], "cannot write"),
    ],
)
def test_what_is_wrong_is_one_line(monkeypatch, capsys, tmp_path, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "audit", *arguments) == 2
    err = capsys.readouterr().err.splitlines()[-1]
    assert err.startswith("framelens-eval: ")
    assert message in err


def test_a_system_that_cannot_answer_is_an_error() -> None:
    class Broken(Fake):
        def answer(self, rows) -> Answers:
            raise InputError(f"no answer to {len(rows)}")

    with pytest.raises(InputError, match="no answer to 13"):
        run_audit(Broken(by_two_words), HOW, select_checks(MATERIAL.checks, ["B1"]))
