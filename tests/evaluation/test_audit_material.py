"""The sentences, templates and names that ship with the audit."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations

import pytest

from framelens import LABELS, InputError, Label
from framelens_evaluation.audit.material import GROUPS, Template, read_material, select_checks
from framelens_evaluation.audit.perturbations import PERTURBATIONS
from framelens_evaluation.audit.symmetry import build_grid, fill

MATERIAL = read_material()
RULES = {"S1": LABELS[0], "S2": LABELS[0], "I": LABELS[1], "H1": LABELS[2], "H2": LABELS[2]}
EXCHANGES = [check for check in MATERIAL.checks if check.exchange]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def shingles(text: str) -> set[tuple[str, ...]]:
    found = words(text)
    return {tuple(found[at : at + 3]) for at in range(len(found) - 2)}


def test_there_is_enough() -> None:
    assert len(MATERIAL.checks) >= 25
    assert len(MATERIAL.bases) >= 250
    assert len(MATERIAL.templates) >= 60
    assert len(MATERIAL.states) >= 30
    assert len({state.region for state in MATERIAL.states}) >= 8
    by_label = Counter(template.label for template in MATERIAL.templates)
    assert min(by_label[label] for label in LABELS) >= 20
    by_label = Counter(row.label for row in MATERIAL.bases)
    assert min(by_label[label] for label in LABELS) >= 40
    for group in GROUPS:
        assert sum(template.uses(group) for template in MATERIAL.templates) >= 10


def test_ids_are_unique_and_in_order() -> None:
    for rows in (MATERIAL.checks, MATERIAL.sentences, MATERIAL.templates):
        ids = [row.id for row in rows]
        assert len(set(ids)) == len(ids)
    order = [check.id for check in MATERIAL.checks]
    places = [order.index(row.check) for row in MATERIAL.sentences]
    assert places == sorted(places)
    for row in MATERIAL.sentences:
        assert re.fullmatch(rf"{row.check}\.\d\d", row.id)


@pytest.mark.parametrize("check", MATERIAL.checks, ids=lambda check: check.id)
def test_a_check_says_what_it_means_and_what_to_do(check) -> None:
    for line in (check.title, check.meaning, check.remedy):
        assert line
        assert "\n" not in line
    assert check.meaning.endswith(".")
    assert check.remedy.endswith(".")
    assert (check.kind == "DIR") == (check.target is not None) == (check.moves is not None)
    written = [row for row in MATERIAL.sentences if row.check == check.id]
    made = bool(check.perturbation) + bool(check.exchange)
    assert made <= 1
    assert bool(written) != bool(made)
    assert not written or len(written) >= 8
    assert check.perturbation is None or check.perturbation in PERTURBATIONS


def test_titles_and_meanings_are_of_one_check_each() -> None:
    assert len({check.title for check in MATERIAL.checks}) == len(MATERIAL.checks)
    assert len({check.meaning for check in MATERIAL.checks}) == len(MATERIAL.checks)
    assert {check.perturbation for check in MATERIAL.checks} - {None} == set(PERTURBATIONS)


@pytest.mark.parametrize("row", MATERIAL.sentences, ids=lambda row: row.id)
def test_a_sentence_is_whole(row) -> None:
    kind = row.check.split("-")[1]
    assert RULES[row.rule] is row.label
    assert (row.before is not None) == (row.before_label is not None) == (kind == "DIR")
    assert bool(row.variants) == (kind == "INV")
    texts = [row.text, *([row.before] if row.before else []), *row.variants]
    assert len(set(texts)) == len(texts)
    for text in texts:
        assert text == " ".join(text.split())
        assert re.search(r"[.!][\"]?$", text), text
        assert text[0].isupper() or text[0] == '"'
        assert not set("{}~<>“”’–—") & set(text), "perturbations start from plain typography"
        assert text.count('"') % 2 == 0
        assert 5 <= len(words(text)) <= 40
    assert row.person is None or row.person in row.text


def test_a_directional_pair_moves_where_its_check_says() -> None:
    checks = {check.id: check for check in MATERIAL.checks}
    for row in MATERIAL.sentences:
        check = checks[row.check]
        if check.kind == "DIR":
            assert (row.label is check.target) == (check.moves == "up"), row.id
            assert (row.before_label is check.target) == (check.moves == "down"), row.id


def test_no_sentence_comes_twice_or_nearly() -> None:
    everything = [
        (row.id, text)
        for row in MATERIAL.sentences
        for text in (row.text, row.before, *row.variants)
        if text is not None
    ]
    everything += [(template.id, template.text) for template in MATERIAL.templates]
    texts = [text for _, text in everything]
    assert len(set(texts)) == len(texts)
    known = [(case, shingles(text)) for case, text in everything]
    near = [
        (one, other)
        for (one, left), (other, right) in combinations(known, 2)
        # Sentences of one row are meant to resemble each other.
        if one != other and left and len(left & right) / len(left | right) > 0.4
    ]
    assert near == []


def test_names_are_of_one_state_each() -> None:
    everyone = [*MATERIAL.states, MATERIAL.reference]
    for slot in type(MATERIAL.reference).model_fields:
        if slot != "region":
            values = [getattr(state, slot) for state in everyone]
            assert len(set(values)) == len(values), slot
    for state in everyone:
        for value in state.model_dump().values():
            assert value == value.strip() != ""
            # "the" is the only small word that may open a name, so that a capital can open a sentence.
            assert value[0].isupper() or value.startswith("the ") or value == "invented"
    others = {row.other for row in MATERIAL.counterparts}
    assert others.isdisjoint(state.country for state in everyone)


@pytest.mark.parametrize("template", MATERIAL.templates, ids=lambda template: template.id)
def test_a_template_reads_well_for_every_state(template: Template) -> None:
    assert RULES[template.rule] is template.label
    assert template.slots & {slot for slots in GROUPS.values() for slot in slots}
    for check in EXCHANGES:
        for state in MATERIAL.states:
            text = fill(template, state, check, MATERIAL)
            assert not set("{}") & set(text)
            assert text[0].isupper() or text[0] == '"'
            assert "  " not in text
            assert not re.search(r"\b[Tt]he the\b", text)
            assert not re.search(r"\ba [aeiouAEIO]", text), text
            assert not re.search(r"\ban [^aeiouAEIOhH]", text), text


def test_verbs_fit_names_in_the_singular_and_the_plural() -> None:
    # "the Revolutionary Guards" stands where "the Swiss army" does.
    for template in MATERIAL.templates:
        assert not re.search(r"^\{(Army|Ministry)\} (is|are|was|were|has|have|\w+s)\b", template.text)


def test_a_slot_that_opens_a_sentence_is_capitalised_and_no_other() -> None:
    for template in MATERIAL.templates:
        for found in re.finditer(r"\{(\w+)\}", template.text):
            opens = found.start() == 0
            assert found[1][0].isupper() == opens, template.id


def test_a_missing_value_is_named() -> None:
    with pytest.raises(InputError, match=r"T0: no value for the slot \{Army\}"):
        Template(id="T0", label=LABELS[0], rule="S1", text="{Army} won.").fill({"leader": "x"})


def test_a_grid_changes_only_the_slots_of_its_check() -> None:
    checks = {check.id: check for check in EXCHANGES}
    outlet = build_grid(checks["S3-INV"], MATERIAL)
    assert all("outlet" in template.slots for template in outlet.templates)
    for template, row in zip(outlet.templates, outlet.texts, strict=True):
        for state, text in zip(outlet.states, row, strict=True):
            assert state.outlet in text or state.outlet[0].upper() + state.outlet[1:] in text
            others = template.slots & {"country", "demonym", "capital", "leader", "army", "ministry"}
            for slot in others:
                assert getattr(MATERIAL.reference, slot).lower() in text.lower()
    whole = build_grid(checks["S1-INV"], MATERIAL)
    assert len(whole.templates) == len(MATERIAL.templates)
    assert not any("aldoria" in text for text in whole.flat)
    assert all(len(set(row)) == len(MATERIAL.states) for row in whole.texts)


@pytest.mark.parametrize(
    ("only", "ids"),
    [
        (["H1-MFT"], ["H1-MFT"]),
        (["h1"], ["H1-MFT"]),
        (["B"], ["B1-MFT", "B2-DIR"]),
        (["both sides"], ["B1-MFT", "B2-DIR"]),
        (["S3", "B1"], ["B1-MFT", "S3-INV"]),
    ],
)
def test_select_checks(only: list[str], ids: list[str]) -> None:
    assert [check.id for check in select_checks(MATERIAL.checks, only)] == ids


def test_select_by_kind_and_all() -> None:
    assert {check.kind for check in select_checks(MATERIAL.checks, ["dir"])} == {"DIR"}
    assert select_checks(MATERIAL.checks, None) == MATERIAL.checks
    with pytest.raises(InputError, match="--only Z9: expected an id"):
        select_checks(MATERIAL.checks, ["H", "Z9"])


def test_labels_are_ours() -> None:
    assert all(isinstance(row.label, Label) for row in (*MATERIAL.sentences, *MATERIAL.templates))
