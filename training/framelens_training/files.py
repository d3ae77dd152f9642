"""Writing what a run leaves behind."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["write_json"]


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people to read: indented, UTF-8, one line break at the end."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
