"""A made-up data set and a model whose answers are known."""

from __future__ import annotations

import runpy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from framelens import LABELS, CueKind, Evidence, Label, Prediction, Status
from framelens_evaluation.inputs.dataset import GoldSentence, GoldSet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

STATE, PLAIN, HEDGED = LABELS


@dataclass
class FakeModel:
    """Gives the answers that it was told, by text; with a context it always answers rightly.

    A text that it was told nothing of, such as a sentence without its evidence, is plain reporting.
    """

    alone: dict[str, Label | None]
    paired: dict[str, Label | None]
    evidence: dict[str, tuple[int, int]] = field(default_factory=dict)
    confidence: float = 0.8
    digest: str = "d" * 64
    context_sentences: int = 2

    def predict_proba(self, texts: list[str], context: list[str | None] | None = None) -> np.ndarray:
        rest = (1 - self.confidence) / 2
        found = np.full((len(texts), len(LABELS)), rest)
        for row, label in zip(found, self._answers(texts, context), strict=True):
            row[LABELS.index(label or PLAIN)] = self.confidence
        return found

    def label_many(
        self, texts: Iterable[str], context: Iterable[str | None] | None = None
    ) -> Iterator[Prediction]:
        texts = list(texts)
        for text, label in zip(texts, self._answers(texts, context), strict=True):
            if label is None:
                yield Prediction(text, None, status=Status.NOT_APPLICABLE)
                continue
            rest = (1 - self.confidence) / 2
            shown = self.evidence.get(text)
            yield Prediction(
                text,
                label,
                {each: self.confidence if each is label else rest for each in LABELS},
                () if shown is None else (Evidence(*shown, kind=CueKind.HEDGE, score=0.9),),
            )

    def _answers(self, texts, context) -> list[Label | None]:
        contexts = [None] * len(texts) if context is None else list(context)
        return [
            (self.alone if before is None else self.paired).get(text, PLAIN)
            for text, before in zip(texts, contexts, strict=True)
        ]


def sentence(at: int, label: Label | None, text: str, cue: str | None = None, **more) -> GoldSentence:
    found = None if cue is None else (text.index(cue), text.index(cue) + len(cue))
    settings = {
        "context": "The river rose.",
        "article": f"article {at // 2}",
        "stratum": "natural" if at % 3 else "hedge_cue",
        "outlet_id": "river_post" if at % 4 < 2 else "hill_times",
    }
    return GoldSentence(text=text, label=label, cue=found, **{**settings, **more})


@pytest.fixture
def gold() -> GoldSet:
    """24 labelled sentences, 8 of each label, two an article, and 4 out of scope."""
    rows = []
    for i in range(8):
        place = f"ferry number {i}"
        rows += [
            sentence(len(rows), STATE, f"Our glorious crews saved {place}.", "glorious"),
            sentence(len(rows) + 1, PLAIN, f"The harbour office inspected {place}."),
            sentence(len(rows) + 2, HEDGED, f"Thieves reportedly stripped {place}.", "reportedly"),
        ]
    rows += [sentence(24 + i, None, f"Photo: a deck of ferry {i}", outlet_id=None) for i in range(4)]
    return GoldSet("toy.jsonl", "a" * 64, tuple(rows))


@pytest.fixture
def train() -> GoldSet:
    """12 sentences of one of the two outlets, in articles of their own."""
    texts = {
        STATE: "Our glorious fleet crushed pirate band {}.",
        PLAIN: "The mayor opened pier {} on Monday.",
        HEDGED: "A wreck was reportedly found off cape {}.",
    }
    rows = [
        sentence(i, label, texts[label].format(i), article=f"train {i}", outlet_id="river_post")
        for i, label in enumerate([STATE, PLAIN, HEDGED] * 4)
    ]
    return GoldSet("train.jsonl", "b" * 64, tuple(rows))


@pytest.fixture
def model(gold: GoldSet) -> FakeModel:
    """Right on everything with context; without it, takes every second state sentence for plain.

    It refuses one labelled sentence and three of the four out of scope. Its evidence is the cue of
    hedged sentences, and the first word of one plain sentence.
    """
    paired = {row.text: row.label for row in gold.sentences}
    paired[gold.sentences[1].text] = None
    paired[gold.sentences[-1].text] = PLAIN
    states = [row.text for row in gold.sentences if row.label is STATE]
    alone = {**paired, **dict.fromkeys(states[::2], PLAIN)}
    evidence = {row.text: row.cue for row in gold.sentences if row.label is HEDGED and row.cue}
    plain = [row.text for row in gold.sentences if row.label is PLAIN]
    evidence[plain[1]] = (0, 3)
    return FakeModel(alone, paired, evidence)


@pytest.fixture(scope="session")
def check_page() -> Callable[[str], None]:
    """Asserts that a page of ours is well nested, loads nothing, and names every picture and field."""
    return runpy.run_path(str(Path(__file__).with_name("pages.py")))["check_page"]
