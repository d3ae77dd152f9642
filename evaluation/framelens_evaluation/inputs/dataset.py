"""Gold sentences: one JSON object a line."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from framelens import InputError, Label
from framelens.tables import open_table
from framelens_evaluation.reporting.figures import LABELS_AS_WRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["GoldSentence", "GoldSet", "gold_labels", "read_gold", "shared_sentences"]


_WRITTEN = LABELS_AS_WRITTEN | {"state": Label.STATE_MEDIA_FRAMING}
_TABLES = (".csv", ".tsv", ".parquet")


class GoldSentence(BaseModel):
    """One judged sentence; further fields of the file are ignored.

    Attributes:
        text: the sentence.
        context: the sentences before it; empty where there are none.
        label: None where it was judged out of the codebook's scope.
        cue: [start, end) characters of the piece of ``text`` that decided, where the judge gave one; a
            file may also give the piece itself.
        article: the unit of resampling.
        stratum: how it was drawn; ``natural`` means at random within its source. Empty where not known.
        outlet_id: None where it is not known; a file may call it ``outlet``.
        rule: the codebook's rule.
        id: the sentence's name in its collection; what a file of predictions is joined by.
        sure: 1 where the judge found the codebook clear, 0 where not.
        source: the collection that it was drawn from.
        side: of the outlet, such as ``state``; never of the sentence.
        country: of the outlet.
        date: of publication, as ISO 8601 or its beginning.
        inclusion_probability: how likely this sentence was to be drawn, in (0, 1].
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    text: str
    context: str = ""
    label: Label | None
    cue: tuple[int, int] | None = None
    article: str = Field(min_length=1)
    stratum: str = ""
    outlet_id: str | None = None
    rule: str | None = None
    id: str | None = None
    sure: Literal[0, 1] | None = None
    source: str | None = None
    side: str | None = None
    country: str | None = None
    date: str | None = None
    inclusion_probability: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _as_people_write_it(cls, value: object) -> object:
        """An outlet by its plain name, a label by its short name, a cue in words."""
        if not isinstance(value, dict):
            return value
        row = dict(value)
        if row.get("outlet_id") is None:
            row["outlet_id"] = row.get("outlet")
        if row.get("sure") in ("0", "1"):
            row["sure"] = int(row["sure"])
        label, cue, text = row.get("label"), row.get("cue"), row.get("text")
        if isinstance(label, str):
            row["label"] = _WRITTEN.get(label.strip().lower().replace("_", " "), label)
        if isinstance(cue, str) and isinstance(text, str):
            if cue not in text:
                raise ValueError(f"cue {cue!r} is not in the text")
            row["cue"] = (text.index(cue), text.index(cue) + len(cue))
        return row

    @field_validator("context", mode="before")
    @classmethod
    def _no_context(cls, value: object) -> object:
        return "" if value is None else value

    @field_validator("text")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be blank")
        return value

    @model_validator(mode="after")
    def _cue_in_text(self) -> GoldSentence:
        if self.cue is not None and not 0 <= self.cue[0] < self.cue[1] <= len(self.text):
            raise ValueError(f"cue {list(self.cue)} is not within the {len(self.text)} characters of text")
        return self


@dataclass(frozen=True)
class GoldSet:
    """A file of gold sentences.

    Attributes:
        name: where it was read from.
        sha256: digest of the file's bytes, hexadecimal.
        sentences: in the order of the file.
    """

    name: str
    sha256: str
    sentences: tuple[GoldSentence, ...]

    @property
    def labelled(self) -> tuple[GoldSentence, ...]:
        """The sentences that have a label."""
        return tuple(row for row in self.sentences if row.label is not None)

    @property
    def out_of_scope(self) -> tuple[GoldSentence, ...]:
        """The sentences judged not applicable."""
        return tuple(row for row in self.sentences if row.label is None)

    @property
    def articles(self) -> frozenset[str]:
        """The articles of all sentences."""
        return frozenset(row.article for row in self.sentences)

    @property
    def outlets(self) -> frozenset[str]:
        """The outlets of the labelled sentences."""
        return frozenset(row.outlet_id for row in self.labelled if row.outlet_id is not None)


def gold_labels(rows: Sequence[GoldSentence]) -> list[Label]:
    """The labels of labelled sentences, in their order.

    Raises:
        InputError: one has none.
    """
    labels = [row.label for row in rows if row.label is not None]
    if len(labels) != len(rows):
        raise InputError(f"{len(rows) - len(labels)} of {len(rows)} sentences have no label")
    return labels


def shared_sentences(data: GoldSet, train: GoldSet) -> int:
    """Labelled sentences of the data that stand in ``train`` too, but for case, spaces and punctuation."""
    known = {_bare(row.text) for row in train.sentences}
    return sum(_bare(row.text) in known for row in data.labelled)


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", text.casefold())


def read_gold(path: Path) -> GoldSet:
    """Read gold sentences from JSON Lines or from a table (``.csv``, ``.tsv``, ``.parquet``).

    Empty lines are skipped; an empty cell of a CSV file is a field that is not known.

    Raises:
        InputError: the file cannot be read, holds no sentence, or a row is no gold sentence.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the gold sentences: {path}: {error.strerror}") from error
    is_table = any(suffix in _TABLES for suffix in path.suffixes)
    rows = [
        _gold_sentence(row, f"{path}:{at}") for at, row in (_table(path) if is_table else _lines(content))
    ]
    if not rows:
        raise InputError(f"{path} holds no gold sentences")
    return GoldSet(str(path), hashlib.sha256(content).hexdigest(), tuple(rows))


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    # Only "\n" ends a line: str.splitlines would also cut at U+2028, which JSON may hold unescaped.
    for at, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield at, line


def _table(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with open_table(str(path)) as table:
        if missing := [name for name in ("text", "label", "article") if name not in table.columns]:
            raise InputError(
                f"{path}: gold sentences need the columns text, label and article; "
                f"{' and '.join(missing)} missing among {', '.join(table.columns)}"
            )
        for at, row in enumerate(table.rows, start=1):
            known = {name: value for name, value in row.items() if value != ""}
            yield at, known | {"label": row["label"] or None}


def _gold_sentence(row: bytes | dict[str, Any], where: str) -> GoldSentence:
    try:
        if isinstance(row, bytes):
            return GoldSentence.model_validate_json(row)
        return GoldSentence.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"])) or "line"
        raise InputError(f"{where}: {field}: {first['msg']}") from error
