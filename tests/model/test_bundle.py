"""Finding a model, and saying plainly what is wrong with one."""

import json
import shutil
from pathlib import Path

import pytest

from framelens import FramingClassifier, ModelFormatError, ModelNotFoundError
from framelens.bundle import FAST, Precision, find_bundle


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the bundled model, to be damaged."""
    return Path(shutil.copytree(find_bundle().folder, tmp_path / "model"))


@pytest.fixture
def int8_copy(tmp_path: Path) -> Path:
    """A copy of a model that computes in int8."""
    return Path(shutil.copytree(find_bundle(FAST).folder, tmp_path / "int8"))


def test_a_copy_is_the_same_model(copy: Path) -> None:
    assert find_bundle(copy).digest == find_bundle().digest == FramingClassifier().digest
    text = "The convoy was reportedly hit near the bridge."
    assert FramingClassifier.from_pretrained(str(copy)).label(text) == FramingClassifier().label(text)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_the_digest_covers_what_decides_a_label(copy: Path, name: str) -> None:
    before = find_bundle(copy).digest
    content = (copy / name).read_bytes()
    # A space is no change of meaning in JSON, but it is another file.
    (copy / name).write_bytes(content + b" ")
    assert find_bundle(copy).digest != before


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_part_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelFormatError, match=f"{name} missing"):
        find_bundle(copy)


@pytest.mark.parametrize(("name", "precision"), [("model.onnx", "fp32"), ("model.int8.onnx", "int8")])
def test_a_missing_graph_names_the_way_out(int8_copy: Path, name: str, precision: Precision) -> None:
    (int8_copy / name).unlink()
    with pytest.raises(ModelFormatError, match=f"has no {name}; .* backend='torch'"):
        FramingClassifier.from_pretrained(int8_copy, precision=precision)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("model_type", "bert", "is a 'bert' model"),
        ("id2label", {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, "LABEL_0"),
        ("cue_tags", ["none"], "expected 'framelens'"),
        ("calibration_temperature", 0, "calibration_temperature"),
        ("max_tokens", "many", "max_tokens"),
    ],
)
def test_another_kind_of_model_is_refused(copy: Path, field: str, value: object, said: str) -> None:
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps(config | {field: value}), encoding="utf-8")
    with pytest.raises(ModelFormatError, match=said):
        find_bundle(copy)


def test_damaged_files_are_named(copy: Path) -> None:
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFormatError, match=r"model\.safetensors is damaged"):
        FramingClassifier.from_pretrained(copy)
    weights.write_bytes(whole)
    (copy / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelFormatError, match="the graph in fp32 does not fit"):
        FramingClassifier.from_pretrained(copy)
    (copy / "quality.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"quality\.json is damaged"):
        _ = find_bundle(copy).quality
    (copy / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelFormatError, match=r"config\.json"):
        find_bundle(copy)


def test_what_is_neither_folder_nor_hub_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError, match="neither a folder nor a hub id"):
        find_bundle("no/such/folder/at all")
