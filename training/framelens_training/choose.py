"""Choosing the sentences of a round: a pool is read, models are asked, stratum after stratum is filled."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens.bundle import find_bundle
from framelens.classifier import FramingClassifier
from framelens.errors import InputError, require
from framelens_training.pool import Pool
from framelens_training.selection import (
    DISAGREEMENT,
    DIVERSE,
    NATURAL,
    STRATA,
    UNCERTAIN,
    Draft,
    Spread,
    counts_of,
    disagreement,
    few_of_each,
    queues,
    shares_of,
    take_turns,
    text_vectors,
    uncertainty,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from framelens.arrays import FloatArray, IntArray
    from framelens.progress import Reporter
    from framelens_training.locate import Trace
    from framelens_training.pool import Sentence, Survey, Unit

__all__ = ["Choice", "Choices", "Known", "SampleOptions", "choose"]

#: Sentences that models score and that are compared, for each one that is asked for.
CANDIDATES_EACH: Final = 20
#: Sentences that are labelled between two words on progress.
_CHUNK: Final = 1024
#: What is drawn at random is fetched twice over, because near-repeats are passed over.
_SPARE: Final = 2
_SPARE_AT_LEAST: Final = 100
#: Streams of random numbers, so that what one step draws does not move what another does.
_NATURAL, _SUBSET, _SCORED = range(3)


@dataclass(frozen=True)
class SampleOptions:
    """What is asked for.

    Attributes:
        n: sentences.
        models: by name, see `framelens.FramingClassifier.from_pretrained`; several can disagree.
        strategy: ``mixed``, ``random``, ``uncertain``, ``disagreement`` or ``diverse``.
        shares: of the strata, for ``mixed``; see `framelens_training.selection.shares_of`.
        by: column of the groups that are balanced; see `framelens_training.pool.Pool`.
        unit: what a row of the pool is.
        per_article: most sentences of one article.
        words: fewest and most words of a sentence.
        candidates: sentences, drawn at random, of which the strata that are not natural are chosen; None for
            `CANDIDATES_EACH` times ``n``.
        seed: of every draw.
        judges: how many share the sentences.
        batch: most sentences of a sheet.
        double: share of the sentences that two judges read.

    Raises:
        InputError: a number is out of its range, or the shares make no whole.
    """

    n: int
    models: tuple[str, ...] = ("bundled",)
    strategy: str = "mixed"
    shares: Mapping[str, float] = field(default_factory=dict)
    by: str | None = None
    unit: Unit = "auto"
    per_article: int = 3
    words: tuple[int, int] = (5, 80)
    candidates: int | None = None
    seed: int = 0
    judges: int = 2
    batch: int = 60
    double: float = 0.1

    def __post_init__(self) -> None:
        for name in ("n", "per_article", "judges", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"expected {name} of at least 1, got {getattr(self, name)}")
        if self.candidates is not None and self.candidates < 1:
            raise InputError(f"expected candidates of at least 1, got {self.candidates}")
        if not 1 <= self.words[0] <= self.words[1]:
            raise InputError(f"expected fewest and most words in this order, got {self.words}")
        if not 0.0 <= self.double <= 1.0:
            raise InputError(f"expected a share read twice between 0 and 1, got {self.double}")
        if self.double and self.judges < 2:
            raise InputError(f"expected two judges where sentences are read twice, got {self.judges}")
        shares_of(self.strategy, self.shares, len(self.models))
        if len(set(self.models)) < len(self.models):
            raise InputError(f"expected every model once, got {', '.join(self.models)}")

    @property
    def counts(self) -> dict[str, int]:
        """Sentences by stratum."""
        return counts_of(shares_of(self.strategy, self.shares, len(self.models)), self.n)


@dataclass(frozen=True)
class Known:
    """What has been judged before, or measures, and is not to be chosen.

    Attributes:
        fingerprints: see `framelens_training.leakage`.
        traces: of sentences whose text is not at hand, see `framelens_training.locate`.
        articles: of which nothing is to be chosen.
        texts: of the sentences whose text is known; what is chosen for diversity is far from them too.
    """

    fingerprints: set[str] = field(default_factory=set)
    texts: tuple[str, ...] = ()
    traces: frozenset[Trace] = frozenset()
    articles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    """A sentence that was chosen.

    Attributes:
        sentence: itself.
        stratum: of `framelens_training.selection.STRATA`.
        score: by which it was chosen: 1 less the margin in [0, 1], bits of divergence, or cosine distance to
            the nearest sentence chosen before; None for ``natural``.
        inclusion_probability: for ``natural``, else None: its reciprocal is the sentence's weight.
    """

    sentence: Sentence
    stratum: str
    score: float | None = None
    inclusion_probability: float | None = None


@dataclass(frozen=True)
class Choices:
    """What was chosen, and of what.

    Attributes:
        chosen: stratum by stratum.
        models: digests of the models that were asked, by name.
        population: what the pool holds: ``rows``, ``sentences``, ``left_out`` by reason, sentences by group,
            and how many near-repeats were passed over.
        files: of the pool.
    """

    chosen: tuple[Choice, ...]
    models: dict[str, str]
    population: dict[str, Any]
    files: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Sentences by stratum, of those that there are."""
        found = Counter(choice.stratum for choice in self.chosen)
        return {stratum: found[stratum] for stratum in STRATA if found[stratum]}


