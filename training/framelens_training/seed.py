"""The seed set: sentences written for this package, which ship with it under its licence.

It is what examples, tests and the offline quick start are fitted on. A file of such sentences holds one JSON
object a line: ``id``, ``text``, ``context``, ``label``, ``rule``, ``cue`` (a verbatim piece of the text, or
null), ``country``, ``topic``, ``set`` (the contrast set that a sentence belongs to, or null) and ``kind``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from framelens.errors import InputError
from framelens_training.rows import checked, first_fault, read_objects

__all__ = ["SHIPPED", "SeedSentence", "load_seed", "read_seed", "same_contrast_set", "seed_row"]

SHIPPED = Path(__file__).parent / "seed" / "sentences.jsonl"
_ARTICLE = "seed:"


class SeedSentence(BaseModel):
    """One line of a file of written sentences; see the module's docstring."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    text: str = Field(min_length=1)
    context: str | None = None
    label: str | None
    rule: str
    cue: str | None = Field(None, min_length=1)
    country: str | None = None
    topic: str = Field(min_length=1)
    set: str | None = None
    kind: str | None = None


def read_seed(path: Path = SHIPPED) -> list[SeedSentence]:
    """The sentences of a file as they were written.

    Raises:
        InputError: the file is missing, or a line is not such a sentence; with file and line.
    """
    found = []
    ids: dict[str, int] = {}
    for number, entry in read_objects(path):
        where = f"{path.name}, line {number}"
        try:
            sentence = SeedSentence.model_validate(entry)
        except ValidationError as error:
            raise InputError(f"{where}: {first_fault(error)}") from error
        if sentence.id in ids:
            raise InputError(f"{where}: the id {sentence.id!r} stands in line {ids[sentence.id]} already")
        ids[sentence.id] = number
        seed_row(sentence, where)
        found.append(sentence)
    return found


def load_seed(path: Path = SHIPPED) -> list[dict[str, Any]]:
    """The sentences of a file in the columns of judged sentences; a contrast set is one article.

    Raises:
        InputError: see `read_seed`.
    """
    return [seed_row(sentence, path.name) for sentence in read_seed(path)]


def seed_row(sentence: SeedSentence, where: str) -> dict[str, Any]:
    """One written sentence in the columns of `framelens_training.rows.checked`.

    Args:
        sentence: as it was written.
        where: it stands, for the error.

    Raises:
        InputError: its cue is no piece of it, or the codebook does not allow its label, rule or cue.
    """
    cue = None
    if sentence.cue is not None:
        start = sentence.text.find(sentence.cue)
        if start < 0:
            raise InputError(
                f"{where}: the cue {sentence.cue!r} is no verbatim piece of sentence {sentence.id}"
            )
        cue = [start, start + len(sentence.cue)]
    return checked(
        {
            **sentence.model_dump(include={"id", "text", "context", "label", "rule", "country"}),
            "cue": cue,
            "sure": 1,
            "judges": 1,
            "stratum": "written",
            "source": "framelens_seed",
            "outlet": "framelens seed set",
            "outlet_id": "framelens_seed",
            "article": f"{_ARTICLE}{sentence.set or sentence.id}",
            "path": "training/framelens_training/seed/sentences.jsonl",
            "record": sentence.id,
        },
        where,
    )


def same_contrast_set(one: Any, other: Any) -> bool:
    """Whether two rows are of one contrast set, whose sentences are alike on purpose."""
    article: str = one["article"]
    return article.startswith(_ARTICLE) and article == other["article"]
