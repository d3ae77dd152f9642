"""Raw news articles as running text, for an encoder to be pre-trained on: nothing in it is measured on.

An article is left out whole where its outlet is held out, where it is an article of dev or test, and where it
holds a sentence of an evaluation set, or nearly one, whatever it calls itself. Of the others, fragments that
are no statement of news are left out, and what was read before in the same words.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framelens.errors import InputError
from framelens.scope import out_of_scope
from framelens.sentences import NewsSplitter
from framelens_training.gather import sha256
from framelens_training.leakage import RUN_WORDS, source_of_leak
from framelens_training.unlabelled import read_articles, same_sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from framelens_training.recipe import CorpusRecipe
    from framelens_training.unlabelled import Closed

__all__ = ["Corpus", "find_articles", "read_corpus"]

_RULE = (
    "an article goes whole where its outlet is held out, where dev or test has it, or where a sentence of it "
    f"equals one of an evaluation set or shares more than half of its runs of {RUN_WORDS} words with the set"
)


@dataclass(frozen=True)
class Corpus:
    """Articles, each as its sentences in their order.

    Attributes:
        train: what is learned from.
        held_out: what perplexity is measured on.
        record: where they come from, and what was left out and why; JSON, and no text.
    """

    train: list[list[str]]
    held_out: list[list[str]]
    record: dict[str, Any]


def find_articles(given: Sequence[Path], data_dir: Path | None) -> list[Path]:
    """Files of raw articles: those that are given, with what lies in given folders, else ``raw/``'s.

    Raises:
        InputError: there is none, or one does not exist.
    """
    if not given:
        if data_dir is None:
            raise InputError(
                "where are the articles? Name files or folders with --articles, or give --data-dir or "
                "FRAMELENS_DATA a folder that holds raw/*.jsonl.gz"
            )
        given = [data_dir / "raw"]
    found: list[Path] = []
    for place in given:
        inside = sorted((*place.glob("*.jsonl"), *place.glob("*.jsonl.gz")))
        if not (place.is_file() or inside):
            raise InputError(
                f"no articles at {place}: expected a file of JSON lines, or a folder of such files (*.jsonl, "
                "*.jsonl.gz)"
            )
        found += inside or [place]
    return found


def read_corpus(
    paths: Sequence[Path], closed: Closed, recipe: CorpusRecipe, say: Callable[[str], None] = lambda _: None
) -> Corpus:
    """Read articles; the same files, recipe and closed sets give the same corpus.

    Args:
        paths: of files of JSON lines with ``text``, and if known ``article`` and ``outlet``.
        closed: what is measured on.
        recipe: how many articles, of which sentences, and the share that is held out.
        say: is told what became of each file.

    Raises:
        InputError: a file cannot be read, or nothing is left to learn from or to measure on.
    """
    reader = _Reader(closed, recipe)
    files = []
    for path in paths:
        files.append(reader.read(path))
        say(f"{path.name}: {files[-1]['articles']:,} articles, {_told(files[-1]['left_out'])}")
    for name, articles in (("to learn from", reader.train), ("to measure perplexity on", reader.held_out)):
        if not articles:
            raise InputError(
                f"expected articles {name}, got none in {len(paths)} files; give more of them, or change "
                "corpus.held_out"
            )
    record = {
        "rule": _RULE,
        "outlets_held_out": sorted(closed.outlets),
        "evaluation_sets": closed.sets,
        "files": files,
        "articles": {"train": len(reader.train), "held_out": len(reader.held_out)},
        "sentences": {
            "train": sum(map(len, reader.train)),
            "held_out": sum(map(len, reader.held_out)),
        },
    }
    return Corpus(reader.train, reader.held_out, record)


class _Reader:
    """Reads file after file, and knows what it has read before."""

    def __init__(self, closed: Closed, recipe: CorpusRecipe) -> None:
        self.train: list[list[str]] = []
        self.held_out: list[list[str]] = []
        self._closed, self._recipe = closed, recipe
        self._rng = random.Random(recipe.seed)
        self._splitter = NewsSplitter()
        self._seen: set[bytes] = set()

    def read(self, path: Path) -> dict[str, Any]:
        """Read a file; gives its part of the record."""
        articles = read_articles(path)
        order = list(range(len(articles)))
        most = self._recipe.articles_of_file
        if most is not None:
            self._rng.shuffle(order)
        taken: list[tuple[int, list[str]]] = []
        gone: Counter[str] = Counter()
        gone_sentences: Counter[str] = Counter()
        for place in order:
            if len(taken) == most:
                gone["beyond articles_of_file"] = len(order) - len(taken) - gone.total()
                break
            sentences = self._sentences(articles[place], gone, gone_sentences)
            if sentences:
                taken.append((place, sentences))
        for place, sentences in sorted(taken):
            (self.held_out if self._is_held_out(articles[place]) else self.train).append(sentences)
        return {
            "file": path.name,
            "sha256": sha256(path),
            "articles": len(taken),
            "sentences": sum(len(sentences) for _, sentences in taken),
            "left_out": {
                "articles": dict(sorted(gone.items())),
                "sentences": {why: n for why, n in sorted(gone_sentences.items()) if n},
            },
        }

    def _sentences(
        self, article: Mapping[str, Any], gone: Counter[str], gone_sentences: Counter[str]
    ) -> list[str]:
        """What is read of an article; counts what is left out of it, or why it is left out whole."""
        if fault := self._closed.fault(article):
            gone[fault] += 1
            return []
        text = str(article["text"])
        lines = [" ".join(text[start:end].split()) for start, end in self._splitter.spans(text)]
        faults = [self._fault(line) for line in lines]
        sentences = [line for line, fault in zip(lines, faults, strict=True) if fault is None]
        leaks = (source_of_leak(sentence, self._closed.known) for sentence in sentences)
        if leak := next(filter(None, leaks), None):
            gone[f"with a sentence in {leak}"] += 1
            return []
        fresh = [sentence for sentence in sentences if self._is_new(sentence)]
        gone_sentences.update(fault for fault in faults if fault)
        gone_sentences["repeated"] += len(sentences) - len(fresh)
        if not fresh:
            gone["with nothing left"] += 1
        return fresh

    def _fault(self, sentence: str) -> str | None:
        if len(sentence.split()) < self._recipe.min_words:
            return "too short"
        return "out of scope" if out_of_scope(sentence) else None

    def _is_new(self, sentence: str) -> bool:
        # Digests, for there may be millions.
        key = hashlib.blake2b(same_sentence(sentence).encode(), digest_size=8).digest()
        if key in self._seen:
            return False
        self._seen.add(key)
        return True

    def _is_held_out(self, article: Mapping[str, Any]) -> bool:
        # By its name, or where it has none its text, so that an article added later moves no other.
        name = article.get("article") or article["text"]
        # The prefix keeps this draw apart from that of the splits (see `framelens_training.data.split_of`).
        digest = hashlib.sha256(f"held out:{self._recipe.seed}:{name}".encode()).digest()
        return int.from_bytes(digest[:8]) / 2**64 < self._recipe.held_out


def _told(left_out: Mapping[str, Mapping[str, int]]) -> str:
    counts = [f"{n:,} {why}" for why, n in left_out["articles"].items()]
    return f"left out: {', '.join(counts) or 'none'}"
