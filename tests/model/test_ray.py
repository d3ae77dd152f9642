"""The Ray engine: the folder of the local engine, from two nodes, through the death of workers and driver."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from framelens import InputError, JobError
from framelens.jobs import LabelJob
from framelens.labelling import run_label
from framelens.part_tasks import PartTasks
from framelens.ray_crew import _knock
from framelens.survey import Part
from framelens.workers import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ray = pytest.importorskip("ray", reason="needs the extra [ray]")
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    # Of its own settings, which we do not touch.
    pytest.mark.filterwarnings(r"ignore::DeprecationWarning:ray\.data\.context"),
]

DATA = Path(__file__).parents[1] / "data"
JUDGED = [json.loads(line) for line in (DATA / "judged_sentences.jsonl").read_text("utf-8").splitlines()]
N_SHARDS = 33
OPTIONS = {"backend": "onnx", "precision": "fp32", "device": "cpu", "threads": 1, "abstain_below": 0.0}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "in.jsonl"
    path.write_text("".join(json.dumps(row | {"id": i}) + "\n" for i, row in enumerate(JUDGED * 3)))
    return path


@pytest.fixture(scope="module")
def expected(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process of the local engine writes."""
    out = tmp_path_factory.mktemp("alone") / "out"
    run(out, source, "local", workers=1)
    found = shards(out)
    assert len(found) == N_SHARDS
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that labels nothing, where the driver runs, and two nodes of one processor."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("RAY_USAGE_STATS_ENABLED", "0")
        found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        for _ in range(2):
            found.add_node(num_cpus=1)
        patched.setenv("RAY_ADDRESS", found.address)
        yield found
        found.shutdown()


def run(out: Path, source: str | Path, engine: Any, workers: int | None = None, **options: Any) -> bool:
    """Label as the command does; whether all had been done before."""
    name = str(out) if out.suffix else f"{out}/"
    job = LabelJob((str(source),), name, id_column="id", shard_size=8)
    console = Console(file=io.StringIO())
    _, had_been_done = run_label(
        job,
        model="bundled",
        options=OPTIONS | options,
        workers=workers,
        dedupe=False,
        out=console,
        err=console,
        engine=engine,
    )
    return had_been_done


