"""Inputs and jobs on an object store: what holds of local files holds there, and a put is whole or nothing.

The store is one in memory, behind the interface that Arrow's own stores have; only the opening of a
bucket by its URI is replaced.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import signal
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import fs
from rich.console import Console

from framelens import FramingClassifier, InputError, JobError, storage
from framelens.corpus_job import run_corpus
from framelens.fingerprint import describe_files
from framelens.inputs import find_inputs
from framelens.jobs import LabelJob, check_job
from framelens.manifest import describe_inputs
from framelens.readers import ReadOptions, check_inputs, read_records
from framelens.storage import ObjectPath, address, is_within, key_of, local_name, location, public
from framelens.workers import ModelSettings

if TYPE_CHECKING:
    from collections.abc import Callable

    from framelens.corpus_job import Outcome

DATA = Path(__file__).parents[1] / "data"
SECRETS = ("AKIAEXAMPLE", "wJalrXUtn", "endpoint_override", "minio.example")
ROOT = "s3://AKIAEXAMPLE:wJalrXUtn@bucket"
OPTIONS = "endpoint_override=minio.example:9000&scheme=http&region=eu-west-1"
HEDGED = "The convoy was reportedly hit near the bridge."
ROWS = [
    {"text": HEDGED, "n": 0},
    {"text": "Talks open on Monday in Corvane.", "n": 1},
    {"text": None, "n": 2},
] * 3


class OutOfReachError(OSError):
    """The store, or the process that speaks to it, is gone."""


class Bucket(fs.FileSystemHandler):
    """A bucket as S3 has it: no folders, no rename, and an object is there when its stream is closed."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.times: dict[str, int] = {}
        self.clock = 0
        #: Puts and removals that are still done; those behind them fail, as after a kill.
        self.left = math.inf
        #: What the first of these leaves under its name.
        self.debris: bytes | None = None
        self.unreadable: set[str] = set()
        self.before_write: Callable[[], None] = lambda: None

    def put(self, path: str, content: bytes) -> None:
        self.clock += 1
        self.objects[path] = content
        self.times[path] = self.clock * 10**9

    def change(self, path: str, content: bytes | None) -> None:
        """Put or remove an object, if the store can be reached."""
        if self.left <= 0:
            if self.left == 0 and content is not None and self.debris is not None:
                self.put(path, self.debris)
            self.left = -1
            raise OutOfReachError("connection lost")
        self.left -= 1
        if content is None:
            del self.objects[path]
        else:
            self.put(path, content)

    def get_type_name(self) -> str:
        return "bucket"

    def normalize_path(self, path: str) -> str:
        return path

    def _info(self, path: str) -> fs.FileInfo:
        if path in self.objects:
            size, time = len(self.objects[path]), self.times[path]
            return fs.FileInfo(path, fs.FileType.File, size=size, mtime_ns=time)
        is_folder = any(name.startswith(f"{path}/") for name in self.objects)
        return fs.FileInfo(path, fs.FileType.Directory if is_folder else fs.FileType.NotFound)

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        return [self._info(path) for path in paths]

    def get_file_info_selector(self, selector: Any) -> list[fs.FileInfo]:
        base = selector.base_dir
        found: dict[str, None] = {}
        for name in self.objects:
            if name.startswith(f"{base}/"):
                parts = name.removeprefix(f"{base}/").split("/")
                depth = len(parts) if selector.recursive else 1
                found |= dict.fromkeys("/".join((base, *parts[:n])) for n in range(1, depth + 1))
        return [self._info(path) for path in found]

    def delete_file(self, path: str) -> None:
        if path not in self.objects:
            raise FileNotFoundError(2, "No such object", path)
        self.change(path, None)

    def open_input_stream(self, path: str) -> Any:
        return self.open_input_file(path)

    def open_input_file(self, path: str) -> Any:
        if path in self.unreadable:
            raise OutOfReachError("connection lost")
        if path not in self.objects:
            raise FileNotFoundError(2, "No such object", path)
        return pa.PythonFile(io.BytesIO(self.objects[path]), mode="r")

    def open_output_stream(self, path: str, _: Any) -> Any:
        bucket = self

        class Upload(io.BytesIO):
            def write(self, data: Any) -> int:
                bucket.before_write()
                return super().write(data)

            def close(self) -> None:
                if not self.closed:
                    content = self.getvalue()
                    super().close()
                    bucket.change(path, content)

        return pa.PythonFile(Upload(), mode="w")

    def _none(self, *_: Any) -> Any:
        raise NotImplementedError("an object store has none")

    create_dir = delete_dir = delete_dir_contents = delete_root_dir_contents = _none
    move = copy_file = open_append_stream = _none


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    found = Bucket()
    monkeypatch.setattr(storage, "connect", opener(found))
    return found


