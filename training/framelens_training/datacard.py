"""The card of a built data set: what is in it, where from, under what terms, and what was left out and why.

It holds counts and names alone, no text of any sentence.
"""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, Any

from framelens.labels import LABELS
from framelens_training.rows import LABEL_OF, OUT_OF_SCOPE_RULE, RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from framelens_training.data import Splits

__all__ = ["alpha", "data_card", "raw_agreement"]

_NOT_APPLICABLE = "not_applicable"
_COLUMNS = (*map(str, LABELS), _NOT_APPLICABLE)
#: What is counted, by column, and how it is called.
_COUNTED = {
    "rule": "rule",
    "origin": "declared source",
    "source": "collection",
    "outlet_id": "outlet",
    "country": "country",
    "stratum": "stratum",
    "round": "round of judging",
    "judges": "judges",
}


def data_card(splits: Splits, record: Mapping[str, Any]) -> str:
    """The card as Markdown.

    Args:
        splits: the judged sentences.
        record: the content of ``data.json``.
    """
    rows = [row | {"split": name} for name, part in splits.items() for row in _without_text(part)]
    return "\n".join(
        [
            *_terms(record),
            f"# Data set of `{record['sources']['name']}`",
            "",
            *_head(rows, record),
            "",
            "## Sources",
            "",
            *_sources(record),
            "",
            "## Counts",
            "",
            *_counts(rows),
            "## Label agreement",
            "",
            *_agreement(rows),
            "",
            "## What was left out",
            "",
            *_left_out(record),
            "",
        ]
    )


def raw_agreement(judged: Iterable[Sequence[str]]) -> float:
    """Share of pairs of judgements of the same sentence that agree, in [0, 1].

    Args:
        judged: the labels that each sentence was given, at least two.
    """
    pairs = [one == other for labels in judged for one, other in combinations(labels, 2)]
    return sum(pairs) / len(pairs)


def alpha(judged: Sequence[Sequence[str]]) -> float | None:
    """Krippendorff's alpha for nominal labels (Krippendorff 2004, "Content Analysis", ch. 11).

    Args:
        judged: the labels that each sentence was given, at least two.

    Returns:
        At most 1; None where all judgements are the same label, so that there is nothing to tell apart.
    """
    observed = 0.0
    totals: Counter[str] = Counter()
    for labels in judged:
        counted = Counter(labels)
        totals += counted
        n = len(labels)
        observed += sum(times * (n - times) for times in counted.values()) / (n - 1)
    everything = sum(totals.values())
    expected = sum(times * (everything - times) for times in totals.values()) / (everything - 1)
    return None if expected == 0 else 1 - observed / expected


def _without_text(part: Any) -> Any:
    return part.remove_columns(["text", "context"])


def _terms(record: Mapping[str, Any]) -> Iterable[str]:
    """What must be read before anything else; nothing where every source lets weights ship."""
    if record["restricted"]:
        yield (
            f"**Weights fitted on this data set may not ship**, by the terms of "
            f"{', '.join(record['restricted'])}."
        )
        yield ""


