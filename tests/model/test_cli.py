"""The command, as people run it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from framelens import LABELS, __version__, cli
from framelens.bundle import find_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[1] / "data"
ARTICLE = DATA / "articles" / "wire_harbour.txt"
JUDGED = DATA / "judged_sentences.jsonl"
HEDGED = "The convoy was reportedly hit near the bridge."


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def framelens(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run the command in this process, as its entry point does."""

    def run(*arguments: str | Path, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["framelens", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return Ran(int(end.value.code or 0), captured.out, captured.err)

    return run


def start(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    code = "from framelens.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options,
    )


def outside(*arguments: str | Path, **options: Any) -> Ran:
    """Run the command in a process of its own."""
    process = start(*arguments, **options)
    out, err = process.communicate(timeout=120)
    return Ran(process.returncode, out or "", err)


def test_the_example(framelens: Callable[..., Ran]) -> None:
    ran = framelens("label", "--example")
    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"hedged \d\.\d\d │ Tassonian reservists were reportedly", ran.out)
    assert re.search(r"^31 sentences: \d+ % state-media framing, ", ran.out, re.MULTILINE)
    assert "\x1b" not in ran.out


def test_the_example_as_a_job(framelens: Callable[..., Ran], tmp_path: Path) -> None:
    ran = framelens("label", "--example", "-o", f"{tmp_path}/out/", "--format", "jsonl", "--workers", "1")
    assert ran.code == 0
    (shard,) = (tmp_path / "out" / "shards").iterdir()
    rows = [json.loads(line) for line in shard.read_text("utf-8").splitlines()]
    assert len(rows) == 31
    assert {row["doc_id"] for row in rows} == {"example.md"}
    manifest = json.loads((tmp_path / "out/manifest.json").read_bytes())
    assert (
        manifest["arguments"]["inputs"] == [entry["name"] for entry in manifest["inputs"]] == ["example.md"]
    )


def test_fast_is_a_model_and_is_written_down(framelens: Callable[..., Ran], tmp_path: Path) -> None:
    def job(name: str, *options: str) -> tuple[dict[str, Any], bytes]:
        out = tmp_path / name
        ran = framelens("label", "--example", "-o", f"{out}/", "--format", "jsonl", *options)
        assert ran.code == 0, ran.err
        manifest = json.loads((out / "manifest.json").read_bytes())
        return manifest, (out / "shards/part-000000.jsonl").read_bytes()

    fast, rows = job("fast", "--fast")
    same, again = job("model", "--model", "fast", "--precision", "int8")
    plain, others = job("plain")
    assert (fast["arguments"]["model"], fast["arguments"]["precision"]) == ("fast", "int8")
    assert (plain["arguments"]["model"], plain["arguments"]["precision"]) == ("bundled", "fp32")
    assert fast["model_digest"] == same["model_digest"] != plain["model_digest"]
    assert rows == again != others
    # A job goes on with the model and the precision that it was begun with, or not at all.
    for options in ([], ["--fast", "--precision", "fp32"]):
        ran = framelens("label", "--example", "-o", f"{tmp_path}/fast/", "--format", "jsonl", *options)
        assert ran.code == 2
        assert "the job that was begun there" in ran.err


def test_standard_input_and_output(framelens: Callable[..., Ran]) -> None:
    text = f"{HEDGED} Talks open on Monday in Corvane.\n"
    ran = framelens("label", "-", stdin=text.encode())
    assert (ran.code, ran.err) == (0, "")
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert [text[row["start"] : row["end"]] for row in rows] == [row["text"] for row in rows]
    assert rows[0]["label"] == "hedged_claim"
    ran = framelens("label", "-", "--format", "csv", "--unit", "sentence", stdin=text.encode())
    (row,) = csv.DictReader(io.StringIO(ran.out))
    assert row["text"] == text


@pytest.mark.parametrize("form", ["svg", "html", "text"])
def test_renderings_on_standard_output(framelens: Callable[..., Ran], form: str) -> None:
    ran = framelens("label", ARTICLE, "--format", form)
    assert (ran.code, ran.err) == (0, "")
    begin = {"svg": "<svg ", "html": "<!DOCTYPE html>", "text": "( *(state|independent|hedged) .*│|.*– +│)"}
    assert re.match(begin[form], ran.out)


def test_a_file_a_manifest_and_one_line_about_them(framelens: Callable[..., Ran], tmp_path: Path) -> None:
    target = tmp_path / "[bold]out.jsonl"
    ran = framelens("label", JUDGED, "-o", target, "--abstain-below", "0.7")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith(f"86 sentences of 86 records in {target}")
    assert ran.err.count("\n") == 1
    manifest = json.loads((tmp_path / f"{target.name}.manifest.json").read_text("utf-8"))
    rows = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    for row in rows:
        probabilities = [row[f"p_{label}"] for label in LABELS]
        assert row["abstained"] == (row["status"] == "ok" and max(probabilities) < 0.7)
    assert 0 < manifest["abstained"] == sum(row["abstained"] for row in rows)
    assert f"{manifest['abstained']} abstained" in ran.err
    assert manifest["arguments"]["abstain_below"] == 0.7
    assert manifest["arguments"]["model"] == "bundled"


BROKEN = {
    "empty.txt": b"",
    "latin1.txt": "Der Präsident sprach.".encode("latin-1"),
    "utf16.txt": "A statement.".encode("utf-16"),
    "binary.txt": b"A\x00\x01\x02",
    "paper.txt": b"%PDF-1.7",
    "broken.jsonl": b'{"text": "A sentence."}\n{"text": \n',
    "list.jsonl": b'["a"]\n',
    "other.csv": b"headline,body,outlet\na,b,c\n",
    "ragged.csv": b"text,outlet\na,b\nc\n",
    "empty.csv": b"",
    "not.parquet": b"PAR0",
    "bad.jsonl.gz": b"no gzip",
    "bad.csv.zst": b"no zstd",
    "fine.txt": HEDGED.encode(),
    "notes.docx": b"PK\x03\x04",
}
BAD = {
    "missing file": (["none.txt"], "No such file"),
    "missing among good": (["fine.txt", "none.txt"], "No such file"),
    "empty": (["empty.txt"], "an empty file"),
    "encoding": (["latin1.txt"], "line 1: expected text in UTF-8"),
    "utf-16": (["utf16.txt"], "iconv -f utf-16"),
    "binary": (["binary.txt"], "NUL byte"),
    "pdf": (["paper.txt"], "a PDF"),
    "json": (["broken.jsonl"], "broken.jsonl: line 2: expected one JSON object"),
    "json array": (["list.jsonl"], "line 1"),
    "columns": (["other.csv"], "'headline', 'body', 'outlet'"),
    "named column": (["other.csv", "--text-column", "texts"], "'headline', 'body', 'outlet'"),
    "id column": (["other.csv", "--text-column", "body", "--id-column", "x"], "expected a column 'x'"),
    "context column": (["other.csv", "--text-column", "body", "--context-column", "x"], "a column 'x'"),
    "ragged": (["ragged.csv"], "line 3: expected 2 fields"),
    "empty table": (["empty.csv"], "an empty file"),
    "parquet": (["not.parquet"], "expected a Parquet file"),
    "gzip": (["bad.jsonl.gz"], "expected gzip data"),
    "zstd": (["bad.csv.zst"], "expected Zstandard data"),
    "empty pattern": (["nothing/*.txt"], "a pattern that files to read match, got none"),
    "suffix": (["notes.docx"], "got .docx"),
    "both": (["fine.txt", "--example"], "--example"),
    "nothing": ([], "give one or more inputs"),
    "stdin twice": (["-", "-"], "at most once"),
    "output is input": (["fine.txt", "-o", "fine.txt"], "an input"),
    "output in no folder": (["fine.txt", "-o", "no/out.csv"], "mkdir -p no"),
    "shards of text": (["fine.txt", "-o", "new/", "--format", "csv"], "parquet or jsonl"),
    "shards of a pipe": (["-", "-o", "new/"], "can be read again"),
    "encoding name": (["fine.txt", "--encoding", "utf-16"], "extends ASCII"),
    "delimiter": (["other.csv", "--delimiter", "ab"], "one character"),
    "output suffix": (["fine.txt", "-o", "out.doc"], ".jsonl, .ndjson, .csv, .tsv, .parquet, .txt"),
    "parquet to stdout": (["fine.txt", "--format", "parquet"], "standard output"),
    "model folder": (["fine.txt", "--model", "."], "is no framelens model"),
    "model path": (["fine.txt", "--model", "./no/model"], "neither a folder nor a hub id"),
    "two models": (["fine.txt", "--fast", "--model", "their/model"], "leave one of them out"),
    "int8 of a model that has none": (["fine.txt", "--precision", "int8"], "an int8 model such as 'fast'"),
    "bf16 without torch": (["fine.txt", "--precision", "bf16"], "bf16"),
}


@pytest.mark.parametrize("output", ["out.jsonl", "out.svg"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    framelens: Callable[..., Ran],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
    output: str,
) -> None:
    for name, content in BROKEN.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    arguments, expected = BAD[case]
    if "-o" not in arguments and "--format" not in arguments:
        arguments = [*arguments, "-o", output]
    ran = framelens("label", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert expected in ran.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == BROKEN


def test_bad_input_by_the_real_command(tmp_path: Path) -> None:
    ran = outside("label", "none.txt", "-o", "out.csv", cwd=tmp_path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: none.txt: ")
    assert ran.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_another_kind(framelens: Callable[..., Ran], tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    ran = framelens("label", ARTICLE, "--model", tmp_path)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "config.json: model_type" in ran.err


@pytest.fixture
def long_table(tmp_path: Path) -> Path:
    path = tmp_path / "long.jsonl"
    path.write_text(JUDGED.read_text("utf-8") * 20, "utf-8")
    return path


def test_a_reader_that_leaves(long_table: Path) -> None:
    # More than a pipe holds, so that writing fails while there is still something to write.
    long_table.write_text("".join(long_table.read_text("utf-8").splitlines(True)[:430]), "utf-8")
    process = start("label", long_table, "--threads", "1")
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["doc_id"] == f"{long_table}:0"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 1


def test_control_c(long_table: Path) -> None:
    # A shell that starts a test run in the background makes its children ignore the signal.
    def listen() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    process = start("label", long_table, "-o", long_table.with_name("out.csv"), preexec_fn=listen)
    deadline = time.monotonic() + 60
    while not list(long_table.parent.glob(".framelens-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "interrupted\n")
    assert process.returncode == 130
    assert list(long_table.parent.iterdir()) == [long_table]


def test_control_c_again_and_again(long_table: Path) -> None:
    def listen() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)

    out = long_table.with_name("out")
    process = start("label", long_table, "-o", f"{out}/", "--workers", "2", preexec_fn=listen)
    deadline = time.monotonic() + 60
    while not list(out.glob("shards/.framelens-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1] == "interrupted"
    assert "Traceback" not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("arguments", [["--format", "jsonl"], ["--format", "text"]])
def test_a_full_disk(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        ran = outside("label", ARTICLE, *arguments, stdout=full)
    assert ran.code == 2
    assert ran.err == "error: the output: No space left on device; make room, or write elsewhere\n"


@pytest.mark.parametrize("name", ["out.jsonl", "out.svg"])
def test_a_file_that_cannot_grow(tmp_path: Path, name: str) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

    ran = outside("label", ARTICLE, "-o", tmp_path / name, preexec_fn=limit)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "File too large" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_info(framelens: Callable[..., Ran], tmp_path: Path) -> None:
    bundle = find_bundle()
    for name in ("config.json", "tokenizer.json", "model.safetensors", "model.onnx"):
        (tmp_path / name).symlink_to(bundle.folder / name)
    ran = framelens("info", "--json", "--model", tmp_path)
    content = json.loads(ran.out)
    assert content["model_digest"] == bundle.digest
    assert content["labels"] == [str(label) for label in LABELS]
    assert content["versions"]["framelens"] == __version__
    assert content["quality"] is None
    assert "nothing has been measured" in framelens("info", "--model", tmp_path).out
    score = {"value": 0.81, "low": 0.75, "high": 0.86}
    system = {"name": "this model", "subsets": [{"subset": "all", "macro_f1": score}]}
    report = {"data": {"n_labelled": 20, "n_articles": 3}, "systems": [system]}
    quality = {"note": "Judged by models.", "reports": {"dev": report}}
    (tmp_path / "quality.json").write_text(json.dumps(quality))
    assert json.loads(framelens("info", "--json", "--model", tmp_path).out)["quality"] == quality
    ran = framelens("info", "--model", tmp_path)
    assert "0.810 [0.750, 0.860]" in ran.out
    assert "macro-F1 on dev: 20 sentences, 3 articles" in ran.out


def test_codebook_is_markdown_in_a_pipe(framelens: Callable[..., Ran]) -> None:
    ran = framelens("codebook")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("# ")
    assert all(str(label) in ran.out for label in LABELS)


def test_version(framelens: Callable[..., Ran]) -> None:
    assert framelens("--version") == Ran(0, f"framelens {__version__}\n", "")


@pytest.mark.parametrize("command", [[], ["label"], ["info"], ["codebook"]])
def test_help_loads_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\nfrom framelens.cli import app\napp(standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'onnxruntime', 'pyarrow', 'numpy', 'tokenizers', 'nupunkt'}\n"
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "Usage:" in ran.stdout


@pytest.mark.skipif(shutil.which("script") is None, reason="needs script(1) for a pseudo-terminal")
def test_on_a_terminal(tmp_path: Path) -> None:
    command = f"{sys.executable} -c 'from framelens.cli import main; main()' label {ARTICLE}"
    environment = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    ran = subprocess.run(
        ["script", "-qec", command, "/dev/null"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=True,
        env=environment | {"TERM": "xterm-256color", "COLUMNS": "100"},
    )
    shown = ran.stdout.decode()
    assert "labelling" not in shown
    assert "\x1b[" in shown
    assert "│" in shown
    assert re.search(r"\d+ sentences: ", shown)
