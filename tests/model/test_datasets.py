"""`label_dataset`: the same kind of thing, the same rows, and the labels that the classifier gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from framelens import FramingClassifier, InputError, label_dataset
from framelens.datasets import LABEL_COLUMNS

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = [
    "The convoy was reportedly hit near the bridge.",
    None,
    "",
    "Talks open on Monday in Corvane.",
    "By Ann B. Clark",
]
STATUSES = ["ok", "error", "empty", "ok", "not_applicable"]


@pytest.fixture(scope="module")
def classifier() -> FramingClassifier:
    return FramingClassifier(threads=1)


@pytest.fixture
def table() -> Any:
    chunks = [pa.array(TEXTS[:2], pa.string()), pa.array(TEXTS[2:], pa.string())]
    return pa.table({"text": pa.chunked_array(chunks), "n": range(len(TEXTS))})


def check(found: Any, own: tuple[str, ...] = ("text", "n"), prefix: str = "") -> None:
    """A labelled table of `TEXTS`."""
    assert tuple(found.column_names) == (*own, *(f"{prefix}{name}" for name in LABEL_COLUMNS))
    columns = found.to_pydict()
    assert columns[f"{prefix}status"] == STATUSES
    labels = columns[f"{prefix}label"]
    assert [label is None for label in labels] == [status != "ok" for status in STATUSES]
    assert labels[0] == "hedged_claim"
    assert columns[f"{prefix}p_hedged_claim"][0] > 0.5
    missing = columns[f"{prefix}p_hedged_claim"][1]
    assert missing is None or missing != missing
    assert columns[f"{prefix}error"][1] is not None
    assert columns[f"{prefix}evidence"][0][0]["kind"] == "hedge_cue"
    assert columns["n"] == list(range(len(TEXTS)))


@pytest.mark.parametrize("batch_size", [1, 2, 1024])
def test_arrow_tables_share_their_columns(classifier: FramingClassifier, table: Any, batch_size: int) -> None:
    found = label_dataset(table, classifier=classifier, batch_size=batch_size)
    check(found)
    assert (
        found.column("text").chunk(0).buffers()[2].address
        == table.column("text").chunk(0).buffers()[2].address
    )


def test_arrow_batches_and_streams(classifier: FramingClassifier, table: Any, tmp_path: Path) -> None:
    (batch,) = table.combine_chunks().to_batches()
    found = label_dataset(batch, classifier=classifier)
    assert isinstance(found, pa.RecordBatch)
    check(pa.Table.from_batches([found]))
    pq.write_table(table, tmp_path / "t.parquet")
    for stream in (table.to_reader(), pads.dataset(tmp_path / "t.parquet")):
        reader = label_dataset(stream, classifier=classifier, batch_size=2)
        assert isinstance(reader, pa.RecordBatchReader)
        check(reader.read_all())


def test_a_stream_is_labelled_as_it_is_read(classifier: FramingClassifier, table: Any) -> None:
    taken = []

    def batches() -> Any:
        for batch in table.to_batches() * 100:
            taken.append(batch)
            yield batch

    stream = pa.RecordBatchReader.from_batches(table.schema, batches())
    label_dataset(stream, classifier=classifier).read_next_batch()
    assert len(taken) <= 2


def test_no_rows(classifier: FramingClassifier, table: Any) -> None:
    found = label_dataset(table.slice(0, 0), classifier=classifier)
    assert (found.num_rows, found.schema) == (0, label_dataset(table, classifier=classifier).schema)


def test_columns_that_cannot_be(classifier: FramingClassifier, table: Any) -> None:
    with pytest.raises(InputError, match="expected a column 'body', got the columns 'text', 'n'"):
        label_dataset(table, "body", classifier=classifier)
    named = table.append_column("label", table.column("n"))
    with pytest.raises(InputError, match=r"no column 'label'.*prefix='framelens_'"):
        label_dataset(named, classifier=classifier)
    check(label_dataset(named, classifier=classifier, prefix="fl_"), ("text", "n", "label"), "fl_")
    with pytest.raises(InputError, match=r"expected a table, .*, got builtins\.list"):
        label_dataset(TEXTS, classifier=classifier)
    with pytest.raises(InputError, match="batch_size"):
        label_dataset(table, classifier=classifier, batch_size=0)


def test_context_reaches_the_classifier(table: Any) -> None:
    seen: list[Any] = []

    class Watching(FramingClassifier):
        def label_many(self, texts: Any, context: Any = None) -> Any:
            seen.extend(context)
            return super().label_many(texts)

    label_dataset(table, context_column="n", classifier=Watching(threads=1))
    assert seen == list(range(len(TEXTS)))


def test_datasets(classifier: FramingClassifier, table: Any) -> None:
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset(table)
    found = label_dataset(whole, classifier=classifier, batch_size=2)
    assert isinstance(found, datasets.Dataset)
    check(found.with_format("arrow")[:])
    picked = label_dataset(whole.select([3, 0]), classifier=classifier)
    assert [(row["n"], row["status"]) for row in picked] == [(3, "ok"), (0, "ok")]
    split = label_dataset(datasets.DatasetDict({"a": whole, "b": whole.select([0])}), classifier=classifier)
    assert (len(split["a"]), split["b"][0]["label"]) == (5, "hedged_claim")
    stream = label_dataset(whole.to_iterable_dataset(), classifier=classifier, batch_size=2)
    assert isinstance(stream, datasets.IterableDataset)
    assert [row["status"] for row in stream] == STATUSES
    untyped = datasets.IterableDataset.from_generator(lambda: iter(table.to_pylist()))
    assert [row["status"] for row in label_dataset(untyped, classifier=classifier)] == STATUSES


def test_pandas(classifier: FramingClassifier, table: Any) -> None:
    pandas = pytest.importorskip("pandas")
    frame = table.to_pandas().set_index(pandas.Index(list("vwxyz")))
    frame.loc["w", "text"] = float("nan")
    found = label_dataset(frame, classifier=classifier, batch_size=2)
    assert list(found.index) == list("vwxyz")
    assert "label" not in frame
    check(pa.Table.from_pandas(found, preserve_index=False))
    assert len(label_dataset(frame[:0], classifier=classifier)) == 0


def test_polars(classifier: FramingClassifier, table: Any) -> None:
    polars = pytest.importorskip("polars")
    found = label_dataset(polars.from_arrow(table), classifier=classifier)
    assert isinstance(found, polars.DataFrame)
    check(found.to_arrow())


def test_datasets_without_rows(classifier: FramingClassifier, table: Any) -> None:
    datasets = pytest.importorskip("datasets")
    found = label_dataset(datasets.Dataset(table).select([]), classifier=classifier)
    assert found.column_names == ["text", "n", *LABEL_COLUMNS]
    assert found.features["label"].dtype == "string"


def test_pandas_without_rows_and_with_a_column_twice(classifier: FramingClassifier, table: Any) -> None:
    pandas = pytest.importorskip("pandas")
    frame = table.to_pandas()
    full, none = (label_dataset(part, classifier=classifier) for part in (frame, frame.iloc[:0]))
    assert (none.shape, list(none.columns)) == ((0, full.shape[1]), list(full.columns))
    assert none.dtypes["label"] == full.dtypes["label"]
    with pytest.raises(InputError, match="expected one column 'text', got 2"):
        label_dataset(pandas.concat([frame, frame], axis=1), classifier=classifier)
