"""A round settled: agreements by themselves, disagreements by a majority or a third reader.

A judgement gives a label by its rule, or X. A sentence is settled when its judges give one label, when more
than half of three or more do, or when it has been adjudicated. Rules may differ within a label: the one that
most judges give counts, then the surest, then the codebook's order.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from framelens.errors import InputError
from framelens.writers import replacing
from framelens_training.judgements import ANSWERS, answer_files, read_readings, some_of
from framelens_training.labelstudio import NOTHING
from framelens_training.pool import digest
from framelens_training.rows import LABEL_OF, OUT_OF_SCOPE_RULE, RULES
from framelens_training.sheets import batch_name, one_sheet, read_key, sheet_ids, shown, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from framelens_training.judgements import Judgement
    from framelens_training.sheets import Key

__all__ = ["Outcome", "Tally", "Verdict", "adjudicate", "label_of", "settle"]

SHEETS: Final = "adjudication"
DISAGREEMENTS: Final = "disagreements.jsonl"
JUDGEMENTS: Final = "judgements.jsonl"
NOT_ANNOTATED: Final = "not_annotated.jsonl"
_BATCH: Final = 60
_BATCH_NAME: Final = re.compile(r"batch(\d+)")
_MAJORITY_OF: Final = 3
_ORDER: Final = (*RULES, OUT_OF_SCOPE_RULE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sentence was settled as.

    Attributes:
        rule: of the codebook, or X.
        sure: 1 where all judges gave this label and were sure.
        cue: [start, end) in the sentence; None for I and X.
        adjudicated: whether a further reader decided.
    """

    rule: str
    sure: int
    cue: tuple[int, int] | None
    adjudicated: bool


@dataclass
class Tally:
    """Counts of items: all of them, and how they fared."""

    items: int = 0
    waiting: int = 0
    read_twice: int = 0
    agreed: int = 0
    adjudicated: int = 0
    disputed: int = 0
    not_annotated: int = 0
    settled: int = 0


@dataclass(frozen=True)
class Outcome:
    """What became of a round.

    Attributes:
        tallies: by stratum, and ``all``.
        faults: of the judgements; see `framelens_training.judgements.Readings`.
        sheets: those with sentences that are still to be adjudicated, with how many these are, and how many
            the sheet has.
        settled: the file of the settled sentences.
        judgements: the file for ``framelens-eval agreement``.
        notes: what was passed over and is no fault.
    """

    tallies: dict[str, Tally]
    faults: list[str]
    sheets: dict[Path, tuple[int, int]]
    settled: Path
    judgements: Path
    notes: list[str] = field(default_factory=list)


def label_of(rule: str) -> str | None:
    """The label of a rule; None for X."""
    label = LABEL_OF.get(rule)
    return None if label is None else str(label)


def settle(judgements: Sequence[Judgement], adjudicated: Judgement | None = None) -> Verdict | None:
    """Settle one sentence; the order of its judgements does not matter.

    Args:
        judgements: of judges who worked apart, one or more.
        adjudicated: what a further reader said who had seen them.

    Returns:
        The verdict; None where the judges differ and nobody has decided.
    """
    if adjudicated is not None:
        return Verdict(adjudicated.rule, 0, adjudicated.cue, adjudicated=True)
    votes = Counter(label_of(said.rule) for said in judgements)
    label, n = votes.most_common(1)[0]
    if n < len(judgements) and not (len(judgements) >= _MAJORITY_OF and 2 * n > len(judgements)):
        return None
    won = [said for said in judgements if label_of(said.rule) == label]
    given = Counter(said.rule for said in won)
    surest = Counter(said.rule for said in won if said.sure)
    rule = min(given, key=lambda rule: (-given[rule], -surest[rule], _ORDER.index(rule)))
    # The shortest cue of the surest judges, for the codebook asks for the shortest that decides.
    cues = [
        (-said.sure, said.cue[1] - said.cue[0], said.cue) for said in won if said.rule == rule and said.cue
    ]
    sure = int(n == len(judgements) and all(said.sure for said in judgements))
    return Verdict(rule, sure, min(cues)[2] if cues else None, adjudicated=False)


