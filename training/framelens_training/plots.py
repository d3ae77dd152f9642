"""Pictures of a fit, each as SVG and as PNG: its course, the labels that it confuses, its calibration."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens.errors import require
from framelens.labels import LABELS, Label
from framelens_training.calibrate import (
    confidence_bins,
    expected_calibration_error,
    fit_temperature,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from framelens.arrays import FloatArray, IntArray

__all__ = ["draw_plots", "plot_confusion", "plot_dev", "plot_loss", "plot_reliability"]

_NAMES: Final = {
    Label.STATE_MEDIA_FRAMING: "state framing",
    Label.INDEPENDENT_REPORTING: "independent",
    Label.HEDGED_CLAIM: "hedged",
}
# Colours that readers who do not see all of them tell apart (Okabe and Ito 2008).
_COLOURS: Final = {
    Label.STATE_MEDIA_FRAMING: "#d55e00",
    Label.INDEPENDENT_REPORTING: "#009e73",
    Label.HEDGED_CLAIM: "#0072b2",
}
_INK, _MUTED, _RULE, _BLUE, _ORANGE = "#1a1b1e", "#6b6d72", "#d9d9d4", "#0072b2", "#d55e00"
_STYLE: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "framelens",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "grid.color": _RULE,
    "grid.linewidth": 0.6,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
}


def draw_plots(
    history: Sequence[Mapping[str, Any]], predictions: Sequence[Mapping[str, Any]], folder: Path
) -> None:
    """Draw all pictures of a fit.

    Args:
        history: entries of ``metrics.jsonl``.
        predictions: entries of ``dev_predictions.jsonl``.
        folder: gets ``loss``, ``dev``, ``confusion`` and ``reliability``, each as ``.svg`` and ``.png``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    folder.mkdir(exist_ok=True)
    judged = [row for row in predictions if row["label"] is not None]
    gold = np.array([LABELS.index(row["label"]) for row in judged])
    shares = np.array([[row["probabilities"][label] for label in LABELS] for row in judged])
    plot_loss(history, folder / "loss")
    plot_dev(history, folder / "dev")
    plot_confusion(gold, shares.argmax(-1), folder / "confusion")
    plot_reliability(gold, shares, folder / "reliability")


@contextmanager
def _picture(path: Path, width: float, height: float, **subplots: Any) -> Iterator[Any]:
    """Axes to draw on, which are then saved; without a display, and equal drawings in equal bytes."""
    matplotlib = require("matplotlib", "train")
    figure_module = require("matplotlib.figure", "train")
    with matplotlib.rc_context(_STYLE):
        figure = figure_module.Figure(figsize=(width, height))
        yield figure.subplots(**subplots)
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
        figure.savefig(path.with_suffix(".png"), metadata={"Software": None})


