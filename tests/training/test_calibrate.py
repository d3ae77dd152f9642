"""The temperature and the calibration error, on numbers whose answers are known; and a run's calibration."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens.errors import InputError
from framelens.labels import LABELS
from framelens_training import cli
from framelens_training.calibrate import (
    MAX_LOG_TEMPERATURE,
    N_BINS,
    confidence_bins,
    debiased_calibration_error,
    expected_calibration_error,
    fit_temperature,
    label_calibration_errors,
)
from framelens_training.run_calibration import calibrate_run, read_judged

if TYPE_CHECKING:
    from pathlib import Path


def drawn(temperature: float, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are ``temperature`` times too large for the labels that are drawn from them."""
    rng = np.random.default_rng(3)
    honest = rng.normal(scale=1.5, size=(n, 3))
    shares = np.exp(honest) / np.exp(honest).sum(-1, keepdims=True)
    labels = (rng.random((n, 1)) > shares.cumsum(-1)).sum(-1)
    return (honest * temperature).astype(np.float32), labels


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.03)


def test_the_found_temperature_calibrates() -> None:
    logits, labels = drawn(2.5)

    def error(scores: np.ndarray) -> float:
        shares = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        return expected_calibration_error(shares, labels)

    assert error(logits) > 0.1
    assert error(logits / fit_temperature(logits, labels)) < 0.02


def log_loss(logits: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    scores = logits.astype(float) / temperature
    scores -= scores.max(-1, keepdims=True)
    return float((np.log(np.exp(scores).sum(-1)) - scores[range(len(labels)), labels]).mean())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.floats(-2, 2))
def test_no_other_temperature_within_the_bounds_is_better(seed: int, n: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(n, 3)) * 10**scale).astype(np.float32)
    labels = rng.integers(0, 3, n)
    best = log_loss(logits, labels, fit_temperature(logits, labels))
    others = np.exp(np.linspace(-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE, 61))
    assert best <= min(log_loss(logits, labels, other) for other in others) + 1e-4


@pytest.mark.parametrize(("shift", "bound"), [(0, -MAX_LOG_TEMPERATURE), (1, MAX_LOG_TEMPERATURE)])
def test_labels_always_or_never_found_end_at_a_bound(shift: int, bound: float) -> None:
    labels = np.arange(30) % 3
    logits = 0.3 * np.eye(3, dtype=np.float32)[(labels + shift) % 3]
    assert fit_temperature(logits, labels) == pytest.approx(np.exp(bound))


def test_confident_and_right_has_no_error() -> None:
    labels = np.arange(60) % 3
    assert expected_calibration_error(np.eye(3)[labels], labels) == 0


def test_confident_and_wrong_has_the_whole_error() -> None:
    labels = np.arange(60) % 3
    assert expected_calibration_error(np.eye(3)[(labels + 1) % 3], labels) == 1


def test_calibration_error_by_hand() -> None:
    # One sentence a bin: gaps of |0.8 - 1|, |0.6 - 0| and |0.5 - 1|.
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.3, 0.2, 0.5]])
    assert expected_calibration_error(probabilities, np.array([0, 0, 2])) == pytest.approx(
        (0.2 + 0.6 + 0.5) / 3
    )


def test_bins_are_of_equal_mass_and_by_confidence() -> None:
    # 4 sentences a bin: at 0.90, all right, and at 0.70, half right. They stand mixed, and bins that
    # mixed them would let too little confidence make up for too much.
    n = 4 * N_BINS
    high = np.arange(n) % N_BINS < 8
    probabilities = np.where(high[:, None], [[0.9, 0.05, 0.05]], [[0.7, 0.15, 0.15]])
    labels = np.where(high, 0, np.arange(n) % 2)
    expected = (8 * 0.1 + (N_BINS - 8) * 0.2) / N_BINS
    assert expected_calibration_error(probabilities, labels) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=100))
def test_bins_hold_every_sentence_once_and_rise(values: list[float]) -> None:
    bins = confidence_bins(np.array(values))
    assert sorted(np.concatenate(bins).tolist()) == list(range(len(values)))
    assert len(bins) == min(N_BINS, len(values))
    for lower, higher in pairwise(bins):
        assert np.array(values)[lower].max() <= np.array(values)[higher].min()
        assert 0 <= len(lower) - len(higher) <= 1


