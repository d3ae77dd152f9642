"""What ``framelens label`` does once its options are known: in shards or not, and with how many workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from framelens.corpus_job import run_corpus
from framelens.decoding import unusable
from framelens.jobs import check_job, run_job
from framelens.storage import public
from framelens.workers import Crew, ModelSettings, available_cores

if TYPE_CHECKING:
    from rich.console import Console

    from framelens.corpus import Counts
    from framelens.corpus_job import EngineName
    from framelens.jobs import LabelJob

__all__ = ["LOOKAHEAD", "run_label"]

#: Memory of each worker for sentences that may come again.
CACHE_BYTES: Final = 128 * 2**20
#: Texts that a worker reads ahead of the model, so that its batches hold texts of one length; a GPU's
#: batches are larger.
LOOKAHEAD: Final = 4096
_LOOKAHEAD_OF_GPU: Final = 32_768
#: Bytes of text from which starting workers costs less than it saves.
_WORTH_WORKERS: Final = 400_000


def run_label(
    job: LabelJob,
    *,
    model: str,
    options: dict[str, Any],
    workers: int | None,
    dedupe: bool,
    out: Console,
    err: Console,
    engine: EngineName = "local",
) -> tuple[Counts, bool]:
    """Run a job.

    Args:
        job: what to do.
        model: ``bundled``, ``fast``, a folder, or a hub id.
        options: backend, precision, device, threads and abstain_below, as
            `FramingClassifier.from_pretrained` takes them.
        workers: processes; None takes as many as there are cores and work.
        dedupe: whether sentences that have been labelled are remembered for longer than a window.
        out: where a rendering for the terminal goes.
        err: where progress goes.
        engine: where the workers run; ``ray`` needs an output in shards.

    Returns:
        What was met, and whether it had all been done before.

    Raises:
        FramelensError: an input, the output or the model cannot be used.
    """
    cache: dict[str, Any] = {"cache_bytes": CACHE_BYTES if dedupe else 0}
    # Whether a label's last digits hang on what it is computed with, only the ONNX graph has been tested.
    forgetful = (options["backend"], options["device"]) != ("onnx", "cpu")
    # One thread a process is quickest, and adds up in one order whatever the machine.
    lookahead = LOOKAHEAD if options["device"] == "cpu" else _LOOKAHEAD_OF_GPU
    single = options | cache | {"threads": options["threads"] or 1, "lookahead": lookahead}
    settings = ModelSettings(model, single, forgetful)
    if job.in_shards:
        outcome = run_corpus(job, settings, err, workers=workers, engine=engine)
        return outcome.counts, outcome.had_been_done
    if engine == "ray":
        raise unusable(
            public(job.output), "a folder for --engine ray", "one file", "end its name in a slash: -o OUT/"
        )
    # Loading the model takes longest, so a mistake in the names is told first.
    prepared = check_job(job)
    if workers is None:
        alone = options["threads"] is not None or options["device"] != "cpu"
        workers = 1 if alone or prepared.weight < _WORTH_WORKERS else available_cores()
    told = {"model": model, "workers": workers, "dedupe": dedupe} | options
    if workers == 1:
        from framelens.classifier import FramingClassifier

        alike = options | cache | {"lookahead": lookahead}
        classifier = FramingClassifier.from_pretrained(model, **alike)
        return run_job(job, classifier, out, err, told | {"precision": classifier.precision}), False
    settings = settings.pinned()
    told |= {"precision": settings.options["precision"]}
    with Crew(settings, workers) as crew:
        return run_job(job, crew, out, err, told, settings.digest), False
