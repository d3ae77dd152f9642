"""The bundled model through Hugging Face's own front doors."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline

import framelens.hf
from framelens import LABELS, FramingClassifier, InputError, ModelFormatError
from framelens.bundle import BUNDLED, FAST, find_bundle

LINES = (
    (Path(__file__).parents[1] / "data" / "judged_sentences.jsonl").read_text(encoding="utf-8").splitlines()
)
TEXTS = [row["text"] for row in map(json.loads, LINES) if row["label"]]


@pytest.fixture(scope="module", params=[BUNDLED, FAST])
def folder(request: pytest.FixtureRequest) -> Path:
    return find_bundle(request.param).folder


def test_auto_class_loads_it_without_remote_code(folder: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    assert isinstance(model, framelens.hf.FramingForSequenceClassification)
    assert [model.config.id2label[i] for i in range(3)] == [str(label) for label in LABELS]


def test_what_from_pretrained_takes(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "inner").symlink_to(folder)
    load = framelens.hf.FramingForSequenceClassification.from_pretrained
    plain = load(folder, dtype=torch.float32)
    for other in (
        load(folder, config=str(folder), dtype=torch.float32),
        load(tmp_path, subfolder="inner", dtype=torch.float32, local_files_only=True),
        load(folder, config=AutoConfig.from_pretrained(folder), dtype=torch.float32),
        load(folder, calibration_temperature=2.0, dtype=torch.float32),
    ):
        for name, value in plain.state_dict().items():
            assert torch.equal(value, other.state_dict()[name])
    assert other.config.calibration_temperature == 2.0
    assert load(folder, dtype=torch.bfloat16).dtype == torch.bfloat16


def test_pipeline_gives_the_same_named_probabilities(folder: Path) -> None:
    pipe = pipeline("text-classification", model=str(folder), dtype=torch.float32, top_k=None)
    ours = FramingClassifier.from_pretrained(folder, precision="fp32").predict_proba(TEXTS)
    for row, found in zip(ours, pipe(TEXTS, batch_size=8), strict=True):
        scores = {entry["label"]: entry["score"] for entry in found}
        np.testing.assert_allclose([scores[str(label)] for label in LABELS], row, atol=1e-4)


def test_the_tokeniser_is_the_same(folder: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(folder)
    ours = find_bundle(folder).tokenizer()
    for text in TEXTS:
        assert theirs(text)["input_ids"] == ours.encode(text).ids


def test_padding_and_absent_masks_change_nothing(folder: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = torch.tensor([tokenizer("It is said so.")["input_ids"]])
    padded = torch.nn.functional.pad(ids, (0, 2), value=tokenizer.pad_token_id)
    mask = torch.nn.functional.pad(torch.ones_like(ids), (0, 2))
    with torch.inference_mode():
        bare, full = model(ids), model(padded, attention_mask=mask)
    torch.testing.assert_close(bare.logits, full.logits, atol=1e-5, rtol=0)
    assert model(ids, return_dict=False)[0].shape == (1, 3)


def test_incomplete_weights_are_not_filled_with_random_ones(tmp_path: Path, folder: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "model"))
    weights = load_file(copy / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelFormatError, match=r"lacks classifier\.weight"):
        FramingClassifier.from_pretrained(copy, backend="torch")


def test_a_device_that_torch_lacks_is_named() -> None:
    with pytest.raises(InputError, match="device 'abacus'"):
        FramingClassifier.from_pretrained(backend="torch", device="abacus")


def test_an_unknown_pooling_is_refused() -> None:
    config = framelens.hf.FramingConfig(pooling="max")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'max'"):
        framelens.hf.FramingForSequenceClassification(config)
