"""Hand-labelled rows of the corpus, joined to what the model said of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from framelens import LABELS, InputError, Label
from framelens.labels import PROBABILITY_COLUMNS
from framelens.tables import open_table
from framelens_evaluation.prevalence.estimators import Sample
from framelens_evaluation.prevalence.population import KEYS
from framelens_evaluation.reporting.figures import LABELS_AS_WRITTEN
from framelens_evaluation.statistics.bootstrap import cluster_codes
from framelens_evaluation.statistics.metrics import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from framelens_evaluation.prevalence.population import Population
    from framelens_evaluation.statistics.metrics import IntArray

__all__ = ["BLANKS", "OUT_OF_SCOPE", "GoldRows", "GoldTable", "join_gold", "read_gold_table"]

#: What a judge writes for a sentence that the codebook does not apply to.
OUT_OF_SCOPE = "not_applicable"
#: What a row without a gold label can mean.
BLANKS = ("refuse", "skip", "out-of-scope")
_SHOWN = 3
#: What a judge may write, as a place in `LABELS` or `NO_LABEL`.
_WRITTEN = {name: LABELS.index(label) for name, label in LABELS_AS_WRITTEN.items()} | {
    OUT_OF_SCOPE.replace("_", " "): NO_LABEL
}


@dataclass(frozen=True, eq=False)
class GoldTable:
    """A file of hand-labelled rows.

    Attributes:
        path: where it was read from.
        sha256: digest of its bytes.
        rows: those with a gold label.
        codes: shape (n,), places in `LABELS`; `NO_LABEL` for out of scope.
        n_skipped: rows without a gold label that were left out.
        column: that of the gold label.
    """

    path: Path
    sha256: str
    rows: tuple[Mapping[str, Any], ...]
    codes: IntArray
    n_skipped: int
    column: str


@dataclass(frozen=True, eq=False)
class GoldRows:
    """Gold rows joined to the corpus.

    Attributes:
        sample: the rows, with `Sample.inclusion` as given, or uniform over the corpus.
        given: shape (n,), places in `LABELS`, the predicted labels.
        groups: group of each row.
        uniform: whether no inclusion probabilities were given.
        clustered_by: name of the column of clusters; None where each sentence counts by itself.
        n_without_prediction: gold rows left out because the model gave the sentence no label.
        joined_by: the key's columns; empty where the gold rows brought their own predictions.
    """

    sample: Sample
    given: IntArray
    groups: tuple[tuple[str, ...], ...]
    uniform: bool
    clustered_by: str | None
    n_without_prediction: int
    joined_by: tuple[str, ...]


def read_gold_table(path: Path, column: str | None = None, blank: str = "refuse") -> GoldTable:
    """Read hand-labelled rows.

    Args:
        path: a table that `framelens.tables.open_table` reads.
        column: that of the gold label; None takes ``gold`` where there is one, else ``label``. Its values
            are labels or their short names (`LABELS_AS_WRITTEN`), whatever the case, with spaces or
            underscores.
        blank: one of `BLANKS`, what a row without a gold label means. ``skip`` leaves such rows out, as if
            the others had been drawn alone, which is right where the rows stood in random order and
            were labelled from the top; ``out-of-scope`` takes them as judged so.

    Raises:
        InputError: the file cannot be read, has no such column, or a value is no label.
    """
    if blank not in BLANKS:
        raise InputError(f"expected one of {', '.join(BLANKS)} for rows without gold, got {blank!r}")
    with open_table(str(path)) as table:
        rows = list(table.rows)
        names = set(table.columns)
    chosen = column or ("gold" if "gold" in names else "label")
    if not any(chosen in row for row in rows):
        raise InputError(
            f"{path}: expected the gold labels in a column {chosen!r}, got {', '.join(sorted(names))}; name "
            "it with --gold-column"
        )
    kept, codes, n_blank = [], [], 0
    for at, row in enumerate(rows, start=1):
        value = row.get(chosen)
        if value is None or not str(value).strip():
            n_blank += 1
            if blank == "out-of-scope":
                kept.append(row)
                codes.append(NO_LABEL)
            continue
        kept.append(row)
        codes.append(_code(str(value).strip(), path, at))
    if n_blank and blank == "refuse":
        raise InputError(
            f"{path}: {n_blank:,} of {len(rows):,} rows have no gold label: fill them in ({OUT_OF_SCOPE} "
            "where the codebook does not apply), or say with --blank skip or --blank out-of-scope what they "
            "mean"
        )
    if not kept:
        raise InputError(f"{path}: no row has a gold label in the column {chosen!r}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    skipped = n_blank if blank == "skip" else 0
    return GoldTable(path, digest, tuple(kept), np.array(codes, dtype=np.int64), skipped, chosen)


def _code(value: str, path: Path, at: int) -> int:
    code = _WRITTEN.get(" ".join(value.replace("_", " ").lower().split()))
    if code is None:
        raise InputError(
            f"{path}: row {at}: expected a gold label among {', '.join(LABELS)}, {OUT_OF_SCOPE}, got "
            f"{value!r}"
        )
    return code


def join_gold(
    gold: GoldTable, population: Population, *, cluster: str = "auto", date_column: str = "date"
) -> GoldRows:
    """Join gold rows to the corpus.

    Args:
        gold: the rows. Joined by (doc_id, sentence_index) or id, the first that both sides have; where they
            have no key in common, gold rows must bring predictions and group columns of their own.
        population: the corpus.
        cluster: column of the unit that was drawn, ``none`` where single sentences were, or ``auto``, which
            takes ``article`` or ``doc_id`` where there is one: the safe side, since clusters that
            do not matter hardly widen an interval.
        date_column: for groups made from it, in gold rows with predictions of their own.

    Raises:
        InputError: rows that are not in the corpus or stand in it twice, or a column that is missing.
    """
    names = set().union(*gold.rows)
    key = next((key for key in KEYS if names >= set(key) and population.columns >= set(key)), None)
    if key is not None:
        found = _looked_up(gold, population, key)
    elif names >= set(PROBABILITY_COLUMNS) or (gold.column != "label" and "label" in names):
        found = _own_predictions(gold, population, date_column)
    else:
        raise InputError(
            f"{gold.path}: the gold rows cannot be found in the corpus: expected the columns doc_id and "
            f"sentence_index, or id, on both sides, or predictions ({', '.join(PROBABILITY_COLUMNS)}) beside "
            "the gold"
        )
    rows = np.array([at for at, row in enumerate(found) if row is not None], dtype=np.int64)
    if not len(rows):
        raise InputError(f"{gold.path}: the model gave none of the {len(found):,} gold rows a label")
    kept = [row for row in found if row is not None]
    n_groups = max(len(population.by), 1)
    inclusion, uniform = _inclusion(gold, rows, population)
    clusters, clustered_by = _clusters(gold, rows, kept, cluster)
    strata, _ = cluster_codes(
        [str(gold.rows[at].get("stratum")) for at in rows] if not uniform else [""] * len(rows)
    )
    return GoldRows(
        Sample(
            gold.codes[rows],
            np.array([row[n_groups + 1 : n_groups + 1 + len(LABELS)] for row in kept], dtype=np.float64),
            inclusion,
            clusters,
            strata,
        ),
        np.array([LABELS.index(Label(row[n_groups])) for row in kept], dtype=np.int64),
        tuple(tuple(row[:n_groups]) for row in kept),
        uniform,
        clustered_by,
        len(found) - len(rows),
        key or (),
    )


def _looked_up(gold: GoldTable, population: Population, key: Sequence[str]) -> list[tuple[Any, ...] | None]:
    """For each gold row: groups, predicted label, predictions and doc_id; None where there is no label."""
    wanted = [tuple(_plain(row.get(name)) for name in key) for row in gold.rows]
    _refuse_twice(gold, wanted, key)
    table = pa.table(
        {
            "row": list(range(len(wanted))),
            **{f"k{at}": [each[at] for each in wanted] for at in range(len(key))},
        }
    )
    population.connection.register("gold", table)
    matched = " AND ".join(f"every.{name} = gold.k{at}" for at, name in enumerate(key))
    article = "every.doc_id" if "doc_id" in population.columns else "NULL"
    rows = population.query(
        f"SELECT gold.row, {population.group_columns}, given_label, {', '.join(PROBABILITY_COLUMNS)}, "
        f"{article} FROM every JOIN gold ON {matched}"
    )
    found: dict[int, tuple[Any, ...]] = {}
    for row in rows:
        if row[0] in found:
            raise InputError(
                f"the labelled tables hold the sentence {_named(wanted[row[0]], key)} more than once"
            )
        found[row[0]] = row[1:]
    missing = [each for at, each in enumerate(wanted) if at not in found]
    if missing:
        shown = "; ".join(_named(each, key) for each in missing[:_SHOWN])
        renamed = _renamed(population, key)
        population.connection.unregister("gold")
        if renamed:
            raise InputError(
                f"{gold.path}: {len(missing):,} of {len(wanted):,} gold rows are not in the labelled tables, "
                f"such as {shown}; {renamed:,} would be found by what follows the last ':', so the corpus "
                "file seems to have been called otherwise when they were drawn: label it under that name, or "
                "before drawing give framelens label --id-column, so that names of documents do not depend "
                "on it"
            )
        raise InputError(
            f"{gold.path}: {len(missing):,} of {len(wanted):,} gold rows are not in the labelled tables, "
            f"such as {shown}: gold must be drawn from the corpus whose shares are asked for"
        )
    population.connection.unregister("gold")
    at_label = max(len(population.by), 1)
    return [found[at] if found[at][at_label] is not None else None for at in range(len(wanted))]


def _renamed(population: Population, key: Sequence[str]) -> int:
    """Gold rows that are in the corpus but for what stands before the last colon of their document's name."""
    ends = " AND ".join(
        f"regexp_extract({side}, '[^:]*$') = regexp_extract(gold.k0, '[^:]*$')"
        if at == 0
        else f"{side} = gold.k{at}"
        for at, side in enumerate(f"every.{name}" for name in key)
    )
    [(n,)] = population.query(
        f"SELECT count(DISTINCT gold.row) FROM every JOIN gold ON {ends} WHERE every.{key[0]} <> gold.k0 "
        f"AND contains(every.{key[0]}, ':') AND contains(gold.k0, ':')"
    )
    return int(n)


