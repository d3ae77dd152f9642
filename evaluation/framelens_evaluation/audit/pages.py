"""The report of an audit as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from framelens_evaluation.audit.drawings import failure_figure
from framelens_evaluation.audit.formats import grade_cell, label_name, point_interval, rate
from framelens_evaluation.audit.result import APART, BARS, SYMMETRY_BAR
from framelens_evaluation.audit.state_pages import beyond_rate, symmetry_section, whole_exchange
from framelens_evaluation.reporting.document import (
    Callout,
    Cell,
    Document,
    Example,
    Examples,
    Section,
    Table,
    Text,
)
from framelens_evaluation.reporting.provenance import provenance_section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.audit.material import Check, Kind
    from framelens_evaluation.audit.result import (
        AuditResult,
        CheckResult,
        Failure,
        SlotResult,
    )
    from framelens_evaluation.reporting.document import Block

__all__ = ["KINDS", "audit_document", "catalogue", "grade_line", "group_table"]

KINDS: Final[tuple[Kind, ...]] = ("MFT", "DIR", "INV")
#: Failures of one check that the page shows.
_SHOWN: Final = 8
_PAGE_ALONE: Final = "The sentences stand on the page alone."
_IN_SHORT: Final = (
    "An **MFT** check asks for the label that the codebook gives a sentence; a **DIR** check makes a change "
    "that must move the label, an **INV** check one that must not. A check passes where at most "
    f"{100 * BARS['MFT']:.0f} % of its cases fail (INV {100 * BARS['INV']:.0f} %, exchange of states "
    f"{100 * SYMMETRY_BAR:.0f} %), and fails where the whole 95 % interval lies above that bar; **to mind** "
    "is what lies between, above the bar but perhaps by chance. An exchange of states can also be to mind "
    "or fail by one state alone, which its row then says."
)


def audit_document(result: AuditResult) -> Document:
    """The report."""
    return Document(
        title=f"Behaviour of {result.system}",
        lead=(
            f"{len(result.checks)} numbered checks on {result.n_sentences:,} sentences of our own, all "
            "invented: does it do what the codebook says, and does it keep its label where nothing that "
            "matters changed?"
        ),
        headline=_headline(result),
        sections=(
            _summary(result),
            _checks(result),
            *([] if result.symmetry is None else [symmetry_section(result.symmetry)]),
            _failures(result),
            _reading(),
            provenance_section(result.provenance),
        ),
    )


def catalogue(checks: Sequence[Check]) -> str:
    """The numbered checks with their meanings and remedies, as text."""
    lines = []
    for check in checks:
        lines += [
            f"{check.id:8} {check.capability}: {check.title}",
            f"{'':8} {check.meaning}",
            f"{'':8} if it fails: {check.remedy}",
        ]
    return "\n".join(lines)


def grade_line(result: AuditResult) -> str:
    """How many checks pass, are to mind and fail, and which fail, in one line."""
    grades = [check.grade for check in result.checks]
    line = f"{grades.count('pass')} pass, {grades.count('mind')} to mind"
    if "n/a" in grades:
        line += f", {grades.count('n/a')} cannot be judged"
    failing = ", ".join(check.id.split("-")[0] for check in result.checks if check.grade == "fail")
    return f"{line}, {grades.count('fail')} fail" + (f": {failing}" if failing else "")


def group_table(result: AuditResult) -> str:
    """Failure rates by capability and kind, as text."""
    found = {(group.capability, group.kind): rate(group.failure_rate) for group in result.groups}
    capabilities = list(dict.fromkeys(group.capability for group in result.groups))
    kinds = [kind for kind in KINDS if any(group.kind == kind for group in result.groups)]
    rows: list[tuple[str, ...]] = [("failure rate", *kinds)]
    rows += [(name, *(found.get((name, kind), "") for kind in kinds)) for name in capabilities]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _headline(result: AuditResult) -> tuple[tuple[str, str], ...]:
    grades = [check.grade for check in result.checks]
    found = [
        (
            f"{grades.count('pass')} · {grades.count('mind')} · {grades.count('fail')}",
            f"checks that pass · are to mind · fail, of {len(grades)}",
        )
    ]
    if result.symmetry is not None:
        slot = whole_exchange(result.symmetry)
        found.append((rate(slot.flips), f"labels that flip when the state is exchanged ({slot.check})"))
        if slot.spread is not None:
            found.append(
                (
                    f"{100 * slot.spread:.1f} pp",
                    f"between the states with most and least state framing; by chance under "
                    f"{100 * (slot.spread_by_chance or 0):.1f}",
                )
            )
    return tuple(found)


def _summary(result: AuditResult) -> Section:
    failing = [check for check in result.checks if check.grade == "fail"]
    blocks: list[Block] = []
    if failing:
        named = "; ".join(f"{check.id} {check.title}" for check in failing)
        blocks.append(Callout(f"**{len(failing)} of {len(result.checks)} checks fail**: {named}.", "bad"))
    elif any(check.grade == "mind" for check in result.checks):
        blocks.append(Callout("No check fails beyond chance; some are above their bar.", "warn"))
    else:
        blocks.append(Callout("Every check that could be judged passes.", "good"))
    groups = {(group.capability, group.kind): group for group in result.groups}
    capabilities = list(dict.fromkeys(group.capability for group in result.groups))
    rows = [
        (name, *(rate(groups[name, kind].failure_rate) if (name, kind) in groups else "" for kind in KINDS))
        for name in capabilities
    ]
    header = ("capability", "MFT", "DIR", "INV")
    blocks += [
        Text(_IN_SHORT),
        Table(header, tuple(rows), "Failure rates by capability and kind, with 95 % intervals"),
    ]
    return Section("In short", tuple(blocks))


def _checks(result: AuditResult) -> Section:
    slots = _slots(result)
    rows = tuple(
        (
            check.id,
            _what(check, slots.get(check.id)),
            grade_cell(check.grade),
            Cell(rate(check.failure_rate), sort=check.failure_rate.value),
            f"{check.n_cases:,} ({check.n_bases:,})",
            Cell(_shift(check), sort=check.shift.value),
            check.capability,
        )
        for check in result.checks
    )
    header = ("check", "what", "grade", "failure rate", "cases (sentences)", "shift", "capability")
    meanings = tuple((check.id, check.meaning, check.remedy) for check in result.checks)
    blocks: list[Block] = [
        Table(
            header,
            rows,
            "All checks. Shift in percentage points: DIR, the mean change of the probability that must move; "
            "INV, the mean distance (total variation) between the probabilities before and after.",
            searchable=True,
        )
    ]
    changing = [check for check in result.checks if check.kind != "INV"]
    keeping = [check for check in result.checks if check.kind == "INV"]
    if changing:
        blocks.append(failure_figure(changing, "failures-mft-dir", "Failure rates, MFT and DIR"))
    if keeping:
        blocks.append(failure_figure(keeping, "failures-inv", "Failure rates, INV"))
    blocks.append(
        Table(
            ("check", "what it means", "what to do when it fails"),
            meanings,
            "What each check means",
            searchable=True,
            folded_after=12,
        )
    )
    return Section("All checks", tuple(blocks))


def _slots(result: AuditResult) -> dict[str, SlotResult]:
    """The exchanges of states by their check."""
    return {} if result.symmetry is None else {slot.check: slot for slot in result.symmetry.slots}


def _what(check: CheckResult, slot: SlotResult | None) -> str:
    why = "" if slot is None else beyond_rate(check, slot)
    return f"{check.title} ({why})" if why else check.title


def _shift(check: CheckResult) -> str:
    if check.kind == "MFT":
        return ""
    # A distance has no direction.
    shown = point_interval(check.shift)
    return shown if check.kind == "DIR" else shown.replace("+", "")


def _failures(result: AuditResult) -> Section:
    slots = _slots(result)
    shown = [(check, failure) for check in result.checks for failure in _first(check.failures, _SHOWN)]
    items = tuple(
        Example(
            failure.text,
            facts={
                "check": check.id,
                "capability": check.capability,
                **_labels(check, failure, exchanged=check.id in slots),
            },
            note=_example_note(check, failure, exchanged=check.id in slots),
        )
        for check, failure in shown
    )
    if not items:
        return Section("Failures", (Text("None."),))
    rows = tuple(
        (
            check.id,
            failure.text,
            "" if check.kind == "MFT" else label_name(failure.before),
            "the same" if check.kind == "INV" else label_name(failure.expected),
            label_name(failure.given),
        )
        for check in result.checks
        if check.grade in ("mind", "fail")
        for failure in _first(check.failures, 2)
    )
    blocks: list[Block] = [
        Table(
            ("check", "sentence", "before", "expected", "given"),
            rows,
            "Two failures of every check that does not pass. Before: the label before the change, or the one "
            "that most states get",
            folded_after=10,
        ),
        Examples(
            items,
            f"Up to {_SHOWN} failures of each check, from different sentences where there are so many; "
            "`report.json` has all.",
            ("check", "capability", "before", "after", "expected", "given", "most states", "this state"),
        ),
    ]
    # Examples stand on the page alone, and Markdown needs something to show.
    return Section("Failures", tuple(blocks if rows else [Text(_PAGE_ALONE), *blocks[1:]]))


def _labels(check: CheckResult, failure: Failure, *, exchanged: bool) -> dict[str, str]:
    """The labels of a failure, under the names of what they are in a check of this kind."""
    before, due, given = (label_name(label) for label in (failure.before, failure.expected, failure.given))
    if exchanged:
        return {"most states": before, "this state": given}
    if check.kind == "MFT":
        return {"expected": due, "given": given}
    return {"before": before, "after": given} | ({"expected": due} if check.kind == "DIR" else {})


def _first(failures: Sequence[Failure], most: int) -> list[Failure]:
    """The first failures, one of each sentence before a second."""
    seen: set[str] = set()
    fresh: list[Failure] = []
    again: list[Failure] = []
    for failure in failures:
        (again if failure.case in seen else fresh).append(failure)
        seen.add(failure.case)
    return [*fresh, *again][:most]


def _example_note(check: CheckResult, failure: Failure, *, exchanged: bool) -> str:
    parts = [f"{check.title} (`{failure.case}`)"]
    if failure.reference is not None:
        parts.append(f"{'as of most states' if exchanged else 'before'}: {failure.reference}")
    if failure.note:
        parts.append(failure.note)
    return " · ".join(parts)


def _reading() -> Section:
    bars = ", ".join(f"{kind} {100 * bar:.0f} %" for kind, bar in BARS.items())
    return Section(
        "How to read it",
        (
            Text(
                "**MFT** (minimum functionality): the sentence must get the label that the codebook gives "
                "it. **DIR** (directional): the change must move the probability the right way and end on "
                "the label that is due. **INV** (invariance): the change must not change the label, right "
                "or wrong (Ribeiro et al. 2020)."
            ),
            Text(
                f"**pass**: the failure rate is at most the bar ({bars}; exchange of states "
                f"{100 * SYMMETRY_BAR:.0f} %). **mind**: it is above the bar, but the interval reaches "
                "down to it. **fail**: the whole interval lies above the bar. An exchange of states also "
                f"fails where one state alone is moved by more than {100 * APART:.0f} percentage points "
                "beyond chance, for a rate over all states hides it."
            ),
            Text(
                "Intervals of rates are Wilson's, on the effective number of cases where several were "
                "made from one sentence; intervals of shifts come from resampling sentences or templates. "
                "The permutation test exchanges the names within each template. The sentences were "
                "written to be clear cases and to cover constructions evenly: failure rates here are no "
                "error rates on news."
            ),
        ),
    )
