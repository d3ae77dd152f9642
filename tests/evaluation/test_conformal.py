"""Conformal sets: the rule by hand, coverage on exchangeable data, and what has no answer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from framelens import LABELS, InputError
from framelens_evaluation.statistics.conformal import NOMINAL, conformal_sets, set_threshold


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def calibrated(n: int, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    draws = rng(1)
    probabilities = np.exp(sharpness * draws.normal(size=(n, 3)))
    probabilities /= probabilities.sum(1, keepdims=True)
    gold = (draws.random(n)[:, None] >= probabilities.cumsum(1)[:, :2]).sum(1)
    return gold, probabilities


def test_the_threshold_by_hand() -> None:
    scores = np.arange(1, 20) / 20
    assert set_threshold(scores, 0.90) == 0.9  # the 18th of 19
    assert set_threshold(scores, 0.95) == 0.95  # the 19th
    assert set_threshold(scores, 0.99) == math.inf  # a 20th is needed
    assert set_threshold(np.zeros(0), 0.5) == math.inf


def test_coverage_is_what_was_promised() -> None:
    gold, probabilities = calibrated(4000)
    found = conformal_sets(gold, probabilities, [str(at // 4) for at in range(4000)], rng())
    assert [level.nominal for level in found.levels] == list(NOMINAL)
    sizes = []
    for level in found.levels:
        assert level.coverage.mean == pytest.approx(level.nominal, abs=0.01)
        assert level.coverage.low < level.nominal < level.coverage.high
        assert sum(level.shares) == pytest.approx(1)
        assert level.mean_size.mean == pytest.approx(sum(at * share for at, share in enumerate(level.shares)))
        assert set(level.coverage_by_label) == set(LABELS)
        sizes.append(level.mean_size.mean)
    assert sizes == sorted(sizes)


def test_coverage_holds_for_a_miscalibrated_model() -> None:
    gold, probabilities = calibrated(4000)
    sure = probabilities**4 / (probabilities**4).sum(1, keepdims=True)
    found = conformal_sets(gold, sure, list(range(4000)), rng())
    assert [level.coverage.mean for level in found.levels] == pytest.approx(list(NOMINAL), abs=0.01)


def test_a_perfect_model_gets_sets_of_one() -> None:
    gold = np.arange(90) % 3
    found = conformal_sets(gold, np.eye(3)[gold], list(range(90)), rng())
    for level in found.levels:
        assert level.shares == (0.0, 1.0, 0.0, 0.0)
        assert level.coverage.low == 1.0
        assert level.accuracy_of_single.mean == 1.0


def test_too_few_sentences_get_every_label() -> None:
    found = conformal_sets(np.array([0, 1, 2, 0]), np.full((4, 3), 1 / 3), list("abcd"), rng(), nominal=[0.9])
    assert found.levels[0].shares == (0.0, 0.0, 0.0, 1.0)
    assert found.levels[0].accuracy_of_single.mean is None


def test_articles_are_halved_and_not_sentences() -> None:
    # In each of two articles only the other's label is probable: no halving can promise anything.
    gold = np.repeat([0, 1], 100)
    probabilities = np.repeat([[0.98, 0.01, 0.01], [0.98, 0.01, 0.01]], 100, axis=0)
    found = conformal_sets(gold, probabilities, ["a"] * 100 + ["b"] * 100, rng(), nominal=[0.8])
    assert {found.levels[0].coverage.low, found.levels[0].coverage.high} == {0.0, 1.0}


def test_sentences_without_probabilities_are_left_out() -> None:
    gold, probabilities = calibrated(50)
    probabilities[:10] = np.nan
    found = conformal_sets(gold, probabilities, list(range(50)), rng())
    assert (found.n_sentences, found.n_articles) == (40, 40)
    assert found == conformal_sets(gold[10:], probabilities[10:], list(range(40)), rng())


@pytest.mark.parametrize("n", [0, 5])
def test_one_article_has_no_halves(n: int) -> None:
    gold, probabilities = calibrated(n)
    assert conformal_sets(gold, probabilities, ["a"] * n, rng()) is None


@pytest.mark.parametrize("wrong", [{"nominal": [1.0]}, {"nominal": [0.9, 0.0]}, {"n_splits": 0}])
def test_settings_are_checked(wrong) -> None:
    gold, probabilities = calibrated(10)
    with pytest.raises(InputError, match="n_splits must be"):
        conformal_sets(gold, probabilities, list(range(10)), rng(), **wrong)