def _head(rows: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> Iterable[str]:
    about = record["sources"]["description"].rstrip(".")
    described = f"{about}. " if about else ""
    settings, near, leakage = record["settings"], record["near_duplicates"], record["leakage"]
    yield (
        f"{len(rows):,} judged sentences from {len({row['article'] for row in rows}):,} articles. "
        f"{described}Written by `framelens-train data` of framelens "
        f"{record['framelens']}; `data.json` holds all settings and digests."
    )
    yield ""
    yield (
        "- **Splits** by article, with a hash of its name (seed "
        f"{settings['split_seed']}): {settings['dev_fraction']:.0%} of the articles to dev, "
        f"{settings['test_fraction']:.0%} to test. By outlet: {_names(settings['dev_outlets'])} stand in dev "
        f"alone, {_names(settings['test_outlets'])} in test alone."
    )
    yield (
        f"- **Duplicates**: text compared in {near['text']}; sets of {near['shingle']}; Jaccard similarity "
        f"of at least {near['jaccard']}; MinHash with {near['minhash']}. Of two judged differently the one "
        "stays that more judges read, else the surer one, else neither. Two that differ in the very cue of "
        "one, and sentences of one contrast set, are no duplicates."
    )
    yield f"- **Leakage** from a set that measures: {leakage['rule']}. Checked against: {_checked(leakage)}."


def _checked(leakage: Mapping[str, Any]) -> str:
    outside = leakage["evaluation_sets"]
    own = "dev and test of this data set"
    if not outside:
        return f"{own}; **no other evaluation set was at hand**"
    return "; ".join(
        [own, *(f"{name} ({known['fingerprints']:,} fingerprints)" for name, known in outside.items())]
    )


def _sources(record: Mapping[str, Any]) -> Iterable[str]:
    head = ("source", "kind", "role", "sentences read", "weight", "licence", "terms")
    rows = [
        (
            f"`{source['name']}`",
            source["kind"],
            source["role"],
            f"{source['sentences']:,}",
            f"{source['weight']:g}",
            source["licence"],
            source["terms"],
        )
        for source in record["sources"]["read"]
    ]
    yield from _table(head, rows)
    for source in record["sources"]["read"]:
        for how, where in (("fetched", "their repositories"), ("copied", "the data folder's copies")):
            for found in source.get(how, ()):
                yield ""
                yield (
                    f"Of the {found['asked']:,} sentences that `{source['name']}` refers to, "
                    f"{found['restored']:,} were found in {where}."
                )
    for task, targets in record["auxiliary"].items():
        yield ""
        listed = ", ".join(f"{target} {n:,}" for target, n in targets.items())
        yield f"Auxiliary task `{task}`: {listed}."


def _counts(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    yield from _count_table("split", [(row["split"], row) for row in rows])
    for column, called in _COUNTED.items():
        yield from _count_table(called, [(row.get(column), row) for row in rows])


def _count_table(called: str, pairs: Sequence[tuple[Any, Mapping[str, Any]]]) -> Iterable[str]:
    """Sentences by a column's values and by label; the splits in which each value stands."""
    counted: dict[str, Counter[str]] = {}
    for value, row in pairs:
        name = "not stated" if value is None else str(value)
        counter = counted.setdefault(name, Counter())
        counter[row["label"] or _NOT_APPLICABLE] += 1
        counter[row["split"]] += 1
    splits = () if called == "split" else ("train", "dev", "test")
    lines = []
    for name, counter in sorted(counted.items(), key=lambda item: _order(called, *item)):
        total = sum(counter[label] for label in _COLUMNS)
        lines.append((name, *(f"{counter[key]:,}" for key in (*_COLUMNS, *splits)), f"{total:,}"))
    yield from _table((called, *_COLUMNS, *splits, "all"), lines)
    yield ""


def _order(called: str, name: str, counter: Counter[str]) -> tuple[int, str]:
    fixed = {"split": ("train", "dev", "test"), "rule": (*RULES, OUT_OF_SCOPE_RULE)}.get(called)
    if fixed:
        return fixed.index(name), name
    return -sum(counter[label] for label in _COLUMNS), name


def _agreement(rows: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    known = [row for row in rows if len(_apart(row)) > 1]
    often = sum((row["judges"] or 1) > 1 or len(_apart(row)) > 1 for row in rows)
    if not known:
        yield (
            f"Unknown: {often:,} of {len(rows):,} sentences were read by more than one judge, and their "
            "single judgements are not in the data."
        )
        return
    yield (
        f"{often:,} of {len(rows):,} sentences were read by more than one judge; the single judgements of "
        f"{len(known):,} are in the data. Agreement over the three labels and `{_NOT_APPLICABLE}`:"
    )
    yield ""
    groups = {"all": known}
    for name in ("train", "dev", "test"):
        groups[name] = [row for row in known if row["split"] == name]
    lines = []
    for name, group in groups.items():
        if group:
            judged = [_labels(_apart(row)) for row in group]
            reliability = alpha(judged)
            shown = "n/a" if reliability is None else f"{reliability:.3f}"
            lines.append((name, f"{len(group):,}", f"{raw_agreement(judged):.3f}", shown))
    yield from _table(("split", "sentences", "pairs that agree", "Krippendorff's alpha"), lines)


def _apart(row: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The judgements that were made apart: the last of an adjudicated sentence is that of a reader who knew
    the others."""
    said = row.get("judgements") or ()
    return said[:-1] if row["adjudicated"] else said


def _labels(judgements: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(LABEL_OF.get(said["rule"], _NOT_APPLICABLE)) for said in judgements]


def _left_out(record: Mapping[str, Any]) -> Iterable[str]:
    lines = [(*reason.split(": ", 1), f"{n:,}") for reason, n in sorted(record["dropped"].items())]
    if lines:
        yield from _table(("split", "why", "sentences"), lines)
    else:
        yield "No sentence."
    yield ""
    settled = sum(conflict["kept"] is not None for conflict in record["conflicts"])
    yield (
        f"{len(record['conflicts'])} pairs of duplicates were judged differently; {settled} of them were "
        "settled by the number of judges or by how sure they were. `dropped.jsonl` names every sentence."
    )
    cut = ", ".join(f"{n:,} in {name}" for name, n in record["contexts_cut"].items())
    yield f"Contexts cut because they held a sentence of a set that measures: {cut}."


def _names(outlets: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in outlets) or "none"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |"

    return [line(head), line(["---"] * len(head)), *map(line, rows)]
