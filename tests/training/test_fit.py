"""A tiny fit: what it writes, that it can be repeated, and what it leaves alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from framelens.errors import InputError
from framelens_training.data import load_annotated, split_sentences
from framelens_training.fit import fit
from framelens_training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_holds_what_it_promises(tiny_run, tiny_base: Path, make_recipe: Any, data_dir: Path) -> None:
    run = tiny_run.folder
    recipe = Recipe.model_validate_json((run / "recipe.json").read_bytes())
    assert recipe == make_recipe(tiny_base)
    splits = split_sentences(load_annotated(data_dir), recipe.data)
    for name, part in splits.items():
        assert len(part) > 0
        lines = (run / "splits" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line)["id"] for line in lines] == part["id"]
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    assert {"framelens", "torch", "transformers"} <= environment["packages"].keys()
    assert any((run / "logs").rglob("*tfevents*")) or any((run / "checkpoints").rglob("*tfevents*"))


def test_the_best_epoch_by_dev_is_kept(tiny_run) -> None:
    lines = (tiny_run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    by_epoch = {
        entry["epoch"]: entry["eval_macro_f1"] for entry in map(json.loads, lines) if "eval_macro_f1" in entry
    }
    assert sorted(by_epoch) == [1, 2]
    assert tiny_run.best["eval_macro_f1"] == pytest.approx(max(by_epoch.values()))


def test_the_same_recipe_gives_the_same_weights(
    tiny_run, tiny_base: Path, make_recipe: Any, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.json").write_text("{}", encoding="utf-8")  # an old run, to be overwritten
    best = fit(make_recipe(tiny_base), tmp_path / "run", data_dir, overwrite=True)
    assert best["eval_macro_f1"] == tiny_run.best["eval_macro_f1"]
    weights = [
        (run / "model" / "model.safetensors").read_bytes() for run in (tmp_path / "run", tiny_run.folder)
    ]
    assert weights[0] == weights[1]


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
