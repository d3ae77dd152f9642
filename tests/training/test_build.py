"""From declared sources to a data set: what is kept, dropped, refused and written."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from framelens.errors import InputError
from framelens_training import cli
from framelens_training.build import RECORD, build, check_target, copy_build, read_build, write_build
from framelens_training.data import load_annotated, split_sentences
from framelens_training.datacard import data_card
from framelens_training.fit import fit
from framelens_training.gather import Fetching, default_cache, sha256
from framelens_training.leakage import evaluation_sets, fingerprints, leaks
from framelens_training.recipe import DataRecipe, Recipe, load_recipe
from framelens_training.references import articles_of_test, refer, write_references
from framelens_training.rundir import begin_run
from framelens_training.seed import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REAL = os.environ.get("FRAMELENS_DATA")
FILES = [
    "train.jsonl",
    "dev.jsonl",
    "test.jsonl",
    "dropped.jsonl",
    "data.json",
    "DATA_CARD.md",
    "counts.json",
]
TUG = "The tug Halvard towed the burning tanker out of the inner harbour before the second explosion."
PIER = "Three students swam to the pier and were taken to the clinic of the island in a fishing boat."
ORCHARD = "Frost in April destroyed most of the cherry harvest in the four valleys around Lake Tarn."


@pytest.fixture(autouse=True)
def _no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the machine's data nor its cache reaches a test."""
    monkeypatch.delenv("FRAMELENS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def judged(
    name: str, text: str, article: str, outlet: str | None = "hill_times", **more: Any
) -> dict[str, Any]:
    row = {"id": name, "text": text, "article": article, "outlet_id": outlet, "judges": 1, "sure": 1}
    return row | {"rule": "I", "label": "independent_reporting", "cue": None, "context": ""} | more


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def declare(folder: Path, *sources: Mapping[str, Any]) -> str:
    """A declaration of sources; JSON's strings, numbers and lists are TOML's too."""
    text = []
    for source in sources:
        entry = {"licence": "ours", "terms": "open"} | source
        text.append("[[source]]")
        for key, value in entry.items():
            if isinstance(value, dict):
                inner = ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items())
                text.append(f"{key} = {{ {inner} }}")
            else:
                text.append(f"{key} = {json.dumps(value)}")
    path = folder / "sources.toml"
    path.write_text("\n".join(text), encoding="utf-8")
    return str(path)


def source(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "annotated", "files": [f"{name}.jsonl.gz"]} | more


def recipe(sources: str, **more: Any) -> DataRecipe:
    fields = {"dev_outlets": (), "test_outlets": (), "dev_fraction": 0.0, "test_fraction": 0.0, **more}
    return DataRecipe(sources=sources, **fields)


def texts(part: Any) -> list[str]:
    return list(part["text"])


def test_a_folder_without_repeats_is_split_and_nothing_else(
    data_dir: Path, data_recipe: DataRecipe, rows: list[dict[str, Any]]
) -> None:
    made = build(data_recipe, data_dir)
    plain = split_sentences(load_annotated(data_dir), data_recipe)
    assert {name: part["id"] for name, part in made.splits.items()} == {
        name: part["id"] for name, part in plain.items()
    }
    assert made.splits.removed == ()
    assert {row["id"] for _, part in made.splits.items() for row in part} == {row["id"] for row in rows}
    for part in (made.splits.train, made.splits.dev, made.splits.test):
        assert set(part["origin"]) == {"judged"}
        assert set(part["weight"]) == {1.0}
        for row in part:
            given = next(each for each in rows if each["id"] == row["id"])
            assert (row["source"], row["stratum"]) == (given["source"], given["stratum"])
            assert row["record"] == str(given["record"])


def test_a_written_build_is_read_again_and_is_the_same_bytes_every_time(
    data_dir: Path, data_recipe: DataRecipe, tmp_path: Path
) -> None:
    made = build(data_recipe, data_dir)
    for name in ("one", "two"):
        write_build(made if name == "one" else build(data_recipe, data_dir), tmp_path / name)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    again = read_build(tmp_path / "one", data_recipe)
    assert [list(part) for _, part in again.items()] == [list(part) for _, part in made.splits.items()]
    record = json.loads((tmp_path / "one" / RECORD).read_bytes())
    assert record["framelens"] == version("framelens")
    assert record["settings"] == json.loads(data_recipe.model_dump_json())
    assert record["files"] == {
        name: sha256(tmp_path / "one" / name) for name in FILES if name.endswith("jsonl")
    }
    (read,) = record["sources"]["read"]
    assert {entry["file"]: entry["sha256"] for entry in read["files"]} == {
        f"annotated/{name}.jsonl.gz": sha256(data_dir / "annotated" / f"{name}.jsonl.gz")
        for name in ("sentences", "not_annotated")
    }
    # Nothing tells where on this machine anything lay.
    assert str(data_dir.parent) not in (tmp_path / "one" / RECORD).read_text(encoding="utf-8")


