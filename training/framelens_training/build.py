"""From declared sources to a data set: read, split, cleared of duplicates and of what leaks, and written.

A built folder holds ``train.jsonl``, ``dev.jsonl`` and ``test.jsonl``, ``auxiliary.jsonl`` where a benchmark
is on, ``dropped.jsonl`` (which sentence, why, because of which other), ``data.json`` (settings, digests,
counts) and ``DATA_CARD.md``. The same sources and settings give the same bytes.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from framelens.errors import InputError
from framelens.labels import LABELS
from framelens.sentences import NewsSplitter
from framelens_training.data import (
    SPLITS,
    Dropped,
    Splits,
    as_dataset,
    as_splits,
    read_splits,
    split_sentences,
    write_rows,
    write_splits,
)
from framelens_training.datacard import data_card
from framelens_training.duplicates import SETTINGS, near_duplicates, normalised, settle
from framelens_training.files import write_json
from framelens_training.gather import Fetching, data_folder, default_cache, gather, sha256
from framelens_training.leakage import (
    PREFIX_HEX,
    RUN_WORDS,
    clean_context,
    evaluation_sets,
    fingerprints,
    sets_of,
    source_of_leak,
)
from framelens_training.references import articles_of_test
from framelens_training.seed import same_contrast_set
from framelens_training.sources import folder_of, load_sources

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from framelens_training.gather import Say
    from framelens_training.recipe import DataRecipe
    from framelens_training.sources import Source

__all__ = [
    "AUXILIARY",
    "CARD",
    "RECORD",
    "Build",
    "build",
    "check_target",
    "copy_build",
    "read_build",
    "read_record",
    "write_build",
]

RECORD = "data.json"
CARD = "DATA_CARD.md"
AUXILIARY = "auxiliary.jsonl"
_DROPPED = "dropped.jsonl"
#: The files of rows that a build can have.
_ROWS = frozenset({*(f"{name}.jsonl" for name in SPLITS), AUXILIARY, _DROPPED})
#: What makes two builds of the same sources hold out the same.
_SPLITTING = ("dev_outlets", "test_outlets", "dev_fraction", "test_fraction", "split_seed")


@dataclass(frozen=True)
class Build:
    """A data set and how it came about.

    Attributes:
        splits: the judged sentences.
        auxiliary: sentences of public sets with their task and target.
        record: the content of ``data.json``, but for the digests of the folder's own files.
    """

    splits: Splits
    auxiliary: Sequence[dict[str, Any]]
    record: dict[str, Any]


def build(
    recipe: DataRecipe,
    data_dir: Path | None = None,
    fetching: Fetching | None = None,
    say: Say = lambda _: None,
) -> Build:
    """Read the sources of a recipe and make the data set of them.

    Args:
        recipe: which sources, and which outlets and shares are held out.
        data_dir: folder of data, else ``$FRAMELENS_DATA``; not needed where every file is shipped or lies
            beside the declaration of sources. Its evaluation sets are kept out also where no source lies
            in it.
        fetching: how the text behind references is had; from the cache alone unless told otherwise.
        say: is told what is being done, a line at a time, and which split lacks a label.

    Raises:
        InputError: no data, a broken declaration or file, a source whose terms keep weights from shipping
            and that the recipe does not allow, or a held-out outlet that no source has.
        MissingExtraError: the extra ``train`` is not installed.
    """
    declared = load_sources(recipe.sources)
    sources = declared.chosen(recipe.include, recipe.exclude)
    _check_terms(sources, recipe)
    beside = folder_of(recipe.sources)
    folder = data_folder(data_dir, sources, beside)
    fetching = fetching or Fetching(allowed=False, cache=default_cache())
    found = gather(sources, folder, fetching, say, beside)
    if not found.rows:
        raise InputError(f"the sources of {recipe.sources} hold no judged sentence")
    _check_outlets(recipe, found.outlets)
    held = evaluation_sets(folder) if folder else {}
    closed = {name: known for name, (_, known) in held.items()}
    roles = {source.name: source.role for source in sources}
    rows = as_dataset(found.rows)
    say("splitting, and looking for leaks …")
    dealt = split_sentences(rows, recipe, closed, [roles[origin] for origin in rows["origin"]])
    say("looking for duplicates …")
    parts, removed, conflicts = _without_duplicates({name: part.to_list() for name, part in dealt.items()})
    say("cutting contexts …")
    cut = _clean_contexts(parts, closed)
    if found.auxiliary:
        say("clearing auxiliary sentences …")
    auxiliary, gone = _clean_auxiliary(found.auxiliary, parts, closed, recipe)
    splits = as_splits(parts, (*dealt.removed, *removed, *gone))
    _warn_of_gaps(splits, say)
    record = {
        "framelens": version("framelens"),
        "sources": {"name": recipe.sources, "description": declared.description, "read": found.sources},
        "restricted": [source.name for source in sources if source.restricted],
        "settings": recipe.model_dump(mode="json"),
        "near_duplicates": SETTINGS | {"datasketch": version("datasketch")},
        "leakage": {
            "rule": f"equal, or more than half of its runs of {RUN_WORDS} words; a context: any run",
            "digest": f"SHA-256, {PREFIX_HEX} hexadecimal digits",
            "evaluation_sets": {
                name: {"fingerprints": len(known), "sha256": sha256(path)}
                for name, (path, known) in held.items()
            },
        },
        "sentences": splits.counts(),
        "auxiliary": _by_task(auxiliary),
        "dropped": splits.dropped,
        "conflicts": conflicts,
        "contexts_cut": cut,
    }
    return Build(splits, auxiliary, record)


def _check_terms(sources: Sequence[Source], recipe: DataRecipe) -> None:
    for source in sources:
        if source.restricted and not recipe.allow_restricted:
            raise InputError(
                f"the source {source.name!r} is {source.terms} ({source.licence}), so no weights fitted on "
                "it may ship; leave it out, or give --allow-restricted (allow_restricted in a recipe's "
                "[data]) for an experiment"
            )


def _check_outlets(recipe: DataRecipe, known: Collection[str]) -> None:
    for field in ("dev_outlets", "test_outlets"):
        if unknown := sorted({*getattr(recipe, field)} - {*known}):
            raise InputError(
                f"{field} holds {unknown[0]!r} out, and the sources of {recipe.sources} have no such outlet; "
                f"they have {', '.join(sorted(known)) or 'none'}; give the recipe that goes with them, or "
                "for sources of your own one whose [data] has dev_outlets = [] and test_outlets = [] "
                "(--recipe; start from recipes/quickstart.toml)"
            )
    if both := {*recipe.dev_outlets} & {*recipe.test_outlets}:
        raise InputError(f"{min(both)!r} stands in dev_outlets and in test_outlets; leave it in one")


def _warn_of_gaps(splits: Splits, say: Say) -> None:
    for name, counted in splits.counts().items():
        if missing := [label for label in LABELS if label not in counted]:
            say(
                f"warning: {name} has no sentence of {', '.join(missing)}; add sentences, or change the "
                "fractions or the split_seed of the recipe's [data]"
            )


def _without_duplicates(
    parts: Mapping[str, Sequence[dict[str, Any]]],
) -> tuple[dict[str, list[dict[str, Any]]], list[Dropped], list[dict[str, Any]]]:
    """Splits in which no two sentences are duplicates, what was left out, and judgements that were at odds.

    Test comes first and train last: what is added to train never changes what is measured on.
    """
    rows = [row for name in reversed(SPLITS) for row in parts[name]]
    homes = [name for name in reversed(SPLITS) for _ in parts[name]]
    near = near_duplicates([row["text"] for row in rows])
    removed: list[Dropped] = []
    # By pair, for two that both go name each other.
    conflicts: dict[frozenset[int], dict[str, Any]] = {}
    kept: dict[int, str] = {}
    for name in reversed(SPLITS):
        mine = {i for i, home in enumerate(homes) if home == name}
        # Only the splits that were dealt with before are in `kept`.
        for i in sorted(mine):
            held = next((other for other in near[i] if other in kept), None)
            if held is not None:
                mine.remove(i)
                why = f"near-duplicate in {kept[held]}"
                removed.append(Dropped(rows[i]["id"], name, why, rows[held]["id"]))
        gone = settle(rows, near, mine, same_contrast_set)
        for entry in gone:
            row, other = rows[entry.index], rows[entry.other]
            removed.append(Dropped(row["id"], name, _why(row, other, entry.settled), other["id"]))
            if entry.conflict:
                rules = {row["id"]: row["rule"], other["id"]: other["rule"]}
                winner = other["id"] if entry.settled else None
                pair = frozenset((entry.index, entry.other))
                conflicts[pair] = {"split": name, "kept": winner, "rules": dict(sorted(rules.items()))}
        kept |= dict.fromkeys(mine - {entry.index for entry in gone}, name)
    left = {name: [rows[i] for i in sorted(kept) if homes[i] == name] for name in SPLITS}
    return left, removed, list(conflicts.values())


def _why(row: Mapping[str, Any], other: Mapping[str, Any], settled: bool) -> str:
    kind = "duplicate" if normalised(row["text"]) == normalised(other["text"]) else "near-duplicate"
    if row["label"] == other["label"]:
        return kind
    return f"{kind}, judged otherwise" if settled else f"{kind}, judged otherwise with equal standing"


def _clean_contexts(
    parts: Mapping[str, Sequence[dict[str, Any]]], closed: Mapping[str, Collection[str]]
) -> dict[str, int]:
    """Cut from contexts, in place, what stands in a set that measures; the number of contexts cut."""
    splitter = NewsSplitter()
    test = fingerprints(row["text"] for row in parts["test"]).union(*closed.values())
    known = {"train": test | fingerprints(row["text"] for row in parts["dev"]), "dev": test}
    cut = dict.fromkeys(known, 0)
    for name, against in known.items():
        for row in parts[name]:
            left = clean_context(row["context"], against, splitter)
            cut[name] += left != row["context"]
            row["context"] = left
    return cut


def _clean_auxiliary(
    rows: Sequence[dict[str, Any]],
    parts: Mapping[str, Sequence[dict[str, Any]]],
    closed: Mapping[str, Collection[str]],
    recipe: DataRecipe,
) -> tuple[list[dict[str, Any]], list[Dropped]]:
    """Auxiliary sentences without duplicates in a task, and without what any set that measures has: its
    sentences, their near-duplicates, and the rest of its articles and of the outlets that are held out."""
    if not rows:
        return [], []
    measured = [(name, row) for name in ("dev", "test") for row in parts[name]]
    homes = {row["article"]: name for name, row in measured}
    own = {name: fingerprints(row["text"] for row in parts[name]) for name in ("dev", "test")}
    owners = sets_of({**own, **closed})
    texts = [row["text"] for _, row in measured]
    near = near_duplicates([*texts, *(row["text"] for row in rows)])[len(texts) :]
    kept: list[dict[str, Any]] = []
    removed = []
    # Places in `kept`, by places among all texts.
    places: dict[int, int] = {}
    for place, (row, others) in enumerate(zip(rows, near, strict=True), len(texts)):
        if row["article"] in articles_of_test():
            why = "article in the shipped test set"
        elif row["article"] in homes:
            why = f"article in {homes[row['article']]}"
        elif row["outlet_id"] in (*recipe.dev_outlets, *recipe.test_outlets):
            why = "outlet held out"
        elif found := source_of_leak(row["text"], owners):
            why = f"in {found}"
        elif others and others[0] < len(texts):
            why = f"near-duplicate in {measured[others[0]][0]}"
        else:
            places[place] = len(kept)
            kept.append(row | {"label": row["target"], "cue": None, "judges": None, "sure": None})
            continue
        removed.append(Dropped(row["id"], "auxiliary", why))
    near = [tuple(places[other] for other in near[at - len(texts)] if other in places) for at in places]
    gone: set[int] = set()
    for task in dict.fromkeys(row["task"] for row in kept):
        for entry in settle(kept, near, {i for i, row in enumerate(kept) if row["task"] == task}):
            row, other = kept[entry.index], kept[entry.other]
            gone.add(entry.index)
            removed.append(Dropped(row["id"], "auxiliary", _why(row, other, entry.settled), other["id"]))
    left = [{key: row[key] for key in rows[0]} for i, row in enumerate(kept) if i not in gone]
    return left, removed


def _by_task(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {}
    for row in rows:
        counted.setdefault(row["task"], Counter())[row["target"]] += 1
    return {task: dict(targets) for task, targets in counted.items()}


def write_build(made: Build, folder: Path) -> None:
    """Write a build into a folder; see the module's docstring for what it then holds.

    An earlier build that is there goes; files of others' stay.
    """
    if (folder / RECORD).is_file():
        for name in _names(folder):
            (folder / name).unlink(missing_ok=True)
    write_splits(made.splits, folder)
    write_rows(folder / _DROPPED, map(dataclasses.asdict, made.splits.removed))
    names = _ROWS - {AUXILIARY}
    if made.auxiliary:
        write_rows(folder / AUXILIARY, made.auxiliary)
        names = _ROWS
    digests = {name: sha256(folder / name) for name in sorted(names)}
    record = made.record | {"files": digests}
    write_json(folder / RECORD, record)
    (folder / CARD).write_text(data_card(made.splits, record), encoding="utf-8")


def read_build(folder: Path, recipe: DataRecipe) -> Splits:
    """The splits of a built folder, for a fit with a recipe.

    Raises:
        InputError: the folder is no build or was changed since, was built with other held-out outlets or
            shares than the recipe's, or from sources that the recipe does not allow.
    """
    if not (folder / RECORD).is_file():
        raise InputError(f"{folder} holds no {RECORD}, so `framelens-train data` did not build it")
    record = read_record(folder)
    for name, digest in record["files"].items():
        if not (folder / name).is_file() or sha256(folder / name) != digest:
            raise InputError(
                f"{folder / name} is not what was built; build it again with `framelens-train data`"
            )
    mine, theirs = recipe.model_dump(mode="json"), record["settings"]
    if changed := [field for field in _SPLITTING if mine[field] != theirs[field]]:
        raise InputError(
            f"{folder} was built with {changed[0]} = {theirs[changed[0]]!r}, and the recipe has "
            f"{mine[changed[0]]!r}; build it with the same recipe (`framelens-train data --recipe`)"
        )
    if record["restricted"] and not recipe.allow_restricted:
        raise InputError(
            f"{folder} holds {', '.join(record['restricted'])}, so no weights fitted on it may ship; for an "
            "experiment give --set data.allow_restricted=true"
        )
    return read_splits(folder)


def copy_build(built: Path, folder: Path) -> None:
    """Copy the files of a built folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _names(built):
        shutil.copyfile(built / name, folder / name)


