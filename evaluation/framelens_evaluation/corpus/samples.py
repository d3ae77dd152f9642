"""Sentences to look at: drawn at random within each label and group, so that rare ones are seen."""

from __future__ import annotations

import math
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from framelens import LABELS
from framelens_evaluation.corpus.names import clipped, shown_value
from framelens_evaluation.reporting.document import Example
from framelens_evaluation.reporting.figures import LABEL_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.corpus.report import Group
    from framelens_evaluation.corpus.source import Corpus, CorpusRequest

__all__ = ["draw_sentences", "fact_name"]

#: Longer sentences are cut, so that the page stays small.
_LONGEST: Final = 600
_BEFORE_EVIDENCE: Final = 200
_FACTS: Final = ("label", "probability", "dated", "document", "marked")


def draw_sentences(corpus: Corpus, groups: Sequence[Group]) -> tuple[Example, ...]:
    """Sentences of each label, as many of one as of another, and in turn from the groups.

    A sentence's place in the order of drawing is a hash of what it is and of the seed, so that neither
    the order of the rows nor the number of threads changes the sample.

    Args:
        corpus: where they are drawn from.
        groups: those that are drawn from in turn; all others together are one more.
    """
    request = corpus.request
    if not request.samples or "text" not in corpus.columns:
        return ()
    same = [
        " AND ".join(f"g{place} IS NOT DISTINCT FROM ?" for place in range(len(group.names)))
        for group in groups
    ]
    cases = " ".join(f"WHEN {each} THEN {at}" for at, each in enumerate(same))
    bucket = f"CASE {cases} ELSE {len(groups)} END" if cases else "0"
    values = [name for group in groups for name in group.names]
    fields = ("label", "text", "evidence", "g0", "g1", "doc", "sentence", "written", "abstained", "truncated")
    row = ", ".join(f"'{name}': {name}" for name in (*fields, "bucket", "turn"))
    row = f"{{{row}, 'p': CASE label WHEN 0 THEN p0 WHEN 1 THEN p1 WHEN 2 THEN p2 END}}"
    # A heap for every label and bucket: memory holds the sentences drawn, not those looked at.
    drawn = corpus.rows(
        f"SELECT unnest(arg_min({row}, turn, {request.samples})) FROM ("
        f"SELECT *, {bucket} AS bucket, hash(unit, doc, sentence, text, {request.seed}) AS turn "
        "FROM sentences WHERE label >= 0 AND text IS NOT NULL) GROUP BY label, bucket",
        values,
    )
    chosen = _in_turn([found for (found,) in drawn], request.samples)
    return tuple(_example(found, request) for found in chosen)


def _in_turn(drawn: list[dict[str, Any]], n: int) -> list[dict[str, Any]]:
    """One sentence of every label by turns, and within a label of every bucket by turns, up to n."""
    by_label = []
    for label in range(len(LABELS)):
        buckets: dict[int, list[dict[str, Any]]] = {}
        for found in sorted(drawn, key=_order):
            if found["label"] == label:
                buckets.setdefault(found["bucket"], []).append(found)
        by_label.append(_interleaved([buckets[name] for name in sorted(buckets)]))
    return _interleaved(by_label)[:n]


def _order(found: dict[str, Any]) -> tuple[int, str]:
    return found["turn"], found["text"]


def _interleaved(lists: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [each for row in zip_longest(*lists) for each in row if each is not None]


def _example(found: dict[str, Any], request: CorpusRequest) -> Example:
    text, marks, note = _window(found["text"], _marks(found["text"], found["evidence"]))
    facts = {"label": LABEL_NAMES[LABELS[found["label"]]]}
    if found["p"] is not None and math.isfinite(found["p"]):
        facts["probability"] = f"{found['p']:.2f}"
    for at, column in enumerate(request.by):
        facts[fact_name(column)] = shown_value(found[f"g{at}"])
    if request.over and found["written"]:
        facts["dated"] = clipped(found["written"], 25)
    if found["doc"] is not None:
        facts["document"] = (
            f"{clipped(found['doc'])}, sentence {found['sentence'] + 1}"
            if found["sentence"] is not None
            else clipped(found["doc"])
        )
    remarks = [name for name in ("abstained", "truncated") if found[name]]
    if remarks:
        facts["marked"] = " and ".join(remarks)
    return Example(text, marks, facts, note)


def fact_name(column: str) -> str:
    """Under which name a column to group by is shown beside a sentence."""
    return f"{column} (column)" if column in _FACTS else column


def _marks(text: str, evidence: list[dict[str, Any]] | None) -> list[tuple[int, int, str]]:
    spans = [(span["start"], span["end"], span["kind"]) for span in evidence or () if span is not None]
    return [
        (start, end, str(kind or "evidence"))
        for start, end, kind in spans
        if start is not None and end is not None and 0 <= start < end <= len(text)
    ]


def _window(
    text: str, marks: list[tuple[int, int, str]]
) -> tuple[str, tuple[tuple[int, int, str], ...], str]:
    """A long sentence cut to what lies around its first evidence."""
    if len(text) <= _LONGEST:
        return text, tuple(marks), ""
    first = max(0, min((start for start, _, _ in marks), default=0) - _BEFORE_EVIDENCE)
    first = min(first, len(text) - _LONGEST)
    last = first + _LONGEST
    head, tail = "…" if first else "", "…" if last < len(text) else ""
    kept = tuple(
        (start - first + len(head), min(end, last) - first + len(head), kind)
        for start, end, kind in marks
        if first <= start < last
    )
    return f"{head}{text[first:last]}{tail}", kept, f"{_LONGEST:,} of {len(text):,} characters"
