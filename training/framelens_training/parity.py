"""The parity gate: every path that ships, beside the fitted model in torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import f1_score

from framelens import FramingClassifier
from framelens.errors import InputError
from framelens.labels import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from framelens.arrays import FloatArray

__all__ = [
    "INT8_PATHS",
    "MIN_AGREEMENT",
    "MIN_SENTENCES",
    "PATHS",
    "PathParity",
    "Reference",
    "gate",
    "measure_parity",
    "parity_rows",
]

#: Fewer would not tell 99.9 % from less; the seed set alone has more.
MIN_SENTENCES = 1_500
MIN_AGREEMENT = 0.999
MAX_BATCH_DEPENDENCE = 1e-4
_TOGETHER = 32
#: Sentences that are also labelled one by one, which is slow.
_ALONE = 512
#: (name, backend, precision) of every path that ships; the first is the default.
PATHS = (("onnx fp32", "onnx", "fp32"), ("torch fp32", "torch", "fp32"), ("torch bf16", "torch", "bf16"))
#: The same of an int8 model.
INT8_PATHS = (("onnx int8", "onnx", "int8"), *PATHS)
#: Probabilities of the first so many sentences, (n_sentences, n_labels), labelled in batches of so many.
Reference = Callable[[int, int], "FloatArray"]


@dataclass(frozen=True)
class PathParity:
    """One path beside the reference, on the same sentences.

    Attributes:
        path: such as ``onnx fp32``.
        n_sentences: sentences that both labelled: dev, and where it is small also test and train.
        agreement: share of equal labels, in [0, 1].
        max_difference: largest difference of any probability.
        batch_dependence: largest difference of any probability between a sentence labelled alone
            and in a batch of 32, on the first 512 sentences.
        macro_f1: against the judges' labels, on those that the model was not fitted on.
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


def parity_rows(splits: Mapping[str, Iterable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Dev; where it is too small for the gate also test, and then training sentences without their labels.

    Args:
        splits: rows of ``dev``, ``test`` and ``train``.

    Raises:
        InputError: they are too few all together.
    """
    rows: list[dict[str, Any]] = []
    for name in ("dev", "test", "train"):
        if len(rows) < MIN_SENTENCES:
            found = [row for row in splits[name] if row["label"]]
            if name == "train":
                found = [row | {"label": None} for row in found[: MIN_SENTENCES - len(rows)]]
            rows += found
    if len(rows) < MIN_SENTENCES:
        raise InputError(
            f"expected a run of at least {MIN_SENTENCES:,} labelled sentences, to hold the exported model "
            f"against the fitted one, got {len(rows):,}"
        )
    return rows


def measure_parity(
    reference: Reference,
    bundle: Path,
    texts: Sequence[str],
    contexts: Sequence[str | None],
    labels: Sequence[str | None],
    paths: Sequence[tuple[str, str, str]] = PATHS,
) -> list[PathParity]:
    """Compare every path of a bundle with the model as fitted, in torch.

    Args:
        reference: gives the fitted model's probabilities of the sentences.
        bundle: the model as it ships.
        texts: sentences.
        contexts: what stands before them.
        labels: the judges' labels; None for a sentence that the model was fitted on.
        paths: name, backend and precision of each.

    Returns:
        The reference itself, then one entry a path in their order.
    """
    judged = [i for i, label in enumerate(labels) if label is not None]
    gold = [LABELS.index(label) for label in labels if label is not None]

    def probabilities(backend: Any, precision: Any, n: int, batch_size: int) -> FloatArray:
        classifier = FramingClassifier.from_pretrained(
            bundle, backend=backend, precision=precision, batch_size=batch_size
        )
        return classifier.predict_proba(texts[:n], contexts[:n])

    def compare(path: str, together: FloatArray, alone: FloatArray) -> PathParity:
        return PathParity(
            path=path,
            n_sentences=len(texts),
            agreement=float((together.argmax(-1) == wanted.argmax(-1)).mean()),
            max_difference=float(np.abs(together - wanted).max()),
            batch_dependence=float(np.abs(together[: len(alone)] - alone).max()),
            macro_f1=float(f1_score(gold, together[judged].argmax(-1), average="macro")),
        )

    wanted = reference(len(texts), _TOGETHER)
    results = [compare("as fitted: torch", wanted, reference(_ALONE, 1))]
    for path, backend, precision in paths:
        together = probabilities(backend, precision, len(texts), _TOGETHER)
        results.append(compare(path, together, probabilities(backend, precision, _ALONE, 1)))
    return results


def gate(results: Sequence[PathParity]) -> None:
    """Refuse a bundle whose default path is not the model that was fitted: int8 where it has it, else fp32.

    Raises:
        InputError: too few sentences, labels that differ, or a dependence on batch-mates.
    """
    by_path = {result.path: result for result in results}
    default = by_path.get(INT8_PATHS[0][0]) or by_path[PATHS[0][0]]
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
