"""Several processes do what one does, and outlive the death of one."""

from __future__ import annotations

import io
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from framelens import FramingClassifier, InputError, JobError
from framelens.jobs import LabelJob
from framelens.labelling import run_label
from framelens.readers import Record
from framelens.shards import Task
from framelens.workers import Crew, ModelSettings, available_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[1] / "data"
SETTINGS = ModelSettings("bundled", {"threads": 1})
OPTIONS = {"backend": "onnx", "precision": "fp32", "device": "cpu", "threads": None, "abstain_below": 0.0}
TEXTS = ["The convoy was reportedly hit near the bridge.", "", "Talks open on Monday in Corvane."]


def tasks(n: int) -> list[Task]:
    return [
        Task(i, [("sentence", [Record(f"{i}:{j}", text, {}) for j, text in enumerate(TEXTS)])])
        for i in range(n)
    ]


def silent(*_: Any) -> None:
    pass


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_a_worker_that_dies_is_replaced_and_nothing_is_lost() -> None:
    with Crew(SETTINGS, 1, FramingClassifier(threads=1)) as alone:
        expected = dict(alone.run(tasks(8), silent))
    with Crew(SETTINGS, 2) as crew:
        dead: list[int] = []

        def killing() -> Iterator[Task]:
            for task in tasks(8):
                if task.number == 3:
                    worker = crew._workers[0]
                    os.kill(worker.process.pid or 0, signal.SIGKILL)
                    dead.append(worker.process.pid or 0)
                yield task

        found = list(crew.run(killing(), silent, ordered=True))
        assert dead[0] not in [worker.process.pid for worker in crew._workers]
        processes = [worker.process for worker in crew._workers]
    assert [number for number, _ in found] == list(range(8))
    assert dict(found) == expected
    assert not any(process.is_alive() for process in processes)


class Deadly:
    """Ends the process that receives it."""

    def __reduce__(self) -> Any:
        return os._exit, (7,)


def test_a_part_that_kills_every_worker_is_told() -> None:
    deadly: Any = Deadly()
    with (
        Crew(SETTINGS, 2) as crew,
        pytest.raises(
            JobError, match=r"3 workers died over part 0, the last with exit code 7; .* fewer --workers"
        ),
    ):
        list(crew.run([Task(0, deadly)], silent))


def test_what_a_worker_cannot_have_is_told_at_once() -> None:
    with pytest.raises(InputError, match="bf16 and fp16 need backend='torch'"):
        Crew(ModelSettings("bundled", {"precision": "bf16"}), 2)


def test_a_file_holds_the_same_whoever_labels(tmp_path: Path) -> None:
    contents = []
    inputs = (str(DATA / "judged_sentences.jsonl"), *map(str, sorted((DATA / "articles").glob("*.txt"))))
    for workers in (1, 2):
        console = Console(file=io.StringIO())
        job = LabelJob(inputs, str(tmp_path / "o.parquet"))
        run_label(
            job, model="bundled", options=OPTIONS, workers=workers, dedupe=False, out=console, err=console
        )
        contents.append((tmp_path / "o.parquet").read_bytes())
    assert contents[0] == contents[1]


def test_cores() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


def test_a_model_that_was_changed_meanwhile_is_told() -> None:
    with pytest.raises(JobError, match=r"bundled: expected the model with the digest 0{64}, got "):
        Crew(ModelSettings("bundled", {"threads": 1}, digest="0" * 64), 1)