def check_target(folder: Path, overwrite: bool) -> None:
    """See that a build can be written into a folder, before it is begun.

    Raises:
        InputError: it exists and is to be kept, or holds something else than a build.
    """
    if not folder.exists():
        return
    if folder.is_file() or (any(folder.iterdir()) and not (folder / RECORD).is_file()):
        raise InputError(f"{folder} is no data set of framelens-train, so it is not overwritten")
    if (folder / RECORD).is_file():
        read_record(folder)
        if not overwrite:
            raise InputError(f"{folder} holds a data set; choose another folder or give --overwrite")


def _names(folder: Path) -> tuple[str, ...]:
    """The files of a built folder; the record comes last, so that a folder without it is none."""
    return (*read_record(folder)["files"], "counts.json", CARD, RECORD)


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a built folder, which names no other files than a build has.

    Raises:
        InputError: it is missing or something else.
    """
    path = folder / RECORD
    try:
        record = json.loads(path.read_bytes())
        known = record.keys() >= {"files", "settings", "restricted"} and record["files"].keys() <= _ROWS
    except (OSError, ValueError, AttributeError):
        known = False
    if not known:
        raise InputError(
            f"expected the record of a data set in {path}, got something else; build it again with "
            "`framelens-train data`, in another folder"
        )
    return dict(record)
