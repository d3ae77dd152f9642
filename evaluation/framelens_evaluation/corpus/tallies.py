"""Counts of the corpus, taken by DuckDB and turned into shares."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens import LABELS, InputError
from framelens_evaluation.corpus.dates import unread_dates
from framelens_evaluation.corpus.names import clipped
from framelens_evaluation.corpus.periods import choose_window
from framelens_evaluation.corpus.report import (
    Counts,
    ErrorCount,
    Group,
    GroupedPeriods,
    LabelShare,
    Overall,
    Period,
    Timeline,
)
from framelens_evaluation.corpus.shares import SUMS, cluster_shares, sums_sql
from framelens_evaluation.statistics.bootstrap import Interval
from framelens_evaluation.statistics.metrics import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.corpus.periods import Window
    from framelens_evaluation.corpus.shares import Shares
    from framelens_evaluation.corpus.source import Corpus, Over
    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = [
    "CONFIDENCE_EDGES",
    "count_documents",
    "count_errors",
    "count_sentences",
    "grouped",
    "groups_sql",
    "interval",
    "measure_groups",
    "measure_timeline",
    "named_sums",
    "periods_sql",
]

#: The likeliest of three labels has a probability of at least a third.
CONFIDENCE_EDGES: Final = tuple(round(0.3 + 0.05 * at, 2) for at in range(15))
#: A column with more values than these names documents or sentences, not groups of them.
N_GROUPS_AT_MOST: Final = 100_000

_N_ERRORS_SHOWN = 20
_N_DATES_SHOWN = 5
_GROUPS = ("g0", "g1")


def grouped(corpus: Corpus) -> str:
    """Names of the view's columns to group by, with commas; empty where there are none."""
    return ", ".join(_GROUPS[: len(corpus.request.by)])


def count_documents(corpus: Corpus) -> None:
    """Make the table ``documents``: labels counted by document, groups and day.

    All shares are taken from it, so the files are read once for them.

    Raises:
        InputError: a column to group by has too many values.
    """
    counted = ", ".join(f"count(*) FILTER (label = {at}) AS c{at}" for at in range(len(LABELS)))
    corpus.run(f"CREATE TABLE documents AS SELECT unit, g0, g1, day, {counted} FROM sentences GROUP BY ALL")
    if not corpus.request.by:
        return
    n = corpus.rows(f"SELECT count(*) FROM (SELECT DISTINCT {grouped(corpus)} FROM documents)")[0][0]
    if n > N_GROUPS_AT_MOST:
        raise InputError(
            f"expected at most {N_GROUPS_AT_MOST:,} groups, got {n:,} by {' and '.join(corpus.request.by)}; "
            "group by something that sentences share, such as the outlet"
        )


def count_sentences(corpus: Corpus) -> tuple[Counts, Overall]:
    """What the files hold, and the shares over all of it.

    Raises:
        InputError: the files hold no row.
    """
    rows = corpus.rows(_sentences_sql())
    if not rows:
        raise InputError("the labelled corpus holds no row")
    statuses: Counter[str] = Counter()
    confidence = np.zeros((len(LABELS), len(CONFIDENCE_EDGES) - 1), dtype=np.int64)
    n_known, millionths = np.zeros(len(LABELS)), np.zeros(len(LABELS))
    n_truncated = n_abstained = n_foreign = 0
    for label, status, truncated, abstained, place, n, *sums in rows:
        statuses["none" if status is None else status] += n
        n_truncated += n * truncated
        if label == -1:
            n_foreign += n
        elif label is not None:
            n_abstained += n * abstained
            n_known += sums[: len(LABELS)]
            millionths += [value or 0 for value in sums[len(LABELS) :]]
            if place is not None:
                confidence[label, place] += n
    sums_of_all = corpus.rows(f"SELECT 0, {sums_sql()} FROM ({_by_document(())})")
    shares = cluster_shares(named_sums(sums_of_all))
    labels = tuple(
        LabelShare(
            label=label,
            n=int(shares.counts[0, at]),
            share=interval(shares, 0, at),
            design_effect=number(shares.design_effect[0, at]),
            mean_probability=float(millionths[at] / n_known[at] / 1e6) if n_known[at] else None,
            confidence=tuple(confidence[at].tolist()) if n_known.any() else None,
        )
        for at, label in enumerate(LABELS)
    )
    counts = Counts(
        rows=statuses.total(),
        labelled=int(shares.sentences[0]),
        documents=_count_units(corpus),
        statuses=dict(statuses.most_common()),
        truncated=n_truncated,
        abstained=n_abstained,
        foreign_labels=n_foreign,
    )
    overall = Overall(documents=int(shares.documents[0]), labels=labels, confidence_edges=CONFIDENCE_EDGES)
    return counts, overall


