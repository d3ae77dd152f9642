"""The mistakes that a system is surest of: what to read before believing its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS, InputError
from framelens_evaluation.inputs.dataset import gold_labels
from framelens_evaluation.reporting.document import Example, Examples
from framelens_evaluation.reporting.figures import LABEL_NAMES
from framelens_evaluation.statistics.metrics import NO_LABEL, encode_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.inputs.dataset import GoldSentence
    from framelens_evaluation.inputs.systems import Answers

__all__ = ["surest_mistakes"]

_FILTERS = ("gold", "given", "stratum", "outlet", "rule")


def surest_mistakes(rows: Sequence[GoldSentence], answers: Answers, n: int = 150) -> Examples:
    """Labelled sentences that got a wrong label, the most probable wrong label first.

    Where there are no probabilities they stand in the order of the data.

    Args:
        rows: labelled sentences.
        answers: for them, in their order.
        n: at most so many.

    Raises:
        InputError: ``n`` is below 1.
    """
    if n < 1:
        raise InputError(f"n must be at least 1, got {n}")
    gold = encode_labels(gold_labels(rows))
    wrong = np.flatnonzero((answers.given != gold) & (answers.given != NO_LABEL))
    confidence = answers.probabilities[wrong, answers.given[wrong]]
    order = wrong[np.argsort(-confidence, kind="stable")]
    items = tuple(_example(rows[i], answers, i) for i in order[:n])
    return Examples(
        items,
        caption=f"{len(items):,} of {len(wrong):,} mistakes, the surest first. Marked: what the system "
        "shows as evidence. The gold label is the judges', who may be wrong too.",
        filters=tuple(name for name in _FILTERS if any(name in item.facts for item in items)),
    )


def _example(row: GoldSentence, answers: Answers, at: int) -> Example:
    given = LABELS[answers.given[at]]
    probability = answers.probabilities[at, answers.given[at]]
    facts = {"gold": LABEL_NAMES[row.label] if row.label else "n/a", "given": LABEL_NAMES[given]}
    if not np.isnan(probability):
        facts["probability"] = f"{probability:.2f}"
    optional = {"rule": row.rule, "stratum": row.stratum, "outlet": row.outlet_id}
    facts |= {name: value for name, value in optional.items() if value}
    if row.sure is not None:
        facts["judge"] = "sure" if row.sure else "unsure"
    spans = () if answers.evidence is None else answers.evidence[at]
    cue = "" if row.cue is None else f"The judge's cue: “{row.text[row.cue[0] : row.cue[1]]}”"
    return Example(row.text, tuple((span.start, span.end, str(span.kind)) for span in spans), facts, cue)
