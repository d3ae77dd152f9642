"""What a fit minimises: the label's loss, and beside it the cues', the rules' and that of auxiliary tasks."""

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
    from collections.abc import Mapping

    from framelens.hf import FramingForSequenceClassification
    from framelens_training.recipe import TrainRecipe

__all__ = ["FitModel", "TaskHeads", "label_weights"]


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


class TaskHeads(nn.Module):
    """A linear head on the pooled sentence for each auxiliary task, and their common loss.

    Args:
        width: of a pooled sentence.
        n_targets: how many targets each task tells apart, by its name.
        weight: of the loss.

    Attributes:
        names: of the tasks, in the order of the heads.
    """

    def __init__(self, width: int, n_targets: Mapping[str, int], weight: float) -> None:
        super().__init__()
        self.names = tuple(n_targets)
        self.heads = nn.ModuleList(nn.Linear(width, n) for n in n_targets.values())
        self._weight = weight
        # Neither a parameter nor a buffer: it stands in no checkpoint, and each process has its own.
        self._sums = torch.zeros(2, len(n_targets))

    def forward(self, pooled: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Mean cross entropy over the weights of all targets, times the loss's own weight; 0 without any.

        The mean is over the sentences and not over the tasks: a batch holds few sentences of each task, and
        how much a task counts is decided by how many of its sentences an epoch draws.

        Args:
            pooled: shape (n, width).
            targets: shape (n, n_tasks), each a target of the task or `IGNORE`.
            weights: shape (n,), at least 0.
        """
        losses = [
            functional.cross_entropy(
                head(pooled).float(), targets[:, task], ignore_index=IGNORE, reduction="none"
            )
            for task, head in enumerate(self.heads)
        ]
        known = weights[:, None] * (targets != IGNORE)
        sums = torch.stack([(torch.stack(losses, dim=1) * known).sum(0), known.sum(0)])
        if self.training:
            self._sums = self._sums.to(sums.device) + sums.detach()
        loss, total = sums.sum(1)
        mean: Tensor = loss / torch.where(total > 0, total, 1.0)
        return self._weight * mean

    def take_sums(self) -> Tensor:
        """Of each task the loss and the weights, shape (2, n_tasks), summed up since the last call."""
        sums, self._sums = self._sums, torch.zeros_like(self._sums)
        return sums


class FitModel(nn.Module):
    """The model to fit, with the auxiliary heads that stay behind when it ships.

    Args:
        model: the model that will be exported.
        recipe: weights of the losses.
        label_weights: shape (n_labels,).
        tasks: heads of auxiliary tasks.
    """

    def __init__(
        self,
        model: FramingForSequenceClassification,
        recipe: TrainRecipe,
        label_weights: Tensor,
        tasks: TaskHeads | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.rule_head = nn.Linear(model.config.encoder.hidden_size, len(RULES))
        self.tasks = tasks
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
        task_targets: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Loss and label logits of one batch; the shapes are the collator's."""
        output = self.model(input_ids, attention_mask, token_type_ids)
        recipe = self._recipe
        loss = _weighted(output.logits, labels, weights, self.label_weights, recipe.label_smoothing)
        loss = loss + recipe.rule_weight * _weighted(self.rule_head(output.pooled), rules, weights)
        tokens = weights[:, None].expand_as(cue_labels).flatten()
        cues = _weighted(output.cue_logits.flatten(0, 1), cue_labels.flatten(), tokens)
        loss = loss + recipe.cue_weight * cues
        if self.tasks is not None and task_targets is not None:
            loss = loss + self.tasks(output.pooled, task_targets, weights)
        return {"loss": loss, "logits": output.logits}


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
