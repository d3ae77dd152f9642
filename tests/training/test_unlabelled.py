"""The sentences that a student learns from: none that is held out, none twice."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from framelens.errors import InputError
from framelens_training.data import load_annotated, split_sentences
from framelens_training.leakage import fingerprints
from framelens_training.recipe import PoolRecipe
from framelens_training.references import articles_of_test
from framelens_training.unlabelled import load_pool

if TYPE_CHECKING:
    from pathlib import Path

    from framelens_training.data import Splits

FRESH = [
    "Divers checked the hull of the ferry on Tuesday.",
    "The ministry called the vote in Tassonia a provocation by foreign agents.",
    "Two of the three bridges may have been closed overnight, witnesses said.",
]


def write_raw(data_dir: Path, name: str, articles: list[dict[str, Any]]) -> None:
    (data_dir / "raw").mkdir(exist_ok=True)
    with gzip.open(data_dir / "raw" / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(article) + "\n" for article in articles)


@pytest.fixture
def own_data(make_data, rows, tmp_path: Path) -> Path:
    return make_data(tmp_path / "data", rows)


@pytest.fixture
def splits(own_data: Path, data_recipe) -> Splits:
    return split_sentences(load_annotated(own_data), data_recipe)


def article(*sentences: str, outlet: str = "Hill Times", name: str = "hill:9") -> dict[str, Any]:
    return {"text": " ".join(sentences), "outlet": outlet, "article": name}


def test_what_is_held_out_stays_out(own_data: Path, splits: Splits, data_recipe) -> None:
    judged = next(text for text in splits.test["text"] if len(text.split()) >= 5)
    write_raw(
        own_data,
        "a",
        [
            article(FRESH[0], judged, "Too short.", FRESH[0]),
            article(FRESH[1], outlet="Marsh Mail", name="marsh:1"),
            article(FRESH[1], outlet="Dune Daily", name="dune:1"),
            article(FRESH[1], name=splits.dev["article"][0]),
            article(FRESH[2], name="hill:10"),
        ],
    )
    write_raw(own_data, "b", [article(FRESH[0], name="hill:11")])
    assert sorted(load_pool(own_data, splits, data_recipe, PoolRecipe())) == sorted([FRESH[0], FRESH[2]])
    for name in ("sealed", "bench"):
        (own_data / name).mkdir()
    with gzip.open(own_data / "sealed" / "fingerprints.txt.gz", "wt", encoding="ascii") as lines:
        lines.writelines(f"{known}\n" for known in fingerprints([FRESH[2]]))
    assert load_pool(own_data, splits, data_recipe, PoolRecipe()) == [FRESH[0]]
    with gzip.open(own_data / "bench" / "public.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.write(json.dumps({"text": FRESH[0], "label": "any", "split": "test"}) + "\n")
    assert load_pool(own_data, splits, data_recipe, PoolRecipe()) == []


def test_what_the_shipped_test_set_has_stays_out_by_article_and_outlet(
    own_data: Path, splits: Splits, data_recipe
) -> None:
    write_raw(
        own_data,
        "a",
        [
            article(FRESH[0], name=min(articles_of_test())),
            article(FRESH[1], outlet="The New York Times", name="nyt:1"),
            article(FRESH[2], name="hill:10"),
        ],
    )
    held = data_recipe.model_copy(update={"dev_outlets": ("new_york_times",)})
    assert load_pool(own_data, splits, held, PoolRecipe()) == [FRESH[2]]


def test_the_seed_decides_which_articles_are_taken(own_data: Path, splits: Splits, data_recipe) -> None:
    sentences = [f"Number {i} left the harbour of Elvik at dawn." for i in range(1, 6)]
    write_raw(own_data, "a", [article(text, name=f"hill:{i}") for i, text in enumerate(sentences)])

    def taken(seed: int) -> list[str]:
        return load_pool(own_data, splits, data_recipe, PoolRecipe(sentences_of_file=2, seed=seed))

    assert taken(0) == taken(0)
    assert all(len(taken(seed)) == 2 for seed in range(3))
    assert len({tuple(taken(seed)) for seed in range(6)}) > 1


def test_a_folder_without_articles_is_refused(own_data: Path, splits: Splits, data_recipe) -> None:
    with pytest.raises(InputError, match=r"raw/\*\.jsonl\.gz, got no such file"):
        load_pool(own_data, splits, data_recipe, PoolRecipe())
    write_raw(own_data, "a", [{"title": "no text"}])
    with pytest.raises(InputError, match="an object with a 'text'"):
        load_pool(own_data, splits, data_recipe, PoolRecipe())
    (own_data / "raw" / "a.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match="cannot be read"):
        load_pool(own_data, splits, data_recipe, PoolRecipe())
