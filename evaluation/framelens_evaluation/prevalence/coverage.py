"""Do the intervals hold? Sample again and again from corpora whose shares are known, and count.

A corpus is fixed; its shares are the truth. Each repetition draws gold rows by the stated design, estimates
every share, and notes which intervals hold the truth. A 95 % interval should in 95 % of repetitions. The
truth is the share in the corpus, not in a process behind it, so on a small corpus only intervals with the
finite population correction come out right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from framelens import LABELS, InputError, Label
from framelens_evaluation.prevalence.adjusted import adjusted_count
from framelens_evaluation.prevalence.estimate import MIN_GOLD, group_sample
from framelens_evaluation.prevalence.estimators import (
    Moments,
    Sample,
    Shares,
    borrowed,
    gold_only,
    modified_wilson,
    plain_count,
    prediction_powered,
    t_quantile,
)
from framelens_evaluation.prevalence.worlds import SCENARIOS, World, make_world
from framelens_evaluation.reporting.provenance import Part, Provenance, Started
from framelens_evaluation.statistics.metrics import NO_LABEL, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from framelens_evaluation.inputs.dataset import GoldSentence
    from framelens_evaluation.inputs.systems import Answers
    from framelens_evaluation.prevalence.worlds import Design, Scenario
    from framelens_evaluation.reporting.provenance import Source
    from framelens_evaluation.statistics.bootstrap import Resampling
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["ACCEPTED", "Cover", "CoverRow", "Coverage", "held_out_world", "measure_coverage", "repeat"]

#: Coverage of a 95 % interval that is taken for right.
ACCEPTED = (0.93, 0.97)
_LEVEL = 0.95
_WHOLE = "whole corpus"

#: A method as it is used: "borrowed" is the prediction-powered estimate of a group with few gold rows.
Cover = Literal["prediction_powered", "borrowed", "gold_only", "adjusted_count", "plain_count"]


class CoverRow(Part):
    """How often the intervals of one method held one share.

    Attributes:
        scenario: the corpus and design.
        real: whether the corpus is real, held-out data.
        n_gold: gold rows in a repetition, as planned.
        group: name of the group, or of the whole corpus.
        label: whose share.
        method: of estimation.
        truth: the share in the corpus.
        n_repetitions: in which there was an interval.
        coverage: share of them whose interval held the truth; None without any.
        low: 95 % interval of ``coverage`` (Wilson), for the number of repetitions is finite.
        high: likewise.
        bias: mean estimate minus truth.
        width: mean width of the intervals.
    """

    scenario: str
    real: bool
    n_gold: int
    group: str
    label: Label
    method: Cover
    truth: float
    n_repetitions: int
    coverage: float | None
    low: float | None
    high: float | None
    bias: float | None
    width: float | None

    @property
    def right(self) -> bool | None:
        """Whether the coverage lies in `ACCEPTED`; None where there is none."""
        return None if self.coverage is None else ACCEPTED[0] <= self.coverage <= ACCEPTED[1]


class Coverage(Part):
    """The experiment.

    Attributes:
        level: of the intervals.
        n_repetitions: of each setting.
        rows: one for each setting, group, label and method.
        provenance: where the figures come from.
    """

    schema_version: Literal[1] = 1
    level: float
    n_repetitions: int
    rows: tuple[CoverRow, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class _Setting:
    name: str
    real: bool
    design: Design
    world: World
    n_gold: int
    borrow: bool = False


def measure_coverage(
    how: Resampling,
    *,
    sizes: Sequence[int] = (100, 200, 400),
    n_repetitions: int = 1000,
    scenarios: Sequence[Scenario] = SCENARIOS,
    held_out: World | None = None,
    name: str = "held out",
    sources: Sequence[Source] = (),
    command: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Coverage:
    """Run the experiment.

    Args:
        how: seed, and resamples behind the adjusted count.
        sizes: gold rows in a repetition.
        n_repetitions: of each setting; with 1,000 a coverage of 95 % is known to ±1.4 points.
        scenarios: made-up corpora.
        held_out: a real one, drawn from by sentence and by article.
        name: of the real one.
        sources: files it was read from.
        command: how it was called, for the record.
        progress: told each setting.

    Raises:
        InputError: there is nothing to measure, or a size is below 3 or not below that of the corpus.
    """
    started = Started()
    settings: list[_Setting] = []
    for at, scenario in enumerate(scenarios):
        world = make_world(scenario, how.rng(at))
        settings += [
            _Setting(scenario.name, False, scenario.design, world, n, scenario.borrow) for n in sizes
        ]
    if held_out is not None:
        designs: tuple[tuple[str, Design], ...] = (("", "sentences"), (", by article", "articles"))
        settings += [_Setting(name + more, True, way, held_out, n) for more, way in designs for n in sizes]
    if not settings or n_repetitions < 1:
        raise InputError("coverage needs at least one corpus, one size and one repetition")
    rows: list[CoverRow] = []
    for at, setting in enumerate(settings):
        if not 3 <= setting.n_gold < len(setting.world.gold):
            raise InputError(
                f"{setting.name}: expected between 3 and {len(setting.world.gold) - 1:,} gold rows, got "
                f"{setting.n_gold}"
            )
        progress(f"{setting.name}, {setting.n_gold} gold rows ({at + 1} of {len(settings)})")
        rows += _cover_rows(setting, how, len(scenarios) + at, n_repetitions)
    return Coverage(
        level=_LEVEL,
        n_repetitions=n_repetitions,
        rows=tuple(rows),
        provenance=started.provenance(
            command=command, seed=how.seed, n_resamples=how.n_resamples, sources=sources
        ),
    )


def held_out_world(rows: Sequence[GoldSentence], answers: Answers, by: str | None = None) -> World:
    """Judged sentences with a model's answers as a corpus of which everything is known.

    Args:
        rows: sentences; those without a gold or predicted label are left out, as they belong to no share.
        answers: one for each.
        by: a field of `GoldSentence`, such as ``side``, that makes groups; None makes none.

    Raises:
        InputError: there is no such field, no probabilities, or nothing is left.
    """
    if by is not None and (not rows or not hasattr(rows[0], by)):
        raise InputError(f"a gold sentence has no field {by!r} to group by")
    kept = [at for at, row in enumerate(rows) if row.label is not None and answers.given[at] != NO_LABEL]
    if not kept:
        raise InputError("no sentence has both a gold and a predicted label")
    probabilities = answers.probabilities[kept]
    if np.isnan(probabilities).any():
        raise InputError("the coverage experiment needs probabilities for every sentence")
    names = [_WHOLE if by is None else str(getattr(rows[at], by)) for at in kept]
    known, groups = np.unique(names, return_inverse=True)
    _, articles = np.unique([rows[at].article for at in kept], return_inverse=True)
    gold = [LABELS.index(label) for at in kept if (label := rows[at].label) is not None]
    return World(
        np.array(gold, dtype=np.int64),
        answers.given[kept],
        probabilities,
        groups.astype(np.int64),
        articles.astype(np.int64),
        tuple(map(str, known)),
    )


@dataclass(eq=False)
class _Count:
    """Attributes: by label, how often there was an interval, and it held; sums of estimates and widths."""

    seen: FloatArray
    held: FloatArray
    value: FloatArray
    width: FloatArray

    @classmethod
    def empty(cls) -> _Count:
        return cls(*np.zeros((4, len(LABELS))))

    def add(self, shares: Shares, truth: FloatArray) -> None:
        there = ~np.isnan(shares.low)
        self.seen += there
        self.held += there & (shares.low <= truth) & (truth <= shares.high)
        self.value += np.where(there, shares.value, 0.0)
        self.width += np.where(there, shares.high - shares.low, 0.0)


def _cover_rows(setting: _Setting, how: Resampling, stream: int, n_repetitions: int) -> list[CoverRow]:
    counts, truths = repeat(
        setting.world,
        setting.n_gold,
        setting.design,
        n_repetitions,
        how.n_resamples,
        how.rng(stream),
        borrow=setting.borrow,
    )
    rows = []
    for (group, method), count in counts.items():
        truth = truths[group]
        n = np.maximum(count.seen, 1)
        low, high = modified_wilson(count.held / n, n, t_quantile(0.95, 1e6))
        for at, label in enumerate(LABELS):
            there = count.seen[at] > 0
            rows.append(
                CoverRow(
                    scenario=setting.name,
                    real=setting.real,
                    n_gold=setting.n_gold,
                    group=group,
                    label=label,
                    method=method,
                    truth=float(truth[at]),
                    n_repetitions=int(count.seen[at]),
                    coverage=float(count.held[at] / n[at]) if there else None,
                    low=number(low[at]) if there else None,
                    high=number(high[at]) if there else None,
                    bias=float(count.value[at] / n[at] - truth[at]) if there else None,
                    width=float(count.width[at] / n[at]) if there else None,
                )
            )
    return rows


def repeat(
    world: World,
    n_gold: int,
    design: Design,
    n_repetitions: int,
    n_resamples: int,
    rng: np.random.Generator,
    *,
    borrow: bool = False,
) -> tuple[dict[tuple[str, Cover], _Count], dict[str, FloatArray]]:
    """Draw and estimate again and again.

    Args:
        world: the corpus.
        n_gold: rows drawn; their expected number where articles or single rows are drawn by chance.
        design: how rows are drawn.
        n_repetitions: how often.
        n_resamples: behind the adjusted count; 0 leaves it out.
        rng: seeded by the caller.
        borrow: whether groups are corrected by the gold rows of all groups, however many they have.

    Returns:
        Counts by (group, method), and true shares by group.
    """
    names = (_WHOLE, *(world.group_names if len(world.group_names) > 1 else ()))
    members = [np.ones(len(world.gold), bool)] + [world.groups == at for at in range(len(names) - 1)]
    moments = [
        Moments(int(member.sum()), world.probabilities[member].mean(0), world.probabilities[member].var(0))
        for member in members
    ]
    truths = {name: _shares(world.gold[member]) for name, member in zip(names, members, strict=True)}
    given = np.array([np.bincount(world.given[member], minlength=len(LABELS)) for member in members])
    by_group = given[1:] if len(names) > 1 else given
    drawing = _Drawing(world, n_gold, design)
    counts: dict[tuple[str, Cover], _Count] = {}

    def note(name: str, method: Cover, shares: Shares) -> None:
        counts.setdefault((name, method), _Count.empty()).add(shares, truths[name])

    for _ in range(n_repetitions):
        rows, inclusion = drawing.draw(rng)
        clusters = world.articles[rows] if design == "articles" else np.arange(len(rows))
        sample = Sample(
            world.gold[rows], world.probabilities[rows], inclusion, clusters, np.zeros(len(rows), np.int64)
        )
        adjusted = (
            adjusted_count(sample, world.given[rows], by_group, n_resamples, rng, _LEVEL)
            if n_resamples
            else []
        )
        for at, name in enumerate(names):
            own = (
                sample
                if not at
                else group_sample(sample, world.groups[rows] == at - 1, moments[at].n, design == "sentences")
            )
            few = len(own) < MIN_GOLD or (borrow and at > 0)
            powered = (
                borrowed(sample, moments[0], moments[at], _LEVEL)
                if few
                else prediction_powered(own, moments[at], _LEVEL)
            )
            note(name, "borrowed" if few else "prediction_powered", powered)
            note(name, "gold_only", gold_only(own, _LEVEL))
            note(name, "plain_count", plain_count(given[at], _LEVEL))
            if adjusted:
                note(name, "adjusted_count", adjusted[at - 1])  # the whole corpus stands last
    return counts, truths


def _shares(gold: IntArray) -> FloatArray:
    return np.bincount(gold, minlength=len(LABELS)) / len(gold)


class _Drawing:
    """Draws gold rows of a corpus by a design."""

    def __init__(self, world: World, n_gold: int, design: Design) -> None:
        self._n, self._n_gold, self._design = len(world.gold), n_gold, design
        self._order = np.argsort(world.articles, kind="stable")
        sizes = np.bincount(world.articles)
        self._starts = np.concatenate([[0], sizes.cumsum()])
        self._n_articles = max(3, round(n_gold * len(sizes) / self._n))
        unsure = np.sqrt((world.probabilities * (1 - world.probabilities)).sum(-1))
        chance = 0.75 * unsure / unsure.sum() + 0.25 / self._n
        self._chance = np.minimum(1.0, n_gold * chance)

    def draw(self, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """Rows and their inclusion probabilities."""
        if self._design == "sentences":
            rows = rng.choice(self._n, self._n_gold, replace=False)
            return rows, np.full(len(rows), self._n_gold / self._n)
        if self._design == "uncertainty":
            rows = np.flatnonzero(rng.random(self._n) < self._chance)
            return rows, self._chance[rows]
        n_articles = len(self._starts) - 1
        drawn = rng.choice(n_articles, min(self._n_articles, n_articles), replace=False)
        rows = np.concatenate([self._order[self._starts[at] : self._starts[at + 1]] for at in drawn])
        return rows, np.full(len(rows), len(drawn) / n_articles)
