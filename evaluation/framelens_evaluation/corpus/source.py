"""The files that ``framelens label`` wrote, as one relation of DuckDB whatever their format.

Parquet is read where it lies. JSON Lines, CSV and TSV have no columns to pick from, so they are first
rewritten, once, as Parquet in a temporary folder that holds only what the report needs.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from framelens import LABELS, InputError
from framelens.decoding import suffixes
from framelens.errors import require
from framelens.labels import PROBABILITY_COLUMNS
from framelens.tables import TABLE_SUFFIXES, open_table
from framelens_evaluation.corpus.dates import day_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Corpus", "CorpusRequest", "Over", "find_files", "open_corpus"]

Over = Literal["day", "week", "month", "quarter", "year"]
#: More own columns than these are not what a page can show.
N_GROUP_COLUMNS: Final = 2

#: Of DuckDB, in megabytes: what it cannot keep in these it writes to disk.
_MEMORY = 1024
_MEMORY_A_THREAD = 256
#: Longest row of a text format: beyond this, a quotation mark was not closed.
_LONGEST_ROW = 16 * 2**20
_SPAN: Final = 'STRUCT("start" INTEGER, "end" INTEGER, kind VARCHAR)[]'


@dataclass(frozen=True, slots=True)
class CorpusRequest:
    """What a report is asked to show.

    Attributes:
        paths: files of ``framelens label``, or folders of them.
        by: at most two own columns whose values are the groups.
        over: length of a period; None draws no time line.
        date_column: where the date is read from.
        cluster: column that names the unit in which sentences belong together.
        samples: how many sentences the page shows.
        seed: of their choice.
        title: the page's heading; None makes one of the first file's name.
        threads: of DuckDB.

    Raises:
        InputError: too many columns to group by, or one twice.
    """

    paths: tuple[Path, ...]
    by: tuple[str, ...] = ()
    over: Over | None = None
    date_column: str = "date"
    cluster: str = "doc_id"
    samples: int = 200
    seed: int = 0
    title: str | None = None
    threads: int = 2

    def __post_init__(self) -> None:
        if len(self.by) > N_GROUP_COLUMNS or len(set(self.by)) < len(self.by):
            raise InputError(
                f"expected at most {N_GROUP_COLUMNS} different columns to group by, got {', '.join(self.by)}"
            )


@dataclass(frozen=True, slots=True)
class Corpus:
    """An open corpus.

    Attributes:
        connection: of DuckDB, with the view ``sentences``.
        files: that were read, sorted within each folder.
        columns: names of all their columns.
        request: what was asked for.

    The view has one row a sentence:

    ======================== ===========================================================================
    ``unit``                 64-bit hash of the cluster's name; sentences without one are one cluster
    ``doc``, ``sentence``    document and number of the sentence, for reading
    ``label``                place in `LABELS`; -1 for any other text, null where there is none or it is empty
    ``status``, ``error``    as written; where a file has no status, ``ok`` or ``not labelled``
    ``truncated``            booleans, never null
    ``abstained``
    ``p0``, ``p1``, ``p2``   probabilities in the order of `LABELS`; null where not known
    ``g0``, ``g1``           the values to group by
    ``written``, ``day``     the date as text, and as a date; null where it cannot be read
    ``text``, ``evidence``   the sentence and its spans; null where the files lack the column
    ======================== ========================================================================
    """

    connection: Any
    files: tuple[Path, ...]
    columns: frozenset[str]
    request: CorpusRequest

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query.

        Raises:
            InputError: a file is damaged or holds other data.
        """
        return list(self._run(query, parameters).fetchall())

    def batches(self, query: str, size: int = 20_000) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query, some at a time; none may be run while they are taken."""
        cursor = self._run(query, ())
        while rows := cursor.fetchmany(size):
            yield list(rows)

    def run(self, query: str) -> None:
        """A statement without a result."""
        self._run(query, ())

    def _run(self, query: str, parameters: Sequence[object]) -> Any:
        duckdb = require("duckdb", "eval")
        try:
            return self.connection.execute(query, list(parameters))
        except duckdb.Error as error:
            raise unreadable(error) from error


def unreadable(error: Exception) -> InputError:
    """DuckDB's message as one of ours; the first paragraph says what is wrong."""
    return InputError(f"cannot read the labelled corpus: {str(error).strip().splitlines()[0]}")


