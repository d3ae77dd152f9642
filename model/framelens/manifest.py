"""The manifest of a run: enough to say in a paper's methods section what was done."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.decoding import STDIN
from framelens.fingerprint import file_digest
from framelens.labels import LABELS
from framelens.storage import key_of, public
from framelens.writers import replacing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens.corpus import Counts

__all__ = ["build_manifest", "describe_inputs", "versions", "write_manifest"]

SCHEMA_VERSION = 1
_PACKAGES = ("framelens", "onnxruntime", "tokenizers", "nupunkt", "numpy", "pyarrow", "torch", "transformers")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a label; absent ones are left out."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe_inputs(names: Sequence[str]) -> list[dict[str, str | None]]:
    """Name and SHA-256 of each input, in their order; standard input and unreadable files have no digest.

    Args:
        names: of files, or ``-``.
    """
    digests = (None if name == STDIN else file_digest(name) for name in names)
    return [
        {"name": Path(key_of(name)).name, "sha256": digest}
        for name, digest in zip(names, digests, strict=True)
    ]


def build_manifest(
    *,
    arguments: dict[str, Any],
    model_digest: str,
    inputs: Sequence[dict[str, Any]],
    counts: Counts,
    seconds: float,
    skipped: Sequence[str] = (),
) -> dict[str, Any]:
    """The manifest as plain JSON types.

    Args:
        arguments: what the run was asked to do; names of objects lose their credentials and options.
        model_digest: see `framelens.bundle.Bundle.digest`.
        inputs: from `describe_inputs`.
        counts: what was met.
        seconds: wall time of the labelling.
        skipped: files of folders and patterns that were not read.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "arguments": {name: _without_secrets(value) for name, value in arguments.items()},
        "model_digest": model_digest,
        "label_order": [str(label) for label in LABELS],
        "inputs": list(inputs),
        "skipped": {"files": len(skipped), "names": list(skipped)},
        **counts.to_dict(),
        "wall_seconds": round(seconds, 3),
        "sentences_per_second": round(counts.sentences / seconds, 1) if seconds else None,
        "versions": versions(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
    }


def _without_secrets(value: Any) -> Any:
    """An argument as it may be told; names of objects hold credentials."""
    if isinstance(value, (list, tuple)):
        return [_without_secrets(entry) for entry in value]
    return public(value) if isinstance(value, str) else value


def write_manifest(manifest: dict[str, Any], output: Path) -> Path:
    """Write a manifest beside an output file.

    Returns:
        Its path: the output's name with ``.manifest.json`` behind it.
    """
    path = output.with_name(f"{output.name}.manifest.json")
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    with replacing(path.resolve()) as stream:
        # A file's name need not be Unicode; Python's escape of such a byte is also JSON's.
        stream.write(text.encode(errors="backslashreplace"))
    return path
