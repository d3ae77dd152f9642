"""Which files a folder, a pattern or a saved dataset stands for, and that each is read."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from framelens.errors import InputError
from framelens.inputs import find_inputs
from framelens.readers import ReadOptions, check_inputs, read_records

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"text": f"Talks open on day {i}.", "n": i} for i in range(2500)]


def put(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"text": "A"}\n' if ".jsonl" in name else "A")


def relative(folder: Path, found: list[str]) -> list[str]:
    return [os.path.relpath(name, folder) for name in found]


def test_a_folder_is_its_files_in_the_order_of_their_paths(tmp_path: Path) -> None:
    put(tmp_path, "b/2.jsonl", "b/10.jsonl", "a.jsonl", "b.txt", "B/x.md", ".git/y.txt", ".z.txt", "b/n.docx")
    put(tmp_path, "README.md", "b/LICENSE.txt", "readme.jsonl")
    found = find_inputs([str(tmp_path)])
    expected = ["B/x.md", "a.jsonl", "b/10.jsonl", "b/2.jsonl", "b.txt", "readme.jsonl"]
    assert relative(tmp_path, found.files) == expected
    assert relative(tmp_path, found.skipped) == ["README.md", "b/LICENSE.txt", "b/n.docx"]
    assert sorted(relative(tmp_path, list(found.lenient))) == ["B/x.md", "b.txt"]


def test_a_pattern_is_its_files(tmp_path: Path) -> None:
    put(tmp_path, "x/2020/a.jsonl", "x/2021/a.jsonl", "x/a.csv", "x/a.docx")
    found = find_inputs([f"{tmp_path}/x/**/*.jsonl"])
    assert relative(tmp_path, found.files) == ["x/2020/a.jsonl", "x/2021/a.jsonl"]
    everything = find_inputs([f"{tmp_path}/x/*"])
    assert relative(tmp_path, everything.files) == ["x/2020/a.jsonl", "x/2021/a.jsonl", "x/a.csv"]
    assert relative(tmp_path, everything.skipped) == ["x/a.docx"]
    assert relative(tmp_path, find_inputs([f"{tmp_path}/**"]).files) == relative(tmp_path, everything.files)


def test_a_file_that_is_there_is_no_pattern(tmp_path: Path) -> None:
    put(tmp_path, "[1].txt", "1.txt")
    assert relative(tmp_path, find_inputs([f"{tmp_path}/[1].txt"]).files) == ["[1].txt"]
    named = find_inputs(["missing.txt", "-", str(tmp_path / "1.txt")])
    assert named.files == ["missing.txt", "-", str(tmp_path / "1.txt")]
    assert not named.lenient


def test_the_output_is_no_input(tmp_path: Path) -> None:
    put(tmp_path, "a.txt", "out/shards/part.parquet", "out.jsonl")
    for output, expected in (
        ("out", ["a.txt", "out.jsonl"]),
        ("out.jsonl", ["a.txt", "out/shards/part.parquet"]),
    ):
        for name in (tmp_path, f"{tmp_path}/**"):
            found = find_inputs([str(name)], tmp_path / output)
            assert relative(tmp_path, found.files) == expected


@pytest.mark.parametrize(("files", "got"), [([], "an empty one"), (["a.docx"], "1 of other suffixes")])
def test_a_folder_without_anything_to_read(tmp_path: Path, files: list[str], got: str) -> None:
    put(tmp_path, *files)
    with pytest.raises(InputError, match=got):
        find_inputs([str(tmp_path)])


def test_a_linked_folder_is_named_and_not_walked(tmp_path: Path) -> None:
    put(tmp_path, "a/x.txt")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    found = find_inputs([str(tmp_path)])
    assert relative(tmp_path, found.files) == ["a/x.txt"]
    assert relative(tmp_path, found.skipped) == ["a/loop"]


def test_an_unreadable_article_of_a_folder_is_a_bad_record(tmp_path: Path) -> None:
    put(tmp_path, "good.txt")
    (tmp_path / "bad.txt").write_bytes(b"caf\xe9")
    found = find_inputs([str(tmp_path)])
    options = ReadOptions(lenient=frozenset(found.lenient))
    assert len(check_inputs(found.files, options)) == 2
    bad, good = read_records(found.files, options)
    assert good.error is None
    assert bad.doc_id == str(tmp_path / "bad.txt")
    assert str(bad.error).startswith("line 1: expected text in UTF-8, got the byte 0xe9")
    with pytest.raises(InputError, match="0xe9"):
        list(read_records([str(tmp_path / "bad.txt")]))


def write_arrow(path: Path, form: str) -> None:
    table = pa.Table.from_pylist(ROWS)
    if form == "feather":
        pyarrow.feather.write_feather(table, path)
        return
    new = pa.ipc.new_file if form == "file" else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)


@pytest.mark.parametrize(
    ("name", "form"),
    [("t.arrow", "file"), ("t.arrow", "stream"), ("t.feather", "feather"), ("t.feather", "file")],
)
@pytest.mark.parametrize("skip", [0, 1, 699, 700, 1024, 2499, 2500])
def test_arrow_files_of_both_formats(tmp_path: Path, name: str, form: str, skip: int) -> None:
    write_arrow(tmp_path / name, form)
    source = str(tmp_path / name)
    (info,) = check_inputs([source])
    assert (info.columns, str(info.schema.field("n").type)) == (("n",), "int64")
    found = list(read_records([source], skip=skip))
    assert [(r.doc_id, r.text, r.columns) for r in found] == [
        (f"{source}:{i}", row["text"], {"n": i}) for i, row in enumerate(ROWS)
    ][skip:]


@pytest.mark.parametrize("data", [b"", b"FEA1 and more", b"ARROW1\0\0broken", b"neither"])
def test_damaged_arrow_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t.arrow").write_bytes(data)
    with pytest.raises(InputError, match="expected an Arrow file, got "):
        check_inputs([str(tmp_path / "t.arrow")])


SKIPPED = {
    "t.jsonl": "\n".join(json.dumps(row) + "\n" * (i % 3 == 0) for i, row in enumerate(ROWS)),
    "t.csv": "text,n\n" + "".join(f'"{row["text"]}\n""x""",{row["n"]}\n' for row in ROWS),
}