def find_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """The tables among files and folders, each once.

    Raises:
        InputError: a path is not there, is of another format, or a folder holds no table.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(
                each
                for each in path.rglob("*")
                # Names with a dot are of files that are still being written.
                if each.is_file()
                and not each.name.startswith(".")
                and suffixes(each.name)[0] in TABLE_SUFFIXES
            )
            if not inside:
                raise InputError(
                    f"{path}: expected a folder of labelled tables ({', '.join(TABLE_SUFFIXES)}), got none; "
                    "label a corpus first: framelens label CORPUS -o LABELLED.parquet"
                )
            found |= dict.fromkeys(inside)
        elif not path.is_file():
            raise InputError(f"cannot read the labelled corpus: {path}: no such file or folder")
        elif suffixes(path.name)[0] not in TABLE_SUFFIXES:
            raise InputError(f"{path}: expected one of {', '.join(TABLE_SUFFIXES)}, got another suffix")
        else:
            found[path] = None
    if not found:
        raise InputError("expected at least one labelled file, got none")
    return tuple(found)


@contextmanager
def open_corpus(request: CorpusRequest) -> Iterator[Corpus]:
    """Open a corpus; what DuckDB cannot keep in its memory goes to a temporary folder.

    Raises:
        InputError: see `find_files`; or a file is damaged, or lacks a column that was asked for.
        MissingExtraError: duckdb is not installed.
    """
    duckdb = require("duckdb", "eval")
    files = find_files(request.paths)
    with tempfile.TemporaryDirectory(prefix="framelens-") as folder:
        connection = duckdb.connect(
            str(Path(folder) / "work.duckdb"),
            config={
                "memory_limit": f"{max(_MEMORY, _MEMORY_A_THREAD * request.threads)}MB",
                "threads": request.threads,
                "temp_directory": str(Path(folder) / "spilled"),
                "preserve_insertion_order": False,
                # What it may need is built in; a report must not reach for the network.
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        try:
            # It would draw over our own, also where nobody looks.
            connection.execute("SET enable_progress_bar = false")
            columns = _make_view(connection, files, request, Path(folder))
            yield Corpus(connection, files, columns, request)
        except duckdb.Error as error:
            raise unreadable(error) from error
        finally:
            connection.close()


def _make_view(
    connection: Any, files: tuple[Path, ...], request: CorpusRequest, folder: Path
) -> frozenset[str]:
    kinds: dict[str, list[Path]] = {}
    for path in files:
        suffix = suffixes(path.name)[0]
        kinds.setdefault(".jsonl" if suffix == ".ndjson" else suffix, []).append(path)
    readers: dict[str, tuple[str, dict[str, str]]] = {}
    for kind, paths in kinds.items():
        if kind == ".parquet":
            reader = f"read_parquet({_names(paths)}, union_by_name=true)"
            described = connection.execute(f"DESCRIBE SELECT * FROM {reader}").fetchall()
            readers[kind] = reader, {row[0]: row[1] for row in described}
        else:
            names = dict.fromkeys(name for path in paths for name in _column_names(path))
            readers[kind] = _text_reader(kind, paths, list(names)), dict.fromkeys(names, "VARCHAR")
    columns = frozenset(name for _, types in readers.values() for name in types)
    _check_columns(columns, request)
    selections = []
    for kind, (reader, types) in readers.items():
        selection = f"SELECT {_selected(types, request)} FROM {reader}"
        if kind != ".parquet":
            target = folder / f"rewritten{kind}.parquet"
            connection.execute(
                f"COPY ({selection}) TO {_text(str(target))} (FORMAT parquet, COMPRESSION zstd)"
            )
            selection = f"SELECT * FROM read_parquet({_names([target])})"
        selections.append(selection)
    connection.execute(f"CREATE TEMP VIEW sentences AS {' UNION ALL '.join(selections)}")
    return columns


def _check_columns(columns: frozenset[str], request: CorpusRequest) -> None:
    wanted = {"label": "label", **dict.fromkeys(request.by, "--by")}
    if request.over:
        wanted[request.date_column] = "--date-column"
    if request.cluster != "doc_id":
        wanted[request.cluster] = "--cluster"
    for name, asked_by in wanted.items():
        if name not in columns:
            hint = "; run framelens label first, and give what it wrote" if name == "label" else ""
            raise InputError(
                f"expected a column {name!r} ({asked_by}), got the columns {', '.join(sorted(columns))}{hint}"
            )


def _column_names(path: Path) -> list[str]:
    with open_table(str(path)) as table:
        return table.columns


def _text_reader(kind: str, paths: list[Path], names: list[str]) -> str:
    """Every value as text: what a format guesses of its types depends on its first rows."""
    if kind == ".jsonl":
        columns = ", ".join(f"{_name(name)}: 'VARCHAR'" for name in names)
        return (
            f"read_json({_names(paths)}, format='newline_delimited', columns={{{columns}}}, "
            f"maximum_object_size={_LONGEST_ROW})"
        )
    separator = "," if kind == ".csv" else "\\t"
    return (
        f"read_csv({_names(paths)}, delim='{separator}', quote='\"', escape='\"', header=true, "
        f"all_varchar=true, union_by_name=true, max_line_size={_LONGEST_ROW})"
    )


def _selected(types: dict[str, str], request: CorpusRequest) -> str:
    """The columns of the view from those of the files."""

    def text(name: str) -> str:
        return f"CAST({_name(name)} AS VARCHAR)" if name in types else "CAST(NULL AS VARCHAR)"

    def flag(name: str) -> str:
        return f"coalesce(TRY_CAST({_name(name)} AS BOOLEAN), false)" if name in types else "false"

    label = " ".join(f"WHEN '{each}' THEN {at}" for at, each in enumerate(LABELS))
    # Some formats cannot tell an empty text from none.
    given = f"nullif(trim({text('label')}), '')"
    label = f"CASE WHEN {given} IS NOT NULL THEN CASE {given} {label} ELSE -1 END END"
    status = text("status")
    if "status" not in types:
        status = f"CASE WHEN {given} IS NULL THEN 'not labelled' ELSE 'ok' END"
    parts = {
        "unit": f"hash({text(request.cluster)})",
        "doc": text("doc_id"),
        "sentence": f"TRY_CAST({_name('sentence_index')} AS BIGINT)"
        if "sentence_index" in types
        else "CAST(NULL AS BIGINT)",
        "label": f"CAST({label} AS TINYINT)",
        "status": status,
        "error": text("error"),
        "truncated": flag("truncated"),
        "abstained": flag("abstained"),
        **{
            f"p{at}": f"TRY_CAST({_name(name)} AS FLOAT)" if name in types else "CAST(NULL AS FLOAT)"
            for at, name in enumerate(PROBABILITY_COLUMNS)
        },
        **{
            f"g{at}": text(request.by[at]) if at < len(request.by) else "NULL"
            for at in range(N_GROUP_COLUMNS)
        },
        "written": text(request.date_column) if request.over else "CAST(NULL AS VARCHAR)",
        "day": _day(types, request),
        "text": text("text"),
        "evidence": _evidence(types),
    }
    return ", ".join(f"{sql} AS {_name(name)}" for name, sql in parts.items())


def _day(types: dict[str, str], request: CorpusRequest) -> str:
    if not request.over:
        return "CAST(NULL AS DATE)"
    return day_sql(_name(request.date_column), types.get(request.date_column, "VARCHAR"), request.over)


def _evidence(types: dict[str, str]) -> str:
    kind = types.get("evidence")
    if kind is None:
        return f"CAST(NULL AS {_SPAN})"
    column = _name("evidence")
    return f"TRY_CAST({f'TRY_CAST({column} AS JSON)' if kind == 'VARCHAR' else column} AS {_SPAN})"


def _name(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    """A text as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"


def _names(paths: Sequence[Path]) -> str:
    """File names as a list of SQL; what DuckDB would take for a pattern stands for itself."""
    plain = ("".join(f"[{c}]" if c in "*?[" else c for c in str(path)) for path in paths)
    return f"[{', '.join(map(_text, plain))}]"
