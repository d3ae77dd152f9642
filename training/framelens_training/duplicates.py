"""Exact and near-duplicate sentences: found by MinHash, settled by who read them and how sure they were.

Two sentences are near-duplicates when the Jaccard similarity of their sets of character 5-grams is at least
`THRESHOLD`. Candidates come from MinHash signatures in bands (Broder 1997, "On the resemblance and
containment of documents"; Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", sec. 3.4); each is
then verified on the sets themselves, so that the signatures can miss a pair (at the threshold one in 6,000)
but never make one up.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framelens.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

__all__ = [
    "SETTINGS",
    "SHINGLE",
    "THRESHOLD",
    "Duplicate",
    "near_duplicates",
    "normalised",
    "settle",
    "shingles",
    "similarity",
]

#: Characters of a shingle.
SHINGLE = 5
THRESHOLD = 0.7
#: Bands, and rows of each: a pair at the threshold is missed with probability (1 - 0.7**4)**32.
_BANDS, _ROWS = 32, 4
SETTINGS = {
    "text": "lower case, every run of non-word characters one space",
    "shingle": f"{SHINGLE} characters",
    "jaccard": THRESHOLD,
    "minhash": f"{_BANDS} bands of {_ROWS}, candidates verified exactly",
}
_NOT_WORD = re.compile(r"\W+")


def normalised(text: str) -> str:
    """A text in lower case with every run of non-word characters made one space."""
    return _NOT_WORD.sub(" ", text.lower()).strip()


def shingles(text: str) -> frozenset[str]:
    """The character 5-grams of a normalised text; the whole of it where it is shorter."""
    text = normalised(text)
    return frozenset(text[i : i + SHINGLE] for i in range(max(1, len(text) - SHINGLE + 1)))


def near_duplicates(texts: Sequence[str]) -> list[tuple[int, ...]]:
    """For every text, the texts before it in the list that it equals or nearly equals.

    The answer is the same on every machine and in every run.

    Returns:
        Positions in the list, in ascending order, one tuple a text.

    Raises:
        MissingExtraError: datasketch is not installed.
    """
    datasketch = require("datasketch", "train")
    index = datasketch.MinHashLSH(num_perm=_BANDS * _ROWS, params=(_BANDS, _ROWS))
    blank = datasketch.MinHash(_BANDS * _ROWS, seed=1)
    # Texts that are equal are one entry: its shingles, the entries that it is near to, and its places so far.
    entries: dict[str, int] = {}
    sets: list[frozenset[str]] = []
    near: list[list[int]] = []
    places: list[list[int]] = []
    found: list[tuple[int, ...]] = []
    for place, text in enumerate(texts):
        entry = entries.setdefault(normalised(text), len(sets))
        if entry == len(sets):
            sets.append(shingles(text))
            sketch = blank.copy()
            sketch.update_batch([shingle.encode() for shingle in sets[entry]])
            near.append([i for i in index.query(sketch) if similarity(sets[i], sets[entry]) >= THRESHOLD])
            for other in near[entry]:
                near[other].append(entry)
            places.append([])
            index.insert(entry, sketch)
        found.append(tuple(sorted(i for other in (entry, *near[entry]) for i in places[other])))
        places[entry].append(place)
    return found


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard similarity of two sets of shingles, in [0, 1]."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


@dataclass(frozen=True)
class Duplicate:
    """A sentence that goes because of another.

    Attributes:
        index: its position.
        other: the position of the other.
        conflict: whether they were judged differently.
        settled: whether the other stays; two that disagree with equal standing both go.
    """

    index: int
    other: int
    conflict: bool
    settled: bool


def settle(
    rows: Sequence[Mapping[str, Any]],
    near: Sequence[Sequence[int]],
    among: Collection[int],
    apart: Callable[[Mapping[str, Any], Mapping[str, Any]], bool] | None = None,
) -> list[Duplicate]:
    """Which of some sentences go so that no two that stay are duplicates.

    Of two that agree, and of two that do not, the one stays that more judges read, else the one that they
    were surer of. Where that is equal, the earlier one stays if their labels agree, and neither if not. Two
    that differ in the very cue of one of them are a contrast, not duplicates: both stay.

    Args:
        rows: with text, label, cue, judges and sure.
        near: from `near_duplicates` of the rows' texts.
        among: positions of the rows in question; no other is looked at.
        apart: whether two that are not the same are meant to be alike.

    Returns:
        What goes, in the order of the rows.
    """
    neighbours: dict[int, list[int]] = defaultdict(list)
    for later in sorted(among):
        for other in near[later]:
            if other in among and not _meant(rows[other], rows[later], apart):
                neighbours[later].append(other)
                neighbours[other].append(later)
    rank = {i: (*(-part for part in _standing(rows[i])), i) for i in neighbours}

    kept: set[int] = set()
    # Those that disagree with equal standing; whatever is near to them is as doubtful, and goes too.
    void: set[int] = set()
    gone: dict[int, Duplicate] = {}
    for place in sorted(neighbours, key=rank.__getitem__):
        better = [i for i in neighbours[place] if i in kept]
        before = better or _rivals(rows, place, neighbours[place])
        before = before or [i for i in neighbours[place] if i in void]
        if not before:
            kept.add(place)
            continue
        other = min(before, key=rank.__getitem__)
        conflict = rows[place]["label"] != rows[other]["label"]
        gone[place] = Duplicate(place, other, conflict, bool(better))
        if not better:
            void.add(place)
    return [gone[place] for place in sorted(gone)]


def _rivals(rows: Sequence[Mapping[str, Any]], place: int, others: Sequence[int]) -> list[int]:
    """Those of others that were judged differently, by as many judges as sure."""
    row = rows[place]
    return [i for i in others if rows[i]["label"] != row["label"] and _standing(rows[i]) == _standing(row)]


def _meant(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    apart: Callable[[Mapping[str, Any], Mapping[str, Any]], bool] | None,
) -> bool:
    """Whether two that are alike are meant to be: a contrast, or a pair that a source keeps on purpose."""
    if normalised(one["text"]) == normalised(other["text"]):
        return False
    return _contrast(one, other) or (apart is not None and apart(one, other))


def _standing(row: Mapping[str, Any]) -> tuple[int, int]:
    return row["judges"] or 1, row["sure"] or 0


def _contrast(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether they were judged differently, and the cue of either stands in it alone."""
    if one["label"] == other["label"]:
        return False
    texts = f" {normalised(one['text'])} ", f" {normalised(other['text'])} "
    cues = [normalised(row["text"][slice(*row["cue"])]) for row in (one, other) if row["cue"]]
    return any((f" {cue} " in texts[0]) != (f" {cue} " in texts[1]) for cue in cues if cue)
