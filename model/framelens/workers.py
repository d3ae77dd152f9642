"""One process a core, each with a model of its own; or none, and the work is done here.

Workers are spawned, take one part at a time over a pipe, and end with the process that started them,
however that ends. A part whose worker dies goes to another one, twice at most.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from framelens import errors
from framelens.backend import own_precision
from framelens.bundle import find_bundle
from framelens.errors import FramelensError, JobError
from framelens.shards import perform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from multiprocessing.context import SpawnProcess

    from framelens.bundle import Bundle
    from framelens.classifier import FramingClassifier
    from framelens.corpus import Counts
    from framelens.shards import Task

__all__ = ["Crew", "ModelSettings", "available_cores", "restored_error"]

_ATTEMPTS: Final = 3
#: Parts that may be labelled ahead of one that is not, for each worker, where the order is kept.
_AHEAD: Final = 4
_SECONDS_TO_END: Final = 5.0
_FAILED: Final = 1


def available_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of a Linux container."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        n = min(n, max(1, round(int(quota) / int(period))))
    return n


@dataclass(frozen=True)
class ModelSettings:
    """What a worker builds its classifier of.

    Attributes:
        model: ``bundled``, a folder, or a hub id.
        options: further arguments of `FramingClassifier.from_pretrained`.
        forgetful: whether what one part has taught the cache is forgotten before the next, because
            the backend's last digits hang on the batch.
        digest: of the model, where it is known: a folder or a hub's model can change while a job runs.
        graph_digest: of the ONNX graph, likewise; None with another backend.
    """

    model: str
    options: dict[str, Any] = field(default_factory=dict)
    forgetful: bool = False
    digest: str | None = None
    graph_digest: str | None = None

    @property
    def decisive(self) -> dict[str, Any]:
        """The options that can decide a byte of the output."""
        return {
            name: value for name, value in self.options.items() if self.forgetful or name != "cache_bytes"
        }

    def pinned(self) -> ModelSettings:
        """The same, of the model as it is now, in the precision that None stands for.

        Raises:
            FramelensError: it cannot be had, or has no graph of the precision.
        """
        return self._of(find_bundle(self.model))

    def _of(self, bundle: Bundle) -> ModelSettings:
        backend = str(self.options.get("backend", "onnx"))
        # Written down by its name, not as a wish for the model's own.
        precision = self.options.get("precision") or own_precision(bundle, backend)
        return replace(
            self,
            options=self.options | {"precision": precision},
            digest=bundle.digest,
            graph_digest=bundle.graph_digest(precision) if backend == "onnx" else None,
        )

    def build(self) -> FramingClassifier:
        """The classifier.

        Raises:
            JobError: the model is not the one that the digest is of.
        """
        from framelens.classifier import FramingClassifier

        classifier = FramingClassifier.from_pretrained(self.model, **self.options)
        if self.digest is None:
            return classifier
        now = self._of(classifier.bundle)
        if (self.digest, self.graph_digest) != (now.digest, now.graph_digest):
            raise JobError(
                f"{self.model}: expected the model with the digest {self.digest}, got {now.digest}, or "
                "another ONNX graph; it was changed while the job ran: put it back, or label into a new "
                "folder"
            )
        return classifier


@dataclass
class _Worker:
    process: SpawnProcess
    pipe: Any
    ready: bool = False
    task: Task | None = None


class Crew:
    """Does parts in this process, or in several.

    Args:
        settings: of the model.
        workers: processes; 1 works in this one.
        classifier: for one worker, instead of what the settings build.

    Raises:
        FramelensError: the model cannot be had. With several workers the first of them has said so.
    """

    def __init__(
        self, settings: ModelSettings, workers: int, classifier: FramingClassifier | None = None
    ) -> None:
        self._settings = settings
        self._classifier = classifier
        self._workers: list[_Worker] = []
        self.size = workers
        if workers == 1:
            self._classifier = classifier or settings.build()
            return
        self._context = get_context("spawn")
        try:
            for _ in range(workers):
                self._hire()
            deaths: dict[int, int] = {}
            while not any(worker.ready for worker in self._workers):
                self._listen(lambda *_: None, deque(), deaths)
        except BaseException:
            self.end()
            raise

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def run(
        self, tasks: Iterable[Task], tick: Callable[[int, Counts], None], *, ordered: bool = False
    ) -> Iterator[tuple[int, Any]]:
        """Do tasks.

        Args:
            tasks: taken as workers become free, and one ahead.
            tick: is called about once a second with the number of a task under way and its counts.
            ordered: whether results come in the order of the tasks, whose numbers then count from 0.

        Yields:
            Number and result of every task, see `framelens.shards.perform`.

        Raises:
            FramelensError: what a worker met.
            JobError: workers died over the same part.
        """
        if self._classifier is not None:
            for task in tasks:
                if self._settings.forgetful:
                    self._classifier.forget()
                yield task.number, perform(self._classifier, task, partial(tick, task.number))
        elif ordered:
            yield from self._in_order(tasks, tick)
        else:
            yield from self._run(iter(tasks), tick, lambda _: True)

    def _in_order(
        self, tasks: Iterable[Task], tick: Callable[[int, Counts], None]
    ) -> Iterator[tuple[int, Any]]:
        done: dict[int, Any] = {}
        # A list, because the function that asks for it must see it grow.
        wanted = [0]
        ahead = _AHEAD * len(self._workers)
        for number, result in self._run(iter(tasks), tick, lambda n: n < wanted[0] + ahead):
            done[number] = result
            while wanted[0] in done:
                wanted[0] += 1
                yield wanted[0] - 1, done.pop(wanted[0] - 1)

    def _run(
        self, tasks: Iterator[Task], tick: Callable[[int, Counts], None], may_start: Callable[[int], bool]
    ) -> Iterator[tuple[int, Any]]:
        again: deque[Task] = deque()
        deaths: dict[int, int] = {}
        ahead = next(tasks, None)
        while ahead is not None or again or any(worker.task for worker in self._workers):
            for worker in self._workers:
                if worker.task is not None or not worker.ready:
                    continue
                if again:
                    self._give(worker, again.popleft())
                elif ahead is not None and may_start(ahead.number):
                    self._give(worker, ahead)
                    ahead = next(tasks, None)
            yield from self._listen(tick, again, deaths)

    def _give(self, worker: _Worker, task: Task) -> None:
        worker.task = task
        # A worker that has died is met when its pipe is next read.
        with suppress(OSError):
            worker.pipe.send(task)

    def _listen(
        self, tick: Callable[[int, Counts], None], again: deque[Task], deaths: dict[int, int]
    ) -> list[tuple[int, Any]]:
        """Wait for a message; what is done is given back."""
        done = []
        by_pipe = {worker.pipe: worker for worker in self._workers}
        for pipe in connection.wait(list(by_pipe), timeout=1.0):
            worker = by_pipe[pipe]
            try:
                kind, content = worker.pipe.recv()
            except (EOFError, OSError):
                self._bury(worker, again, deaths)
                continue
            if kind == "ready":
                worker.ready = True
            elif kind == "tick" and worker.task is not None:
                tick(worker.task.number, content)
            elif kind == "error":
                raise restored_error(*content)
            elif kind == "done" and worker.task is not None:
                number, worker.task = worker.task.number, None
                deaths.pop(number, None)
                done.append((number, content))
        return done

    def _hire(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(self._settings, theirs), daemon=True)
        with _deaf_to_interrupts():
            process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def _bury(self, worker: _Worker, again: deque[Task], deaths: dict[int, int]) -> None:
        worker.process.join()
        worker.pipe.close()
        self._workers.remove(worker)
        code = worker.process.exitcode or 0
        if code == _FAILED:
            raise RuntimeError("a worker met an error that framelens does not know; its words stand above")
        cause = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        number = -1 if worker.task is None else worker.task.number
        deaths[number] = deaths.get(number, 0) + 1
        if deaths[number] >= _ATTEMPTS:
            what = "before they began" if worker.task is None else f"over part {number}"
            raise JobError(
                f"{_ATTEMPTS} workers died {what}, the last {cause}; if the machine is short of memory, "
                "give fewer --workers"
            )
        if worker.task is not None:
            again.append(worker.task)
        self._hire()

    def end(self) -> None:
        """Let workers go; what they are at is lost."""
        workers, self._workers = self._workers, []
        for worker in workers:
            if worker.task is None and worker.ready:
                with suppress(OSError):
                    worker.pipe.send(None)
            else:
                worker.process.terminate()
        for worker in workers:
            worker.process.join(_SECONDS_TO_END)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()


def restored_error(name: str, arguments: Sequence[Any]) -> Exception:
    """An error of framelens, or of the system, that another process has met."""
    if name == "OSError":
        return OSError(*arguments)
    kind = getattr(errors, name, FramelensError)
    found: Exception = kind(*arguments)
    return found


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """A process started here is deaf to Ctrl-C, which reaches all processes of a terminal, from birth."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(settings: ModelSettings, pipe: Any) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Each worker has one core; the tokeniser would start a thread for every core of the machine.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        classifier = settings.build()
        pipe.send(("ready", None))
        while (task := pipe.recv()) is not None:
            if settings.forgetful:
                classifier.forget()
            result = perform(classifier, task, lambda counts: pipe.send(("tick", counts)))
            pipe.send(("done", result))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The parent has gone.
        return
    except FramelensError as error:
        _complain(pipe, type(error).__name__, error.args)
    except OSError as error:
        if error.errno is None:
            raise
        _complain(pipe, "OSError", (error.errno, error.strerror, error.filename))


def _complain(pipe: Any, name: str, arguments: tuple[Any, ...]) -> None:
    """Tell the parent of an error; where it has gone, for one because it was stopped, no one."""
    with suppress(BrokenPipeError, ConnectionResetError):
        pipe.send(("error", (name, arguments)))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(_FAILED)
