"""Which data sets a run's weights were fitted on, and their terms, for the model card."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.bundle import find_bundle
from framelens.errors import InputError, ModelNotFoundError
from framelens_training.build import AUXILIARY, read_record
from framelens_training.rows import read_objects

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["data_sets", "teachers_of"]


def data_sets(run_dir: Path) -> list[dict[str, Any]]:
    """The declared sources of which sentences were fitted on, those of a student's teachers included.

    A run directory has all that is needed: its data set's record and sentences, and its recipe.

    Args:
        run_dir: what `framelens_training.fit` or `framelens_training.distil` wrote.

    Returns:
        A dict a source: ``name``; ``task``, None for our own labels; ``sentences`` fitted on; ``licence`` and
        ``terms`` as declared; ``teacher``, through which it came in, None where the run itself read it. A
        teacher that says nothing of its data sets has one dict, with None for all else.

    Raises:
        InputError: the run has no record of its data set, or a teacher is not there any more.
    """
    recipe = json.loads((run_dir / "recipe.json").read_bytes())
    built = run_dir / "splits"
    tasks = recipe.get("auxiliary", {}).get("tasks", ())
    judged = (row for _, row in read_objects(built / "train.jsonl"))
    read = Counter(row["origin"] for row in judged if row["label"] is not None)
    if tasks:
        read.update(row["origin"] for _, row in read_objects(built / AUXILIARY) if row["task"] in tasks)
    found = [
        {
            "name": source["name"],
            "task": source["task"],
            "sentences": read[source["name"]],
            "licence": source["licence"],
            "terms": source["terms"],
            "teacher": None,
        }
        for source in read_record(built)["sources"]["read"]
        if read[source["name"]]
    ]
    for teacher in teachers_of(recipe):
        try:
            theirs = _of_teacher(teacher)
        except ModelNotFoundError as error:
            raise InputError(
                f"{run_dir} learned from {teacher}, which is not there any more; put it back, for the card "
                "states every data set that a teacher was fitted on"
            ) from error
        found += [entry | {"teacher": teacher} for entry in theirs]
    return found


def teachers_of(recipe: Mapping[str, Any]) -> list[str]:
    """Those of a student, and the model whose layers it began with; none of a fit."""
    layers_of = recipe.get("student", {}).get("layers_of")
    return list(dict.fromkeys([*recipe.get("teachers", ()), *([layers_of] if layers_of else [])]))


def _of_teacher(name: str) -> list[dict[str, Any]]:
    if (Path(name) / "recipe.json").is_file():
        return data_sets(Path(name))
    quality = find_bundle(name).quality or {}
    unknown = dict.fromkeys(("name", "task", "sentences", "licence", "terms", "teacher"))
    stated: list[dict[str, Any]] = quality.get("data_sets", [unknown])
    return stated
