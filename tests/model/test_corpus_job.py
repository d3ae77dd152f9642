"""A job in shards: every record once, the same bytes however often it is killed, and no other job's."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from framelens import FramingClassifier, InputError, JobError
from framelens.bundle import find_bundle
from framelens.corpus_job import run_corpus
from framelens.jobfolder import open_job_folder
from framelens.jobs import LabelJob
from framelens.labelling import run_label
from framelens.workers import Crew, ModelSettings
from framelens.writers import OUTPUT_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from framelens.corpus_job import Outcome

DATA = Path(__file__).parents[1] / "data"
JUDGED = [json.loads(line) for line in (DATA / "judged_sentences.jsonl").read_text("utf-8").splitlines()]
HEDGED = "The convoy was reportedly hit near the bridge."
OPTIONS = {"backend": "onnx", "precision": "fp32", "device": "cpu", "threads": 1, "abstain_below": 0.0}


@pytest.fixture(scope="module")
def classifier() -> FramingClassifier:
    return FramingClassifier(threads=1, lookahead=64)


@pytest.fixture
def label(classifier: FramingClassifier, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a job in this process, with a model that is loaded once."""
    monkeypatch.setattr(ModelSettings, "build", lambda _: classifier)

    def run(out: Path, *inputs: str | Path, options: dict[str, Any] | None = None, **job: Any) -> Outcome:
        job = {"shard_size": 3} | job
        what = LabelJob(tuple(map(str, inputs)), f"{out}/", **job)
        settings = ModelSettings("bundled", OPTIONS | (options or {}))
        return run_corpus(what, settings, Console(file=io.StringIO()), workers=1)

    return run


def table(path: Path, texts: list[Any], **columns: Any) -> Path:
    rows = ({"text": text, "n": i, **columns} for i, text in enumerate(texts))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def shards(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((out / "shards").iterdir())}


