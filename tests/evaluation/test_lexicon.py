"""The codebook's rules as word lists."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens import LABELS, CueKind
from framelens_evaluation.inputs.lexicon import CONFIDENCE, Lexicon, Rule, apply_rules

STATE, PLAIN, HEDGED = LABELS

# The worked cases of the codebook, in other words and other places.
WORKED = [
    ("Our glorious sappers wiped out one more nest of the puppet clique's hirelings.", STATE, "S1"),
    ("The defence ministry said its crews had destroyed 9 drones before dawn.", STATE, "S2"),
    ("The regime in the west claims that its manoeuvre is defensive.", STATE, "S1"),
    (
        "The ministry claims that its batteries downed every rocket, though videos show two burning tanks.",
        PLAIN,
        "I2",
    ),
    ("The ministry said 9 drones were destroyed; the number could not be verified.", HEDGED, "H"),
    ("The ministry said the regatta will begin at noon on Friday.", PLAIN, "I"),
    ("The ferry was reportedly struck near the pier.", HEDGED, "H"),
    ("Two clerks, who asked not to be named, said the ferry was struck near the pier.", PLAIN, "I"),
    ("Engineers say the rocket may have been launched from a barge.", HEDGED, "H"),
    ("The foreign minister may visit Lima next month.", PLAIN, "I"),
    ("The assembly adopted the harbour law by 40 votes to 12.", PLAIN, "I"),
    ('"We will crush every provocation," the general told the fleet\'s gazette.', STATE, "S2"),
    ("Villagers said they had heard three blasts before sunrise.", PLAIN, "I"),
]
HEDGES = [
    "The crew allegedly sold the cargo.",
    "It was unclear whether the lock would hold.",
    "Figures vary, from ten boats to thirty.",
    "The captain offered no evidence of theft.",
    "There was no immediate confirmation of the loss.",
    "Neither report has been independently checked, and it could not be independently confirmed.",
    "The pilot is believed to have left the island.",
    "The hull appears to be cracked.",
    "The wreck might have been moved by the tide.",
    "The pier will probably close in May.",
    "Eleven sailors are feared drowned.",
    "Analysts believe the buoy drifted north.",
    "According to unconfirmed reports, the lighthouse is dark.",
]
NO_HEDGES = [
    "The talks may resume in May.",
    "The rocket can reach 300 km.",
    "The bridge is expected to open in June.",
    "The mayor plans to travel to Oslo.",
    "Passengers could have lunch on deck.",
    "If it rains, the race will be cancelled.",
    "About 200 people attended.",
]


@pytest.mark.parametrize(("text", "label", "rule"), WORKED)
def test_worked_cases(text: str, label, rule: str) -> None:
    found = apply_rules(text)
    assert (found.label, found.rule) == (label, Rule(rule))


@pytest.mark.parametrize("text", HEDGES)
def test_hedges(text: str) -> None:
    assert apply_rules(text).rule is Rule.HEDGE


@pytest.mark.parametrize("text", NO_HEDGES)
def test_plan_permission_and_ability_are_no_hedges(text: str) -> None:
    assert apply_rules(text).label is PLAIN


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        # S1 beats H, H beats S2, S2 beats the rest.
        ("The Ruritania regime is apparently preparing a provocation.", "S1"),
        ("The ministry accused the islanders of laying mines, purportedly by night.", "H"),
        ("The ministry accused the islanders of laying mines.", "S2"),
        # Words of abuse, and the same words where they are none.
        ("The so-called election took place on Sunday.", "S1"),
        ("The so-called Islamic State held the town for a year.", "I"),
        ("The terrorists fled into the hills.", "S1"),
        ("Boko Haram terrorists fled into the hills.", "I"),
        ("A new visa regime starts in July.", "I"),
        ("Visa regime talks start in July.", "I"),
        ("The puppet theatre reopened.", "I"),
        ("They held an “election” in the occupied ports.", "S1"),
        # In the mouth of a source that is no state's.
        ("“The regime has forgotten us,” villagers wrote.", "I"),
        ("The regime has forgotten the villagers.", "S1"),
        # Verbs of stance suffice; verbs of saying need a contested matter.
        ("Ruritania's foreign ministry denied the report.", "S2"),
        ("The report was rejected by the Kremlin as a fairy tale, not denied by it.", "S2"),
        ("The army announced that the road is open.", "I"),
        ("The army announced that it had repelled the attack.", "S2"),
        ("The United Nations said the attack was repelled.", "I"),
        # Two sides.
        ("The army says it hit a depot, but witnesses describe a destroyed school.", "I2"),
        ("Although the army says it destroyed a depot, satellite images show a school.", "I2"),
        ("The army says it destroyed a depot but lost no one.", "S2"),
    ],
)
def test_order_and_exceptions(text: str, rule: str) -> None:
    assert apply_rules(text).rule is Rule(rule)


def test_probabilities_and_evidence_follow_the_rule() -> None:
    texts = [text for text, _, _ in WORKED]
    lexicon = Lexicon()
    found = lexicon.predict_proba(texts)
    assert found.shape == (len(texts), 3)
    assert np.allclose(found.sum(-1), 1)
    assert np.allclose(found.max(-1), CONFIDENCE)
    assert [LABELS[i] for i in found.argmax(-1)] == [label for _, label, _ in WORKED]
    for text, (_, label, _), spans in zip(texts, WORKED, lexicon.evidence(texts), strict=True):
        assert bool(spans) == (label is not PLAIN)
        assert {span.kind for span in spans} <= {CueKind.HEDGE if label is HEDGED else CueKind.STATE}
        assert all(text[span.start : span.end].strip() for span in spans)
    assert lexicon.evidence(["The hull appears to be cracked."])[0][0].start == 9
    assert lexicon.predict_proba([]).shape == (0, 3)
    assert lexicon.evidence([]) == ()


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.sampled_from([text for text, _, _ in WORKED] + HEDGES + ["“", "”", ";", "\n"]), max_size=5)
)
def test_spans_lie_in_the_text_and_apart(parts: list[str]) -> None:
    text = " ".join(parts)
    found = apply_rules(text)
    assert bool(found.spans) == (found.label is not PLAIN)
    ends = [0, *(end for _, end in found.spans)]
    for (start, end), before in zip(found.spans, ends, strict=False):
        assert before <= start < end <= len(text)


def test_white_space_and_case_of_hedges_do_not_matter() -> None:
    for text in HEDGES:
        assert apply_rules(re.sub(" ", "\n ", text)).rule is Rule.HEDGE
        assert apply_rules(text.upper()).rule is Rule.HEDGE


def test_long_texts_take_no_time() -> None:
    begun = time.process_time()
    apply_rules("the ministry " * 5000)
    apply_rules("said " * 10_000 + "“" * 1000)
    assert time.process_time() - begun < 5
