"""Labelled text for people: coloured in a terminal, or as an SVG or HTML file.

Colours are of the Okabe-Ito palette, which colour-blind readers tell apart; the label also stands
in words at the margin, so that nothing hangs on colour alone.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from framelens.labels import LABELS, Label
from framelens.prediction import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from framelens.prediction import LabelledDocument, LabelledSentence, Prediction, Profile

__all__ = [
    "LABEL_WORDS",
    "PICTURE_WIDTH",
    "profile_line",
    "render_document",
    "render_sentences",
    "to_html",
    "to_svg",
]

LABEL_WORDS = {
    Label.STATE_MEDIA_FRAMING: "state-media framing",
    Label.INDEPENDENT_REPORTING: "independent reporting",
    Label.HEDGED_CLAIM: "hedged claim",
}
_MARGIN = {
    Label.STATE_MEDIA_FRAMING: "state",
    Label.INDEPENDENT_REPORTING: "independent",
    Label.HEDGED_CLAIM: "hedged",
}
_COLOURS = {
    Label.STATE_MEDIA_FRAMING: "#d55e00",
    Label.INDEPENDENT_REPORTING: "default",
    Label.HEDGED_CLAIM: "#56b4e9",
}
PICTURE_WIDTH = 110
_LIGHT_ON_DARK = TerminalTheme(
    (24, 26, 31),
    (222, 222, 222),
    [
        (24, 26, 31),
        (213, 94, 0),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (204, 121, 167),
        (86, 180, 233),
        (222, 222, 222),
    ],
)


def render_document(document: LabelledDocument, title: str | None = None) -> RenderableType:
    """A document with its sentences coloured by label, evidence underlined, and its profile below.

    Paragraphs of the text stay apart.
    """
    parts: list[RenderableType] = []
    if title:
        parts.append(Text(title, style="bold"))
    parts.append(_table(document.sentences, document.text))
    parts.append(Text(profile_line(document.profile), style="bold"))
    return Group(*parts)


def render_sentences(sentences: Sequence[LabelledSentence]) -> RenderableType:
    """Sentences of a table, one below the other."""
    return _table(sentences, None)


def profile_line(profile: Profile) -> str:
    """One line: how many sentences, and the share of each label among the labelled ones."""
    n = profile.n_sentences
    line = f"{n} sentence{'' if n == 1 else 's'}"
    shares = profile.shares
    if shares:
        line += ": " + ", ".join(f"{shares[label]:.0%} {LABEL_WORDS[label]}" for label in LABELS)
    notes = []
    if profile.n_unlabelled:
        notes.append(f"{profile.n_unlabelled} not labelled")
    if profile.n_abstained:
        notes.append(f"{profile.n_abstained} uncertain")
    return f"{line} ({', '.join(notes)})" if notes else line


def to_svg(renderable: RenderableType, title: str) -> str:
    """A picture of the rendering, as a terminal of fixed width shows it."""
    svg = _recorded(renderable).export_svg(title=title, theme=_LIGHT_ON_DARK)
    # rich refers to a font on the web; a picture must not load anything.
    return re.sub(r"\s*@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)


def to_html(renderable: RenderableType) -> str:
    """A self-contained page of the rendering."""
    return _recorded(renderable).export_html(theme=_LIGHT_ON_DARK, inline_styles=True)


def _recorded(renderable: RenderableType) -> Console:
    console = Console(
        record=True, width=PICTURE_WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor",
        legacy_windows=False,
    )  # fmt: skip
    console.print(renderable)
    return console


def _table(sentences: Sequence[LabelledSentence], text: str | None) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    end = 0
    for sentence in sentences:
        if text is not None and end and text.count("\n", end, sentence.start) > 1:
            table.add_row()
        end = sentence.end
        table.add_row(*_row(sentence.prediction))
    return table


def _row(prediction: Prediction) -> tuple[Text, Text, Text]:
    label = prediction.label
    if label is None:
        words = {Status.NOT_APPLICABLE: "–", Status.EMPTY: "empty", Status.ERROR: "error"}
        shown = prediction.error or " ".join(prediction.text.split())
        return Text(words[prediction.status], style="dim"), Text(""), Text(shown, style="dim")
    colour = _COLOURS[label]
    body = Text(prediction.text, style=colour)
    for span in prediction.evidence:
        body.stylize("bold underline", span.start, span.end)
    if prediction.truncated:
        body.append(" […cut]", style="dim")
    margin = _MARGIN[label] + ("?" if prediction.abstained else "")
    # A line break inside a sentence is the file's, not the reader's; both are one character wide.
    body.plain = re.sub(r"[\r\n\t]", " ", body.plain)
    return Text(margin, style=colour), Text(f"{prediction.probability:.2f}", style="dim"), body
