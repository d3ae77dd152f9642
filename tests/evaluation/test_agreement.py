"""Agreement of judges: published cases, other packages, missing values, and the command."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens import LABELS, InputError
from framelens_evaluation import cli
from framelens_evaluation.agreement.document import agreement_document, reading_of_alpha
from framelens_evaluation.agreement.judgements import MISSING, Item, Judgements
from framelens_evaluation.agreement.measure import measure_agreement, read_judge_ceiling
from framelens_evaluation.agreement.measures import (
    agreed_share,
    cohen_kappa,
    judge_ceiling,
    krippendorff_alpha,
    pair_confusions,
    pair_counts,
    specific_agreement,
)
from framelens_evaluation.agreement.result import AgreementReport
from framelens_evaluation.reporting.markdown import render_markdown
from framelens_evaluation.statistics.bootstrap import Resampling
from framelens_evaluation.statistics.metrics import NO_LABEL

if TYPE_CHECKING:
    from pathlib import Path

few = settings(max_examples=50, deadline=None)
_ = MISSING


def columns(*judges: str) -> np.ndarray:
    """Judges' values, one character a unit, ``.`` where missing, as (n_items, n_judges)."""
    return np.array([[_ if value == "." else int(value) - 1 for value in judge] for judge in judges]).T


@st.composite
def judged(draw) -> np.ndarray:
    n_items, n_judges = draw(st.integers(1, 12)), draw(st.integers(2, 4))
    values = st.integers(MISSING, 2)
    return np.array(
        draw(
            st.lists(
                st.lists(values, min_size=n_judges, max_size=n_judges), min_size=n_items, max_size=n_items
            )
        )
    )


def test_alpha_of_the_published_cases() -> None:
    # Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), cases A, B and C.
    binary = columns("1211111121", "2221121111")
    assert krippendorff_alpha(binary, 2) == pytest.approx(0.095, abs=5e-4)
    letters = str.maketrans("abcde", "12345")
    nominal = columns("aabbdcccedda".translate(letters), "babbbccceddd".translate(letters))
    assert krippendorff_alpha(nominal, 5) == pytest.approx(0.692, abs=5e-4)
    four = columns("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    assert krippendorff_alpha(four, 5) == pytest.approx(0.743, abs=5e-4)


@few
@given(judged())
def test_alpha_is_that_of_the_package(codes: np.ndarray) -> None:
    package = pytest.importorskip("krippendorff")
    ours = krippendorff_alpha(codes, 3)
    paired = codes[(codes != _).sum(1) >= 2]
    if len(np.unique(paired[paired != _])) < 2:
        assert ours is None
        return
    data = np.where(codes == _, np.nan, codes.astype(float)).T
    theirs = package.alpha(data, value_domain=[0.0, 1.0, 2.0], level_of_measurement="nominal")
    assert ours == pytest.approx(theirs)


@few
@given(judged(), st.randoms(use_true_random=False))
def test_agreement_does_not_depend_on_order_or_on_lone_judgements(codes, random) -> None:
    items, judges = list(range(codes.shape[0])), list(range(codes.shape[1]))
    random.shuffle(items)
    random.shuffle(judges)
    lone = np.full((1, codes.shape[1]), _)
    lone[0, 0] = 2
    other = np.vstack([codes[items][:, judges], lone])
    assert krippendorff_alpha(other, 3) == pytest.approx(krippendorff_alpha(codes, 3), nan_ok=True)
    pairs, others = pair_counts(codes, 3).sum(0), pair_counts(other, 3).sum(0)
    assert (pairs == others).all()
    assert (pairs == pairs.T).all()
    assert pairs.sum() == sum(m * (m - 1) for m in (codes != _).sum(1))


def test_kappa_is_that_of_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    first = rng.integers(3, size=200)
    second = np.where(rng.random(200) < 0.7, first, rng.integers(3, size=200))
    confusion = pair_confusions(first, second, 3).sum(0)
    assert float(cohen_kappa(confusion)) == pytest.approx(sklearn.cohen_kappa_score(first, second))
    assert confusion == pytest.approx(sklearn.confusion_matrix(first, second))
    # Agreement on a value is F1 of one judge against the other.
    both = specific_agreement(confusion)
    assert both == pytest.approx(sklearn.f1_score(first, second, average=None))
    assert specific_agreement(confusion + confusion.T) == pytest.approx(both)
    assert float(agreed_share(confusion)) == pytest.approx((first == second).mean())


def test_kappa_by_hand() -> None:
    # Cohen's form: 35 of 50 agreed, 0.5 by chance.
    assert float(cohen_kappa(np.array([[20, 5], [10, 15]]))) == pytest.approx(0.4)
    assert np.isnan(cohen_kappa(np.array([[9, 0], [0, 0]])))
    assert np.isnan(cohen_kappa(np.zeros((2, 2))))


def test_agreement_on_a_value_by_hand_with_three_judges() -> None:
    # Given value 1 by one judge, another gives it: unit 1 has 6 of 6 pairs, unit 2 has 2 of 4.
    codes = columns("11", "11", "12")
    assert specific_agreement(pair_counts(codes, 2).sum(0)) == pytest.approx([8 / 10, 0.0])
    assert float(agreed_share(pair_counts(codes, 2).sum(0))) == pytest.approx(8 / 12)


def test_the_ceiling_is_macro_f1_in_both_directions() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    first = rng.integers(3, size=120)
    second = np.where(rng.random(120) < 0.8, first, rng.integers(3, size=120))
    first[:10], second[10:20] = NO_LABEL, _
    found = judge_ceiling(
        np.stack([first, second], 1), ("ann", "ben"), np.arange(120) // 3, 40, Resampling(0, 200)
    )
    expected = sklearn.f1_score(first[20:], second[20:], average="macro")
    assert found.n_items == 100
    assert found.macro_f1.value == pytest.approx(expected)
    assert found.macro_f1.low < expected < found.macro_f1.high
    assert [(judged, gold) for judged, gold, _score in found.directions] == [("ben", "ann"), ("ann", "ben")]
    assert found.model is None


def test_directions_differ_where_a_judge_never_gave_a_label() -> None:
    first, second = np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1])
    found = judge_ceiling(np.stack([first, second], 1), ("a", "b"), np.arange(5), 5, Resampling(0, 10))
    # Gold of a: F1 of 1, 0.8 and 0; gold of b: 1 and 0.8, the third label does not occur.
    assert found.directions[0][2].value == pytest.approx(1.8 / 3)
    assert found.directions[1][2].value == pytest.approx(0.9)
    assert found.macro_f1.value == pytest.approx((0.6 + 0.9) / 2)