@pytest.fixture
def three(tmp_path: Path) -> str:
    """A source that is split, one for training and one that measures, of three repeated sentences."""
    write_lines(
        tmp_path / "main.jsonl.gz",
        [
            judged("m1", TUG, "hill:1"),
            judged("m2", TUG.replace("explosion", "blast"), "hill:2", judges=2),
            judged("m3", PIER, "marsh:1", "marsh_mail"),
            judged("m4", "Nobody was hurt.", "hill:3"),
            judged("m5", "Nobody was hurt!", "hill:4", label="hedged_claim", rule="H1"),
        ],
    )
    write_lines(
        tmp_path / "extra.jsonl.gz",
        [
            judged("x1", PIER.replace("students", "Swedes"), "dune:1", "dune_daily"),
            judged("x2", TUG, "dune:2", "dune_daily"),
            judged("x3", ORCHARD.replace("Frost", "Ice"), "dune:3", "dune_daily"),
        ],
    )
    write_lines(tmp_path / "gold.jsonl.gz", [judged("g1", ORCHARD, "gold:1", "river_post", judges=2)])
    return declare(
        tmp_path,
        source("main"),
        source("extra", role="train", weight=0.5),
        source("gold", role="evaluate", terms="non-commercial"),
    )


def test_repeats_and_leaks_are_dropped_with_the_reason_and_the_other(three: str, tmp_path: Path) -> None:
    made = build(recipe(three, test_outlets=("marsh_mail",)), tmp_path)
    assert made.splits.train["id"] == ["m2"]
    assert made.splits.test["id"] == ["m3", "g1"]
    write_build(made, tmp_path / "out")
    lines = (tmp_path / "out" / "dropped.jsonl").read_text(encoding="utf-8").splitlines()
    found = {row["id"]: (row["split"], row["why"], row["other"]) for row in map(json.loads, lines)}
    equal = "duplicate, judged otherwise with equal standing"
    assert found == {
        # More judges read the other one.
        "m1": ("train", "near-duplicate", "m2"),
        "x2": ("train", "near-duplicate", "m2"),
        "m4": ("train", equal, "m5"),
        "m5": ("train", equal, "m4"),
        "x1": ("train", "in test", "m3"),
        "x3": ("train", "in test", "g1"),
    }
    (conflict,) = made.record["conflicts"]
    assert conflict == {"split": "train", "kept": None, "rules": {"m4": "I", "m5": "H1"}}
    # What only measures touches no weights, whatever its terms.
    assert made.record["restricted"] == []


def test_the_weight_and_the_name_of_a_source_stand_on_its_rows(three: str, tmp_path: Path) -> None:
    made = build(recipe(three, exclude=("main",)), tmp_path)
    assert {row["id"]: (row["origin"], row["weight"]) for row in made.splits.train} == {
        "x1": ("extra", 0.5),
        "x2": ("extra", 0.5),
    }


def test_a_source_that_is_added_to_train_changes_neither_dev_nor_test(
    data_dir: Path, data_recipe: DataRecipe, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    labelled = [row for row in rows if row["label"]]
    # Sentences that repeat those of every split, by more judges.
    again = [row | {"id": f"again {i}", "judges": 9, "article": f"new:{i}"} for i, row in enumerate(labelled)]
    for row in again:
        row["outlet_id"] = "new_outlet"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "annotated").symlink_to(data_dir / "annotated")
    write_lines(tmp_path / "data" / "again.jsonl.gz", again)
    files = ["annotated/sentences.jsonl.gz", "annotated/not_annotated.jsonl.gz"]
    path = declare(tmp_path, source("judged", files=files), source("again", role="train"))
    before = build(data_recipe, data_dir).splits
    after = build(data_recipe.model_copy(update={"sources": path}), tmp_path / "data").splits
    for name in ("dev", "test"):
        assert list(getattr(after, name)) == list(getattr(before, name))
    held = fingerprints([*after.dev["text"], *after.test["text"]])
    assert not any(leaks(text, held) for text in after.train["text"])
    # In train, those that more judges read have taken the others' places.
    assert set(after.train["judges"]) >= {9}


