"""Benchmarks as they are published, for the three formats that are simple and certain.

* CheckThat!: tab-separated ``sentence_id, sentence, label``; a published copy lacks the header. Quotes are
  plain characters there.
* BABE: semicolons, with the columns ``text``, ``label_bias`` and ``news_link``.
* CoNLL-2010: XML with ``<sentence certainty="certain">`` and cues marked inside it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from framelens import InputError
from framelens_evaluation.bench.data import build_data
from framelens_evaluation.reporting.provenance import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from framelens_evaluation.bench.data import BenchData
    from framelens_evaluation.bench.tasks import Task

    #: From a file's bytes and name to (text, label, group).
    Reader = Callable[[bytes, str], Iterator[tuple[str, str, str | None]]]

__all__ = ["read_public"]


def read_public(task: Task, folder: Path) -> BenchData:
    """A task's sentences from its published files.

    Args:
        task: its declaration.
        folder: holds the files, or a folder of the task's name that does.

    Raises:
        InputError: only the converted file of the task can be read, a file is missing, or it is not in the
            published format.
    """
    if task.public is None:
        raise InputError(
            f"{task.name} can be read from the converted file {task.file} alone (--data-dir), "
            "not as it is published"
        )
    here = folder / task.name if (folder / task.name).is_dir() else folder
    fields: list[tuple[str, str, str, str | None]] = []
    sources: list[Source] = []
    for split, name in task.public.files.items():
        path = here / name
        try:
            content = path.read_bytes()
        except OSError as error:
            note = f" ({task.public.note})" if task.public.note else ""
            raise InputError(
                f"{path}: {error.strerror}: expected the {task.public.reader} file of {task.title}{note}, "
                f"from {'; '.join(map(str, task.homes))}"
            ) from error
        rows = _READERS[task.public.reader](content, str(path))
        fields += [(text, label, split, group) for text, label, group in rows]
        sources.append(
            Source(
                role=task.name, name=path.name, sha256=hashlib.sha256(content).hexdigest(), described=split
            )
        )
    return build_data(task, fields, tuple(sources))


def _decoded(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: expected UTF-8: {error}") from error


def _checkthat(content: bytes, where: str) -> Iterator[tuple[str, str, str | None]]:
    for at, line in enumerate(_decoded(content, where).split("\n"), start=1):
        cells = line.rstrip("\r").split("\t")
        if cells == [""] or (at == 1 and cells[0] == "sentence_id"):
            continue
        if len(cells) < 3:
            raise InputError(f"{where}:{at}: expected sentence_id, sentence and label between tabs")
        yield cells[1], cells[2], None


def _babe(content: bytes, where: str) -> Iterator[tuple[str, str, str | None]]:
    rows = csv.DictReader(io.StringIO(_decoded(content, where), newline=""), delimiter=";")
    missing = {"text", "label_bias", "news_link"} - set(rows.fieldnames or ())
    if missing:
        raise InputError(f"{where}: expected a column {', '.join(sorted(missing))} between semicolons")
    for row in rows:
        if row["text"] is None or row["label_bias"] is None:
            raise InputError(f"{where}:{rows.line_num}: the row ends before its label")
        yield row["text"], row["label_bias"], row["news_link"] or None


def _conll2010(content: bytes, where: str) -> Iterator[tuple[str, str, str | None]]:
    try:
        root = ET.fromstring(content)
    except ET.ParseError as error:
        raise InputError(f"{where}: expected XML: {error}") from error
    documents = [element for element in root.iter() if element.tag.lower() == "document"]
    if not documents:
        raise InputError(f"{where}: expected the shared task's XML, with <Document> elements")
    for at, document in enumerate(documents):
        named = [part for part in document.iter() if part.tag.lower() == "docid"]
        name = "".join(named[0].itertext()).strip() if named else f"document {at}"
        for sentence in document.iter():
            if sentence.tag.lower() != "sentence":
                continue
            certainty = sentence.get("certainty")
            if certainty is None:
                raise InputError(f"{where}: {name}: a sentence has no attribute 'certainty'")
            yield " ".join("".join(sentence.itertext()).split()), certainty, name


_READERS: dict[str, Reader] = {
    "checkthat-tsv": _checkthat,
    "babe-csv": _babe,
    "conll2010-xml": _conll2010,
}
