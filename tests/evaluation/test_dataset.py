"""Reading gold sentences."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from framelens import InputError, Label
from framelens_evaluation.inputs.dataset import gold_labels, read_gold

if TYPE_CHECKING:
    from pathlib import Path

ROW = {
    "text": "The dam allegedly leaks.",
    "context": "",
    "label": "hedged_claim",
    "cue": [8, 17],
    "article": "a:1",
    "stratum": "natural",
    "outlet_id": "river_post",
    "rule": "H2",
}


def write(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n", encoding="utf-8")
    return path


def test_reads_rows_in_order(tmp_path: Path) -> None:
    out = {
        **ROW,
        "text": "Photo: river\u2028bank",
        "label": None,
        "cue": None,
        "outlet_id": None,
        "context": None,
    }
    path = write(tmp_path / "gold.jsonl", {**ROW, "more": 1}, out)
    found = read_gold(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [row.label for row in found.sentences] == [Label.HEDGED_CLAIM, None]
    assert found.labelled[0].cue == (8, 17)
    assert found.out_of_scope[0].context == ""
    assert found.out_of_scope[0].text == "Photo: river\u2028bank"
    assert found.outlets == {"river_post"}
    assert gold_labels(found.labelled) == [Label.HEDGED_CLAIM]
    with pytest.raises(InputError, match="1 of 2"):
        gold_labels(found.sentences)


def test_what_may_be_absent(tmp_path: Path) -> None:
    least = {
        "text": "The dam leaks.",
        "label": "independent_reporting",
        "article": "a:1",
        "stratum": "natural",
    }
    most = {
        **ROW,
        "id": "s1",
        "sure": 0,
        "source": "river_archive",
        "side": "independent",
        "country": "Ruritania",
        "date": "2021-05",
        "inclusion_probability": 0.25,
    }
    found = read_gold(write(tmp_path / "gold.jsonl", least, most, {**most, "id": "s2", "sure": None}))
    bare, full, unsure = found.sentences
    fields = ("cue", "outlet_id", "rule", "id", "sure", "source", "side", "country", "date")
    assert [getattr(bare, name) for name in (*fields, "inclusion_probability")] == [None] * 10
    assert bare.context == ""
    assert (full.id, full.sure, full.source, full.side) == ("s1", 0, "river_archive", "independent")
    assert (full.country, full.date, full.inclusion_probability) == ("Ruritania", "2021-05", 0.25)
    assert unsure.sure is None
    assert found.articles == {"a:1"}
    assert found.outlets == {"river_post"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "propaganda"}, r"gold.jsonl:2: label: "),
        ({"cue": [8, 99]}, r"gold.jsonl:2: line: .*cue \[8, 99\] is not within the 24 characters"),
        ({"cue": [8, 8]}, r"not within"),
        ({"text": "  "}, r"gold.jsonl:2: text: .*blank"),
        ({"article": ""}, r"gold.jsonl:2: article: "),
        ({"sure": 2}, r"gold.jsonl:2: sure: "),
        ({"inclusion_probability": 0}, r"gold.jsonl:2: inclusion_probability: "),
        ({"inclusion_probability": 1.5}, r"gold.jsonl:2: inclusion_probability: "),
        ({"id": 7}, r"gold.jsonl:2: id: "),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = write(tmp_path / "gold.jsonl", ROW, {**ROW, **change})
    with pytest.raises(InputError, match=message):
        read_gold(path)


def test_no_json_no_file_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    with pytest.raises(InputError, match="cannot read"):
        read_gold(path)
    path.write_text("\n\n", encoding="utf-8")
    with pytest.raises(InputError, match="no gold sentences"):
        read_gold(path)
    path.write_text("text,label\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"gold.jsonl:1: line: Invalid JSON"):
        read_gold(path)


def test_people_may_write_what_they_say(tmp_path: Path) -> None:
    """Short names, the cue in words, the outlet's plain name, and no stratum."""
    path = tmp_path / "gold.jsonl"
    row = {"text": "The kiln reportedly cracked.", "label": "Hedged", "article": "a", "cue": "reportedly"}
    path.write_text(json.dumps(row | {"outlet": "Kiln Courier"}) + "\n", encoding="utf-8")
    (found,) = read_gold(path).sentences
    assert found.label is Label.HEDGED_CLAIM
    assert found.text[slice(*found.cue)] == "reportedly"
    assert (found.outlet_id, found.stratum) == ("Kiln Courier", "")
    path.write_text(json.dumps(row | {"cue": "allegedly"}) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="'allegedly' is not in the text"):
        read_gold(path)


@pytest.mark.parametrize("name", ["gold.csv", "gold.tsv"])
def test_a_table_is_read_like_json_lines(tmp_path: Path, name: str) -> None:
    mark = "\t" if name.endswith("tsv") else ","
    lines = [
        ("text", "label", "article", "sure", "cue", "inclusion_probability"),
        ("Our peerless kiln shines.", "state framing", "a", "1", "peerless", "0.5"),
        ("Photo: a kiln", "", "a", "", "", ""),
    ]
    path = tmp_path / name
    path.write_text("".join(mark.join(line) + "\n" for line in lines), encoding="utf-8")
    first, second = read_gold(path).sentences
    assert (first.label, first.sure, first.inclusion_probability) == (Label.STATE_MEDIA_FRAMING, 1, 0.5)
    assert (second.label, second.sure, second.cue) == (None, None, None)


def test_a_table_without_labels_says_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("text,gold\nThe kiln cracked.,hedged\n", encoding="utf-8")
    with pytest.raises(InputError, match="label and article missing among text, gold"):
        read_gold(path)