def rows(out: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted((out / "shards").iterdir()):
        if path.suffix == ".parquet":
            found += pq.read_table(path).to_pylist()
        else:
            found += [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return found


def manifest(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "manifest.json").read_text("utf-8"))
    return content


def temporaries(out: Path) -> list[Path]:
    return [path for path in out.rglob("*") if path.name.startswith(".framelens-")]


TEXTS = [HEDGED, None, "", "By Ann B. Clark", 5, "Talks open on Monday in Corvane.", HEDGED, "word " * 400]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_every_record_is_a_row_of_one_shard(label: Callable[..., Outcome], tmp_path: Path, form: str) -> None:
    source = table(tmp_path / "in.jsonl", TEXTS, label="theirs")
    outcome = label(tmp_path / "out", source, format=form, text_column="text")
    found = rows(tmp_path / "out")
    assert [row["doc_id"] for row in found] == [f"{source}:{i}" for i in range(len(TEXTS))]
    assert [row["n"] for row in found] == list(range(len(TEXTS)))
    assert {row["input_label"] for row in found} == {"theirs"}
    assert list(found[0]) == [*OUTPUT_COLUMNS, "n", "input_label"]
    statuses = ["ok", "error", "empty", "not_applicable", "error", "ok", "ok", "ok"]
    assert [row["status"] for row in found] == statuses
    assert found[-1]["truncated"]
    told = manifest(tmp_path / "out")
    assert told["records"] == told["sentences"] == outcome.counts.records == len(TEXTS)
    assert told["statuses"] == {"empty": 1, "error": 2, "not_applicable": 1, "ok": 4}
    assert told["inputs"][0]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert [(s["name"], s["records"], s["sha256"]) for s in told["shards"]] == [
        (name, n, hashlib.sha256(content).hexdigest())
        for (name, content), n in zip(shards(tmp_path / "out").items(), (3, 3, 2), strict=True)
    ]


def test_a_folder_of_articles_and_tables(label: Callable[..., Outcome], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    article = (DATA / "articles" / "wire_harbour.txt").read_bytes()
    (folder / "a.txt").write_bytes(article)
    (folder / "bad.txt").write_bytes(b"\xff\xfe\xfd")
    (folder / "scan.pdf").write_bytes(b"%PDF")
    table(folder / "t.jsonl", [HEDGED])
    label(tmp_path / "out", folder, shard_size=10)
    found = rows(tmp_path / "out")
    text = article.decode()
    assert len({path.suffix for path in (tmp_path / "out" / "shards").iterdir()}) == 1
    in_article = [row for row in found if row["doc_id"] == str(folder / "a.txt")]
    assert len(in_article) > 5
    assert all(text[row["start"] : row["end"]] == row["text"] for row in in_article)
    assert [(row["status"], row["doc_id"]) for row in found[len(in_article) :]] == [
        ("error", str(folder / "bad.txt")),
        ("ok", f"{folder / 't.jsonl'}:0"),
    ]
    assert manifest(tmp_path / "out")["skipped"] == {"files": 1, "names": [str(folder / "scan.pdf")]}


def test_shards_have_one_schema(label: Callable[..., Outcome], tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    values: list[Any] = [None, 1, None, None, None, None, 2.5, None, None]
    source.write_text("".join(json.dumps({"text": HEDGED, "v": v}) + "\n" for v in values))
    label(tmp_path / "out", source)
    schemas = {str(pq.read_schema(path)) for path in (tmp_path / "out" / "shards").iterdir()}
    assert len(schemas) == 1
    assert [row["v"] for row in rows(tmp_path / "out")] == values


def test_a_finished_job_does_nothing(label: Callable[..., Outcome], tmp_path: Path) -> None:
    source = table(tmp_path / "in.jsonl", TEXTS)
    first = label(tmp_path / "out", source, text_column="text")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")}
    again = label(tmp_path / "out", source, text_column="text")
    assert (first.had_been_done, again.had_been_done) == (False, True)
    assert again.counts == first.counts
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*")} == before


def test_a_shard_that_is_gone_or_cut_is_written_again(label: Callable[..., Outcome], tmp_path: Path) -> None:
    source = table(tmp_path / "in.jsonl", TEXTS)
    label(tmp_path / "out", source, text_column="text")
    before = shards(tmp_path / "out")
    (tmp_path / "out" / "shards" / "part-000000.parquet").unlink()
    (tmp_path / "out" / "shards" / "part-000002.parquet").write_bytes(b"PAR1")
    assert not label(tmp_path / "out", source, text_column="text").had_been_done
    assert shards(tmp_path / "out") == before


def test_a_finished_job_that_lacks_a_shard_is_not_finished(
    label: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = table(tmp_path / "in.jsonl", TEXTS)
    label(tmp_path / "out", source, text_column="text")
    (tmp_path / "out" / "shards" / "part-000001.parquet").unlink()

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("framelens.workers.perform", stopped)
    with pytest.raises(KeyboardInterrupt):
        label(tmp_path / "out", source, text_column="text")
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_shards_without_their_plan_are_not_taken_for_those_of_another(
    label: Callable[..., Outcome], tmp_path: Path
) -> None:
    source = table(tmp_path / "in.jsonl", TEXTS)
    label(tmp_path / "out", source, text_column="text")
    (tmp_path / "out" / "job.json").unlink()
    with pytest.raises(InputError, match=r"job\.json: expected what the shards .* choose a new folder"):
        label(tmp_path / "out", source, text_column="text", unit="document")


def test_one_encoding_has_many_names(label: Callable[..., Outcome], tmp_path: Path) -> None:
    source = table(tmp_path / "in.jsonl", [HEDGED])
    label(tmp_path / "out", source, encoding="utf8")
    assert label(tmp_path / "out", source, encoding="UTF-8").had_been_done


def test_a_file_that_cannot_be_opened_is_a_record(
    label: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text(HEDGED)
    (folder / "b.txt").write_text(HEDGED)
    opened = Path.open

    def refusing(path: Path, *arguments: Any, **others: Any) -> Any:
        # chmod would not keep an administrator out.
        if path.name == "b.txt":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **others)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", refusing)
        assert label(tmp_path / "out", folder).counts.statuses == {"ok": 1, "error": 1}
        assert label(tmp_path / "out", folder).had_been_done
    with pytest.raises(InputError, match=r"content of .*b\.txt \(of the same size, sha256 unreadable -> "):
        label(tmp_path / "out", folder)


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "threshold": ({"options": {"abstain_below": 0.5}}, "abstain_below 0.0 -> 0.5"),
    "unit": ({"unit": "document"}, "unit auto -> document"),
    "format": ({"format": "jsonl"}, "format parquet -> jsonl"),
    "shard size": ({"shard_size": 4}, "shard_size 3 -> 4"),
    "id": ({"id_column": "n"}, "id_column None -> n"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_another_option_is_refused_by_name(label: Callable[..., Outcome], tmp_path: Path, case: str) -> None:
    source = table(tmp_path / "in.jsonl", [HEDGED])
    label(tmp_path / "out", source)
    change, expected = CHANGES[case]
    with pytest.raises(InputError) as caught:
        label(tmp_path / "out", source, **change)
    assert f"got another one: {expected}; put it back" in str(caught.value)


def test_another_graph_of_the_same_weights_is_refused(tmp_path: Path) -> None:
    model = Path(shutil.copytree(find_bundle().folder, tmp_path / "model"))
    source = table(tmp_path / "in.jsonl", [HEDGED])

    def run() -> None:
        job = LabelJob((str(source),), f"{tmp_path}/out/")
        run_corpus(job, ModelSettings(str(model), OPTIONS), Console(file=io.StringIO()), workers=1)

    run()
    graph = model / "model.onnx"
    # A field that ONNX does not know, which its readers pass over.
    graph.write_bytes(graph.read_bytes() + b"\xa2\x06\x01x")
    with pytest.raises(InputError, match="got another one: the model's ONNX graph; put it back"):
        run()


def test_a_shard_that_is_not_there_is_not_committed(
    label: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a worker on a machine whose OUT/ is another one."""
    source = table(tmp_path / "in.jsonl", [HEDGED] * 4)
    run = Crew.run

    def elsewhere(self: Crew, *arguments: Any, **options: Any) -> Any:
        for number, report in run(self, *arguments, **options):
            (tmp_path / f"out/shards/part-{number:06}.jsonl").unlink()
            yield number, report

    with monkeypatch.context() as patch:
        patch.setattr(Crew, "run", elsewhere)
        with pytest.raises(JobError, match="got no file; every machine must see OUT/"):
            label(tmp_path / "out", source, format="jsonl")
    assert not list((tmp_path / "out/commits").iterdir())
    label(tmp_path / "out", source, format="jsonl")
    assert len(rows(tmp_path / "out")) == 4


def test_another_input_is_refused_by_name(label: Callable[..., Outcome], tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source = table(folder / "a.jsonl", [HEDGED])
    label(tmp_path / "out", folder)
    content = source.read_bytes()

    def refused(*names: Path) -> str:
        with pytest.raises(InputError) as caught:
            label(tmp_path / "out", *(names or (folder,)))
        return str(caught.value)

    source.write_bytes(content.replace(b"convoy", b"column"))
    os.utime(source, ns=(1, 1))
    assert f"content of {source} (of the same size, sha256 " in refused()
    source.write_bytes(content + content)
    assert f"content of {source} (55 -> 110 bytes" in refused().replace(
        f"{len(content)} -> {2 * len(content)}", "55 -> 110"
    )
    # A copy with the same content is the same input.
    source.write_bytes(content)
    assert label(tmp_path / "out", folder).had_been_done
    other = table(folder / "b.jsonl", [HEDGED])
    assert f"input {other} is new" in refused()
    other.unlink()
    moved = source.rename(tmp_path / "moved.jsonl")
    assert f"input {source} is gone; input {moved} is new" in refused(moved)


def test_another_model_or_package_is_refused(
    label: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = table(tmp_path / "in.jsonl", [HEDGED])
    label(tmp_path / "out", source)
    plan = tmp_path / "out" / "job.json"
    content = json.loads(plan.read_text("utf-8"))
    content["fingerprint"]["model_digest"] = "0" * 64
    content["fingerprint"]["packages"]["onnxruntime"] = "0.1"
    content["fingerprint"]["framelens"] = "0.0.1"
    plan.write_text(json.dumps(content))
    with pytest.raises(
        InputError, match=r"model 0{12} -> .*version of framelens 0\.0\.1 -> .*onnxruntime 0\.1 -> "
    ):
        label(tmp_path / "out", source)


def test_on_error_fail_names_the_record_and_labels_nothing(
    label: Callable[..., Outcome], tmp_path: Path
) -> None:
    source = table(tmp_path / "in.jsonl", TEXTS)
    with pytest.raises(InputError, match=r"in\.jsonl:1: column 'text': .*got null and 1 more; mend"):
        label(tmp_path / "out", source, text_column="text", on_error="fail")
    assert not shards(tmp_path / "out")
    # Nothing was begun, so that the same folder can be used once the user has decided.
    label(tmp_path / "out", source, text_column="text")
    with pytest.raises(InputError, match="column 'text'"):
        label(tmp_path / "out", source, text_column="text", on_error="fail")


def test_on_error_fail_with_one_file(tmp_path: Path) -> None:
    source = table(tmp_path / "in.jsonl", TEXTS)
    job = LabelJob((str(source),), str(tmp_path / "o.csv"), text_column="text", on_error="fail")
    console = Console(file=io.StringIO())
    with pytest.raises(InputError, match="got null and 1 more"):
        run_label(job, model="bundled", options=OPTIONS, workers=1, dedupe=False, out=console, err=console)
    assert list(tmp_path.iterdir()) == [source]


def test_a_folder_of_other_things_is_left_alone(label: Callable[..., Outcome], tmp_path: Path) -> None:
    source = table(tmp_path / "in.jsonl", [HEDGED])
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="got one with other files"):
        label(out, source)
    assert [path.name for path in out.iterdir()] == ["thesis.txt"]
    with pytest.raises(InputError, match="got a file"):
        label(out / "thesis.txt", source)
    with pytest.raises(InputError, match="mkdir -p"):
        label(tmp_path / "no" / "out", source)


def test_the_output_may_lie_in_the_input_folder(label: Callable[..., Outcome], tmp_path: Path) -> None:
    table(tmp_path / "in.jsonl", [HEDGED])
    assert label(tmp_path / "out", tmp_path).counts.records == 1
    assert label(tmp_path / "out", tmp_path).had_been_done


def test_an_input_that_was_given_twice(label: Callable[..., Outcome], tmp_path: Path) -> None:
    source = table(tmp_path / "in.jsonl", [HEDGED])
    with pytest.raises(InputError, match="every input once"):
        label(tmp_path / "out", source, tmp_path)


def test_a_second_process_is_refused(label: Callable[..., Outcome], tmp_path: Path) -> None:
    source = table(tmp_path / "in.jsonl", [HEDGED])
    with open_job_folder(tmp_path / "out"), pytest.raises(JobError) as caught:
        label(tmp_path / "out", source)
    assert f"worked on by process {os.getpid()} on " in str(caught.value)
    label(tmp_path / "out", source)


# --- kills ----------------------------------------------------------------------------------------

#: Runs a job in children that are killed at each of their steps on the disk, before or behind it.
KILLED_AT_EVERY_STEP = r"""
import io, os, pathlib, signal, sys
from rich.console import Console
from framelens import FramingClassifier, corpus_job
from framelens.bundle import find_bundle
from framelens.bundle import find_bundle
from framelens.corpus_job import run_corpus
from framelens.jobs import LabelJob
from framelens.workers import Crew, ModelSettings

source, folder = sys.argv[1], pathlib.Path(sys.argv[2])
os.environ["TOKENIZERS_PARALLELISM"] = "false"
classifier = FramingClassifier(threads=1)
ModelSettings.build = lambda _: classifier
# Its digest takes longer than the jobs do.
bundle = find_bundle()
bundle.digest
corpus_job.find_bundle = lambda _: bundle

def label(out):
    run_corpus(LabelJob((source,), f"{out}/", shard_size=3), ModelSettings("bundled", {"backend": "onnx"}),
               Console(file=io.StringIO()), workers=1)

def child(out, step):
    # The child ends as a process that is killed does: no cleanup runs.
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    left = [step]
    def counted(function):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call
    # A kill, unlike a power cut, loses nothing that was written.
    os.fsync = counted(lambda descriptor: None)
    for name in ("replace", "mkdir", "unlink"):
        setattr(pathlib.Path, name, counted(getattr(pathlib.Path, name)))
    label(out)
    os._exit(0)

def shards(out):
    return {path.name: path.read_bytes() for path in (out / "shards").iterdir()}

# Here, so that the children find everything imported.
label(folder / "whole")
whole = shards(folder / "whole")
step = kills = 0
while True:
    step += 1
    out = folder / f"killed{step}"
    code = child(out, step)
    if code == 0:
        break
    assert code == -signal.SIGKILL, code
    kills += 1
    # Killed once more on the way, a little later.
    kills += child(out, 1 + step % 7) == -signal.SIGKILL
    assert child(out, 0) == 0
    assert shards(out) == whole, step
    assert (out / "manifest.json").is_file()
    assert not [path for path in out.rglob("*") if path.name.startswith(".framelens-")], step
print(kills, len(whole))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_every_step_on_the_disk(tmp_path: Path) -> None:
    source = table(tmp_path / "in.jsonl", [HEDGED, "", "Talks open on Monday.", "By Ann B. Clark"])
    ran = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EVERY_STEP, source, tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    kills, n_shards = map(int, ran.stdout.split())
    assert n_shards == 2
    assert kills > 60


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    # A shell that starts a test run in the background makes its children ignore Ctrl-C.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from framelens.cli import main; main()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, "label", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@contextlib.contextmanager
def running_until(n_shards: int, out: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A run that has finished some shards and goes on."""
    process = start(*arguments)
    deadline = time.monotonic() + 60
    while len(list(out.glob("commits/*.json"))) < n_shards and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert process.poll() is None
    yield process
    assert process.stderr is not None
    process.stderr.close()


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_killed_with_two_workers_and_stopped_by_control_c(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row | {"id": i}) + "\n" for i, row in enumerate(JUDGED * 3)))
    alone, out = tmp_path / "alone", tmp_path / "out"
    common: tuple[str | Path, ...] = (source, "--shard-size", "8", "--id-column", "id")
    process = start(*common, "-o", f"{alone}/", "--workers", "1")
    two = (*common, "-o", f"{out}/", "--workers", "2")
    with running_until(3, out, *two) as killed:
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
    with running_until(7, out, *two) as stopped:
        os.killpg(stopped.pid, signal.SIGINT)
        _, said = stopped.communicate(timeout=60)
        assert stopped.returncode == 130
        assert "going on: " in said
        assert " of 33 shards are done; the same command goes on from there" in said
        assert said.endswith("interrupted\n")
        assert "Traceback" not in said
        assert not temporaries(out)
    last = start(*two)
    _, said = last.communicate(timeout=120)
    assert (last.returncode, "258 sentences of 258 records" in said) == (0, True)
    assert process.wait(120) == 0
    assert process.stderr is not None
    process.stderr.close()
    assert shards(out) == shards(alone)
    assert len(shards(out)) == 33
    assert manifest(out)["sessions"] == 3
