"""Everything put together: against scikit-learn on written-out resamples, with weights, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    roc_auc_score,
)

from framelens import LABELS, InputError
from framelens_evaluation.statistics.bootstrap import Interval, Resampling, multiplicities
from framelens_evaluation.statistics.metrics import NO_LABEL
from framelens_evaluation.statistics.scores import Scores, score

few = settings(max_examples=15, deadline=None)  # a busy machine has no deadlines
UNKNOWN = Interval(None, None, None)
HOW = Resampling(0, 40)


def made_up(n: int = 300, seed: int = 0, n_articles: int = 40):
    """gold, given, probabilities and articles of a fair system."""
    rng = np.random.default_rng(seed)
    gold = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    logits = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[gold]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return gold, probabilities.argmax(1), probabilities, rng.integers(n_articles, size=n)


def values(found: Scores) -> dict[str, float | None]:
    """Every value, without its interval, by name."""
    named = {name: part for name, part in found if isinstance(part, Interval)}
    for of_label in found.labels:
        named |= {f"{of_label.label} {name}": part for name, part in of_label if isinstance(part, Interval)}
    if found.calibration:
        named["rms error"] = found.calibration.rms_error
    if found.selective:
        named |= {"aurc": found.selective.aurc, "excess": found.selective.excess_aurc}
        named |= {f"accuracy at {point.nominal}": point.accuracy for point in found.selective.at}
        named |= {f"macro-F1 at {point.nominal}": point.macro_f1 for point in found.selective.at}
    plain = {name: interval.value for name, interval in named.items()}
    return plain | {"ece": found.calibration.ece if found.calibration else None}


def assert_same_values(found: Scores, other: Scores) -> None:
    one, two = values(found), values(other)
    assert one.keys() == two.keys()
    for name, value in one.items():
        assert value == (None if two[name] is None else pytest.approx(two[name], abs=1e-9)), name


def test_intervals_are_the_quantiles_of_written_out_resamples() -> None:
    gold, given_, probabilities, articles = made_up()
    found = score(gold, given_, probabilities, articles, Resampling(7, 20), 3)
    (times,) = multiplicities(40, 20, Resampling(7, 20).rng(3), at_once=20)
    again = [np.repeat(np.arange(300), row[articles].astype(int)) for row in times]

    def quantiles(statistic) -> tuple[float, float]:
        return tuple(np.percentile([statistic(gold[rows], rows) for rows in again], (2.5, 97.5)))

    expected = {
        found.macro_f1: lambda g, rows: f1_score(g, given_[rows], average="macro"),
        found.accuracy: lambda g, rows: accuracy_score(g, given_[rows]),
        found.mcc: lambda g, rows: matthews_corrcoef(g, given_[rows]),
        found.log_loss: lambda g, rows: log_loss(g, probabilities[rows]),
        found.brier: lambda g, rows: ((probabilities[rows] - np.eye(3)[g]) ** 2).sum(1).mean(),
        found.macro_auroc: lambda g, rows: roc_auc_score(g, probabilities[rows], multi_class="ovr"),
        found.macro_auprc: lambda g, rows: average_precision_score(np.eye(3)[g], probabilities[rows]),
        found.labels[2].prevalence: lambda g, _: (g == 2).mean(),
        found.labels[1].auroc: lambda g, rows: roc_auc_score(g == 1, probabilities[rows, 1]),
    }
    assert len(expected) == 9
    for interval, statistic in expected.items():
        assert interval.value == pytest.approx(statistic(gold, np.arange(300)))
        assert (interval.low, interval.high) == pytest.approx(quantiles(statistic))


def test_a_perfect_system() -> None:
    gold, _, _, articles = made_up()
    found = score(gold, gold, np.eye(3)[gold], articles, HOW, 0)
    one, zero = Interval(1.0, 1.0, 1.0), Interval(0.0, 0.0, 0.0)
    assert [found.macro_f1, found.accuracy, found.mcc, found.macro_auroc, found.macro_auprc] == [one] * 5
    assert [found.log_loss, found.brier, found.selective.aurc, found.selective.excess_aurc] == [zero] * 4
    assert found.calibration.ece == 0.0
    assert found.calibration.rms_error.value == 0.0


def test_a_system_that_guesses() -> None:
    rng = np.random.default_rng(1)
    gold, articles = rng.choice(3, size=10_000, p=[0.6, 0.3, 0.1]), np.arange(10_000) // 10
    probabilities = rng.dirichlet(np.ones(3), size=10_000)
    found = score(gold, probabilities.argmax(1), probabilities, articles, HOW, 0)
    assert found.mcc.value == pytest.approx(0.0, abs=0.02)
    assert found.macro_auroc.value == pytest.approx(0.5, abs=0.02)
    for of_label in found.labels:
        assert of_label.auprc.value == pytest.approx(of_label.prevalence.value, abs=0.02)
    assert found.calibration.rms_error.low > found.calibration.rms_error_if_calibrated.high


def test_json_and_back() -> None:
    found = score(*made_up(), HOW, 0)
    assert Scores.model_validate_json(found.model_dump_json()) == found
    assert len(found.selective.curve) <= 101
    assert [of_label.label for of_label in found.labels] == list(LABELS)


def test_the_seed_and_the_stream_decide() -> None:
    rows = made_up()
    assert score(*rows, HOW, 1) == score(*rows, HOW, 1)
    for other in (score(*rows, HOW, 2), score(*rows, Resampling(1, 40), 1)):
        found = score(*rows, HOW, 1)
        assert other.macro_f1.value == found.macro_f1.value
        assert other.macro_f1 != found.macro_f1
        assert other.calibration.ece_if_calibrated != found.calibration.ece_if_calibrated


@few
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_order_does_not_matter(seed: int, shuffle: int) -> None:
    gold, given_, probabilities, articles = made_up(80, seed, 9)
    probabilities = probabilities.round(2)
    given_[::7] = NO_LABEL
    order = np.random.default_rng(shuffle).permutation(80)
    found = score(gold, given_, probabilities, articles, HOW, 0)
    again = score(gold[order], given_[order], probabilities[order], articles[order], HOW, 0)
    assert_same_values(found, again)
    # The articles keep their numbers, and with them the resamples.
    assert (found.mcc.low, found.macro_auprc.high) == pytest.approx((again.mcc.low, again.macro_auprc.high))


def test_articles_by_name_or_number() -> None:
    gold, given_, probabilities, articles = made_up()
    articles = np.sort(articles)
    by_name = score(gold, given_, probabilities, [f"article {at}" for at in articles], HOW, 0)
    assert by_name == score(gold, given_, probabilities, articles, HOW, 0)
    assert by_name == score(gold, given_, probabilities, 10 * articles + 3, HOW, 0)


def test_weights_of_one_change_nothing() -> None:
    rows = made_up()
    plain, weighted = score(*rows, HOW, 0), score(*rows, HOW, 0, weights=np.ones(300))
    assert weighted.n_effective == 300
    assert weighted.model_copy(update={"n_effective": None}) == plain


def test_weights_repeat_sentences() -> None:
    gold, given_, probabilities, _ = made_up(120)
    given_[::9] = NO_LABEL
    weights = np.random.default_rng(3).integers(1, 4, size=120)
    # Copies stand in the article of their sentence, as its weight does.
    articles = np.arange(120) // 4
    again = np.repeat(np.arange(120), weights)
    found = score(gold, given_, probabilities, articles, HOW, 0, weights=weights.astype(float))
    repeated = score(gold[again], given_[again], probabilities[again], articles[again], HOW, 0)
    # Bins are fewer for fewer sentences, whatever they weigh.
    by_bins = ("ece", "rms error", "calibration_error")
    one, two = values(found), values(repeated)
    for name, value in one.items():
        if not name.endswith(by_bins):
            assert value == pytest.approx(two[name]), name
    assert found.macro_f1.low == pytest.approx(repeated.macro_f1.low)
    assert found.selective.aurc.high == pytest.approx(repeated.selective.aurc.high)
    assert found.n_sentences == 120
    assert found.n_effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_weights_undo_unequal_sampling() -> None:
    gold, given_, probabilities, articles = made_up(20_000, n_articles=2000)
    # Sentences of the first label are drawn four times less often.
    inclusion = np.where(gold == 0, 0.1, 0.4)
    drawn = np.random.default_rng(4).random(20_000) < inclusion
    whole = score(gold, given_, probabilities, articles, Resampling(0, 2), 0)
    sample = (gold[drawn], given_[drawn], probabilities[drawn], articles[drawn])
    how = Resampling(0, 60)
    weighted, plain = score(*sample, how, 0, weights=1 / inclusion[drawn]), score(*sample, how, 0)
    for name in ("macro_f1", "accuracy", "macro_auprc", "log_loss"):
        truth, interval = getattr(whole, name).value, getattr(weighted, name)
        half = (interval.high - interval.low) / 2
        assert abs(interval.value - truth) < 2 * half, name
    assert weighted.labels[0].prevalence.value == pytest.approx(0.5, abs=0.02)
    assert plain.labels[0].prevalence.value < 0.25


def test_refused_sentences_keep_their_probabilities() -> None:
    gold, given_, probabilities, articles = made_up()
    refusing = given_.copy()
    refusing[:30] = NO_LABEL
    plain, found = (score(gold, g, probabilities, articles, HOW, 0) for g in (given_, refusing))
    assert (found.n_refused, found.n_scored) == (30, 300)
    assert found.macro_auroc == plain.macro_auroc
    assert found.log_loss == plain.log_loss
    assert found.accuracy.value < plain.accuracy.value
    assert found.selective.max_coverage.value == 0.9
    assert found.selective.at[0].accuracy == UNKNOWN


def test_sentences_without_probabilities() -> None:
    gold, given_, probabilities, articles = made_up()
    some = probabilities.copy()
    some[:100] = np.nan
    found = score(gold, given_, some, articles, HOW, 0)
    alone = score(gold[100:], given_[100:], probabilities[100:], articles[100:], HOW, 0)
    assert (found.n_sentences, found.n_scored, found.selective.n_sentences) == (300, 200, 200)
    assert found.brier.value == pytest.approx(alone.brier.value)
    assert found.macro_auroc.value == pytest.approx(alone.macro_auroc.value)
    none = score(gold, given_, np.full((300, 3), np.nan), articles, HOW, 0)
    assert none.accuracy == found.accuracy
    assert (none.n_scored, none.calibration, none.selective) == (0, None, None)
    assert [none.log_loss, none.brier, none.macro_auroc, none.labels[0].auprc] == [UNKNOWN] * 4
    assert none.labels[0].prevalence == UNKNOWN
    assert none.labels[0].reliability == ()


def test_no_sentences() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    for weights in (None, np.zeros(0)):
        found = score(nothing, nothing, np.zeros((0, 3)), [], HOW, 0, weights=weights)
        assert (found.n_sentences, found.n_articles, found.n_effective) == (0, 0, None)
        assert set(values(found).values()) == {None}
        assert (found.calibration, found.selective) == (None, None)


def test_one_article_has_no_intervals() -> None:
    gold, given_, probabilities, _ = made_up(50)
    found = score(gold, given_, probabilities, ["a"] * 50, HOW, 0)
    assert found.macro_f1.value is not None
    assert (found.macro_f1.low, found.log_loss.low, found.selective.aurc.low) == (None, None, None)
    assert found.calibration.rms_error == UNKNOWN


def test_what_stands_in_one_article_has_no_interval() -> None:
    gold, given_, probabilities, articles = made_up()
    gold[gold == 2] = 0
    gold[articles == 5] = 2
    some = probabilities.copy()
    some[articles != 5] = np.nan
    found = score(gold, given_, some, articles, HOW, 0)
    # The label stands in one article: resamples without it say nothing, and the others all the same.
    assert found.labels[2].recall.value is not None
    assert (found.labels[2].recall.low, found.labels[2].f1.low) == (None, None)
    assert found.labels[0].recall.low is not None
    # And so do the probabilities.
    assert (found.log_loss.low, found.macro_auroc.low, found.labels[0].prevalence.low) == (None, None, None)
    assert found.log_loss.value is not None
    assert (found.selective.aurc.low, found.selective.at[-1].accuracy.low) == (None, None)
    assert found.macro_f1.low is not None


def test_one_label_in_gold() -> None:
    _, given_, probabilities, articles = made_up(50)
    found = score(np.ones(50, dtype=np.int64), given_, probabilities, articles, HOW, 0)
    assert [found.mcc, found.macro_auroc, found.labels[1].auroc, found.labels[1].auprc] == [UNKNOWN] * 4
    assert found.labels[0].f1 == UNKNOWN
    assert found.labels[1].prevalence == Interval(1.0, 1.0, 1.0)
    assert found.macro_f1.value == found.labels[1].f1.value


def test_everything_refused() -> None:
    gold, _, probabilities, articles = made_up(50)
    given_ = np.full(50, NO_LABEL)
    found = score(gold, given_, probabilities, articles, HOW, 0)
    assert (found.n_refused, found.selective, found.mcc) == (50, None, UNKNOWN)
    assert found.accuracy == Interval(0.0, 0.0, 0.0)
    assert found.labels[0].precision == UNKNOWN
    assert found.macro_auroc.value is not None
    silent = score(gold, given_, np.full((50, 3), np.nan), articles, HOW, 0)
    assert (silent.n_scored, silent.selective, silent.macro_f1.value) == (0, None, 0.0)


def test_clipped_probabilities_are_counted() -> None:
    probabilities = np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0], [0.0, 1.0, 0.0]])
    found = score(np.array([1, 0, 1]), np.array([0, 0, 1]), probabilities, ["a", "b", "c"], HOW, 0)
    assert found.n_clipped == 1
    assert found.log_loss.value == pytest.approx((7 * np.log(10) + np.log(2)) / 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"given": np.zeros(2, dtype=np.int64)}, "of 3 sentences"),
        ({"clusters": ["a"]}, "1 articles"),
        ({"probabilities": np.full((3, 2), 0.5)}, "of 3 sentences"),
        ({"gold": np.array([0, 1, 3])}, "gold codes"),
        ({"given": np.array([0, 1, 4])}, "given codes"),
        ({"probabilities": np.full((3, 3), 0.5)}, "sum to 1"),
        ({"probabilities": np.array([[0.5, np.nan, 0.5]] * 3)}, "sum to 1"),
        ({"probabilities": np.array([[1.5, -0.5, 0.0]] * 3)}, "sum to 1"),
        ({"weights": np.array([1.0, 0.0, 1.0])}, "weights above 0"),
        ({"weights": np.ones(2)}, "3 weights"),
    ],
)
def test_arguments_are_checked(change, message: str) -> None:
    arguments = {
        "gold": np.array([0, 1, 2]),
        "given": np.array([0, 1, 3]),
        "probabilities": np.eye(3),
        "clusters": ["a", "a", "b"],
    }
    with pytest.raises(InputError, match=message):
        score(**(arguments | change), how=HOW, stream=0)
