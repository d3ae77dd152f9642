"""CheckList's three kinds of test (Ribeiro et al. 2020) on sentences of our own.

* MFT, minimum functionality: a sentence has the label that the codebook gives it.
* INV, invariance: a change that says nothing keeps the label, right or wrong.
* DIR, directional: a change that says something moves a probability the right way, and ends on the
  label that is due.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS
from framelens_evaluation.audit.asking import label_of
from framelens_evaluation.audit.perturbations import PERTURBATIONS
from framelens_evaluation.audit.result import BARS, CheckResult, Failure, GroupResult, grade_of
from framelens_evaluation.audit.statistics import failure_rate, mean_by
from framelens_evaluation.reporting.figures import LABEL_NAMES
from framelens_evaluation.statistics.bootstrap import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from framelens import Label
    from framelens_evaluation.audit.asking import Answered
    from framelens_evaluation.audit.material import Check, Material
    from framelens_evaluation.statistics.bootstrap import Resampling
    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = ["Case", "Judged", "build_cases", "group_results", "judge", "texts_of"]

# Streams of random numbers: the perturbations' and the first check's.
_PERTURBING, _CHECKS = 100, 200


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged once.

    Attributes:
        base: id of the sentence that it was made from.
        text: the sentence, after the change.
        expected: the label due; None where only the reference decides (INV).
        reference: the sentence before the change; None in an MFT.
    """

    base: str
    text: str
    expected: Label | None
    reference: str | None = None


@dataclass(frozen=True, eq=False)
class Judged:
    """A check with its cases, for pooling.

    Attributes:
        check: what was asked.
        bases: of each case.
        failed: shape (n_cases,).
        result: the figures.
    """

    check: Check
    bases: tuple[str, ...]
    failed: npt.NDArray[np.bool_]
    result: CheckResult


def build_cases(check: Check, material: Material, how: Resampling) -> tuple[Case, ...]:
    """The cases of a check that exchanges no states.

    Args:
        check: which.
        material: sentences.
        how: its seed decides where typing errors fall.
    """
    if check.perturbation is None:
        rows = [row for row in material.sentences if row.check == check.id]
        if check.kind == "INV":
            return tuple(Case(row.id, other, None, row.text) for row in rows for other in row.variants)
        return tuple(Case(row.id, row.text, row.label, row.before) for row in rows)
    perturb = PERTURBATIONS[check.perturbation]
    rng = how.rng(_PERTURBING)
    return tuple(
        Case(row.id, variant, None, reference)
        for row in material.bases
        for reference, variant in perturb(row, rng)
    )


def texts_of(cases: Sequence[Case]) -> list[str]:
    """Every sentence that must be asked."""
    return [text for case in cases for text in (case.reference, case.text) if text is not None]


def judge(check: Check, cases: tuple[Case, ...], answered: Answered, how: Resampling, place: int) -> Judged:
    """Judge the answers to a check.

    Args:
        check: which.
        cases: from `build_cases`.
        answered: to all of their sentences.
        how: how to make the intervals.
        place: of the check in the catalogue; a stream of random numbers for each.
    """
    given = answered.labels([case.text for case in cases])
    moved = _moved(check, cases, answered)
    before = answered.labels([case.reference or case.text for case in cases])
    if check.kind == "INV":
        due = before
    else:
        due = np.array([LABELS.index(case.expected) for case in cases if case.expected], dtype=np.int64)
    failed = given != due
    if check.kind == "DIR":
        # Without probabilities the label alone decides; NaN compares as False.
        failed |= moved * (1 if check.moves == "up" else -1) <= 0
    bases = tuple(case.base for case in cases)
    rate = failure_rate(failed, bases)
    shift = Interval(None, None, None) if check.kind == "MFT" else mean_by(moved, bases, how, _CHECKS + place)
    failures = [
        Failure(
            case=cases[at].base,
            text=cases[at].text,
            reference=cases[at].reference,
            before=None if cases[at].reference is None else label_of(int(before[at])),
            expected=label_of(int(due[at])),
            given=label_of(int(given[at])),
            note=_note(check, float(moved[at])),
        )
        for at in np.flatnonzero(failed)
    ]
    bar = BARS[check.kind]
    result = CheckResult(
        id=check.id,
        capability=check.capability,
        kind=check.kind,
        title=check.title,
        meaning=check.meaning,
        remedy=check.remedy,
        n_cases=len(cases),
        n_bases=len(set(bases)),
        n_failed=int(failed.sum()),
        failure_rate=rate,
        shift=shift,
        bar=bar,
        grade=grade_of(rate, bar),
        failures=tuple(failures),
    )
    return Judged(check, bases, failed, result)


def _moved(check: Check, cases: tuple[Case, ...], answered: Answered) -> FloatArray:
    """DIR: change of the target's probability; INV: total variation distance; MFT: NaN."""
    if check.kind == "MFT":
        return np.full(len(cases), np.nan)
    change = answered.scores([case.text for case in cases]) - answered.scores(
        [case.reference or case.text for case in cases]
    )
    if check.target is not None:
        moved: FloatArray = change[:, LABELS.index(check.target)]
        return moved
    distance: FloatArray = np.abs(change).sum(-1) / 2
    return distance


def _note(check: Check, moved: float) -> str:
    if np.isnan(moved):
        return ""
    if check.target is not None:
        return f"p({LABEL_NAMES[check.target]}) moved by {moved:+.2f}, due {check.moves}"
    return f"probabilities moved by {moved:.2f}"


def group_results(judged: Sequence[Judged]) -> tuple[GroupResult, ...]:
    """Checks pooled by capability and kind, in the order of the checks."""
    pools: dict[tuple[str, str], list[Judged]] = defaultdict(list)
    for each in judged:
        pools[each.check.capability, each.check.kind].append(each)
    return tuple(
        GroupResult(
            capability=pool[0].check.capability,
            kind=pool[0].check.kind,
            n_checks=len(pool),
            n_cases=sum(len(each.failed) for each in pool),
            n_failed=sum(int(each.failed.sum()) for each in pool),
            failure_rate=failure_rate(
                np.concatenate([each.failed for each in pool]),
                [base for each in pool for base in each.bases],
            ),
        )
        for pool in pools.values()
    )