@pytest.mark.parametrize("name", [*SKIPPED, "t.parquet"])
@pytest.mark.parametrize("skip", [0, 1, 99, 100, 101, 1200, 2500])
def test_rows_that_were_read_before_are_skipped(tmp_path: Path, name: str, skip: int) -> None:
    source = tmp_path / name
    if name == "t.parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), source, row_group_size=600)
    else:
        source.write_text(SKIPPED[name])
    whole = list(read_records([source]))
    assert len(whole) == 2500
    assert list(read_records([source, source], skip=skip)) == whole[skip:] + whole


def test_folders_of_a_parquet_file_name_columns(tmp_path: Path) -> None:
    folder = tmp_path / "year=2020" / "outlet=A%20B" / "k=__HIVE_DEFAULT_PARTITION__" / "n=7"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"text": ["A"], "n": [1]}), folder / "p.parquet")
    (source,) = find_inputs([str(tmp_path)]).files
    (found,) = read_records([source])
    assert found.columns == {"n": 1, "year": "2020", "outlet": "A B", "k": None}
    (info,) = check_inputs([source])
    assert info.columns == ("n", "year", "outlet", "k")
    assert info.schema.names == ["n", "year", "outlet", "k"]


def save_to_disk(folder: Path, rows: list[dict[str, Any]], **state: Any) -> None:
    """As `datasets` lays it out."""
    folder.mkdir(parents=True)
    names = [f"data-{i:05}-of-00002.arrow" for i in range(2)]
    half = len(rows) // 2
    for name, part in zip(names, (rows[:half], rows[half:]), strict=True):
        table = pa.Table.from_pylist(part)
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": n} for n in names]} | state))
    (folder / "dataset_info.json").write_text("{}")
    (folder / "cache-1.arrow").write_text("a cache")


def test_a_saved_dataset_is_its_data_files(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "d", ROWS[:10])
    found = find_inputs([str(tmp_path / "d")])
    assert [r.text for r in read_records(found.files)] == [row["text"] for row in ROWS[:10]]
    assert not found.skipped


def test_a_saved_dict_of_datasets_is_its_splits_in_their_order(tmp_path: Path) -> None:
    for split, rows in (("train", ROWS[:6]), ("dev", ROWS[6:8])):
        save_to_disk(tmp_path / "d" / split, rows)
    (tmp_path / "d" / "dataset_dict.json").write_text('{"splits": ["train", "dev"]}')
    found = find_inputs([str(tmp_path / "d")])
    assert [r.text for r in read_records(found.files)] == [row["text"] for row in ROWS[:8]]
    (tmp_path / "d" / "dev" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(InputError, match="got no data-00001"):
        find_inputs([str(tmp_path / "d")])


def test_saved_datasets_that_cannot_be(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "selected", ROWS[:2], _indices_data_files=[{"filename": "indices.arrow"}])
    with pytest.raises(InputError, match="flatten_indices"):
        find_inputs([str(tmp_path / "selected")])
    save_to_disk(tmp_path / "broken", ROWS[:2])
    (tmp_path / "broken" / "state.json").write_text("[]")
    with pytest.raises(InputError, match="save it again"):
        find_inputs([str(tmp_path / "broken")])


def test_what_datasets_itself_saves(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_list(ROWS[:20])
    datasets.DatasetDict(
        {"train": whole.select(range(15)), "test": whole.select(range(15, 20))}
    ).save_to_disk(str(tmp_path / "d"), num_shards={"train": 2, "test": 1})
    found = find_inputs([str(tmp_path / "d")])
    assert [r.columns["n"] for r in read_records(found.files)] == list(range(20))


def test_a_link_that_leads_back_repeats_no_file_of_a_pattern(tmp_path: Path) -> None:
    put(tmp_path, "in/a.txt", "in/deep/b.txt")
    (tmp_path / "in" / "aaa").symlink_to(tmp_path / "in", target_is_directory=True)
    found = find_inputs([f"{tmp_path}/in/**/*.txt"])
    assert found.files == [f"{tmp_path}/in/a.txt", f"{tmp_path}/in/deep/b.txt"]
    assert f"{tmp_path}/in/aaa/a.txt" in found.skipped


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_no_text_give_ids_that_differ(tmp_path: Path) -> None:
    for byte in (b"\xfe", b"\xff"):
        (tmp_path / os.fsdecode(b"a" + byte + b".txt")).write_text("A")
    ids = [record.doc_id for record in read_records(find_inputs([str(tmp_path)]).files)]
    assert ids == [f"{tmp_path}/a\\udcfe.txt", f"{tmp_path}/a\\udcff.txt"]
