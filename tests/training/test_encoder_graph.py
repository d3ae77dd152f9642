"""The graphs that are written by hand, beside the same models in torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from transformers import AutoConfig

from framelens.backend import ONNX_OUTPUTS
from framelens.bundle import SCALE_SUFFIX
from framelens.hf import FramingConfig, FramingForSequenceClassification
from framelens_training.encoder_graph import encoder_graph, has_encoder_graph
from framelens_training.quantize import (
    activation_ranges,
    dequantise_words,
    prepare,
    quantised_weights,
    set_ranges,
)

LONGEST = 180  # further apart than MPNet tells distances
ENCODER: dict[str, Any] = {
    "vocab_size": 90, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": LONGEST + 2, "initializer_range": 0.4,
}  # fmt: skip
MODELS = [(kind, pooling) for kind in ("bert", "mpnet") for pooling in ("cls", "mean")]


def model_of(kind: str, pooling: Any, **encoder: Any) -> FramingForSequenceClassification:
    torch.manual_seed(3)
    config = FramingConfig(
        encoder=AutoConfig.for_model(kind, **(ENCODER | encoder)),
        pooling=pooling,
        max_tokens=LONGEST,
        calibration_temperature=1.7,
    )
    return FramingForSequenceClassification(config).eval()


def batch_of(lengths: list[int], own: float = 1.0) -> dict[str, torch.Tensor]:
    """Sentences of these lengths; of each the first ``own`` is the sentence and the rest its context."""
    torch.manual_seed(7)
    longest = max(lengths)
    places = torch.arange(longest)[None]
    mask = (places < torch.tensor(lengths)[:, None]).long()
    types = (places >= (torch.tensor(lengths) * own).ceil()[:, None]).long() * mask
    ids = torch.where(mask == 1, torch.randint(5, 90, (len(lengths), longest)), 1)
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def run_graph(graph: bytes, weights: dict[str, np.ndarray], batch: dict[str, torch.Tensor]) -> list[Any]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    named = {name: array for name, array in weights.items() if name.encode() in graph}
    values = [ort.OrtValue.ortvalue_from_numpy(array) for array in named.values()]
    options.add_external_initializers(list(named), values)
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session.run(ONNX_OUTPUTS, {name: tensor.numpy() for name, tensor in batch.items()})


@pytest.mark.parametrize(("kind", "pooling"), MODELS)
@pytest.mark.parametrize("own", [1.0, 0.6])
@pytest.mark.parametrize("lengths", [[1, 2, 9], [LONGEST, 40, 3], [7]])
def test_it_computes_what_torch_does(kind: str, pooling: str, own: float, lengths: list[int]) -> None:
    model, batch = model_of(kind, pooling), batch_of(lengths, own)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    logits, cues = run_graph(encoder_graph(model.config, weights), weights, batch)
    with torch.inference_mode():
        wanted = model(**batch)
    np.testing.assert_allclose(logits, wanted.logits.numpy(), atol=1e-4)
    for row, length in enumerate(lengths):
        np.testing.assert_allclose(cues[row, :length], wanted.cue_logits[row, :length].numpy(), atol=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.8])
@pytest.mark.parametrize(("kind", "pooling"), MODELS)
def test_in_int8_it_rounds_as_torch_does(kind: str, pooling: str, smoothing: float) -> None:
    model, batch = model_of(kind, pooling), batch_of([24, 24, 24], own=0.7)
    dequantise_words(model)
    prepare(model)
    ranges = activation_ranges(model, [batch_of([50, 31, 8])], tails=[0.0], smoothings=[smoothing])
    set_ranges(model, ranges)
    stored = {name: value.numpy() for name, value in quantised_weights(model).items()}
    products = [name for name in stored if name.endswith(f"weight{SCALE_SUFFIX}") and ".layer." in name]
    assert len(products) == 6 * ENCODER["num_hidden_layers"]
    logits, cues = run_graph(encoder_graph(model.config, stored, ranges), stored, batch)
    with torch.inference_mode():
        wanted = model(**batch)
        set_ranges(model, dict.fromkeys(ranges))
        plain = model(**batch)
    apart = np.abs(logits - wanted.logits.numpy()).max()
    assert apart < 0.02
    # It does round: what it gives is nearer to the rounded model than that is to the plain one.
    assert apart < float((plain.logits - wanted.logits).abs().max())
    np.testing.assert_allclose(cues, wanted.cue_logits.numpy(), atol=0.2)
    # The same bytes in floating point are the rounded weights, which differ little from the fitted ones.
    logits, _ = run_graph(encoder_graph(model.config, stored), stored, batch)
    assert np.abs(logits - plain.logits.numpy()).max() < 0.1


def test_other_encoders_are_left_to_the_tracer() -> None:
    assert all(has_encoder_graph(model_of(kind, pooling).config) for kind, pooling in MODELS)
    assert not has_encoder_graph(model_of("bert", "attention").config)
    assert not has_encoder_graph(model_of("electra", "cls").config)
    assert not has_encoder_graph(model_of("bert", "cls", hidden_act="relu").config)
