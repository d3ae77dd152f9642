"""What a fit minimises: the label's loss, and beside it the cues' and the rules'."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from framelens.errors import InputError
from framelens.labels import LABELS
from framelens_training.data import RULES
from framelens_training.features import IGNORE

if TYPE_CHECKING:
    from framelens.hf import FramingForSequenceClassification
    from framelens_training.recipe import TrainRecipe

__all__ = ["FitModel", "label_weights"]


def label_weights(counts: dict[str, int], balance: float) -> Tensor:
    """Weights of the labels in the loss, of mean 1 over the sentences.

    Args:
        counts: sentences by label.
        balance: 0 for equal weights, 1 for weights inverse to the counts.

    Returns:
        Shape (n_labels,).

    Raises:
        InputError: a label has no sentence.
    """
    if missing := [str(label) for label in LABELS if not counts.get(label)]:
        raise InputError(f"the training split holds no sentence labelled {' or '.join(missing)}")
    sizes = torch.tensor([float(counts[label]) for label in LABELS])
    weights = sizes**-balance
    return weights * sizes.sum() / (weights * sizes).sum()


class FitModel(nn.Module):
    """The model to fit, with the auxiliary rule head that stays behind when it ships.

    Args:
        model: the model that will be exported.
        recipe: weights of the losses.
        label_weights: shape (n_labels,).
    """

    def __init__(
        self, model: FramingForSequenceClassification, recipe: TrainRecipe, label_weights: Tensor
    ) -> None:
        super().__init__()
        self.model = model
        self.rule_head = nn.Linear(model.config.encoder.hidden_size, len(RULES))
        self._recipe = recipe
        self.label_weights: Tensor
        self.register_buffer("label_weights", label_weights, persistent=False)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        labels: Tensor,
        rules: Tensor,
        cue_labels: Tensor,
        weights: Tensor,
    ) -> dict[str, Tensor]:
        """Loss and label logits of one batch; the shapes are the collator's."""
        output = self.model(input_ids, attention_mask, token_type_ids)
        recipe = self._recipe
        loss = _weighted(output.logits, labels, weights, self.label_weights, recipe.label_smoothing)
        loss = loss + recipe.rule_weight * _weighted(self.rule_head(output.pooled), rules, weights)
        tokens = weights[:, None].expand_as(cue_labels).flatten()
        cues = _weighted(output.cue_logits.flatten(0, 1), cue_labels.flatten(), tokens)
        return {"loss": loss + recipe.cue_weight * cues, "logits": output.logits}


def _weighted(
    logits: Tensor,
    targets: Tensor,
    weights: Tensor,
    label_weights: Tensor | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """Mean cross entropy over the weights of what has a target; 0, not NaN, where nothing has one.

    Args:
        logits: shape (n, n_classes).
        targets: shape (n,), classes or `IGNORE`.
        weights: shape (n,), at least 0.
        label_weights: shape (n_classes,); without, classes weigh alike.
        smoothing: share of a target that is spread over all classes.
    """
    losses = functional.cross_entropy(
        logits.float(),
        targets,
        weight=label_weights,
        label_smoothing=smoothing,
        ignore_index=IGNORE,
        reduction="none",
    )
    known = weights * (targets != IGNORE)
    mass = known if label_weights is None else known * label_weights[targets.clamp(min=0)]
    total = mass.sum()
    return (losses * known).sum() / torch.where(total > 0, total, 1.0)
