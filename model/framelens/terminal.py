"""Labelled text for people: coloured in a terminal, or as an SVG or HTML file.

Colours are of the Okabe-Ito palette, which colour-blind readers tell apart; the label also stands
in words at the margin, so that nothing hangs on colour alone.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.table import Table
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from framelens.labels import LABELS, Label
from framelens.prediction import Status

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import ConsoleOptions, RenderableType, RenderResult

    from framelens.prediction import LabelledDocument, LabelledSentence, Prediction, Profile

__all__ = [
    "LABEL_WORDS",
    "PICTURE_WIDTH",
    "profile_line",
    "render_document",
    "render_info",
    "render_legend",
    "render_profile",
    "render_sentences",
    "to_html",
    "to_svg",
]

LABEL_WORDS = {
    Label.STATE_MEDIA_FRAMING: "state-media framing",
    Label.INDEPENDENT_REPORTING: "independent reporting",
    Label.HEDGED_CLAIM: "hedged claim",
}
#: Columns of a picture or text file, and the most that is used of a terminal: longer lines read badly.
PICTURE_WIDTH = 104
_PICTURE_HEIGHT = 25
_MARGIN = {
    Label.STATE_MEDIA_FRAMING: "state",
    Label.INDEPENDENT_REPORTING: "independent",
    Label.HEDGED_CLAIM: "hedged",
}
_UNLABELLED = {Status.NOT_APPLICABLE: "–", Status.EMPTY: "empty", Status.ERROR: "error"}
_COLOURS = {
    Label.STATE_MEDIA_FRAMING: "#d55e00",
    Label.INDEPENDENT_REPORTING: "default",
    Label.HEDGED_CLAIM: "#56b4e9",
}
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
#: What must not reach a terminal, which would obey it, nor XML, which cannot hold it.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
#: Marks of Markdown around a sentence: a heading's, or emphasis that begins or ends there.
_MARKS = re.compile(r"(?P<heading>#{1,6} )?(?:[*_]{1,3}(?=[^\s*_]))?(?P<inner>.*?)(?:(?<=[^\s*_])[*_]{1,3})?")


def render_document(document: LabelledDocument, title: str | None = None) -> RenderableType:
    """A document with its sentences coloured by label, evidence underlined, and its profile below.

    Paragraphs of the text stay apart; marks of Markdown at the ends of a sentence are left out.
    """
    parts: list[RenderableType] = []
    if title:
        parts.append(Text(_printable(title), style="bold"))
        parts.append("")
    parts.append(_Sentences(document.sentences, document.text))
    parts.append("")
    parts.append(render_profile(document.profile))
    return Group(*parts)


def render_sentences(sentences: Sequence[LabelledSentence]) -> RenderableType:
    """Sentences of a table, one below the other."""
    return _Sentences(sentences)


def render_profile(profile: Profile) -> Text:
    """`profile_line` with every label in its colour."""
    line = Text(profile_line(profile), style="bold")
    for label, words in LABEL_WORDS.items():
        line.highlight_regex(rf"\d+ % {words}", _COLOURS[label])
    return line


def render_legend() -> Text:
    """What the marks of a rendering mean, on one line."""
    legend = Text("0.95 probability · ", style="dim")
    legend.append("underlined", style="underline")
    return legend.append(" evidence · ? uncertain · – not a statement of news")


def profile_line(profile: Profile) -> str:
    """One line: how many sentences, and the share of each label among the labelled ones."""
    n = profile.n_sentences
    line = f"{n:,} sentence{'' if n == 1 else 's'}"
    shares = profile.shares
    if shares:
        line += ": " + ", ".join(f"{100 * shares[label]:.0f} % {LABEL_WORDS[label]}" for label in LABELS)
    notes = []
    if profile.n_unlabelled:
        notes.append(f"{profile.n_unlabelled:,} not labelled")
    if profile.n_abstained:
        notes.append(f"{profile.n_abstained:,} uncertain")
    return f"{line} ({', '.join(notes)})" if notes else line


def to_svg(renderable: RenderableType, title: str) -> str:
    """A picture of the rendering, as a terminal of fixed width shows it."""
    svg = _recorded(renderable).export_svg(title=_printable(title), theme=_LIGHT_ON_DARK)
    # rich refers to a font on the web and to itself; a picture must not load anything.
    head, style, rest = svg.partition("</style>")
    return re.sub(r"\s*(@font-face\s*\{.*?\}|<!--.*?-->)", "", head, flags=re.DOTALL) + style + rest


def to_html(renderable: RenderableType, title: str) -> str:
    """A self-contained page of the rendering."""
    page = _recorded(renderable).export_html(theme=_LIGHT_ON_DARK, inline_styles=True)
    return page.replace("<head>", f"<head>\n<title>{escape(_printable(title))}</title>", 1)


def _recorded(renderable: RenderableType) -> Console:
    # With TERM=dumb, as under cron, rich would take 80 columns if it were not told the height as well.
    console = Console(
        record=True, width=PICTURE_WIDTH, height=_PICTURE_HEIGHT, file=io.StringIO(), force_terminal=True,
        color_system="truecolor", legacy_windows=False,
    )  # fmt: skip
    console.print(renderable)
    return console


class _Sentences:
    """Sentences one below the other, each behind its label, its probability and a coloured rule.

    Args:
        sentences: what is shown.
        text: the document that they are of; where it has an empty line, so has the rendering.
    """

    def __init__(self, sentences: Sequence[LabelledSentence], text: str | None = None) -> None:
        self._sentences = sentences
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        end = 0
        for sentence in self._sentences:
            if self._text is not None and end and self._text.count("\n", end, sentence.start) > 1:
                yield Text()
            end = sentence.end
            margin, rule, body = _parts(sentence.prediction)
            # Not a table: it would fill every line with spaces, which are copied with the text.
            for line in body.wrap(console, max(options.max_width - len(margin) - len(rule), 20)):
                line.rstrip()
                yield Text.assemble(margin, rule, line)
                margin = Text(" " * len(margin))


def _parts(prediction: Prediction) -> tuple[Text, Text, Text]:
    """What stands at the margin of a sentence's first line, the rule beside each line, and the sentence."""
    label = prediction.label
    if label is None:
        words, probability, style = _UNLABELLED[prediction.status], "", "dim"
    else:
        words, probability = _MARGIN[label], f"{prediction.probability:.2f}"
        style = _COLOURS[label]
    width = max(map(len, _MARGIN.values()))
    words = f"{words:>{width}}{'?' if prediction.abstained else ' '}"
    margin = Text.assemble((words, style), (f"{probability:>4}", "dim"))
    return margin, Text(" │ ", style=style), _body(prediction, style)


