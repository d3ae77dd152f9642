"""Sentences as blocks of tokens, with some of the words masked that an encoder is to fill in.

Words are masked as in BERT's own whole-word masking (Devlin et al. 2019, sec. 3.1, and its code's
``--do_whole_word_mask``): words are drawn until the share of the tokens is reached; of their tokens 80 %
become the mask, 10 % any other token, and 10 % stay. transformers' collator takes for one word whatever no
space parts, commas and quotation marks with it, and draws from a state that a resumed run does not have.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer

from framelens.errors import InputError
from framelens_training.features import IGNORE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt
    from tokenizers import Encoding
    from torch import Tensor

    from framelens.arrays import IntArray

__all__ = ["BlockMaker", "Blocks", "MaskCollator", "MaskedBlocks", "draw_masked", "pack"]

#: Of the tokens that are to be filled in, the shares that are masked and that are replaced by any other.
_MASKED, _REPLACED = 0.8, 0.1
#: Of tokens that no word has: the special ones.
_NO_WORD = -1


@dataclass(frozen=True, eq=False)
class Blocks:
    """Many blocks, one behind the other.

    Attributes:
        ids: token ids, special tokens included, (n_tokens,) int32.
        words: for each token, which word of its block it is of, or -1 for a special one, (n_tokens,) int32.
        ends: where each block ends, (n_blocks,) int64.
    """

    ids: npt.NDArray[np.int32]
    words: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        here = slice(int(self.ends[index - 1]) if index else 0, int(self.ends[index]))
        return self.ids[here], self.words[here]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each block."""
        lengths: list[int] = np.diff(self.ends, prepend=0).tolist()
        return lengths


class BlockMaker:
    """Makes blocks of sentences.

    Args:
        tokenizer: in transformers' form, with a fast one behind it; it is left as it is.
        max_tokens: longest block, special tokens included.

    Raises:
        InputError: the tokeniser has no token that masks.
    """

    def __init__(self, tokenizer: Any, max_tokens: int) -> None:
        if tokenizer.mask_token_id is None:
            raise InputError(
                "expected a tokeniser with a token that masks, such as [MASK], got "
                f"{type(tokenizer).__name__} without; its encoder cannot be pre-trained on masked words"
            )
        self._tokenizer = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        alone = self._tokenizer.encode("a")
        first = alone.special_tokens_mask.index(0)
        behind = len(alone.ids) - alone.special_tokens_mask[::-1].index(0)
        self._opening, self._closing = alone.ids[:first], alone.ids[behind:]
        self._room = max_tokens - len(self._opening) - len(self._closing)

    def blocks(self, articles: Iterable[Sequence[str]]) -> Blocks:
        """Blocks of the sentences of articles.

        A block is of one article and of whole sentences (Liu et al. 2019, "RoBERTa", sec. 4.2,
        DOC-SENTENCES); only a sentence that is longer than a block is cut.
        """
        ids, words, ends = array("i"), array("i"), array("q")
        for sentences in articles:
            # Together, so that a tokeniser which marks the spaces before words sees them.
            encoding = self._tokenizer.encode(" ".join(sentences), add_special_tokens=False)
            of_article, of_word = encoding.ids, _words(encoding)
            for start, end in pack(_sentence_ends(encoding, sentences), self._room):
                ids.extend((*self._opening, *of_article[start:end], *self._closing))
                words.extend([_NO_WORD] * len(self._opening))
                words.extend(of_word[start:end])
                words.extend([_NO_WORD] * len(self._closing))
                ends.append(len(ids))
        return Blocks(np.array(ids, np.int32), np.array(words, np.int32), np.array(ends, np.int64))


def _words(encoding: Encoding) -> list[int]:
    """Which word each token is of; one that the tokeniser ascribes to none is a word of its own."""
    known = encoding.word_ids
    behind = max((word for word in known if word is not None), default=-1) + 1
    return [behind + place if word is None else word for place, word in enumerate(known)]


def _sentence_ends(encoding: Encoding, sentences: Sequence[str]) -> list[int]:
    """Where each sentence's tokens end, sentences being joined by a space."""
    ends = np.cumsum([len(sentence) + 1 for sentence in sentences]) - 1
    # By their last characters, for a first one may be the space before the sentence.
    last = np.array([end for _, end in encoding.offsets], np.int64)
    found: list[int] = np.searchsorted(np.maximum.accumulate(last), ends, side="right").tolist()
    return found