def _own_predictions(
    gold: GoldTable, population: Population, date_column: str
) -> list[tuple[Any, ...] | None]:
    """The same from the gold rows' own columns."""
    names = set().union(*gold.rows)
    needed = [name for name in population.by if name in population.columns]
    needed += [date_column] if len(needed) < len(population.by) else []
    needed += PROBABILITY_COLUMNS if population.soft else ()
    if missing := [name for name in needed if name not in names]:
        raise InputError(
            f"{gold.path}: gold rows with predictions of their own need the columns {', '.join(missing)} too"
        )
    columns = {name: [_plain(row.get(name)) for row in gold.rows] for name in needed}
    population.connection.register("gold", pa.table({"row": list(range(len(gold.rows))), **columns}))
    groups = ", ".join(population.group_expressions(date_column)) or "'all'"
    made = sorted(population.query(f"SELECT row, {groups} FROM gold"))
    population.connection.unregister("gold")
    found: list[tuple[Any, ...] | None] = []
    for at, (row, (_, *group)) in enumerate(zip(gold.rows, made, strict=True), start=1):
        label = row.get("label") if gold.column != "label" else None
        try:
            values = [float(row[name]) for name in PROBABILITY_COLUMNS] if population.soft else []
            given = Label(label) if label else LABELS[int(np.argmax(values))] if values else None
        except (TypeError, ValueError, KeyError) as error:
            raise InputError(f"{gold.path}: row {at}: no prediction: {error}") from error
        if given is None or (gold.column != "label" and not label and "label" in row):
            found.append(None)
            continue
        predictions = values or [float(given == each) for each in LABELS]
        found.append((*group, given, *predictions, row.get("doc_id")))
    return found