def test_evaluation_sets_of_the_folder_are_kept_out_of_text_and_context(tmp_path: Path) -> None:
    rows = [
        judged("a", "Only this one stays.", "hill:1", context=f"{ORCHARD} It was cold."),
        judged("b", PIER, "hill:2"),
        judged("c", ORCHARD, "hill:3"),
        judged("d", TUG, "marsh:1", "marsh_mail", context=ORCHARD),
        judged("e", "So does this one, the harbour said.", "hill:4", context=f"It was hot. {TUG}"),
    ]
    write_lines(tmp_path / "main.jsonl.gz", rows)
    write_lines(tmp_path / "bench" / "public.jsonl.gz", [{"text": PIER, "label": "x", "split": "test"}])
    (tmp_path / "sealed").mkdir()
    with gzip.open(tmp_path / "sealed" / "fingerprints.txt.gz", "wt", encoding="ascii") as lines:
        lines.writelines(f"{known}\n" for known in sorted(fingerprints([ORCHARD])))
    made = build(recipe(declare(tmp_path, source("main")), test_outlets=("marsh_mail",)), tmp_path)
    assert {row["id"]: row["context"] for row in made.splits.train} == {"a": "It was cold.", "e": ""}
    # Test is left as it is.
    assert made.splits.test["context"] == [ORCHARD]
    assert made.splits.dropped == {"train: in public test": 1, "train: in sealed": 1}
    assert made.record["contexts_cut"] == {"train": 2, "dev": 0}
    known = made.record["leakage"]["evaluation_sets"]
    assert {name: entry["fingerprints"] for name, entry in known.items()} == {
        "sealed": len(fingerprints([ORCHARD])),
        "public test": len(fingerprints([PIER])),
    }


@pytest.mark.parametrize("field", ["dev_outlets", "test_outlets"])
def test_a_held_out_outlet_that_no_source_has_is_refused(
    field: str, data_dir: Path, data_recipe: DataRecipe
) -> None:
    wrong = data_recipe.model_copy(update={field: ("dune_dayly",)})
    with pytest.raises(InputError) as caught:
        build(wrong, data_dir)
    assert f"{field} holds 'dune_dayly' out" in str(caught.value)
    assert "dune_daily, hill_times, marsh_mail, river_post" in str(caught.value)
    # What one with sources of one's own is to do.
    assert "dev_outlets = [] and test_outlets = [] (--recipe" in str(caught.value)
    both = data_recipe.model_copy(update={"dev_outlets": data_recipe.test_outlets})
    with pytest.raises(InputError, match="'marsh_mail' stands in dev_outlets and in test_outlets"):
        build(both, data_dir)


def test_a_source_whose_terms_keep_weights_from_shipping_must_be_allowed(tmp_path: Path) -> None:
    write_lines(tmp_path / "main.jsonl.gz", [judged("a", TUG, "hill:1")])
    path = declare(tmp_path, source("main", terms="non-commercial", licence="CC BY-NC 4.0"))
    with pytest.raises(InputError, match=r"'main' is non-commercial \(CC BY-NC 4\.0\).*--allow-restricted"):
        build(recipe(path), tmp_path)
    made = build(recipe(path, allow_restricted=True), tmp_path)
    assert made.record["restricted"] == ["main"]
    write_build(made, tmp_path / "out")
    with pytest.raises(InputError, match="holds main, so no weights"):
        read_build(tmp_path / "out", recipe(path))
    assert texts(read_build(tmp_path / "out", recipe(path, allow_restricted=True)).train) == [TUG]


