"""From annotated sentences to the tensors that a fit reads."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from framelens.encoding import EncodedPair, PairEncoder, collate
from framelens.labels import LABELS
from framelens_training.data import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datasets import Dataset
    from torch import Tensor

__all__ = ["Collator", "ContextDropout", "cue_tags", "sentence_features"]

#: Targets that no loss is taken on; torch's own convention.
IGNORE = -100
STATE_TAG, HEDGE_TAG = 1, 2


def cue_tags(
    tokens: Sequence[tuple[int, int, int]], cue: Sequence[int] | None, label: str | None
) -> list[int]:
    """The tagger's targets for one sentence's tokens.

    Args:
        tokens: (position, start, end) of each token, from the encoder.
        cue: [start, end) of the judges' span, None where the label needs none.
        label: None out of scope; such a sentence has no targets.

    Returns:
        A tag or `IGNORE` for each token.
    """
    if label is None:
        return [IGNORE] * len(tokens)
    if cue is None:
        return [0] * len(tokens)
    tag = HEDGE_TAG if label == LABELS[2] else STATE_TAG
    start, end = cue
    return [tag if s < end and e > start else 0 for _, s, e in tokens]


def sentence_features(
    rows: Sequence[Mapping[str, Any]] | Dataset,
    encoder: PairEncoder,
    context: bool,
    unsure_weight: float = 1.0,
) -> list[dict[str, Any]]:
    """Encode rows once, with their context or without.

    Args:
        rows: with ``text``, ``context``, ``label``, ``rule`` and ``cue``; ``sure`` may be absent.
        encoder: of the model that will read them.
        context: whether the context is encoded too.
        unsure_weight: of rows whose ``sure`` is 0; that of others is 1.

    Returns:
        One dict a row: the encoded pair, its label, rule and token targets, and its weight in the loss.
    """
    pairs = [(row["text"], row["context"] if context else None) for row in rows]
    features = []
    for row, encoded in zip(rows, encoder.encode(pairs), strict=True):
        label, rule = row["label"], row["rule"]
        features.append(
            {
                "pair": encoded,
                "label": IGNORE if label is None else LABELS.index(label),
                "rule": RULES.index(rule) if rule in RULES else IGNORE,
                "tags": cue_tags(encoded.tokens, row["cue"], label),
                "weight": unsure_weight if row.get("sure") == 0 else 1.0,
                # Read by nothing but the Trainer's length-grouped sampler.
                "input_ids": encoded.ids,
            }
        )
    return features


class Collator:
    """Pads features into one batch of tensors.

    Args:
        pad_id: id of the padding token.
    """

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Arrays of shape (n_sentences,) and (n_sentences, n_tokens), as tensors."""
        pairs: list[EncodedPair] = [feature["pair"] for feature in features]
        batch = collate(pairs, self._pad_id)
        tags = np.full(batch.input_ids.shape, IGNORE, dtype=np.int64)
        for row, feature in enumerate(features):
            positions = [position for position, _, _ in feature["pair"].tokens]
            tags[row, positions] = feature["tags"]
        tensors = {name: torch.from_numpy(array) for name, array in batch.arrays().items()}
        tensors["labels"] = torch.tensor([feature["label"] for feature in features])
        tensors["rules"] = torch.tensor([feature["rule"] for feature in features])
        tensors["cue_labels"] = torch.from_numpy(tags)
        tensors["weights"] = torch.tensor([feature["weight"] for feature in features], dtype=torch.float32)
        return tensors


class ContextDropout(torch.utils.data.Dataset[dict[str, Any]]):
    """Shows each pair with its context or without, drawn anew in every epoch.

    Drawing once for the whole fit would make batches of truer lengths, but did worse on dev. A draw hangs on
    the seed, the epoch and the sentence alone, so that a resumed fit sees what an unbroken one sees.

    Args:
        paired: features with context.
        lone: the same sentences without.
        share: of the readings that hide the context, in [0, 1].
        seed: of the draw.
    """

    def __init__(
        self, paired: list[dict[str, Any]], lone: list[dict[str, Any]], share: float, seed: int
    ) -> None:
        self._paired, self._lone, self._share = paired, lone, share
        self._seed, self._epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Draw for an epoch, counted from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._paired)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._lone[index] if self.hides(index) else self._paired[index]

    def hides(self, index: int) -> bool:
        """Whether this epoch shows a sentence without its context."""
        # Seeded by a text: the hash of a tuple would not spread near seeds apart.
        return random.Random(f"{self._seed}:{self._epoch}:{index}").random() < self._share
