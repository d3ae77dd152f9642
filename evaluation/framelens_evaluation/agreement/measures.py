"""How far judges agree, and what that leaves a model to reach.

Everything is a function of counts that add up over sentences, so that intervals come from resampling
articles, or single sentences where articles are not known; for alpha and kappa that bootstrap was found to
cover well (Zapf et al. 2016). Values that a judge did not give are missing: a sentence counts with the
judges that it has, and not at all with fewer than two.

Counts of a sentence, over the pairs of its judges, have the shape (n_values, n_values); see `pair_counts`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import InputError
from framelens_evaluation.statistics.bootstrap import Interval, cluster_confusions, cluster_sums, resample
from framelens_evaluation.statistics.metrics import NO_LABEL, macro_f1, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from framelens_evaluation.statistics.bootstrap import Resampling
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = [
    "Ceiling",
    "agreed_share",
    "alpha_counts",
    "cohen_kappa",
    "in_blocks",
    "judge_ceiling",
    "krippendorff_alpha",
    "nominal_alpha",
    "pair_confusions",
    "pair_counts",
    "specific_agreement",
    "sums_by_cluster",
]

#: Resamples whose counts are held at once; with many judges all of them would not fit into memory.
_BLOCK = 200


def pair_counts(codes: IntArray, n_values: int) -> FloatArray:
    """Values of each sentence over the ordered pairs of its judges.

    Args:
        codes: shape (n_items, n_judges), in [0, n_values); negative where a value is missing.
        n_values: how many values there are.

    Returns:
        Shape (n_items, n_values, n_values), symmetric; a sentence of m judges has m (m - 1) pairs.
    """
    counts = (codes[:, :, None] == np.arange(n_values)).sum(1).astype(np.float64)
    pairs: FloatArray = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(n_values)
    return pairs


def alpha_counts(codes: IntArray, n_values: int) -> FloatArray:
    """Coincidences of each sentence: its pairs, weighted so that each value counts once.

    Krippendorff (2004, section 11.3): a pair of a sentence with m values counts 1 / (m - 1).

    Args:
        codes: see `pair_counts`.
        n_values: how many values there are.

    Returns:
        Shape (n_items, n_values, n_values); zeros for a sentence with fewer than two values.
    """
    n_given = ((codes >= 0) & (codes < n_values)).sum(1)
    weighted: FloatArray = pair_counts(codes, n_values) / np.maximum(n_given - 1, 1)[:, None, None]
    return weighted


def nominal_alpha(coincidences: npt.NDArray[Any]) -> FloatArray:
    """Krippendorff's alpha for nominal values (Krippendorff 2004, section 11.3).

    Args:
        coincidences: shape (..., n_values, n_values), sums of `alpha_counts`.

    Returns:
        Shape (...,), at most 1, and 0 where judges agree as often as chance would have it; NaN where
        fewer than two different values occur, since agreement on the only value is no evidence.
    """
    by_value = coincidences.sum(-1)
    n = by_value.sum(-1)
    observed = n - np.trace(coincidences, axis1=-2, axis2=-1)
    expected = n**2 - (by_value**2).sum(-1)
    # Sums of fractions such as 1/3 leave an expected disagreement of 1e-14 where there is none.
    expected = np.where(expected > 1e-9 * np.maximum(n**2, 1.0), expected, 0.0)
    return 1.0 - ratio((n - 1) * observed, expected)


def agreed_share(pairs: npt.NDArray[Any]) -> FloatArray:
    """Share of pairs of judgements that agree: (..., n_values, n_values) to (...,); NaN without pairs."""
    return ratio(np.trace(pairs, axis1=-2, axis2=-1), pairs.sum((-2, -1)))


def specific_agreement(pairs: npt.NDArray[Any]) -> FloatArray:
    """Agreement on each value: given one judge's, how often another gives it too.

    For two judges this is twice the joint count over the sum of both counts (Spitzer and Fleiss 1974;
    Cicchetti and Feinstein 1990), which is also the F1 of one against the other.

    Args:
        pairs: shape (..., n_values, n_values), sums of `pair_counts` or of a confusion; need not be
            symmetric.

    Returns:
        Shape (..., n_values); NaN for a value that nobody gave.
    """
    both = 2 * np.diagonal(pairs, axis1=-2, axis2=-1)
    return ratio(both, pairs.sum(-1) + pairs.sum(-2))


def cohen_kappa(confusion: npt.NDArray[Any]) -> FloatArray:
    """Cohen's kappa of two judges (Cohen 1960).

    Args:
        confusion: shape (..., n_values, n_values), one judge's values by the other's.

    Returns:
        Shape (...,); NaN where both gave one and the same value only.
    """
    n = confusion.sum((-2, -1))
    agreed = np.trace(confusion, axis1=-2, axis2=-1) * n
    by_chance = (confusion.sum(-1) * confusion.sum(-2)).sum(-1)
    return ratio(agreed - by_chance, n**2 - by_chance)


def krippendorff_alpha(codes: IntArray, n_values: int) -> float | None:
    """Alpha of nominal values; see `nominal_alpha`.

    Args:
        codes: see `pair_counts`.
        n_values: how many values there are.

    Returns:
        At most 1; None where it is not defined.
    """
    value = float(nominal_alpha(alpha_counts(codes, n_values).sum(0)))
    return None if np.isnan(value) else value


def pair_confusions(first: IntArray, second: IntArray, n_values: int) -> FloatArray:
    """One judge's value by the other's, for each sentence that both judged; zeros for the others.

    Args:
        first: shape (n_items,), in [0, n_values); negative where missing.
        second: the same shape.
        n_values: how many values there are.

    Returns:
        Shape (n_items, n_values, n_values).
    """
    values = np.arange(n_values)
    found: FloatArray = (
        (first[:, None, None] == values[:, None]) & (second[:, None, None] == values[None, :])
    ).astype(np.float64)
    return found


@dataclass(frozen=True, slots=True)
class Ceiling:
    """One judge scored against another as a system is scored against gold.

    Attributes:
        n_items: sentences that two judges gave a label.
        macro_f1: mean over the pairs of judges and both directions, with an interval by article.
        directions: (judged, taken as gold, macro-F1) for each ordered pair of judges.
        model: mean macro-F1 of a model against either judge of each pair on the same sentences; None
            without a model.
        difference: ``model`` less ``macro_f1`` on the same resamples; None without a model.
    """

    n_items: int
    macro_f1: Interval
    directions: tuple[tuple[str, str, Interval], ...]
    model: Interval | None = None
    difference: Interval | None = None


def judge_ceiling(
    codes: IntArray,
    judges: Sequence[str],
    clusters: IntArray,
    n_clusters: int,
    how: Resampling,
    *,
    model: IntArray | None = None,
    stream: int = 0,
) -> Ceiling:
    """Macro-F1 of judges against each other, and of a model against the same judges.

    A model fitted to such judgements cannot be expected to agree with a judge better than another judge
    does, and a figure above this one is no proof of being better than a judge. Each pair of judges is
    scored on the sentences to which both gave a label, in both directions: these differ only where one of
    the two never gave a label. The model is scored against both judges of a pair, on the same sentences.

    Args:
        codes: shape (n_items, n_judges), places in `LABELS`; anything else counts as missing.
        judges: their names.
        clusters: shape (n_items,), numbers below ``n_clusters``.
        n_clusters: how many articles there are.
        how: how to make the intervals.
        model: shape (n_items,), places in `LABELS`, `NO_LABEL` where it gave none, which counts as wrong.
        stream: of the random numbers.

    Raises:
        InputError: the shapes do not fit each other.
    """
    n_items, n_judges = codes.shape
    if len(judges) != n_judges or len(clusters) != n_items or (model is not None and len(model) != n_items):
        raise InputError("judge_ceiling needs one name a judge, and one cluster and one answer an item")
    labelled = (codes >= 0) & (codes < NO_LABEL)
    pairs = list(combinations(range(n_judges), 2))
    shared = [labelled[:, i] & labelled[:, j] for i, j in pairs]
    sums = []
    for (i, j), both in zip(pairs, shared, strict=True):
        given = [(codes[both, i], codes[both, j]), (codes[both, j], codes[both, i])]
        if model is not None:
            given += [(codes[both, i], model[both]), (codes[both, j], model[both])]
        sums.append(np.stack([cluster_confusions(g, a, clusters[both], n_clusters) for g, a in given], 1))
    if not sums:
        return Ceiling(0, Interval(None, None, None), ())
    counts = np.stack(sums, axis=1)  # (n_clusters, n_pairs, 2 or 4, n_labels, n_labels + 1)
    counts = counts[counts.sum((1, 2, 3, 4)) > 0]  # articles without such a sentence tell nothing
    value = macro_f1(counts.sum(0))
    draws = in_blocks(counts, macro_f1, how, stream)
    used = [len(np.unique(clusters[both])) for both in shared]
    n_used = len(counts)
    directions = tuple(
        (judges[judged], judges[gold], Interval.of(value[p, way], draws[:, p, way], used[p]))
        for p, (i, j) in enumerate(pairs)
        for way, (judged, gold) in enumerate(((j, i), (i, j)))
    )
    ceiling, ceiling_draws = _mean(value[:, :2]), _mean(draws[..., :2])
    found = Ceiling(
        int(np.any(shared, axis=0).sum()), Interval.of(ceiling, ceiling_draws, n_used), directions
    )
    if model is None:
        return found
    of_model, model_draws = _mean(value[:, 2:]), _mean(draws[..., 2:])
    return Ceiling(
        found.n_items,
        found.macro_f1,
        directions,
        Interval.of(of_model, model_draws, n_used),
        Interval.of(of_model - ceiling, model_draws - ceiling_draws, n_used),
    )


def _mean(values: npt.NDArray[Any]) -> FloatArray:
    """Mean over the last two axes of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum((-2, -1)), defined.sum((-2, -1)))


