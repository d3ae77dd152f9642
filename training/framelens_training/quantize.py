"""Int8 with fixed scales: how the matrix products of a fitted model are rounded, in torch.

Weights are quantised row by row and symmetrically, what enters a product as a whole and asymmetrically,
with a range that is measured once (Jacob et al. 2018, "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", sec. 2). Weights take 7 bits and not 8: processors without
VNNI add two products of 8 bits into 16, which would overflow, and their labels would differ from those of
other machines.

Wide encoders have a few dimensions whose values are tens of times as large as all others, which a range
would leave with a handful of steps. What enters is therefore multiplied by a factor for each dimension
first, and the columns of the weights by its inverse (Xiao et al. 2023, "SmoothQuant: Accurate and Efficient
Post-Training Quantization for Large Language Models", eq. 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from framelens.bundle import COLUMNS_SUFFIX, SCALE_SUFFIX
from framelens.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from framelens.hf import FramingForSequenceClassification

__all__ = [
    "ActivationRange",
    "QuantLinear",
    "activation_ranges",
    "dequantise_words",
    "prepare",
    "quantise_rows",
    "quantised_weights",
    "set_ranges",
]

WEIGHT_LEVELS = 63
WORD_LEVELS = 127
ACTIVATION_LEVELS = 255
_WORDS = "encoder.embeddings.word_embeddings.weight"
#: Values that a batch gives to the estimate of a range.
_SAMPLED = 60_000
#: Largest factor between a dimension's scaling and the median's.
_MOST_SMOOTHED = 1e3


@dataclass(frozen=True)
class ActivationRange:
    """How what enters a product becomes an unsigned byte: ``round(x * columns / scale) + zero_point``.

    Attributes:
        scale: > 0.
        zero_point: the byte that stands for 0, in [0, 255].
        columns: a factor > 0 for each dimension of what enters; none is 1 for all.
    """

    scale: float
    zero_point: int
    columns: tuple[float, ...] = ()


class QuantLinear(nn.Linear):
    """A linear layer that rounds its weights and, once its range is set, what enters it."""

    range: ActivationRange | None = None

    def forward(self, entered: Tensor) -> Tensor:
        """(…, in_features) to (…, out_features)."""
        if self.range is None:
            return super().forward(entered)
        entered, weight = entered.float(), self.weight
        if self.range.columns:
            columns = torch.tensor(self.range.columns, device=weight.device)
            entered, weight = entered * columns, weight / columns
        rounded = torch.fake_quantize_per_tensor_affine(
            entered, self.range.scale, self.range.zero_point, 0, ACTIVATION_LEVELS
        )
        scales = _scales(weight.detach(), WEIGHT_LEVELS)
        zeros = torch.zeros_like(scales, dtype=torch.int32)
        weight = torch.fake_quantize_per_channel_affine(
            weight, scales, zeros, 0, -WEIGHT_LEVELS, WEIGHT_LEVELS
        )
        return functional.linear(rounded, weight, self.bias)


def _scales(weight: Tensor, levels: int) -> Tensor:
    """(rows, …) to the (rows,) step of each row; a row of zeros, or of less than a step, has the step 1."""
    steps = weight.float().abs().amax(1) / levels
    return torch.where(steps > torch.finfo(steps.dtype).tiny, steps, torch.ones_like(steps))


def quantise_rows(weight: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """A matrix as int8 in [-levels, levels] and the float32 step of each row.

    Args:
        weight: (rows, columns).
        levels: at most 127.

    Returns:
        (rows, columns) int8, and (rows,) float32.
    """
    scales = _scales(weight, levels)
    whole = (weight.float() / scales[:, None]).round().clamp(-levels, levels)
    return whole.to(torch.int8), scales


def _products(model: FramingForSequenceClassification) -> Iterator[tuple[str, nn.Linear]]:
    """The matrix products of the encoder's layers; the heads stay in floating point."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and ".layer." in name:
            yield name, module


def prepare(model: FramingForSequenceClassification) -> None:
    """Make the encoder's products `QuantLinear`; until `set_ranges` they compute what they did."""
    for _, module in _products(model):
        module.__class__ = QuantLinear


def dequantise_words(model: FramingForSequenceClassification) -> None:
    """Round the word vectors as they will ship; they are not fitted any more."""
    table = model.get_parameter(_WORDS)
    whole, scales = quantise_rows(table.detach(), WORD_LEVELS)
    with torch.no_grad():
        table.copy_(whole.float() * scales[:, None])


