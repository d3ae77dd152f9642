"""Low-rank changes of a large encoder (Hu et al. 2022, "LoRA"), which are merged before it is saved."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from framelens.errors import InputError, require

if TYPE_CHECKING:
    from framelens.hf import FramingForSequenceClassification
    from framelens_training.recipe import LoraRecipe

__all__ = ["add_lora", "merge_lora"]


def add_lora(model: FramingForSequenceClassification, recipe: LoraRecipe) -> None:
    """Freeze the encoder and put low-rank matrices beside its own, in place; a rank of 0 changes nothing.

    Args:
        model: what will be fitted; its heads are fitted whole.
        recipe: how many and where.

    Raises:
        InputError: the encoder has no such matrices.
        MissingExtraError: peft is not installed.
    """
    if not recipe.rank:
        return
    peft = require("peft", "train")
    modules = recipe.target_modules
    config = peft.LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=modules if isinstance(modules, str) else list(modules),
    )
    try:
        with warnings.catch_warnings():
            # peft asks transformers for it under a name that the latter is about to drop.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            model.encoder = peft.get_peft_model(model.encoder, config)
    except ValueError as error:
        raise InputError(f"lora.target_modules: {str(error).splitlines()[0]} (got {modules!r})") from error


def merge_lora(model: FramingForSequenceClassification) -> None:
    """Add the low-rank changes to the encoder's own weights, in place; without any, change nothing."""
    merge = getattr(model.encoder, "merge_and_unload", None)
    if merge is not None:
        model.encoder = merge()
