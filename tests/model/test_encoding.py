"""Pairs become tokens, and tokens lead back to characters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from framelens.bundle import BUNDLED, FAST, find_bundle
from framelens.encoding import PairEncoder, collate

MAX_TOKENS = 24


@pytest.fixture(scope="module", params=[BUNDLED, FAST])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return find_bundle(request.param).tokenizer()


@pytest.fixture(scope="module")
def encoder(tokenizer: Tokenizer) -> PairEncoder:
    return PairEncoder(tokenizer, MAX_TOKENS)


def test_layout(encoder: PairEncoder, tokenizer: Tokenizer) -> None:
    (pair,) = encoder.encode([("ships left", "rain fell")])
    # MPNet's kind sets two marks between the parts.
    begin, *middle, end = ("<s>", "</s>", "</s>", "</s>") if pair.ids[0] == 0 else ("[CLS]", "[SEP]", "[SEP]")
    assert [tokenizer.id_to_token(i) for i in pair.ids] == [
        begin, "ships", "left", *middle, "rain", "fell", end,
    ]  # fmt: skip
    assert pair.type_ids == [0, 0, 0, 0] + [1] * (len(pair.ids) - 4)
    assert pair.tokens == [(1, 0, 5), (2, 6, 10)]


def test_empty_context_is_no_context(encoder: PairEncoder) -> None:
    lone, empty = encoder.encode([("ships left", None), ("ships left", "")])
    assert lone == empty


def test_a_model_of_sentences_alone_is_shown_no_context(tokenizer: Tokenizer) -> None:
    alone = PairEncoder(tokenizer, MAX_TOKENS, reads_context=False)
    pair, lone = alone.encode([("ships left", "rain fell"), ("ships left", None)])
    assert pair == lone


def test_context_is_cut_from_its_left(encoder: PairEncoder, tokenizer: Tokenizer) -> None:
    (pair,) = encoder.encode([("ships left", "one two three " * 20 + "end")])
    assert len(pair) == MAX_TOKENS
    assert tokenizer.id_to_token(pair.ids[-2]) == "end"
    assert not pair.truncated


def test_a_sentence_that_fills_the_model_leaves_no_context(encoder: PairEncoder) -> None:
    (pair,) = encoder.encode([("ships " * 40, "rain fell")])
    assert pair.truncated
    assert len(pair) <= MAX_TOKENS
    assert set(pair.type_ids) == {0}


def test_a_context_takes_no_token_from_a_sentence_that_fits_alone(encoder: PairEncoder) -> None:
    full, blank = encoder.encode([("ships " * (MAX_TOKENS - 2), "rain fell"), ("ships left", " ")])
    assert (len(full), full.truncated) == (MAX_TOKENS, False)
    assert blank == encoder.encode([("ships left", None)])[0]


def test_exactly_full_is_not_truncated(encoder: PairEncoder) -> None:
    full, over = encoder.encode([("ships " * (MAX_TOKENS - 2), None), ("ships " * (MAX_TOKENS - 1), None)])
    assert (len(full), full.truncated) == (MAX_TOKENS, False)
    assert (len(over), over.truncated) == (MAX_TOKENS, True)


@settings(deadline=None)
@given(text=st.text(max_size=120), context=st.none() | st.text(max_size=120))
def test_limits_and_offsets(encoder: PairEncoder, text: str, context: str | None) -> None:
    (pair,) = encoder.encode([(text, context)])
    assert len(pair) == len(pair.type_ids) <= MAX_TOKENS
    for position, start, end in pair.tokens:
        assert 0 <= start <= end <= len(text)
        assert pair.type_ids[position] == 0


def test_collate_pads_at_the_right(encoder: PairEncoder) -> None:
    pairs = encoder.encode([("ships", None), ("ships left port", "rain")])
    batch = collate(pairs, encoder.pad_id)
    assert batch.input_ids.shape == (2, max(map(len, pairs)))
    np.testing.assert_array_equal(batch.attention_mask.sum(1), [len(pair) for pair in pairs])
    assert (batch.input_ids[0, len(pairs[0]) :] == encoder.pad_id).all()
    assert batch.token_type_ids[1].tolist() == pairs[1].type_ids
