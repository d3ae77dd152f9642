"""The temperature and the calibration error, on numbers whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens_training.calibrate import (
    MAX_LOG_TEMPERATURE,
    N_BINS,
    expected_calibration_error,
    fit_temperature,
)


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
