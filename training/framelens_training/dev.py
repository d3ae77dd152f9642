"""Dev as a fit reads it: the longest sentences first, measured as a whole and by kind of outlet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from framelens.labels import LABELS
from framelens_training.calibrate import forward
from framelens_training.features import sentence_features
from framelens_training.trainer import dev_metrics

if TYPE_CHECKING:
    from collections.abc import Collection

    from datasets import Dataset
    from transformers import EvalPrediction

    from framelens.encoding import PairEncoder
    from framelens.hf import FramingForSequenceClassification

__all__ = ["DevSet"]


class DevSet:
    """The sentences of dev, of like length side by side, so that little of a batch is padding.

    Args:
        rows: the split.
        encoder: of the model.
        unseen_outlets: of which no sentence is trained on.
    """

    def __init__(self, rows: Dataset, encoder: PairEncoder, unseen_outlets: Collection[str]) -> None:
        features = sentence_features(rows, encoder, context=True)
        lengths = [len(feature["pair"]) for feature in features]
        self._order = np.argsort(lengths, kind="stable")[::-1]
        self._ids, self._labels, self._pad_id = rows["id"], rows["label"], encoder.pad_id
        unseen = np.array([outlet in unseen_outlets for outlet in rows["outlet_id"]], dtype=bool)
        self._unseen = unseen[self._order]
        #: What the Trainer reads.
        self.features = [features[i] for i in self._order]

    def metrics(self, prediction: EvalPrediction) -> dict[str, float]:
        """See `framelens_training.trainer.dev_metrics`."""
        return dev_metrics(prediction, self._unseen)

    def predictions(self, model: FramingForSequenceClassification) -> list[dict[str, Any]]:
        """The model's probabilities beside the judges' labels, in the order of the split.

        Args:
            model: fitted, and set to evaluate; it computes in the precision of its weights.

        Returns:
            A dict a sentence: its ``id``, its ``label`` (None out of scope) and ``probabilities`` by label,
            before any temperature.
        """
        logits, _ = forward(model, [feature["pair"] for feature in self.features], self._pad_id)
        ordered = np.empty_like(logits)
        ordered[self._order] = logits
        probabilities = torch.from_numpy(ordered).double().softmax(-1).tolist()
        return [
            {"id": id_, "label": label, "probabilities": dict(zip(map(str, LABELS), shares, strict=True))}
            for id_, label, shares in zip(self._ids, self._labels, probabilities, strict=True)
        ]
