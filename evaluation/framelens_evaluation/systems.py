"""Whatever can be measured, behind one protocol: our model, anybody else's, a baseline, a file.

`open_system` takes the name that a command was given:

* ``bundled``, a folder or a hub id of a framelens model;
* a folder or hub id of any Hugging Face text-classification model, with a map to our labels;
* a baseline by name, fitted on the training sentences;
* a file of predictions (``.jsonl``, ``.csv``, ``.tsv``, ``.parquet``, also compressed).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from framelens import LABELS, InputError, Label, ModelFormatError
from framelens.errors import require
from framelens_evaluation.baselines import BASELINES, build_baseline
from framelens_evaluation.dataset import gold_labels
from framelens_evaluation.metrics import encode_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from framelens import Evidence, Prediction
    from framelens_evaluation.dataset import GoldSet
    from framelens_evaluation.metrics import FloatArray, IntArray

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
_TABLES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")


class Asked(Protocol):
    """A sentence to be labelled; `framelens_evaluation.dataset.GoldSentence` is one."""

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

    @property
    def has_probabilities(self) -> bool:
        """Whether every sentence has them."""
        return not bool(np.isnan(self.probabilities).any())


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
        """SHA-256 of the model or file; None for what is fitted in the run."""

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
    model: Any
    digest: str | None = None

    def answer(self, rows: Sequence[Asked]) -> Answers:
        probabilities = self.model.predict_proba([row.text for row in rows])
        return Answers(probabilities.argmax(-1).astype(np.int64), probabilities)


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
    """Any Hugging Face text-classification model, through ``transformers.pipeline`` in float32.

    Args:
        model: folder or hub id.
        label_map: its labels to ours; several of its labels may mean one of ours, and theirs add up. None
            takes labels that are called as ours are.
        batch_size: sentences in a batch.

    Raises:
        InputError: the map names a label that the model does not have, leaves one out, or has none of ours.
        ModelFormatError: transformers cannot load the model.
        MissingExtraError: torch or transformers is not installed.
    """

    def __init__(self, model: str, label_map: LabelMap | None = None, batch_size: int = 32) -> None:
        torch, transformers = require("torch", "torch"), require("transformers", "torch")
        try:
            self._pipeline: Any = transformers.pipeline(
                "text-classification", model=model, dtype=torch.float32, device="cpu", top_k=None
            )
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelFormatError(
                f"transformers cannot load a classifier from {model!r}: {reason}"
            ) from error
        names = list(self._pipeline.model.config.id2label.values())
        self._columns = _columns(names, label_map, model)
        self._batch_size = batch_size
        self.name = Path(model).name if Path(model).is_dir() else model
        self.reads = "sentence"
        self.digest: str | None = None

    def answer(self, rows: Sequence[Asked]) -> Answers:
        """Label sentences; texts longer than the model reads are cut."""
        probabilities = np.zeros((len(rows), len(LABELS)))
        # A generator of texts keeps the pipeline quiet about being called in sequence.
        found = self._pipeline([row.text for row in rows], truncation=True, batch_size=self._batch_size)
        for row, scores in zip(probabilities, found, strict=True):
            for score in scores:
                row[self._columns[score["label"]]] += score["score"]
        return Answers(probabilities.argmax(-1).astype(np.int64), probabilities)


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
    """Whether a system's name is that of a file of predictions."""
    return any(suffix in _TABLES for suffix in Path(spec).suffixes) and not Path(spec).is_dir()


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
        from framelens_evaluation.predictions import PredictionFile

        return PredictionFile(Path(spec))
    if label_map is not None:
        return PipelineSystem(spec, label_map)
    from framelens import FramingClassifier

    try:
        classifier = FramingClassifier.from_pretrained(spec)
    except ModelFormatError as ours:
        try:
            return PipelineSystem(spec)
        except ModelFormatError as theirs:
            raise ModelFormatError(f"{ours}; {theirs}") from theirs
    name = "framelens" if spec == "bundled" else Path(spec).name
    return FramingSystem(classifier, name, with_context=classifier.context_sentences > 0)