def opener(bucket: Bucket) -> Callable[[str, str], tuple[Any, str]]:
    """What opens the bucket, whatever the credentials and options."""
    opened = fs.PyFileSystem(bucket)
    return lambda *_: (opened, "bucket")


def uri(key: str) -> str:
    return f"{ROOT}/{key}?{OPTIONS}"


def upload(bucket: Bucket, folder: Path, key: str) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            bucket.put(f"bucket/{key}/{path.relative_to(folder).as_posix()}", path.read_bytes())


# Names


@given(
    st.lists(st.text("aZ ?%#*[=&@:ä\n.", min_size=1).filter(lambda part: part.strip(".")), min_size=1),
    st.sampled_from([ROOT, "gs://bucket", "abfs://container@account.dfs.core.windows.net"]),
    st.sampled_from(["", OPTIONS]),
)
def test_a_name_finds_its_object_again(parts: list[str], root: str, options: str) -> None:
    path = ObjectPath(root, "/".join(parts), options)
    assert location(path.uri) == path
    assert address(path) == path.uri
    assert public(path.uri) == str(path) == public(str(path))
    assert key_of(str(path)).endswith(f"/{path.key}")
    assert location(str(path)).name == parts[-1] == path.name
    assert (path / "x").is_relative_to(path)
    assert not path.is_relative_to(path / "x")
    assert not any(secret in str(path) + repr(path) for secret in SECRETS)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("S3://bucket/a.txt", "s3://bucket/a.txt"),
        ("gs://anonymous@bucket/a?x=y", "gs://bucket/a"),
        ("abfs://news:PW@account.dfs.core.windows.net/a?sas=1", "abfs://news@account.dfs.core.windows.net/a"),
        ("s3://KEY:wJa/lrX@bucket/a", "s3://"),
        ("https://ann:PW@example.org/a?token=1", "https://example.org/a"),
        ("data/a?.txt", "data/a?.txt"),
        ("C:\\news\\a.txt", "C:\\news\\a.txt"),
    ],
)
def test_what_is_told_of_a_name(name: str, told: str) -> None:
    assert public(name) == told


def test_names_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^https://example.org/a.txt: expected .* fetch it first$"):
        find_inputs(["https://ann:PW@example.org/a.txt?token=1"])
    with pytest.raises(InputError, match="expected a bucket behind"):
        find_inputs(["s3:///a.txt"])
    with pytest.raises(InputError, match="%2F") as found:
        find_inputs(["s3://KEY:wJa/lrX@bucket/a.txt"])
    assert "wJa" not in str(found.value)
    assert "lrX" not in str(found.value)
    with pytest.raises(InputError, match="got the host server"):
        local_name("file://server/a.txt")


def test_options_are_those_of_pyarrow_and_anonymous() -> None:
    system, base = storage.connect("s3://KEY:SECRET@bucket", "region=eu-west-1&endpoint_override=localhost:9")
    assert (system.type_name, system.region, base) == ("s3", "eu-west-1", "bucket")
    system, base = storage.connect("s3://bucket", "anonymous=true&region=eu-west-3")
    assert (system.type_name, system.region, base) == ("s3", "eu-west-3", "bucket")
    for options in ("colour=red", "anonymous=true&colour=red", "anonymous=maybe"):
        with pytest.raises(InputError, match=r"colour|anonymous") as found:
            storage.connect("s3://KEY:SECRET@bucket", options)
        assert "SECRET" not in str(found.value)


