"""Measuring: whole commands in processes of their own, in turns."""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median
from typing import TYPE_CHECKING

from framelens import InputError, JobError
from framelens.bundle import find_bundle
from framelens.encoding import PairEncoder
from framelens.errors import require
from framelens.labelling import LOOKAHEAD
from framelens.speed import PATHS, REFERENCE, LabelPath, run_path, timed_command, why_not, write_corpus
from framelens.workers import available_cores
from framelens_evaluation.reporting.provenance import Source, Started
from framelens_evaluation.speed.answers import agreement, of_path, of_pipeline, qualities
from framelens_evaluation.speed.pairs import median_interval, ratios, rotated
from framelens_evaluation.speed.peer import BATCH_SIZE
from framelens_evaluation.speed.result import SpeedReport, SystemSpeed, Terms, TokeniserSpeed
from framelens_evaluation.statistics.bootstrap import Resampling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from framelens.bundle import Bundle
    from framelens.encoding import EncodedPair
    from framelens_evaluation.speed.answers import Answers
    from framelens_evaluation.speed.result import Agreement, Quality
    from framelens_evaluation.speed.sentences import Sentences

    System = Callable[[Path, Path], "Turn"]

__all__ = ["PIPELINE", "Turn", "measure_speed", "paths_named", "run_rounds"]

PIPELINE = "pipeline"
#: Shards of a worker, so that the last ones end at about the same time; not so small that the window in
#: which sentences are sorted by length would be cut short.
_SHARDS_OF_WORKER = 4
_LEAST_SHARD = 500


@dataclass(frozen=True)
class Turn:
    """One run of a system.

    Attributes:
        labelling_seconds: from opening the input to the last row on the disk, without loading.
        process_seconds: of the whole process.
        threads: that it computed with.
        answers: what it said.
    """

    labelling_seconds: float
    process_seconds: float
    threads: int
    answers: Answers


