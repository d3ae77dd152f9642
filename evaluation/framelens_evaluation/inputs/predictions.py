"""A file of predictions as a system: what ``framelens label`` wrote, or anybody else's table."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import LABELS, CueKind, Evidence, InputError, Label
from framelens.labels import PROBABILITY_COLUMNS
from framelens.tables import open_table
from framelens_evaluation.inputs.systems import Answers
from framelens_evaluation.statistics.metrics import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from framelens_evaluation.inputs.systems import Asked
    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = ["PredictionFile", "parse_evidence"]

#: How far a sum of probabilities may be from 1: they may have been written with two decimals.
_ROUNDING = 0.02


class PredictionFile:
    """Predictions read from a table.

    The column ``label`` is needed: one of our labels, or empty where none was given. The columns
    ``p_state_media_framing``, ``p_independent_reporting``, ``p_hedged_claim`` and ``evidence`` are taken
    where they are there. Rows are joined to sentences by ``id`` where both have it, and then must have the
    same text if they have one; the others are joined by ``text``, of equal texts in their order. No row
    answers twice.

    Args:
        path: a table that `framelens.tables.open_table` reads.

    Raises:
        InputError: the file cannot be read, or a row has no label column or another's id.
    """

    reads = "a file"

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        try:
            with path.open("rb") as stream:
                self.digest: str | None = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"cannot read the predictions: {path}: {error.strerror}") from error
        self._rows: list[Mapping[str, Any]] = []
        self._by_id: dict[str, int] = {}
        self._by_text: dict[str, list[int]] = defaultdict(list)
        with open_table(str(path)) as table:
            known = set(table.columns)
            if "label" not in known or not known & {"id", "text"}:
                raise InputError(
                    f"{path}: expected the columns label and id or text, got {', '.join(table.columns)}"
                )
            for row in table.rows:
                self._take(row)

    def _take(self, row: Mapping[str, Any]) -> None:
        at = len(self._rows)
        if "label" not in row:
            raise InputError(f"{self._path}: row {at + 1} has no label; where none was given, write null")
        if row.get("id") not in (None, ""):
            key = str(row["id"])
            if key in self._by_id:
                raise InputError(f"{self._path}: row {at + 1}: the id {key!r} stands in the file twice")
            self._by_id[key] = at
        if isinstance(row.get("text"), str):
            self._by_text[row["text"]].append(at)
        self._rows.append(row)

    def answer(self, rows: Sequence[Asked]) -> Answers:
        """The file's answers.

        Raises:
            InputError: a sentence is not in the file, or its row is no prediction.
        """
        found = self._joined(rows)
        given = np.array([self._code(row) for row in found], dtype=np.int64)
        probabilities = np.full((len(rows), len(LABELS)), np.nan)
        for at, row in enumerate(found):
            values = [row.get(column) for column in PROBABILITY_COLUMNS]
            if None not in values and "" not in values:
                probabilities[at] = self._distribution(values)
        shows = any(row.get("evidence") not in (None, "") for row in found)
        evidence = tuple(self._evidence(row) for row in found) if shows else None
        return Answers(given, probabilities, evidence)

    def _joined(self, rows: Sequence[Asked]) -> list[Mapping[str, Any]]:
        """The file's row for each sentence."""
        places = [self._by_id.get(asked.id) if asked.id else None for asked in rows]
        used = {at for at in places if at is not None}
        if len(used) < sum(at is not None for at in places):
            raise InputError("two sentences have one id; each needs its own to be joined by it")
        left = {text: deque(at for at in found if at not in used) for text, found in self._by_text.items()}
        found = []
        for asked, at in zip(rows, places, strict=True):
            if at is None:
                same = left.get(asked.text)
                if not same:
                    raise InputError(
                        f"{self._path} has no prediction for the sentence {_shown(asked)}"
                        + (", or too few: each row answers once" if asked.text in self._by_text else "")
                    )
                found.append(self._rows[same.popleft()])
                continue
            row = self._rows[at]
            words = row["text"].split() if isinstance(row.get("text"), str) else []
            if words and words != asked.text.split():
                raise InputError(
                    f"{self._path}: row {at + 1} has the id {asked.id!r} of a sentence with another text; "
                    "are these predictions for other data?"
                )
            found.append(row)
        return found

    def _code(self, row: Mapping[str, Any]) -> int:
        value = row["label"]
        if value is None or value == "":
            return NO_LABEL
        try:
            return LABELS.index(Label(value))
        except ValueError as error:
            raise InputError(
                f"{self._path}: expected a label among {', '.join(LABELS)}, got {value!r}"
            ) from error

    def _distribution(self, values: Sequence[Any]) -> FloatArray:
        try:
            found = np.array([float(value) for value in values])
        except (TypeError, ValueError) as error:
            raise InputError(f"{self._path}: expected probabilities, got {list(values)!r}") from error
        if np.isnan(found).any():
            return np.full(len(LABELS), np.nan)
        if found.min() < 0 or abs(found.sum() - 1) > _ROUNDING:
            raise InputError(
                f"{self._path}: expected three probabilities that sum to 1, got {list(values)!r}"
            )
        return found

    def _evidence(self, row: Mapping[str, Any]) -> tuple[Evidence, ...]:
        try:
            return parse_evidence(row.get("evidence"))
        except InputError as error:
            raise InputError(f"{self._path}: {error}") from error


def _shown(asked: Asked) -> str:
    text = asked.text if len(asked.text) <= 60 else f"{asked.text[:60]}…"
    return repr(asked.id or text)


def parse_evidence(value: Any) -> tuple[Evidence, ...]:
    """The column ``evidence`` of a labelled table: a list of spans, or the same as JSON text.

    Raises:
        InputError: it is neither.
    """
    if value in (None, ""):
        return ()
    try:
        spans = json.loads(value) if isinstance(value, str) else value
        return tuple(
            Evidence(int(span["start"]), int(span["end"]), CueKind(span["kind"]), float(span["score"]))
            for span in spans
        )
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            "expected evidence as a list of spans with start, end, score and a kind among "
            f"{', '.join(CueKind)}, got {value!r}"
        ) from error