def choose(
    names: Sequence[str], options: SampleOptions, reporter: Reporter, known: Known | None = None
) -> Choices:
    """Choose sentences of a pool.

    The natural ones come first and do not depend on the others. In each group they are drawn at random of
    what is left when at most ``per_article`` sentences, drawn at random, stand for their article; so a
    sentence's probability is that of being among these times that of being drawn in its group. Near-repeats
    are passed over and count as drawn, so that the weights sum to about the number of different sentences.

    Args:
        names: of the pool's files, folders and patterns.
        options: what is asked for.
        reporter: is told how far it is.
        known: what is not to be chosen.

    Raises:
        InputError: the pool, a model or an option cannot be used.
        JobError: the pool changed while it was read.
    """
    known = known or Known()
    counts = options.counts
    asks = bool(counts[UNCERTAIN] or counts[DISAGREEMENT])
    # What is missing is told before the pool is read, which can take long.
    for name in options.models if asks else ():
        find_bundle(name)
    if counts[DIVERSE]:
        require("sklearn", "train")
    pool = Pool(
        names,
        unit=options.unit,
        by=options.by,
        words=options.words,
        known=known.fingerprints,
        traces=known.traces,
        closed=known.articles,
    )
    reporter.begin("reading the pool")
    survey = pool.survey(reporter.read)
    lots = _draw(survey, counts[NATURAL], options)
    candidates = _candidates(survey, options)
    wanted = np.union1d(lots.places, candidates)
    reporter.begin("reading the pool again", survey.n_rows)
    sentences = pool.fetch(survey, wanted, reporter.read)
    draft = Draft([s.text for s in sentences], [s.article for s in sentences], options.per_article)
    chosen = _natural(lots, np.searchsorted(wanted, lots.places), survey, sentences, draft, counts[NATURAL])
    rest = _Candidates(sentences, np.searchsorted(wanted, candidates), survey.groups[wanted], draft)
    models: dict[str, str] = {}
    if asks:
        models, probabilities = _ask(options.models, rest.sentences, reporter)
        for stratum, measure in ((UNCERTAIN, uncertainty), (DISAGREEMENT, disagreement)):
            rng = np.random.default_rng([options.seed, _SCORED, STRATA.index(stratum)])
            chosen += rest.highest(stratum, measure(probabilities), counts[stratum], rng)
    if counts[DIVERSE]:
        reporter.begin("comparing")
        chosen += rest.farthest(counts[DIVERSE], known.texts, options.seed)
    population = {
        "rows": survey.n_rows,
        "sentences": len(survey),
        "left_out": survey.left_out,
        "groups": dict(zip(survey.group_names, np.bincount(survey.groups).tolist(), strict=True)),
        "near_repeats": draft.n_repeats,
    }
    return Choices(tuple(chosen), models, population, tuple(pool.files))


@dataclass(frozen=True, eq=False)
class _Lots:
    """Sentences in the order in which they are drawn at random.

    Attributes:
        places: in the survey.
        stays: the probability that each had to be among the few of its article.
        sizes: sentences of each group that stood to be drawn.
    """

    places: IntArray
    stays: npt.NDArray[np.float64]
    sizes: IntArray


def _draw(survey: Survey, n: int, options: SampleOptions) -> _Lots:
    rng = np.random.default_rng([options.seed, _NATURAL])
    few, stays = few_of_each(survey.articles, options.per_article, rng)
    sizes = np.bincount(survey.groups[few], minlength=len(survey.group_names))
    n_lots = 0 if n == 0 else max(_SPARE * n, n + _SPARE_AT_LEAST)
    order = take_turns(queues(survey.groups[few], None, rng), lambda _: True, n_lots)
    return _Lots(few[order], stays[order], sizes)


