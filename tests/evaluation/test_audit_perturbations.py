"""Changes that must leave what a sentence says as it is."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pytest

from framelens import LABELS
from framelens_evaluation.audit.material import Sentence, read_material
from framelens_evaluation.audit.perturbations import AGENCIES, PERTURBATIONS, SURNAMES

BASES = read_material().bases


def pairs(name: str, text: str, person: str | None = None, seed: int = 0) -> list[tuple[str, str]]:
    row = Sentence(id="x", check="x", label=LABELS[1], rule="I", text=text, person=person)
    return PERTURBATIONS[name](row, np.random.default_rng(seed))


def variants(name: str, text: str, person: str | None = None) -> list[str]:
    found = pairs(name, text, person)
    assert all(reference == text for reference, _ in found)
    return [variant for _, variant in found]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("curly_quotes", '"No," said Ann\'s son.', ["“No,” said Ann’s son."]),
        ("curly_quotes", "No.", []),
        ("single_quotes", '"No," he said.', ["'No,' he said."]),
        ("dashes", "A well-known man left, but she stayed.", [
            "A well‑known man left, but she stayed.",
            "A well–known man left, but she stayed.",
            "A well-known man left – but she stayed.",
            "A well-known man left — but she stayed.",
        ]),
        ("dashes", "A man left.", []),
        ("name_in_capitals", "Mr Novak left Lima in May.", ["Mr Novak left Lima in MAY."]),
        ("name_in_capitals", '"Stop," he said.', []),
        ("title_case", "The ferry left the port.", ["The Ferry Left the Port"]),
        ("title_case", '"we won," he said.', ['"We Won," He Said']),
        ("all_capitals", "He left.", ["HE LEFT."]),
        ("unbreakable_spaces", "A b c d e.", ["A b\u00a0c d e.", "A b\u202fc d e."]),
        ("doubled_spaces", "A b c d.", ["A b  c d."]),
        ("without_full_stop", "He left.", ["He left"]),
        ("without_full_stop", 'He said: "Go!"', []),
        ("contracted", "He did not go and was not seen.", ["He didn't go and wasn't seen."]),
        ("contracted", "He cannot go, notably.", []),
        ("other_numbers", "At 10:00 on 3 May 2019 12 men ate 1,000 eggs.", [
            "At 10:00 on 3 May 2019 17 men ate 1,400 eggs.",
            "At 10:00 on 3 May 2019 8 men ate 700 eggs.",
        ]),
        ("other_numbers", "Growth was 0.7 percent in 1987.", []),
        ("other_numbers", "He has 1 son and 2 dogs.", ["He has 1 son and 3 dogs."]),
    ],
)  # fmt: skip
def test_by_hand(name: str, text: str, expected: list[str]) -> None:
    assert variants(name, text) == expected


def test_an_ellipsis_is_compared_with_three_dots() -> None:
    assert pairs("ellipsis", "He left.") == [("He left...", "He left…")]
    assert pairs("ellipsis", "He left!") == []


def test_an_agency_is_compared_with_the_place_alone() -> None:
    found = pairs("agency_credit", "He left.")
    assert {reference for reference, _ in found} == {"GENEVA - He left."}
    assert [variant for _, variant in found] == [f"GENEVA ({name}) - He left." for name in AGENCIES]


def test_surnames() -> None:
    assert variants("other_surnames", "Ms Fournier left.") == []
    assert variants("other_surnames", "Ms Fournier left.", "Fournier") == [
        f"Ms {name} left." for name in SURNAMES
    ]


def test_accents_are_decomposed_and_compose_again() -> None:
    (variant,) = variants("decomposed", "Kovač left Łódź.")
    assert len(variant) > len("Kovač left Łódź.")
    assert unicodedata.normalize("NFC", variant) == "Kovač left Łódź."


def test_a_typing_error_exchanges_two_letters_of_a_long_word() -> None:
    text = "The harbourmaster of Ystad left."
    for seed in range(30):
        ((_, variant),) = pairs("typing_error", text, seed=seed)
        changed = [at for at, (old, new) in enumerate(zip(text, variant, strict=True)) if old != new]
        assert len(changed) == 2
        assert changed[1] == changed[0] + 1
        assert changed[0] >= 5
        assert changed[1] <= 15
    assert pairs("typing_error", text, seed=3) == pairs("typing_error", text, seed=3)
    assert pairs("typing_error", "He is in.") == []


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_every_change_applies_and_keeps_the_words(name: str) -> None:
    rng = np.random.default_rng(0)
    found = [(row, pair) for row in BASES for pair in PERTURBATIONS[name](row, rng)]
    assert len({row.id for row, _ in found}) >= 8
    for row, (reference, variant) in found:
        assert reference != variant
        if name in {"other_surnames", "other_numbers", "typing_error", "contracted"}:
            continue
        plain = unicodedata.normalize("NFC", variant).lower()
        wanted = re.findall(r"\w+", unicodedata.normalize("NFC", row.text).lower())
        heard = iter(re.findall(r"\w+", plain))
        assert all(word in heard for word in wanted), (row.text, variant)
