"""Label Studio: what it shows a judge, what it imports, and what it exports.

The forms are those of https://labelstud.io/guide/task_format and https://labelstud.io/tags; the export is the
one that Label Studio calls JSON (not JSON-MIN).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from xml.etree import ElementTree as ET

from framelens.errors import InputError
from framelens_training.rows import OUT_OF_SCOPE_RULE, RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["NOTHING", "TASKS", "Answer", "config", "read_export", "tasks"]

#: The file of a judge that is imported.
TASKS: Final = "labelstudio.json"

_MEANINGS: Final = {
    "S1": "the state's own voice",
    "S2": "a state's version, handed on",
    "H1": "a disclaimer",
    "H2": "a hedge on the claim",
    "I": "independent reporting",
    OUT_OF_SCOPE_RULE: "not labelled: a fragment, caption, pure question",
}
_RULE, _SURE, _CUE = "rule", "sure", "cue"
#: Stands where there is no context or no cue.
NOTHING: Final = "-"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a judge said of an item, as it was written and not yet checked.

    Attributes:
        where: file and line, or task.
        item: id.
        rule: of the codebook.
        sure: ``1`` or ``0``.
        cue: a piece of the sentence, ``-`` for none.
        start: of the cue in the sentence, where it is known.
    """

    where: str
    item: str
    rule: str
    sure: str
    cue: str
    start: int | None = None


def config() -> str:
    """The labelling interface: a rule, a tick for "sure", and the cue marked in the sentence."""
    view = ET.Element("View")
    ET.SubElement(view, "Header", value="Context, which is not judged")
    ET.SubElement(view, "Text", name="before", value="$context")
    ET.SubElement(view, "Header", value="Sentence: mark the shortest piece that decides an S or H")
    marks = ET.SubElement(view, "Labels", name=_CUE, toName="text")
    ET.SubElement(marks, "Label", value=_CUE, background="#d55e00")
    ET.SubElement(view, "Text", name="text", value="$text")
    rules = ET.SubElement(
        view, "Choices", name=_RULE, toName="text", choice="single", required="true", showInLine="true"
    )
    for rule in (*RULES, OUT_OF_SCOPE_RULE):
        ET.SubElement(rules, "Choice", value=rule, hint=_MEANINGS[rule])
    ticks = ET.SubElement(view, "Choices", name=_SURE, toName="text", choice="multiple")
    ET.SubElement(ticks, "Choice", value=_SURE, hint="the codebook decides clearly")
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def tasks(items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Items as tasks to import; their ids come back with the export."""
    return [
        {"data": {"item": item["id"], "context": item["context"] or NOTHING, "text": item["text"]}}
        for item in items
    ]


def read_export(path: Path) -> dict[str, list[Answer]]:
    """The answers of an export, by annotator, in the order of the tasks.

    Skipped tasks have none, nor have tasks that nobody has finished.

    Returns:
        Answers by what the export calls the annotator: an address, else a number.

    Raises:
        InputError: the file is no JSON export of these tasks.
    """
    expected = f"{path}: expected an export of Label Studio in its format JSON"
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: expected a readable file, got {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{expected}, got broken JSON ({error})") from error
    found: dict[str, list[Answer]] = {}
    try:
        for task in content:
            for annotation in task["annotations"]:
                if not annotation.get("was_cancelled"):
                    answer = _answer(task, annotation["result"], f"{path}: task {task.get('id', '?')}")
                    found.setdefault(_who(annotation.get("completed_by")), []).append(answer)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{expected}, got another structure ({error!r}); export it again as JSON") from error
    return found


def _who(annotator: Any) -> str:
    if isinstance(annotator, dict):
        annotator = annotator.get("email") or annotator.get("id")
    return str(annotator)


def _answer(task: Mapping[str, Any], result: Sequence[Mapping[str, Any]], where: str) -> Answer:
    chosen = {name: list(_choices(result, name)) for name in (_RULE, _SURE)}
    marks = [region["value"] for region in result if region.get("from_name") == _CUE]
    # Two marks are no one cue: together they are not verbatim, which the check of all answers will say.
    cue = " … ".join(_marked(mark, task["data"]["text"]) for mark in marks) or NOTHING
    return Answer(
        where=where,
        item=str(task["data"]["item"]),
        rule=", ".join(chosen[_RULE]),
        sure="1" if chosen[_SURE] else "0",
        cue=cue,
        start=int(marks[0]["start"]) if len(marks) == 1 else None,
    )


def _choices(result: Sequence[Mapping[str, Any]], name: str) -> Iterator[str]:
    for region in result:
        if region.get("from_name") == name:
            yield from map(str, region["value"]["choices"])


def _marked(mark: Mapping[str, Any], text: str) -> str:
    """The words of a mark: its own where it has them, for its offsets need not count as Python does."""
    words = mark.get("text")
    return (words if isinstance(words, str) else text[int(mark["start"]) : int(mark["end"])]).strip()