def _candidates(survey: Survey, options: SampleOptions) -> IntArray:
    """Places in the survey of what models score, ascending; groups are as even as they can be."""
    if options.counts[NATURAL] == options.n:
        return np.empty(0, np.int64)
    n = CANDIDATES_EACH * options.n if options.candidates is None else options.candidates
    if n >= len(survey):
        return np.arange(len(survey))
    rng = np.random.default_rng([options.seed, _SUBSET])
    return np.sort(np.array(take_turns(queues(survey.groups, None, rng), lambda _: True, n), np.int64))


def _natural(
    lots: _Lots, places: IntArray, survey: Survey, sentences: Sequence[Sentence], draft: Draft, n: int
) -> list[Choice]:
    """Take the first of those drawn that are no near-repeats, and say how probable each was.

    Args:
        lots: in their order.
        places: theirs in ``sentences``.
        survey: of the pool.
        sentences: that have been fetched.
        draft: takes them.
        n: how many.
    """
    groups = survey.groups[lots.places]
    drawn: Counter[int] = Counter()

    def accept(lot: int) -> bool:
        drawn[int(groups[lot])] += 1
        return draft.accept(int(places[lot]))

    waiting = [iter(np.flatnonzero(groups == name).tolist()) for name in dict.fromkeys(groups.tolist())]
    taken = take_turns(waiting, accept, n)
    # Only now is it known how many each group has drawn.
    shares = {name: n_drawn / int(lots.sizes[name]) for name, n_drawn in drawn.items()}
    probabilities = [float(lots.stays[lot]) * shares[int(groups[lot])] for lot in taken]
    return [
        Choice(sentences[int(places[lot])], NATURAL, None, probability)
        for lot, probability in zip(taken, probabilities, strict=True)
    ]


class _Candidates:
    """The candidates of which the strata that are not natural are chosen."""

    def __init__(
        self,
        sentences: Sequence[Sentence],
        candidates: IntArray,
        groups: npt.NDArray[np.int32],
        draft: Draft,
    ) -> None:
        self.sentences = [sentences[at] for at in candidates]
        self._all, self._places, self._groups, self._draft = sentences, candidates, groups[candidates], draft

    def highest(self, stratum: str, scores: FloatArray, n: int, rng: np.random.Generator) -> list[Choice]:
        """Those with the highest scores."""
        taken = take_turns(queues(self._groups, scores, rng), self._accept, n)
        return [Choice(self.sentences[at], stratum, round(float(scores[at]), 6)) for at in taken]

    def farthest(self, n: int, known: Sequence[str], seed: int) -> list[Choice]:
        """Those that are farthest from all chosen and known texts."""
        begun = [*(self._all[at].text for at in sorted(self._draft.chosen)), *known]
        vectors = text_vectors([*(sentence.text for sentence in self.sentences), *begun], seed)
        spread = Spread(vectors[: len(self.sentences)], vectors[len(self.sentences) :])

        def accept(at: int) -> bool:
            if not self._accept(at):
                return False
            spread.add(at)
            return True

        rng = np.random.default_rng([seed, _SCORED, STRATA.index(DIVERSE)])
        taken = take_turns(spread.queues(self._groups, rng), accept, n)
        return [Choice(self.sentences[at], DIVERSE, round(spread.offered[at], 6)) for at in taken]

    def _accept(self, at: int) -> bool:
        return self._draft.accept(int(self._places[at]))


def _ask(
    models: Iterable[str], sentences: Sequence[Sentence], reporter: Reporter
) -> tuple[dict[str, str], FloatArray]:
    """Digests of the models by name, and probabilities of shape (n_models, n_sentences, n_labels)."""
    digests, answers = {}, []
    for name in models:
        classifier = FramingClassifier.from_pretrained(name)
        digests[name] = classifier.digest
        reporter.begin(f"labelling with {name}", len(sentences))
        answers.append(np.concatenate(list(_probabilities(classifier, sentences, reporter))))
    return digests, np.stack(answers)


def _probabilities(
    classifier: FramingClassifier, sentences: Sequence[Sentence], reporter: Reporter
) -> Iterator[FloatArray]:
    for start in range(0, len(sentences), _CHUNK):
        part = sentences[start : start + _CHUNK]
        yield classifier.predict_proba([s.text for s in part], [s.context or None for s in part])
        reporter.read(start + len(part))
