"""From a teacher's bundle to an int8 student's, on tiny models."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoConfig

from framelens import FramingClassifier
from framelens.bundle import find_bundle
from framelens.errors import InputError
from framelens.hf import FramingConfig, FramingForSequenceClassification
from framelens_training import parity
from framelens_training.calibrate import forward
from framelens_training.card import write_card
from framelens_training.data import read_splits
from framelens_training.distil import distil, student_of
from framelens_training.export import export
from framelens_training.fit import fresh_model
from framelens_training.recipe import DistilRecipe, PoolRecipe, QuantizeRecipe, StudentRecipe, load_recipe
from framelens_training.run_calibration import fitted_model
from framelens_training.teaching import Teacher

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_training.parity import PathParity


@dataclass(frozen=True)
class Pupil:
    """A tiny teacher's bundle, its student's run and bundle, and what was measured."""

    teacher: Path
    run: Path
    bundle: Path
    figures: dict[str, float]
    parity: list[PathParity]


@pytest.fixture(scope="module")
def pupil(
    tiny_run: Any, tiny_base: Path, data_dir: Path, data_recipe, make_recipe: Any, tmp_path_factory: Any
) -> Pupil:
    folder: Path = tmp_path_factory.mktemp("students")
    torch.manual_seed(1)
    teacher, tokenizer = fresh_model(make_recipe(tiny_base, pooling="cls"))
    teacher.config.context_sentences = 0
    # Far enough apart that rounding has something to move.
    torch.nn.init.normal_(teacher.classifier.weight, std=2.0)
    shutil.copytree(tiny_run.folder / "splits", folder / "teacher_run" / "splits")
    tokenizer.save_pretrained(folder / "teacher_run" / "model")
    teacher.save_pretrained(folder / "teacher_run" / "model")
    own = Path(shutil.copytree(data_dir, folder / "data"))
    (own / "raw").mkdir()
    with gzip.open(own / "raw" / "made_up.jsonl.gz", "wt", encoding="utf-8") as file:
        for i in range(60):
            text = f"Boat {i} was reportedly seen off Corvane. The ministry denied that boat {i} had sunk."
            file.write(json.dumps({"text": text, "outlet": "Hill Times", "article": f"hill:{90 + i}"}) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "MIN_SENTENCES", 10)
        export(folder / "teacher_run", folder / "teacher")
        figures = distil(
            DistilRecipe(
                name="tiny",
                teachers=(str(folder / "teacher"),),
                data=data_recipe,
                student=StudentRecipe(layers=(1,), epochs=1, batch_size=8, max_tokens=64),
                quantize=QuantizeRecipe(smoothings=(0.8,)),
            ),
            folder / "run",
            own,
        )
        _, measured = export(folder / "run", folder / "bundle")
    return Pupil(folder / "teacher", folder / "run", folder / "bundle", figures, measured)


@pytest.fixture
def texts(rows: list[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in rows]


def probabilities(bundle: Path, texts: Sequence[str], **options: Any) -> np.ndarray:
    return FramingClassifier.from_pretrained(bundle, **options).predict_proba(texts)


def test_the_run_says_what_was_done(pupil: Pupil) -> None:
    assert pupil.figures.keys() == {"student", "int8"}
    kept = {path.name for path in pupil.run.iterdir()}
    assert kept >= {
        "recipe.json",
        "splits",
        "environment.json",
        "metrics.jsonl",
        "model",
        "quantization.json",
    }
    history = [json.loads(line) for line in (pupil.run / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert history[-1] == pupil.figures
    # The teacher is no part of what is kept.
    names = load_file(pupil.run / "model" / "model.safetensors")
    assert not any("teacher" in name or ".layer.1." in name for name in names)


def test_the_bundle_is_small_and_says_that_it_is_int8(pupil: Pupil) -> None:
    assert {path.name for path in pupil.bundle.iterdir()} == {
        "config.json", "model.onnx", "model.int8.onnx", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip
    bundle = find_bundle(pupil.bundle)
    assert bundle.config.precision == "int8"
    assert bundle.has_int8
    stored = bundle.tensors()
    products = [name for name, values in stored.items() if values.dtype == np.int8]
    assert len(products) == 6 + 1
    before = bundle.digest
    (pupil.bundle / "model.int8.onnx").touch()
    assert find_bundle(pupil.bundle).digest == before


def test_a_sentence_does_not_see_its_batch_mates_at_all(pupil: Pupil, texts: list[str]) -> None:
    together = probabilities(pupil.bundle, texts)
    alone = np.concatenate([probabilities(pupil.bundle, [text]) for text in texts[:12]])
    np.testing.assert_array_equal(together[:12], alone)
    assert together.std(0).max() > 1e-3


def test_int8_is_what_was_rounded_in_torch(pupil: Pupil) -> None:
    fitted, int8 = pupil.parity[0], pupil.parity[1]
    assert (fitted.path, int8.path) == ("as fitted: torch", "onnx int8")
    assert int8.max_difference < 0.02
    assert int8.batch_dependence == 0.0


def test_its_own_fp32_is_the_same_in_torch_and_onnx(pupil: Pupil, texts: list[str]) -> None:
    by_onnx = probabilities(pupil.bundle, texts, precision="fp32")
    by_torch = probabilities(pupil.bundle, texts, backend="torch")
    np.testing.assert_allclose(by_onnx, by_torch, atol=1e-4)
    # Rounding moves something, or it would not have been rounded.
    assert np.abs(by_onnx - probabilities(pupil.bundle, texts)).max() > 1e-4


def test_a_student_begins_with_the_layers_that_it_was_given(tiny_base: Path, make_recipe: Any) -> None:
    teacher, _ = fresh_model(make_recipe(tiny_base, pooling="cls"))
    teacher.config.calibration_temperature = 3.0
    student = student_of(teacher, [1])
    mine, theirs = student.state_dict(), teacher.state_dict()
    for name, values in mine.items():
        assert torch.equal(values, theirs[name.replace(".layer.0.", ".layer.1.")])
    assert student.config.calibration_temperature == 1.0
    assert not any(parameter.requires_grad for parameter in student.encoder.embeddings.parameters())
    both = student_of(teacher, [0, 1]).eval()
    ids = torch.tensor([[2, 7, 9, 3]])
    torch.testing.assert_close(both(ids).logits, teacher.eval()(ids).logits * 3.0)
    with pytest.raises(InputError, match="layers from 0 to 1, got 0, 2"):
        student_of(teacher, [0, 2])


@pytest.mark.parametrize("kind", ["mpnet"])
def test_layers_are_found_in_encoders_of_other_kinds(kind: str) -> None:
    torch.manual_seed(2)
    encoder = AutoConfig.for_model(
        kind, vocab_size=50, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64
    )
    teacher = FramingForSequenceClassification(FramingConfig(encoder=encoder)).eval()
    student = student_of(teacher, [0, 1, 2, 3]).eval()
    ids = torch.tensor([[0, 7, 9, 2]])
    torch.testing.assert_close(student(ids).logits, teacher(ids).logits)
    assert student_of(teacher, [0, 3]).config.encoder.num_hidden_layers == 2


def test_learning_with_the_rounding_in_place_comes_nearer_to_what_the_teacher_says(
    pupil: Pupil, tmp_path: Path, data_recipe
) -> None:
    """The rounded model's error on what it learns from is less after the steps than before."""
    student = StudentRecipe(layers=(0,), epochs=1, batch_size=8, max_tokens=64, learning_rate=1e-6)
    error = {}
    for steps in (0, 60):
        recipe = DistilRecipe(
            name="rounded",
            teachers=(str(pupil.teacher),),
            data=data_recipe,
            pool=PoolRecipe(sentences_of_file=0),
            student=student,
            quantize=QuantizeRecipe(steps=steps, learning_rate=3e-3),
        )
        run = tmp_path / str(steps)
        distil(recipe, run, data=pupil.run / "splits")
        model, encoder, ranges = fitted_model(run)
        assert ranges is not None
        texts = read_splits(run / "splits").train["text"][:]
        logits, _ = forward(model, encoder.encode([(text, None) for text in texts]), encoder.pad_id)
        wanted = probabilities(pupil.teacher, texts)
        found = torch.from_numpy(logits).softmax(-1).numpy()
        error[steps] = float(np.abs(found - wanted).mean())
    assert error[60] < 0.9 * error[0]


