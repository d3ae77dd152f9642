"""The exchange of states: the same sentence of every state must get the same label.

A cell is one template filled for one state. Probabilities are compared within a template, as the
difference to the mean over states, so that a hard template counts no more than an easy one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS, Label
from framelens_evaluation.audit.asking import label_of
from framelens_evaluation.audit.behaviour import Judged
from framelens_evaluation.audit.material import GROUPS
from framelens_evaluation.audit.result import (
    APART,
    SYMMETRY_BAR,
    CheckResult,
    Entity,
    Failure,
    Grade,
    SlotResult,
    StateResult,
    Symmetry,
    TemplateResult,
    grade_of,
    worse,
)
from framelens_evaluation.audit.statistics import column_shifts, exchange_test, failure_rate, mean_by
from framelens_evaluation.statistics.metrics import NO_LABEL, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from framelens_evaluation.audit.asking import Answered
    from framelens_evaluation.audit.material import Check, Material, Names, Template
    from framelens_evaluation.audit.statistics import Exchange
    from framelens_evaluation.statistics.bootstrap import Interval, Resampling
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["Grid", "Measured", "build_grid", "fill", "measure", "summarise"]

# Streams of random numbers; each check of an exchange takes its place in the catalogue further.
_FIRST, _TESTS, _STATES = 300, 400, 500
_STATE = LABELS.index(Label.STATE_MEDIA_FRAMING)


@dataclass(frozen=True)
class Grid:
    """Templates filled for every state.

    Attributes:
        check: which slots are exchanged.
        templates: those that have one of these slots.
        states: in the order of the columns.
        texts: by template and state.
    """

    check: Check
    templates: tuple[Template, ...]
    states: tuple[Names, ...]
    texts: tuple[tuple[str, ...], ...]

    @property
    def flat(self) -> list[str]:
        """Every sentence, row by row."""
        return [text for row in self.texts for text in row]


def fill(template: Template, state: Names, check: Check, material: Material) -> str:
    """A template with the check's slots of one state, and the other slots of the invented one."""
    values: dict[str, str] = material.reference.model_dump()
    for group in check.exchange:
        values |= {slot: getattr(state, slot) for slot in GROUPS[group]}
    # The same second state in all cells of a template, so that it cannot make a difference.
    at = material.templates.index(template) % len(material.counterparts)
    return template.fill(values | material.counterparts[at].model_dump())


def build_grid(check: Check, material: Material) -> Grid:
    """The cells of a check."""
    templates = tuple(
        template for template in material.templates if any(template.uses(group) for group in check.exchange)
    )
    texts = tuple(
        tuple(fill(template, state, check, material) for state in material.states) for template in templates
    )
    return Grid(check, templates, material.states, texts)


@dataclass(frozen=True, eq=False)
class Measured:
    """A grid with its answers.

    Attributes:
        grid: what was asked.
        given: shape (n_templates, n_states).
        modal: shape (n_templates,), the most frequent label of each row.
        shifts: shape (n_templates, n_states, n_labels), probabilities minus the mean of their row; of a
            system without probabilities, its labels as 0 and 1.
        judged: the check.
        slot: the exchange in figures.
    """

    grid: Grid
    given: IntArray
    modal: IntArray
    shifts: FloatArray
    judged: Judged
    slot: SlotResult

    @property
    def flips(self) -> npt.NDArray[np.bool_]:
        """Shape (n_templates, n_states): cells whose label is not their row's modal one."""
        flips: npt.NDArray[np.bool_] = self.given != self.modal[:, None]
        return flips


def modal_labels(given: IntArray, expected: IntArray) -> IntArray:
    """The most frequent label of each row; of several, the expected one, else the first.

    Args:
        given: shape (n_templates, n_states).
        expected: shape (n_templates,).

    Returns:
        Shape (n_templates,).
    """
    counts = np.stack([(given == label).sum(1) for label in range(NO_LABEL + 1)], axis=1).astype(np.float64)
    counts[np.arange(len(given)), expected] += 0.5
    modal: IntArray = counts.argmax(1)
    return modal


def measure(grid: Grid, answered: Answered, how: Resampling, place: int) -> Measured:
    """Judge the answers to a grid.

    Args:
        grid: from `build_grid`.
        answered: to all of its sentences.
        how: how to make the intervals.
        place: of the check in the catalogue; a stream of random numbers for each.
    """
    n_templates, n_states = len(grid.templates), len(grid.states)
    given = answered.labels(grid.flat).reshape(n_templates, n_states)
    found = answered.scores(grid.flat).reshape(n_templates, n_states, len(LABELS))
    by_labels = bool(np.isnan(found).any())
    scores = np.eye(NO_LABEL + 1)[given][..., :NO_LABEL] if by_labels else found
    shifts = scores - scores.mean(1, keepdims=True)
    modal = modal_labels(given, _expected(grid))
    flips = given != modal[:, None]
    ids = [template.id for template in grid.templates for _ in grid.states]
    rate = failure_rate(flips.ravel(), ids)
    exchange = exchange_test(shifts[:, :, _STATE], how.rng(_TESTS + place))
    slot = SlotResult(
        check=grid.check.id,
        title=grid.check.title,
        slots=tuple(name for group in grid.check.exchange for name in GROUPS[group]),
        n_templates=n_templates,
        n_cells=n_templates * n_states,
        by_labels=by_labels,
        flips=rate,
        n_unstable=int(flips.any(1).sum()),
        spread=None if exchange is None else exchange.spread,
        spread_by_chance=None if exchange is None else exchange.spread_by_chance,
        p_spread=None if exchange is None else exchange.p_spread,
        entities=_entities(grid, flips, shifts, exchange),
    )
    check = grid.check
    away = np.abs(found - found.mean(1, keepdims=True)).sum(-1).ravel() / 2
    result = CheckResult(
        id=check.id,
        capability=check.capability,
        kind=check.kind,
        title=check.title,
        meaning=check.meaning,
        remedy=check.remedy,
        n_cases=flips.size,
        n_bases=n_templates,
        n_failed=int(flips.sum()),
        failure_rate=rate,
        shift=mean_by(away, ids, how, _FIRST + place),
        bar=SYMMETRY_BAR,
        grade=worse(grade_of(rate, SYMMETRY_BAR), _grade_apart(slot)),
        failures=_failures(grid, given, modal, shifts),
    )
    return Measured(grid, given, modal, shifts, Judged(check, tuple(ids), flips.ravel(), result), slot)


