"""`FramingClassifier`: the one class that users need."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens.backend import build_backend
from framelens.bundle import BUNDLED, find_bundle
from framelens.cache import PredictionCache
from framelens.encoding import PairEncoder, collate
from framelens.errors import InputError
from framelens.evidence import evidence_spans
from framelens.labels import LABELS
from framelens.pairs import checked_texts, fault_of, in_windows, paired, unlabelled
from framelens.prediction import LabelledDocument, LabelledSentence, Prediction, check_threshold
from framelens.sentences import NewsSplitter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from framelens.arrays import FloatArray
    from framelens.backend import BackendName, Precision, Scores
    from framelens.bundle import Bundle
    from framelens.cache import Pair
    from framelens.encoding import EncodedPair
    from framelens.sentences import SentenceSplitter

__all__ = ["FramingClassifier"]

#: Texts read ahead by `FramingClassifier.label_many`, so that batches can be made of similar lengths.
LOOKAHEAD = 512


class FramingClassifier:
    """Labels sentences; built without arguments it uses the bundled model, offline and without torch.

    A sentence's label does not depend on what else is labelled with it: probabilities move by less
    than 1e-4 with the composition of a batch, which a test holds.

    Args:
        abstain_below: predictions less probable than this are marked as abstentions, in [0, 1].
        batch_size: most sentences in one forward pass; None is 32, and 4,096 on a GPU.
        threads: threads of one forward pass; None leaves the choice to the backend.
        lookahead: texts read ahead by `label_many`, so that batches can be made of similar lengths.
        cache_bytes: memory, about so much, for what was labelled last: an equal sentence, with an equal
            context if the model reads it, is not labelled again. 0 remembers nothing beyond the window
            that is read ahead.

    Raises:
        InputError: an argument is out of its range.
        ModelFormatError: the package's own model is damaged.
    """

    def __init__(
        self,
        *,
        abstain_below: float = 0.0,
        batch_size: int | None = None,
        threads: int | None = None,
        lookahead: int = LOOKAHEAD,
        cache_bytes: int = 0,
    ) -> None:
        self._setup(
            BUNDLED,
            abstain_below=abstain_below,
            batch_size=batch_size,
            threads=threads,
            lookahead=lookahead,
            cache_bytes=cache_bytes,
        )

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = BUNDLED,
        *,
        backend: BackendName = "onnx",
        device: str = "cpu",
        revision: str | None = None,
        precision: Precision | None = None,
        abstain_below: float = 0.0,
        batch_size: int | None = None,
        threads: int | None = None,
        lookahead: int = LOOKAHEAD,
        cache_bytes: int = 0,
    ) -> FramingClassifier:
        """A classifier with another model, backend, device or precision.

        Args:
            model: ``bundled``; ``fast``, its int8 student; a folder, or a Hugging Face hub id.
            backend: ``onnx`` needs no torch; ``torch`` needs the extra ``[torch]``.
            device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, as the backend knows it.
            revision: branch, tag or commit on the hub.
            precision: with onnx the model's own, ``fp32`` or ``int8``; with torch ``fp32``, ``bf16``, or on
                a GPU ``fp16``. None is the model's own with onnx, and fp32 with torch.
            abstain_below: see the class.
            batch_size: see the class.
            threads: see the class.
            lookahead: see the class.
            cache_bytes: see the class.

        Raises:
            ModelNotFoundError: no such folder, and no such model on the hub.
            ModelFormatError: the folder holds something else.
            MissingExtraError: the backend is not installed.
            InputError: an argument is out of its range.
        """
        self = cls.__new__(cls)
        self._setup(
            model,
            revision=revision,
            abstain_below=abstain_below,
            batch_size=batch_size,
            threads=threads,
            lookahead=lookahead,
            cache_bytes=cache_bytes,
            backend=backend,
            device=device,
            precision=precision,
        )
        return self

    def _setup(
        self,
        model: str | Path,
        *,
        revision: str | None = None,
        abstain_below: float,
        batch_size: int | None,
        lookahead: int,
        cache_bytes: int,
        **backend: Any,
    ) -> None:
        for name, number, least in (
            ("batch_size", batch_size, 1),
            ("threads", backend.get("threads"), 1),
            ("lookahead", lookahead, 1),
            ("cache_bytes", cache_bytes, 0),
        ):
            if number is not None and number < least:
                raise InputError(f"{name} must be at least {least}, got {number}")
        self._lookahead = lookahead
        self._remembered = PredictionCache(cache_bytes)
        self._abstain_below = check_threshold(abstain_below)
        self._bundle = find_bundle(model, revision)
        config = self._bundle.config
        self._encoder = PairEncoder(
            self._bundle.tokenizer(), config.max_tokens, reads_context=config.context_sentences > 0
        )
        name = backend.pop("backend", "onnx")
        self._backend = build_backend(self._bundle, name, **backend)
        self._batch_size = batch_size or self._backend.batch_size

    @property
    def bundle(self) -> Bundle:
        """The model's folder."""
        return self._bundle

    @property
    def precision(self) -> Precision:
        """What the network is computed in."""
        return self._backend.precision

    @property
    def digest(self) -> str:
        """SHA-256 of the model; see `framelens.bundle.Bundle.digest`."""
        return self._bundle.digest

    @property
    def lookahead(self) -> int:
        """Texts read ahead by `label_many`."""
        return self._lookahead

    def forget(self) -> None:
        """Empty the memory of ``cache_bytes``."""
        self._remembered.clear()

    @property
    def context_sentences(self) -> int:
        """How many sentences before a sentence the model reads in `label_document`; 0 for none at all."""
        return self._bundle.config.context_sentences

    def label(self, text: str, context: str | None = None) -> Prediction:
        """Label one sentence.

        Args:
            text: the sentence. An empty one has the status ``empty``; one that the codebook does
                not apply to has ``not_applicable``; neither has a label.
            context: up to two sentences before it, to resolve references; its left end is cut first. A
                model trained on sentences alone (`context_sentences` is 0) does not look at it.

        Raises:
            InputError: ``text`` or ``context`` is no string.
        """
        if not isinstance(text, str):
            raise InputError(f"text must be a string, got {type(text).__name__}")
        if context is not None and not isinstance(context, str):
            raise InputError(f"context must be a string or None, got {type(context).__name__}")
        return self._label_window([(text, context)])[0]

    def label_many(
        self, texts: Iterable[str], context: Iterable[str | None] | None = None
    ) -> Iterator[Prediction]:
        """Label any number of sentences, in their order, reading no more than a window ahead.

        Args:
            texts: sentences. What is no string is not dropped: its prediction has the status ``error``.
            context: as many contexts, or None for none.

        Yields:
            One prediction a text; texts of similar length are labelled together.

        Raises:
            InputError: ``texts`` is itself a string, or ``context`` is shorter or longer. This error and
                those of the iterables come when every text before them has been yielded.
        """
        if isinstance(texts, str):
            raise InputError("label_many takes an iterable of strings; for one sentence use label()")
        for window in in_windows(paired(texts, context), self._lookahead):
            yield from self._label_window(window)

    def label_document(self, text: str, splitter: SentenceSplitter | None = None) -> LabelledDocument:
        """Split a document into sentences and label each, with those before it if the model reads them.

        Args:
            text: the whole document; offsets in the result count its characters.
            splitter: how to find sentences; the default is made for news.

        Raises:
            InputError: ``text`` is no string.
        """
        if not isinstance(text, str):
            raise InputError(f"text must be a string, got {type(text).__name__}")
        return next(self.label_documents([text], splitter))

    def label_documents(
        self, texts: Iterable[str], splitter: SentenceSplitter | None = None
    ) -> Iterator[LabelledDocument]:
        """Label any number of documents, in their order; sentences of several are labelled together.

        Args:
            texts: whole documents.
            splitter: see `label_document`.

        Yields:
            One result a document; an empty document has no sentences.

        Raises:
            InputError: ``texts`` is itself a string, or one of them is none.
        """
        if isinstance(texts, str):
            raise InputError(
                "label_documents takes an iterable of strings; for one text use label_document()"
            )
        splitter = splitter or NewsSplitter()
        # Empty documents fill the window too.
        documents = _split(texts, splitter)
        for window in in_windows(documents, self._lookahead, lambda document: max(1, len(document[1]))):
            yield from self._label_documents(window)

    def _label_documents(
        self, window: Sequence[tuple[str, list[tuple[int, int]]]]
    ) -> Iterator[LabelledDocument]:
        pairs = [pair for text, spans in window for pair in self._with_context(text, spans)]
        found = self.label_many((text for text, _ in pairs), (context for _, context in pairs))
        for text, spans in window:
            sentences = (
                LabelledSentence(i, start, end, prediction)
                for i, ((start, end), prediction) in enumerate(
                    zip(spans, islice(found, len(spans)), strict=True)
                )
            )
            yield LabelledDocument(text, tuple(sentences))

    def _with_context(self, text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[str, str | None]]:
        sentences = [text[start:end] for start, end in spans]
        n = self.context_sentences
        for i, sentence in enumerate(sentences):
            yield sentence, " ".join(sentences[max(0, i - n) : i]) or None

    def predict(
        self, texts: Sequence[str], context: Sequence[str | None] | None = None
    ) -> np.ndarray[Any, np.dtype[np.str_]]:
        """Labels in the manner of scikit-learn: the argmax of `predict_proba`.

        Every text gets a label here, also a fragment that `label` would call not applicable.

        Returns:
            Shape (n_sentences,), label names.

        Raises:
            InputError: a text is empty or no string.
        """
        best = self.predict_proba(texts, context).argmax(-1)
        return np.array([str(LABELS[i]) for i in best], dtype=np.str_)

    def predict_proba(self, texts: Sequence[str], context: Sequence[str | None] | None = None) -> FloatArray:
        """Calibrated probabilities in the manner of scikit-learn.

        Returns:
            Shape (n_sentences, n_labels), float32, rows summing to 1, columns ordered as `LABELS`.

        Raises:
            InputError: a text is empty or no string.
        """
        if isinstance(texts, str):
            raise InputError("expected a sequence of strings, got one string")
        rows: list[FloatArray] = [np.empty((0, len(LABELS)), dtype=np.float32)]
        for window in in_windows(paired(checked_texts(texts), context), self._lookahead):
            for _, before in window:
                if before is not None and (problem := fault_of(before)):
                    raise InputError(f"expected strings or None as context, got {problem}")
            encoded = self._encoder.encode(window)
            probabilities = np.empty((len(window), len(LABELS)), dtype=np.float32)
            for batch, scores in self._scored(encoded):
                probabilities[batch] = _softmax(scores.logits)
            rows.append(probabilities)
        return np.concatenate(rows)

    def _label_window(self, window: Sequence[tuple[Any, Any]]) -> list[Prediction]:
        """Label texts that fit in memory together; order is kept."""
        found: list[Prediction | None] = [unlabelled(text, context) for text, context in window]
        places: dict[Pair, list[int]] = {}
        for i, (text, context) in enumerate(window):
            if found[i] is None:
                places.setdefault((text, context if self.context_sentences else None), []).append(i)
        labelled = {pair: prediction for pair in places if (prediction := self._remembered.get(pair))}
        labelled |= self._label_new([pair for pair in places if pair not in labelled])
        for pair, prediction in labelled.items():
            for i in places[pair]:
                found[i] = prediction
        return [prediction for prediction in found if prediction is not None]

    def _label_new(self, pairs: Sequence[Pair]) -> dict[Pair, Prediction]:
        """Run the network on pairs that differ from one another."""
        found = {}
        encoded = self._encoder.encode(pairs)
        for batch, scores in self._scored(encoded):
            probabilities = _softmax(scores.logits)
            cues = _softmax(scores.cue_logits)
            for row, i in enumerate(batch):
                prediction = self._prediction(pairs[i][0], encoded[i], probabilities[row], cues[row])
                found[pairs[i]] = prediction
                self._remembered.put(pairs[i], prediction)
        return found

    def _prediction(
        self, text: str, pair: EncodedPair, probabilities: FloatArray, cues: FloatArray
    ) -> Prediction:
        return Prediction(
            text=text,
            label=LABELS[int(probabilities.argmax())],
            probabilities=dict(zip(LABELS, map(float, probabilities), strict=True)),
            evidence=evidence_spans(text, pair.tokens, cues, self._bundle.config.evidence_threshold),
            truncated=pair.truncated,
            abstain_below=self._abstain_below,
        )

    def _scored(self, encoded: Sequence[EncodedPair]) -> Iterator[tuple[list[int], Scores]]:
        """Batches as indices into ``encoded``, with the network's scores of each."""
        batches = list(self._batches(encoded))
        collated = (collate([encoded[i] for i in batch], self._encoder.pad_id) for batch in batches)
        yield from zip(batches, self._backend.run(collated), strict=True)

    def _batches(self, encoded: Sequence[EncodedPair]) -> Iterator[list[int]]:
        """Indices of similar length, or of equal length, within the limits of one pass."""
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
        budget, enough = self._backend.token_budget, self._backend.enough_tokens
        batch: list[int] = []
        for i in order:
            n = len(encoded[i])
            full = len(batch) >= self._batch_size or (len(batch) + 1) * n > budget
            padded = bool(batch) and n > len(encoded[batch[-1]])
            if batch and (full or (padded and len(batch) * len(encoded[batch[-1]]) >= enough)):
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch


def _softmax(logits: FloatArray) -> FloatArray:
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    probabilities: FloatArray = shifted / shifted.sum(-1, keepdims=True)
    return probabilities


def _split(texts: Iterable[str], splitter: SentenceSplitter) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """Documents with where their sentences begin and end."""
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"documents must be strings, got {type(text).__name__} at index {i}")
        yield text, splitter.spans(text)
