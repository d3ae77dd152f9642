"""What form alone puts out of scope, and what it must leave in."""

import json
from pathlib import Path

import pytest

from framelens.scope import out_of_scope

JUDGED = Path(__file__).parents[1] / "data" / "judged_sentences.jsonl"


@pytest.mark.parametrize(
    "text",
    [
        "By J. R. Ostrow and Lina M. Farrow",
        "*(Additional reporting by K. Sand in Vintar; editing by R. P. Lowe)*",
        "Ana Brandt and Tom Osei contributed to this report.",
        "(E. Quill/Basin Picture Service)*",
        "FILE PHOTO: The harbour of Port Hallin, seen from the lighthouse, June 3.",
        "READ MORE: Ferry company sells its last ship",
        "Advertisement",
        "Subscribe to our newsletter",
        "https://example.org/archive",
        "© 2024 Basin Daily",
        "Who profits from the closed harbour?",
        "— — —",
        "🎶",
        "17",
    ],
)
def test_form_without_a_claim(text: str) -> None:
    assert out_of_scope(text)


@pytest.mark.parametrize(
    "text",
    [
        "He resigned.",
        "By Monday the river had fallen by two metres.",
        "Copyright law passed the upper house on Tuesday.",
        "Video of the landing was shown on state television.",
        "“Why now?” asked the mayor.",
        "Reporting by the daily led to three arrests, the court said.",
        "The minister said: who profits from this? Only our enemies.",
    ],
)
def test_sentences_stay_in_scope(text: str) -> None:
    assert not out_of_scope(text)


def test_no_judged_sentence_with_a_label_is_refused() -> None:
    rows = [json.loads(line) for line in JUDGED.read_text(encoding="utf-8").splitlines()]
    assert [row["text"] for row in rows if row["label"] and out_of_scope(row["text"])] == []
