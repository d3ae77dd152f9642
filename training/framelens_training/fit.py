"""Fitting: a recipe in, a run directory out.

A run directory holds

* ``recipe.json``, ``splits/`` and ``environment.json``: what it was made of;
* ``metrics.jsonl``: loss and rate every few steps, the figures on dev every epoch; ``time.json``;
* ``checkpoints/``, with TensorBoard's logs in ``checkpoints/runs/``;
* ``before/``, where the recipe has epochs on auxiliary sentences alone: their metrics, time and, until the
  run is finished, checkpoints;
* ``dev_predictions.jsonl`` and ``plots/``: what the best epoch by dev macro-F1 gives on dev;
* ``model/``, that epoch's model, put in place last.
"""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_model
from tokenizers import Tokenizer
from torch.utils.data import ConcatDataset
from transformers import EarlyStoppingCallback, ProgressCallback, set_seed

from framelens.encoding import PairEncoder
from framelens.errors import InputError, require
from framelens.hf import FramingConfig, FramingForSequenceClassification
from framelens_training.auxiliary import AuxiliarySet, TaskCollator, read_auxiliary
from framelens_training.base import load_base, token_limit
from framelens_training.build import read_build
from framelens_training.callbacks import Bar, Checkpoints, Epochs, MetricsFile, metrics
from framelens_training.dev import DevSet
from framelens_training.features import ContextDropout, sentence_features
from framelens_training.files import write_lines
from framelens_training.lora import add_lora, merge_lora
from framelens_training.objective import FitModel, TaskHeads, label_weights
from framelens_training.plots import draw_plots
from framelens_training.resume import (
    begin_or_resume,
    is_finished,
    keep_only,
    last_checkpoint,
    seconds_before,
)
from framelens_training.rundir import put_in_place
from framelens_training.swaps import SwappedSentences
from framelens_training.trainer import EpochSampler, FitTrainer, choose_attention, training_arguments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from transformers import TrainingArguments

    from framelens_training.data import Splits
    from framelens_training.recipe import Recipe, TrainRecipe
    from framelens_training.resume import Checkpoint

__all__ = ["CHECKPOINT_MINUTES", "fit", "fresh_model"]

#: Between two checkpoints of a fit, unless another time is asked for.
CHECKPOINT_MINUTES = 2.0
_LOGGING_STEPS = 10
_BEFORE = "before"


