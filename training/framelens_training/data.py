"""The annotated sentences: reading, splitting by article and outlet, and keeping the splits apart."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.errors import InputError, require
from framelens.labels import LABELS
from framelens_training.files import write_json
from framelens_training.leakage import fingerprints, leaks, read_fingerprints

if TYPE_CHECKING:
    from datasets import Dataset

    from framelens_training.recipe import DataRecipe

__all__ = ["RULES", "SPLITS", "Splits", "find_data_dir", "load_annotated", "split_of", "split_sentences"]

SPLITS = ("train", "dev", "test")
_STATE, _INDEPENDENT, _HEDGED = LABELS
_LABEL_OF = {"S1": _STATE, "S2": _STATE, "H1": _HEDGED, "H2": _HEDGED, "I": _INDEPENDENT}
#: The codebook's rules in the order of the auxiliary head's last axis.
RULES = tuple(_LABEL_OF)
OUT_OF_SCOPE_RULE = "X"
_COLUMNS = (
    "id", "text", "context", "label", "rule", "sure", "cue", "stratum", "source", "outlet_id", "side",
    "country", "date", "article", "repo", "commit", "path", "record", "sentence_index",
)  # fmt: skip


@dataclass(frozen=True)
class Splits:
    """Three data sets with the same columns; no article stands in two of them.

    Attributes:
        train: what the model is fitted on.
        dev: what decides early stopping, pooling, thresholds and the temperature.
        test: what nothing is decided on.
        dropped: sentences left out of train because they leak, by the set that they leak from.
    """

    train: Dataset
    dev: Dataset
    test: Dataset
    dropped: dict[str, int]

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


def load_annotated(data_dir: Path) -> Dataset:
    """Judged sentences and judged out-of-scope fragments as one data set.

    Returns:
        A data set with an id, text, context, label (None out of scope), rule and provenance columns.

    Raises:
        InputError: a file is missing or unreadable, a sentence has no text or article, or it has a label,
            rule or cue that the codebook does not allow.
    """
    datasets = require("datasets", "train")
    annotated = data_dir / "annotated"
    rows: list[dict[str, Any]] = []
    for name in ("sentences.jsonl.gz", "not_annotated.jsonl.gz"):
        path = annotated / name
        if not path.is_file():
            raise InputError(f"{path} is missing; the data folder should hold annotated/{name}")
        # Not by datasets' own reader: it takes a column of dates for times, and caches the text.
        try:
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                rows.extend(_checked(json.loads(line), name) for line in lines)
        except (json.JSONDecodeError, UnicodeDecodeError, EOFError, OSError, zlib.error) as error:
            raise InputError(f"{path} cannot be read as gzipped JSON lines: {error}") from error
    return datasets.Dataset.from_list(rows)


def _checked(row: dict[str, Any], where: str) -> dict[str, Any]:
    kept = {column: row.get(column) for column in _COLUMNS}
    # Records are numbers in some sources and names in others, dates likewise: one column, one type.
    for column in ("record", "date", "path"):
        kept[column] = None if kept[column] is None else str(kept[column])
    kept["context"] = kept["context"] or ""
    rule, label, cue = kept["rule"], kept["label"], kept["cue"]
    if not kept["text"] or not kept["article"]:
        raise InputError(f"{where}: sentence {row['id']} has no text or no article")
    if (rule not in RULES and rule != OUT_OF_SCOPE_RULE) or label != _LABEL_OF.get(rule):
        raise InputError(f"{where}: sentence {row['id']} has rule {rule!r} and label {label!r}")
    if cue is not None and not 0 <= cue[0] < cue[1] <= len(row["text"]):
        raise InputError(f"{where}: sentence {row['id']} has a cue {cue} outside its text")
    if cue is not None and label not in (_STATE, _HEDGED):
        raise InputError(f"{where}: sentence {row['id']} has a cue, and rule {rule} allows none")
    return kept


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
    outlets: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row["outlet_id"]:
            outlets[row["article"]].add(row["outlet_id"])

    def held(outlet: str) -> tuple[bool, bool, str]:
        return outlet in recipe.test_outlets, outlet in recipe.dev_outlets, outlet

    def unit(article: str, outlet: str | None) -> tuple[str, str | None]:
        known = outlets[article]
        if len(known) < 2:
            return article, next(iter(known), None)
        outlet = outlet or max(known, key=held)
        return f"{article}:{outlet}", outlet

    return [unit(row["article"], row["outlet_id"]) for row in rows]


def split_sentences(rows: Dataset, recipe: DataRecipe, sealed: Path | None = None) -> Splits:
    """Split by article and outlet, then drop from train what leaks from dev, test or sealed sets.

    Args:
        rows: from `load_annotated`.
        recipe: which outlets and shares are held out.
        sealed: fingerprints of further evaluation sets.
    """
    units = _units(rows, recipe)
    parts = [split_of(article, outlet, recipe) for article, outlet in units]
    rows = rows.remove_columns("article").add_column("article", [article for article, _ in units])
    picked = {name: rows.select([i for i, part in enumerate(parts) if part == name]) for name in SPLITS}
    closed = read_fingerprints(sealed) if sealed else set()
    dev_known, test_known = fingerprints(picked["dev"]["text"]), fingerprints(picked["test"]["text"])
    dropped: Counter[str] = Counter()

    def clean(part: str, against: dict[str, set[str]]) -> Dataset:
        keep = []
        for i, text in enumerate(picked[part]["text"]):
            found = next((name for name, known in against.items() if leaks(text, known)), None)
            if found is None:
                keep.append(i)
            else:
                dropped[f"{part}: in {found}"] += 1
        return picked[part].select(keep)

    return Splits(
        train=clean("train", {"dev": dev_known, "test": test_known, "sealed": closed}),
        dev=clean("dev", {"test": test_known}),
        test=picked["test"],
        dropped=dict(dropped),
    )


def write_splits(splits: Splits, folder: Path) -> None:
    """Write ``train.jsonl``, ``dev.jsonl``, ``test.jsonl`` and ``counts.json`` into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in splits.items():
        rows.to_json(folder / f"{name}.jsonl", lines=True, force_ascii=False)
    summary = {"sentences": splits.counts(), "dropped": splits.dropped}
    write_json(folder / "counts.json", summary)
