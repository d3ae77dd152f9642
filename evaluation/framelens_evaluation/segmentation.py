"""How well sentence splitters find the ends of sentences, on cases written to be hard.

A *boundary* is the end offset (one behind the last character) of every sentence of a text but the
last; the end of the text is no finding. A predicted boundary is right only if its offset is exactly
that of a boundary of the gold standard. Counts are summed over items before any ratio is taken
(micro average), and intervals come from resampling whole items, because the boundaries of one
text are not independent of each other.

The cases are invented for this purpose by the splitter's own author. While the splitter was being
improved, errors were read on one half only (``tune``); of the other (``held``) nothing but the
figures was seen, and the rule that brings numbered lists back was kept because they fell without
it. The cases are collected for difficulty, so the figures say which splitter copes better and not
how often one errs on ordinary news.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import nupunkt

from framelens.errors import InputError
from framelens.sentences import NewsSplitter, SentenceSplitter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from framelens.arrays import FloatArray

__all__ = [
    "BOUNDARY_MARK",
    "BoundaryCase",
    "BoundaryCounts",
    "Estimate",
    "NaiveSplitter",
    "PlainNupunkt",
    "SplitterScore",
    "compare_splitters",
    "count_boundaries",
    "load_cases",
    "markdown_table",
    "measure_speed",
    "score_splitter",
]

#: Stands behind each sentence but the last in the ``marked`` text of a case.
BOUNDARY_MARK = "¶"

PARTS = ("tune", "held", "all")
N_RESAMPLES = 2000
#: Length of the text that speed is measured on, in characters.
SPEED_CHARS = 100_000


@dataclass(frozen=True, slots=True)
class BoundaryCase:
    """One text and where its sentences end.

    Attributes:
        id: unique name.
        phenomenon: what makes the text hard.
        part: ``tune`` or ``held``.
        text: as a splitter is given it.
        ends: offsets behind the last character of every sentence but the last, ascending.
    """

    id: str
    phenomenon: str
    part: str
    text: str
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BoundaryCounts:
    """Boundaries found, invented and missed.

    A ratio of nothing to nothing is 1: what predicts nothing has predicted nothing wrong.
    """

    right: int = 0
    spurious: int = 0
    missed: int = 0

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        return BoundaryCounts(
            self.right + other.right, self.spurious + other.spurious, self.missed + other.missed
        )

    @property
    def n_errors(self) -> int:
        """Spurious and missed boundaries together."""
        return self.spurious + self.missed

    @property
    def precision(self) -> float:
        """Share of the predicted boundaries that are right, in [0, 1]."""
        return _share(self.right, self.right + self.spurious)

    @property
    def recall(self) -> float:
        """Share of the true boundaries that were found, in [0, 1]."""
        return _share(self.right, self.right + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, in [0, 1]."""
        return _share(2 * self.right, 2 * self.right + self.n_errors)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % interval (percentile bootstrap over items)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SplitterScore:
    """What one splitter does on one part of the cases.

    Attributes:
        splitter: its name.
        part: ``tune``, ``held`` or ``all``.
        n_items: texts.
        n_perfect: texts without any error.
        n_boundaries: true boundaries in them.
        precision: micro precision of boundaries.
        recall: micro recall of boundaries.
        f1: micro F1 of boundaries.
        by_phenomenon: the counts of each phenomenon.
        mchar_per_s: million characters a second of processor time, on the case texts repeated.
    """

    splitter: str
    part: str
    n_items: int
    n_perfect: int
    n_boundaries: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    by_phenomenon: Mapping[str, BoundaryCounts] = field(default_factory=dict)
    mchar_per_s: float = float("nan")


class PlainNupunkt:
    """nupunkt's own sentence interface with its default settings."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Offsets of the sentences."""
        return nupunkt.sentence_spans(text)


