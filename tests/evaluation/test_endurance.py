"""Kills, memory and cold starts: small, with the real command and the bundled model."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from framelens import InputError
from framelens.speed import framelens_command
from framelens_evaluation.cli import app
from framelens_evaluation.endurance import kills, memory, processes, start
from framelens_evaluation.endurance.documents import kills_document, memory_document, start_document
from framelens_evaluation.endurance.made_up import made_up_sentences, write_corpus
from framelens_evaluation.reporting.markdown import render_markdown
from framelens_evaluation.reporting.provenance import Started

ON_LINUX = Path("/proc/self/smaps_rollup").is_file()
linux = pytest.mark.skipif(not ON_LINUX, reason="needs Linux's /proc")


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine may have other work; threads that wait in loops would take its time."""
    monkeypatch.setenv("GOMP_SPINCOUNT", "0")


def call(*arguments: object):
    return CliRunner().invoke(app, ["endurance", *map(str, arguments)])


def provenance():
    return Started().provenance(command=None, seed=0, n_resamples=None, sources=())


def test_a_made_up_corpus() -> None:
    found = list(made_up_sentences(1000, seed=4))
    assert len(found) == 1000
    assert found.count("") == 10
    assert len(set(found)) > 980
    assert found == list(made_up_sentences(1000, seed=4))
    assert found[:300] == list(made_up_sentences(300, seed=4))
    assert found != list(made_up_sentences(1000, seed=5))
    pool = set(made_up_sentences(1000, seed=4, distinct=20))
    assert 15 < len(pool) <= 20
    for wrong in ((0, None), (1, 0)):
        with pytest.raises(InputError, match="at least 1"):
            list(made_up_sentences(wrong[0], 0, wrong[1]))


def test_its_file(tmp_path: Path) -> None:
    write_corpus(tmp_path / "a.jsonl", 60, 0)
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    assert [row["text"] for row in rows] == list(made_up_sentences(60, 0))
    assert [row["number"] for row in rows] == list(range(60))
    assert len({row["outlet"] for row in rows}) == 50


