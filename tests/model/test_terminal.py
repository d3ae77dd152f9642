"""What people see: every sentence once, in words as well as colours, and nothing that a terminal obeys."""

from __future__ import annotations

import io
import re
import unicodedata
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from framelens import (
    CueKind,
    Evidence,
    FramingClassifier,
    Label,
    LabelledDocument,
    LabelledSentence,
    Prediction,
    Profile,
    Status,
)
from framelens.terminal import (
    PICTURE_WIDTH,
    profile_line,
    render_document,
    render_info,
    render_legend,
    render_sentences,
    to_html,
    to_svg,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

EXAMPLE = (Path(__file__).parents[2] / "model/framelens/data/example.md").read_text("utf-8")
STATE, PLAIN, HEDGED = Label
SURE = {STATE: 0.05, PLAIN: 0.05, HEDGED: 0.9}
COLOURS = {STATE: "#d55e00", HEDGED: "#56b4e9"}


@pytest.fixture(scope="module")
def example() -> LabelledDocument:
    return FramingClassifier(threads=1).label_document(EXAMPLE)


def recorded(renderable: RenderableType, width: int = 80) -> Console:
    console = Console(
        record=True,
        width=width,
        height=25,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
    )
    console.print(renderable)
    return console


def plain(renderable: RenderableType, width: int = 80) -> str:
    return recorded(renderable, width).export_text()


def styled(renderable: RenderableType, width: int = 80) -> str:
    return recorded(renderable, width).export_text(styles=True)


def colours(renderable: RenderableType) -> set[str]:
    """The colours as they were meant: rich keeps the escape codes of whichever terminal came first."""
    styles = [segment.style for segment in Console(file=io.StringIO()).render(renderable)]
    return {style.color.name for style in styles if style and style.color}


def one(prediction: Prediction) -> LabelledSentence:
    return LabelledSentence(0, 0, len(prediction.text), prediction)


def bodies(shown: str) -> str:
    return " ".join(line.split("│", 1)[1].strip() for line in shown.splitlines() if "│" in line)


@pytest.mark.parametrize("width", [60, 80, 104])
def test_every_sentence_stands_there_once_and_in_order(example: LabelledDocument, width: int) -> None:
    expected = " ".join(sentence.prediction.text for sentence in example.sentences)
    marks = str.maketrans("", "", "#*\n ")
    shown = plain(render_document(example), width)
    assert bodies(shown).translate(marks) == expected.translate(marks)
    assert all(len(line) <= width for line in shown.splitlines())
    assert not any(line.endswith(" ") for line in shown.splitlines() if "│" in line)


def test_label_and_probability_stand_in_words_at_the_margin(example: LabelledDocument) -> None:
    margins = [
        line.split("│")[0].split() for line in plain(render_document(example)).splitlines() if "│" in line
    ]
    words = {STATE: "state", PLAIN: "independent", HEDGED: "hedged"}
    expected = [
        ["–"] if p.label is None else [words[p.label], f"{p.probability:.2f}"]
        for p in (sentence.prediction for sentence in example.sentences)
    ]
    assert [margin for margin in margins if margin] == expected


def test_paragraphs_stay_apart(example: LabelledDocument) -> None:
    blank = sum(not line for line in plain(render_document(example)).splitlines())
    assert blank == len(re.findall(r"\n\n", EXAMPLE.strip())) + 1


def test_sentences_are_coloured_and_evidence_is_underlined(example: LabelledDocument) -> None:
    for sentence in example.sentences:
        prediction = sentence.prediction
        shown = styled(render_sentences([sentence]), 1000)
        underlined = re.findall(r"\x1b\[[\d;]*\b4\b[\d;]*m(.*?)\x1b", shown)
        assert underlined == [prediction.text[e.start : e.end] for e in prediction.evidence]
        if prediction.label in COLOURS:
            assert COLOURS[prediction.label] in colours(render_sentences([sentence]))


def test_evidence_behind_line_ends_controls_and_spaces_is_still_where_it_was() -> None:
    text = "It\x07 was\r\n\r\n    done\x1b[31m, reportedly, at\tnight."
    start = text.index("reportedly")
    found = Prediction(text, HEDGED, SURE, (Evidence(start, start + 10, CueKind.HEDGE, 0.9),))
    shown = styled(render_sentences([one(found)]))
    assert re.findall(r"\x1b\[[\d;]*\b4\b[\d;]*m(.*?)\x1b", shown) == ["reportedly"]
    assert plain(render_sentences([one(found)])).endswith(
        "│ It\ufffd was done\ufffd[31m, reportedly, at night.\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "The [bold]so-called[/bold] vote [link=http://a.b]was held[/]",
        ":smile: was [/red] said",
        "<b>&amp;</b> \\[x]",
    ],
)
def test_markup_in_the_text_is_text(text: str) -> None:
    document = LabelledDocument(text, (one(Prediction(text, HEDGED, SURE)),))
    assert text in plain(render_document(document, f"[red]{text}"), 120)
    ET.fromstring(to_svg(render_document(document), text))
    assert text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in to_html(
        render_document(document), text
    )


TEXTS = st.text(st.characters(codec=None, exclude_categories=()), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(TEXTS, st.data())
def test_any_text_can_be_shown(text: str, data: Any) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    found = Prediction(text, HEDGED, SURE, (Evidence(start, end, CueKind.HEDGE, 0.5),))
    page = render_document(LabelledDocument(text, (one(found),)), title=text)
    for line in plain(page).splitlines():
        assert not any(unicodedata.category(char) in ("Cc", "Cs") for char in line)
    ET.fromstring(to_svg(page, text))
    to_html(page, text).encode()


def test_marks_of_markdown_at_the_ends_are_left_out() -> None:
    for text, shown in [
        ("## A dam is shut", "A dam is shut"),
        ("*Photo: A dam.*", "Photo: A dam."),
        ("**Bold words** and others", "Bold words** and others"),
        ("* an item", "* an item"),
        ("#1 of them", "#1 of them"),
        ("***", "***"),
        ("2 * 3 is 6", "2 * 3 is 6"),
    ]:
        assert bodies(plain(render_sentences([one(Prediction(text, HEDGED, SURE))]))) == shown


def test_flags_and_what_has_no_label_are_visible() -> None:
    found = [
        Prediction("Perhaps.", HEDGED, SURE, abstain_below=0.95, truncated=True),
        Prediction("By A. B.", None, status=Status.NOT_APPLICABLE),
        Prediction("", None, status=Status.EMPTY),
        Prediction("", None, status=Status.ERROR, error="expected a string, got null"),
    ]
    shown = plain(render_sentences([one(prediction) for prediction in found])).splitlines()
    assert [" ".join(line.split()) for line in shown] == [
        "hedged?0.90 │ Perhaps. […cut]",
        "– │ By A. B.",
        "empty │",
        "error │ expected a string, got null",
    ]


def test_profile_line() -> None:
    counts = {STATE: 11, PLAIN: 8, HEDGED: 5}
    line = "24 sentences: 46 % state-media framing, 33 % independent reporting, 21 % hedged claim"
    assert profile_line(Profile(24, counts, n_abstained=0, n_unlabelled=0)) == line
    assert profile_line(Profile(1026, counts, 3, 1002)).endswith(" (1,002 not labelled, 3 uncertain)")
    nothing = dict.fromkeys(Label, 0)
    assert profile_line(Profile(1, nothing, 0, 1)) == "1 sentence (1 not labelled)"
    assert profile_line(Profile(0, nothing, 0, 0)) == "0 sentences"


def test_a_picture_hangs_on_no_terminal(example: LabelledDocument, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    for term in ("xterm-256color", "dumb"):
        monkeypatch.setenv("TERM", term)
        drawn.append(to_html(render_document(example), "t"))
    assert drawn[0] == drawn[1]


def test_a_picture_is_well_formed_and_loads_nothing(example: LabelledDocument) -> None:
    svg = to_svg(render_document(example), "An <example> & more")
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert re.findall(r"https?://[^\"' ]*", svg) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"url\((?!#)|@import|<image|href|<script", svg)
    html = to_html(render_document(example), "An <example> & more")
    assert "http" not in html
    assert not re.search(r"url\(|@import|<img|<link|<script|href|src=", html)
    assert "<title>An &lt;example&gt; &amp; more</title>" in html
    for picture in (svg, html):
        assert "underline" in picture
        assert "#56b4e9" in picture


def test_profile_and_legend_fit_on_a_line_of_a_picture(example: LabelledDocument) -> None:
    assert len(profile_line(example.profile)) <= PICTURE_WIDTH
    assert len(render_legend().plain) <= 80


def test_info_of_a_measured_and_an_unmeasured_model() -> None:
    content: dict[str, Any] = {
        "versions": {"python": "3.11.7"}, "model": "[x]", "model_digest": "ab" * 32, "labels": list(Label),
        "context_sentences": 2, "max_tokens": 256, "quality": None,
    }  # fmt: skip
    assert "nothing has been measured" in plain(render_info(content), 100)
    scores = [{"value": 0.8123, "low": 0.75, "high": 0.86}, {"value": None, "low": None, "high": None}]
    subsets = [{"subset": n, "macro_f1": s} for n, s in zip(("all", "natural"), scores, strict=True)]
    content["quality"] = {
        "note": "Judged by models.",
        "reports": {
            "dev": {
                "data": {"n_labelled": 2000, "n_articles": 300},
                "systems": [{"name": "framelens", "subsets": subsets}],
            }
        },
    }
    shown = plain(render_info(content), 100)
    for part in ("0.812 [0.750, 0.860]", "n/a", "2,000 sentences, 300 articles", "Judged by models.", "[x]"):
        assert part in shown
