"""The manifest of a run: enough to say in a paper's methods section what was done."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.decoding import STDIN
from framelens.labels import LABELS

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
    """Name and SHA-256 of each input, in their order; standard input has no digest.

    Args:
        names: of files, or ``-``.
    """
    return [{"name": Path(name).name, "sha256": None if name == STDIN else _digest(name)} for name in names]


def build_manifest(
    *,
    arguments: dict[str, Any],
    model_digest: str,
    inputs: Sequence[dict[str, str | None]],
    counts: Counts,
    seconds: float,
) -> dict[str, Any]:
    """The manifest as plain JSON types.

    Args:
        arguments: what the run was asked to do.
        model_digest: see `framelens.bundle.Bundle.digest`.
        inputs: from `describe_inputs`.
        counts: what was met.
        seconds: wall time of the labelling.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "arguments": arguments,
        "model_digest": model_digest,
        "label_order": [str(label) for label in LABELS],
        "inputs": list(inputs),
        "records": counts.records,
        "sentences": counts.sentences,
        "labels": {str(label): counts.labels[str(label)] for label in LABELS},
        "statuses": dict(sorted(counts.statuses.items())),
        "truncated": counts.truncated,
        "abstained": counts.abstained,
        "wall_seconds": round(seconds, 3),
        "sentences_per_second": round(counts.sentences / seconds, 1) if seconds else None,
        "versions": versions(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
    }


def write_manifest(manifest: dict[str, Any], output: Path) -> Path:
    """Write a manifest beside an output file.

    Returns:
        Its path: the output's name with ``.manifest.json`` behind it.
    """
    path = output.with_name(f"{output.name}.manifest.json")
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    # A file's name need not be Unicode; Python's escape of such a byte is also JSON's.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _digest(name: str) -> str:
    with Path(name).open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
