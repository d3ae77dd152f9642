"""What every fit has in common with the others: its settings of the Trainer, and its measure on dev."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.metrics import f1_score
from torch.utils.data import Sampler
from transformers import Trainer, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler

from framelens.labels import LABELS
from framelens_training.features import IGNORE
from framelens_training.rates import parameter_groups
from framelens_training.rundir import supports_bf16

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from torch import nn
    from transformers import EvalPrediction

    from framelens.hf import FramingForSequenceClassification
    from framelens_training.objective import FitModel
    from framelens_training.recipe import MaskedTrainRecipe, StudentRecipe, TrainRecipe

__all__ = ["EpochSampler", "FitTrainer", "choose_attention", "dev_metrics", "training_arguments"]


def choose_attention(model: FramingForSequenceClassification) -> None:
    """Let the encoder compute its attention in the way that is quickest to fit here."""
    # On short sequences plain matrix products beat the fused kernel on CPUs, by about 15 %. On a GPU
    # transformers itself chooses the fused kernel where an encoder has it.
    chosen = getattr(model.encoder.config, "_attn_implementation", "eager")
    if not torch.cuda.is_available() and chosen != "eager":
        model.encoder.set_attn_implementation("eager")


def dev_metrics(prediction: EvalPrediction, unseen: npt.NDArray[np.bool_] | None = None) -> dict[str, float]:
    """Macro-F1, F1 by label and accuracy over the labelled sentences.

    Args:
        prediction: logits, shape (n_sentences, n_labels), and labels, shape (n_sentences,).
        unseen: shape (n_sentences,), whether a sentence's outlet is in no training sentence; with it macro-F1
            is also given for these sentences (``macro_f1_unseen_outlet``) and for the others
            (``macro_f1_in_outlet``), each where there are any.

    Returns:
        In [0, 1] each.
    """
    logits, labels = prediction.predictions, prediction.label_ids
    if isinstance(labels, tuple):
        labels = labels[0]
    known = labels != IGNORE
    gold, found = labels[known], np.asarray(logits).argmax(-1)[known]
    by_label = f1_score(gold, found, labels=range(len(LABELS)), average=None, zero_division=0.0)
    figures = {
        "macro_f1": _macro_f1(gold, found),
        **{f"f1_{label}": float(f1) for label, f1 in zip(LABELS, by_label, strict=True)},
        "accuracy": float((gold == found).mean()),
    }
    if unseen is not None:
        for name, inside in (("in", ~unseen[known]), ("unseen", unseen[known])):
            if inside.any():
                figures[f"macro_f1_{name}_outlet"] = _macro_f1(gold[inside], found[inside])
    return figures


def _macro_f1(gold: npt.NDArray[Any], found: npt.NDArray[Any]) -> float:
    return float(f1_score(gold, found, average="macro", zero_division=0.0))


def training_arguments(
    recipe: TrainRecipe | StudentRecipe | MaskedTrainRecipe, folder: Path, **own: Any
) -> TrainingArguments:
    """Settings of the Trainer.

    Args:
        recipe: how to fit.
        folder: of checkpoints and logs.
        own: what this kind of fit sets beyond that or otherwise, above all when it looks at dev and what it
            keeps.
    """
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": recipe.epochs,
        "per_device_train_batch_size": recipe.batch_size,
        "per_device_eval_batch_size": 2 * recipe.batch_size,
        "learning_rate": recipe.learning_rate,
        "warmup_steps": recipe.warmup,
        "weight_decay": recipe.weight_decay,
        "lr_scheduler_type": "linear",
        "save_total_limit": 1,
        "train_sampling_strategy": "group_by_length",
        "label_names": ["labels"],
        "remove_unused_columns": False,
        "use_cpu": not torch.cuda.is_available(),
        "bf16": supports_bf16(),
        "seed": recipe.seed,
        "report_to": ["tensorboard"],
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
    return TrainingArguments(**settings | own)


class EpochSampler(Sampler[int]):
    """Sentences of like length side by side, in an order that hangs on the seed and the epoch alone.

    transformers' own sampler draws from torch's global state, which a resumed fit does not have as it was
    when its epoch began.

    Args:
        lengths: of the sentences, in tokens.
        size: how many are read before each step.
        seed: of the order.
        chosen: places of the sentences that an epoch reads, as many in each; all where nothing chooses.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        size: int,
        seed: int,
        chosen: Callable[[int], Sequence[int]] | None = None,
    ) -> None:
        self._lengths, self._size, self._seed, self._epoch = list(lengths), size, seed, 0
        self._chosen = chosen or (lambda _: range(len(self._lengths)))
        self._n = len(self._chosen(0))

    def set_epoch(self, epoch: int) -> None:
        """Order for an epoch, counted from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(1_000_003 * self._seed + self._epoch)
        places = self._chosen(self._epoch)
        lengths = [self._lengths[place] for place in places]
        return (places[i] for i in LengthGroupedSampler(self._size, lengths=lengths, generator=generator))


class FitTrainer(Trainer):
    """The Trainer with our order of sentences and with a rate for each layer.

    Args:
        fitted: the model and its losses.
        recipe: how to fit.
        sampler: the order of the training sentences.
        options: the Trainer's own.

    Attributes:
        fitted: as given.
    """

    def __init__(self, fitted: FitModel, recipe: TrainRecipe, sampler: EpochSampler, **options: Any) -> None:
        self.fitted, self._recipe, self._sampler = fitted, recipe, sampler
        super().__init__(model=fitted, **options)

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochSampler:  # noqa: ARG002  (the base's)
        return self._sampler

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log; beside the loss also that of each auxiliary task, as its mean since the last time."""
        tasks = self.fitted.tasks
        if "loss" in logs and tasks is not None:
            sums = self.accelerator.reduce(tasks.take_sums().to(self.args.device), "sum")
            for name, loss, weight in zip(tasks.names, *sums.tolist(), strict=True):
                if weight:
                    logs[f"auxiliary_loss_{name}"] = loss / weight
        super().log(logs, start_time)

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """The optimiser, with parameters in groups where their rates differ."""
        recipe = self._recipe
        if self.optimizer is None and (recipe.layer_decay < 1 or recipe.head_learning_rate is not None):
            decayed = self.get_decay_parameter_names(self.fitted)
            kind, settings = self.get_optimizer_cls_and_kwargs(self.args)
            groups = parameter_groups(self.fitted, self.fitted.model, recipe, decayed)
            self.optimizer = kind(groups, **settings)
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        return optimizer
