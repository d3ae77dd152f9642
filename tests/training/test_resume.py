"""A fit that is killed and gone on with: the same result, and what it refuses."""

from __future__ import annotations

import json
import logging
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from framelens.errors import InputError
from framelens_training import cli
from framelens_training.build import build, write_build
from framelens_training.fit import fit
from framelens_training.recipe import TrainRecipe
from framelens_training.resume import check_same, last_checkpoint, seconds_before
from framelens_training.rundir import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from framelens_training.recipe import Recipe

EQUAL = (
    "model/model.safetensors",
    "model/config.json",
    "metrics.jsonl",
    "dev_predictions.jsonl",
    "plots/loss.svg",
)


@pytest.fixture(scope="module")
def recipe(tiny_base: Path, make_recipe: Any) -> Recipe:
    """Four epochs of 14 steps, the last of which is not begun: dev is at its best behind the first."""
    train = TrainRecipe(epochs=4, patience=2, batch_size=2, learning_rate=3e-3)
    found: Recipe = make_recipe(tiny_base).model_copy(update={"train": train})
    return found


@pytest.fixture(scope="module")
def process(recipe: Recipe, data_dir: Path, fit_in_process: Any) -> Callable[[Path, str | None], int]:
    """A fit in a process of its own; see the fixture that it is made of."""
    return lambda folder, killed_before: fit_in_process(recipe, folder, data_dir, killed_before)


@pytest.fixture(scope="module")
def unbroken(process: Any, tmp_path_factory: Any) -> Path:
    folder: Path = tmp_path_factory.mktemp("unbroken") / "run"
    assert process(folder, None) == 0
    return folder


# A checkpoint is begun with its folder and whole with its state. One is written behind every tenth step and
# at the ends of the epochs, 14, 28 and 42, where no other epoch follows.
KILLS = (
    "splits/dev",
    "checkpoint-10/trainer_state",
    "checkpoint-14",
    "checkpoint-20",
    "checkpoint-30",
    "checkpoint-42/trainer_state",
    "model.new",
)


