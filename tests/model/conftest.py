"""The bundled models under every backend, built once."""

from importlib.util import find_spec

import pytest

from framelens import FramingClassifier

PATHS = (
    ("bundled", "onnx", "fp32"),
    ("bundled", "torch", "fp32"),
    ("bundled", "torch", "bf16"),
    ("fast", "onnx", "int8"),
    ("fast", "onnx", "fp32"),
    ("fast", "torch", "fp32"),
)


@pytest.fixture(scope="session", params=PATHS, ids=lambda path: "-".join(path))
def any_classifier(request: pytest.FixtureRequest) -> FramingClassifier:
    """Each bundled model on each backend and precision that is installed."""
    model, backend, precision = request.param
    if backend == "torch" and not (find_spec("torch") and find_spec("transformers")):
        pytest.skip("torch is not installed")
    return FramingClassifier.from_pretrained(model, backend=backend, precision=precision)


@pytest.fixture(scope="session")
def classifier() -> FramingClassifier:
    """The bundled model as users get it."""
    return FramingClassifier()
