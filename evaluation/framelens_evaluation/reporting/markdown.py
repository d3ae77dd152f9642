"""A document as Markdown that can be published: figures by file name, and no news text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from framelens_evaluation.reporting.document import Callout, Examples, Figure, Table, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from framelens_evaluation.reporting.document import Block, Document

__all__ = ["render_markdown", "table"]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a ``|`` in a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines) + "\n"


def render_markdown(document: Document, figures: str = "figures") -> str:
    """The document.

    Args:
        document: what to render.
        figures: folder of the figures' files, relative to that of the text.
    """
    parts = [f"# {_plain(document.title)}\n", f"{_plain(document.lead)}\n"]
    if document.headline:
        lines = (f"- **{_plain(value)}** {_plain(name)}" for value, name in document.headline)
        parts.append("\n".join(lines) + "\n")
    for section in document.sections:
        parts.append(f"## {_plain(section.title)}\n")
        parts += [text for block in section.blocks if (text := _block(block, figures))]
    return "\n".join(parts)


def _block(block: Block, figures: str) -> str:
    match block:
        case Text():
            return f"{_plain(block.text)}\n"
        case Callout():
            return f"> {_plain(block.text)}\n"
        case Table():
            caption = f"{_plain(block.caption)}\n\n" if block.caption else ""
            return caption + table(block.header, block.rows)
        case Figure():
            caption = f"\n{_plain(block.caption)}\n" if block.caption else ""
            shown = f"{_plain(block.title)}. {_plain(block.description)}"
            return f"![{shown}]({figures}/{block.name}.svg)\n{caption}"
        case Examples():
            return ""


def _cell(value: object) -> str:
    return _plain(str(value).replace("|", "\\|").replace("\n", " "))


def _plain(text: str) -> str:
    """Text in which data, such as the name of an outlet, become no elements; ``<0.001`` is none."""
    # Code between marks is shown as it is.
    return re.sub(r"`[^`]*`|<(?=[A-Za-z/!?])", lambda found: "&lt;" if found[0] == "<" else found[0], text)
