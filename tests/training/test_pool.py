"""A pool is read twice: what is a sentence, what is left out, and what is fetched."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from framelens.errors import InputError, JobError
from framelens_training.leakage import fingerprints
from framelens_training.pool import Pool, blind_id

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TEXTS = [
    "The bakery at the northern quay sold two hundred loaves on the first morning of the fair.",
    "A carpenter from Tolvane mended the seats of the small theatre without asking for money.",
    "Nine beekeepers carried their hives to the upper meadow when the orchards had lost their bloom.",
    "The tram to the lighthouse was late again because a printer had parked his van on the rails.",
]


def write(path: Path, rows: Iterable[dict[str, Any]]) -> str:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def sentence_rows(texts: Iterable[str]) -> list[dict[str, Any]]:
    return [{"id": f"pool-{at}", "text": text, "context": ""} for at, text in enumerate(texts)]


def test_articles_are_split_with_their_context_and_offsets(tmp_path: Path) -> None:
    text = "The ferry left\nthe quay at noon. Nobody was hurt there. A tram was late again.\n\nWhy so late?"
    row = {"text": text, "outlet": "Hill Times", "id": "h7", "date": "2031-05-04"}
    pool = Pool([write(tmp_path / "p.jsonl", [row])], words=(3, 20))
    survey = pool.survey(lambda _: None)
    assert survey.left_out == {"out of scope": 1}
    first, second, third = pool.fetch(survey, np.arange(3), lambda _: None)
    assert (first.text, first.context) == ("The ferry left the quay at noon.", "")
    assert (third.text, third.context) == (
        "A tram was late again.",
        "The ferry left the quay at noon. Nobody was hurt there.",
    )
    start, end = second.provenance["start"], second.provenance["end"]
    assert text[start:end] == second.text == "Nobody was hurt there."
    assert second.provenance["pool_record"] == "h7"
    assert (second.provenance["sentence_index"], second.provenance["date"]) == (1, "2031-05-04")
    assert (second.article, second.group, second.source_id) == ("h7", "hill_times", None)


def test_rows_with_a_context_are_sentences_and_keep_their_ids(tmp_path: Path) -> None:
    rows = [
        {"id": 7, "text": "It sank. Nobody was\thurt.", "context": "The ferry\nleft.", "outlet_id": "river"}
    ]
    pool = Pool([write(tmp_path / "p.jsonl.gz", rows)])
    survey = pool.survey(lambda _: None)
    (found,) = pool.fetch(survey, np.arange(1), lambda _: None)
    assert (found.text, found.context, found.source_id) == (
        "It sank. Nobody was hurt.",
        "The ferry left.",
        "7",
    )
    assert (found.group, found.article) == ("river", "7")
    assert "context" not in found.provenance
    split = Pool([str(tmp_path / "p.jsonl.gz")], unit="document", words=(2, 9))
    assert len(split.survey(lambda _: None)) == 2


def test_what_cannot_be_annotated_is_counted_and_left_out(tmp_path: Path) -> None:
    texts = [
        *TEXTS[:3],
        TEXTS[0].upper(),
        "Too short.",
        " ".join(TEXTS * 6),
        "Why was the ferry so late again?",
    ]
    rows = [*sentence_rows(texts), {"id": "x", "text": None, "context": ""}]
    known = fingerprints(["On Monday " + TEXTS[2]])
    survey = Pool([write(tmp_path / "p.jsonl", rows)], known=known).survey(lambda _: None)
    assert survey.left_out == {
        "known": 1,
        "too short or long": 2,
        "out of scope": 1,
        "unreadable": 1,
        "repeated": 1,
    }
    assert len(survey) == 2
    assert survey.n_rows == 8


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([{"id": 1, "text": "Too short.", "context": ""}], {}, "got none in 1 rows .*1 too short or long"),
        (sentence_rows(TEXTS), {"by": "region"}, "expected a column 'region'"),
        ([{"id": 1, "context": "", "headline": 3}], {}, "a column 'text'"),
    ],
)
def test_a_pool_of_nothing_is_refused(tmp_path: Path, rows, options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Pool([write(tmp_path / "p.jsonl", rows)], **options).survey(lambda _: None)


def test_a_pool_that_changes_between_the_readings_is_refused(tmp_path: Path) -> None:
    pool = Pool([write(tmp_path / "p.jsonl", sentence_rows(TEXTS))])
    survey = pool.survey(lambda _: None)
    for rows in (sentence_rows(TEXTS[::-1]), sentence_rows(TEXTS[:2])):
        write(tmp_path / "p.jsonl", rows)
        with pytest.raises(JobError, match="has changed"):
            pool.fetch(survey, np.arange(4), lambda _: None)


def test_ids_are_of_the_sentence_alone() -> None:
    assert blind_id("The ferry left.") == blind_id("the FERRY, left") != blind_id("The ferries left.")
