"""Annotations by reference: what was judged of a sentence and where its text stands, without the text.

The sentences belong to their publishers, the judgements do not. So the judgements ship with what finds
each sentence again in a public repository: repository, commit, path, and a `Trace` of the sentence and of
its context. `framelens_training.fetch` turns references back into sentences.
"""

from __future__ import annotations

import gzip
import io
import json
from collections import defaultdict
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from framelens.errors import InputError
from framelens_training.locate import ANCHOR_HEX, Trace, View, anchor, normalised, trace
from framelens_training.rows import LABEL_OF, checked, first_fault, read_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "SHIPPED",
    "Reference",
    "articles_of_test",
    "read_references",
    "refer",
    "refer_files",
    "write_references",
]

#: The project's own annotations, which ship with the package.
SHIPPED = Path(__file__).parent / "annotations" / "references.jsonl.gz"
#: The project's own test set, likewise.
_SHIPPED_TEST = SHIPPED.with_name("test.jsonl.gz")

#: A name on GitHub: no option, no way out of a folder.
_NAME = r"\.{0,2}[A-Za-z0-9_][A-Za-z0-9_.-]*"
_ORIGIN = ("repo", "commit", "path", "record")

Rule = Literal["S1", "S2", "H1", "H2", "I", "X"]
_Short = Annotated[str, Field(max_length=1000)]


class Reference(BaseModel):
    """A judged sentence without its text.

    Attributes:
        id: of the sentence.
        repo: owner/name on GitHub.
        commit: full name of a commit of it.
        path: of a file in the commit, or ``archive.zip!member``.
        record: number or name of the record in the file, if there are several.
        anchor: by which the sentence is met in the file.
        text: trace of the sentence.
        context: trace of the up to two sentences before it; None if there are none.
        cue: [start, end) in normalised characters of the sentence.
        judgements: who judged what and how surely, where it is known: (judge, rule, sure).

    The others are columns of the annotated sentences.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=200)]
    repo: Annotated[str, Field(pattern=rf"^{_NAME}/{_NAME}$", max_length=200)]
    commit: Annotated[str, Field(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")]
    path: Annotated[str, Field(pattern=r"^[^\x00-\x1f/][^\x00-\x1f]*$", max_length=4096)]
    record: _Short | None = None
    sentence_index: int | None = None
    anchor: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{ANCHOR_HEX}}}$")]
    text: Trace
    context: Trace | None = None
    cue: tuple[int, int] | None = None
    label: str | None = None
    rule: Rule
    sure: Literal[0, 1] | None = None
    judges: Annotated[int, Field(ge=1)] | None = None
    adjudicated: bool | None = None
    judgements: tuple[tuple[_Short | None, Rule, Literal[0, 1] | None], ...] | None = None
    round: int | None = None
    stratum: _Short | None = None
    inclusion_probability: Annotated[float, Field(gt=0, le=1)] | None = None
    source: _Short | None = None
    outlet_id: _Short | None = None
    side: _Short | None = None
    country: _Short | None = None
    date: _Short | None = None
    article: _Short

    @model_validator(mode="after")
    def _consistent(self) -> Reference:
        if self.label != LABEL_OF.get(self.rule):
            raise ValueError(f"rule {self.rule} and label {self.label} do not go together")
        if ".." in self.path.split("/"):
            raise ValueError(f"the path {self.path!r} leads out of the repository")
        if self.cue and not 0 <= self.cue[0] < self.cue[1] <= self.text.length:
            raise ValueError(f"the cue {list(self.cue)} is outside the sentence")
        return self

    def row(self, text: str, context: str | None) -> dict[str, Any]:
        """The judged sentence, in the columns of the annotated sentences.

        Args:
            text: of the sentence, as `framelens_training.locate.find` gives it.
            context: likewise; None where it was not found.
        """
        columns = self.model_dump(exclude={"anchor", "text", "context", "cue", "judgements"})
        cue = list(View(text).span(*self.cue)) if self.cue else None
        row = {"text": text, "context": context or "", "cue": cue} | columns
        if self.judgements is not None:
            row["judgements"] = [list(each) for each in self.judgements]
        return row


def refer(rows: Iterable[Mapping[str, Any]]) -> list[Reference]:
    """References to judged sentences.

    Args:
        rows: in the columns of the annotated sentences (id, text, context, label, rule, cue, …), each with
            the repo, commit and path that it comes from, and with ``judgements`` if they are known.

    Returns:
        References in the order of their files, so that equal rows give equal references in any order.

    Raises:
        InputError: a row is no judged sentence, does not say where it comes from, has a cue without a
            word, or an id that another row has.
    """
    return _references((f"row {number}", row) for number, row in enumerate(rows, 1))


def refer_files(
    paths: Sequence[Path], articles: Sequence[Path] = (), *, skip_unsourced: bool = False
) -> tuple[list[Reference], int]:
    """References to the judged sentences of files.

    A sentence that does not say where it comes from is taken to come from where its article does: the
    file that the article's other sentences name, if they name but one.

    Args:
        paths: JSON lines, gzipped or not.
        articles: further JSON lines, of which only article, repo, commit, path and record are read.
        skip_unsourced: leave out sentences of which the origin remains unknown.

    Returns:
        References as from `refer`, and how many sentences were left out.

    Raises:
        InputError: as in `refer`, or a file cannot be read.
    """
    rows = [line for path in paths for line in _lines(path)]
    origins = _origins(row for _, row in chain(rows, *map(_lines, articles)))
    sourced = [(where, row | origins.get(str(row.get("article")), {}) | _said(row)) for where, row in rows]
    known = [(where, row) for where, row in sourced if not (skip_unsourced and _lacking(row))]
    return _references(known), len(rows) - len(known)


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, row in read_objects(path):
        where = f"{path.name}, line {number}"
        if not isinstance(row, dict):
            raise InputError(f"{where}: expected a JSON object, got {type(row).__name__}")
        yield where, row


def _said(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says of its own origin, if that is enough."""
    return {} if _lacking(row) else {name: row.get(name) for name in _ORIGIN}