def paths_named(names: str) -> list[LabelPath]:
    """Paths from a list of names with commas.

    Raises:
        InputError: a name is unknown or stands there twice, or there is none.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in PATHS]
    if unknown or not wanted or len(set(wanted)) < len(wanted):
        raise InputError(f"expected each path once, of {', '.join(PATHS)}, got {names!r}")
    return [PATHS[name] for name in wanted]


def run_rounds(
    systems: Mapping[str, System],
    corpus: Path,
    repeats: int,
    tell: Callable[[str], None],
) -> tuple[dict[str, list[Turn]], dict[str, str]]:
    """Run systems in turns, ``repeats`` rounds after one that warms up.

    A system that fails while warming up takes no further part; the order rotates from round to round.

    Args:
        systems: by name; each takes the corpus and a place for its output. The first must not fail.
        corpus: the file to label.
        repeats: counted rounds, at least 1.
        tell: is called with each step.

    Returns:
        The counted turns of each system, and why others were left out.

    Raises:
        InputError: ``repeats`` is below 1.
        JobError: the first system failed, or another one in a counted round.
    """
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, got {repeats}")
    names = list(systems)
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    failed: dict[str, str] = {}
    for at in range(repeats + 1):
        which = f"round {at} of {repeats}" if at else "warming up"
        for name in rotated([name for name in names if name not in failed], at):
            tell(f"{which}: {name}")
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    turn = systems[name](corpus, Path(scratch) / "out")
                except JobError as error:
                    if at or name == names[0]:
                        raise
                    failed[name] = str(error)
                    continue
            if at:
                turns[name].append(turn)
    return {name: found for name, found in turns.items() if name not in failed}, failed


def measure_speed(
    data: Sentences,
    paths: Sequence[LabelPath],
    *,
    gold: Sentences | None = None,
    model: str = "bundled",
    device: str = "cpu",
    workers: int | None = None,
    repeats: int = 5,
    seed: int = 0,
    n_resamples: int = 1000,
    command: str | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> SpeedReport:
    """Measure paths beside a Hugging Face pipeline, file to file.

    Args:
        data: what to label in every turn.
        paths: ours.
        gold: further sentences, to score the systems on; None takes those of ``data`` that have a label.
        model: ``bundled``, a folder, or a hub id; the pipeline loads the same.
        device: for both sides, such as ``cpu`` or ``cuda``.
        workers: processes of ours; None takes one a core, or one for a device that is no processor.
        repeats: counted rounds, at least 1.
        seed: of the resamples.
        n_resamples: behind an interval of macro-F1.
        command: how it was called.
        tell: is called with each step.

    Raises:
        InputError: a number is out of its range.
        JobError: a command failed.
        MissingExtraError: torch or transformers is not installed, which the pipeline needs.
        ModelNotFoundError: there is no such model.
        ModelFormatError: it is none of ours.
    """
    for module in ("torch", "transformers"):
        # Importing them takes seconds, and only the other processes need them.
        if find_spec(module) is None:
            require(module, "torch")
    started, how, load = Started(), Resampling(seed, n_resamples), _load()
    bundle = find_bundle(model)
    workers = workers or (available_cores() if device == "cpu" else 1)
    shard_size = _shard_size(len(data.texts), workers)
    run = partial(_run_ours, model=model, device=device, workers=workers, shard_size=shard_size)
    reasons = {path.name: reason for path in paths if (reason := why_not(path, device))}
    systems: dict[str, System] = {PIPELINE: partial(_run_pipeline, bundle=bundle, device=device)}
    systems |= {path.name: partial(run, path) for path in paths if path.name not in reasons}
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "sentences.jsonl"
        write_corpus(data.texts, corpus)
        turns, failed = run_rounds(systems, corpus, repeats, tell)
        answers = {name: found[-1].answers for name, found in turns.items()}
        reference = answers.get(REFERENCE)
        if reference is None:
            tell(f"labels of the reference: {REFERENCE}")
            reference = run(PATHS[REFERENCE], corpus, Path(scratch) / "reference").answers
        scored = _on_gold({name: systems[name] for name in turns}, data, gold, answers, Path(scratch), tell)
    judged = gold or data
    places = judged.labelled
    quality = (
        qualities(
            scored,
            [label for label in judged.labels if label is not None],
            [judged.articles[i] for i in places],
            how,
        )
        if places
        else {}
    )
    tell("the tokeniser alone")
    tokeniser, mean_tokens = _tokeniser_speed(bundle, data.texts, repeats)
    agreements = {name: agreement(found, reference) for name, found in answers.items() if name != REFERENCE}
    pipeline = LabelPath(PIPELINE, f"transformers pipeline, batches of {BATCH_SIZE}, fp32")
    whole = _Found(turns, reasons | failed, agreements, quality, len(data.texts))
    return SpeedReport(
        systems=tuple(whole.system(path) for path in (pipeline, *paths)),
        reference=REFERENCE,
        terms=Terms(
            n_sentences=len(data.texts),
            n_repeated=data.n_repeated,
            mean_characters=round(mean(map(len, data.texts)), 1),
            mean_tokens=round(mean_tokens, 2),
            model_digest=bundle.digest,
            device=device,
            cores=available_cores(),
            workers=workers,
            shard_size=shard_size,
            batch_size=BATCH_SIZE,
            repeats=repeats,
            load_before=load,
            gold=judged.name if places else None,
            n_gold=len(places),
            n_gold_articles=len({judged.articles[i] for i in places}),
        ),
        tokeniser=tokeniser,
        provenance=started.provenance(
            command=command, seed=seed, n_resamples=n_resamples, sources=_sources(data, gold)
        ),
    )


def _shard_size(n_sentences: int, workers: int) -> int:
    least = min(_LEAST_SHARD, math.ceil(n_sentences / workers))
    return max(least, math.ceil(n_sentences / (workers * _SHARDS_OF_WORKER)))


@dataclass(frozen=True)
class _Found:
    turns: Mapping[str, Sequence[Turn]]
    reasons: Mapping[str, str]
    agreements: Mapping[str, Agreement]
    quality: Mapping[str, Quality]
    n_sentences: int

    def system(self, path: LabelPath) -> SystemSpeed:
        known = {"name": path.name, "title": path.title, "options": path.options}
        if path.name in self.reasons:
            return SystemSpeed(**known, why_not=self.reasons[path.name])
        own, theirs = self.turns[path.name], self.turns[PIPELINE]
        labelling = tuple(turn.labelling_seconds for turn in own)
        process = tuple(turn.process_seconds for turn in own)
        other = path.name != PIPELINE
        return SystemSpeed(
            **known,
            threads=own[-1].threads,
            labelling_seconds=labelling,
            process_seconds=process,
            rate=median_interval([self.n_sentences / seconds for seconds in labelling]),
            ratio=median_interval(ratios(labelling, [turn.labelling_seconds for turn in theirs]))
            if other
            else None,
            process_ratio=median_interval(ratios(process, [turn.process_seconds for turn in theirs]))
            if other
            else None,
            n_unlabelled=own[-1].answers.n_unlabelled,
            agreement=self.agreements.get(path.name),
            quality=self.quality.get(path.name),
        )


def _run_ours(
    path: LabelPath, corpus: Path, out: Path, *, model: str, device: str, workers: int, shard_size: int
) -> Turn:
    run = run_path(path, corpus, out, model=model, workers=workers, shard_size=shard_size, device=device)
    # The pipeline's clock has its reading in it too.
    seconds = run.reading_seconds + run.labelling_seconds
    return Turn(seconds, run.process_seconds, run.workers, of_path(run.answers))


def _run_pipeline(corpus: Path, out: Path, *, bundle: Bundle, device: str) -> Turn:
    command = [
        sys.executable, "-m", "framelens_evaluation.speed.peer", str(corpus), str(out),
        "--model", str(bundle.folder), "--device", device,
    ]  # fmt: skip
    seconds, told = timed_command(command, "the pipeline")
    clocks = json.loads(told)
    return Turn(clocks["seconds"], seconds, clocks["threads"], of_pipeline(out))


def _on_gold(
    systems: Mapping[str, System],
    data: Sentences,
    gold: Sentences | None,
    answers: Mapping[str, Answers],
    scratch: Path,
    tell: Callable[[str], None],
) -> dict[str, Answers]:
    """What each system answers to the sentences with a gold label."""
    if gold is None:
        return {name: found.take(data.labelled) for name, found in answers.items()}
    corpus = scratch / "gold.jsonl"
    write_corpus([gold.texts[i] for i in gold.labelled], corpus)
    found = {}
    for name, system in systems.items():
        tell(f"gold sentences: {name}")
        found[name] = system(corpus, scratch / f"gold-{name}").answers
    return found


def _tokeniser_speed(bundle: Bundle, texts: Sequence[str], repeats: int) -> tuple[TokeniserSpeed, float]:
    """Encoding as labelling does it, on one thread and on all; and the mean number of tokens."""
    encoder = PairEncoder(bundle.tokenizer(), bundle.config.max_tokens, reads_context=False)
    n_tokens = sum(len(pair) for window in _encoded(encoder, texts) for pair in window)
    rates = {}
    before = os.environ.get("TOKENIZERS_PARALLELISM")
    try:
        for threads in ("false", "true"):
            os.environ["TOKENIZERS_PARALLELISM"] = threads
            seconds = []
            for _ in range(repeats):
                begun = time.perf_counter()
                for _window in _encoded(encoder, texts):
                    pass
                seconds.append(time.perf_counter() - begun)
            rates[threads] = 1 / median(seconds)
    finally:
        os.environ.pop("TOKENIZERS_PARALLELISM", None)
        if before is not None:
            os.environ["TOKENIZERS_PARALLELISM"] = before
    speed = TokeniserSpeed(
        sentences_one=len(texts) * rates["false"],
        sentences_all=len(texts) * rates["true"],
        tokens_one=n_tokens * rates["false"],
        tokens_all=n_tokens * rates["true"],
    )
    return speed, n_tokens / len(texts)


def _encoded(encoder: PairEncoder, texts: Sequence[str]) -> Iterator[list[EncodedPair]]:
    for first in range(0, len(texts), LOOKAHEAD):
        yield encoder.encode([(text, None) for text in texts[first : first + LOOKAHEAD]])


def _sources(data: Sentences, gold: Sentences | None) -> list[Source]:
    described = f"{len(data.texts):,} of {data.n_in_file:,} different sentences"
    found = [Source(role="data", name=data.name, sha256=data.sha256, described=described)]
    if gold is not None:
        described = f"{len(gold.labelled):,} sentences with a label"
        found.append(Source(role="gold", name=gold.name, sha256=gold.sha256, described=described))
    return found


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
