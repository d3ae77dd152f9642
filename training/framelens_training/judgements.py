"""Judgements read back: found in files and folders, and checked against what the judges were given.

Every fault is kept with its file and line, and none stops the reading, so that all can be mended at once. A
line with a fault counts for nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from framelens.errors import InputError
from framelens_training.labelstudio import NOTHING, TASKS, Answer, read_export
from framelens_training.rows import OUT_OF_SCOPE_RULE, RULES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["ANSWERS", "Judgement", "Readings", "answer_files", "answer_lines", "read_readings", "some_of"]

#: Suffix of a file of answers.
ANSWERS: Final = ".tsv"
_ANSWERS_ALONE: Final = (ANSWERS, ".txt")
_EXPORT: Final = ".json"
#: The rules that a cue decides.
_WITH_CUE: Final = tuple(rule for rule in RULES if rule != "I")
_FIELDS: Final = 4
_SHOWN_IDS: Final = 3


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said of an item.

    Attributes:
        item: id.
        judge: name.
        rule: of the codebook, or X.
        sure: 1 or 0.
        cue: [start, end) in the sentence; None for I and X.
        where: file and line, or task.
    """

    item: str
    judge: str
    rule: str
    sure: int
    cue: tuple[int, int] | None
    where: str = field(default="", compare=False)


@dataclass
class Readings:
    """What was read.

    Attributes:
        judgements: those without a fault, in the order of the files and their lines.
        faults: one sentence each, with file and line.
    """

    judgements: list[Judgement] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def read_readings(
    paths: Sequence[Path],
    texts: Mapping[str, str],
    sheets: Sequence[Sequence[str]],
    optional: Collection[str] = (),
) -> Readings:
    """Read and check the judgements of any number of judges.

    Args:
        paths: a judge each: a tab-separated file, or an export of Label Studio, of one or more judges; or a
            folder of these, see `answer_files`. A judge is called as the file or folder is.
        texts: of the items as judges saw them, by id.
        sheets: the ids of every sheet, in its order; none for no check of the order. A file answers the
            sheets that most of its ids are on.
        optional: items of the sheets that need no answer.

    Raises:
        InputError: a file is not there or cannot be read, or a folder holds none.
    """
    readings = Readings()
    for path, judge in zip(paths, _names(paths), strict=True):
        answers: dict[str, list[Answer]] = {}
        if path.is_dir():
            for file in _files(path):
                for name, said in _answers(file, judge, texts, sheets, optional, readings.faults).items():
                    answers.setdefault(name, []).extend(said)
        elif path.suffix in (*_ANSWERS_ALONE, _EXPORT):
            answers = _answers(path, judge, texts, sheets, optional, readings.faults)
        else:
            raise InputError(
                f"{path}: expected a folder, a tab-separated .tsv or .txt, or an export of Label Studio "
                f"(.json), got {path.suffix or 'a name without a suffix'}; export or save it so"
            )
        for name, said in answers.items():
            _check(name, said, texts, readings)
    return readings


def answer_files(folder: Path) -> list[Path]:
    """The files of a folder that hold answers: its .tsv, and the exports beside the tasks to import."""
    exports = (path for path in folder.glob(f"*{_EXPORT}") if path.name != TASKS)
    return sorted([*folder.glob(f"*{ANSWERS}"), *exports])


def some_of(ids: Sequence[str]) -> str:
    """The first of the ids, for a message."""
    return ", ".join(ids[:_SHOWN_IDS]) + (", …" if len(ids) > _SHOWN_IDS else "")


def answer_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The fields of every line that is not blank, with its number.

    Raises:
        InputError: the file cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: expected a readable file, got {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected text in UTF-8, got {error.reason} at byte {error.start}; save it so"
        ) from error
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            yield number, [part.strip() for part in line.split("\t")]


def _names(paths: Sequence[Path]) -> list[str]:
    """What judges are called: as their files, with the folder above where several are called so."""
    names = [path.name if path.is_dir() else path.stem for path in paths]
    for named in (lambda path: f"{path.parent.name}/{path.name}", str):
        names = [
            named(path) if names.count(name) > 1 else name for name, path in zip(names, paths, strict=True)
        ]
    if twice := [name for name, n in Counter(names).items() if n > 1]:
        raise InputError(f"expected every file of judgements once, got {twice[0]} several times")
    return names


def _files(folder: Path) -> list[Path]:
    found = answer_files(folder)
    if not found:
        raise InputError(
            f"{folder}: expected files of judgements (*{ANSWERS}, or exports *{_EXPORT}), got none; give a "
            "judge's own folder, or the file of an export"
        )
    return found


def _answers(
    path: Path,
    judge: str,
    texts: Mapping[str, str],
    sheets: Sequence[Sequence[str]],
    optional: Collection[str],
    faults: list[str],
) -> dict[str, list[Answer]]:
    """The answers of a file by judge; several of one export are told apart by what it calls them."""
    if path.suffix != _EXPORT:
        return {judge: _read(path, texts, sheets, optional, faults)}
    export = read_export(path)
    return {judge if len(export) == 1 else f"{judge}:{who}": said for who, said in export.items()}


