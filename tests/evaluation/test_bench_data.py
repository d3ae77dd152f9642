"""Reading a benchmark, dividing it, and what stands in it twice."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens import InputError
from framelens_evaluation.bench.data import (
    build_data,
    find_data_dir,
    read_converted,
    repeated,
    same_text,
    splits_of,
    without_repeats,
)
from framelens_evaluation.bench.public import read_public
from framelens_evaluation.bench.tasks import all_tasks

if TYPE_CHECKING:
    from pathlib import Path

    from framelens_evaluation.bench.data import BenchData
    from framelens_evaluation.bench.tasks import Task

TASKS = all_tasks()
PTC, BABE, CONLL, CHECKTHAT = (
    TASKS[name] for name in ("ptc_emnlp2019", "babe_sg2", "conll2010_wiki", "checkthat2023_subj_en")
)


def built(task: Task, rows: list[tuple[str, str, str, str | None]]) -> BenchData:
    return build_data(task, rows, ())


def write_set(folder: Path, task: Task, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / task.file, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder


def biased(n: int, groups: int = 10**9) -> list[tuple[str, str, str, str | None]]:
    return [
        (f"Pier {i} shut.", "Biased" if i % 2 else "Non-biased", "none", f"article {i % groups}")
        for i in range(n)
    ]


def test_rows_are_read_as_declared(tmp_path: Path) -> None:
    rows = [
        {"text": "Our wonderful mayor!", "label": "propaganda", "split": "train", "doc_id": 7, "other": 1},
        {"text": "A pier shut.\u2028It rained.", "label": "non-propaganda", "split": "dev", "doc_id": "8"},
        {"text": "  ", "label": "propaganda", "split": "test", "doc_id": "9"},
        {"text": "A bridge opened.", "label": "non-propaganda", "split": "test", "doc_id": None},
    ]
    data = read_converted(PTC, write_set(tmp_path, PTC, rows))
    assert [row.text for row in data.rows] == [rows[0]["text"], rows[1]["text"], rows[3]["text"]]
    assert [PTC.classes[row.label] for row in data.rows] == ["propaganda", "none", "none"]
    assert [row.group for row in data.rows] == ["group 7", "group 8", "text abridgeopened"]
    assert data.left_out == {"blank text": 1}
    assert data.n_without_group == 1
    assert data.sources[0].role == PTC.name
    assert len(data.sources[0].sha256 or "") == 64


def test_a_label_may_be_left_out_with_its_reason() -> None:
    data = built(BABE, [*biased(4), ("Odd.", "No agreement", "none", "z")])
    assert len(data.rows) == 4
    assert data.left_out == {"No agreement: the experts did not agree": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "hedge"}, "expected a label among propaganda, non-propaganda, got 'hedge'"),
        ({"split": "none"}, "expected a split among train, dev, test, got 'none'"),
        ({"text": None}, r"jsonl\.gz:2: expected a string as 'text', got None"),
        ({"label": 1}, "expected a string as 'label', got 1"),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    good = {"text": "A pier shut.", "label": "propaganda", "split": "train", "doc_id": "1"}
    with pytest.raises(InputError, match=message):
        read_converted(PTC, write_set(tmp_path, PTC, [good, good | change]))


def test_a_part_may_not_be_missing() -> None:
    with pytest.raises(InputError, match="ptc_emnlp2019 holds no sentences of dev, test"):
        built(PTC, [("A pier shut.", "propaganda", "train", "1")])
    # Where no dev was published, none is asked for.
    built(CONLL, [("A.", "certain", "train", "1"), ("B.", "certain", "test", "2")])


def test_a_missing_file_is_named_with_its_home(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        read_converted(CONLL, tmp_path)
    message = str(raised.value)
    assert str(tmp_path / "conll2010_wiki.jsonl.gz") in message
    assert "PAJEAN/uncertaintyDetection" in message
    assert "--public" in message


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"{"), gzip.compress(b"[1]\n")])
def test_a_damaged_file_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / PTC.file).write_bytes(content)
    with pytest.raises(InputError, match=r"ptc_emnlp2019\.jsonl\.gz"):
        read_converted(PTC, tmp_path)


def test_the_data_folder_is_given_or_named_by_the_environment(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("FRAMELENS_DATA", raising=False)
    with pytest.raises(InputError, match="--data-dir or set FRAMELENS_DATA"):
        find_data_dir(None)
    with pytest.raises(InputError, match="no such folder"):
        find_data_dir(tmp_path)
    (tmp_path / "bench").mkdir()
    monkeypatch.setenv("FRAMELENS_DATA", str(tmp_path))
    assert find_data_dir(None) == tmp_path / "bench"


def test_same_text_ignores_case_spaces_and_punctuation() -> None:
    assert same_text("The  Ferry, again!") == same_text("the ferry again")
    assert same_text("The ferries") != same_text("The ferry")
    assert same_text("…") != same_text("?!")


# --- splits ------------------------------------------------------------------------------------------


@given(st.integers(30, 120), st.integers(20, 200))
def test_folds_test_every_row_once_and_keep_groups_whole(n: int, groups: int) -> None:
    data = built(BABE, biased(n, groups))
    splits = splits_of(data)
    tested = np.concatenate([split.test for split in splits])
    assert sorted(tested) == list(range(n))
    for split in splits:
        parts = [{data.rows[i].group for i in part} for part in (split.train, split.dev, split.test)]
        assert not parts[0] & parts[1]
        assert not parts[0] & parts[2]
        assert not parts[1] & parts[2]
        assert len(split.train) + len(split.dev) + len(split.test) == n


def test_folds_depend_on_names_of_groups_and_not_on_the_order() -> None:
    rows = biased(60)
    forwards, backwards = built(BABE, rows), built(BABE, rows[::-1])

    def tested(data: BenchData) -> list[set[str]]:
        return [{data.rows[i].text for i in split.test} for split in splits_of(data)]

    assert tested(forwards) == tested(backwards)


def test_published_splits_are_kept() -> None:
    rows = [(f"Pier {i} shut.", "propaganda", name, "1") for i, name in enumerate(["test", "dev", "train"])]
    (split,) = splits_of(built(PTC, rows))
    assert (split.train.tolist(), split.dev.tolist(), split.test.tolist()) == ([2], [1], [0])


def test_dev_is_cut_from_train_by_group_and_test_is_whole() -> None:
    rows = [(f"Pier {i} shut.", "certain", "train", f"a{i // 3}") for i in range(300)]
    rows += [(f"Mole {i} shut.", "certain", "test", f"b{i}") for i in range(20)]
    data = built(CONLL, rows)
    (split,) = splits_of(data)
    assert split.test.tolist() == list(range(300, 320))
    assert not {data.rows[i].group for i in split.train} & {data.rows[i].group for i in split.dev}
    assert 0.04 < len(split.dev) / 300 < 0.2


def test_too_few_groups_for_a_dev_is_an_input_error() -> None:
    rows = [("Pier shut.", "certain", "train", "a"), ("Mole shut.", "certain", "test", "b")]
    with pytest.raises(InputError, match="too few groups"):
        splits_of(built(CONLL, rows))


# --- repeats -----------------------------------------------------------------------------------------


def test_repeats_are_found_and_leave_the_training_part() -> None:
    rows = [
        ("The ferry sank.", "propaganda", "train", "1"),
        ("A pier shut.", "propaganda", "train", "1"),
        ("Gulls cried.", "propaganda", "train", "1"),
        ("the FERRY sank", "propaganda", "test", "2"),
        ("The ferry, sank", "propaganda", "test", "2"),
        ("A mole opened.", "propaganda", "test", "2"),
        ("A pier shut!", "propaganda", "dev", "3"),
        ("A mole: opened", "propaganda", "dev", "3"),
        ("Rain fell.", "propaganda", "dev", "3"),
    ]
    data = built(PTC, rows)
    (split,) = splits_of(data)
    assert repeated(data, split.test, split.train).tolist() == [3, 4]
    assert repeated(data, split.test, split.dev).tolist() == [5]
    assert repeated(data, split.dev, split.train).tolist() == [6]
    clean = without_repeats(data, split)
    assert clean.train.tolist() == [2]
    assert clean.dev.tolist() == [6, 8]
    assert clean.test.tolist() == split.test.tolist()
    assert not len(repeated(data, clean.test, np.concatenate([clean.train, clean.dev])))


def test_a_part_that_is_nothing_but_repeats_is_an_input_error() -> None:
    rows = [("A pier.", "propaganda", name, "1") for name in ("train", "dev", "test")]
    data = built(PTC, rows)
    with pytest.raises(InputError, match="also stands in another part"):
        without_repeats(data, splits_of(data)[0])


# --- as published ------------------------------------------------------------------------------------


def test_checkthat_is_read_with_and_without_a_header(tmp_path: Path) -> None:
    row = 'id-{}\t"A ""fine"" pier, {}\tSUBJ\tFalse\n'
    (tmp_path / "train_en.tsv").write_text(row.format(1, "one") + row.format(2, "two"), encoding="utf-8")
    (tmp_path / "dev_en.tsv").write_text(
        "sentence_id\tsentence\tlabel\tsolved_conflict\n" + row.format(3, "three"), encoding="utf-8"
    )
    (tmp_path / "test_en_gold.tsv").write_text(
        "sentence_id\tsentence\tlabel\r\n" + "id-4\tA mole.\tOBJ\r\n", encoding="utf-8"
    )
    data = read_public(CHECKTHAT, tmp_path)
    assert [(row.text, CHECKTHAT.classes[row.label], row.split) for row in data.rows] == [
        ('"A ""fine"" pier, one', "subjective", "train"),
        ('"A ""fine"" pier, two', "subjective", "train"),
        ('"A ""fine"" pier, three', "subjective", "dev"),
        ("A mole.", "objective", "test"),
    ]
    assert len(data.sources) == 3
    assert data.n_without_group == 4


def test_babe_is_read_with_quotes_and_semicolons(tmp_path: Path) -> None:
    (tmp_path / BABE.name).mkdir()
    (tmp_path / BABE.name / "final_labels_SG2.csv").write_text(
        "text;news_link;outlet;label_bias;label_opinion\n"
        '"""Sheer"" folly; again";https://example.org/1;Bay;Biased;opinion\n'
        "A pier shut.;https://example.org/2;Bay;Non-biased;factual\n"
        "A mole.;;Bay;No agreement;factual\n",
        encoding="utf-8",
    )
    data = read_public(BABE, tmp_path)
    assert [(row.text, BABE.classes[row.label], row.group) for row in data.rows] == [
        ('"Sheer" folly; again', "biased", "group https://example.org/1"),
        ("A pier shut.", "not biased", "group https://example.org/2"),
    ]