def fresh_model(recipe: Recipe, offline: bool = False) -> tuple[FramingForSequenceClassification, Any]:
    """The recipe's encoder with new heads, and its tokeniser.

    Args:
        recipe: names the encoder.
        offline: take nothing from the network.

    Raises:
        InputError: there is no encoder where ``base`` points, or it cannot read ``max_tokens``.
    """
    base = load_base(recipe.base, offline)
    dropout = dict.fromkeys(
        ("attention_probs_dropout_prob", "attention_dropout"), recipe.model.attention_dropout
    )
    if recipe.model.hidden_dropout is not None:
        dropout |= dict.fromkeys(("hidden_dropout_prob", "dropout"), recipe.model.hidden_dropout)
    for name, share in dropout.items():
        if hasattr(base.config, name):
            setattr(base.config, name, share)
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
        InputError: no data, data without an auxiliary task of the recipe, no such base encoder, a run
            directory in use, nothing to resume, or a run to resume of another recipe or other sentences.
        MissingExtraError: matplotlib or, for low-rank changes, peft is not installed.
    """
    require("matplotlib", "train")
    if recipe.lora.rank:
        require("peft", "train")
    checkpoints = run_dir.absolute() / "checkpoints"
    args = _arguments(recipe.train, checkpoints)
    with args.main_process_first(local=False):
        if args.process_index == 0:
            begin_or_resume(recipe, run_dir, data_dir, overwrite, data, resume)
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
    tasks = recipe.auxiliary.tasks
    rows = read_auxiliary(run_dir / "splits", tasks)
    auxiliary = AuxiliarySet(rows, tasks, encoder, recipe.train.seed)
    with_losses = _losses(recipe, model, splits, auxiliary)
    fitted = with_losses()
    if recipe.auxiliary.before:
        # With an object of its own, for accelerate prepares none a second time.
        own = with_losses()
        _fit_before(recipe, run_dir / _BEFORE, own, auxiliary, encoder.pad_id, checkpoint_minutes)
    trainer = _trainer(recipe, args, fitted, encoder, splits, dev, auxiliary)
    times = run_dir / "time.json"
    before = seconds_before(run_dir / _BEFORE / times.name if checkpoint is None else times)
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
        put_in_place(model, tokenizer, run_dir / "model")
        keep_only(checkpoints, best)
        shutil.rmtree(run_dir / _BEFORE / "checkpoints", ignore_errors=True)
    return _best(history)


def _run(trainer: FitTrainer, checkpoint: Checkpoint | None) -> tuple[list[dict[str, Any]], Path]:
    """Take the steps that remain; gives all metrics, and the checkpoint of the best epoch."""
    if checkpoint is not None and checkpoint.is_last and checkpoint.best is not None:
        return list(metrics(checkpoint.state["log_history"])), checkpoint.best
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint.folder))
    return list(metrics(trainer.state.log_history)), Path(str(trainer.state.best_model_checkpoint))


def _arguments(recipe: TrainRecipe, checkpoints: Path, on_dev: bool = True) -> TrainingArguments:
    if on_dev:
        # The latest and the best; with a limit of 1 the Trainer would remove the latest in the end, and a fit
        # that is killed thereafter would have to repeat what came behind its best epoch.
        kept = {"save_total_limit": 2, "load_best_model_at_end": True, "metric_for_best_model": "macro_f1"}
    else:
        kept = {"save_total_limit": 1}
    return training_arguments(
        recipe,
        checkpoints,
        eval_strategy="epoch" if on_dev else "no",
        save_strategy="epoch",
        restore_callback_states_from_checkpoint=True,
        logging_steps=_LOGGING_STEPS,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        max_grad_norm=recipe.gradient_clip,
        train_sampling_strategy="random",  # the FitTrainer has its own
        **kept,
    )


def _losses(
    recipe: Recipe, model: FramingForSequenceClassification, splits: Splits, auxiliary: AuxiliarySet
) -> Callable[[], FitModel]:
    """Make ready what shall be fitted; gives what puts the losses on top of it."""
    train = recipe.train
    add_lora(model, recipe.lora)
    if train.freeze_embeddings:
        embeddings = getattr(model.encoder, "embeddings", None) or model.encoder.get_input_embeddings()
        embeddings.requires_grad_(requires_grad=False)
    weights = label_weights(splits.counts()["train"], train.balance)
    width = model.config.encoder.hidden_size
    tasks = TaskHeads(width, auxiliary.n_targets, recipe.auxiliary.weight) if auxiliary.n_targets else None
    return partial(FitModel, model, train, weights, tasks)


def _fit_before(
    recipe: Recipe,
    folder: Path,
    fitted: FitModel,
    auxiliary: AuxiliarySet,
    pad_id: int,
    checkpoint_minutes: float,
) -> None:
    """Fit on auxiliary sentences alone, in place; or read what came of that before the fit was killed."""
    train = recipe.train.model_copy(update={"epochs": recipe.auxiliary.before})
    checkpoints = folder.absolute() / "checkpoints"
    args = _arguments(train, checkpoints, on_dev=False)
    with args.main_process_first(local=False):
        checkpoint = last_checkpoint(checkpoints)
    if checkpoint is not None and checkpoint.is_last:
        load_model(fitted, checkpoint.folder / "model.safetensors")
        return
    n = len(auxiliary.features)
    lengths = [len(feature["pair"]) for feature in auxiliary.features]
    size = args.train_batch_size * train.gradient_accumulation
    sampler = EpochSampler(lengths, size, train.seed, partial(auxiliary.draw, n))
    trainer = FitTrainer(
        fitted,
        train,
        sampler,
        args=args,
        train_dataset=auxiliary.features,
        data_collator=TaskCollator(pad_id, len(auxiliary.n_targets)),
        callbacks=[Epochs([sampler])],
    )
    _show(trainer)
    folder.mkdir(exist_ok=True)
    times = folder / "time.json"
    seconds = 0.0 if checkpoint is None else seconds_before(times)
    trainer.add_callback(Checkpoints(checkpoint_minutes, times, seconds))
    trainer.add_callback(MetricsFile(folder / "metrics.jsonl"))
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint.folder))


def _trainer(
    recipe: Recipe,
    args: TrainingArguments,
    fitted: FitModel,
    encoder: PairEncoder,
    splits: Splits,
    dev: DevSet,
    auxiliary: AuxiliarySet,
) -> FitTrainer:
    train = recipe.train
    labelled = [row for row in splits.train if row["label"] is not None]
    lone, paired = (
        sentence_features(labelled, encoder, context, train.unsure_weight) for context in (False, True)
    )
    sentences: ContextDropout | SwappedSentences
    sentences = ContextDropout(paired, lone, train.context_dropout, train.seed)
    if train.swap_share:
        sentences = SwappedSentences(
            sentences, labelled, encoder, train.swap_share, train.seed, train.unsure_weight
        )
    size = args.train_batch_size * train.gradient_accumulation
    lengths = [len(feature["pair"]) for feature in (*paired, *auxiliary.features)]
    chosen = auxiliary.beside(len(paired), recipe.auxiliary.share)
    sampler = EpochSampler(lengths, size, train.seed, chosen)
    trainer = FitTrainer(
        fitted,
        train,
        sampler,
        args=args,
        train_dataset=ConcatDataset([sentences, auxiliary.features]),  # type: ignore[list-item]
        eval_dataset=dev.features,
        data_collator=TaskCollator(encoder.pad_id, len(auxiliary.n_targets)),
        compute_metrics=dev.metrics,
        callbacks=[EarlyStoppingCallback(train.patience), Epochs([sentences, sampler])],
    )
    _show(trainer)
    return trainer


def _show(trainer: FitTrainer) -> None:
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(Bar())


def _best(entries: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """The figures of the first of the epochs with the highest macro-F1 on dev."""
    epochs = [entry for entry in entries if "eval_macro_f1" in entry]
    best = max(epochs, key=lambda entry: entry["eval_macro_f1"])
    return {name: float(value) for name, value in best.items()}
