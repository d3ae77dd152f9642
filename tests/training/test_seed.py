"""The seed set: how it is read, what it is measured by, and that the shipped one passes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens.errors import InputError
from framelens_training.seed import SHIPPED, SeedSentence, load_seed, read_seed, same_contrast_set
from framelens_training.seed_check import check_seed, distinct, pattern

if TYPE_CHECKING:
    from pathlib import Path

LINE = {
    "id": "s1",
    "text": "The harbour master of Elvik reportedly sold three pilot boats to a museum.",
    "context": "",
    "label": "hedged_claim",
    "rule": "H2",
    "cue": "reportedly",
    "country": "Norway",
    "topic": "economy",
    "set": "boats",
    "kind": "contrast",
}
FLAT = LINE | {"id": "s2", "text": LINE["text"].replace("reportedly ", ""), "cue": None} | {
    "label": "independent_reporting",
    "rule": "I",
}  # fmt: skip


def write(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def sentence(number: int, text: str, **more: Any) -> SeedSentence:
    return SeedSentence.model_validate(
        LINE | {"id": str(number), "text": text, "cue": None, "set": None} | more
    )


def test_a_written_sentence_becomes_a_judged_one(tmp_path: Path) -> None:
    hedged, flat, alone = load_seed(
        write(tmp_path / "seed.jsonl", LINE, FLAT, FLAT | {"id": "s3", "set": None})
    )
    assert hedged["text"][slice(*hedged["cue"])] == "reportedly"
    assert (flat["cue"], flat["rule"], flat["country"]) == (None, "I", "Norway")
    # Its contrast set is its article, so that no split parts the two.
    assert [row["article"] for row in (hedged, flat, alone)] == ["seed:boats", "seed:boats", "seed:s3"]
    assert same_contrast_set(hedged, flat)
    assert not same_contrast_set(hedged, alone)
    assert {row["outlet_id"] for row in (hedged, flat, alone)} == {"framelens_seed"}
    assert hedged["repo"] is hedged["commit"] is None


def test_sentences_of_one_article_of_news_are_no_contrast_set() -> None:
    assert not same_contrast_set({"article": "rt:1"}, {"article": "rt:1"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cue": "allegedly"}, "the cue 'allegedly' is no verbatim piece of sentence s1"),
        ({"cue": ""}, "cue: String should have at least 1 character"),
        ({"rule": "H3"}, "rule 'H3' and label 'hedged_claim'"),
        ({"label": "hedged"}, "rule 'H2' and label 'hedged'"),
        ({"rule": "I", "label": "independent_reporting"}, "rule I allows none"),
        ({"topik": "war"}, "topik: Extra inputs"),
        ({"topic": None}, "topic: Input should be a valid string"),
        ({"id": "s2"}, "the id 's2' stands in line 1 already"),
    ],
)
def test_a_line_that_is_none_is_refused_with_its_number(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        read_seed(write(tmp_path / "seed.jsonl", FLAT, LINE | change))
    assert "seed.jsonl, line 2: " in str(caught.value)
    assert words in str(caught.value)


def test_distinct_n_is_the_share_of_different_runs_of_words() -> None:
    texts = ["the dog saw the dog", "The cat"]
    assert distinct(texts, 1) == pytest.approx(4 / 7)  # the, dog, saw, cat
    assert distinct(texts, 2) == pytest.approx(4 / 5)  # the dog, dog saw, saw the, the cat
    assert distinct(texts, 3) == 1.0
    assert distinct(["one two"], 3) == 0.0


@given(st.lists(st.text("ab ", max_size=20), max_size=6), st.integers(1, 3))
def test_distinct_n_is_a_share_that_repetition_lowers(texts: list[str], n: int) -> None:
    once, twice = distinct(texts, n), distinct([*texts, *texts], n)
    assert 0 <= twice <= once <= 1
    assert twice == pytest.approx(once / 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Police in Oslo held 14 men.", "Police in Port Louis held 3 men."),
        ("On Monday Mr. Hale denied it.", "On Friday Mr. Ode denied it."),
        ("The St. John–Elvik ferry sank.", "The Tarn ferry sank."),
    ],
)
def test_a_pattern_hides_names_and_numbers_alone(one: str, other: str) -> None:
    assert pattern(one) == pattern(other)
    assert pattern(one) != pattern(one.replace(".", " again."))


def test_near_duplicates_and_patterns_count_outside_a_contrast_set_alone() -> None:
    base = "The coastguard of Elvik searched for 12 fishermen whose trawler had sunk in a storm off {}."
    found = check_seed(
        [
            sentence(1, base.format("Nordholm"), set="a"),
            sentence(2, base.format("Nordholm").replace("searched", "looked"), set="a"),
            sentence(3, base.format("Nordholm").replace("a storm", "the storm"), set="b"),
            sentence(4, "A new library opened in the east of Riga after nine years of work.", set="b"),
            sentence(5, "A new library opened in the east of Buenos Aires after 23 months of work."),
            sentence(6, "A new library opened in the east of Ulaanbaatar after 4 decades of work."),
        ]
    )
    assert set(found.near_duplicates) == {("1", "3"), ("2", "3")}
    # The decades are no years: what is left apart from names and numbers may differ a little, not much.
    assert ("5", "6") in found.same_pattern
    assert not set(found.near_duplicates) & set(found.same_pattern)
    assert found.repeated_openings == 1.0
    assert dict(found.openings) == {"the coastguard of": 3, "a new library": 3}


def test_a_set_short_of_a_bar_says_which() -> None:
    found = check_seed([sentence(1, LINE["text"]), sentence(2, LINE["text"])])
    assert found.out_of_bounds == [
        "sentences: 2, of at least 1,500",
        "countries: 1, of at least 25",
        "no sentence labelled state_media_framing or independent_reporting",
        "pairs of near-duplicates outside a contrast set: 1, of none",
    ]
    said = "\n".join(found.lines())
    assert "near-duplicates outside a contrast set: 100.0% of the sentences; pairs: 1; 1 and 2" in said
    assert said.count("FAILS: ") == 4
    assert list(check_seed([]).lines())


@pytest.mark.skipif(not SHIPPED.is_file(), reason="the seed set is not in this checkout")
def test_the_shipped_set_passes() -> None:
    sentences = read_seed()
    assert load_seed()
    assert check_seed(sentences).out_of_bounds == []
