"""Reading judgements: long tables, judges' files, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framelens import InputError
from framelens_evaluation.agreement.judgements import MISSING, read_judgements
from framelens_evaluation.statistics.metrics import NO_LABEL

if TYPE_CHECKING:
    from pathlib import Path

STATE, PLAIN, HEDGED = range(3)


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_long_table(tmp_path: Path) -> None:
    path = written(
        tmp_path / "judgements.csv",
        "item,judge,label,rule,sure,article,text\n"
        "1,ann,state_media_framing,S2,1,a,The gate is shut.\n"
        "1,ben,H1,,0,a,The gate is shut.\n"
        "2,ann,,I,,b,\n"
        "2,ben,x,,1,b,\n"
        "3,ben,,,,,\n",
    )
    found = read_judgements([path])
    assert found.judges == ("ann", "ben")
    assert [item.id for item in found.items] == ["1", "2", "3"]
    assert found.labels.tolist() == [[STATE, HEDGED], [PLAIN, NO_LABEL], [MISSING, NO_LABEL]]
    assert found.rules.tolist() == [[1, 2], [4, MISSING], [MISSING, MISSING]]
    assert found.sure.tolist() == [[1, 0], [MISSING, 1], [MISSING, MISSING]]
    assert found.items[0].text == "The gate is shut."
    assert found.clusters == ["article a", "article b", "item 3"]
    assert found.sources[0].role == "judgements"


def test_parquet_with_typed_columns(tmp_path: Path) -> None:
    rows = {"id": [7, 7], "judge": [1, 2], "label": ["hedged_claim", None], "sure": [True, False]}
    pq.write_table(pa.table(rows), tmp_path / "j.parquet")
    found = read_judgements([tmp_path / "j.parquet"])
    assert found.judges == ("1", "2")
    assert found.labels.tolist() == [[HEDGED, NO_LABEL]]
    assert found.sure.tolist() == [[1, 0]]


def test_judges_files_and_items(tmp_path: Path) -> None:
    ann = written(tmp_path / "ann.tsv", "t1\tS1\t1\tglorious\nt2\tI\t0\t-\n\n")
    ben = written(tmp_path / "ben.tsv", "t1\ts1\r\nt2\tX\t1\n")
    items = written(tmp_path / "items.csv", "id,article,stratum\nt1,a,natural\nt2,a,natural\nt9,z,natural\n")
    found = read_judgements([ann, ben], items)
    assert found.judges == ("ann", "ben")
    assert found.labels.tolist() == [[STATE, STATE], [PLAIN, NO_LABEL]]
    assert found.sure.tolist() == [[1, MISSING], [0, 1]]
    assert [item.article for item in found.items] == ["a", "a"]
    assert [source.role for source in found.sources] == ["judgements", "judgements", "items"]


def test_judges_of_one_file_name_keep_their_folders(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        written(tmp_path / folder / "judge.tsv", "t1\tI\n")
    found = read_judgements([tmp_path / "one" / "judge.tsv", tmp_path / "two" / "judge.tsv"])
    assert len(found.judges) == 2


def test_a_tsv_with_a_header_is_a_table(tmp_path: Path) -> None:
    path = written(tmp_path / "all.tsv", "item\tjudge\trule\nt1\tann\tI\nt1\tben\tH2\n")
    assert read_judgements([path]).labels.tolist() == [[PLAIN, HEDGED]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ann.csv", "id,label\nt1,State framing\nt2,H1\n"),
        ("ann.tsv", "item\trule\tsure\tcue\nt1\tS1\t1\tglorious\nt2\tH1\t\t\n"),
        (
            "ann.jsonl",
            '{"id": "t1", "label": "state_media_framing"}\n{"id": "t2", "label": "hedged_claim"}\n',
        ),
        ("ann.tsv", "t1\tSTATE_MEDIA_FRAMING\t1\nt2\thedged\n"),
        ("ann.tsv", "t1\tstate framing\t\tlabel\nt2\thedged_claim\t0\titem\n"),
        ("ann.txt", "t1\tS2\nt2\tHedged\n"),
    ],
)
def test_a_file_without_judges_is_the_judge_it_is_named_after(tmp_path: Path, name: str, text: str) -> None:
    other = written(tmp_path / "ben.csv", "item,label\nt1,independent\nt2,X\n")
    found = read_judgements([written(tmp_path / name, text), other])
    assert found.judges == ("ann", "ben")
    assert [item.id for item in found.items] == ["t1", "t2"]
    assert found.labels.tolist() == [[STATE, PLAIN], [HEDGED, NO_LABEL]]


@pytest.mark.parametrize("first", ["state framing", "independent_reporting", "X", "", "H2"])
def test_a_first_judgement_is_no_header(tmp_path: Path, first: str) -> None:
    """Whatever a judge said first, the first sentence is counted."""
    ann = written(tmp_path / "ann.tsv", f"t1\t{first}\nt2\tI\n")
    ben = written(tmp_path / "ben.tsv", "t1\tI\nt2\tI\n")
    assert [item.id for item in read_judgements([ann, ben]).items] == ["t1", "t2"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "item,judge,label\n1,a,S1\n1,a,S1\n", "judged the item '1' before"),
        ("a.csv", "item,judge,label\n1,a,maybe\n1,b,S1\n", "row 1: expected a label among"),
        ("a.csv", "item,judge,label,rule\n1,a,hedged_claim,S1\n", "contradict each other"),
        ("a.csv", "item,judge,label\n1,,S1\n", "no judge"),
        ("a.csv", "item,judge,label\n,a,S1\n", "no item"),
        ("a.csv", "item,judge,label,sure\n1,a,S1,perhaps\n", "sure as 1 or 0"),
        ("a.csv", "item,judge,label,article\n1,a,S1,x\n1,b,S1,y\n", "two values of article"),
        ("a.csv", "item,label\n1,S1\n", "two judges or more, got a"),
        ("a.csv", "item,label\n1,S1\n1,S2\n", "several judges needs the column judge"),
        ("a.csv", "1,S1\n2,S1\n", "expected the columns item .*without a header must be tab-separated"),
        ("a.tsv", "name\tverdict\nt1\tS1\n", "line 1: column 2: expected a label .*a header would"),
        ("a.csv", "item,judge,label\n1,a,S1\n", "two judges or more, got a"),
        ("a.tsv", "t1\tS1\t1\tcue\nt2\n", "line 2: expected item, rule or label"),
        ("a.tsv", "t1\tS1\t1\tcue\nt2\tS9\n", "line 2: column 2: expected a label among .*hedged.* S1, S2"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_judgements([written(tmp_path / name, text)])


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent"):
        read_judgements([tmp_path / "absent.tsv"])
    (tmp_path / "latin.tsv").write_bytes("t1\tS1\t1\tcaf\xe9\n".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        read_judgements([tmp_path / "latin.tsv"])
    both = written(tmp_path / "j.csv", "item,judge,label\n1,a,S1\n1,b,S1\n")
    bad = written(tmp_path / "items.csv", "name\n1\n")
    with pytest.raises(InputError, match="column id or item"):
        read_judgements([both], bad)