def test_a_benchmark_gives_auxiliary_targets_and_no_judged_sentence(tmp_path: Path) -> None:
    write_lines(
        tmp_path / "main.jsonl.gz", [judged("a", TUG, "hill:1"), judged("b", PIER, "m:1", "marsh_mail")]
    )
    entries = [
        ("Frogs sang all night.", "bias", "train"),
        ("Frogs sang all night!", "bias", "train"),
        ("Rain fell on the empty stands.", "none", "none"),
        (PIER, "bias", "train"),
        ("The hidden half of the set.", "bias", "dev"),
        ("The other hidden half of the set.", "bias", "test"),
        ("Nobody agreed on this.", "unclear", "train"),
        ("Snow lay on the pass.", "bias", "train"),
        ("Snow lay on the pass!", "none", "train"),
        (" ", "bias", "train"),
    ]
    path = write_lines(
        tmp_path / "aux.jsonl.gz",
        [
            {"text": text, "label": label, "split": split, "doc_id": i % 2, "repo": "o/r", "record": i}
            for i, (text, label, split) in enumerate(entries)
        ],
    )
    labels = {"bias": "biased", "none": "none", "unclear": "skip"}
    aux = source("aux", kind="benchmark", role="train", task="bias", labels=labels, on=True)
    chosen = recipe(declare(tmp_path, source("main"), aux), test_outlets=("marsh_mail",))
    made = build(chosen, tmp_path)
    assert [(row["text"], row["target"]) for row in made.auxiliary] == [
        ("Frogs sang all night.", "biased"),
        ("Rain fell on the empty stands.", "none"),
    ]
    first = made.auxiliary[0]
    assert (first["id"], first["task"], first["repo"], first["record"]) == ("aux:1", "bias", "o/r", "0")
    assert made.record["auxiliary"] == {"bias": {"biased": 1, "none": 1}}
    assert made.splits.dropped == {
        "auxiliary: in test": 1,
        "auxiliary: duplicate": 1,
        "auxiliary: duplicate, judged otherwise with equal standing": 2,
    }
    assert texts(made.splits.train) == [TUG]
    write_build(made, tmp_path / "out")
    lines = (tmp_path / "out" / "auxiliary.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == list(made.auxiliary)
    # Off again, its file goes with the build that it was of.
    write_build(build(chosen.model_copy(update={"exclude": ("aux",)}), tmp_path), tmp_path / "out")
    assert not (tmp_path / "out" / "auxiliary.jsonl").exists()

    write_lines(path, [{"text": "Frogs.", "label": "odd", "split": "train"}])
    with pytest.raises(InputError, match=r"aux\.jsonl\.gz, line 1: the source 'aux' maps no label 'odd'"):
        build(chosen, tmp_path)
    write_lines(path, [{"text": "Frogs.", "split": "train"}])
    with pytest.raises(InputError, match="expected an object with text, label and split"):
        build(chosen, tmp_path)


def test_an_id_stands_for_one_sentence(tmp_path: Path) -> None:
    write_lines(tmp_path / "one.jsonl.gz", [judged("a", TUG, "hill:1"), judged("a", PIER, "hill:2")])
    with pytest.raises(InputError, match="source 'one' has two sentences with the id 'a'"):
        build(recipe(declare(tmp_path, source("one"))), tmp_path)
    write_lines(tmp_path / "one.jsonl.gz", [judged("a", TUG, "hill:1", judges=2)])
    write_lines(tmp_path / "two.jsonl.gz", [judged("a", PIER, "hill:1")])
    path = declare(tmp_path, source("one"), source("two"))
    with pytest.raises(InputError, match="the id 'a' of the source 'two' stands for another text"):
        build(recipe(path), tmp_path)
    # The same sentence from two sources is a duplicate like any other, also with other punctuation.
    write_lines(tmp_path / "two.jsonl.gz", [judged("a", TUG.replace(".", " !"), "hill:1")])
    assert build(recipe(path), tmp_path).splits.dropped == {"train: duplicate": 1}
    write_lines(tmp_path / "two.jsonl.gz", [judged("a", TUG, "hill:1", rule="X", label=None)])
    assert build(recipe(path), tmp_path).splits.train["origin"] == ["one"]


def test_missing_data_is_named(tmp_path: Path) -> None:
    path = declare(tmp_path, source("main"))
    with pytest.raises(InputError, match="Give --data-dir or set FRAMELENS_DATA"):
        build(recipe(path))
    with pytest.raises(InputError, match=r"main\.jsonl\.gz is missing; the source 'main' names it"):
        build(recipe(path), tmp_path)
    write_lines(tmp_path / "main.jsonl.gz", [])
    with pytest.raises(InputError, match=r"main\.jsonl\.gz is empty; the source 'main' names it"):
        build(recipe(path), tmp_path)
    write_lines(tmp_path / "aux.jsonl.gz", [{"text": TUG, "label": "a", "split": "train"}])
    aux = source("aux", kind="benchmark", role="train", task="any", labels={"a": "a"}, on=True)
    with pytest.raises(InputError, match="hold no judged sentence"):
        build(recipe(declare(tmp_path, aux)), tmp_path)


def test_files_lie_beside_the_declaration_or_else_in_the_data_folder(tmp_path: Path) -> None:
    own, data = tmp_path / "own", tmp_path / "data"
    own.mkdir()
    path = declare(own, source("main"), source("other"), source("seed", kind="seed", files=[]))
    write_lines(own / "main.jsonl.gz", [judged("a", TUG, "hill:1")])
    write_lines(own / "other.jsonl.gz", [judged("b", PIER, "hill:2")])
    chosen = recipe(path, exclude=("seed",))
    # All beside it: no folder of data is needed.
    assert build(chosen).splits.train["id"] == ["a", "b"]
    (own / "other.jsonl.gz").unlink()
    with pytest.raises(
        InputError, match=r"where is other\.jsonl\.gz of the source 'other'; it is not in .*own"
    ):
        build(chosen)
    write_lines(data / "other.jsonl.gz", [judged("c", PIER, "hill:2")])
    assert build(chosen, data).splits.train["id"] == ["a", "c"]
    # Of two files of the same name the one beside the declaration is meant.
    write_lines(data / "main.jsonl.gz", [judged("d", ORCHARD, "hill:1")])
    assert build(chosen, data).splits.train["id"] == ["a", "c"]
    (data / "other.jsonl.gz").unlink()
    with pytest.raises(
        InputError, match=r"own/other\.jsonl\.gz or .*data/other\.jsonl\.gz is missing; the source"
    ):
        build(chosen, data)


def test_what_a_split_lacks_and_columns_that_are_not_read_are_said(tmp_path: Path) -> None:
    hedged = {"rule": "H1", "label": "hedged_claim", "mood": "sad"}
    rows = [judged("a", TUG, "hill:1", notes="n"), judged("b", PIER, "marsh:1", "marsh_mail", **hedged)]
    write_lines(tmp_path / "one.jsonl.gz", rows[:1])
    write_lines(tmp_path / "two.jsonl.gz", rows[1:])
    path = declare(tmp_path, source("main", files=["one.jsonl.gz", "two.jsonl.gz"]))
    said: list[str] = []
    build(recipe(path, test_outlets=("marsh_mail",)), say=said.append)
    assert [line for line in said if "columns" in line] == ["main: columns not used: mood, notes"]
    warned = [line.partition(";")[0] for line in said if line.startswith("warning")]
    assert warned == [
        "warning: train has no sentence of state_media_framing, hedged_claim",
        "warning: dev has no sentence of state_media_framing, independent_reporting, hedged_claim",
        "warning: test has no sentence of state_media_framing, independent_reporting",
    ]


def test_a_whole_data_set_is_built_without_a_warning(data_dir: Path, data_recipe: DataRecipe) -> None:
    said: list[str] = []
    made = build(data_recipe, data_dir, say=said.append)
    complete = all(len({*part["label"]} - {None}) == 3 for _, part in made.splits.items())
    assert complete
    assert not any(line.startswith("warning") for line in said)


SEED = {"context": "", "country": "Norway", "topic": "sea", "kind": "pair"}
PAIR = [
    SEED
    | {"id": "s1", "text": TUG, "rule": "I", "label": "independent_reporting", "cue": None, "set": "tug"},
    SEED
    | {"id": "s2", "text": TUG.replace("towed", "reportedly towed"), "rule": "H2", "label": "hedged_claim"}
    | {"cue": "reportedly", "set": "tug"},
    # The same label and nearly the same words, on purpose.
    SEED
    | {"id": "s3", "text": TUG.replace("towed", "allegedly towed"), "rule": "H2", "label": "hedged_claim"}
    | {"cue": "allegedly", "set": "tug"},
]


def test_a_contrast_set_stays_together_and_whole(tmp_path: Path) -> None:
    write_lines(tmp_path / "seed.jsonl.gz", PAIR)
    path = declare(tmp_path, source("seed", kind="seed"))
    for seed in range(4):
        splits = build(recipe(path, dev_fraction=0.5, split_seed=seed), tmp_path).splits
        assert sorted(len(part) for _, part in splits.items()) == [0, 0, 3]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_text_behind_references_is_fetched_once_and_kept(tmp_path: Path) -> None:
    home = tmp_path / "mirror" / "owner" / "news"
    home.mkdir(parents=True)
    (home / "1.txt").write_text(f"{PIER} {TUG}\n", encoding="utf-8")
    git(home, "init", "-q", "-b", "main")
    git(home, "add", ".")
    git(home, "commit", "-q", "-m", "News")
    place = {"repo": "owner/news", "commit": git(home, "rev-parse", "HEAD"), "path": "1.txt"}
    there = judged("r1", TUG, "hill:1", **place, judgements=[["a", "I", 1], ["b", "I", 0]]) | {
        "context": PIER
    }
    lost = judged("r2", ORCHARD, "dune:1", "dune_daily", **place)
    write_references(tmp_path / "refs.jsonl.gz", refer([there, lost]))
    path = declare(tmp_path, source("refs", kind="references"))
    # The outlet is known, though its only sentence is lost.
    chosen = recipe(path, dev_outlets=("dune_daily",))
    base = f"file://{tmp_path / 'mirror'}/"
    with pytest.raises(InputError, match=r"has not been fetched to .*--fetch"):
        build(chosen, tmp_path)
    said: list[str] = []
    fetched = build(
        chosen, tmp_path, Fetching(allowed=True, cache=default_cache(), git_base=base), said.append
    )
    (row,) = fetched.splits.train
    assert (row["text"], row["context"], row["repo"]) == (TUG, PIER, "owner/news")
    assert [entry["rule"] for entry in row["judgements"]] == ["I", "I"]
    (read,) = fetched.record["sources"]["read"]
    assert [(each["asked"], each["restored"]) for each in read["fetched"]] == [(2, 1)]
    sentence = "Of the 2 sentences that `refs` refers to, 1 were found in their repositories."
    assert sentence in data_card(fetched.splits, fetched.record)
    assert any("owner/news" in line for line in said)
    # Afterwards neither the repository nor the network is needed.
    home.rename(tmp_path / "gone")
    again = build(chosen, tmp_path)
    assert list(again.splits.train) == list(fetched.splits.train)
    assert again.record == fetched.record


def test_a_changed_or_other_build_is_refused(data_dir: Path, data_recipe: DataRecipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no data\.json"):
        read_build(tmp_path, data_recipe)
    write_build(build(data_recipe, data_dir), tmp_path / "out")
    # Where the sources came from is no matter of the fit's.
    assert read_build(tmp_path / "out", data_recipe.model_copy(update={"sources": "public"}))
    with pytest.raises(InputError, match="was built with split_seed = 5, and the recipe has 6"):
        read_build(tmp_path / "out", data_recipe.model_copy(update={"split_seed": 6}))
    with pytest.raises(InputError, match=r"was built with dev_outlets = \['dune_daily'\]"):
        read_build(tmp_path / "out", data_recipe.model_copy(update={"dev_outlets": ()}))
    with (tmp_path / "out" / "train.jsonl").open("a", encoding="utf-8") as lines:
        lines.write("{}\n")
    with pytest.raises(InputError, match=r"train\.jsonl is not what was built"):
        read_build(tmp_path / "out", data_recipe)


def test_a_target_with_other_things_is_left_alone(tmp_path: Path) -> None:
    check_target(tmp_path / "new", overwrite=False)
    check_target(tmp_path, overwrite=False)
    record = {"files": {}, "settings": {}, "restricted": []}
    (tmp_path / RECORD).write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="holds a data set; choose another folder or give --overwrite"):
        check_target(tmp_path, overwrite=False)
    check_target(tmp_path, overwrite=True)
    # Others have files of this name too, and none may name what lies elsewhere.
    for other in ("[1]", "{}", "no JSON", json.dumps(record | {"files": {"../diary.jsonl": "0"}})):
        (tmp_path / RECORD).write_text(other, encoding="utf-8")
        for overwrite in (False, True):
            with pytest.raises(InputError, match="expected the record of a data set"):
                check_target(tmp_path, overwrite)
        with pytest.raises(InputError, match="expected the record of a data set"):
            copy_build(tmp_path, tmp_path / "copy")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "diary.txt").write_text("mine", encoding="utf-8")
    for overwrite in (False, True):
        with pytest.raises(InputError, match="is no data set of framelens-train"):
            check_target(tmp_path / "home", overwrite)


