"""What a report says, apart from how it looks: sections of text, tables, figures and examples.

One document is rendered twice, by `framelens_evaluation.reporting.html` and
`framelens_evaluation.reporting.markdown`, so that the page and the Markdown cannot differ in a figure.

Text in a document is plain, with two marks: ``**strong**`` and `` `code` ``. News text stands in
`Examples` alone, which only the page shows; so a report in Markdown can be published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Block",
    "Callout",
    "Cell",
    "Document",
    "Example",
    "Examples",
    "Figure",
    "Section",
    "Table",
    "Text",
    "Tone",
    "three_digits",
]

Tone = Literal["good", "warn", "bad", "note"]


def three_digits(value: float | None) -> str:
    """A figure as reports show it; "n/a" where it is not defined."""
    return "n/a" if value is None else f"{value:.3f}"


@dataclass(frozen=True, slots=True)
class Text:
    """One paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Callout:
    """A sentence that must not be overlooked.

    Attributes:
        text: what it says.
        tone: how good the news is.
    """

    text: str
    tone: Tone = "note"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table that is more than its text.

    Attributes:
        text: what is shown.
        sort: what the page sorts by; None takes the first number in the text, else the text.
        tone: how good the news is; colours the cell on the page.
    """

    text: str
    sort: float | None = None
    tone: Tone | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a header; the page can sort them by a column.

    Attributes:
        header: names of the columns.
        rows: each as long as the header; a plain value is shown by ``str``.
        caption: what the table shows.
        searchable: whether the page offers a field that narrows the rows down.
        folded_after: the page shows this many rows, and the others on demand; None shows all.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    caption: str = ""
    searchable: bool = False
    folded_after: int | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture, written as a file too.

    Attributes:
        name: of the file, without ``.svg``; lower case, digits and hyphens.
        svg: from `framelens_evaluation.reporting.figures.to_svg`.
        title: what it shows, in a few words.
        description: what a reader who cannot see it needs to know.
        caption: how to read it, below the picture.
        wide: whether it needs the page's whole width.
    """

    name: str
    svg: str
    title: str
    description: str
    caption: str = ""
    wide: bool = True


@dataclass(frozen=True, slots=True)
class Example:
    """A sentence with what was said of it.

    Attributes:
        text: the sentence.
        marks: [start, end) characters shown as evidence, with the name of their kind.
        facts: shown beside it, such as the gold label; also what the page filters by.
        note: a remark; empty where there is none.
    """

    text: str
    marks: tuple[tuple[int, int, str], ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Examples:
    """Sentences, on the page alone.

    Attributes:
        items: in the order in which they are shown.
        caption: what they are.
        filters: names of facts that the page offers to filter by.
    """

    items: tuple[Example, ...]
    caption: str = ""
    filters: tuple[str, ...] = ()


Block: TypeAlias = Text | Callout | Table | Figure | Examples


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report.

    Attributes:
        title: unique in its document.
        blocks: in order.
    """

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A report.

    Attributes:
        title: its heading.
        lead: what it is about, in a sentence or two.
        headline: the figures that matter most, as (value, what it is).
        sections: in order.
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    headline: tuple[tuple[str, str], ...] = ()

    @property
    def figures(self) -> tuple[Figure, ...]:
        """Every figure, in order."""
        return tuple(
            block for section in self.sections for block in section.blocks if isinstance(block, Figure)
        )
