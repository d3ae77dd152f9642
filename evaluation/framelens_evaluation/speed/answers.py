"""What systems answered: as arrays, beside one another, and against gold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens import LABELS, Label
from framelens_evaluation.speed.result import Agreement, Quality
from framelens_evaluation.statistics.bootstrap import bootstrap, cluster_codes, cluster_confusions
from framelens_evaluation.statistics.metrics import NO_LABEL, encode_labels, macro_f1
from framelens_evaluation.statistics.proportions import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pyarrow as pa

    from framelens_evaluation.statistics.bootstrap import Resampling
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["Answers", "agreement", "of_path", "of_pipeline", "qualities"]


@dataclass(frozen=True, eq=False)
class Answers:
    """Labels of sentences, in their order.

    Attributes:
        given: shape (n_sentences,), places in `LABELS`; `NO_LABEL` where none was given.
        probabilities: shape (n_sentences, n_labels); NaN where none was given.
    """

    given: IntArray
    probabilities: FloatArray

    @property
    def n_unlabelled(self) -> int:
        """Sentences without a label."""
        return int((self.given == NO_LABEL).sum())

    def take(self, places: Sequence[int]) -> Answers:
        """Those of some sentences."""
        return Answers(self.given[places], self.probabilities[places])


def of_path(table: pa.Table) -> Answers:
    """The rows that `framelens label` has written, sorted by ``doc_id``."""
    labels = [None if name is None else Label(name) for name in table["label"].to_pylist()]
    columns = [np.array(table[f"p_{label}"].to_pylist(), dtype=np.float64) for label in LABELS]
    return Answers(encode_labels(labels), np.stack(columns, axis=1))


def of_pipeline(path: Path) -> Answers:
    """The rows that `framelens_evaluation.speed.peer` has written: one label and its probability each."""
    with path.open(encoding="utf-8") as lines:
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    given = encode_labels([Label(row["label"]) for row in rows])
    probabilities = np.full((len(rows), len(LABELS)), np.nan)
    probabilities[np.arange(len(rows)), given] = [row["score"] for row in rows]
    return Answers(given, probabilities)


def agreement(found: Answers, reference: Answers) -> Agreement:
    """Labels beside those of the reference, on the same sentences."""
    both = (found.given != NO_LABEL) & (reference.given != NO_LABEL)
    n, same = int(both.sum()), int((found.given == reference.given)[both].sum())
    low, high = wilson(same / n, n) if n else (None, None)
    apart = np.abs(found.probabilities - reference.probabilities)[both]
    known = apart[~np.isnan(apart)]
    return Agreement(
        n_compared=n,
        n_same=same,
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        largest_difference=float(known.max()) if len(known) else None,
    )


def qualities(
    answers: dict[str, Answers],
    gold: Sequence[Label],
    articles: Sequence[str],
    how: Resampling,
    *,
    default: str = "default",
) -> dict[str, Quality]:
    """Macro-F1 of several systems, and what each has more than the default, from the same resamples.

    Args:
        answers: of each system, on the gold sentences.
        gold: their labels.
        articles: their articles, which are resampled.
        how: seed and number of resamples.
        default: the system that the others are held against; its name need not be among them.
    """
    codes, n_articles = cluster_codes(list(articles))
    truth = encode_labels(list(gold))
    counts = {
        name: cluster_confusions(truth, found.given, codes, n_articles) for name, found in answers.items()
    }
    result = {}
    for name, own in counts.items():
        difference = None
        if name != default and default in counts:
            both = np.stack([own, counts[default]], axis=1)
            difference = bootstrap(both, _difference, how.n_resamples, how.rng(0))
        score = bootstrap(own, macro_f1, how.n_resamples, how.rng(0))
        result[name] = Quality(macro_f1=score, difference=difference)
    return result


def _difference(counts: FloatArray) -> FloatArray:
    """From (..., 2, n_labels, n_labels + 1): macro-F1 of the first less that of the second."""
    return macro_f1(counts[..., 0, :, :]) - macro_f1(counts[..., 1, :, :])
