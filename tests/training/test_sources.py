"""Declarations of sources: what is read, and what is refused in one clear line."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from framelens.errors import InputError
from framelens_training.recipe import Recipe, load_recipe
from framelens_training.sources import RESTRICTED, load_sources

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
[[source]]
name = "judged"
kind = "annotated"
files = ["annotated/sentences.jsonl.gz"]
licence = "ours"
terms = "unstated"
"""
MORE = """
[[source]]
name = "bias"
kind = "benchmark"
files = ["bench/bias.jsonl.gz"]
role = "train"
licence = "AGPL-3.0"
terms = "agpl"
task = "bias"
labels = { Biased = "biased", Non-biased = "none" }
"""


def write(text: str, folder: Path) -> str:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def refusal(text: str, folder: Path) -> str:
    path = write(text, folder)
    with pytest.raises(InputError) as caught:
        load_sources(path)
    message = str(caught.value)
    assert message.startswith(path)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["default", "public", "seed"])
def test_every_shipped_declaration_loads_and_lets_weights_ship(name: str) -> None:
    declared = load_sources(name)
    assert declared.description
    assert not any(source.restricted for source in declared.chosen())


def test_nothing_that_is_shipped_is_missed() -> None:
    names = [entry.name for entry in (files("framelens_training") / "sources").iterdir()]
    assert sorted(names) == ["benchmarks.toml", "default.toml", "public.toml", "seed.toml"]


def test_the_sets_whose_terms_keep_weights_from_shipping_are_marked() -> None:
    declared = {source.name: source for source in load_sources("default").source}
    assert {name for name, source in declared.items() if source.restricted} == {"babe", "checkthat"}
    assert {declared[name].terms for name in ("babe", "checkthat")} == RESTRICTED
    assert not any(source.on for source in declared.values() if source.kind == "benchmark")


def test_a_file_can_take_over_what_is_shipped(tmp_path: Path) -> None:
    own = load_sources(write('also = ["benchmarks"]\n' + GOOD, tmp_path))
    shipped = load_sources("benchmarks").source
    assert own.source[1:] == shipped
    assert [source.name for source in own.chosen()] == ["judged"]
    assert [source.name for source in own.chosen(["ptc"])] == ["judged", "ptc"]
    for also, said in (("mine.toml", "name of a shipped declaration"), ("all", "no sources named 'all'")):
        with pytest.raises(InputError, match=said):
            load_sources(write(f'also = ["{also}"]\n' + GOOD, tmp_path))
    with pytest.raises(InputError, match="2 sources are named 'ptc'"):
        load_sources(write('also = ["benchmarks"]\n' + GOOD.replace('"judged"', '"ptc"'), tmp_path))


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    judged, bias = load_sources(write(GOOD + MORE, tmp_path)).source
    assert (judged.role, judged.weight, judged.on) == ("split", 1.0, True)
    # A public set is off until it is asked for.
    assert (bias.on, bias.restricted, bias.labels["Biased"]) == (False, True, "biased")


def test_a_restricted_source_that_only_measures_restricts_nothing(tmp_path: Path) -> None:
    text = GOOD.replace('"unstated"', '"non-commercial"')
    assert load_sources(write(text, tmp_path)).source[0].restricted
    assert not load_sources(write(text + 'role = "evaluate"\n', tmp_path)).source[0].restricted


def test_sources_are_switched_on_and_off_by_name(tmp_path: Path) -> None:
    declared = load_sources(write(GOOD + MORE, tmp_path))
    names = [
        [source.name for source in declared.chosen(*switches)]
        for switches in ((), (["bias"],), (["bias"], ["judged"]), (["judged"],))
    ]
    assert names == [["judged"], ["judged", "bias"], ["bias"], ["judged"]]
    with pytest.raises(InputError, match="no source is named 'baise'; declared are bias, judged"):
        declared.chosen(["baise"])
    with pytest.raises(InputError, match="every source is off; switch one on of bias, judged"):
        declared.chosen((), ["judged"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace('"annotated"', '"annotatd"'), "source judged: kind: Input should be 'annotated'"),
        (GOOD.replace('"unstated"', '"free"'), "source judged: terms: "),
        (GOOD.replace('terms = "unstated"', ""), "source judged: terms: Field required"),
        (GOOD.replace('licence = "ours"', ""), "source judged: licence: Field required"),
        (GOOD.replace('"ours"', '""'), "source judged: licence: "),
        (GOOD + "weight = 0.0\n", "source judged: weight: Input should be greater than 0 (got 0.0)"),
        (GOOD + "wieght = 2.0\n", "source judged: wieght: Extra inputs"),
        (GOOD + 'role = "test"\n', "source judged: role: "),
        (GOOD + 'task = "bias"\n', "source judged: only a benchmark has a task"),
        (GOOD.replace("judged", "My Set"), "name: String should match pattern"),
        (GOOD.replace('files = ["annotated/sentences.jsonl.gz"]', ""), "names its files"),
        (GOOD.replace(".jsonl.gz", ".csv"), "source judged: sources are .jsonl or .jsonl.gz"),
        (GOOD + GOOD, "2 sources are named 'judged'"),
        (GOOD + MORE.replace('task = "bias"', ""), "source bias: a benchmark has a task, labels"),
        (MORE.replace('role = "train"', ""), "source bias: a benchmark has a task, labels"),
        ("", "source: Field required"),
        ("source = []", "source: Tuple should have at least 1 item"),
        ("[[source]\n", "not valid TOML"),
        ("[extra]\na = 1\n" + GOOD, "extra: Extra inputs"),
    ],
)
def test_a_fault_is_one_line_that_names_the_source_and_the_field(
    text: str, words: str, tmp_path: Path
) -> None:
    assert words in refusal(text, tmp_path)


def test_an_unknown_name_shows_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="no sources named 'all'; shipped are benchmarks, default, public, seed, or"
    ):
        load_sources("all")
    with pytest.raises(InputError, match=r"no sources at .*absent\.toml"):
        load_sources(str(tmp_path / "absent.toml"))


@pytest.mark.parametrize("name", ["minilm", "quickstart"])
def test_a_shipped_recipe_names_shipped_sources(name: str) -> None:
    recipe = load_recipe(name, Recipe).data
    assert load_sources(recipe.sources).chosen(recipe.include, recipe.exclude)
    assert not recipe.allow_restricted
