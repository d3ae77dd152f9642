"""Judged sentences by reference: what is kept of them, what is not, and what is refused."""

from __future__ import annotations

import gzip
import json
import random
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from framelens.errors import InputError
from framelens_training.cli import app
from framelens_training.fetch import restore
from framelens_training.locate import normalised
from framelens_training.references import (
    SHIPPED,
    read_references,
    refer,
    refer_files,
    write_references,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LINE = {
    "id": "s1",
    "text": "The governor's “glorious” granaries overflow again, the agency wrote.",
    "context": "Harvest ended on Friday. Prices fell.",
    "label": "state_media_framing",
    "rule": "S1",
    "sure": 1,
    "cue": [15, 25],
    "judges": 2,
    "adjudicated": True,
    "judgements": [["a", "S1", 1], ["b", "S2", 0]],
    "round": 4,
    "stratum": "natural",
    "inclusion_probability": 0.25,
    "source": "made up",
    "outlet": "The River Post",
    "outlet_id": "river_post",
    "side": "state",
    "country": "Ruritania",
    "date": "2031-05-04",
    "article": "river_post:7",
    "sentence_index": 3,
    "repo": "someone/river-post",
    "commit": COMMIT,
    "path": "2031/05 may/post.csv",
    "record": 7,
}
PIECES = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def write_lines(path: Path, rows: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_reference_keeps_all_but_the_text() -> None:
    [reference] = refer([LINE])
    row = reference.row(LINE["text"], LINE["context"])
    expected = {name: value for name, value in LINE.items() if name != "outlet"} | {"record": "7"}
    assert row["text"][slice(*row["cue"])] == "glorious"  # marks at the ends of a cue are not kept
    assert row | {"cue": LINE["cue"]} == expected
    kept = reference.model_dump_json()
    for word in re.findall(r"\w{4,}", f"{LINE['text']} {LINE['context']}"):
        assert word.lower() not in kept.lower()


def test_a_sentence_out_of_scope_has_no_label_and_one_without_context_no_trace_of_it() -> None:
    [reference] = refer([LINE | {"label": None, "rule": "X", "cue": None, "context": ""}])
    row = reference.row(LINE["text"], None)
    assert (row["label"], row["rule"], row["context"], row["cue"]) == (None, "X", "", None)
    assert reference.context is None


def test_equal_sentences_give_equal_bytes_in_any_order(tmp_path: Path) -> None:
    rows = [LINE | {"id": f"s{n}", "path": f"{n % 3}.txt", "text": f"Sentence {n}."} for n in range(20)]
    rows = [row | {"cue": None, "rule": "I", "label": "independent_reporting"} for row in rows]
    shuffled = random.Random(1).sample(rows, len(rows))
    for name, given_rows in (("a", rows), ("b", shuffled)):
        write_references(tmp_path / name, refer(given_rows))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    (tmp_path / "a").rename(tmp_path / "a.gz")
    assert read_references(tmp_path / "a.gz") == refer(rows)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"repo": None}, "sentence s1 has no repo"),
        ({"commit": "", "path": None}, "sentence s1 has no commit, path"),
        ({"repo": "river-post"}, "cannot be referred to: repo"),
        ({"commit": "main"}, "cannot be referred to: commit"),
        ({"text": "… !", "cue": None, "rule": "X", "label": None}, "cannot be referred to: length"),
        ({"cue": [14, 15]}, "cannot be referred to: .* cue .* outside"),
        ({"label": "hedged_claim"}, "rule 'S1' and label 'hedged_claim'"),
        ({"judgements": [["a", "S9", 1]]}, "judgements: 0: rule: "),
    ],
)
def test_what_nobody_could_find_again_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        refer([LINE | {"id": "s0"}, LINE | change])
    assert "\n" not in str(caught.value)
    assert "row 2" in str(caught.value)


def test_an_id_that_two_sentences_have_is_refused() -> None:
    with pytest.raises(InputError, match="row 2: another sentence has the id s1"):
        refer([LINE, LINE])


def test_a_fragment_comes_from_where_its_article_does(tmp_path: Path) -> None:
    bare = {name: LINE[name] for name in ("context", "article", "source", "judges", "stratum")}
    bare |= {"label": None, "rule": "X"}
    rows = [
        LINE,
        bare | {"id": "same record", "text": "Photo one"},
        LINE | {"id": "s2", "article": "hill:1", "record": "a"},
        LINE | {"id": "s3", "article": "hill:1", "record": "b"},
        bare | {"id": "same file", "text": "Photo two", "article": "hill:1"},
        LINE | {"id": "s4", "article": "headlines", "path": "a.txt"},
        LINE | {"id": "s5", "article": "headlines", "path": "b.txt"},
        bare | {"id": "many files", "text": "Photo three", "article": "headlines"},
        bare | {"id": "in articles", "text": "Photo four", "article": "raw:1"},
    ]
    path = write_lines(tmp_path / "rows.jsonl", rows)
    with pytest.raises(InputError, match=r"rows.jsonl, line 8: sentence many files has no repo"):
        refer_files([path])
    article = {"article": "raw:1", "text": "…", "repo": "a/b", "commit": COMMIT, "path": "c.txt", "record": 5}
    articles = write_lines(tmp_path / "articles.jsonl", [article])
    references, skipped = refer_files([path], [articles], skip_unsourced=True)
    found = {each.id: (each.repo, each.path, each.record) for each in references}
    assert skipped == 1
    assert found["same record"] == ("someone/river-post", "2031/05 may/post.csv", "7")
    assert found["same file"] == ("someone/river-post", "2031/05 may/post.csv", None)
    assert found["in articles"] == ("a/b", "c.txt", "5")
    assert found["s5"] == ("someone/river-post", "b.txt", "7")
    assert "many files" not in found


