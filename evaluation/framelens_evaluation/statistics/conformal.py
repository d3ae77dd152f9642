"""Sets of labels that hold the right one with a promised frequency: split conformal prediction.

Half of the articles calibrate a threshold, the other half measure it, over many random halvings. A set has
every label whose probability reaches the threshold (least ambiguous sets; Sadinle et al. 2019). Among
rules of equal coverage that one gives the smallest sets, which is what matters where a set of one label is
used and a larger one goes to a reader; adaptive sets (Romano et al. 2020) even out coverage over easy
and hard sentences at the price of larger ones. Whether that is a loss here is seen from the coverage
by label.

The promise rests on exchangeability, which holds between articles at best and not between the sentences
of one: on new articles of the same kind coverage is right on average, and nothing is promised for a
single article, another outlet or another time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS, InputError, Label
from framelens_evaluation.reporting.provenance import Part
from framelens_evaluation.statistics.bootstrap import Spread, cluster_codes

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import numpy.typing as npt

    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["NOMINAL", "Conformal", "ConformalLevel", "conformal_sets", "set_threshold"]

#: Coverages that are promised.
NOMINAL = (0.80, 0.90, 0.95)


class ConformalLevel(Part):
    """Sets of one promised coverage; every range is the smallest and the largest of the halvings.

    Attributes:
        nominal: share of the sentences whose set is to hold their gold label.
        coverage: the share whose set does.
        coverage_by_label: mean share over halvings, by gold label; None for a label that does not occur.
        mean_size: labels in a set.
        shares: mean shares of the sentences with a set of no label, one, two and all three.
        accuracy_of_single: share of the sets of one label that hold the right one.
    """

    nominal: float
    coverage: Spread
    coverage_by_label: dict[Label, float | None]
    mean_size: Spread
    shares: tuple[float, float, float, float]
    accuracy_of_single: Spread


class Conformal(Part):
    """Split conformal sets of labels.

    Attributes:
        n_sentences: sentences that have probabilities.
        n_articles: their articles, halved again and again.
        n_splits: how often.
        levels: by promised coverage.
    """

    n_sentences: int
    n_articles: int
    n_splits: int
    levels: tuple[ConformalLevel, ...]


def set_threshold(scores: FloatArray, nominal: float) -> float:
    """The score up to which a label is in the set: the ⌈(n + 1) nominal⌉-th smallest.

    Args:
        scores: shape (n_calibration,), 1 less the probability of each gold label.
        nominal: the coverage promised, in (0, 1).

    Returns:
        Infinity where there are too few scores to promise it: every label is in the set then.
    """
    # Rounded, since 0.95 * 20 is a little more than 19.
    rank = math.ceil(round((len(scores) + 1) * nominal, 9))
    return float(np.partition(scores, rank - 1)[rank - 1]) if rank <= len(scores) else math.inf


def conformal_sets(
    gold: IntArray,
    probabilities: FloatArray,
    clusters: Sequence[Hashable],
    rng: np.random.Generator,
    *,
    nominal: Sequence[float] = NOMINAL,
    n_splits: int = 50,
) -> Conformal | None:
    """Measure conformal sets on halves of the articles.

    Args:
        gold: shape (n_sentences,), places in `LABELS`.
        probabilities: shape (n_sentences, n_labels); sentences with a row of NaN are left out.
        clusters: articles of the sentences, by any name.
        rng: halves the articles.
        nominal: coverages to promise, each in (0, 1).
        n_splits: halvings, at least 1.

    Returns:
        None with fewer than two articles that have probabilities.

    Raises:
        InputError: ``nominal`` or ``n_splits`` is out of range.
    """
    if n_splits < 1 or not all(0.0 < level < 1.0 for level in nominal):
        raise InputError(
            f"n_splits must be at least 1 and nominal coverages within 0 and 1, got {n_splits} and "
            f"{', '.join(map(str, nominal))}"
        )
    known = np.flatnonzero(~np.isnan(probabilities).any(-1))
    gold, scores = gold[known], 1.0 - probabilities[known]
    codes, n_articles = cluster_codes([clusters[at] for at in known.tolist()])
    if n_articles < 2:
        return None
    of_gold = scores[np.arange(len(gold)), gold]
    found: list[list[FloatArray]] = [[] for _ in nominal]
    for _ in range(n_splits):
        calibrates = np.zeros(n_articles, dtype=bool)
        calibrates[rng.permutation(n_articles)[: n_articles // 2]] = True
        chosen = calibrates[codes]
        for measured, level in zip(found, nominal, strict=True):
            threshold = set_threshold(of_gold[chosen], level)
            measured.append(_measure(scores[~chosen] <= threshold, gold[~chosen]))
    return Conformal(
        n_sentences=len(gold),
        n_articles=n_articles,
        n_splits=n_splits,
        levels=tuple(
            _level(level, np.stack(measured)) for level, measured in zip(nominal, found, strict=True)
        ),
    )


def _measure(sets: npt.NDArray[np.bool_], gold: IntArray) -> FloatArray:
    """Coverage, mean size, accuracy of single sets, shares of sizes 0 to 3, and coverage by label."""
    size, holds = sets.sum(-1), sets[np.arange(len(gold)), gold]
    single = size == 1
    by_label = [holds[gold == at].mean() if (gold == at).any() else np.nan for at in range(len(LABELS))]
    shares = np.bincount(size, minlength=len(LABELS) + 1) / len(gold)
    right = holds[single].mean() if single.any() else np.nan
    return np.array([holds.mean(), size.mean(), right, *shares, *by_label])


def _level(nominal: float, measured: FloatArray) -> ConformalLevel:
    """From shape (n_splits, 10), the columns as `_measure` gives them."""
    whole = (0.0, 100.0)
    labels = [Spread.of(measured[:, 7 + at]).mean for at in range(len(LABELS))]
    empty, single, double, triple = (float(share) for share in measured[:, 3:7].mean(0))
    return ConformalLevel(
        nominal=nominal,
        coverage=Spread.of(measured[:, 0], whole),
        coverage_by_label=dict(zip(LABELS, labels, strict=True)),
        mean_size=Spread.of(measured[:, 1], whole),
        shares=(empty, single, double, triple),
        accuracy_of_single=Spread.of(measured[:, 2], whole),
    )
