"""Sheets are blind, complete and read back; who reads what is dealt evenly."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from framelens.errors import InputError
from framelens_training.sheets import (
    _NOT_FOR_JUDGES,
    deal,
    instructions,
    one_sheet,
    read_key,
    sheet_ids,
    write_round,
)

if TYPE_CHECKING:
    from pathlib import Path

one_line = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp", "Zs")) | st.just(" "), max_size=60
)
shown_text = one_line.map(lambda text: " ".join(text.split())).filter(bool)
awkward = st.sampled_from(["[s1]", "SENTENCE: [s2]", "context: -", "[a] [b]", "-"])
item_lists = st.lists(
    st.tuples(shown_text | awkward, (shown_text | awkward | st.just(""))), min_size=1, max_size=12
).map(
    lambda pairs: [
        {"id": f"s{at:03}", "text": text, "context": context} for at, (text, context) in enumerate(pairs)
    ]
)


def key_row(item: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        **item,
        "source_id": None,
        "stratum": "natural",
        "score": None,
        "inclusion_probability": 0.5,
        "group": "all",
        "round": 4,
        "models": {},
        "seed": 0,
        "provenance": {"article": "a:1"},
        **more,
    }


@given(items=item_lists)
def test_the_ids_on_a_sheet_are_read_back(items: list[dict[str, str]]) -> None:
    assert sheet_ids(one_sheet(items)) == [item["id"] for item in items]


def test_a_sheet_is_as_judges_know_it() -> None:
    items = [
        {"id": "s1", "text": "The ferry left.", "context": ""},
        {"id": "s2", "text": "It sank.", "context": "The ferry left."},
    ]
    assert one_sheet(items) == (
        "[s1]\ncontext: -\nSENTENCE: The ferry left.\n\n[s2]\ncontext: The ferry left.\nSENTENCE: It sank.\n"
    )


# ---------------------------------------------------------------- who reads what


@given(
    n=st.integers(1, 150),
    judges=st.integers(1, 5),
    share=st.floats(0, 1),
    batch=st.integers(1, 40),
    seed=st.integers(0, 5),
)
def test_every_item_is_dealt_once_or_to_two_judges(
    n: int, judges: int, share: float, batch: int, seed: int
) -> None:
    double = share if judges > 1 else 0.0
    ids = [f"s{at}" for at in range(n)]
    dealt = deal(ids, judges, double, batch, seed)
    hands = {judge: [name for part in parts for name in part] for judge, parts in dealt.items()}
    read = Counter(name for hand in hands.values() for name in hand)
    assert set(read) == set(ids)
    assert Counter(read.values())[2] == round(double * n)
    assert set(read.values()) <= {1, 2}
    assert all(len(set(hand)) == len(hand) for hand in hands.values())  # so the two are two judges
    sizes = [len(hand) for hand in hands.values()] + [0] * (judges - len(hands))
    assert max(sizes) - min(sizes) <= 2
    for parts in dealt.values():
        assert max(map(len, parts)) <= batch
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert dealt == deal(ids, judges, double, batch, seed)


def test_two_judges_of_the_same_items_see_them_in_different_orders_and_batches() -> None:
    ids = [f"s{at}" for at in range(100)]
    dealt = deal(ids, 2, 1.0, 25, 0)
    first, second = dealt["judge1"], dealt["judge2"]
    assert [len(parts) for parts in (first, second)] == [4, 4]
    assert {frozenset(part) for part in first}.isdisjoint(map(frozenset, second))
    assert [name for part in first for name in part] != ids
    assert dealt != deal(ids, 2, 1.0, 25, 1)


def test_one_judge_cannot_read_twice() -> None:
    with pytest.raises(InputError, match="--judges 2"):
        deal(["s1"], 1, 0.1, 60, 0)


# ---------------------------------------------------------------- blindness


secrets = st.text("ABCDEFGHJKLMNPQRSTUVWXYZ", min_size=8, max_size=16).map(lambda word: f"Qz{word}7")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(items=item_lists, hidden=st.lists(secrets, min_size=8, max_size=8, unique=True), data=st.data())
def test_judges_see_nothing_but_ids_texts_and_contexts(
    tmp_path_factory: pytest.TempPathFactory, items, hidden: list[str], data
) -> None:
    folder = tmp_path_factory.mktemp("round")
    outlet, country, date, source, title, group, model, stratum = hidden
    rows = [
        key_row(
            item,
            source_id=source,
            stratum=stratum,
            score=0.731234,
            group=group,
            models={model: "9f" * 32},
            provenance={
                "outlet": outlet,
                "country": country,
                "date": date,
                "title": title,
                "article": source,
            },
        )
        for item in items
    ]
    judges = data.draw(st.integers(1, 3))
    dealt = deal([item["id"] for item in items], judges, 0.5 if judges > 1 else 0.0, 5, 0)
    write_round(folder, rows, dealt)
    seen = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "key.jsonl"]
    assert {path.name for path in seen} >= {"README.md", "items.jsonl", "labelstudio.xml", "batch00.txt"}
    for path in seen:
        content = path.read_text(encoding="utf-8")
        for secret in (*hidden, "0.731234", "9f" * 32, "inclusion_probability"):
            assert secret not in content, path
    # And the key has all of it.
    assert [{**row, "sheets": None} for row in read_key(folder).rows.values()] == [
        {**row, "sheets": None, "shown_from": 0} for row in rows
    ]


def test_the_key_knows_every_sheet_in_its_order(tmp_path: Path) -> None:
    rows = [key_row({"id": f"s{at}", "text": f"Text {at}.", "context": ""}) for at in range(30)]
    dealt = deal([row["id"] for row in rows], 2, 0.4, 7, 3)
    write_round(tmp_path, rows, dealt)
    key = read_key(tmp_path)
    assert key.sheets == {
        (judge, at): part for judge, parts in dealt.items() for at, part in enumerate(parts)
    }
    for (judge, number), ids in key.sheets.items():
        sheet = (tmp_path / judge / f"batch{number:02}.txt").read_text(encoding="utf-8")
        assert sheet_ids(sheet) == list(ids)
    tasks = json.loads((tmp_path / "judge2" / "labelstudio.json").read_text(encoding="utf-8"))
    assert [task["data"]["item"] for task in tasks] == [name for part in dealt["judge2"] for name in part]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "got no key.jsonl"),
        ("", "got none"),
        ('{"id": "s1"}\n', "line 1: expected id, text, context and sheets"),
        ("{", "line 1"),
    ],
)
def test_a_damaged_key_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "key.jsonl").write_text(content)
    with pytest.raises(InputError, match=message):
        read_key(tmp_path)


# ---------------------------------------------------------------- instructions


def test_instructions_hold_the_rules_and_not_what_is_for_readers_of_labels() -> None:
    codebook = (files("framelens") / "data" / "codebook.md").read_text(encoding="utf-8")
    headings = [line for line in codebook.splitlines() if line.startswith("#")]
    text = instructions()
    dropped = [f"## {name}" for name in _NOT_FOR_JUDGES]
    assert set(dropped) < set(headings)
    assert [line for line in text.splitlines() if line in headings] == [
        line for line in headings if line not in dropped
    ]
    for rule in ("S1", "S2", "H1", "H2", "X"):
        assert rule in text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("TOLVANE, May 4 (HTA) -- A choir sang.", "A choir sang."),
        ("New Tolvane, Aug. 14, 2031 (Hill News Agency) --A choir sang.", "A choir sang."),
        ("TOLVANE, Lorvia, 4 May (HTA) – “A choir sang.”", "“A choir sang.”"),
        ("PORT MARLOW (Wires) - A choir sang.", "A choir sang."),
        ("(HTA) -- A choir sang.", "A choir sang."),
        ("The Harbour Board (HB) - which pays - met on May 4.", None),
        ("The choir of Tolvane sang on May 4 (HTA) -- twice.", None),
        ("TOLVANE (a port) - a poem.", None),
        ("TOLVANE, May 4 (HTA) --", None),
        ("A choir sang. TOLVANE, May 4 (HTA) -- It rained.", None),
    ],
)
def test_judges_see_no_dateline_and_all_else(tmp_path: Path, text: str, seen: str | None) -> None:
    row = dict.fromkeys(("source_id", "stratum", "score", "inclusion_probability", "round"))
    row |= {"id": "s1", "text": text, "context": f"It rained. {text}", "provenance": {}}
    write_round(tmp_path, [row], {"judge1": [("s1",)]})
    (item,) = map(json.loads, (tmp_path / "items.jsonl").read_text(encoding="utf-8").splitlines())
    assert item["text"] == (seen or text)
    assert f"SENTENCE: {seen or text}\n" in (tmp_path / "judge1" / "batch00.txt").read_text(encoding="utf-8")
    if seen is not None:
        assert item["context"] == f"It rained. {seen}"
    kept = read_key(tmp_path).rows["s1"]
    assert (kept["text"], kept["context"]) == (text, row["context"])
    assert kept["text"][kept["shown_from"] :] == item["text"]
