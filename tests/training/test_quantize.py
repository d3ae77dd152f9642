"""Rounding to int8: bounded errors, fixed ranges, and the same numbers as the formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from framelens.errors import InputError
from framelens.hf import FramingConfig, FramingForSequenceClassification
from framelens_training.quantize import (
    ACTIVATION_LEVELS,
    WEIGHT_LEVELS,
    ActivationRange,
    QuantLinear,
    activation_ranges,
    dequantise_words,
    prepare,
    quantise_rows,
    quantised_weights,
    set_ranges,
)

TINY = {
    "model_type": "bert", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 32,
}  # fmt: skip
matrices = arrays(np.float32, (3, 5), elements=st.floats(-100, 100, width=32))


@pytest.fixture
def model() -> FramingForSequenceClassification:
    torch.manual_seed(0)
    return FramingForSequenceClassification(FramingConfig(encoder=TINY, pooling="cls")).eval()


def batch(n_tokens: int, padding: int) -> dict[str, torch.Tensor]:
    ids = torch.arange(2 * n_tokens).reshape(2, n_tokens) % 40
    mask = torch.ones_like(ids)
    mask[1, n_tokens - padding :] = 0
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}


@given(matrices, st.sampled_from([WEIGHT_LEVELS, 127]))
def test_a_rounded_matrix_is_off_by_half_a_step_at_most(weight: np.ndarray, levels: int) -> None:
    whole, steps = quantise_rows(torch.from_numpy(weight), levels)
    assert whole.dtype is torch.int8
    assert int(whole.abs().max()) <= levels
    error = (whole.float() * steps[:, None] - torch.from_numpy(weight)).abs()
    assert bool((error <= steps[:, None] * 0.5001).all())


def test_rounding_twice_changes_nothing() -> None:
    weight = torch.tensor([[0.3, -1.7, 0.0], [0.0, 0.0, 0.0]])
    whole, steps = quantise_rows(weight, 127)
    again, same = quantise_rows(whole.float() * steps[:, None], 127)
    assert torch.equal(whole, again)
    torch.testing.assert_close(steps, same)


def test_a_layer_computes_with_bytes() -> None:
    torch.manual_seed(1)
    layer = torch.nn.Linear(6, 4)
    entered = torch.randn(3, 6)
    plain = layer(entered)
    layer.__class__ = QuantLinear
    assert torch.equal(layer(entered), plain)
    layer.range = found = ActivationRange(scale=0.02, zero_point=100)  # type: ignore[assignment]
    # In whole numbers, by hand.
    read = torch.clamp((entered / found.scale).round() + found.zero_point, 0, ACTIVATION_LEVELS)
    whole, steps = quantise_rows(layer.weight.detach(), WEIGHT_LEVELS)
    sums = (read - found.zero_point).to(torch.int64) @ whole.to(torch.int64).T
    torch.testing.assert_close(
        layer(entered), sums * (steps * found.scale) + layer.bias, atol=1e-5, rtol=1e-5
    )


def test_no_sum_of_two_products_overflows_sixteen_bits() -> None:
    # What processors without VNNI add up: two products of an unsigned and a signed byte.
    assert np.iinfo(np.int16).max >= 2 * ACTIVATION_LEVELS * WEIGHT_LEVELS


def test_a_range_holds_what_enters_and_no_padding(model: FramingForSequenceClassification) -> None:
    prepare(model)
    narrow = activation_ranges(model, [batch(6, 0)], tails=[0.0])
    assert len(narrow) == 2 * 6
    queries, keys = (narrow[f"encoder.encoder.layer.0.attention.self.{n}.weight"] for n in ("query", "key"))
    assert queries == keys
    seen: list[torch.Tensor] = []
    layer = model.encoder.encoder.layer[0].attention.self.query
    hook = layer.register_forward_pre_hook(lambda _, entered: seen.append(entered[0].detach()))
    model(**batch(6, 0))
    hook.remove()
    low, high = ((byte - queries.zero_point) * queries.scale for byte in (0, ACTIVATION_LEVELS))
    assert low - queries.scale <= float(seen[0].min()) < 0 < float(seen[0].max()) <= high + queries.scale
    # A word that only the padding holds moves no range.
    with torch.no_grad():
        model.get_parameter("encoder.embeddings.word_embeddings.weight")[17] = 50.0
    padded = batch(9, 1)
    assert int(padded["input_ids"][1, -1]) == 17
    without = padded | {"input_ids": padded["input_ids"].clone()}
    without["input_ids"][1, -1] = 0
    name = "encoder.encoder.layer.0.output.dense.weight"
    assert activation_ranges(model, [padded], [0.0])[name] == activation_ranges(model, [without], [0.0])[name]


def test_smoothing_saves_the_small_dimensions_beside_a_large_one(
    model: FramingForSequenceClassification,
) -> None:
    # A dimension of what the products read is two hundred times as large as the others; what is made of it
    # is as small as before.
    large = 200.0
    with torch.no_grad():
        for layer in model.encoder.encoder.layer:
            layer.attention.output.LayerNorm.weight[3] *= large
            layer.intermediate.dense.weight[:, 3] /= large
    plain = model(**batch(6, 0)).logits.detach()
    prepare(model)

    def error(smoothing: float) -> float:
        set_ranges(model, activation_ranges(model, [batch(6, 0)], [0.0], [smoothing]))
        found = model(**batch(6, 0)).logits.detach()
        set_ranges(model, dict.fromkeys(activation_ranges(model, [batch(6, 0)], [0.0])))
        return float((found - plain).abs().max())

    assert error(0.8) < error(0.0) / 3


def test_products_that_read_the_same_share_its_factors(model: FramingForSequenceClassification) -> None:
    prepare(model)
    ranges = activation_ranges(model, [batch(6, 0), batch(9, 2)], [0.0], [0.8])
    own = "encoder.encoder.layer.1.attention.self"
    assert len({ranges[f"{own}.{name}.weight"] for name in ("query", "key", "value")}) == 1
    assert len({found.columns for found in ranges.values()}) == 2 * 4
    assert all(min(found.columns) > 0 for found in ranges.values())
    set_ranges(model, ranges)
    stored = quantised_weights(model)
    for name, found in ranges.items():
        whole, steps = stored[name].float(), stored[f"{name}.scale"]
        again = whole * steps[:, None] * stored[f"{name}.columns"]
        error = (again - model.get_parameter(name)).abs()
        assert bool((error <= 0.5001 * steps[:, None] * torch.tensor(found.columns)).all())


def test_ranges_need_sentences(model: FramingForSequenceClassification) -> None:
    with pytest.raises(InputError, match="at least one batch"):
        activation_ranges(model, [], [0.0])


def test_what_ships_is_int8_where_it_is_large(model: FramingForSequenceClassification) -> None:
    dequantise_words(model)
    before = model(**batch(6, 0)).logits
    prepare(model)
    set_ranges(model, activation_ranges(model, [batch(6, 0)], [0.0]))
    stored = quantised_weights(model)
    whole = {name for name, values in stored.items() if values.dtype is torch.int8}
    assert whole == {name.removesuffix(".scale") for name in stored if name.endswith(".scale")}
    assert len(whole) == 1 + 2 * 6
    assert "classifier.weight" not in whole
    assert 0 < float((model(**batch(6, 0)).logits - before).detach().abs().max()) < 0.05
