"""What the harness itself costs: seconds and memory for scoring made-up predictions."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import numpy as np

from framelens import LABELS, InputError
from framelens_evaluation.reporting.provenance import Machine, Part, describe_machine, installed_versions
from framelens_evaluation.statistics.bootstrap import Resampling
from framelens_evaluation.statistics.metrics import NO_LABEL
from framelens_evaluation.statistics.scores import score

if TYPE_CHECKING:
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["Cost", "made_up_predictions", "measure_cost"]

_SHARE_REFUSED = 0.02


class Cost(Part):
    """What `framelens_evaluation.statistics.scores.score` cost.

    Attributes:
        n_sentences: made-up sentences.
        n_articles: made-up articles.
        n_resamples: behind each interval.
        seed: of predictions and resamples.
        seconds: wall time of `score` alone.
        peak_memory_mb: largest memory of the whole process so far, Python and libraries included, in
            10^6 bytes; None where the system does not tell.
        versions: installed packages.
        machine: where it ran.
    """

    n_sentences: int
    n_articles: int
    n_resamples: int
    seed: int
    seconds: float
    peak_memory_mb: float | None
    versions: dict[str, str | None]
    machine: Machine

    def __str__(self) -> str:
        memory = "n/a" if self.peak_memory_mb is None else f"{self.peak_memory_mb:,.0f} MB"
        return (
            f"scored {self.n_sentences:,} sentences in {self.n_articles:,} articles, "
            f"{self.n_resamples:,} resamples: {self.seconds:.1f} s\n"
            f"peak memory of the process: {memory}\n"
            f"machine: {self.machine.processor or self.machine.platform}, {self.machine.n_cpus} CPUs, "
            f"Python {self.machine.python}, numpy {self.versions['numpy']}"
        )


def made_up_predictions(
    n_sentences: int, n_articles: int, rng: np.random.Generator
) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    """Predictions of a calibrated model for sentences that resemble those of their article.

    Args:
        n_sentences: at least 1.
        n_articles: at least 1, at most as many as sentences; each article has at least one sentence.
        rng: the only source of randomness.

    Returns:
        gold, given (2 % refused), probabilities and article numbers, as `score` takes them.

    Raises:
        InputError: a number is out of range.
    """
    if not 1 <= n_articles <= n_sentences:
        raise InputError(
            f"expected at least one article and no more than there are sentences, got {n_articles:,} "
            f"articles for {n_sentences:,} sentences"
        )
    articles = np.sort(
        np.append(np.arange(n_articles), rng.integers(n_articles, size=n_sentences - n_articles))
    )
    logits = rng.normal(scale=1.5, size=(n_sentences, len(LABELS)))
    logits += rng.normal(size=(n_articles, len(LABELS)))[articles]
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(1, keepdims=True)
    gold = (rng.random(n_sentences)[:, None] >= probabilities.cumsum(1)[:, :-1]).sum(1)
    given = np.where(rng.random(n_sentences) < _SHARE_REFUSED, NO_LABEL, probabilities.argmax(1))
    return gold, given, probabilities, articles


def measure_cost(
    n_sentences: int = 100_000, n_articles: int = 10_000, n_resamples: int = 1000, seed: int = 0
) -> Cost:
    """Time `score` on `made_up_predictions`.

    Raises:
        InputError: a number is out of range.
    """
    how = Resampling(seed, n_resamples)
    gold, given, probabilities, articles = made_up_predictions(n_sentences, n_articles, how.rng(0, 2))
    begun = time.perf_counter()
    score(gold, given, probabilities, articles, how, 0)
    return Cost(
        n_sentences=n_sentences,
        n_articles=n_articles,
        n_resamples=n_resamples,
        seed=seed,
        seconds=round(time.perf_counter() - begun, 2),
        peak_memory_mb=_peak_memory(),
        versions=installed_versions(),
        machine=describe_machine(),
    )


def _peak_memory() -> float | None:
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
