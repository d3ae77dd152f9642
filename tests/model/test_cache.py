"""Equal sentences are labelled once, within a bound, and nothing else changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens import FramingClassifier, Prediction
from framelens.cache import PredictionCache
from framelens.labels import Label

if TYPE_CHECKING:
    from collections.abc import Iterable

    from framelens.encoding import EncodedBatch

TEXTS = [f"Talks open on day {i} in Corvane, the ministry said{' again' * (i % 5)}." for i in range(12)]


def entry(text: str) -> Prediction:
    return Prediction(text, Label.HEDGED_CLAIM)


@given(st.lists(st.integers(0, 20), max_size=200), st.integers(0, 12))
def test_the_least_recently_used_is_forgotten(keys: list[int], room: int) -> None:
    one = PredictionCache(10**6)
    one.put(("00", None), entry("00"))
    size = one._size
    cache = PredictionCache(room * size)
    recent: list[int] = []
    for key in keys:
        pair = (f"{key:02}", None)
        found = cache.get(pair)
        assert (found is not None) == (key in recent)
        if found is None:
            cache.put(pair, entry(pair[0]))
        recent = [key, *(k for k in recent if k != key)][:room]
        assert cache._size == len(cache) * size <= room * size
    cache.clear()
    assert (len(cache), cache._size) == (0, 0)


def counting(classifier: FramingClassifier, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    run = classifier._backend.run

    def counted(batches: Iterable[EncodedBatch]) -> Any:
        given = list(batches)
        sizes.extend(len(batch.input_ids) for batch in given)
        return run(given)

    monkeypatch.setattr(classifier._backend, "run", counted)
    return sizes


def test_equal_sentences_are_labelled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = FramingClassifier(threads=1, lookahead=4)
    remembering = FramingClassifier(threads=1, lookahead=4, cache_bytes=2**20)
    asked_plain, asked = counting(plain, monkeypatch), counting(remembering, monkeypatch)
    texts = [TEXTS[i * i % 12] for i in range(40)]
    expected = list(plain.label_many(texts))
    # To the last bit: what is remembered must be what would have been computed.
    assert list(remembering.label_many(texts)) == expected
    assert sum(asked) == len(set(texts)) < sum(asked_plain) < len(texts)
    remembering.forget()
    list(remembering.label_many(texts[:1]))
    assert sum(asked) == len(set(texts)) + 1


def test_a_label_does_not_hang_on_the_batch_to_the_last_bit() -> None:
    """What `--dedupe` and any number of workers rest on; onnxruntime alone, one thread."""
    alone = FramingClassifier(threads=1, batch_size=1)
    together = FramingClassifier(threads=1, batch_size=12)
    assert list(alone.label_many(TEXTS)) == list(together.label_many(TEXTS[::-1]))[::-1]


def test_what_came_before_a_fault_is_labelled() -> None:
    def broken() -> Any:
        yield TEXTS[0]
        yield TEXTS[1]
        raise OSError("the disk has gone")

    found = FramingClassifier(threads=1).label_many(broken())
    assert [next(found).text, next(found).text] == TEXTS[:2]
    with pytest.raises(OSError, match="the disk has gone"):
        next(found)
    documents = FramingClassifier(threads=1).label_documents(broken())
    assert [next(documents).text, next(documents).text] == TEXTS[:2]
    with pytest.raises(OSError, match="the disk has gone"):
        next(documents)
