"""From sentences to tensors: tags by hand, padding, and what a context may never carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer

from framelens.encoding import PairEncoder
from framelens.labels import LABELS
from framelens_training.data import RULES
from framelens_training.features import (
    HEDGE_TAG,
    IGNORE,
    STATE_TAG,
    Collator,
    ContextDropout,
    cue_tags,
    sentence_features,
)

if TYPE_CHECKING:
    from pathlib import Path

STATE, INDEPENDENT, HEDGED = LABELS
#: "It has reportedly sunk." with its full stop; positions as behind a [CLS].
TOKENS = [(1, 0, 2), (2, 3, 6), (3, 7, 15), (4, 15, 17), (5, 18, 22), (6, 22, 23)]


@pytest.fixture
def encoder(tiny_base: Path) -> PairEncoder:
    return PairEncoder(Tokenizer.from_file(str(tiny_base / "tokenizer.json")), 64)


@pytest.fixture
def judged(rows: list[dict[str, Any]]) -> Dataset:
    """Every kind of row, some with a context."""
    return Dataset.from_list(
        [{k: row[k] for k in ("text", "context", "label", "rule", "cue")} for row in rows]
    )


@pytest.mark.parametrize(
    ("cue", "label", "expected"),
    [
        ((7, 17), HEDGED, [0, 0, HEDGE_TAG, HEDGE_TAG, 0, 0]),
        ((7, 17), STATE, [0, 0, STATE_TAG, STATE_TAG, 0, 0]),
        # A part of a token is enough; a border alone is not.
        ((16, 18), HEDGED, [0, 0, 0, HEDGE_TAG, 0, 0]),
        ((2, 3), STATE, [0, 0, 0, 0, 0, 0]),
        ((0, 23), STATE, [STATE_TAG] * 6),
        (None, INDEPENDENT, [0] * 6),
        (None, None, [IGNORE] * 6),
    ],
)
def test_cue_tags(cue: tuple[int, int] | None, label: str | None, expected: list[int]) -> None:
    assert cue_tags(TOKENS, cue, label) == expected


def test_targets_are_those_of_the_judges(judged: Dataset, encoder: PairEncoder) -> None:
    for row, feature in zip(judged, sentence_features(judged, encoder, context=True), strict=True):
        if row["label"] is None:
            assert (feature["label"], feature["rule"]) == (IGNORE, IGNORE)
            continue
        assert (LABELS[feature["label"]], RULES[feature["rule"]]) == (row["label"], row["rule"])
        tagged = [
            row["text"][s:e]
            for (_, s, e), tag in zip(feature["pair"].tokens, feature["tags"], strict=True)
            if tag
        ]
        if row["cue"] is None:
            assert tagged == []
        else:
            start, end = row["cue"]
            assert "".join(tagged) == row["text"][start:end].replace(" ", "")


@pytest.mark.parametrize("sure", [0, 1, None])
def test_a_sentence_weighs_less_only_where_its_judge_was_not_sure(
    sure: int | None, judged: Dataset, encoder: PairEncoder
) -> None:
    rows = [row | {"sure": sure} for row in judged]
    features = sentence_features(rows, encoder, context=False, unsure_weight=0.25)
    assert {feature["weight"] for feature in features} == {0.25 if sure == 0 else 1.0}
    assert {feature["weight"] for feature in sentence_features(judged, encoder, context=False)} == {1.0}


def test_context_is_read_only_where_it_is_asked_for(judged: Dataset, encoder: PairEncoder) -> None:
    lone = sentence_features(judged, encoder, context=False)
    paired = sentence_features(judged, encoder, context=True)
    for row, without, with_it in zip(judged, lone, paired, strict=True):
        assert set(without["pair"].type_ids) == {0}
        assert (set(with_it["pair"].type_ids) == {0, 1}) == bool(row["context"])
        assert without["tags"] == with_it["tags"]


def test_collator_pads_and_ignores_what_is_no_token_of_a_sentence(
    judged: Dataset, encoder: PairEncoder
) -> None:
    features = sentence_features(judged, encoder, context=True)
    batch = Collator(encoder.pad_id)(features)
    n, width = len(features), max(len(feature["pair"]) for feature in features)
    assert {name: tuple(value.shape) for name, value in batch.items()} == {
        **dict.fromkeys(("input_ids", "attention_mask", "token_type_ids", "cue_labels"), (n, width)),
        **dict.fromkeys(("labels", "rules", "weights"), (n,)),
    }
    assert {batch[name].dtype for name in ("input_ids", "labels", "rules", "cue_labels")} == {torch.int64}
    assert bool((batch["token_type_ids"] == 1).any())
    for row, feature in enumerate(features):
        length = len(feature["pair"])
        assert batch["attention_mask"][row].tolist() == [1] * length + [0] * (width - length)
        assert batch["input_ids"][row, length:].tolist() == [encoder.pad_id] * (width - length)
        own = {
            position: tag
            for (position, _, _), tag in zip(feature["pair"].tokens, feature["tags"], strict=True)
        }
        # [CLS], [SEP], context and padding are in none of the sentence's positions.
        assert batch["cue_labels"][row].tolist() == [own.get(at, IGNORE) for at in range(width)]
    assert bool((batch["cue_labels"][batch["token_type_ids"] == 1] == IGNORE).all())
    assert bool((batch["cue_labels"][batch["attention_mask"] == 0] == IGNORE).all())


def drawn(share: float, seed: int, epoch: int = 0, n: int = 400) -> list[bool]:
    """Of which sentences an epoch hides the context."""
    sentences = ContextDropout([{"context": True}] * n, [{"context": False}] * n, share, seed)
    sentences.set_epoch(epoch)
    return [not sentences[i]["context"] for i in range(n)]


def test_context_dropout_hides_none_all_or_a_share() -> None:
    assert not any(drawn(0.0, 0))
    assert all(drawn(1.0, 0))
    # Five standard deviations of 400 draws.
    assert abs(sum(drawn(0.3, 0)) - 120) < 5 * (400 * 0.3 * 0.7) ** 0.5


def test_context_dropout_is_drawn_by_its_seed_and_anew_in_every_epoch() -> None:
    assert drawn(0.5, 7, 3) == drawn(0.5, 7, 3)
    # Seeds and epochs that are near each other draw independently: half of 400 draws agree.
    for other in (drawn(0.5, 8, 3), drawn(0.5, 7, 4), drawn(0.5, 8, 2)):
        agreeing = sum(map(bool.__eq__, drawn(0.5, 7, 3), other))
        assert abs(agreeing - 200) < 5 * 10


def test_a_reading_does_not_hang_on_the_readings_before_it() -> None:
    sentences = ContextDropout([{"context": True}] * 50, [{"context": False}] * 50, 0.5, 1)
    assert [sentences[i] for i in reversed(range(50))][::-1] == [sentences[i] for i in range(50)]


def test_context_dropout_keeps_sentences_in_place() -> None:
    paired, lone = ([{"at": i, "context": kind} for i in range(5)] for kind in (True, False))
    sentences = ContextDropout(paired, lone, 0.5, 0)
    assert len(sentences) == 5
    assert [sentences[i]["at"] for i in range(5)] == list(range(5))
