"""A model on disk: finding it, checking it, reading its parts.

A bundle is a Hugging Face model directory: ``config.json``, ``tokenizer.json``,
``model.safetensors`` (fp16), ``model.onnx`` (the graph without the weights), and beside them
``quality.json`` and ``model_card.md``, which say how good it is.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from framelens.errors import ModelFormatError, ModelNotFoundError
from framelens.labels import CUE_TAGS, LABELS

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

__all__ = ["BUNDLED", "Bundle", "BundleConfig", "find_bundle"]

#: The name of the model that ships with the package.
BUNDLED = "bundled"
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


@dataclass(frozen=True)
class Bundle:
    """A checked model directory.

    Attributes:
        folder: where it lies.
        config: the settings that labelling needs.
    """

    folder: Path
    config: BundleConfig

    @property
    def graph(self) -> bytes:
        """The ONNX graph.

        Raises:
            ModelFormatError: the directory has none.
        """
        path = self.folder / "model.onnx"
        if not path.is_file():
            raise ModelFormatError(
                f"{self.folder} has no model.onnx; export it, or load the model with backend='torch'"
            )
        return path.read_bytes()

    @cached_property
    def digest(self) -> str:
        """SHA-256, as hexadecimal, over all that decides a label: config, tokeniser and weights."""
        total = hashlib.sha256()
        for name in _REQUIRED:
            with (self.folder / name).open("rb") as part:
                total.update(hashlib.file_digest(part, "sha256").digest())
        return total.hexdigest()

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

    def weights(self) -> dict[str, np.ndarray[Any, Any]]:
        """The weights by name, in the precision that they are stored in.

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


def find_bundle(model: str | Path = BUNDLED, revision: str | None = None) -> Bundle:
    """Find a model by ``bundled``, path or Hugging Face hub id.

    Args:
        model: a folder that exists is taken as such; anything else is a hub id.
        revision: branch, tag or commit on the hub.

    Raises:
        ModelNotFoundError: there is no such folder, and the hub has no such model or is out of reach.
        ModelFormatError: the folder holds something else than a framelens model.
    """
    if str(model) == BUNDLED:
        with as_file(files("framelens") / "bundled") as folder:
            return _open(Path(folder))
    folder = Path(model).expanduser()
    return _open(folder if folder.is_dir() else _download(str(model), revision))


def _download(hub_id: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "model.onnx", "model_card.md"]
    try:
        return Path(snapshot_download(hub_id, revision=revision, allow_patterns=patterns))
    except HFValidationError as error:
        raise ModelNotFoundError(f"{hub_id!r} is neither a folder nor a hub id") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelNotFoundError(
            f"no folder {hub_id!r}, and no such model could be had from the hub: {reason}"
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