def activation_ranges(
    model: FramingForSequenceClassification,
    batches: Iterable[dict[str, Tensor]],
    tails: Sequence[float],
    smoothings: Sequence[float] = (0.0,),
) -> dict[str, ActivationRange]:
    """Ranges of what enters the products, by the name of the product's weights.

    Of all pairs of a tail and a smoothing, each product takes the one with the least squared error of what
    it gives for some of the tokens.

    Args:
        model: `prepare`d, on the device of the batches.
        batches: arguments of the model; padding is left out of the estimate.
        tails: shares of the values that may lie outside, on either side, in [0, 0.5).
        smoothings: how much of the spread between dimensions goes from what enters to the weights, in
            [0, 1]; 0 scales no dimension.

    Raises:
        InputError: there is no batch.
    """
    products = dict(_products(model))
    watched = {name: _Watched() for name in products}
    #: Of products that read one and the same tensor, the first: they share the factors of its dimensions.
    first: dict[str, str] = {}
    mask = torch.empty(0, dtype=torch.bool)
    last: tuple[str, Tensor] | None = None

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def keep(_: nn.Module, entered: tuple[Tensor, ...]) -> None:
            nonlocal last
            if last is None or last[1] is not entered[0]:
                last = name, entered[0]
                watched[name].see(entered[0][mask].float())
            first[name] = last[0]

        return keep

    hooks = [module.register_forward_pre_hook(watch(name)) for name, module in products.items()]
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            mask = batch["attention_mask"].bool()
            model(**batch)
    for hook in hooks:
        hook.remove()
    if not first:
        raise InputError("expected at least one batch to estimate the ranges from, got none")
    ranges: dict[str, ActivationRange] = {}
    for reader in dict.fromkeys(first.values()):
        readers = [name for name in products if first[name] == reader]
        weights = torch.cat([products[name].weight.detach() for name in readers])
        found = watched[reader].best_range(weights, tails, smoothings)
        ranges |= {f"{name}.weight": found for name in readers}
    return ranges


class _Watched:
    """What enters a product, batch after batch: its largest values by dimension, and some of its rows."""

    def __init__(self) -> None:
        self._largest = torch.zeros(())
        self._rows: list[Tensor] = []

    def see(self, values: Tensor) -> None:
        """Take in (n_tokens, in_features)."""
        self._largest = torch.maximum(self._largest.to(values.device), values.abs().amax(0))
        self._rows.append(values[:: max(1, values.numel() // _SAMPLED)])

    def best_range(
        self, weights: Tensor, tails: Sequence[float], smoothings: Sequence[float]
    ) -> ActivationRange:
        """The range with the least error, for products with these weights, (n_rows, in_features)."""
        entered = torch.cat(self._rows).to(weights.device)
        wanted = entered @ weights.T
        best, least = None, math.inf
        for smoothing in smoothings:
            columns = self._columns(weights, smoothing).to(weights.device)
            whole, steps = quantise_rows(weights / columns, WEIGHT_LEVELS)
            rounded, scaled = whole.float() * steps[:, None], entered * columns
            ordered = scaled.flatten().sort().values
            for tail in tails:
                found = _range(ordered, tail)
                read = torch.fake_quantize_per_tensor_affine(
                    scaled, found.scale, found.zero_point, 0, ACTIVATION_LEVELS
                )
                error = float((read @ rounded.T - wanted).square().mean())
                if best is None or error < least:
                    factors = tuple(columns.tolist()) if smoothing else ()
                    best, least = replace(found, columns=factors), error
        if best is None:
            raise InputError("expected at least one tail and one smoothing to choose from, got none")
        return best

    def _columns(self, weights: Tensor, smoothing: float) -> Tensor:
        """The factors of the dimensions, (in_features,)."""
        if not smoothing:
            return torch.ones(weights.shape[1])
        tiny = torch.finfo(torch.float32).tiny
        entered, met = self._largest.clamp(min=tiny).cpu(), weights.abs().amax(0).clamp(min=tiny).cpu()
        columns = met ** (1 - smoothing) / entered**smoothing
        # Dimensions in which nothing enters, or nothing is made of it, would make infinite ones.
        return (columns / columns.median()).clamp(1 / _MOST_SMOOTHED, _MOST_SMOOTHED)


def _range(ordered: Tensor, tail: float) -> ActivationRange:
    cut = int(tail * len(ordered))
    # 0 must be among the bytes' values, and is.
    low = min(float(ordered[cut]), 0.0)
    high = max(float(ordered[len(ordered) - 1 - cut]), 0.0)
    scale = (high - low) / ACTIVATION_LEVELS or 1.0
    return ActivationRange(scale, round(-low / scale))


def set_ranges(model: FramingForSequenceClassification, ranges: Mapping[str, ActivationRange | None]) -> None:
    """Let the products round from now on, or no more where the range is None."""
    for name, module in _products(model):
        if isinstance(module, QuantLinear):
            module.range = ranges[f"{name}.weight"]


def quantised_weights(model: FramingForSequenceClassification) -> dict[str, Tensor]:
    """The weights as they ship: word vectors and products as int8 with steps, all else as float32."""
    products = {f"{name}.weight": module for name, module in _products(model)}
    stored: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        scaled = f"{name}{SCALE_SUFFIX}"
        if name == _WORDS:
            stored[name], stored[scaled] = quantise_rows(value, WORD_LEVELS)
        elif name in products:
            found = getattr(products[name], "range", None)
            if found is not None and found.columns:
                columns = torch.tensor(found.columns)
                value = value / columns
                stored[f"{name}{COLUMNS_SUFFIX}"] = columns
            stored[name], stored[scaled] = quantise_rows(value, WEIGHT_LEVELS)
        else:
            stored[name] = value
    return {name: value.contiguous() for name, value in stored.items()}