@pytest.fixture
def start(source: Path, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command in a process of its own."""
    started = []

    def start_one(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        job = ("label", str(source), "-o", f"{tmp_path / 'out'}/", "--id-column", "id", "--shard-size", "8")
        process = subprocess.Popen(
            [sys.executable, "-c", "from framelens.cli import main; main()", *job, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return found


def committed(out: Path) -> set[str]:
    return {path.stem for path in out.glob("commits/*.json")}


def changed(out: Path, name: str) -> int:
    return (out / "shards" / f"{name}.parquet").stat().st_mtime_ns


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "shards").iterdir()}


def manifest(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "manifest.json").read_text("utf-8"))
    return content


def at_work(node: Any) -> list[int]:
    """Processes of a node that label a part right now."""
    raylet = node.all_processes["raylet"][0].process.pid
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            # Ray writes there what a worker does.
            if folder.name.isdigit() and b"_LabelParts)).submit" in (folder / "cmdline").read_bytes():
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == raylet:
                    found.append(int(folder.name))
    return found


def test_alone_on_this_machine(
    start: Callable[..., subprocess.Popen[str]], expected: dict[str, bytes], tmp_path: Path
) -> None:
    process = start("--engine", "ray", "--workers", "2", RAY_ADDRESS="local")
    said, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert said == ""
    assert told.endswith(f"258 sentences of 258 records in {tmp_path / 'out'}/; 24 not applicable\n")
    assert "WARN" not in told
    assert shards(tmp_path / "out") == expected
    assert committed(tmp_path / "out") == {name.split(".")[0] for name in expected}
    assert (manifest(tmp_path / "out")["engine"], manifest(tmp_path / "out")["workers"]) == ("ray", 2)


def test_a_worker_that_is_killed_on_one_of_two_nodes(
    cluster: Any, start: Callable[..., subprocess.Popen[str]], expected: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start("--engine", "ray")
    first, second = cluster.worker_nodes
    wait_for(lambda: len(committed(out)) >= 3 and at_work(first))
    victim = wait_for(lambda: at_work(second))[0]
    os.kill(victim, signal.SIGKILL)
    assert len(committed(out)) < N_SHARDS
    _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert shards(out) == expected
    found = manifest(out)
    assert (found["records"], found["workers"], len(found["shards"])) == (258, 2, N_SHARDS)
    assert not [path for path in out.rglob("*") if path.name.startswith(".framelens-")]


def test_each_engine_goes_on_with_what_the_other_began(
    cluster: Any,
    start: Callable[..., subprocess.Popen[str]],
    source: Path,
    expected: dict[str, bytes],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    done: dict[str, int] = {}
    for arguments in (("--engine", "ray"), ("--workers", "1")):
        process, enough = start(*arguments), len(done) + 4
        wait_for(partial(lambda n: len(committed(out)) >= n, enough))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert enough <= len(committed(out)) < N_SHARDS
        done = {name: changed(out, name) for name in committed(out)} | done
    assert not run(out, source, "ray")
    assert shards(out) == expected
    assert manifest(out)["sessions"] == 3
    assert {name: changed(out, name) for name in done} == done
    assert run(out, source, "ray")
    assert run(out, source, "local")


def test_what_an_actor_meets_is_told_as_by_the_local_engine(
    cluster: Any, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as here:
        run(tmp_path / "local", source, "local", workers=1, abstain_below=2.0)
    with pytest.raises(InputError) as there:
        run(tmp_path / "ray", source, "ray", abstain_below=2.0)
    assert str(there.value).startswith(f"{here.value} (on the node ")
    assert "see the inputs and OUT/ under the same names, as on a shared file system" in str(there.value)


def test_an_input_that_another_node_does_not_see(
    cluster: Any, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = os.open(source.parent, os.O_RDONLY)
    try:
        # Is there in this process alone.
        name = f"/proc/self/fd/{os.dup2(folder, 777, inheritable=False)}/{source.name}"
        with pytest.raises(InputError, match=r"/777/in\.jsonl: expected .* on a shared file system"):
            run(tmp_path / "out", name, "ray")
    finally:
        os.close(folder)
        os.close(777)
    assert not ray.is_initialized()


class DeadlyMaker:
    """Makes tasks that end the process."""

    def reader(self) -> None:
        return None

    def task(self, *_: Any) -> Any:
        os._exit(7)


def test_a_part_that_kills_every_worker_is_told(cluster: Any) -> None:
    from framelens.ray_crew import RayCrew

    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    maker: Any = DeadlyMaker()
    crew = RayCrew(ModelSettings("bundled", OPTIONS), 1)
    try:
        with pytest.raises(JobError, match=r"3 workers died over part 0; .* fewer --workers"):
            list(crew.run(PartTasks(maker, [(Part(0, 0, 1, ""), "nowhere")]), lambda *_: None))
    finally:
        crew.end()
        ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def test_a_cluster_without_what_is_asked_for(
    cluster: Any, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(JobError, match="expected a Ray cluster with GPUs for a worker, got 0; start a node"):
        run(tmp_path / "out", source, "ray", device="cuda")
    with pytest.raises(InputError, match="expected --device cpu or cuda, got cuda:1; Ray gives each worker"):
        run(tmp_path / "out", source, "ray", device="cuda:1")
    assert not ray.is_initialized()


def test_one_file_is_no_job_for_a_cluster(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected a folder for --engine ray, got one file; .*-o OUT/"):
        run(tmp_path / "out.csv", source, "ray")
    assert not list(tmp_path.iterdir())


def test_a_head_that_does_not_answer_is_told_at_once() -> None:
    with socket.socket() as taken:
        # Bound and not listening: no one answers there, and no one else can begin to.
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(JobError, match=f"expected a Ray cluster at {address}, got .*unset RAY_ADDRESS"):
            _knock(address)
