"""The labelled corpus, aggregated where it lies.

DuckDB reads the tables that ``framelens label`` wrote, whole folders of shards too, and only the columns
that are needed, so that memory depends on the number of groups and not of sentences.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens import LABELS, InputError
from framelens.decoding import suffixes
from framelens.errors import require
from framelens.labels import PROBABILITY_COLUMNS
from framelens.tables import TABLE_SUFFIXES, open_table
from framelens_evaluation.prevalence.estimators import Moments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = [
    "KEYS",
    "NONE",
    "TIME_UNITS",
    "Dates",
    "GroupTotals",
    "Population",
    "open_population",
    "quoted",
    "table_files",
]

#: How sentences are named, the first that a table has.
KEYS: Final = (("doc_id", "sentence_index"), ("id",))
#: What a group is called where the column is empty or the date cannot be read.
NONE: Final = "(none)"
#: Groups that can be made from a date, from coarse to fine.
TIME_UNITS: Final = ("year", "quarter", "month", "week", "day")

# ISO 8601, with or without hyphens, and whatever follows; a beginning such as 2023-06 will do for a month.
_DATE = r"^(\d{4})-?(\d{2})?-?(\d{2})?"
_GIVEN: Final = "given_label"


@dataclass(frozen=True, eq=False)
class GroupTotals:
    """Sums over the labelled sentences of each group.

    Attributes:
        keys: values of the group columns, in ascending order.
        n: shape (n_groups,), labelled sentences.
        given: shape (n_groups, n_labels), by predicted label.
        sums: shape (n_groups, n_labels), of the predictions.
        squares: the same shape, of their squares.
    """

    keys: tuple[tuple[str, ...], ...]
    n: IntArray
    given: IntArray
    sums: FloatArray
    squares: FloatArray

    def moments(self, at: int) -> Moments:
        """Of one group."""
        return _moments(int(self.n[at]), self.sums[at], self.squares[at])

    @property
    def overall(self) -> Moments:
        """Of all groups together."""
        return _moments(int(self.n.sum()), self.sums.sum(0), self.squares.sum(0))


def _moments(n: int, sums: FloatArray, squares: FloatArray) -> Moments:
    mean = sums / n
    return Moments(n, mean, np.maximum(squares / n - mean**2, 0.0))


@dataclass(frozen=True, slots=True)
class Dates:
    """How the dates of labelled sentences were read.

    Attributes:
        given: sentences with a date.
        unread: those of them whose date could not be read.
        example: such a date; None where there is none.
    """

    given: int
    unread: int
    example: str | None


@dataclass(frozen=True, eq=False)
class Population:
    """An open corpus of labelled sentences.

    Attributes:
        connection: to DuckDB; the view ``labelled`` holds keys, ``group_0``, ``group_1`` and so on,
            ``given_label`` and the probabilities of the sentences that have a label.
        files: that were read.
        columns: of every file.
        by: names of the group columns.
        n_rows: sentences in the files.
        without_label: those of them that got no label, by status.
        soft: whether predictions are probabilities; else they are 1 for the predicted label.
        dates: how those of labelled sentences were read; None where no group is made from a date.
    """

    connection: Any
    files: tuple[Path, ...]
    columns: frozenset[str]
    by: tuple[str, ...]
    n_rows: int
    without_label: dict[str, int]
    soft: bool
    dates: Dates | None = None

    @property
    def group_columns(self) -> str:
        """The group columns as SQL; a constant where there is none."""
        return ", ".join(f"group_{at}" for at in range(len(self.by))) or "'all'"

    def totals(self) -> GroupTotals:
        """Sums by group."""
        n_groups = max(len(self.by), 1)
        counts = [f"count(*) FILTER ({_GIVEN} = '{label}')" for label in LABELS]
        sums = [f"sum({column})" for column in PROBABILITY_COLUMNS]
        squares = [f"sum({column} * {column})" for column in PROBABILITY_COLUMNS]
        rows = self.query(
            f"SELECT {self.group_columns}, count(*), {', '.join([*counts, *sums, *squares])} FROM labelled "
            "GROUP BY ALL"
        )
        rows.sort(key=lambda row: row[:n_groups])
        numbers = [row[n_groups:] for row in rows]
        n_labels = len(LABELS)
        given = np.array([row[1 : 1 + n_labels] for row in numbers], dtype=np.int64)
        values = np.array([row[1 + n_labels :] for row in numbers], dtype=np.float64)
        return GroupTotals(
            tuple(tuple(row[:n_groups]) for row in rows),
            np.array([row[0] for row in numbers], dtype=np.int64),
            given,
            values[:, :n_labels],
            values[:, n_labels:],
        )

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query.

        Raises:
            InputError: DuckDB cannot run it on these files.
        """
        duckdb = require("duckdb", "eval")
        try:
            found: list[tuple[Any, ...]] = self.connection.execute(sql, list(parameters)).fetchall()
        except duckdb.Error as error:
            raise InputError(f"cannot read the labelled tables: {_first_line(error)}") from error
        return found

    def group_expressions(self, date_column: str) -> list[str]:
        """SQL that makes each group's value from a table's own columns."""
        return [_group_expression(name, self.columns, date_column) for name in self.by]


