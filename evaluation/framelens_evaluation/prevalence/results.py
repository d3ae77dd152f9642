"""What an estimate of shares reports, typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from framelens import LABELS, Label
from framelens_evaluation.reporting.provenance import Part, Provenance
from framelens_evaluation.statistics.metrics import number

if TYPE_CHECKING:
    from framelens_evaluation.prevalence.estimators import Shares

__all__ = [
    "METHODS",
    "METHOD_NAMES",
    "Estimate",
    "GroupEstimates",
    "Method",
    "Prevalence",
    "Rectifier",
    "estimates_of",
]

Method = Literal["plain_count", "adjusted_count", "prediction_powered", "gold_only"]
METHODS: tuple[Method, ...] = ("prediction_powered", "gold_only", "adjusted_count", "plain_count")
METHOD_NAMES: dict[Method, str] = {
    "prediction_powered": "prediction-powered",
    "gold_only": "gold only",
    "adjusted_count": "adjusted count",
    "plain_count": "plain count",
}
#: Whose gold rows correct a group: its own, those of all groups, or none.
Rectifier = Literal["own", "borrowed", "none"]


class Estimate(Part):
    """A share and its interval; None where it is not defined."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None:
            return "n/a"
        shown = f"{self.value:.1%}"
        return (
            shown if self.low is None or self.high is None else f"{shown} [{self.low:.1%}, {self.high:.1%}]"
        )


def estimates_of(shares: Shares) -> dict[Label, Estimate]:
    """Arrays as reported values."""
    return {
        label: Estimate(value=number(value), low=number(low), high=number(high))
        for label, value, low, high in zip(LABELS, shares.value, shares.low, shares.high, strict=True)
    }


class GroupEstimates(Part):
    """The shares in one group.

    Attributes:
        key: values of the group columns; empty for the whole corpus.
        n_sentences: labelled sentences of the group.
        n_gold: gold rows of the group.
        n_clusters: clusters among them.
        rectifier: whose gold rows the prediction-powered estimate is corrected by.
        tuning: its λ; None without such an estimate.
        shares: by method and label.
    """

    key: tuple[str, ...]
    n_sentences: int
    n_gold: int
    n_clusters: int
    rectifier: Rectifier
    tuning: float | None
    shares: dict[Method, dict[Label, Estimate]]


class Prevalence(Part):
    """Shares of labels in a corpus and its groups.

    Attributes:
        by: the group columns.
        level: of the intervals.
        prediction: whether the probability or the label was the prediction.
        n_rows: sentences in the tables.
        n_sentences: those with a predicted label, among which the shares are.
        without_label: the others, by status.
        n_gold: gold rows used.
        n_gold_out_of_scope: those of them that were judged out of the codebook's scope.
        n_gold_skipped: rows of the gold file without a gold label, left out.
        n_gold_without_prediction: gold rows whose sentence got no label from the model, left out.
        n_gold_clusters: clusters among the gold rows.
        clustered_by: column that names them; None where each sentence counts by itself.
        uniform: whether gold is assumed to be a simple random sample.
        min_gold: gold rows below which a group is not corrected by its own.
        warnings: what a reader must know before the shares are used.
        overall: the whole corpus.
        groups: in ascending order of their keys; empty without group columns.
        provenance: where the figures come from.
    """

    schema_version: Literal[1] = 1
    by: tuple[str, ...]
    level: float
    prediction: Literal["probability", "label"]
    n_rows: int
    n_sentences: int
    without_label: dict[str, int]
    n_gold: int
    n_gold_out_of_scope: int
    n_gold_skipped: int
    n_gold_without_prediction: int
    n_gold_clusters: int
    clustered_by: str | None
    uniform: bool
    min_gold: int
    warnings: tuple[str, ...]
    overall: GroupEstimates
    groups: tuple[GroupEstimates, ...]
    provenance: Provenance
