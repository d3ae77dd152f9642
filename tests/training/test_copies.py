"""Text behind references from a data folder: the right copy, with its context, and what is missing."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from framelens_training.build import build
from framelens_training.copies import NO_COPY, restore_from_copies
from framelens_training.datacard import data_card
from framelens_training.fetch import NOT_FOUND
from framelens_training.gather import Fetching
from framelens_training.recipe import DataRecipe
from framelens_training.references import refer, write_references

if TYPE_CHECKING:
    from pathlib import Path

TUG = "The tug Halvard towed the burning tanker out of the inner harbour."
PIER = "Three students swam to the pier of the island."
FROST = "Frost in April destroyed most of the cherry harvest."
HOME = {"repo": "owner/news", "commit": "a" * 40, "path": "1.csv"}


def judged(name: str, text: str, context: str = "", **more: Any) -> dict[str, Any]:
    row = {"id": name, "text": text, "context": context, "article": f"a:{name}", "cue": None} | HOME
    return row | {"rule": "I", "label": "independent_reporting", "judges": 1} | more


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        # The repository that a copy names says behind it what it has its own files from.
        "raw/a": [HOME | {"repo": "owner/news (a mirror)", "record": 7, "text": f"{PIER} “{TUG}” {FROST}"}],
        "annotated/b": [HOME | {"path": "2.csv", "record": 1, "text": FROST, "context": PIER}],
        "bench/c": [HOME | {"path": "3.csv", "text": FROST}],
    }
    for name, rows in files.items():
        path = tmp_path / "data" / f"{name}.jsonl.gz"
        path.parent.mkdir(parents=True)
        with gzip.open(path, "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in rows)
    return tmp_path / "data"


WANTED = [
    judged("in_an_article", TUG, PIER, record="7"),
    judged("with_its_own_context", FROST, PIER, path="2.csv"),
    judged("without_context", FROST, PIER, path="3.csv"),
    judged("in_another_file", TUG, path="2.csv"),
    judged("in_no_copy", TUG, commit="b" * 40),
]


def test_sentences_are_found_in_copies_of_their_own_path_alone(folder: Path) -> None:
    rows, report = restore_from_copies(refer(WANTED), folder)
    assert {row["id"]: (row["text"], row["context"]) for row in rows} == {
        "in_an_article": (f"“{TUG}”", PIER),
        "with_its_own_context": (FROST, PIER),
        "without_context": (FROST, ""),
    }
    assert report.without_context == ("without_context",)
    assert {each.id: each.reason for each in report.missing} == {
        "in_another_file": NOT_FOUND,
        "in_no_copy": NO_COPY,
    }
    assert report.asked == {"owner/news": 5}


def test_the_card_of_a_build_from_copies_says_how_many_were_found(folder: Path, tmp_path: Path) -> None:
    write_references(folder / "refs.jsonl.gz", refer(WANTED))
    (tmp_path / "own.toml").write_text(
        '[[source]]\nname = "refs"\nkind = "references"\nfiles = ["refs.jsonl.gz"]\n'
        'licence = "ours"\nterms = "open"\n',
        encoding="utf-8",
    )
    chosen = DataRecipe(sources=str(tmp_path / "own.toml"), dev_outlets=(), test_outlets=())
    made = build(chosen, folder, Fetching(allowed=False, cache=tmp_path / "cache"))
    sentence = "Of the 5 sentences that `refs` refers to, 3 were found in the data folder's copies."
    assert sentence in data_card(made.splits, made.record)