def calibrated(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities from which the labels are drawn."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet((1, 1, 1), n)
    return shares, (rng.random((n, 1)) > shares.cumsum(-1)).sum(-1)


def test_debiasing_takes_away_some_of_what_chance_adds() -> None:
    # A calibrated model's true error is 0. By the formula about two fifths of the bias go.
    found = [(expected_calibration_error(*drawn), debiased_calibration_error(*drawn))
             for drawn in (calibrated(900, seed) for seed in range(30))]  # fmt: skip
    plain, debiased = np.mean(found, axis=0)
    assert plain > 0.02
    assert 0.4 * plain < debiased < 0.75 * plain


def test_debiasing_leaves_a_wide_gap_nearly_as_it_is() -> None:
    shares, labels = calibrated(30_000, 1)
    sure = np.eye(3)[shares.argmax(-1)] * 0.9 + 0.1 / 3
    plain = expected_calibration_error(sure, labels)
    assert plain > 0.2
    assert debiased_calibration_error(sure, labels) == pytest.approx(plain, abs=1e-3)


def test_debiasing_by_hand() -> None:
    # 15 bins of two sentences at 0.75, one right and one wrong: gaps of 1/4, and noise of 0.5 / √2.
    shares = np.tile([0.75, 0.125, 0.125], (2 * N_BINS, 1))
    labels = np.arange(2 * N_BINS) % 2
    deviation = 0.5 / 2**0.5
    rng = np.random.default_rng(0)
    folded = np.abs(rng.normal(0.25, deviation, 2_000_000)).mean()
    assert debiased_calibration_error(shares, labels) == pytest.approx(2 * 0.25 - folded, abs=1e-3)
    # Of one article there is no telling noise from a gap: it has none by itself.
    together = [f"article {i // 2}" for i in range(2 * N_BINS)]
    assert debiased_calibration_error(shares, labels, together) == pytest.approx(0.25)


def test_sentences_of_an_article_err_together() -> None:
    shares, labels = calibrated(600, 4)
    shares, labels = np.repeat(shares, 5, axis=0), np.repeat(labels, 5)
    articles = np.repeat(np.arange(600), 5).tolist()
    assert debiased_calibration_error(shares, labels, articles) < debiased_calibration_error(shares, labels)


def test_a_label_may_be_given_too_much_though_the_one_found_is_not() -> None:
    # The first label is found with 0.6 and right in 6 of 10; the second gets 0.4 and never comes true.
    n = 10 * N_BINS
    shares, labels = np.tile([0.6, 0.4, 0.0], (n, 1)), np.where(np.arange(n) % 10 < 6, 0, 2)
    assert expected_calibration_error(shares, labels) == pytest.approx(0)
    found = label_calibration_errors(shares, labels)
    assert found == pytest.approx(dict(zip(map(str, LABELS), (0.0, 0.4, 0.4), strict=True)))


@given(st.integers(0, 1_000), st.integers(1, 80))
def test_errors_are_shares(seed: int, n: int) -> None:
    shares, labels = calibrated(n, seed)
    errors = [*label_calibration_errors(shares, labels).values(), debiased_calibration_error(shares, labels)]
    assert all(0 <= error <= 1 for error in errors)


def test_a_run_is_calibrated_as_it_is_exported(own_run: Any) -> None:
    found = calibrate_run(own_run.folder)
    assert found == own_run.calibration
    assert json.loads((own_run.folder / "calibration.json").read_bytes()) == found.to_dict()
    assert found.log_loss_after <= found.log_loss_before + 1e-6
    assert found.n_cues > 0
    assert found.label_ece_before.keys() == found.label_ece_after.keys() == set(map(str, LABELS))


def test_a_run_is_calibrated_on_other_sentences(own_run: Any, tmp_path: Path) -> None:
    texts = ("The mill in Orvane closed in May.", "Rain fell.", "He is said to have left.")
    rows = [{"text": text, "label": str(label)} for text, label in zip(texts, LABELS, strict=True)]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found = calibrate_run(own_run.folder, path)
    assert (found.n_sentences, found.n_cues, found.evidence_f1) == (3, 0, 0.0)


def test_an_unfinished_run_has_nothing_to_calibrate(own_run: Any) -> None:
    (own_run.folder / "model" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="no finished run"):
        calibrate_run(own_run.folder)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: Expecting property name"),
        ("[1]", r"line 2: expected an object with a text, got '\[1\]'"),
        ('{"text": ""}', "line 2: expected an object with a text"),
        ('{"text": "Rain.", "label": "rainy"}', "line 2: expected a label of .*, got 'rainy'"),
        (
            '{"text": "Rain.", "label": null, "cue": [2, 9]}',
            r"line 2: expected a cue within the text, got \[2, 9\]",
        ),
        ('{"text": "Rain.", "label": null, "cue": 7}', "line 2: expected a cue within the text, got 7"),
    ],
)
def test_a_sentence_that_cannot_be_used_is_named(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "Fog.", "label": "hedged_claim"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_judged(path)


def test_a_file_without_judgements_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.jsonl is missing"):
        read_judged(tmp_path / "absent.jsonl")
    for content in ("", '{"text": "Fog.", "label": null}\n'):
        (tmp_path / "mine.jsonl").write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match="got none with a label"):
            read_judged(tmp_path / "mine.jsonl")


def test_the_command_shows_what_it_wrote(
    own_run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["framelens-train", "calibrate", str(own_run.folder)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    said = capsys.readouterr().err
    found = own_run.calibration
    assert f"temperature {found.temperature:.3f}" in said
    assert f"{found.ece_debiased_before:.4f} -> {found.ece_debiased_after:.4f}" in said
    assert f"ECE of {LABELS[0]}" in said
    assert str(own_run.folder / "calibration.json") in said
