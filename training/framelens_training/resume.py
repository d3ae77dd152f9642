"""Going on with a fit that was killed: what its folder must hold, and which checkpoint counts.

A checkpoint is whole when its ``trainer_state.json`` can be read: the Trainer writes it last.
"""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from framelens.errors import InputError
from framelens_training.build import RECORD, read_build
from framelens_training.files import write_json
from framelens_training.rows import first_fault
from framelens_training.rundir import begin_run, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from framelens_training.recipe import PretrainRecipe, Recipe

__all__ = [
    "Checkpoint",
    "begin_or_resume",
    "check_same",
    "differences",
    "has_begun",
    "is_finished",
    "keep_only",
    "last_checkpoint",
    "seconds_before",
]

_STATE = "trainer_state.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint.

    Attributes:
        folder: where it lies.
        state: the Trainer's, as JSON.
    """

    folder: Path
    state: dict[str, Any]

    @property
    def is_last(self) -> bool:
        """Whether no step is to follow: all epochs are done, or dev got no better for too long."""
        return bool(self.state["stateful_callbacks"]["TrainerControl"]["args"]["should_training_stop"])

    @property
    def best(self) -> Path | None:
        """The checkpoint of the best epoch so far; None in the first epoch."""
        name = self.state["best_model_checkpoint"]
        return None if name is None else self.folder.parent / name.replace("\\", "/").rsplit("/", 1)[-1]


def is_finished(run_dir: Path) -> bool:
    """Whether a run has its model, which is put in place last."""
    return (run_dir / "model" / "model.safetensors").is_file()


def has_begun(run_dir: Path) -> bool:
    """Whether a run's splits are all there: ``environment.json`` is written behind them."""
    return (run_dir / "environment.json").is_file()


def begin_or_resume(
    recipe: Recipe | PretrainRecipe,
    run_dir: Path,
    data_dir: Path | None,
    overwrite: bool,
    data: Path | None,
    resume: bool,
) -> None:
    """Make a run directory (see `framelens_training.rundir.begin_run`), or see that it can be gone on with.

    Raises:
        InputError: no data, a run directory in use, nothing to resume, or a run of something else.
    """
    begun = (run_dir / "recipe.json").is_file()
    if resume and overwrite:
        raise InputError("give --resume to go on with a run or --overwrite to begin it anew, not both")
    if resume and not begun:
        raise InputError(
            f"there is nothing to resume in {run_dir}: it holds no recipe.json; leave --resume out to begin"
        )
    if begun and not (resume or overwrite or is_finished(run_dir)):
        raise InputError(
            f"{run_dir} exists and is not finished; give --resume to go on with it, or --overwrite to begin "
            "it anew"
        )
    if resume and has_begun(run_dir):
        check_same(recipe, run_dir, data)
    else:
        # Also a run that was killed before its sentences were all written.
        begin_run(recipe, run_dir, data_dir, overwrite or resume, data)


def check_same(recipe: Recipe | PretrainRecipe, run_dir: Path, data: Path | None = None) -> None:
    """See that a run was begun with this recipe and these sentences.

    Where only packages or threads differ, the fit can go on, and a warning is logged that it may not come to
    the very same weights.

    Args:
        recipe: what shall be fitted.
        run_dir: the run that was begun; its own splits are gone on with.
        data: folder of a data set that it shall be fitted on, where one is named.

    Raises:
        InputError: the recipe or the sentences differ, or the folder is no data set.
    """
    try:
        begun = type(recipe).model_validate_json((run_dir / "recipe.json").read_bytes())
    except ValidationError as error:
        raise InputError(
            f"{run_dir / 'recipe.json'} is not of this version of framelens: {first_fault(error)}"
        ) from error
    for field, was, given in differences(begun.model_dump(mode="json"), recipe.model_dump(mode="json")):
        raise InputError(
            f"{run_dir} was begun with {field} = {was!r}, got {given!r}; give the recipe and options that it "
            "was begun with, or begin another run"
        )
    if data is not None:
        read_build(data, recipe.data)
        for name, was, given in differences(_digests(run_dir / "splits"), _digests(data)):
            raise InputError(
                f"{run_dir} was begun with other sentences: {name} in its splits has the digest "
                f"{str(was)[:12]}, in {data} {str(given)[:12]}; give the data that it was begun with, leave "
                "--data out, or begin another run"
            )
    before = json.loads((run_dir / "environment.json").read_bytes())
    for field, was, given in differences(before, environment()):
        _log.warning(
            "%s was begun with %s = %r, now it is %r: the weights may differ in their last digits",
            run_dir, field, was, given,
        )  # fmt: skip


def differences(
    was: Mapping[str, Any], now: Mapping[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON objects differ: the field, what it was, and what it is; None where it is not there."""
    for name in {**was, **now}:
        old, new = was.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from differences(old, new, f"{prefix}{name}.")
        elif old != new:
            yield f"{prefix}{name}", old, new


def _digests(built: Path) -> dict[str, str]:
    digests: dict[str, str] = json.loads((built / RECORD).read_bytes())["files"]
    return digests


def last_checkpoint(folder: Path) -> Checkpoint | None:
    """The latest whole checkpoint, made fit to go on from; None where there is none.

    Checkpoints that were not written to their end are removed. Of the best epoch's checkpoint a Trainer notes
    where it lay; here it is noted where it lies, so that a run may be moved.
    """
    whole = []
    for path in folder.glob("checkpoint-*"):
        try:
            state = json.loads((path / _STATE).read_bytes())
        except (FileNotFoundError, ValueError):
            shutil.rmtree(path)
        else:
            whole.append(Checkpoint(path, state))
    if not whole:
        return None
    last = max(whole, key=lambda checkpoint: checkpoint.state["global_step"])
    if last.best is not None and last.state["best_model_checkpoint"] != str(last.best):
        state = last.state | {"best_model_checkpoint": str(last.best)}
        whole_file = last.folder / f"{_STATE}.new"
        write_json(whole_file, state)
        whole_file.replace(last.folder / _STATE)
        last = Checkpoint(last.folder, state)
    return last


def keep_only(folder: Path, kept: Path) -> None:
    """Remove all checkpoints but one."""
    for path in folder.glob("checkpoint-*"):
        if path != kept:
            shutil.rmtree(path)


def seconds_before(path: Path) -> float:
    """What a resumed fit's ``time.json`` says; 0 where a fit was killed before it or while writing it."""
    try:
        return float(json.loads(path.read_bytes())["seconds"])
    except (FileNotFoundError, ValueError):
        return 0.0
