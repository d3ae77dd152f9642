"""Systems compared on the same sentences: scores, differences, tests, and who wins where."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS, InputError
from framelens_evaluation.compare.result import (
    ALPHA,
    Comparison,
    Pair,
    PairDifference,
    Score,
    SystemScores,
    Wins,
)
from framelens_evaluation.inputs.dataset import gold_labels, shared_sentences
from framelens_evaluation.reporting.provenance import (
    Source,
    Started,
)
from framelens_evaluation.statistics.bootstrap import (
    Interval,
    Resampling,
    cluster_codes,
    cluster_confusions,
    resample,
)
from framelens_evaluation.statistics.metrics import NO_LABEL, encode_labels, number
from framelens_evaluation.statistics.significance import (
    MEASURES,
    approximate_randomisation,
    discordance,
    holm,
    measures,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from framelens_evaluation.inputs.dataset import GoldSentence, GoldSet
    from framelens_evaluation.inputs.systems import Answers, System
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["Compared", "compare_systems"]

# Streams of random numbers; a pair takes its place among the pairs besides.
_BOOTSTRAP, _SHUFFLES, _DISCORDANCE = 0, 1_000, 1_000_000


@dataclass(frozen=True, eq=False)
class Compared:
    """A comparison with what it was computed from, for showing sentences.

    Attributes:
        result: what is written.
        rows: the sentences with a gold label.
        gold: shape (n_sentences,), places in `LABELS`.
        answers: by system, in the order of the result.
    """

    result: Comparison
    rows: tuple[GoldSentence, ...]
    gold: IntArray
    answers: tuple[Answers, ...]


def compare_systems(
    systems: Sequence[tuple[str, System]],
    data: GoldSet,
    *,
    train: GoldSet | None = None,
    names: Sequence[str] | None = None,
    all_pairs: bool = False,
    seed: int = 0,
    n_resamples: int = 10_000,
    command: str | None = None,
    note: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Compared:
    """Label the same sentences with every system and compare them.

    Args:
        systems: what each was called by the user, and the system; the first is compared with each other.
        data: gold sentences; those without a label are left out.
        train: what baselines were fitted on, to warn of articles and sentences in both.
        names: one a system, for the report; None takes the systems' own names.
        all_pairs: compare the others with each other too.
        seed: of everything random.
        n_resamples: of the bootstrap, and shuffles of the randomisation test.
        command: how it was called.
        note: a remark on the data.
        progress: told of each step as it begins.

    Raises:
        InputError: fewer than two systems, one of them given twice, names that are not one a system,
            no sentence with a label, or a system that cannot answer for one of them.
        MissingExtraError: scipy is not installed.
    """
    started = Started()
    tell = progress or (lambda _: None)
    rows, how = data.labelled, Resampling(seed, n_resamples)
    shown = _names(systems, names)
    if not rows:
        raise InputError(f"{data.name} holds no labelled sentences")
    answers = []
    for name, (_, system) in zip(shown, systems, strict=True):
        tell(f"labelling {len(rows):,} sentences: {name}")
        answers.append(_checked(name, system.answer(rows), len(rows)))
    gold = encode_labels(gold_labels(rows))
    codes, n_articles = cluster_codes([row.article for row in rows])
    counted = _Counted(shown, gold, [each.given for each in answers], codes, n_articles)
    tell(f"resampling {n_articles:,} articles {n_resamples:,} times")
    value, drawn = counted.scores(how)
    at_pairs = [pair for pair in combinations(range(len(systems)), 2) if all_pairs or pair[0] == 0]
    pairs = []
    for stream, (i, j) in enumerate(at_pairs):
        tell(f"comparing {shown[i]} with {shown[j]}")
        gap = (value[i] - value[j], drawn[:, i] - drawn[:, j])
        pairs.append(counted.pair(i, j, gap, how, stream))
    pairs, n_tests = _corrected(pairs)
    scored = [
        SystemScores(
            name=shown[at],
            spec=spec,
            reads=system.reads,
            digest=system.digest,
            n_refused=int((answers[at].given == NO_LABEL).sum()),
            scores=tuple(
                Score(measure=measure, score=Interval.of(value[at, m], drawn[:, at, m], n_articles))
                for m, measure in enumerate(MEASURES)
            ),
        )
        for at, (spec, system) in enumerate(systems)
    ]
    result = Comparison(
        provenance=started.provenance(
            command=command,
            seed=seed,
            n_resamples=n_resamples,
            sources=_sources(data, train, scored),
        ),
        note=note,
        n_sentences=len(rows),
        n_left_out=len(data.out_of_scope),
        n_articles=n_articles,
        n_by_label={label: int((gold == at).sum()) for at, label in enumerate(LABELS)},
        shared_articles=None if train is None else len({row.article for row in rows} & train.articles),
        shared_sentences=None if train is None else shared_sentences(data, train),
        n_tests=n_tests,
        systems=tuple(scored),
        pairs=tuple(pairs),
    )
    return Compared(result, rows, gold, tuple(answers))


@dataclass(frozen=True, eq=False)
class _Counted:
    """The systems' labels beside gold, and the articles that they are in."""

    names: Sequence[str]
    gold: IntArray
    given: Sequence[IntArray]
    codes: IntArray
    n_articles: int

    def sums(self, at: int) -> FloatArray:
        """Confusion counts of one system by article."""
        return cluster_confusions(self.gold, self.given[at], self.codes, self.n_articles)

    def scores(self, how: Resampling) -> tuple[FloatArray, FloatArray]:
        """Measures, (n_systems, n_measures), and the same on resamples, with a first axis for these."""
        sums = np.stack([self.sums(at) for at in range(len(self.given))], axis=1)
        drawn = resample(sums, how.n_resamples, how.rng(_BOOTSTRAP))
        return measures(sums.sum(0)), measures(drawn)

    def pair(self, i: int, j: int, gap: tuple[FloatArray, FloatArray], how: Resampling, stream: int) -> Pair:
        """Two systems, given the difference of their measures and the same on the resamples."""
        n = how.n_resamples
        p_values = approximate_randomisation(
            self.sums(i), self.sums(j), measures, n, how.rng(_SHUFFLES + stream)
        )
        right = (self.given[i] == self.gold, self.given[j] == self.gold)
        alone = discordance(*right, self.codes, self.n_articles, n, how.rng(_DISCORDANCE + stream))
        return Pair(
            first=self.names[i],
            second=self.names[j],
            differences=_differences(*gap, p_values, self.n_articles),
            discordance=alone,
            wins=_wins(self.gold, *right),
        )


