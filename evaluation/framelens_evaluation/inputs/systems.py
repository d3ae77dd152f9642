"""Whatever can be measured, behind one protocol: our model, anybody else's, a baseline, a file.

`open_system` takes the name that a command was given:

* ``bundled``, a folder or a hub id of a framelens model;
* a folder or hub id of any Hugging Face text-classification model, with a map to our labels;
* a baseline by name, fitted on the training sentences;
* a file of predictions (``.jsonl``, ``.csv``, ``.tsv``, ``.parquet``, also compressed).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from safetensors import SafetensorError

from framelens import LABELS, InputError, Label, ModelFormatError
from framelens.decoding import suffixes
from framelens.errors import require
from framelens.tables import TABLE_SUFFIXES
from framelens_evaluation.inputs.baselines import BASELINES, build_baseline
from framelens_evaluation.inputs.dataset import gold_labels
from framelens_evaluation.inputs.lexicon import Lexicon
from framelens_evaluation.statistics.metrics import encode_labels

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import numpy.typing as npt

    from framelens import Evidence, Prediction
    from framelens_evaluation.inputs.baselines import Baseline
    from framelens_evaluation.inputs.dataset import GoldSet
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = [
    "Answers",
    "Asked",
    "Classifier",
    "FramingSystem",
    "LabelMap",
    "PipelineSystem",
    "System",
    "fitted_baseline",
    "is_prediction_file",
    "open_system",
    "read_label_map",
]

LabelMap = Mapping[str, Label]


class Asked(Protocol):
    """A sentence to be labelled; `framelens_evaluation.inputs.dataset.GoldSentence` is one."""

    @property
    def text(self) -> str:
        """The sentence."""

    @property
    def context(self) -> str:
        """The sentences before it; empty where there are none."""

    @property
    def id(self) -> str | None:
        """What a file of predictions is joined by."""


@dataclass(frozen=True, eq=False)
class Answers:
    """What a system says of sentences, row by row.

    Attributes:
        given: shape (n_sentences,), places in `LABELS`; `NO_LABEL` where it gave no label.
        probabilities: shape (n_sentences, n_labels), also where a label was refused; a row of NaN where
            the system gives a label without probabilities.
        evidence: spans by sentence; None for a system that shows none.
    """

    given: IntArray
    probabilities: FloatArray
    evidence: tuple[tuple[Evidence, ...], ...] | None = None

    def of(self, kept: npt.NDArray[np.bool_]) -> Answers:
        """The answers for some of the sentences.

        Args:
            kept: shape (n_sentences,), which ones.
        """
        evidence = None if self.evidence is None else tuple(compress(self.evidence, kept))
        return Answers(self.given[kept], self.probabilities[kept], evidence)


class System(Protocol):
    """Something that labels sentences."""

    @property
    def name(self) -> str:
        """What it is called in a report."""

    @property
    def reads(self) -> str:
        """What it sees of a sentence: ``sentence``, ``sentence and context``, ``nothing`` or ``a file``."""

    @property
    def digest(self) -> str | None:
        """SHA-256 of the model or file; None for what is fitted in the run or comes from a hub."""

    def answer(self, rows: Sequence[Asked]) -> Answers:
        """Label sentences.

        Raises:
            InputError: it cannot answer for one of them.
        """


class Classifier(Protocol):
    """What is asked of a model; `framelens.FramingClassifier` is one."""

    def predict_proba(
        self, texts: list[str], /, context: list[str | None] | None = None
    ) -> npt.NDArray[np.floating[Any]]:
        """Probabilities of shape (n_sentences, n_labels), ordered as `LABELS`."""

    def label_many(
        self, texts: list[str], /, context: list[str | None] | None = None
    ) -> Iterable[Prediction]:
        """One prediction a text, in order."""


@dataclass(frozen=True)
class FramingSystem:
    """A framelens model.

    Attributes:
        classifier: the model.
        name: what it is called in a report.
        with_context: whether it is given the sentences before.
    """

    classifier: Classifier
    name: str = "framelens"
    with_context: bool = False

    @property
    def reads(self) -> str:
        """What it is given."""
        return "sentence and context" if self.with_context else "sentence"

    @property
    def digest(self) -> str | None:
        """Digest of config, tokeniser and weights."""
        found: str | None = getattr(self.classifier, "digest", None)
        return found

    def answer(self, rows: Sequence[Asked]) -> Answers:
        """Label sentences.

        Raises:
            InputError: the model gives another number of predictions or labels.
        """
        texts = [row.text for row in rows]
        contexts: list[str | None] | None = (
            [row.context or None for row in rows] if self.with_context else None
        )
        found = list(self.classifier.label_many(texts, context=contexts))
        if len(found) != len(rows):
            raise InputError(f"the model gave {len(found)} predictions for {len(rows)} sentences")
        probabilities = np.zeros((len(rows), len(LABELS)))
        refused = []
        for i, prediction in enumerate(found):
            if prediction.label is None:
                refused.append(i)
            else:
                probabilities[i] = [prediction.probabilities[label] for label in LABELS]
        if refused:
            again = self.classifier.predict_proba(
                [texts[i] for i in refused],
                context=None if contexts is None else [contexts[i] for i in refused],
            )
            probabilities[refused] = again
        given = encode_labels([prediction.label for prediction in found])
        return Answers(given, probabilities, tuple(prediction.evidence for prediction in found))


@dataclass(frozen=True)
class _Fitted:
    """A baseline after fitting."""

    name: str
    reads: str
    model: Baseline
    digest: str | None = None

    def answer(self, rows: Sequence[Asked]) -> Answers:
        texts = [row.text for row in rows]
        probabilities = self.model.predict_proba(texts)
        evidence = self.model.evidence(texts) if isinstance(self.model, Lexicon) else None
        return Answers(probabilities.argmax(-1).astype(np.int64), probabilities, evidence)


def fitted_baseline(name: str, train: GoldSet | None) -> System:
    """A baseline, fitted on the labelled sentences of ``train`` where it needs any.

    Raises:
        InputError: there is none of this name, or it must be fitted and there is nothing to fit it on.
        MissingExtraError: what it needs is not installed.
    """
    if name not in BASELINES:
        raise InputError(f"expected a baseline among {', '.join(BASELINES)}, got {name!r}")
    baseline = build_baseline(name)
    if train is not None:
        baseline.fit([row.text for row in train.labelled], gold_labels(train.labelled))
    elif baseline.needs_fitting:
        raise InputError(f"the baseline {name} is fitted in the run: give the training sentences (--train)")
    return _Fitted(name, "nothing" if name == "majority" else "sentence", baseline)


class PipelineSystem:
    """Any Hugging Face text-classification model, in float32 on the processor.

    Its scores are the softmax of its logits, as of ``transformers.pipeline`` for models of one label a
    text. Texts longer than the model reads are cut.

    Args:
        model: folder or hub id.
        label_map: its labels to ours; several of its labels may mean one of ours, and theirs add up. None
            takes labels that are called as ours are.
        batch_size: sentences in a batch.

    Raises:
        InputError: the map names a label that the model does not have, leaves one out, or has none of ours.
        ModelFormatError: transformers cannot load the model, or finds it without a trained classifier, a
            vocabulary, or a second label.
        MissingExtraError: torch or transformers is not installed.
    """

    def __init__(self, model: str, label_map: LabelMap | None = None, batch_size: int = 32) -> None:
        self._torch, transformers = require("torch", "torch"), require("transformers", "torch")
        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model)
            loaded, info = transformers.AutoModelForSequenceClassification.from_pretrained(
                model, dtype=self._torch.float32, output_loading_info=True
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ModelFormatError(
                f"transformers cannot load a classifier from {model!r}: {reason}"
            ) from error
        _check_loaded(model, self._tokenizer, loaded, info["missing_keys"])
        self._model: Any = loaded.eval()
        config = loaded.config
        names = [config.id2label[i] for i in range(config.num_labels)]
        columns = _columns(names, label_map, model)
        #: Shape (n_theirs, n_labels): 1 where a label of theirs means one of ours.
        self._means = np.eye(len(LABELS))[[columns[name] for name in names]]
        self._longest = _longest(self._tokenizer, config)
        can_pad = self._tokenizer.pad_token is not None and config.pad_token_id is not None
        self._batch_size = batch_size if can_pad else 1
        self.name = (Path(model).name or Path(model).resolve().name) if Path(model).is_dir() else model
        self.reads = "sentence"
        self.digest: str | None = _digest(Path(model)) if Path(model).is_dir() else None

    def answer(self, rows: Sequence[Asked]) -> Answers:
        """Label sentences; each gets a label."""
        probabilities = np.zeros((len(rows), len(LABELS)))
        # Sentences of one length together: padding would cost most of the time.
        order = sorted(range(len(rows)), key=lambda i: len(rows[i].text))
        for first in range(0, len(order), self._batch_size):
            batch = order[first : first + self._batch_size]
            inputs = self._tokenizer(
                [rows[i].text for i in batch],
                padding=len(batch) > 1,
                truncation=self._longest is not None,
                max_length=self._longest,
                return_tensors="pt",
            )
            with self._torch.inference_mode():
                scores = self._model(**inputs).logits.double().softmax(-1).numpy()
            probabilities[batch] = scores @ self._means
        return Answers(probabilities.argmax(-1).astype(np.int64), probabilities)


def _check_loaded(name: str, tokenizer: Any, model: Any, missing: Collection[str]) -> None:
    """What transformers loads without complaint, and what gives labels at random."""
    if missing:
        raise ModelFormatError(
            f"{name} is no trained classifier: its weights have no {', '.join(sorted(missing)[:3])}"
        )
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise ModelFormatError(f"{name} has no vocabulary; expected the files of its tokeniser")
    if model.config.num_labels < 2:
        raise ModelFormatError(f"{name} gives one score and no choice of labels")


def _longest(tokenizer: Any, config: Any) -> int | None:
    """Most tokens that the model reads; None where neither it nor its tokeniser says so."""
    positions: int | None = getattr(config, "max_position_embeddings", None)
    stated: int = tokenizer.model_max_length
    # A tokeniser that does not know says about 1e30. Two positions are then left, which some
    # architectures do not use.
    if stated < 1_000_000:
        return stated if positions is None else min(stated, positions)
    return None if positions is None else max(3, positions - 2)


def _digest(folder: Path) -> str:
    """SHA-256 over the names and digests of a folder's files."""
    whole = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with path.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        whole.update(f"{path.name} {content}\n".encode())
    return whole.hexdigest()


