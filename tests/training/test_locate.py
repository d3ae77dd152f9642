"""Normalised texts, the way back from them, and finding a text again by its trace."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from framelens_training.locate import Column, View, Wanted, anchor, find, normalised, trace

TEXTS = st.text(max_size=80)
WORDS = st.text(alphabet=st.characters(categories=["L", "N"]), min_size=1, max_size=9).filter(normalised)
MARKS = st.text(alphabet=" \t\n.,;:!?\"'“”‘’()[]—–-…%", max_size=4)
HARBOUR = "The harbour was closed on Monday. It opened again on Tuesday, the mayor said. Nobody was hurt."
OPENED = "It opened again on Tuesday, the mayor said."


def wanted(text: str, context: str | None = None, record: int | None = None) -> Wanted:
    return Wanted(anchor(text), trace(text), trace(context) if context else None, record)


def one(text: str, *strings: str, context: str | None = None) -> tuple[str, str | None] | None:
    column = Column(strings, range(len(strings)))
    found = find([wanted(text, context)], [column]).get(0)
    return (found.text, found.context) if found else None


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("It opened “again”.", 'IT  OPENED\n"again"!'),
        ("The U.S.-led talks", "the US led talks"),
        ("a café in Orléans", "a cafe\u0301 in Orle\u0301ans"),
        ("the oﬃce", "the office"),
        ("Straße 5", "STRASSE 5"),
        ("President Oduya said", "PresidentOduya said"),
    ],
)
def test_spellings_of_the_same_words_are_equal(text: str, other: str) -> None:
    assert normalised(text) == normalised(other)
    assert trace(text) == trace(other)


def test_other_words_are_not_equal() -> None:
    assert trace(OPENED) != trace(OPENED.replace("Tuesday", "Thursday"))


def test_a_text_without_words_has_no_trace() -> None:
    with pytest.raises(ValueError, match="length"):
        trace(" … !")


@given(TEXTS, TEXTS)
def test_a_text_is_normalised_alike_alone_and_in_any_surroundings(text: str, other: str) -> None:
    assert normalised(text + other) == normalised(text) + normalised(other)


@given(TEXTS)
@example("ﬃ ﬃx İx ŉ ㎏ 𝔘𝔫𝔦")
def test_every_normalised_character_leads_back_to_one_that_gives_it(text: str) -> None:
    view = View(text)
    assert view.normal == normalised(text)
    places = [view.place(at) for at in range(len(view.normal))]
    assert places == sorted(places)
    for at, place in enumerate(places):
        assert view.normal[at] in normalised(text[place])


@given(TEXTS, st.data())
def test_spans_come_back_without_the_marks_around_them(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    view = View(text)
    begin, stop = view.normal_span(start, end)
    assert view.normal[begin:stop] == normalised(text[start:end])
    if begin < stop:
        found = view.span(begin, stop)
        assert start <= found[0] < found[1] <= end
        assert normalised(text[slice(*found)]) == normalised(text[start:end])


def test_a_sentence_is_found_with_its_punctuation_and_its_context() -> None:
    assert one(OPENED, HARBOUR, context="The harbour was closed on Monday.") == (
        "It opened again on Tuesday, the mayor said.",
        "The harbour was closed on Monday.",
    )


@pytest.mark.parametrize(
    ("sentence", "file", "restored"),
    [
        ("We stay", 'She wrote: "We stay!" Then she left.', '"We stay!"'),
        ("We stay", "She wrote: “We stay (for now … we stay)”. Then", "“We stay"),
        ("We stay", "… he left.“We stay.”The end.", "“We stay.”"),
        ("We stay", "They go.We stay.They go.", "We stay."),
        ("We stay.", "They go.\r\n  We\u00a0stay .\r\nThey go.", "We stay ."),
        ("We stay.", "They go. We stay ... They go.", "We stay ..."),
        ("We stay", "They go. We stay — they go.", "We stay"),
        ("We stay", "«We stay», they say.", "«We stay»,"),
        ("We stay", "They go. 'We stay?' They go.", "'We stay?'"),
        ("costs 5 %", "It costs 5%. Yes.", "costs 5%."),
    ],
)
def test_punctuation_is_that_of_the_file(sentence: str, file: str, restored: str) -> None:
    assert one(sentence, file) == (restored, None)


def test_sentences_of_a_context_that_were_glued_together_are_parted() -> None:
    file = "The quay is dry.“It is,” she said.“Very.”The U.S.Navy left. Nobody knows."
    context = "The quay is dry. “It is,” she said. “Very.” The U.S.Navy left."
    assert one("Nobody knows.", file, context=context) == ("Nobody knows.", context)


def test_another_context_is_not_restored_and_the_sentence_is() -> None:
    assert one(OPENED, HARBOUR, context="The harbour was open on Monday.") == (OPENED, None)
    assert one(OPENED, OPENED, context="The harbour was closed on Monday.") == (OPENED, None)


@pytest.mark.parametrize(
    "changed",
    [
        HARBOUR.replace("Tuesday", "Thursday"),
        HARBOUR.replace("opened again", "opened"),
        HARBOUR.replace("said", "says"),
        HARBOUR[:60],
        "",
    ],
)
def test_a_sentence_that_was_changed_is_not_found(changed: str) -> None:
    assert one(OPENED, changed) is None


def test_the_place_with_the_context_comes_before_the_record_and_the_record_before_the_order() -> None:
    strings = ["It rains.", "It rains!", "No news. It rains?", "It rains …"]

    def place(record: int | None = None, context: str | None = None) -> int:
        found = find([wanted("It rains", context, record)], [Column(strings, range(4))])
        return [string.removeprefix("No news. ") for string in strings].index(found[0].text)

    assert place() == 0
    assert [place(record) for record in (0, 1, 3, 90)] == [0, 1, 3, 3]
    assert place(0, "No news.") == 2
    assert place(1, "Old news.") == 1


def test_short_sentences_and_long_ones_are_found_in_one_pass() -> None:
    file = "Yes. No, never. " + HARBOUR
    asked = ["Yes.", "No, never.", "Nobody was hurt.", OPENED]
    found = find([wanted(text) for text in asked], [Column([file], [0])])
    assert [found[index].text for index in range(4)] == asked


@given(st.lists(st.tuples(WORDS, MARKS), min_size=1, max_size=12), TEXTS, TEXTS)
def test_any_text_is_found_again_in_any_text(pieces: list[tuple[str, str]], before: str, after: str) -> None:
    text = "".join(word + (marks or " ") for word, marks in pieces)
    found = one(text, f"{before}\n{text}\n{after}")
    assert found is not None
    assert normalised(found[0]) == normalised(text)
    assert found[0] == found[0].strip()
    assert not re.search(r"\s\s|[^\S ]", found[0])


@given(WORDS, WORDS, WORDS)
def test_a_text_is_found_decomposed_and_in_capitals(one_word: str, two: str, three: str) -> None:
    text = f"{one_word} {two}, {three}."
    other = unicodedata.normalize("NFD", text)
    found = one(text, f"x y. {other}")
    assert found is not None
    assert normalised(found[0]) == normalised(text)
