"""Raw articles, what of them is closed because it is measured on, and the sentences a student learns from.

A student learns what its teacher makes of sentences without labels. They come from ``raw/*.jsonl.gz`` of the
data folder: whole articles with their outlets. None is of an outlet or article that is held out, also by the
test set that ships with the package, and none stands in dev, test or another evaluation set of the folder.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framelens.errors import InputError
from framelens.scope import out_of_scope
from framelens.sentences import NewsSplitter
from framelens_training.gather import sha256
from framelens_training.leakage import evaluation_sets, fingerprints, leaks, sets_of
from framelens_training.references import articles_of_test
from framelens_training.rows import outlet_id, read_objects

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from framelens_training.data import Splits
    from framelens_training.recipe import DataRecipe, PoolRecipe

__all__ = ["Closed", "closed_to", "load_pool", "read_articles", "same_sentence"]

_NOT_WORD = re.compile(r"\W+")


@dataclass(frozen=True)
class Closed:
    """What nothing is learned from, labels or not, because it is measured on.

    Attributes:
        articles: by name, each with whose it is.
        outlets: ids of those that are held out.
        known: fingerprints of sentences, each with the set that has it first.
        sets: the evaluation sets of the data folder: fingerprints and digest of the file, by name.
    """

    articles: Mapping[str, str]
    outlets: frozenset[str]
    known: Mapping[str, str]
    sets: Mapping[str, Mapping[str, int | str]]

    def fault(self, article: Mapping[str, Any]) -> str | None:
        """Why a raw article must not be read, whatever it says; None where it may."""
        if outlet_id(str(article.get("outlet"))) in self.outlets:
            return "of an outlet held out"
        whose = self.articles.get(str(article.get("article")))
        return whose and f"in {whose}"


def closed_to(splits: Splits, data: DataRecipe, data_dir: Path | None) -> Closed:
    """What is closed to a model that will be measured on these splits, and on the sets of a data folder.

    Args:
        splits: whose dev and test are kept out.
        data: names the outlets that are held out.
        data_dir: may hold ``sealed/`` and ``bench/``; None where there is no such folder.

    Raises:
        InputError: a file cannot be read.
    """
    articles = dict.fromkeys(articles_of_test(), "the shipped test set")
    own = {}
    for name, rows in (("test", splits.test), ("dev", splits.dev)):
        articles = dict.fromkeys(rows["article"], name) | articles
        own[name] = fingerprints(rows["text"])
    held = evaluation_sets(data_dir) if data_dir else {}
    return Closed(
        articles,
        frozenset((*data.dev_outlets, *data.test_outlets)),
        sets_of(own | {name: known for name, (_, known) in held.items()}),
        {name: {"fingerprints": len(known), "sha256": sha256(path)} for name, (path, known) in held.items()},
    )


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
    closed = closed_to(splits, data, data_dir)
    rng = random.Random(pool.seed)
    splitter = NewsSplitter()
    seen: set[str] = set()
    found: list[str] = []
    for path in paths:
        articles = read_articles(path)
        rng.shuffle(articles)
        before = len(found)
        for article in articles:
            if len(found) - before >= pool.sentences_of_file:
                break
            if closed.fault(article) is None:
                found.extend(_new_sentences(str(article["text"]), splitter, pool, seen, closed.known))
    rng.shuffle(found)
    return found


def read_articles(path: Path) -> list[dict[str, Any]]:
    """The articles of a file of JSON lines, gzipped or not; each is an object with a ``text``.

    Raises:
        InputError: the file cannot be read, or a line is something else.
    """
    articles = [article for _, article in read_objects(path)]
    if not all(isinstance(article, dict) and article.get("text") for article in articles):
        raise InputError(f"{path}: expected an object with a 'text' in every line, got one without")
    return articles


def same_sentence(text: str) -> str:
    """What two sentences that differ in nothing but case, spaces and punctuation have in common."""
    return _NOT_WORD.sub("", text.lower())


def _new_sentences(
    text: str, splitter: NewsSplitter, pool: PoolRecipe, seen: set[str], known: Collection[str]
) -> Iterator[str]:
    for start, end in splitter.spans(text):
        sentence = text[start:end]
        key = same_sentence(sentence)
        words = len(sentence.split())
        if key in seen or not pool.min_words <= words <= pool.max_words or out_of_scope(sentence):
            continue
        seen.add(key)
        if not leaks(sentence, known):
            yield sentence
