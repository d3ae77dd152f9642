"""The report on shares, and the table for further work."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from framelens import LABELS
from framelens_evaluation.prevalence.charts import share_figures
from framelens_evaluation.prevalence.results import METHOD_NAMES, METHODS
from framelens_evaluation.reporting.document import Callout, Cell, Document, Section, Table, Text
from framelens_evaluation.reporting.figures import LABEL_NAMES
from framelens_evaluation.reporting.provenance import provenance_section

if TYPE_CHECKING:
    from framelens import Label
    from framelens_evaluation.prevalence.results import Estimate, GroupEstimates, Prevalence, Rectifier
    from framelens_evaluation.reporting.document import Block

__all__ = ["estimates_csv", "prevalence_document"]

_FOLDED_AFTER = 30
_CORRECTED: dict[Rectifier, Cell] = {
    "own": Cell("own"),
    "borrowed": Cell("borrowed", tone="warn"),
    "none": Cell("none", tone="bad"),
}


def prevalence_document(result: Prevalence) -> Document:
    """The report."""
    best = result.overall.shares["prediction_powered"]
    level = f"{result.level:.0%}"
    headline = [_headline(label, best[label]) for label in LABELS]
    headline.append((f"{result.n_gold:,}", f"gold rows, for {result.n_sentences:,} sentences"))
    borrowed = sum(group.rectifier == "borrowed" for group in result.groups)
    return Document(
        title="Shares of labels, corrected for the model's errors",
        lead=(
            f"Shares among the {result.n_sentences:,} sentences that the model gave a label. Predictions on "
            f"all of them are corrected by {result.n_gold:,} sentences labelled by hand; every interval is "
            f"at {level}."
        ),
        headline=tuple(headline),
        sections=(
            Section("Whole corpus", tuple(_overall(result))),
            *(
                (Section(f"By {' and '.join(result.by)}", tuple(_groups(result, borrowed))),)
                if result.groups
                else ()
            ),
            Section("What stands behind a figure", tuple(_methods(result, borrowed))),
            provenance_section(result.provenance),
        ),
    )


def _headline(label: Label, share: Estimate) -> tuple[str, str]:
    if share.value is None:
        return "n/a", str(label)
    bounds = "" if share.low is None else f", {share.low:.1%} to {share.high:.1%}"
    return f"{share.value:.1%}", f"{label}{bounds}"


def _overall(result: Prevalence) -> list[Block]:
    blocks: list[Block] = [Callout(warning, "warn") for warning in result.warnings]
    rows = [
        (METHOD_NAMES[method], *(Cell(str(result.overall.shares[method][label])) for label in LABELS))
        for method in METHODS
    ]
    blocks.append(
        Table(
            ("method", *(LABEL_NAMES[label] for label in LABELS)),
            tuple(rows),
            "Use the prediction-powered share. The plain count's interval is that of counting, as if no "
            "label were wrong: it is shown because it is what is usually printed, and need not hold the true "
            "share.",
        )
    )
    if not result.groups:
        blocks += share_figures(result)
    return blocks


def _groups(result: Prevalence, borrowed: int) -> list[Block]:
    blocks: list[Block] = []
    if borrowed:
        blocks.append(
            Callout(
                f"{borrowed:,} of {len(result.groups):,} groups have fewer than {result.min_gold} gold rows "
                "and are **borrowed**: corrected by the mean error over all gold rows, which assumes that "
                "the model errs by the same amount in these groups as in all together. Their intervals do "
                "not cover a violation of that.",
                "warn",
            )
        )
    without = sum(group.rectifier == "none" for group in result.groups)
    if without:
        blocks.append(Callout(f"{without:,} groups have too few gold rows for an estimate (n/a).", "warn"))
    blocks += share_figures(result)
    blocks.append(
        Table(
            (*result.by, "sentences", "gold", "correction", *(LABEL_NAMES[label] for label in LABELS)),
            tuple(_main_row(group) for group in result.groups),
            "Prediction-powered shares.",
            searchable=len(result.groups) > 10,
            folded_after=_FOLDED_AFTER,
        )
    )
    blocks.append(
        Table(
            (*result.by, "label", *(METHOD_NAMES[method] for method in METHODS)),
            tuple(
                (
                    *group.key,
                    LABEL_NAMES[label],
                    *(Cell(str(group.shares[method][label])) for method in METHODS),
                )
                for group in result.groups
                for label in LABELS
            ),
            "All methods side by side.",
            searchable=len(result.groups) > 10,
            folded_after=_FOLDED_AFTER,
        )
    )
    return blocks


def _main_row(group: GroupEstimates) -> tuple[object, ...]:
    shares = group.shares["prediction_powered"]
    counts = (f"{group.n_sentences:,}", group.n_gold)
    return (*group.key, *counts, _CORRECTED[group.rectifier], *(str(shares[label]) for label in LABELS))


def _methods(result: Prevalence, borrowed: int) -> list[Block]:
    units = (
        f"{result.n_gold_clusters:,} {result.clustered_by}s" if result.clustered_by else "single sentences"
    )
    drawn = (
        "No inclusion probabilities were given: the gold rows are **taken for a simple random sample** of "
        "the corpus. If they are not one, the shares are wrong."
        if result.uniform
        else "The gold rows are weighted by the inverse of their inclusion probabilities."
    )
    scope = (
        f" {result.n_gold_out_of_scope:,} gold rows were judged out of the codebook's scope; the shares are "
        "among sentences within it."
        if result.n_gold_out_of_scope
        else ""
    )
    left_out = [f"{count:,} {status}" for status, count in result.without_label.items()]
    told = f" Without a label, and so outside the shares: {', '.join(left_out)}." if left_out else ""
    predicted = (
        "the label's calibrated probability"
        if result.prediction == "probability"
        else "1 for the predicted label"
    )
    rows: list[tuple[object, ...]] = [
        (
            "prediction-powered",
            f"Mean prediction over all sentences ({predicted}), plus the weighted mean over gold rows of "
            "gold minus prediction. One factor λ in [0, 1] on the predictions is tuned to the least variance "
            "(PPI++); 0 would ignore them. In survey sampling this is the difference estimator.",
            "Gold rows drawn at random with the probabilities given. Nothing about the model.",
        ),
        ("gold only", "Weighted shares among gold rows (Hájek).", "The same."),
        (
            "adjusted count",
            "The shares that, put through the model's confusion matrix on all gold rows, give the predicted "
            "shares; least squares on the simplex, intervals by bootstrap of gold clusters and of errors.",
            "The error rates are equal in every group (prior shift only).",
        ),
        ("plain count", "Predicted labels, counted. Binomial interval.", "The model makes no error."),
    ]
    blocks: list[Block] = [
        Table(("method", "what it is", "what it assumes"), tuple(rows)),
        Text(f"**Gold.** {result.n_gold:,} rows; variance over {units}. {drawn}{scope}{_left_out(result)}"),
        Text(f"**Corpus.** {result.n_rows:,} rows, {result.n_sentences:,} with a label.{told}"),
        Text(
            "**Intervals** are for the share in this corpus, not for the outlets in general: where most of "
            "the corpus is gold they are narrow (finite population correction). They are Wilson intervals "
            "with the design's effective sample size and a quantile of t; the correlation of gold and "
            "prediction is shrunk by half a sentence of the rarer outcome, so that a sample without an error "
            "in it does not claim that there is none. They hold one at a time, not all at once."
        ),
    ]
    if borrowed:
        blocks.append(
            Text(
                "**Borrowed** groups use the mean error and λ of all gold rows; their intervals add the "
                "chance by which a group of their size departs from it. To correct a group by its own gold, "
                f"label {result.min_gold} of its sentences: `framelens-eval prevalence LABELLED --by … "
                "--plan 0.05` draws them."
            )
        )
    return blocks


def _left_out(result: Prevalence) -> str:
    """Rows of the gold file that stand behind no share."""
    parts = []
    if result.n_gold_without_prediction:
        parts.append(f"{result.n_gold_without_prediction:,} whose sentence the model gave no label")
    if result.n_gold_skipped:
        parts.append(f"{result.n_gold_skipped:,} without a gold label")
    return f" Left out of the gold file: {'; '.join(parts)}." if parts else ""


def estimates_csv(result: Prevalence) -> str:
    """One line for each group, label and method; the whole corpus has empty group columns."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    numbers = ("estimate", "low", "high", "level", "n_sentences", "n_gold", "corrected_by", "lambda")
    writer.writerow(["scope", *result.by, "label", "method", *numbers])
    for scope, groups in (("corpus", (result.overall,)), ("group", result.groups)):
        for group in groups:
            key = group.key or ("",) * len(result.by)
            for label in LABELS:
                for method in METHODS:
                    share = group.shares[method][label]
                    powered = method == "prediction_powered"
                    writer.writerow(
                        [
                            scope, *key, label.value, method, share.value, share.low, share.high,
                            result.level, group.n_sentences, group.n_gold,
                            group.rectifier if powered else "", group.tuning if powered else "",
                        ]
                    )  # fmt: skip
    return stream.getvalue()