def _columns(names: Sequence[str], label_map: LabelMap | None, model: str) -> dict[str, int]:
    """Each of the model's labels as the place of ours."""
    ours = ", ".join(LABELS)
    if label_map is None:
        if not set(names) <= set(LABELS):
            raise InputError(
                f"{model} gives the labels {', '.join(names)}; say with --labels FILE what they mean "
                f'among {ours}: a JSON object such as {{"{names[0]}": "{LABELS[0]}"}}'
            )
        return {name: LABELS.index(Label(name)) for name in names}
    if set(label_map) != set(names):
        raise InputError(
            f"the label map must name each label of {model} once: expected {', '.join(sorted(names))}, "
            f"got {', '.join(sorted(label_map))}"
        )
    return {name: LABELS.index(label) for name, label in label_map.items()}


def read_label_map(path: Path) -> LabelMap:
    """A map from a model's labels to ours, from a JSON object.

    Raises:
        InputError: the file cannot be read, or is no such object.
    """
    try:
        content = json.loads(path.read_bytes())
        return {str(name): Label(label) for name, label in content.items()}
    except OSError as error:
        raise InputError(f"cannot read the label map: {path}: {error.strerror}") from error
    except (ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: expected a JSON object of the model's labels to {', '.join(LABELS)}: {error}"
        ) from error


