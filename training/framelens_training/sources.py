"""Where training sentences come from: sources declared in one TOML file."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from framelens.errors import InputError
from framelens_training.rows import first_fault

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["RESTRICTED", "Source", "Sources", "folder_of", "load_sources"]

#: Terms under which no weights may ship.
RESTRICTED = frozenset({"non-commercial", "agpl"})
_SUFFIXES = (".jsonl", ".jsonl.gz")


class _Declaration(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Declaration):
    """One source of sentences.

    Attributes:
        name: its own; rows carry it in the column ``origin``.
        kind: ``annotated`` is judged sentences with their text; ``references`` judged sentences whose text is
            fetched; ``seed`` sentences that were written for the purpose; ``benchmark`` a public set with
            labels of its own, which become targets of an auxiliary task.
        files: beside the .toml that declares them, else in the data folder; ``shipped:NAME`` is one of the
            package's own. A seed source without files is the shipped seed set.
        role: ``split`` by article and outlet, ``train`` for training alone, or ``evaluate`` for test alone.
        licence: of the texts and the labels, for the data card.
        terms: what the licence allows weights: ``open``; ``unstated``, where text is its publishers' or no
            licence is stated, so that weights may ship and text may not; ``non-commercial`` and ``agpl``,
            which keep weights from shipping.
        weight: of its sentences in the loss, relative to others'.
        on: whether it is read unless a recipe or an option says otherwise.
        task: name of a benchmark's auxiliary task.
        labels: from a benchmark's own labels to the task's targets; a row with ``skip`` for a target is left
            out.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    kind: Literal["annotated", "references", "seed", "benchmark"]
    files: tuple[str, ...] = ()
    role: Literal["split", "train", "evaluate"] = "split"
    licence: Annotated[str, Field(min_length=1)]
    terms: Literal["open", "unstated", "non-commercial", "agpl"]
    weight: Annotated[float, Field(gt=0)] = 1.0
    on: bool = Field(default_factory=lambda fields: fields.get("kind") != "benchmark")
    task: str | None = None
    labels: dict[str, str] = {}

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if not self.files and self.kind != "seed":
            raise ValueError(f"a source of kind {self.kind!r} names its files")
        if other := next((name for name in self.files if not name.endswith(_SUFFIXES)), None):
            raise ValueError(f"sources are .jsonl or .jsonl.gz, one JSON object a line, and {other} is not")
        if self.kind == "benchmark" and not (self.task and self.labels and self.role == "train"):
            raise ValueError("a benchmark has a task, labels, and the role 'train'")
        if self.kind != "benchmark" and (self.task or self.labels):
            raise ValueError("only a benchmark has a task and labels")
        return self

    @property
    def restricted(self) -> bool:
        """Whether weights that were fitted on it may not ship."""
        return self.terms in RESTRICTED and self.role != "evaluate"


class Sources(_Declaration):
    """All sources of one file; no two have the same name.

    ``also`` names shipped declarations whose sources were added behind the file's own.
    """

    description: str = ""
    also: tuple[str, ...] = ()
    source: Annotated[tuple[Source, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        name, times = Counter(source.name for source in self.source).most_common(1)[0]
        if times > 1:
            raise ValueError(f"{times} sources are named {name!r}; each needs a name of its own")
        return self

    def chosen(self, include: Collection[str] = (), exclude: Collection[str] = ()) -> tuple[Source, ...]:
        """The sources that are on, in the order of the file.

        Args:
            include: names of further ones, which are declared but off.
            exclude: names of those to leave out.

        Raises:
            InputError: no source has such a name, or none is left.
        """
        known = {source.name for source in self.source}
        if unknown := sorted({*include, *exclude} - known):
            raise InputError(f"no source is named {unknown[0]!r}; declared are {', '.join(sorted(known))}")
        found = tuple(
            source
            for source in self.source
            if (source.on or source.name in include) and source.name not in exclude
        )
        if not found:
            raise InputError(f"every source is off; switch one on of {', '.join(sorted(known))}")
        return found


def folder_of(name_or_path: str) -> Path | None:
    """The folder of a declaration that is given by path, where its files are looked for first."""
    path = Path(name_or_path)
    return path.parent if path.suffix == ".toml" else None


def load_sources(name_or_path: str) -> Sources:
    """Read a declaration of sources by the name of a shipped one or by path.

    Args:
        name_or_path: such as ``default``, or a path that ends in ``.toml``.

    Raises:
        InputError: no such file, broken TOML, or a field that is unknown or not allowed.
    """
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise InputError(f"no sources at {path}")
        content = path.read_bytes()
    else:
        shipped = files("framelens_training") / "sources"
        resource = shipped / f"{name_or_path}.toml"
        if not resource.is_file():
            names = sorted(
                entry.name.removesuffix(".toml")
                for entry in shipped.iterdir()
                if entry.name.endswith(".toml")
            )
            raise InputError(
                f"no sources named {name_or_path!r}; shipped are {', '.join(names)}, "
                "or give a path to a .toml"
            )
        content = resource.read_bytes()
    try:
        fields = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{name_or_path} is not valid TOML in UTF-8: {error}") from error
    try:
        declared = Sources.model_validate(fields)
        # By name only, so that no file can name itself.
        if wrong := next((name for name in declared.also if Path(name).suffix), None):
            raise InputError(
                f"{name_or_path}: also: expected the name of a shipped declaration, got {wrong!r}"
            )
        fields["source"] += [
            each.model_dump() for name in declared.also for each in load_sources(name).source
        ]
        return Sources.model_validate(fields)
    except ValidationError as error:
        raise InputError(f"{name_or_path}: {_named(first_fault(error), fields)}") from error


def _named(fault: str, fields: dict[str, Any]) -> str:
    """A fault with the source's name where it gives the source's place."""
    entries = fields.get("source")
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict) and entry.get("name"):
            fault = fault.replace(f"source: {place}: ", f"source {entry['name']}: ", 1)
    return fault
