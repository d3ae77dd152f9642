"""What loading costs, what is public, and that the wheel's parts are there."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import framelens

ROOT = Path(__file__).parents[2]
PUBLIC = {
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
}
HEAVY = ("torch", "transformers", "onnxruntime", "numpy", "pyarrow", "tokenizers", "nupunkt", "sklearn")


def loaded_by(code: str) -> set[str]:
    """Which heavy packages a fresh interpreter holds after running the code."""
    program = (
        f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_import_is_light() -> None:
    assert loaded_by("import framelens") == set()


def test_help_is_light() -> None:
    code = (
        "from framelens.cli import app\n"
        "for arguments in (['--help'], ['label', '--help'], ['info', '--help']):\n"
        "    try: app(arguments)\n"
        "    except SystemExit: pass"
    )
    assert loaded_by(code) == set()


def test_labelling_needs_no_torch() -> None:
    code = "from framelens import FramingClassifier\nFramingClassifier().label('The harbour was closed.')"
    assert {"torch", "transformers", "sklearn"}.isdisjoint(loaded_by(code))


def test_public_names() -> None:
    assert set(framelens.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(framelens, name) is not None


def test_bundle_weighs_little_and_holds_no_pickle() -> None:
    bundle = files("framelens") / "bundled"
    sizes = {entry.name: len(entry.read_bytes()) for entry in bundle.iterdir()}
    assert sum(sizes.values()) <= 50_000_000
    assert set(sizes) == {
        "config.json",
        "model.onnx",
        "model.safetensors",
        "model_card.md",
        "quality.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_version_is_one() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f'version = "{framelens.__version__}"' in pyproject
    assert f"version: {framelens.__version__}\n" in citation
    assert f"## {framelens.__version__}" in changelog
