"""A corpus of invented sentences, as large as is wanted."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Final

from framelens import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["made_up_sentences", "write_corpus"]

_TEXT: Final = """
    the a its their another every ferry harbour bridge mayor minister council army port river village
    border market convoy engineer pilot farmer teacher court railway hospital storm price tax budget
    treaty ceasefire election parade factory grain oil water power school museum festival team match
    said told announced claimed denied reported opened closed signed inspected repaired delayed crossed
    reportedly allegedly apparently glorious heroic brotherly treacherous unconfirmed according because
    after before while near under over between against and but or with without for from to of in on at
    monday tuesday friday yesterday today spring autumn northern southern eastern western old new three
    seven twelve forty hundred thousand
"""
_WORDS: Final = _TEXT.split()
#: Words in a sentence, as in news: some too short to say anything, none as long as the model reads.
_SHORTEST: Final = 2
_LONGEST: Final = 40
_OUTLETS: Final = 50
_ONE_EMPTY_OF: Final = 97


def made_up_sentences(n: int, seed: int, distinct: int | None = None) -> Iterator[str]:
    """Sentences of random words, hardly two of them equal; one in 97 is empty.

    Args:
        n: how many.
        seed: the same sentences for the same seed, also of a longer corpus.
        distinct: draw them from a pool of so many instead.

    Raises:
        InputError: a number is below 1.
    """
    for name, number in (("sentences", n), ("distinct", distinct)):
        if number is not None and number < 1:
            raise InputError(f"{name} must be at least 1, got {number}")
    rng = random.Random(seed)
    if distinct is None:
        yield from (_sentence(rng, i) for i in range(n))
        return
    pool = [_sentence(rng, i) for i in range(distinct)]
    yield from (rng.choice(pool) for _ in range(n))


def write_corpus(path: Path, n: int, seed: int, distinct: int | None = None) -> None:
    """`made_up_sentences` as JSON Lines, with two columns that pass through.

    Raises:
        InputError: a number is below 1.
    """
    with path.open("w", encoding="utf-8") as file:
        for i, text in enumerate(made_up_sentences(n, seed, distinct)):
            row = {"text": text, "outlet": f"outlet {i % _OUTLETS}", "number": i}
            file.write(json.dumps(row) + "\n")


def _sentence(rng: random.Random, i: int) -> str:
    words = rng.choices(_WORDS, k=rng.randint(_SHORTEST, _LONGEST))
    return "" if i % _ONE_EMPTY_OF == _ONE_EMPTY_OF - 1 else f"{' '.join(words).capitalize()}."
