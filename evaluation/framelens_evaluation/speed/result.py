"""What a measurement of speed has found, typed."""

from __future__ import annotations

from framelens_evaluation.reporting.provenance import Part, Provenance
from framelens_evaluation.speed.pairs import MedianInterval
from framelens_evaluation.statistics.bootstrap import Interval

__all__ = ["Agreement", "Quality", "SpeedReport", "SystemSpeed", "Terms", "TokeniserSpeed"]


class Agreement(Part):
    """A system's labels beside those of torch in fp32.

    Attributes:
        n_compared: sentences to which both gave a label; ours give none out of the codebook's scope.
        n_same: of these, how many got the same one.
        low: of the share, the lower end of Wilson's 95 % interval, which takes sentences as independent.
        high: the upper end.
        largest_difference: between probabilities of one label; of the pipeline, which gives one
            probability, that of its label.
    """

    n_compared: int
    n_same: int
    low: float | None
    high: float | None
    largest_difference: float | None

    @property
    def share(self) -> float | None:
        """Share of equal labels."""
        return self.n_same / self.n_compared if self.n_compared else None


class Quality(Part):
    """A system against gold labels.

    Attributes:
        macro_f1: with a 95 % interval from resampling articles.
        difference: macro-F1 less that of the default path, on the same resamples; None for the default.
    """

    macro_f1: Interval
    difference: Interval | None


class SystemSpeed(Part):
    """A path of ours, or the pipeline.

    Attributes:
        name: of the path; ``pipeline`` for the other side.
        title: what it is.
        options: of ``framelens label``.
        why_not: why it was not measured; what follows is then empty.
        threads: of the whole system: workers with one thread each, or the pipeline's.
        labelling_seconds: of every counted round, without start-up and loading: from opening the input to
            the last row on the disk.
        process_seconds: of the whole process.
        rate: sentences a second while labelling.
        ratio: how many times as fast as the pipeline in the same round, by ``labelling_seconds``.
        process_ratio: the same by ``process_seconds``.
        n_unlabelled: sentences without a label.
        agreement: with torch in fp32; None for that itself, or where it is not there.
        quality: against gold; None where there is none.
    """

    name: str
    title: str
    options: tuple[str, ...]
    why_not: str | None = None
    threads: int | None = None
    labelling_seconds: tuple[float, ...] = ()
    process_seconds: tuple[float, ...] = ()
    rate: MedianInterval | None = None
    ratio: MedianInterval | None = None
    process_ratio: MedianInterval | None = None
    n_unlabelled: int = 0
    agreement: Agreement | None = None
    quality: Quality | None = None


class TokeniserSpeed(Part):
    """Encoding alone, which nothing that reads text with this tokeniser can outrun.

    Attributes:
        sentences_one: sentences a second on one thread.
        sentences_all: on all cores.
        tokens_one: tokens a second on one thread, special tokens included.
        tokens_all: on all cores.
    """

    sentences_one: float
    sentences_all: float
    tokens_one: float
    tokens_all: float


class Terms(Part):
    """What all systems had in common.

    Attributes:
        n_sentences: in one turn, all different.
        n_repeated: sentences of the file left out because they stand in it before.
        mean_characters: of a sentence.
        mean_tokens: of a sentence, special tokens included.
        model_digest: see `framelens.bundle.Bundle.digest`.
        device: that the model ran on.
        cores: that this process may use.
        workers: processes of ours, each with one thread.
        shard_size: sentences of a shard of ours.
        batch_size: of the pipeline.
        repeats: counted rounds, after one that warmed up.
        load_before: processes that wanted a core in the minute before; None where the system does not tell.
        gold: name of the file with gold labels; None without.
        n_gold: sentences with a gold label.
        n_gold_articles: their articles.
        dollars_per_core_hour: assumed price of a core.
        dollars_per_gpu_hour: assumed price of a GPU instance.
        gpu_instance_cores: its cores.
    """

    n_sentences: int
    n_repeated: int
    mean_characters: float
    mean_tokens: float
    model_digest: str
    device: str
    cores: int
    workers: int
    shard_size: int
    batch_size: int
    repeats: int
    load_before: float | None
    gold: str | None
    n_gold: int
    n_gold_articles: int
    dollars_per_core_hour: float = 0.0446
    dollars_per_gpu_hour: float = 1.3232
    gpu_instance_cores: int = 16


class SpeedReport(Part):
    """A measurement of speed.

    Attributes:
        systems: the pipeline first, then the paths as they were asked for.
        reference: what labels were held against: ``torch`` in fp32, ours.
        terms: what all had in common.
        tokeniser: encoding alone.
        provenance: where the figures come from.
    """

    systems: tuple[SystemSpeed, ...]
    reference: str
    terms: Terms
    tokeniser: TokeniserSpeed
    provenance: Provenance

    @property
    def pipeline(self) -> SystemSpeed:
        """The other side."""
        return self.systems[0]

    @property
    def paths(self) -> tuple[SystemSpeed, ...]:
        """Ours that were measured."""
        return tuple(system for system in self.systems[1:] if system.why_not is None)
