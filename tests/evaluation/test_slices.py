"""Slices of the data, and whether a system does worse on one than on the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens import LABELS
from framelens_evaluation.inputs.dataset import GoldSentence
from framelens_evaluation.reporting.document import Callout, Document, Figure, Table
from framelens_evaluation.reporting.markdown import render_markdown
from framelens_evaluation.run.slices import SliceResult, slice_scores, slices_section
from framelens_evaluation.run.slicing import DIMENSIONS, has_quotation, slices_of
from framelens_evaluation.statistics.bootstrap import Interval, Resampling, cluster_confusions
from framelens_evaluation.statistics.gaps import gap_p_values, label_adjusted_gap
from framelens_evaluation.statistics.metrics import NO_LABEL, accuracy, macro_f1, recall

few = settings(max_examples=40, deadline=None)
HOW = Resampling(0, 200)


def row(at: int, *, label: int = 1, per_article: int = 2, **more) -> GoldSentence:
    settings = {"article": f"article {at // per_article}", "stratum": "natural", "text": f"Ship {at} sailed."}
    return GoldSentence(label=LABELS[label], **{**settings, **more})


def counts(gold: np.ndarray, found: np.ndarray) -> np.ndarray:
    return cluster_confusions(gold, found, np.zeros_like(gold), 1)[0]


def toy(n: int = 400, wrong_in: float = 0.6, wrong_out: float = 0.2, seed: int = 0, share_in: float = 0.25):
    """Sentences of two outlets, the first with more mistakes and another mix of labels."""
    rng = np.random.default_rng(seed)
    inside = np.arange(n) < n * share_in
    gold = np.where(inside, rng.choice(3, n, p=[0.6, 0.2, 0.2]), rng.choice(3, n, p=[0.2, 0.6, 0.2]))
    wrong = rng.random(n) < np.where(inside, wrong_in, wrong_out)
    found = np.where(wrong, (gold + 1) % 3, gold)
    rows = [row(i, label=int(gold[i]), outlet_id="bay_news" if inside[i] else "cape_post") for i in range(n)]
    return rows, gold, found, inside


def by_name(results: tuple[SliceResult, ...]) -> dict[str, SliceResult]:
    return {result.name: result for result in results}


# What the data are sliced by. --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("“We sail,” she said.", True),
        ('He called it "a storm".', True),
        ("‘We don’t sail,’ she said.", True),
        ("'We don't sail,' she said.", True),
        ("«Nous partons», dit-elle.", True),
        ("and then we sailed,” she said.", True),
        ('It opened in "the spring of 1990".', True),
        ("The captain's crew didn't sail.", False),
        ("The sailors’ union isn’t on strike.", False),
        ("In the '90s the sailors' union was strong.", False),
        ("Rock 'n' roll at sea.", False),
        ('A plank of 6" by 4".', False),
        ("No marks at all.", False),
    ],
)
def test_quotations(text: str, expected: bool) -> None:
    assert has_quotation(text) is expected


def test_every_dimension_and_value() -> None:
    rows = [
        row(
            0,
            text="“We sail,” said the captain of ship 5.",
            context="It rained. The wind rose.",
            outlet_id="bay_news",
            source="north",
            country="Ruritania",
            side="state",
            date="2021-05-03",
            rule="I",
            sure=1,
        ),
        row(1, text=" ".join(["word"] * 41), date="May", sure=0, stratum="hedge_cue"),
        row(2, text=" ".join(["word"] * 11), context="One. Two. Three went out. Four came back."),
    ]
    found = {each.name: each.mask.tolist() for each in slices_of(rows)}
    assert found == {
        "outlet: bay_news": [True, False, False],
        "source: north": [True, False, False],
        "country: Ruritania": [True, False, False],
        "side: state": [True, False, False],
        "year: 2021": [True, False, False],
        "length: 1 to 10 words": [True, False, False],
        "length: 11 to 20 words": [False, False, True],
        "length: 41 or more words": [False, True, False],
        "quotation: with marks": [True, False, False],
        "quotation: without marks": [False, True, True],
        "digits: some": [True, False, False],
        "digits: none": [False, True, True],
        "context: 2 sentences before": [True, False, False],
        "context: no sentence before": [False, True, False],
        "context: 3 or more sentences before": [False, False, True],
        "stratum: natural": [True, False, True],
        "stratum: hedge_cue": [False, True, False],
        "rule: I": [True, False, False],
        "judge: sure": [True, False, False],
        "judge: not sure": [False, True, False],
    }
    assert {name.partition(":")[0] for name in found} == set(DIMENSIONS)


@pytest.mark.parametrize("n", [10, 11, 20, 21, 30, 31, 40, 41])
def test_each_length_is_in_one_bin(n: int) -> None:
    (found,) = [each for each in slices_of([row(0, text="a " * n)]) if each.dimension == "length"]
    low = (n - 1) // 10 * 10 + 1
    assert found.value == ("41 or more words" if n > 40 else f"{low} to {low + 9} words")


# The gap and its test. ---------------------------------------------------------------------------------


def test_the_gap_of_a_worked_case() -> None:
    # State: 8 of 10 right inside, 30 of 40 outside; hedged: 1 of 5 inside, 10 of 20 outside.
    inside = np.array([[8, 2, 0, 0], [0, 0, 0, 0], [4, 0, 1, 0]])
    outside = np.array([[30, 10, 0, 0], [5, 90, 5, 0], [5, 4, 10, 1]])
    weights = np.array([10 * 40 / 50, 5 * 20 / 25])
    expected = ((0.8 - 0.75) * weights[0] + (0.2 - 0.5) * weights[1]) / weights.sum()
    assert label_adjusted_gap(inside, outside) == pytest.approx(expected)
    assert label_adjusted_gap(outside, inside) == pytest.approx(-expected)


def test_another_mix_of_labels_alone_is_no_gap() -> None:
    inside = np.array([[80, 20, 0, 0], [5, 5, 0, 0], [0, 0, 0, 0]])
    outside = np.array([[8, 2, 0, 0], [50, 50, 0, 0], [3, 3, 3, 0]])
    assert accuracy(inside) > accuracy(outside) + 0.2
    assert label_adjusted_gap(inside, outside) == pytest.approx(0, abs=1e-12)


def test_one_label_is_compared_by_recall_and_none_in_common_not_at_all() -> None:
    inside = np.array([[0, 0, 0, 0], [2, 6, 1, 1], [0, 0, 0, 0]])
    outside = np.array([[9, 1, 0, 0], [0, 9, 1, 0], [0, 0, 7, 3]])
    assert label_adjusted_gap(inside, outside) == pytest.approx(0.6 - 0.9)
    outside[1] = 0
    assert np.isnan(label_adjusted_gap(inside, outside))
    assert np.isnan(label_adjusted_gap(np.zeros((3, 4)), outside))


@pytest.mark.parametrize(("wrong_in", "seed"), [(0.25, 1), (0.29, 2), (0.3, 3), (0.2, 4)])
def test_the_test_agrees_with_cochran_mantel_haenszel_for_single_sentences(wrong_in, seed) -> None:
    stats = pytest.importorskip("scipy.stats")
    _, gold, found, inside = toy(3000, wrong_in=wrong_in, wrong_out=0.25, seed=seed)
    (p,) = gap_p_values([inside], gold, found, np.arange(3000), 3000)
    right = found == gold
    excess, variance = 0.0, 0.0
    for label in range(3):
        of_label = gold == label
        n, n_in, n_right = of_label.sum(), (of_label & inside).sum(), (of_label & right).sum()
        excess += (of_label & inside & right).sum() - n_in * n_right / n
        variance += n_in * (n - n_in) * n_right * (n - n_right) / n**2 / (n - 1)
    # The larger of two variances is taken, so that the statistic is never above the classical one.
    z = stats.norm.isf(p / 2)
    assert z <= abs(excess) / np.sqrt(variance) * 1.001
    assert z == pytest.approx(abs(excess) / np.sqrt(variance), rel=0.06)


def test_repeated_sentences_do_not_add_proof() -> None:
    _, gold, found, inside = toy(200, wrong_in=0.45)
    (singly,) = gap_p_values([inside], gold, found, np.arange(200), 200)
    (repeated,) = gap_p_values(
        [np.repeat(inside, 5)], np.repeat(gold, 5), np.repeat(found, 5), np.repeat(np.arange(200), 5), 200
    )
    assert repeated == pytest.approx(singly, rel=0.05)
    (careless,) = gap_p_values(
        [np.repeat(inside, 5)], np.repeat(gold, 5), np.repeat(found, 5), np.arange(1000), 1000
    )
    assert careless < singly / 10


def test_chance_is_seldom_taken_for_a_gap() -> None:
    rng = np.random.default_rng(1)
    p_values = []
    for _ in range(300):
        gold = rng.integers(3, size=400)
        codes = np.arange(400) // 4
        # Articles differ in how hard they are.
        right = rng.random(400) < rng.beta(4, 1, size=100)[codes]
        masks = [codes < 12, rng.random(400) < 0.2]
        p_values.append(gap_p_values(masks, gold, np.where(right, gold, (gold + 1) % 3), codes, 100))
    share = (np.array(p_values) < 0.05).mean(0)
    assert (share < 0.07).all()
    assert share[1] > 0.005


def test_a_few_articles_all_right_are_no_proof() -> None:
    gold = np.ones(400, dtype=np.int64)
    codes = np.arange(400) // 4
    inside = codes < 5
    found = np.where(inside | (np.arange(400) % 5 > 0), gold, 0)
    (p,) = gap_p_values([inside], gold, found, codes, 100)
    assert accuracy(counts(gold[inside], found[inside])) == 1.0
    assert p > 0.02


def test_where_nothing_varies_nothing_differs() -> None:
    gold = np.arange(60) % 3
    inside = np.arange(60) < 30
    assert gap_p_values([inside], gold, gold, np.arange(60), 60) == [1.0]
    assert gap_p_values([inside], gold, (gold + 1) % 3, np.arange(60), 60) == [1.0]
    assert gap_p_values([inside], gold, np.full(60, NO_LABEL), np.arange(60), 60) == [1.0]


@few
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 5), st.booleans()),
        min_size=1,
        max_size=60,
    ),
    st.randoms(use_true_random=False),
)
def test_order_and_side_do_not_matter(sentences, random) -> None:
    def measured(items) -> tuple[float, float]:
        gold, found, codes, inside = (np.array(column) for column in zip(*items, strict=True))
        (p,) = gap_p_values([inside], gold, found, codes, 6)
        own, rest = counts(gold[inside], found[inside]), counts(gold[~inside], found[~inside])
        return p, float(label_adjusted_gap(own, rest))

    p, gap = measured(sentences)
    assert 0 <= p <= 1
    assert np.isnan(gap) or -1 <= gap <= 1
    shuffled = list(sentences)
    random.shuffle(shuffled)
    assert measured(shuffled) == pytest.approx((p, gap), nan_ok=True)
    other_side = [(gold, found, code, not inside) for gold, found, code, inside in sentences]
    assert measured(other_side) == pytest.approx((p, -gap), nan_ok=True)


# Results. ----------------------------------------------------------------------------------------------


def test_scores_of_a_slice_are_those_of_its_sentences() -> None:
    rows, gold, found, inside = toy()
    found[::17] = NO_LABEL
    results = by_name(slice_scores(rows, gold, found, HOW, 3))
    bay = results["outlet: bay_news"]
    assert (bay.n_sentences, bay.n_articles) == (100, 50)
    own, rest = counts(gold[inside], found[inside]), counts(gold[~inside], found[~inside])
    assert bay.accuracy.value == pytest.approx(float(accuracy(own)))
    assert bay.macro_f1.value == pytest.approx(float(macro_f1(own)))
    assert bay.gap.value == pytest.approx(float(label_adjusted_gap(own, rest)))
    n, m = own.sum(1), rest.sum(1)
    assert bay.gap.value == pytest.approx(np.average(recall(own) - recall(rest), weights=n * m / (n + m)))
    for interval in (bay.accuracy, bay.macro_f1, bay.gap):
        assert interval.low < interval.value < interval.high
    cape = results["outlet: cape_post"]
    assert cape.gap.value == pytest.approx(-bay.gap.value)
    assert (cape.gap.low, cape.gap.high) == pytest.approx((-bay.gap.high, -bay.gap.low))
    assert cape.p_value == pytest.approx(bay.p_value)


def test_the_bad_outlet_comes_first_and_differs() -> None:
    rows, gold, found, _ = toy()
    results = slice_scores(rows, gold, found, HOW, 3)
    assert results[0].name == "outlet: bay_news"
    assert results[0].differs
    assert results[0].p_adjusted >= results[0].p_value
    tested = [result for result in results if result.untested is None]
    assert [result.gap.value for result in tested] == sorted(result.gap.value for result in tested)
    assert results[: len(tested)] == tuple(tested)


def test_without_a_difference_none_is_found() -> None:
    rows, gold, found, _ = toy(wrong_in=0.2, wrong_out=0.2)
    assert not any(result.differs for result in slice_scores(rows, gold, found, HOW, 3))


def test_the_same_question_is_asked_once() -> None:
    rows, gold, found, inside = toy(wrong_in=0.35)
    plain = by_name(slice_scores(rows, gold, found, HOW, 3))
    # The same cut three times over, and no other: two outlets, two countries, two years.
    again = [
        each.model_copy(update={"country": "Ruritania" if i else "Syldavia", "date": "2020" if i else "2021"})
        for each, i in zip(rows, inside, strict=True)
    ]
    results = by_name(slice_scores(again, gold, found, HOW, 3))
    assert results["outlet: bay_news"] == plain["outlet: bay_news"]
    assert results["country: Ruritania"].same_as == "outlet: bay_news"
    assert results["country: Ruritania"].p_adjusted == results["outlet: bay_news"].p_adjusted
    assert results["year: 2020"].same_as == "outlet: bay_news"
    assert results["outlet: bay_news"].same_as is None
    assert results["outlet: cape_post"].same_as is None


def test_correction_is_holms() -> None:
    rows, gold, found, _ = toy(wrong_in=0.35)
    rng = np.random.default_rng(2)
    rows = [each.model_copy(update={"source": rng.choice(["n", "s", "w"])}) for each in rows]
    results = [r for r in slice_scores(rows, gold, found, HOW, 3) if r.untested is None]
    # The two outlets ask one question, the three sources three.
    questions = {round(r.p_value, 12): r for r in results if r.dimension in ("outlet", "source")}
    ordered = sorted(questions)
    assert len(ordered) == 4
    expected, least = {}, 0.0
    for rank, p in enumerate(ordered):
        least = max(least, min(1.0, p * (len(ordered) - rank)))
        expected[p] = least
    for p, result in questions.items():
        assert result.p_adjusted == pytest.approx(expected[p])


def test_small_slices_are_shown_and_not_tested() -> None:
    rows, gold, found, _ = toy()
    small = []
    for i, each in enumerate(rows):
        source = "tiny" if i < 19 else "one article" if 20 <= i < 60 else "rest"
        article = "long" if source == "one article" else each.article
        small.append(each.model_copy(update={"source": source, "article": article}))
    results = by_name(slice_scores(small, gold, found, HOW, 3))
    for name, n in (("source: tiny", 19), ("source: one article", 40)):
        assert results[name].n_sentences == n
        assert "fewer than 20 sentences or 5 articles" in results[name].untested
        assert results[name].p_value is results[name].p_adjusted is None
        assert not results[name].differs
    assert results["source: one article"].accuracy.value is not None
    assert results["source: one article"].accuracy.low is None
    whole = results["stratum: natural"]
    assert whole.untested.startswith("the rest has fewer")
    assert whole.gap == Interval(None, None, None)


def test_a_slice_with_a_label_of_its_own_is_not_tested() -> None:
    gold = np.repeat([0, 1], 60)
    rows = [row(i, label=int(gold[i]), rule="S2" if i < 60 else "I") for i in range(120)]
    results = by_name(slice_scores(rows, gold, gold, HOW, 3))
    assert results["rule: S2"].untested == "no label in common with the rest"
    assert results["rule: S2"].gap.value is None


def test_no_sentences_one_sentence_one_article() -> None:
    none = np.empty(0, dtype=np.int64)
    assert slice_scores([], none, none, HOW, 3) == ()
    results = slice_scores([row(0)], np.array([1]), np.array([1]), HOW, 3)
    assert all(result.untested and result.gap.value is None for result in results)
    rows = [row(i, per_article=100, outlet_id="ab"[i % 2]) for i in range(60)]
    ones = np.ones(60, dtype=np.int64)
    assert all(result.untested for result in slice_scores(rows, ones, ones, HOW, 3))


def test_seed_chunks_and_order_of_rows(monkeypatch) -> None:
    rows, gold, found, _ = toy(200)
    results = slice_scores(rows, gold, found, HOW, 3)
    assert slice_scores(rows, gold, found, HOW, 3) == results
    assert slice_scores(rows, gold, found, Resampling(1, 200), 3) != results
    monkeypatch.setattr("framelens_evaluation.run.slices._CHUNK", 1)
    assert slice_scores(rows, gold, found, HOW, 3) == results
    order = np.random.default_rng(5).permutation(200)
    shuffled = by_name(slice_scores([rows[i] for i in order], gold[order], found[order], HOW, 3))
    for name, result in by_name(results).items():
        assert shuffled[name].gap.value == pytest.approx(result.gap.value, nan_ok=True)
        assert shuffled[name].p_adjusted == pytest.approx(result.p_adjusted)


def test_json_holds_it_all() -> None:
    rows, gold, found, _ = toy(200)
    for result in slice_scores(rows, gold, found, HOW, 3):
        text = result.model_dump_json()
        assert "NaN" not in text
        assert SliceResult.model_validate_json(text) == result


# The section. ------------------------------------------------------------------------------------------


def of_kind(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_the_section_names_what_differs() -> None:
    rows, gold, found, _ = toy()
    rows = [each.model_copy(update={"country": each.outlet_id}) for each in rows]
    results = slice_scores(rows, gold, found, HOW, 3)
    section = slices_section(results)
    (callout,), (table,), (figure,) = (of_kind(section, kind) for kind in (Callout, Table, Figure))
    assert callout.tone == "warn"
    assert "**Worse** than on the rest: outlet: bay_news (-" in callout.text
    assert "**Better** than on the rest: outlet: cape_post (+" in callout.text
    assert "country" not in callout.text  # the same sentences again
    assert "2 differ" in callout.text
    assert len(table.rows) == len(results)
    assert table.searchable
    assert table.folded_after == 15
    assert table.rows[0][0] == "outlet: bay_news"
    assert "country: bay_news (= outlet: bay_news)" in {str(cells[0]) for cells in table.rows}
    assert "outlet: bay_news" in figure.description
    assert "differs" in figure.description
    assert figure.name == "slices"


def test_sections_of_two_systems_do_not_collide() -> None:
    rows, gold, found, _ = toy(200)
    results = slice_scores(rows, gold, found, HOW, 3)
    one, two = slices_section(results), slices_section(results, system="TF-IDF (2)")
    assert one.title != two.title
    assert of_kind(one, Figure)[0].name != of_kind(two, Figure)[0].name == "slices-tf-idf-2"


def test_the_section_without_differences_or_without_slices() -> None:
    rows, gold, found, _ = toy(wrong_in=0.2, wrong_out=0.2)
    (callout,) = of_kind(slices_section(slice_scores(rows, gold, found, HOW, 3)), Callout)
    assert "cannot be told" not in callout.text
    assert "can be told from the rest" in callout.text
    assert callout.tone == "note"
    assert not of_kind(slices_section(()), Table)
    tiny = slice_scores(rows[:4], gold[:4], found[:4], HOW, 3)
    section = slices_section(tiny)
    assert not of_kind(section, Figure)
    readable = render_markdown(Document("A", "b", (section,)))
    assert " nan" not in readable
    assert "n/a" in readable
