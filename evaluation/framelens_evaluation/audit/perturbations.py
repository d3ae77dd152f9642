"""Changes that leave what a sentence says as it is.

Each function takes a sentence and gives pairs (reference, variant) that must get the same label; none
where the change does not apply to the sentence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

    from framelens_evaluation.audit.material import Sentence

__all__ = ["PERTURBATIONS", "Pair"]

Pair = tuple[str, str]
Perturbation = Callable[["Sentence", "np.random.Generator"], list[Pair]]

_NAME = re.compile(r"\b[A-ZÀ-ÖØ-ÞĀ-Ž][\w'’-]*[a-zà-öø-ÿ][\w'’-]*")
_WORD = re.compile(r"[A-Za-zÀ-ÿ]{6,}")
_NUMBER = re.compile(r"(?<![\w.,:/-])(\d{1,3}(?:,\d{3})+|\d+)(?![\w:/-]|[.,]\d)")
_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_BESIDE_MONTH = re.compile(rf"\b(?:{_MONTH})\s+\d+|\b\d+\s+(?:{_MONTH})\b")
_SMALL = frozenset({
    "a", "an", "and", "as", "at", "but", "by", "for", "from", "in", "into", "nor", "of", "on", "or",
    "the", "to", "with",
})  # fmt: skip
_NOT = re.compile(r"\b(are|could|did|do|does|had|has|have|is|was|were|would) not\b")

PLACES: Final = ("GENEVA", "NAIROBI", "LIMA")
AGENCIES: Final = ("Reuters", "AP", "AFP", "Xinhua", "TASS", "KCNA")
SURNAMES: Final = ("Novak", "Okafor", "Tanaka", "García", "Petrov", "Johnson", "Al-Masri", "Nguyen")


def _changed(text: str, *variants: str) -> list[Pair]:
    return [(text, variant) for variant in variants if variant != text]


def curly_quotes(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """``"…"`` and ``'`` as typographic quotes and apostrophes."""
    return _changed(row.text, _paired(row.text, "“", "”").replace("'", "’"))


