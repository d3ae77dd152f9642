"""Auxiliary tasks: sentences of public sets with labels of their own, which the encoder learns too.

Beside our sentences (Caruana 1997, "Multitask Learning") or before them (Phang et al. 2018, "Sentence
Encoders on STILTs"). The targets' heads and loss are `framelens_training.objective.TaskHeads`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from framelens.errors import InputError
from framelens_training.build import AUXILIARY
from framelens_training.features import IGNORE, Collator
from framelens_training.rows import read_objects
from framelens_training.sources import load_sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from framelens.encoding import PairEncoder

__all__ = ["AuxiliarySet", "TaskCollator", "check_tasks", "quotas", "read_auxiliary", "turn"]


def check_tasks(tasks: Sequence[str], record: Mapping[str, Any]) -> None:
    """See that a data set has the tasks that a recipe names.

    Args:
        tasks: their names.
        record: of the data set (see `framelens_training.build`).

    Raises:
        InputError: it lacks a task, or a task has a single target, so that there is nothing to learn.
    """
    known: Mapping[str, Mapping[str, int]] = record["auxiliary"]
    for name in tasks:
        if name not in known:
            has = f"has {', '.join(sorted(known))}" if known else "has no auxiliary sentences"
            raise InputError(f"auxiliary.tasks names {name!r}, and the data set {has}; {_how_to_build(name)}")
        if len(known[name]) == 1:
            raise InputError(
                f"auxiliary.tasks names {name!r}, and all its sentences have the target "
                f"{next(iter(known[name]))!r}, so there is nothing to learn; leave it out, or build the data "
                "set with a source that has others"
            )


def _how_to_build(task: str) -> str:
    sources = [source for source in load_sources("benchmarks").source if source.task == task]
    names = [source.name for source in sources if not source.restricted]
    if names:
        chosen = " ".join(f"--with {name}" for name in names)
        return f"build one that has it with `framelens-train data {chosen} -o FOLDER`, and give it as --data"
    return (
        "add a source of kind 'benchmark' with that task to the declaration, and build with `--with` its name"
    )


def read_auxiliary(built: Path, tasks: Sequence[str]) -> list[dict[str, Any]]:
    """The sentences of some tasks in a built folder, in the order of its file; none where no task is named.

    Raises:
        InputError: the folder has no auxiliary sentences.
    """
    if not tasks:
        return []
    return [row for _, row in read_objects(built / AUXILIARY) if row["task"] in tasks]


def quotas(sizes: Sequence[int], n: int) -> list[int]:
    """How many of n sentences each task gives: in proportion to the square root of its size.

    In proportion to the sizes, the largest set would be most of what is read; in equal parts, the smallest
    would be read over and over (Stickland and Murray 2019, "BERT and PALs").

    Args:
        sizes: sentences of each task, at least 1.
        n: at least 0; the quotas sum up to it.
    """
    roots = np.cumsum(np.sqrt(sizes))
    edges = np.rint(n * roots / roots[-1]).astype(int) if len(roots) else np.zeros(0, dtype=int)
    found: list[int] = np.diff(edges, prepend=0).tolist()
    return found


def turn(size: int, quota: int, epoch: int, key: str) -> list[int]:
    """Places in a set of sentences that an epoch shows: all come once before any comes again.

    Args:
        size: of the set, at least 1.
        quota: places of each epoch.
        epoch: counted from 0.
        key: of the order, in which every round through the set is shuffled anew. The places hang on the
            arguments alone, so that a resumed fit draws what an unbroken one draws.
    """
    start, end = epoch * quota, (epoch + 1) * quota
    found: list[int] = []
    for number in range(start // size, -(-end // size)):
        order = list(range(size))
        random.Random(f"{key}:{number}").shuffle(order)
        first = number * size
        found += order[max(start - first, 0) : end - first]
    return found


class AuxiliarySet:
    """Sentences of auxiliary tasks, one task behind another, of which every epoch draws some.

    Args:
        rows: with ``text``, ``task``, ``target``, and ``weight`` in the loss.
        tasks: names, each with rows of two targets or more; the order is that of the heads.
        encoder: of the model that will read them.
        seed: of the draw.

    Attributes:
        n_targets: how many targets each task tells apart.
        features: what `TaskCollator` takes; without label, rule or cue.
    """

    def __init__(
        self, rows: Iterable[Mapping[str, Any]], tasks: Sequence[str], encoder: PairEncoder, seed: int
    ) -> None:
        by_task: dict[str, list[Mapping[str, Any]]] = {name: [] for name in tasks}
        for row in rows:
            by_task[row["task"]].append(row)
        targets = {name: sorted({row["target"] for row in mine}) for name, mine in by_task.items()}
        ordered = [row for mine in by_task.values() for row in mine]
        self._sizes, self._seed = {name: len(mine) for name, mine in by_task.items()}, seed
        self.n_targets = {name: len(known) for name, known in targets.items()}
        self.features = [
            {
                "pair": encoded,
                "label": IGNORE,
                "rule": IGNORE,
                "tags": [IGNORE] * len(encoded.tokens),
                "weight": row["weight"],
                "task": tasks.index(row["task"]),
                "target": targets[row["task"]].index(row["target"]),
            }
            for row, encoded in zip(
                ordered, encoder.encode([(row["text"], None) for row in ordered]), strict=True
            )
        ]

    def draw(self, n: int, epoch: int) -> list[int]:
        """Places in ``features`` of an epoch's n sentences; see `quotas` and `turn`."""
        found: list[int] = []
        first = 0
        for (name, size), quota in zip(self._sizes.items(), quotas([*self._sizes.values()], n), strict=True):
            found += [first + place for place in turn(size, quota, epoch, f"{self._seed}:{name}")]
            first += size
        return found

    def beside(self, own: int, share: float) -> Callable[[int], list[int]]:
        """What an epoch reads where these sentences stand behind as many as ``own`` of ours.

        Args:
            own: sentences of ours, all of which every epoch reads.
            share: how many of these it reads for each of ours.

        Returns:
            Gives the places among all sentences, by the number of the epoch.
        """
        n = round(share * own) if self.features else 0

        def places(epoch: int) -> list[int]:
            return [*range(own), *(own + place for place in self.draw(n, epoch))]

        return places


class TaskCollator(Collator):
    """Pads features of ours and of auxiliary tasks into one batch.

    Args:
        pad_id: id of the padding token.
        n_tasks: without any, there are no targets of tasks.
    """

    def __init__(self, pad_id: int, n_tasks: int) -> None:
        super().__init__(pad_id)
        self._n_tasks = n_tasks

    def __call__(self, features: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """As its base gives it, and ``task_targets`` of shape (n_sentences, n_tasks)."""
        tensors = super().__call__(features)
        if self._n_tasks:
            targets = torch.full((len(features), self._n_tasks), IGNORE)
            for row, feature in enumerate(features):
                if "task" in feature:
                    targets[row, feature["task"]] = feature["target"]
            tensors["task_targets"] = targets
        return tensors
