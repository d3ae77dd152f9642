"""Which sentences to annotate next: at random with known probability, or where labels would teach most.

All of it works on arrays and is decided by a seeded generator alone. Groups, such as outlets, take turns:
each gives its best sentence left, so that they are as even as what they hold allows.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

import numpy as np

from framelens.errors import InputError, require
from framelens_training.leakage import fingerprints, leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from framelens.arrays import FloatArray, IntArray

__all__ = [
    "DISAGREEMENT",
    "DIVERSE",
    "NATURAL",
    "STRATA",
    "UNCERTAIN",
    "Draft",
    "Spread",
    "counts_of",
    "disagreement",
    "few_of_each",
    "queues",
    "shares_of",
    "take_turns",
    "text_vectors",
    "uncertainty",
]

NATURAL, UNCERTAIN, DISAGREEMENT, DIVERSE = "natural", "uncertain", "disagreement", "diverse"
#: In the order in which they are filled: what is drawn at random must not depend on the others.
STRATA: Final = (NATURAL, UNCERTAIN, DISAGREEMENT, DIVERSE)
_MIXED: Final = {NATURAL: 0.4, UNCERTAIN: 0.4, DISAGREEMENT: 0.0, DIVERSE: 0.2}
_MIXED_OF_SEVERAL: Final = {NATURAL: 0.4, UNCERTAIN: 0.2, DISAGREEMENT: 0.2, DIVERSE: 0.2}
_DIMENSIONS: Final = 64
#: A text of which the dimensions hold less than this, of 1, is too unlike the others to be placed among them.
_LEAST_HELD: Final = 0.1
#: Distances that are computed at once: 64 MB of them.
_PAIRS_AT_ONCE: Final = 2**24


def shares_of(strategy: str, given: Mapping[str, float], n_models: int) -> dict[str, float]:
    """The share of each stratum, in the order of `STRATA`; they sum to 1.

    Args:
        strategy: ``mixed``, ``random`` or the name of a stratum that is all.
        given: shares for ``mixed``; what they leave is drawn at random.
        n_models: how many models there are to disagree.

    Raises:
        InputError: a name is unknown, shares are negative or more than 1 in sum, or one model is to disagree.
    """
    if strategy != "mixed":
        if given:
            raise InputError(f"expected shares with the strategy mixed alone, got them with {strategy}")
        chosen = {NATURAL if strategy == "random" else strategy: 1.0}
    elif given:
        chosen = {**given, NATURAL: given.get(NATURAL, 0.0) + 1.0 - sum(given.values())}
    else:
        chosen = _MIXED_OF_SEVERAL if n_models > 1 else _MIXED
    if unknown := sorted(chosen.keys() - set(STRATA)):
        raise InputError(f"expected a strategy or share of {', '.join(STRATA)}, got {unknown[0]!r}")
    if any(not -1e-9 <= share <= 1.0 + 1e-9 for share in chosen.values()):
        raise InputError("expected shares between 0 and 1 that sum to at most 1; the rest is drawn at random")
    shares = {stratum: min(1.0, max(0.0, chosen.get(stratum, 0.0))) for stratum in STRATA}
    if shares[DISAGREEMENT] and n_models < 2:
        raise InputError("expected two models or more that can disagree, got one; give --model several times")
    return shares


def counts_of(shares: Mapping[str, float], n: int) -> dict[str, int]:
    """Whole numbers that sum to ``n``, by largest remainder; of equal remainders the first is rounded up.

    >>> counts_of({"natural": 0.4, "uncertain": 0.4, "diverse": 0.2}, 12)
    {'natural': 5, 'uncertain': 5, 'diverse': 2}
    """
    counts = {name: int(share * n + 1e-9) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: counts[name] - shares[name] * n)
    for name in by_remainder[: n - sum(counts.values())]:
        counts[name] += 1
    return counts


def uncertainty(probabilities: FloatArray) -> FloatArray:
    """How near the two most probable labels are: 1 less their margin (Scheffer, Decomain and Wrobel 2001).

    Args:
        probabilities: shape (n_models, n_sentences, n_labels); several models are averaged.

    Returns:
        Shape (n_sentences,), in [0, 1].
    """
    two = np.sort(probabilities.mean(0), axis=-1)[:, -2:]
    return np.asarray(1.0 - (two[:, 1] - two[:, 0]), np.float32)


def disagreement(probabilities: FloatArray) -> FloatArray:
    """Jensen-Shannon divergence of the models' distributions, in bits (Lin 1991, sec. V).

    Args:
        probabilities: shape (n_models, n_sentences, n_labels).

    Returns:
        Shape (n_sentences,), in [0, log2(n_models)]; 0 where all models say the same.
    """
    shared = _entropy(probabilities.mean(0)) - _entropy(probabilities).mean(0)
    return np.asarray(np.maximum(shared, 0.0), np.float32)


def _entropy(probabilities: FloatArray) -> FloatArray:
    """Over the last axis, in bits."""
    safe = np.where(probabilities > 0, probabilities, 1.0)
    entropy: FloatArray = -(probabilities * np.log2(safe)).sum(-1)
    return entropy


def few_of_each(
    articles: npt.NDArray[np.uint64], most: int, rng: np.random.Generator
) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """At most so many sentences of every article, drawn at random.

    Args:
        articles: shape (n_sentences,).
        most: of one article.
        rng: draws.

    Returns:
        The places of those drawn, ascending, and the probability that each had, min(1, most / sentences of
        its article).
    """
    order = np.lexsort((rng.random(len(articles)), articles))
    first = np.flatnonzero(np.r_[True, np.diff(articles[order]) != 0])
    sizes = np.diff(np.r_[first, len(articles)])
    ranks = np.arange(len(articles)) - np.repeat(first, sizes)
    probabilities = np.empty(len(articles))
    probabilities[order] = np.minimum(1.0, most / np.repeat(sizes, sizes))
    drawn = np.sort(order[ranks < most])
    return drawn, probabilities[drawn]


def queues(
    groups: npt.NDArray[np.int32], scores: FloatArray | None, rng: np.random.Generator
) -> list[Iterator[int]]:
    """The places of each group from the highest score to the lowest, equal ones at random.

    Args:
        groups: shape (n_sentences,).
        scores: the same shape; None orders at random.
        rng: draws, and shuffles the groups, so that what does not divide evenly favours none.
    """
    falling = np.zeros(len(groups)) if scores is None else -scores
    order = np.lexsort((rng.random(len(groups)), falling, groups))
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    parts = [part for part in np.split(order, ends) if len(part)]
    return [map(int, parts[at]) for at in rng.permutation(len(parts))]


def take_turns(waiting: Iterable[Iterator[int]], accept: Callable[[int], bool], n: int) -> list[int]:
    """The groups give one place each in turn until there are ``n`` or none is left.

    Args:
        waiting: a queue a group.
        accept: whether a place is taken; where it is not, its group gives the next one at once.
        n: how many.
    """
    taken: list[int] = []
    groups = deque(waiting)
    while groups and len(taken) < n:
        group = groups.popleft()
        for place in group:
            if accept(place):
                taken.append(place)
                groups.append(group)
                break
    return taken


class Draft:
    """What has been chosen so far: nothing twice, no near-repeats, no more than so many of an article.

    A near-repeat shares more than half of its runs of eight words with what has been chosen, see
    `framelens_training.leakage`.

    Args:
        texts: n_sentences of them.
        articles: as many.
        per_article: most sentences of one article.
    """

    def __init__(self, texts: Sequence[str], articles: Sequence[str], per_article: int) -> None:
        self.chosen: set[int] = set()
        self.n_repeats = 0
        self._texts, self._articles, self._per_article = texts, articles, per_article
        self._known: set[str] = set()
        self._of_article: Counter[str] = Counter()

    def accept(self, place: int) -> bool:
        """Take a sentence if it may be taken."""
        if place in self.chosen or self._of_article[self._articles[place]] >= self._per_article:
            return False
        if leaks(self._texts[place], self._known):
            self.n_repeats += 1
            return False
        self.chosen.add(place)
        self._known |= fingerprints([self._texts[place]])
        self._of_article[self._articles[place]] += 1
        return True


class Spread:
    """Sentences that are far from all that has been chosen: greedy k-centre (Gonzalez 1985).

    Whatever is chosen lowers the distance of all others, so that nothing stays far from everything chosen.
    For active learning: Sener and Savarese 2018, "A core-set approach".

    Args:
        vectors: shape (n_sentences, n_dimensions), each of length 1, or 0 for what is never chosen.
        begun: vectors of what has been chosen before, shape (n_chosen, n_dimensions).
    """

    def __init__(self, vectors: FloatArray, begun: FloatArray) -> None:
        self._vectors = vectors
        #: The distance that each sentence had when it was offered.
        self.offered: dict[int, float] = {}
        #: Cosine distance to the nearest one chosen; negative for what is not to be chosen.
        self.distances = np.full(len(vectors), 2.0, np.float32)
        at_once = max(1, _PAIRS_AT_ONCE // max(1, len(vectors)))
        for start in range(0, len(begun), at_once):
            nearest = 1.0 - (vectors @ begun[start : start + at_once].T).max(1)
            np.minimum(self.distances, nearest, out=self.distances)
        np.maximum(self.distances, 0.0, out=self.distances)
        self.distances[~vectors.any(1)] = -1.0

    def queues(self, groups: npt.NDArray[np.int32], rng: np.random.Generator) -> list[Iterator[int]]:
        """For every group, its farthest sentence again and again; see `queues`."""
        names = rng.permutation(np.unique(groups))
        return [self._farthest(np.flatnonzero(groups == name)) for name in names]

    def _farthest(self, members: IntArray) -> Iterator[int]:
        while True:
            place = int(members[self.distances[members].argmax()])
            if self.distances[place] < 0:
                return
            self.offered[place] = float(self.distances[place])
            self.distances[place] = -1.0
            yield place

    def add(self, place: int) -> None:
        """Lower the distances for a sentence that has been chosen."""
        away = np.maximum(1.0 - self._vectors @ self._vectors[place], 0.0)
        np.minimum(self.distances, away, out=self.distances)


def text_vectors(texts: Sequence[str], seed: int) -> FloatArray:
    """Texts as directions of latent semantic analysis: TF-IDF of words, reduced (Deerwester et al. 1990).

    Args:
        texts: n_texts of them.
        seed: of the reduction.

    Returns:
        Shape (n_texts, n_dimensions), each row of length 1; 0 for a text of nothing but rare words, of which
        the dimensions hold next to nothing.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    extraction = require("sklearn.feature_extraction.text", "train")
    counts = extraction.TfidfVectorizer(sublinear_tf=True, dtype=np.float32).fit_transform(texts)
    if min(counts.shape) <= _DIMENSIONS:
        reduced = counts.toarray()
    else:
        svd = require("sklearn.decomposition", "train").TruncatedSVD(_DIMENSIONS, n_iter=2, random_state=seed)
        reduced = svd.fit_transform(counts).astype(np.float32)
    lengths = np.linalg.norm(reduced, axis=1, keepdims=True)
    held: FloatArray = np.where(lengths < _LEAST_HELD, 0.0, reduced / np.maximum(lengths, _LEAST_HELD))
    return held.astype(np.float32)
