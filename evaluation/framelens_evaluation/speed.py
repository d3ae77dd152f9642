"""Sentences a second: `framelens.FramingClassifier` beside a plain Hugging Face pipeline.

Both label the same sentences with the same weights, in turns (A B A B …), so that what else the
machine does falls on both; the first turn of each warms up and is not counted.
"""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from framelens import FramingClassifier, InputError
from framelens.errors import require
from framelens_evaluation.reporting.markdown import table
from framelens_evaluation.reporting.provenance import Machine, describe_machine, installed_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["SpeedResult", "alternate", "measure_speed", "read_texts"]

_BATCH_SIZE = 32


class SpeedResult(BaseModel):
    """Two ways to label the same sentences.

    Attributes:
        n_sentences: sentences in one turn.
        n_characters: characters in one turn.
        ours: sentences a second of `FramingClassifier.label_many`, turn by turn.
        pipeline: those of the Hugging Face pipeline.
        n_compared: sentences that both gave a label; ours gives none out of the codebook's scope.
        n_same: of these, how many got the same label from both. Far below ``n_compared``, the two do not
            do the same work and the ratio means nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_sentences: int
    n_characters: int
    ours: tuple[float, ...]
    pipeline: tuple[float, ...]
    n_compared: int
    n_same: int
    versions: dict[str, str | None]
    machine: Machine

    @property
    def ratio(self) -> float:
        """Median of ours over the median of the pipeline's."""
        return median(self.ours) / median(self.pipeline)

    def to_markdown(self) -> str:
        """The result as a Markdown table with the terms it was measured under."""
        rows = [
            (name, f"{median(turns):,.0f}", f"{min(turns):,.0f} to {max(turns):,.0f}")
            for name, turns in (
                ("framelens, label_many", self.ours),
                (f"transformers pipeline, batches of {_BATCH_SIZE}, float32", self.pipeline),
            )
        ]
        machine = self.machine
        return (
            table(("", "sentences a second (median)", "all turns"), rows)
            + f"\nRatio of the medians {self.ratio:.2f}; {len(self.ours)} turns each in alternation, "
            f"{self.n_sentences:,} sentences of {self.n_characters / self.n_sentences:.0f} characters "
            f"on average. Same label on {self.n_same:,} of the {self.n_compared:,} that both labelled.\n"
            f"{machine.processor or machine.platform}, {machine.n_cpus} CPUs.\n"
        )


def measure_speed(
    texts: Sequence[str], bundle: Path, repeats: int = 5, classifier: FramingClassifier | None = None
) -> SpeedResult:
    """Measure both on the same sentences in one process.

    The pipeline is ``pipeline("text-classification", model=bundle, batch_size=32, dtype=torch.float32)``
    on the CPU, given the list of texts, with truncation on since it fails on long texts otherwise.

    Args:
        texts: sentences, not empty.
        bundle: folder of the model that both load.
        repeats: counted turns of each, at least 1.
        classifier: ours, loaded from ``bundle`` with its defaults when absent.

    Raises:
        InputError: no texts, or ``repeats`` below 1.
        MissingExtraError: torch or transformers is not installed.
        ModelNotFoundError: there is no such folder.
        ModelFormatError: the folder holds something else.
    """
    ours = classifier or FramingClassifier.from_pretrained(bundle)
    sentences = list(texts)
    plain = _pipeline(bundle)
    (found, times), (others, other_times) = alternate(
        lambda: [p.label for p in ours.label_many(sentences)],
        lambda: [answer["label"] for answer in plain(sentences, truncation=True)],
        repeats,
    )
    both = [(a, b) for a, b in zip(found, others, strict=True) if a is not None]
    return SpeedResult(
        n_sentences=len(sentences),
        n_characters=sum(map(len, sentences)),
        ours=tuple(len(sentences) / seconds for seconds in times),
        pipeline=tuple(len(sentences) / seconds for seconds in other_times),
        n_compared=len(both),
        n_same=sum(a == b for a, b in both),
        versions=installed_versions(),
        machine=describe_machine(),
    )


def alternate(
    first: Callable[[], list[Any]], second: Callable[[], list[Any]], repeats: int
) -> tuple[tuple[list[Any], list[float]], tuple[list[Any], list[float]]]:
    """Call two functions in turns, once to warm up and then ``repeats`` times for the clock.

    Returns:
        For each, what its last call gave and the seconds of every counted call.

    Raises:
        InputError: ``repeats`` is below 1, or a call gives an empty list.
    """
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, got {repeats}")
    calls = (first, second)
    results = [call() for call in calls]
    if not all(results):
        raise InputError("there must be at least one sentence to measure speed on")
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats):
        for i, call in enumerate(calls):
            begun = time.perf_counter()
            results[i] = call()
            seconds[i].append(time.perf_counter() - begun)
    return (results[0], seconds[0]), (results[1], seconds[1])


def _pipeline(bundle: Path) -> Any:
    torch, transformers = require("torch", "torch"), require("transformers", "torch")
    require("framelens.hf", "torch")  # registers the model class with transformers
    return transformers.pipeline(
        "text-classification",
        model=str(bundle),
        batch_size=_BATCH_SIZE,
        dtype=torch.float32,
        device="cpu",
    )


def read_texts(path: Path) -> list[str]:
    """Sentences from a ``.txt`` file, one a line, or from the ``text`` fields of a ``.jsonl`` file.

    Raises:
        InputError: the file cannot be read, holds no sentence, or a line has no ``text``.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the sentences: {path}: {error}") from error
    numbered = [(at, line) for at, line in enumerate(lines, start=1) if line.strip()]
    if path.suffix == ".jsonl":
        texts = [_text_of(line, f"{path}:{at}") for at, line in numbered]
    else:
        texts = [line.strip() for _, line in numbered]
    if not texts:
        raise InputError(f"{path} holds no sentences")
    return texts


class _Row(BaseModel):
    text: str


def _text_of(line: str, where: str) -> str:
    try:
        return _Row.model_validate_json(line).text
    except ValueError as error:
        raise InputError(f"{where}: expected a JSON object with a string 'text'") from error
