"""Near-duplicates: found as by comparing all pairs, settled by who read them, contrasts left alone."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens_training.duplicates import THRESHOLD, Duplicate, near_duplicates, normalised, settle, shingles

STATE, INDEPENDENT, HEDGED = "state_media_framing", "independent_reporting", "hedged_claim"
TUG = "The tug Halvard towed the burning tanker out of the inner harbour before the second explosion."
#: The same but for a word at the end.
TUG_AGAIN = TUG.replace("explosion", "blast")
FERRY = "Passengers of the night ferry waited until noon for the fog above the strait to lift."


def jaccard(one: str, other: str) -> float:
    """The definition, on lists of 5-grams that a loop makes."""

    def grams(text: str) -> set[str]:
        letters = normalised(text)
        return {letters[i : i + 5] for i in range(max(1, len(letters) - 4))}

    first, second = grams(one), grams(other)
    return len(first & second) / len(first | second)


def test_the_examples_are_what_they_are_said_to_be() -> None:
    assert THRESHOLD <= jaccard(TUG, TUG_AGAIN) < 1
    assert jaccard(TUG, FERRY) < 0.1


def test_every_text_is_told_the_earlier_ones_that_it_repeats() -> None:
    texts = [TUG, FERRY, TUG_AGAIN, f"“{TUG.upper()}”", FERRY, TUG_AGAIN]
    assert near_duplicates(texts) == [(), (), (0,), (0, 2), (1,), (0, 2, 3)]
    assert near_duplicates([]) == []
    assert near_duplicates(["", "…", "a", "A!"]) == [(), (0,), (), (2,)]


WORDS = ("ferry", "harbour", "tanker", "minister", "blast", "reportedly")
TEXTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join)


@settings(max_examples=50, deadline=None)
@given(st.lists(TEXTS, max_size=12))
def test_agrees_with_comparing_all_pairs(texts: list[str]) -> None:
    found = near_duplicates(texts)
    for earlier, later in combinations(range(len(texts)), 2):
        similarity = jaccard(texts[earlier], texts[later])
        if earlier in found[later]:
            assert similarity >= THRESHOLD
        # The signatures may miss what is just at the threshold.
        elif similarity >= 0.85:
            pytest.fail(f"missed a pair of similarity {similarity}")


def test_pairs_at_the_threshold_are_hardly_ever_missed() -> None:
    # 300 pairs of random words of which every twelfth is another; 99.98 % are to be found.
    texts, expected = [], 0
    for number in range(300):
        words = [f"{number * 37 % 1009:x}{place * number:x}w{place}" for place in range(24)]
        other = [word if place % 12 else f"z{number}" for place, word in enumerate(words)]
        texts += [" ".join(words), " ".join(other)]
        expected += jaccard(*texts[-2:]) >= THRESHOLD
    found = near_duplicates(texts)
    assert expected == 300
    assert sum(2 * i in found[2 * i + 1] for i in range(300)) >= 299


@given(st.text(max_size=40))
def test_case_punctuation_and_spaces_do_not_count(text: str) -> None:
    spelt = f"  «{text}» !"
    assert shingles(spelt) == shingles(normalised(text))
    assert near_duplicates([text, spelt]) == [(), (0,)]


def row(text: str, label: str | None = INDEPENDENT, cue: str | None = None, **more: Any) -> dict[str, Any]:
    place = None if cue is None else [text.index(cue), text.index(cue) + len(cue)]
    return {"text": text, "label": label, "cue": place, "judges": 1, "sure": 1} | more


def gone(rows: list[dict[str, Any]], **more: Any) -> list[Duplicate]:
    return settle(rows, near_duplicates([each["text"] for each in rows]), range(len(rows)), **more)


def test_of_two_that_agree_the_first_stays_unless_the_other_stands_higher() -> None:
    assert gone([row(TUG), row(TUG), row(FERRY)]) == [Duplicate(1, 0, conflict=False, settled=True)]
    for better in ({"judges": 2, "sure": 0}, {"sure": 1}):
        rows = [row(TUG, sure=0), row(TUG_AGAIN, **better)]
        assert gone(rows) == [Duplicate(0, 1, conflict=False, settled=True)]


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        ({"judges": 2, "sure": 0}, {"judges": 1, "sure": 1}, 0),
        ({"judges": None, "sure": 1}, {"judges": 3, "sure": 0}, 1),
        ({"sure": 1}, {"sure": 0}, 0),
        ({"sure": None}, {"sure": 1}, 1),
        ({"sure": 1}, {"sure": 1}, None),
        ({"judges": None, "sure": None}, {"judges": 1, "sure": 0}, None),
    ],
)
def test_of_two_that_disagree_more_judges_win_then_the_surer_one_then_neither(
    first: dict[str, Any], second: dict[str, Any], winner: int | None
) -> None:
    found = gone([row(TUG, **first), row(TUG, STATE, **second)])
    assert all(each.conflict for each in found)
    if winner is None:
        assert [(each.index, each.settled) for each in found] == [(0, False), (1, False)]
    else:
        assert found == [Duplicate(1 - winner, winner, conflict=True, settled=True)]


def test_what_repeats_two_that_disagree_goes_with_them() -> None:
    found = gone([row(TUG), row(TUG, STATE), row(TUG_AGAIN), row(TUG_AGAIN, sure=0), row(FERRY)])
    assert [each.index for each in found] == [0, 1, 2, 3]
    assert not any(each.settled for each in found)
    # Unless more judges have read it.
    found = gone([row(TUG), row(TUG, STATE), row(TUG_AGAIN, judges=2)])
    assert [(each.index, each.other) for each in found] == [(0, 2), (1, 2)]


def test_of_two_that_disagree_with_equal_standing_neither_stays_also_among_several() -> None:
    middle = " ".join(
        f"{word}{place}" for place in range(3) for word in ("gale", "tug", "pier", "mast", "crew")
    )
    # The middle one is near to both others, and they are not near to each other.
    first, last = f"storm surge and hailstorm {middle}", f"{middle} were washed ashore later"
    assert jaccard(first, middle) >= THRESHOLD <= jaccard(middle, last)
    assert jaccard(first, last) < THRESHOLD
    for order in permutations([row(first), row(middle, STATE), row(last)]):
        assert [(each.index, each.settled) for each in gone(list(order))] == [
            (0, False),
            (1, False),
            (2, False),
        ]


def test_two_that_differ_in_the_deciding_cue_both_stay() -> None:
    hedged = TUG.replace("towed", "reportedly towed")
    assert jaccard(TUG, hedged) >= THRESHOLD
    assert gone([row(TUG), row(hedged, HEDGED, "reportedly")]) == []
    assert gone([row(hedged, HEDGED, "reportedly"), row(TUG)]) == []
    # The cue stands in both, so one of the two labels is wrong.
    assert len(gone([row(hedged), row(f"Later {hedged}", HEDGED, "reportedly")])) == 2
    # The same label: one of them teaches nothing new.
    assert len(gone([row(TUG, HEDGED), row(hedged, HEDGED, "reportedly")])) == 1


def test_pairs_that_are_meant_to_be_alike_stay_but_no_sentence_stays_twice() -> None:
    def together(one: dict[str, Any], other: dict[str, Any]) -> bool:
        return one["set"] == other["set"]

    rows = [row(TUG, set=1), row(TUG_AGAIN, set=1), row(TUG, set=1), row(TUG_AGAIN + "!", set=2)]
    assert [each.index for each in gone(rows, apart=together)] == [2, 3]


def test_only_the_rows_in_question_are_looked_at() -> None:
    rows = [row(TUG), row(TUG), row(TUG_AGAIN)]
    near = near_duplicates([each["text"] for each in rows])
    assert settle(rows, near, {1}) == []
    assert [(each.index, each.other) for each in settle(rows, near, {1, 2})] == [(2, 1)]


ROWS = st.builds(
    row,
    st.sampled_from([TUG, TUG_AGAIN, FERRY, TUG + " Nobody was hurt.", "Nobody was hurt."]),
    st.sampled_from([STATE, INDEPENDENT, None]),
    judges=st.integers(1, 2),
    sure=st.sampled_from([0, 1]),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(ROWS, max_size=10))
def test_no_two_that_stay_are_duplicates_and_what_goes_names_a_duplicate(rows: list[dict[str, Any]]) -> None:
    found = gone(rows)
    left = [i for i in range(len(rows)) if i not in {each.index for each in found}]
    assert not any(near_duplicates([rows[i]["text"] for i in left]))
    for each in found:
        assert jaccard(rows[each.index]["text"], rows[each.other]["text"]) >= THRESHOLD
        if each.settled and each.conflict:
            standing = [(rows[i]["judges"], rows[i]["sure"]) for i in (each.other, each.index)]
            assert standing[0] > standing[1]
    # Whether a sentence goes does not hang on what is far from it.
    assert [each.index for each in gone([*rows, row("Apples ripen late this year.")])] == [
        each.index for each in found
    ]
