"""The page: nothing of a report becomes markup, nothing is loaded, everything has a name."""

from __future__ import annotations

import re

import pytest

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
from framelens_evaluation.reporting.figures import drawing, to_svg
from framelens_evaluation.reporting.html import render_html

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)> & 'quoted' </style>"


def picture(name: str, title: str, description: str = "Two points.") -> Figure:
    with drawing(4, 2) as (figure, axes):
        axes.plot([0, 1], [1, 0], label=title[:20])
        axes.legend()
        return Figure(name, to_svg(figure, title, description), title, description, f"About {title}")


def document(*blocks, title: str = "A report", **more) -> Document:
    return Document(title, "What it is about.", (Section("First", tuple(blocks)),), **more)


@pytest.fixture
def page(check_page):
    """Renders blocks, and checks what holds for every page."""

    def rendered(*blocks, **more) -> str:
        found = render_html(document(*blocks, **more))
        check_page(found)
        return found

    return rendered


@pytest.mark.parametrize(
    "block",
    [
        Text(HOSTILE),
        Callout(HOSTILE, "bad"),
        Table((HOSTILE, "n"), ((HOSTILE, 1), (Cell(HOSTILE, 2.0, "good"), 2)), HOSTILE, searchable=True),
        Examples((Example(HOSTILE, ((2, 9, HOSTILE),), {HOSTILE: HOSTILE}, HOSTILE),), HOSTILE, (HOSTILE,)),
    ],
    ids=["text", "callout", "table", "examples"],
)
def test_what_is_shown_is_no_markup(page, block) -> None:
    rendered = page(block)
    assert "<script>alert" not in rendered
    assert "<img" not in rendered
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in rendered


def test_titles_are_no_markup(check_page) -> None:
    found = Document(HOSTILE, HOSTILE, (Section(HOSTILE, (Text("a"),)),), ((HOSTILE, HOSTILE),))
    rendered = render_html(found)
    check_page(rendered)
    assert "<img" not in rendered


def test_names_of_figures_are_no_markup(page) -> None:
    rendered = page(picture("one", HOSTILE, HOSTILE))
    assert "<img" not in rendered


def test_several_figures_share_no_id(page) -> None:
    rendered = page(picture("one", "First picture"), picture("two", "Second picture"))
    assert rendered.count("<svg") == 2
    assert "url(#" in rendered  # matplotlib clips by reference: the check above followed them


def test_marks_of_the_text_are_elements(page) -> None:
    rendered = page(Text("**Mind** the `gap`; 2 * 3 ** 2 stays."))
    assert "<p><strong>Mind</strong> the <code>gap</code>; 2 * 3 ** 2 stays.</p>" in rendered


def test_a_table_that_can_be_sorted_and_searched(page) -> None:
    rows = (
        ("b", "1,200", Cell("12.0 % [9.0, 15.0]", 0.12)),
        ("a", "30", "n/a"),
        ("c", "", Cell("7 %", 0.07)),
    )
    rendered = page(Table(("name", "n", "share"), rows, "Shares", searchable=True, folded_after=2))
    assert '<div class="table" data-fold="2">' in rendered
    assert re.search(r'<input class="search" type="search"[^>]* aria-label="Narrow down: Shares">', rendered)
    assert rendered.count('<th scope="col"') == 3
    assert '<th scope="col" class="number">n</th>' in rendered
    assert '<th scope="col">name</th>' in rendered
    assert '<td class="number" data-sort="0.12">' in rendered
    assert 'role="region" aria-label="Shares"' in rendered


def test_a_table_without_header_has_none(page) -> None:
    rendered = page(Table(("", ""), (("command", "`framelens-eval`"),)))
    assert "<thead>" not in rendered
    assert "<code>framelens-eval</code>" in rendered


def test_a_table_without_rows(page) -> None:
    assert "<tbody>" in page(Table(("a", "b"), ()))


def test_evidence_is_marked_by_its_kind(page) -> None:
    example = Example("Our glorious fleet reportedly won.", ((19, 29, "hedge_cue"), (4, 12, "state_cue")))
    rendered = page(Examples((example,)))
    assert (
        '<p>Our <mark class="state" title="state_cue">glorious</mark> fleet '
        '<mark class="hedge" title="hedge_cue">reportedly</mark> won.</p>'
    ) in rendered


def test_of_marks_that_overlap_the_first_stands(page) -> None:
    example = Example("abcdef", ((0, 4, "state_cue"), (2, 6, "hedge_cue"), (4, 6, "gold")))
    rendered = page(Examples((example,)))
    assert (
        '<mark class="state" title="state_cue">abcd</mark><mark class="other" title="gold">ef</mark>'
        in rendered
    )


def test_marks_of_no_character_are_left_out(page) -> None:
    rendered = page(Examples((Example("One two.", ((0, 0, "state_cue"), (5, 4, "a"), (-2, 3, "b")), {}),)))
    assert "<p>One two.</p>" in rendered


def test_marks_are_cut_before_they_are_escaped(page) -> None:
    rendered = page(Examples((Example("a & <b>", ((2, 5, "state_cue"),)),)))
    assert 'a <mark class="state" title="state_cue">&amp; &lt;</mark>b&gt;' in rendered


def test_sentences_can_be_filtered_by_what_they_are(page) -> None:
    items = tuple(Example(f"Sentence {at}.", facts={"label": "ab"[at % 2], "n": str(at)}) for at in range(3))
    rendered = page(Examples(items, "Some", filters=("label",)))
    assert '<select data-fact="label">' in rendered
    assert re.findall(r'<option value="(.+?)">(.*?)</option>', rendered) == [("a", "a"), ("b", "b")]
    assert '<output aria-live="polite">' in rendered
    assert rendered.count('<div data-fact="n">') == 3


def test_a_filter_s_value_is_the_fact_s_to_the_letter(page) -> None:
    # Without the attribute, a browser takes "River Post" from the text of this option, and finds nothing.
    rendered = page(Examples((Example("One.", facts={"outlet": "River  Post"}),), filters=("outlet",)))
    assert '<option value="River  Post">' in rendered


def test_no_sentences_offer_no_filter(page) -> None:
    assert "<form" not in page(Examples((), filters=("label",)))


def test_contents_lead_to_every_section(check_page) -> None:
    sections = tuple(Section(title, ()) for title in ("By outlet", "Über die Zeit", "n/a & more"))
    rendered = render_html(Document("A report", "Lead.", sections))
    check_page(rendered)
    assert len(re.findall(r'<li><a href="#', rendered)) == 3


def test_the_same_document_gives_the_same_page(page) -> None:
    assert page(picture("one", "A picture"), Text("a")) == page(picture("one", "A picture"), Text("a"))
