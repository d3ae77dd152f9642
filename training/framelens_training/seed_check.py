"""Whether a set of written sentences is varied: distinct words, no common pattern, no near-duplicates."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from framelens.labels import LABELS
from framelens_training.duplicates import near_duplicates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from framelens_training.seed import SeedSentence

__all__ = ["MIN_COUNTRIES", "MIN_SENTENCES", "SeedCheck", "check_seed", "distinct", "pattern"]

MIN_SENTENCES = 1_500
MIN_COUNTRIES = 25
_OPENING_WORDS = 3
#: How many of a kind a line lists.
_SHOWN = 20
_WORD = re.compile(r"\w+(?:['’]\w+)*")


@dataclass(frozen=True)
class SeedCheck:
    """What was measured on a set.

    Attributes:
        sentences: how many.
        distinct: share of different word n-grams among all, for n = 1, 2 and 3 (Li et al. 2016, "A
            Diversity-Promoting Objective Function for Neural Conversation Models", sec. 5.3).
        near_duplicates: pairs of ids of near-duplicates outside one contrast set.
        same_pattern: such pairs that show only once names and numbers are masked.
        openings: the commonest openings of three words, with the number of sentences.
        repeated_openings: share of the sentences whose opening another sentence has, outside their own set.
        counts: sentences by label, rule, country, topic and kind.
        out_of_bounds: what is short of the bars, in words; empty where the set passes.
    """

    sentences: int
    distinct: Mapping[int, float]
    near_duplicates: Sequence[tuple[str, str]]
    same_pattern: Sequence[tuple[str, str]]
    openings: Sequence[tuple[str, int]]
    repeated_openings: float
    counts: Mapping[str, Mapping[str, int]]
    out_of_bounds: Sequence[str]

    def lines(self) -> Iterable[str]:
        """The measurements in words, one line a fact."""
        yield f"{self.sentences:,} sentences"
        for field, counted in self.counts.items():
            listed = ", ".join(f"{name} {n:,}" for name, n in list(counted.items())[:_SHOWN])
            more = f" and {len(counted) - _SHOWN:,} more" if len(counted) > _SHOWN else ""
            yield f"{field} ({len(counted):,}): {listed}{more}"
        yield "distinct-n: " + ", ".join(f"{n}: {value:.3f}" for n, value in self.distinct.items())
        yield f"openings that are shared with another set: {self.repeated_openings:.1%} of the sentences"
        yield "commonest openings: " + ", ".join(f"“{words}” {n}" for words, n in self.openings)
        for name, pairs in (("near-duplicates", self.near_duplicates), ("same pattern", self.same_pattern)):
            shown = "".join(f"; {one} and {other}" for one, other in pairs[:_SHOWN])
            share = len({name for pair in pairs for name in pair}) / self.sentences if self.sentences else 0.0
            yield f"{name} outside a contrast set: {share:.1%} of the sentences; pairs: {len(pairs)}{shown}"
        for failing in self.out_of_bounds:
            yield f"FAILS: {failing}"
        if not self.out_of_bounds:
            yield "passes"


def check_seed(sentences: Sequence[SeedSentence]) -> SeedCheck:
    """Measure a set of written sentences and hold it against the bars.

    These are: at least `MIN_SENTENCES` sentences of all labels and at least `MIN_COUNTRIES` countries; and
    outside a contrast set no two near-duplicates (see `framelens_training.duplicates`), neither as they stand
    nor with names and numbers masked.

    Raises:
        MissingExtraError: datasketch is not installed.
    """
    texts = [sentence.text for sentence in sentences]
    near = _pairs(sentences, texts)
    same = sorted(set(_pairs(sentences, [pattern(text) for text in texts])) - set(near))
    openings = [" ".join(_words(text)[:_OPENING_WORDS]) for text in texts]
    homes: dict[str, set[str]] = {}
    for sentence, opening in zip(sentences, openings, strict=True):
        homes.setdefault(opening, set()).add(sentence.set or sentence.id)
    shared = sum(len(homes[opening]) > 1 for opening in openings)
    counts = {
        field: dict(Counter(str(getattr(sentence, field)) for sentence in sentences).most_common())
        for field in ("label", "rule", "country", "topic", "kind")
    }
    return SeedCheck(
        sentences=len(texts),
        distinct={n: distinct(texts, n) for n in (1, 2, 3)},
        near_duplicates=near,
        same_pattern=same,
        openings=Counter(openings).most_common(10),
        repeated_openings=shared / len(texts) if texts else 0.0,
        counts=counts,
        out_of_bounds=list(_short_of(sentences, near, same)),
    )


def distinct(texts: Iterable[str], n: int) -> float:
    """Share of different word n-grams among all n-grams of the texts, in [0, 1]; 0 where there is none."""
    grams = [gram for text in texts for gram in zip(*(_words(text)[i:] for i in range(n)), strict=False)]
    return len(set(grams)) / len(grams) if grams else 0.0


def pattern(text: str) -> str:
    """A sentence with its numbers, and the words that begin with a capital but not the sentence, masked."""
    first = _WORD.search(text)

    def masked(word: re.Match[str]) -> str:
        found = word.group()
        name = found[0].isupper() and (first is None or word.start() != first.start())
        return "#" if name or found[0].isdigit() else found

    # A name of several words is one mask, whatever their number. A mask stays a word for the shingles.
    return re.sub(r"#(?:[.\s–—-]+#)*", "qq", _WORD.sub(masked, text))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _pairs(sentences: Sequence[SeedSentence], texts: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (sentences[earlier].id, sentences[later].id)
        for later, found in enumerate(near_duplicates(texts))
        for earlier in found
        if sentences[earlier].set is None or sentences[earlier].set != sentences[later].set
    ]


def _short_of(
    sentences: Sequence[SeedSentence],
    near: Sequence[tuple[str, str]],
    same: Sequence[tuple[str, str]],
) -> Iterable[str]:
    if len(sentences) < MIN_SENTENCES:
        yield f"sentences: {len(sentences):,}, of at least {MIN_SENTENCES:,}"
    countries = {sentence.country for sentence in sentences if sentence.country}
    if len(countries) < MIN_COUNTRIES:
        yield f"countries: {len(countries)}, of at least {MIN_COUNTRIES}"
    present = {sentence.label for sentence in sentences}
    if missing := [str(label) for label in LABELS if label not in present]:
        yield f"no sentence labelled {' or '.join(missing)}"
    if near:
        yield f"pairs of near-duplicates outside a contrast set: {len(near)}, of none"
    if same:
        yield f"pairs of one pattern outside a contrast set: {len(same)}, of none"
