"""Sentences to be timed: distinct ones, drawn from a file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from framelens import InputError, Label
from framelens_evaluation.inputs.dataset import GoldSentence

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Sentences", "read_sentences"]


@dataclass(frozen=True)
class Sentences:
    """Sentences, and what is known of them.

    Attributes:
        name: of the file.
        sha256: of the file's bytes.
        texts: no two the same.
        labels: gold; None where there is none.
        articles: the unit of resampling; empty where there is no gold label.
        n_in_file: distinct sentences of the file, from which these were drawn.
        n_repeated: sentences of the file that were left out because they stand in it before.
    """

    name: str
    sha256: str
    texts: tuple[str, ...]
    labels: tuple[Label | None, ...]
    articles: tuple[str, ...]
    n_in_file: int
    n_repeated: int

    @property
    def labelled(self) -> list[int]:
        """Places of the sentences with a gold label."""
        return [i for i, label in enumerate(self.labels) if label is not None]


def read_sentences(path: Path, n: int | None = None, seed: int = 0) -> Sentences:
    """Read sentences from JSON Lines with ``text``, or from a ``.txt`` file with one sentence a line.

    A row that also has ``label`` and ``article`` is a gold sentence, see
    `framelens_evaluation.inputs.dataset`. Repeated sentences are left out, because we label them once and a
    pipeline does not.

    Args:
        path: the file.
        n: how many to draw at random without replacement; they keep the file's order. None, or more than
            there are, takes all.
        seed: of the draw.

    Raises:
        InputError: the file cannot be read, holds no sentence, or a row has no usable ``text``.
    """
    try:
        content = path.read_bytes()
        lines = content.decode("utf-8").split("\n")
    except OSError as error:
        raise InputError(f"cannot read the sentences: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read the sentences: {path}: expected UTF-8; convert it first") from error
    plain = path.suffix == ".txt"
    known: dict[str, tuple[Label | None, str]] = {}
    n_rows = 0
    for at, line in enumerate(lines, start=1):
        if line.strip():
            text, label, article = (line.strip(), None, "") if plain else _row(line, f"{path}:{at}")
            known.setdefault(text, (label, article))
            n_rows += 1
    if not known:
        raise InputError(f"{path} holds no sentences")
    texts = list(known)
    chosen = np.arange(len(texts))
    if n is not None and n < len(texts):
        chosen = np.sort(np.random.default_rng(seed).choice(len(texts), n, replace=False))
    drawn = [texts[i] for i in chosen]
    return Sentences(
        name=str(path),
        sha256=hashlib.sha256(content).hexdigest(),
        texts=tuple(drawn),
        labels=tuple(known[text][0] for text in drawn),
        articles=tuple(known[text][1] for text in drawn),
        n_in_file=len(texts),
        n_repeated=n_rows - len(texts),
    )


def _row(line: str, where: str) -> tuple[str, Label | None, str]:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: expected a JSON object, got none: {error}") from error
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{where}: expected a JSON object with a 'text' that is not blank")
    if row.get("label") is None or row.get("article") is None:
        return text, None, ""
    try:
        gold = GoldSentence.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{where}: {'.'.join(map(str, first['loc'])) or 'row'}: {first['msg']}") from error
    return text, gold.label, gold.article
