"""Blocks of sentences, and which of their words are masked."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import ByteLevelBPETokenizer, processors
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from framelens.errors import InputError
from framelens_training.features import IGNORE
from framelens_training.masking import (
    BlockMaker,
    Blocks,
    MaskCollator,
    MaskedBlocks,
    draw_masked,
    pack,
)

if TYPE_CHECKING:
    from pathlib import Path

ARTICLES = [
    [
        "Divers checked the hull of the ferry on Tuesday, officials said.",
        "“Nothing was found,” the harbour master told reporters in Elvik.",
        "It sails again at noon.",
    ],
    ["Café owners in Tarn, who'd closed early, reopened at 5.30 p.m. — most of them.", "Rain is due."],
]
SIZES = st.lists(st.integers(0, 30), max_size=25)


@given(SIZES, st.integers(1, 40))
def test_blocks_hold_whole_sentences_and_no_more_than_fits(sizes: list[int], room: int) -> None:
    ends = np.cumsum(sizes).tolist() if sizes else []
    blocks = list(pack(ends, room))
    # Every token once and in order.
    assert [start for start, _ in blocks] == [0, *(end for _, end in blocks)][: len(blocks)]
    assert (blocks[-1][1] if blocks else 0) == sum(sizes)
    assert all(0 < end - start <= room for start, end in blocks)
    long = [(end - size, end) for end, size in zip(ends, sizes, strict=True) if size > room]
    within = {place for begin, end in long for place in range(begin, end)}
    for (start, end), following in pairwise(blocks):
        # A block ends behind a sentence unless the sentence is longer than any block.
        assert end in ends or end in within
        # What follows would not have fitted in: neither a sentence nor a piece of a long one.
        next_end = min((e for e in ends if e > end), default=following[1])
        assert next_end - start > room


WORDS = st.lists(st.integers(1, 9), min_size=1, max_size=40)


@given(WORDS, st.floats(0.01, 0.9), st.integers(0, 99))
def test_words_are_masked_whole_up_to_the_share(sizes: list[int], share: float, seed: int) -> None:
    words = np.array([-1, *(word for word, size in enumerate(sizes) for _ in range(size)), -1], np.int32)
    masked = draw_masked(words, share, np.random.default_rng(seed))
    assert not masked[0]
    assert not masked[-1]
    drawn = [word for word in range(len(sizes)) if masked[words == word].any()]
    assert drawn
    assert all(masked[words == word].all() for word in drawn)
    wanted = max(1, round(share * sum(sizes)))
    assert masked.sum() <= wanted or len(drawn) == 1
    if max(sizes) == 1:
        assert masked.sum() == wanted
    left = wanted - int(masked.sum())
    # It stops short only where no other word fits.
    assert left <= 0 or all(size > left for word, size in enumerate(sizes) if word not in drawn)


def byte_level() -> PreTrainedTokenizerFast:
    """A tokeniser that writes the space before a word into the word's first token, as RoBERTa's does."""
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator([" ".join(article) for article in ARTICLES], vocab_size=330, min_frequency=1)
    trained.add_special_tokens(["<s>", "</s>", "<pad>", "<mask>"])
    names = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, pad_token="<pad>", mask_token="<mask>", **names
    )
    tokenizer.backend_tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", tokenizer.sep_token_id), ("<s>", tokenizer.cls_token_id)
    )
    return tokenizer


@pytest.fixture(scope="module", params=["word pieces", "bytes"])
def tokenizer(request: Any, tiny_base: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_base) if request.param == "word pieces" else byte_level()


def test_sentences_stand_in_the_blocks_as_they_were(tokenizer: Any) -> None:
    longest = max(len(tokenizer(sentence)["input_ids"]) for article in ARTICLES for sentence in article)
    room = longest + 4
    blocks = BlockMaker(tokenizer, room).blocks(ARTICLES)
    sentences = [sentence for article in ARTICLES for sentence in article]
    found: list[str] = []
    for ids, words in (blocks[at] for at in range(len(blocks))):
        assert len(ids) <= room
        assert [ids[0], ids[-1]] == [tokenizer.cls_token_id, tokenizer.sep_token_id]
        assert [words[0], words[-1]] == [-1, -1]
        assert (words[1:-1] >= 0).all()
        found.append(tokenizer.decode(ids[1:-1]).strip())
    as_decoded = {plain(tokenizer.decode(tokenizer(text)["input_ids"][1:-1])): text for text in sentences}
    # No block holds parts of sentences, nor sentences of two articles.
    rebuilt = []
    for block in found:
        text, inside = plain(block), []
        while text:
            start = next(known for known in as_decoded if text.startswith(known))
            inside.append(as_decoded[start])
            text = text.removeprefix(start)
        rebuilt += inside
        assert any(set(inside) <= set(article) for article in ARTICLES)
    assert rebuilt == sentences
    assert len(blocks) < len(sentences)


def plain(text: str) -> str:
    return "".join(text.split())


def test_a_longer_sentence_is_cut_and_nothing_lost(tokenizer: Any) -> None:
    article = [" ".join(["harbour"] * 50)]
    blocks = BlockMaker(tokenizer, 16).blocks([article])
    inner = [token for at in range(len(blocks)) for token in blocks[at][0][1:-1]]
    assert inner == tokenizer(article[0])["input_ids"][1:-1]
    assert max(blocks.lengths) == 16


def test_words_are_those_of_the_tokeniser_and_not_their_punctuation(tokenizer: Any) -> None:
    blocks = BlockMaker(tokenizer, 64).blocks([["Tuesday, officials"]])
    ids, words = blocks[0]
    order = dict.fromkeys(words[1:-1].tolist())
    spelt = [plain(tokenizer.decode(ids[words == word])).lower() for word in order]
    assert [word.replace("##", "") for word in spelt] == ["tuesday", ",", "officials"]


def test_a_tokenisers_own_settings_count_for_nothing_and_stay(tokenizer: Any) -> None:
    sentence = ARTICLES[0][0]
    expected = BlockMaker(tokenizer, 128).blocks([[sentence]])
    tokenizer.backend_tokenizer.enable_truncation(6)
    tokenizer.backend_tokenizer.enable_padding(length=90)
    try:
        found = BlockMaker(tokenizer, 128).blocks([[sentence]])
        assert tokenizer.backend_tokenizer.truncation["max_length"] == 6
    finally:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    assert found.ids.tolist() == expected.ids.tolist()


def test_a_tokeniser_without_a_mask_is_refused(tiny_base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.mask_token = None
    with pytest.raises(InputError, match="a token that masks"):
        BlockMaker(tokenizer, 64)


@pytest.fixture(scope="module")
def blocks(tokenizer: Any) -> Blocks:
    return BlockMaker(tokenizer, 48).blocks(ARTICLES)


def test_a_draw_hangs_on_seed_epoch_and_block_alone(blocks: Blocks, tokenizer: Any) -> None:
    def draws(seed: int, epoch: int, order: list[int]) -> dict[int, str]:
        masked = MaskedBlocks(blocks, tokenizer, 0.15, whole_words=True, seed=seed)
        masked.set_epoch(epoch)
        np.random.default_rng().random()
        return {at: str(masked[at]) for at in order}

    forwards, backwards = list(range(len(blocks))), list(reversed(range(len(blocks))))
    assert draws(0, 1, forwards) == draws(0, 1, backwards)
    assert len({str(draws(seed, epoch, forwards)) for seed in range(3) for epoch in range(3)}) == 9


@pytest.mark.parametrize("whole_words", [True, False])
def test_what_is_masked_is_due_and_nothing_else_is_changed(
    blocks: Blocks, tokenizer: Any, whole_words: bool
) -> None:
    masked = MaskedBlocks(blocks, tokenizer, 0.3, whole_words=whole_words, seed=1)
    fates: Counter[str] = Counter()
    split_words = 0
    for epoch in range(150):
        masked.set_epoch(epoch)
        for at in range(len(masked)):
            ids, words = blocks[at]
            shown, labels = masked[at]["input_ids"], masked[at]["labels"]
            due = labels != IGNORE
            assert (labels[due] == ids[due]).all()
            assert (shown[~due] == ids[~due]).all()
            assert not due[words == -1].any()
            split_words += sum(0 < due[words == word].sum() < (words == word).sum() for word in words[due])
            others = shown[due & (shown != ids) & (shown != tokenizer.mask_token_id)]
            assert not set(others.tolist()) & set(tokenizer.all_special_ids)
            fates["masked"] += int((shown[due] == tokenizer.mask_token_id).sum())
            fates["other"] += len(others)
            fates["due"] += int(due.sum())
    # 80 and 10 %, less the few of the latter that happen to be the same token.
    assert fates["masked"] / fates["due"] == pytest.approx(0.8, abs=0.03)
    assert fates["other"] / fates["due"] == pytest.approx(0.1, abs=0.03)
    assert (split_words == 0) == whole_words


def test_a_batch_is_padded_to_its_longest_block() -> None:
    features = [{"input_ids": np.arange(n) + 5, "labels": np.full(n, n)} for n in (2, 4)]
    batch = MaskCollator(pad_id=1)(features)
    assert batch["input_ids"].tolist() == [[5, 6, 1, 1], [5, 6, 7, 8]]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch["labels"].tolist() == [[2, 2, IGNORE, IGNORE], [4, 4, 4, 4]]
    assert {tensor.dtype for tensor in batch.values()} == {torch.int64}
