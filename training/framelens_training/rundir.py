"""The run directory: begun alike by every kind of fit, with what it was made of and where."""

from __future__ import annotations

import platform
import shutil
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from framelens.errors import InputError
from framelens_training.auxiliary import check_tasks
from framelens_training.build import build, copy_build, read_build, read_record, write_build
from framelens_training.files import write_json
from framelens_training.gather import data_folder
from framelens_training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transformers import PreTrainedModel

    from framelens_training.data import Splits
    from framelens_training.recipe import DistilRecipe, PretrainRecipe

__all__ = ["begin_run", "environment", "put_in_place", "supports_bf16"]


def begin_run(
    recipe: Recipe | DistilRecipe | PretrainRecipe,
    run_dir: Path,
    data_dir: Path | None,
    overwrite: bool,
    built: Path | None = None,
) -> tuple[Splits, Path | None]:
    """Make a run directory with its recipe, splits and environment.

    Args:
        recipe: what will be fitted.
        run_dir: where to write; must not exist, unless ``overwrite``.
        data_dir: folder of data, else ``$FRAMELENS_DATA``.
        overwrite: remove an existing run first.
        built: the folder of a data set to fit on (see `framelens_training.build`); without it one is built
            from the recipe's sources.

    Returns:
        The splits, which the run's ``splits/`` holds, and the folder of data, None where nothing needs one.

    Raises:
        InputError: no data, data that cannot be used, or a run directory in use.
    """
    if run_dir.exists() and not overwrite:
        raise InputError(f"{run_dir} exists; choose another folder or give --overwrite")
    write: Callable[[Path], None]
    # Before an old run goes.
    if built is None:
        made = build(recipe.data, data_dir)
        splits, record, write = made.splits, made.record, partial(write_build, made)
    else:
        splits, write = read_build(built, recipe.data), partial(copy_build, built)
        record = read_record(built)
    if isinstance(recipe, Recipe):
        check_tasks(recipe.auxiliary.tasks, record)
    if run_dir.exists():
        if not (run_dir / "recipe.json").is_file():
            raise InputError(f"{run_dir} is no run of framelens-train, so it is not overwritten")
        shutil.rmtree(run_dir)
    run_dir.mkdir(parents=True)
    write_json(run_dir / "recipe.json", recipe.model_dump(mode="json"))
    write(run_dir / "splits")
    write_json(run_dir / "environment.json", environment())
    return splits, data_folder(data_dir, ())


def put_in_place(model: PreTrainedModel, tokenizer: Any, folder: Path) -> None:
    """Write the model beside its place and then move it there: a run that has it is finished."""
    new = folder.with_name("model.new")
    for old in (new, folder):
        if old.exists():
            shutil.rmtree(old)
    tokenizer.save_pretrained(new)
    model.save_pretrained(new)
    new.rename(folder)


def supports_bf16() -> bool:
    """Whether this processor or GPU multiplies bfloat16 matrices in hardware."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def environment() -> dict[str, Any]:
    """Versions and machine, enough to say where a figure was measured."""
    names = ("framelens", "torch", "transformers", "datasets", "accelerate", "tokenizers", "numpy")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: version(name) for name in names},
        "threads": torch.get_num_threads(),
        "bf16": supports_bf16(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }
