"""Comparing systems: scores, tests, verdicts, tables for papers, and the command."""

from __future__ import annotations

import csv
import json
import re
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from framelens import LABELS, CueKind, Evidence, InputError
from framelens_evaluation import cli
from framelens_evaluation.compare.document import comparison_document, verdict
from framelens_evaluation.compare.measure import compare_systems
from framelens_evaluation.compare.paper_tables import as_p, as_points, entries, to_latex, write_tables
from framelens_evaluation.compare.result import Comparison
from framelens_evaluation.inputs.dataset import GoldSentence, GoldSet
from framelens_evaluation.inputs.systems import Answers
from framelens_evaluation.reporting.markdown import render_markdown
from framelens_evaluation.reporting.output import write_outputs
from framelens_evaluation.statistics.metrics import NO_LABEL
from framelens_evaluation.statistics.significance import MEASURES

if TYPE_CHECKING:
    from pathlib import Path

N = 400


class Told:
    """A system that gives the labels it was told."""

    reads = "sentence"
    digest = None

    def __init__(self, name: str, given, *, evidence=None, sure: bool = True) -> None:
        self.name, self._given, self._evidence, self._sure = name, np.asarray(given), evidence, sure

    def answer(self, rows) -> Answers:
        probabilities = np.full((len(rows), 3), np.nan)
        if self._sure:
            probabilities[:] = 0.1
            probabilities[np.arange(len(rows)), np.minimum(self._given, 2)] = 0.8
        return Answers(self._given, probabilities, self._evidence)


def noisy(gold: np.ndarray, share_right: float, seed: int) -> np.ndarray:
    draws = np.random.default_rng(seed)
    return np.where(draws.random(len(gold)) < share_right, gold, draws.integers(3, size=len(gold)))


@pytest.fixture
def codes() -> np.ndarray:
    return np.random.default_rng(1).integers(3, size=300)


@pytest.fixture
def gold(codes) -> GoldSet:
    rows = [
        GoldSentence(
            id=f"s{at}",
            text=f"The lighthouse keeper counted {at} gulls.",
            label=LABELS[code],
            article=f"a{at // 3}",
            stratum="natural",
        )
        for at, code in enumerate(codes)
    ]
    rows.append(GoldSentence(text="Photo: a gull", label=None, article="a0", stratum="natural"))
    return GoldSet("gulls.jsonl", "c" * 64, tuple(rows))


@pytest.fixture
def compared(codes, gold):
    systems = [
        ("good", Told("good_one", noisy(codes, 0.85, 2))),
        ("alike", Told("alike", noisy(codes, 0.85, 3), sure=False)),
        ("bad", Told("bad & 50%", noisy(codes, 0.4, 4))),
    ]
    return compare_systems(systems, gold, all_pairs=True, n_resamples=N, note="invented")


def test_scores_are_those_of_scikit_learn(compared, codes) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    for system, seed, share in zip(compared.result.systems, (2, 3, 4), (0.85, 0.85, 0.4), strict=True):
        given = noisy(codes, share, seed)
        assert system.score("macro_f1").value == pytest.approx(
            sklearn.f1_score(codes, given, average="macro")
        )
        assert system.score("accuracy").value == pytest.approx(sklearn.accuracy_score(codes, given))
        assert system.score("macro_f1").low < system.score("macro_f1").value < system.score("macro_f1").high


def test_pairs_are_tested_and_corrected_together(compared) -> None:
    result = compared.result
    assert [(p.first, p.second) for p in result.pairs] == [
        ("good_one", "alike"),
        ("good_one", "bad & 50%"),
        ("alike", "bad & 50%"),
    ]
    assert result.n_tests == 15
    assert (result.n_sentences, result.n_left_out, result.n_articles) == (300, 1, 100)
    same, apart = result.pairs[0].difference("macro_f1"), result.pairs[1].difference("macro_f1")
    assert not same.told_apart
    assert apart.told_apart
    assert apart.p_value == pytest.approx(1 / (N + 1))
    assert apart.p_corrected > apart.p_value
    by_name = {system.name: system.score("macro_f1").value for system in result.systems}
    assert apart.difference.value == pytest.approx(by_name["good_one"] - by_name["bad & 50%"])
    assert apart.difference.low < apart.difference.value < apart.difference.high