def adjudicate(
    folder: Path,
    judgements: Sequence[Path] = (),
    out: Path | None = None,
    *,
    adjudicated: Sequence[Path] = (),
    partial: bool = False,
) -> Outcome:
    """Read the judgements of a round back, settle what can be settled, and write it.

    Writes the settled sentences and, beside them, ``not_annotated.jsonl``; in the round's folder
    ``disagreements.jsonl``, ``judgements.jsonl`` and sheets for a further reader. The same judgements give
    the same files, and sheets that have been written stay: new disagreements go on further ones.

    Args:
        folder: of the round.
        judgements: see `framelens_training.judgements.read_readings`; by default the judges' own folders in
            the round's, as far as they hold answers.
        out: file of the settled sentences; by default ``settled.jsonl`` in the round's folder.
        adjudicated: answers to the adjudication's sheets, files or folders; by default what lies in the
            round's ``adjudication`` folder.
        partial: go on where judgements are faulty or missing, with the sentences that have all of theirs.

    Returns:
        The outcome. Where it has faults and not ``partial``, nothing has been written.

    Raises:
        InputError: a file cannot be read, or there are no judgements.
    """
    key = read_key(folder)
    out = out or folder / "settled.jsonl"
    texts = {name: shown(row)["text"] for name, row in key.rows.items()}
    readings = read_readings(judgements or _own_answers(folder, key), texts, list(key.sheets.values()))
    said: dict[str, list[Judgement]] = defaultdict(list)
    for judgement in _in_whole_texts(readings.judgements, key):
        said[judgement.item].append(judgement)
    # Settled in one order, whatever the order of the files was.
    said = {name: sorted(said[name], key=lambda one: one.judge) for name in key.rows if name in said}
    complete = [
        name for name, row in key.rows.items() if len(said.get(name, ())) >= max(1, len(row["sheets"]))
    ]
    decided, faults, notes = _adjudications(adjudicated, texts, said, key, folder)
    faults = readings.faults + faults + _missing(folder, key, said, set(key.rows).difference(complete))
    if faults and not partial:
        return Outcome({}, faults, {}, out, folder / JUDGEMENTS, notes)
    verdicts = {name: settle(said[name], decided.get(name)) for name in complete}
    _write(key, said, verdicts, decided, folder, out)
    open_names = [name for name, verdict in verdicts.items() if verdict is None]
    sheets = _write_sheets(folder, key, said, open_names)
    return Outcome(_tallies(key, said, verdicts), faults, sheets, out, folder / JUDGEMENTS, notes)


def _own_answers(folder: Path, key: Key) -> list[Path]:
    judges = dict.fromkeys(judge for judge, _ in key.sheets)
    found = [folder / judge for judge in judges if answer_files(folder / judge)]
    if not found:
        raise InputError(
            f"{folder}: expected answers such as {next(iter(judges))}/{batch_name(0)}{ANSWERS}, got none; "
            "write them beside the sheets, or name the files"
        )
    return found


def _in_whole_texts(judgements: Iterable[Judgement], key: Key) -> list[Judgement]:
    """Judgements with cues that count from where the text begins, and not what judges saw of it."""
    moved = []
    for one in judgements:
        by = key.rows[one.item]["shown_from"]
        moved.append(replace(one, cue=one.cue and (one.cue[0] + by, one.cue[1] + by)))
    return moved