def _names(systems: Sequence[tuple[str, System]], names: Sequence[str] | None) -> list[str]:
    """A name of its own for each system."""
    specs = [spec for spec, _ in systems]
    if len(specs) < 2:
        raise InputError(f"a comparison needs two systems or more, got {len(specs)}")
    if len(set(specs)) < len(specs):
        twice = next(spec for spec in specs if specs.count(spec) > 1)
        raise InputError(f"each system can be given once, and {twice!r} was given {specs.count(twice)} times")
    if names is None:
        own = [system.name for _, system in systems]
        return [spec if own.count(name) > 1 else name for name, spec in zip(own, specs, strict=True)]
    if len(names) != len(specs) or len(set(names)) < len(names) or not all(names):
        raise InputError(
            f"expected one name for each of the {len(specs)} systems, all different, got {', '.join(names)}"
        )
    return list(names)


def _checked(name: str, answer: Answers, n_sentences: int) -> Answers:
    if answer.given.shape != (n_sentences,):
        raise InputError(f"{name} gave {len(answer.given)} labels for {n_sentences} sentences")
    return answer


def _differences(
    values: FloatArray, draws: FloatArray, p_values: FloatArray, n_articles: int
) -> tuple[PairDifference, ...]:
    """Differences by measure; they are corrected and judged once every pair is known."""
    return tuple(
        PairDifference(
            measure=measure,
            difference=Interval.of(values[at], draws[:, at], n_articles),
            p_value=number(p_values[at]),
            p_corrected=None,
            told_apart=False,
        )
        for at, measure in enumerate(MEASURES)
    )


def _wins(
    gold: IntArray, first_right: npt.NDArray[np.bool_], second_right: npt.NDArray[np.bool_]
) -> tuple[Wins, ...]:
    def count(at: int, first: bool, second: bool) -> int:
        return int(((gold == at) & (first_right == first) & (second_right == second)).sum())

    return tuple(
        Wins(
            label=label,
            both=count(at, True, True),
            only_first=count(at, True, False),
            only_second=count(at, False, True),
            neither=count(at, False, False),
        )
        for at, label in enumerate(LABELS)
    )


def _corrected(pairs: Sequence[Pair]) -> tuple[list[Pair], int]:
    """The pairs with corrected p-values, and how many tests there were."""
    p_values = [gap.p_value for pair in pairs for gap in pair.differences]
    corrected = iter(holm(p_values))
    found = []
    for pair in pairs:
        gaps = []
        for gap in pair.differences:
            p = next(corrected)
            apart = p is not None and p < ALPHA and not gap.difference.includes_zero
            gaps.append(gap.model_copy(update={"p_corrected": p, "told_apart": apart}))
        found.append(pair.model_copy(update={"differences": tuple(gaps)}))
    return found, sum(p is not None for p in p_values)


def _sources(data: GoldSet, train: GoldSet | None, systems: Sequence[SystemScores]) -> tuple[Source, ...]:
    files = [("gold", data)] + ([("train", train)] if train is not None else [])
    return (
        *(
            Source(
                role=role,
                name=each.name,
                sha256=each.sha256,
                described=f"{len(each.labelled):,} labelled sentences",
            )
            for role, each in files
        ),
        *(
            Source(
                role="system",
                name=each.spec,
                sha256=each.digest,
                described=f"shown as {each.name}, reads {each.reads}",
            )
            for each in systems
        ),
    )
