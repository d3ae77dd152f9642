"""Labels beside the rows of a table in memory or of a stream, whatever library it belongs to.

None of these libraries is imported here: an object of theirs brings its own.
"""

from __future__ import annotations

import math
import sys
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.dataset as pads

from framelens.classifier import FramingClassifier
from framelens.errors import InputError
from framelens.formats import OUTPUT_SCHEMA
from framelens.labels import LABELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from framelens.prediction import Prediction

__all__ = ["LABEL_COLUMNS", "label_dataset"]

#: The columns that are added, as Arrow types them: those of every result that speak of the label.
_SCHEMA: Final = pa.schema(list(OUTPUT_SCHEMA)[OUTPUT_SCHEMA.get_field_index("label") :])
LABEL_COLUMNS: Final[tuple[str, ...]] = tuple(_SCHEMA.names)

_KINDS = (
    "a table, record batch, reader or dataset of pyarrow, a Dataset, IterableDataset or dict of these of "
    "datasets, or a DataFrame of pandas or polars"
)


def label_dataset(
    dataset: Any,
    text_column: str = "text",
    *,
    context_column: str | None = None,
    classifier: FramingClassifier | None = None,
    batch_size: int = 1024,
    prefix: str = "",
) -> Any:
    """Label every row, and give the same kind of thing back with `LABEL_COLUMNS` behind its own.

    A row is taken as one sentence, and every row stays: what has no text gets the status ``empty`` or
    ``error`` and no label. The input's columns are not copied where its library allows that (pyarrow,
    datasets, polars, pandas 3).

    ============================================ =======================================================
    pyarrow ``Table``, ``RecordBatch``           the same, labelled when this returns
    pyarrow ``RecordBatchReader``, ``Dataset``   a ``RecordBatchReader``, labelled as it is read
    datasets ``Dataset``                         the same; the labels are in memory
    datasets ``IterableDataset``                 the same, labelled as it is read
    ``DatasetDict``, ``IterableDatasetDict``     the same, split by split
    pandas, polars ``DataFrame``                 the same, with the same index
    ============================================ =======================================================

    For documents, which have many sentences each, see `FramingClassifier.label_documents` and
    ``framelens label --unit document``.

    Args:
        dataset: one of the above. In a lazy polars frame use ``map_batches``.
        text_column: name of the column with the sentences.
        context_column: name of a column with what stands before each, if there is one.
        classifier: what labels; by default a new `FramingClassifier`.
        batch_size: rows that are labelled together; of a stream, rows that are read ahead.
        prefix: stands before the names of the columns that are added.

    Raises:
        InputError: a column is not there, or would be there twice, or ``dataset`` is none of the above.
    """
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1, got {batch_size}")
    labelling = _Labelling(text_column, context_column, classifier, batch_size, prefix)
    kind = type(dataset)
    library = kind.__module__.split(".")[0]
    label = _LABELLERS.get((library, kind.__name__))
    if label is None and isinstance(dataset, pads.Dataset):
        label = _arrow_dataset
    if label is None:
        raise InputError(f"expected {_KINDS}, got {kind.__module__}.{kind.__qualname__}")
    return label(dataset, labelling)


class _Labelling:
    """What was asked for; makes the columns."""

    def __init__(
        self,
        text_column: str,
        context_column: str | None,
        classifier: FramingClassifier | None,
        batch_size: int,
        prefix: str,
    ) -> None:
        self._text = text_column
        self._context = context_column
        self._classifier = classifier
        self.batch_size = batch_size
        self.prefix = prefix
        self.schema = pa.schema([(f"{prefix}{field.name}", field.type) for field in _SCHEMA])

    @property
    def wanted(self) -> list[str]:
        return [self._text, *([] if self._context is None else [self._context])]

    def check(self, columns: Iterable[str]) -> None:
        names = list(columns)
        for name in self.wanted:
            if name not in names:
                listed = ", ".join(map(repr, names[:30])) + (", …" if len(names) > 30 else "")
                raise InputError(f"expected a column {name!r}, got the columns {listed}; name another")
            if names.count(name) > 1:
                raise InputError(f"expected one column {name!r}, got {names.count(name)}; rename the others")
        for name in self.schema.names:
            if name in names:
                raise InputError(
                    f"expected no column {name!r}, which is to be added, got one; "
                    "give prefix='framelens_', or another"
                )

    def columns(self, texts: Iterable[Any], contexts: Iterable[Any] | None) -> dict[str, list[Any]]:
        """The added columns of some rows, as lists."""
        if self._classifier is None:
            self._classifier = FramingClassifier()
        columns: dict[str, list[Any]] = {name: [] for name in self.schema.names}
        for found in self._classifier.label_many(texts, contexts):
            for column, value in zip(columns.values(), _row(found), strict=True):
                column.append(value)
        return columns

    def of_rows(self, rows: dict[str, Any]) -> dict[str, list[Any]]:
        """The added columns of rows that are given column by column."""
        return self.columns(rows[self._text], None if self._context is None else rows[self._context])

    def batch(self, batch: Any) -> Any:
        """The added columns of an Arrow batch, as one."""
        rows = {name: batch.column(name).to_pylist() for name in self.wanted}
        return pa.RecordBatch.from_pydict(self.of_rows(rows), schema=self.schema)

    def table(self, table: Any) -> Any:
        """The added columns of an Arrow table, as one; its rows become Python's a batch at a time."""
        batches = table.select(self.wanted).to_batches(max_chunksize=self.batch_size)
        return pa.Table.from_batches([self.batch(batch) for batch in batches], self.schema)


