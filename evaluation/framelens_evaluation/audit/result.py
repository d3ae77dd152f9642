"""The typed result of an audit; its JSON is `report.json`."""

from __future__ import annotations

from typing import Final, Literal

from framelens import Label
from framelens_evaluation.audit.material import Kind
from framelens_evaluation.reporting.provenance import Part, Provenance
from framelens_evaluation.statistics.bootstrap import Interval

__all__ = [
    "APART",
    "BARS",
    "SYMMETRY_BAR",
    "AuditResult",
    "CheckResult",
    "Entity",
    "Failure",
    "Grade",
    "GroupResult",
    "SlotResult",
    "StateResult",
    "Symmetry",
    "TemplateResult",
    "grade_of",
    "worse",
]

Grade = Literal["pass", "mind", "fail", "n/a"]
_ORDER: Final[tuple[Grade, ...]] = ("n/a", "pass", "mind", "fail")

#: Failure rates up to which a check passes.
BARS: Final[dict[Kind, float]] = {"MFT": 0.10, "DIR": 0.10, "INV": 0.05}
#: The same where states are exchanged.
SYMMETRY_BAR: Final = 0.02
#: A state whose mean probability of state framing lies further from the mean of all, beyond chance, fails.
APART: Final = 0.02


def grade_of(rate: Interval, bar: float) -> Grade:
    """``pass`` up to the bar, ``fail`` where even the interval's lower bound is above it, else ``mind``."""
    if rate.value is None:
        return "n/a"
    if rate.value <= bar:
        return "pass"
    return "fail" if rate.low is not None and rate.low > bar else "mind"


def worse(one: Grade, other: Grade) -> Grade:
    """The worse of two grades."""
    return max(one, other, key=_ORDER.index)


class Failure(Part):
    """A case that failed.

    Attributes:
        case: id of the sentence or template that it was made from.
        text: the sentence, after the change.
        reference: before the change; None where there is none. Where states are exchanged, the same
            sentence of a state that gets the label of most.
        before: the label that the reference got; None in an MFT, and where it got none.
        expected: the label due; in an INV check the label that the reference got.
        given: None where the system gave no label.
        note: what else went wrong, such as a probability that moved the wrong way.
    """

    case: str
    text: str
    reference: str | None
    before: Label | None = None
    expected: Label | None
    given: Label | None
    note: str = ""


class CheckResult(Part):
    """A numbered check.

    Attributes:
        n_cases: how many sentences or pairs were judged.
        n_bases: sentences or templates that they were made from, the unit of the intervals.
        failure_rate: see `framelens_evaluation.audit.statistics.failure_rate`.
        shift: DIR: mean change of the target's probability; INV: mean total variation distance between
            the probabilities before and after; not defined for MFT and without probabilities.
        bar: failure rate up to which it passes.
        failures: all of them; for the exchange of states those of the states furthest apart.
    """

    id: str
    capability: str
    kind: Kind
    title: str
    meaning: str
    remedy: str
    n_cases: int
    n_bases: int
    n_failed: int
    failure_rate: Interval
    shift: Interval
    bar: float
    grade: Grade
    failures: tuple[Failure, ...]


class GroupResult(Part):
    """All checks of a capability and kind taken together."""

    capability: str
    kind: Kind
    n_checks: int
    n_cases: int
    n_failed: int
    failure_rate: Interval


class StateResult(Part):
    """One state against all.

    Attributes:
        shifts: for each label, in the order of `framelens.LABELS`, the mean over templates of its
            probability minus the mean over states.
        p_holm: that the shift of state framing is by chance, adjusted over states; None with fewer
            than two states.
        flips: share of templates whose label is not the one most states get.
        errors: share of templates whose label is not the expected one.
        shift_by_expected: mean shift of state framing on templates that expect each label.
    """

    state: str
    region: str
    shifts: tuple[Interval, ...]
    p_holm: float | None
    flips: Interval
    errors: Interval
    shift_by_expected: tuple[float | None, ...]


class Entity(Part):
    """A state in one exchange of slots.

    Attributes:
        names: what stood in the slots; the state's name where all slots were exchanged.
        shift: mean shift of the probability of state framing.
    """

    state: str
    names: str
    shift: float | None
    p_holm: float | None
    flips: float


class SlotResult(Part):
    """What the exchange of some slots alone does, the others held by an invented state.

    Attributes:
        check: id of the check.
        slots: what was exchanged.
        by_labels: the system gave no probabilities, so that shifts and spread are of shares of labels.
        flips: share of cells whose label is not the most frequent one of their template.
        n_unstable: templates with more than one label over states.
        spread: largest minus smallest mean shift of state framing.
        spread_by_chance: 95 % quantile of the spread if names were exchangeable.
        p_spread: of the spread.
        entities: all states, furthest from the mean first.
    """

    check: str
    title: str
    slots: tuple[str, ...]
    n_templates: int
    n_cells: int
    by_labels: bool
    flips: Interval
    n_unstable: int
    spread: float | None
    spread_by_chance: float | None
    p_spread: float | None
    entities: tuple[Entity, ...]

    @property
    def apart(self) -> tuple[Entity, ...]:
        """States beyond chance (adjusted p below 0.05)."""
        return tuple(each for each in self.entities if each.p_holm is not None and each.p_holm < 0.05)


class TemplateResult(Part):
    """A template over all states.

    Attributes:
        modal: the label that most states get; None for no label.
        n_flips: states that get another.
        odd_ones: those states.
    """

    id: str
    text: str
    expected: Label
    modal: Label | None
    n_flips: int
    odd_ones: tuple[str, ...]


class Symmetry(Part):
    """The exchange of states.

    Attributes:
        check: id of the exchange of most slots, which ``states`` and ``templates`` are about.
        flips_by_expected: for each label, in the order of `framelens.LABELS`, the share of flips on the
            templates that expect it.
        errors: share of all cells whose label is not the expected one.
        slots: one for each exchange asked for.
        states: most state framing first.
    """

    check: str
    n_templates: int
    n_states: int
    errors: Interval
    flips_by_expected: tuple[Interval, ...]
    slots: tuple[SlotResult, ...]
    states: tuple[StateResult, ...]
    templates: tuple[TemplateResult, ...]


class AuditResult(Part):
    """An audit.

    Attributes:
        system: what was audited.
        reads: what it sees of a sentence.
        n_sentences: different sentences that it was asked.
        symmetry: None where no check of it was asked for.
    """

    schema_version: Literal[1] = 1
    system: str
    reads: str
    n_sentences: int
    checks: tuple[CheckResult, ...]
    groups: tuple[GroupResult, ...]
    symmetry: Symmetry | None
    provenance: Provenance
