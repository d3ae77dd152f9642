"""Recipes: what is read, and what is refused in one clear line."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from framelens.errors import InputError
from framelens_training.recipe import DistilRecipe, LoraRecipe, Recipe, TrainRecipe, load_recipe

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
name = "mine"
[data]
dev_outlets = ["a"]
test_outlets = ["b"]
"""


def refusal(text: str, folder: Path) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_recipe(str(path), Recipe)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize(
    ("kind", "folder", "known"),
    [(Recipe, "recipes", "minilm"), (DistilRecipe, "recipes/students", "fast")],
)
def test_every_shipped_recipe_loads(kind: type[Recipe | DistilRecipe], folder: str, known: str) -> None:
    entries = (files("framelens_training") / folder).iterdir()
    names = [entry.name.removesuffix(".toml") for entry in entries if entry.is_file()]
    assert known in names
    for name in names:
        recipe = load_recipe(name, kind)
        assert recipe.name == name
        assert not set(recipe.data.dev_outlets) & set(recipe.data.test_outlets)


def test_a_path_is_read_with_the_defaults_for_what_it_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + "[train]\nepochs = 3\n", encoding="utf-8")
    recipe = load_recipe(str(path), Recipe)
    assert (recipe.name, recipe.data.dev_outlets, recipe.train.epochs) == ("mine", ("a",), 3)
    assert recipe.model == Recipe.model_fields["model"].default


def test_what_a_recipe_leaves_out_changes_nothing() -> None:
    train, lora = TrainRecipe(), LoraRecipe()
    assert (train.layer_decay, train.head_learning_rate, train.unsure_weight) == (1.0, None, 1.0)
    assert (train.gradient_accumulation, train.gradient_clip, train.freeze_embeddings) == (1, 1.0, False)
    assert (lora.rank, lora.target_modules) == (0, "all-linear")


def test_low_ranks_and_rates_are_read_from_a_file_and_from_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD + '[lora]\nrank = 8\ntarget_modules = ["query", "value"]\n', encoding="utf-8")
    recipe = load_recipe(str(path), Recipe, ["train.head_learning_rate=1e-3", "lora.alpha=32"])
    assert (recipe.lora.rank, recipe.lora.alpha, recipe.lora.target_modules) == (8, 32, ("query", "value"))
    assert recipe.train.head_learning_rate == 1e-3
    assert (
        load_recipe(str(path), Recipe, ["lora.target_modules=all-linear"]).lora.target_modules == "all-linear"
    )


def test_a_recipe_survives_its_json() -> None:
    recipe = load_recipe("minilm", Recipe)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("addition", "field", "got"),
    [
        ("[train]\nepoch = 3\n", "train.epoch", "3"),
        ("[train]\nlearning_rate = 0.0\n", "train.learning_rate", "0.0"),
        ("[train]\ncontext_dropout = 1.5\n", "train.context_dropout", "1.5"),
        ("[train]\nbatch_size = 0\n", "train.batch_size", "0"),
        ("[train]\nlayer_decay = 0.0\n", "train.layer_decay", "0.0"),
        ("[train]\nlayer_decay = 1.1\n", "train.layer_decay", "1.1"),
        ("[train]\nhead_learning_rate = 0.0\n", "train.head_learning_rate", "0.0"),
        ("[train]\nunsure_weight = -0.5\n", "train.unsure_weight", "-0.5"),
        ("[train]\ngradient_accumulation = 0\n", "train.gradient_accumulation", "0"),
        ("[train]\ngradient_clip = -1.0\n", "train.gradient_clip", "-1.0"),
        ("[lora]\nrank = -1\n", "lora.rank", "-1"),
        ("[lora]\nranks = 8\n", "lora.ranks", "8"),
        ("[model]\npooling = 'max'\n", "model.pooling", "'max'"),
        ("[model]\ncontext_sentences = 3\n", "model.context_sentences", "3"),
        ("[model]\nmax_tokens = 8\n", "model.max_tokens", "8"),
        ("[model]\ndropout = 1.0\n", "model.dropout", "1.0"),
        ("[extra]\na = 1\n", "extra", "'a': 1"),
    ],
)
def test_a_refused_field_is_named_with_what_was_given(
    addition: str, field: str, got: str, tmp_path: Path
) -> None:
    message = refusal(GOOD + addition, tmp_path)
    assert f": {field}: " in message
    assert got in message


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    assert "data.test_outlets" in refusal('name = "mine"\n[data]\ndev_outlets = ["a"]\n', tmp_path)


def test_broken_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    message = refusal('name = "mine"\n[data\n', tmp_path)
    assert "not valid TOML" in message
    assert "line 2" in message


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(GOOD.replace("mine", "Zürich").encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        load_recipe(str(path), Recipe)


def test_an_unknown_name_shows_the_shipped_ones() -> None:
    with pytest.raises(InputError, match=r"no recipe named 'maxilm'; shipped are .*minilm"):
        load_recipe("maxilm", Recipe)


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no recipe at .*absent\.toml"):
        load_recipe(str(tmp_path / "absent.toml"), Recipe)