def test_a_student_of_judged_sentences_alone_needs_no_articles(
    pupil: Pupil, tmp_path: Path, data_recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FRAMELENS_DATA", raising=False)
    recipe = DistilRecipe(
        name="judged",
        teachers=(str(pupil.teacher),),
        data=data_recipe,
        pool=PoolRecipe(sentences_of_file=0),
        student=StudentRecipe(layers=(0,), epochs=1, batch_size=8, max_tokens=64, judged_repeats=2),
    )
    distil(recipe, tmp_path / "run", data=pupil.run / "splits")
    pool = json.loads((tmp_path / "run" / "pool.json").read_bytes())
    assert pool["sentences"] == pool["judged"] > 0
    shown = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-2])["step"]
    assert shown == -(-2 * pool["judged"] // 8)


def test_a_student_can_begin_with_the_layers_of_another_model_than_its_teacher(
    pupil: Pupil, tmp_path: Path, data_recipe
) -> None:
    student = StudentRecipe(
        layers=(0,), layers_of=str(pupil.bundle), epochs=1, batch_size=8, max_tokens=64, learning_rate=1e-12
    )
    recipe = DistilRecipe(name="other", teachers=(str(pupil.teacher),), data=data_recipe, student=student)
    distil(recipe, tmp_path / "run", pupil.teacher.parent / "data")
    name = "encoder.encoder.layer.0.output.dense.weight"
    begun = load_file(tmp_path / "run" / "model" / "model.safetensors")[name]
    np.testing.assert_allclose(begun, find_bundle(pupil.bundle).weights()[name], atol=1e-5)


def test_the_card_names_teacher_layers_and_sentences(pupil: Pupil, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(pupil.bundle, tmp_path / "bundle"))
    write_card(pupil.run, bundle, {})
    card = (bundle / "model_card.md").read_text(encoding="utf-8")
    pool = json.loads((pupil.run / "pool.json").read_bytes())
    assert pool["judged"] == pool["sentences"] - 120
    assert f"its layers 1 and learned its probabilities of labels and cues on {pool['sentences']} " in card
    assert "| onnx int8 | " in card
    quality = find_bundle(bundle).quality
    assert quality is not None
    assert quality["pool"] == pool


def test_an_int8_model_needs_a_graph_that_we_write(
    pupil: Pupil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "MIN_SENTENCES", 10)
    run = Path(shutil.copytree(pupil.run, tmp_path / "run"))
    model = FramingForSequenceClassification.from_pretrained(run / "model")
    model.config.encoder.hidden_act = "relu"
    model.save_pretrained(run / "model")
    with pytest.raises(InputError, match="BERT or MPNet"):
        export(run, tmp_path / "bundle")


def test_a_run_that_is_begun_again_does_not_ask_its_teachers_again(
    pupil: Pupil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(pupil.run, tmp_path / "run"))
    monkeypatch.setattr(Teacher, "__call__", lambda *_: pytest.fail("a teacher was asked"))
    # Nor moved from where it answers.
    monkeypatch.setattr(FramingForSequenceClassification, "cpu", lambda _: pytest.fail("a teacher was moved"))
    recipe = DistilRecipe.model_validate(json.loads((run / "recipe.json").read_bytes()))
    figures = distil(recipe, run, pupil.teacher.parent / "data", overwrite=True)
    assert figures == pupil.figures
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_the_shipped_recipe_keeps_its_teachers_splits() -> None:
    from framelens_training.recipe import Recipe

    assert load_recipe("fast", DistilRecipe).data == load_recipe("minilm", Recipe).data
    assert load_recipe("mpnet9", DistilRecipe).data == load_recipe("mpnet", Recipe).data
    with pytest.raises(InputError, match="no recipe named 'minilm'; shipped are fast, mpnet9"):
        load_recipe("minilm", DistilRecipe)
