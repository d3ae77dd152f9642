"""Domain-adaptive pre-training: an encoder goes on learning to fill in masked words, on raw news articles.

After Gururangan et al. (2020, "Don't Stop Pretraining: Adapt Language Models to Domains and Tasks", sec. 3).
What the encoder reads is told in `framelens_training.corpus`, how it is masked in
`framelens_training.masking`.

A run directory holds

* ``recipe.json``, ``splits/`` and ``environment.json``: what it was made of; ``splits/`` are the sentences
  that a fit on top of it is to have, for nothing of their dev and test was read;
* ``corpus.json``: the files of articles, how much of them was read, and what was left out and why; no text;
* ``metrics.jsonl``: loss and rate every few steps; the perplexity on held-out articles before the first step,
  as step 0, and behind every epoch; ``time.json``;
* ``checkpoints/``, with TensorBoard's logs in ``checkpoints/runs/``;
* ``model/``: the encoder with its head for masked words and its tokeniser, put in place last.
"""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.torch import load_model
from transformers import ProgressCallback, set_seed

from framelens.errors import InputError
from framelens_training.base import token_limit
from framelens_training.build import read_build
from framelens_training.callbacks import Bar, Checkpoints, Epochs, MetricsFile, metrics
from framelens_training.corpus import find_articles, read_corpus
from framelens_training.files import write_json, write_lines
from framelens_training.gather import data_folder
from framelens_training.masked_trainer import MaskedTrainer, begin_with_frequencies, masked_model
from framelens_training.masking import BlockMaker, MaskCollator, MaskedBlocks
from framelens_training.resume import (
    begin_or_resume,
    check_same,
    differences,
    is_finished,
    last_checkpoint,
    seconds_before,
)
from framelens_training.rundir import put_in_place
from framelens_training.trainer import EpochSampler, training_arguments
from framelens_training.unlabelled import closed_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from transformers import (
        EvalPrediction,
        PreTrainedModel,
        TrainerControl,
        TrainerState,
        TrainingArguments,
    )

    from framelens_training.masking import Blocks
    from framelens_training.recipe import MaskedTrainRecipe, PretrainRecipe
    from framelens_training.resume import Checkpoint

__all__ = ["CHECKPOINT_MINUTES", "CORPUS", "pretrain"]

#: Where a run says what was read.
CORPUS = "corpus.json"
#: Between two checkpoints, unless another time is asked for.
CHECKPOINT_MINUTES = 5.0
_LOGGING_STEPS = 10


def pretrain(
    recipe: PretrainRecipe,
    run_dir: Path,
    articles: Sequence[Path] = (),
    data_dir: Path | None = None,
    overwrite: bool = False,
    data: Path | None = None,
    *,
    resume: bool = False,
    offline: bool = False,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, float]:
    """Pre-train an encoder; see the module's docstring for what it writes.

    A run that was killed and resumed gives, on the same CPU with the same packages and threads, the same
    weights bit for bit as one that was not. Under ``accelerate launch`` each process calls this; only the
    first one writes.

    Args:
        recipe: what to pre-train, and on how much.
        run_dir: where to write; must not exist, unless ``overwrite`` or ``resume``.
        articles: files of raw articles, JSON lines with ``text`` and if known ``article`` and ``outlet``, or
            folders of them; else those in ``raw/`` of the folder of data.
        data_dir: folder of data, else ``$FRAMELENS_DATA``; its evaluation sets are kept out.
        overwrite: remove an existing run first.
        data: folder of the data set whose dev and test are kept out; else one is built from the recipe's
            sources.
        resume: go on with a run that was killed; a finished one is left as it is.
        offline: take nothing from the network.
        checkpoint_minutes: between two checkpoints, at least 0; so much is lost at most when a run is killed.
        say: is told what is being done, a line at a time.

    Returns:
        Perplexity on the held-out articles: ``before`` and ``after``.

    Raises:
        InputError: no articles, no data, no such base encoder or none that can fill in masked words, a run
            directory in use, nothing to resume, or a run to resume of something else.
    """
    if resume and not overwrite and is_finished(run_dir):
        check_same(recipe, run_dir, data)
        lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return _perplexities(map(json.loads, lines))
    # What may be refused is refused before anything is written.
    folder = data_folder(data_dir, ())
    paths = find_articles(articles, folder)
    checkpoints = run_dir.absolute() / "checkpoints"
    args = _arguments(recipe.train, checkpoints)
    set_seed(recipe.train.seed)
    model, tokenizer, is_new = masked_model(recipe.base, offline)
    maker = BlockMaker(tokenizer, _checked_length(recipe, model))
    with args.main_process_first(local=False):
        if args.process_index == 0:
            begin_or_resume(recipe, run_dir, data_dir, overwrite, data, resume)
        splits = read_build(run_dir / "splits", recipe.data)
        checkpoint = last_checkpoint(checkpoints)
    if args.process_index:
        say = _nothing
    say(f"{recipe.base}: {'a new head for masked words' if is_new else 'its own head for masked words'}")
    corpus = read_corpus(paths, closed_to(splits, recipe.data, folder), recipe.corpus, say)
    train, held_out = maker.blocks(corpus.train), maker.blocks(corpus.held_out)
    counts = {
        "blocks": {"train": len(train), "held_out": len(held_out)},
        "tokens": {"train": len(train.ids), "held_out": len(held_out.ids)},
        "new_head": is_new,
    }
    _write_once(run_dir / CORPUS, corpus.record | counts, write=args.process_index == 0)
    say(f"{len(train):,} blocks to learn from, {len(held_out):,} to measure on")
    if is_new:
        begin_with_frequencies(model, train.ids)
    trainer = _trainer(recipe.train, args, model, tokenizer, train, held_out)
    history = _learn(trainer, model, checkpoint, run_dir, checkpoint_minutes)
    if trainer.is_world_process_zero():
        write_lines(run_dir / "metrics.jsonl", history)
        put_in_place(model, tokenizer, run_dir / "model")
    return _perplexities(history)


