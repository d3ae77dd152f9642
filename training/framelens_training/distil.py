"""A student: few layers that learn from a teacher what it makes of many sentences, and then become int8.

It learns the teacher's probabilities of the labels (Hinton et al. 2015, "Distilling the Knowledge in a
Neural Network", sec. 2) and of the cues. Its word vectors are the teacher's. Then the ranges are measured
with which its products round (see `framelens_training.quantize`).

A run directory holds what `framelens_training.fit` writes, and ``quantization.json`` with the ranges and
``pool.json`` with the number of sentences.
"""

from __future__ import annotations

import copy
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Trainer, set_seed

from framelens.bundle import find_bundle
from framelens.encoding import PairEncoder
from framelens.errors import InputError
from framelens.hf import FramingForSequenceClassification
from framelens_training.features import Collator, sentence_features
from framelens_training.files import write_json, write_lines
from framelens_training.quantize import (
    ActivationRange,
    activation_ranges,
    dequantise_words,
    prepare,
    set_ranges,
)
from framelens_training.rundir import begin_run, sealed_fingerprints
from framelens_training.trainer import choose_attention, dev_metrics, training_arguments
from framelens_training.unlabelled import load_pool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from framelens.hf import FramingConfig
    from framelens_training.recipe import DistilRecipe, StudentRecipe

__all__ = ["POOL", "QUANTIZATION", "DistilModel", "distil", "read_ranges", "student_of"]

#: Where a run keeps the ranges, by the name of the product's weights.
QUANTIZATION = "quantization.json"
#: Where it says how many sentences the student learned from.
POOL = "pool.json"
#: Steps between two looks at dev, and between two checkpoints.
_SHOWN = 512
_UNLABELLED = dict.fromkeys(("label", "rule", "cue"))


def student_of(
    teacher: FramingForSequenceClassification, layers: Sequence[int]
) -> FramingForSequenceClassification:
    """A model with some of the teacher's layers, its heads and its word vectors, without dropout.

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
    """The student, with the loss against its teacher.

    Args:
        student: what is fitted.
        teacher: what it learns from; it is neither fitted nor saved.
        recipe: weights of the losses.
    """

    def __init__(
        self,
        student: FramingForSequenceClassification,
        teacher: FramingForSequenceClassification,
        recipe: StudentRecipe,
    ) -> None:
        super().__init__()
        self.student = student
        # In a list it is no module of this one, and no checkpoint holds it.
        self._teacher = [teacher.eval().requires_grad_(requires_grad=False)]
        self._recipe = recipe

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, **_: Tensor
    ) -> dict[str, Tensor]:
        """Loss and label logits of one batch; the shapes are the collator's, whose targets are not read."""
        told = self.student(input_ids, attention_mask, token_type_ids)
        with torch.no_grad():
            taught = self._teacher[0](input_ids, attention_mask, token_type_ids)
        tokens = attention_mask.bool()
        loss = _divergence(told.logits, taught.logits, self._recipe.temperature)
        cues = _divergence(told.cue_logits[tokens], taught.cue_logits[tokens], 1.0)
        return {"loss": loss + self._recipe.cue_weight * cues, "logits": told.logits}


def _divergence(told: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """Kullback-Leibler divergence, times the square of the temperature (Hinton et al. 2015, sec. 2)."""
    student = functional.log_softmax(told.float() / temperature, -1)
    teacher = functional.log_softmax(taught.float() / temperature, -1)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def distil(
    recipe: DistilRecipe, run_dir: Path, data_dir: Path | None = None, overwrite: bool = False
) -> dict[str, float]:
    """Fit a student; see the module's docstring for what it writes.

    Args:
        recipe: what to fit.
        run_dir: where to write; must not exist, unless ``overwrite``.
        data_dir: folder with annotated sentences and raw articles, else ``$FRAMELENS_DATA``.
        overwrite: remove an existing run first.

    Returns:
        Macro-F1 on dev, of the ``student`` in floating point and of the same in ``int8``; in bf16 where it
        learns in bf16. What ships is measured by `framelens_training.export.export`.

    Raises:
        InputError: no data, no such teacher or layers, or a run directory in use.
    """
    set_seed(recipe.student.seed)
    bundle = find_bundle(recipe.teacher)
    teacher = FramingForSequenceClassification.from_pretrained(bundle.folder, dtype=torch.float32)
    teacher.config.calibration_temperature = 1.0
    student = student_of(teacher, recipe.student.layers)
    splits, data_dir = begin_run(recipe, run_dir, data_dir, overwrite)
    texts = load_pool(data_dir, splits, recipe.data, recipe.pool, sealed_fingerprints(data_dir))
    judged = [text for text, label in zip(splits.train["text"], splits.train["label"], strict=True) if label]
    texts += judged
    write_json(run_dir / POOL, {"sentences": len(texts), "judged": len(judged)})
    encoder = PairEncoder(bundle.tokenizer(), recipe.student.max_tokens, reads_context=False)
    # Without targets: the teacher gives them.
    features = sentence_features([_UNLABELLED | {"text": text} for text in texts], encoder, context=False)
    collator = Collator(encoder.pad_id)

    # As they will ship; the student learns on top of that.
    dequantise_words(student)
    trainer = Trainer(
        model=DistilModel(student, teacher, recipe.student),
        args=training_arguments(
            recipe.student,
            run_dir / "checkpoints",
            eval_strategy="steps",
            eval_steps=_SHOWN,
            save_strategy="steps",
            save_steps=_SHOWN,
            logging_steps=64,
        ),
        train_dataset=features,
        eval_dataset=sentence_features(splits.dev, encoder, context=False),
        data_collator=collator,
        compute_metrics=dev_metrics,
    )
    trainer.train()
    figures = {"student": float(trainer.evaluate()["eval_macro_f1"])}
    prepare(student)
    measured_on = features[: recipe.quantize.sentences]
    ranges = activation_ranges(student, _batches(measured_on, collator, student.device), recipe.quantize.tail)
    set_ranges(student, ranges)
    figures["int8"] = float(trainer.evaluate()["eval_macro_f1"])
    _save(student, bundle.folder, run_dir)
    write_json(run_dir / QUANTIZATION, {name: asdict(found) for name, found in ranges.items()})
    write_lines(run_dir / "metrics.jsonl", [*trainer.state.log_history, figures])
    return figures


def read_ranges(run_dir: Path) -> dict[str, ActivationRange] | None:
    """The ranges of a student's run; None for a run that is none."""
    path = run_dir / QUANTIZATION
    if not path.is_file():
        return None
    content = json.loads(path.read_bytes())
    return {name: ActivationRange(**found) for name, found in content.items()}


def _batches(
    features: Sequence[dict[str, Any]], collator: Collator, device: torch.device, size: int = 64
) -> Iterator[dict[str, Tensor]]:
    for start in range(0, len(features), size):
        batch = collator(features[start : start + size])
        yield {name: batch[name].to(device) for name in ("input_ids", "attention_mask", "token_type_ids")}


def _save(student: FramingForSequenceClassification, teacher: Path, run_dir: Path) -> None:
    folder = run_dir / "model"
    student.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((teacher / name).read_bytes())