def test_a_fit_killed_again_and_again_comes_to_the_same_result(
    process: Any, unbroken: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for killed_before in KILLS:
        assert process(run, killed_before) == -signal.SIGKILL
        assert not (run / "model").exists()
    seconds = (run / "time.json").read_bytes()
    assert process(run, None) == 0
    # All steps were done, and none is done twice.
    assert (run / "time.json").read_bytes() == seconds
    for name in EQUAL:
        assert (run / name).read_bytes() == (unbroken / name).read_bytes(), name
    left = [{path.name for path in (folder / "checkpoints").glob("c*")} for folder in (run, unbroken)]
    assert left[0] == left[1]
    assert len(left[0]) == 1


def test_it_stopped_where_dev_got_no_better(unbroken: Path) -> None:
    entries = [json.loads(line) for line in (unbroken / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert [entry["step"] for entry in entries if "eval_macro_f1" in entry] == [14, 28, 42]


def test_a_finished_run_is_left_as_it_is(unbroken: Path, recipe: Recipe, data_dir: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")}
    best = fit(recipe, unbroken, data_dir, resume=True)
    assert {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")} == before
    assert best["eval_macro_f1"] > 0


def test_the_command_says_that_a_run_is_finished(
    unbroken: Path,
    recipe: Recipe,
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(toml(recipe.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    arguments = ("fit", path, "-o", unbroken, "--data-dir", data_dir, "--resume")
    monkeypatch.setattr(sys, "argv", ["framelens-train", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert f"{unbroken} was finished already, nothing was done" in capsys.readouterr().err


def toml(recipe: dict[str, Any]) -> str:
    """A recipe as a file says it; JSON writes these values as TOML does."""
    sections = {name: value for name, value in recipe.items() if isinstance(value, dict)}
    lines = [f"{name} = {json.dumps(value)}" for name, value in recipe.items() if name not in sections]
    for name, fields in sections.items():
        lines += [f"[{name}]", *(f"{field} = {json.dumps(value)}" for field, value in fields.items())]
    return "\n".join(lines)


@pytest.fixture
def begun(unbroken: Path, tmp_path: Path) -> Path:
    """A run that lacks its model."""
    run = Path(shutil.copytree(unbroken, tmp_path / "run"))
    shutil.rmtree(run / "model")
    return run


def test_nothing_to_resume_is_said(recipe: Recipe, data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing to resume in .*absent.*leave --resume out"):
        fit(recipe, tmp_path / "absent", data_dir, resume=True)
    assert not (tmp_path / "absent").exists()
    with pytest.raises(InputError, match="not both"):
        fit(recipe, tmp_path / "absent", data_dir, overwrite=True, resume=True)


def test_an_unfinished_run_is_not_begun_again_unasked(recipe: Recipe, begun: Path, data_dir: Path) -> None:
    with pytest.raises(InputError, match=r"not finished; give --resume .* or --overwrite"):
        fit(recipe, begun, data_dir)
    assert (begun / "dev_predictions.jsonl").is_file()


def test_another_recipe_is_refused(recipe: Recipe, begun: Path, data_dir: Path) -> None:
    train = recipe.train.model_copy(update={"learning_rate": 0.01})
    other = recipe.model_copy(update={"train": train})
    with pytest.raises(InputError, match=r"begun with train\.learning_rate = 0\.003, got 0\.01"):
        fit(other, begun, data_dir, resume=True)


def test_a_run_goes_on_with_its_own_sentences(recipe: Recipe, begun: Path, tmp_path: Path) -> None:
    # Wherever they came from, and whatever is there now.
    fit(recipe, begun, tmp_path / "gone", resume=True)
    assert (begun / "model" / "model.safetensors").is_file()


def test_sentences_that_were_changed_are_refused(recipe: Recipe, begun: Path) -> None:
    with (begun / "splits" / "train.jsonl").open("a", encoding="utf-8") as lines:
        lines.write("\n")
    with pytest.raises(InputError, match=r"splits/train\.jsonl is not what was built"):
        fit(recipe, begun, resume=True)


def test_other_sentences_are_refused(
    recipe: Recipe, begun: Path, rows: list[dict[str, Any]], make_data: Any, tmp_path: Path
) -> None:
    same, other = tmp_path / "same", tmp_path / "other"
    shutil.copytree(begun / "splits", same)
    rows[0]["text"] += "!"
    write_build(build(recipe.data, make_data(tmp_path / "data", rows)), other)
    with pytest.raises(InputError, match=r"begun with other sentences: train\.jsonl .*or begin another run"):
        fit(recipe, begun, data=other, resume=True)
    with pytest.raises(InputError, match=r"holds no data\.json"):
        fit(recipe, begun, data=tmp_path, resume=True)
    check_same(recipe, begun, same)


def test_another_machine_is_warned_about(
    recipe: Recipe, begun: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = environment()
    for torch, warned in ((now["packages"]["torch"], False), ("1.0", True)):
        was = now | {"packages": now["packages"] | {"torch": torch}}
        (begun / "environment.json").write_text(json.dumps(was), encoding="utf-8")
        with caplog.at_level(logging.WARNING):
            check_same(recipe, begun)
        assert ("packages.torch = '1.0'" in caplog.text) == warned
        assert ("may differ" in caplog.text) == warned


def test_a_recipe_of_another_version_is_refused(recipe: Recipe, begun: Path) -> None:
    (begun / "recipe.json").write_text('{"name": "old"}', encoding="utf-8")
    with pytest.raises(InputError, match="not of this version"):
        check_same(recipe, begun)


def checkpoint(folder: Path, step: int, content: str | None = None, best: str | None = None) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights")
    state = {"global_step": step, "best_model_checkpoint": best, "log_history": []}
    if content is None:
        content = json.dumps(state)
    (path / "trainer_state.json").write_text(content, encoding="utf-8")
    return path


def test_the_last_whole_checkpoint_counts_and_broken_ones_go(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "none") is None
    checkpoint(tmp_path, 9)
    whole = checkpoint(tmp_path, 100)
    checkpoint(tmp_path, 110, content='{"global_step": 110, "log_hi')
    (checkpoint(tmp_path, 120) / "trainer_state.json").unlink()
    found = last_checkpoint(tmp_path)
    assert found is not None
    assert found.folder == whole
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-9", "checkpoint-100"}


@pytest.mark.parametrize("was", ["/elsewhere/checkpoints/checkpoint-9", "run\\checkpoints\\checkpoint-9"])
def test_a_run_may_be_moved(was: str, tmp_path: Path) -> None:
    best = checkpoint(tmp_path, 9)
    checkpoint(tmp_path, 12, best=was)
    for _ in range(2):
        found = last_checkpoint(tmp_path)
        assert found is not None
        assert found.best == best
        assert found.state["best_model_checkpoint"] == str(best)
    assert {path.name for path in found.folder.iterdir()} == {"model.safetensors", "trainer_state.json"}


@pytest.mark.parametrize(("content", "seconds"), [('{"seconds": 12.5}', 12.5), ('{"sec', 0.0), (None, 0.0)])
def test_the_time_of_the_fit_before(content: str | None, seconds: float, tmp_path: Path) -> None:
    path = tmp_path / "time.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert seconds_before(path) == seconds