def test_a_model_that_copies_a_judge_is_half_way_above_the_ceiling() -> None:
    rng = np.random.default_rng(3)
    first = rng.integers(3, size=300)
    second = np.where(rng.random(300) < 0.6, first, rng.integers(3, size=300))
    codes, clusters, how = np.stack([first, second], 1), np.arange(300), Resampling(0, 300)
    found = judge_ceiling(codes, ("a", "b"), clusters, 300, how, model=first)
    assert found.model.value == pytest.approx((1 + found.macro_f1.value) / 2)
    assert found.difference.value == pytest.approx(found.model.value - found.macro_f1.value)
    assert found.difference.low > 0
    refusing = judge_ceiling(codes, ("a", "b"), clusters, 300, how, model=np.full(300, NO_LABEL))
    assert refusing.model.value == 0.0


def test_a_ceiling_needs_shapes_that_fit() -> None:
    with pytest.raises(InputError, match="one name a judge"):
        judge_ceiling(np.zeros((3, 2), dtype=int), ("a",), np.arange(3), 3, Resampling(0, 1))


def judgements(codes: np.ndarray, *, rules=None, sure=None, clusters=None) -> Judgements:
    n_items, n_judges = codes.shape
    none = np.full(codes.shape, _)
    items = tuple(
        Item(
            id=f"s{at}",
            text=f"The ferry left pier {at}.",
            article=None if clusters is None else str(clusters[at]),
            stratum="natural" if at % 2 else "hedge_cue",
        )
        for at in range(n_items)
    )
    return Judgements(
        items,
        tuple(f"judge {at}" for at in range(n_judges)),
        codes,
        none if rules is None else rules,
        none if sure is None else sure,
    )


@pytest.fixture
def codes() -> np.ndarray:
    """Three judges of 120 sentences; the third judged every second, and each said X to some."""
    rng = np.random.default_rng(5)
    true = rng.integers(3, size=120)
    found = np.stack([np.where(rng.random(120) < 0.8, true, rng.integers(4, size=120)) for _j in range(3)], 1)
    found[::2, 2] = _
    return found


