"""Label Studio: the interface and the tasks fit each other, and exports are read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from framelens.errors import InputError
from framelens_training.labelstudio import config, read_export, tasks

if TYPE_CHECKING:
    from pathlib import Path

TEXT = "The so-called mayor is, so the so-called council says, a clown 🤡 of the old school."
ITEM = {"id": "s1", "text": TEXT, "context": ""}


def region(name: str, **value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": "labels", "value": value}


def annotation(*result: dict[str, Any], by: Any = 1, cancelled: bool = False) -> dict[str, Any]:
    return {"id": 9, "completed_by": by, "was_cancelled": cancelled, "result": list(result)}


def write(path: Path, *annotations: dict[str, Any]) -> Path:
    (task,) = tasks([ITEM])
    path.write_text(json.dumps([{"id": 7, **task, "annotations": list(annotations), "predictions": []}]))
    return path


def test_the_interface_shows_what_tasks_hold_and_asks_for_all_rules() -> None:
    view = ET.fromstring(config())
    shown = {tag.get("value") for tag in view.iter("Text")}
    (task,) = tasks([ITEM])
    assert shown == {"$text", "$context"}
    assert {name.removeprefix("$") for name in shown} < set(task["data"])
    assert {tag.get("toName") for tag in view if tag.get("toName")} == {"text"}
    rules = next(tag for tag in view.iter("Choices") if tag.get("name") == "rule")
    assert [tag.get("value") for tag in rules] == ["S1", "S2", "H1", "H2", "I", "X"]
    assert task["data"] == {"item": "s1", "context": "-", "text": TEXT}


def test_an_export_is_read_back(tmp_path: Path) -> None:
    path = write(
        tmp_path / "e.json",
        annotation(
            region("cue", start=31, end=40, text="so-called ", labels=["cue"]),
            region("rule", choices=["S1"]),
            region("sure", choices=["sure"]),
            by={"id": 3, "email": "ann@example.org"},
        ),
        annotation(region("rule", choices=["I"]), by=4),
        annotation(by=5, cancelled=True),
    )
    found = read_export(path)
    assert set(found) == {"ann@example.org", "4"}
    (sure,), (unsure,) = found.values()
    assert (sure.item, sure.rule, sure.sure, sure.cue, sure.start) == ("s1", "S1", "1", "so-called", 31)
    assert (unsure.rule, unsure.sure, unsure.cue, unsure.start) == ("I", "0", "-", None)
    assert sure.where.endswith("e.json: task 7")


def test_a_mark_without_its_words_is_cut_from_the_text(tmp_path: Path) -> None:
    path = write(tmp_path / "e.json", annotation(region("cue", start=4, end=13, labels=["cue"])))
    assert read_export(path)["1"][0].cue == "so-called"


def test_two_marks_are_no_cue_of_the_sentence(tmp_path: Path) -> None:
    marks = [region("cue", start=at, end=at + 9, text="so-called") for at in (4, 31)]
    (answer,) = read_export(write(tmp_path / "e.json", annotation(*marks)))["1"]
    assert answer.cue not in TEXT


@pytest.mark.parametrize(
    "content",
    ["{", "7", "[7]", '{"a": 1}', '[{"id": 1, "text": "JSON-MIN", "rule": "S1"}]', '[{"annotations": 3}]'],
)
def test_what_is_no_export_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "e.json").write_text(content)
    with pytest.raises(InputError, match=r"e\.json: expected an export of Label Studio"):
        read_export(tmp_path / "e.json")


def test_an_export_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="readable file"):
        read_export(tmp_path / "no.json")
