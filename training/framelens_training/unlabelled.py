"""Sentences without labels, for a student to learn from what its teacher makes of them.

They come from ``raw/*.jsonl.gz`` of the data folder: whole articles with their outlets. None is of an
outlet or article that is held out, also by the test set that ships with the package, and none stands in dev,
test or another evaluation set of the folder.
"""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

from framelens.errors import InputError
from framelens.scope import out_of_scope
from framelens.sentences import NewsSplitter
from framelens_training.leakage import evaluation_sets, fingerprints, leaks
from framelens_training.references import articles_of_test
from framelens_training.rows import outlet_id, read_objects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from framelens_training.data import Splits
    from framelens_training.recipe import DataRecipe, PoolRecipe

__all__ = ["load_pool"]

_NOT_WORD = re.compile(r"\W+")


def load_pool(data_dir: Path, splits: Splits, data: DataRecipe, pool: PoolRecipe) -> list[str]:
    """Sentences of the raw articles, shuffled; each stands there once.

    Args:
        data_dir: folder that holds ``raw/``, and perhaps ``sealed/`` and ``bench/``.
        splits: whose dev and test are kept out.
        data: names the outlets that are held out.
        pool: how many sentences of each file, and how long.

    Raises:
        InputError: there is no raw article, or a file cannot be read.
    """
    paths = sorted((data_dir / "raw").glob("*.jsonl.gz"))
    if not paths:
        raise InputError(f"expected articles in {data_dir / 'raw'}/*.jsonl.gz, got no such file")
    closed = articles_of_test().union(splits.dev["article"], splits.test["article"])
    held_out = {*data.dev_outlets, *data.test_outlets}
    known = fingerprints([*splits.dev["text"], *splits.test["text"]])
    known = known.union(*(found for _, found in evaluation_sets(data_dir).values()))
    rng = random.Random(pool.seed)
    splitter = NewsSplitter()
    seen: set[str] = set()
    found: list[str] = []
    for path in paths:
        articles = _articles(path)
        rng.shuffle(articles)
        before = len(found)
        for article in articles:
            if len(found) - before >= pool.sentences_of_file:
                break
            if article.get("article") in closed or outlet_id(str(article.get("outlet"))) in held_out:
                continue
            found.extend(_new_sentences(str(article["text"]), splitter, pool, seen, known))
    rng.shuffle(found)
    return found


def _articles(path: Path) -> list[dict[str, Any]]:
    articles = [article for _, article in read_objects(path)]
    if not all(isinstance(article, dict) and article.get("text") for article in articles):
        raise InputError(f"{path}: expected an object with a 'text' in every line, got one without")
    return articles


def _new_sentences(
    text: str, splitter: NewsSplitter, pool: PoolRecipe, seen: set[str], known: Collection[str]
) -> Iterator[str]:
    for start, end in splitter.spans(text):
        sentence = text[start:end]
        key = _NOT_WORD.sub("", sentence.lower())
        words = len(sentence.split())
        if key in seen or not pool.min_words <= words <= pool.max_words or out_of_scope(sentence):
            continue
        seen.add(key)
        if not leaks(sentence, known):
            yield sentence
