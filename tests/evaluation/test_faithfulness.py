"""Whether labels rest on the evidence shown, on systems whose answers are known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens import LABELS, CueKind, Evidence, InputError
from framelens_evaluation.inputs.dataset import GoldSentence
from framelens_evaluation.inputs.lexicon import Lexicon
from framelens_evaluation.inputs.systems import Answers, fitted_baseline
from framelens_evaluation.reporting.document import Callout, Document, Figure, Table
from framelens_evaluation.reporting.markdown import render_markdown
from framelens_evaluation.run.erasure import kept_words, random_runs, words_in_spans
from framelens_evaluation.run.faithfulness import Faithfulness, faithfulness_section, measure_faithfulness
from framelens_evaluation.statistics.bootstrap import Interval, Resampling
from framelens_evaluation.statistics.metrics import NO_LABEL

STATE, PLAIN, HEDGED = LABELS
HOW = Resampling(0, 200)


@dataclass
class CueSystem:
    """Hedged where a cue word stands, else independent; shows what it is told to show.

    With the cue, the label hedged has 0.9 and each other 0.05; without it, independent has 0.8.
    """

    cue: str = "reportedly"
    show: str = "reportedly"
    name: str = "cues"
    reads: str = "sentence"
    digest: str | None = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, rows) -> Answers:
        self.asked += [(row.text, row.context) for row in rows]
        has_cue = np.array([self.cue in row.text.split() for row in rows], dtype=bool)
        probabilities = np.where(has_cue[:, None], [0.05, 0.05, 0.9], [0.1, 0.8, 0.1])
        evidence = tuple(self._spans(row.text) for row in rows)
        return Answers(probabilities.argmax(-1).astype(np.int64), probabilities, evidence)

    def _spans(self, text: str) -> tuple[Evidence, ...]:
        at = text.find(self.show)
        return () if at < 0 else (Evidence(at, at + len(self.show), CueKind.HEDGE, 0.9),)


def rows(n: int = 40, text: str = "The ferry was reportedly hit near pier {}.") -> list[GoldSentence]:
    return [
        GoldSentence(
            text=text.format(i), context="It rained.", label=HEDGED, article=f"a{i // 2}", stratum="natural"
        )
        for i in range(n)
    ]


def measured(system, sentences, **more) -> Faithfulness:
    return measure_faithfulness(system, sentences, system.answer(sentences), HOW, 3, **more)


# Taking words away. ------------------------------------------------------------------------------------


def test_words_in_spans() -> None:
    words, inside = words_in_spans("It was  reportedly\nhit, he said.", [(8, 18), (21, 22)])
    assert words == ("It", "was", "reportedly", "hit,", "he", "said.")
    assert inside.tolist() == [False, False, True, True, False, False]
    assert kept_words(words, ~inside) == "It was he said."
    assert words_in_spans("One two.", [(3, 4), (4, 4)])[1].tolist() == [False, False]
    with pytest.raises(InputError, match=r"8 characters, got \[0, 9\)"):
        words_in_spans("One two.", [(0, 9)])


def lengths_of_runs(inside) -> list[int]:
    return sorted(len(run) for run in "".join("x" if is_in else " " for is_in in inside).split())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(0, 1000))
def test_random_words_are_as_many_in_as_many_runs(shown, seed) -> None:
    drawn = random_runs(np.array(shown), np.random.default_rng(seed))
    assert len(drawn) == len(shown)
    assert lengths_of_runs(drawn) == lengths_of_runs(shown)


def test_every_choice_is_equally_likely() -> None:
    # Runs of 2 and 1 among 6 words: every way to place them apart, in either order.
    shown = np.array([True, True, False, True, False, False])
    rng = np.random.default_rng(0)
    seen = Counter(tuple(random_runs(shown, rng).tolist()) for _ in range(6000))
    candidates = set(permutations([True] * 3 + [False] * 3))
    possible = {candidate for candidate in candidates if lengths_of_runs(candidate) == [1, 2]}
    assert set(seen) == possible
    assert len(possible) == 12
    assert min(seen.values()) > 400
    assert max(seen.values()) < 600


# Measures. ---------------------------------------------------------------------------------------------


def test_a_system_that_uses_what_it_shows() -> None:
    system = CueSystem()
    found = measured(system, rows(), n_draws=8)
    overall = found.results[0]
    assert (found.n_given, found.n_with_evidence, found.n_all_evidence, found.n_draws) == (40, 40, 0, 8)
    assert (overall.label, overall.n_sentences, overall.n_articles) == (None, 40, 20)
    assert overall.words_shown == pytest.approx(1 / 8)
    assert overall.comprehensiveness.evidence.value == pytest.approx(0.9 - 0.1)
    assert overall.sufficiency.evidence.value == pytest.approx(0.0)
    assert overall.flips.evidence.value == 1.0
    # One word of eight: a random one is the cue in about one draw of eight.
    assert overall.flips.random.value == pytest.approx(1 / 8, abs=0.05)
    assert overall.comprehensiveness.random.value == pytest.approx(0.8 * overall.flips.random.value)
    assert overall.sufficiency.random.value == pytest.approx(0.8 * 7 / 8, abs=0.05)
    for contrast in (overall.comprehensiveness, overall.sufficiency, overall.flips):
        assert contrast.difference.value == pytest.approx(contrast.evidence.value - contrast.random.value)
        assert contrast.difference.low <= contrast.difference.value <= contrast.difference.high
    assert overall.comprehensiveness.difference.low > 0
    assert overall.sufficiency.difference.high < 0


def test_a_system_that_shows_other_words_than_it_uses() -> None:
    overall = measured(CueSystem(show="ferry"), rows(), n_draws=8).results[0]
    assert overall.comprehensiveness.evidence.value == pytest.approx(0.0)
    assert overall.sufficiency.evidence.value == pytest.approx(0.8)
    assert overall.comprehensiveness.difference.high < 0.01
    assert overall.sufficiency.difference.low > -0.01


def test_what_is_asked() -> None:
    system = CueSystem()
    sentences = rows(3)
    answers = system.answer(sentences)
    system.asked.clear()
    measure_faithfulness(system, sentences, answers, HOW, 3, n_draws=1)
    assert system.asked[:3] == [(f"The ferry was hit near pier {i}.", "It rained.") for i in range(3)]
    assert system.asked[3:4] == [("reportedly", "It rained.")]  # asked once for three sentences
    for text, context in system.asked:
        assert text.strip()
        assert context == "It rained."


def test_results_by_label_and_evidence_against_a_label() -> None:
    class TwoCues(CueSystem):
        def answer(self, rows) -> Answers:
            found = super().answer(rows)
            glorious = ["glorious" in row.text.split() for row in rows]
            found.probabilities[glorious] = [0.7, 0.2, 0.1]
            # A cue that is shown and overruled: independent has 0.6, and 0.8 once it is gone.
            overruled = ["reportedly" in row.text.split() and "not" in row.text.split() for row in rows]
            found.probabilities[overruled] = [0.1, 0.6, 0.3]
            return Answers(found.probabilities.argmax(-1), found.probabilities, found.evidence)

        def _spans(self, text: str) -> tuple[Evidence, ...]:
            at = text.find("glorious")
            shown = (Evidence(at, at + 8, CueKind.STATE, 0.9),) if at >= 0 else ()
            return shown or super()._spans(text)

    system = TwoCues()
    sentences = [
        *rows(8),
        *rows(6, "Our glorious fleet took pier {}."),
        *rows(4, "The ferry was not reportedly hit near pier {}."),
        *rows(2, "The ferry left pier {}."),
    ]
    found = measured(system, sentences)
    assert (found.n_given, found.n_with_evidence) == (20, 18)
    sizes = [(result.label, result.n_sentences) for result in found.results]
    assert sizes == [(None, 14), (STATE, 6), (PLAIN, 4), (HEDGED, 8)]
    together, state, plain, hedged = found.results
    assert state.comprehensiveness.evidence.value == pytest.approx(0.7 - 0.1)
    assert hedged.comprehensiveness.evidence.value == pytest.approx(0.8)
    assert plain.comprehensiveness.evidence.value == pytest.approx(0.6 - 0.8)
    assert plain.flips.evidence.value == 0.0
    assert together.comprehensiveness.evidence.value == pytest.approx((6 * 0.6 + 8 * 0.8) / 14)


def test_sentences_of_evidence_alone_and_without_a_label_are_left_out() -> None:
    system = CueSystem()
    sentences = [*rows(6), *rows(3, "reportedly"), *rows(2)]
    answers = system.answer(sentences)
    answers.given[-2:] = NO_LABEL
    found = measure_faithfulness(system, sentences, answers, HOW, 3)
    assert (found.n_given, found.n_with_evidence, found.n_all_evidence) == (9, 9, 3)
    assert found.results[0].n_sentences == 6


def test_whole_articles_are_drawn_until_there_are_enough() -> None:
    system = CueSystem()
    sentences = rows(60)
    answers = system.answer(sentences)
    found = measure_faithfulness(system, sentences, answers, HOW, 3, enough=9)
    assert found.n_with_evidence == 60
    assert (found.results[0].n_sentences, found.results[0].n_articles) == (10, 5)
    system.asked.clear()
    measure_faithfulness(system, sentences, answers, HOW, 3, enough=9)
    first = list(system.asked)
    system.asked.clear()
    measure_faithfulness(system, sentences, answers, HOW, 3, enough=9)
    assert system.asked == first
    system.asked.clear()
    measure_faithfulness(system, sentences, answers, Resampling(1, 200), 3, enough=9)
    assert system.asked != first


def test_the_seed_decides() -> None:
    system, sentences = CueSystem(), rows()
    assert measured(system, sentences) == measured(system, sentences)
    answers = system.answer(sentences)
    other = measure_faithfulness(system, sentences, answers, Resampling(1, 200), 3)
    assert other.results[0].flips.random != measured(system, sentences).results[0].flips.random


def test_intervals_are_by_article() -> None:
    system = CueSystem()
    # In the second half the cue stands twice and is shown once, so that nothing changes without it.
    twice = rows(10, "They reportedly and reportedly left pier {}.")
    twice = [row.model_copy(update={"article": f"more {row.article}"}) for row in twice]
    mixed = [*rows(10), *twice]
    by_article = measured(system, mixed).results[0].comprehensiveness.evidence
    one = [sentence.model_copy(update={"article": "one"}) for sentence in mixed]
    alone = measured(system, one).results[0]
    assert by_article.low < by_article.value < by_article.high
    assert alone.n_articles == 1
    assert alone.comprehensiveness.evidence.low is None


def test_nothing_to_measure() -> None:
    system = CueSystem()
    plain = rows(4, "The ferry left pier {}.")
    for sentences in ([], plain):
        system.asked.clear()
        found = measured(system, sentences)
        assert len(system.asked) == len(sentences)  # not asked again
        assert found.results[0].n_sentences == 0
        assert found.results[0].words_shown is None
        assert found.results[0].flips.difference == Interval(None, None, None)
        section = faithfulness_section(found)
        assert not [block for block in section.blocks if isinstance(block, Figure)]


def test_what_cannot_be_measured() -> None:
    system, sentences = CueSystem(), rows(4)
    answers = system.answer(sentences)

    def attempt(asked=system, given=answers, **more) -> None:
        measure_faithfulness(asked, sentences, given, HOW, 3, **more)

    with pytest.raises(InputError, match="shows no evidence"):
        attempt(given=Answers(answers.given, answers.probabilities))
    with pytest.raises(InputError, match="cannot be asked"):
        attempt(asked=CueSystem(reads="a file"))
    with pytest.raises(InputError, match="without probabilities"):
        attempt(given=Answers(answers.given, answers.probabilities * np.nan, answers.evidence))
    with pytest.raises(InputError, match="n_draws"):
        attempt(n_draws=0)
    with pytest.raises(InputError, match="enough"):
        attempt(enough=0)
    outside = ((Evidence(0, 400, CueKind.HEDGE, 1.0),), *answers.evidence[1:])
    with pytest.raises(InputError, match="expected evidence within"):
        attempt(given=Answers(answers.given, answers.probabilities, outside))


def test_a_real_system_with_evidence() -> None:
    system = fitted_baseline("lexicon", None)
    overall = measured(system, rows()).results[0]
    assert overall.comprehensiveness.evidence.value == pytest.approx(0.8 - 0.1)
    assert overall.sufficiency.evidence.value == pytest.approx(0.0)
    assert overall.comprehensiveness.difference.low > 0
    assert Lexicon().evidence(["reportedly"])[0]


def test_progress_is_told() -> None:
    steps: list[str] = []
    measured(CueSystem(), rows(4), tell=steps.append)
    assert steps == [
        "asking about 4 sentences without evidence, and as many with nothing else",
        "asking about 20 sentences without random words, and as many with nothing else",
    ]


# The section. ------------------------------------------------------------------------------------------


def of_kind(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_the_section_says_whether_evidence_matters() -> None:
    good = faithfulness_section(measured(CueSystem(), rows()))
    bad = faithfulness_section(measured(CueSystem(show="ferry"), rows()), system="other")
    assert of_kind(good, Callout)[0].tone == "good"
    assert "both ways" in of_kind(good, Callout)[0].text
    assert of_kind(bad, Callout)[0].tone == "warn"
    assert "no better than random ones" in of_kind(bad, Callout)[0].text
    assert good.title != bad.title
    assert of_kind(good, Figure)[0].name != of_kind(bad, Figure)[0].name
    (table,) = of_kind(good, Table)
    assert [str(row[0]) for row in table.rows[::3]] == [
        "both together",
        "state framing",
        "independent (against)",
        "hedged",
    ]
    assert str(table.rows[0][4]).startswith("0.800")
    assert table.rows[0][6].tone == "good"
    assert table.rows[1][6].tone == "good"
    assert of_kind(bad, Table)[0].rows[0][6].tone in ("bad", None)
    assert "comprehensiveness 0.800" in of_kind(good, Figure)[0].description
    readable = render_markdown(Document("A", "b", (good, bad)))
    assert " nan" not in readable
    assert "pier" not in readable  # no sentence of the data


def test_json_holds_it_all() -> None:
    found = measured(CueSystem(), rows(4))
    text = found.model_dump_json()
    assert "NaN" not in text
    assert Faithfulness.model_validate_json(text) == found
