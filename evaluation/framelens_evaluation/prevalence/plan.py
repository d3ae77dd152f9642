"""Which sentences to label by hand, and how many, for intervals of a wanted width.

For each group: the least sample whose prediction-powered interval is expected to have the wanted half-width
(Cochran 1977, section 4.4, with the residual's variance in place of the outcome's). That variance is not
known before anything is labelled. The model's own probabilities are the pilot: if they are calibrated, a
residual's variance is the mean of p (1 - p). Where they are not, the intervals come out wider than planned,
and not wrong. An earlier gold file replaces the belief by a measurement.

With ``uncertainty``, sentences are drawn with probabilities in proportion to the square root of p (1 - p),
summed over labels: Neyman's (1934) allocation, the least variance for a number of labels. A quarter of the
sample is spread evenly, so that sentences of which the model is sure, wrongly perhaps, keep a part of it.
Such a sample has a random size (Poisson sampling), and each row's inclusion probability is exact.

Whether a sentence is drawn depends on the seed and on its key alone, through a hash: not on the order of the
rows, nor on the format of the files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pyarrow as pa

from framelens import LABELS, InputError, Label
from framelens.labels import PROBABILITY_COLUMNS
from framelens_evaluation.prevalence.estimators import indicators, t_quantile
from framelens_evaluation.prevalence.population import KEYS
from framelens_evaluation.reporting.provenance import Part, Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from framelens_evaluation.prevalence.gold import GoldRows
    from framelens_evaluation.prevalence.population import Population
    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = [
    "Draw",
    "DrawnRow",
    "Plan",
    "PlannedGroup",
    "as_draw",
    "draw_rows",
    "pilot_factors",
    "plan_groups",
    "sample_size",
]

Draw = Literal["uniform", "uncertainty"]
#: Part of an uncertainty sample that is spread evenly.
_EVEN = 0.25
#: Standard deviations by which the first sieve lets through more hashes than are drawn.
_SAFETY = 8.0


class PlannedGroup(Part):
    """What to label in one group.

    Attributes:
        key: values of the group columns.
        n_sentences: labelled sentences of the group.
        predicted: mean prediction by label.
        n_to_label: sentences to label, as expected.
        n_without_model: how many it would take without predictions, for comparison.
        expected_half_width: of the widest label's interval.
        n_drawn: sentences drawn.
        by_floor: whether the least number of a group asks for no less than the wanted half-width does.
    """

    key: tuple[str, ...]
    n_sentences: int
    predicted: dict[Label, float]
    n_to_label: int
    n_without_model: int
    expected_half_width: float
    n_drawn: int
    by_floor: bool


class Plan(Part):
    """What to label by hand.

    Attributes:
        by: the group columns.
        level: of the intervals.
        half_width: wanted for every label in every group.
        draw: how sentences are drawn within a group.
        min_gold: least number in a group.
        pilot_factors: by label, the residual's variance in an earlier gold file over the model's own belief;
            None without such a file.
        n_sentences: in the corpus.
        n_drawn: in the sample.
        files: that hold the sample.
        next_command: how to get the shares once it is labelled; None where that is not known.
        notes: what to know before labelling.
        groups: in ascending order of their keys.
        provenance: where the figures come from.
    """

    schema_version: Literal[1] = 1
    by: tuple[str, ...]
    level: float
    half_width: float
    draw: Draw
    min_gold: int
    pilot_factors: dict[Label, float] | None
    n_sentences: int
    n_drawn: int
    files: tuple[str, ...]
    next_command: str | None
    notes: tuple[str, ...]
    groups: tuple[PlannedGroup, ...]
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """A sentence to label.

    Attributes:
        key: by column.
        group: by column.
        text: None where the tables hold none.
        context: the two sentences before it in its document, where they can be found.
        inclusion_probability: in (0, 1].
        stratum: name of its group.
    """

    key: dict[str, str]
    group: dict[str, str]
    text: str | None
    context: str | None
    inclusion_probability: float
    stratum: str


@dataclass(frozen=True, slots=True)
class _Belief:
    """A group's pilot: for a half-width h, n = need / (h² / t² + rest).

    Attributes: size; mean predictions; ``need`` and ``rest`` by label, see `sample_size`.
    """

    key: tuple[str, ...]
    n: int
    predicted: FloatArray
    need: FloatArray
    rest: FloatArray


def as_draw(name: str) -> Draw:
    """A way to draw by its name.

    Raises:
        InputError: there is none of this name.
    """
    known: tuple[Draw, ...] = get_args(Draw)
    if name not in known:
        raise InputError(f"expected one of {', '.join(known)} to draw by, got {name!r}")
    return known[known.index(name)]


def sample_size(need: float, rest: float, half_width: float, level: float, most: int) -> int:
    """Least number of rows whose interval has at most the wanted half-width.

    Args:
        need: variance of an estimate from n rows, before the finite population correction, times n.
        rest: that correction: the variance is ``need / n - rest``.
        half_width: wanted, above 0.
        level: of the interval.
        most: rows there are.

    Returns:
        Between 1 and ``most``.
    """
    n = most
    quantile = t_quantile(level, 1e6)
    for _ in range(20):
        wanted = need / (half_width**2 / quantile**2 + rest)
        step = max(1, min(most, math.ceil(wanted - 1e-9)))
        if step == n:
            break
        n, quantile = step, t_quantile(level, max(step - 2, 1))
    return n


def pilot_factors(rows: GoldRows) -> FloatArray:
    """How the variance of gold minus prediction compares with what the probabilities claim.

    Args:
        rows: an earlier gold file.

    Returns:
        Shape (n_labels,), at least 0.1; 1 for a calibrated model and where a label gives no answer.
    """
    sample = rows.sample
    weights = sample.weights
    residual = indicators(sample.gold) - sample.predictions
    residual = residual - weights @ residual
    claimed = weights @ (sample.predictions * (1 - sample.predictions))
    found: FloatArray = np.where(claimed > 0, weights @ residual**2 / np.where(claimed > 0, claimed, 1), 1.0)
    return np.maximum(found, 0.1)


def plan_groups(
    population: Population,
    half_width: float,
    level: float,
    draw: Draw,
    min_gold: int,
    factors: FloatArray | None = None,
) -> list[PlannedGroup]:
    """How many sentences to label in each group; `PlannedGroup.n_drawn` is 0 so far.

    Args:
        population: the corpus.
        half_width: wanted for every label in every group, in (0, 0.5).
        level: of the intervals.
        draw: how sentences are drawn within a group.
        min_gold: least number in a group, or all of a smaller one.
        factors: from `pilot_factors`.

    Raises:
        InputError: the half-width is out of range, or ``draw`` needs probabilities that the
            tables lack.
    """
    if not 0 < half_width < 0.5:
        raise InputError(f"--plan takes a half-width between 0 and 0.5, such as 0.05, got {half_width}")
    if draw == "uncertainty" and not population.soft:
        raise InputError(
            "drawing by uncertainty needs the probabilities, and --prediction label ignores them"
        )
    factors = np.ones(len(LABELS)) if factors is None else factors
    return [_planned(each, half_width, level, min_gold, factors) for each in _beliefs(population, draw)]


def _planned(
    belief: _Belief, half_width: float, level: float, min_gold: int, factors: FloatArray
) -> PlannedGroup:
    def enough(need: FloatArray, rest: FloatArray) -> int:
        sizes = [sample_size(a, b, half_width, level, belief.n) for a, b in zip(need, rest, strict=True)]
        return max(sizes)

    floor = min(min_gold, belief.n)
    precise = enough(belief.need * factors, belief.rest * factors)
    n = max(precise, floor)
    outcome = belief.predicted * (1 - belief.predicted)
    variance = np.maximum(factors * (belief.need / n - belief.rest), 0.0).max()
    return PlannedGroup(
        key=belief.key,
        n_sentences=belief.n,
        predicted=dict(zip(LABELS, belief.predicted.tolist(), strict=True)),
        n_to_label=n,
        n_without_model=max(enough(outcome, outcome / belief.n), floor),
        expected_half_width=float(t_quantile(level, max(n - 2, 1)) * math.sqrt(variance)),
        n_drawn=0,
        by_floor=precise <= floor,
    )


def _uncertainty() -> str:
    """SQL of the size that an uncertainty sample is drawn by."""
    return f"sqrt(greatest({' + '.join(f'{each} * (1 - {each})' for each in PROBABILITY_COLUMNS)}, 0))"


def _beliefs(population: Population, draw: Draw) -> list[_Belief]:
    """Each group's pilot, from the probabilities; without them, the outcome's variance is taken."""
    groups, n_groups = population.group_columns, max(len(population.by), 1)
    means = [f"avg({each})" for each in PROBABILITY_COLUMNS]
    claimed = [f"avg({each} * (1 - {each}))" for each in PROBABILITY_COLUMNS]
    rows = population.query(
        f"SELECT {groups}, count(*), {', '.join(means + claimed)} FROM labelled GROUP BY ALL"
    )
    rows.sort(key=lambda row: row[:n_groups])
    needs = _uneven_needs(population) if draw == "uncertainty" else {}
    found = []
    for row in rows:
        key, (n, *values) = tuple(row[:n_groups]), row[n_groups:]
        predicted, variance = np.split(np.array(values, dtype=np.float64), 2)
        if not population.soft:
            variance = predicted * (1 - predicted)
        found.append(_Belief(key, n, predicted, needs.get(key, variance), variance / n))
    return found


def _uneven_needs(population: Population) -> dict[tuple[str, ...], FloatArray]:
    """For each group, the sum of p (1 - p) over the drawing probability of one draw, over n²."""
    n_groups = max(len(population.by), 1)
    each = [f"sum({p} * (1 - {p}) / chance) / count(*) ** 2" for p in PROBABILITY_COLUMNS]
    rows = population.query(
        f"SELECT {_numbered(n_groups)}, {', '.join(each)} FROM ({_chances(population)}) GROUP BY ALL"
    )
    return {tuple(row[:n_groups]): np.array(row[n_groups:], dtype=np.float64) for row in rows}


def _numbered(n_groups: int) -> str:
    return ", ".join(f"g{at}" for at in range(n_groups))


def _group_names(population: Population) -> list[str]:
    return [f"group_{at}" for at in range(len(population.by))] or ["'all'"]


def _chances(population: Population) -> str:
    """SQL of every labelled sentence with its probability in one draw from its group."""
    names = _group_names(population)
    grouped = ", ".join(f"{name} AS g{at}" for at, name in enumerate(names))
    listed = _numbered(len(names))
    totals = f"SELECT {grouped}, count(*) AS n, sum({_uncertainty()}) AS total FROM labelled GROUP BY ALL"
    uneven = f"coalesce({_uncertainty()} / nullif(total, 0), 1.0 / n)"
    return (
        f"SELECT *, {1 - _EVEN} * {uneven} + {_EVEN} / n AS chance FROM (SELECT *, {grouped} FROM labelled) "
        f"JOIN ({totals}) USING ({listed})"
    )


def draw_rows(
    population: Population, planned: Sequence[PlannedGroup], draw: Draw, seed: int
) -> list[DrawnRow]:
    """Draw the sentences, in random order.

    Args:
        population: the corpus.
        planned: how many in each group.
        draw: ``uniform`` draws exactly as many; ``uncertainty`` as many on average.
        seed: of the draw.

    Raises:
        InputError: the tables do not name their sentences, or two sentences have one name.
    """
    key = next((key for key in KEYS if population.columns >= set(key)), None)
    if key is None:
        raise InputError(
            "expected the columns doc_id and sentence_index, or id, to name the sentences to label by hand"
        )
    wanted = {group.key: group for group in planned}
    found = [
        _drawn(row, key, population, wanted) for row in _drawn_rows(population, planned, key, draw, seed)
    ]
    names = [tuple(row.key.values()) for row in found]
    if len(set(names)) < len(names):
        raise InputError(
            f"two sentences of the labelled tables have the same {' and '.join(key)}: give each its own, or "
            "label the files together"
        )
    return list(_with_context(population, found)) if "context" not in population.columns else found


def _drawn_rows(
    population: Population, planned: Sequence[PlannedGroup], key: Sequence[str], draw: Draw, seed: int
) -> list[tuple[Any, ...]]:
    """Groups, key, text, context and probability of what is drawn."""
    n_groups = max(len(population.by), 1)
    listed = _numbered(n_groups)
    named = " || chr(31) || ".join(f"coalesce({name}, '')" for name in key)
    uniform = f"md5_number_lower('{int(seed)}' || chr(31) || {named}) / 18446744073709551616.0"
    typed = ", ".join(f"g{at} VARCHAR" for at in range(n_groups))
    population.query(f"CREATE OR REPLACE TEMP TABLE wanted ({typed}, take BIGINT, sieve DOUBLE)")
    marks = ", ".join(["?"] * (n_groups + 2))
    for group in planned:
        rough = group.n_to_label + _SAFETY * math.sqrt(group.n_to_label) + _SAFETY**2
        population.query(
            f"INSERT INTO wanted VALUES ({marks})", [*group.key, group.n_to_label, rough / group.n_sentences]
        )
    text = [name if name in population.columns else "NULL" for name in ("text", "context")]
    columns = ", ".join([listed, *key, f"{text[0]} AS said", f"{text[1]} AS before"])
    source = f"SELECT *, {uniform} AS u FROM ({_chances(population)}) JOIN wanted USING ({listed})"
    if draw == "uncertainty":
        return population.query(
            f"SELECT {columns}, least(1.0, take * chance) FROM ({source}) WHERE u < take * chance ORDER BY u "
            f"/ (take * chance), {', '.join(key)}"
        )
    return population.query(
        f"SELECT {columns}, least(1.0, take / n) FROM ({source}) WHERE u < sieve QUALIFY row_number() OVER "
        f"(PARTITION BY {listed} ORDER BY u) <= take ORDER BY md5(CAST(u AS VARCHAR))"
    )


def _drawn(
    row: tuple[Any, ...],
    key: Sequence[str],
    population: Population,
    wanted: dict[tuple[str, ...], PlannedGroup],
) -> DrawnRow:
    n_groups = max(len(population.by), 1)
    group, names = row[:n_groups], row[n_groups : n_groups + len(key)]
    text, context, probability = row[n_groups + len(key) :]
    return DrawnRow(
        dict(zip(key, map(str, names), strict=True)),
        dict(zip(population.by, group, strict=False)),
        text,
        context,
        float(probability),
        " / ".join(wanted[tuple(group)].key),
    )


def _with_context(population: Population, rows: Sequence[DrawnRow]) -> Iterator[DrawnRow]:
    """The rows with up to two sentences before each, from the same document."""
    before: dict[tuple[str, str], str] = {}
    wanted = [[(row.key["doc_id"], place) for place in _places(row)] for row in rows]
    pairs = sorted({pair for each in wanted for pair in each})
    if pairs and "text" in population.columns:
        documents, places = zip(*pairs, strict=True)
        table = pa.table({"document": list(documents), "place": list(places)})
        population.connection.register("near", table)
        found = population.query(
            "SELECT doc_id, place, text FROM every JOIN near ON doc_id = document AND sentence_index = place "
            "WHERE text IS NOT NULL"
        )
        population.connection.unregister("near")
        before = {(document, place): text for document, place, text in found}
    for row, near in zip(rows, wanted, strict=True):
        context = " ".join(before[pair] for pair in near if pair in before)
        yield replace(row, context=context or None)


def _places(row: DrawnRow) -> list[str]:
    """Indices of the two sentences before."""
    at = row.key.get("sentence_index", "")
    return [str(place) for place in range(max(0, int(at) - 2), int(at))] if at.isdigit() else []
