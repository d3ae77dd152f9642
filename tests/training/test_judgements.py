"""Judgements are read back as they were written, and every fault is told with its file and line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens.errors import InputError
from framelens_training.judgements import Judgement, read_readings
from framelens_training.sheets import deal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from framelens_training.judgements import Readings

TEXTS = {
    "s1": "Our glorious gunners stand ready.",
    "s2": "The bridge was reportedly hit.",
    "s3": "A choir sang at the quay.",
    "s4": "The so-called mayor met the so-called council.",
}
IDS = tuple(TEXTS)
GOOD = "s1\tS1\t1\tglorious\ns2\tH2\t0\treportedly\ns3\tI\t1\t-\ns4\tX\t0\t-\n"

words = st.lists(st.text(st.characters(categories=("L", "N", "P", "S"))), min_size=1, max_size=8)
sentences = words.map(lambda parts: " ".join(part for part in parts if part))
# A sentence that is the sign for "no cue" cannot be cited.
sentences = sentences.filter(lambda text: text not in ("", "-"))


def read(path: Path, content: str, sheets: Sequence[Sequence[str]] = (IDS,)) -> Readings:
    path.write_bytes(content.encode())
    return read_readings([path], TEXTS, sheets)


@given(data=st.data())
def test_what_judges_write_is_read_back(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    texts = {f"s{at}": text for at, text in enumerate(data.draw(st.lists(sentences, min_size=1, max_size=6)))}
    said, lines = [], []
    for name, text in texts.items():
        rule, sure = (
            data.draw(st.sampled_from(["S1", "S2", "H1", "H2", "I", "X"])),
            data.draw(st.integers(0, 1)),
        )
        place, cue = None, "-"
        if rule not in ("I", "X"):
            start = data.draw(st.integers(0, len(text) - 1))
            cue = text[start : data.draw(st.integers(start + 1, len(text)))].strip()
            if cue in ("", "-"):
                cue = text
            place = (text.index(cue), text.index(cue) + len(cue))
        said.append(Judgement(name, "ann", rule, sure, place))
        lines.append(f"{name}\t{rule}\t{sure}\t{cue}\n")
    path = tmp_path_factory.mktemp("read") / "ann.tsv"
    path.write_text("".join(lines), encoding="utf-8")
    found = read_readings([path], texts, [tuple(texts)])
    assert found.judgements == said
    assert found.faults == []


def test_bom_crlf_blank_lines_and_small_letters_are_no_fault(tmp_path: Path) -> None:
    content = "\ufeff" + GOOD.replace("\n", "\r\n\r\n").replace("S1", "s1", 1).replace("\tX", "\tx")
    found = read(tmp_path / "ann.tsv", content)
    assert found.faults == []
    assert [one.rule for one in found.judgements] == ["S1", "H2", "I", "X"]
    assert found.judgements[0].cue == (4, 12)
    assert found.judgements[1].where == f"{tmp_path / 'ann.tsv'}: line 3"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("s2\tH2\t0\treportedly", "s2\tH2\t0", 2, "got 3 fields"),
        ("s2\tH2", "s9\tH2", 2, "expected an id of this round, got 's9'"),
        ("\tH2\t", "\tH3\t", 2, "got H3"),
        ("\tH2\t0", "\tH2\tyes", 2, "sure as 1 or 0, got 'yes'"),
        ("reportedly", "Reportedly", 2, "letter by letter, got 'Reportedly'"),
        ("reportedly", "-", 2, "letter by letter, got '-'"),
        ("s3\tI\t1\t-", "s3\tI\t1\tchoir", 3, "no cue (-) for I"),
        ("s4\tX\t0\t-", "s4\tX\t0\tmayor", 4, "no cue (-) for X"),
    ],
)
def test_a_fault_is_told_with_its_line_and_the_line_counts_for_nothing(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    found = read(tmp_path / "ann.tsv", GOOD.replace(old, new, 1))
    assert any(
        fault.startswith(f"{tmp_path / 'ann.tsv'}: line {line}: ") and message in fault
        for fault in found.faults
    )
    assert [one.item for one in found.judgements] == [name for at, name in enumerate(IDS, 1) if at != line]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    found = read(
        tmp_path / "ann.tsv", "s1\tS3\t2\tinvincible\ns2\tH2\t0\treportedly\ns2\tI\t1\t-\ns4\tX\t1\t-\n"
    )
    assert [fault.removeprefix(f"{tmp_path / 'ann.tsv'}: ") for fault in found.faults] == [
        "expected 4 lines, one an item, got none for s3",
        "line 1: expected a rule of S1, S2, H1, H2, I and X, got S3",
        "line 1: expected sure as 1 or 0, got '2'",
        f"line 3: the item s2 was judged before, at {tmp_path / 'ann.tsv'}: line 2",
    ]


def test_a_slipped_line_is_found_by_the_order(tmp_path: Path) -> None:
    lines = GOOD.splitlines(keepends=True)
    found = read(tmp_path / "ann.tsv", "".join([lines[0], lines[2], lines[1], lines[3]]))
    (fault,) = found.faults
    assert "line 2: expected the item s2, got s3" in fault


# ---------------------------------------------------------------- files, folders, sheets


def answers(ids: Sequence[str]) -> str:
    return "".join(f"{name}\tI\t1\t-\n" for name in ids)


def test_a_folder_is_one_judge_and_each_file_answers_its_own_sheet(tmp_path: Path) -> None:
    judge = tmp_path / "ann"
    judge.mkdir()
    (judge / "batch00.tsv").write_text(answers(["s1", "s2"]))
    (judge / "batch01.tsv").write_text(answers(["s3"]))
    (judge / "batch00.txt").write_text("the sheet itself is no answer")
    found = read_readings([judge], TEXTS, [("s1", "s2"), ("s3", "s4")])
    assert [(one.judge, one.item) for one in found.judgements] == [
        ("ann", "s1"),
        ("ann", "s2"),
        ("ann", "s3"),
    ]
    assert found.faults == [f"{judge / 'batch01.tsv'}: expected 2 lines, one an item, got none for s4"]


def test_one_file_may_answer_all_sheets_of_a_judge(tmp_path: Path) -> None:
    texts = {f"s{at}": f"Text {at}." for at in range(40)}
    dealt = deal(list(texts), 2, 1.0, 10, 0)
    sheets = [part for parts in dealt.values() for part in parts]
    for judge, parts in dealt.items():
        (tmp_path / f"{judge}.tsv").write_text(answers([name for part in parts for name in part]))
    found = read_readings(sorted(tmp_path.glob("*.tsv")), texts, sheets)
    assert found.faults == []
    assert len(found.judgements) == 80


def test_an_item_of_another_sheet_is_told(tmp_path: Path) -> None:
    found = read(tmp_path / "ann.tsv", answers(["s1", "s2", "s4"]), [("s1", "s2", "s3"), ("s4", "x", "y")])
    assert [fault.split(": ", 1)[1] for fault in found.faults] == [
        "expected 3 lines, one an item, got none for s3",
        "line 3: the item s4 is on another sheet",
    ]


def test_judges_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = []
    for above in ("a", "b"):
        (tmp_path / above).mkdir()
        paths.append(tmp_path / above / "ann.tsv")
        paths[-1].write_text(answers(IDS))
    found = read_readings(paths, TEXTS, [IDS])
    assert {one.judge for one in found.judgements} == {"a/ann.tsv", "b/ann.tsv"}
    with pytest.raises(InputError, match="several times"):
        read_readings([paths[0], paths[0]], TEXTS, [IDS])


def test_an_export_of_several_annotators_is_several_judges(tmp_path: Path) -> None:
    def task(number: int, name: str, rule: str, cue: dict[str, object] | None) -> dict[str, object]:
        result = [{"from_name": "rule", "value": {"choices": [rule]}}]
        result += [{"from_name": "cue", "value": cue}] if cue else []
        said = [{"completed_by": who, "result": result} for who in (1, 2)]
        return {"id": number, "data": {"item": name, "text": TEXTS.get(name, "")}, "annotations": said}

    # The cue stands there twice; the second was marked, in units that count a little otherwise.
    second = {"start": 29, "end": 38, "text": "so-called"}
    content = [task(1, "s4", "S1", second), task(2, "s3", "I", None), task(3, "s9", "I", None)]
    (tmp_path / "export.json").write_text(json.dumps(content))
    found = read_readings([tmp_path / "export.json"], TEXTS, [IDS])
    assert [(one.judge, one.item, one.cue) for one in found.judgements] == [
        (f"export:{who}", name, cue) for who in (1, 2) for name, cue in (("s4", (28, 37)), ("s3", None))
    ]
    assert len(found.faults) == 2
    assert all("task 3: expected an id of this round, got 's9'" in fault for fault in found.faults)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("ann.xlsx", b"", "expected a folder"),
        ("none.tsv", None, "readable file"),
        ("ann.tsv", b"s1\tI\t1\t\xff\n", "UTF-8"),
        ("empty", None, "readable file|expected a folder"),
    ],
)
def test_what_cannot_be_read_is_refused(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_readings([tmp_path / name], TEXTS, [IDS])


def test_a_folder_without_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a judge's own folder"):
        read_readings([tmp_path], TEXTS, [IDS])
