"""Fitting: a recipe in, a run directory out.

A run directory holds

* ``recipe.json``, ``splits/`` and ``environment.json``: what it was made of;
* ``metrics.jsonl``: loss and rate every few steps, the figures on dev every epoch; ``time.json``;
* ``checkpoints/``, with TensorBoard's logs in ``checkpoints/runs/``;
* ``dev_predictions.jsonl`` and ``plots/``: what the best epoch by dev macro-F1 gives on dev;
* ``model/``, that epoch's model, put in place last.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_model
from tokenizers import Tokenizer
from transformers import EarlyStoppingCallback, ProgressCallback, set_seed

from framelens.encoding import PairEncoder
from framelens.errors import InputError, require
from framelens.hf import FramingConfig, FramingForSequenceClassification
from framelens_training.base import load_base, token_limit
from framelens_training.build import read_build
from framelens_training.callbacks import Bar, Checkpoints, Epochs, MetricsFile, metrics
from framelens_training.dev import DevSet
from framelens_training.features import Collator, ContextDropout, sentence_features
from framelens_training.files import write_lines
from framelens_training.lora import add_lora, merge_lora
from framelens_training.objective import FitModel, label_weights
from framelens_training.plots import draw_plots
from framelens_training.resume import (
    check_same,
    has_begun,
    is_finished,
    keep_only,
    last_checkpoint,
    seconds_before,
)
from framelens_training.rundir import begin_run
from framelens_training.trainer import EpochSampler, FitTrainer, choose_attention, training_arguments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from transformers import TrainingArguments

    from framelens_training.data import Splits
    from framelens_training.recipe import Recipe, TrainRecipe
    from framelens_training.resume import Checkpoint

__all__ = ["CHECKPOINT_MINUTES", "fit", "fresh_model"]

#: Between two checkpoints of a fit, unless another time is asked for.
CHECKPOINT_MINUTES = 2.0
_LOGGING_STEPS = 10


def fresh_model(recipe: Recipe, offline: bool = False) -> tuple[FramingForSequenceClassification, Any]:
    """The recipe's encoder with new heads, and its tokeniser.

    Args:
        recipe: names the encoder.
        offline: take nothing from the network.

    Raises:
        InputError: there is no encoder where ``base`` points, or it cannot read ``max_tokens``.
    """
    base = load_base(recipe.base, offline)
    for name in ("attention_probs_dropout_prob", "attention_dropout"):
        if hasattr(base.config, name):
            setattr(base.config, name, recipe.model.attention_dropout)
    config = FramingConfig(
        encoder=base.config,
        pooling=recipe.model.pooling,
        dropout=recipe.model.dropout,
        max_tokens=recipe.model.max_tokens,
        context_sentences=recipe.model.context_sentences,
    )
    model = FramingForSequenceClassification(config)
    limit = token_limit(model.encoder)
    if limit is not None and recipe.model.max_tokens > limit:
        raise InputError(
            f"{recipe.base!r} reads at most {limit} tokens, and model.max_tokens is "
            f"{recipe.model.max_tokens}; set it to {limit} or fewer"
        )
    choose_attention(model)
    model.encoder.load_state_dict({name: base.weights[name] for name in model.encoder.state_dict()})
    return model, base.tokenizer


def fit(
    recipe: Recipe,
    run_dir: Path,
    data_dir: Path | None = None,
    overwrite: bool = False,
    data: Path | None = None,
    *,
    resume: bool = False,
    offline: bool = False,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
) -> dict[str, float]:
    """Fit a recipe; see the module's docstring for what it writes.

    A fit that was killed and resumed gives, on the same CPU with the same packages and threads, the same
    weights bit for bit as one that was not. Under ``accelerate launch`` each process calls this; only the
    first one writes.

    Args:
        recipe: what to fit.
        run_dir: where to write; must not exist, unless ``overwrite`` or ``resume``.
        data_dir: folder of data, else ``$FRAMELENS_DATA``; a resumed run has its sentences already.
        overwrite: remove an existing run first.
        data: folder of a data set that was built before, in place of the recipe's sources.
        resume: go on with a run that was killed; a finished one is left as it is.
        offline: take nothing from the network.
        checkpoint_minutes: between two checkpoints, at least 0; so much is lost at most when a fit is killed.

    Returns:
        The best epoch's metrics on dev.

    Raises:
        InputError: no data, no such base encoder, a run directory in use, nothing to resume, or a run to
            resume of another recipe or other sentences.
        MissingExtraError: matplotlib or, for low-rank changes, peft is not installed.
    """
    require("matplotlib", "train")
    if recipe.lora.rank:
        require("peft", "train")
    checkpoints = run_dir.absolute() / "checkpoints"
    args = _arguments(recipe.train, checkpoints)
    with args.main_process_first(local=False):
        if args.process_index == 0:
            _begin(recipe, run_dir, data_dir, overwrite, data, resume)
        splits = read_build(run_dir / "splits", recipe.data)
        checkpoint = last_checkpoint(checkpoints)
    if is_finished(run_dir):
        lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return _best(map(json.loads, lines))
    set_seed(recipe.train.seed)
    model, tokenizer = fresh_model(recipe, offline)
    encoder = PairEncoder(
        Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()),
        recipe.model.max_tokens,
        reads_context=recipe.model.context_sentences > 0,
    )
    dev = DevSet(splits.dev, encoder, recipe.data.dev_outlets)
    trainer = _trainer(recipe, args, model, encoder, splits, dev)
    times = run_dir / "time.json"
    before = 0.0 if checkpoint is None else seconds_before(times)
    trainer.add_callback(Checkpoints(checkpoint_minutes, times, before))
    trainer.add_callback(MetricsFile(run_dir / "metrics.jsonl"))
    history, best = _run(trainer, checkpoint)
    load_model(trainer.fitted, best / "model.safetensors")
    merge_lora(model)
    if trainer.is_world_process_zero():
        predictions = dev.predictions(model.eval())
        write_lines(run_dir / "metrics.jsonl", history)
        write_lines(run_dir / "dev_predictions.jsonl", predictions)
        draw_plots(history, predictions, run_dir / "plots")
        _put_in_place(model, tokenizer, run_dir / "model")
        keep_only(checkpoints, best)
    return _best(history)


def _run(trainer: FitTrainer, checkpoint: Checkpoint | None) -> tuple[list[dict[str, Any]], Path]:
    """Take the steps that remain; gives all metrics, and the checkpoint of the best epoch."""
    if checkpoint is not None and checkpoint.is_last and checkpoint.best is not None:
        return list(metrics(checkpoint.state["log_history"])), checkpoint.best
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint.folder))
    return list(metrics(trainer.state.log_history)), Path(str(trainer.state.best_model_checkpoint))


def _arguments(recipe: TrainRecipe, checkpoints: Path) -> TrainingArguments:
    return training_arguments(
        recipe,
        checkpoints,
        eval_strategy="epoch",
        save_strategy="epoch",
        # The latest and the best; with a limit of 1 the Trainer would remove the latest in the end, and a fit
        # that is killed thereafter would have to repeat what came behind its best epoch.
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        restore_callback_states_from_checkpoint=True,
        logging_steps=_LOGGING_STEPS,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        max_grad_norm=recipe.gradient_clip,
        train_sampling_strategy="random",  # the FitTrainer has its own
    )


def _begin(
    recipe: Recipe, run_dir: Path, data_dir: Path | None, overwrite: bool, data: Path | None, resume: bool
) -> None:
    """Make the run directory, or see that it can be gone on with."""
    begun = (run_dir / "recipe.json").is_file()
    if resume and overwrite:
        raise InputError("give --resume to go on with a run or --overwrite to begin it anew, not both")
    if resume and not begun:
        raise InputError(
            f"there is nothing to resume in {run_dir}: it holds no recipe.json; leave --resume out to begin"
        )
    if begun and not (resume or overwrite or is_finished(run_dir)):
        raise InputError(
            f"{run_dir} exists and is not finished; give --resume to go on with it, or --overwrite to begin "
            "it anew"
        )
    if resume and has_begun(run_dir):
        check_same(recipe, run_dir, data)
    else:
        # Also a run that was killed before its sentences were all written.
        begin_run(recipe, run_dir, data_dir, overwrite or resume, data)


def _trainer(
    recipe: Recipe,
    args: TrainingArguments,
    model: FramingForSequenceClassification,
    encoder: PairEncoder,
    splits: Splits,
    dev: DevSet,
) -> FitTrainer:
    train = recipe.train
    add_lora(model, recipe.lora)
    if train.freeze_embeddings:
        embeddings = getattr(model.encoder, "embeddings", None) or model.encoder.get_input_embeddings()
        embeddings.requires_grad_(requires_grad=False)
    labelled = [row for row in splits.train if row["label"] is not None]
    lone, paired = (
        sentence_features(labelled, encoder, context, train.unsure_weight) for context in (False, True)
    )
    sentences = ContextDropout(paired, lone, train.context_dropout, train.seed)
    size = args.train_batch_size * train.gradient_accumulation
    sampler = EpochSampler([len(feature["pair"]) for feature in paired], size, train.seed)
    trainer = FitTrainer(
        FitModel(model, train, label_weights(splits.counts()["train"], train.balance)),
        train,
        sampler,
        args=args,
        train_dataset=sentences,
        eval_dataset=dev.features,
        data_collator=Collator(encoder.pad_id),
        compute_metrics=dev.metrics,
        callbacks=[EarlyStoppingCallback(train.patience), Epochs([sentences, sampler])],
    )
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(Bar())
    return trainer


def _best(entries: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The figures of the first of the epochs with the highest macro-F1 on dev."""
    epochs = [entry for entry in entries if "eval_macro_f1" in entry]
    best = max(epochs, key=lambda entry: entry["eval_macro_f1"])
    return {name: float(value) for name, value in best.items()}


def _put_in_place(model: FramingForSequenceClassification, tokenizer: Any, folder: Path) -> None:
    """Write the model beside its place and then move it there: a run that has it is finished."""
    new = folder.with_name("model.new")
    for old in (new, folder):
        if old.exists():
            shutil.rmtree(old)
    tokenizer.save_pretrained(new)
    model.save_pretrained(new)
    new.rename(folder)
