"""The ONNX graph of a BERT or MPNet encoder with our heads, written node by node and without its weights.

Written by hand because it is quicker than what an exporter traces: the scale of the attention is in the
query's weights, the activation is one node, MPNet's bias by distance is computed once a pass, and for int8
every matrix product is one fused node. It computes the same: the parity gate holds it to the fitted model
(see `framelens_training.parity`).

The int8 graph quantises what enters each matrix product with a scale that was fixed when the model was
fitted, so a sentence's label does not hang on what else is labelled with it. It takes sentences of
one length only, without padding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper
from transformers.models.mpnet.modeling_mpnet import MPNetEncoder

from framelens.backend import ONNX_OUTPUTS
from framelens.bundle import COLUMNS_SUFFIX, SCALE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from framelens.hf import FramingConfig
    from framelens_training.quantize import ActivationRange

__all__ = ["encoder_graph", "has_encoder_graph"]

_OPSET = 20
_IR_VERSION = 10
_CONTRIB = "com.microsoft"
#: Added to the attention scores of padding; far below any score, and still finite.
_MASKED = -1e9
_ONNX_TYPES = {"float16": TensorProto.FLOAT16, "float32": TensorProto.FLOAT, "int8": TensorProto.INT8}
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class _Family:
    """What the encoders of a kind call the parts of a layer, and where they count positions from."""

    query: str
    key: str
    value: str
    attended: str
    attended_norm: str
    first_position: int


_FAMILIES = {
    "bert": _Family(
        query="attention.self.query",
        key="attention.self.key",
        value="attention.self.value",
        attended="attention.output.dense",
        attended_norm="attention.output.LayerNorm",
        first_position=0,
    ),
    "mpnet": _Family(
        query="attention.attn.q",
        key="attention.attn.k",
        value="attention.attn.v",
        attended="attention.attn.o",
        attended_norm="attention.LayerNorm",
        first_position=2,  # behind the padding's own, which is 1
    ),
}


def has_encoder_graph(config: FramingConfig) -> bool:
    """Whether `encoder_graph` can write the graph of such a model; others are traced."""
    encoder = config.encoder
    return (
        encoder.model_type in _FAMILIES
        and config.pooling in ("cls", "mean")
        and encoder.hidden_act == "gelu"
        and getattr(encoder, "position_embedding_type", "absolute") == "absolute"
    )


def encoder_graph(
    config: FramingConfig,
    weights: Mapping[str, np.ndarray[Any, Any]],
    ranges: Mapping[str, ActivationRange] | None = None,
) -> bytes:
    """Write the graph of a model for which `has_encoder_graph` holds.

    Args:
        config: of the model, its temperature included.
        weights: as they are stored: floating point, or int8 with the scales of their rows beside them.
        ranges: of what enters the matrix products, by the name of the product's weights; with them the
            graph computes the products in int8, and those weights must be int8.

    Returns:
        A serialised ONNX model that names the weights and does not hold them.
    """
    writer = _Writer(config, weights, ranges or {})
    hidden = writer.embeddings()
    bias = writer.bias(masked=not ranges)
    for layer in range(config.encoder.num_hidden_layers):
        hidden = writer.layer(f"encoder.encoder.layer.{layer}", hidden, bias)
    writer.heads(hidden)
    return writer.serialise()


class _Writer:
    """Writes nodes; every method gives the name of the tensor that it ends in."""

    def __init__(
        self,
        config: FramingConfig,
        weights: Mapping[str, np.ndarray[Any, Any]],
        ranges: Mapping[str, ActivationRange],
    ) -> None:
        self._config = config
        self._family = _FAMILIES[config.encoder.model_type]
        self._weights = weights
        self._ranges = ranges
        self._nodes: list[Any] = []
        self._tensors: dict[str, Any] = {}
        self._quantised: dict[tuple[str, ActivationRange], str] = {}

    def embeddings(self) -> str:
        total = self._rows("encoder.embeddings.word_embeddings.weight", "input_ids")
        kinds = "encoder.embeddings.token_type_embeddings.weight"
        if kinds in self._weights:
            # In the order in which transformers adds them up.
            total = self._node("Add", total, self._node("Gather", self._parameter(kinds), "token_type_ids"))
        first = self._constant(np.array([self._family.first_position]))
        places = self._node(
            "Slice",
            self._parameter("encoder.embeddings.position_embeddings.weight"),
            first,
            self._node("Add", self._length(), first),
        )
        return self._norm(self._node("Add", total, places), "encoder.embeddings.LayerNorm")

    def bias(self, masked: bool) -> str | None:
        """What is added to the scores of the attention, (1 or n_sentences, 1 or n_heads, 1 or n_tokens,
        n_tokens): a bias by distance where the encoder has one, and very low values for padding."""
        distance = "encoder.encoder.relative_attention_bias.weight"
        found = self._distance_bias(distance) if distance in self._weights else None
        if not masked:
            return found
        mask = self._mask()
        return mask if found is None else self._node("Add", found, mask)

    def _mask(self) -> str:
        """(n_sentences, 1, 1, n_tokens): 0 for tokens, very low for padding."""
        seen = self._node("Cast", "attention_mask", to=TensorProto.FLOAT)
        padding = self._node("Sub", self._constant(np.float32(1)), seen)
        low = self._node("Mul", padding, self._constant(np.float32(_MASKED)))
        return self._node("Unsqueeze", low, self._constant(np.array([1, 2])))

    def _distance_bias(self, name: str) -> str:
        """(1, n_heads, n_tokens, n_tokens)."""
        longest = self._config.max_tokens
        by_distance = self._node(
            "Gather", self._parameter(name), self._constant(_buckets(longest), "buckets")
        )
        zero, one = self._constant(np.array(0)), self._constant(np.array(1))
        length = self._node("Squeeze", self._length(), self._constant(np.array([0])))
        places = self._node("Range", zero, length, one)
        across = self._node("Unsqueeze", places, self._constant(np.array([0])))
        down = self._node("Unsqueeze", places, self._constant(np.array([1])))
        apart = self._node(
            "Add", self._node("Sub", across, down), self._constant(np.array(longest - 1))
        )  # never negative
        values = self._node("Transpose", self._node("Gather", by_distance, apart), perm=[2, 0, 1])
        return self._node("Unsqueeze", values, self._constant(np.array([0])))

    def layer(self, name: str, hidden: str, bias: str | None) -> str:
        family = self._family
        heads = self._config.encoder.num_attention_heads
        width = self._config.encoder.hidden_size
        split = self._constant(np.array([0, 0, heads, width // heads]))
        query = self._dense(hidden, f"{name}.{family.query}", 1 / math.sqrt(width // heads))
        parts = [query, *(self._dense(hidden, f"{name}.{part}") for part in (family.key, family.value))]
        shaped = [self._node("Reshape", part, split) for part in parts]
        orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        queries, keys, values = (
            self._node("Transpose", part, perm=order) for part, order in zip(shaped, orders, strict=True)
        )
        scores = self._node("MatMul", queries, keys)
        if bias is not None:
            scores = self._node("Add", scores, bias)
        seen = self._node("MatMul", self._node("Softmax", scores, axis=-1), values)
        joined = self._node("Transpose", seen, perm=[0, 2, 1, 3])
        context = self._node("Reshape", joined, self._constant(np.array([0, 0, width])))
        attended = self._dense(context, f"{name}.{family.attended}")
        hidden = self._norm(self._node("Add", attended, hidden), f"{name}.{family.attended_norm}")
        inner = self._node("Gelu", self._dense(hidden, f"{name}.intermediate.dense"))
        outer = self._dense(inner, f"{name}.output.dense")
        return self._norm(self._node("Add", outer, hidden), f"{name}.output.LayerNorm")

    def heads(self, hidden: str) -> None:
        if self._config.pooling == "cls":
            pooled = self._node("Gather", hidden, self._constant(np.array(0)), axis=1)
        else:
            pooled = self._mean(hidden)
        logits = self._dense(pooled, "classifier")
        temperature = self._constant(np.float32(self._config.calibration_temperature))
        self._nodes.append(helper.make_node("Div", [logits, temperature], [ONNX_OUTPUTS[0]]))
        cues = self._dense(hidden, "cue_tagger")
        self._nodes.append(helper.make_node("Identity", [cues], [ONNX_OUTPUTS[1]]))

    def _mean(self, hidden: str) -> str:
        """The mean over the sentence's own tokens, as (n_sentences, hidden_size)."""
        one, axis = self._constant(np.array(1)), self._constant(np.array([1]))
        own = self._node("Mul", "attention_mask", self._node("Sub", one, "token_type_ids"))
        weights = self._node("Cast", own, to=TensorProto.FLOAT)
        count = self._node("ReduceSum", weights, axis)
        shares = self._node("Div", weights, self._node("Max", count, self._constant(np.float32(1))))
        # A product for each sentence: what a sum over the axis rounds to hangs on the size of the batch.
        pooled = self._node("MatMul", self._node("Unsqueeze", shares, axis), hidden)
        return self._node("Squeeze", pooled, axis)

    def _length(self) -> str:
        """The number of tokens, as (1,)."""
        return self._node("Shape", "input_ids", start=1, end=2)

    def serialise(self) -> bytes:
        shape = ["n_sentences", "n_tokens"]
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in _INPUTS]
        last = ([shape[0], None], [*shape, None])
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, dims)
            for name, dims in zip(ONNX_OUTPUTS, last, strict=True)
        ]
        graph = helper.make_graph(self._nodes, "framelens", inputs, outputs, list(self._tensors.values()))
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_CONTRIB, 1)]
        return bytes(
            helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString()
        )

    def _dense(self, entered: str, name: str, factor: float = 1.0) -> str:
        """``entered @ weight.T + bias``, both times ``factor``."""
        bias = self._scaled(self._parameter(f"{name}.bias"), factor)
        found = self._ranges.get(f"{name}.weight")
        if found is None:
            weight = self._scaled(self._parameter(f"{name}.weight"), factor)
            turned = self._node("Transpose", weight, perm=[1, 0])
            return self._node("Add", self._node("MatMul", entered, turned), bias)
        scale = self._constant(np.float32(found.scale))
        zero = self._constant(np.uint8(found.zero_point))
        # What several products read is quantised once.
        key = entered, found
        if key not in self._quantised:
            if found.columns:
                entered = self._node("Mul", entered, self._external(f"{name}.weight{COLUMNS_SUFFIX}"))
            self._quantised[key] = self._node("QuantizeLinear", entered, scale, zero)
        weight = self._node("Transpose", self._external(f"{name}.weight"), perm=[1, 0])
        scales = self._scaled(self._external(f"{name}.weight{SCALE_SUFFIX}"), factor)
        operands = (self._quantised[key], weight, scale, scales, zero, "", bias)
        return self._node("MatMulIntegerToFloat", *operands, domain=_CONTRIB)

    def _norm(self, entered: str, name: str) -> str:
        scale, bias = self._parameter(f"{name}.weight"), self._parameter(f"{name}.bias")
        epsilon = float(self._config.encoder.layer_norm_eps)
        return self._node("LayerNormalization", entered, scale, bias, epsilon=epsilon)

    def _rows(self, name: str, ids: str) -> str:
        """Rows of a table as float32; the table stays in memory as it is stored."""
        rows = self._node("Cast", self._node("Gather", self._external(name), ids), to=TensorProto.FLOAT)
        if self._weights[name].dtype != np.int8:
            return rows
        scales = self._node("Gather", self._external(f"{name}{SCALE_SUFFIX}"), ids)
        return self._node("Mul", rows, self._node("Unsqueeze", scales, self._constant(np.array([-1]))))

    def _parameter(self, name: str) -> str:
        """A parameter as float32; onnxruntime folds what leads there when it loads the model."""
        stored = self._external(name)
        if self._weights[name].dtype == np.float32:
            return stored
        wide = self._node("Cast", stored, to=TensorProto.FLOAT)
        if self._weights[name].dtype != np.int8:
            return wide
        scales = self._external(f"{name}{SCALE_SUFFIX}")
        wide = self._node("Mul", wide, self._node("Unsqueeze", scales, self._constant(np.array([1]))))
        columns = f"{name}{COLUMNS_SUFFIX}"
        return self._node("Mul", wide, self._external(columns)) if columns in self._weights else wide

    def _scaled(self, tensor: str, factor: float) -> str:
        return tensor if factor == 1.0 else self._node("Mul", tensor, self._constant(np.float32(factor)))

    def _node(self, kind: str, *entered: str, domain: str = "", **settings: Any) -> str:
        name = f"{kind}/{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(entered), [name], domain=domain, **settings))
        return name

    def _constant(self, value: Any, name: str = "") -> str:
        array = np.asarray(value)
        name = name or f"{array.dtype}:{array.tolist()}"
        self._tensors.setdefault(name, numpy_helper.from_array(array, name))
        return name

    def _external(self, name: str) -> str:
        if name not in self._tensors:
            array = self._weights[name]
            tensor = TensorProto(name=name, data_type=_ONNX_TYPES[array.dtype.name], dims=list(array.shape))
            tensor.data_location = TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", "model.safetensors"
            self._tensors[name] = tensor
        return name


def _buckets(longest: int) -> np.ndarray[Any, Any]:
    """The row of the table of biases for each distance from ``1 - longest`` to ``longest - 1``."""
    apart = torch.arange(1 - longest, longest)
    rows: np.ndarray[Any, Any] = MPNetEncoder.relative_position_bucket(apart).numpy()
    return rows
