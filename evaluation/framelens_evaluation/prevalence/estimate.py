"""Shares group by group: which gold rows correct which group, and what to warn of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS, InputError
from framelens.errors import require
from framelens_evaluation.prevalence.adjusted import adjusted_count
from framelens_evaluation.prevalence.estimators import (
    Shares,
    borrowed,
    gold_only,
    plain_count,
    prediction_powered,
)
from framelens_evaluation.prevalence.gold import join_gold
from framelens_evaluation.prevalence.population import NONE, TIME_UNITS
from framelens_evaluation.prevalence.results import GroupEstimates, Prevalence, estimates_of
from framelens_evaluation.reporting.provenance import (
    Source,
    Started,
)
from framelens_evaluation.statistics.metrics import NO_LABEL, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from framelens_evaluation.prevalence.estimators import Moments, Sample
    from framelens_evaluation.prevalence.gold import GoldRows, GoldTable
    from framelens_evaluation.prevalence.population import GroupTotals, Population
    from framelens_evaluation.prevalence.results import Rectifier
    from framelens_evaluation.statistics.bootstrap import Resampling
    from framelens_evaluation.statistics.metrics import IntArray

__all__ = ["MIN_GOLD", "Rules", "estimate_prevalence", "group_sample"]

#: Gold rows from which on a group is corrected by its own.
MIN_GOLD = 30
_STREAM_ADJUSTED = 1
_SUSPICIOUS = 0.001
_MUCH_OF_GOLD = 0.05


@dataclass(frozen=True, slots=True)
class Rules:
    """How shares are estimated.

    Attributes:
        level: of the intervals, in (0, 1).
        min_gold: gold rows below which a group is not corrected by its own; at least 3.
        borrow: whether such a group is corrected by the gold rows of all groups; else it has no estimate.

    Raises:
        InputError: a number is out of its range.
    """

    level: float = 0.95
    min_gold: int = MIN_GOLD
    borrow: bool = True

    def __post_init__(self) -> None:
        if not 0.5 <= self.level < 1:
            raise InputError(f"the level of the intervals must be in [0.5, 1), got {self.level}")
        if self.min_gold < 3:
            raise InputError(f"the least number of gold rows must be at least 3, got {self.min_gold}")


def estimate_prevalence(
    population: Population,
    gold: GoldTable,
    how: Resampling,
    rules: Rules | None = None,
    *,
    cluster: str = "auto",
    date_column: str = "date",
    command: str | None = None,
) -> Prevalence:
    """Shares of every label in a corpus and its groups.

    Args:
        population: the corpus with its predictions.
        gold: hand-labelled rows of it.
        how: seed and resamples of the adjusted count.
        rules: defaults to `Rules()`.
        cluster: see `framelens_evaluation.prevalence.gold.join_gold`.
        date_column: likewise.
        command: how it was called, for the record.

    Raises:
        InputError: the gold rows are not in the corpus, or a value in it is unusable.
        MissingExtraError: duckdb or scipy is not installed.
    """
    started = Started()
    rules = rules or Rules()
    totals = population.totals()
    rows = join_gold(gold, population, cluster=cluster, date_column=date_column)
    codes = _group_codes(rows, totals, gold)
    sample, whole = rows.sample, totals.overall
    rng = how.rng(_STREAM_ADJUSTED)
    adjusted = adjusted_count(sample, rows.given, totals.given, how.n_resamples, rng, rules.level)
    overall = _group((), sample, sample, whole, whole, totals.given.sum(0), adjusted[-1], rules)
    groups = [
        _group(
            key,
            group_sample(sample, codes == at, int(totals.n[at]), rows.uniform),
            sample,
            whole,
            totals.moments(at),
            totals.given[at],
            adjusted[at],
            rules,
        )
        for at, key in enumerate(totals.keys)
    ]
    sources = (*_labelled_sources(population), Source(role="gold", name=str(gold.path), sha256=gold.sha256))
    return Prevalence(
        by=population.by,
        level=rules.level,
        prediction="probability" if population.soft else "label",
        n_rows=population.n_rows,
        n_sentences=int(totals.n.sum()),
        without_label=population.without_label,
        n_gold=len(rows.sample),
        n_gold_out_of_scope=int((rows.sample.gold == NO_LABEL).sum()),
        n_gold_skipped=gold.n_skipped,
        n_gold_without_prediction=rows.n_without_prediction,
        n_gold_clusters=rows.sample.n_units,
        clustered_by=rows.clustered_by,
        uniform=rows.uniform,
        min_gold=rules.min_gold,
        warnings=tuple(_warnings(rows, codes, totals, population, rules)),
        overall=overall,
        groups=tuple(groups) if population.by else (),
        provenance=started.provenance(
            command=command, seed=how.seed, n_resamples=how.n_resamples, sources=sources
        ),
    )


def group_sample(sample: Sample, member: npt.NDArray[np.bool_], n: int, uniform: bool) -> Sample:
    """A group's gold rows.

    Given how many of them fell into the group, a simple random sample of the corpus is one of the group,
    with the group's own sampling fraction.

    Args:
        sample: gold rows of all groups.
        member: shape (n_gold,), those in the group.
        n: sentences in the group.
        uniform: whether the sample is taken for a simple random one.
    """
    rows = np.flatnonzero(member)
    taken = sample.take(rows)
    return replace(taken, inclusion=np.full(len(rows), min(1.0, len(rows) / n))) if uniform else taken


def _group(
    key: tuple[str, ...],
    own: Sample,
    pool: Sample,
    pooled: Moments,
    moments: Moments,
    counts: IntArray,
    adjusted: Shares,
    rules: Rules,
) -> GroupEstimates:
    powered, rectifier = _powered(own, pool, pooled, moments, rules)
    return GroupEstimates(
        key=key,
        n_sentences=moments.n,
        n_gold=len(own),
        n_clusters=own.n_units,
        rectifier=rectifier,
        tuning=number(powered.tuning),
        shares={
            "prediction_powered": estimates_of(powered),
            "gold_only": estimates_of(gold_only(own, rules.level)),
            "adjusted_count": estimates_of(adjusted),
            "plain_count": estimates_of(plain_count(counts, rules.level)),
        },
    )


def _powered(
    own: Sample, pool: Sample, pooled: Moments, moments: Moments, rules: Rules
) -> tuple[Shares, Rectifier]:
    """The prediction-powered estimate, and whose gold rows correct it."""
    if len(own) >= rules.min_gold or len(own) == moments.n:
        return prediction_powered(own, moments, rules.level), "own"
    if rules.borrow and len(pool) >= rules.min_gold:
        return borrowed(pool, pooled, moments, rules.level), "borrowed"
    return Shares.undefined(), "none"


def _group_codes(rows: GoldRows, totals: GroupTotals, gold: GoldTable) -> IntArray:
    """The group of each gold row as its place among the groups."""
    places = {key: at for at, key in enumerate(totals.keys)}
    strange = [key for key in rows.groups if key not in places]
    if strange:
        raise InputError(
            f"{gold.path}: {len(strange):,} gold rows are of groups that the labelled tables do not have, "
            f"such as {' / '.join(strange[0])}"
        )
    return np.array([places[key] for key in rows.groups], dtype=np.int64)


def _warnings(
    rows: GoldRows, codes: IntArray, totals: GroupTotals, population: Population, rules: Rules
) -> list[str]:
    """What could make the estimates wrong."""
    found = []
    if len(rows.sample) < rules.min_gold:
        found.append(
            f"There are {len(rows.sample)} gold rows and at least {rules.min_gold} are needed: no share is "
            "corrected by borrowing. Label more sentences by hand; --plan says how many."
        )
    if rows.uniform:
        found += _not_random(rows, codes, totals)
    else:
        ratio = float((1 / rows.sample.inclusion).sum()) / float(totals.n.sum())
        if not 0.5 <= ratio <= 2:
            found.append(
                f"By their inclusion probabilities the gold rows stand for {ratio:.2g} times as many "
                "sentences as the corpus has; a correct file stands for about as many. See whether the "
                "probabilities belong to this corpus."
            )
    missing = [label for at, label in enumerate(LABELS) if not (rows.sample.gold == at).any()]
    if missing:
        found.append(
            f"No gold row is {', '.join(missing)}: there is no adjusted count, and the other intervals of it "
            "rest on the number of gold rows alone."
        )
    largest = int(np.unique(rows.sample.clusters, return_counts=True)[1].max())
    if rows.clustered_by and largest > max(_MUCH_OF_GOLD * len(rows.sample), 2):
        found.append(
            f"One {rows.clustered_by} holds {largest / len(rows.sample):.0%} of the gold rows. Intervals "
            "over clusters are too narrow where few clusters hold much."
        )
    whole = [
        " / ".join(key) if population.by else "the corpus"
        for at, key in enumerate(totals.keys)
        if (codes == at).sum() == totals.n[at]
        and (rows.uniform or rows.sample.inclusion[codes == at].min() == 1)
    ]
    if whole:
        where = "all groups" if 1 < len(whole) == len(totals.keys) else ", ".join(whole)
        found.append(
            f"In {where} every sentence is labelled: no uncertainty of sampling is left, "
            "and only the judges' own errors remain."
        )
    undated = sum(
        int(n) for key, n in zip(totals.keys, totals.n, strict=True)
        if any(name in TIME_UNITS and value == NONE for name, value in zip(population.by, key, strict=False))
    )  # fmt: skip
    if undated:
        found.append(f"{undated:,} sentences have no date that could be read; they form the group {NONE}.")
    return found


def _not_random(rows: GoldRows, codes: IntArray, totals: GroupTotals) -> list[str]:
    """Whether gold without inclusion probabilities looks like a simple random sample of the corpus."""
    labels = np.bincount(rows.given, minlength=len(LABELS))
    checks = [("predicted labels", labels, totals.given.sum(0))]
    if len(totals.n) > 1:
        checks.append(("groups", np.bincount(codes, minlength=len(totals.n)), totals.n))
    found = []
    for what, seen, there in checks:
        p = _same_mix(seen, there)
        if p is not None and p < _SUSPICIOUS:
            found.append(
                f"The gold rows are taken for a simple random sample of the corpus, and their {what} are not "
                f"mixed as the corpus's are (chi-squared test, p = {p:.1g}). If some sentences were likelier "
                "to be drawn than others, give the column inclusion_probability: without it the corpus's "
                "shares and the borrowed corrections can be wrong by more than their intervals say."
            )
    return found


def _same_mix(seen: IntArray, there: IntArray) -> float | None:
    """P-value of a sample's composition, rare kinds put together; None with fewer than two kinds."""
    expected = there / there.sum() * seen.sum()
    large = expected >= 5
    if large.sum() + (not large.all()) < 2:
        return None
    observed, wanted = seen[large], expected[large]
    if expected[~large].sum() > 0:
        observed = np.append(observed, seen[~large].sum())
        wanted = np.append(wanted, expected[~large].sum())
    statistic = float(((observed - wanted) ** 2 / wanted).sum())
    return float(require("scipy.stats", "eval").chi2.sf(statistic, len(wanted) - 1))


def _labelled_sources(population: Population) -> Sequence[Source]:
    """The corpus's files in one line; they can be too large to be read again for a digest."""
    first = population.files[0]
    more = f" and {len(population.files) - 1:,} more" if len(population.files) > 1 else ""
    described = f"{population.n_rows:,} sentences"
    return [Source(role="labelled", name=f"{first}{more}", sha256=None, described=described)]