def test_a_build_over_another_leaves_what_is_not_its_own(
    data_dir: Path, data_recipe: DataRecipe, tmp_path: Path
) -> None:
    made = build(data_recipe, data_dir)
    write_build(made, tmp_path / "out")
    for name in ("notes.txt", "notes.jsonl"):
        (tmp_path / "out" / name).write_text("mine", encoding="utf-8")
    for _ in range(2):
        write_build(made, tmp_path / "out")
        for name in ("notes.txt", "notes.jsonl"):
            assert (tmp_path / "out" / name).read_text(encoding="utf-8") == "mine"
    assert read_build(tmp_path / "out", data_recipe)


def test_what_measures_keeps_its_articles_outlets_and_near_repeats_out_of_auxiliary_tasks(
    tmp_path: Path,
) -> None:
    # Too short for a run of eight words to be shared.
    short = "Seven trawlers sheltered behind Kvaloya."
    rows = [
        judged("a", TUG, "hill:1"),
        judged("b", PIER, "press:7", "marsh_mail"),
        judged("c", short, "press:8", "marsh_mail"),
    ]
    write_lines(tmp_path / "main.jsonl.gz", rows)
    given = [
        ("Lanterns hung from every balcony of the square.", {"doc_id": 7}),
        ("Two of the lighthouses are to be painted white.", {"doc_id": 9, "source": "Marsh Mail"}),
        (short.replace("Seven", "Eleven"), {"doc_id": 10}),
        (ORCHARD, {"doc_id": 11, "publisher": "Hill Times"}),
    ]
    lines = [{"text": text, "label": "yes", "split": "train"} | more for text, more in given]
    (tmp_path / "bench").mkdir()
    write_lines(tmp_path / "bench" / "press.jsonl.gz", lines)
    aux = source("other_name", kind="benchmark", role="train", task="any", labels={"yes": "yes"}, on=True)
    aux["files"] = ["bench/press.jsonl.gz"]
    path = declare(tmp_path, source("main"), aux)
    made = build(recipe(path, test_outlets=("marsh_mail",)), tmp_path)
    assert [(row["text"], row["outlet_id"]) for row in made.auxiliary] == [(ORCHARD, "hill_times")]
    assert made.splits.dropped == {
        "auxiliary: article in test": 1,
        "auxiliary: outlet held out": 1,
        "auxiliary: near-duplicate in test": 1,
    }
    # An outlet that only an auxiliary task has cannot be held out.
    lines[0]["source"] = "Dune Daily"
    write_lines(tmp_path / "bench" / "press.jsonl.gz", lines)
    with pytest.raises(InputError, match="have no such outlet"):
        build(recipe(path, test_outlets=("dune_daily",)), tmp_path)


