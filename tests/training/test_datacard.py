"""The data card: its counts are the data's, its agreement is the reference's, and it quotes nobody."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import krippendorff
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from framelens_training.build import CARD, build, write_build
from framelens_training.data import Splits, as_splits
from framelens_training.datacard import alpha, data_card, raw_agreement

if TYPE_CHECKING:
    from pathlib import Path

    from framelens_training.build import Build
    from framelens_training.recipe import DataRecipe


@pytest.fixture(scope="module")
def made(data_dir: Path, data_recipe: DataRecipe) -> Build:
    return build(data_recipe, data_dir)


def tables(card: str) -> dict[str, dict[str, list[str]]]:
    """Each table's rows by their first cell, by the table's own first cell."""
    found: dict[str, dict[str, list[str]]] = {}
    for block in re.findall(r"(?:^\|.*\|\n)+", card, re.MULTILINE):
        head, _, *lines = (
            [cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()
        )
        found[head[0]] = {line[0]: line[1:] for line in lines} | {"": head[1:]}
    return found


def test_every_count_of_the_card_is_the_datas(made: Build) -> None:
    found = tables(data_card(made.splits, made.record))
    rows = [row | {"split": name} for name, part in made.splits.items() for row in part]
    for called, column in (
        ("split", "split"),
        ("rule", "rule"),
        ("outlet", "outlet_id"),
        ("stratum", "stratum"),
    ):
        head, *_ = (found[called].pop(""),)
        assert {name: cells[-1] for name, cells in found[called].items()} == {
            "not stated" if name is None else name: f"{n:,}"
            for name, n in Counter(row[column] for row in rows).items()
        }
        for name, cells in found[called].items():
            for label, cell in zip(head[:3], cells, strict=False):
                value = None if name == "not stated" else name
                assert int(cell) == sum(row[column] == value and row["label"] == label for row in rows)
    assert found["country"]["not stated"][-1] == str(len(rows))
    assert found["declared source"]["judged"][-1] == str(len(rows))


def test_the_card_quotes_no_sentence(made: Build) -> None:
    card = data_card(made.splits, made.record)
    for part in (made.splits.train, made.splits.dev, made.splits.test):
        for row in part:
            assert row["text"] not in card
            assert not row["context"] or row["context"] not in card


def test_the_card_names_licences_settings_and_what_was_not_checked(made: Build) -> None:
    card = data_card(made.splits, made.record)
    for words in (
        "labels Apache-2.0; text its publishers', not shipped | unstated",
        "(seed 5): 10% of the articles to dev, 10% to test",
        "`dune_daily` stand in dev alone, `marsh_mail` in test alone",
        "Jaccard similarity of at least 0.7",
        "**no other evaluation set was at hand**",
        "Contexts cut because they held a sentence of a set that measures: 0 in train, 0 in dev.",
    ):
        assert words in card
    assert "may not ship" not in card
    bound = made.record | {"restricted": ["babe"], "dropped": {"train: in test": 1234}}
    bound["conflicts"] = [{"split": "train", "kept": kept, "rules": {}} for kept in ("a", None, None)]
    known = {"sealed": {"fingerprints": 175_238, "sha256": "0"}}
    bound["leakage"] = made.record["leakage"] | {"evaluation_sets": known}
    card = data_card(made.splits, bound)
    assert card.startswith(
        "**Weights fitted on this data set may not ship**, by the terms of babe.\n\n# Data set of"
    )
    assert "dev and test of this data set; sealed (175,238 fingerprints)." in card
    assert "| train | in test | 1,234 |" in card
    assert "3 pairs of duplicates were judged differently; 1 of them" in card


def test_sources_without_a_description_leave_no_gap(made: Build) -> None:
    assert "articles. Written by" in data_card(
        made.splits, made.record | {"sources": {**made.record["sources"], "description": ""}}
    )
    assert f"articles. {made.record['sources']['description']}. Written by" in data_card(
        made.splits, made.record
    )


def test_a_bar_in_a_name_breaks_no_table(made: Build) -> None:
    parts = {name: part.to_list() for name, part in made.splits.items()}
    parts["train"][0]["outlet_id"] = "odd|name"
    card = data_card(as_splits(parts), made.record)
    (line,) = [line for line in card.splitlines() if "odd" in line]
    assert line.count("|") - line.count("\\|") == 10
    assert line.startswith("| odd\\|name |")


def with_judgements(splits: Splits, rules: list[list[str]]) -> Splits:
    """The first training sentences judged by several."""
    parts = {name: part.to_list() for name, part in splits.items()}
    for row, its in zip(parts["train"], rules, strict=False):
        row["judgements"] = [{"judge": f"j{i}", "rule": rule, "sure": 1} for i, rule in enumerate(its)]
        row["judges"] = len(its)
    return dataclasses.replace(as_splits(parts), removed=splits.removed)


def test_agreement_is_told_where_it_is_known_and_said_to_be_unknown_where_not(made: Build) -> None:
    n = sum(len(part) for _, part in made.splits.items())
    assert f"Unknown: 0 of {n} sentences were read by more than one judge" in data_card(
        made.splits, made.record
    )
    rules = [["S1", "S2"], ["I", "H1"], ["X", "X", "I"], ["I"]]
    judged = with_judgements(made.splits, rules)
    card = data_card(judged, made.record)
    assert f"3 of {n} sentences were read by more than one judge; the single judgements of 3" in card
    found = tables(card[card.index("## Label agreement") :])["split"]
    # Two rules of one label agree: 1 of 1, 0 of 1 and 1 of 3 pairs.
    assert found["all"][:2] == found["train"][:2] == ["3", "0.400"]
    assert found["all"][2] == f"{alpha([['s', 's'], ['i', 'h'], ['x', 'x', 'i']]):.3f}"
    assert "dev" not in found


def test_who_adjudicates_has_not_judged_apart(made: Build) -> None:
    judged = with_judgements(made.splits, [["S1", "I", "S1"], ["I", "I"], ["H1", "H2"]])
    parts = {name: part.to_list() for name, part in judged.items()}
    parts["train"][0]["adjudicated"] = True
    card = data_card(as_splits(parts), made.record)
    # Two of three pairs agree, not three of five.
    found = tables(card[card.index("## Label agreement") :])["split"]
    assert found["train"] == ["3", "0.667", f"{alpha(['si', 'ii', 'hh']):.3f}"]


JUDGED = st.lists(st.lists(st.sampled_from("abc"), min_size=2, max_size=4), min_size=1, max_size=12)


@given(JUDGED)
def test_alpha_is_the_packages(judged: list[list[str]]) -> None:
    values = {label for labels in judged for label in labels}
    found = alpha(judged)
    if len(values) < 2:
        assert found is None
        return
    counts = [[labels.count(value) for value in "abc"] for labels in judged]
    expected = krippendorff.alpha(value_counts=counts, level_of_measurement="nominal")
    assert found == pytest.approx(expected)


@given(JUDGED, st.randoms())
def test_agreement_does_not_hang_on_the_order_of_judges(judged: list[list[str]], random: Any) -> None:
    other = [random.sample(labels, len(labels)) for labels in judged]
    assert raw_agreement(judged) == raw_agreement(other)
    assert alpha(judged) == alpha(other)


@given(JUDGED)
def test_judges_of_one_mind_agree_wholly(judged: list[list[str]]) -> None:
    same = [[labels[0]] * len(labels) for labels in judged]
    assume(len({labels[0] for labels in same}) > 1)
    assert raw_agreement(same) == alpha(same) == 1


def test_the_card_of_a_built_folder_is_that_of_its_rows(made: Build, tmp_path: Path) -> None:
    write_build(made, tmp_path / "out")
    written = (tmp_path / "out" / CARD).read_text(encoding="utf-8")
    assert written == data_card(made.splits, made.record)