def _plain(value: Any) -> str | None:
    """A key as text; a whole number that went through a spreadsheet or a float column is one again."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _refuse_twice(gold: GoldTable, wanted: Sequence[tuple[str | None, ...]], key: Sequence[str]) -> None:
    seen: set[tuple[str | None, ...]] = set()
    for at, each in enumerate(wanted, start=1):
        if None in each:
            raise InputError(f"{gold.path}: a gold row ({at}) has no {' and '.join(key)}")
        if each in seen:
            raise InputError(f"{gold.path}: the gold row {_named(each, key)} stands in the file twice")
        seen.add(each)


def _named(values: Sequence[str | None], key: Sequence[str]) -> str:
    return ", ".join(f"{name} {value!r}" for name, value in zip(key, values, strict=True))


def _inclusion(gold: GoldTable, rows: IntArray, population: Population) -> tuple[Any, bool]:
    """Inclusion probabilities of the rows, and whether they are merely assumed to be equal."""
    values = [gold.rows[at].get("inclusion_probability") for at in rows]
    given = [value not in (None, "") for value in values]
    if not any(given):
        n_labelled = population.n_rows - sum(population.without_label.values())
        return np.full(len(rows), min(1.0, len(rows) / n_labelled)), True
    try:
        found = np.array([float(value) for value in values])
    except (TypeError, ValueError) as error:
        raise InputError(f"{gold.path}: a row has no number as inclusion_probability: {error}") from error
    if not ((found > 0) & (found <= 1)).all():
        raise InputError(f"{gold.path}: an inclusion_probability must lie above 0 and be at most 1")
    # Labelled from the top of a random order, the rows are a random part of those that were drawn.
    return found * len(gold.rows) / (len(gold.rows) + gold.n_skipped), False


def _clusters(
    gold: GoldTable, rows: IntArray, kept: Sequence[tuple[Any, ...]], cluster: str
) -> tuple[IntArray, str | None]:
    """Clusters of the rows, and the column that names them."""
    if cluster == "none":
        return np.arange(len(rows)), None
    names = set().union(*gold.rows)
    if cluster == "auto":
        chosen = next((name for name in ("article", "doc_id") if name in names), None)
        if chosen is None:
            articles = [row[-1] for row in kept]
            if None in articles:
                return np.arange(len(rows)), None
            return cluster_codes(articles)[0], "doc_id"
        cluster = chosen
    if cluster not in names:
        raise InputError(f"{gold.path}: no column {cluster!r} to cluster by, got {', '.join(sorted(names))}")
    values = [gold.rows[at].get(cluster) for at in rows]
    if any(value in (None, "") for value in values):
        raise InputError(f"{gold.path}: a row has no {cluster}, which names the cluster that was drawn")
    return cluster_codes([str(value) for value in values])[0], cluster