def test_wins_add_up(compared, codes) -> None:
    pair = compared.result.pairs[1]
    for at, won in enumerate(pair.wins):
        assert won.both + won.only_first + won.only_second + won.neither == int((codes == at).sum())
    assert sum(won.only_first for won in pair.wins) == pair.discordance.only_first
    assert sum(won.only_second for won in pair.wins) == pair.discordance.only_second


def test_the_verdict_claims_no_more_than_was_found(compared) -> None:
    same, apart, _ = compared.result.pairs
    assert "cannot be told apart" in verdict(same, 5)
    assert "no proof" in verdict(same, 5)
    assert "good_one is **better** than bad & 50%" in verdict(apart, 5)


def test_the_verdict_turns_with_the_order(codes, gold) -> None:
    systems = [("b", Told("b", noisy(codes, 0.4, 4))), ("a", Told("a", noisy(codes, 0.85, 2)))]
    result = compare_systems(systems, gold, n_resamples=N).result
    assert "b is **worse** than a" in verdict(result.pairs[0], 5)


def test_an_interval_without_zero_is_not_enough(codes, gold) -> None:
    # With so few shuffles the corrected p cannot reach 0.05, and the report says so.
    systems = [("a", Told("a", codes)), ("b", Told("b", noisy(codes, 0.4, 4)))]
    found = compare_systems(systems, gold, n_resamples=50)
    gap = found.result.pairs[0].difference("macro_f1")
    assert not gap.difference.includes_zero
    assert not gap.told_apart
    assert "p is not below 0.05" in verdict(found.result.pairs[0], 5)
    assert "shuffles are too few" in render_markdown(comparison_document(found))


def test_equal_answers_differ_by_nothing(codes, gold) -> None:
    systems = [("a", Told("same", codes)), ("b", Told("same", codes))]
    result = compare_systems(systems, gold, n_resamples=50).result
    assert [system.name for system in result.systems] == ["a", "b"]
    gap = result.pairs[0].difference("macro_f1")
    assert (gap.difference.value, gap.p_value, gap.p_corrected) == (0.0, 1.0, 1.0)
    assert result.pairs[0].discordance.cohens_g.value is None


def test_the_seed_decides_everything(codes, gold) -> None:
    def scores(seed: int):
        systems = [("a", Told("a", noisy(codes, 0.7, 1))), ("b", Told("b", noisy(codes, 0.6, 2)))]
        result = compare_systems(systems, gold, n_resamples=100, seed=seed).result
        return result.systems, result.pairs

    assert scores(0) == scores(0)
    assert scores(0) != scores(1)


def test_a_third_system_does_not_change_the_first_pair_but_by_the_correction(codes, gold) -> None:
    systems = [
        (name, Told(name, noisy(codes, share, 1))) for name, share in (("a", 0.8), ("b", 0.6), ("c", 0.7))
    ]
    two = compare_systems(systems[:2], gold, n_resamples=100).result
    three = compare_systems(systems, gold, n_resamples=100).result
    assert two.systems == three.systems[:2]
    assert [d.p_value for d in two.pairs[0].differences] == [d.p_value for d in three.pairs[0].differences]
    assert [d.difference for d in two.pairs[0].differences] == [
        d.difference for d in three.pairs[0].differences
    ]


def test_refusals_count_as_wrong(codes, gold) -> None:
    refusing = np.where(np.arange(300) < 30, NO_LABEL, codes)
    systems = [("a", Told("a", codes)), ("b", Told("b", refusing))]
    found = compare_systems(systems, gold, n_resamples=50)
    assert found.result.systems[1].n_refused == 30
    assert found.result.systems[1].score("accuracy").value == pytest.approx(0.9)
    assert "no label" in str(comparison_document(found))


def test_one_article_or_one_label_gives_no_answer_rather_than_a_wrong_one(codes) -> None:
    def of(n_labels: int, n_articles: int):
        rows = [
            GoldSentence(
                text=f"Gull {at}.",
                label=LABELS[at % n_labels],
                article=str(at % n_articles),
                stratum="natural",
            )
            for at in range(30)
        ]
        systems = [("a", Told("a", np.zeros(30, dtype=int))), ("b", Told("b", np.arange(30) % 3))]
        found = compare_systems(systems, GoldSet("g", "0" * 64, tuple(rows)), n_resamples=400)
        assert not re.search(r"\bnan\b", render_markdown(comparison_document(found)).lower())
        return found.result.pairs[0]

    one_article = of(n_labels=3, n_articles=1)
    assert one_article.difference("macro_f1").p_value is None
    assert "cannot be compared" in verdict(one_article, 5)
    one_label = of(n_labels=1, n_articles=10)
    assert one_label.difference(MEASURES[3]).difference.value is None
    assert one_label.difference("macro_f1").told_apart


