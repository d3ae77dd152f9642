"""Choosing: shares, scores, turns, and what may stand beside what; by hand and by law."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from framelens.errors import InputError
from framelens_training.selection import (
    STRATA,
    Draft,
    Spread,
    counts_of,
    disagreement,
    few_of_each,
    queues,
    shares_of,
    take_turns,
    text_vectors,
    uncertainty,
)

SENTENCE = "The ferry to Nordholm left two hours late because fog had closed the outer harbour."


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


distributions = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 4), st.integers(1, 6), st.just(3)),
    elements=st.floats(0, 1, width=16),
).map(lambda raw: (raw + np.float32(1e-3)) / (raw + np.float32(1e-3)).sum(-1, keepdims=True))
group_arrays = hnp.arrays(np.int32, st.integers(1, 60), elements=st.integers(0, 5))


# ---------------------------------------------------------------- shares


@pytest.mark.parametrize(
    ("strategy", "given_shares", "models", "expected"),
    [
        ("random", {}, 1, (1, 0, 0, 0)),
        ("uncertain", {}, 1, (0, 1, 0, 0)),
        ("mixed", {}, 1, (0.4, 0.4, 0, 0.2)),
        ("mixed", {}, 2, (0.4, 0.2, 0.2, 0.2)),
        ("mixed", {"uncertain": 0.3}, 1, (0.7, 0.3, 0, 0)),
        ("mixed", {"uncertain": 0.3, "natural": 0.1}, 1, (0.7, 0.3, 0, 0)),
        ("mixed", {"uncertain": 0.1, "disagreement": 0.2, "diverse": 0.7}, 2, (0, 0.1, 0.2, 0.7)),
    ],
)
def test_shares_leave_the_rest_to_chance(strategy, given_shares, models, expected) -> None:
    shares = shares_of(strategy, given_shares, models)
    assert tuple(shares) == STRATA
    assert tuple(shares.values()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("strategy", "given_shares", "models", "message"),
    [
        ("hardest", {}, 1, "got 'hardest'"),
        ("mixed", {"hard": 0.5}, 1, "got 'hard'"),
        ("random", {"uncertain": 0.5}, 1, "mixed alone"),
        ("mixed", {"uncertain": 0.7, "diverse": 0.5}, 1, "sum to at most 1"),
        ("mixed", {"uncertain": -0.1}, 1, "between 0 and 1"),
        ("disagreement", {}, 1, "several times"),
        ("mixed", {"disagreement": 0.1}, 1, "several times"),
    ],
)
def test_impossible_shares_are_refused(strategy, given_shares, models, message: str) -> None:
    with pytest.raises(InputError, match=message):
        shares_of(strategy, given_shares, models)


@given(parts=st.lists(st.integers(0, 100), min_size=4, max_size=4).filter(any), n=st.integers(1, 10_000))
def test_counts_sum_and_are_within_one_of_their_shares(parts: list[int], n: int) -> None:
    shares = {name: part / sum(parts) for name, part in zip(STRATA, parts, strict=True)}
    counts = counts_of(shares, n)
    assert sum(counts.values()) == n
    assert all(abs(counts[name] - share * n) < 1 for name, share in shares.items())


# ---------------------------------------------------------------- scores


def test_scores_by_hand() -> None:
    one = np.array([[[1, 0, 0], [0.5, 0.5, 0], [0.6, 0.3, 0.1]]], np.float32)
    assert uncertainty(one) == pytest.approx([0, 1, 0.7])
    assert disagreement(one) == pytest.approx([0, 0, 0], abs=1e-6)
    opposed = np.array([[[1, 0, 0], [0.5, 0.5, 0]], [[0, 1, 0], [0.5, 0.5, 0]]], np.float32)
    assert disagreement(opposed) == pytest.approx([1, 0])
    assert uncertainty(opposed) == pytest.approx([1, 1])


@given(probabilities=distributions)
def test_scores_keep_their_ranges_and_know_no_order_of_models(probabilities: np.ndarray) -> None:
    doubt, spread = uncertainty(probabilities), disagreement(probabilities)
    assert doubt.shape == spread.shape == probabilities.shape[1:2]
    assert ((doubt >= 0) & (doubt <= 1 + 1e-6)).all()
    assert ((spread >= 0) & (spread <= math.log2(len(probabilities)) + 1e-5)).all()
    assert disagreement(probabilities[::-1]) == pytest.approx(spread, abs=1e-5)
    assert disagreement(np.repeat(probabilities[:1], 3, axis=0)) == pytest.approx(0 * doubt, abs=1e-5)


# ---------------------------------------------------------------- turns


@given(articles=hnp.arrays(np.uint64, st.integers(1, 50), elements=st.integers(0, 8)), most=st.integers(1, 4))
def test_few_of_each_article_with_their_probability(articles: np.ndarray, most: int) -> None:
    drawn, probabilities = few_of_each(articles, most, rng())
    sizes = Counter(articles.tolist())
    assert Counter(articles[drawn].tolist()) == {name: min(n, most) for name, n in sizes.items()}
    assert np.array_equal(drawn, np.unique(drawn))
    expected = [min(1, most / sizes[name]) for name in articles[drawn].tolist()]
    assert probabilities == pytest.approx(expected)


def test_every_sentence_of_an_article_is_as_likely_to_stand_for_it() -> None:
    articles = np.array([1, 1, 1, 1, 2], np.uint64)
    seen = Counter(int(at) for seed in range(2000) for at in few_of_each(articles, 1, rng(seed))[0])
    assert seen.pop(4) == 2000
    # 500 each, standard deviation 19.
    assert all(abs(n - 500) < 90 for n in seen.values())


@given(groups=group_arrays, n=st.integers(1, 70), seed=st.integers(0, 9))
def test_groups_are_as_even_as_what_they_hold_allows(groups: np.ndarray, n: int, seed: int) -> None:
    taken = take_turns(queues(groups, None, rng(seed)), lambda _: True, n)
    assert len(taken) == len(set(taken)) == min(n, len(groups))
    sizes, got = Counter(groups.tolist()), Counter(groups[taken].tolist())
    open_groups = [got[name] for name, size in sizes.items() if got[name] < size]
    assert not open_groups or max(got.values()) <= min(open_groups) + 1
    assert taken == take_turns(queues(groups, None, rng(seed)), lambda _: True, n)


@given(groups=group_arrays, data=st.data())
def test_each_group_gives_its_highest_scores(groups: np.ndarray, data) -> None:
    scores = data.draw(hnp.arrays(np.float32, len(groups), elements=st.floats(0, 1, width=16)))
    taken = take_turns(queues(groups, scores, rng()), lambda _: True, data.draw(st.integers(1, 60)))
    for name in set(groups.tolist()):
        ours = scores[[at for at in taken if groups[at] == name]]
        left = scores[[at for at in range(len(groups)) if groups[at] == name and at not in taken]]
        assert (np.diff(ours) <= 0).all()
        assert not len(ours) or not len(left) or ours.min() >= left.max()


def test_a_group_whose_sentence_is_refused_gives_the_next_at_once() -> None:
    refused = {0, 1}
    assert take_turns([iter([0, 1, 2]), iter([3, 4])], lambda at: at not in refused, 3) == [2, 3, 4]


# ---------------------------------------------------------------- what may stand beside what


def test_a_draft_takes_nothing_twice_no_near_repeat_and_few_of_an_article() -> None:
    texts = [
        SENTENCE,
        SENTENCE.upper(),
        "On Monday " + SENTENCE,
        "Two sailors were hurt.",
        "Nobody else was on board.",
    ]
    draft = Draft(texts, ["a", "b", "c", "a", "a"], per_article=2)
    assert [draft.accept(at) for at in (0, 0, 1, 2, 3, 4)] == [True, False, False, False, True, False]
    assert draft.chosen == {0, 3}
    assert draft.n_repeats == 2


def unit(*rows: tuple[float, ...]) -> np.ndarray:
    vectors = np.array(rows, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def test_the_farthest_comes_first_by_hand() -> None:
    # Begun at 0 degrees; at 170 and 180 stand two that are far from it, but not from each other.
    angles = np.radians([0, 180, 170, 90])
    vectors = unit(*zip(np.cos(angles), np.sin(angles), strict=True), (0, 0))
    spread = Spread(vectors, unit((1, 0)))
    taken = []

    def accept(at: int) -> bool:
        spread.add(at)
        taken.append(at)
        return True

    take_turns(spread.queues(np.zeros(5, np.int32), rng()), accept, 5)
    assert taken == [1, 3, 2, 0]  # what has no direction is never offered
    assert [spread.offered[at] for at in taken] == pytest.approx(
        [2, 1, 1 - np.cos(np.radians(10)), 0], abs=1e-6
    )


@given(
    raw=hnp.arrays(
        np.float32, st.tuples(st.integers(2, 25), st.just(3)), elements=st.floats(-1, 1, width=16)
    ),
    n=st.integers(1, 25),
)
def test_nothing_left_is_farther_than_what_was_taken_last(raw: np.ndarray, n: int) -> None:
    vectors = unit(*raw.tolist())
    vectors[np.linalg.norm(raw, axis=1) < 1e-3] = 0
    spread = Spread(vectors, np.empty((0, 3), np.float32))

    def accept(at: int) -> bool:
        spread.add(at)
        return True

    taken = take_turns(spread.queues(np.zeros(len(vectors), np.int32), rng()), accept, n)
    for place, at in enumerate(taken):
        before = taken[:place]
        nearest = (1 - vectors[before] @ vectors[at]).min() if before else 2
        assert spread.offered[at] == pytest.approx(max(nearest, 0), abs=1e-5)
        left = [other for other in range(len(vectors)) if other not in taken and vectors[other].any()]
        assert (
            not before or not left or (1 - vectors[left] @ vectors[before].T).min(1).max() <= nearest + 1e-5
        )


def test_texts_become_directions_and_equal_texts_equal_ones() -> None:
    texts = ["Wheat prices fell in Tolvane.", "Wheat prices fell in Tolvane.", "A choir sang at the quay."]
    vectors = text_vectors(texts, 0)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    assert vectors[0] == pytest.approx(vectors[1])
    assert vectors[0] @ vectors[2] < 0.1


def test_many_texts_are_reduced_and_strange_ones_have_no_direction() -> None:
    words = [f"wort{i}" for i in range(90)]
    draw = rng(1)
    texts = [" ".join(draw.choice(words, 9)) for _ in range(900)] + ["qqq zzz xxx yyy"]
    vectors = text_vectors(texts, 0)
    assert vectors.shape == (901, 64)
    assert np.linalg.norm(vectors[:-1], axis=1) == pytest.approx(1, abs=1e-5)
    assert not vectors[-1].any()
    assert np.array_equal(vectors, text_vectors(texts, 0))