CONLL_XML = """<?xml version="1.0" encoding="UTF-8"?>
<Annotation><DocumentSet><Document type="Wikipedia_text"><DocID type="id">Harbour_{n}</DocID>
<DocumentPart type="Title"><sentence id="S1.1" certainty="certain">Harbour</sentence></DocumentPart>
<DocumentPart type="Text"><sentence id="S1.2" certainty="uncertain">It is <ccue>perhaps</ccue> the
oldest, <ccue>some</ccue> say.</sentence></DocumentPart></Document></DocumentSet></Annotation>
"""


def test_conll_is_read_with_its_cues_as_text(tmp_path: Path) -> None:
    for n, name in enumerate(("train.xml", "test.xml")):
        (tmp_path / name).write_text(CONLL_XML.format(n=n), encoding="utf-8")
    data = read_public(CONLL, tmp_path)
    assert [(row.text, CONLL.classes[row.label], row.split, row.group) for row in data.rows[:2]] == [
        ("Harbour", "certain", "train", "group Harbour_0"),
        ("It is perhaps the oldest, some say.", "uncertain", "train", "group Harbour_0"),
    ]
    assert {row.split for row in data.rows[2:]} == {"test"}


@pytest.mark.parametrize(
    ("task", "name", "content", "message"),
    [
        (CHECKTHAT, "train_en.tsv", "id-1 A pier. OBJ\n", "train_en.tsv:1: expected sentence_id"),
        (CHECKTHAT, "train_en.tsv", "\xff", "expected UTF-8"),
        (BABE, "final_labels_SG2.csv", "text,label\nA,B\n", "label_bias, news_link, text"),
        (BABE, "final_labels_SG2.csv", "text;news_link;label_bias\nA\n", ":2: the row ends before"),
        (CONLL, "train.xml", "<a>", "expected XML"),
        (CONLL, "train.xml", "<a/>", "<Document>"),
        (CONLL, "train.xml", "<Document><sentence>A</sentence></Document>", "no attribute 'certainty'"),
    ],
)
def test_a_published_file_of_another_format_is_refused(
    tmp_path: Path, task: Task, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        read_public(task, tmp_path)


def test_what_cannot_be_read_as_published_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"converted file ptc_emnlp2019\.jsonl\.gz alone"):
        read_public(PTC, tmp_path)
    with pytest.raises(InputError, match=r"train_en\.tsv: .*umibench"):
        read_public(CHECKTHAT, tmp_path)
