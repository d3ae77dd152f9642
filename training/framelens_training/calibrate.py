"""What is set on dev after the fit: the temperature and the threshold of evidence."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from framelens.encoding import PairEncoder, collate
from framelens.evidence import evidence_spans
from framelens.labels import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from datasets import Dataset

    from framelens.arrays import FloatArray, IntArray
    from framelens.encoding import EncodedPair
    from framelens.hf import FramingForSequenceClassification

__all__ = [
    "Calibration",
    "calibrate",
    "confidence_bins",
    "debiased_calibration_error",
    "expected_calibration_error",
    "fit_temperature",
    "forward",
    "label_calibration_errors",
]

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
        ece_debiased_before: the same without what chance adds, at temperature 1; see
            `debiased_calibration_error`.
        ece_debiased_after: the same at ``temperature``.
        label_ece_before: calibration error of each label's own probability, at temperature 1.
        label_ece_after: the same at ``temperature``.
        log_loss_before: mean log loss in nats, at temperature 1.
        log_loss_after: the same at ``temperature``.
        evidence_threshold: least probability of the cue of a span's surest token.
        evidence_f1: character-level F1 of the evidence against the judges' cues; 0 where there is no cue.
        n_sentences: labelled sentences that this was measured on.
        n_cues: cues among them.
    """

    temperature: float
    ece_before: float
    ece_after: float
    ece_debiased_before: float
    ece_debiased_after: float
    label_ece_before: dict[str, float]
    label_ece_after: dict[str, float]
    log_loss_before: float
    log_loss_after: float
    evidence_threshold: float
    evidence_f1: float
    n_sentences: int
    n_cues: int

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
    return _error(confidence, probabilities.argmax(-1) == labels)


def confidence_bins(values: FloatArray) -> list[IntArray]:
    """`N_BINS` bins of equal mass, from the lowest values to the highest; fewer of fewer values.

    Args:
        values: shape (n_sentences,).

    Returns:
        Places in ``values``, none of the bins empty.
    """
    return [b for b in np.array_split(np.argsort(values, kind="stable"), N_BINS) if len(b)]


def _error(predicted: FloatArray, hit: npt.NDArray[np.bool_]) -> float:
    gaps = [
        len(b) * abs(float(predicted[b].mean()) - float(hit[b].mean())) for b in confidence_bins(predicted)
    ]
    return sum(gaps) / len(predicted)


def label_calibration_errors(probabilities: FloatArray, labels: IntArray) -> dict[str, float]:
    """ECE of each label's own probability over `N_BINS` bins of equal mass (Kull et al. 2019, sec. 3).

    A model that is calibrated in its most probable label may still give a rare label too much or too little.

    Args:
        probabilities: (n_sentences, n_labels).
        labels: (n_sentences,) indices.

    Returns:
        In [0, 1], by label; the mean of them is the class-wise ECE.
    """
    return {str(label): _error(probabilities[:, i], labels == i) for i, label in enumerate(LABELS)}


def debiased_calibration_error(
    probabilities: FloatArray, labels: IntArray, articles: Sequence[object] | None = None
) -> float:
    """ECE of the most probable label less what chance adds to it (Kumar et al. 2019, sec. 4.3 and appendix).

    The gap of a bin has normal noise around it, whose variance is taken from the bin itself, over articles:
    sentences of one article err together. What that noise adds to the absolute gap is taken away once. It
    takes away all of it where gaps are wide beside the noise, and about two fifths for a calibrated model.

    Args:
        probabilities: (n_sentences, n_labels).
        labels: (n_sentences,) indices.
        articles: (n_sentences,) names; without, every sentence is its own.

    Returns:
        In [0, 1].
    """
    confidence = probabilities.max(-1)
    residuals = (probabilities.argmax(-1) == labels) - confidence
    names = range(len(labels)) if articles is None else [str(article) for article in articles]
    _, clusters = np.unique(np.asarray(names), return_inverse=True)
    total = 0.0
    for inside in confidence_bins(confidence):
        gap = float(residuals[inside].mean())
        of_article = np.bincount(clusters[inside], weights=residuals[inside] - gap)
        noise = math.sqrt(float((of_article**2).sum())) / len(inside)
        total += len(inside) * (2 * abs(gap) - _folded_mean(gap, noise))
    return max(0.0, total / len(labels))


def _folded_mean(mean: float, deviation: float) -> float:
    """Mean of the absolute value of a normal variable."""
    if deviation == 0:
        return abs(mean)
    z = abs(mean) / deviation
    return deviation * math.sqrt(2 / math.pi) * math.exp(-z * z / 2) + abs(mean) * math.erf(z / math.sqrt(2))


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
    articles = [article for article, inside in zip(dev["article"], in_scope, strict=True) if inside]
    temperature = fit_temperature(logits[in_scope], labels)
    before, after = (_softmax(logits[in_scope] / divisor) for divisor in (1.0, temperature))
    threshold, f1 = _evidence_threshold(dev, pairs, cues)
    return Calibration(
        temperature=temperature,
        ece_before=expected_calibration_error(before, labels),
        ece_after=expected_calibration_error(after, labels),
        ece_debiased_before=debiased_calibration_error(before, labels, articles),
        ece_debiased_after=debiased_calibration_error(after, labels, articles),
        label_ece_before=label_calibration_errors(before, labels),
        label_ece_after=label_calibration_errors(after, labels),
        log_loss_before=_log_loss(before, labels),
        log_loss_after=_log_loss(after, labels),
        evidence_threshold=threshold,
        evidence_f1=f1,
        n_sentences=len(labels),
        n_cues=sum(cue is not None for cue in dev["cue"]),
    )


def _log_loss(probabilities: FloatArray, labels: IntArray) -> float:
    own = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(own, np.finfo(own.dtype).tiny)).mean())


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
            arrays = {
                name: torch.from_numpy(array).to(model.device) for name, array in batch.arrays().items()
            }
            output = model(**arrays)
        logits.append(output.logits.cpu().numpy())
        cues.extend(output.cue_logits.softmax(-1).cpu().numpy())
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
