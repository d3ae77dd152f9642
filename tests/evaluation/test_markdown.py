"""The Markdown: the page's figures without its news text, and what is written where."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from framelens import InputError
from framelens_evaluation.reporting.document import (
    Callout,
    Cell,
    Document,
    Example,
    Examples,
    Figure,
    Section,
    Table,
    Text,
)
from framelens_evaluation.reporting.markdown import render_markdown, table
from framelens_evaluation.reporting.output import write_outputs

if TYPE_CHECKING:
    from pathlib import Path

SVG = '<svg role="img" aria-labelledby="t d"><title id="t">Dots</title><desc id="d">One.</desc></svg>'


class Result(BaseModel):
    value: float


@pytest.fixture
def document() -> Document:
    blocks = (
        Text("A **strong** word."),
        Callout("Mind this.", "warn"),
        Table(("name", "share"), (("a|b", Cell("12.0 %", 0.12)), ("two\nlines", "n/a")), "Shares"),
        Figure("dots", SVG, "Dots", "One dot.", "How to read it."),
        Examples(
            (Example("A sentence of the news.", note="A remark on it.", facts={"label": "x"}),),
            "Some sentences",
        ),
    )
    return Document("A report", "What it is about.", (Section("First", blocks),), (("0.81", "macro-F1"),))


def test_data_become_no_elements_anywhere() -> None:
    hostile = "a <img src=x> and ` <script> b"
    blocks = (
        Text(hostile),
        Callout(hostile),
        Table((hostile,), ((hostile,),), hostile),
        Figure("dots", SVG, hostile, hostile, hostile),
    )
    text = render_markdown(Document(hostile, hostile, (Section(hostile, blocks),), ((hostile, hostile),)))
    assert not re.search("<(?:img|script)", text)
    assert text.count("&lt;img src=x>") == 13


def test_code_and_comparisons_stay_as_they_are() -> None:
    text = render_markdown(Document("t", "With `a<b>c`, p <0.001 and 3 < 4.", ()))
    assert "With `a<b>c`, p <0.001 and 3 < 4." in text


def test_every_block_but_the_sentences(document: Document) -> None:
    text = render_markdown(document)
    assert text.startswith("# A report\n\nWhat it is about.\n\n- **0.81** macro-F1\n\n## First\n")
    assert "A **strong** word." in text
    assert "> Mind this." in text
    assert "![Dots. One dot.](figures/dots.svg)\n\nHow to read it.\n" in text
    for part in ("A sentence of the news.", "A remark on it.", "Some sentences"):
        assert part not in text


def test_tables_keep_their_columns(document: Document) -> None:
    lines = [line for line in render_markdown(document).splitlines() if line.startswith("|")]
    assert lines == ["| name | share |", "| --- | --- |", "| a\\|b | 12.0 % |", "| two lines | n/a |"]
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in lines)


def test_markup_in_a_cell_is_none() -> None:
    assert "<b>" not in table(("name",), [["<b>Times</b>"]])
    assert "| <0.001 |" in table(("p",), [["<0.001"]])


def test_figures_may_lie_elsewhere(document: Document) -> None:
    assert "](docs/pictures/dots.svg)" in render_markdown(document, figures="docs/pictures")


def test_what_is_written(check_page, document: Document, tmp_path: Path) -> None:
    page = write_outputs(Result(value=0.81), document, tmp_path / "new" / "report")
    folder = tmp_path / "new" / "report"
    assert page == folder / "report.html"
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*")) == [
        "figures/dots.svg",
        "report.html",
        "report.json",
        "report.md",
    ]
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == {"value": 0.81}
    assert (folder / "figures" / "dots.svg").read_text(encoding="utf-8") == SVG + "\n"
    check_page(page.read_text(encoding="utf-8"))
    assert "A sentence of the news." in page.read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written(document: Document, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match="cannot write the report"):
        write_outputs(Result(value=1), document, tmp_path / "taken" / "report")