def _lacking(row: Mapping[str, Any]) -> list[str]:
    said = {name: row.get(name) for name in _ORIGIN if name != "record"}
    return [name for name, value in said.items() if not (value and isinstance(value, str))]


def _origins(rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Where each article comes from, if from one file; its record too, if from one record."""
    found: dict[str, set[tuple[Any, ...]]] = defaultdict(set)
    for row in rows:
        if row.get("article") and not _lacking(row):
            record = None if row.get("record") is None else str(row["record"])
            found[str(row["article"])].add((row["repo"], row["commit"], row["path"], record))
    origins = {}
    for article, places in found.items():
        if len({place[:3] for place in places}) == 1:
            origin = dict(zip(_ORIGIN, next(iter(places)), strict=True))
            origins[article] = origin if len(places) == 1 else origin | {"record": None}
    return origins


def _references(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Reference]:
    found: dict[str, Reference] = {}
    for where, row in rows:
        reference = _reference(row, where)
        if reference.id in found:
            raise InputError(
                f"{where}: another sentence has the id {reference.id}; leave one out or rename it"
            )
        found[reference.id] = reference
    return sorted(found.values(), key=lambda each: (each.repo, each.commit, each.path, each.id))


def _reference(row: Mapping[str, Any], where: str) -> Reference:
    kept = checked(row, where)
    named = f"{where}: sentence {kept['id']}"
    if lacking := _lacking(kept):
        raise InputError(
            f"{named} has no {', '.join(lacking)}, so that nobody could find it again; "
            "say where it comes from, or leave such sentences out (--skip-unsourced)"
        )
    if kept["judgements"] is not None:
        kept["judgements"] = [(each["judge"], each["rule"], each["sure"]) for each in kept["judgements"]]
    if kept["cue"] is not None:
        kept["cue"] = View(kept["text"]).normal_span(*kept["cue"])
    try:
        kept["anchor"], kept["text"] = anchor(kept["text"]), trace(kept["text"])
        kept["context"] = trace(kept["context"]) if normalised(kept["context"]) else None
        return Reference.model_validate({name: kept[name] for name in Reference.model_fields})
    except ValidationError as error:
        raise InputError(f"{named} cannot be referred to: {first_fault(error)}") from error


def write_references(path: Path, references: Iterable[Reference]) -> None:
    """Write references as gzipped JSON lines; equal references give equal bytes."""
    content = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=content, compresslevel=9, mtime=0) as zipped:
        for reference in references:
            columns = reference.model_dump(mode="json", exclude_none=True)
            line = json.dumps(columns, ensure_ascii=False, separators=(",", ":"))
            zipped.write(f"{line}\n".encode())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.getvalue())


def read_references(path: Path) -> list[Reference]:
    """Read references.

    Raises:
        InputError: the file is missing or damaged, or a line is no reference: with the number of the line.
    """
    found: dict[str, Reference] = {}
    for number, value in read_objects(path):
        where = f"{path}: line {number}"
        try:
            reference = Reference.model_validate(value)
        except ValidationError as error:
            raise InputError(f"{where} is no reference to a sentence: {first_fault(error)}") from error
        if reference.id in found:
            raise InputError(f"{where} has the id {reference.id} of another reference")
        found[reference.id] = reference
    return list(found.values())


@cache
def articles_of_test() -> frozenset[str]:
    """The articles of the test set that ships with the package: no training set may have them.

    Its sentences were drawn from the same collections as a data folder's, and their text is not at hand.
    """
    return frozenset(reference.article for reference in read_references(_SHIPPED_TEST))
