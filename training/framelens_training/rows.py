"""One judged sentence: its columns, what the codebook allows in them, and how files of them are read."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from framelens.errors import InputError
from framelens.labels import LABELS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic import ValidatorFunctionWrapHandler

__all__ = [
    "LABEL_OF",
    "OUT_OF_SCOPE_RULE",
    "RULES",
    "checked",
    "first_fault",
    "outlet_id",
    "read_annotated",
    "read_objects",
    "same_outlet",
]

_STATE, _INDEPENDENT, _HEDGED = LABELS
#: The label of each rule of the codebook; out of scope has none.
LABEL_OF = {"S1": _STATE, "S2": _STATE, "H1": _HEDGED, "H2": _HEDGED, "I": _INDEPENDENT}
#: The codebook's rules in the order of the auxiliary head's last axis.
RULES = tuple(LABEL_OF)
OUT_OF_SCOPE_RULE = "X"
#: So many faults of one file are told at once.
_FAULTS_TOLD = 10
_NOT_NAME = re.compile(r"\W+")
#: One outlet that its collections name differently: to hold it out is to hold all of it out.
_SAME_OUTLET = {
    "chinadaily": "china_daily",
    "globaltimes": "global_times",
    "nyt": "new_york_times",
    "the_new_york_times": "new_york_times",
    "xinhuanet": "xinhua",
}


class _Judgement(BaseModel):
    """What one judge said; a rule alone, and (judge, rule, sure) in a list, are read too."""

    judge: str | None = None
    rule: Literal["S1", "S2", "H1", "H2", "I", "X"]
    sure: Literal[0, 1] | None = None

    @model_validator(mode="before")
    @classmethod
    def _in_short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"rule": value}
        if isinstance(value, list | tuple) and len(value) == 3:
            return dict(zip(("judge", "rule", "sure"), value, strict=True))
        return value


class _Row(BaseModel):
    # Records are numbers in some sources and names in others, dates likewise: one column, one type.
    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    id: str = Field(min_length=1)
    text: str
    context: str | None = None
    label: str | None
    rule: str
    sure: Literal[0, 1] | None = None
    cue: tuple[int, int] | None = None
    judges: int | None = Field(None, ge=1)
    adjudicated: bool | None = None
    judgements: list[_Judgement] | None = None
    round: int | None = None
    stratum: str | None = None
    inclusion_probability: float | None = Field(None, gt=0, le=1)
    source: str | None = None
    outlet: str | None = None
    outlet_id: str | None = None
    side: str | None = None
    country: str | None = None
    date: str | None = None
    article: str | None = None
    repo: str | None = None
    commit: str | None = None
    path: str | None = None
    record: str | None = None
    sentence_index: int | None = None

    @field_validator("cue", mode="wrap")
    @classmethod
    def _cue_in_characters(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(value)
        except ValidationError as error:
            raise ValueError("expected [start, end] in characters") from error


def checked(row: Any, where: str) -> dict[str, Any]:
    """A judged sentence with every column, None where it says nothing; columns not known are left out.

    Args:
        row: one JSON object of a file.
        where: it stands, for the error.

    Raises:
        InputError: a column is of another type, a sentence has no text or article, or it has a label, rule,
            cue or judgement that the codebook does not allow.
    """
    try:
        kept = _Row.model_validate(row).model_dump()
    except ValidationError as error:
        name = f"sentence {row['id']}: " if isinstance(row, dict) and row.get("id") else ""
        raise InputError(f"{where}: {name}{first_fault(error)}") from error
    kept["context"] = kept["context"] or ""
    kept["outlet_id"] = kept["outlet_id"] and same_outlet(kept["outlet_id"])
    rule, label, cue = kept["rule"], kept["label"], kept["cue"]
    named = f"{where}: sentence {kept['id']} has"
    if not kept["text"].strip() or not kept["article"]:
        raise InputError(f"{named} no text or no article")
    if (rule not in RULES and rule != OUT_OF_SCOPE_RULE) or label != LABEL_OF.get(rule):
        raise InputError(
            f"{named} rule {rule!r} and label {label!r}, which do not go together; {_allowed(rule, label)}"
        )
    if cue is not None and not 0 <= cue[0] < cue[1] <= len(kept["text"]):
        raise InputError(f"{named} a cue {list(cue)} outside its text of {len(kept['text'])} characters")
    if cue is not None and label not in (_STATE, _HEDGED):
        raise InputError(f"{named} a cue, and rule {rule} allows none")
    kept["cue"] = None if cue is None else list(cue)
    return kept


def _allowed(rule: str, label: str | None) -> str:
    """What may stand there instead: of the two, that which is wrong."""
    if rule not in RULES and rule != OUT_OF_SCOPE_RULE:
        return f"allowed rules are {', '.join((*RULES, OUT_OF_SCOPE_RULE))}"
    if label is not None and label not in LABELS:
        return f"allowed labels are {', '.join(LABELS)}, and null with rule {OUT_OF_SCOPE_RULE}"
    return f"the label of {rule} is {LABEL_OF.get(rule) or 'null'}"


def outlet_id(outlet: str) -> str:
    """The outlet as the annotated sentences name it: in small letters, joined by underscores.

    >>> outlet_id("The New York Times")
    'new_york_times'
    """
    return same_outlet(_NOT_NAME.sub("_", outlet.lower()).strip("_"))


def same_outlet(given: str) -> str:
    """The one id of an outlet that has several."""
    return _SAME_OUTLET.get(given, given)


def first_fault(error: ValidationError) -> str:
    """The first fault that a schema found: the field, what was expected, and what was got."""
    first = error.errors()[0]
    field = "".join(f"{part}: " for part in first["loc"])
    # A whole object is more than a line can hold, and its text more than a log may.
    got = "" if isinstance(first["input"], dict | list) else f" (got {repr(first['input'])[:80]})"
    return f"{field}{first['msg'].removeprefix('Value error, ')}{got}"


def read_objects(path: Path) -> Iterator[tuple[int, Any]]:
    """The JSON value of every line of a file, gzipped or not, with the line's number from 1.

    Blank lines are counted and passed over.

    Raises:
        InputError: the file is missing, damaged, or holds a line that is not JSON.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing")
    zipped = path.suffix == ".gz"
    cannot = f"{path} cannot be read as {'gzipped ' if zipped else ''}JSON lines"
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if zipped else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.isspace():
                    yield number, json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{cannot}: line {number}: {error}") from error
    except (UnicodeDecodeError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{cannot}: {error}") from error


def read_annotated(path: Path, unused: set[str] | None = None) -> list[dict[str, Any]]:
    """Judged sentences of one file.

    Args:
        path: of JSON lines, gzipped or not.
        unused: is given the names of the columns that are not known, and so not read.

    Raises:
        InputError: with file and line, and of several broken rows the first ten and their number; see
            `read_objects` and `checked`.
    """
    rows = []
    faults = []
    # Not by datasets' own reader: it takes a column of dates for times, and caches the text.
    for number, row in read_objects(path):
        try:
            rows.append(checked(row, f"{path.name}, line {number}"))
        except InputError as error:
            faults.append(str(error))
            continue
        if unused is not None:
            unused.update(row.keys() - _Row.model_fields.keys())
    if len(faults) > 1:
        first = f", the first {_FAULTS_TOLD}" if len(faults) > _FAULTS_TOLD else ""
        listed = "; ".join(fault.removeprefix(f"{path.name}, ") for fault in faults[:_FAULTS_TOLD])
        raise InputError(f"{path} has {len(faults):,} broken rows{first}: {listed}")
    if faults:
        raise InputError(faults[0])
    return rows
