"""Dates as they stand in corpora, read by DuckDB; what is ambiguous is not guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from framelens_evaluation.corpus.source import Over

__all__ = ["READABLE", "day_sql", "unread_dates"]

#: For messages: what `day_sql` reads.
READABLE: Final = "2024-05-31 (with or without a time), 2024/05/31, 20240531, 31 May 2024 or May 31, 2024"
_COARSE: Final = {"year": 2, "quarter": 1, "month": 1, "week": 0, "day": 0}


def unread_dates(n: int, given: int, example: str) -> str:
    """What to say of dates that could not be read.

    Args:
        n: how many.
        given: dates there are.
        example: one of the former.
    """
    return f"{n:,} of {given:,} dates could not be read, such as {example!r}; write them as 2024-03-12"


def day_sql(column: str, kind: str, over: Over) -> str:
    """An expression for a column's day: null where there is none, or none that can be read.

    Times are taken as they are written, without a change of zone; those with a zone of Parquet are in
    UTC. A bare ``2024-05`` is read where periods are months or longer, a bare ``2024`` where they are
    years. Years before 1000 and after 2999 are mistakes.

    Args:
        column: a quoted identifier.
        kind: its type in DuckDB.
        over: length of the periods.
    """
    if kind == "DATE":
        day = column
    elif kind.startswith("TIMESTAMP"):
        # By way of microseconds, a time with a zone needs no table of zones.
        day = f"CAST(make_timestamp(epoch_us({column})) AS DATE)"
    else:
        day = _from_text(f"trim(CAST({column} AS VARCHAR))", over)
    return f"CASE WHEN year({day}) BETWEEN 1000 AND 2999 THEN {day} END"


def _from_text(text: str, over: Over) -> str:
    token = f"split_part(split_part({text}, 'T', 1), ' ', 1)"
    tried = [
        f"TRY_CAST({token} AS DATE)",
        f"CAST(TRY_STRPTIME(CASE WHEN length({token}) = 8 THEN {token} END, '%Y%m%d') AS DATE)",
    ]
    if _COARSE[over] >= 1:
        tried.append(f"TRY_CAST(CASE WHEN length({token}) = 7 THEN {token} || '-01' END AS DATE)")
    if _COARSE[over] >= 2:
        tried.append(f"TRY_CAST(CASE WHEN length({token}) = 4 THEN {token} || '-01-01' END AS DATE)")
    numbers = f"CASE WHEN {text} SIMILAR TO '[0-9]{{4}}.*' THEN coalesce({', '.join(tried)}) END"
    words = []
    for pattern, form in (
        (r"\d{1,2} [A-Za-z]+ \d{4}", "%d {} %Y"),
        (r"[A-Za-z]+ \d{1,2}, \d{4}", "{} %d, %Y"),
    ):
        forms = ", ".join(f"'{form.format(month)}'" for month in ("%b", "%B"))
        words.append(f"CAST(TRY_STRPTIME(regexp_extract({text}, '{pattern}'), [{forms}]) AS DATE)")
    return f"coalesce({numbers}, {', '.join(words)})"
