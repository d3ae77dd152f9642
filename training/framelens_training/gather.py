"""Reading declared sources: every sentence in one schema, with the source that it comes from."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.errors import InputError
from framelens_training import fetch, references, seed
from framelens_training.copies import restore_from_copies
from framelens_training.data import find_data_dir
from framelens_training.duplicates import THRESHOLD, shingles, similarity
from framelens_training.files import write_json
from framelens_training.rows import checked, outlet_id, read_annotated, read_objects, same_outlet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_training.sources import Source

__all__ = ["Fetching", "Gathered", "Say", "data_folder", "default_cache", "gather", "sha256"]

#: Takes one line about what is being done.
Say = Callable[[str], None]
_SHIPPED = "shipped:"
#: A benchmark's own splits that may be learned from; dev and test are its evaluation's.
_OPEN_SPLITS = frozenset({"train", "none"})
_SKIP = "skip"
_PROVENANCE = ("repo", "commit", "path", "record")
#: What public sets call the column of the outlet.
_OUTLET = ("outlet", "publisher", "source")


@dataclass(frozen=True)
class Fetching:
    """How the text behind references is had.

    Attributes:
        allowed: whether repositories are fetched; otherwise only what lies in the cache is read.
        cache: folder of what was fetched.
        git_base: where repositories stand; owner/name is appended.
    """

    allowed: bool
    cache: Path
    git_base: str = fetch.GITHUB


@dataclass
class Gathered:
    """What the sources hold.

    Attributes:
        rows: judged sentences, in the columns of `framelens_training.rows.checked`, ``origin`` (the
            source's name) and ``weight``.
        auxiliary: sentences of benchmarks with ``task`` and ``target``, their article and outlet.
        outlets: ids of the outlets that the sources name, also where a text could not be fetched.
        sources: what each was read from, for the build's record.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    auxiliary: list[dict[str, Any]] = field(default_factory=list)
    outlets: set[str] = field(default_factory=set)
    sources: list[dict[str, Any]] = field(default_factory=list)


def default_cache() -> Path:
    """Where fetched text lies unless told otherwise: ``framelens`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "framelens"


def sha256(path: Path) -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def data_folder(given: Path | None, sources: Sequence[Source], beside: Path | None = None) -> Path | None:
    """The folder of data, and None where no source needs one and none is named.

    Args:
        given: the folder, else ``$FRAMELENS_DATA``.
        sources: that are on.
        beside: folder of the declaration, where it is one's own; what lies in it needs no other.

    Raises:
        InputError: a source needs one and none is named, or it does not exist.
    """
    if given is not None or os.environ.get("FRAMELENS_DATA"):
        return find_data_dir(given)
    for source in sources:
        for name in source.files:
            if name.startswith(_SHIPPED) or (beside is not None and (beside / name).is_file()):
                continue
            sought = "" if beside is None else f"; it is not in {beside}, beside the declaration"
            raise InputError(
                f"where is {name} of the source {source.name!r}{sought}? Give --data-dir or set "
                "FRAMELENS_DATA to the folder that holds it"
            )
    return None


def gather(
    sources: Sequence[Source],
    folder: Path | None,
    fetching: Fetching,
    say: Say,
    beside: Path | None = None,
) -> Gathered:
    """Read sources in their order.

    Args:
        sources: that are on.
        folder: of data, where a source needs one.
        fetching: how the text behind references is had.
        say: is told what is read.
        beside: folder in which files are looked for first.

    Raises:
        InputError: a file is missing, empty or breaks its schema, or a name stands for two sentences.
    """
    found = Gathered()
    texts: dict[str, str] = {}
    for source, paths in [(source, _paths(source, folder, beside)) for source in sources]:
        record: dict[str, Any] = source.model_dump(mode="json", exclude={"on"})
        record["files"] = [{"file": name, "sha256": sha256(path)} for name, path in paths.items()]
        rows: list[dict[str, Any]] = []
        unused: set[str] = set()
        for path in paths.values():
            if source.kind == "annotated":
                rows += read_annotated(path, unused)
            elif source.kind == "seed":
                rows += seed.load_seed(path)
            elif source.kind == "references":
                rows += _fetched(path, folder, fetching, found, record, say)
            else:
                rows += _auxiliary(path, source)
        say(f"{source.name}: {len(rows):,} sentences")
        if unused:
            say(f"{source.name}: columns not used: {', '.join(sorted(unused))}")
        _check_names(source.name, rows, texts)
        kept = found.auxiliary if source.kind == "benchmark" else found.rows
        kept += [row | {"origin": source.name, "weight": source.weight} for row in rows]
        if source.kind != "benchmark":
            found.outlets.update(row["outlet_id"] for row in rows if row["outlet_id"])
        found.sources.append(record | {"sentences": len(rows)})
    return found


def _paths(source: Source, folder: Path | None, beside: Path | None) -> dict[str, Path]:
    """The source's files by the names under which they are declared; each holds at least one row."""
    shipped = seed.SHIPPED if source.kind == "seed" else references.SHIPPED
    paths = {}
    for name in source.files or (f"{_SHIPPED}{shipped.name}",):
        homes = (shipped.parent,) if name.startswith(_SHIPPED) else (beside, folder)
        places = [home / name.removeprefix(_SHIPPED) for home in homes if home is not None]
        found = next((path for path in places if path.is_file()), None)
        if found is None:
            sought = " or ".join(map(str, dict.fromkeys(places))) or name
            raise InputError(f"{sought} is missing; the source {source.name!r} names it")
        if next(read_objects(found), None) is None:
            raise InputError(f"{found} is empty; the source {source.name!r} names it, one JSON object a line")
        paths[name] = found
    return paths


def _check_names(source: str, rows: Sequence[dict[str, Any]], texts: dict[str, str]) -> None:
    """See that an id stands for one sentence alone, within a source and among them all."""
    here: set[str] = set()
    for row in rows:
        name = row["id"]
        if name in here:
            raise InputError(f"the source {source!r} has two sentences with the id {name!r}")
        here.add(name)
        # Fetched text may have other punctuation than the same sentence in a folder.
        known = shingles(texts.setdefault(name, row["text"]))
        if similarity(known, shingles(row["text"])) < THRESHOLD:
            raise InputError(f"the id {name!r} of the source {source!r} stands for another text elsewhere")


def _fetched(
    path: Path, folder: Path | None, fetching: Fetching, found: Gathered, record: dict[str, Any], say: Say
) -> list[dict[str, Any]]:
    """Rows of a file of references: fetched, as they were fetched before, or from copies in the folder."""
    wanted = references.read_references(path)
    found.outlets.update(same_outlet(entry.outlet_id) for entry in wanted if entry.outlet_id)
    kept = fetching.cache / "rebuilt" / f"{sha256(path)[:16]}.jsonl.gz"
    report = kept.with_name(kept.name.removesuffix(".jsonl.gz") + ".json")
    if fetching.allowed:
        rows, result = fetch.rebuild(wanted, fetching.cache, fetching.git_base, say)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(kept, "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_json(report, result.as_json())
        say(result.table())
    elif kept.is_file() and report.is_file():
        rows = [row for _, row in read_objects(kept)]
    else:
        rows = []
        if folder is not None:
            rows, result = restore_from_copies(wanted, folder, say)
            say(result.table())
            record.setdefault("copied", []).append(result.as_json())
        if not rows:
            raise InputError(
                f"the text behind {path.name} has not been fetched to {fetching.cache}; give --fetch, or the "
                "folder of data that holds copies of it"
            )
        return [checked(row, f"{path.name}, {row['id']}") for row in rows]
    record.setdefault("fetched", []).append(json.loads(report.read_bytes()))
    return [checked(row, f"{kept.name}, {row['id']}") for row in rows]


def _auxiliary(path: Path, source: Source) -> list[dict[str, Any]]:
    """Sentences of a public set that may be learned from, with their targets."""
    rows = []
    # As the annotated sentences name the articles that they have from it.
    collection = path.name.partition(".")[0]
    for number, row in read_objects(path):
        where = f"{path.name}, line {number}"
        if not isinstance(row, dict) or not {"text", "label", "split"} <= row.keys():
            raise InputError(f"{where}: expected an object with text, label and split")
        if row["split"] not in _OPEN_SPLITS or not str(row["text"]).strip():
            continue
        target = source.labels.get(str(row["label"]))
        if target is None:
            raise InputError(
                f"{where}: the source {source.name!r} maps no label {row['label']!r}; add it to its labels, "
                f"for {_SKIP!r} where it is to be left out"
            )
        if target == _SKIP:
            continue
        rows.append(
            {"id": f"{source.name}:{number}", "text": str(row["text"]), "task": source.task, "target": target}
            | {"article": f"{collection}:{row.get('doc_id') or number}", "outlet_id": _outlet_of(row)}
            | {key: None if row.get(key) is None else str(row[key]) for key in _PROVENANCE}
        )
    return rows


def _outlet_of(row: dict[str, Any]) -> str | None:
    given = next((row[name] for name in _OUTLET if row.get(name)), None)
    return None if given is None else outlet_id(str(given))
