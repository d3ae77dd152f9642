"""Judgements: who said what of which sentence, read from tables or from judges' own files.

Two forms are read, and may be mixed:

* a table in long form, one judgement a row (what `framelens.tables.open_table` reads), with the columns
  ``item`` or ``id``, ``judge``, and ``label`` or ``rule``; ``article``, ``stratum``, ``sure``, ``text`` and
  ``context`` are taken where they are there; without the column ``judge`` it is one judge's, who is called
  as the file is;
* a judge's file, one judgement a line, tab-separated without a header: item, rule or label, sure and cue,
  of which the last two can be left out; the judge is called as the file is.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens import LABELS, InputError, Label
from framelens.tables import open_table
from framelens_evaluation.reporting.figures import LABEL_NAMES, LABELS_AS_WRITTEN
from framelens_evaluation.reporting.provenance import Source
from framelens_evaluation.statistics.metrics import NO_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from framelens_evaluation.statistics.metrics import IntArray

__all__ = ["MISSING", "RULES", "Item", "Judgements", "read_judgements"]

#: The codebook's rules and the label that each gives.
RULES: Final[Mapping[str, Label]] = {
    "S1": Label.STATE_MEDIA_FRAMING,
    "S2": Label.STATE_MEDIA_FRAMING,
    "H1": Label.HEDGED_CLAIM,
    "H2": Label.HEDGED_CLAIM,
    "I": Label.INDEPENDENT_REPORTING,
}
#: Code of "did not judge it".
MISSING: Final = -1
_NOT_ANNOTATED = "X"
_RULE_NAMES: Final = tuple(RULES)
_ITEM_COLUMNS: Final = frozenset({"item", "id"})
_JUDGEMENT_COLUMNS: Final = frozenset({"label", "rule"})
# Judges write a label as the codebook does or by its short name, with underscores or spaces.
_LABEL_PLACES: Final = {name: LABELS.index(label) for name, label in LABELS_AS_WRITTEN.items()}


@dataclass
class Item:
    """What is known of a sentence, apart from its judgements.

    Attributes:
        id: its name.
        text: empty where it is not known.
        context: the sentences before it; empty where they are not known.
        article: the unit of resampling; None where it is not known.
        stratum: how it was drawn; None where it is not known.
    """

    id: str
    text: str = ""
    context: str = ""
    article: str | None = None
    stratum: str | None = None


@dataclass(frozen=True)
class _Judgement:
    label: int
    rule: int
    sure: int


@dataclass(frozen=True, eq=False)
class Judgements:
    """Sentences by judges.

    Attributes:
        items: the sentences, in the order of their first judgement.
        judges: names, in the order of their first judgement.
        labels: shape (n_items, n_judges): places in `LABELS`, `NO_LABEL` for "not annotated", `MISSING`
            where a judge did not judge a sentence.
        rules: the same shape: places in `RULES`, `MISSING` where no rule is known.
        sure: the same shape: 1 where the judge found the codebook clear, 0 where not, `MISSING` where it
            is not known.
        sources: the files.
    """

    items: tuple[Item, ...]
    judges: tuple[str, ...]
    labels: IntArray
    rules: IntArray
    sure: IntArray
    sources: tuple[Source, ...] = ()

    @property
    def clusters(self) -> list[str]:
        """What each item is resampled with: its article, or itself where that is not known."""
        return [
            f"item {item.id}" if item.article is None else f"article {item.article}" for item in self.items
        ]


@dataclass
class _Reader:
    """Judgements gathered file by file."""

    items: dict[str, Item] = field(default_factory=dict)
    judges: dict[str, int] = field(default_factory=dict)
    found: dict[tuple[str, str], _Judgement] = field(default_factory=dict)

    def add(self, item: str, judge: str, judgement: _Judgement) -> None:
        if (item, judge) in self.found:
            raise InputError(
                f"the judge {judge!r} judged the item {item!r} before; once was expected (a file of several "
                "judges needs the column judge)"
            )
        self.items.setdefault(item, Item(item))
        self.judges.setdefault(judge, len(self.judges))
        self.found[item, judge] = judgement

    def describe(self, item: Item, row: Mapping[str, Any]) -> None:
        """Take what a row says of its sentence; two rows must not contradict each other."""
        for name in ("text", "context", "article", "stratum"):
            value = row.get(name)
            if value in (None, ""):
                continue
            known = getattr(item, name)
            if known and known != str(value):
                raise InputError(f"the item {item.id!r} has two values of {name}")
            setattr(item, name, str(value))


def read_judgements(paths: Sequence[Path], items: Path | None = None) -> Judgements:
    """Read judgements; see the module.

    Args:
        paths: tables in long form and judges' files.
        items: a table with the column ``id`` or ``item`` and any of ``text``, ``context``, ``article`` and
            ``stratum``, to describe the sentences; others in it are ignored.

    Raises:
        InputError: a file cannot be read, a row is no judgement, a judge judged a sentence twice, or there
            are fewer than two judges.
    """
    reader = _Reader()
    for path in paths:
        judge = _named_after(path, paths)
        if _is_judge_file(path):
            _read_judge(reader, path, judge)
        else:
            _read_table(reader, path, judge)
    if items is not None:
        _read_items(reader, items)
    if len(reader.judges) < 2:
        names = ", ".join(reader.judges) or "none"
        raise InputError(f"agreement needs two judges or more, got {names}")
    shape = (len(reader.items), len(reader.judges))
    labels, rules, sure = (np.full(shape, MISSING, dtype=np.int64) for _ in range(3))
    rows = {name: at for at, name in enumerate(reader.items)}
    for (item, judge), said in reader.found.items():
        at = (rows[item], reader.judges[judge])
        labels[at], rules[at], sure[at] = said.label, said.rule, said.sure
    sources = [_source("judgements", path) for path in paths]
    sources += [_source("items", items)] if items is not None else []
    return Judgements(tuple(reader.items.values()), tuple(reader.judges), labels, rules, sure, tuple(sources))


def _source(role: str, path: Path) -> Source:
    with path.open("rb") as stream:
        return Source(role=role, name=str(path), sha256=hashlib.file_digest(stream, "sha256").hexdigest())


def _named_after(path: Path, paths: Sequence[Path]) -> str:
    """What the judge of a file is called: its name, with folders where several have this name."""
    return path.stem if sum(path.stem == other.stem for other in paths) == 1 else str(path)


def _is_judge_file(path: Path) -> bool:
    """Whether a file has no header: nothing but the names of columns we know is taken for one."""
    if path.suffix == ".txt":
        return True
    if path.suffix != ".tsv":
        return False
    first = {cell.strip() for cell in next(iter(_lines(path)), (1, ""))[1].split("\t")}
    return not (first & _ITEM_COLUMNS and first & _JUDGEMENT_COLUMNS)


def _lines(path: Path) -> list[tuple[int, str]]:
    """Lines that are not blank, with their numbers."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the judgements: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    lines = enumerate(content.replace("\r\n", "\n").split("\n"), start=1)
    return [(at, line) for at, line in lines if line.strip()]


