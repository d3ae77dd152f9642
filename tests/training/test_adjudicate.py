"""A round settled: by a table that can be checked by hand, by law, and as the evaluation harness reads it."""

from __future__ import annotations

import json
import sys
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens.errors import InputError
from framelens_evaluation.agreement.judgements import read_judgements
from framelens_training import cli
from framelens_training.adjudicate import Verdict, adjudicate, label_of, settle
from framelens_training.judgements import Judgement
from framelens_training.rows import read_annotated
from framelens_training.sheets import deal, read_key, sheet_ids, write_round

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TEXTS = [
    "Our glorious gunners stand ready at the river.",
    "The ministry said the raid had taught the rival fleet a lesson.",
    "The bridge was reportedly hit before dawn.",
    "No figure could be checked by the agency.",
    "A choir sang at the quay in Tolvane.",
    "The council voted for the budget by nine to four.",
    "Photo of the quay and of the choir.",
    "The so-called mayor met the envoys of Lorvia.",
]


def judged(rule: str, sure: int = 1, cue: tuple[int, int] | None = None, judge: str = "ann") -> Judgement:
    if cue is None and rule not in ("I", "X"):
        cue = (0, 8)
    return Judgement("s1", judge, rule, sure, cue)


# ---------------------------------------------------------------- one sentence


@pytest.mark.parametrize(
    ("given_rules", "expected"),
    [
        # Rules with a * are sure.
        (["I*"], ("I", 1)),
        (["S1"], ("S1", 0)),
        (["I*", "I*"], ("I", 1)),
        (["I*", "I"], ("I", 0)),
        (["S1", "S2*"], ("S2", 0)),
        (["S1", "S2"], ("S1", 0)),
        (["S1*", "S2*"], ("S1", 1)),
        (["H2*", "H1"], ("H2", 0)),
        (["X*", "X*"], ("X", 1)),
        (["S1*", "I*"], None),
        (["X*", "I*"], None),
        (["S1*", "S2*", "I*"], ("S1", 0)),
        (["S2", "S2", "S1*"], ("S2", 0)),
        (["S1*", "H1*", "I*"], None),
        (["I*", "I*", "X", "X"], None),
        (["I*", "I*", "S1", "H1"], None),
        (["I", "I", "I", "S1*"], ("I", 0)),
        (["H1*", "H2*", "H2*", "I*", "I*"], ("H2", 0)),
    ],
)
def test_settling_by_hand(given_rules: list[str], expected: tuple[str, int] | None) -> None:
    said = [judged(rule.rstrip("*"), int("*" in rule), judge=f"j{at}") for at, rule in enumerate(given_rules)]
    for order in permutations(said):
        verdict = settle(order)
        assert (None if verdict is None else (verdict.rule, verdict.sure)) == expected


def test_the_shortest_cue_of_the_surest_judges_of_the_rule_stays() -> None:
    said = [
        judged("S1", 1, (0, 9)),
        judged("S1", 1, (4, 9)),
        judged("S1", 0, (4, 6)),
        judged("S2", 1, (1, 2)),
    ]
    for order in permutations(said):
        assert settle(order) == Verdict("S1", 0, (4, 9), adjudicated=False)


rules = st.sampled_from(["S1", "S2", "H1", "H2", "I", "X"])
some_judgements = st.lists(
    st.builds(judged, rules, st.integers(0, 1), st.tuples(st.integers(0, 4), st.integers(5, 9))),
    min_size=1,
    max_size=6,
)


@given(said=some_judgements, seed=st.randoms())
def test_settling_keeps_its_laws(said: list[Judgement], seed) -> None:
    verdict = settle(said)
    seed.shuffle(said)
    assert settle(said) == verdict
    labels = [label_of(one.rule) for one in said]
    agreed = len(set(labels)) == 1
    if verdict is None:
        assert not agreed
        assert max(map(labels.count, labels)) * 2 <= len(labels) or len(labels) == 2
    else:
        assert labels.count(label_of(verdict.rule)) * 2 > len(labels)
        assert verdict.rule in {one.rule for one in said}
        assert verdict.sure == int(agreed and all(one.sure for one in said))
    third = judged("H1", 1, (2, 3))
    assert settle(said, third) == Verdict("H1", 0, (2, 3), adjudicated=True)


