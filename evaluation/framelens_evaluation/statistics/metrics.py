"""Counts and what is computed from them.

Counts are the state: they add up over batches, files and machines, and every score is a plain
function of them. A confusion matrix has the shape (n_labels, n_labels + 1): rows are the gold label,
columns the label given, both ordered as `framelens.LABELS`; the last column counts sentences that
got no label. Refusing a sentence that has a gold label therefore costs recall and never precision.

The score functions take arrays of matrices, (..., n_labels, n_labels + 1), because the bootstrap
asks for thousands at once. There, NaN stands for "not defined"; what leaves this package as a value
has None instead, never 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from framelens import LABELS, Label

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "NO_LABEL",
    "FloatArray",
    "IntArray",
    "ScopeScores",
    "accuracy",
    "encode_labels",
    "f1",
    "macro_f1",
    "mcc",
    "number",
    "precision",
    "ratio",
    "recall",
    "share",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Code of "no label given", the last column of a confusion matrix.
NO_LABEL = len(LABELS)
_CODES: dict[Label | None, int] = {**{label: code for code, label in enumerate(LABELS)}, None: NO_LABEL}


def encode_labels(labels: Sequence[Label | None]) -> IntArray:
    """Labels as their places in `LABELS`, None as `NO_LABEL`.

    Returns:
        Shape (n_sentences,).
    """
    return np.fromiter((_CODES[label] for label in labels), dtype=np.int64, count=len(labels))


def number(value: Any) -> float | None:
    """A plain float; None for NaN."""
    plain = float(value)
    return None if math.isnan(plain) else plain


def ratio(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> FloatArray:
    """``part / whole``, elementwise; NaN where ``whole`` is 0."""
    out = np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan)
    quotient: FloatArray = np.divide(part, whole, out=out, where=whole > 0)
    return quotient


def _hits(counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    hits: npt.NDArray[Any] = np.diagonal(counts[..., :NO_LABEL], axis1=-2, axis2=-1)
    return hits


def precision(counts: npt.NDArray[Any]) -> FloatArray:
    """Share of the sentences given a label whose gold label it is.

    Returns:
        Shape (..., n_labels); NaN where a label was never given.
    """
    return ratio(_hits(counts), counts[..., :NO_LABEL].sum(-2))


def recall(counts: npt.NDArray[Any]) -> FloatArray:
    """Share of a gold label's sentences that were given it.

    Returns:
        Shape (..., n_labels); NaN where a label does not occur in gold.
    """
    return ratio(_hits(counts), counts.sum(-1))


def f1(counts: npt.NDArray[Any]) -> FloatArray:
    """Twice the hits over gold plus given.

    Returns:
        Shape (..., n_labels); 0 for a gold label never given; NaN where a label does not occur in
        gold, even if it was given.
    """
    gold = counts.sum(-1)
    return ratio(2 * _hits(counts), np.where(gold > 0, gold + counts[..., :NO_LABEL].sum(-2), 0))


def macro_f1(counts: npt.NDArray[Any]) -> FloatArray:
    """Unweighted mean of `f1` over the labels that occur in gold.

    A label that is absent from gold is not averaged in; giving it wrongly still costs the recall of
    the label that was due.

    Returns:
        Shape (...,); NaN where there are no sentences.
    """
    scores = f1(counts)
    defined = ~np.isnan(scores)
    return ratio(np.where(defined, scores, 0.0).sum(-1), defined.sum(-1))


def accuracy(counts: npt.NDArray[Any]) -> FloatArray:
    """Share of the sentences given their gold label.

    Returns:
        Shape (...,); NaN where there are no sentences.
    """
    return ratio(_hits(counts).sum(-1), counts.sum((-2, -1)))


def mcc(counts: npt.NDArray[Any]) -> FloatArray:
    """Matthews correlation of gold and given labels, for several classes.

    It is R_K of Gorodkin (2004, "Comparing two K-category assignments by a K-category correlation
    coefficient", equation 8). Getting no label is one more class that may be given and that gold
    never has, so that refusing lowers it.

    Returns:
        Shape (...,), in [-1, 1]; near 0 for labels given at random. NaN where it is 0/0: gold, or what
        was given, is all of one class.
    """
    gold, given = counts.sum(-1, dtype=np.float64), counts.sum(-2, dtype=np.float64)
    n_gold, n_given = gold.sum(-1, keepdims=True), given.sum(-1, keepdims=True)
    together = _hits(counts).sum(-1) * n_gold[..., 0] - (gold * given[..., :NO_LABEL]).sum(-1)
    # x (n - x), and not n² less a sum of squares: it is exactly 0 for a single class, also with weights.
    spread = (gold * (n_gold - gold)).sum(-1) * (given * (n_given - given)).sum(-1)
    return np.clip(ratio(together, np.sqrt(spread)), -1.0, 1.0)


def share(counts: npt.NDArray[Any]) -> FloatArray:
    """(part, whole) in the last axis to their ratio: (..., 2) to (...,), NaN for a whole of 0."""
    return ratio(counts[..., 0], counts[..., 1])


@dataclass(frozen=True, slots=True)
class ScopeScores:
    """How well texts that the codebook does not apply to are told from those it does.

    Attributes:
        n_out: gold rows judged not applicable.
        n_labelled: gold rows with a label.
        caught: of ``n_out``, those found not applicable.
        refused: of ``n_labelled``, those found not applicable.
    """

    n_out: int
    n_labelled: int
    caught: int
    refused: int

    @property
    def precision(self) -> float | None:
        """Share of the texts found not applicable that are; None where none was found so."""
        found = self.caught + self.refused
        return self.caught / found if found else None

    @property
    def recall(self) -> float | None:
        """Share of the texts not applicable that were found; None where there are none."""
        return self.caught / self.n_out if self.n_out else None