PROGRAM = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)  # spawn_main"])
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("ready", flush=True)
time.sleep(60)
"""


@linux
def test_a_run_knows_its_processes(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    with processes.Run([sys.executable, "-c", PROGRAM], log) as run:
        assert run.members()[0] == processes.Member(run.pid, "parent", run.members()[0].state)
        while not (log.read_text() and b"spawn_main" in cmdlines(run)):
            assert not run.ended_within(0.02)
        assert sorted(member.role for member in run.members()) == ["helper", "parent", "worker"]
        assert run.stop()
        assert {member.state for member in run.members()} == {"T"}
        run.signal_all(signal.SIGCONT)
        assert not run.ended_within(0.05)
        assert run.code is None
        assert run.last_words == "ready"
    assert run.code == -signal.SIGKILL
    until = time.monotonic() + 10
    while run.members() and time.monotonic() < until:
        time.sleep(0.02)
    assert run.members() == []


def cmdlines(run: processes.Run) -> bytes:
    return b"".join(Path(f"/proc/{member.pid}/cmdline").read_bytes() for member in run.members())


@linux
def test_a_run_that_has_ended_is_not_stopped(tmp_path: Path) -> None:
    with processes.Run([sys.executable, "-c", "print('a'); print('b')"], tmp_path / "log") as run:
        assert run.ended_within(30)
        assert (run.code, run.last_words, run.stop()) == (0, "b", False)


def test_elsewhere_than_on_linux(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "_PROC", tmp_path)
    for part in ("kills", "memory"):
        done = call(part, "-o", tmp_path / "report")
        assert isinstance(done.exception, InputError)
        assert "expected Linux" in str(done.exception)
    monkeypatch.delattr(start.os, "wait4", raising=False)
    assert "process times" in str(call("start", "-o", tmp_path / "report").exception)


def test_phases_are_told_by_the_disk(tmp_path: Path) -> None:
    def phase() -> str:
        return kills.phase_of(tmp_path, 12, done_before=1, n_shards=3)

    for folder in ("shards", "commits"):
        (tmp_path / folder).mkdir()
    assert phase() == "starting"
    (tmp_path / "lock").write_text("process 123 on host\n")
    assert phase() == "starting"
    (tmp_path / "lock").write_text("process 12 on host\n")
    assert phase() == "survey"
    (tmp_path / "job.json").write_text("{}")
    (tmp_path / "commits" / "part-000000.json").write_text("{}")
    assert phase() == "loading"
    (tmp_path / "shards" / ".framelens-x").write_text("")
    assert phase() == "labelling"
    (tmp_path / "shards" / ".framelens-x").unlink()
    (tmp_path / "commits" / "part-000002.json").write_text("{}")
    assert phase() == "labelling"
    (tmp_path / "commits" / "part-000001.json").write_text("{}")
    assert phase() == "finishing"


def job(folder: Path, shards: dict[str, bytes], records: int = 3) -> Path:
    for name in ("shards", "commits"):
        (folder / name).mkdir(parents=True)
    for name, content in shards.items():
        (folder / "shards" / name).write_bytes(content)
    counts = {"records": records, "sentences": 3, "labels": {}, "statuses": {"ok": 3}, "truncated": 0}
    manifest = counts | {"abstained": 0, "shards": sorted(shards), "wall_seconds": time.monotonic()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_nothing_that_differs_is_overlooked(tmp_path: Path) -> None:
    shards = {"part-000000.parquet": b"one", "part-000001.parquet": b"two"}
    unbroken = kills.Labelled.read(job(tmp_path / "unbroken", shards))
    whole = kills.compare(job(tmp_path / "whole", shards), unbroken, runs=3, kills=2)
    assert (whole.shards_equal, whole.shards_other, whole.leftovers, whole.passed) == (2, 0, 0, True)
    assert not kills.compare(tmp_path / "whole", unbroken, runs=1, kills=1, survivors=1).passed
    assert not kills.compare(tmp_path / "whole", unbroken, runs=1, kills=1, problem="hung").passed

    def found(name: str) -> kills.BrokenJob:
        return kills.compare(tmp_path / name, unbroken, runs=1, kills=1)

    job(tmp_path / "byte", shards | {"part-000001.parquet": b"twO"})
    assert (found("byte").shards_equal, found("byte").shards_other, found("byte").passed) == (1, 1, False)
    job(tmp_path / "fewer", {"part-000000.parquet": b"one"})
    assert (found("fewer").shards_other, found("fewer").passed) == (1, False)
    job(tmp_path / "more", shards | {"part-000002.parquet": b"three"})
    assert (found("more").shards_equal, found("more").shards_other, found("more").passed) == (2, 1, False)
    job(tmp_path / "counts", shards, records=4)
    assert (found("counts").shards_other, found("counts").counts_equal) == (0, False)
    assert not found("counts").passed
    job(tmp_path / "left", shards)
    (tmp_path / "left" / "shards" / ".framelens-x").write_text("")
    assert (found("left").leftovers, found("left").passed) == (1, False)
    (job(tmp_path / "cut", shards) / "manifest.json").unlink()
    assert not found("cut").passed


@linux
def test_kills(tmp_path: Path, check_page) -> None:
    scratch = tmp_path / "scratch"
    sizes = ["--kills", 2, "--sentences", 300, "--shard-size", 20, "--seed", 3]
    done = call("kills", *sizes, "--scratch", scratch, "-o", tmp_path / "report")
    assert done.exit_code == 0, (done.output, done.exception)
    found = kills.Kills.model_validate_json((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert found.passed
    assert len(found.kills) == 2
    assert sum(each.kills for each in found.jobs) == 2
    assert found.n_shards == len(list((scratch / "unbroken" / "shards").iterdir())) == 15
    assert {kill.phase for kill in found.kills} <= set(kills.PHASES)
    for number, each in enumerate(found.jobs, start=1):
        assert (each.shards_equal, each.shards_other) == (15, 0)
        shards = sorted((scratch / "unbroken" / "shards").iterdir())
        for shard in shards:
            other = scratch / f"broken-{number:03}" / "shards" / shard.name
            assert shard.read_bytes() == other.read_bytes()
    shown = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert "byte for byte those of the unbroken run" in shown
    assert "2 kills of a living run" in done.output
    check_page((tmp_path / "report" / "report.html").read_text("utf-8"))


def test_a_job_that_differs_is_reported(tmp_path: Path) -> None:
    broken = kills.BrokenJob(
        runs=2, kills=1, shards_equal=2, shards_other=1, counts_equal=True, leftovers=0, survivors=0,
        problem=None,
    )  # fmt: skip
    hit = kills.Kill(job=1, run=1, second=0.5, phase="loading", target="parent", shards_done=0)
    found = kills.Kills(
        n_sentences=60, n_shards=3, workers=1, unbroken_seconds=2.0, kills=(hit,), jobs=(broken,),
        provenance=provenance(),
    )  # fmt: skip
    assert not found.passed
    shown = render_markdown(kills_document(found))
    assert "1 of 1 jobs are not what an unbroken one is" in shown
    assert "0 of 1" in shown


@linux
def test_memory(tmp_path: Path, check_page) -> None:
    done = call("memory", "--sizes", "400,200", "--distinct", 40, "-o", tmp_path)
    assert done.exit_code == 0, (done.output, done.exception)
    found = memory.Memory.model_validate_json((tmp_path / "report.json").read_text("utf-8"))
    assert [run.n_sentences for run in found.runs] == [200, 400]
    assert found.growth == pytest.approx(found.runs[1].peak_rss / found.runs[0].peak_rss)
    for run in found.runs:
        roles = [process.role for process in run.processes]
        assert (roles.count("parent"), roles.count("worker")) == (1, 2)
        # A worker holds at least the model; all together hold no more than each at its largest.
        assert all(process.megabytes > 90 for process in run.processes if process.role == "worker")
        assert 180 < run.peak_pss <= run.peak_rss <= 1.001 * sum(each.megabytes for each in run.processes)
        assert max(sample.rss for sample in run.course) == run.peak_rss
    assert "from 200 to 400 sentences" in done.output
    check_page((tmp_path / "report.html").read_text("utf-8"))


def measured(*peaks: float) -> memory.Memory:
    course = (memory.Sample(second=1.0, rss=1.0, pss=1.0),)
    runs = tuple(
        memory.MemoryRun(
            n_sentences=10**i, seconds=2.0, peak_rss=peak, peak_pss=peak / 2, n_samples=1,
            processes=(memory.ProcessPeak(role="parent", megabytes=peak),), course=course,
        )
        for i, peak in enumerate(peaks, start=3)
    )  # fmt: skip
    return memory.Memory(workers=1, distinct=None, runs=runs, provenance=provenance())


def test_memory_is_held_against_its_targets() -> None:
    good = measured(1000.0, 1050.0)
    assert good.growth == pytest.approx(1.05)
    assert good.peak == 1050.0
    shown = render_markdown(memory_document(good))
    assert "The peak is 1.05 GB: within the target" in shown
    assert "The peak grows by +5.0% from 1,000 to 10,000 sentences: within the target" in shown
    shown = render_markdown(memory_document(measured(1000.0, 1600.0)))
    assert "The peak is 1.60 GB: beyond the target" in shown
    assert "+60.0% from 1,000 to 10,000 sentences: beyond the target" in shown
    assert "grows" not in render_markdown(memory_document(measured(1000.0)))


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=900), st.integers(1, 50))
def test_thinning_keeps_the_peak(sizes: list[int], most: int) -> None:
    samples = [memory.Sample(second=i, rss=size, pss=0) for i, size in enumerate(sizes)]
    kept = memory.thinned(samples, most)
    assert len(kept) <= most
    assert max(sample.rss for sample in kept) == max(sizes)
    assert [sample.second for sample in kept] == sorted({sample.second for sample in kept})
    assert set(kept) <= set(samples)


def test_wrong_numbers(tmp_path: Path) -> None:
    for arguments, expected in (
        (["memory", "--sizes", "ten"], "numbers with commas"),
        (["memory", "--sizes", "0"], "at least 1"),
        (["kills", "--scratch", tmp_path], "new folder"),
    ):
        done = call(*arguments, "-o", tmp_path / "report")
        assert isinstance(done.exception, InputError), arguments
        assert expected in str(done.exception) or not ON_LINUX
    with pytest.raises(InputError, match="at least 1"):
        start.measure_start(0)


TOLD = """\
import time: self [us] | cumulative | imported package
import time:       300 |        300 |     _io
import time:       100 |       2100 |   numpy
import time:      2000 |       2000 |     numpy.lib.shape_base
import time:       500 |       2900 | framelens.cli
a warning that is no import
"""


def test_import_costs_by_package() -> None:
    found = start.import_costs(TOLD)
    assert [(cost.package, cost.modules, cost.seconds) for cost in found] == [
        ("numpy", 2, 0.0021),
        ("framelens", 1, 0.0005),
        (start.STANDARD_LIBRARY, 1, 0.0003),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="no os.wait4")
def test_start(tmp_path: Path, check_page) -> None:
    done = call("start", "--repeats", 1, "-o", tmp_path)
    assert done.exit_code == 0, (done.output, done.exception)
    found = start.Start.model_validate_json((tmp_path / "report.json").read_text("utf-8"))
    assert [len(timing.wall_seconds) for timing in found.timings] == [1] * 4
    label, *_, nothing = found.timings
    assert label is found.label
    assert label.process > nothing.process > 0
    assert {"numpy", "onnxruntime", "framelens"} <= {cost.package for cost in found.imports}
    assert 0 < found.import_seconds < 60
    assert f"framelens label article.txt: {label.process:.3f} s process time" in done.output
    check_page((tmp_path / "report.html").read_text("utf-8"))


def test_a_start_is_held_against_its_target() -> None:
    def shown(*seconds: float) -> str:
        timing = start.Timing(name="x", process_seconds=seconds, wall_seconds=seconds)
        found = start.Start(
            article="a", timings=(timing,), imports=(), import_seconds=0.1, provenance=provenance()
        )
        return render_markdown(start_document(found))

    # The median decides.
    assert "takes 1.40 s of process time: within the target" in shown(1.2, 1.4, 9.0)
    assert "takes 1.50 s of process time: beyond the target" in shown(1.5)


def test_a_command_that_fails_is_said() -> None:
    with pytest.raises(InputError, match="ended with code 3"):
        start._timed([sys.executable, "-c", "raise SystemExit(3)"])


def test_the_command_that_is_run_is_framelens() -> None:
    done = subprocess.run(
        framelens_command("--version"), capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.startswith("framelens ")
