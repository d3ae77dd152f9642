"""What is measured on a benchmark. A method never gets a label of test: only texts.

``majority``
    gives every sentence the most frequent class of train.
``always``
    gives every sentence the class whose F1 is measured; where the class is frequent, this floor is not low.
``tfidf``
    TF-IDF of words, word pairs and characters with logistic regression.
``probe``
    logistic regression over the frozen vectors of a model's encoder.
``finetune``
    the encoder itself, trained on; see `framelens_evaluation.bench.finetune`.
``zero-shot``
    the probability of one of our labels, as it is, for the tasks that declare which.

All but the first two and the last weight the classes of train equally.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np

from framelens import LABELS, InputError
from framelens.errors import require
from framelens_evaluation.inputs.baselines import tfidf_vectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from framelens_evaluation.bench.encoder import Encoder
    from framelens_evaluation.bench.scoring import Scorer
    from framelens_evaluation.bench.tasks import Task
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = [
    "FITTED",
    "FLOORS",
    "METHODS",
    "Always",
    "Answers",
    "Method",
    "MethodName",
    "Parts",
    "Probe",
    "TfIdf",
    "ZeroShot",
    "build_methods",
    "check_two_classes",
    "suits",
]

MethodName = Literal["tfidf", "probe", "finetune", "zero-shot"]
METHODS: tuple[MethodName, ...] = get_args(MethodName)
#: What any method must beat; measured always, and compared with nothing.
FLOORS = ("majority", "always")
#: What learns from the sentences of train.
FITTED = ("tfidf", "probe", "finetune")
#: Inverse penalties that dev decides between; the smallest of equally good ones is taken.
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True, eq=False)
class Parts:
    """What a method is given.

    Attributes:
        task: the declaration.
        scorer: its metric.
        train_texts: sentences to be fitted on.
        train_labels: their classes, shape (n_train,).
        dev_texts: sentences that decide settings.
        dev_labels: their classes, shape (n_dev,).
        test_texts: sentences to answer for; their classes are not given.
        seed: of everything random.
        tell: told how far the method is.
    """

    task: Task
    scorer: Scorer
    train_texts: list[str]
    train_labels: IntArray
    dev_texts: list[str]
    dev_labels: IntArray
    test_texts: list[str]
    seed: int = 0
    tell: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, eq=False)
class Answers:
    """What a method gives.

    Attributes:
        dev: probabilities of shape (n_dev, n_classes).
        test: probabilities of shape (n_test, n_classes).
        chosen: settings that dev decided.
        is_final: whether the most probable class is the answer, and no threshold is to be chosen.
    """

    dev: FloatArray
    test: FloatArray
    chosen: dict[str, float] = field(default_factory=dict)
    is_final: bool = False


class Method(Protocol):
    """A way to answer a benchmark."""

    @property
    def name(self) -> str:
        """What it is called."""

    def answer(self, parts: Parts) -> Answers:
        """Fit on train, decide settings on dev, answer for dev and test.

        Raises:
            InputError: train has one class only.
        """


def check_two_classes(parts: Parts) -> None:
    """See that there is something to tell apart.

    Raises:
        InputError: train has one class only.
    """
    if len(np.unique(parts.train_labels)) < 2:
        raise InputError(f"{parts.task.name}: the training part holds one class only, and two are needed")


class Always:
    """The same class for every sentence.

    Args:
        name: ``majority`` for the most frequent class of train, ``always`` for the class that is measured.
    """

    def __init__(self, name: Literal["majority", "always"]) -> None:
        self.name = name

    def answer(self, parts: Parts) -> Answers:
        """Certainty, whatever the sentence."""
        n_classes = parts.scorer.n_classes
        frequent = int(np.bincount(parts.train_labels, minlength=n_classes).argmax())
        positive = parts.scorer.positive
        given = frequent if self.name == "majority" or positive is None else positive
        row = np.eye(n_classes)[given]
        dev, test = (np.tile(row, (len(texts), 1)) for texts in (parts.dev_texts, parts.test_texts))
        return Answers(dev, test, is_final=True)


class TfIdf:
    """TF-IDF of words, word pairs and runs of 3 to 5 characters, with logistic regression."""

    name = "tfidf"

    def answer(self, parts: Parts) -> Answers:
        """Fit vocabulary and regression on train."""
        check_two_classes(parts)
        linear = require("sklearn.linear_model", "eval")
        vectors = tfidf_vectors()
        model = linear.LogisticRegression(C=1.0, class_weight="balanced", max_iter=2000)
        model.fit(vectors.fit_transform(parts.train_texts), parts.train_labels)
        n = parts.scorer.n_classes
        return Answers(
            _probabilities(model, vectors.transform(parts.dev_texts), n),
            _probabilities(model, vectors.transform(parts.test_texts), n),
        )


class Probe:
    """Logistic regression over an encoder's frozen vectors (Alain and Bengio 2016).

    Each feature is standardised by its mean and deviation in train; dev decides the penalty.

    Args:
        encoder: whose vectors.
    """

    name = "probe"

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        # The vectors of a task serve all its folds; only one task's are held.
        self._task = ""
        self._known: dict[str, FloatArray] = {}

    def answer(self, parts: Parts) -> Answers:
        """Fit a regression for each penalty and keep the one that is best on dev."""
        check_two_classes(parts)
        linear = require("sklearn.linear_model", "eval")
        train, dev, test = self._features(parts)
        n = parts.scorer.n_classes
        fitted = []
        for penalty in _PENALTIES:
            # Newton's method converges in a few steps, but its Hessian grows with the square of the classes.
            model = linear.LogisticRegression(
                C=penalty,
                class_weight="balanced",
                max_iter=2000,
                solver="newton-cholesky" if n == 2 else "lbfgs",
            ).fit(train, parts.train_labels)
            score = parts.scorer.best_score(parts.dev_labels, _probabilities(model, dev, n))
            fitted.append((float(np.nan_to_num(score, nan=-1.0)), penalty, model))
        # The first of equal scores, which is the strongest penalty's.
        _, penalty, model = max(fitted, key=lambda each: each[0])
        return Answers(_probabilities(model, dev, n), _probabilities(model, test, n), {"C": penalty})

    def _features(self, parts: Parts) -> tuple[FloatArray, ...]:
        if parts.task.name != self._task:
            self._task, self._known = parts.task.name, {}
        texts = (parts.train_texts, parts.dev_texts, parts.test_texts)
        new = list(dict.fromkeys(text for part in texts for text in part if text not in self._known))
        self._known.update(zip(new, self._encoder.vectors(new, parts.tell), strict=True))
        train, dev, test = (np.stack([self._known[text] for text in part]) for part in texts)
        mean, deviation = train.mean(0), train.std(0)
        deviation[deviation < 1e-8] = 1.0
        return tuple((part - mean) / deviation for part in (train, dev, test))


class ZeroShot:
    """The probability that our model gives one of its own labels, for the class that is measured.

    Args:
        classifier: a framelens model, asked for ``predict_proba(texts)``.
    """

    name = "zero-shot"

    def __init__(self, classifier: Any) -> None:
        self._classifier = classifier

    def answer(self, parts: Parts) -> Answers:
        """Nothing is fitted; dev decides the threshold alone."""
        label, positive = parts.task.zero_shot, parts.scorer.positive
        if label is None or positive is None:
            raise InputError(f"{parts.task.name} declares no label for zero-shot")
        at = LABELS.index(label)

        def columns(texts: list[str]) -> FloatArray:
            share = np.asarray(self._classifier.predict_proba(texts), dtype=np.float64)[:, at]
            found = np.empty((len(texts), 2))
            found[:, positive], found[:, 1 - positive] = share, 1 - share
            return found

        return Answers(columns(parts.dev_texts), columns(parts.test_texts))


def _probabilities(model: Any, features: Any, n_classes: int) -> FloatArray:
    """Shape (n_sentences, n_classes); 0 for a class that no training sentence had."""
    found = np.zeros((features.shape[0], n_classes))
    found[:, model.classes_] = model.predict_proba(features)
    return found


def suits(name: str, task: Task) -> bool:
    """Whether a method can answer a task: some need a class whose F1 is measured, or a label like it."""
    if name == "always":
        return task.positive is not None
    return name != "zero-shot" or task.zero_shot is not None


def build_methods(names: list[MethodName], encoder: Encoder | None, model: str) -> list[Method]:
    """The named methods, with the floors before them.

    Args:
        names: in the order of the report.
        encoder: needed by ``probe`` and ``finetune``.
        model: as the command was given it; ``zero-shot`` needs a framelens model.

    Raises:
        InputError: a method without what it needs.
    """
    methods: list[Method] = [Always("majority"), Always("always")]
    for name in names:
        if name == "tfidf":
            methods.append(TfIdf())
            continue
        if encoder is None:
            raise InputError(f"{name} needs a model (--model)")
        if name == "probe":
            methods.append(Probe(encoder))
        elif name == "finetune":
            from framelens_evaluation.bench.finetune import FineTune

            methods.append(FineTune(encoder))
        elif encoder.is_framelens:
            from framelens import FramingClassifier

            methods.append(ZeroShot(FramingClassifier.from_pretrained(model)))
        else:
            raise InputError(f"zero-shot asks for our labels and needs a framelens model, got {model!r}")
    return methods
