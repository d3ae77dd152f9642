"""The ONNX graph without its weights: they stay in ``model.safetensors``, which the graph names.

Every floating-point initialiser that is a parameter of the model becomes an external fp16 tensor
with the parameter's own name, followed by a cast to fp32 (and a transpose where the exporter had
stored the matrix the other way round). onnxruntime folds both when it loads the model.
"""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from onnx import TensorProto, helper, numpy_helper

from framelens.backend import ONNX_OUTPUTS
from framelens.errors import ModelFormatError

if TYPE_CHECKING:
    from framelens.hf import FramingForSequenceClassification

__all__ = ["weightless_graph"]

OPSET = 18
#: Smaller constants that are no parameters (scalars, shapes) stay inside the graph.
_SMALL = 64


class _Traced(torch.nn.Module):
    def __init__(self, model: FramingForSequenceClassification) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        output = self.model(input_ids, attention_mask, token_type_ids)
        return output.logits, output.cue_logits


def weightless_graph(model: FramingForSequenceClassification) -> bytes:
    """Trace the model and take its weights out.

    Args:
        model: in fp32 and on the CPU.

    Returns:
        A serialised ONNX model of about 0.1 MB.

    Raises:
        ModelFormatError: a large constant of the graph is no parameter of the model, or a parameter is
            not in the graph.
    """
    # The exporter keeps one of several equal tensors, such as zeros in two biases, and parameters are
    # found again by their values: so a stand-in is traced, no two of whose weights are equal.
    stand_in = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(0)
    for parameter in stand_in.parameters():
        torch.nn.init.uniform_(parameter, generator=generator)
    parameters = {name: p.detach().numpy() for name, p in stand_in.state_dict().items()}
    graph = _trace(stand_in)
    _take_out_weights(graph.graph, parameters)
    return bytes(graph.SerializeToString())


def _trace(model: FramingForSequenceClassification) -> Any:
    names = ("input_ids", "attention_mask", "token_type_ids")
    example = torch.ones(2, 8, dtype=torch.long)
    model.encoder.set_attn_implementation("eager")
    with warnings.catch_warnings():
        # torch's own exporter calls what torch deprecates; nobody who exports a model can act on it.
        warnings.filterwarnings("ignore", r".*isinstance\(treespec, LeafSpec\)", FutureWarning)
        # The three inputs share their axes by intent; torch warns from the second one on.
        warnings.filterwarnings("ignore", "# The axis name: n_", UserWarning)
        program = torch.onnx.export(
            _Traced(model).eval(),
            (example, torch.ones_like(example), torch.zeros_like(example)),
            input_names=list(names),
            output_names=list(ONNX_OUTPUTS),
            dynamic_shapes={name: {0: "n_sentences", 1: "n_tokens"} for name in names},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise ModelFormatError("torch.onnx.export gave no program")
    return program.model_proto


def _take_out_weights(graph: Any, parameters: dict[str, np.ndarray[Any, Any]]) -> None:
    kept, casts = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT:
            kept.append(tensor)
            continue
        found = _find(tensor.name, values, parameters)
        if found is None:
            if values.size >= _SMALL:
                raise ModelFormatError(
                    f"the graph's constant {tensor.name} {values.shape} is no parameter of the model"
                )
            kept.append(tensor)
            continue
        name, transposed = found
        if all(other.name != name for other in kept):
            kept.append(_external(name, parameters[name].shape))
        wide = f"{tensor.name}/wide" if transposed else tensor.name
        casts.append(helper.make_node("Cast", [name], [wide], to=TensorProto.FLOAT))
        if transposed:
            casts.append(helper.make_node("Transpose", [wide], [tensor.name], perm=[1, 0]))
    if missing := parameters.keys() - {tensor.name for tensor in kept}:
        raise ModelFormatError(f"the exporter left out {', '.join(sorted(missing))}")
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes = [*casts, *graph.node]
    for node in nodes:
        # The exporter notes where in whose source each node came from.
        del node.metadata_props[:]
        node.doc_string = ""
    del graph.node[:]
    graph.node.extend(nodes)
    for entry in (*graph.input, *graph.output, *graph.value_info):
        del entry.metadata_props[:]
    del graph.value_info[:]
    del graph.metadata_props[:]


def _find(
    name: str, values: np.ndarray[Any, Any], parameters: dict[str, np.ndarray[Any, Any]]
) -> tuple[str, bool] | None:
    """The parameter that an initialiser holds, and whether it is stored transposed.

    The exporter keeps a parameter's name unless it has folded a transpose into it; then only the
    values tell.
    """
    own = name.removeprefix("model.")
    if own in parameters and np.array_equal(parameters[own], values):
        return own, False
    for parameter, weight in parameters.items():
        if weight.shape == values.shape and np.array_equal(weight, values):
            return parameter, False
        if weight.ndim == 2 and weight.shape[::-1] == values.shape and np.array_equal(weight.T, values):
            return parameter, True
    return None


def _external(name: str, shape: tuple[int, ...]) -> Any:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT16, dims=list(shape))
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "model.safetensors"
    return tensor
