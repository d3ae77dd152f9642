"""Fitting: a recipe in, a run directory out.

A run directory holds ``recipe.json``, ``splits/``, ``checkpoints/`` (with TensorBoard's logs in
``checkpoints/runs/``), ``metrics.jsonl``, ``environment.json`` and ``model/``, the best epoch by dev
macro-F1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    EarlyStoppingCallback,
    Trainer,
    set_seed,
)

from framelens.encoding import PairEncoder
from framelens.errors import InputError
from framelens.hf import FramingConfig, FramingForSequenceClassification
from framelens_training.base import resolve_base
from framelens_training.features import Collator, ContextDropout, sentence_features
from framelens_training.files import write_lines
from framelens_training.objective import FitModel, label_weights
from framelens_training.rundir import begin_run
from framelens_training.trainer import choose_attention, dev_metrics, training_arguments

if TYPE_CHECKING:
    from pathlib import Path

    from framelens_training.recipe import Recipe

__all__ = ["fit", "fresh_model"]


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
    choose_attention(model)
    weights = AutoModel.from_pretrained(base, dtype=torch.float32).state_dict()
    model.encoder.load_state_dict({k: v for k, v in weights.items() if k in model.encoder.state_dict()})
    return model, AutoTokenizer.from_pretrained(base)


def fit(
    recipe: Recipe,
    run_dir: Path,
    data_dir: Path | None = None,
    overwrite: bool = False,
    data: Path | None = None,
) -> dict[str, float]:
    """Fit a recipe; see the module's docstring for what it writes.

    Args:
        recipe: what to fit.
        run_dir: where to write; must not exist, unless ``overwrite``.
        data_dir: folder of data, else ``$FRAMELENS_DATA``.
        overwrite: remove an existing run first.
        data: folder of a data set that was built before, in place of the recipe's sources.

    Returns:
        The best epoch's metrics on dev.

    Raises:
        InputError: no data, no such base encoder, or a run directory in use.
    """
    splits, _ = begin_run(recipe, run_dir, data_dir, overwrite, data)
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
        args=training_arguments(
            recipe.train,
            run_dir / "checkpoints",
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            metric_for_best_model="macro_f1",
            logging_steps=50,
        ),
        train_dataset=ContextDropout(paired, lone, recipe.train.context_dropout, recipe.train.seed),
        eval_dataset=sentence_features(splits.dev, encoder, context=True),
        data_collator=Collator(encoder.pad_id),
        compute_metrics=dev_metrics,
        callbacks=[EarlyStoppingCallback(recipe.train.patience)],
    )
    trainer.train()
    best = {k: float(v) for k, v in trainer.evaluate().items()}
    model.save_pretrained(run_dir / "model")
    write_lines(run_dir / "metrics.jsonl", trainer.state.log_history)
    return best
