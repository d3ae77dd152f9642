"""What ``framelens label`` noted beside its output."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from framelens_evaluation.corpus.report import ManifestSummary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["read_manifests"]

_SUFFIX = ".manifest.json"


def read_manifests(files: Sequence[Path]) -> tuple[ManifestSummary, ...]:
    """The manifests beside some files; a file without a readable one is left out."""
    found = []
    for path in files:
        manifest = path.with_name(f"{path.name}{_SUFFIX}")
        if manifest.is_file() and (content := _read(manifest)) is not None:
            found.append(_summary(path.name, content))
    return tuple(found)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _summary(name: str, content: dict[str, Any]) -> ManifestSummary:
    arguments, versions = _dict(content.get("arguments")), _dict(content.get("versions"))
    return ManifestSummary(
        name=name,
        model=_text(arguments.get("model")),
        model_digest=_text(content.get("model_digest")),
        version=_text(versions.get("framelens")),
        precision=_text(arguments.get("precision")),
        abstain_below=_number(arguments.get("abstain_below")),
        sentences=content["sentences"] if isinstance(content.get("sentences"), int) else None,
    )


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