def _row(found: Prediction) -> tuple[Any, ...]:
    return (
        None if found.label is None else str(found.label),
        *(found.probabilities.get(label, math.nan) for label in LABELS),
        [span.to_dict() for span in found.evidence],
        str(found.status),
        found.error,
        found.truncated,
        found.abstained,
    )


def _arrow_table(table: Any, labelling: _Labelling) -> Any:
    labelling.check(table.schema.names)
    added = labelling.table(table)
    for field, column in zip(added.schema, added.columns, strict=True):
        table = table.append_column(field, column)
    return table


def _arrow_batch(batch: Any, labelling: _Labelling) -> Any:
    labelling.check(batch.schema.names)
    added = labelling.batch(batch)
    schema = pa.schema([*batch.schema, *added.schema], metadata=batch.schema.metadata)
    return pa.RecordBatch.from_arrays([*batch.columns, *added.columns], schema=schema)


def _arrow_reader(reader: Any, labelling: _Labelling) -> Any:
    labelling.check(reader.schema.names)
    schema = pa.schema([*reader.schema, *labelling.schema], metadata=reader.schema.metadata)

    def batches() -> Iterator[Any]:
        for batch in reader:
            for start in range(0, batch.num_rows, labelling.batch_size):
                yield _arrow_batch(batch.slice(start, labelling.batch_size), labelling)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _arrow_dataset(dataset: Any, labelling: _Labelling) -> Any:
    # Else a scanner holds many batches of 128 Ki rows ahead of the model.
    scanner = dataset.scanner(batch_size=labelling.batch_size, batch_readahead=1, fragment_readahead=1)
    return _arrow_reader(scanner.to_reader(), labelling)


def _hf_dataset(dataset: Any, labelling: _Labelling) -> Any:
    labelling.check(dataset.column_names)
    datasets = _library(dataset)
    if not len(dataset):
        # concatenate_datasets leaves out what has no rows, and with it its columns.
        return datasets.Dataset(_arrow_table(dataset.with_format("arrow")[:], labelling))
    plain = dataset.select_columns(labelling.wanted).with_format("arrow")
    batches = (plain[i : i + labelling.batch_size] for i in range(0, len(plain), labelling.batch_size))
    added = pa.concat_tables([labelling.schema.empty_table(), *map(labelling.table, batches)])
    return datasets.concatenate_datasets([dataset, datasets.Dataset(added)], axis=1)


def _hf_stream(dataset: Any, labelling: _Labelling) -> Any:
    names = dataset.column_names
    if names is None:
        # Only the first row tells the columns of a stream without features.
        names = list(next(islice(dataset.with_format(None), 1), {}))
    labelling.check(names)
    features = dataset.features
    if features is not None:
        datasets = _library(dataset)
        features = datasets.Features({**features, **datasets.Features.from_arrow_schema(labelling.schema)})
    return dataset.map(labelling.of_rows, batched=True, batch_size=labelling.batch_size, features=features)


def _hf_splits(splits: Any, labelling: _Labelling) -> Any:
    label = {"DatasetDict": _hf_dataset, "IterableDatasetDict": _hf_stream}[type(splits).__name__]
    return type(splits)({name: label(split, labelling) for name, split in splits.items()})


def _pandas_frame(frame: Any, labelling: _Labelling) -> Any:
    labelling.check(frame.columns)
    if not len(frame):
        # pandas takes empty lists for columns of numbers.
        empty = labelling.schema.empty_table().to_pandas()
        return frame.assign(**{name: empty[name].array for name in empty})
    parts = (frame.iloc[i : i + labelling.batch_size] for i in range(0, len(frame), labelling.batch_size))
    added: dict[str, list[Any]] = {name: [] for name in labelling.schema.names}
    for part in parts:
        rows = {name: [_without_nan(value) for value in part[name]] for name in labelling.wanted}
        for name, column in labelling.of_rows(rows).items():
            added[name] += column
    return frame.assign(**added)


def _without_nan(value: Any) -> Any:
    """The value; pandas writes what is missing as NaN or NA, of which neither equals itself."""
    missing = not isinstance(value, (str, list, dict)) and str(value) in ("nan", "<NA>", "NaT")
    return None if missing else value


def _polars_frame(frame: Any, labelling: _Labelling) -> Any:
    labelling.check(frame.columns)
    added = labelling.table(frame.select(labelling.wanted).to_arrow())
    return frame.hstack(_library(frame).from_arrow(added).get_columns())


def _library(thing: Any) -> Any:
    """The library that an object is of, which is therefore imported."""
    return sys.modules[type(thing).__module__.split(".")[0]]


_LABELLERS: Final[dict[tuple[str, str], Callable[[Any, _Labelling], Any]]] = {
    ("pyarrow", "Table"): _arrow_table,
    ("pyarrow", "RecordBatch"): _arrow_batch,
    ("pyarrow", "RecordBatchReader"): _arrow_reader,
    ("datasets", "Dataset"): _hf_dataset,
    ("datasets", "IterableDataset"): _hf_stream,
    ("datasets", "DatasetDict"): _hf_splits,
    ("datasets", "IterableDatasetDict"): _hf_splits,
    ("pandas", "DataFrame"): _pandas_frame,
    ("polars", "DataFrame"): _polars_frame,
}
