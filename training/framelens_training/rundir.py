"""The run directory: begun alike by every kind of fit, with what it was made of and where."""

from __future__ import annotations

import platform
import shutil
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch

from framelens.errors import InputError
from framelens_training.data import find_data_dir, load_annotated, split_sentences, write_splits
from framelens_training.files import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from framelens_training.data import Splits
    from framelens_training.recipe import DistilRecipe, Recipe

__all__ = ["begin_run", "environment", "sealed_fingerprints", "supports_bf16"]


def begin_run(
    recipe: Recipe | DistilRecipe, run_dir: Path, data_dir: Path | None, overwrite: bool
) -> tuple[Splits, Path]:
    """Make a run directory with its recipe, splits and environment.

    Args:
        recipe: what will be fitted.
        run_dir: where to write; must not exist, unless ``overwrite``.
        data_dir: folder of annotated data, else ``$FRAMELENS_DATA``.
        overwrite: remove an existing run first.

    Returns:
        The splits, and the folder of data.

    Raises:
        InputError: no data, or a run directory in use.
    """
    data_dir = find_data_dir(data_dir)
    if run_dir.exists() and not overwrite:
        raise InputError(f"{run_dir} exists; choose another folder or give --overwrite")
    rows = load_annotated(data_dir)  # before an old run goes
    if run_dir.exists():
        if not (run_dir / "recipe.json").is_file():
            raise InputError(f"{run_dir} is no run of framelens-train, so it is not overwritten")
        shutil.rmtree(run_dir)
    run_dir.mkdir(parents=True)
    write_json(run_dir / "recipe.json", recipe.model_dump(mode="json"))
    splits = split_sentences(rows, recipe.data, sealed_fingerprints(data_dir))
    write_splits(splits, run_dir / "splits")
    write_json(run_dir / "environment.json", environment())
    return splits, data_dir


def sealed_fingerprints(data_dir: Path) -> Path | None:
    """Fingerprints of the sealed evaluation sets, where the data folder has them."""
    path = data_dir / "sealed" / "fingerprints.txt.gz"
    return path if path.is_file() else None


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
