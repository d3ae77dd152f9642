"""Sentence splitting: the contract on any text, linear work, and cases that once went wrong."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from framelens import sentences
from framelens.sentences import NewsSplitter, SentenceSplitter

SPLITTER: SentenceSplitter = NewsSplitter()

AWKWARD = [
    "The mayor", "U.S.", "U.N.", "Mr.", "Lt. Gen.", "J. K.", "Osei", "left", "in", "No. 5", "no.", "a.m.",
    "Sept.", "3.5", "...", "…", ". . .", ".", "!", "?", "?!", "“", "”", '"', "'", "’", "(", ")", "[", "]",
    "*", "_", "#", "##", "-", "–", "—", "--", "•", "1.", "(a)", "a)", "iv.", "al-Nadim", "iTronic",
    "KYIV, May 4. /AGENCY/.", "https://a.example/b.c?d=1.", "me@a.example", "said", "asked", "By", "</p>",
    "日本。", "Привет.", "\u00a0", "\n", "\n\n", "\r\n", "\r", "\t", "\f", "\u2028", "\u2029", "\x1c", "\x85",
    "\u200b", "\ufeff", "\ud800", "x" * 120, "!" * 130, " " * 50, "word " * 500,
]  # fmt: skip
news_like = st.lists(
    st.tuples(st.sampled_from(AWKWARD), st.sampled_from(["", " ", " ", " ", "\n"])), max_size=40
).map(lambda pieces: "".join(piece + gap for piece, gap in pieces))


def check_contract(text: str) -> None:
    spans = SPLITTER.spans(text)
    position = 0
    for start, end in spans:
        assert position <= start < end <= len(text)
        assert not text[position:start].strip(), "text between two sentences"
        assert text[start:end] == text[start:end].strip()
        position = end
    assert not text[position:].strip(), "text behind the last sentence"
    assert SPLITTER.spans(text) == spans


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
@example("")
@example(" \n\t\u2029")
def test_contract_on_any_text(text: str) -> None:
    check_contract(text)


@settings(max_examples=300, deadline=None)
@given(news_like)
def test_contract_on_awkward_news(text: str) -> None:
    check_contract(text)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u00a0\t\r\n\f"])
def test_nothing_gives_nothing(text: str) -> None:
    assert SPLITTER.spans(text) == []


@pytest.mark.parametrize(
    "unit", ["1", "<", ".", '"', "a", "!", '."', ". ", "! ", "?” ", "A. ", "\n", "a.\n", "- a\n"]
)
def test_time_grows_with_the_text_only(unit: str) -> None:
    SPLITTER.spans("Warm. Up.")
    seconds = []
    for length in (10_000, 80_000):
        text = (unit * length)[:length]
        began = time.process_time()
        SPLITTER.spans(text)
        seconds.append(time.process_time() - began)
    # Eight times the text: what is quadratic takes 64 times as long, and seconds of it.
    assert seconds[1] < 24 * seconds[0] + 0.5


@pytest.mark.parametrize(
    "unit", ["Ab ", "! ", "The town fell. ", "word " * 900 + "end. ", "x" * 5000 + ". A "]
)
def test_model_reads_the_text_at_most_twice(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def model(text: str, *, paragraph_breaks: bool) -> list[tuple[int, int]]:
        read.append(len(text))
        return [(0, 5), (6, len(text))]  # the least helpful answer: almost everything is cut off

    monkeypatch.setattr(sentences, "_model", lambda: model)
    text = "Yes. No " + unit * (100_000 // len(unit))
    SPLITTER.spans(text)
    assert max(read) <= sentences._WINDOW
    assert len(text) - 1 <= sum(read) <= 2.1 * len(text)


def test_window_does_not_change_what_is_found() -> None:
    sentence = "The U.S. envoy met Mr. Osei at 9 a.m. and left for D.C. by train, witnesses said."
    text = " ".join([sentence] * 200)
    assert [text[start:end] for start, end in SPLITTER.spans(text)] == [sentence] * 200


def test_sentence_longer_than_the_window_keeps_its_end() -> None:
    long = "They came from " + ", ".join(["Dorra"] * 1000) + " and the U.S. Later they left."
    text = f"It rained. {long} Nobody stayed."
    found = [text[start:end] for start, end in SPLITTER.spans(text)]
    assert found[0] == "It rained."
    assert found[-2:] == ["Later they left.", "Nobody stayed."]
    assert len(found) == 4


def test_nupunkt_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys; from framelens.sentences import NewsSplitter; splitter = NewsSplitter(); "
        "early = 'nupunkt' in sys.modules; splitter.spans('One. Two.'); "
        "sys.exit(early or 'nupunkt' not in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# A bar stands between two sentences, beside the white space that parts them.
CASES = [
    # ordinary words that the legal model takes for abbreviations
    "The ship ran ashore.| Indonesia sent a tug.",
    "It happened last week.| Ankara protested.",
    "A village was bombed.| Kyiv blamed Moscow.",
    # abbreviations
    "Lt. Gen. Amin met Gov. Ruiz and Sen. Cole.| They shook hands.",
    "Ask a sales rep.| Smith knows.",
    "He lives in the U.S.| Her son does not.",
    "The U.S. Treasury and the U.N. Security Council agreed.",
    "Unit No. 5 burned.| Did he know?| No.| Nobody did.",
    "Form no. A-17 and Art. IV apply.",
    "J. K. Osei and P. J. Farrow left.",
    "He came in Feb. 2020 and left in Dec.| Officials were glad.",
    "Rates rose 4 pct. to a record.",
    # quotes
    "“Who pays?” Ms. Duarte asked.| Nobody spoke.",
    "“Who pays?”| The clerk did not know.",
    '"Stop!" he cried.| "Now!"',
    "“We left.| We ran,” he said.",
    "He called it “a tragedy.”|Others did not.",
    # datelines
    "MOSCOW, May 4. /AGENCY/. The fleet sailed.| It returned.",
    "ST. JOHN'S, Newfoundland — Ice came.| It went.",
    # small letters
    "They fled. .. and came back.",
    "It fell.| al-Nadim was gone.",
    "Read it.| https://a.example/b says more.",
    "The firm Joom! in Oslo is closed.",
    # layout
    "First line of a title|\n\nThen text",
    "Dorra mourns|\nThe whole town stood at the harbour on Monday to remember the drowned.",
    "The two sides agreed on Friday to exchange the bodies of soldiers, President\n"
    "Keita of the republic said.| He gave no\nnumbers.",
    "Demands:|\n- bread|\n- peace",
    "Steps|\n1. Talk.|\n2. Sign.",
    "Our demands:|\n1. bread|\n2. peace",
    "The agency said that the first shipment of grain left the port on June\n3.| The second waits.",
    "## Why now?|\nnobody knows",
    "The list includes|\n\nthree medics.",
    "A first.|\r\n\r\nA second.",
]


@pytest.mark.parametrize("marked", CASES)
def test_case(marked: str) -> None:
    text = marked.replace("|", "")
    expected = [piece.strip() for piece in marked.split("|")]
    assert [text[start:end] for start, end in SPLITTER.spans(text)] == expected
