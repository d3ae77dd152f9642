"""From a (sentence, context) pair to the token arrays that the model reads.

The pair is ``[CLS] sentence [SEP] context [SEP]``; a lone sentence is ``[CLS] sentence [SEP]``.
A sentence too long for the model is cut at its end and says so; a context too long is cut
from its *left*, because what stands nearest resolves the references.

Throughout, ``n_sentences`` is the number of pairs and ``n_tokens`` the length of the longest
of them after encoding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Encoding, Tokenizer

    from framelens.arrays import IntArray

__all__ = ["EncodedBatch", "EncodedPair", "PairEncoder", "collate"]

#: Width of the context window in tokens; two news sentences are seldom longer.
MAX_CONTEXT_TOKENS = 96


@dataclass(frozen=True, slots=True)
class EncodedPair:
    """One pair as token ids.

    Attributes:
        ids: token ids with the special tokens, at most the encoder's ``max_tokens``.
        type_ids: 0 for the sentence and its special tokens, 1 for the context.
        tokens: for each token of the *sentence*, (position in ``ids``, start, end), where
            start and end are character offsets in the sentence.
        truncated: whether the sentence itself was cut. A cut context does not count.
    """

    ids: list[int]
    type_ids: list[int]
    tokens: list[tuple[int, int, int]]
    truncated: bool

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class EncodedBatch:
    """Arrays of shape (n_sentences, n_tokens), int64, padded at the right."""

    input_ids: IntArray
    attention_mask: IntArray
    token_type_ids: IntArray

    def arrays(self) -> dict[str, IntArray]:
        """The arrays under the names that the model's inputs carry."""
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "token_type_ids": self.token_type_ids,
        }


class PairEncoder:
    """Encodes (sentence, context) pairs with a Hugging Face fast tokeniser.

    Args:
        tokenizer: its own truncation and padding are switched off.
        max_tokens: longest pair, special tokens included.
        reads_context: False encodes every sentence alone, for a model that was never shown a pair.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int, reads_context: bool = True) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        self._reads_context = reads_context
        self._specials_single: int = tokenizer.num_special_tokens_to_add(False)
        self._specials_pair: int = tokenizer.num_special_tokens_to_add(True)
        #: Where a sentence's first token stands, behind the special tokens that open a pair.
        self._first: int = tokenizer.encode("a").special_tokens_mask.index(0)

    @property
    def pad_id(self) -> int:
        """Id of the padding token; 0 where the vocabulary names none."""
        for name in ("[PAD]", "<pad>"):
            found = self._tokenizer.token_to_id(name)
            if found is not None:
                return int(found)
        return 0

    def encode(self, pairs: Sequence[tuple[str, str | None]]) -> list[EncodedPair]:
        """Encode pairs, in their order.

        Args:
            pairs: (sentence, context or None); an empty context counts as none.

        Returns:
            A list of the length of ``pairs``.
        """
        sentences = self._tokenizer.encode_batch([s for s, _ in pairs], add_special_tokens=False)
        with_context = [i for i, (_, context) in enumerate(pairs) if context and self._reads_context]
        encoded = self._tokenizer.encode_batch([pairs[i][1] for i in with_context], add_special_tokens=False)
        contexts = dict(zip(with_context, encoded, strict=True))
        return [self._join(sentence, contexts.get(i)) for i, sentence in enumerate(sentences)]

    def _join(self, sentence: Encoding, context: Encoding | None) -> EncodedPair:
        left = min(self._max_tokens - self._specials_pair - len(sentence), MAX_CONTEXT_TOKENS)
        if context is not None and (left <= 0 or len(context) == 0):
            context = None
        if context is not None and len(context) > left:
            context.truncate(left, direction="left")
        room = self._max_tokens - (self._specials_pair if context is not None else self._specials_single)
        truncated = len(sentence) > room
        if truncated:
            sentence.truncate(room)
        sentence_offsets = sentence.offsets
        joined = self._tokenizer.post_process(sentence, context)
        # Not by joined.sequence_ids: of a pair it knows the second part alone.
        tokens = [(i, *span) for i, span in enumerate(sentence_offsets, start=self._first)]
        # Nor by joined.type_ids: the templates of some tokenisers give 0 to both parts.
        behind = self._first + len(tokens) + 1
        type_ids = [int(context is not None and i >= behind) for i in range(len(joined.ids))]
        return EncodedPair(joined.ids, type_ids, tokens, truncated)


def collate(pairs: Sequence[EncodedPair], pad_id: int) -> EncodedBatch:
    """Pad encoded pairs to the longest of them.

    Returns:
        Arrays of shape (len(pairs), n_tokens).
    """
    width = max(map(len, pairs))
    input_ids = np.full((len(pairs), width), pad_id, dtype=np.int64)
    attention_mask = np.zeros((len(pairs), width), dtype=np.int64)
    token_type_ids = np.zeros((len(pairs), width), dtype=np.int64)
    for row, pair in enumerate(pairs):
        n = len(pair)
        input_ids[row, :n] = pair.ids
        attention_mask[row, :n] = 1
        token_type_ids[row, :n] = pair.type_ids
    return EncodedBatch(input_ids, attention_mask, token_type_ids)
