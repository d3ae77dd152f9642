"""The pictures of a fit: that they are whole, show the figures, and are equal for equal figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.image import imread

from framelens.labels import LABELS
from framelens_training.plots import (
    draw_plots,
    plot_confusion,
    plot_dev,
    plot_loss,
    plot_reliability,
)

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("loss", "dev", "confusion", "reliability")


def epoch(number: int, macro_f1: float, **more: float) -> dict[str, Any]:
    by_label = {f"eval_f1_{label}": macro_f1 + 0.1 * i - 0.1 for i, label in enumerate(LABELS)}
    return {
        "step": 30 * number, "epoch": float(number), "eval_loss": 1.1, "eval_macro_f1": macro_f1, **by_label,
        **more,
    }  # fmt: skip


@pytest.fixture
def history() -> list[dict[str, Any]]:
    steps = [
        {"step": step, "epoch": step / 30, "loss": 2.0 / math.sqrt(step), "learning_rate": 1e-5 * (61 - step)}
        for step in range(10, 61, 10)
    ]
    outlets = {"eval_macro_f1_in_outlet": 0.8, "eval_macro_f1_unseen_outlet": 0.6}
    return [*steps[:3], epoch(1, 0.7125, **outlets), *steps[3:], epoch(2, 0.625, **outlets)]


@pytest.fixture
def predictions() -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet((1, 1, 1), 60).tolist()
    rows = [
        {"id": str(i), "label": str(LABELS[i % 3]), "probabilities": dict(zip(LABELS, row, strict=True))}
        for i, row in enumerate(shares)
    ]
    return [*rows, {"id": "x", "label": None, "probabilities": rows[0]["probabilities"]}]


def words(path: Path) -> str:
    """All that an SVG says."""
    return " ".join(" ".join(ElementTree.parse(path).getroot().itertext()).split())


def test_every_picture_is_whole(history: Any, predictions: Any, tmp_path: Path) -> None:
    draw_plots(history, predictions, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{n}.{kind}" for n in NAMES for kind in ("svg", "png")
    }
    for name in NAMES:
        pixels = imread(tmp_path / f"{name}.png")
        assert min(pixels.shape[:2]) > 400
        # Neither empty nor see-through.
        assert pixels[..., :3].std() > 0.02
        assert pixels[..., 3].min() == 1


def test_equal_figures_give_equal_bytes(history: Any, predictions: Any, tmp_path: Path) -> None:
    for folder in ("one", "other"):
        draw_plots(history, predictions, tmp_path / folder)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes(), path.name


def test_the_best_epoch_is_named_and_the_kinds_of_outlet(history: Any, tmp_path: Path) -> None:
    plot_dev(history, tmp_path / "dev")
    said = words(tmp_path / "dev.svg")
    assert "Macro-F1: 0.713 in epoch 1" in said or "Macro-F1: 0.712 in epoch 1" in said
    assert "outlets held out" in said
    for entry in history:
        entry.pop("eval_macro_f1_unseen_outlet", None)
    plot_dev(history, tmp_path / "dev")
    assert "outlets held out" not in words(tmp_path / "dev.svg")


def test_confusions_are_counted_by_the_judges_label(tmp_path: Path) -> None:
    gold, found = np.array([0, 0, 0, 0, 1, 2, 2]), np.array([0, 0, 0, 1, 1, 1, 1])
    plot_confusion(gold, found, tmp_path / "confusion")
    said = words(tmp_path / "confusion.svg")
    assert "Dev: 7 sentences" in said
    for cell in ("75% 3", "25% 1", "0% 0", "100% 1", "100% 2"):
        assert cell in said


@pytest.mark.parametrize(
    ("sure", "expected"), [(0.9, "as fitted: ECE 0.150"), (0.75, "as fitted: ECE 0.000")]
)
def test_the_calibration_error_is_shown_before_and_after(sure: float, expected: str, tmp_path: Path) -> None:
    # Three of four are right, in every bin.
    n = 4 * 15 * 4
    gold = np.where(np.arange(n) % 4 < 3, 0, 1)
    shares = np.full((n, 3), [sure, (1 - sure) / 2, (1 - sure) / 2])
    plot_reliability(gold, shares, tmp_path / "reliability")
    said = words(tmp_path / "reliability.svg")
    assert expected in said
    after = float(said.partition("temperature")[2].partition("ECE ")[2].split()[0])
    assert after <= 0.06


def test_a_fit_too_short_to_log_is_drawn_too(history: Any, tmp_path: Path) -> None:
    plot_loss([entry for entry in history if "eval_loss" in entry], tmp_path / "loss")
    assert (tmp_path / "loss.png").is_file()
