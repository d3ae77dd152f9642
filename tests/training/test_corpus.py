"""The articles that an encoder is pre-trained on: none that is measured on, and every one accounted for."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens.errors import InputError
from framelens_training.corpus import find_articles, read_corpus
from framelens_training.data import load_annotated, split_sentences
from framelens_training.leakage import fingerprints, owned_fingerprints
from framelens_training.recipe import CorpusRecipe
from framelens_training.references import articles_of_test
from framelens_training.unlabelled import Closed, closed_to

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable
    from pathlib import Path

    from framelens_training.corpus import Corpus
    from framelens_training.data import Splits

FRESH = [
    "Divers checked the hull of the ferry on Tuesday.",
    "The ministry of Tassonia called the vote a provocation by foreign agents.",
    "Two of the three bridges may have been closed overnight, witnesses said.",
    "Bakers in Elvik raised the price of a loaf by four pence.",
]
#: Long enough to have runs of eight words.
MEASURED = [
    "Voters in the northern valleys of Tarn went to the polls under a steady rain on Sunday morning.",
    "The heroic shipyard workers of Moro once again surpassed the plan thanks to the care of the Leader.",
]
HALF = CorpusRecipe(held_out=0.5)


def article(*sentences: str, outlet: str = "Hill Times", name: str | None = None) -> dict[str, Any]:
    found = {"text": " ".join(sentences), "outlet": outlet}
    return found if name is None else found | {"article": name}


def write(path: Path, articles: Iterable[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in articles)
    return path


def numbered(n: int, prefix: str = "hill") -> list[dict[str, Any]]:
    return [
        article(f"Boat number {i} of {prefix} left the harbour at dawn.", name=f"{prefix}:{i}")
        for i in range(n)
    ]


def nothing_closed() -> Closed:
    return Closed({}, frozenset(), {}, {})


def everything(corpus: Corpus) -> list[str]:
    return [sentence for found in (corpus.train, corpus.held_out) for each in found for sentence in each]


@pytest.fixture
def own_data(make_data: Any, rows: list[dict[str, Any]], tmp_path: Path) -> Path:
    folder: Path = make_data(tmp_path / "data", rows)
    return folder


@pytest.fixture
def splits(own_data: Path, data_recipe: Any) -> Splits:
    return split_sentences(load_annotated(own_data), data_recipe)


def test_nothing_that_is_measured_on_is_read(own_data: Path, splits: Splits, data_recipe: Any) -> None:
    """By outlet, by article, and by sentence, whatever the article that has it calls itself."""
    of_dev, of_test = (
        next(text for text in rows["text"] if len(text.split()) >= 8) for rows in (splits.dev, splits.test)
    )
    sealed, public = MEASURED
    (own_data / "sealed").mkdir()
    with gzip.open(own_data / "sealed" / "fingerprints.txt.gz", "wt", encoding="ascii") as lines:
        lines.writelines(f"{known}\n" for known in fingerprints([sealed]))
    write(own_data / "bench" / "public.jsonl.gz", [{"text": public, "label": "any", "split": "test"}])
    neighbours = iter(f"The neighbour {i} of what is measured must go as well." for i in range(20))
    held = [
        article(next(neighbours), outlet="Marsh Mail", name="marsh:1"),
        article(next(neighbours), outlet="Dune Daily", name="dune:1"),
        article(next(neighbours), name=splits.dev["article"][0]),
        article(next(neighbours), name=splits.test["article"][0]),
        article(next(neighbours), name=min(articles_of_test())),
        article(next(neighbours), of_dev, name="copy:1"),
        article(of_test.upper(), next(neighbours), name="copy:2"),
        article(next(neighbours), sealed.replace(" a steady rain", " a rain"), name="copy:3"),
        article(next(neighbours), public, next(neighbours)),
    ]
    paths = [write(own_data / "raw" / "a.jsonl.gz", [*held, *numbered(12)])]
    closed = closed_to(splits, data_recipe, own_data)
    corpus = read_corpus(paths, closed, HALF)
    assert sorted(everything(corpus)) == sorted(entry["text"] for entry in numbered(12))
    assert corpus.record["files"][0]["left_out"]["articles"] == {
        "in dev": 1,
        "in test": 1,
        "in the shipped test set": 1,
        "with a sentence in dev": 1,
        "with a sentence in public test": 1,
        "with a sentence in sealed": 1,
        "with a sentence in test": 1,
        "of an outlet held out": 2,
    }
    assert set(corpus.record["evaluation_sets"]) == {"sealed", "public test"}
    # What is kept out comes from where it is named alone.
    assert len(everything(read_corpus(paths, nothing_closed(), HALF))) > 20


@given(
    st.lists(st.lists(st.sampled_from([*FRESH, *MEASURED]), min_size=1, max_size=4), min_size=2, max_size=8),
    st.randoms(use_true_random=False),
)
def test_an_article_goes_whole_and_only_if_it_holds_one(
    tmp_path_factory: pytest.TempPathFactory, made: list[list[str]], rng: random.Random
) -> None:
    # Each article has a sentence of its own, so that none goes because it repeats another.
    own = [f"Reporter {i} of the Hill Times wrote this line." for i in range(len(made))]
    texts = [
        rng.sample([*sentences, mine], len(sentences) + 1) for sentences, mine in zip(made, own, strict=True)
    ]
    fillers = [f"Filler {i} keeps both parts of the corpus from being empty." for i in range(12)]
    path = write(
        tmp_path_factory.mktemp("raw") / "a.jsonl.gz",
        [*(article(*text) for text in texts), *map(article, fillers)],
    )
    closed = Closed({}, frozenset(), owned_fingerprints((text[:6], text) for text in MEASURED), {})
    corpus = read_corpus([path], closed, HALF)
    read = set(everything(corpus))
    for mine, sentences in zip(own, made, strict=True):
        assert (mine in read) == (not set(sentences) & set(MEASURED))
    assert not read & set(MEASURED)
    (file,) = corpus.record["files"]
    assert file["articles"] + sum(file["left_out"]["articles"].values()) == len(texts) + len(fillers)
    assert sum(corpus.record["articles"].values()) == file["articles"]
    assert sum(corpus.record["sentences"].values()) == file["sentences"] == len(everything(corpus))


def test_sentences_keep_their_order_and_what_is_no_news_goes(tmp_path: Path) -> None:
    text = (
        f"{FRESH[0]}\nSo it goes.\nShare this story with friends\n{FRESH[1]} {FRESH[0].upper()}  {FRESH[2]}"
    )
    path = write(tmp_path / "a.jsonl.gz", [article(text, name="hill:1"), article(FRESH[1]), *numbered(6)])
    corpus = read_corpus([path], nothing_closed(), HALF)
    assert [FRESH[0], FRESH[1], FRESH[2]] in [*corpus.train, *corpus.held_out]
    assert corpus.record["files"][0]["left_out"] == {
        "articles": {"with nothing left": 1},
        "sentences": {"out of scope": 1, "repeated": 2, "too short": 1},
    }


def test_a_sentence_is_read_once_over_all_files(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{name}.jsonl.gz", numbered(10)) for name in "ab"]
    corpus = read_corpus(paths, nothing_closed(), HALF)
    assert [file["articles"] for file in corpus.record["files"]] == [10, 0]
    assert corpus.record["files"][1]["left_out"]["articles"] == {"with nothing left": 10}


def test_an_article_that_is_added_moves_no_other(tmp_path: Path) -> None:
    few = write(tmp_path / "few.jsonl.gz", numbered(30))
    many = write(tmp_path / "many.jsonl.gz", [*numbered(3, "river"), *numbered(30), *numbered(3, "dune")])
    held = [set(map(tuple, read_corpus([path], nothing_closed(), HALF).held_out)) for path in (few, many)]
    assert held[0] <= held[1]
    assert all("hill" not in sentence for (sentence,) in held[1] - held[0])
    other = read_corpus([few], nothing_closed(), CorpusRecipe(held_out=0.5, seed=1))
    assert set(map(tuple, other.held_out)) != held[0]


def test_the_share_that_is_held_out_is_about_what_is_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", numbered(400))
    corpus = read_corpus([path], nothing_closed(), CorpusRecipe(held_out=0.2))
    assert 50 < len(corpus.held_out) < 110
    assert not set(map(tuple, corpus.held_out)) & set(map(tuple, corpus.train))


def test_the_seed_decides_which_articles_of_a_large_file_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", [*numbered(20), article("No.")])

    def read(seed: int) -> list[str]:
        corpus = read_corpus(
            [path], nothing_closed(), CorpusRecipe(held_out=0.5, articles_of_file=8, seed=seed)
        )
        (file,) = corpus.record["files"]
        assert file["articles"] == 8
        assert sum(file["left_out"]["articles"].values()) == 13
        return everything(corpus)

    assert read(0) == read(0)
    assert len({tuple(sorted(read(seed))) for seed in range(5)}) > 1


def test_what_is_said_of_a_file_holds_no_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", [*numbered(10), article(FRESH[0], outlet="Marsh Mail")])
    said: list[str] = []
    closed = Closed({}, frozenset({"marsh_mail"}), {}, {})
    record = read_corpus([path], closed, HALF, said.append).record
    assert said == ["a.jsonl.gz: 10 articles, left out: 1 of an outlet held out"]
    assert "harbour" not in json.dumps(record)
    assert "ferry" not in json.dumps(record)


def test_too_few_articles_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl.gz", [article(FRESH[0]), article(FRESH[1])])
    with pytest.raises(InputError, match=r"articles to learn from, got none in 1 files"):
        read_corpus([path], nothing_closed(), CorpusRecipe(held_out=0.999))
    with pytest.raises(InputError, match=r"to measure perplexity on, got none .*corpus\.held_out"):
        read_corpus([path], nothing_closed(), CorpusRecipe(held_out=0.001))


def test_articles_are_found_by_file_and_by_folder(tmp_path: Path) -> None:
    first, second = (write(tmp_path / "raw" / f"{name}.jsonl.gz", numbered(1)) for name in "ab")
    plain = tmp_path / "raw" / "c.jsonl"
    plain.write_text(json.dumps(article(FRESH[0])) + "\n", encoding="utf-8")
    (tmp_path / "raw" / "notes.txt").write_text("no article", encoding="utf-8")
    assert find_articles((), tmp_path) == [first, second, plain]
    assert find_articles([second, tmp_path / "raw"], None) == [second, first, second, plain]
    with pytest.raises(InputError, match="where are the articles"):
        find_articles((), None)
    for place in (tmp_path, tmp_path / "raw" / "d.jsonl"):
        with pytest.raises(InputError, match=f"no articles at {place}"):
            find_articles([place], None)