def _missing(folder: Path, key: Key, said: Mapping[str, Sequence[Judgement]], waiting: set[str]) -> list[str]:
    """What is missing, sheet by sheet; together where judges are not called as their sheets' folders are."""
    if not waiting:
        return []
    judges = {judge for judge, _ in key.sheets}
    readers = {name: {one.judge.split(":")[0] for one in said.get(name, ())} for name in waiting}
    lacks = {
        f"{judge}/{batch_name(number)}.txt": [
            name for name in ids if name in waiting and judge not in readers[name]
        ]
        for (judge, number), ids in key.sheets.items()
    }
    if all(names <= judges for names in readers.values()):
        return [
            f"{folder / sheet}: expected an answer without a fault to each of its items, got none to "
            f"{len(ids):,}: {some_of(ids)}"
            for sheet, ids in lacks.items()
            if ids
        ]
    some = some_of([name for name in key.rows if name in waiting])
    given = Counter(one.judge for read in said.values() for one in read)
    told = ", ".join(f"{judge} {n:,}" for judge, n in sorted(given.items()))
    return [
        f"{folder}: expected every judgement that was asked for, got too few of {len(waiting):,} items: "
        f"{some} (answers by judge: {told})"
    ]


def _adjudications(
    paths: Sequence[Path],
    texts: Mapping[str, str],
    said: Mapping[str, Sequence[Judgement]],
    key: Key,
    folder: Path,
) -> tuple[dict[str, Judgement], list[str], list[str]]:
    """What a further reader said, by item, the faults in it, and notes on what is out of date."""
    if not paths and answer_files(folder / SHEETS):
        paths = [folder / SHEETS]
    sheets = list(_sheets(folder).values())
    differ = {name for name, read in said.items() if len({label_of(one.rule) for one in read}) > 1}
    # Judges may have mended their answers since the sheets were written.
    settled = {name for ids in sheets for name in ids}.difference(differ)
    needless = settled.union(name for name in differ if settle(said[name]) is not None)
    readings = read_readings(paths, texts, sheets, needless)
    decided: dict[str, Judgement] = {}
    obsolete: list[str] = []
    for one in _in_whole_texts(readings.judgements, key):
        if one.item in settled:
            obsolete.append(one.item)
        elif one.item not in differ:
            readings.faults.append(f"{one.where}: expected an item on which judges differ, got {one.item}")
        elif one.item in decided:
            readings.faults.append(
                f"{one.where}: the item {one.item} was adjudicated before, at {decided[one.item].where}"
            )
        else:
            decided[one.item] = one
    notes = []
    if obsolete := list(dict.fromkeys(obsolete)):
        notes.append(
            f"{folder / SHEETS}: passed over answers to {len(obsolete):,} items on which judges no longer "
            f"differ: {some_of(obsolete)}"
        )
    return decided, readings.faults, notes


def _write(
    key: Key,
    said: Mapping[str, Sequence[Judgement]],
    verdicts: Mapping[str, Verdict | None],
    decided: Mapping[str, Judgement],
    folder: Path,
    out: Path,
) -> None:
    settled: list[dict[str, Any]] = []
    not_annotated: list[dict[str, Any]] = []
    disagreements: list[dict[str, Any]] = []
    for name, verdict in verdicts.items():
        read = [*said[name], *([decided[name]] if name in decided else [])]
        row = _settled_row(key.rows[name], read, len(said[name]), verdict)
        if verdict is not None:
            (not_annotated if verdict.rule == OUT_OF_SCOPE_RULE else settled).append(row)
        if len({label_of(one.rule) for one in said[name]}) > 1:
            disagreements.append({**row, "settled": verdict is not None})
    out.parent.mkdir(parents=True, exist_ok=True)
    write_rows(out, settled)
    write_rows(out.with_name(NOT_ANNOTATED), not_annotated)
    write_rows(folder / DISAGREEMENTS, disagreements)
    write_rows(folder / JUDGEMENTS, (_long_row(key.rows[name], one) for name in said for one in said[name]))


def _settled_row(
    row: Mapping[str, Any], read: Sequence[Judgement], n_judges: int, verdict: Verdict | None
) -> dict[str, Any]:
    """A row in the columns of the annotated sentences, with all its judgements."""
    return {
        **row["provenance"],
        "id": row["source_id"] or row["id"],
        "item": row["id"],
        "text": row["text"],
        "context": row["context"],
        "label": None if verdict is None else label_of(verdict.rule),
        "rule": None if verdict is None else verdict.rule,
        "sure": None if verdict is None else verdict.sure,
        "cue": None if verdict is None else verdict.cue,
        "judges": n_judges,
        "adjudicated": verdict is not None and verdict.adjudicated,
        "judgements": [
            {"judge": one.judge, "rule": one.rule, "sure": one.sure, "cue": one.cue} for one in read
        ],
        "stratum": row["stratum"],
        "score": row["score"],
        "inclusion_probability": row["inclusion_probability"],
        "round": row["round"],
    }