def test_a_file_uri_is_the_local_file(tmp_path: Path) -> None:
    source = tmp_path / "a b.jsonl"
    source.write_text(json.dumps(ROWS[0]))
    assert find_inputs([source.as_uri()]).files == [str(source)]
    assert find_inputs([f"{tmp_path.as_uri()}/*.jsonl"]).files == [str(source)]
    job = LabelJob((source.as_uri(),), f"{tmp_path.as_uri()}/out/")
    assert (job.output, job.in_shards) == (f"{tmp_path}/out/", True)
    assert is_within(str(source), str(tmp_path))
    assert not is_within(str(source), "s3://bucket/")
    assert not is_within("s3://bucket/a", str(tmp_path))


# Inputs


def write(path: Path) -> None:
    """The rows, in the format that the name tells."""
    table = pa.Table.from_pylist(ROWS)
    suffix, _, compression = path.name.partition(".")[2].partition(".")
    if suffix == "parquet":
        pq.write_table(table, path, row_group_size=2)
    elif suffix == "feather":
        pyarrow.feather.write_feather(table, path)
    elif suffix == "arrow":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
            stream.write_table(table, max_chunksize=2)
    else:
        if suffix == "jsonl":
            content = "".join(json.dumps(row) + "\n" for row in ROWS)
        elif suffix == "csv":
            content = "text,n\n" + "".join(f'"{row["text"]}",{row["n"]}\n' for row in ROWS)
        else:
            content = (DATA / "articles" / "wire_harbour.txt").read_text("utf-8")
        data = content.encode()
        if compression == "gz":
            data = gzip.compress(data)
        elif compression == "zst":
            data = pa.compress(data, "zstd", asbytes=True)
        path.write_bytes(data)


NAMES = [
    *("a.txt", "a.txt.gz", "a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.csv.gz", "a.csv.zst"),
    *("a.parquet", "a.feather", "a.arrow"),
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("skip", [0, 4])
def test_every_format_gives_the_rows_of_the_local_file(
    bucket: Bucket, tmp_path: Path, name: str, skip: int
) -> None:
    folder = tmp_path / "year=20%2020"
    folder.mkdir()
    write(folder / name)
    upload(bucket, tmp_path, "in")
    here, there = str(folder / name), find_inputs([uri("in/")]).files[0]
    key = public(there)
    local = list(read_records([here], skip=skip))
    remote = list(read_records([there], skip=skip))
    assert [record.doc_id.replace(key, here) for record in remote] == [record.doc_id for record in local]
    assert key == f"s3://bucket/in/year=20%252020/{name}"
    rest = [(record.text, record.columns, record.error, record.context) for record in remote]
    assert rest == [(record.text, record.columns, record.error, record.context) for record in local]
    assert bool(local) == (".txt" not in name or not skip)
    # What is known of both beforehand is the same too, and what is told of them.
    (known_here,), (known_there,) = check_inputs([here]), check_inputs([there])
    assert known_here.columns == known_there.columns
    assert known_here.schema == known_there.schema
    assert describe_inputs([here]) == describe_inputs([there])
    (described,) = describe_files([there])
    assert described["name"] == key
    assert described["sha256"] == describe_files([here])[0]["sha256"]


PARTS = st.lists(
    st.sampled_from(["a", "b.txt", "c.jsonl", ".d", "e=1", "README.md", "x.docx"]), min_size=1, max_size=3
)
PATTERNS = ["*", "**", "**/*.txt", "a/*", "*/*.jsonl", "[ab]*", "a/**/b.txt", ".d/*", "e=1/*/b.txt"]


@settings(max_examples=60, deadline=None)
@given(st.sets(PARTS.map(tuple), min_size=1, max_size=8), st.sampled_from(["", *PATTERNS]))
def test_a_folder_and_a_pattern_stand_for_what_they_do_here(
    trees: set[tuple[str, ...]], pattern: str
) -> None:
    # No name is both a file and a folder on a disk.
    files = [parts for parts in trees if not any(parts == other[: len(parts)] != other for other in trees)]
    found = Bucket()
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "connect", opener(found))
        top = Path(name).resolve()
        for parts in files:
            path = top.joinpath(*parts)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("A")
        upload(found, top, "in")

        def seen(name: str, prefix: str) -> Any:
            try:
                inputs = find_inputs([name])
            except InputError as error:
                return str(error).split(": ", 1)[1].split(";")[0]
            names = inputs.files, inputs.skipped, sorted(inputs.lenient)
            return [[public(entry).removeprefix(prefix) for entry in entries] for entries in names]

        assert seen(uri(f"in/{pattern}"), "s3://bucket/in/") == seen(f"{top}/{pattern}", f"{top}/")