@pytest.mark.parametrize(
    "change",
    [
        {"repo": "../../etc"},
        {"repo": "owner/.."},
        {"repo": "./name"},
        {"repo": "--upload-pack=touch x/name"},
        {"repo": "-o/name"},
        {"repo": "owner/-name"},
        {"repo": "owner/name/more"},
        {"repo": "owner/name\n"},
        {"repo": "https://elsewhere/owner/name"},
        {"commit": "HEAD"},
        {"commit": "--help"},
        {"commit": COMMIT + "\n"},
        {"commit": COMMIT.upper()},
        {"path": "/etc/passwd"},
        {"path": "../secret.txt"},
        {"path": "a/../../secret.txt"},
        {"path": "a\nb.txt"},
        {"path": "a\0b.txt"},
        {"path": ""},
        {"anchor": "xyz"},
        {"text": {"hash": "0" * 16, "length": 0}},
        {"text": {"hash": "0" * 16, "length": 10**9}},
        {"text": {"hash": "0" * 15, "length": 5}},
        {"context": {"hash": "0" * 16, "length": 5, "text": "in clear"}},
        {"cue": [5, 4000]},
        {"cue": [5, 5]},
        {"cue": [-1, 5]},
        {"rule": "H2"},
        {"label": None},
        {"id": ""},
        {"sure": 7},
        {"judgements": [["a", "S1"]]},
        {"sentence": "a column that there is not"},
    ],
)
def test_a_hostile_or_broken_reference_is_refused_with_its_line(
    change: dict[str, Any], tmp_path: Path
) -> None:
    good = refer([LINE])[0].model_dump(mode="json")
    path = write_lines(tmp_path / "r.jsonl", [good | {"id": "s0"}, good | change])
    with pytest.raises(InputError, match=r"r\.jsonl: line 2 is no reference to a sentence: ") as caught:
        read_references(path)
    assert "\n" not in str(caught.value)
    # The same without the change is fine.
    assert len(read_references(write_lines(path, [good]))) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no gzip", "gzip"), (gzip.compress(b"")[:-4], "gzip"), (gzip.compress(b"{\n"), "line 1")],
)
def test_a_damaged_file_of_references_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_references(path)


@given(PIECES, PIECES, PIECES, st.data())
def test_a_sentence_in_a_text_comes_back_with_its_cue_and_context(
    context: str, text: str, after: str, data: st.DataObject
) -> None:
    text, context = f"x {text} y", f"{context} z"
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    row = LINE | {"text": text, "context": context, "path": "a.txt"}
    word = normalised(text[start:end])
    row |= {"cue": [start, end]} if word else {"cue": None}
    [reference] = refer([row])
    [found] = restore([reference], "a.txt", f"Before. {context} {text} {after}".encode())
    assert not isinstance(found, str)
    back = reference.row(found.text, found.context)
    assert normalised(back["text"]) == normalised(text)
    assert normalised(back["context"]) == normalised(context)
    assert (back["cue"] and normalised(back["text"][slice(*back["cue"])])) == (word or None)
    assert refer([row | back])[0] == reference


def invoke(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_command_writes_what_refer_gives(tmp_path: Path) -> None:
    first = write_lines(tmp_path / "a.jsonl", [LINE])
    second = tmp_path / "b.jsonl.gz"
    second.write_bytes(gzip.compress(json.dumps(LINE | {"id": "s2"}).encode()))
    out = tmp_path / "new" / "references.jsonl.gz"
    result = invoke("refer", first, second, "-o", out)
    assert result.exit_code == 0, result.output
    assert "2 references to 1 repositories" in result.stderr
    assert read_references(out) == refer([LINE, LINE | {"id": "s2"}])
    written = out.read_bytes()
    assert invoke("refer", second, first, "-o", out).exit_code == 0
    assert out.read_bytes() == written


def test_the_command_refuses_sentences_of_unknown_origin_unless_told_to_skip_them(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [LINE, LINE | {"id": "s2", "repo": None, "article": "other:1"}])
    out = tmp_path / "r.jsonl.gz"
    result = invoke("refer", path, "-o", out)
    assert isinstance(result.exception, InputError)
    assert "--skip-unsourced" in str(result.exception)
    assert not out.exists()
    result = invoke("refer", path, "-o", out, "--skip-unsourced")
    assert "left out: 1 sentences of unknown origin" in result.stderr
    assert [each.id for each in read_references(out)] == ["s1"]


def test_the_shipped_annotations_are_references_and_hold_no_text() -> None:
    references = read_references(SHIPPED)
    assert len(references) > 12_000
    assert len({each.id for each in references}) == len(references)
    assert {each.label for each in references if each.rule != "X"} == {
        "state_media_framing",
        "independent_reporting",
        "hedged_claim",
    }
    # Whatever is free in a reference names things and says nothing: no value has more than a few words.
    free = ("id", "record", "stratum", "source", "outlet_id", "side", "country", "date", "article")
    for each in references:
        assert all(len(str(getattr(each, name) or "").split()) <= 6 for name in free)
    # A sentence of news alone would take more.
    assert SHIPPED.stat().st_size < 70 * len(references)
