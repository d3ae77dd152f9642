"""States and what stands for them in the news: names, people and places, and where a text has them."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FORMS", "PEOPLE", "Mention", "Person", "State", "States", "shipped_states"]

#: Fields of the table with forms of words, and those with people. Behind "the_" a form follows "the".
FORMS = (
    "names", "the_names", "adjectives", "persons", "people", "capitals", "seats", "the_seats",
    "agencies", "the_agencies", "outlets", "the_outlets",
)  # fmt: skip
PEOPLE = ("presidents", "premiers", "ministers", "monarchs")
#: Marks a form that is read and never written.
_ONLY_READ = "~"
_WOMAN = " (f)"
_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"\S+")
#: Marks addresses and handles: what stands in them is no word of the sentence.
_ADDRESS = re.compile(r"@\w|\w\.[a-z]{2,}|://")
_AGENCIES = ("agencies", "outlets")
#: Capitals alone are too short to be told from other words.
_SHORTEST_IN_CAPITALS = 4


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who stands for a state.

    Attributes:
        spellings: (whole name, surname) in every spelling, the first for writing; the surname is None where
            it could be another word or somebody else.
        is_woman: so that "she" stays true.
    """

    spellings: tuple[tuple[str, str | None], ...]
    is_woman: bool


@dataclass(frozen=True, slots=True)
class State:
    """One state.

    Attributes:
        read: all forms, by the names of `FORMS`; a field without any is absent.
        written: those of them that are written in another state's place.
        people: by the names of `PEOPLE`.
    """

    read: dict[str, tuple[str, ...]]
    written: dict[str, tuple[str, ...]]
    people: dict[str, tuple[Person, ...]]


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a text has a state, as text[start:end].

    Attributes:
        state: its key in the table.
        field: one of `FORMS` or `PEOPLE`.
        person: place in the field, where it is one of `PEOPLE`.
        whole: False for a surname alone.
        upper: whether it stands in capitals where the table has small letters.
    """

    start: int
    end: int
    state: str
    field: str
    person: int | None = None
    whole: bool = True
    upper: bool = False


class States:
    """A table of states, and the search for them.

    Args:
        table: as in ``swaps.toml``, which explains it.

    Attributes:
        by_name: the states by their keys.
    """

    def __init__(self, table: dict[str, Any]) -> None:
        self.by_name = {name: _state(fields) for name, fields in table.items() if name != "leave"}
        readings: dict[str, list[Mention]] = {form: [] for form in table.get("leave", ())}
        for name, state in self.by_name.items():
            for form, reading in _readings(name, state):
                readings.setdefault(form, []).append(reading)
        for form in [*readings]:
            if len(form) >= _SHORTEST_IN_CAPITALS and form.upper() not in readings:
                readings[form.upper()] = [replace(reading, upper=True) for reading in readings[form]]
        self._by_first_word: dict[str, list[tuple[str, list[Mention]]]] = defaultdict(list)
        for form in sorted(readings, key=lambda form: (-len(form), form)):
            self._by_first_word[_first_word(form)].append((form, readings[form]))

    def find(self, texts: Sequence[str]) -> list[list[Mention]]:
        """The mentions of each text, in order and apart; of several that begin at one place, the longest.

        A form that several states or people share ("Korean", "Bush") is read as that of them which the texts
        also name otherwise, else as the first in the table.

        Args:
            texts: that belong together: a sentence and its context.
        """
        found = [self._candidates(text) for text in texts]
        clear = [readings[0] for mine in found for readings in mine if len(readings) == 1]
        people = {(reading.state, reading.field, reading.person) for reading in clear}
        states = {reading.state for reading in clear}

        def likelihood(reading: Mention) -> tuple[bool, bool]:
            return (reading.state, reading.field, reading.person) in people, reading.state in states

        return [[max(readings, key=likelihood) for readings in mine] for mine in found]

    def _candidates(self, text: str) -> list[list[Mention]]:
        """The readings of every mention."""
        opaque = [token.span() for token in _TOKEN.finditer(text) if _ADDRESS.search(token.group())]
        found = []
        free = 0
        for word in _WORD.finditer(text):
            start = word.start()
            if start < free or any(first <= start < last for first, last in opaque):
                continue
            for form, readings in self._by_first_word.get(word.group(), ()):
                end = start + len(form)
                if text.startswith(form, start) and not (
                    form[-1].isalnum() and text[end : end + 1].isalnum()
                ):
                    free = end
                    # Behind a hyphen "Mehr" and "Petra" are parts of names.
                    joined = text[:start].endswith("-") and readings and readings[0].field in _AGENCIES
                    if readings and not joined:
                        found.append([_placed(text, reading, start, end) for reading in readings])
                    break
        return found


@cache
def shipped_states() -> States:
    """The table that ships with the package."""
    content = files("framelens_training").joinpath("swaps.toml").read_text(encoding="utf-8")
    return States(tomllib.loads(content))


def _first_word(form: str) -> str:
    word = _WORD.match(form)
    return word.group() if word else ""


def _placed(text: str, reading: Mention, start: int, end: int) -> Mention:
    # The article of an Arabic surname goes with it.
    if not reading.whole and re.search(r"\b[AaEe]l-$", text[:start]):
        start -= 3
    return replace(reading, start=start, end=end)


def _state(fields: dict[str, list[str]]) -> State:
    read = {field: tuple(form.removeprefix(_ONLY_READ) for form in fields.get(field, ())) for field in FORMS}
    # Where the table has no other word for a single person, it is the adjective.
    read["persons"] = read["persons"] or read["adjectives"]
    written = {
        field: tuple(form for form in fields.get(field, ()) if not form.startswith(_ONLY_READ))
        for field in FORMS
    }
    written["persons"] = written["persons"] or written["adjectives"]
    people = {
        field: tuple(_person(entry, field) for entry in fields[field]) for field in PEOPLE if field in fields
    }
    return State(
        {field: forms for field, forms in read.items() if forms},
        {field: forms for field, forms in written.items() if forms},
        people,
    )


def _person(entry: str, field: str) -> Person:
    spellings = []
    for spelling in entry.removesuffix(_WOMAN).split(" / "):
        whole, bar, surname = spelling.partition("|")
        if not bar and field != "monarchs":
            surname = whole.rsplit(" ", 1)[-1]
        spellings.append((whole, surname or None))
    return Person(tuple(spellings), entry.endswith(_WOMAN))


def _readings(name: str, state: State) -> list[tuple[str, Mention]]:
    """Every form of a state and what it is, each form once."""
    found: dict[str, Mention] = {}
    for field, forms in state.read.items():
        for form in forms:
            found.setdefault(form, Mention(0, 0, name, field))
    listed = [(field, at, person) for field, mine in state.people.items() for at, person in enumerate(mine)]
    several: list[tuple[str, Mention]] = []
    for field, at, person in listed:
        for whole, _ in person.spellings:
            found.setdefault(whole, Mention(0, 0, name, field, at))
        surnames = {surname for _, surname in person.spellings if surname is not None} - found.keys()
        several += [(surname, Mention(0, 0, name, field, at, whole=False)) for surname in sorted(surnames)]
    return [*found.items(), *several]