@contextmanager
def open_population(
    paths: Sequence[Path], by: Sequence[str] = (), *, date_column: str = "date", soft: bool = True
) -> Iterator[Population]:
    """Open tables of labelled sentences.

    Args:
        paths: tables, or folders of them.
        by: columns to group by; ``year``, ``quarter``, ``month``, ``week`` and ``day`` are made from
            the date where the tables have no column of that name.
        date_column: holds ISO 8601 dates or their beginnings.
        soft: whether the probabilities are the predictions; else the label is.

    Raises:
        InputError: a file cannot be read, a column is missing, a value is no label or probability, or no
            sentence has a label.
        MissingExtraError: duckdb is not installed.
    """
    duckdb = require("duckdb", "eval")
    files = tuple(table_files(paths))
    columns = _common_columns(files)
    needed = ["label", *(PROBABILITY_COLUMNS if soft else ())]
    if missing := [name for name in needed if name not in columns]:
        hint = (
            "--prediction label does without probabilities"
            if "label" in columns
            else "run framelens label first, and give what it wrote"
        )
        raise InputError(
            f"expected tables written by framelens label, with the columns {', '.join(needed)}; "
            f"{', '.join(missing)} is missing; {hint}"
        )
    expressions = [_group_expression(name, columns, date_column) for name in by]
    with (
        tempfile.TemporaryDirectory(prefix="framelens-") as scratch,
        duckdb.connect(":memory:") as connection,
    ):
        connection.execute(f"SET temp_directory = {quoted(scratch, text=True)}")
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET preserve_insertion_order = false")
        source = " UNION ALL BY NAME ".join(_readers(files, columns))
        kept = [
            f"CAST({quoted(name)} AS VARCHAR) AS {name}" for key in KEYS for name in key if name in columns
        ]
        groups = [f"{made} AS group_{at}" for at, made in enumerate(expressions)]
        text = [
            f"CAST({quoted(name)} AS VARCHAR) AS {name}" for name in ("text", "context") if name in columns
        ]
        made_from_date = any(name not in columns for name in by)
        written = f"nullif(trim(CAST({quoted(date_column)} AS VARCHAR)), '')" if made_from_date else "NULL"
        status = "CAST(status AS VARCHAR)" if "status" in columns else "NULL"
        connection.execute(
            f"CREATE VIEW every AS SELECT {', '.join([*kept, *groups, *text, *_predictions(soft)])}, "
            f"{status} AS status, {written} AS written_date FROM ({source})"
        )
        connection.execute(f"CREATE VIEW labelled AS SELECT * FROM every WHERE {_GIVEN} IS NOT NULL")
        opened = Population(connection, files, columns, tuple(by), 0, {}, soft)
        n_rows, without = _check(opened)
        dates = _dates(opened) if made_from_date else None
        yield Population(connection, files, columns, tuple(by), n_rows, without, soft, dates)


def _predictions(soft: bool) -> list[str]:
    """SQL of the label and the three predictions."""
    label = "nullif(CAST(label AS VARCHAR), '')"
    values = [
        f"CAST(nullif(CAST({column} AS VARCHAR), '') AS DOUBLE)"
        if soft
        else f"CAST({label} = '{each}' AS INT)"
        for column, each in zip(PROBABILITY_COLUMNS, LABELS, strict=True)
    ]
    named = [f"{value} AS {column}" for value, column in zip(values, PROBABILITY_COLUMNS, strict=True)]
    return [f"{label} AS {_GIVEN}", *named]


def _check(opened: Population) -> tuple[int, dict[str, int]]:
    """How many rows there are and which have no label.

    Raises:
        InputError: a label or probability is none, or no sentence has a label.
    """
    known = ", ".join(f"'{label}'" for label in LABELS)
    total = " + ".join(PROBABILITY_COLUMNS)
    # NaN is above every number in DuckDB's order, so this holds for it and for NULL too.
    broken = f"{_GIVEN} IS NOT NULL AND coalesce(abs({total} - 1) > 0.01, true)"
    [(n_rows, strange, n_broken)] = opened.query(
        f"SELECT count(*), any_value({_GIVEN}) FILTER ({_GIVEN} NOT IN ({known})), count(*) FILTER "
        f"({broken}) FROM every"
    )
    if strange is not None:
        raise InputError(f"expected labels among {', '.join(LABELS)}, got {strange!r}")
    if n_broken:
        raise InputError(
            f"{n_broken:,} labelled rows have no probabilities that sum to 1; --prediction label does without"
        )
    rows = opened.query(
        f"SELECT coalesce(status, 'unknown'), count(*) FROM every WHERE {_GIVEN} IS NULL GROUP BY 1"
    )
    without = dict(sorted(rows))
    if sum(without.values()) == n_rows:
        raise InputError("no sentence of the labelled tables has a label: there is nothing to count")
    return n_rows, without


