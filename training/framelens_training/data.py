"""Judged sentences as data sets: reading a folder of them, splitting by article and outlet, keeping apart."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.errors import InputError, require
from framelens_training.files import write_json
from framelens_training.leakage import owned_fingerprints, sets_of, source_of_leak
from framelens_training.references import articles_of_test
from framelens_training.rows import RULES, read_annotated, read_objects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from datasets import Dataset

    from framelens_training.recipe import DataRecipe

__all__ = [
    "RULES",
    "SPLITS",
    "Dropped",
    "Splits",
    "as_dataset",
    "as_splits",
    "find_data_dir",
    "load_annotated",
    "read_splits",
    "split_of",
    "split_sentences",
    "write_rows",
    "write_splits",
]

#: In the order in which a sentence of one may not stand in those behind it.
SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Dropped:
    """A sentence that was left out.

    Attributes:
        id: its own.
        split: where it would have stood.
        why: in a few words, the same for all of a kind.
        other: the id of the sentence because of which it was left out, where that is known.
    """

    id: str
    split: str
    why: str
    other: str | None = None


@dataclass(frozen=True)
class Splits:
    """Three data sets with the same columns; no article stands in two of them.

    Attributes:
        train: what the model is fitted on.
        dev: what decides early stopping, pooling, thresholds and the temperature.
        test: what nothing is decided on.
        removed: the sentences that were left out, with their reasons.
    """

    train: Dataset
    dev: Dataset
    test: Dataset
    removed: tuple[Dropped, ...] = ()

    @property
    def dropped(self) -> dict[str, int]:
        """How many sentences were left out, by split and reason."""
        return dict(Counter(f"{gone.split}: {gone.why}" for gone in self.removed))

    def items(self) -> tuple[tuple[str, Dataset], ...]:
        """(name, data set) in the order of `SPLITS`."""
        return (("train", self.train), ("dev", self.dev), ("test", self.test))

    def counts(self) -> dict[str, dict[str, int]]:
        """Sentences by split and label; out of scope counts as ``not_applicable``."""
        return {
            name: dict(Counter(label or "not_applicable" for label in rows["label"]))
            for name, rows in self.items()
        }


def find_data_dir(given: Path | None) -> Path:
    """The folder of annotated data: the one given, else ``$FRAMELENS_DATA``.

    Raises:
        InputError: neither names a folder.
    """
    name = given or os.environ.get("FRAMELENS_DATA")
    if not name:
        raise InputError("where is the data? Give --data-dir or set FRAMELENS_DATA to its folder")
    folder = Path(name)
    if not folder.is_dir():
        raise InputError(f"the data folder {folder} does not exist")
    return folder


def as_dataset(rows: Sequence[Mapping[str, Any]]) -> Dataset:
    """Rows with the same columns as one data set."""
    return require("datasets", "train").Dataset.from_list(list(rows))


def as_splits(parts: Mapping[str, Sequence[Mapping[str, Any]]], removed: Iterable[Dropped] = ()) -> Splits:
    """Rows by split as data sets.

    Args:
        parts: rows with the same columns, by the names of `SPLITS`.
        removed: the sentences that were left out.
    """
    # As one data set first, so that a column which is empty in one part has its type there too.
    rows = as_dataset([row for name in SPLITS for row in parts[name]])
    chosen = {}
    start = 0
    for name in SPLITS:
        end = start + len(parts[name])
        chosen[name] = rows.select(range(start, end) if parts[name] else [])
        start = end
    return Splits(**chosen, removed=tuple(removed))


def load_annotated(data_dir: Path) -> Dataset:
    """Judged sentences and judged out-of-scope fragments of a data folder as one data set.

    Returns:
        A data set with an id, text, context, label (None out of scope), rule and provenance columns.

    Raises:
        InputError: a file is missing or unreadable, or a sentence breaks `framelens_training.rows.checked`.
    """
    names = ("sentences.jsonl.gz", "not_annotated.jsonl.gz")
    return as_dataset([row for name in names for row in read_annotated(data_dir / "annotated" / name)])


def split_of(article: str, outlet_id: str | None, recipe: DataRecipe) -> str:
    """The split of an article: by its outlet, else by a seeded hash of its name.

    A hash needs no list of articles, so that an article added later moves no other.
    """
    if outlet_id in recipe.test_outlets:
        return "test"
    if outlet_id in recipe.dev_outlets:
        return "dev"
    digest = hashlib.sha256(f"{recipe.split_seed}:{article}".encode()).digest()
    draw = int.from_bytes(digest[:8]) / 2**64
    if draw < recipe.test_fraction:
        return "test"
    return "dev" if draw < recipe.test_fraction + recipe.dev_fraction else "train"


def _units(rows: Dataset, recipe: DataRecipe) -> list[tuple[str, str | None]]:
    """The article and the outlet by which each row is split.

    An article's outlet is known from its labelled sentences, also for its fragments, which name none.
    Headlines gathered without their articles stand under one name for several outlets: each outlet's are
    one article then, and a row that names none goes with a held-out outlet, which may be its own.
    """
    pairs = list(zip(rows["article"], rows["outlet_id"], strict=True))
    outlets: dict[str, set[str]] = defaultdict(set)
    for article, outlet in pairs:
        if outlet:
            outlets[article].add(outlet)

    def held(outlet: str) -> tuple[bool, bool, str]:
        return outlet in recipe.test_outlets, outlet in recipe.dev_outlets, outlet

    def unit(article: str, outlet: str | None) -> tuple[str, str | None]:
        known = outlets[article]
        if len(known) < 2:
            return article, next(iter(known), None)
        outlet = outlet or max(known, key=held)
        return f"{article}:{outlet}", outlet

    return [unit(article, outlet) for article, outlet in pairs]


def _placed(
    units: Sequence[tuple[str, str | None]],
    roles: Sequence[str],
    recipe: DataRecipe,
    shipped: Sequence[bool],
) -> list[tuple[str, str | None]]:
    """The split of each row, and why it stands in none.

    A source for training alone gives way where its article or outlet is held out, and every source gives
    way where one that only measures, or the test set that ships, has the article.
    """
    parts = []
    home: dict[str, int] = {}
    for (article, outlet), role in zip(units, roles, strict=True):
        part = "test" if role == "evaluate" else split_of(article, outlet, recipe)
        held_out = outlet in recipe.test_outlets or outlet in recipe.dev_outlets
        if role == "train" and not held_out:
            part = "train"
        parts.append(part)
        home[article] = max(home.get(article, 0), SPLITS.index(part))
    placed: list[tuple[str, str | None]] = []
    for (article, _), role, part, in_test in zip(units, roles, parts, shipped, strict=True):
        if role == "train" and part != "train":
            placed.append(("train", f"outlet held out for {part}"))
        elif SPLITS.index(part) < home[article]:
            placed.append((part, f"article in {SPLITS[home[article]]}"))
        elif in_test and part != "test":
            placed.append((part, "article in the shipped test set"))
        else:
            placed.append((part, None))
    return placed


def split_sentences(
    rows: Dataset,
    recipe: DataRecipe,
    closed: Mapping[str, Collection[str]] | None = None,
    roles: Sequence[str] | None = None,
) -> Splits:
    """Split by article and outlet, then drop from train and dev what leaks from a set that measures.

    Nor do they have an article of the test set that ships with the package.

    Args:
        rows: from `load_annotated` or `framelens_training.build.build`.
        recipe: which outlets and shares are held out.
        closed: fingerprints of further evaluation sets, by name.
        roles: of each row's source: ``split``, which is everyone's where none is given, ``train`` or
            ``evaluate``.
    """
    units = _units(rows, recipe)
    shipped = [article in articles_of_test() for article in rows["article"]]
    placed = _placed(units, roles or ["split"] * len(units), recipe, shipped)
    rows = rows.remove_columns("article").add_column("article", [article for article, _ in units])
    names = rows["id"]
    removed = [
        Dropped(name, part, why) for name, (part, why) in zip(names, placed, strict=True) if why is not None
    ]
    picked = {
        name: rows.select([i for i, found in enumerate(placed) if found == (name, None)]) for name in SPLITS
    }
    own = {
        name: owned_fingerprints(zip(picked[name]["id"], picked[name]["text"], strict=True))
        for name in ("dev", "test")
    }

    outside = sets_of(closed or {})

    def clean(part: str, held: Sequence[str]) -> Dataset:
        keep = []
        for i, (name, text) in enumerate(zip(picked[part]["id"], picked[part]["text"], strict=True)):
            leaked = next(
                ((where, other) for where in held if (other := source_of_leak(text, own[where]))), None
            )
            if leaked is not None:
                removed.append(Dropped(name, part, f"in {leaked[0]}", leaked[1]))
            elif where := source_of_leak(text, outside):
                removed.append(Dropped(name, part, f"in {where}"))
            else:
                keep.append(i)
        return picked[part].select(keep)

    train, dev = clean("train", ("dev", "test")), clean("dev", ("test",))
    return Splits(train, dev, picked["test"], tuple(removed))


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON, one a line, in UTF-8."""
    with path.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write_splits(splits: Splits, folder: Path) -> None:
    """Write ``train.jsonl``, ``dev.jsonl``, ``test.jsonl`` and ``counts.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in splits.items():
        write_rows(folder / f"{name}.jsonl", rows)
    summary = {"sentences": splits.counts(), "dropped": splits.dropped}
    write_json(folder / "counts.json", summary)


def read_splits(folder: Path) -> Splits:
    """The splits that `write_splits` wrote, without what was removed from them.

    Raises:
        InputError: a file is missing or unreadable.
    """
    return as_splits({name: [row for _, row in read_objects(folder / f"{name}.jsonl")] for name in SPLITS})
