"""Whether a sentence of an evaluation set, or a near-duplicate of one, stands in training data.

A sentence's fingerprints are truncated SHA-256 digests of (a) the sentence with case and
non-word characters removed, and (b) every run of eight of its words. A training sentence leaks
when its (a) is known, or when more than half of its runs are.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

__all__ = ["fingerprints", "leaks", "read_fingerprints"]

_WORD = re.compile(r"\w+")
_NOT_WORD = re.compile(r"\W")
RUN_WORDS = 8
PREFIX_HEX = 16


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:PREFIX_HEX]


def _split_fingerprints(text: str) -> tuple[str, list[str]]:
    lowered = text.lower()
    words = _WORD.findall(lowered)
    runs = [_digest(" ".join(words[i : i + RUN_WORDS])) for i in range(len(words) - RUN_WORDS + 1)]
    return _digest(_NOT_WORD.sub("", lowered)), runs


def fingerprints(texts: Iterable[str]) -> set[str]:
    """Fingerprints of all texts together: the form in which an evaluation set can be published.

    Returns:
        Hexadecimal prefixes, `PREFIX_HEX` digits each.
    """
    known: set[str] = set()
    for text in texts:
        whole, runs = _split_fingerprints(text)
        known.add(whole)
        known.update(runs)
    return known


def leaks(text: str, known: Collection[str]) -> bool:
    """Whether a text equals or nearly equals one whose fingerprints are known."""
    whole, runs = _split_fingerprints(text)
    if whole in known:
        return True
    return bool(runs) and 2 * sum(run in known for run in runs) > len(runs)


def read_fingerprints(path: Path) -> set[str]:
    """Fingerprints from a gzipped file, one a line.

    Raises:
        OSError: the file cannot be read.
    """
    with gzip.open(path, "rt", encoding="ascii") as lines:
        return {line.strip() for line in lines}