def _dates(opened: Population) -> Dates:
    """How many dates there are and could not be read."""
    made = [f"group_{at} = '{NONE}'" for at, name in enumerate(opened.by) if name not in opened.columns]
    unread = f"written_date IS NOT NULL AND ({' OR '.join(made)})"
    [row] = opened.query(
        f"SELECT count(written_date), count(*) FILTER ({unread}), min(written_date) FILTER ({unread}) "
        "FROM labelled"
    )
    return Dates(*row)


def table_files(paths: Sequence[Path]) -> list[Path]:
    """Tables, and those in folders in the order of their names.

    Raises:
        InputError: a path is missing or no table, or a folder holds none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = [each for each in sorted(path.rglob("*")) if each.is_file() and _is_table(each)]
            if not inside:
                raise InputError(f"{path} holds no table ({', '.join(TABLE_SUFFIXES)})")
            found += inside
        elif not path.is_file():
            raise InputError(f"cannot read the labelled sentences: {path}: no such file")
        elif not _is_table(path):
            raise InputError(
                f"{path}: expected a table ({', '.join(TABLE_SUFFIXES)}) written by framelens label"
            )
        else:
            found.append(path)
    return found


def _is_table(path: Path) -> bool:
    return suffixes(path.name)[0] in TABLE_SUFFIXES and not path.name.startswith(".")


def _common_columns(files: Sequence[Path]) -> frozenset[str]:
    common: frozenset[str] | None = None
    for file in files:
        with open_table(str(file)) as table:
            common = frozenset(table.columns) if common is None else common & frozenset(table.columns)
    return common or frozenset()


def _readers(files: Sequence[Path], columns: frozenset[str]) -> list[str]:
    """One SELECT for each format among the files."""
    by_format: dict[str, list[str]] = {}
    for file in files:
        by_format.setdefault(suffixes(file.name)[0], []).append(str(file))
    selected = ", ".join(quoted(name) for name in sorted(columns))
    typed = ", ".join(f"{quoted(name, text=True)}: 'VARCHAR'" for name in sorted(columns))
    readers = []
    for kind, names in by_format.items():
        listed = f"[{', '.join(quoted(name, text=True) for name in names)}]"
        if kind == ".parquet":
            call = f"read_parquet({listed}, union_by_name = true)"
        elif kind in (".csv", ".tsv"):
            separator = r"\t" if kind == ".tsv" else ","
            call = (
                f"read_csv({listed}, header = true, delim = '{separator}', quote = '\"', escape = '\"', "
                "all_varchar = true, union_by_name = true, max_line_size = 100000000)"
            )
        else:
            call = (
                f"read_json({listed}, format = 'newline_delimited', columns = {{{typed}}}, "
                "maximum_object_size = 100000000)"
            )
        readers.append(f"SELECT {selected} FROM {call}")
    return readers


def _group_expression(name: str, columns: frozenset[str], date_column: str) -> str:
    """SQL for a group's value.

    Raises:
        InputError: there is no such column, or no date to make it from.
    """
    if name in columns:
        return f"coalesce(nullif(trim(CAST({quoted(name)} AS VARCHAR)), ''), '{NONE}')"
    if name not in TIME_UNITS:
        raise InputError(
            f"the labelled tables have no column {name!r} to group by: expected one of "
            f"{', '.join(sorted(columns))}, or {', '.join(TIME_UNITS)} with a column of dates"
        )
    if date_column not in columns:
        raise InputError(
            f"{name} is made from a column of dates, and there is none called {date_column!r}: name it with "
            f"--date-column, among {', '.join(sorted(columns))}"
        )
    date = f"CAST({quoted(date_column)} AS VARCHAR)"
    year, month, day = (f"nullif(regexp_extract({date}, '{_DATE}', {part}), '')" for part in (1, 2, 3))
    parsed = f"try_cast({year} || '-' || {month} || '-' || {day} AS DATE)"
    made = {
        "year": year,
        "quarter": f"{year} || '-Q' || ((try_cast({month} AS INT) + 2) // 3)",
        "month": f"{year} || '-' || {month}",
        "week": f"strftime({parsed}, '%G-W%V')",
        "day": f"strftime({parsed}, '%Y-%m-%d')",
    }[name]
    return f"coalesce({made}, '{NONE}')"


def quoted(name: str, *, text: bool = False) -> str:
    """A name, or a text, for SQL."""
    mark = "'" if text else '"'
    return mark + name.replace(mark, mark * 2) + mark


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