@pytest.mark.parametrize("role", ["split", "train"])
def test_articles_of_the_test_set_that_ships_are_in_no_training_set(role: str, tmp_path: Path) -> None:
    article = min(articles_of_test())
    rows = [
        judged("a", TUG, article, judges=9),
        # Under one name for two outlets, as headlines are.
        judged("b", PIER, article, "river_post"),
        judged("c", ORCHARD, "hill:1"),
    ]
    write_lines(tmp_path / "main.jsonl.gz", rows)
    for fraction in (0.0, 0.99):
        chosen = recipe(declare(tmp_path, source("main", role=role)), dev_fraction=fraction)
        splits = build(chosen, tmp_path).splits
        assert [row["id"] for _, part in splits.items() for row in part] == ["c"]
        assert {(gone.id, gone.why) for gone in splits.removed} == {
            ("a", "article in the shipped test set"),
            ("b", "article in the shipped test set"),
        }


def test_an_outlet_of_several_names_is_held_out_by_one(tmp_path: Path) -> None:
    rows = [
        judged("a", TUG, "x:1", "the_new_york_times"),
        judged("b", PIER, "x:2", "new_york_times"),
        judged("c", ORCHARD, "x:3"),
    ]
    write_lines(tmp_path / "main.jsonl.gz", rows)
    made = build(recipe(declare(tmp_path, source("main")), test_outlets=("new_york_times",)), tmp_path)
    assert (made.splits.train["id"], made.splits.test["id"]) == (["c"], ["a", "b"])


