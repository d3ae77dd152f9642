"""Records in, as many labelled records out, in their order."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, Any

import pytest

from framelens import FramingClassifier, Label
from framelens.corpus import Counts, label_records
from framelens.prediction import Status
from framelens.readers import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

HEDGED = "The convoy was reportedly hit near the bridge."


@pytest.fixture(scope="module")
def classifier() -> FramingClassifier:
    return FramingClassifier(threads=1)


def records(*texts: str | None) -> Iterator[Record]:
    for i, text in enumerate(texts):
        yield Record(f"d{i}", text or "", {"i": i}, error=None if text is not None else "no text")


@pytest.mark.parametrize("unit", ["sentence", "document"])
def test_no_record_is_lost(classifier: FramingClassifier, unit: Any) -> None:
    found = list(label_records(classifier, records(HEDGED, None, "", " \n ", None, HEDGED), unit))
    assert [entry.record.doc_id for entry in found] == [f"d{i}" for i in range(6)]
    assert [entry.document.sentences[0].prediction.status for entry in found] == [
        Status.OK, Status.ERROR, Status.EMPTY, Status.EMPTY, Status.ERROR, Status.OK,
    ]  # fmt: skip
    assert {entry.unit for entry in found} == {unit}
    assert found[0].document.sentences[0].prediction.label is Label.HEDGED_CLAIM
    assert found[1].document.sentences[0].prediction.error == "no text"


def test_units(classifier: FramingClassifier) -> None:
    text = f"{HEDGED} Talks open on Monday in Corvane, the ministry said."
    (whole,) = label_records(classifier, records(text), "sentence")
    (split,) = label_records(classifier, records(text), "document")
    assert [s.prediction.text for s in whole.document.sentences] == [text]
    assert [text[s.start : s.end] for s in split.document.sentences] == [HEDGED, text[len(HEDGED) + 1 :]]


def test_the_context_column_reaches_the_model(classifier: FramingClassifier) -> None:
    pair = (HEDGED, "Rebels had taken the town the day before.")
    (found,) = label_records(classifier, [Record("d", pair[0], {}, context=pair[1])], "sentence")
    expected = classifier.label(*pair)
    probabilities = found.document.sentences[0].prediction.probabilities
    assert list(probabilities.values()) == pytest.approx(list(expected.probabilities.values()), abs=1e-4)


@pytest.mark.parametrize("unit", ["sentence", "document"])
def test_reading_ahead_is_bounded(classifier: FramingClassifier, unit: Any) -> None:
    taken = []

    def endless() -> Iterator[Record]:
        for i in count():
            taken.append(i)
            yield Record(str(i), "By Ann B. Clark", {})

    found = list(islice(label_records(classifier, endless(), unit), 3))
    assert [entry.record.doc_id for entry in found] == ["0", "1", "2"]
    assert len(taken) <= 2048


def test_counts_and_profile(classifier: FramingClassifier) -> None:
    counts = Counts()
    for entry in label_records(classifier, records(HEDGED, None, "", HEDGED), "sentence"):
        counts.add(entry)
    assert (counts.records, counts.sentences) == (4, 4)
    assert dict(counts.statuses) == {"ok": 2, "error": 1, "empty": 1}
    assert dict(counts.labels) == {"hedged_claim": 2}
    assert counts.profile.shares[Label.HEDGED_CLAIM] == 1
    assert counts.profile.n_unlabelled == 2
