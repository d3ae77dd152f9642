"""Writing what a run leaves behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["write_json", "write_lines"]


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people to read: indented, UTF-8, one line break at the end."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_lines(path: Path, entries: Iterable[Any]) -> None:
    """Write JSON, an entry a line."""
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(entry) + "\n" for entry in entries)