class TestRuns:
    """What a fit makes of its data."""

    def test_a_run_on_a_built_folder_holds_a_copy_of_it(
        self, data_dir: Path, data_recipe: DataRecipe, make_recipe: Any, tmp_path: Path
    ) -> None:
        write_build(build(data_recipe, data_dir), tmp_path / "out")
        splits, folder = begin_run(make_recipe("any"), tmp_path / "run", None, False, tmp_path / "out")
        assert folder is None
        copied = tmp_path / "run" / "splits"
        assert sorted(path.name for path in copied.iterdir()) == sorted(FILES)
        for name in FILES:
            assert (copied / name).read_bytes() == (tmp_path / "out" / name).read_bytes()
        built, _ = begin_run(make_recipe("any"), tmp_path / "other", data_dir, False)
        assert [list(part) for _, part in built.items()] == [list(part) for _, part in splits.items()]
        for name in FILES:
            assert (tmp_path / "other" / "splits" / name).read_bytes() == (
                tmp_path / "out" / name
            ).read_bytes()

    @pytest.mark.skipif(not SHIPPED.is_file(), reason="the seed set is not in this checkout")
    def test_the_quick_start_needs_no_folder(self, tiny_base: Path, tmp_path: Path) -> None:
        # A tiny encoder and a tenth of the sentences, for a test's sake.
        changes = [f"base={tiny_base}", "data.dev_fraction=0.1", "data.test_fraction=0.8"]
        best = fit(load_recipe("quickstart", Recipe, changes), tmp_path / "run")
        assert 0 <= best["eval_macro_f1"] <= 1
        assert (tmp_path / "run" / "model" / "model.safetensors").is_file()
        record = json.loads((tmp_path / "run" / "splits" / RECORD).read_bytes())
        assert all(sum(counted.values()) > 50 for counted in record["sentences"].values())
        assert record["leakage"]["evaluation_sets"] == {}


