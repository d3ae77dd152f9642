"""What is set on dev after the fit: the temperature and the threshold of evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from framelens.encoding import PairEncoder, collate
from framelens.evidence import evidence_spans
from framelens.labels import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasets import Dataset

    from framelens.arrays import FloatArray, IntArray
    from framelens.encoding import EncodedPair
    from framelens.hf import FramingForSequenceClassification

__all__ = ["Calibration", "calibrate", "expected_calibration_error", "fit_temperature", "forward"]

N_BINS = 15
BATCH = 64
#: Bound of the temperature's logarithm: where dev is separated wholly or not at all, no finite one is best.
MAX_LOG_TEMPERATURE = 3.0


@dataclass(frozen=True)
class Calibration:
    """Settings chosen on dev, and what they gave there.

    Attributes:
        temperature: divisor of the label logits, > 0.
        ece_before: expected calibration error on dev at temperature 1, in [0, 1].
        ece_after: the same at ``temperature``.
        evidence_threshold: least probability of the cue of a span's surest token.
        evidence_f1: character-level F1 of the evidence against the judges' cues.
        n_sentences: labelled sentences that this was measured on.
    """

    temperature: float
    ece_before: float
    ece_after: float
    evidence_threshold: float
    evidence_f1: float
    n_sentences: int

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)


def fit_temperature(logits: FloatArray, labels: IntArray) -> float:
    """The temperature that minimises the log loss (Guo et al. 2017, "On Calibration", sec. 4.2).

    Args:
        logits: (n_sentences, n_labels).
        labels: (n_sentences,) indices.

    Returns:
        The divisor of the logits, between exp(-`MAX_LOG_TEMPERATURE`) and exp(`MAX_LOG_TEMPERATURE`).
    """
    scores, gold = torch.from_numpy(logits).double(), torch.from_numpy(labels)
    log_temperature = torch.zeros(1, dtype=torch.double, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(scores / log_temperature.exp(), gold)
        loss.backward()
        return loss

    optimizer.step(closure)
    # The loss is convex in the inverse temperature, so the best one within the bounds is the clamped one.
    return float(log_temperature.detach().clamp(-MAX_LOG_TEMPERATURE, MAX_LOG_TEMPERATURE).exp())


def expected_calibration_error(probabilities: FloatArray, labels: IntArray) -> float:
    """ECE over `N_BINS` bins of equal mass, of the most probable label.

    Args:
        probabilities: (n_sentences, n_labels).
        labels: (n_sentences,) indices.

    Returns:
        In [0, 1].
    """
    confidence = probabilities.max(-1)
    correct = probabilities.argmax(-1) == labels
    bins = np.array_split(np.argsort(confidence, kind="stable"), N_BINS)
    gaps = [len(b) * abs(float(confidence[b].mean()) - float(correct[b].mean())) for b in bins if len(b)]
    return sum(gaps) / len(labels)


def calibrate(model: FramingForSequenceClassification, encoder: PairEncoder, dev: Dataset) -> Calibration:
    """Choose temperature and threshold on dev.

    Args:
        model: fitted, with a temperature of 1, on the CPU.
        encoder: its encoder, which shows it the context if it reads one.
        dev: annotated sentences that the model was not fitted on.
    """
    pairs = encoder.encode([(row["text"], row["context"]) for row in dev])
    logits, cues = forward(model, pairs, encoder.pad_id)
    in_scope = np.array([label is not None for label in dev["label"]])
    labels = np.array([LABELS.index(label) for label in dev["label"] if label is not None])
    temperature = fit_temperature(logits[in_scope], labels)
    threshold, f1 = _evidence_threshold(dev, pairs, cues)
    return Calibration(
        temperature=temperature,
        ece_before=expected_calibration_error(_softmax(logits[in_scope]), labels),
        ece_after=expected_calibration_error(_softmax(logits[in_scope] / temperature), labels),
        evidence_threshold=threshold,
        evidence_f1=f1,
        n_sentences=len(labels),
    )


def forward(
    model: FramingForSequenceClassification,
    pairs: Sequence[EncodedPair],
    pad_id: int,
    batch_size: int = BATCH,
) -> tuple[FloatArray, list[FloatArray]]:
    """Label logits, and cue probabilities of each pair's tokens."""
    logits, cues = [], []
    for start in range(0, len(pairs), batch_size):
        batch = collate(pairs[start : start + batch_size], pad_id)
        with torch.inference_mode():
            output = model(**{name: torch.from_numpy(array) for name, array in batch.arrays().items()})
        logits.append(output.logits.numpy())
        cues.extend(output.cue_logits.softmax(-1).numpy())
    return np.concatenate(logits), cues


def _evidence_threshold(
    dev: Dataset, pairs: Sequence[EncodedPair], cues: Sequence[FloatArray]
) -> tuple[float, float]:
    """The threshold of best character-level F1 over the sentences that have a cue."""
    rows = [
        (row["text"], pair.tokens, probabilities, row["cue"])
        for row, pair, probabilities in zip(dev, pairs, cues, strict=True)
        if row["cue"] is not None
    ]
    best = (0.5, 0.0)
    for threshold in np.arange(0.15, 0.75, 0.05).round(2):
        hit = found = wanted = 0
        for text, tokens, probabilities, (start, end) in rows:
            spans = evidence_spans(text, tokens, probabilities, float(threshold))
            found += sum(span.end - span.start for span in spans)
            hit += sum(max(0, min(span.end, end) - max(span.start, start)) for span in spans)
            wanted += end - start
        f1 = 2 * hit / (found + wanted) if found + wanted else 0.0
        if f1 > best[1]:
            best = (float(threshold), f1)
    return best


def _softmax(logits: FloatArray) -> FloatArray:
    probabilities: FloatArray = torch.from_numpy(logits).softmax(-1).numpy()
    return probabilities
