"""Made-up corpora of which everything is known, to try estimators on.

Each has two groups of equal size. A sentence has a true label, a predicted one drawn from the row of a
confusion matrix, and probabilities that are surer where the prediction is right, but not calibrated: the
estimators must not depend on that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from framelens import LABELS

if TYPE_CHECKING:
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["SCENARIOS", "Design", "Scenario", "World", "make_world"]

Design = Literal["sentences", "articles", "uncertainty"]
_Shares = tuple[float, float, float]
_Matrix = tuple[_Shares, _Shares, _Shares]

_FAIR: Final[_Matrix] = ((0.82, 0.15, 0.03), (0.10, 0.85, 0.05), (0.05, 0.15, 0.80))
_GOOD: Final[_Matrix] = ((0.94, 0.05, 0.01), (0.06, 0.92, 0.02), (0.02, 0.06, 0.92))
_LUCKY: Final[_Matrix] = ((0.945, 0.05, 0.005), (0.03, 0.95, 0.02), (0.01, 0.0733, 0.9167))
_WEAK: Final[_Matrix] = ((0.60, 0.30, 0.10), (0.20, 0.70, 0.10), (0.20, 0.30, 0.50))
_OVERCALLED: Final[_Matrix] = ((0.90, 0.08, 0.02), (0.35, 0.60, 0.05), (0.10, 0.20, 0.70))
_MIXED: Final[_Shares] = (0.30, 0.55, 0.15)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A kind of corpus.

    Attributes:
        name: in a few words.
        shares: true shares in the first and the second group.
        errors: confusion matrices of the groups, gold by given, rows summing to 1.
        design: how the sentences to label are drawn: singly, by whole articles, or with probabilities that
            follow the model's uncertainty.
        n_sentences: of the corpus.
        borrow: whether the groups are corrected by the gold rows of both, however many they have.
    """

    name: str
    shares: tuple[_Shares, _Shares] = (_MIXED, _MIXED)
    errors: tuple[_Matrix, _Matrix] = field(default=(_FAIR, _FAIR))
    design: Design = "sentences"
    n_sentences: int = 20_000
    borrow: bool = False


SCENARIOS: Final = (
    Scenario("equal groups"),
    Scenario("shares differ between groups", shares=((0.50, 0.40, 0.10), (0.15, 0.65, 0.20))),
    Scenario("second group has its own errors", errors=(_GOOD, _OVERCALLED)),
    Scenario("good model", errors=(_GOOD, _GOOD)),
    Scenario("good model whose errors cancel", errors=(_LUCKY, _LUCKY)),
    Scenario("weak model", errors=(_WEAK, _WEAK)),
    Scenario("rare label (3 %)", shares=((0.10, 0.87, 0.03), (0.10, 0.87, 0.03))),
    Scenario("drawn by article", design="articles"),
    Scenario("drawn by uncertainty", design="uncertainty"),
    Scenario("small corpus (1,000)", n_sentences=1_000),
    Scenario("borrowed, groups alike", borrow=True),
    Scenario("borrowed, second group has its own errors", errors=(_GOOD, _OVERCALLED), borrow=True),
)
_ARTICLE_LENGTH: Final = 5
_LIKENESS: Final = 8.0


@dataclass(frozen=True, eq=False)
class World:
    """A corpus of which everything is known.

    Attributes:
        gold: shape (n,), true labels as places in `LABELS`.
        given: shape (n,), predicted labels.
        probabilities: shape (n, n_labels).
        groups: shape (n,), numbers from 0.
        articles: shape (n,), numbers from 0.
        group_names: in the order of the numbers.
    """

    gold: IntArray
    given: IntArray
    probabilities: FloatArray
    groups: IntArray
    articles: IntArray
    group_names: tuple[str, ...]


def make_world(scenario: Scenario, rng: np.random.Generator) -> World:
    """Draw a corpus.

    Sentences come in articles of five, whose own shares scatter about their group's (Dirichlet), so that
    sentences of one article resemble each other.
    """
    n_articles = scenario.n_sentences // _ARTICLE_LENGTH
    of_article = np.arange(n_articles) % 2
    n_each = np.full(n_articles, _ARTICLE_LENGTH)
    articles = np.repeat(np.arange(n_articles), n_each)
    groups = of_article[articles]
    shares = np.array([rng.dirichlet(_LIKENESS * np.array(scenario.shares[group])) for group in of_article])
    gold = _draw(shares[articles], rng)
    given = _draw(np.array(scenario.errors)[groups, gold], rng)
    sure = np.where(given == gold, rng.beta(6.0, 1.5, len(gold)), rng.beta(3.0, 1.5, len(gold)))
    top = 1 / len(LABELS) + (1 - 1 / len(LABELS)) * sure
    rest = rng.dirichlet(np.full(len(LABELS), 2.0), len(gold))
    rest[np.arange(len(gold)), given] = 0.0
    probabilities = rest / rest.sum(-1, keepdims=True) * (1 - top)[:, None]
    probabilities[np.arange(len(gold)), given] = top
    return World(gold, given, probabilities, groups, articles, ("first group", "second group"))


def _draw(shares: FloatArray, rng: np.random.Generator) -> IntArray:
    """One label for each row of shares."""
    bounds = shares.cumsum(-1)[:, :-1]
    codes: IntArray = (rng.random((len(shares), 1)) > bounds).sum(-1).astype(np.int64)
    return codes
