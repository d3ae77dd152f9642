"""One ``framelens label`` command with a clock on every stage of it.

Run as ``python -m framelens_evaluation.speed.sampled CLOCKS.json -- ARGUMENTS``, in a process of its own.

A thread looks at the labelling thread about a thousand times a second, and the time since its last look
goes to the stage of the innermost function of ours that runs then. Time is added up, and not looks counted,
because the thread must wait while native code holds the interpreter's lock. The alternative, a profiler that
is called at every function call, makes stages of many small Python calls seem dearer than they are.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import FrameType

__all__ = ["LOADING", "STAGES", "Sampler", "main", "operator_seconds", "stage_of"]

LOADING: Final = "start and loading"
_READING, _SPLITTING, _SCOPE = "reading", "splitting", "looking for what has no claim"
_TOKENISING, _BATCHING, _NETWORK = "tokenising", "batching and padding", "network"
_RESULTS, _WRITING = "evidence and result objects", "writing"
#: What a sentence passes through, in order.
STAGES: Final = (
    _READING, _SPLITTING, _SCOPE, _TOKENISING, _BATCHING, _NETWORK, _RESULTS, _WRITING,
)  # fmt: skip
_BY_MODULE: Final = {
    **dict.fromkeys(
        ("readers", "tables", "arrow_tables", "decoding", "inputs", "survey", "fingerprint"), _READING
    ),
    "sentences": _SPLITTING,
    **dict.fromkeys(("scope", "pairs"), _SCOPE),
    "encoding": _TOKENISING,
    "backend": _NETWORK,
    **dict.fromkeys(("classifier", "corpus", "evidence", "prediction", "cache"), _RESULTS),
    **dict.fromkeys(("writers", "formats", "shards", "jobfolder", "manifest", "progress"), _WRITING),
    "bundle": LOADING,
}
#: Functions that belong to another stage than the rest of their module.
_BY_FUNCTION: Final = {
    ("encoding", "collate"): _BATCHING,
    ("classifier", "_batches"): _BATCHING,
    ("classifier", "_scored"): _BATCHING,
    ("classifier", "_setup"): LOADING,
    ("backend", "__init__"): LOADING,
    ("backend", "build_backend"): LOADING,
}
_PACKAGE: Final = "framelens."
_IMPORTING: Final = "importlib._bootstrap"
_SECONDS_BETWEEN_LOOKS: Final = 0.001


def stage_of(calls: Iterable[tuple[str, str]]) -> str:
    """The stage that a stack of calls is in.

    Args:
        calls: (module, function) of each frame, the innermost first.

    Returns:
        One of `STAGES`, or `LOADING` for imports, loading, and all outside of the stages.
    """
    for module, function in calls:
        if module == _IMPORTING:
            return LOADING
        if not module.startswith(_PACKAGE):
            continue
        name = module.removeprefix(_PACKAGE)
        found = _BY_FUNCTION.get((name, function)) or _BY_MODULE.get(name)
        if found is not None:
            return found
    return LOADING


class Sampler:
    """Adds up the seconds that the thread which makes it spends in each stage, from entering to leaving."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.looks = 0
        self._watched = threading.get_ident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        last = time.perf_counter()
        while not self._stop.wait(_SECONDS_BETWEEN_LOOKS):
            frames = sys._current_frames()  # noqa: SLF001  (documented; Python has no other way)
            stage = stage_of(_calls(frames.get(self._watched)))
            now = time.perf_counter()
            self.seconds[stage] += now - last
            self.looks += 1
            last = now


def _calls(frame: FrameType | None) -> Iterator[tuple[str, str]]:
    while frame is not None:
        yield frame.f_globals.get("__name__", ""), frame.f_code.co_name
        frame = frame.f_back


def operator_seconds(events: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Seconds by operator from the events of onnxruntime's own profiler."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for event in events:
        if event.get("cat") == "Node" and str(event.get("name", "")).endswith("_kernel_time"):
            seconds[event["args"]["op_name"]] += event["dur"] / 1e6
    return dict(seconds)


def _profile_onnx(prefix: Path) -> None:
    """Have every session of onnxruntime in this process write down what its operators take."""
    import onnxruntime

    plain = onnxruntime.SessionOptions

    def options() -> Any:
        made = plain()
        made.enable_profiling = True
        made.profile_file_prefix = str(prefix)
        return made

    onnxruntime.SessionOptions = options


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command, and write the clocks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clocks", type=Path)
    parser.add_argument("--operators", action="store_true", help="profile onnxruntime instead of the stages")
    parser.add_argument("arguments", nargs="+")
    given = parser.parse_args(arguments)
    # As in a worker.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from framelens.cli import app

    found: dict[str, Any]
    if given.operators:
        prefix = given.clocks.with_suffix(".onnx")
        _profile_onnx(prefix)
        app(given.arguments, standalone_mode=False)
        gc.collect()  # a session writes its profile when it goes
        written = sorted(prefix.parent.glob(f"{prefix.name}_*.json"))
        events = [event for path in written for event in json.loads(path.read_bytes())]
        found = {"operators": operator_seconds(events)}
    else:
        # The watching thread asks for the interpreter's lock; it should not wait for 5 ms each time.
        sys.setswitchinterval(_SECONDS_BETWEEN_LOOKS / 2)
        with Sampler() as sampler:
            app(given.arguments, standalone_mode=False)
        found = {"seconds": dict(sampler.seconds), "looks": sampler.looks}
    given.clocks.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