# ---------------------------------------------------------------- a round


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A round of eight sentences that two judges read, all of them twice."""
    folder = tmp_path / "round4"
    folder.mkdir()
    rows = [
        {
            "id": f"s{at}",
            "source_id": f"pool-{at}" if at % 2 else None,
            "text": text,
            "context": "",
            "stratum": "natural" if at < 5 else "uncertain",
            "score": None if at < 5 else 0.9,
            "inclusion_probability": 0.25 if at < 5 else None,
            "group": "hill_times",
            "round": 4,
            "models": {},
            "seed": 0,
            "provenance": {
                "article": f"hill:{at // 2}",
                "outlet_id": "hill_times",
                "record": at,
                "label": "old",
            },
        }
        for at, text in enumerate(TEXTS)
    ]
    write_round(folder, rows, deal([row["id"] for row in rows], 2, 1.0, 3, 0))
    return folder


AGREED = {
    "s0": "S1 1 glorious",
    "s1": "S2 1 had taught",
    "s2": "H2 1 reportedly",
    "s3": "H1 1 could be checked",
    "s4": "I 1 -",
    "s5": "I 1 -",
    "s6": "X 1 -",
    "s7": "S1 1 so-called",
}
OTHER = AGREED | {"s1": "S1 0 taught", "s5": "S2 0 council voted", "s7": "I 0 -"}


def answer(folder: Path, judge: str, said: Mapping[str, str], *, into: Path | None = None) -> None:
    """Answer every sheet of a judge."""
    for (reader, number), ids in read_key(folder).sheets.items():
        if reader == judge:
            target = into or folder / judge
            target.mkdir(exist_ok=True)
            write_answers(target / f"batch{number:02}.tsv", ids, said)


def write_answers(path: Path, ids: Sequence[str], said: Mapping[str, str]) -> None:
    lines = ["\t".join([name, *said[name].split(" ", 2)]) for name in ids]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def rows_of(path: Path) -> dict[str, dict[str, Any]]:
    return {row["item"]: row for row in map(json.loads, path.read_text(encoding="utf-8").splitlines())}


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_agreements_settle_and_disagreements_go_to_a_further_reader(folder: Path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    outcome = adjudicate(folder)
    assert outcome.faults == []
    settled = rows_of(folder / "settled.jsonl")
    assert set(settled) == {"s0", "s1", "s2", "s3", "s4"}
    assert set(rows_of(folder / "not_annotated.jsonl")) == {"s6"}
    assert set(rows_of(folder / "disagreements.jsonl")) == {"s5", "s7"}
    row = settled["s1"]
    assert (row["id"], row["rule"], row["label"], row["sure"]) == ("pool-1", "S2", "state_media_framing", 0)
    assert row["text"][slice(*row["cue"])] == "had taught"
    assert row["judgements"] == [
        {"judge": "judge1", "rule": "S2", "sure": 1, "cue": [27, 37]},
        {"judge": "judge2", "rule": "S1", "sure": 0, "cue": [31, 37]},
    ]
    assert (row["judges"], row["adjudicated"], row["round"]) == (2, False, 4)
    assert (row["stratum"], row["inclusion_probability"], row["outlet_id"]) == ("natural", 0.25, "hill_times")
    assert settled["s0"]["sure"] == 1
    tally = outcome.tallies["all"]
    assert (tally.items, tally.read_twice, tally.agreed, tally.disputed) == (8, 8, 6, 2)
    assert (tally.settled, tally.not_annotated, tally.waiting) == (5, 1, 0)
    assert outcome.tallies["uncertain"].agreed == 1
    # What is settled is what training reads.
    read = read_annotated(folder / "settled.jsonl") + read_annotated(folder / "not_annotated.jsonl")
    assert [row["rule"] for row in read] == ["S1", "S2", "H2", "H1", "I", "X"]


def test_the_further_reader_sees_both_readings_and_no_judge(folder: Path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    (sheet,) = adjudicate(folder).sheets
    text = sheet.read_text(encoding="utf-8")
    assert sheet_ids(text) == ["s5", "s7"]
    assert "judge" not in text
    assert "hill" not in text
    for reading in ("reading: I, sure, cue: -", "reading: S2, unsure, cue: council voted"):
        assert reading in text


def test_readings_stand_in_an_order_that_does_not_tell_whose_they_are(folder: Path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    (sheet,) = adjudicate(folder).sheets
    before = sheet.read_text(encoding="utf-8")
    sheet.unlink()
    answer(folder, "judge1", OTHER)
    answer(folder, "judge2", AGREED)
    adjudicate(folder)
    assert sheet.read_text(encoding="utf-8") == before


def test_adjudicated_sentences_settle_with_all_judgements_kept(folder: Path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    (sheet,) = adjudicate(folder).sheets
    write_answers(sheet.with_suffix(".tsv"), ["s5", "s7"], {"s5": "I 1 -", "s7": "S1 1 so-called mayor"})
    outcome = adjudicate(folder, adjudicated=[folder / "adjudication"])
    assert outcome.faults == []
    assert outcome.sheets == {}
    row = rows_of(folder / "settled.jsonl")["s7"]
    assert (row["rule"], row["sure"], row["adjudicated"], row["judges"]) == ("S1", 0, True, 2)
    assert row["text"][slice(*row["cue"])] == "so-called mayor"
    assert [one["rule"] for one in row["judgements"]] == ["S1", "I", "S1"]
    assert all(row["settled"] for row in rows_of(folder / "disagreements.jsonl").values())
    # The further reader had seen the others, so agreement is measured without.
    assert "adjudication" not in (folder / "judgements.jsonl").read_text(encoding="utf-8")
    again = everything(folder)
    # What lies beside the sheets counts without being named.
    assert adjudicate(folder).faults == []
    assert everything(folder) == again


def test_answers_to_what_has_settled_meanwhile_are_passed_over_with_a_note(folder: Path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    (sheet,) = adjudicate(folder).sheets
    write_answers(sheet.with_suffix(".tsv"), ["s5", "s7"], {"s5": "S1 1 council", "s7": "I 1 -"})
    answer(folder, "judge2", OTHER | {"s5": "I 1 -"})
    outcome = adjudicate(folder)
    assert outcome.faults == []
    (note,) = outcome.notes
    assert "1 items" in note
    assert note.endswith(": s5")
    settled = rows_of(folder / "settled.jsonl")
    assert (settled["s5"]["rule"], settled["s5"]["adjudicated"]) == ("I", False)
    assert (settled["s7"]["rule"], settled["s7"]["adjudicated"]) == ("I", True)
    # A reader who leaves such an item out has left nothing out, and an open one stays open.
    write_answers(sheet.with_suffix(".tsv"), ["s7"], {"s7": "I 1 -"})
    outcome = adjudicate(folder)
    assert (outcome.faults, outcome.notes, outcome.sheets) == ([], [], {})
    sheet.with_suffix(".tsv").unlink()
    assert adjudicate(folder).sheets == {sheet: (1, 2)}


def test_cues_count_in_the_whole_text_where_judges_saw_no_dateline(tmp_path: Path) -> None:
    text = "TOLVANE, May 4 (HTA) -- Tolvane's glorious gunners stand ready."
    row = {
        "id": "s1",
        "text": text,
        "context": "Tolvane, May 4 (HTA) -- It rained.",
        **dict.fromkeys(("source_id", "score", "inclusion_probability", "group", "round")),
        "stratum": "natural",
        "provenance": {"article": "hta:1"},
    }
    write_round(tmp_path, [row], deal(["s1"], 2, 1.0, 3, 0))
    for judge in ("judge1", "judge2"):
        assert "HTA" not in (tmp_path / judge / "batch00.txt").read_text(encoding="utf-8")
        answer(tmp_path, judge, {"s1": "S1 1 Tolvane's glorious" if judge == "judge1" else "I 1 -"})
    (sheet,) = adjudicate(tmp_path).sheets
    assert "HTA" not in sheet.read_text(encoding="utf-8")
    assert "cue: Tolvane's glorious\n" in sheet.read_text(encoding="utf-8")
    write_answers(sheet.with_suffix(".tsv"), ["s1"], {"s1": "S1 1 glorious"})
    assert adjudicate(tmp_path).faults == []
    settled = rows_of(tmp_path / "settled.jsonl")["s1"]
    assert (settled["text"], settled["context"]) == (text, row["context"])
    assert text[slice(*settled["cue"])] == "glorious"
    assert text[slice(*settled["judgements"][0]["cue"])] == "Tolvane's glorious"
    # Nobody can cite what nobody saw.
    write_answers(sheet.with_suffix(".tsv"), ["s1"], {"s1": "S1 1 HTA"})
    assert any("letter by letter" in fault for fault in adjudicate(tmp_path).faults)


def test_an_export_in_a_judges_folder_is_read(folder: Path) -> None:
    answer(folder, "judge1", AGREED)
    tasks = json.loads((folder / "judge2" / "labelstudio.json").read_text(encoding="utf-8"))
    for task in tasks:
        task["annotations"] = [
            {
                "completed_by": 7,
                "result": [{"from_name": "rule", "type": "choices", "value": {"choices": ["I"]}}],
            }
        ]
    (folder / "judge2" / "project-1.json").write_text(json.dumps(tasks), encoding="utf-8")
    outcome = adjudicate(folder)
    assert outcome.faults == []
    assert outcome.tallies["all"].read_twice == 8
    assert outcome.tallies["all"].agreed == 2
    assert '"judge": "judge2"' in (folder / "judgements.jsonl").read_text(encoding="utf-8")


def test_a_third_judge_makes_a_majority_and_the_sheet_stays(folder: Path, tmp_path: Path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    (sheet,) = adjudicate(folder).sheets
    before = sheet.read_bytes()
    answer(folder, "judge1", AGREED, into=tmp_path / "cid")
    paths = [folder / "judge1", folder / "judge2", tmp_path / "cid"]
    outcome = adjudicate(folder, paths)
    assert outcome.faults == []
    row = rows_of(folder / "settled.jsonl")["s7"]
    assert (row["rule"], row["sure"], row["judges"], row["adjudicated"]) == ("S1", 0, 3, False)
    assert set(rows_of(folder / "disagreements.jsonl")) == {"s5", "s7"}
    assert outcome.sheets == {}
    assert sheet.read_bytes() == before
    first = everything(folder)
    adjudicate(folder, paths[::-1])
    assert everything(folder) == first


def test_new_disagreements_go_on_further_sheets(folder: Path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    (first,) = adjudicate(folder).sheets
    before = first.read_bytes()
    answer(folder, "judge2", OTHER | {"s0": "I 0 -"})
    assert [path.name for path in adjudicate(folder).sheets] == ["batch00.txt", "batch01.txt"]
    assert first.read_bytes() == before
    assert sheet_ids((folder / "adjudication" / "batch01.txt").read_text(encoding="utf-8")) == ["s0"]


def test_without_all_judgements_nothing_is_written_unless_partial(folder: Path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    (folder / "judge2" / "batch01.tsv").unlink()
    before = everything(folder)
    (fault,) = adjudicate(folder).faults
    ids = read_key(folder).sheets["judge2", 1]
    assert fault.startswith(f"{folder}/judge2/batch01.txt: ")
    assert fault.endswith(f"got none to 3: {', '.join(ids)}")
    assert everything(folder) == before
    # Of judges by other names it cannot be told whose sheet it was.
    (fault,) = adjudicate(folder, [(folder / "judge1").rename(folder / "ann"), folder / "judge2"]).faults
    assert "too few of 3 items: " in fault
    assert "(answers by judge: ann 8, judge2 5)" in fault
    (folder / "ann").rename(folder / "judge1")
    outcome = adjudicate(folder, partial=True)
    waiting = set(read_key(folder).sheets["judge2", 1])
    assert outcome.tallies["all"].waiting == 3
    assert waiting.isdisjoint(rows_of(folder / "settled.jsonl"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ({"s5": "I 1 -", "s4": "I 1 -"}, "expected an item on which judges differ, got s4"),
        ({"s5": "I 1 -"}, "expected 2 lines, one an item, got none for s7"),
        ({"s5": "I 1 -", "s7": "S1 1 mayors"}, "letter by letter"),
    ],
)
def test_faults_of_an_adjudication_are_told(folder: Path, lines: dict[str, str], message: str) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    adjudicate(folder)
    write_answers(folder / "third.tsv", list(lines), lines)
    faults = adjudicate(folder, adjudicated=[folder / "third.tsv"]).faults
    assert any(message in fault and "third.tsv" in fault for fault in faults)


def test_two_further_readers_of_one_item_are_a_fault(folder: Path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    adjudicate(folder)
    for name in ("cid", "dot"):
        write_answers(folder / f"{name}.tsv", ["s5", "s7"], {"s5": "I 1 -", "s7": "I 1 -"})
    faults = adjudicate(folder, adjudicated=[folder / "cid.tsv", folder / "dot.tsv"]).faults
    assert len(faults) == 2
    assert all("dot.tsv" in fault.split(": ")[0] and "cid.tsv" in fault for fault in faults)


def test_the_harness_reads_the_judgements(folder: Path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    found = read_judgements([adjudicate(folder).judgements], folder / "items.jsonl")
    assert found.judges == ("judge1", "judge2")
    assert [item.id for item in found.items] == [f"s{at}" for at in range(8)]
    assert [item.article for item in found.items] == [f"hill:{at // 2}" for at in range(8)]
    assert [item.text for item in found.items] == TEXTS
    assert (found.labels[:, 0] == found.labels[:, 1]).tolist() == [at not in (5, 7) for at in range(8)]
    assert found.sure[1].tolist() == [1, 0]
    assert len(set(found.clusters)) == 4


# ---------------------------------------------------------------- the command


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["framelens-train", "adjudicate", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_the_command_shows_a_table_and_what_comes_next(folder: Path, monkeypatch, capsys, tmp_path) -> None:
    answer(folder, "judge1", AGREED)
    answer(folder, "judge2", OTHER)
    assert call(monkeypatch, folder, "-o", tmp_path / "out" / "settled.jsonl") == 0
    said = capsys.readouterr().err
    assert (tmp_path / "out" / "not_annotated.jsonl").is_file()
    (total,) = [line for line in said.splitlines() if line.startswith("all")]
    assert total.split() == ["all", "8", "0", "8", "6", "2", "0", "1", "5", "75.0%"]
    assert f"framelens-eval agreement {folder / 'judgements.jsonl'}" in said
    assert f"{folder / 'adjudication' / 'batch00.txt'} (2 of its 2 items are open)" in said


def test_the_command_lists_all_faults_and_writes_nothing(folder: Path, monkeypatch, capsys) -> None:
    answer(folder, "judge1", AGREED | {"s2": "H2 1 Reportedly", "s4": "I 2 -"})
    answer(folder, "judge2", OTHER)
    assert call(monkeypatch, folder) == 2
    said = capsys.readouterr().err.splitlines()
    sheets = {sheet for sheet, ids in read_key(folder).sheets.items() for name in ids if name in ("s2", "s4")}
    lacking = [line for line in said if "without a fault to each" in line]
    assert len(lacking) == sum(judge == "judge1" for judge, _ in sheets)
    assert len(said) == 3 + len(lacking)
    assert f"got {len(said) - 1} (listed above)" in said[-1]
    assert not (folder / "settled.jsonl").exists()
    assert call(monkeypatch, folder, "--partial") == 0
    assert {"s2", "s4"}.isdisjoint(rows_of(folder / "settled.jsonl"))


def test_a_round_without_answers_says_where_they_belong(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"judge1/batch00\.tsv"):
        adjudicate(folder)
    with pytest.raises(InputError, match="framelens-train sample"):
        adjudicate(tmp_path)
