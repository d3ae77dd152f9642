"""The parity gate: every path that ships, beside the fitted fp32 weights in torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import f1_score

from framelens import FramingClassifier
from framelens.errors import InputError
from framelens.labels import LABELS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from framelens.arrays import FloatArray

__all__ = ["MIN_AGREEMENT", "MIN_SENTENCES", "PATHS", "PathParity", "gate", "measure_parity"]

MIN_SENTENCES = 2_000
MIN_AGREEMENT = 0.999
MAX_BATCH_DEPENDENCE = 1e-4
#: (name, backend, precision) of every path that ships; the first is the default.
PATHS = (("onnx fp32", "onnx", "fp32"), ("torch fp32", "torch", "fp32"), ("torch bf16", "torch", "bf16"))


@dataclass(frozen=True)
class PathParity:
    """One path beside the reference, on the same sentences.

    Attributes:
        path: such as ``onnx fp32``.
        n_sentences: sentences that both labelled; the model was fitted on none of them.
        agreement: share of equal labels, in [0, 1].
        max_difference: largest difference of any probability.
        batch_dependence: largest difference of any probability between a sentence labelled alone
            and in a batch of 32.
        macro_f1: against the judges' labels, on all of the sentences.
    """

    path: str
    n_sentences: int
    agreement: float
    max_difference: float
    batch_dependence: float
    macro_f1: float

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return asdict(self)


def measure_parity(
    reference: Path, bundle: Path, texts: Sequence[str], contexts: Sequence[str | None], labels: Sequence[str]
) -> list[PathParity]:
    """Compare every path of a bundle with the reference weights in torch fp32.

    Args:
        reference: the model as fitted, in fp32.
        bundle: the model as it ships.
        texts: sentences that the model was not fitted on.
        contexts: what stands before them.
        labels: the judges' labels.

    Returns:
        The reference itself, then one entry a path in the order of `PATHS`.
    """
    gold = [LABELS.index(label) for label in labels]

    def probabilities(folder: Path, backend: Any, precision: Any, batch_size: int) -> FloatArray:
        classifier = FramingClassifier.from_pretrained(
            folder, backend=backend, precision=precision, batch_size=batch_size
        )
        return classifier.predict_proba(texts, contexts)

    def compare(path: str, together: FloatArray, alone: FloatArray) -> PathParity:
        return PathParity(
            path=path,
            n_sentences=len(texts),
            agreement=float((together.argmax(-1) == wanted.argmax(-1)).mean()),
            max_difference=float(np.abs(together - wanted).max()),
            batch_dependence=float(np.abs(together - alone).max()),
            macro_f1=float(f1_score(gold, together.argmax(-1), average="macro")),
        )

    wanted = probabilities(reference, "torch", "fp32", 32)
    results = [compare("as fitted: torch fp32", wanted, probabilities(reference, "torch", "fp32", 1))]
    for path, backend, precision in PATHS:
        together = probabilities(bundle, backend, precision, 32)
        results.append(compare(path, together, probabilities(bundle, backend, precision, 1)))
    return results


def gate(results: Sequence[PathParity]) -> None:
    """Refuse a bundle whose default path is not the model that was fitted.

    Raises:
        InputError: too few sentences, labels that differ, or a dependence on batch-mates.
    """
    default = next(result for result in results if result.path == PATHS[0][0])
    if default.n_sentences < MIN_SENTENCES:
        raise InputError(f"parity needs at least {MIN_SENTENCES} sentences, got {default.n_sentences}")
    # Written so that NaN, which compares with nothing, does not pass.
    if not default.agreement >= MIN_AGREEMENT:
        raise InputError(
            f"{default.path} agrees with the fitted model on {default.agreement:.2%} of labels; "
            f"at least {MIN_AGREEMENT:.1%} is required"
        )
    if not default.batch_dependence <= MAX_BATCH_DEPENDENCE:
        raise InputError(
            f"{default.path}: a probability moves by {default.batch_dependence:.1e} with its batch-mates; "
            f"at most {MAX_BATCH_DEPENDENCE:.0e} is allowed"
        )