def test_what_cannot_be_compared_is_refused(codes, gold) -> None:
    one, other = ("a", Told("a", codes)), ("b", Told("b", codes))
    with pytest.raises(InputError, match="two systems or more"):
        compare_systems([one], gold)
    with pytest.raises(InputError, match="'a' was given 2 times"):
        compare_systems([one, one], gold)
    with pytest.raises(InputError, match="one name for each of the 2"):
        compare_systems([one, other], gold, names=["x"])
    with pytest.raises(InputError, match="all different"):
        compare_systems([one, other], gold, names=["x", "x"])
    with pytest.raises(InputError, match="5 labels for 300"):
        compare_systems([one, ("b", Told("b", codes[:5], sure=False))], gold)
    with pytest.raises(InputError, match="no labelled sentences"):
        compare_systems([one, other], GoldSet("none", "0" * 64, gold.out_of_scope))


def test_shared_articles_are_warned_of(codes, gold, train) -> None:
    systems = [("a", Told("a", codes)), ("b", Told("b", codes))]
    apart = compare_systems(systems, gold, train=train, n_resamples=10)
    assert apart.result.shared_articles == 0
    same = compare_systems(systems, gold, train=gold, n_resamples=10)
    assert same.result.shared_articles == 100
    assert "stand in the training sentences too" in render_markdown(comparison_document(same))


def test_sentences_under_other_article_names_are_warned_of(codes, gold) -> None:
    systems = [("a", Told("a", codes)), ("b", Told("b", codes))]
    rows = [
        row.model_copy(update={"article": f"other {at}", "text": row.text.upper().replace(" ", "  ")})
        for at, row in enumerate(gold.sentences[:7])
    ]
    renamed = GoldSet("renamed.jsonl", "d" * 64, tuple(rows))
    found = compare_systems(systems, gold, train=renamed, n_resamples=10)
    assert (found.result.shared_articles, found.result.shared_sentences) == (0, 7)
    text = render_markdown(comparison_document(found))
    assert "7 of the 300 sentences stand in the training sentences too" in text
    without = compare_systems(systems, gold, n_resamples=10)
    assert without.result.shared_sentences is None
    assert "training sentences too" not in render_markdown(comparison_document(without))


def test_the_page_shows_sentences_with_evidence_and_the_markdown_none(codes, gold, tmp_path: Path) -> None:
    evidence = tuple((Evidence(4, 14, CueKind.STATE, 0.9),) for _ in range(300))
    systems = [("a", Told("a", codes, evidence=evidence)), ("b", Told("b", noisy(codes, 0.4, 1)))]
    found = compare_systems(systems, gold, n_resamples=100)
    page = write_outputs(found.result, comparison_document(found), tmp_path).read_text(encoding="utf-8")
    assert '<mark class="state" title="state_cue">lighthouse</mark> keeper' in page
    assert "marked: evidence shown by a" in page
    assert "most confident mistakes of b first" in page
    for other in ("report.md", "report.json"):
        assert "lighthouse" not in (tmp_path / other).read_text(encoding="utf-8")
    written = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert Comparison.model_validate_json(written) == found.result
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"differences.svg", "wins-1-2.svg"}


def test_many_pairs_are_drawn_by_macro_f1(codes, gold) -> None:
    systems = [(f"s{at}", Told(f"s{at}", noisy(codes, 0.5 + at / 10, at))) for at in range(5)]
    found = compare_systems(systems, gold, all_pairs=True, n_resamples=20)
    document = comparison_document(found)
    assert len(found.result.pairs) == 10
    assert document.figures[0].description.count("macro-F1") == 10
    assert "accuracy" not in document.figures[0].description
    assert len({figure.name for figure in document.figures}) == 11


