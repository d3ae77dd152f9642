"""Tell, sentence by sentence, state-media framing from independent reporting from hedged claims.

>>> from framelens import FramingClassifier
>>> clf = FramingClassifier()
>>> clf.label("The convoy was reportedly hit near the bridge.").label
<Label.HEDGED_CLAIM: 'hedged_claim'>

In every signature of this package ``n_sentences`` is the number of sentences and ``n_labels`` is 3,
ordered as `LABELS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from framelens.errors import (
    FramelensError,
    InputError,
    JobError,
    MissingExtraError,
    ModelFormatError,
    ModelNotFoundError,
)
from framelens.labels import LABELS, CueKind, Label
from framelens.prediction import (
    Evidence,
    LabelledDocument,
    LabelledSentence,
    Prediction,
    Profile,
    Status,
)

if TYPE_CHECKING:
    from framelens.classifier import FramingClassifier
    from framelens.datasets import label_dataset

__version__ = "0.1.0"

__all__ = [
    "LABELS",
    "CueKind",
    "Evidence",
    "FramelensError",
    "FramingClassifier",
    "InputError",
    "JobError",
    "Label",
    "LabelledDocument",
    "LabelledSentence",
    "MissingExtraError",
    "ModelFormatError",
    "ModelNotFoundError",
    "Prediction",
    "Profile",
    "Status",
    "__version__",
    "label_dataset",
]


def __getattr__(name: str) -> Any:
    # What needs the model is imported on first use, so that `import framelens` stays light.
    if module := {"FramingClassifier": "classifier", "label_dataset": "datasets"}.get(name):
        return getattr(import_module(f"framelens.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