@contextmanager
def _at(path: Path, place: str) -> Iterator[None]:
    """Say in an error where in a file it arose."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {place}: {error}") from error


def _read_judge(reader: _Reader, path: Path, judge: str) -> None:
    for at, line in _lines(path):
        with _at(path, f"line {at}"):
            fields = [part.strip() for part in line.split("\t")]
            if not 2 <= len(fields) <= 4 or not fields[0]:
                raise InputError(
                    "expected item, rule or label, and if you like sure and cue, between tabs, got "
                    f"{len(fields)} fields"
                )
            said = _second_column(fields[1])
            sure = _sure(fields[2]) if len(fields) > 2 else MISSING
            reader.add(fields[0], judge, _Judgement(*said, sure))


def _second_column(value: str) -> tuple[int, int]:
    try:
        return _label_and_rule(None, value)
    except InputError as error:
        # A header of other names ends here too.
        raise InputError(
            f"column 2: {error}; a header would have to name item (or id), and label or rule"
        ) from error


def _read_table(reader: _Reader, path: Path, own: str) -> None:
    """Read a table; without the column of judges, all of it is of the judge ``own``."""
    with open_table(str(path)) as table:
        known = set(table.columns)
        if not known & _ITEM_COLUMNS or not known & _JUDGEMENT_COLUMNS:
            raise InputError(
                f"{path}: expected the columns item (or id), and label or rule, got "
                f"{', '.join(table.columns)}; a file without a header must be tab-separated (.tsv)"
            )
        for at, row in enumerate(table.rows, start=1):
            with _at(path, f"row {at}"):
                item, judge = _name(row), row.get("judge") if "judge" in known else own
                if judge in (None, ""):
                    raise InputError("it has no judge")
                label, rule = _label_and_rule(row.get("label"), row.get("rule"))
                reader.add(item, str(judge), _Judgement(label, rule, _sure(row.get("sure"))))
                reader.describe(reader.items[item], row)


def _read_items(reader: _Reader, path: Path) -> None:
    with open_table(str(path)) as table:
        if not set(table.columns) & _ITEM_COLUMNS:
            raise InputError(f"{path}: expected the column id or item, got {', '.join(table.columns)}")
        for at, row in enumerate(table.rows, start=1):
            with _at(path, f"row {at}"):
                item = reader.items.get(_name(row))
                if item is not None:
                    reader.describe(item, row)


def _name(row: Mapping[str, Any]) -> str:
    for column in ("item", "id"):
        if row.get(column) not in (None, ""):
            return str(row[column])
    raise InputError("it has no item")


def _label_and_rule(label: Any, rule: Any) -> tuple[int, int]:
    """Codes of a label and a rule, either of which may be given as the other; no answer is X."""
    names = [str(value).strip() for value in (label, rule) if value not in (None, "")]
    labels, rules = set(), set()
    for name in names:
        if name.upper() == _NOT_ANNOTATED:
            labels.add(NO_LABEL)
        elif name.upper() in RULES:
            labels.add(LABELS.index(RULES[name.upper()]))
            rules.add(_RULE_NAMES.index(name.upper()))
        elif name.lower().replace("_", " ") in _LABEL_PLACES:
            labels.add(_LABEL_PLACES[name.lower().replace("_", " ")])
        else:
            raise InputError(
                f"expected a label among {', '.join(LABELS)} (or {', '.join(LABEL_NAMES.values())}), or a "
                f"rule among {', '.join(RULES)} and {_NOT_ANNOTATED}, got {name!r}"
            )
    if len(labels) > 1 or len(rules) > 1:
        raise InputError(f"the label and the rule contradict each other: {' and '.join(names)}")
    return labels.pop() if labels else NO_LABEL, rules.pop() if rules else MISSING


def _sure(value: Any) -> int:
    if value in (None, ""):
        return MISSING
    shown = str(value).strip().lower()
    if shown in ("1", "true", "1.0"):
        return 1
    if shown in ("0", "false", "0.0"):
        return 0
    raise InputError(f"expected sure as 1 or 0, got {value!r}")
