"""Fitting: a recipe in, a run directory out.

A run directory holds ``recipe.json``, ``splits/``, ``checkpoints/`` (with TensorBoard's logs in
``checkpoints/runs/``), ``metrics.jsonl``, ``environment.json`` and ``model/``, the best epoch by dev
macro-F1.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.metrics import f1_score
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    EarlyStoppingCallback,
    Trainer,
    TrainingArguments,
    set_seed,
)

from framelens.encoding import PairEncoder
from framelens.errors import InputError
from framelens.hf import FramingConfig, FramingForSequenceClassification
from framelens_training.base import resolve_base
from framelens_training.features import IGNORE, Collator, ContextDropout, sentence_features
from framelens_training.objective import FitModel, label_weights
from framelens_training.rundir import begin_run, supports_bf16

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import EvalPrediction

    from framelens_training.recipe import Recipe

__all__ = ["dev_metrics", "fit", "fresh_model"]


def fresh_model(recipe: Recipe) -> tuple[FramingForSequenceClassification, Any]:
    """The recipe's encoder with new heads, and its tokeniser.

    Raises:
        InputError: there is no encoder where ``base`` points.
    """
    base = resolve_base(recipe.base)
    try:
        encoder = AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise InputError(f"no encoder could be had from {base!r}: {str(error).splitlines()[0]}") from error
    encoder.attention_probs_dropout_prob = recipe.model.attention_dropout
    config = FramingConfig(
        encoder=encoder,
        pooling=recipe.model.pooling,
        dropout=recipe.model.dropout,
        max_tokens=recipe.model.max_tokens,
        context_sentences=recipe.model.context_sentences,
    )
    model = FramingForSequenceClassification(config)
    # On short sequences plain matrix products beat the fused kernel on CPUs, by about 15 %.
    model.encoder.set_attn_implementation("sdpa" if torch.cuda.is_available() else "eager")
    weights = AutoModel.from_pretrained(base, dtype=torch.float32).state_dict()
    model.encoder.load_state_dict({k: v for k, v in weights.items() if k in model.encoder.state_dict()})
    return model, AutoTokenizer.from_pretrained(base)


def dev_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Macro-F1 over the labelled sentences."""
    logits, labels = prediction.predictions, prediction.label_ids
    if isinstance(labels, tuple):
        labels = labels[0]
    known = labels != IGNORE
    found = np.asarray(logits).argmax(-1)[known]
    return {"macro_f1": float(f1_score(labels[known], found, average="macro"))}


def fit(
    recipe: Recipe, run_dir: Path, data_dir: Path | None = None, overwrite: bool = False
) -> dict[str, float]:
    """Fit a recipe; see the module's docstring for what it writes.

    Args:
        recipe: what to fit.
        run_dir: where to write; must not exist, unless ``overwrite``.
        data_dir: folder of annotated data, else ``$FRAMELENS_DATA``.
        overwrite: remove an existing run first.

    Returns:
        The best epoch's metrics on dev.

    Raises:
        InputError: no data, no such base encoder, or a run directory in use.
    """
    splits, _ = begin_run(recipe, run_dir, data_dir, overwrite)
    set_seed(recipe.train.seed)
    model, tokenizer = fresh_model(recipe)
    tokenizer.save_pretrained(run_dir / "model")
    encoder = PairEncoder(
        Tokenizer.from_file(str(run_dir / "model" / "tokenizer.json")),
        recipe.model.max_tokens,
        reads_context=recipe.model.context_sentences > 0,
    )
    labelled = splits.train.filter(lambda label: label is not None, input_columns="label")
    lone = sentence_features(labelled, encoder, context=False)
    paired = sentence_features(labelled, encoder, context=True)
    weights = label_weights(splits.counts()["train"], recipe.train.balance)
    trainer = Trainer(
        model=FitModel(model, recipe.train, weights),
        args=_arguments(recipe, run_dir),
        train_dataset=ContextDropout(paired, lone, recipe.train.context_dropout, recipe.train.seed),
        eval_dataset=sentence_features(splits.dev, encoder, context=True),
        data_collator=Collator(encoder.pad_id),
        compute_metrics=dev_metrics,
        callbacks=[EarlyStoppingCallback(recipe.train.patience)],
    )
    trainer.train()
    best = {k: float(v) for k, v in trainer.evaluate().items()}
    model.save_pretrained(run_dir / "model")
    with (run_dir / "metrics.jsonl").open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(entry) + "\n" for entry in trainer.state.log_history)
    return best


def _arguments(recipe: Recipe, run_dir: Path) -> TrainingArguments:
    train = recipe.train
    return TrainingArguments(
        output_dir=str(run_dir / "checkpoints"),
        num_train_epochs=train.epochs,
        per_device_train_batch_size=train.batch_size,
        per_device_eval_batch_size=2 * train.batch_size,
        learning_rate=train.learning_rate,
        warmup_steps=train.warmup,
        weight_decay=train.weight_decay,
        lr_scheduler_type="linear",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        train_sampling_strategy="group_by_length",
        label_names=["labels"],
        remove_unused_columns=False,
        use_cpu=not torch.cuda.is_available(),
        bf16=supports_bf16(),
        seed=train.seed,
        logging_steps=50,
        report_to=["tensorboard"],
        dataloader_pin_memory=torch.cuda.is_available(),
    )
