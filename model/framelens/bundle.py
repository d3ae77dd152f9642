"""A model on disk: finding it, checking it, reading its parts.

A bundle is a Hugging Face model directory: ``config.json``, ``tokenizer.json``,
``model.safetensors`` (fp16), ``model.onnx`` (the graph without the weights), and beside them
``quality.json`` and ``model_card.md``, which say how good it is. An int8 model also has
``model.int8.onnx``, and its weights are int8 with the float32 step of each row beside them, under
their name and ``.scale``, and where columns were scaled as well a factor of each, under ``.columns``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from framelens.errors import InputError, ModelFormatError, ModelNotFoundError
from framelens.labels import CUE_TAGS, LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from tokenizers import Tokenizer

__all__ = [
    "BUNDLED",
    "COLUMNS_SUFFIX",
    "FAST",
    "SCALE_SUFFIX",
    "Bundle",
    "BundleConfig",
    "Precision",
    "find_bundle",
]

#: What a model computes in.
Precision = Literal["fp32", "bf16", "fp16", "int8"]
#: The name of the model that ships with the package, and of its student, which labels several times as fast.
BUNDLED, FAST = "bundled", "fast"
_PACKAGED = {BUNDLED: "bundled", FAST: "bundled_fast"}
#: Behind the name of an int8 matrix: that of the steps of its rows.
SCALE_SUFFIX = ".scale"
#: Behind the same: that of the factors of its columns.
COLUMNS_SUFFIX = ".columns"
_GRAPHS: dict[str, str] = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
_REQUIRED = ("config.json", "tokenizer.json", "model.safetensors")


class BundleConfig(BaseModel):
    """What the library reads of ``config.json``; the encoder's own settings are torch's to read."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model_type: str
    id2label: dict[int, str]
    cue_tags: list[str]
    calibration_temperature: float = Field(gt=0)
    max_tokens: int = Field(ge=8)
    context_sentences: int = Field(ge=0, le=8)
    evidence_threshold: float = Field(ge=0, le=1)
    precision: Literal["fp32", "int8"] = "fp32"


@dataclass(frozen=True)
class Bundle:
    """A checked model directory.

    Attributes:
        folder: where it lies.
        config: the settings that labelling needs.
    """

    folder: Path
    config: BundleConfig

    def graph(self, precision: Precision = "fp32") -> bytes:
        """The ONNX graph that computes in a precision, ``fp32`` or ``int8``.

        Raises:
            InputError: the model has no graph of that precision.
            ModelFormatError: it has no graph at all.
        """
        name = _GRAPHS.get(precision)
        if name is not None and (self.folder / name).is_file():
            return (self.folder / name).read_bytes()
        if precision in ("fp32", self.config.precision):
            raise ModelFormatError(
                f"{self.folder} has no {name}; export it, or load the model with backend='torch'"
            )
        known = [kind for kind, name in _GRAPHS.items() if (self.folder / name).is_file()]
        raise InputError(
            f"the onnx backend computes this model in {' or '.join(known) or 'nothing'}, got {precision!r}; "
            "bf16 and fp16 need backend='torch', int8 an int8 model such as 'fast'"
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256, as hexadecimal, over all that decides a label: config, tokeniser and weights.

        Of an int8 model also its graph, which holds the ranges of the activations.
        """
        total = hashlib.sha256()
        for name in (*_REQUIRED, *[_GRAPHS["int8"]] * self.has_int8):
            with (self.folder / name).open("rb") as part:
                total.update(hashlib.file_digest(part, "sha256").digest())
        return total.hexdigest()

    def graph_digest(self, precision: Precision) -> str:
        """SHA-256, as hexadecimal, of the graph of a precision; the temperature is in it.

        Raises:
            InputError: the model has no graph of that precision.
            ModelFormatError: it has no graph at all.
        """
        return hashlib.sha256(self.graph(precision)).hexdigest()

    @property
    def has_int8(self) -> bool:
        """Whether it can compute in int8."""
        return (self.folder / _GRAPHS["int8"]).is_file()

    @property
    def quality(self) -> dict[str, Any] | None:
        """What was measured of this model (``quality.json``); None where nothing was.

        Raises:
            ModelFormatError: the file is no JSON.
        """
        path = self.folder / "quality.json"
        if not path.is_file():
            return None
        try:
            content: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as error:
            raise ModelFormatError(f"{path} is damaged: {error}") from error
        return content

    def tokenizer(self) -> Tokenizer:
        """A new tokeniser."""
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self.folder / "tokenizer.json"))

    def tensors(self) -> dict[str, np.ndarray[Any, Any]]:
        """What ``model.safetensors`` holds, by name and as it is stored.

        Raises:
            ModelFormatError: the file is damaged.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        path = self.folder / "model.safetensors"
        try:
            return dict(load_file(path))
        except SafetensorError as error:
            raise ModelFormatError(f"{path} is damaged, get the model again: {error}") from error

    def weights(self) -> dict[str, np.ndarray[Any, Any]]:
        """The weights by name, in floating point: float16 as stored, and float32 what is stored as int8.

        Raises:
            ModelFormatError: the file is damaged.
        """
        return in_floating_point(self.tensors())


def in_floating_point(stored: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """What a ``model.safetensors`` holds, with int8 matrices multiplied by their steps and factors."""
    found = {}
    for name, values in stored.items():
        scales, columns = stored.get(f"{name}{SCALE_SUFFIX}"), stored.get(f"{name}{COLUMNS_SUFFIX}")
        if scales is not None:
            found[name] = values * scales[:, None] * (1 if columns is None else columns)
        elif not name.endswith((SCALE_SUFFIX, COLUMNS_SUFFIX)):
            found[name] = values
    return found


def find_bundle(model: str | Path = BUNDLED, revision: str | None = None) -> Bundle:
    """Find a model by ``bundled``, ``fast``, path or Hugging Face hub id.

    Args:
        model: a folder that exists is taken as such; anything else is a hub id.
        revision: branch, tag or commit on the hub.

    Raises:
        ModelNotFoundError: there is no such folder, and the hub has no such model or is out of reach.
        ModelFormatError: the folder holds something else than a framelens model.
    """
    if str(model) in _PACKAGED:
        with as_file(files("framelens") / _PACKAGED[str(model)]) as folder:
            return _open(Path(folder))
    folder = Path(model).expanduser()
    return _open(folder if folder.is_dir() else _download(str(model), revision))


def _download(hub_id: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", *_GRAPHS.values(), "model_card.md"]
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=patterns))
    except HFValidationError as error:
        raise ModelNotFoundError(f"{hub_id!r} is neither a folder nor a hub id") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelNotFoundError(
            f"no folder {hub_id!r}, and no such model could be had from the hub: {reason}; "
            f"{' and '.join(_PACKAGED)} ship with framelens"
        ) from error


def _open(folder: Path) -> Bundle:
    missing = [name for name in _REQUIRED if not (folder / name).is_file()]
    if missing:
        raise ModelFormatError(f"{folder} is no framelens model: {', '.join(missing)} missing")
    try:
        config = BundleConfig.model_validate_json((folder / "config.json").read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "JSON"
        raise ModelFormatError(f"{folder / 'config.json'}: {field}: {first['msg']}") from error
    labels = [config.id2label.get(i) for i in range(len(config.id2label))]
    if config.model_type != "framelens" or labels != list(LABELS) or config.cue_tags != list(CUE_TAGS):
        raise ModelFormatError(
            f"{folder} is a {config.model_type!r} model with the labels {labels}; "
            f"expected 'framelens' with {[str(label) for label in LABELS]}"
        )
    return Bundle(folder, config)
