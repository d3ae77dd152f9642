"""The bundled model under every backend, built once."""

from importlib.util import find_spec

import pytest

from framelens import FramingClassifier

PATHS = (("onnx", "fp32"), ("torch", "fp32"), ("torch", "bf16"))


@pytest.fixture(scope="session", params=PATHS, ids=lambda path: "-".join(path))
def any_classifier(request: pytest.FixtureRequest) -> FramingClassifier:
    """The bundled model on each backend and precision that is installed."""
    backend, precision = request.param
    if backend == "torch" and not (find_spec("torch") and find_spec("transformers")):
        pytest.skip("torch is not installed")
    return FramingClassifier.from_pretrained(backend=backend, precision=precision)


@pytest.fixture(scope="session")
def classifier() -> FramingClassifier:
    """The bundled model as users get it."""
    return FramingClassifier()