def test_a_report_of_three_judges(codes) -> None:
    sure = np.where(codes == _, _, (np.arange(120) % 3 > 0)[:, None].astype(int))
    report = measure_agreement(judgements(codes, sure=sure, clusters=np.arange(120) // 4), n_resamples=200)
    labels = np.where(codes == NO_LABEL, _, codes)
    assert report.labels.alpha.value == pytest.approx(krippendorff_alpha(labels, 3))
    assert report.labels.alpha.low < report.labels.alpha.value < report.labels.alpha.high
    assert report.n_twice == int(((labels != _).sum(1) >= 2).sum())
    assert report.n_not_annotated == int((codes == NO_LABEL).sum()) > 0
    assert report.by_article
    assert report.rules is None
    assert [(pair.first, pair.second) for pair in report.pairs] == [
        ("judge 0", "judge 1"),
        ("judge 0", "judge 2"),
        ("judge 1", "judge 2"),
    ]
    pooled = sum(np.array(pair.confusion) + np.array(pair.confusion).T for pair in report.pairs)
    assert (pooled == np.array(report.pooled)).all()
    assert {level.name: level.n_items for level in report.by_sure} == {
        "every judge sure": int(((labels != _).sum(1) >= 2)[np.arange(120) % 3 > 0].sum()),
        "a judge unsure": int(((labels != _).sum(1) >= 2)[np.arange(120) % 3 == 0].sum()),
    }
    assert sum(level.n_items for level in report.by_stratum) == report.n_twice
    assert 0 < report.ceiling.macro_f1.value < 1


def test_not_annotated_can_count_as_a_value(codes) -> None:
    report = measure_agreement(judgements(codes), with_x=True, n_resamples=50)
    assert report.values[-1] == "not annotated"
    assert report.labels.alpha.value == pytest.approx(krippendorff_alpha(codes, 4))
    assert not report.by_article
    assert len(report.pooled) == 4


def test_rules_are_measured_where_they_are_known(codes) -> None:
    rules = np.where((codes == NO_LABEL) | (codes == _), _, np.array([0, 4, 2, 0])[codes])
    report = measure_agreement(judgements(codes, rules=rules), n_resamples=50)
    # Each label has one rule here, so that both alphas are the same.
    assert report.rules.alpha.value == pytest.approx(report.labels.alpha.value)
    assert [value.value for value in report.rules.values] == ["S1", "S2", "H1", "H2", "I"]
    assert report.rules.values[1].agreement.value is None
    assert report.rules.values[1].n_given == 0


def test_the_seed_decides(codes) -> None:
    def of(seed: int):
        return measure_agreement(judgements(codes), n_resamples=50, seed=seed)

    assert of(0).labels == of(0).labels
    assert of(0).ceiling == of(0).ceiling
    assert of(0).labels != of(1).labels


def test_repeated_sentences_widen_the_interval_by_article(codes) -> None:
    many = np.repeat(codes[:, :2], 4, axis=0)
    by_article = measure_agreement(judgements(many, clusters=np.repeat(np.arange(120), 4)), n_resamples=400)
    singly = measure_agreement(judgements(many), n_resamples=400)
    widths = [found.labels.alpha.high - found.labels.alpha.low for found in (by_article, singly)]
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.25)


def test_what_is_not_defined_is_said_so() -> None:
    def of(codes) -> tuple[AgreementReport, str]:
        found = judgements(np.array(codes))
        report = measure_agreement(found, n_resamples=20)
        text = render_markdown(agreement_document(report, found))
        assert " nan" not in text.lower()
        return report, text

    one_value, text = of(np.zeros((6, 2), dtype=int))
    assert one_value.labels.alpha.value is None
    assert one_value.labels.agreed.value == 1.0
    assert "Alpha is **not defined**" in text
    one_sentence, text = of([[0, 1]])
    assert one_sentence.labels.alpha.low is None
    assert "too few articles for an interval" in text
    apart, text = of([[0, 0, _], [1, 1, _], [2, _, _], [_, _, 0]])
    assert apart.labels.alpha.value == 1.0
    # The third judge shares no sentence with another.
    assert [pair.kappa.value for pair in apart.pairs] == [1.0, None, None]
    assert apart.ceiling.directions[-1][2].value is None
    assert "| judge 0, judge 2 | 0 | n/a | n/a |" in text


def test_nothing_judged_twice_is_refused() -> None:
    with pytest.raises(InputError, match="judged by two judges"):
        measure_agreement(judgements(np.array([[0, _], [_, 1]])))


def test_the_reading_of_alpha_does_not_overclaim() -> None:
    def said(share: float, n: int) -> str:
        rng = np.random.default_rng(1)
        first = rng.integers(3, size=n)
        second = np.where(rng.random(n) < share, first, rng.integers(3, size=n))
        return reading_of_alpha(measure_agreement(judgements(np.stack([first, second], 1)), n_resamples=300))

    assert "to rely on, and so is the whole interval" in said(0.97, 1000)
    assert "below 0.667" in said(0.3, 1000)
    assert "not settled" in said(0.8, 60)


def test_only_disagreements_are_noticed() -> None:
    found = judgements(np.array([[0, 1], [1, 2], [2, 0], [1, 0]]))
    text = render_markdown(agreement_document(measure_agreement(found, n_resamples=20), found))
    assert "No two judgements agree" in text
    assert "ferry" not in text


def call(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["framelens-eval", "agreement", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    rules = np.array(["S1", "S2", "H1", "H2", "I", "X"])
    true = rng.integers(5, size=60)
    for name in ("ann", "ben"):
        said = np.where(rng.random(60) < 0.8, true, rng.integers(6, size=60))
        lines = [f"s{at}\t{rules[rule]}\t{at % 2}\t-\n" for at, rule in enumerate(said)]
        (tmp_path / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")
    items = [
        {"id": f"s{at}", "text": f"A seal slept on rock {at}.", "article": f"a{at // 2}"} for at in range(60)
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(i) + "\n" for i in items), encoding="utf-8")
    answers = [{"id": f"s{at}", "label": LABELS[(0, 0, 2, 2, 1)[true[at]]]} for at in range(60)]
    (tmp_path / "model.jsonl").write_text("".join(json.dumps(a) + "\n" for a in answers), encoding="utf-8")
    return tmp_path


def test_the_command_reads_judges_files(monkeypatch, capsys, files: Path) -> None:
    folder = files / "report"
    code = call(
        monkeypatch, files / "ann.tsv", files / "ben.tsv", "--items", files / "items.jsonl",
        "--against", files / "model.jsonl", "--resamples", 200, "-o", folder, "--note", "two invented judges",
    )  # fmt: skip
    shown = capsys.readouterr().out
    assert code == 0
    assert "Alpha of the labels is 0." in shown
    assert "model.jsonl against the same judges: macro-F1 0." in shown
    report = AgreementReport.model_validate_json((folder / "report.json").read_text(encoding="utf-8"))
    assert report.judges == ("ann", "ben")
    assert report.by_article
    assert report.rules is not None
    assert report.ceiling.difference.low > 0  # the model knows the truth that both judges miss at random
    assert {each.judge for each in report.model_against} == {"ann", "ben"}
    assert [source.role for source in report.provenance.sources] == ["judgements"] * 2 + ["items", "model"]
    assert "seal slept" in (folder / "report.html").read_text(encoding="utf-8")
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "seal slept" not in text
    assert "## Disagreements\n\nThe sentences stand on the page alone." in text
    assert "two invented judges" in text
    assert "agrees with the judges **more**" in text
    assert read_judge_ceiling(folder / "report.json") == report.ceiling.macro_f1


def test_a_model_needs_the_texts(monkeypatch, capsys, files: Path, model) -> None:
    assert call(monkeypatch, files / "ann.tsv", files / "ben.tsv", "--against", "tfidf") == 2
    assert "write its predictions to a file" in capsys.readouterr().err
    from framelens_evaluation.agreement.judgements import read_judgements
    from framelens_evaluation.inputs.systems import FramingSystem

    found = read_judgements([files / "ann.tsv", files / "ben.tsv"])
    with pytest.raises(InputError, match="--items"):
        measure_agreement(found, against=("ours", FramingSystem(model)), n_resamples=10)


def test_a_file_that_is_no_report_gives_no_ceiling(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_judge_ceiling(tmp_path / "absent.json")
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="framelens-eval agreement"):
        read_judge_ceiling(tmp_path / "other.json")


def test_help_teaches(monkeypatch, capsys) -> None:
    assert call(monkeypatch, "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "one judge against another" in shown
    for row in ("s1,ann,state_media_framing", "id,label", "s2,independent_reporting", "s2 hedged 0"):
        assert row in shown