def _sentences_sql() -> str:
    """Rows by label, status, marks and bin of confidence, with sums of the probabilities."""
    lowest, width = CONFIDENCE_EDGES[0], CONFIDENCE_EDGES[1] - CONFIDENCE_EDGES[0]
    last = len(CONFIDENCE_EDGES) - 2
    finite = ", ".join(f"CASE WHEN isfinite(p{at}) THEN p{at} END AS q{at}" for at in range(len(LABELS)))
    chosen = "CASE label WHEN 0 THEN q0 WHEN 1 THEN q1 WHEN 2 THEN q2 END"
    # What is added puts a probability that is an edge into the bin above it, whatever its rounding.
    place = f"CAST(greatest(0, least({last}, floor(({chosen} - {lowest} + 1e-6) / {width}))) AS INTEGER)"
    # Sums of whole millionths do not depend on the order of the rows.
    sums = [f"count(q{at})" for at in range(len(LABELS))]
    sums += [f"sum(CAST(round(q{at} * 1e6) AS BIGINT))" for at in range(len(LABELS))]
    return (
        "SELECT label, status, truncated, abstained, "
        f"CASE WHEN {chosen} IS NOT NULL THEN {place} END AS place, count(*), {', '.join(sums)} "
        f"FROM (SELECT label, status, truncated, abstained, {finite} FROM sentences) "
        "GROUP BY ALL ORDER BY ALL"
    )


def _count_units(corpus: Corpus) -> int | None:
    if corpus.request.cluster not in corpus.columns:
        return None
    return int(corpus.rows("SELECT count(DISTINCT unit) FROM documents")[0][0])


def count_errors(corpus: Corpus) -> tuple[tuple[ErrorCount, ...], int]:
    """The most frequent messages, and how many different ones there are."""
    query = "SELECT error, count(*) AS n FROM sentences WHERE error IS NOT NULL GROUP BY ALL"
    n_messages = corpus.rows(f"SELECT count(*) FROM ({query})")[0][0]
    if not n_messages:
        return (), 0
    rows = corpus.rows(f"{query} ORDER BY n DESC, error LIMIT {_N_ERRORS_SHOWN}")
    return tuple(ErrorCount(message=message[:300], n=n) for message, n in rows), n_messages


def measure_groups(corpus: Corpus, limit: int) -> tuple[tuple[Group, ...], int]:
    """The largest groups by labelled sentences, and how many groups there are."""
    by = grouped(corpus)
    if not by:
        return (), 0
    n_groups = corpus.rows(f"SELECT count(*) FROM (SELECT DISTINCT {by} FROM documents)")[0][0]
    rows = corpus.rows(f"{groups_sql(corpus)} LIMIT {limit}")
    n_columns = len(corpus.request.by)
    shares = cluster_shares(named_sums([row[n_columns - 1 :] for row in rows]))
    groups = tuple(
        Group(
            names=row[:n_columns],
            documents=int(shares.documents[at]),
            sentences=int(shares.sentences[at]),
            shares=_row(shares, at),
        )
        for at, row in enumerate(rows)
    )
    return groups, n_groups


def groups_sql(corpus: Corpus, over: Over | None = None) -> str:
    """A query of the groups with their sums, largest first; or of the groups by period, in order."""
    names = grouped(corpus)
    if over is None:
        return (
            f"SELECT {names}, {sums_sql()} FROM ({_by_document(names.split(', '))}) "
            f"GROUP BY {names} ORDER BY n DESC, {names}"
        )
    inner = _by_document((*names.split(", "), f"{_period(over)} AS start"), "day IS NOT NULL")
    return (
        f"SELECT {names}, strftime(start, '%Y-%m-%d'), {sums_sql()} FROM ({inner}) "
        f"GROUP BY {names}, start ORDER BY {names}, start"
    )