def test_the_tables_hold_the_same_numbers(compared, tmp_path: Path) -> None:
    write_tables(compared.result, tmp_path)
    texts = {end: (tmp_path / f"table.{end}").read_text(encoding="utf-8") for end in ("md", "tex", "csv")}
    number = re.compile(r"\d+\.\d+")
    found = {}
    body = texts["tex"].split(r"\begin{tabular}")[1].replace("50\\%", "")
    found["tex"] = number.findall(body)
    found["md"] = number.findall("".join(line for line in texts["md"].splitlines() if line.startswith("|")))
    rows = list(csv.DictReader(texts["csv"].splitlines()))
    found["csv"] = [re.sub(r"[+-]", "", row[name]) for row in rows for name in ("value", "low", "high")]
    assert len(found["csv"]) == (3 + 3) * 5 * 3
    assert sorted(found["csv"]) == sorted(found["md"]) == sorted(found["tex"])
    assert found["csv"] == found["md"]
    marks = {row["row"]: row["differs"] for row in rows if row["measure"] == "macro_f1"}
    assert marks == {
        "good_one": "",
        "alike": "",
        "bad & 50%": "†",
        "good_one − alike": "",
        "good_one − bad & 50%": "†",
        "alike − bad & 50%": "†",
    }
    value = compared.result.systems[0].score("macro_f1").value
    assert rows[0]["value"] == f"{value:.3f}"


def test_the_latex_is_safe_and_complete(compared) -> None:
    text = to_latex(entries(compared.result), "On 300 sentences & 5 % more")
    assert r"good\_one & " in text
    assert r"bad \& 50\%" in text
    assert r"300 sentences \& 5 \% more" in text
    assert text.count("{") == text.count("}")
    body = text[text.index(r"\toprule") :]
    for line in body.splitlines():
        if line.endswith(r"\\"):
            assert len(re.findall(r"(?<!\\)&", line)) == 5
            assert "[" not in line.replace("{[}", "")
    assert not re.findall(r"[^\x00-\x7f]", text)
    for needed in (r"\toprule", r"\bottomrule", r"\caption{", r"\label{"):
        assert text.count(needed) == 1


def test_numbers_are_rounded_as_they_are_read() -> None:
    assert as_points(0.01234) == "+1.2"
    assert as_points(-0.01234) == "−1.2"
    assert as_points(-0.0001) == "0.0"
    assert as_p(0.00004) == "<0.0001"
    assert as_p(1.0) == "1.0000"


@pytest.fixture
def files(codes, gold, tmp_path: Path) -> Path:
    (tmp_path / "gold.jsonl").write_text(
        "".join(row.model_dump_json() + "\n" for row in gold.sentences), encoding="utf-8"
    )
    for name, share in (("ours", 0.8), ("theirs", 0.6)):
        lines = (
            json.dumps({"id": f"s{at}", "label": LABELS[code]}) + "\n"
            for at, code in enumerate(noisy(codes, share, 1))
        )
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return tmp_path


def call(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["framelens-eval", "compare", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_command_compares_files_and_a_baseline(monkeypatch, capsys, files: Path) -> None:
    folder, gold = files / "report", files / "gold.jsonl"
    code = call(
        monkeypatch, files / "ours.jsonl", files / "theirs.jsonl", "majority",
        "--data", gold, "--train", gold, "--name", "ours", "--name", "theirs",
        "--name", "most", "--resamples", 300, "-o", folder,
        "--note", "invented labels",
    )  # fmt: skip
    captured = capsys.readouterr()
    shown = captured.out
    assert code == 0
    assert "after correction over 10 tests" in shown
    assert "100 articles and 300 of the 300 sentences stand in the training" in captured.err
    assert "ours: macro-F1 0." in shown
    assert "ours is better than most" in shown
    assert "report.html" in shown
    report = Comparison.model_validate_json((folder / "report.json").read_text(encoding="utf-8"))
    assert [s.name for s in report.systems] == ["ours", "theirs", "most"]
    assert [(p.first, p.second) for p in report.pairs] == [("ours", "theirs"), ("ours", "most")]
    assert report.systems[0].digest is not None
    assert report.provenance.command.startswith("framelens-eval compare ")
    assert "invented labels" in (folder / "table.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bundled"], "two systems or more"),
        (["bundled", "majority", "--labels", "map.json"], "none of these systems"),
        (["bundled", "some/model", "--labels", "other=map.json"], "some/model"),
        (["bundled", "some/model", "--labels", "map.json"], "map.json"),
    ],
)
def test_what_is_wrong_is_one_line(monkeypatch, capsys, tmp_path: Path, arguments, message) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, *arguments, "--data", "gold.jsonl") == 2
    shown = capsys.readouterr().err
    assert shown.startswith("framelens-eval: ")
    assert message in shown
    assert len(shown.splitlines()) == 1


def test_help_teaches(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "--help") == 0
    assert "told apart" in capsys.readouterr().out