def _read(
    path: Path,
    texts: Mapping[str, str],
    sheets: Sequence[Sequence[str]],
    optional: Collection[str],
    faults: list[str],
) -> list[Answer]:
    """The answers of a file, once its lines have been held against the sheets that it answers."""
    answers = []
    lines: list[tuple[str, str]] = []
    for number, fields in answer_lines(path):
        where = f"{path}: line {number}"
        if fields[0] in texts:
            lines.append((where, fields[0]))
        else:
            faults.append(f"{where}: expected an id of this round, got {fields[0]!r}")
        if len(fields) != _FIELDS:
            faults.append(f"{where}: expected id, rule, sure and cue between tabs, got {len(fields)} fields")
        elif fields[0] in texts:
            item, rule, sure, cue = fields
            answers.append(Answer(where, item, rule, sure, cue))
    if sheets:
        _hold_against_sheets(path, lines, sheets, optional, faults)
    return answers


def _hold_against_sheets(
    path: Path,
    lines: Sequence[tuple[str, str]],
    sheets: Sequence[Sequence[str]],
    optional: Collection[str],
    faults: list[str],
) -> None:
    """Check the number and the order of a file's ids.

    Args:
        path: of the file.
        lines: where each is, and its id.
        sheets: of the round.
        optional: items that may be missing.
        faults: are added to.
    """
    where = {item: place for place, item in reversed(lines)}
    ids = list(dict.fromkeys(item for _, item in lines))
    expected = _answered(ids, sheets)
    if missing := [item for item in expected if item not in where and item not in optional]:
        faults.append(f"{path}: expected {len(expected)} lines, one an item, got none for {some_of(missing)}")
    elsewhere = where.keys() - set(expected)
    faults += [f"{where[item]}: the item {item} is on another sheet" for item in ids if item in elsewhere]
    wanted = (item for item in expected if item in where)
    got = (item for item in ids if item not in elsewhere)
    slipped = next((pair for pair in zip(wanted, got, strict=True) if pair[0] != pair[1]), None)
    if slipped is not None:
        right, wrong = slipped
        faults.append(
            f"{where[wrong]}: expected the item {right}, got {wrong}; keep the order of the sheet, and see "
            "whether a line has slipped"
        )


def _answered(ids: Sequence[str], sheets: Sequence[Sequence[str]]) -> list[str]:
    """The ids of the sheets that a file answers.

    These are sheets at least half of which is in the file, else the one that most of it is on. The same items
    may be on the sheets of two judges: the order of the lines tells whose they are.
    """
    places = {name: at for at, name in enumerate(ids)}
    pairs = set(pairwise(ids))

    def fit(sheet: Sequence[str]) -> tuple[int, int]:
        return len(pairs.intersection(pairwise(sheet))), len(places.keys() & set(sheet))

    chosen: list[Sequence[str]] = []
    left = set(ids)
    for sheet in sorted(sheets, key=fit, reverse=True):
        shared = left.intersection(sheet)
        if shared and (not chosen or 2 * len(shared) >= len(sheet)):
            chosen.append(sheet)
            left -= shared
    chosen.sort(key=lambda sheet: min(places[name] for name in sheet if name in places))
    return [name for sheet in chosen for name in sheet]


def _check(judge: str, answers: Sequence[Answer], texts: Mapping[str, str], readings: Readings) -> None:
    """Check what each answer says, and that none is given twice."""
    before: dict[str, str] = {}
    for answer in answers:
        if answer.item not in texts:
            readings.faults.append(f"{answer.where}: expected an id of this round, got {answer.item!r}")
            continue
        if answer.item in before:
            readings.faults.append(
                f"{answer.where}: the item {answer.item} was judged before, at {before[answer.item]}"
            )
            continue
        before[answer.item] = answer.where
        rule, text = answer.rule.upper(), texts[answer.item]
        faults = _faults(answer, rule, text)
        if faults:
            readings.faults += [f"{answer.where}: {fault}" for fault in faults]
            continue
        cue = _place(answer, text) if rule in _WITH_CUE else None
        readings.judgements.append(Judgement(answer.item, judge, rule, int(answer.sure), cue, answer.where))


def _faults(answer: Answer, rule: str, text: str) -> list[str]:
    faults = []
    if rule not in (*RULES, OUT_OF_SCOPE_RULE):
        faults.append(
            f"expected a rule of {', '.join(RULES)} and {OUT_OF_SCOPE_RULE}, got {answer.rule or 'none'}"
        )
    if answer.sure not in ("0", "1"):
        faults.append(f"expected sure as 1 or 0, got {answer.sure!r}")
    if rule in _WITH_CUE and (answer.cue in ("", NOTHING) or answer.cue not in text):
        faults.append(f"expected a cue that stands in the sentence letter by letter, got {answer.cue!r}")
    if rule in ("I", OUT_OF_SCOPE_RULE) and answer.cue not in ("", NOTHING):
        faults.append(f"expected no cue ({NOTHING}) for {rule}, got {answer.cue!r}")
    return faults


def _place(answer: Answer, text: str) -> tuple[int, int]:
    """Where the cue stands: the first time, or where it was marked if it stands there several times."""
    places = [at for at in range(len(text)) if text.startswith(answer.cue, at)]
    start = places[0] if answer.start is None else min(places, key=lambda at: abs(at - (answer.start or 0)))
    return start, start + len(answer.cue)