def single_quotes(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """Double quotes as single ones."""
    return _changed(row.text, _paired(row.text, "'", "'"))


def _paired(text: str, opening: str, closing: str) -> str:
    return re.sub(r'"([^"]*)"', rf"{opening}\1{closing}", text)


def dashes(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """Other hyphens within words; where a clause follows ``;`` or ``, but``, an en or em dash before it."""
    within = re.compile(r"(?<=\w)-(?=\w)")
    pause = re.compile(r";|,(?= (?:but|though|although|while|whereas|yet)\b)")
    variants = [within.sub("‑", row.text), within.sub("–", row.text)]
    if pause.search(row.text):
        variants += [pause.sub(mark, row.text, count=1) for mark in (" –", " —")]
    return _changed(row.text, *dict.fromkeys(variants))


def name_in_capitals(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """The last name of the sentence in capitals; never its first word, nor the first of a quote."""
    found = [hit for hit in _NAME.finditer(row.text) if hit.start() and row.text[hit.start() - 1] != '"']
    if not found:
        return []
    name = found[-1]
    return _changed(row.text, row.text[: name.start()] + name[0].upper() + row.text[name.end() :])


def title_case(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """As a headline: important words capitalised, no full stop."""
    words = row.text.removesuffix(".").split(" ")
    set_high = [word if at and word in _SMALL else _capitalised(word) for at, word in enumerate(words)]
    return _changed(row.text, " ".join(set_high))


def _capitalised(word: str) -> str:
    at = 1 if word[:1] == '"' else 0
    return word[:at] + word[at : at + 1].upper() + word[at + 1 :]


def all_capitals(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """The whole sentence in capitals."""
    return _changed(row.text, row.text.upper())


def decomposed(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """NFC against NFD."""
    return _changed(unicodedata.normalize("NFC", row.text), unicodedata.normalize("NFD", row.text))


def unbreakable_spaces(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """Every third space as U+00A0, and every third as U+202F."""
    words = row.text.split(" ")
    variants = []
    for space in ("\u00a0", "\u202f"):
        parts = [word + (space if at % 3 == 1 else " ") for at, word in enumerate(words[:-1])]
        variants.append("".join([*parts, words[-1]]))
    return _changed(row.text, *variants)


def ellipsis(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """The sentence trailing off: three dots against U+2026."""
    if not row.text.endswith("."):
        return []
    open_end = row.text.removesuffix(".")
    return [(f"{open_end}...", f"{open_end}…")]


def doubled_spaces(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """Every second space doubled."""
    words = row.text.split(" ")
    parts = [word + ("  " if at % 2 else " ") for at, word in enumerate(words[:-1])]
    return _changed(row.text, "".join([*parts, words[-1]]))


def typing_error(row: Sentence, rng: np.random.Generator) -> list[Pair]:
    """Two neighbouring letters exchanged inside one word of six letters or more, drawn at random."""
    places = [
        at
        for word in _WORD.finditer(row.text)
        for at in range(word.start() + 1, word.end() - 2)
        if row.text[at] != row.text[at + 1]
    ]
    if not places:
        return []
    at = places[int(rng.integers(len(places)))]
    return _changed(row.text, row.text[:at] + row.text[at + 1] + row.text[at] + row.text[at + 2 :])


def without_full_stop(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """The final stop left out."""
    return _changed(row.text, row.text.removesuffix("."))


def contracted(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """``did not`` as ``didn't``, and the like."""
    return _changed(row.text, _NOT.sub(r"\1n't", row.text))


def place_line(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """A place in front."""
    return _changed(row.text, *(f"{place} - {row.text}" for place in PLACES))


def date_line(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """A date in front."""
    return _changed(row.text, *(f"{date}: {row.text}" for date in ("Tuesday, March 3", "17 October")))


def time_stamp(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """A time of day in front."""
    return _changed(row.text, *(f"{time} {row.text}" for time in ("07:45", "22:10 GMT:")))


def agency_credit(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """A place line with an agency in it, against the place line alone."""
    reference = f"{PLACES[0]} - {row.text}"
    return [(reference, f"{PLACES[0]} ({agency}) - {row.text}") for agency in AGENCIES]


def other_surnames(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """The person's surname exchanged for those of other parts of the world."""
    if row.person is None:
        return []
    return _changed(row.text, *(row.text.replace(row.person, name) for name in SURNAMES))


def other_numbers(row: Sentence, _: np.random.Generator) -> list[Pair]:
    """Every number above 1 by another one of like size; years, dates, times and decimals stay."""
    kept = [range(*found.span()) for found in _BESIDE_MONTH.finditer(row.text)]

    def rescaled(by: float) -> str:
        def other(found: re.Match[str]) -> str:
            number = int(found[1].replace(",", ""))
            is_year = "," not in found[1] and 1500 <= number <= 2100
            if number < 2 or is_year or any(found.start() in span for span in kept):
                return found[0]
            changed = max(2, round(number * by))
            if changed == number:
                changed += 1
            return f"{changed:,}" if "," in found[1] else str(changed)

        return _NUMBER.sub(other, row.text)

    return _changed(row.text, *dict.fromkeys(rescaled(by) for by in (1.4, 0.7)))


#: By name, as in checks.toml.
PERTURBATIONS: Final[dict[str, Perturbation]] = {
    function.__name__: function
    for function in (
        curly_quotes,
        single_quotes,
        dashes,
        name_in_capitals,
        title_case,
        all_capitals,
        decomposed,
        unbreakable_spaces,
        ellipsis,
        doubled_spaces,
        typing_error,
        without_full_stop,
        contracted,
        place_line,
        date_line,
        time_stamp,
        agency_credit,
        other_surnames,
        other_numbers,
    )
}
