"""Where parts end, what columns are, and that parts are read again as they were."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framelens.errors import InputError
from framelens.readers import ReadOptions, check_inputs, read_records
from framelens.survey import PartReader, Survey, record_weight, survey_inputs

if TYPE_CHECKING:
    from pathlib import Path

    from framelens.corpus import Unit
    from framelens.readers import InputInfo

OPTIONS = ReadOptions(text_column="text")


def survey(infos: tuple[InputInfo, ...], units: list[Unit], size: int, *, typed: bool = False) -> Survey:
    return survey_inputs(infos, OPTIONS, units, part_size=size, typed=typed, seen=lambda _: None)


def write(path: Path, *rows: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


LENGTHS = st.lists(st.lists(st.integers(0, 900), min_size=1, max_size=12), min_size=1, max_size=4)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=LENGTHS, documents=st.lists(st.booleans(), min_size=4, max_size=4), size=st.integers(1, 12),
       order=st.randoms(use_true_random=False))  # fmt: skip
def test_parts_hold_every_record_once_and_are_read_in_any_order(
    tmp_path: Path, lengths: list[list[int]], documents: list[bool], size: int, order: Any
) -> None:
    sources = [
        write(tmp_path / f"{i}.jsonl", *({"text": "a" * n, "n": n} for n in rows))
        for i, rows in enumerate(lengths)
    ]
    infos = check_inputs(sources, OPTIONS)
    units: list[Unit] = ["document" if d else "sentence" for d in documents[: len(sources)]]
    found = survey(infos, units, size)
    records = [
        (unit, record)
        for source, unit in zip(sources, units, strict=True)
        for record in read_records([source], OPTIONS)
    ]
    assert found.records == [len(rows) for rows in lengths]
    assert [part.number for part in found.parts] == list(range(len(found.parts)))
    end = 0
    for part in found.parts:
        assert (part.start, part.records > 0) == (end, True)
        end += part.records
        weights = [record_weight(record, unit) for unit, record in records[part.start : end]]
        # A part ends with the record that fills it, and not before, but for the last.
        assert sum(weights[:-1]) < size
        assert sum(weights) >= size or end == len(records)
    assert end == len(records)
    wanted = list(found.parts)
    order.shuffle(wanted)
    reader = PartReader(infos, OPTIONS, units, found.records)
    for part in wanted:
        read = [(unit, record) for unit, run in reader.read(part) for record in run]
        assert read == records[part.start : part.start + part.records]


def test_a_changed_record_is_noticed_when_it_is_read_again(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", *({"text": f"Day {i}."} for i in range(6)))
    infos = check_inputs([source], OPTIONS)
    found = survey(infos, ["sentence"], 2)
    reader = PartReader(infos, OPTIONS, ["sentence"], found.records)
    assert len(reader.read(found.parts[0])) == 1
    write(tmp_path / "a.jsonl", *({"text": f"Day {i + (i == 5)}."} for i in range(6)))
    reader = PartReader(infos, OPTIONS, ["sentence"], found.records)
    reader.read(found.parts[1])
    with pytest.raises(InputError, match="records 4 to 5 of the inputs: expected what they held when"):
        reader.read(found.parts[2])


def test_memory_counts_beside_sentences() -> None:
    from framelens.readers import Record

    assert record_weight(Record("d", "A short sentence.", {}), "sentence") == 1
    assert record_weight(Record("d", "a" * 2000, {}), "document") == 11
    assert record_weight(Record("d", "A", {"html": "a" * 40_000}), "sentence") == 11


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([{"v": 1}, {"v": 2.5}], "double"),
        ([{"v": None}, {"v": 3}], "int64"),
        ([{"v": None}, {}], "string"),
        ([{"v": {"a": 1}}, {"v": {"b": "x"}}], "struct<a: int64, b: string>"),
        ([{"v": []}, {"v": [1]}], "list<item: int64>"),
        ([{"v": "\ud800"}], "string"),
    ],
)
def test_a_column_has_one_type_for_all_its_values(tmp_path: Path, rows: list[Any], kind: str) -> None:
    far_apart = [{"text": "A"} | row for row in rows[:1] * 1500 + rows[1:]]
    infos = check_inputs([write(tmp_path / "a.jsonl", *far_apart)], OPTIONS)
    assert str(survey(infos, ["sentence"], 10, typed=True).schema.field("v").type) == kind


def test_types_of_several_inputs_are_brought_together(tmp_path: Path) -> None:
    parquet = str(tmp_path / "a.parquet")
    schema = pa.schema(
        [("text", pa.string()), ("n", pa.int32()), ("label", pa.dictionary(pa.int8(), pa.string()))]
    )
    pq.write_table(pa.table({"text": ["A"], "n": [1], "label": ["x"]}, schema), parquet)
    (tmp_path / "b.csv").write_text("text,outlet\nA,x\n")
    infos = check_inputs(
        [parquet, str(tmp_path / "b.csv"), write(tmp_path / "c.jsonl", {"text": "A", "n": 1})], OPTIONS
    )
    found = survey(infos, ["sentence"] * 3, 10, typed=True)
    assert found.columns == ["n", "label", "outlet"]
    assert [(field.name, str(field.type)) for field in found.schema] == [
        ("n", "int64"), ("input_label", "string"), ("outlet", "string"),
    ]  # fmt: skip


@pytest.mark.parametrize("values", [[1, "x"], ["x", {"a": 1}], [True, 2]])
def test_values_that_no_type_fits_are_told_before_any_work(tmp_path: Path, values: list[Any]) -> None:
    for n in (1, 1500):
        rows = [{"text": "A", "v": values[0]}] * n + [{"text": "A", "v": values[1]}]
        infos = check_inputs([write(tmp_path / "a.jsonl", *rows)], OPTIONS)
        with pytest.raises(InputError, match=r"values of one type in the column 'v'.*--format jsonl"):
            survey(infos, ["sentence"], 10, typed=True)
        survey(infos, ["sentence"], 10)


def test_unreadable_records_are_counted(tmp_path: Path) -> None:
    source = write(tmp_path / "a.jsonl", {"text": "A"}, {"text": None}, {"text": 3})
    found = survey(check_inputs([source], OPTIONS), ["sentence"], 10)
    assert found.n_unreadable == 2
    assert found.first_unreadable == f"{source}:1: column 'text': expected a string, got null"


def test_nested_columns_count_too() -> None:
    from framelens.readers import Record

    embedding = Record("d", "A", {"vector": [0.5] * 1250, "meta": {"tags": ["x" * 4000]}})
    assert record_weight(embedding, "sentence") == 12


def test_a_type_that_parquet_lacks_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"text": "A", "meta": {}}\n')
    infos = check_inputs([path])
    with pytest.raises(InputError, match=r"columns that Parquet has a type for.*--format jsonl"):
        survey_inputs(infos, ReadOptions(), ["sentence"], part_size=3, typed=True, seen=lambda _: None)
