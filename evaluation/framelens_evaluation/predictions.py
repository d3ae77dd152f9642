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
from framelens_evaluation.metrics import NO_LABEL
from framelens_evaluation.systems import Answers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from framelens_evaluation.systems import Asked

__all__ = ["PredictionFile", "parse_evidence"]


class PredictionFile:
    """Predictions read from a table.

    The column ``label`` is needed: one of our labels, or empty where none was given. The columns
    ``p_state_media_framing``, ``p_independent_reporting``, ``p_hedged_claim`` and ``evidence`` are taken
    where they are there. Rows are joined to sentences by ``id`` where both sides have it, else by ``text``;
    of rows with equal texts, the first answers the first sentence.

    Args:
        path: a table that `framelens.tables.open_table` reads.

    Raises:
        InputError: the file cannot be read, or a row is no prediction.
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
        self._by_id: dict[str, Mapping[str, Any]] = {}
        self._by_text: dict[str, deque[Mapping[str, Any]]] = defaultdict(deque)
        with open_table(str(path)) as table:
            known = set(table.columns)
            if "label" not in known or not known & {"id", "text"}:
                raise InputError(
                    f"{path}: expected the columns label and id or text, got {', '.join(table.columns)}"
                )
            for at, row in enumerate(table.rows, start=1):
                self._take(at, row)

    def _take(self, at: int, row: Mapping[str, Any]) -> None:
        if row.get("id") not in (None, ""):
            key = str(row["id"])
            if key in self._by_id:
                raise InputError(f"{self._path}: row {at}: the id {key!r} stands in the file twice")
            self._by_id[key] = row
        if isinstance(row.get("text"), str):
            self._by_text[row["text"]].append(row)

    def answer(self, rows: Sequence[Asked]) -> Answers:
        """The file's answers.

        Raises:
            InputError: a sentence is not in the file, or its row is no prediction.
        """
        left = {text: deque(found) for text, found in self._by_text.items()}
        found = [self._row_of(row, left) for row in rows]
        given = np.array([self._code(row) for row in found], dtype=np.int64)
        probabilities = np.full((len(rows), len(LABELS)), np.nan)
        for at, row in enumerate(found):
            values = [row.get(column) for column in PROBABILITY_COLUMNS]
            if None not in values and "" not in values:
                probabilities[at] = [self._number(value) for value in values]
        shows = any(row.get("evidence") not in (None, "") for row in found)
        evidence = tuple(self._evidence(row) for row in found) if shows else None
        return Answers(given, probabilities, evidence)

    def _row_of(self, asked: Asked, left: dict[str, deque[Mapping[str, Any]]]) -> Mapping[str, Any]:
        if asked.id is not None and asked.id in self._by_id:
            return self._by_id[asked.id]
        same = left.get(asked.text)
        if same:
            return same.popleft()
        shown = asked.id or (asked.text if len(asked.text) <= 60 else f"{asked.text[:60]}…")
        raise InputError(f"{self._path} has no prediction for the sentence {shown!r}")

    def _code(self, row: Mapping[str, Any]) -> int:
        value = row["label"]
        if value in (None, ""):
            return NO_LABEL
        try:
            return LABELS.index(Label(value))
        except ValueError as error:
            raise InputError(
                f"{self._path}: expected a label among {', '.join(LABELS)}, got {value!r}"
            ) from error

    def _number(self, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self._path}: expected a probability, got {value!r}") from error

    def _evidence(self, row: Mapping[str, Any]) -> tuple[Evidence, ...]:
        try:
            return parse_evidence(row.get("evidence"))
        except InputError as error:
            raise InputError(f"{self._path}: {error}") from error


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
        raise InputError(f"expected evidence as a list of spans, got {value!r}") from error
