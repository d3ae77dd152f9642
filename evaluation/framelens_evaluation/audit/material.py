"""What the audit asks: checks, sentences written one by one, templates, and the names of states.

The expected labels follow the codebook (``framelens codebook``) and nothing else. Every sentence is
invented; places exist, events and most persons do not.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from framelens import InputError, Label

__all__ = [
    "GROUPS",
    "Check",
    "Counterpart",
    "Kind",
    "Material",
    "Names",
    "Sentence",
    "Template",
    "read_material",
    "select_checks",
]

Kind = Literal["MFT", "INV", "DIR"]
Group = Literal["country", "leader", "bodies", "outlet"]

#: Slots that are exchanged together.
GROUPS: dict[Group, tuple[str, ...]] = {
    "country": ("country", "demonym", "capital"),
    "leader": ("leader",),
    "bodies": ("army", "ministry"),
    "outlet": ("outlet",),
}
_SLOT = re.compile(r"\{(\w+)\}")


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Check(_Row):
    """A numbered check; `checks.toml` explains the fields."""

    id: str = Field(pattern=r"^[A-Z]\d+-(MFT|INV|DIR)$")
    capability: str
    title: str
    meaning: str
    remedy: str
    target: Label | None = None
    moves: Literal["up", "down"] | None = None
    perturbation: str | None = None
    exchange: tuple[Group, ...] = ()

    @property
    def kind(self) -> Kind:
        """Minimum functionality, invariance or directional (Ribeiro et al. 2020, section 2.1)."""
        kind: Kind = self.id.split("-")[1]  # type: ignore[assignment]  # held by the pattern
        return kind


class Sentence(_Row):
    """A sentence written by hand, with what belongs to it.

    Attributes:
        id: the check's id and a number.
        check: the check that it was written for.
        label: what the codebook says of ``text``.
        rule: the codebook's rule.
        text: the sentence; in a DIR check the one after the change.
        before: in a DIR check, the sentence before the change.
        before_label: what the codebook says of ``before``.
        variants: in an INV check, other wordings that have the same label.
        person: a surname in ``text`` that any other may replace.
    """

    id: str
    check: str
    label: Label
    rule: Literal["S1", "S2", "H1", "H2", "I"]
    text: str
    before: str | None = None
    before_label: Label | None = None
    variants: tuple[str, ...] = ()
    person: str | None = None


class Template(_Row):
    """A sentence with slots, valid for every state.

    A slot that starts with a capital letter starts the sentence.
    """

    id: str
    label: Label
    rule: Literal["S1", "S2", "H1", "H2", "I"]
    text: str

    @property
    def slots(self) -> frozenset[str]:
        """Names of its slots, in small letters."""
        return frozenset(slot.lower() for slot in _SLOT.findall(self.text))

    def uses(self, group: Group) -> bool:
        """Whether it has a slot of this group."""
        return not self.slots.isdisjoint(GROUPS[group])

    def fill(self, values: dict[str, str]) -> str:
        """The sentence.

        Raises:
            InputError: a slot has no value.
        """

        def value(found: re.Match[str]) -> str:
            slot = found[1]
            if slot.lower() not in values:
                raise InputError(f"template {self.id}: no value for the slot {{{slot}}}")
            filled = values[slot.lower()]
            return filled if slot[0].islower() else filled[0].upper() + filled[1:]

        return _SLOT.sub(value, self.text)


class Names(_Row):
    """What a state's names are, each as it stands within a sentence."""

    name: str
    country: str
    demonym: str
    capital: str
    leader: str
    army: str
    ministry: str
    outlet: str
    region: str


class Counterpart(_Row):
    """A second state, the same one for all states in a template."""

    other: str
    other_demonym: str
    other_capital: str


class _Entities(_Row):
    states: tuple[Names, ...]
    reference: Names
    counterparts: tuple[Counterpart, ...]


@dataclass(frozen=True)
class Material:
    """Everything that the audit asks.

    Attributes:
        checks: in the order of the report.
        sentences: in the order of their checks.
        templates: for the symmetry between states.
        states: that are exchanged.
        reference: an invented state that holds the slots that are not exchanged.
        counterparts: second states, dealt out to the templates in turn.
    """

    checks: tuple[Check, ...]
    sentences: tuple[Sentence, ...]
    templates: tuple[Template, ...]
    states: tuple[Names, ...]
    reference: Names
    counterparts: tuple[Counterpart, ...]

    @property
    def bases(self) -> tuple[Sentence, ...]:
        """The sentences that perturbations are made from: those of the MFT checks."""
        return tuple(row for row in self.sentences if row.check.endswith("-MFT"))


@cache
def read_material() -> Material:
    """The material of this package."""
    checks = tuple(Check.model_validate(row) for row in tomllib.loads(_text("checks.toml"))["check"])
    entities = _Entities.model_validate_json(_text("entities.json"))
    return Material(
        checks=checks,
        sentences=tuple(Sentence.model_validate_json(line) for line in _lines("sentences.jsonl")),
        templates=tuple(Template.model_validate_json(line) for line in _lines("templates.jsonl")),
        states=entities.states,
        reference=entities.reference,
        counterparts=entities.counterparts,
    )


def _text(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")


def _lines(name: str) -> list[str]:
    return [line for line in _text(name).split("\n") if line]


def select_checks(checks: tuple[Check, ...], only: list[str] | None) -> tuple[Check, ...]:
    """The checks that are asked for.

    Args:
        checks: all of them.
        only: ids (``H1-MFT``, ``H1``), letters (``H``), capabilities (``hedging``) or kinds (``INV``);
            None or empty for all.

    Raises:
        InputError: a name that fits no check.
    """
    if not only:
        return checks
    kept: set[str] = set()
    for name in only:
        wanted = name.strip().lower()
        fits = {
            check.id
            for check in checks
            if wanted
            in (
                check.id.lower(),
                check.id.split("-")[0].lower(),
                check.id[0].lower(),
                check.capability,
                check.kind.lower(),
            )
        }
        if not fits:
            raise InputError(
                f"--only {name}: expected an id such as {checks[0].id}, a letter, a capability or a kind; "
                "--list shows them"
            )
        kept |= fits
    return tuple(check for check in checks if check.id in kept)