def is_prediction_file(spec: str) -> bool:
    """Whether a system's name is that of a file of predictions, there or not."""
    return suffixes(spec)[0] in TABLE_SUFFIXES and not Path(spec).is_dir()


def open_system(spec: str, *, train: GoldSet | None = None, label_map: LabelMap | None = None) -> System:
    """A system by the name that a command was given; see the module.

    Our model reads the sentences before exactly where it was made to.

    Args:
        spec: the name.
        train: what a baseline is fitted on.
        label_map: for a model that is not ours, its labels to ours.

    Raises:
        InputError: a baseline without ``train``, a file that is no table of predictions, or labels that
            have no meaning among ours.
        ModelNotFoundError: no such folder, file or hub id.
        ModelFormatError: there is a model, but it cannot be loaded.
        MissingExtraError: what the system needs is not installed.
    """
    if spec in BASELINES:
        return fitted_baseline(spec, train)
    if is_prediction_file(spec):
        from framelens_evaluation.inputs.predictions import PredictionFile

        return PredictionFile(Path(spec))
    if Path(spec).is_file():
        raise InputError(
            f"{spec} is a file, and no table of predictions: expected a name that ends in "
            f"{', '.join(TABLE_SUFFIXES)}, or the folder of a model"
        )
    from framelens import FramingClassifier

    try:
        classifier = FramingClassifier.from_pretrained(spec)
    except ModelFormatError as ours:
        try:
            return PipelineSystem(spec, label_map)
        except ModelFormatError as theirs:
            raise ModelFormatError(f"{ours}; {theirs}") from theirs
    name = "framelens" if spec == "bundled" else Path(spec).name or Path(spec).resolve().name
    return FramingSystem(classifier, name, with_context=classifier.context_sentences > 0)
