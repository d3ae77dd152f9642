"""Writing a report: typed JSON, Markdown, one page, and the figures as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framelens import InputError
from framelens_evaluation.reporting.html import render_html
from framelens_evaluation.reporting.markdown import render_markdown

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from framelens_evaluation.reporting.document import Document

__all__ = ["write_outputs"]


def write_outputs(result: BaseModel, document: Document, folder: Path) -> Path:
    """Write ``report.json``, ``report.md``, ``report.html`` and ``figures/*.svg`` into a folder.

    Args:
        result: the typed result; its JSON is the machine's copy.
        document: the same for reading.
        folder: made if need be.

    Returns:
        The path of ``report.html``.

    Raises:
        InputError: the folder cannot be written.
        MissingExtraError: jinja2 is not installed.
    """
    page = folder / "report.html"
    texts = {
        folder / "report.json": result.model_dump_json(indent=2) + "\n",
        folder / "report.md": render_markdown(document),
        page: render_html(document),
    }
    texts |= {folder / "figures" / f"{figure.name}.svg": figure.svg + "\n" for figure in document.figures}
    try:
        # A report that was here before may have had figures that this one has not.
        for old in (folder / "figures").glob("*.svg"):
            if old not in texts:
                old.unlink()
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the report into {folder}: {error.strerror}") from error
    return page
