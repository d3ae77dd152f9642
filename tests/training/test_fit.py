"""A tiny fit: what it writes, that it can be repeated, and what it leaves alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from framelens import LABELS
from framelens.encoding import PairEncoder
from framelens.errors import InputError
from framelens_training.calibrate import forward
from framelens_training.data import load_annotated, split_sentences
from framelens_training.fit import fit, fresh_model
from framelens_training.recipe import LoraRecipe, Recipe, TrainRecipe

if TYPE_CHECKING:
    from pathlib import Path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_run_holds_what_it_promises(tiny_run, tiny_base: Path, make_recipe: Any, data_dir: Path) -> None:
    run = tiny_run.folder
    recipe = Recipe.model_validate_json((run / "recipe.json").read_bytes())
    assert recipe == make_recipe(tiny_base)
    splits = split_sentences(load_annotated(data_dir), recipe.data)
    for name, part in splits.items():
        assert len(part) > 0
        assert [row["id"] for row in lines(run / "splits" / f"{name}.jsonl")] == part["id"]
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    assert {"framelens", "torch", "transformers"} <= environment["packages"].keys()
    assert any((run / "checkpoints" / "runs").rglob("*tfevents*"))
    assert json.loads((run / "time.json").read_bytes())["seconds"] > 0
    assert {path.name for path in (run / "plots").iterdir()} == {
        f"{name}.{kind}" for name in ("loss", "dev", "confusion", "reliability") for kind in ("svg", "png")
    }
    # One checkpoint at most stays behind, however many were written.
    assert len(list((run / "checkpoints").glob("checkpoint-*"))) == 1


def test_the_best_epoch_by_dev_is_kept(tiny_run) -> None:
    entries = lines(tiny_run.folder / "metrics.jsonl")
    by_epoch = {entry["epoch"]: entry for entry in entries if "eval_macro_f1" in entry}
    assert sorted(by_epoch) == [1, 2]
    best = max(by_epoch.values(), key=lambda entry: entry["eval_macro_f1"])
    assert tiny_run.best == best
    assert best.keys() >= {
        "eval_loss", "eval_accuracy", "eval_macro_f1_in_outlet", "eval_macro_f1_unseen_outlet",
        *(f"eval_f1_{label}" for label in LABELS),
    }  # fmt: skip
    # Of a label's share of steps, and of every epoch's end.
    assert {entry["step"] for entry in entries if "loss" in entry} == {10, 14, 20, 28}


def test_predictions_on_dev_are_those_of_the_model_that_is_kept(tiny_run) -> None:
    run = tiny_run.folder
    rows, predictions = lines(run / "splits" / "dev.jsonl"), lines(run / "dev_predictions.jsonl")
    assert [row["id"] for row in predictions] == [row["id"] for row in rows]
    assert [row["label"] for row in predictions] == [row["label"] for row in rows]
    assert {frozenset(row) for row in predictions} == {frozenset({"id", "label", "probabilities"})}
    model = AutoModelForSequenceClassification.from_pretrained(run / "model", dtype=torch.float32).eval()
    _, tokenizer = fresh_model(Recipe.model_validate_json((run / "recipe.json").read_bytes()))
    encoder = PairEncoder(tokenizer.backend_tokenizer, 64)
    logits, _ = forward(
        model, encoder.encode([(row["text"], row["context"]) for row in rows]), encoder.pad_id
    )
    expected = torch.from_numpy(logits).softmax(-1)
    found = torch.tensor([[row["probabilities"][label] for label in LABELS] for row in predictions])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_the_same_recipe_gives_the_same_weights(
    tiny_run, tiny_base: Path, make_recipe: Any, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_text("{}", encoding="utf-8")  # an old run, to be overwritten
    best = fit(make_recipe(tiny_base), tmp_path / "run", data_dir, overwrite=True)
    assert best == tiny_run.best
    for name in (
        "model/model.safetensors",
        "metrics.jsonl",
        "dev_predictions.jsonl",
        "plots/reliability.svg",
    ):
        assert (tmp_path / "run" / name).read_bytes() == (tiny_run.folder / name).read_bytes()


def test_an_existing_run_is_left_alone(make_recipe: Any, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="exists; choose another folder or give --overwrite"):
        fit(make_recipe("nowhere"), tmp_path, data_dir)
    # Nor does --overwrite remove a folder that is no run.
    with pytest.raises(InputError, match="is no run"):
        fit(make_recipe("nowhere"), tmp_path, data_dir, overwrite=True)
    assert (tmp_path / "kept").read_text(encoding="utf-8") == "mine"


def test_a_run_outlives_data_that_cannot_be_read(
    make_recipe: Any, rows: list[dict[str, Any]], make_data: Any, tmp_path: Path
) -> None:
    rows[0]["label"] = "neutral"
    make_data(tmp_path / "data", rows)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match="neutral"):
        fit(make_recipe("nowhere"), tmp_path / "run", tmp_path / "data", overwrite=True)
    assert (tmp_path / "run" / "recipe.json").is_file()


def test_a_base_that_is_not_there_is_named(make_recipe: Any, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no encoder could be had from .*empty"):
        fit(make_recipe(tmp_path / "empty"), tmp_path / "run", data_dir)


def test_a_large_base_is_fitted_by_low_ranks_and_saved_whole(
    tiny_base: Path, make_recipe: Any, data_dir: Path, tmp_path: Path
) -> None:
    train = TrainRecipe(
        epochs=1, batch_size=4, learning_rate=0.02, unsure_weight=0.5, gradient_accumulation=2
    )
    lora = LoraRecipe(rank=2, target_modules=("query", "value"))
    recipe = make_recipe(tiny_base).model_copy(update={"train": train, "lora": lora})
    fit(recipe, tmp_path / "run", data_dir)
    base, _ = fresh_model(recipe)
    before, after = base.state_dict(), load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert before.keys() == after.keys()
    encoder = [name for name in before if name.startswith("encoder.")]
    moved = [name for name in encoder if not torch.equal(before[name], after[name])]
    assert moved == [name for name in encoder if name.endswith(("query.weight", "value.weight"))]
    for name in moved:
        # fp32 leaves a little noise behind the two directions.
        sizes = torch.linalg.svdvals(after[name] - before[name])
        assert sizes[2] < 1e-4 * sizes[0]
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "run" / "model")
    assert model.config.encoder.model_type == "bert"


def test_matrices_that_are_not_there_are_named(
    tiny_base: Path, make_recipe: Any, data_dir: Path, tmp_path: Path
) -> None:
    lora = LoraRecipe(rank=2, target_modules=("q_proj",))
    recipe = make_recipe(tiny_base).model_copy(update={"lora": lora})
    with pytest.raises(InputError, match=r"lora\.target_modules: .*q_proj"):
        fit(recipe, tmp_path / "run", data_dir)


def test_embeddings_may_stay_as_they_are(
    tiny_base: Path, make_recipe: Any, data_dir: Path, tmp_path: Path
) -> None:
    train = TrainRecipe(epochs=1, batch_size=8, freeze_embeddings=True, layer_decay=0.5)
    recipe = make_recipe(tiny_base).model_copy(update={"train": train})
    fit(recipe, tmp_path / "run", data_dir)
    before = fresh_model(recipe)[0].state_dict()
    after = load_file(tmp_path / "run" / "model" / "model.safetensors")
    still = [name for name in after if name.startswith("encoder.") and torch.equal(before[name], after[name])]
    assert still == [name for name in after if name.startswith("encoder.embeddings.")]