def _body(prediction: Prediction, style: str) -> Text:
    body = Text(_printable(prediction.error or prediction.text), style=style)
    for span in prediction.evidence:
        # What precedes a span tells where it lies, once spaces have been joined.
        start, end = (len(_printable(prediction.text[:offset])) for offset in (span.start, span.end))
        body.stylize("bold underline", start, end)
    marks = _MARKS.fullmatch(body.plain)
    if marks and marks["inner"]:
        body = body[marks.start("inner") : marks.end("inner")]
        if marks["heading"]:
            body.stylize("bold")
    if prediction.truncated:
        body.append(" […cut]", style="dim")
    return body


def _printable(text: str) -> str:
    """The text on one line, without what controls a terminal."""
    return re.sub(r"\s+", " ", _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text))


def render_info(content: Mapping[str, Any]) -> RenderableType:
    """What ``framelens info`` shows: versions, the model, and its measured quality.

    Args:
        content: as the command builds it.
    """
    facts = Table.grid(padding=(0, 2))
    facts.add_row("model", Text(str(content["model"])))
    facts.add_row("digest", str(content["model_digest"]))
    facts.add_row("labels", ", ".join(content["labels"]))
    facts.add_row("reads", f"{content['max_tokens']} tokens, {content['context_sentences']} sentences before")
    facts.add_row("versions", ", ".join(f"{name} {number}" for name, number in content["versions"].items()))
    quality = content["quality"]
    if quality is None:
        return Group(facts, Text("\nnothing has been measured of this model", style="dim"))
    parts: list[RenderableType] = [facts]
    for split, report in quality["reports"].items():
        data = report["data"]
        size = f"{data['n_labelled']:,} sentences, {data['n_articles']:,} articles"
        parts.append(Text(f"\nmacro-F1 on {split}: {size}, 95 % intervals", style="bold"))
        parts.append(_quality_table(report))
    parts.append(Text(quality["note"], style="dim"))
    return Group(*parts)


def _quality_table(report: Mapping[str, Any]) -> Table:
    table = Table()
    subsets = [subset["subset"] for subset in report["systems"][0]["subsets"]]
    for name in ("system", *subsets):
        table.add_column(name)
    for system in report["systems"]:
        cells = []
        for subset in system["subsets"]:
            score = subset["macro_f1"]
            if score["value"] is None:
                cells.append("n/a")
            else:
                cells.append(f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]")
        table.add_row(Text(system["name"]), *(Text(cell) for cell in cells))
    return table
