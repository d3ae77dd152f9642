"""What a benchmark asks, where its data lives, and what was published on it: one TOML file a task."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError, model_validator

from framelens import InputError, Label
from framelens_evaluation.reporting.provenance import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "FineTuning",
    "Home",
    "Metric",
    "PublicLayout",
    "Published",
    "Splits",
    "Task",
    "all_tasks",
    "pick_tasks",
    "read_task",
]

SPLIT_NAMES = ("train", "dev", "test")


class Published(Part):
    """A figure that somebody published on the task.

    Attributes:
        system: what reached it.
        value: in the task's metric, in [0, 1].
        source: where it stands.
        url: of the source.
        note: how its setting differs from ours, beyond size and training data.
    """

    system: str = Field(min_length=1)
    value: float = Field(gt=0, le=1)
    source: str = Field(min_length=1)
    url: str | None = None
    note: str = ""


class Home(Part):
    """A public repository that the sentences were taken from.

    Attributes:
        repository: ``owner/name`` on GitHub.
        commit: that they were taken at.
        path: of the files in it.
        note: whose copy it is, where it is not the authors' own.
    """

    repository: str
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    path: str
    note: str = ""

    def __str__(self) -> str:
        return f"github.com/{self.repository}, {self.path}{f' ({self.note})' if self.note else ''}"


class Metric(Part):
    """What is measured: F1 of one of two classes, or the unweighted mean of all classes' F1."""

    kind: Literal["f1", "macro-f1"]
    of: str | None = None

    def __str__(self) -> str:
        return f"F1 of {self.of}" if self.of is not None else "macro-F1"


class Splits(Part):
    """How the sentences are divided.

    Attributes:
        kind: by the file's own field ``split``, or in turns, each sentence being tested once.
        dev: whether a dev split was published, or is cut from train.
        folds: of cross-validation.
    """

    kind: Literal["published", "cross-validation"]
    dev: Literal["published", "cut from train"]
    folds: int = Field(default=5, ge=2)


class FineTuning(Part):
    """Settings of fine-tuning; the same for every task unless one says otherwise, and chosen on none."""

    epochs: int = Field(default=3, ge=1)
    batch_size: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=5e-5, gt=0)
    max_tokens: int = Field(default=128, ge=8)


class PublicLayout(Part):
    """How the set can be read as it is published.

    Attributes:
        reader: of `framelens_evaluation.bench.public`.
        files: split to file name; ``none`` where the set has no splits.
        note: what a reader must know to lay the files out.
    """

    reader: Literal["checkthat-tsv", "babe-csv", "conll2010-xml"]
    files: dict[str, str]
    note: str = ""


class Task(Part):
    """A benchmark.

    Attributes:
        name: of the task and of its declaration.
        title: for headings.
        asks: what is to be decided of a sentence.
        file: of the converted set, in the folder ``bench`` of the data.
        homes: where its rows come from.
        licence: of the set.
        labels: the file's labels to classes; several may mean one class.
        leaves_out: the file's labels whose rows are not used, with the reason.
        group: the file's field that keeps sentences together when they are split or resampled.
        group_is: what such a group is, in a word.
        splits: how the sentences are divided.
        metric: what is measured.
        published: figures to stand beside ours.
        none_comparable: why there are none.
        deduplicated: whether a second figure is measured without the training sentences that dev or test
            repeats.
        caveats: what a reader must know of the data.
        overlaps_training: which of its sentences the bundled model was fitted on; None for none.
        zero_shot: the label of ours whose probability, as it is, stands for the metric's class.
        public: how it can be read as it is published; None where only the converted file can be read.
        finetuning: settings.
    """

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str
    asks: str
    file: str
    homes: tuple[Home, ...] = Field(min_length=1)
    licence: str
    labels: dict[str, str] = Field(min_length=2)
    leaves_out: dict[str, str] = Field(default_factory=dict)
    group: str
    group_is: str
    splits: Splits
    metric: Metric
    published: tuple[Published, ...] = ()
    none_comparable: str | None = None
    deduplicated: bool = False
    caveats: tuple[str, ...] = ()
    overlaps_training: str | None = None
    zero_shot: Label | None = None
    public: PublicLayout | None = None
    finetuning: FineTuning = FineTuning()

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        if bool(self.published) == bool(self.none_comparable):
            raise ValueError("give either published figures or none_comparable, and not both")
        if (self.metric.kind == "f1") != (self.metric.of is not None):
            raise ValueError("the metric f1 names a class in 'of', and macro-f1 does not")
        if self.metric.of is not None and (len(self.classes) != 2 or self.metric.of not in self.classes):
            raise ValueError(f"f1 is of one of two classes, got {self.metric.of!r} of {self.classes}")
        if self.zero_shot is not None and self.metric.of is None:
            raise ValueError("zero_shot needs the metric f1, whose class it stands for")
        if set(self.labels) & set(self.leaves_out):
            raise ValueError("a label is either used or left out")
        if self.splits.kind == "cross-validation" and self.splits.dev == "published":
            raise ValueError("cross-validation cuts its dev from train")
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """What is told apart, in the order of ``labels``."""
        return tuple(dict.fromkeys(self.labels.values()))

    @property
    def positive(self) -> int | None:
        """The place among `classes` of the class whose F1 is measured; None for macro-F1."""
        return None if self.metric.of is None else self.classes.index(self.metric.of)

    @property
    def described_splits(self) -> str:
        """How the sentences are divided, in a few words."""
        if self.splits.kind == "cross-validation":
            return (
                f"{self.splits.folds}-fold, by {self.group_is}; dev is a tenth of each fold's training part"
            )
        if self.splits.dev == "published":
            return "as published"
        return f"train and test as published; dev is a tenth of train, by {self.group_is}"


def read_task(name: str, text: str) -> Task:
    """A declaration as a task.

    Raises:
        InputError: it is no TOML, or no task.
    """
    try:
        return Task.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"the task {name} is no TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "task"
        raise InputError(f"the task {name}: {where}: {first['msg']}") from error


@cache
def all_tasks() -> dict[str, Task]:
    """Every declared task by its name, in alphabetical order."""
    folder = files("framelens_evaluation.bench") / "declarations"
    found = {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    }
    return {name: read_task(name, found[name]) for name in sorted(found)}


def pick_tasks(names: Sequence[str]) -> tuple[Task, ...]:
    """Tasks by name, each once and in the order given; all of them for none.

    Raises:
        InputError: there is no task of a name.
    """
    known = all_tasks()
    for name in names:
        if name not in known:
            raise InputError(f"expected a task among {', '.join(known)}, got {name!r}")
    return tuple(known[name] for name in dict.fromkeys(names or known))