def measure_timeline(corpus: Corpus, groups: Sequence[Group]) -> Timeline | None:
    """Shares by period, over all and for some groups; None where no periods are asked for.

    Args:
        corpus: with the table of `count_documents`.
        groups: those that get a time line of their own.

    Raises:
        InputError: no date at all can be read.
    """
    asked = corpus.request.over
    if asked is None:
        return None
    totals = corpus.rows(
        f"SELECT strftime({_period(asked)}, '%Y-%m-%d') AS start, CAST(sum(c0 + c1 + c2) AS BIGINT) AS n "
        "FROM documents WHERE day IS NOT NULL GROUP BY start HAVING n > 0 ORDER BY start"
    )
    without, unreadable, examples = _unread(corpus)
    window = choose_window([row[0] for row in totals], np.array([row[1] for row in totals], np.int64), asked)
    lines = []
    for group in groups if window else ():
        wanted = " AND ".join(f"{name} IS NOT DISTINCT FROM ?" for name in _GROUPS[: len(group.names)])
        lines.append(
            GroupedPeriods(names=group.names, periods=_periods(corpus, window, f" AND {wanted}", group.names))
        )
    return Timeline(
        asked=asked,
        over=window.over if window else asked,
        column=corpus.request.date_column,
        periods=_periods(corpus, window),
        groups=tuple(lines),
        n_left_out=window.n_left_out if window else 0,
        without_date=without,
        unreadable=unreadable,
        examples=examples,
    )


def _unread(corpus: Corpus) -> tuple[int, int, tuple[str, ...]]:
    """Rows without a date, rows whose date cannot be read, and some of these dates.

    Raises:
        InputError: no date at all can be read.
    """
    without, unreadable, read = corpus.rows(
        "SELECT count(*) FILTER (day IS NULL AND coalesce(trim(written), '') = ''), "
        "count(*) FILTER (day IS NULL AND trim(written) <> ''), count(day) FROM sentences"
    )[0]
    examples: tuple[str, ...] = ()
    if unreadable:
        rows = corpus.rows(
            "SELECT written FROM sentences WHERE day IS NULL AND trim(written) <> '' "
            f"GROUP BY written ORDER BY count(*) DESC, written LIMIT {_N_DATES_SHOWN}"
        )
        examples = tuple(clipped(str(written)) for (written,) in rows)
    if not read:
        column = corpus.request.date_column
        said = unread_dates(unreadable, unreadable, examples[0]) if examples else "every date is empty"
        raise InputError(f"--over needs dates in the column {column!r} (--date-column): {said}")
    return without, unreadable, examples


def periods_sql(over: Over, condition: str = "day IS NOT NULL") -> str:
    """A query of the periods with labelled sentences and their sums, in order.

    Args:
        over: length of a period.
        condition: which rows of the table ``documents`` count.
    """
    inner = _by_document((f"{_period(over)} AS start",), condition)
    return (
        f"SELECT strftime(start, '%Y-%m-%d'), {sums_sql()} FROM ({inner}) "
        "GROUP BY start HAVING sum(c0 + c1 + c2) > 0 ORDER BY start"
    )


def _period(over: Over) -> str:
    return f"CAST(date_trunc('{over}', day) AS DATE)"


def _periods(
    corpus: Corpus, window: Window | None, more: str = "", values: Sequence[object] = ()
) -> tuple[Period, ...]:
    asked = corpus.request.over
    if window is None or asked is None:
        return ()
    condition = f"{_period(asked)} BETWEEN '{window.first}' AND '{window.last}'{more}"
    rows = corpus.rows(periods_sql(window.over, condition), values)
    shares = cluster_shares(named_sums(rows))
    return tuple(
        Period(
            start=row[0],
            documents=int(shares.documents[at]),
            sentences=int(shares.sentences[at]),
            shares=_row(shares, at),
        )
        for at, row in enumerate(rows)
    )


def named_sums(rows: Sequence[Sequence[Any]]) -> dict[str, FloatArray]:
    """Rows of a query of `sums_sql`, each behind one other value, as `cluster_shares` takes them."""
    values = np.array([row[1:] for row in rows], dtype=np.float64).reshape(len(rows), len(SUMS))
    return dict(zip(SUMS, values.T, strict=True))


def _by_document(kept: Sequence[str], condition: str = "true") -> str:
    """One row a document and combination of the columns kept: a document may lie in several."""
    columns = "".join(f"{name}, " for name in kept)
    sums = ", ".join(f"CAST(sum(c{at}) AS BIGINT) AS c{at}" for at in range(len(LABELS)))
    return f"SELECT {columns}unit, {sums} FROM documents WHERE {condition} GROUP BY ALL"


def _row(shares: Shares, at: int) -> tuple[Interval, ...]:
    return tuple(interval(shares, at, label) for label in range(len(LABELS)))


def interval(shares: Shares, group: int, label: int) -> Interval:
    """One share with its interval; None for what is not defined."""
    value, low, high = (number(ends[group, label]) for ends in (shares.value, shares.low, shares.high))
    return Interval(value, low, high)