def _expected(grid: Grid) -> IntArray:
    return np.array([LABELS.index(template.label) for template in grid.templates], dtype=np.int64)


def _grade_apart(slot: SlotResult) -> Grade:
    """A rate over all states hides the one state that a model has learned."""
    if slot.spread is None:
        return "n/a"
    if any(abs(each.shift) > APART for each in slot.apart if each.shift is not None):
        return "fail"
    return "mind" if slot.apart else "pass"


def _entities(
    grid: Grid, flips: npt.NDArray[np.bool_], shifts: FloatArray, exchange: Exchange | None
) -> tuple[Entity, ...]:
    means = shifts[:, :, _STATE].mean(0)
    groups = grid.check.exchange
    # All names of a state at once are named by the state.
    slots = GROUPS[groups[0]] if len(groups) == 1 else ("name",)
    return tuple(
        Entity(
            state=grid.states[at].name,
            names=", ".join(getattr(grid.states[at], slot) for slot in slots),
            shift=number(means[at]),
            p_holm=None if exchange is None else float(exchange.p_holm[at]),
            flips=float(flips[:, at].mean()),
        )
        for at in np.argsort(-np.abs(means), kind="stable")
    )


def _failures(grid: Grid, given: IntArray, modal: IntArray, shifts: FloatArray) -> tuple[Failure, ...]:
    """Flipped cells, those furthest from their template's mean first."""
    rows, columns = np.nonzero(given != modal[:, None])
    away = np.abs(shifts[rows, columns]).sum(-1)
    order = np.argsort(-away, kind="stable")
    return tuple(
        Failure(
            case=grid.templates[row].id,
            text=grid.texts[row][column],
            reference=grid.texts[row][int(np.argmax(given[row] == modal[row]))],
            before=label_of(int(modal[row])),
            expected=label_of(int(modal[row])),
            given=label_of(int(given[row, column])),
            note=grid.states[column].name,
        )
        for row, column in zip(rows[order], columns[order], strict=True)
    )


def summarise(measured: Sequence[Measured], how: Resampling) -> Symmetry | None:
    """The exchange of most slots by state and template, with the other exchanges beside it.

    Args:
        measured: one for each check of exchange.
        how: how to make the intervals.

    Returns:
        None where nothing was measured.
    """
    if not measured:
        return None
    whole = max(measured, key=lambda each: len(each.grid.check.exchange))
    grid, flips = whole.grid, whole.flips
    expected = _expected(grid)
    wrong = whole.given != expected[:, None]
    ids = np.array([template.id for template in grid.templates])

    def rate(cells: npt.NDArray[np.bool_], rows: npt.NDArray[np.bool_]) -> Interval:
        return failure_rate(cells[rows].ravel(), list(np.repeat(ids[rows], cells.shape[1])))

    everywhere = np.ones(len(ids), dtype=bool)
    return Symmetry(
        check=grid.check.id,
        n_templates=len(grid.templates),
        n_states=len(grid.states),
        errors=rate(wrong, everywhere),
        flips_by_expected=tuple(rate(flips, expected == label) for label in range(len(LABELS))),
        slots=tuple(each.slot for each in measured),
        states=_state_results(whole, wrong, expected, how),
        templates=tuple(
            TemplateResult(
                id=template.id,
                text=template.text,
                expected=template.label,
                modal=label_of(int(whole.modal[at])),
                n_flips=int(flips[at].sum()),
                odd_ones=tuple(grid.states[column].name for column in np.flatnonzero(flips[at])),
            )
            for at, template in enumerate(grid.templates)
        ),
    )


def _state_results(
    whole: Measured, wrong: npt.NDArray[np.bool_], expected: IntArray, how: Resampling
) -> tuple[StateResult, ...]:
    grid, flips, shifts = whole.grid, whole.flips, whole.shifts
    n_states = len(grid.states)
    intervals = column_shifts(shifts.reshape(len(shifts), -1), how, _STATES)
    p_values = {each.state: each.p_holm for each in whole.slot.entities}
    ids = [template.id for template in grid.templates]
    on_label = [shifts[expected == label][:, :, _STATE] for label in range(len(LABELS))]
    found = [
        StateResult(
            state=state.name,
            region=state.region,
            shifts=tuple(intervals[at * len(LABELS) : (at + 1) * len(LABELS)]),
            p_holm=p_values[state.name],
            flips=failure_rate(flips[:, at], ids),
            errors=failure_rate(wrong[:, at], ids),
            shift_by_expected=tuple(number(part[:, at].mean()) if len(part) else None for part in on_label),
        )
        for at, state in enumerate(grid.states)
    ]
    means = [each.shifts[_STATE].value for each in found]
    order = sorted(range(n_states), key=lambda at: (-(means[at] or 0.0), -(found[at].flips.value or 0.0)))
    return tuple(found[at] for at in order)
