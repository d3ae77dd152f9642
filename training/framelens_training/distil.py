"""A student: a small encoder that learns what larger ones make of many sentences.

It learns its teachers' probabilities of the labels (Hinton et al. 2015, "Distilling the Knowledge in a
Neural Network", sec. 2) and of the cues; of judged sentences also what the judges said. It begins as
another encoder, or with some layers of its teacher or of another fitted model. Where the recipe says so, the
ranges are measured afterwards with which its products round to int8 (see `framelens_training.quantize`), and
it goes on learning for some steps with the rounding in place.

A run directory holds what `framelens_training.fit` writes, and ``pool.json`` with the number of sentences,
``taught/`` with what the teachers said and, for int8, ``quantization.json`` with the ranges.
"""

from __future__ import annotations

import copy
import json
import random
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import Trainer, set_seed

from framelens.encoding import PairEncoder
from framelens.errors import InputError
from framelens.hf import FramingForSequenceClassification
from framelens.labels import LABELS
from framelens_training.data import find_data_dir
from framelens_training.features import Collator, sentence_features
from framelens_training.files import write_json, write_lines
from framelens_training.fit import fresh_model
from framelens_training.quantize import (
    ActivationRange,
    activation_ranges,
    dequantise_words,
    prepare,
    set_ranges,
)
from framelens_training.recipe import Recipe
from framelens_training.rundir import begin_run
from framelens_training.teaching import Taught, Teacher, teach
from framelens_training.trainer import choose_attention, dev_metrics, training_arguments
from framelens_training.unlabelled import load_pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from framelens.hf import FramingConfig
    from framelens_training.data import Splits
    from framelens_training.recipe import DistilRecipe, StudentRecipe

__all__ = [
    "POOL",
    "QUANTIZATION",
    "DistilModel",
    "TaughtCollator",
    "distil",
    "read_ranges",
    "student_of",
    "taught_features",
]

#: Where a run keeps the ranges, by the name of the product's weights.
QUANTIZATION = "quantization.json"
#: Where it says how many sentences the student learned from.
POOL = "pool.json"
#: Where it keeps what the teachers said.
_TAUGHT = "taught"
#: Steps between two looks at dev, and between two checkpoints.
_SHOWN = 512
#: What a probability is taken for at least, before its logarithm.
_LEAST = 1e-6
_UNLABELLED = dict.fromkeys(("label", "rule", "cue"))


def student_of(
    teacher: FramingForSequenceClassification, layers: Sequence[int]
) -> FramingForSequenceClassification:
    """A model with some layers of a fitted one, its heads and its word vectors, without dropout.

    Raises:
        InputError: the teacher has no such layer.
    """
    depth = teacher.config.encoder.num_hidden_layers
    if not all(0 <= layer < depth for layer in layers):
        raise InputError(f"expected layers from 0 to {depth - 1}, got {', '.join(map(str, layers))}")
    config: FramingConfig = copy.deepcopy(teacher.config)  # type: ignore[assignment]
    config.encoder.num_hidden_layers = len(layers)
    config.encoder.hidden_dropout_prob = config.encoder.attention_probs_dropout_prob = config.dropout = 0.0
    config.calibration_temperature = 1.0
    student = FramingForSequenceClassification(config)
    choose_attention(student)
    weights = teacher.state_dict()
    for place, layer in enumerate(layers):
        old, new = f"encoder.encoder.layer.{layer}.", f"encoder.encoder.layer.{place}."
        taken = [name for name in teacher.state_dict() if name.startswith(old)]
        weights |= {new + name.removeprefix(old): teacher.get_parameter(name) for name in taken}
    student.load_state_dict({name: weights[name] for name in student.state_dict()})
    student.encoder.embeddings.requires_grad_(requires_grad=False)
    return student


class DistilModel(nn.Module):
    """The student, with the loss against what its teachers said.

    Args:
        student: what is fitted.
        recipe: weights of the losses.
    """

    def __init__(self, student: FramingForSequenceClassification, recipe: StudentRecipe) -> None:
        super().__init__()
        self.student = student
        self._recipe = recipe

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        taught: Tensor | None = None,
        taught_cues: Tensor | None = None,
        **_: Tensor,
    ) -> dict[str, Tensor]:
        """Loss and label logits of one batch, of shapes as `TaughtCollator` gives them; no loss untaught."""
        told = self.student(input_ids, attention_mask, token_type_ids)
        if taught is None or taught_cues is None:
            return {"loss": told.logits.sum() * 0.0, "logits": told.logits}
        tokens = taught_cues.sum(-1) > 0
        loss = _divergence(told.logits, taught, self._recipe.temperature)
        cues = _divergence(told.cue_logits[tokens], taught_cues[tokens], 1.0)
        return {"loss": loss + self._recipe.cue_weight * cues, "logits": told.logits}