def plot_loss(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Loss and learning rate by step, and the loss on dev where it was measured."""
    steps = [entry for entry in history if "loss" in entry]
    epochs = [entry for entry in history if "eval_loss" in entry]
    with _picture(path, 7.2, 4.6, nrows=2, sharex=True, height_ratios=(3, 1.2)) as (above, below):
        at, losses = [entry["step"] for entry in steps], [entry["loss"] for entry in steps]
        above.plot(at, losses, color=_BLUE, alpha=0.35, linewidth=1, label="training, as logged")
        above.plot(at, _smooth(losses), color=_BLUE, linewidth=1.8, label="training, running mean")
        above.plot(
            [entry["step"] for entry in epochs],
            [entry["eval_loss"] for entry in epochs],
            "o-", color=_ORANGE, label="dev",
        )  # fmt: skip
        above.set(title="Loss", ylabel="loss")
        above.set_ylim(bottom=0)
        above.legend()
        below.plot(at, [entry["learning_rate"] for entry in steps], color=_MUTED)
        below.set(title="Learning rate", xlabel="step")
        below.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        below.set_ylim(bottom=0)


def _smooth(values: Sequence[float]) -> FloatArray:
    """Mean of each value and its neighbours, over about a tenth of them all."""
    reach = len(values) // 20
    sums = np.cumsum([0.0, *values])
    places = np.arange(len(values))
    low, high = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    means: FloatArray = (sums[high] - sums[low]) / (high - low)
    return means


def plot_dev(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """On dev, by epoch: macro-F1 of all sentences and by kind of outlet, and F1 by label."""
    epochs = [entry for entry in history if "eval_macro_f1" in entry]
    at = [entry["epoch"] for entry in epochs]
    best = max(epochs, key=lambda entry: entry["eval_macro_f1"])
    lines = (
        ("eval_macro_f1", "all of dev", _INK, "o-"),
        ("eval_macro_f1_in_outlet", "outlets of training", _BLUE, "s--"),
        ("eval_macro_f1_unseen_outlet", "outlets held out", _ORANGE, "^--"),
    )
    with _picture(path, 7.2, 4.4, ncols=2, sharey=True) as (left, right):
        for name, label, colour, style in lines:
            if all(name in entry for entry in epochs):
                left.plot(at, [entry[name] for entry in epochs], style, color=colour, label=label)
        left.set(title=f"Macro-F1: {best['eval_macro_f1']:.3f} in epoch {best['epoch']:g}", xlabel="epoch")
        for label in LABELS:
            values = [entry[f"eval_f1_{label}"] for entry in epochs]
            right.plot(at, values, "o-", color=_COLOURS[label], label=_NAMES[label])
        right.set(title="F1 by label", xlabel="epoch")
        for axis in (left, right):
            axis.axvline(best["epoch"], color=_RULE, linewidth=6, zorder=0)
            axis.xaxis.get_major_locator().set_params(integer=True)
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16))


def plot_confusion(gold: IntArray, found: IntArray, path: Path) -> None:
    """How often each label was found for each label of the judges, as counts and shares of a row."""
    counts = np.zeros((len(LABELS), len(LABELS)), dtype=int)
    np.add.at(counts, (gold, found), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    names = [_NAMES[label] for label in LABELS]
    with _picture(path, 4.8, 4.0) as axis:
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(counts.shape):
            axis.text(
                column, row, f"{shares[row, column]:.0%}\n{counts[row, column]:,}",
                ha="center", va="center", color="white" if shares[row, column] > 0.55 else _INK,
            )  # fmt: skip
        axis.set(title=f"Dev: {len(gold):,} sentences", xlabel="found", ylabel="judged")
        axis.set_xticks(range(len(names)), names)
        axis.set_yticks(range(len(names)), names, rotation=90, va="center")
        axis.grid(visible=False)
        for spine in axis.spines.values():
            spine.set_visible(False)
        axis.tick_params(length=0)


def plot_reliability(gold: IntArray, probabilities: FloatArray, path: Path) -> None:
    """How often the label found is right, by its probability: as fitted, and at the temperature of dev."""
    logits = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
    temperature = fit_temperature(logits, gold)
    heated = np.exp(logits / temperature - (logits / temperature).max(-1, keepdims=True))
    series = (
        ("as fitted", probabilities, _ORANGE, "s"),
        (f"temperature {temperature:.2f}", heated / heated.sum(-1, keepdims=True), _BLUE, "o"),
    )
    with _picture(path, 4.8, 4.4) as axis:
        axis.plot([0, 1], [0, 1], color=_MUTED, linewidth=1, linestyle=":", label="perfectly calibrated")
        for name, shares, colour, marker in series:
            correct = shares.argmax(-1) == gold
            error = expected_calibration_error(shares, gold)
            for inside in confidence_bins(shares.max(-1)):
                share, low, high = _wilson(int(correct[inside].sum()), len(inside))
                x = float(shares.max(-1)[inside].mean())
                axis.plot([x, x], [low, high], color=colour, alpha=0.4, linewidth=1.2)
                axis.plot([x], [share], marker, color=colour, markersize=5)
            axis.plot([], [], marker, color=colour, label=f"{name}: ECE {error:.3f}")
        axis.set(title="Reliability on dev", xlabel="probability of the label found", ylabel="share right")
        axis.set(xlim=(1 / len(LABELS) - 0.02, 1.02), ylim=(-0.02, 1.02))
        axis.legend(loc="upper left")


def _wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float, float]:
    """A share and its 95 % interval (Wilson 1927)."""
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return share, middle - half, middle + half