def test_a_folder_that_holds_the_output_and_names_that_are_not_there(bucket: Bucket) -> None:
    for key in ("in/b.jsonl", "in/a.jsonl", "in/out/shards/part-000000.parquet", "in/outer.jsonl"):
        bucket.put(f"bucket/{key}", b'{"text": "A"}')
    found = find_inputs([uri("in")], location(uri("in/out/")))
    assert list(map(public, found.files)) == [f"s3://bucket/in/{n}.jsonl" for n in ("a", "b", "outer")]
    for name, got in (("in/zz.jsonl", "expected an object, got none"), ("in/out", "got a folder")):
        with pytest.raises(InputError, match=got) as error:
            check_inputs([uri(name)])
        assert not any(secret in str(error.value) for secret in SECRETS)
    with pytest.raises(InputError, match="expected a folder with files to read, got an empty one"):
        find_inputs([uri("zz/")])
    with pytest.raises(InputError, match="expected every input once"):
        check_job(LabelJob((uri("in/a.jsonl"), "s3://bucket/in/a.jsonl"), uri("out/")))
    with pytest.raises(InputError, match="expected a folder without inputs"):
        check_job(LabelJob((uri("in/a.jsonl"),), uri("in/")))


def test_saved_datasets(bucket: Bucket, tmp_path: Path) -> None:
    for split in ("train", "dev"):
        folder = tmp_path / "d" / split
        folder.mkdir(parents=True)
        write(folder / "data-0.arrow")
        (folder / "state.json").write_text('{"_data_files": [{"filename": "data-0.arrow"}]}')
        (folder / "cache-1.arrow").write_text("a cache")
    (tmp_path / "a.jsonl").write_text(json.dumps(ROWS[0]))
    (tmp_path / "e.jsonl").write_text(json.dumps(ROWS[0]))
    upload(bucket, tmp_path, "in")
    parts = ["a.jsonl", "d/dev/data-0.arrow", "d/train/data-0.arrow", "e.jsonl"]
    assert list(map(public, find_inputs([uri("in/")]).files)) == [f"s3://bucket/in/{name}" for name in parts]
    bucket.put("bucket/in/d/dataset_dict.json", b'{"splits": ["train", "dev"]}')
    for name in ("in/d/", "in/[d]"):
        found = list(map(public, find_inputs([uri(name)]).files))
        assert found == [f"s3://bucket/in/{parts[2]}", f"s3://bucket/in/{parts[1]}"]
    del bucket.objects["bucket/in/d/dev/data-0.arrow"]
    with pytest.raises(InputError, match=r"^s3://bucket/in/d/dev: .* got no data-0.arrow"):
        find_inputs([uri("in/")])
    bucket.unreadable.add("bucket/in/d/dataset_dict.json")
    with pytest.raises(JobError, match="connection lost"):
        find_inputs([uri("in/")])