def pack(ends: Sequence[int], room: int) -> Iterator[tuple[int, int]]:
    """Blocks of whole sentences, as many in each as there is room for.

    Args:
        ends: where each sentence's tokens end, in order.
        room: most tokens of a block, at least 1.

    Yields:
        (start, end) of each block in tokens; a sentence longer than a block is cut into several.
    """
    start = end = 0
    for following in ends:
        if following - start > room and end > start:
            yield start, end
            start = end
        while following - start > room:
            yield start, start + room
            start += room
        end = following
    if end > start:
        yield start, end


def draw_masked(
    words: npt.NDArray[np.int32], share: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Draw the tokens of a block that are to be filled in: all of a word or none.

    Args:
        words: which word each token is of, -1 for special tokens, (n_tokens,).
        share: of the block's own tokens, in (0, 1).
        rng: draws the words.

    Returns:
        (n_tokens,). As many tokens as the share says, rounded, or fewer where no word fits that is left; but
        at least one word of a block that has any.
    """
    found, sizes = np.unique(words[words != _NO_WORD], return_counts=True)
    wanted = max(1, round(share * int(sizes.sum())))
    order = rng.permutation(len(found))
    drawn: list[int] = []
    for at in order.tolist():
        if sizes[at] <= wanted:
            drawn.append(at)
            wanted -= sizes[at]
    if not drawn:
        drawn = order[:1].tolist()
    masked: npt.NDArray[np.bool_] = np.isin(words, found[drawn])
    return masked


class MaskedBlocks(torch.utils.data.Dataset[dict[str, Any]]):
    """Blocks with words masked, drawn anew in every epoch (Liu et al. 2019, "RoBERTa", sec. 4.1).

    A draw hangs on the seed, the epoch and the block alone, so that a resumed run reads what an unbroken one
    reads, and that what measures perplexity is always the same.

    Args:
        blocks: what is read.
        tokenizer: in transformers' form, with a token that masks.
        share: of the tokens that are to be filled in, in (0, 1).
        whole_words: whether all tokens of a word are masked together.
        seed: of the draw.
    """

    def __init__(self, blocks: Blocks, tokenizer: Any, share: float, whole_words: bool, seed: int) -> None:
        self._blocks, self._share, self._whole_words = blocks, share, whole_words
        self._seed, self._epoch = seed, 0
        self._mask_id = tokenizer.mask_token_id
        self._others = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)

    def set_epoch(self, epoch: int) -> None:
        """Draw for an epoch, counted from 0."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._blocks)

    def __getitem__(self, index: int) -> dict[str, IntArray]:
        """``input_ids`` and ``labels``, (n_tokens,); a label is the token, `IGNORE` where none is due."""
        ids, words = self._blocks[index]
        if not self._whole_words:
            words = np.where(words == _NO_WORD, words, np.arange(len(words), dtype=np.int32))
        rng = np.random.default_rng((self._seed, self._epoch, index))
        masked = draw_masked(words, self._share, rng)
        fate = rng.random(len(ids))
        shown = ids.astype(np.int64)
        shown[masked & (fate < _MASKED)] = self._mask_id
        replaced = masked & (fate >= _MASKED) & (fate < _MASKED + _REPLACED)
        shown[replaced] = rng.choice(self._others, int(replaced.sum()))
        return {"input_ids": shown, "labels": np.where(masked, ids, IGNORE).astype(np.int64)}


class MaskCollator:
    """Pads masked blocks into one batch.

    Args:
        pad_id: id of the padding token.
    """

    def __init__(self, pad_id: int) -> None:
        self._pad_id = pad_id

    def __call__(self, features: Sequence[dict[str, IntArray]]) -> dict[str, Tensor]:
        """``input_ids``, ``attention_mask`` and ``labels``, each (n_blocks, n_tokens)."""

        def padded(name: str, filler: int) -> Tensor:
            rows = [torch.from_numpy(feature[name]) for feature in features]
            return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=filler)

        ids = padded("input_ids", self._pad_id)
        lengths = torch.tensor([len(feature["input_ids"]) for feature in features])
        mask = torch.arange(ids.shape[1]) < lengths[:, None]
        return {"input_ids": ids, "attention_mask": mask.long(), "labels": padded("labels", IGNORE)}