def _learn(
    trainer: MaskedTrainer,
    model: PreTrainedModel,
    checkpoint: Checkpoint | None,
    run_dir: Path,
    checkpoint_minutes: float,
) -> list[dict[str, Any]]:
    """Take the steps that remain; gives all metrics."""
    if checkpoint is not None and checkpoint.is_last:
        load_model(model, checkpoint.folder / "model.safetensors")
        return list(metrics(checkpoint.state["log_history"]))
    times = run_dir / "time.json"
    before = 0.0 if checkpoint is None else seconds_before(times)
    trainer.add_callback(Checkpoints(checkpoint_minutes, times, before))
    trainer.add_callback(MetricsFile(run_dir / "metrics.jsonl"))
    trainer.args.eval_on_start = checkpoint is None
    trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint.folder))
    return list(metrics(trainer.state.log_history))


class _PerplexityBar(Bar):
    """The bar of a fit, with a line on what the held-out articles gave."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **more: Any,
    ) -> None:
        """Show what was logged."""
        super().on_log(args, state, control, logs, **more)
        if self.training_bar is not None and logs is not None and "eval_perplexity" in logs:
            line = f"epoch {state.epoch:.0f}: perplexity on held-out articles {logs['eval_perplexity']:.2f}"
            self.training_bar.write(line, file=sys.stderr)


def _nothing(_: str) -> None:
    """Say nothing."""


def _arguments(recipe: MaskedTrainRecipe, checkpoints: Path) -> TrainingArguments:
    args = training_arguments(
        recipe,
        checkpoints,
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_steps=_LOGGING_STEPS,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        max_grad_norm=recipe.gradient_clip,
        train_sampling_strategy="random",  # the MaskedTrainer has its own
    )
    if args.n_gpu > 1:
        raise InputError(
            f"expected one GPU for each process, got {args.n_gpu} for one; start it with "
            "`accelerate launch -m framelens_training.cli pretrain`, or set CUDA_VISIBLE_DEVICES=0"
        )
    return args


def _checked_length(recipe: PretrainRecipe, model: PreTrainedModel) -> int:
    limit, wanted = token_limit(model.base_model), recipe.corpus.max_tokens
    if limit is not None and wanted > limit:
        raise InputError(
            f"{recipe.base!r} reads at most {limit} tokens, and corpus.max_tokens is {wanted}; set it to "
            f"{limit} or fewer"
        )
    return wanted


def _write_once(path: Path, record: Mapping[str, Any], *, write: bool) -> None:
    """Write what was read; of a run that is resumed, see that it is the same."""
    if path.is_file():
        was = json.loads(path.read_bytes())
        for field, before, now in differences(was, json.loads(json.dumps(record))):
            raise InputError(
                f"{path.parent} was begun with other articles or evaluation sets: {field} in {path.name} is "
                f"{str(before)[:60]}, now {str(now)[:60]}; give those that it was begun with, or begin "
                "another run"
            )
    elif write:
        new = path.with_name(f"{path.name}.new")
        write_json(new, record)
        new.rename(path)


def _trainer(
    recipe: MaskedTrainRecipe,
    args: TrainingArguments,
    model: PreTrainedModel,
    tokenizer: Any,
    train: Blocks,
    held_out: Blocks,
) -> MaskedTrainer:
    masked, measured = (
        MaskedBlocks(blocks, tokenizer, recipe.mask_share, recipe.whole_words, recipe.seed)
        for blocks in (train, held_out)
    )
    size = args.train_batch_size * recipe.gradient_accumulation
    sampler = EpochSampler(train.lengths, size, recipe.seed)
    trainer = MaskedTrainer(
        sampler,
        model=model,
        args=args,
        train_dataset=masked,
        eval_dataset=measured,
        data_collator=MaskCollator(tokenizer.pad_token_id or 0),
        compute_metrics=_figures,
        callbacks=[Epochs([masked, sampler])],
    )
    if trainer.pop_callback(ProgressCallback) is not None:
        trainer.add_callback(_PerplexityBar())
    return trainer


def _figures(prediction: EvalPrediction) -> dict[str, float]:
    """Mean loss of the tokens to fill in, and its exponential."""
    total, n = np.asarray(prediction.predictions, np.float64).sum(0)
    return {"loss": float(total / n), "perplexity": math.exp(total / n)}


def _perplexities(entries: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    found = [entry["eval_perplexity"] for entry in entries if "eval_perplexity" in entry]
    return {"before": found[0], "after": found[-1]}
