"""What every fit has in common with the others: its settings of the Trainer, and its measure on dev."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.metrics import f1_score
from transformers import TrainingArguments

from framelens_training.features import IGNORE
from framelens_training.rundir import supports_bf16

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import EvalPrediction

    from framelens.hf import FramingForSequenceClassification
    from framelens_training.recipe import StudentRecipe, TrainRecipe

__all__ = ["choose_attention", "dev_metrics", "training_arguments"]


def choose_attention(model: FramingForSequenceClassification) -> None:
    """Let the encoder compute its attention in the way that is quickest to fit here."""
    # On short sequences plain matrix products beat the fused kernel on CPUs, by about 15 %.
    model.encoder.set_attn_implementation("sdpa" if torch.cuda.is_available() else "eager")


def dev_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Macro-F1 over the labelled sentences."""
    logits, labels = prediction.predictions, prediction.label_ids
    if isinstance(labels, tuple):
        labels = labels[0]
    known = labels != IGNORE
    found = np.asarray(logits).argmax(-1)[known]
    return {"macro_f1": float(f1_score(labels[known], found, average="macro"))}


def training_arguments(recipe: TrainRecipe | StudentRecipe, folder: Path, **own: Any) -> TrainingArguments:
    """Settings of the Trainer.

    Args:
        recipe: how to fit.
        folder: of checkpoints and logs.
        own: what this kind of fit sets beyond that, above all when it looks at dev and what it keeps.
    """
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=2 * recipe.batch_size,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup,
        weight_decay=recipe.weight_decay,
        lr_scheduler_type="linear",
        save_total_limit=1,
        train_sampling_strategy="group_by_length",
        label_names=["labels"],
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
        bf16=supports_bf16(),
        seed=recipe.seed,
        report_to=["tensorboard"],
        dataloader_pin_memory=torch.cuda.is_available(),
        **own,
    )
