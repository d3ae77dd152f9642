"""How much better a system does on some sentences than on others, and whether that can be chance.

Two sets of sentences differ in how many of each label they hold, and a system is better at some labels
than at others; so neither macro-F1 nor accuracy can be compared between them. What is compared here is
recall label by label, combined over the labels with the weights of Mantel and Haenszel (1959; as a
difference, Greenland and Robins 1985). This *gap* is the difference in accuracy at one mix of labels. It
is also defined where a set has one label only.

Two score tests of a gap of 0 are made, and the larger p-value is kept. Both take sentences of one article
as dependent, and neither divides by the standard error of the gap, which is far too small where a set is
wholly right or wrong.

* One has the variance that a gap of 0 implies, with the correlation within articles estimated from all
  the data (Donald and Donner 1987). By itself, it trusts that the set's articles vary as all do.
* The other has the variance of the articles' own contributions (Zhang and Boos 1997; Begg 1999), whatever
  they vary by. By itself, it takes a few dozen sentences that are all right for proof. It keeps the statistic
  below about the square root of the number of articles, so that few of them give no very small p-value.

The p-values come from the normal distribution and not from counting resamples, because a thousand of them
cannot give one small enough to be corrected for a hundred tests.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens_evaluation.statistics.metrics import NO_LABEL, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["gap_p_values", "label_adjusted_gap"]


def label_adjusted_gap(inside: npt.NDArray[Any], outside: npt.NDArray[Any]) -> FloatArray:
    """Difference in accuracy at one mix of labels: the Mantel-Haenszel mean of differences in recall.

    A label with n sentences inside and m outside has the weight nm / (n + m).

    Args:
        inside: confusion counts, shape (..., n_labels, n_labels + 1).
        outside: the same shape.

    Returns:
        Shape (...,), in [-1, 1]; NaN where no label occurs in both.
    """
    n, m = inside.sum(-1), outside.sum(-1)
    hits, other_hits = (
        np.diagonal(counts[..., :NO_LABEL], axis1=-2, axis2=-1) for counts in (inside, outside)
    )
    both = np.where(n + m > 0, n + m, 1)
    return ratio(((hits * m - other_hits * n) / both).sum(-1), (n * m / both).sum(-1))


def gap_p_values(
    masks: Sequence[npt.NDArray[np.bool_]],
    gold: IntArray,
    given: IntArray,
    codes: IntArray,
    n_articles: int,
) -> list[float]:
    """Two-sided p-values for a `label_adjusted_gap` of 0, not corrected; see the module.

    Args:
        masks: n_slices arrays of shape (n_sentences,), the sentences of each slice.
        gold: shape (n_sentences,), places in `LABELS`.
        given: the same shape; `NO_LABEL` counts as wrong.
        codes: the same shape, articles as numbers below ``n_articles``.
        n_articles: how many there are.

    Returns:
        In [0, 1]; 1 where nothing varies, as where every sentence is right.
    """
    of_label = np.stack([gold == label for label in range(NO_LABEL)], axis=1).astype(np.float64)
    right = (given == gold).astype(np.float64)
    n_of_label = of_label.sum(0)
    recall = ratio(of_label.T @ right, n_of_label)[gold]
    # What is left of being right once the label is known, and its standard deviation without a gap.
    surplus, deviation = right - recall, np.sqrt(recall * (1 - recall))
    correlation = _correlation(surplus, deviation, codes, n_articles)
    found = []
    for mask in masks:
        share = ratio(of_label[mask].sum(0), n_of_label)[gold]
        weight = mask - share
        shares_of_gap = np.bincount(codes, weights=weight * surplus, minlength=n_articles)
        own = float((shares_of_gap**2).sum())
        spread = weight * deviation
        singly = float((spread**2).sum())
        by_article = np.bincount(codes, weights=spread, minlength=n_articles)
        implied = singly + correlation * (float((by_article**2).sum()) - singly)
        variance = max(own, implied)
        z = abs(float(shares_of_gap.sum())) / math.sqrt(variance) if variance > 0 else 0.0
        found.append(math.erfc(z / math.sqrt(2)))
    return found


def _correlation(surplus: FloatArray, deviation: FloatArray, codes: IntArray, n_articles: int) -> float:
    """Of being right, between sentences of one article: the mean over pairs, in [0, 1]."""
    varies = deviation > 0
    codes = codes[varies]
    scaled = surplus[varies] / deviation[varies]
    squares = np.bincount(codes, weights=scaled, minlength=n_articles) ** 2
    n = np.bincount(codes, minlength=n_articles)
    n_pairs = float((n * (n - 1)).sum())
    if not n_pairs:
        return 0.0
    return min(1.0, max(0.0, float(squares.sum() - (scaled**2).sum()) / n_pairs))
