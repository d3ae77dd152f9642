"""Whether a sentence of an evaluation set, or a near-duplicate of one, stands in training data.

A sentence's fingerprints are truncated SHA-256 digests of (a) the sentence with case and
non-word characters removed, and (b) every run of eight of its words. A training sentence leaks
when its (a) is known, or when more than half of its runs are. A context is held to more: it may
share no whole sentence and no run at all.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections import Counter
from typing import TYPE_CHECKING

from framelens.errors import InputError
from framelens_training.rows import read_objects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from framelens.sentences import SentenceSplitter

__all__ = [
    "clean_context",
    "evaluation_sets",
    "fingerprints",
    "leaks",
    "owned_fingerprints",
    "read_fingerprints",
    "sealed_fingerprints",
    "sets_of",
    "source_of_leak",
]

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


def owned_fingerprints(sentences: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Fingerprints of (id, text) pairs, each with the id of the first sentence that has it."""
    owners: dict[str, str] = {}
    for name, text in sentences:
        whole, runs = _split_fingerprints(text)
        for found in (whole, *runs):
            owners.setdefault(found, name)
    return owners


def sets_of(known: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Fingerprints of several evaluation sets together, each with the name of the first that has it."""
    owners: dict[str, str] = {}
    for name, found in known.items():
        owners.update(dict.fromkeys(set(found).difference(owners), name))
    return owners


def leaks(text: str, known: Collection[str]) -> bool:
    """Whether a text equals or nearly equals one whose fingerprints are known."""
    whole, runs = _split_fingerprints(text)
    if whole in known:
        return True
    return bool(runs) and 2 * sum(run in known for run in runs) > len(runs)


def source_of_leak(text: str, owners: Mapping[str, str]) -> str | None:
    """What a leaking text shares most with; None where it does not leak.

    Args:
        text: of the sentence in question.
        owners: from `owned_fingerprints`, for the id of a sentence, or `sets_of`, for the name of a set.
    """
    if not leaks(text, owners):
        return None
    whole, runs = _split_fingerprints(text)
    if whole in owners:
        return owners[whole]
    return Counter(owners[run] for run in runs if run in owners).most_common(1)[0][0]


def clean_context(context: str, known: Collection[str], splitter: SentenceSplitter) -> str:
    """What is left of a context behind its last sentence that stands in an evaluation set.

    The sentences before it go too: a context is what comes directly before the sentence.

    Args:
        context: the sentences before a training sentence.
        known: fingerprints of the evaluation sets.
        splitter: finds the context's sentences.
    """
    keep_from = 0
    for start, end in splitter.spans(context):
        whole, runs = _split_fingerprints(context[start:end])
        if whole in known or any(run in known for run in runs):
            keep_from = end
    # A run that crosses from one sentence to the next belongs to one long sentence of the evaluation set.
    _, runs = _split_fingerprints(context[keep_from:])
    return "" if any(run in known for run in runs) else context[keep_from:].strip()


def read_fingerprints(path: Path) -> set[str]:
    """Fingerprints from a gzipped file, one a line.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with gzip.open(path, "rt", encoding="ascii") as lines:
            return {line.strip() for line in lines}
    except (UnicodeDecodeError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as gzipped fingerprints: {error}") from error


def sealed_fingerprints(data_dir: Path) -> Path | None:
    """Fingerprints of the sealed evaluation sets, where the data folder has them."""
    path = data_dir / "sealed" / "fingerprints.txt.gz"
    return path if path.is_file() else None


def evaluation_sets(data_dir: Path) -> dict[str, tuple[Path, set[str]]]:
    """Fingerprints of every evaluation set of a data folder, by name, with the file that they come from.

    These are ``sealed`` and the test splits of the public sets in ``bench/*.jsonl.gz``; what the folder
    does not have is left out.

    Raises:
        InputError: a file cannot be read.
    """
    found: dict[str, tuple[Path, set[str]]] = {}
    sealed = sealed_fingerprints(data_dir)
    if sealed is not None:
        found["sealed"] = sealed, read_fingerprints(sealed)
    for path in sorted((data_dir / "bench").glob("*.jsonl.gz")):
        rows = (row for _, row in read_objects(path))
        texts = [str(row["text"]) for row in rows if isinstance(row, dict) and row.get("split") == "test"]
        if texts:
            found[f"{path.name.removesuffix('.jsonl.gz')} test"] = path, fingerprints(texts)
    return found