def _long_row(row: Mapping[str, Any], said: Judgement) -> dict[str, Any]:
    return {
        "item": said.item,
        "judge": said.judge,
        "rule": said.rule,
        "label": label_of(said.rule),
        "sure": said.sure,
        "article": row["provenance"].get("article"),
        "stratum": row["stratum"],
    }


# ---------------------------------------------------------------- the further reader's sheets


def _sheets(folder: Path) -> dict[int, list[str]]:
    """The ids on each sheet that has been written, by its number."""
    found = {}
    for path in sorted((folder / SHEETS).glob("batch*.txt")):
        if number := _BATCH_NAME.fullmatch(path.stem):
            found[int(number[1])] = sheet_ids(path.read_text(encoding="utf-8"))
    return found


def _write_sheets(
    folder: Path, key: Key, said: Mapping[str, Sequence[Judgement]], open_names: Sequence[str]
) -> dict[Path, tuple[int, int]]:
    """Put disagreements that are on no sheet yet on new ones.

    Returns:
        The sheets with open disagreements: how many of how many.
    """
    sheets = _sheets(folder)
    listed = {name for ids in sheets.values() for name in ids}
    new = [name for name in open_names if name not in listed]
    first = max(sheets, default=-1) + 1
    for number, start in enumerate(range(0, len(new), _BATCH), first):
        sheets[number] = new[start : start + _BATCH]
        blocks = [_disputed(key.rows[name], said[name]) for name in sheets[number]]
        with replacing(_sheet(folder, number)) as stream:
            stream.write("\n".join(blocks).encode())
    left = {number: len(set(open_names).intersection(ids)) for number, ids in sheets.items()}
    return {_sheet(folder, number): (n, len(sheets[number])) for number, n in left.items() if n}


def _sheet(folder: Path, number: int) -> Path:
    (folder / SHEETS).mkdir(exist_ok=True)
    return folder / SHEETS / f"{batch_name(number)}.txt"


def _disputed(row: Mapping[str, Any], said: Iterable[Judgement]) -> str:
    """A block of a sheet with what judges said, in an order that does not tell who."""
    lines = []
    for one in said:
        cue = NOTHING if one.cue is None else row["text"][slice(*one.cue)]
        lines.append(f"reading: {one.rule}, {'sure' if one.sure else 'unsure'}, cue: {cue}\n")
    return one_sheet([shown(row)]) + "".join(sorted(lines, key=lambda line: digest(row["id"] + line)))


# ---------------------------------------------------------------- counts


def _tallies(
    key: Key, said: Mapping[str, Sequence[Judgement]], verdicts: Mapping[str, Verdict | None]
) -> dict[str, Tally]:
    tallies: dict[str, Tally] = defaultdict(Tally)
    for name, row in key.rows.items():
        for tally in (tallies[str(row["stratum"])], tallies["all"]):
            tally.items += 1
            if name not in verdicts:
                tally.waiting += 1
                continue
            verdict = verdicts[name]
            labels = {label_of(one.rule) for one in said[name]}
            tally.read_twice += len(said[name]) > 1
            tally.agreed += len(said[name]) > 1 and len(labels) == 1
            tally.disputed += verdict is None
            if verdict is not None:
                tally.adjudicated += verdict.adjudicated
                tally.not_annotated += verdict.rule == OUT_OF_SCOPE_RULE
                tally.settled += verdict.rule != OUT_OF_SCOPE_RULE
    return {name: tallies[name] for name in sorted(tallies, key=lambda name: (name == "all", name))}
