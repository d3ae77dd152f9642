"""Blind sheets for judges, and the key that says what is on them.

A sheet is a text of blocks of three lines, with an empty line between them::

    [s0f3c…]
    context: up to two sentences before, or -
    SENTENCE: the sentence

and is answered in a file of as many lines, ``id  rule  sure  cue``, tab-separated and in the same order. A
judge sees ids that are made of the sentences alone, texts and contexts; all else stands in ``key.jsonl``. A
dateline that names the outlet, "TOLVANE, May 4 (HTA) --", is cut from what they see, and only from that.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens.errors import InputError
from framelens.writers import replacing
from framelens_training import labelstudio
from framelens_training.files import write_json
from framelens_training.rows import read_objects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "ITEMS",
    "KEY",
    "Key",
    "batch_name",
    "deal",
    "instructions",
    "one_sheet",
    "read_key",
    "sheet_ids",
    "shown",
    "write_round",
    "write_rows",
]

KEY: Final = "key.jsonl"
ITEMS: Final = "items.jsonl"
#: What of a row is needed to settle it.
_KEPT: Final = ("source_id", "stratum", "score", "inclusion_probability", "round", "provenance")
_ID_LINE = re.compile(r"\[([^\[\]\s]+)\]")
_DATE = (
    r"(?:(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.? ?\d{1,2}"
    r"|\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*\.?)(?:,? \d{4})?"
)
#: With full stops only where it is short, such as D.C. and St., lest a sentence's end is taken for a place.
_PLACE_WORD = r"[A-ZÀ-Þ](?:[\w.]{0,3}(?= |,)|[\w'’/-]*)"
#: A place and a date, a place in capitals, or neither, then who reports. What else stands before a name in
#: brackets, such as "The Harbour Board (HB) -", is the sentence's own.
_DATELINE = (
    rf"(?:{_PLACE_WORD}(?:,? (?:{_PLACE_WORD}|de|es|la|of)){{0,5}}, {_DATE} \([A-Z][^()]{{1,40}}\)"
    r"|(?:[A-Z][A-Z.'’-]{2,}(?:[ /][A-Z.'’-]+){0,3} )?\([A-Z][\w.-]{1,20}\)) ?(?:--?|[–—]) ?(?=\w|[“\"‘'])"
)
_LEADING_DATELINE = re.compile(_DATELINE)
#: In a context it can lead either sentence.
_DATELINES = re.compile(rf"(?:^|(?<=[.!?] )|(?<=[.!?][”\"] )){_DATELINE}")
#: Sections of the codebook that are for readers of labels and not for judges.
_NOT_FOR_JUDGES: Final = (
    "Reading the probabilities",
    "Reading the evidence",
    "Typical misreadings",
    "Where the labels come from",
)
_HOW_TO_JUDGE: Final = """\
# How to judge

You get batches of sentences, `batch00.txt` and so on. Of each you see an id, up to two sentences that
stood before it, and the sentence. Where it was printed, when, and what anyone else says of it is left out
on purpose: do not look it up, and do not talk about items before the round is closed.

1. Read the codebook below whole before the first batch.
2. Judge every sentence by reading it. The context only tells who "he" or "the ministry" is; the label is
   about the sentence. Apply the rules literally, and alike for all countries.
3. For `batch00.txt` write `batch00.tsv`: one line an item, in the same order, without a header, its four
   fields separated by tabs:

   `id`  `rule`  `sure`  `cue`

   - **rule**: S1, S2, H1, H2 or I; X for what is not labelled. Where two fit, S1 comes before H, H before S2,
     and S2 before I.
   - **sure**: 1 where the codebook decides clearly, 0 where a careful colleague could decide otherwise.
   - **cue**: for S and H the shortest piece of the sentence that decides, at most about eight words, copied
     letter by letter; `-` for I and X.
4. What a head of state or an official says in the first person, printed as such, is the state's own voice:
   S1 where it praises, blames, justifies, threatens or mobilises; I where it is plainly factual.
5. At the end check: as many lines as items, and every cue found in its sentence.

In Label Studio the same is asked with buttons: a rule, a tick where you are sure, and the cue marked in the
sentence.

---

