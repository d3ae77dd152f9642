"""What a comparison gives: typed, and written as ``report.json``."""

from __future__ import annotations

from typing import Final, Literal

from framelens import Label
from framelens_evaluation.reporting.provenance import Part, Provenance
from framelens_evaluation.statistics.bootstrap import Interval
from framelens_evaluation.statistics.significance import MEASURES, Discordance

__all__ = ["ALPHA", "Comparison", "Pair", "PairDifference", "Score", "SystemScores", "Wins"]

#: A corrected p-value below this, and an interval without 0, are needed to tell two systems apart.
ALPHA: Final = 0.05


class Score(Part):
    """One measure of one system.

    Attributes:
        measure: one of `framelens_evaluation.statistics.significance.MEASURES`.
        score: in [0, 1], with its interval by article.
    """

    measure: str
    score: Interval


class SystemScores(Part):
    """One system.

    Attributes:
        name: unique in its report.
        spec: what the command called it.
        reads: what it sees of a sentence.
        digest: SHA-256 of the model or file; None for what was fitted in the run.
        n_refused: sentences that it gave no label; they count as wrong.
        scores: by measure, in the order of `MEASURES`.
    """

    name: str
    spec: str
    reads: str
    digest: str | None
    n_refused: int
    scores: tuple[Score, ...]

    def score(self, measure: str) -> Interval:
        """One measure."""
        return self.scores[MEASURES.index(measure)].score


class PairDifference(Part):
    """The first system's score less the second's.

    Attributes:
        measure: which score.
        difference: in [-1, 1], with its interval from the paired bootstrap by article.
        p_value: of approximate randomisation by article; None where it cannot be made.
        p_corrected: the same after Holm's correction over every pair and measure of the report.
        told_apart: whether the interval leaves out 0 and the corrected p-value is below `ALPHA`.
    """

    measure: str
    difference: Interval
    p_value: float | None
    p_corrected: float | None
    told_apart: bool


class Wins(Part):
    """Sentences of one gold label by which of two systems is right.

    Attributes:
        label: the gold label.
        both: both are right.
        only_first: the first alone is.
        only_second: the second alone is.
        neither: none is.
    """

    label: Label
    both: int
    only_first: int
    only_second: int
    neither: int


class Pair(Part):
    """Two systems on the same sentences.

    Attributes:
        first: name of the system that the differences are of.
        second: name of the one that is taken off.
        differences: by measure, in the order of `MEASURES`.
        discordance: sentences on which one alone is right, with McNemar's test.
        wins: by gold label, in the order of `LABELS`.
    """

    first: str
    second: str
    differences: tuple[PairDifference, ...]
    discordance: Discordance
    wins: tuple[Wins, ...]

    def difference(self, measure: str) -> PairDifference:
        """One measure."""
        return self.differences[MEASURES.index(measure)]


class Comparison(Part):
    """Two or more systems on the same sentences.

    Attributes:
        provenance: where the figures come from.
        note: a remark on the data, such as who judged them.
        n_sentences: sentences with a gold label; nothing else is counted.
        n_left_out: sentences of the file that were judged out of the codebook's scope.
        n_articles: articles of the sentences with a gold label.
        n_by_label: sentences by gold label.
        shared_articles: articles that are in the training sentences too; None without any.
        shared_sentences: sentences that stand among the training ones too, whatever their articles are
            called, but for case, spaces and punctuation; None without any.
        n_tests: hypotheses that Holm's correction is over.
        systems: in the order given; the first is the reference.
        pairs: the first with each other one, then the others with each other where asked for.
    """

    schema_version: Literal[1] = 1
    provenance: Provenance
    note: str | None
    n_sentences: int
    n_left_out: int
    n_articles: int
    n_by_label: dict[Label, int]
    shared_articles: int | None
    shared_sentences: int | None = None
    n_tests: int
    systems: tuple[SystemScores, ...]
    pairs: tuple[Pair, ...]
