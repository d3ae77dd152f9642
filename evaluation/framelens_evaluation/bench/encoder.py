"""The encoder of a model, ours or anybody's, as vectors of sentences."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import ModelFormatError
from framelens.bundle import find_bundle
from framelens.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = ["Encoder", "mean_of_tokens"]

_MAX_TOKENS = 256
_BATCH = 64


def mean_of_tokens(tokens: Any, mask: Any) -> Any:
    """(n_sentences, n_tokens, width) and a 0/1 mask of tokens to their mean, (n_sentences, width)."""
    weights = mask.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1.0)


@contextmanager
def _without_bars(transformers: Any) -> Iterator[None]:
    """Without transformers' own progress bars, which would cut through ours."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


class Encoder:
    """A transformer without its heads, in float32.

    Attributes:
        name: what it is called in a report.
        digest: of a framelens model; None for others.
        is_framelens: whether it is the encoder of a framelens model.
        network: the transformer, a torch module in evaluation mode.
        tokenizer: its tokeniser.
        max_tokens: longest input, special tokens included.

    Args:
        model: ``bundled``, a folder, or a hub id; of a framelens model, else of any encoder that
            ``transformers.AutoModel`` loads.

    Raises:
        ModelNotFoundError: there is no such folder or hub id.
        ModelFormatError: it cannot be loaded, or cannot pad a batch.
        MissingExtraError: torch or transformers is not installed.
    """

    def __init__(self, model: str) -> None:
        self._torch: Any = require("torch", "torch")
        transformers = require("transformers", "torch")
        with _without_bars(transformers):
            self._open(transformers, model)
        if self.tokenizer.pad_token is None:
            raise ModelFormatError(f"{model}: expected a tokeniser with a padding token")
        positions = getattr(self.network.config, "max_position_embeddings", _MAX_TOKENS + 2)
        # RoBERTa and its kin keep two positions for themselves.
        self.max_tokens = int(min(_MAX_TOKENS, self.tokenizer.model_max_length, positions - 2))

    def _open(self, transformers: Any, model: str) -> None:
        try:
            bundle = find_bundle(model)
        except ModelFormatError:
            self.name = Path(model).name if Path(model).is_dir() else model
            self.digest: str | None = None
            self.is_framelens = False
            self.network, self.tokenizer = self._load(transformers, model)
        else:
            require("framelens.hf", "torch")  # makes the class known to transformers
            whole = transformers.AutoModelForSequenceClassification.from_pretrained(
                bundle.folder, dtype=self._torch.float32
            )
            self.name = f"framelens ({model})"
            self.digest = bundle.digest
            self.is_framelens = True
            self.network = whole.encoder.eval()
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(bundle.folder)

    def _load(self, transformers: Any, model: str) -> tuple[Any, Any]:
        try:
            network = transformers.AutoModel.from_pretrained(model, dtype=self._torch.float32)
            return network.eval(), transformers.AutoTokenizer.from_pretrained(model)
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelFormatError(f"no encoder could be loaded from {model!r}: {reason}") from error

    def vectors(self, texts: Sequence[str], tell: Callable[[str], None] | None = None) -> FloatArray:
        """The first token's vector beside the mean of all tokens' vectors.

        Args:
            texts: sentences; longer ones are cut to `max_tokens`.
            tell: told now and then how far it is.

        Returns:
            Shape (n_sentences, 2 * width), in the order of the texts.
        """
        torch = self._torch
        # Sentences of one length together: padding would cost most of the time.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.empty((len(texts), 2 * self.network.config.hidden_size))
        for at, first in enumerate(range(0, len(order), _BATCH)):
            batch = order[first : first + _BATCH]
            inputs = self.tokenizer(
                [texts[i] for i in batch],
                padding=True,
                truncation=True,
                max_length=self.max_tokens,
                return_tensors="pt",
            )
            with torch.inference_mode():
                tokens = self.network(**inputs).last_hidden_state
                pooled = mean_of_tokens(tokens, inputs["attention_mask"])
                vectors[batch] = torch.cat([tokens[:, 0], pooled], dim=-1).numpy()
            if tell is not None and at % 50 == 0:
                tell(f"encoding sentence {first + 1:,} of {len(texts):,}")
        return vectors
