"""A document as one self-contained page: nothing is loaded, and it reads on a phone and on paper."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from framelens import __version__
from framelens.errors import require
from framelens_evaluation.reporting.document import Cell

if TYPE_CHECKING:
    from framelens_evaluation.reporting.document import Document, Example, Examples, Table

__all__ = ["render_html"]

_TONES = {"good": "Good:", "warn": "Mind:", "bad": "Warning:", "note": "Note:"}
_NUMBER = re.compile(r"\s*(?:n/a|[<>≤≥]?\s*[-+−]?[\d.,]+(?:\s*%|\s*\[.*\]|\s*pp)*)\s*")


def render_html(document: Document) -> str:
    """The page.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    page: str = _template().render(
        document=document,
        style=_resource("page.css"),
        script=_resource("page.js"),
        tones=_TONES,
        version=__version__,
        cell=_cell,
    )
    return page


@cache
def _template() -> Any:
    jinja2 = require("jinja2", "eval")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters |= {
        "inline": _inline,
        "value": _cell_text,
        "kind": lambda block: type(block).__name__,
        "marked": _marked,
        "numbers": _number_columns,
        "slug": _slug,
        "values_of": _values_of,
    }
    return environment.from_string(_resource("page.html.jinja"))


def _resource(name: str) -> Any:
    """A file of ours, safe to be put into the page as it is."""
    content = (files("framelens_evaluation.reporting") / "templates" / name).read_text(encoding="utf-8")
    return content if name.endswith(".jinja") else _safe(content)


def _safe(html: str) -> Any:
    return require("markupsafe", "eval").Markup(html)


def _inline(text: object) -> Any:
    """``**strong**`` and `` `code` `` as elements, everything else escaped."""
    marked = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", escape(str(text)))
    return _safe(re.sub(r"`([^`]+)`", r"<code>\1</code>", marked))


def _cell_text(text: object) -> Any:
    """As `_inline`, with the interval behind a number set small, so that wide tables fit."""
    # As a plain string: one that is marked as safe would escape what is put in.
    plain = str(_inline(text))
    return _safe(re.sub(r"(?<=[\d%]) (\[[^\]]+\]|\([^)]* to [^)]*\))$", r" <small>\1</small>", plain))


def _slug(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _number_columns(table: Table) -> list[bool]:
    """Which columns hold numbers, so that they are set flush right."""
    columns = [[str(row[at]) for row in table.rows] for at in range(len(table.header))]
    return [any(cells) and all(_NUMBER.fullmatch(cell) or not cell for cell in cells) for cells in columns]


def _cell(value: object, is_number: bool) -> Any:
    classes = ["number"] if is_number else []
    sort = ""
    if isinstance(value, Cell):
        classes += [value.tone] if value.tone else []
        sort = "" if value.sort is None else f' data-sort="{value.sort}"'
    shown = f' class="{" ".join(classes)}"' if classes else ""
    return _safe(f"<td{shown}{sort}>{_cell_text(value)}</td>")


def _values_of(block: Examples, fact: str) -> list[str]:
    return sorted({example.facts[fact] for example in block.items if fact in example.facts})


def _marked(example: Example) -> Any:
    """The sentence with its evidence marked, but for marks that are empty or overlap an earlier one."""
    parts, at = [], 0
    for start, end, kind in sorted(example.marks):
        if start < at or end <= start:
            continue
        side = "state" if kind.startswith("state") else "hedge" if kind.startswith("hedge") else "other"
        parts += [
            escape(example.text[at:start]),
            f'<mark class="{side}" title="{escape(kind)}">{escape(example.text[start:end])}</mark>',
        ]
        at = end
    return _safe("".join([*parts, escape(example.text[at:])]))
