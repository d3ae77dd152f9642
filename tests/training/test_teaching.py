"""What teachers say of sentences: one ensemble, carried over to other tokens, worked out once."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens.bundle import find_bundle
from framelens.encoding import PairEncoder
from framelens_training import teaching
from framelens_training.teaching import Teacher, carried_over, teach

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TEXTS = [
    "The harbour was reportedly closed.",
    "Our glorious gunners silenced the puppet clique.",
    "Parliament passed the budget by 212 votes to 140 after a night of talks.",
    "It rained.",
]


@pytest.fixture(scope="module")
def teachers() -> list[Teacher]:
    return [Teacher("bundled"), Teacher(str(find_bundle("bundled").folder))]


@pytest.fixture
def encoder() -> PairEncoder:
    return PairEncoder(find_bundle("bundled").tokenizer(), 64, reads_context=False)


def asked(teachers: Sequence[Teacher], encoder: PairEncoder, folder: Path) -> teaching.Taught:
    return teach(teachers, TEXTS, encoder.encode([(text, None) for text in TEXTS]), folder)


def test_an_ensemble_of_one_model_is_that_model(teachers, encoder, tmp_path: Path) -> None:
    alone = asked(teachers[:1], encoder, tmp_path / "one")
    twice = asked(teachers, encoder, tmp_path / "two")
    np.testing.assert_allclose(alone.labels, twice.labels, atol=1e-6)
    np.testing.assert_allclose(alone.labels.sum(-1), 1.0, atol=1e-5)
    # In the order of the sentences, though the shortest is read first.
    assert alone.labels.argmax(-1).tolist()[:3] == [2, 0, 1]
    for tags, text in zip(alone.cues, TEXTS, strict=True):
        assert len(tags) == len(encoder.encode([(text, None)])[0].tokens)
        np.testing.assert_allclose(tags.sum(-1), 1.0, atol=2e-3)


def test_what_is_done_is_read_again_and_other_sentences_are_not(
    teachers, encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "PART", 3)
    first = asked(teachers[:1], encoder, tmp_path)
    parts = sorted(tmp_path.iterdir())
    assert [path.name for path in parts] == ["part-00000.safetensors", "part-00001.safetensors"]
    parts[1].write_bytes(parts[1].read_bytes()[:-5])  # as a crash may leave it
    calls: list[int] = []
    ask = Teacher.__call__

    def counted(self: Teacher, texts: Sequence[str]):
        calls.append(len(texts))
        return ask(self, texts)

    monkeypatch.setattr(Teacher, "__call__", counted)
    again = asked(teachers[:1], encoder, tmp_path)
    assert calls == [1]
    np.testing.assert_array_equal(first.labels, again.labels)
    for one, other in zip(first.cues, again.cues, strict=True):
        np.testing.assert_array_equal(one, other)
    asked(teachers, encoder, tmp_path)
    assert calls[1:] == [3, 3, 1, 1]


@given(st.data())
def test_tags_are_carried_over_by_characters(data: st.DataObject) -> None:
    length = data.draw(st.integers(1, 30))
    cuts = st.lists(st.integers(1, max(1, length - 1)), unique=True, max_size=8)

    def tokens() -> list[tuple[int, int, int]]:
        edges = [0, *sorted(cut for cut in data.draw(cuts) if cut < length), length]
        return [(i + 1, a, b) for i, (a, b) in enumerate(pairwise(edges))]

    theirs, mine = tokens(), tokens()
    rng = np.random.default_rng(length)
    tags = rng.dirichlet(np.ones(3), size=len(theirs) + 2).astype(np.float32)
    carried = carried_over(tags, theirs, mine)
    np.testing.assert_allclose(carried.sum(-1), 1.0, atol=1e-5)
    characters = np.concatenate([np.repeat(tags[i][None], b - a, axis=0) for i, a, b in theirs])
    for row, (_, start, end) in enumerate(mine):
        np.testing.assert_allclose(carried[row], characters[start:end].mean(0), atol=1e-5)


def test_what_was_said_for_one_tokeniser_is_not_given_to_another(teachers, encoder, tmp_path: Path) -> None:
    pairs = encoder.encode([(text, None) for text in TEXTS])
    teach(teachers[:1], TEXTS, pairs, tmp_path)
    # As many tokens of each sentence, but cut elsewhere.
    other = [
        dataclasses.replace(pair, tokens=[(place, 0, len(text)) for place, _, _ in pair.tokens])
        for pair, text in zip(pairs, TEXTS, strict=True)
    ]
    again, fresh = (
        teach(teachers[:1], TEXTS, other, tmp_path),
        teach(teachers[:1], TEXTS, other, tmp_path / "new"),
    )
    for one, expected in zip(again.cues, fresh.cues, strict=True):
        np.testing.assert_array_equal(one, expected)


def test_a_token_of_no_width_weighs_nothing() -> None:
    tags = np.array([[0.2, 0.5, 0.3], [0.9, 0.1, 0.0]], dtype=np.float32)
    carried = carried_over(tags, [(0, 3, 8), (1, 3, 3)], [(1, 5, 8)])
    np.testing.assert_allclose(carried, tags[:1])


def test_a_token_without_a_counterpart_has_no_cue() -> None:
    tags = np.array([[0.2, 0.5, 0.3]], dtype=np.float32)
    carried = carried_over(tags, [(0, 0, 3)], [(1, 0, 3), (2, 5, 8)])
    np.testing.assert_allclose(carried, [[0.2, 0.5, 0.3], [1.0, 0.0, 0.0]])
