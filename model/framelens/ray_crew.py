"""The same work on the machines of a Ray cluster; Ray schedules, we do not.

Every part is one row of a Ray data set and goes to one of a pool of actors, each with a model of its own. An
actor reads the part's records and writes its shard itself; the driver gets the report, and commits it as it
does those of its own workers. So a job's folder is the same whichever engine works on it, and one engine
goes on with what another has begun. Ray starts an actor that died anew, there or on another node, and gives
it its part again, which puts the same bytes under the same name: nothing is lost or there twice.

Ray Data has checkpoints of its own (``ray.data.checkpoint.CheckpointConfig``, beta in 2.60). They are not
used. They remember rows and not shards: which rows a file holds differs from run to run; rows that are made
of one row share its id, and a run cut between two of its blocks never writes the rest; ids must be unique,
or rows are left out in silence; all finished ids are loaded into memory; what ``from_items`` gives is not
filtered at all; and rows whose output was deleted count as done. Our commits, one small file a part, know
none of these.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import socket
from collections import Counter
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from framelens.errors import FramelensError, InputError, JobError, require
from framelens.fingerprint import differences, fingerprint
from framelens.shards import perform
from framelens.survey import Part
from framelens.workers import available_cores, restored_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from framelens.classifier import FramingClassifier
    from framelens.corpus import Counts
    from framelens.part_tasks import PartTasks, TaskMaker
    from framelens.survey import PartReader
    from framelens.workers import ModelSettings

__all__ = ["RayCrew"]

_ATTEMPTS: Final = 3
_SECONDS_TO_ANSWER: Final = 10.0
_EVERY_NODE: Final = (
    "every node must have the same packages and model, and see the inputs and OUT/ under the same names, as "
    "on a shared file system or an object store"
)


class RayCrew:
    """Does parts on a Ray cluster: the one that the process is connected to, else the one that RAY_ADDRESS
    or ``ray start`` on this machine names, else one that is started here and ends with this object.

    Args:
        settings: of the model.
        workers: actors; None takes as many as the cluster has processors for, or GPUs.

    Raises:
        MissingExtraError: Ray is not installed.
        InputError: a device that actors cannot have.
        JobError: the cluster does not answer, or has no GPU.
    """

    def __init__(self, settings: ModelSettings, workers: int | None) -> None:
        self._settings = settings
        self._needs = _resources(settings)
        # Nothing is told to Ray's makers, and only what ends the process is logged on its screen, unless
        # the user wants it otherwise.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        self._ray: Any = require("ray", "ray")
        self._data: Any = require("ray.data", "ray")
        self._connected_here = not self._ray.is_initialized()
        if self._connected_here:
            self._connect(workers)
        try:
            self.size = self._pool_size(workers)
        except BaseException:
            self.end()
            raise

    def run(
        self,
        tasks: PartTasks,
        tick: Callable[[int, Counts], None],  # noqa: ARG002 (as of Crew.run)
    ) -> Iterator[tuple[int, Any]]:
        """Do tasks.

        Args:
            tasks: the actors read them themselves.
            tick: is not called: a part is told of when it is done.

        Yields:
            Number and report of every task, see `framelens.shards.perform`, as they are done.

        Raises:
            FramelensError: what an actor met.
            JobError: workers died over the same part, or Ray lost the cluster.
        """
        self.size = min(self.size, len(tasks.parts))
        rows = [asdict(part) | {"path": path} for part, path in tasks.parts]
        # Of blocks with several rows the reports would come together.
        labelled = self._data.from_items(rows, override_num_blocks=len(rows)).map_batches(
            _LabelParts,
            fn_constructor_args=(self._settings, tasks.maker, self._home(), self._attempts()),
            batch_size=1,
            # A part that waits for one actor could begin at another one.
            compute=self._data.ActorPoolStrategy(size=self.size, max_tasks_in_flight_per_actor=1),
            **self._needs,
        )
        labelled.context.enable_progress_bars = False
        labelled.context.print_on_execution_start = False
        # A part may take longer than Ray Data finds believable.
        labelled.context.execution_no_progress_timeout_s = -1
        # Closed, the rows end the actors, also those of a cluster that goes on.
        with closing(iter(labelled.iter_rows())) as rows_done:
            for row in self._told(rows_done):
                content = json.loads(row["content"])
                if row["kind"] == "error":
                    raise restored_error(*content)
                yield int(row["number"]), content

    def end(self) -> None:
        """Leave the cluster; what its actors are at is lost."""
        if self._connected_here:
            self._ray.shutdown()

    def _connect(self, workers: int | None) -> None:
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        quiet: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
        _knock(os.environ.get("RAY_ADDRESS", ""))
        cores = max(available_cores(), (workers or 0) * self._needs["num_cpus"])
        try:
            try:
                self._ray.init(num_cpus=cores, include_dashboard=False, **quiet)
            except ValueError:
                # There is a cluster, which has the processors that it has.
                self._ray.init(**quiet)
        except (ConnectionError, ValueError, RuntimeError) as error:
            place = os.environ.get("RAY_ADDRESS") or "the address of the last ray start here"
            raise JobError(
                f"expected a Ray cluster at {place}, got {_line(error)}; check ray status and RAY_ADDRESS"
            ) from error

    def _pool_size(self, workers: int | None) -> int:
        here = self._ray.cluster_resources()
        kind = "GPU" if "num_gpus" in self._needs else "CPU"
        most = int(here.get(kind, 0)) // int(self._needs["num_gpus" if kind == "GPU" else "num_cpus"])
        if not most:
            raise JobError(
                f"expected a Ray cluster with {kind}s for a worker, got {here.get(kind, 0):.0f}; start a "
                "node that has them, or choose another --device or fewer --threads"
            )
        return workers or most

    def _home(self) -> _Home:
        return _Home(
            self._ray.get_runtime_context().get_node_id(), str(Path.cwd()), _versions(self._settings)
        )

    def _attempts(self) -> Any:
        """Counts how often each part was begun; Ray itself would try one that kills its workers for ever."""
        return self._ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Attempts).remote()

    def _told(self, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Rows, with Ray's own failures in one line; a traceback from an actor is a bug and stays one."""
        failures = self._ray.exceptions
        try:
            yield from rows
        except failures.RayTaskError:
            raise
        except failures.RayError as error:
            raise JobError(
                f"expected a Ray cluster that labels, got {_line(error)}; check ray status, and that all is "
                f"well on the nodes ({_EVERY_NODE}); then repeat the command"
            ) from error


