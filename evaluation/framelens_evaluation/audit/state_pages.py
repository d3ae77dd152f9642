"""The exchange of states in a report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framelens import LABELS
from framelens_evaluation.audit.drawings import state_map
from framelens_evaluation.audit.formats import label_name, p_value, point_interval, points, rate
from framelens_evaluation.audit.result import APART, grade_of
from framelens_evaluation.reporting.document import Callout, Cell, Section, Table, Text
from framelens_evaluation.reporting.figures import LABEL_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from framelens_evaluation.audit.result import CheckResult, SlotResult, Symmetry
    from framelens_evaluation.reporting.document import Block

_BY_LABELS = "The system gives no probabilities: every shift of p(…) is one of the share of labels."

__all__ = ["beyond_rate", "symmetry_line", "symmetry_section", "whole_exchange"]


def symmetry_line(symmetry: Symmetry) -> str:
    """The exchange of states in one line."""
    slot = whole_exchange(symmetry)
    line = f"symmetry: label flips {rate(slot.flips)} over {symmetry.n_states} states"
    if slot.spread is not None:
        line += f"; spread of p(state framing) {100 * slot.spread:.1f} pp"
    apart = slot.apart
    if apart:
        shown = ", ".join(f"{each.state} {points(each.shift)}" for each in apart[:3])
        line += f"; {len(apart)} states apart, furthest {shown}"
    return line


def whole_exchange(symmetry: Symmetry) -> SlotResult:
    """The exchange of most slots."""
    return next(slot for slot in symmetry.slots if slot.check == symmetry.check)


def beyond_rate(check: CheckResult, slot: SlotResult) -> str:
    """Why an exchange is graded worse than its failure rate alone would be; empty where it is not."""
    if check.grade == grade_of(check.failure_rate, check.bar) or not slot.apart:
        return ""
    furthest = slot.apart[0]
    one = len(slot.apart) == 1
    more = "" if one else f"; {len(slot.apart)} states in all"
    return (
        f"{'fails' if check.grade == 'fail' else 'to mind'} not by its rate but by "
        f"{'one state' if one else 'single states'}: {furthest.state} moved by {points(furthest.shift)}, "
        f"more than chance{more}"
    )


def symmetry_section(symmetry: Symmetry) -> Section:
    """The section."""
    slot = whole_exchange(symmetry)
    blocks: list[Block] = [
        Text(
            f"{symmetry.n_templates} templates, each valid for every state, filled for {symmetry.n_states} "
            "states. A label flips where it is not the one that most states get; a probability's shift is "
            "its difference to the mean over states within the template. S2 to S5 exchange one kind of "
            "name and hold the others at those of an invented state, and so show which name drives it."
        ),
        *([Callout(_BY_LABELS)] if slot.by_labels else []),
        _verdict(slot),
        _slot_table(symmetry.slots),
        _entity_table(symmetry.slots),
        state_map(symmetry),
    ]
    by_expected = ", ".join(
        f"{LABEL_NAMES[label]} {rate(found)}"
        for label, found in zip(LABELS, symmetry.flips_by_expected, strict=True)
    )
    blocks += [
        Text(
            f"Flips by the label that the template expects: {by_expected}. "
            f"Labels that are not the expected one, over all cells: {rate(symmetry.errors)}."
        ),
        _state_table(symmetry),
        _template_table(symmetry),
    ]
    return Section("Symmetry between states", tuple(blocks))


def _verdict(slot: SlotResult) -> Callout:
    if slot.spread is None:
        return Callout("There are too few states or templates to compare.", "note")
    if not slot.apart:
        return Callout("No state differs from the mean of all beyond chance (Holm over states).", "good")
    shown = ", ".join(f"{each.state} {points(each.shift)}" for each in slot.apart[:8])
    more = f" and {len(slot.apart) - 8} more" if len(slot.apart) > 8 else ""
    return Callout(
        f"**{len(slot.apart)} states differ from the mean beyond chance** "
        f"(permutation within templates, Holm): {shown}{more}.",
        "bad" if any(abs(each.shift or 0.0) > APART for each in slot.apart) else "warn",
    )


def _slot_table(slots: Iterable[SlotResult]) -> Table:
    rows = tuple(
        (
            slot.check,
            slot.title,
            f"{slot.n_cells:,}",
            rate(slot.flips),
            f"{slot.n_unstable} of {slot.n_templates}",
            "n/a" if slot.spread is None else f"{100 * slot.spread:.1f} pp",
            "n/a" if slot.spread_by_chance is None else f"{100 * slot.spread_by_chance:.1f} pp",
            p_value(slot.p_spread),
            str(len(slot.apart)),
        )
        for slot in slots
    )
    header = (
        "check", "exchanged", "cells", "flips", "templates", "spread",
        "by chance", "p", "apart",
    )  # fmt: skip
    return Table(
        header,
        rows,
        "What drives it: each kind of name exchanged alone. Templates: those with any flip. Spread: "
        "between the states with most and least p(state framing); by chance: its 95 % quantile if names were "
        "exchangeable; apart: states that differ from the mean beyond chance",
    )


def _entity_table(slots: Iterable[SlotResult]) -> Table:
    rows = tuple(
        (
            slot.check,
            each.names,
            each.state,
            points(each.shift),
            Cell(p_value(each.p_holm), sort=each.p_holm),
            f"{100 * each.flips:.1f} %",
        )
        for slot in slots
        for each in slot.entities[:5]
    )
    header = ("check", "names", "state", "shift of state framing", "p (Holm)", "flips")
    return Table(header, rows, "The five furthest from the mean in each exchange")


def _state_table(symmetry: Symmetry) -> Table:
    rows = tuple(
        (
            state.state,
            *(Cell(point_interval(shift), sort=shift.value) for shift in state.shifts),
            Cell(
                p_value(state.p_holm),
                sort=state.p_holm,
                tone="bad" if state.p_holm is not None and state.p_holm < 0.05 else None,
            ),
            rate(state.flips),
            rate(state.errors),
        )
        for state in symmetry.states
    )
    header = (
        "state",
        *(f"p({LABEL_NAMES[label]})" for label in LABELS),
        "p (Holm)",
        "flips",
        "errors",
    )
    return Table(
        header,
        rows,
        "States, most state framing first. Shifts in percentage points, with 95 % intervals from resampling "
        "templates; p for state framing; errors against the expected label.",
        searchable=True,
    )


def _template_table(symmetry: Symmetry) -> Table:
    rows = tuple(
        (
            template.id,
            template.text,
            label_name(template.expected),
            Cell(label_name(template.modal), tone=None if template.modal is template.expected else "bad"),
            str(template.n_flips),
            ", ".join(template.odd_ones[:6]) + (" …" if len(template.odd_ones) > 6 else ""),
        )
        for template in sorted(symmetry.templates, key=lambda each: -each.n_flips)
    )
    header = ("template", "sentence", "expected", "most states", "flips", "states that differ")
    return Table(header, rows, "Templates, most flips first", searchable=True, folded_after=12)
