"""The whole way from a fitted model to the folder that ships, on a tiny model."""

from __future__ import annotations

import json
import math
import platform
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from framelens import LABELS, FramingClassifier
from framelens.bundle import find_bundle
from framelens.errors import InputError
from framelens.hf import FramingForSequenceClassification
from framelens_training import export as export_module
from framelens_training import parity
from framelens_training.export import export
from framelens_training.fit import fresh_model
from framelens_training.parity import MIN_AGREEMENT, MIN_SENTENCES, PATHS, PathParity, gate

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTEXT = "The port of Elvik was closed on Monday."


@pytest.fixture
def few_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the gate take the made-up folder, which is small."""
    monkeypatch.setattr(parity, "MIN_SENTENCES", 10)


@pytest.fixture
def texts(rows: list[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in rows]


def test_few_held_out_sentences_are_filled_up_from_training_without_labels(few_sentences) -> None:
    def rows(prefix: str, n: int) -> list[dict[str, Any]]:
        return [{"text": f"{prefix}{i}", "label": None if i == 1 else "hedged_claim"} for i in range(n)]

    splits = {"dev": rows("d", 3), "test": rows("t", 4), "train": rows("r", 9)}
    taken = parity.parity_rows(splits)
    assert [row["text"] for row in taken] == ["d0", "d2", "t0", "t2", "t3", "r0", "r2", "r3", "r4", "r5"]
    assert [row["label"] for row in taken] == ["hedged_claim"] * 5 + [None] * 5
    with pytest.raises(InputError, match=r"at least 10 labelled sentences, .* got 9"):
        parity.parity_rows(splits | {"train": rows("r", 5)})


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_bundle_holds_what_ships_and_no_more(tiny_run) -> None:
    assert set(contents(tiny_run.bundle)) == {
        "config.json", "model.onnx", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    # Whoever may read the config may read the weights.
    assert len({path.stat().st_mode for path in tiny_run.bundle.iterdir()}) == 1


def test_the_weights_are_the_fitted_ones_in_half_precision(tiny_run) -> None:
    shipped = load_file(tiny_run.bundle / "model.safetensors")
    fitted = load_file(tiny_run.folder / "model" / "model.safetensors")
    assert shipped.keys() == fitted.keys()
    for name, values in shipped.items():
        assert values.dtype == np.float16
        np.testing.assert_array_equal(values, fitted[name].astype(np.float16))


def test_the_graph_is_small_and_its_weights_are_outside(tiny_run) -> None:
    content = (tiny_run.bundle / "model.onnx").read_bytes()
    assert len(content) < 1_000_000
    graph = onnx.load_from_string(content).graph
    weights = load_file(tiny_run.bundle / "model.safetensors")
    outside = {t.name: t for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL}
    assert len(outside) > 20
    for name, tensor in outside.items():
        assert tuple(tensor.dims) == weights[name].shape
        assert {entry.key: entry.value for entry in tensor.external_data} == {"location": "model.safetensors"}
    inside = [t for t in graph.initializer if t.name not in outside and t.data_type == onnx.TensorProto.FLOAT]
    assert all(math.prod(tensor.dims) < 64 for tensor in inside)


def test_nothing_in_the_bundle_tells_where_it_was_made(tiny_run, tiny_base: Path) -> None:
    places = {
        "/tmp", tempfile.gettempdir(), str(Path.home()), str(Path(__file__).parents[2]), "site-packages",
        str(tiny_base), platform.node(),
    }  # fmt: skip
    for name, content in contents(tiny_run.bundle).items():
        found = [place for place in places if len(place) > 3 and place.encode() in content]
        assert found == [], name


def test_the_config_carries_what_was_chosen_on_dev(tiny_run) -> None:
    config = find_bundle(tiny_run.bundle).config
    chosen = tiny_run.calibration
    assert config.calibration_temperature == pytest.approx(chosen.temperature)
    assert config.evidence_threshold == chosen.evidence_threshold
    assert (config.max_tokens, config.context_sentences) == (64, 2)
    dev = (tiny_run.folder / "splits" / "dev.jsonl").read_text(encoding="utf-8").splitlines()
    assert chosen.n_sentences == sum(json.loads(line)["label"] is not None for line in dev)


def probabilities(bundle: Path, backend: Any, texts: Sequence[str], context: str | None) -> np.ndarray:
    classifier = FramingClassifier.from_pretrained(bundle, backend=backend)
    return classifier.predict_proba(texts, [context] * len(texts))


@pytest.mark.parametrize("context", [None, CONTEXT])
def test_onnx_and_torch_agree(tiny_run, texts: list[str], context: str | None) -> None:
    by_onnx, by_torch = (probabilities(tiny_run.bundle, name, texts, context) for name in ("onnx", "torch"))
    np.testing.assert_allclose(by_onnx, by_torch, atol=1e-4)
    # A model that gives every sentence the same would agree too.
    assert by_onnx.std(0).max() > 50 * np.abs(by_onnx - by_torch).max()


def test_transformers_load_it(tiny_run, texts: list[str]) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(tiny_run.bundle, dtype=torch.float32)
    assert isinstance(model, FramingForSequenceClassification)
    assert model.config.id2label == {i: str(label) for i, label in enumerate(LABELS)}
    tokenizer = AutoTokenizer.from_pretrained(tiny_run.bundle)
    # The library cuts a pair that is too long in its own way: the context first, from its left.
    short = [text for text in texts if len(tokenizer(text, CONTEXT)["input_ids"]) <= 64]
    assert len(short) > 10
    with torch.inference_mode():
        batch = tokenizer(short, [CONTEXT] * len(short), padding=True, return_tensors="pt")
        found = model.eval()(**batch).logits.softmax(-1).numpy()
    np.testing.assert_allclose(found, probabilities(tiny_run.bundle, "onnx", short, CONTEXT), atol=1e-4)


def test_a_pipeline_gives_the_named_labels_and_the_same_probabilities(tiny_run, texts: list[str]) -> None:
    classify = pipeline("text-classification", model=str(tiny_run.bundle), dtype=torch.float32)
    wanted = probabilities(tiny_run.bundle, "onnx", texts, None)
    for found, row in zip(classify(texts, top_k=None), wanted, strict=True):
        by_label = {entry["label"]: entry["score"] for entry in found}
        assert [by_label.pop(str(label)) for label in LABELS] == pytest.approx(row.tolist(), abs=1e-4)
        assert by_label == {}


@pytest.mark.parametrize("pooling", ["cls", "attention"])
def test_every_other_pooling_exports(
    pooling: str, tiny_run, tiny_base: Path, make_recipe: Any, texts: list[str], few_sentences, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    model, tokenizer = fresh_model(make_recipe(tiny_base, pooling=pooling))
    for head in (model.classifier, getattr(model, "pool_scores", model.classifier)):
        torch.nn.init.normal_(head.weight, std=2.0)  # far enough apart that no label hangs on a rounding
    shutil.copytree(tiny_run.folder / "splits", tmp_path / "run" / "splits")
    tokenizer.save_pretrained(tmp_path / "run" / "model")
    model.save_pretrained(tmp_path / "run" / "model")
    _, measured = export(tmp_path / "run", tmp_path / "bundle")
    assert [path.path for path in measured] == ["as fitted: torch", *(name for name, _, _ in PATHS)]
    by_onnx, by_torch = (
        probabilities(tmp_path / "bundle", name, texts, CONTEXT) for name in ("onnx", "torch")
    )
    np.testing.assert_allclose(by_onnx, by_torch, atol=1e-4)


def test_parity_is_measured_beside_the_fitted_weights(tiny_run) -> None:
    reference, onnx_path, torch_path, bf16 = tiny_run.parity
    assert (reference.agreement, reference.max_difference) == (1.0, 0.0)
    # fp16 weights are not the fitted ones, so a difference of nothing would mean nothing was compared.
    for path in (onnx_path, torch_path, bf16):
        assert path.n_sentences == reference.n_sentences
        assert 0 < path.max_difference < 0.2
    assert onnx_path.max_difference < 0.02
    assert onnx_path.batch_dependence < 1e-4
    written = json.loads((tiny_run.folder / "export.json").read_text(encoding="utf-8"))
    assert written["parity"] == [path.to_dict() for path in tiny_run.parity]
    assert written["calibration"] == tiny_run.calibration.to_dict()
    assert written["model_digest"] == find_bundle(tiny_run.bundle).digest


def test_an_export_that_fails_the_gate_leaves_the_old_bundle(
    own_run, few_sentences, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(own_run.bundle)
    monkeypatch.setattr(parity, "MIN_AGREEMENT", 1.1)
    with pytest.raises(InputError, match="agrees with the fitted model"):
        export(own_run.folder, own_run.bundle)
    assert contents(own_run.bundle) == before


def test_an_export_replaces_an_old_bundle_whole(own_run, few_sentences) -> None:
    (own_run.bundle / "quality.json").write_text("{}", encoding="utf-8")  # of the old model
    before = contents(own_run.bundle)
    export(own_run.folder, own_run.bundle)
    assert contents(own_run.bundle).keys() == before.keys() - {"quality.json"}
    assert contents(own_run.bundle)["model.safetensors"] == before["model.safetensors"]


def test_an_export_replaces_nothing_but_a_model(own_run, few_sentences, tmp_path: Path) -> None:
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("all my work", encoding="utf-8")
    for place in (other, other / "chapter.txt"):
        with pytest.raises(InputError, match="is no model, so it is not replaced"):
            export(own_run.folder, place)
    assert contents(other) == {"chapter.txt": b"all my work"}


def test_a_bundle_that_is_too_large_is_refused(
    own_run, few_sentences, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(export_module, "MAX_BYTES", 50_000)
    with pytest.raises(InputError, match=r"weighs 0\.\d MB"):
        export(own_run.folder, tmp_path / "large")
    assert not (tmp_path / "large").exists()


@pytest.mark.parametrize("part", ["model/model.safetensors", "splits/dev.jsonl", "splits/test.jsonl"])
def test_an_unfinished_run_is_refused(part: str, own_run, tmp_path: Path) -> None:
    (own_run.folder / part).unlink()
    with pytest.raises(InputError, match=f"no finished run: {part} is missing"):
        export(own_run.folder, tmp_path / "out")


GOOD = PathParity(PATHS[0][0], MIN_SENTENCES, MIN_AGREEMENT, 0.01, 1e-4, 0.5)
LAST = replace(GOOD, path=PATHS[-1][0], agreement=0.5, batch_dependence=0.5)


def test_the_gate_lets_a_default_path_at_its_bounds_pass() -> None:
    # Of the other paths it asks nothing: they are chosen by name and their figures are shown.
    gate([LAST, GOOD])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"n_sentences": MIN_SENTENCES - 1},
            f"needs at least {MIN_SENTENCES} sentences, got {MIN_SENTENCES - 1}",
        ),
        ({"agreement": MIN_AGREEMENT - 0.0004}, "on 99.86% of labels; at least 99.9% is required"),
        ({"batch_dependence": 2e-4}, "moves by 2.0e-04 with its batch-mates; at most 1e-04"),
        ({"agreement": float("nan")}, "agrees with the fitted model on nan%"),
        ({"batch_dependence": float("nan")}, "moves by nan"),
    ],
)
def test_the_gate_refuses(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        gate([replace(GOOD, **change), LAST])
    assert words in str(caught.value)