class NaiveSplitter:
    """What one writes in a minute: split after ``.``, ``!`` or ``?``, white space, then a capital."""

    _gap = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Offsets of the sentences."""
        spans: list[tuple[int, int]] = []
        start = len(text) - len(text.lstrip())
        for gap in self._gap.finditer(text, start):
            spans.append((start, gap.start()))
            start = gap.end()
        end = len(text.rstrip())
        if start < end:
            spans.append((start, end))
        return spans


def load_cases(path: Path | None = None) -> list[BoundaryCase]:
    """Read boundary cases.

    Args:
        path: JSON lines with ``id``, ``phenomenon``, ``part`` and ``marked``, the text with
            ``BOUNDARY_MARK`` behind each sentence but the last; None reads the cases of the package.

    Raises:
        InputError: a line is no such object, an id occurs twice, or a mark stands where no
            sentence can end.
    """
    source = files("framelens_evaluation") / "cases" / "sentence_boundaries.jsonl" if path is None else path
    cases: dict[str, BoundaryCase] = {}
    # No splitlines: a case may hold a line separator of its own.
    for number, line in enumerate(source.read_text(encoding="utf-8").rstrip("\n").split("\n"), start=1):
        case = _read_case(line, f"{source}, line {number}")
        if case.id in cases:
            raise InputError(f"{source}, line {number}: the id {case.id!r} was used before")
        cases[case.id] = case
    return list(cases.values())


def _read_case(line: str, where: str) -> BoundaryCase:
    try:
        item = json.loads(line)
        name, phenomenon, part, marked = (item[key] for key in ("id", "phenomenon", "part", "marked"))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"{where}: expected an object with id, phenomenon, part and marked") from error
    if not all(isinstance(value, str) for value in (name, phenomenon, marked)):
        raise InputError(f"{where}: expected id, phenomenon and marked to be strings")
    if part not in PARTS[:2]:
        raise InputError(f"{where}: part must be one of {PARTS[:2]}, got {part!r}")
    sentences = marked.split(BOUNDARY_MARK)
    ends: list[int] = []
    position = 0
    for sentence, following in pairwise(sentences):
        position += len(sentence)
        if not sentence.strip() or sentence[-1].isspace() or not following[:1].isspace():
            raise InputError(
                f"{where}: a {BOUNDARY_MARK} must stand directly behind a sentence and before white space"
            )
        ends.append(position)
    if not sentences[-1].strip():
        raise InputError(f"{where}: the text or its last sentence is empty")
    return BoundaryCase(name, phenomenon, part, "".join(sentences), tuple(ends))


def count_boundaries(case: BoundaryCase, spans: Sequence[tuple[int, int]]) -> BoundaryCounts:
    """Compare a splitter's spans with the gold standard of one text.

    Args:
        case: the text and its boundaries.
        spans: the splitter's (start, end) offsets, in order.
    """
    predicted = {end for _, end in spans[:-1]}
    gold = set(case.ends)
    return BoundaryCounts(len(predicted & gold), len(predicted - gold), len(gold - predicted))


def score_splitter(
    name: str,
    splitter: SentenceSplitter,
    cases: Sequence[BoundaryCase],
    *,
    part: str = "all",
    seed: int = 0,
    mchar_per_s: float = float("nan"),
) -> SplitterScore:
    """Score one splitter.

    Args:
        name: how the result names it.
        splitter: what is scored.
        cases: what it is scored on, all of them.
        part: how the result names ``cases``.
        seed: of the bootstrap.
        mchar_per_s: its speed, where it was measured.

    Raises:
        InputError: there are no cases.
    """
    if not cases:
        raise InputError(f"no cases to score {name} on (part {part!r})")
    counts = [count_boundaries(case, splitter.spans(case.text)) for case in cases]
    total = sum(counts, BoundaryCounts())
    by_phenomenon: dict[str, BoundaryCounts] = {}
    for case, count in zip(cases, counts, strict=True):
        by_phenomenon[case.phenomenon] = by_phenomenon.get(case.phenomenon, BoundaryCounts()) + count
    low, high = _intervals(counts, seed)
    precision, recall, f1 = (
        Estimate(value, float(below), float(above))
        for value, below, above in zip((total.precision, total.recall, total.f1), low, high, strict=True)
    )
    return SplitterScore(
        splitter=name,
        part=part,
        n_items=len(cases),
        n_perfect=sum(count.n_errors == 0 for count in counts),
        n_boundaries=total.right + total.missed,
        precision=precision,
        recall=recall,
        f1=f1,
        by_phenomenon=by_phenomenon,
        mchar_per_s=mchar_per_s,
    )


def compare_splitters(cases_path: Path | None = None, seed: int = 0) -> list[SplitterScore]:
    """Score the default splitter, nupunkt as it comes and a naive rule.

    Args:
        cases_path: the cases, see `load_cases`; None reads those of the package.
        seed: of the bootstrap. Everything but the speed is the same in every run.

    Returns:
        For each splitter in turn its scores on ``tune``, ``held`` and ``all``; a part that the
        cases lack is left out.

    Raises:
        InputError: the cases cannot be used.
    """
    cases = load_cases(cases_path)
    splitters: dict[str, SentenceSplitter] = {
        "framelens": NewsSplitter(),
        "nupunkt": PlainNupunkt(),
        "naive": NaiveSplitter(),
    }
    once = "\n\n".join(case.text for case in cases)
    text = "\n\n".join([once] * (SPEED_CHARS // max(1, len(once)) + 1))
    scores = []
    for name, splitter in splitters.items():
        speed = measure_speed(splitter, text)
        for part in PARTS:
            chosen = [case for case in cases if part in (case.part, "all")]
            if chosen:
                scores.append(score_splitter(name, splitter, chosen, part=part, seed=seed, mchar_per_s=speed))
    return scores


def measure_speed(splitter: SentenceSplitter, text: str) -> float:
    """Million characters that a splitter reads in a second of processor time: the best of three passes.

    nupunkt remembers its decisions, so what repeats itself is read faster than what is new.
    """
    seconds = []
    for _ in range(3):
        began = time.process_time()
        splitter.spans(text)
        seconds.append(time.process_time() - began)
    return len(text) / min(seconds) / 1e6


def markdown_table(scores: Sequence[SplitterScore]) -> str:
    """The scores as a Markdown table, followed by the errors of each phenomenon over all items."""
    lines = [
        "| splitter | part | items | without error | boundaries | precision | recall | F1 | Mchar/s |",
        "| --- | --- | ---: | ---: | ---: | --- | --- | --- | ---: |",
    ]
    lines += [
        f"| {s.splitter} | {s.part} | {s.n_items} | {s.n_perfect} | {s.n_boundaries} "
        f"| {_cell(s.precision)} | {_cell(s.recall)} | {_cell(s.f1)} | {s.mchar_per_s:.2f} |"
        for s in scores
    ]
    whole = [s for s in scores if s.part == "all"]
    phenomena = sorted({name for s in whole for name in s.by_phenomenon})
    lines += ["", "Spurious + missed boundaries by phenomenon, all items:", ""]
    lines.append("| phenomenon | " + " | ".join(s.splitter for s in whole) + " |")
    lines.append("| --- |" + " ---: |" * len(whole))
    for name in phenomena:
        found = [s.by_phenomenon.get(name, BoundaryCounts()) for s in whole]
        lines.append(f"| {name} | " + " | ".join(f"{c.spurious} + {c.missed}" for c in found) + " |")
    return "\n".join(lines) + "\n"


def _cell(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _intervals(counts: Sequence[BoundaryCounts], seed: int) -> tuple[FloatArray, FloatArray]:
    """Lower and upper ends of the 95 % intervals of precision, recall and F1, each of shape (3,)."""
    table = np.array([(c.right, c.spurious, c.missed) for c in counts], dtype=np.float64)
    n_items = len(counts)
    # How often each item is drawn: the same resamples as drawing item numbers, as one product.
    draws = np.random.default_rng(seed).multinomial(n_items, np.full(n_items, 1 / n_items), N_RESAMPLES)
    right, spurious, missed = (draws @ table).T
    parts = np.stack([right, right, 2 * right])
    wholes = np.stack([right + spurious, right + missed, 2 * right + spurious + missed])
    ratios = np.divide(parts, wholes, out=np.ones_like(parts), where=wholes > 0)
    low, high = np.quantile(ratios, [0.025, 0.975], axis=1)
    return low, high