def _divergence(told: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence from probabilities, softened, times the square of the temperature
    (Hinton et al. 2015, sec. 2)."""
    student = functional.log_softmax(told.float() / temperature, -1)
    teacher = functional.log_softmax(taught.clamp(min=_LEAST).log() / temperature, -1)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


class TaughtCollator:
    """Pads features and what the teachers said of them into one batch of tensors.

    Args:
        pad_id: id of the padding token.
    """

    def __init__(self, pad_id: int) -> None:
        self._collator = Collator(pad_id)

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """The collator's tensors, with ``taught`` (n_sentences, n_labels) and ``taught_cues``
        (n_sentences, n_tokens, n_cues + 1), whose rows are 0 where a token is none of the sentence's."""
        tensors = self._collator(features)
        if "taught" in features[0]:
            width = features[0]["taught_cues"].shape[-1]
            cues = torch.zeros(*tensors["input_ids"].shape, width)
            for row, feature in enumerate(features):
                positions = [position for position, _, _ in feature["pair"].tokens]
                cues[row, positions] = torch.from_numpy(feature["taught_cues"])
            tensors["taught"] = torch.from_numpy(np.stack([feature["taught"] for feature in features]))
            tensors["taught_cues"] = cues
        return tensors


def taught_features(
    texts: Sequence[str],
    labels: Sequence[str | None],
    encoder: PairEncoder,
    taught: Taught,
    label_weight: float,
) -> list[dict[str, Any]]:
    """What the student reads.

    Args:
        texts: the sentences.
        labels: what judges said of each, None where nobody did.
        encoder: the student's.
        taught: what the teachers make of them.
        label_weight: how much a judge's label counts beside the teachers' opinion, in [0, 1].
    """
    # Without targets of their own: the teachers give them.
    features = sentence_features([_UNLABELLED | {"text": text} for text in texts], encoder, context=False)
    for feature, label, probabilities, cues in zip(features, labels, taught.labels, taught.cues, strict=True):
        if label is not None:
            judged = np.eye(len(LABELS), dtype=np.float32)[LABELS.index(label)]
            probabilities = label_weight * judged + (1 - label_weight) * probabilities
        feature["taught"] = probabilities
        feature["taught_cues"] = cues
    return features


def distil(
    recipe: DistilRecipe,
    run_dir: Path,
    data_dir: Path | None = None,
    overwrite: bool = False,
    data: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, float]:
    """Fit a student; see the module's docstring for what it writes.

    Args:
        recipe: what to fit.
        run_dir: where to write; must not exist, unless ``overwrite``.
        data_dir: folder with annotated sentences and raw articles, else ``$FRAMELENS_DATA``; not needed where
            the recipe takes no sentences from articles and ``data`` is given.
        overwrite: remove an existing run first, but for what teachers have said of the same sentences.
        data: folder of a data set that was built before, in place of the recipe's sources.
        progress: told the steps.

    Returns:
        Macro-F1 on dev, of the ``student`` in floating point and, where the recipe quantises, of the same in
        ``int8``; in bf16 where it learns in bf16. What ships is measured by
        `framelens_training.export.export`.

    Raises:
        InputError: no data, no such teacher or layers, or a run directory in use.
    """
    set_seed(recipe.student.seed)
    teachers = [Teacher(name) for name in recipe.teachers]
    student, tokenizer = _fresh_student(recipe, teachers[0])
    data_dir = find_data_dir(data_dir) if recipe.pool.sentences_of_file or data is None else None
    with _kept(run_dir / _TAUGHT):
        splits, _ = begin_run(recipe, run_dir, data_dir, overwrite, data)
    tokenizer(run_dir / "model")
    encoder = PairEncoder(
        Tokenizer.from_file(str(run_dir / "model" / "tokenizer.json")),
        recipe.student.max_tokens,
        reads_context=False,
    )
    texts, labels = _sentences(recipe, splits, data_dir)
    judged = sum(label is not None for label in labels)
    write_json(run_dir / POOL, {"sentences": len(texts), "judged": judged})
    taught = teach(
        teachers,
        texts,
        encoder.encode([(text, None) for text in texts]),
        run_dir / _TAUGHT,
        lambda done: progress(f"the teachers have read {done:,} of {len(texts):,} sentences"),
    )
    features = taught_features(texts, labels, encoder, taught, recipe.student.label_weight)
    features += features[len(features) - judged :] * (recipe.student.judged_repeats - 1)
    if recipe.quantize is not None:
        # As they will ship; the student learns on top of that.
        dequantise_words(student)
    dev = sentence_features(splits.dev, encoder, context=False)
    learning = partial(_trainer, student, recipe.student, dev=dev, pad_id=encoder.pad_id)
    trainer = learning(features, run_dir / "checkpoints", eval_steps=_SHOWN, save_steps=_SHOWN)
    trainer.train()
    figures = {"student": float(trainer.evaluate()["eval_macro_f1"])}
    history = trainer.state.log_history
    if recipe.quantize is not None:
        prepare(student)
        n = min(recipe.quantize.sentences, len(features))
        seen = random.Random(recipe.student.seed).sample(features, n)
        batches = _batches(seen, Collator(encoder.pad_id), student.device)
        ranges = activation_ranges(student, batches, recipe.quantize.tails, recipe.quantize.smoothings)
        set_ranges(student, ranges)
        write_json(run_dir / QUANTIZATION, {name: asdict(found) for name, found in ranges.items()})
        if steps := recipe.quantize.steps:
            progress(f"learning {steps:,} more steps, rounded as it will ship …")
            # Its own folder: its checkpoints would else pass for later ones of the first part.
            trainer = learning(
                features,
                run_dir / "checkpoints" / "rounded",
                max_steps=steps,
                learning_rate=recipe.quantize.learning_rate,
                eval_steps=steps,
                save_steps=steps,
            )
            trainer.train()
            history = [*history, *trainer.state.log_history]
        figures["int8"] = float(trainer.evaluate()["eval_macro_f1"])
    student.save_pretrained(run_dir / "model")
    write_lines(run_dir / "metrics.jsonl", [*history, figures])
    return figures


def _trainer(
    student: FramingForSequenceClassification,
    recipe: StudentRecipe,
    features: Sequence[dict[str, Any]],
    folder: Path,
    *,
    dev: Any,
    pad_id: int,
    **settings: Any,
) -> Trainer:
    arguments = {"eval_strategy": "steps", "save_strategy": "steps", "logging_steps": 64} | settings
    return Trainer(
        model=DistilModel(student, recipe),
        args=training_arguments(recipe, folder, **arguments),
        train_dataset=features,
        eval_dataset=dev,
        data_collator=TaughtCollator(pad_id),
        compute_metrics=dev_metrics,
    )


@contextmanager
def _kept(taught: Path) -> Iterator[None]:
    """Keep a folder of a run, of which each file says what it is of, while the run is begun again."""
    aside = taught.parent.with_name(f".{taught.parent.name}.{taught.name}")
    if taught.is_dir() and not aside.exists():
        taught.rename(aside)
    try:
        yield
    finally:
        if aside.is_dir() and taught.parent.is_dir() and not taught.exists():
            aside.rename(taught)


def _fresh_student(
    recipe: DistilRecipe, teacher: Teacher
) -> tuple[FramingForSequenceClassification, Callable[[Path], None]]:
    """The student before it learns, and what writes its tokeniser into a folder."""
    settings = recipe.student
    if settings.base is None:
        source = teacher if settings.layers_of is None else Teacher(settings.layers_of)
        student = student_of(source.model, settings.layers)
        return student, partial(_copy_tokenizer, source.folder)
    base = Recipe(name=recipe.name, base=settings.base, data=recipe.data, model=settings.model)
    student, tokenizer = fresh_model(base)
    student.encoder.embeddings.requires_grad_(requires_grad=False)
    return student, tokenizer.save_pretrained


def _copy_tokenizer(source: Path, folder: Path) -> None:
    folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((source / name).read_bytes())


def _sentences(
    recipe: DistilRecipe, splits: Splits, data_dir: Path | None
) -> tuple[list[str], list[str | None]]:
    """The pool's sentences and the judged ones, with the judges' labels."""
    texts = []
    if recipe.pool.sentences_of_file and data_dir is not None:
        texts = load_pool(data_dir, splits, recipe.data, recipe.pool)
    labels: list[str | None] = [None] * len(texts)
    for text, label in zip(splits.train["text"], splits.train["label"], strict=True):
        if label is not None:
            texts.append(text)
            labels.append(label)
    return texts, labels


def read_ranges(run_dir: Path) -> dict[str, ActivationRange] | None:
    """The ranges of a student's run; None for a run that is none."""
    path = run_dir / QUANTIZATION
    if not path.is_file():
        return None
    content = json.loads(path.read_bytes())
    return {
        name: ActivationRange(found["scale"], found["zero_point"], tuple(found["columns"]))
        for name, found in content.items()
    }


def _batches(
    features: Sequence[dict[str, Any]], collator: Collator, device: torch.device, size: int = 64
) -> Iterator[dict[str, Tensor]]:
    for start in range(0, len(features), size):
        batch = collator(features[start : start + size])
        yield {name: batch[name].to(device) for name in ("input_ids", "attention_mask", "token_type_ids")}
