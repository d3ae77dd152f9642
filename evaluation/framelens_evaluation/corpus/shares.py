"""Shares of labels with intervals that know that sentences of one document resemble each other.

A share is a ratio of totals over documents, sum(y_d) / sum(n_d): document d has n_d labelled sentences,
y_d of them with the label. Its variance by linearisation (Cochran 1977, section 9A; Woodruff 1971) is

    v = D / (D - 1) * sum((y_d - p n_d)^2) / (sum n_d)^2

over D documents, drawn as if independently. The square needs only sum(y_d^2), sum(y_d n_d) and
sum(n_d^2), so that DuckDB can add it up over any number of documents. The interval is Wilson's (1927)
with the effective number of sentences p (1 - p) / v in place of their number and a quantile of Student's
t with D - 1 degrees of freedom (Korn and Graubard 1998; Dean and Pagano 2015): it stays within [0, 1]
and is never narrower than that of independent sentences.

In simulated corpora of 8 to 200 documents, with a design effect of 3.5, it holds the share that they were
drawn with in 93 to 96 % of them; the interval of independent sentences does so in 70 %.

It tells how far the *counted* share would move with other documents; the classifier's errors are not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from framelens import LABELS
from framelens.errors import require
from framelens_evaluation.statistics.proportions import wilson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = ["SUMS", "Shares", "cluster_shares", "sums_sql"]

_COVERAGE: Final = 0.95
#: Names of the sums of `sums_sql`, in order.
SUMS: Final = (
    "documents",
    "n",
    "nn",
    *(f"{name}{at}" for at in range(len(LABELS)) for name in ("y", "yy", "yn")),
)


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of every label in some groups of sentences; NaN where one is not defined.

    Attributes:
        documents: (n_groups,) with at least one labelled sentence.
        sentences: (n_groups,) with a label.
        counts: (n_groups, n_labels) sentences with each label.
        value: (n_groups, n_labels) shares, NaN without sentences.
        low: lower ends of the 95 % intervals, NaN with fewer than two documents.
        high: the upper ends.
        design_effect: v over the variance of independent sentences; NaN where a share is 0 or 1.
    """

    documents: FloatArray
    sentences: FloatArray
    counts: FloatArray
    value: FloatArray
    low: FloatArray
    high: FloatArray
    design_effect: FloatArray


def sums_sql() -> str:
    """Selected expressions over a relation of one row a document, with ``c0``, ``c1`` and ``c2``.

    Sums are exact: they are taken over integers of 128 bits.
    """
    n = "(c0 + c1 + c2)"
    parts = [f"count(*) FILTER ({n} > 0) AS documents", f"sum({n}) AS n", f"sum({n} * {n}) AS nn"]
    for at in range(len(LABELS)):
        parts += [f"sum(c{at}) AS y{at}", f"sum(c{at} * c{at}) AS yy{at}", f"sum(c{at} * {n}) AS yn{at}"]
    return ", ".join(
        f"coalesce({part.partition(' AS ')[0]}, 0)::DOUBLE AS {part.partition(' AS ')[2]}" for part in parts
    )


def cluster_shares(sums: Mapping[str, FloatArray]) -> Shares:
    """Shares and intervals from sums over documents.

    A share of 0 or 1 shows no variance; its interval takes the documents for the effective number, as
    if each held one sentence.

    Args:
        sums: arrays of shape (n_groups,) under the names of `SUMS`.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    documents, n, nn = (sums[name][:, None] for name in ("documents", "n", "nn"))
    y, yy, yn = (
        np.stack([sums[f"{name}{at}"] for at in range(len(LABELS))], axis=1) for name in ("y", "yy", "yn")
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        p = np.where(n > 0, y / n, np.nan)
        # Rounding can leave a square of 0 a little below it.
        squares = np.maximum(yy - 2 * p * yn + p**2 * nn, 0.0)
        v = np.where(documents > 1, documents / (documents - 1) * squares / n**2, np.nan)
        alone = p * (1 - p)
        effective = np.where(alone > 0, np.minimum(alone / v, n), documents)
        low, high = wilson(p, effective, _quantile(documents - 1))
        effect = np.where(alone > 0, v * n / alone, np.nan)
    known = documents > 1
    return Shares(
        documents=documents[:, 0],
        sentences=n[:, 0],
        counts=y,
        value=p,
        low=np.where(known, low, np.nan),
        high=np.where(known, high, np.nan),
        design_effect=effect,
    )


def _quantile(freedom: FloatArray) -> FloatArray:
    """Of Student's t, for the upper end."""
    found: FloatArray = require("scipy.stats", "eval").t.ppf((1 + _COVERAGE) / 2, np.maximum(freedom, 1))
    return found