def in_blocks(
    sums: FloatArray, statistic: Callable[[npt.NDArray[Any]], FloatArray], how: Resampling, stream: int
) -> FloatArray:
    """A statistic on resamples, of which only a block is in memory at a time.

    Args:
        sums: shape (n_clusters, ...), counts by cluster.
        statistic: from counts of shape (n, ...) to shape (n, ...).
        how: how many resamples, and the seed.
        stream: of the random numbers.

    Returns:
        Shape (n_resamples, ...).
    """
    rng = how.rng(stream)
    blocks = [
        statistic(resample(sums, min(_BLOCK, how.n_resamples - begin), rng))
        for begin in range(0, how.n_resamples, _BLOCK)
    ]
    return np.concatenate(blocks)


def sums_by_cluster(counts: FloatArray, clusters: IntArray, n_clusters: int) -> FloatArray:
    """Counts of sentences added up by cluster; clusters without any are left out.

    Args:
        counts: shape (n_items, ...).
        clusters: shape (n_items,), numbers below ``n_clusters``.
        n_clusters: how many there are.

    Returns:
        Shape (n_clusters_left, ...).
    """
    sums = cluster_sums(counts, clusters, n_clusters)
    kept: FloatArray = sums[sums.reshape(len(sums), -1).sum(1) > 0]
    return kept