@pytest.mark.parametrize("suffix", ["txt", "txt.gz", "jsonl.zst", "parquet", "arrow"])
def test_a_store_that_fails_is_no_bad_record(bucket: Bucket, tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a.{suffix}")
    upload(bucket, tmp_path, "in")
    name = uri(f"in/a.{suffix}")
    options = ReadOptions(lenient={name})
    bucket.objects[f"bucket/in/a.{suffix}"] = b"\xff\xfe damaged"
    if "txt" in suffix:
        (record,) = read_records([name], options)
        assert record.error
    else:
        with pytest.raises(InputError, match=r"^s3://bucket/in/a"):
            list(read_records([name], options))
    bucket.unreadable.add(f"bucket/in/a.{suffix}")
    with pytest.raises(JobError, match="connection lost") as error:
        list(read_records([name], options))
    assert not any(secret in str(error.value) for secret in SECRETS)
    with pytest.raises(JobError, match="connection lost"):
        describe_files([name])


def test_a_connection_lost_in_the_middle_is_no_damaged_file(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cut(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0:
                raise OutOfReachError("connection lost")
            return super().read(min(1000, size or 1000))

    def cut(data: bytes, _: str) -> Any:
        return pa.PythonFile(Cut(data), mode="r")

    content = os.urandom(5000).hex().encode()
    for suffix, data in (("gz", gzip.compress(content)), ("zst", pa.compress(content, "zstd", asbytes=True))):
        bucket.put(f"bucket/a.txt.{suffix}", data)
        name = uri(f"a.txt.{suffix}")
        monkeypatch.setattr(bucket, "open_input_stream", partial(cut, data))
        with pytest.raises(JobError, match="connection lost"):
            list(read_records([name], ReadOptions(lenient={name})))


# Puts


def test_a_put_is_whole_though_control_c_falls_into_it(bucket: Bucket) -> None:
    path = ObjectPath.parse(uri("out/x.bin"))
    content = os.urandom(100_000)
    bucket.before_write = lambda: signal.raise_signal(signal.SIGINT)
    # A shell starts what runs in its background without it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            path.write_bytes(content)
    finally:
        signal.signal(signal.SIGINT, before)
    assert bucket.objects == {"bucket/out/x.bin": content}


def test_what_a_put_leaves(bucket: Bucket) -> None:
    path = ObjectPath.parse(uri("out/x.gz"))
    path.write_bytes(b"content")
    # Not compressed for its name.
    assert bucket.objects == {"bucket/out/x.gz": b"content"}
    bucket.left = 0
    with pytest.raises(JobError, match="connection lost") as error:
        path.write_bytes(b"other")
    assert not any(secret in str(error.value) for secret in SECRETS)
    assert bucket.objects == {"bucket/out/x.gz": b"content"}
    bucket.left = 1
    path.unlink()
    path.unlink(missing_ok=True)
    with pytest.raises(JobError, match="No such object"):
        path.unlink()


# Jobs


@pytest.fixture(scope="module")
def classifier() -> FramingClassifier:
    return FramingClassifier(threads=1, lookahead=64)


@pytest.fixture
def label(classifier: FramingClassifier, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a job in this process, with a model that is loaded once."""
    monkeypatch.setattr(ModelSettings, "build", lambda _: classifier)

    def run(out: str | Path, *inputs: str | Path, err: io.StringIO | None = None, **job: Any) -> Outcome:
        job = {"shard_size": 3, "text_column": "text"} | job
        what = LabelJob(tuple(map(str, inputs)), str(out), **job)
        return run_corpus(what, ModelSettings("bundled", {}), Console(file=err or io.StringIO()), workers=1)

    return run


def source(bucket: Bucket, key: str = "in/a.jsonl") -> str:
    bucket.put(
        f"bucket/{key}",
        "".join(json.dumps(row | {"id": f"r{i}"}) + "\n" for i, row in enumerate(ROWS)).encode(),
    )
    return uri(key)


def objects(bucket: Bucket, key: str) -> dict[str, bytes]:
    prefix = f"bucket/{key}/"
    return {
        path.removeprefix(prefix): data for path, data in sorted(bucket.objects.items()) if prefix in path
    }


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_job_there_is_the_job_here(
    bucket: Bucket, label: Callable[..., Outcome], tmp_path: Path, form: str
) -> None:
    name, err = source(bucket), io.StringIO()
    local = tmp_path / "a.jsonl"
    local.write_bytes(bucket.objects["bucket/in/a.jsonl"])
    label(f"{tmp_path}/out/", local, format=form, id_column="id")
    outcome = label(uri("out/"), name, format=form, id_column="id", err=err)
    assert outcome.counts.records == len(ROWS)
    there = objects(bucket, "out")
    here = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*.*")}
    assert sorted(there) == sorted(here)
    shards = [name for name in there if name.startswith("shards/")]
    assert len(shards) == 3
    assert [there[name] for name in shards] == [here[name].read_bytes() for name in shards]
    manifests = [
        json.loads(content) for content in (there["manifest.json"], here["manifest.json"].read_bytes())
    ]
    for field in ("records", "statuses", "shards", "model_digest", "skipped", "sentences"):
        assert manifests[0][field] == manifests[1][field]
    assert manifests[0]["arguments"]["inputs"] == ["s3://bucket/in/a.jsonl"]
    assert manifests[0]["arguments"]["output"] == "s3://bucket/out/"
    assert label(uri("out/"), name, format=form, id_column="id", err=err).had_been_done
    # From here with other credentials, it is the same job.
    assert label("s3://bucket/out/", "s3://bucket/in/a.jsonl", format=form, id_column="id").had_been_done


def test_no_secret_is_written_or_told(bucket: Bucket, label: Callable[..., Outcome]) -> None:
    source(bucket)
    bucket.put("bucket/in/bad.txt", b"\xff")
    bucket.put("bucket/in/scan.pdf", b"%PDF")
    err = io.StringIO()
    label(uri("out/"), uri("in/"), err=err, format="jsonl")
    rows = [
        json.loads(line)
        for name, data in objects(bucket, "out").items()
        if "shards/" in name
        for line in data.splitlines()
    ]
    ids = ["s3://bucket/in/a.jsonl:8", "s3://bucket/in/bad.txt"]
    assert [row["doc_id"] for row in rows][-2:] == ids
    bucket.put("bucket/in/a.jsonl", b'{"text": "Other."}')
    with pytest.raises(InputError) as changed:
        label(uri("out/"), uri("in/"), err=err, format="jsonl")
    everything = b"".join(objects(bucket, "out").values()).decode() + err.getvalue() + str(changed.value)
    assert "s3://bucket/in/scan.pdf" in everything
    assert not any(secret in everything for secret in SECRETS)


def test_a_changed_input_and_another_job_are_refused(bucket: Bucket, label: Callable[..., Outcome]) -> None:
    name = source(bucket)
    label(uri("out/"), name)
    before = objects(bucket, "out")
    content = bucket.objects["bucket/in/a.jsonl"]
    bucket.put("bucket/in/a.jsonl", content.replace(b"Monday", b"Friday"))
    with pytest.raises(InputError, match=r"content of s3://bucket/in/a.jsonl \(of the same size"):
        label(uri("out/"), name)
    # Put back, it is the same though its time is not.
    bucket.put("bucket/in/a.jsonl", content)
    assert label(uri("out/"), name).had_been_done
    with pytest.raises(InputError, match="shard_size 3 -> 4"):
        label(uri("out/"), name, shard_size=4)
    assert objects(bucket, "out") == before
    bucket.put("bucket/other/x.csv", b"")
    bucket.put("bucket/other/y.csv", b"a")
    with pytest.raises(InputError, match=r"one with y.csv; choose another"):
        label(uri("other/"), name)
    bucket.put("bucket/above/in/y.csv", b"a")
    with pytest.raises(InputError, match=r"^s3://bucket/above/: .* one with in; choose another"):
        label(uri("above/"), name)
    with pytest.raises(InputError, match="expected a folder, got an object"):
        label(uri("other/y.csv/"), name)
    del bucket.objects["bucket/out/job.json"]
    with pytest.raises(InputError, match="expected what the shards beside it were made by, got nothing"):
        label(uri("out/"), name)


def test_a_shard_that_is_gone_or_cut_is_written_again(bucket: Bucket, label: Callable[..., Outcome]) -> None:
    name = source(bucket)
    label(uri("out/"), name)
    before = {path: data for path, data in objects(bucket, "out").items() if "shards/" in path}
    del bucket.objects["bucket/out/shards/part-000000.parquet"]
    bucket.objects["bucket/out/shards/part-000002.parquet"] = b""
    assert not label(uri("out/"), name).had_been_done
    assert {path: data for path, data in objects(bucket, "out").items() if "shards/" in path} == before


def test_a_job_that_is_worked_on_is_refused(
    bucket: Bucket,
    label: Callable[..., Outcome],
    classifier: FramingClassifier,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = source(bucket)
    refused = []

    def build(_: ModelSettings) -> FramingClassifier:
        with pytest.raises(JobError) as error:
            label(uri("out/"), name)
        refused.append(str(error.value))
        raise KeyboardInterrupt

    monkeypatch.setattr(ModelSettings, "build", build)
    with pytest.raises(KeyboardInterrupt):
        label(uri("out/"), name)
    (told,) = refused
    assert f"worked on by process {os.getpid()} on" in told
    assert "remove s3://bucket/out/lock and repeat" in told
    # Ctrl-C takes the lock back.
    assert not objects(bucket, "out")
    # The lock of another process, which began in the same moment, is left to it.
    monkeypatch.setattr(
        ModelSettings, "build", lambda _: bucket.put("bucket/out/lock", b"another") or classifier
    )
    label(uri("out/"), name)
    assert objects(bucket, "out")["lock"] == b"another"


@pytest.mark.parametrize("debris", [None, b""])
def test_killed_at_every_put(bucket: Bucket, label: Callable[..., Outcome], debris: bytes | None) -> None:
    """Behind the n-th put or removal the store answers no more, as it does to a process that is dead."""
    name = source(bucket)
    label(uri("whole/"), name)
    whole = objects(bucket, "whole")
    n_kills = 0
    while True:
        bucket.left, bucket.debris = n_kills, debris
        key = f"out{n_kills}"
        with suppress(JobError):
            label(uri(f"{key}/"), name)
        died = bucket.left < 0
        bucket.left = math.inf
        left = objects(bucket, key)
        assert all(data in (b"", whole[path]) for path, data in left.items() if "shards/" in path)
        if left.get("lock"):
            with pytest.raises(JobError, match="remove s3://bucket/out"):
                label(uri(f"{key}/"), name)
            del bucket.objects[f"bucket/{key}/lock"]
        label(uri(f"{key}/"), name)
        again = objects(bucket, key)
        assert sorted(again) == sorted(whole)
        assert {path: data for path, data in again.items() if "shards/" in path} == {
            path: data for path, data in whole.items() if "shards/" in path
        }
        if not died:
            break
        n_kills += 1
    # The lock, the plan in two files, three shards with their commits, the manifest, and the lock again.
    assert n_kills == 1 + 2 + 3 * 2 + 1 + 1


def test_one_file_there_is_refused(bucket: Bucket) -> None:
    name = source(bucket)
    for output in (uri("out/x.parquet"), "gs://bucket/x.svg"):
        with pytest.raises(InputError, match=r"give a folder, such as .*/ with its slash") as error:
            check_job(LabelJob((name,), output))
        assert not any(secret in str(error.value) for secret in SECRETS)
    with pytest.raises(InputError, match="end it in a slash for a folder of shards"):
        check_job(LabelJob((name,), "s3://bucket/out"))
