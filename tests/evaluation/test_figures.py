"""Figures: the same data give the same picture, with a name, and none loads anything."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from framelens import LABELS
from framelens_evaluation.reporting.figures import INK, LABEL_COLOURS, LABEL_NAMES, MUTED, drawing, to_svg

SVG = "{http://www.w3.org/2000/svg}"


def draw(title: str = "Some dots", description: str = "Two dots.") -> str:
    with drawing(4, 2, ncols=2) as (figure, axes):
        for axis in axes:
            axis.plot([0, 1], [1, 0], "o", label="dots")
            axis.fill_between([0, 1], [0, 0], [1, 1], alpha=0.2)
            axis.legend()
        return to_svg(figure, title, description)


def test_the_same_data_give_the_same_picture() -> None:
    assert draw() == draw()


def test_it_has_a_name_and_a_description() -> None:
    root = ElementTree.fromstring(draw("Shares < 5 %", 'Of "all" & some.'))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert (title.text, description.text) == ("Shares < 5 %", 'Of "all" & some.')
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


def test_it_has_no_description_where_there_is_none() -> None:
    root = ElementTree.fromstring(draw(description=""))
    assert root.find(f"{SVG}desc") is None
    assert root.get("aria-labelledby") == "some-dots-title"


def test_it_fits_the_page_and_follows_its_colours() -> None:
    drawn = draw()
    root = ElementTree.fromstring(drawn)
    assert root.get("viewBox")
    assert root.get("width") is None
    assert root.get("height") is None
    assert "var(--ink" in drawn
    assert not re.search(rf"(?<!, )({INK}|{MUTED})", drawn)
    families = set(re.findall(r"font-family: ([^;\"]+)", drawn))
    assert families <= {"system-ui, sans-serif"}


def test_it_says_nothing_of_when_and_where_it_was_drawn() -> None:
    drawn = draw()
    assert "<metadata" not in drawn
    assert "<?xml" not in drawn
    assert "<!DOCTYPE" not in drawn
    assert {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"} >= set(
        re.findall(r"https?://[^\"]+", drawn)
    )


def test_ids_and_references_are_its_own() -> None:
    first, second = (ElementTree.fromstring(draw(title)) for title in ("One", "Another"))
    ids = [{each.get("id") for each in root.iter() if each.get("id")} for root in (first, second)]
    assert not ids[0] & ids[1]
    for root, own in zip((first, second), ids, strict=True):
        text = ElementTree.tostring(root, encoding="unicode")
        used = re.findall(r"url\(#([^)]+)\)", text) + re.findall(r'href="#([^"]+)"', text)
        assert used
        assert set(used) <= own


def test_settings_of_the_caller_are_left_alone() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    before = dict(matplotlib.rcParams)
    draw()
    assert dict(matplotlib.rcParams) == before


def test_every_label_has_a_colour_and_a_name_of_its_own() -> None:
    assert set(LABEL_COLOURS) == set(LABEL_NAMES) == set(LABELS)
    assert len(set(LABEL_COLOURS.values())) == len(set(LABEL_NAMES.values())) == 3


def test_names_from_data_are_no_formulas() -> None:
    with drawing(3, 2) as (figure, axes):
        axes.set_yticks([0, 1], ["pap$er $x_{", r"$\frac$"])
        drawn = to_svg(figure, "$x_{$", "")
    assert "pap$er $x_{" in drawn
    assert r"$\frac$" in drawn


def test_letters_that_the_font_lacks_are_kept_without_a_warning() -> None:
    with drawing(3, 2) as (figure, axes):
        axes.set_yticks([0, 1], ["人民日报", "தமிழ்"])
        drawn = to_svg(figure, "Names", "")
    assert "人民日报" in drawn
    assert "தமிழ்" in drawn
