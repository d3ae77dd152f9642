"""The made-up data folder: what is read, refused, split and dropped."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens.errors import InputError
from framelens_training.data import (
    SPLITS,
    Dropped,
    Splits,
    find_data_dir,
    load_annotated,
    read_splits,
    split_of,
    split_sentences,
    write_splits,
)
from framelens_training.leakage import fingerprints
from framelens_training.recipe import DataRecipe
from framelens_training.rows import LABEL_OF, read_objects

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ARTICLES = st.text(max_size=12)
OUTLETS = st.sampled_from(["dev_only", "test_only", "other", None])
FRACTIONS = st.floats(0, 0.49)


def recipe(dev: float = 0.2, test: float = 0.2, seed: int = 0) -> DataRecipe:
    return DataRecipe(
        dev_outlets=("dev_only",),
        test_outlets=("test_only",),
        dev_fraction=dev,
        test_fraction=test,
        split_seed=seed,
    )


def ids(rows: Iterable[Any]) -> list[str]:
    return [row["id"] for row in rows]


def test_the_folder_is_read_whole_and_unchanged(data_dir: Path, rows: list[dict[str, Any]]) -> None:
    loaded = load_annotated(data_dir)
    assert sorted(ids(loaded)) == sorted(ids(rows))
    found = {row["id"]: row for row in loaded}
    for row in rows:
        for key in ("text", "context", "label", "rule", "cue", "article", "date", "sentence_index"):
            assert found[row["id"]][key] == row[key]
        assert found[row["id"]]["record"] == str(row["record"])
        assert found[row["id"]]["outlet_id"] == row.get("outlet_id")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"label": "neutral"},
            "rule 'S1' and label 'neutral', which do not go together; allowed labels are "
            "state_media_framing, independent_reporting, hedged_claim, and null with rule X",
        ),
        ({"label": "hedged_claim"}, "rule 'S1' and label 'hedged_claim', which do not go together"),
        ({"label": None}, "go together; the label of S1 is state_media_framing"),
        ({"rule": "S3"}, "which do not go together; allowed rules are S1, S2, H1, H2, I, X"),
        (
            {"rule": "X"},
            "rule 'X' and label 'state_media_framing', which do not go together; the label of X is null",
        ),
        ({"rule": None}, "rule: Input should be a valid string (got None)"),
        ({"sure": 2}, "sure: Input should be 0 or 1 (got 2)"),
        ({"judges": 0}, "judges: Input should be greater than or equal to 1 (got 0)"),
        ({"cue": "the enemy"}, "cue: expected [start, end] in characters (got 'the enemy')"),
        ({"cue": [4]}, "cue: expected [start, end] in characters"),
        ({"judgements": [{"judge": "a", "rule": "S4"}]}, "judgements: 0: rule: Input should be 'S1'"),
        ({"cue": [0, 4000]}, "cue [0, 4000] outside"),
        ({"cue": [-1, 4]}, "cue [-1, 4] outside"),
        ({"cue": [4, 4]}, "cue [4, 4] outside"),
        ({"rule": "I", "label": "independent_reporting"}, "rule I allows none"),
        ({"text": ""}, "no text"),
        ({"article": None}, "no article"),
    ],
)
def test_what_the_codebook_does_not_allow_is_refused_by_id(
    change: dict[str, Any], words: str, rows: list[dict[str, Any]], make_data: Any, tmp_path: Path
) -> None:
    spoilt = next(row for row in rows if row["rule"] == "S1")
    spoilt.update(change)
    with pytest.raises(InputError) as caught:
        load_annotated(make_data(tmp_path, rows))
    assert spoilt["id"] in str(caught.value)
    assert words in str(caught.value)
    # With the file and the line.
    name = "not_annotated" if spoilt["rule"] == "X" else "sentences"
    number = 1 + [row["id"] for row in rows if (row["rule"] == "X") == (name != "sentences")].index(
        spoilt["id"]
    )
    assert f"{name}.jsonl.gz, line {number}:" in str(caught.value)


def test_a_fault_does_not_quote_the_sentence(
    rows: list[dict[str, Any]], make_data: Any, tmp_path: Path
) -> None:
    del rows[0]["label"]
    rows[0]["text"] = "Nobody should read this in a log."
    with pytest.raises(InputError) as caught:
        load_annotated(make_data(tmp_path, rows))
    assert "label: Field required" in str(caught.value)
    assert "Nobody" not in str(caught.value)


def test_broken_rows_are_told_together_with_their_lines_and_number(
    rows: list[dict[str, Any]], make_data: Any, tmp_path: Path
) -> None:
    judged = [row for row in rows if row["rule"] != "X"]
    for row in judged[1:13]:
        row["rule"] = "S9"
    with pytest.raises(InputError) as caught:
        load_annotated(make_data(tmp_path, rows))
    message = str(caught.value)
    assert "sentences.jsonl.gz has 12 broken rows, the first 10: line 2: " in message
    assert re.findall(r"line (\d+): sentence", message) == [str(number) for number in range(2, 12)]
    assert message.count("rule 'S9'") == 10
    assert "\n" not in message
    for row in judged[3:13]:
        row["rule"] = next(rule for rule, label in LABEL_OF.items() if label == row["label"])
        row["cue"] = None
    with pytest.raises(InputError, match="has 2 broken rows:"):
        load_annotated(make_data(tmp_path, rows))


def test_blank_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_text('\n{"a": 1}\n  \n\n{"a": 2}\n\n', encoding="utf-8")
    assert list(read_objects(path)) == [(2, {"a": 1}), (5, {"a": 2})]


@pytest.mark.parametrize("said", ["S1", ["anna", "S1", 0], {"judge": "anna", "rule": "S1", "cue": [0, 3]}])
def test_judgements_are_read_in_every_form_that_they_are_written_in(
    said: Any, rows: list[dict[str, Any]], make_data: Any, tmp_path: Path
) -> None:
    rows[0]["judgements"] = [said, {"judge": "ben", "rule": "I", "sure": 1}]
    found = load_annotated(make_data(tmp_path, rows))
    read = next(row["judgements"] for row in found if row["id"] == rows[0]["id"])
    assert [entry["rule"] for entry in read] == ["S1", "I"]
    assert read[1] == {"judge": "ben", "rule": "I", "sure": 1}
    assert read[0]["judge"] == (None if said == "S1" else "anna")


def test_headlines_of_several_outlets_under_one_name_are_split_by_outlet(
    rows: list[dict[str, Any]], make_data: Any, tmp_path: Path
) -> None:
    headlines = [
        {
            "id": f"{outlet} {i}",
            "text": f"Headline{i} of {outlet}",
            "article": "headlines:None",
            "outlet_id": outlet,
        }
        | {"rule": "I", "label": "independent_reporting", "cue": None}
        for outlet in ("other", "dev_only", "test_only", "more")
        for i in range(3)
    ]
    headlines.append(
        {"id": "x", "text": "Headline?", "article": "headlines:None", "rule": "X", "label": None}
    )
    splits = split_sentences(load_annotated(make_data(tmp_path, [*rows, *headlines])), recipe(0, 0))
    homes = {
        row["id"]: name for name, part in splits.items() for row in part if row["text"].startswith("Headline")
    }
    expected = {"other": "train", "more": "train", "dev_only": "dev", "test_only": "test"}
    # The one that names no outlet may be of the held-out one.
    assert homes == {row["id"]: expected[row.get("outlet_id", "test_only")] for row in headlines}
    articles = {name: set(part["article"]) for name, part in splits.items()}
    assert not articles["train"] & (articles["dev"] | articles["test"])


@pytest.mark.parametrize("name", ["sentences.jsonl.gz", "not_annotated.jsonl.gz"])
def test_a_missing_file_is_named(
    name: str, rows: list[dict[str, Any]], make_data: Any, tmp_path: Path
) -> None:
    make_data(tmp_path, rows)
    (tmp_path / "annotated" / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing"):
        load_annotated(tmp_path)


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b'{"id": '), b"not gzip", gzip.compress(b"{}" * 99)[:-9], gzip.compress(b"\xff")],
)
def test_an_unreadable_file_is_named(
    content: bytes, rows: list[dict[str, Any]], make_data: Any, tmp_path: Path
) -> None:
    make_data(tmp_path, rows)
    (tmp_path / "annotated" / "sentences.jsonl.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"sentences\.jsonl\.gz cannot be read"):
        load_annotated(tmp_path)


def test_the_data_folder_is_the_given_one_else_the_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FRAMELENS_DATA", raising=False)
    with pytest.raises(InputError, match="FRAMELENS_DATA"):
        find_data_dir(None)
    monkeypatch.setenv("FRAMELENS_DATA", str(tmp_path))
    assert find_data_dir(None) == tmp_path
    (tmp_path / "other").mkdir()
    assert find_data_dir(tmp_path / "other") == tmp_path / "other"
    with pytest.raises(InputError, match="absent does not exist"):
        find_data_dir(tmp_path / "absent")


@given(ARTICLES, FRACTIONS, FRACTIONS, st.integers(0, 9))
def test_held_out_outlets_stand_in_their_split_alone(
    article: str, dev: float, test: float, seed: int
) -> None:
    chosen = recipe(dev, test, seed)
    assert split_of(article, "dev_only", chosen) == "dev"
    assert split_of(article, "test_only", chosen) == "test"
    assert split_of(article, "other", chosen) == split_of(article, None, chosen)


@given(ARTICLES, st.integers(0, 9))
def test_shares_of_zero_leave_all_other_articles_to_train(article: str, seed: int) -> None:
    assert split_of(article, "other", recipe(0, 0, seed)) == "train"


def test_shares_of_articles_are_those_of_the_recipe() -> None:
    n = 20_000
    found = Counter(split_of(f"article {i}", "other", recipe(0.1, 0.06)) for i in range(n))
    # Five standard deviations of a binomial share.
    for name, share in (("dev", 0.1), ("test", 0.06)):
        assert abs(found[name] / n - share) < 5 * (share * (1 - share) / n) ** 0.5


def test_another_seed_gives_another_split() -> None:
    names = [f"article {i}" for i in range(200)]
    one, two = ([split_of(name, None, recipe(seed=seed)) for name in names] for seed in (0, 1))
    assert one != two


def data_set(pairs: list[tuple[str, str | None]]) -> Dataset:
    """One sentence a pair of (article, outlet); no two texts share a word."""
    return Dataset.from_list(
        [
            {
                "id": str(i),
                "text": f"word{i}",
                "article": article,
                "outlet_id": outlet,
                "label": "hedged_claim",
            }
            for i, (article, outlet) in enumerate(pairs)
        ]
    )


def where(splits: Splits) -> dict[str, str]:
    """The split of each sentence, by id; a sentence that stands in two fails."""
    found = [(row["id"], name) for name, part in splits.items() for row in part]
    assert len(found) == len(dict(found))
    return dict(found)


#: Each example makes Arrow tables, which takes its time.
FEW = settings(max_examples=25, deadline=None)
PAIRS = st.lists(st.tuples(st.sampled_from("abcdefgh"), OUTLETS), min_size=1, max_size=30)


@FEW
@given(PAIRS, FRACTIONS, FRACTIONS)
def test_no_article_stands_in_two_splits_and_no_sentence_is_lost(
    pairs: list[tuple[str, str | None]], dev: float, test: float
) -> None:
    rows = data_set(pairs)
    splits = split_sentences(rows, recipe(dev, test))
    assert set(where(splits)) == set(rows["id"])
    articles = [set(part["article"]) for _, part in splits.items()]
    assert sum(map(len, articles)) == len(set().union(*articles))
    assert [name for name, _ in splits.items()] == list(SPLITS)


@FEW
@given(PAIRS)
def test_an_article_of_a_held_out_outlet_is_never_in_train(pairs: list[tuple[str, str | None]]) -> None:
    splits = split_sentences(data_set(pairs), recipe())
    for part, barred in (
        ("train", {"dev_only", "test_only"}),
        ("dev", {"test_only"}),
        ("test", {"dev_only"}),
    ):
        assert not barred & set(getattr(splits, part)["outlet_id"])
    # A sentence that names no outlet is of its article's; of any of them, where there are several.
    held = {article for article, outlet in pairs if outlet in ("dev_only", "test_only")}
    assert not held & {pairs[int(row["id"])][0] for row in splits.train if not row["outlet_id"]}


@FEW
@given(PAIRS, st.lists(st.tuples(st.sampled_from("ijkl"), OUTLETS), min_size=1, max_size=9))
def test_an_article_added_later_moves_no_other(
    pairs: list[tuple[str, str | None]], more: list[tuple[str, str | None]]
) -> None:
    before = where(split_sentences(data_set(pairs), recipe()))
    after = where(split_sentences(data_set([*pairs, *more]), recipe()))
    assert before.items() <= after.items()
    assert before == where(split_sentences(data_set(pairs), recipe()))


def made_up(article: str, outlet: str, text: str) -> dict[str, Any]:
    return {"id": text, "text": text, "article": article, "outlet_id": outlet, "label": "hedged_claim"}


LONG = "The harbour master of Elvik has reportedly sold three old pilot boats to a museum in the north."


def test_what_leaks_is_dropped_and_counted_by_where_it_stands() -> None:
    closed = {
        "sealed": fingerprints(["A sealed sentence about snow."]),
        "some test": fingerprints(["A public sentence about hail.", "A sealed sentence about snow."]),
    }
    rows = [
        made_up("held 1", "dev_only", LONG),
        made_up("held 2", "test_only", "Snow fell on the Tarn valley."),
        made_up("held 3", "test_only", "Rain fell on the Tarn valley."),
        made_up("held 4", "dev_only", "SNOW fell on the Tarn valley!"),
        made_up("held 5", "dev_only", "A public sentence about hail!"),
        made_up("held 6", "test_only", "A public sentence about hail?"),
        made_up("seen 1", "other", LONG.replace("north", "south")),
        made_up("seen 2", "other", "Rain fell on the Tarn Valley"),
        made_up("seen 3", "other", "A sealed sentence, about snow"),
        made_up("seen 4", "other", "Nothing of this stands anywhere else."),
        made_up("seen 5", "other", "Nothing of this stands anywhere else!"),
    ]
    splits = split_sentences(Dataset.from_list(rows), recipe(0, 0), closed)
    # Repetitions within train are no leak.
    assert splits.train["article"] == ["seen 4", "seen 5"]
    assert splits.dev["article"] == ["held 1"]
    # Test is measured on whatever else holds it.
    assert splits.test["article"] == ["held 2", "held 3", "held 6"]
    assert splits.dropped == {
        "train: in dev": 1,
        "train: in test": 1,
        "train: in sealed": 1,
        "dev: in test": 2,
    }
    # By id, with the sentence that it was dropped for.
    assert Dropped(LONG.replace("north", "south"), "train", "in dev", LONG) in splits.removed
    assert Dropped(rows[3]["id"], "dev", "in test", rows[1]["id"]) in splits.removed
    assert Dropped(rows[8]["id"], "train", "in sealed", None) in splits.removed


def test_a_source_for_training_alone_gives_way_to_what_is_held_out() -> None:
    rows = [
        made_up("one", "other", "First of one."),
        made_up("one", "other", "Second of one."),
        made_up("two", "dev_only", "First of two."),
        made_up("three", "test_only", "First of three."),
        made_up("four", "other", "First of four."),
    ]
    roles = ["split", "train", "train", "train", "train"]
    # Every article of other outlets falls to dev by its share.
    splits = split_sentences(Dataset.from_list(rows), recipe(0.999999, 0), roles=roles)
    assert where(splits) == {"First of one.": "dev", "First of four.": "train"}
    assert {(gone.id, gone.why) for gone in splits.removed} == {
        ("Second of one.", "article in dev"),
        ("First of two.", "outlet held out for dev"),
        ("First of three.", "outlet held out for test"),
    }


def test_a_source_that_only_measures_is_test_and_takes_its_articles_along() -> None:
    rows = [
        made_up("one", "other", "First of one."),
        made_up("one", "other", "Second of one."),
        made_up("one", "other", "Third of one."),
        made_up("two", "dev_only", "First of two."),
        made_up("three", "dev_only", "First of three."),
        made_up("four", "other", "First of four."),
    ]
    roles = ["evaluate", "split", "train", "evaluate", "split", "split"]
    splits = split_sentences(Dataset.from_list(rows), recipe(0, 0), roles=roles)
    assert where(splits) == {
        "First of one.": "test",
        "First of two.": "test",
        "First of three.": "dev",
        "First of four.": "train",
    }
    assert splits.dropped == {"train: article in test": 2}


ROLES = st.sampled_from(["split", "train", "evaluate"])


@FEW
@given(st.lists(st.tuples(st.sampled_from("abcdef"), OUTLETS, ROLES), min_size=1, max_size=30))
def test_whatever_the_roles_no_article_stands_in_two_splits_and_every_sentence_is_accounted_for(
    entries: list[tuple[str, str | None, str]],
) -> None:
    rows = data_set([entry[:2] for entry in entries])
    splits = split_sentences(rows, recipe(), roles=[role for *_, role in entries])
    found = where(splits)
    assert sorted([*found, *(gone.id for gone in splits.removed)]) == sorted(rows["id"])
    articles = [set(part["article"]) for _, part in splits.items()]
    assert sum(map(len, articles)) == len(set().union(*articles))
    for name, (_, _, role) in zip(rows["id"], entries, strict=True):
        assert role != "evaluate" or found[name] == "test"
        assert role != "train" or found.get(name, "train") == "train"


def test_fragments_count_as_not_applicable_and_go_with_their_article(
    data_dir: Path, data_recipe: DataRecipe, rows: list[dict[str, Any]]
) -> None:
    splits = split_sentences(load_annotated(data_dir), data_recipe)
    counted: Counter[str] = Counter()
    for part in splits.counts().values():
        counted += Counter(part)
    assert counted == Counter(row["label"] or "not_applicable" for row in rows)
    assert splits.dropped == {}


def test_write_splits_writes_what_is_read_again(
    data_dir: Path, data_recipe: DataRecipe, tmp_path: Path
) -> None:
    splits = split_sentences(load_annotated(data_dir), data_recipe)
    write_splits(splits, tmp_path / "splits")
    for name, part in splits.items():
        lines = (tmp_path / "splits" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == list(part)
    counts = json.loads((tmp_path / "splits" / "counts.json").read_text(encoding="utf-8"))
    assert counts == {"sentences": splits.counts(), "dropped": splits.dropped}
    again = read_splits(tmp_path / "splits")
    assert [list(part) for _, part in again.items()] == [list(part) for _, part in splits.items()]


def test_a_column_that_is_empty_in_one_split_has_its_type_there_too(tmp_path: Path) -> None:
    rows = [made_up("held", "test_only", "One.") | {"cue": [0, 3]}]
    rows.append(made_up("seen", "other", "Two.") | {"cue": None})
    write_splits(split_sentences(Dataset.from_list(rows), recipe(0, 0)), tmp_path)
    again = read_splits(tmp_path)
    assert again.train.features == again.dev.features == again.test.features
    assert (again.train["cue"], again.test["cue"]) == ([None], [[0, 3]])
    assert len(again.dev) == 0
