"""The whole tables as CSV: the page and the JSON hold the largest groups only."""

from __future__ import annotations

import csv
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from framelens import LABELS, InputError
from framelens_evaluation.corpus.shares import cluster_shares
from framelens_evaluation.corpus.tallies import groups_sql, named_sums, periods_sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from framelens_evaluation.corpus.report import Cue
    from framelens_evaluation.corpus.source import Corpus

__all__ = ["write_tables"]


def write_tables(corpus: Corpus, cues: Sequence[Cue] | None, folder: Path) -> tuple[Path, ...]:
    """Write ``groups.csv``, ``periods.csv``, ``groups_by_period.csv`` and ``cues.csv``, where there are such.

    Shares have 6 decimals and lie in [0, 1]; what is not defined is empty.

    Raises:
        InputError: the folder cannot be written.
    """
    by, over = corpus.request.by, corpus.request.over
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if by:
            written.append(_write_shares(corpus, groups_sql(corpus), by, folder / "groups.csv"))
        if over:
            written.append(_write_shares(corpus, periods_sql(over), (over,), folder / "periods.csv"))
        if by and over:
            query = groups_sql(corpus, over)
            written.append(_write_shares(corpus, query, (*by, over), folder / "groups_by_period.csv"))
        if cues:
            with _open(folder / "cues.csv") as rows:
                rows.writerow(("kind", "cue", "n", "documents"))
                rows.writerows((cue.kind, cue.cue, cue.n, cue.documents) for cue in cues)
            written.append(folder / "cues.csv")
    except OSError as error:
        raise InputError(f"cannot write the tables into {folder}: {error.strerror}") from error
    return tuple(written)


def _write_shares(corpus: Corpus, query: str, names: Sequence[str], path: Path) -> Path:
    with _open(path) as rows:
        ends = [f"{part}_{label}" for label in LABELS for part in ("n", "share", "low", "high")]
        rows.writerow((*names, "sentences", "documents", *ends))
        for batch in corpus.batches(query):
            shares = cluster_shares(named_sums([row[len(names) - 1 :] for row in batch]))
            for at, row in enumerate(batch):
                cells = [
                    cell
                    for label in range(len(LABELS))
                    for cell in (
                        int(shares.counts[at, label]),
                        *(_cell(part[at, label]) for part in (shares.value, shares.low, shares.high)),
                    )
                ]
                counts = int(shares.sentences[at]), int(shares.documents[at])
                rows.writerow((*row[: len(names)], *counts, *cells))
    return path


def _cell(value: Any) -> str:
    return "" if math.isnan(value) else f"{value:.6f}"


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield csv.writer(file, lineterminator="\n")
