"""The text behind references, from copies of the records that lie in a data folder: no network is needed.

A data folder's ``raw/``, ``annotated/`` and ``bench/`` hold records of the repositories that references name,
each with its repository, commit, path and text. A sentence is looked for in the copies of its own path alone,
in the way in which `framelens_training.fetch` looks for it in the file itself.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from framelens_training.fetch import NOT_FOUND, FetchReport, Missing
from framelens_training.locate import Column, Wanted, find
from framelens_training.rows import read_objects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from framelens_training.references import Reference

__all__ = ["restore_from_copies"]

#: Better copies first: whole articles, then sentences with what stands before them.
_FOLDERS = ("raw", "annotated", "bench")
_PLACE = re.compile(r"chars (\d+)|(\d+)")
#: What a report says where no copy of the path is there.
NO_COPY = "no copy of the file in the data folder"

_Key = tuple[str, str, str]


def restore_from_copies(
    references: Iterable[Reference], folder: Path, progress: Callable[[str], None] | None = None
) -> tuple[list[dict[str, Any]], FetchReport]:
    """Find the sentences of references in the copies that a data folder holds.

    Args:
        references: from `framelens_training.references.read_references`.
        folder: with ``raw/``, ``annotated/`` or ``bench/`` of gzipped JSON lines.
        progress: is given a line of text before every file.

    Returns:
        Rows in the columns of the annotated sentences, by id, and what became of each reference.

    Raises:
        InputError: a file cannot be read.
    """
    by_path: dict[_Key, list[Reference]] = defaultdict(list)
    asked: dict[str, int] = defaultdict(int)
    for reference in references:
        by_path[reference.repo, reference.commit, reference.path].append(reference)
        asked[reference.repo] += 1
    columns = _columns(folder, by_path.keys(), progress)
    rows: list[dict[str, Any]] = []
    missing: list[Missing] = []
    bare: list[str] = []
    for key, its in by_path.items():
        wanted = [Wanted(each.anchor, each.text, each.context, _number(each.record)) for each in its]
        found = find(wanted, columns.get(key, ()))
        for index, reference in enumerate(its):
            if index not in found:
                why = NOT_FOUND if key in columns else NO_COPY
                missing.append(Missing(reference.id, reference.repo, reference.path, why))
                continue
            rows.append(reference.row(found[index].text, found[index].context))
            if reference.context and found[index].context is None:
                bare.append(reference.id)
    rows.sort(key=lambda row: str(row["id"]))
    missing.sort(key=lambda each: each.id)
    return rows, FetchReport(dict(sorted(asked.items())), tuple(missing), tuple(sorted(bare)))


def _columns(
    folder: Path, keys: Iterable[_Key], progress: Callable[[str], None] | None
) -> dict[_Key, list[Column]]:
    """The copies of each path, one column a file of the folder."""
    wanted = set(keys)
    columns: dict[_Key, list[Column]] = defaultdict(list)
    for path in (path for name in _FOLDERS for path in sorted((folder / name).glob("*.jsonl.gz"))):
        if progress:
            progress(f"looking into {path.parent.name}/{path.name}")
        strings: dict[_Key, list[tuple[int, str]]] = defaultdict(list)
        for _, row in read_objects(path):
            # A copy may say behind the name what the repository itself has its files from.
            repo = str(row.get("repo")).partition(" (")[0]
            key = (repo, str(row.get("commit")), str(row.get("path")))
            if key in wanted:
                text = f"{row['context']}\n{row['text']}" if row.get("context") else str(row["text"])
                strings[key].append((_place(row.get("record")), text))
        for key, found in strings.items():
            # Sentences of one document may stand in any order.
            found.sort(key=lambda each: each[0])
            columns[key].append(Column([text for _, text in found], [record for record, _ in found]))
    return columns


def _place(record: Any) -> int:
    met = _PLACE.search(str(record))
    return int(met.group(1) or met.group(2)) if met else 0


def _number(record: str | None) -> int | None:
    return None if record is None or not _PLACE.search(record) else _place(record)
