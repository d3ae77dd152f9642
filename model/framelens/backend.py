"""What runs the network: a small protocol, and its two implementations.

Both read the same ``model.safetensors`` (fp16) and compute in fp32 unless told otherwise; torch
and onnxruntime are imported only when theirs is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from framelens.errors import InputError, ModelFormatError, require

if TYPE_CHECKING:
    from framelens.arrays import FloatArray
    from framelens.bundle import Bundle
    from framelens.encoding import EncodedBatch

__all__ = ["Backend", "BackendName", "OnnxBackend", "Precision", "Scores", "TorchBackend", "build_backend"]

BackendName = Literal["onnx", "torch"]
Precision = Literal["fp32", "bf16"]
ONNX_OUTPUTS = ("logits", "cue_logits")


@dataclass(frozen=True, slots=True)
class Scores:
    """What one forward pass gives, as float32.

    Attributes:
        logits: (n_sentences, n_labels), already divided by the calibration's temperature.
        cue_logits: (n_sentences, n_tokens, n_cues + 1).
    """

    logits: FloatArray
    cue_logits: FloatArray


class Backend(Protocol):
    """Runs the network on one padded batch."""

    name: BackendName
    precision: Precision

    def run(self, batch: EncodedBatch) -> Scores:
        """Scores of the batch, in its order."""
        ...


class OnnxBackend:
    """onnxruntime on the CPU, or on the execution provider that ``device`` names.

    Args:
        bundle: the model.
        threads: threads of one forward pass; None leaves the choice to onnxruntime.
        device: ``cpu`` or ``cuda``.

    Raises:
        ModelFormatError: the graph and the weights do not belong together.
        InputError: onnxruntime has no provider for the device.
    """

    name: BackendName = "onnx"
    precision: Precision = "fp32"

    def __init__(self, bundle: Bundle, threads: int | None = None, device: str = "cpu") -> None:
        import onnxruntime as ort

        kind, _, number = device.partition(":")
        provider = f"{kind.upper()}ExecutionProvider"
        if provider not in ort.get_available_providers() or not (number or "0").isdigit():
            raise InputError(
                f"expected a device of {', '.join(ort.get_available_providers())}, got {device!r}; "
                "for a GPU install onnxruntime-gpu, or use the torch backend"
            )
        options = ort.SessionOptions()
        options.log_severity_level = 3  # its warnings about folded casts say nothing a user can act on
        if threads is not None:
            options.intra_op_num_threads = threads
        weights = bundle.weights()
        values = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in weights.items()}
        options.add_external_initializers(list(values), list(values.values()))
        errors = ort.capi.onnxruntime_pybind11_state
        try:
            self._session = ort.InferenceSession(
                bundle.graph,
                options,
                providers=[(provider, {"device_id": number or "0"})] if kind == "cuda" else [provider],
            )
        except (errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelFormatError(
                f"{bundle.folder}: model.onnx does not fit model.safetensors; export them again ({reason})"
            ) from error
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def run(self, batch: EncodedBatch) -> Scores:
        """Scores of the batch, in its order."""
        feed = {name: array for name, array in batch.arrays().items() if name in self._inputs}
        return Scores(*self._session.run(ONNX_OUTPUTS, feed))


class TorchBackend:
    """torch and transformers, on any device that torch knows.

    Args:
        bundle: the model.
        threads: of torch's own pool, for the whole process; None leaves it.
        device: such as ``cpu``, ``cuda`` or ``mps``.
        precision: ``bf16`` halves the memory and, on processors and GPUs that multiply bfloat16,
            the time; its probabilities differ in the third decimal.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        ModelFormatError: the weights are incomplete.
        InputError: torch has no such device.
    """

    name: BackendName = "torch"

    def __init__(
        self, bundle: Bundle, threads: int | None = None, device: str = "cpu", precision: Precision = "fp32"
    ) -> None:
        self._torch = torch = require("torch", "torch")
        hf: Any = require("framelens.hf", "torch")
        self.precision: Precision = precision
        if threads is not None:
            torch.set_num_threads(threads)
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        model, found = hf.FramingForSequenceClassification.from_pretrained(
            bundle.folder, dtype=dtype, output_loading_info=True
        )
        if missing := sorted(found["missing_keys"]):
            # transformers would fill them with random numbers.
            raise ModelFormatError(f"{bundle.folder}: model.safetensors lacks {', '.join(missing)}")
        try:
            self._model = model.to(device).eval()
        except (RuntimeError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"torch cannot use the device {device!r}: {reason}") from error
        self._device = device

    def run(self, batch: EncodedBatch) -> Scores:
        """Scores of the batch, in its order."""
        torch = self._torch
        feed = {name: torch.from_numpy(array).to(self._device) for name, array in batch.arrays().items()}
        with torch.inference_mode():
            output = self._model(**feed)
        parts = (output.logits, output.cue_logits)
        return Scores(*(np.asarray(part.float().cpu().numpy()) for part in parts))


def build_backend(
    bundle: Bundle,
    name: BackendName = "onnx",
    *,
    device: str = "cpu",
    precision: Precision = "fp32",
    threads: int | None = None,
) -> Backend:
    """The backend of that name.

    Raises:
        InputError: an unknown name, or a precision that the backend does not compute in.
        MissingExtraError: torch is asked for and not installed.
    """
    if precision not in ("fp32", "bf16"):
        raise InputError(f"precision must be 'fp32' or 'bf16', got {precision!r}")
    if name == "torch":
        return TorchBackend(bundle, threads, device, precision)
    if name != "onnx":
        raise InputError(f"backend must be 'onnx' or 'torch', got {name!r}")
    if precision != "fp32":
        raise InputError("the onnx backend computes in fp32; bf16 needs backend='torch'")
    return OnnxBackend(bundle, threads, device)