class TestCommand:
    """``framelens-train data``."""

    @pytest.fixture
    def call(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
        def run(*arguments: object) -> tuple[int, str, str]:
            monkeypatch.setattr(sys, "argv", ["framelens-train", "data", *map(str, arguments)])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            said = capsys.readouterr()
            return int(ended.value.code or 0), said.out, said.err

        return run

    @pytest.fixture
    def own_recipe(self, tmp_path: Path) -> Path:
        path = tmp_path / "own.toml"
        path.write_text(
            'name = "own"\n[data]\ndev_outlets = ["dune_daily"]\ntest_outlets = ["marsh_mail"]\n',
            encoding="utf-8",
        )
        return path

    def test_it_builds_and_replaces_only_when_told(
        self, call: Any, own_recipe: Path, data_dir: Path, tmp_path: Path
    ) -> None:
        given = ("--recipe", own_recipe, "--data-dir", data_dir, "-o", tmp_path / "out")
        code, out, err = call(*given)
        assert (code, out) == (0, "")
        assert "judged: 86 sentences" in err
        assert f"left out 0 sentences; the data set and its card are in {tmp_path / 'out'}" in err
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(FILES)
        code, _, err = call(*given)
        assert code == 2
        assert "give --overwrite" in err
        assert call(*given, "--overwrite")[0] == 0

    def test_switches_reach_the_build(
        self, call: Any, own_recipe: Path, data_dir: Path, three: str, tmp_path: Path
    ) -> None:
        code, _, err = call(three, "--recipe", own_recipe, "--data-dir", tmp_path, "-o", tmp_path / "out")
        assert code == 0, err
        record = json.loads((tmp_path / "out" / RECORD).read_bytes())
        assert [each["name"] for each in record["sources"]["read"]] == ["main", "extra", "gold"]
        given = ("--recipe", own_recipe, "--data-dir", data_dir, "-o", tmp_path / "no")
        for switch, words in (
            (("--with", "babe"), "'babe' is agpl"),
            (("--with", "babe", "--allow-restricted"), "babe_sg2.jsonl.gz is missing"),
            (("--with", "bab"), "no source is named 'bab'"),
            (("--without", "judged"), "every source is off"),
        ):
            code, _, err = call(*given, *switch)
            assert (code, err.count("\n")) == (2, 1)
            assert words in err
        assert not (tmp_path / "no").exists()

    def test_it_says_where_to_write_and_what_is_known(self, call: Any, tmp_path: Path) -> None:
        assert call()[0] == 2
        code, _, err = call("sed", "-o", tmp_path / "out")
        assert code == 2
        assert "shipped are benchmarks, default, public, seed" in err

    def test_help_names_every_kind_of_source(self, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "100")
        code, out, _ = call("--help")
        assert code == 0
        for word in ("[[source]]", "references", "non-commercial", "--fetch", "--check-seed", "[data]"):
            assert word in out

    @pytest.mark.skipif(not SHIPPED.is_file(), reason="the seed set is not in this checkout")
    def test_the_seed_set_is_checked(self, call: Any) -> None:
        code, out, _ = call("--check-seed")
        assert code == 0
        assert out.splitlines()[-1] == "passes"


@pytest.fixture(scope="module")
def real() -> tuple[Any, DataRecipe, Path]:
    """The real folder, as `fit` builds it by the shipped recipe."""
    folder = Path(REAL or "")
    chosen = load_recipe("minilm", Recipe).data
    return build(chosen, folder), chosen, folder


@pytest.mark.needs_data
@pytest.mark.skipif(not REAL, reason="FRAMELENS_DATA is not set")
class TestRealData:
    """The proof that the shipped recipe measures on nothing that it fits on."""

    def test_no_article_stands_in_two_splits(self, real) -> None:
        articles = {name: set(part["article"]) for name, part in real[0].splits.items()}
        assert all(articles.values())
        assert not articles["train"] & articles["dev"]
        assert not articles["train"] & articles["test"]
        assert not articles["dev"] & articles["test"]

    def test_held_out_outlets_stand_in_their_split_alone(self, real) -> None:
        made, chosen, _ = real
        outlets = {name: set(part["outlet_id"]) for name, part in made.splits.items()}
        for held, home in ((chosen.dev_outlets, "dev"), (chosen.test_outlets, "test")):
            assert set(held) <= outlets[home]
            for name in ("train", "dev", "test"):
                assert name == home or not set(held) & outlets[name]

    def test_no_sentence_or_context_leaks(self, real) -> None:
        made, _, folder = real
        outside = set().union(*(known for _, known in evaluation_sets(folder).values()))
        assert len(outside) > 10_000
        test = fingerprints(made.splits.test["text"]) | outside
        for part, known in (
            (made.splits.dev, test),
            (made.splits.train, test | fingerprints(made.splits.dev["text"])),
        ):
            assert [row["id"] for row in part if leaks(row["text"], known)] == []
            assert [row["id"] for row in part if row["context"] and leaks(row["context"], known)] == []

    def test_no_sentence_label_or_cue_is_lost_and_of_a_context_its_end_stays(self, real) -> None:
        made, _, folder = real
        raw = {row["id"]: row for row in load_annotated(folder)}
        found = [row for _, part in made.splits.items() for row in part]
        for row in found:
            for column in ("text", "label", "rule", "cue", "outlet_id", "repo", "commit", "path", "record"):
                assert row[column] == raw[row["id"]][column]
            assert raw[row["id"]]["context"].endswith(row["context"])
        removed = [gone.id for gone in made.splits.removed]
        assert sorted([*removed, *(row["id"] for row in found)]) == sorted(raw)
        assert len(removed) < 250

    def test_the_audit_asks_no_annotated_sentence(self, real) -> None:
        """The audit measures models that were fitted on this data; its sentences are our own."""
        from framelens_evaluation.audit.audit import questions
        from framelens_evaluation.audit.material import read_material
        from framelens_evaluation.statistics.bootstrap import Resampling

        known = fingerprints(load_annotated(real[2])["text"])
        asked = questions(Resampling(0, 1), read_material().checks)
        assert len(asked) > 5_000
        assert [text for text in asked if leaks(text, known)] == []
