"""What runs the network: a small protocol, and its two implementations.

Both read the same ``model.safetensors``; torch and onnxruntime are imported only when theirs is built.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np

from framelens.bundle import COLUMNS_SUFFIX, Precision
from framelens.errors import InputError, ModelFormatError, require

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from framelens.arrays import FloatArray
    from framelens.bundle import Bundle
    from framelens.encoding import EncodedBatch

__all__ = [
    "Backend",
    "BackendName",
    "OnnxBackend",
    "Precision",
    "Scores",
    "TorchBackend",
    "build_backend",
    "own_precision",
]

BackendName = Literal["onnx", "torch"]
ONNX_OUTPUTS = ("logits", "cue_logits")
#: Most tokens, padding included, in one forward pass. On a processor it keeps the activations within a few
#: tens of MB; a GPU is busy only with far more.
_TOKENS_ON_PROCESSOR, _TOKENS_ON_GPU = 2048, 65_536
_SENTENCES_ON_PROCESSOR, _SENTENCES_ON_GPU = 32, 4096
#: The part of a pass's tokens that onnxruntime needs to run at full speed.
_ENOUGH = 4


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
    """Runs the network on padded batches.

    Attributes:
        name: of the implementation.
        precision: what it computes in.
        batch_size: most sentences in one pass, if the user has no wish.
        token_budget: most tokens in one pass, padding included.
        enough_tokens: that are enough to run at full speed: a batch that has them ends where longer sentences
            begin, and padding is all but none.
        pads: whether a batch may hold sentences of several lengths.
    """

    name: BackendName
    precision: Precision
    batch_size: int
    token_budget: int
    enough_tokens: int
    pads: bool

    def run(self, batches: Iterable[EncodedBatch]) -> Iterator[Scores]:
        """Scores of each batch, in their order and in its own."""
        ...


class OnnxBackend:
    """onnxruntime on the CPU, or on the execution provider that ``device`` names.

    Args:
        bundle: the model.
        threads: threads of one forward pass; None leaves the choice to onnxruntime.
        device: ``cpu`` or ``cuda``.
        precision: ``fp32``, or ``int8`` where the model has it, on the CPU. An int8 graph has no mask: it
            takes sentences of one length at a time, so that nothing of one reaches another.

    Raises:
        ModelFormatError: the graph and the weights do not belong together.
        InputError: onnxruntime has no provider for the device, or the model no graph of the precision.
    """

    name: BackendName = "onnx"

    def __init__(
        self, bundle: Bundle, threads: int | None = None, device: str = "cpu", precision: Precision = "fp32"
    ) -> None:
        import onnxruntime as ort

        graph = bundle.graph(precision)
        kind, _, number = device.partition(":")
        provider = f"{kind.upper()}ExecutionProvider"
        if provider not in ort.get_available_providers() or not (number or "0").isdigit():
            raise InputError(
                f"expected a device of {', '.join(ort.get_available_providers())}, got {device!r}; "
                "for a GPU install onnxruntime-gpu, or use the torch backend"
            )
        if precision == "int8" and kind != "cpu":
            raise InputError(f"int8 is computed on the CPU, got the device {device!r}; give precision='fp32'")
        self.precision: Precision = precision
        self.pads = precision != "int8"
        self.batch_size, self.token_budget = _limits(kind)
        self.enough_tokens = self.token_budget // _ENOUGH if self.pads else 0
        options = ort.SessionOptions()
        options.log_severity_level = 3  # its warnings about folded casts say nothing a user can act on
        # Threads that spin between two nodes cost a short text more than they save.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads is not None:
            options.intra_op_num_threads = threads
        # Factors that several products share are stored with each and named once, and onnxruntime takes none
        # that the graph does not name.
        tensors = {
            name: array
            for name, array in bundle.tensors().items()
            if not name.endswith(COLUMNS_SUFFIX) or name.encode() in graph
        }
        values = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in tensors.items()}
        options.add_external_initializers(list(values), list(values.values()))
        errors = ort.capi.onnxruntime_pybind11_state
        try:
            self._session = ort.InferenceSession(
                graph,
                options,
                # The fused node is several times slower on CPUs than the two that it replaces.
                disabled_optimizers=["SkipLayerNormFusion"],
                providers=[(provider, {"device_id": number or "0"})] if kind == "cuda" else [provider],
            )
        except (errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelFormatError(
                f"{bundle.folder}: the graph in {precision} does not fit model.safetensors; export "
                f"them again ({reason})"
            ) from error
        self._inputs = {entry.name for entry in self._session.get_inputs()}

    def run(self, batches: Iterable[EncodedBatch]) -> Iterator[Scores]:
        """Scores of each batch, in their order and in its own."""
        for batch in batches:
            if not self.pads and not batch.attention_mask.all():
                raise InputError("an int8 model takes sentences of one length at a time, got a padded batch")
            feed = {name: array for name, array in batch.arrays().items() if name in self._inputs}
            yield Scores(*self._session.run(ONNX_OUTPUTS, feed))


class TorchBackend:
    """torch and transformers, on any device that torch knows.

    Args:
        bundle: the model.
        threads: of torch's own pool, for the whole process; None leaves it.
        device: such as ``cpu``, ``cuda`` or ``mps``.
        precision: ``bf16`` halves the memory and, on processors and GPUs that multiply bfloat16,
            the time; its probabilities differ in the third decimal. ``fp16`` is for GPUs.

    Raises:
        MissingExtraError: torch or transformers is not installed.
        ModelFormatError: the weights are incomplete.
        InputError: torch has no such device, or does not compute in the precision there.
    """

    name: BackendName = "torch"
    pads = True

    def __init__(
        self, bundle: Bundle, threads: int | None = None, device: str = "cpu", precision: Precision = "fp32"
    ) -> None:
        self._torch = torch = require("torch", "torch")
        hf: Any = require("framelens.hf", "torch")
        self.precision: Precision = precision
        if threads is not None:
            torch.set_num_threads(threads)
        self._on_gpu = device.partition(":")[0] == "cuda"
        if precision == "int8" or (precision == "fp16" and device.partition(":")[0] == "cpu"):
            where = "fp32, bf16 or, on a GPU, fp16"
            raise InputError(
                f"the torch backend computes in {where}; got {precision!r} on {device!r}; int8 is for onnx"
            )
        self.batch_size, self.token_budget = _limits(device.partition(":")[0])
        # Every pass costs torch some milliseconds, more than a little padding does.
        self.enough_tokens = self.token_budget
        dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        model = _torch_model(bundle, hf, dtypes[precision])
        try:
            self._model = model.to(device).eval()
        except (RuntimeError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"torch cannot use the device {device!r}: {reason}") from error
        self._device = device

    def run(self, batches: Iterable[EncodedBatch]) -> Iterator[Scores]:
        """Scores of each batch, in their order and in its own; a GPU is given one batch ahead."""
        ahead: deque[tuple[Any, Any, Any]] = deque()
        for batch in batches:
            ahead.append(self._begin(batch))
            if len(ahead) > self._on_gpu:
                yield self._end(*ahead.popleft())
        while ahead:
            yield self._end(*ahead.popleft())

    def _begin(self, batch: EncodedBatch) -> tuple[Any, Any, Any]:
        """Start a pass; on a GPU neither copies nor the pass are waited for."""
        torch = self._torch
        feed = {name: torch.from_numpy(array) for name, array in batch.arrays().items()}
        if self._on_gpu:
            feed = {name: tensor.pin_memory() for name, tensor in feed.items()}
        feed = {name: tensor.to(self._device, non_blocking=self._on_gpu) for name, tensor in feed.items()}
        with torch.inference_mode():
            output = self._model(**feed)
            logits, cues = output.logits.float(), output.cue_logits.float()
            if not self._on_gpu:
                return logits.cpu(), cues.cpu(), None
            logits, cues = (
                torch.empty(part.shape, pin_memory=True).copy_(part, non_blocking=True)
                for part in (logits, cues)
            )
        done = torch.cuda.Event()
        # Of the model's own GPU; without it the event is one of the current GPU, which may be another.
        done.record(torch.cuda.current_stream(self._device))
        return logits, cues, done

    def _end(self, logits: Any, cues: Any, done: Any) -> Scores:
        if done is not None:
            done.synchronize()
        return Scores(np.asarray(logits.numpy()), np.asarray(cues.numpy()))


def _limits(kind: str) -> tuple[int, int]:
    """Most sentences and most tokens of one pass on a kind of device."""
    if kind == "cpu":
        return _SENTENCES_ON_PROCESSOR, _TOKENS_ON_PROCESSOR
    return _SENTENCES_ON_GPU, _TOKENS_ON_GPU


@contextmanager
def _without_progress() -> Iterator[None]:
    """Without the bar that transformers draws for a load of a tenth of a second."""
    logging: Any = require("transformers", "torch").utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _torch_model(bundle: Bundle, hf: Any, dtype: Any) -> Any:
    """The model in transformers' form.

    Raises:
        ModelFormatError: the weights are incomplete: transformers would fill them with random numbers.
    """
    kind = hf.FramingForSequenceClassification
    with _without_progress():
        model, found = kind.from_pretrained(bundle.folder, dtype=dtype, output_loading_info=True)
    missing = list(found["missing_keys"])
    if missing:
        raise ModelFormatError(f"{bundle.folder}: model.safetensors lacks {', '.join(sorted(missing))}")
    return model


def build_backend(
    bundle: Bundle,
    name: BackendName = "onnx",
    *,
    device: str = "cpu",
    precision: Precision | None = None,
    threads: int | None = None,
) -> Backend:
    """The backend of that name.

    Args:
        bundle: the model.
        name: ``onnx`` or ``torch``.
        device: see the backend.
        precision: see the backend; None is the model's own with onnx, and fp32 with torch.
        threads: see the backend.

    Raises:
        InputError: an unknown name, or a precision that the backend does not compute in.
        MissingExtraError: torch is asked for and not installed.
    """
    if name not in ("onnx", "torch"):
        raise InputError(f"backend must be 'onnx' or 'torch', got {name!r}")
    precision = precision or own_precision(bundle, name)
    if precision not in get_args(Precision):
        raise InputError(f"precision must be one of {', '.join(get_args(Precision))}, got {precision!r}")
    kind = TorchBackend if name == "torch" else OnnxBackend
    return kind(bundle, threads, device, precision)


def own_precision(bundle: Bundle, name: str) -> Precision:
    """What a model is computed in if the user has no wish."""
    return bundle.config.precision if name == "onnx" else "fp32"