class _Attempts:
    """An actor that counts."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, number: int) -> int:
        self._begun[number] += 1
        return self._begun[number]


@dataclass(frozen=True)
class _Home:
    """The process that commits.

    Attributes:
        node: Ray's id of its node.
        folder: that names of files begin at.
        versions: of what decides the bytes of a shard.
    """

    node: str
    folder: str
    versions: dict[str, Any]


class _LabelParts:
    """The callable of `Dataset.map_batches`; a batch is one part.

    What framelens raises on purpose goes back as a row, because Ray would wrap it into a traceback.
    """

    def __init__(self, settings: ModelSettings, maker: TaskMaker, home: _Home, attempts: Any) -> None:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        # Names in rows are as the user gave them, so that this process must stand where the user stood. A
        # node without that folder can still have whole names.
        with suppress(OSError):
            os.chdir(home.folder)
        self._settings = settings
        self._maker = maker
        self._home = home
        self._attempts = attempts
        self._reader: PartReader = maker.reader()
        self._classifier: FramingClassifier | None = None

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        number = int(batch["number"][0])
        part = Part(number, int(batch["start"][0]), int(batch["records"][0]), str(batch["digest"][0]))
        path = str(batch["path"][0])
        content: Any
        try:
            kind, content = "done", self._labelled(part, path)
        except FramelensError as error:
            kind, content = "error", (type(error).__name__, [f"{error}{self._elsewhere()}"])
        except OSError as error:
            if error.errno is None:
                raise
            place = f"{error.filename or path}{self._elsewhere()}"
            kind, content = "error", ("OSError", [error.errno, error.strerror, place])
        return {"number": [number], "kind": [kind], "content": [json.dumps(content)]}

    def _labelled(self, part: Part, path: str) -> Any:
        import ray

        if ray.get(self._attempts.begin.remote(part.number)) > _ATTEMPTS:
            raise JobError(
                f"{_ATTEMPTS} workers died over part {part.number}; if their machines are short of memory, "
                "give fewer --workers, or start Ray there with fewer --num-cpus"
            )
        if self._classifier is None:
            changes = differences(self._home.versions, _versions(self._settings))
            if changes:
                raise JobError(
                    f"expected the packages of the machine that runs the command, got {'; '.join(changes)}"
                )
            self._classifier = self._settings.build()
        elif self._settings.forgetful:
            self._classifier.forget()
        return perform(self._classifier, self._maker.task(self._reader, part, path), lambda _: None)

    def _elsewhere(self) -> str:
        """What to add to an error on a node where not all is as on the driver's."""
        import ray

        if ray.get_runtime_context().get_node_id() == self._home.node:
            return ""
        return f" (on the node {platform.node()}: {_EVERY_NODE})"


def _resources(settings: ModelSettings) -> dict[str, int]:
    """What an actor needs of a node.

    Raises:
        InputError: a device that Ray does not give out.
    """
    device = settings.options.get("device", "cpu")
    if device not in ("cpu", "cuda"):
        advice = "Ray gives each worker a GPU of its own" if device.startswith("cuda:") else "choose one"
        raise InputError(f"--engine ray: expected --device cpu or cuda, got {device}; {advice}")
    needs = {"num_cpus": int(settings.options.get("threads") or 1)}
    return needs | ({"num_gpus": 1} if device == "cuda" else {})


def _knock(address: str) -> None:
    """Ask whether a head answers, because Ray itself asks for minutes.

    Raises:
        JobError: it does not.
    """
    host, colon, port = address.rpartition(":")
    if not colon or "/" in address or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise JobError(
            f"expected a Ray cluster at {address}, got {error}; start one, or correct or unset RAY_ADDRESS"
        ) from error


def _versions(settings: ModelSettings) -> dict[str, Any]:
    return fingerprint(inputs=[], model_digest=settings.digest or "", options=settings.options)


def _line(error: Exception) -> str:
    """The last line of an error's text, which in Ray's tracebacks says what happened."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
