"""What can be read, what is refused, and how that is said."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import os
import tracemalloc
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framelens.decoding import MAX_RECORD_BYTES
from framelens.errors import InputError
from framelens.readers import InputKind, ReadOptions, Record, check_inputs, input_kind, read_records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXTS = ["One, two.", 'She said "no".\nAnd left.', "Київ — “да”; 北京", "", "a\ttab\r\nand a CR LF"]


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue().to_pybytes())


COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstd}


def jsonl(*rows: Any) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def csv_bytes(*rows: list[str], separator: str = ",") -> bytes:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=separator).writerows(rows)
    return buffer.getvalue().encode()


def parquet_bytes(columns: dict[str, Any]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return bytes(sink.getvalue().to_pybytes())


def put(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return str(folder / name)


def message(call: Callable[[], Any], source: str) -> str:
    """The message of the error, which names the input, fits on one line and says what to do."""
    with pytest.raises(InputError) as caught:
        call()
    text = str(caught.value)
    assert text.startswith(f"{source}: ")
    assert len(text.splitlines()) == 1
    assert "expected" in text
    assert ", got " in text
    assert "; " in text  # what to do stands behind it
    return text


def refused(source: str, **columns: str) -> str:
    """The message that the check and the reading agree on."""
    checked = message(lambda: check_inputs([source], ReadOptions(**columns)), source)
    read = message(lambda: list(read_records([source], ReadOptions(**columns))), source)
    assert checked == read
    return checked


# --- articles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.txt", "a.md", "A.TXT", "a.txt.gz", "a.txt.zst", "a.md.gz"])
def test_an_article_is_one_record_with_its_text_unchanged(tmp_path: Path, name: str) -> None:
    text = "Erste Zeile.\r\nZweite – “quoted”.\rDritte.\n\n"
    compress = next(COMPRESS[end] for end in (".gz", ".zst", "") if name.endswith(end))
    source = put(tmp_path, name, compress(text.encode()))
    assert list(read_records([source])) == [Record(source, text, {})]
    assert list(read_records([tmp_path / name])) == [Record(source, text, {})]


def test_a_byte_order_mark_is_taken_off_once(tmp_path: Path) -> None:
    mark = "\ufeff".encode()
    article = put(tmp_path, "a.txt", mark + mark + b"Text.")
    lines = put(tmp_path, "b.jsonl", mark + jsonl({"text": "Text."}))
    table = put(tmp_path, "c.csv", mark + b"text,outlet\nText.,x\n")
    assert [r.text for r in read_records([article, lines, table])] == ["\ufeffText.", "Text.", "Text."]


def test_standard_input_is_an_article(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO("Ça va.\r\n".encode())))
    assert check_inputs(["-"])[0].kind is InputKind.ARTICLE
    assert list(read_records(["-"])) == [Record("-", "Ça va.\r\n", {})]


def test_broken_standard_input_is_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"ok\nna\xefve")))
    assert "line 2" in message(lambda: list(read_records(["-"])), "standard input")


def test_standard_input_is_given_once() -> None:
    assert "give it once" in message(lambda: check_inputs(["-", "-"]), "standard input")


def test_no_input_is_an_error() -> None:
    with pytest.raises(InputError, match="at least one input, got none; give"):
        check_inputs([])


# --- tables ---------------------------------------------------------------------------------------

ROWS = [{"id": str(i), "text": text, "outlet": "Le Monde"} for i, text in enumerate(TEXTS)]
CELLS = [list(ROWS[0]), *([row["id"], row["text"], row["outlet"]] for row in ROWS)]
TABLES = {
    **{f"t{kind}{end}": COMPRESS[end](jsonl(*ROWS)) for kind in (".jsonl", ".ndjson") for end in COMPRESS},
    **{f"t.csv{end}": COMPRESS[end](csv_bytes(*CELLS)) for end in COMPRESS},
    **{f"t.tsv{end}": COMPRESS[end](csv_bytes(*CELLS, separator="\t")) for end in COMPRESS},
    "t.parquet": parquet_bytes({name: [row[name] for row in ROWS] for name in ROWS[0]}),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_gives_one_record_a_row(tmp_path: Path, name: str) -> None:
    source = put(tmp_path, name, TABLES[name])
    found = list(read_records([source], ReadOptions(id_column="id")))
    assert found == [Record(row["id"], row["text"], {"outlet": "Le Monde"}) for row in ROWS]
    unnamed = list(read_records([source]))
    assert [r.doc_id for r in unnamed] == [f"{source}:{i}" for i in range(len(ROWS))]
    assert [r.columns for r in unnamed] == [{"id": r["id"], "outlet": "Le Monde"} for r in ROWS]


@pytest.mark.parametrize("name", TABLES)
def test_the_check_tells_kind_and_own_columns(tmp_path: Path, name: str) -> None:
    table, article = put(tmp_path, name, TABLES[name]), put(tmp_path, "a.txt", b"Text.")
    first, second = check_inputs([article, table], ReadOptions(id_column="id"))
    assert (first.source, first.kind, first.columns) == (article, InputKind.ARTICLE, ())
    assert (second.source, second.kind, second.columns) == (table, InputKind.TABLE, ("outlet",))


def test_inputs_are_read_in_their_order(tmp_path: Path) -> None:
    table, article = put(tmp_path, "z.csv", b"text\nA\nB\n"), put(tmp_path, "a.txt", b"C")
    texts = [record.text for record in read_records([table, article, table])]
    assert texts == ["A", "B", "C", "A", "B"]


def test_the_only_column_of_strings_is_the_text(tmp_path: Path) -> None:
    sources = [
        put(tmp_path, "a.jsonl", jsonl({"n": 1, "body": None}, {"n": 2, "body": "B"})),
        put(tmp_path, "b.csv", b"body\nB\n"),
        put(tmp_path, "c.parquet", parquet_bytes({"n": [1], "body": ["B"]})),
    ]
    assert [r.text for r in read_records(sources)] == ["", "B", "B", "B"]


def test_a_column_that_is_needed_otherwise_is_not_taken_for_the_text(tmp_path: Path) -> None:
    source = put(tmp_path, "a.csv", b"key,body,before\n7,B,A\n")
    found = list(read_records([source], ReadOptions(id_column="key", context_column="before")))
    assert found == [Record("7", "B", {"before": "A"}, context="A")]


def test_the_text_column_is_found_by_name_among_many(tmp_path: Path) -> None:
    source = put(tmp_path, "a.csv", b"title,text\nT,B\n")
    assert [r.text for r in read_records([source])] == ["B"]
    assert [r.text for r in read_records([source], ReadOptions(text_column="title"))] == ["T"]
    assert [r.columns for r in read_records([source], ReadOptions(text_column="title"))] == [{"text": "B"}]


def test_context_is_read_and_may_be_null(tmp_path: Path) -> None:
    rows = [{"text": "A", "before": "Z"}, {"text": "B", "before": None}, {"text": "C"}]
    source = put(tmp_path, "a.jsonl", jsonl(*rows))
    found = list(read_records([source], ReadOptions(context_column="before")))
    assert [(r.text, r.context, r.error) for r in found] == [
        ("A", "Z", None),
        ("B", None, None),
        ("C", None, None),
    ]


@pytest.mark.parametrize(
    ("value", "said"), [(None, "null"), (12, "int"), (["a"], "list"), (True, "bool"), ({}, "dict")]
)
def test_a_record_without_text_is_kept_and_says_why(tmp_path: Path, value: Any, said: str) -> None:
    source = put(tmp_path, "a.jsonl", jsonl({"text": "A"}, {"text": value, "n": 5}, {"text": "C"}))
    before, broken, after = read_records([source])
    assert (before.error, after.error) == (None, None)
    assert (broken.doc_id, broken.text, broken.columns) == (f"{source}:1", "", {"n": 5})
    assert broken.error is not None
    assert "'text'" in broken.error
    assert said in broken.error


def test_records_that_lack_the_text_are_kept(tmp_path: Path) -> None:
    lines = put(tmp_path, "a.jsonl", jsonl({"text": "A"}, {"other": "B"}))
    table = put(tmp_path, "a.parquet", parquet_bytes({"text": ["A", None]}))
    empty = put(tmp_path, "b.parquet", parquet_bytes({"text": pa.nulls(1)}))
    found = list(read_records([lines, table, empty]))
    assert [(r.text, r.error is None) for r in found] == [("A", True), ("", False)] * 2 + [("", False)]


def test_context_that_is_no_text_is_an_error_of_its_record(tmp_path: Path) -> None:
    source = put(tmp_path, "a.jsonl", jsonl({"text": "A", "before": 3}, {"text": "B", "before": "A"}))
    first, second = read_records([source], ReadOptions(context_column="before"))
    assert first.error is not None
    assert "'before'" in first.error
    assert (second.error, second.context) == (None, "A")


def test_half_a_surrogate_pair_is_an_error_of_its_record(tmp_path: Path) -> None:
    source = put(tmp_path, "a.jsonl", b'{"text": "ab\\ud83d"}\n{"text": "ab\\ud83d\\ude00"}\n')
    broken, whole = read_records([source])
    assert broken.error is not None
    assert "character 2" in broken.error
    assert (whole.text, whole.error) == ("ab\U0001f600", None)


def test_an_id_may_be_a_number_and_a_missing_one_is_the_place(tmp_path: Path) -> None:
    source = put(tmp_path, "a.jsonl", jsonl({"id": 7, "text": "A"}, {"id": None, "text": "B"}, {"text": "C"}))
    assert [r.doc_id for r in read_records([source], ReadOptions(id_column="id"))] == [
        "7",
        f"{source}:1",
        f"{source}:2",
    ]


def test_blank_lines_are_no_records(tmp_path: Path) -> None:
    lines = put(tmp_path, "a.jsonl", b'{"text": "A"}\r\n\r\n  \n{"text": "B"}')
    table = put(tmp_path, "a.csv", b'text\r\nA\r\n\r\n""\r\n')
    assert [(r.doc_id, r.text) for r in read_records([lines, table])] == [
        (f"{lines}:0", "A"),
        (f"{lines}:1", "B"),
        (f"{table}:0", "A"),
        (f"{table}:1", ""),
    ]


def test_lines_end_at_line_feeds_only(tmp_path: Path) -> None:
    text = "a\u2028b\x0bc\x85d\re"
    lines = put(tmp_path, "a.jsonl", json.dumps({"text": text[:-2]}, ensure_ascii=False).encode())
    table = put(tmp_path, "a.csv", csv_bytes(["text", "n"], [text, "1"]))
    assert [r.text for r in read_records([lines, table])] == [text[:-2], text]


def test_a_table_may_have_a_header_and_no_rows(tmp_path: Path) -> None:
    table = put(tmp_path, "a.csv", b"text,outlet\n")
    other = put(tmp_path, "a.parquet", parquet_bytes({"text": pa.array([], pa.string())}))
    assert [info.columns for info in check_inputs([table, other])] == [("outlet",), ()]
    assert list(read_records([table, other])) == []


def test_long_fields_are_read(tmp_path: Path) -> None:
    # csv refuses fields beyond 128 KiB unless it is told otherwise.
    text = "x" * 1_000_000
    source = put(tmp_path, "a.csv", csv_bytes(["text", "n"], [text, "1"]))
    assert [len(r.text) for r in read_records([source])] == [1_000_000]


def test_parquet_values_are_plain_python(tmp_path: Path) -> None:
    moment = datetime(2024, 5, 1, 12, 30, tzinfo=UTC)
    columns = {
        "text": pa.array(["A", "B"]).dictionary_encode(),
        "when": pa.array([moment, None], pa.timestamp("ns", "UTC")),
        "tags": pa.array([["a", "b"], []]),
        "more": pa.array([{"n": 1}, None]),
    }
    source = put(tmp_path, "a.parquet", parquet_bytes(columns))
    first, second = read_records([source])
    assert first == Record(f"{source}:0", "A", {"when": moment, "tags": ["a", "b"], "more": {"n": 1}})
    assert type(first.columns["when"]) is datetime
    assert second == Record(f"{source}:1", "B", {"when": None, "tags": [], "more": None})


def test_large_strings_and_string_views_are_text(tmp_path: Path) -> None:
    source = put(tmp_path, "a.parquet", parquet_bytes({"n": [1], "body": pa.array(["A"], pa.large_string())}))
    assert [r.text for r in read_records([source])] == ["A"]


# --- laziness -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.tsv"])
def test_rows_are_read_as_they_are_taken(tmp_path: Path, name: str) -> None:
    # The file is broken behind row 20 000: whoever reads ahead trips over that.
    good, bad = (b'{"text": "A"}\n', b"broken\n") if "json" in name else (b"A\n", b'"A"broken\n')
    head = b"" if "json" in name else b"text\n"
    compress = next(COMPRESS[end] for end in (".gz", ".zst", "") if name.endswith(end))
    source = put(tmp_path, name, compress(head + good * 20_000 + bad))
    check_inputs([source])
    records = read_records([source])
    assert [r.text for r in itertools.islice(records, 19_000)] == ["A"] * 19_000
    assert "line 2000" in message(lambda: list(records), source)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv.zst"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, name: str) -> None:
    text = "word " * 80
    rows = jsonl({"text": text}) * 10_000 if "json" in name else b"text\n" + f"{text}\n".encode() * 10_000
    source = put(tmp_path, name, zstd(rows) if "zst" in name else rows)
    tracemalloc.start()
    try:
        n = sum(1 for _ in read_records([source]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n == 10_000
    assert peak < 1_000_000  # the texts are 4 MB


def test_memory_for_parquet_is_that_of_a_row_group(tmp_path: Path) -> None:
    texts = pa.table({"text": [os.urandom(100).hex() for _ in range(20_000)]})
    pq.write_table(texts, tmp_path / "a.parquet", row_group_size=1000)
    del texts
    before = pa.total_allocated_bytes()
    records = read_records([tmp_path / "a.parquet"])
    peak = max(pa.total_allocated_bytes() for i, _ in enumerate(records) if i % 500 == 0)
    assert peak - before < 1_500_000  # the texts are 4 MB


def test_abandoned_reading_closes_the_file(tmp_path: Path) -> None:
    source = put(tmp_path, "a.jsonl", jsonl({"text": "A"}, {"text": "B"}))
    records = read_records([source])
    next(records)
    records.close()  # type: ignore[attr-defined]
    assert list(records) == []


# --- what is refused ------------------------------------------------------------------------------


def test_a_missing_file_is_named_before_anything_is_read(tmp_path: Path) -> None:
    good, missing = put(tmp_path, "a.txt", b"Text."), str(tmp_path / "missing.csv")
    assert "No such file" in message(lambda: check_inputs([good, good, missing]), missing)
    records = read_records([good, missing])
    assert next(records).text == "Text."
    assert "spelling" in message(lambda: next(records), missing)


def test_a_name_too_long_for_a_file_is_refused(tmp_path: Path) -> None:
    # As happens when a text is given for a file.
    refused("The convoy was reportedly hit near the bridge. " * 10)


def test_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "corpus.csv").mkdir()
    said = refused(str(tmp_path / "corpus.csv"))
    assert "a folder" in said
    assert "give the files in it" in said


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.jsonl")
    assert "pipe" in refused(str(tmp_path / "p.jsonl"))


@pytest.mark.parametrize("name", ["a.docx", "a.json", "a", "a.gz", "jsonl", "a.txt.bz2", "a.csv.gz.zst"])
def test_an_unknown_suffix_is_refused(tmp_path: Path, name: str) -> None:
    said = refused(put(tmp_path, name, b'{"text": "A"}'))
    for suffix in (".txt", ".md", ".jsonl", ".csv", ".tsv", ".parquet"):
        assert suffix in said


def test_compressed_parquet_is_refused(tmp_path: Path) -> None:
    assert "decompress it first" in refused(put(tmp_path, "a.parquet.gz", gzip.compress(TABLES["t.parquet"])))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("-", InputKind.ARTICLE),
        ("x/a.b.TXT", InputKind.ARTICLE),
        ("a.md.zst", InputKind.ARTICLE),
        ("a.JSONL.GZ", InputKind.TABLE),
        ("a.txt.csv", InputKind.TABLE),
        ("a.parquet", InputKind.TABLE),
    ],
)
def test_the_kind_of_an_input_is_in_its_name(name: str, kind: InputKind) -> None:
    assert input_kind(name) is kind


@pytest.mark.parametrize("name", ["t.jsonl", "t.csv", "t.tsv.gz", "t.parquet"])
@pytest.mark.parametrize("option", ["text_column", "id_column", "context_column"])
def test_a_wrong_column_is_answered_with_the_columns_there_are(
    tmp_path: Path, name: str, option: str
) -> None:
    said = refused(put(tmp_path, name, TABLES[name]), **{option: "boddy"})
    assert "'boddy'" in said
    assert "'id', 'text', 'outlet'" in said


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl", jsonl({"title": "T", "body": "B"})),
        ("a.csv", b"title,body\nT,B\n"),
        ("a.parquet", parquet_bytes({"title": ["T"], "body": ["B"]})),
    ],
)
def test_two_columns_of_strings_are_not_guessed_among(tmp_path: Path, name: str, data: bytes) -> None:
    said = refused(put(tmp_path, name, data))
    assert "'title', 'body'" in said
    assert "--text-column" in said


def test_a_typed_column_without_strings_cannot_be_the_text(tmp_path: Path) -> None:
    source = put(tmp_path, "a.parquet", parquet_bytes({"text": [1, 2], "body": ["A", "B"]}))
    assert "'body'" in refused(source)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"text": "A"', "broken JSON"),
        (b"plain words", "broken JSON"),
        (b'{"text": "a\x01b"}', "broken JSON"),
        (b'{"text": ' + b"9" * 5000 + b"}", "broken JSON"),
        (b"[" * 100_000, "broken JSON"),
        (b'["A", "B"]', "type list"),
        (b'"A"', "type str"),
        (b"null", "type NoneType"),
    ],
)
def test_a_line_that_is_no_json_object_is_numbered(tmp_path: Path, line: bytes, said: str) -> None:
    source = put(tmp_path, "a.jsonl", b'{"text": "A"}\n\n' + line + b'\n{"text": "B"}\n')
    text = refused(source)
    assert text.startswith(f"{source}: line 3: ")
    assert said in text
    assert "jq -c" in text


@pytest.mark.parametrize(
    ("rows", "line", "said"),
    [
        (b"A,1\nB\n", 3, "2 fields as in the header, got 1"),
        (b'"A\nA",1\n"B\nB",1,2\n', 4, "got 3"),
        (b'A,1\n"B"b,1\n', 3, "expected after"),
        (b'A,1\n"B,1\nC,1\n', 3, "unexpected end"),
        (b"A,1\nB\0,1\n", 3, "NUL"),
        (b"A,1\rB,1\r", 2, "new-line"),
    ],
)
def test_a_broken_row_of_a_csv_is_numbered(tmp_path: Path, rows: bytes, line: int, said: str) -> None:
    source = put(tmp_path, "a.csv", b"text,n\n" + rows)
    text = refused(source)
    assert text.startswith(f"{source}: line {line}: ")
    assert said in text


def test_a_quote_left_open_does_not_read_the_whole_file(tmp_path: Path) -> None:
    filler = (b"words, more words " * 50_000 + b"\n") * (MAX_RECORD_BYTES // 900_000 + 1)
    source = put(tmp_path, "a.csv", b'text,n\nA,1\n"open,1\n' + filler)
    assert "line 3: " in refused(source)


@pytest.mark.parametrize("header", ["text|n", "text;n\tm"])
def test_another_separator_is_noticed(tmp_path: Path, header: str) -> None:
    assert "line 1" in refused(put(tmp_path, "a.csv", f"{header}\nx\n".encode()))


@pytest.mark.parametrize("separator", ";\t")
def test_the_header_tells_the_separator(tmp_path: Path, separator: str) -> None:
    content = csv_bytes(["id", "text"], ["1", "A, B"], ["2", f"x{separator}y"], separator=separator)
    source = put(tmp_path, "a.csv", content)
    assert [(r.text, r.columns) for r in read_records([source])] == [
        ("A, B", {"id": "1"}),
        (f"x{separator}y", {"id": "2"}),
    ]
    assert check_inputs([source])[0].separator == separator


def test_a_comma_in_the_header_is_the_separator(tmp_path: Path) -> None:
    source = put(tmp_path, "a.csv", b"a;b,text\n1;2,A\n")
    assert [(r.text, r.columns) for r in read_records([source])] == [("A", {"a;b": "1;2"})]


def test_a_named_delimiter(tmp_path: Path) -> None:
    source = put(tmp_path, "a.csv", b"text|n\nA, B|1\n")
    (found,) = read_records([source], ReadOptions(delimiter="|"))
    assert (found.text, found.columns) == ("A, B", {"n": "1"})
    for bad in ("", "||", '"', "\n"):
        with pytest.raises(InputError, match="one character"):
            ReadOptions(delimiter=bad)


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_a_named_encoding(tmp_path: Path, name: str) -> None:
    text = "Le président a parlé – “demain”."
    content = {"a.txt": text, "a.csv": f"text\n{text}\n", "a.jsonl": f'{{"text": "{text}"}}\n'}[name]
    source = put(tmp_path, name, content.encode("cp1252"))
    assert "--encoding cp1252" in refused(source)
    assert [r.text for r in read_records([source], ReadOptions(encoding="windows-1252"))] == [text]
    broken = put(tmp_path, name, content.encode("cp1252") + b"\x81")
    with pytest.raises(InputError, match="text in CP1252, got the byte 0x81"):
        list(read_records([broken], ReadOptions(encoding="cp1252")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("utf-16", "extends ASCII"), ("cp037", "extends ASCII"), ("klingon", "name of"), ("base64", "ASCII")],
)
def test_encodings_that_cannot_be(name: str, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        ReadOptions(encoding=name)


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "'n' several times" in refused(put(tmp_path, "a.csv", b"text,n,n\nA,1,2\n"))
    table = pa.Table.from_arrays([pa.array(["A"]), pa.array([1]), pa.array([2])], names=["text", "n", "n"])
    pq.write_table(table, tmp_path / "a.parquet")
    assert "'n' several times" in refused(str(tmp_path / "a.parquet"))


@pytest.mark.parametrize("end", COMPRESS)
@pytest.mark.parametrize(
    ("name", "head"), [("a.txt", "Ein Satz.\n"), ("a.jsonl", '{"text": "A"}\n'), ("a.csv", "text,n\n")]
)
def test_another_encoding_is_placed(tmp_path: Path, name: str, head: str, end: str) -> None:
    data = (head + "ëë na").encode() + b"\xefve\n"
    said = refused(put(tmp_path, name + end, COMPRESS[end](data)))
    assert "line 2" in said
    assert f"0xef at byte {len(head) + 7} of" in said
    assert "iconv -f cp1252 -t utf-8" in said


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_wide_encodings_are_recognised(tmp_path: Path, name: str, encoding: str) -> None:
    said = refused(put(tmp_path, name, "text,n\nA,1\n".encode(encoding)))
    assert f"iconv -f {encoding.removesuffix('-le')} -t utf-8" in said


@pytest.mark.parametrize("name", ["a.txt", "a.md.gz", "a.jsonl", "a.csv.zst", "a.tsv", "a.parquet"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    compress = next(COMPRESS[end] for end in (".gz", ".zst", "") if name.endswith(end))
    assert "empty" in refused(put(tmp_path, name, compress(b"")))
    assert "empty" in refused(put(tmp_path, name, b""))


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_a_file_of_nothing_but_a_mark_or_blank_lines_is_refused(tmp_path: Path, name: str) -> None:
    assert "leave it out" in refused(put(tmp_path, name, "\ufeff".encode()))
    if name != "a.txt":
        assert "blank" in refused(put(tmp_path, name, b"\n\n"))


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"%PDF-1.7\n", "a PDF; extract its text first"),
        (b"PK\x03\x04", "docx"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (gzip.compress(b"Text."), "gzip data; let its name end in .gz"),
        (zstd(b"Text."), "let its name end in .zst"),
        (TABLES["t.parquet"], "let its name end in .parquet"),
        (b"Text\0", "NUL"),
    ],
)
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv"])
def test_a_binary_file_is_recognised(tmp_path: Path, name: str, head: bytes, said: str) -> None:
    assert said in refused(put(tmp_path, name, head + bytes(range(256))))


@pytest.mark.parametrize("end", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "plain"])
def test_a_damaged_archive_is_refused(tmp_path: Path, end: str, damage: str) -> None:
    whole = COMPRESS[end](os.urandom(3000).hex().encode() + b"\n")
    middle = len(whole) // 2
    data = {
        "cut": whole[: middle * 3 // 2],
        "flipped": whole[:6] + bytes(255 - b for b in whole[6:40]) + whole[40:],
        "plain": b"plain text\n",
    }[damage]
    assert "data, got damaged or other data" in refused(put(tmp_path, f"a.txt{end}", data))


def test_an_archive_cut_far_behind_is_noticed_when_it_is_read(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(jsonl({"text": os.urandom(20).hex()}) for _ in range(20_000)))
    source = put(tmp_path, "a.jsonl.gz", whole[:-100])
    check_inputs([source])
    assert "damaged" in message(lambda: list(read_records([source])), source)


@pytest.mark.parametrize("damage", ["cut", "plain", "pages"])
def test_damaged_parquet_is_refused(tmp_path: Path, damage: str) -> None:
    whole = parquet_bytes({"text": [os.urandom(20).hex() for _ in range(500)]})
    data = {
        "cut": whole[:-50],
        "plain": b"text,n\nA,1\n",
        "pages": whole[:4] + b"\xff" * 2000 + whole[2004:],
    }[damage]
    assert "a Parquet file" in refused(put(tmp_path, "a.parquet", data))


def test_parquet_strings_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    latin = pa.Array.from_buffers(pa.string(), 1, pa.array([b"na\xefve"]).buffers())
    assert "UTF-8" in refused(put(tmp_path, "a.parquet", parquet_bytes({"text": latin})))


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_what_would_fill_the_memory_is_refused(tmp_path: Path, name: str) -> None:
    said = refused(put(tmp_path, f"{name}.gz", gzip.compress(b"a" * (MAX_RECORD_BYTES + 1), 1)))
    assert "32 MiB" in said


def test_an_odd_file_name_stays_on_one_line(tmp_path: Path) -> None:
    source = put(tmp_path, "a\nb.csv", b"text,n\nA\n")
    with pytest.raises(InputError) as caught:
        check_inputs([source])
    assert len(str(caught.value).splitlines()) == 1
    assert "a\\nb.csv" in str(caught.value)
    odd = put(tmp_path, "c.csv", b'"x\ny",z\n1,2\n')
    assert r"'x\ny'" in refused(odd, text_column="q")