"""


@dataclass(frozen=True)
class Key:
    """What is known of the items of a round.

    Attributes:
        rows: of ``key.jsonl`` by id, in its order; ``shown_from`` is where the text begins that judges see.
        sheets: ids of each sheet in its order, by (judge's folder, number of the batch).
    """

    rows: Mapping[str, Mapping[str, Any]]
    sheets: Mapping[tuple[str, int], tuple[str, ...]]


def one_sheet(items: Iterable[Mapping[str, Any]]) -> str:
    """A sheet of items, each with an id, a text and a context on one line each."""
    blocks = (
        f"[{item['id']}]\ncontext: {item['context'] or labelstudio.NOTHING}\nSENTENCE: {item['text']}\n"
        for item in items
    )
    return "\n".join(blocks)


def sheet_ids(sheet: str) -> list[str]:
    """The ids on a sheet, in its order.

    Only a line that opens a block is looked at, for a sentence may itself be in brackets.
    """
    lines = sheet.split("\n")
    return [
        match[1]
        for at, line in enumerate(lines)
        if (at == 0 or not lines[at - 1]) and (match := _ID_LINE.fullmatch(line))
    ]


def shown(row: Mapping[str, Any]) -> dict[str, str]:
    """What judges see of a row of the key: its id, text and context without datelines.

    >>> row = {"id": "s1", "text": "A choir sang.", "context": "PELLA, May 4 (HTA) -- It rained."}
    >>> shown({**row, "shown_from": 0})["context"]
    'It rained.'
    """
    return {
        "id": row["id"],
        "text": row["text"][row["shown_from"] :],
        "context": _DATELINES.sub("", row["context"]),
    }


def batch_name(number: int) -> str:
    """The name of a batch without its suffix."""
    return f"batch{number:02}"


def deal(
    ids: Sequence[str], judges: int, double: float, batch: int, seed: int
) -> dict[str, list[tuple[str, ...]]]:
    """Who judges what: every item is one judge's, and a share of them also another's.

    Judges have as many items as each other but for one or two, each in an order and in batches of their own.

    Args:
        ids: of the items.
        judges: how many, at least 1.
        double: share of the items that two judges read, in [0, 1]; drawn at random.
        batch: most items of a batch; all batches of a judge are of about one size.
        seed: of the draw.

    Returns:
        Batches by the judge's folder.

    Raises:
        InputError: one judge cannot read twice.
    """
    if double and judges < 2:
        raise InputError("expected two judges or more where sentences are read twice; give --judges 2")
    rng = np.random.default_rng(seed)
    hands: list[list[str]] = [[] for _ in range(judges)]
    order = rng.permutation(len(ids)).tolist()
    for turn, at in enumerate(order):
        hands[turn % judges].append(ids[at])
    for turn, at in enumerate(order[: round(double * len(ids))]):
        other = (turn + 1 + (turn // judges) % (judges - 1)) % judges
        hands[other].append(ids[at])
    dealt = {}
    for number, hand in enumerate(hands, start=1):
        if hand:
            shuffled = [hand[at] for at in rng.permutation(len(hand))]
            parts = np.array_split(np.arange(len(hand)), -(-len(hand) // batch))
            dealt[f"judge{number}"] = [tuple(shuffled[at] for at in part) for part in parts]
    return dealt


def instructions() -> str:
    """What judges read first: how to judge, and the package's codebook as far as it is for them."""
    codebook = (files("framelens") / "data" / "codebook.md").read_text(encoding="utf-8")
    head, *sections = re.split(r"^## ", codebook, flags=re.MULTILINE)
    kept = [f"## {section}" for section in sections if section.split("\n", 1)[0] not in _NOT_FOR_JUDGES]
    return _HOW_TO_JUDGE + "".join([head, *kept])


def write_round(
    folder: Path, rows: Sequence[Mapping[str, Any]], dealt: Mapping[str, Sequence[Sequence[str]]]
) -> None:
    """Write a round: the key, the items, the judges' instructions, and what each of them reads.

    Args:
        folder: exists and is empty.
        rows: of the key, without their sheets, in the order in which the items are listed.
        dealt: from `deal`.
    """
    places: dict[str, dict[str, list[int]]] = {row["id"]: {} for row in rows}
    rows = [{**row, "shown_from": _dateline_end(row["text"])} for row in rows]
    seen = {row["id"]: shown(row) for row in rows}
    for judge, batches in dealt.items():
        (folder / judge).mkdir()
        for number, batch in enumerate(batches):
            items = [seen[name] for name in batch]
            path = folder / judge / f"{batch_name(number)}.txt"
            path.write_text(one_sheet(items), encoding="utf-8")
            for place, name in enumerate(batch):
                places[name][judge] = [number, place]
        tasks = labelstudio.tasks([seen[name] for batch in batches for name in batch])
        write_json(folder / judge / labelstudio.TASKS, tasks)
    write_rows(folder / ITEMS, seen.values())
    write_rows(folder / KEY, ({**row, "sheets": places[row["id"]]} for row in rows))
    (folder / "labelstudio.xml").write_text(labelstudio.config(), encoding="utf-8")
    (folder / "README.md").write_text(instructions(), encoding="utf-8")


def _dateline_end(text: str) -> int:
    """Where the text begins behind its dateline; 0 without one."""
    found = _LEADING_DATELINE.match(text)
    return found.end() if found else 0


def read_key(folder: Path) -> Key:
    """Read the key of a round.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / KEY
    if not path.is_file():
        raise InputError(f"{folder}: expected a round of framelens-train sample, got no {KEY} in it")
    rows: dict[str, dict[str, Any]] = {}
    sheets: dict[tuple[str, int], dict[int, str]] = {}
    for number, row in read_objects(path):
        try:
            if missing := [name for name in _KEPT if name not in row]:
                raise KeyError(*missing)
            name = str(row["id"])
            for judge, (batch, place) in row["sheets"].items():
                sheets.setdefault((str(judge), int(batch)), {})[int(place)] = name
            # A key of an older version has no such column: its judges saw the whole text.
            rows[name] = {**row, "text": str(row["text"]), "context": str(row["context"])}
            rows[name]["shown_from"] = int(row.get("shown_from", 0))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path}: line {number}: expected id, text, context and sheets as framelens-train sample "
                f"wrote them, got another row ({error!r}); restore the file"
            ) from error
    if not rows:
        raise InputError(f"{path}: expected the items of a round, got none; restore the file")
    in_order = {sheet: tuple(ids[place] for place in sorted(ids)) for sheet, ids in sorted(sheets.items())}
    return Key(rows, in_order)


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines for people and programs; an older file stays until the new one is whole."""
    with replacing(path) as stream:
        for row in rows:
            # Half a surrogate pair, which a pool's columns can hold, has no place in a file.
            stream.write(json.dumps(row, ensure_ascii=False, default=str).encode(errors="replace") + b"\n")
