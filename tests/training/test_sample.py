"""A whole round: from a pool of invented sentences and the bundled model to settled sentences."""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from framelens import FramingClassifier
from framelens.errors import InputError, ModelNotFoundError
from framelens.progress import Reporter
from framelens_training import cli
from framelens_training.adjudicate import adjudicate
from framelens_training.choose import Known, SampleOptions, choose
from framelens_training.leakage import fingerprints
from framelens_training.pool import Pool
from framelens_training.references import articles_of_test, refer, write_references
from framelens_training.sample import read_known, sample
from framelens_training.sheets import read_key

if TYPE_CHECKING:
    from collections.abc import Iterable

JUDGED = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "judged_sentences.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
WORDS = [
    "harbour", "barley", "council", "ferry", "storm", "lantern", "bakery", "quarry", "teacher",
    "railway", "orchard", "museum", "clinic", "glacier", "vineyard", "carpenter", "reservoir", "choir",
    "lighthouse", "tram", "printer", "meadow", "archive", "beekeeper", "canal", "theatre", "opened",
    "closed", "repaired", "measured", "counted", "painted", "carried", "planted", "sold", "cleaned",
    "moved", "numbered", "watched", "quietly", "slowly", "again", "early", "late", "twice", "together",
    "nearby", "northern", "southern", "wooden", "narrow", "copper", "empty",
]  # fmt: skip
QUIET = Reporter(Console(quiet=True), quiet=True)


def invented(n: int, seed: int = 0) -> list[str]:
    """Sentences that share no run of words."""
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=rng.randint(9, 14))).capitalize() + "." for _ in range(n)]


def write(path: Path, rows: Iterable[dict[str, Any]]) -> str:
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def sentence_rows(texts: Iterable[str], **columns: Any) -> list[dict[str, Any]]:
    return [
        {"id": f"pool-{at}", "text": text, "context": "", "article": f"a:{at // 4}", "outlet": "Hill Times"}
        | columns
        for at, text in enumerate(texts)
    ]


def article_rows(n: int, per_article: int = 6) -> list[dict[str, Any]]:
    """Articles of three outlets of unequal size, with something on each that no judge may see."""
    texts = invented(n * per_article)
    outlets = ["Hill Times"] * 4 + ["River Post"] * 2 + ["Zyqqor Gazette"]
    return [
        {
            "text": " ".join(texts[at * per_article : (at + 1) * per_article]),
            "outlet": outlets[at % len(outlets)],
            "country": "Xhosantia",
            "date": "2031-05-04",
            "title": f"Quibbletitle {at}",
            "article": f"zyqqor-article:{at}",
        }
        for at in range(n)
    ]


def random_options(n: int, **more: Any) -> SampleOptions:
    return SampleOptions(n=n, strategy="random", **{"judges": 1, "double": 0.0} | more)


# ---------------------------------------------------------------- what is drawn at random


def test_inclusion_probabilities_are_what_happens(tmp_path: Path) -> None:
    # An outlet with articles of 1, 2 and 6 sentences, and one with a single article of 3.
    sizes = {"hill": (1, 2, 6), "river": (3,)}
    texts = iter(invented(12))
    rows = [
        {"text": next(texts), "context": "", "outlet_id": outlet, "article": f"{outlet}:{at}"}
        for outlet, articles in sizes.items()
        for at, size in enumerate(articles)
        for _ in range(size)
    ]
    path = write(tmp_path / "p.jsonl", rows)
    runs = 500
    seen: Counter[str] = Counter()
    stated: dict[str, set[float]] = defaultdict(set)
    for seed in range(runs):
        for choice in choose([path], random_options(4, seed=seed, per_article=2), QUIET).chosen:
            seen[choice.sentence.text] += 1
            stated[choice.sentence.text].add(round(choice.inclusion_probability or 0, 5))
    # Two of five that stand for the hill's articles, and both of the two that stand for the river's.
    by_hand = {"hill:0": 2 / 5, "hill:1": 2 / 5, "hill:2": 2 / 6 * 2 / 5, "river:0": 2 / 3}
    for row in rows:
        probability = by_hand[row["article"]]
        assert stated[row["text"]] == {round(probability, 5)}
        deviation = (probability * (1 - probability) / runs) ** 0.5
        assert abs(seen[row["text"]] / runs - probability) < 4.5 * deviation


def test_what_is_drawn_at_random_does_not_depend_on_the_other_strata(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", article_rows(20))
    alone = choose([path], random_options(10), QUIET).chosen
    mixed = SampleOptions(n=20, shares={"diverse": 0.5}, judges=1, double=0.0)
    both = choose([path], mixed, QUIET).chosen
    assert [choice for choice in both if choice.stratum == "natural"] == list(alone)


def test_outlets_take_turns_and_no_article_gives_too_much(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", article_rows(21))
    found = choose([path], random_options(18, per_article=2), QUIET)
    assert Counter(choice.sentence.group for choice in found.chosen) == {
        "hill_times": 6,
        "river_post": 6,
        "zyqqor_gazette": 6,
    }
    assert max(Counter(choice.sentence.article for choice in found.chosen).values()) <= 2
    assert found.population["groups"] == {"hill_times": 72, "river_post": 36, "zyqqor_gazette": 18}
    even = choose([path], random_options(18, by="none"), QUIET)
    assert {choice.sentence.group for choice in even.chosen} == {"all"}
    dates = choose([path], random_options(18, by="date"), QUIET)
    assert {choice.sentence.group for choice in dates.chosen} == {"2031-05-04"}


def test_a_pool_that_holds_less_gives_all_and_no_near_repeats(tmp_path: Path) -> None:
    texts = [text for text in invented(20) if len(text.split()) > 11][:6]
    rows = sentence_rows([*texts, *(f"On Monday {text}" for text in texts)])
    found = choose([write(tmp_path / "p.jsonl", rows)], random_options(50, per_article=50), QUIET)
    assert len(found.chosen) == 6
    assert found.population["near_repeats"] == 6
    # Both of a pair were drawn, so that each weight is that of one sentence of the pool.
    assert {choice.inclusion_probability for choice in found.chosen} == {1.0}


# ---------------------------------------------------------------- what models and distances choose


@pytest.fixture(scope="module")
def pool_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Judged and invented sentences of three outlets."""
    texts = [row["text"] for row in JUDGED if row["rule"] != "X"] + invented(60)
    rows = [
        {"text": text, "context": row["context"] if at < len(JUDGED) else "", "id": f"xpool-{at}"}
        | {
            "outlet": ("Hill Times", "River Post", "Zyqqor Gazette")[at % 3],
            "article": f"zyqqor-article:{at // 6}",
        }
        | {"country": "Xhosantia", "date": "2031-05-04", "title": f"Quibbletitle {at}"}
        for at, (text, row) in enumerate(zip(texts, JUDGED + JUDGED, strict=False))
    ]
    return write(tmp_path_factory.mktemp("pool") / "pool.jsonl.gz", rows)


def test_the_least_certain_are_chosen_and_say_how_uncertain(pool_path: str) -> None:
    options = SampleOptions(n=9, models=("fast",), strategy="uncertain", by="none", per_article=99)
    found = choose([pool_path], options, QUIET)
    classifier = FramingClassifier.from_pretrained("fast")
    assert found.models == {"fast": classifier.digest}
    pool = Pool([pool_path], by="none")
    survey = pool.survey(lambda _: None)
    everything = pool.fetch(survey, np.arange(len(survey)), lambda _: None)
    p = np.sort(
        classifier.predict_proba([s.text for s in everything], [s.context or None for s in everything])
    )
    scores = dict(zip((s.text for s in everything), 1 - (p[:, 2] - p[:, 1]), strict=True))
    expected = sorted(scores, key=lambda text: -scores[text])[:9]
    assert [choice.sentence.text for choice in found.chosen] == expected
    assert [choice.score for choice in found.chosen] == pytest.approx([scores[t] for t in expected], abs=1e-3)
    assert all(choice.inclusion_probability is None for choice in found.chosen)


def test_candidates_bound_what_models_read(pool_path: str) -> None:
    options = SampleOptions(n=9, models=("fast",), strategy="uncertain", candidates=4)
    assert len(choose([pool_path], options, QUIET).chosen) == 4


def test_diverse_is_far_from_what_is_known(tmp_path: Path) -> None:
    wheat = [
        f"Wheat prices fell in {name} on Tuesday." for name in ("Tolvane", "Marlow", "Anselm", "Corbell")
    ]
    path = write(tmp_path / "p.jsonl", sentence_rows([*wheat, "A choir sang at the old quay."]))
    known = Known(set(), ("Wheat prices fell in Nordholm on Tuesday.",))
    options = SampleOptions(n=1, strategy="diverse", judges=1, double=0.0)
    (choice,) = choose([path], options, QUIET, known).chosen
    assert choice.sentence.text == "A choir sang at the old quay."
    assert choice.score == pytest.approx(1, abs=0.05)


def test_what_is_missing_is_told_before_the_pool_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", [{"id": 1, "text": "Too short.", "context": ""}])
    with pytest.raises(ModelNotFoundError):
        choose([path], SampleOptions(n=5, models=(str(tmp_path / "no-model"),)), QUIET)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "n of at least 1"),
        ({"n": 1, "words": (9, 3)}, "in this order"),
        ({"n": 1, "judges": 1}, "two judges"),
        ({"n": 1, "double": 1.5}, "between 0 and 1"),
        ({"n": 1, "models": ("bundled", "bundled")}, "every model once"),
        ({"n": 1, "strategy": "hard"}, "got 'hard'"),
        ({"n": 1, "candidates": 0}, "candidates"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SampleOptions(**options)


# ---------------------------------------------------------------- what is left out


def test_known_are_tables_fingerprints_and_the_data_folder(tmp_path: Path) -> None:
    texts = invented(6)
    table = write(tmp_path / "before.jsonl", [{"text": texts[0]}])
    with gzip.open(tmp_path / "closed.txt.gz", "wt") as lines:
        lines.writelines(f"{mark}\n" for mark in sorted(fingerprints([texts[1]])))
    data = tmp_path / "data"
    for folder in ("annotated", "sealed", "bench"):
        (data / folder).mkdir(parents=True)
    write(data / "annotated" / "sentences.jsonl.gz", [{"text": texts[2]}])
    with gzip.open(data / "sealed" / "fingerprints.txt.gz", "wt") as lines:
        lines.writelines(f"{mark}\n" for mark in sorted(fingerprints([texts[3]])))
    write(
        data / "bench" / "b.jsonl.gz",
        [{"text": texts[4], "split": "test"}, {"text": texts[5], "split": "train"}],
    )
    path = write(tmp_path / "p.jsonl", sentence_rows(texts))

    def left(*names: str, **more: Any) -> set[str]:
        known = read_known(names, **more)
        chosen = choose([path], random_options(9, per_article=9), QUIET, known).chosen
        return {choice.sentence.text for choice in chosen}

    assert left() == set(texts)
    # Of a folder that was built the three sets are read, and neither what was dropped nor an empty one.
    built = tmp_path / "built"
    built.mkdir()
    write(built / "dev.jsonl", [{"text": texts[0]}])
    write(built / "test.jsonl", [{"text": texts[1]}])
    write(built / "train.jsonl", [])
    write(built / "dropped.jsonl", [{"id": "a1", "split": "train", "why": "in dev", "other": None}])
    (built / "data.json").write_text("{}")
    assert left(str(built)) == set(texts[2:])
    assert left(table, str(tmp_path / "closed.txt.gz")) == set(texts[2:])
    assert left(data_dir=data) == {texts[0], texts[1], texts[5]}
    assert left(data_dir=data, again=True) == {texts[0], texts[1], texts[2], texts[5]}


def test_what_the_package_has_judged_is_left_out_unless_again(tmp_path: Path) -> None:
    texts = invented(8)
    shipped = tmp_path / "shipped"
    origin = {"repo": "hill/times", "commit": "a" * 40, "path": "may.txt", "rule": "I", "sure": 1}
    judged = [
        {"id": f"h{at}", "text": texts[at], "context": "", "label": "independent_reporting", "cue": None}
        | origin
        | {"article": f"other:{at}"}
        for at in range(2)
    ]
    write_references(shipped / "references.jsonl.gz", refer(judged[:1]))
    write_references(shipped / "test.jsonl.gz", refer([judged[1] | {"article": "a:1"}]))
    rows = sentence_rows(texts)
    # The same words with other marks are the same sentence.
    rows[0]["text"] = texts[0].upper().replace(" ", ", ", 1)
    path = write(tmp_path / "p.jsonl", rows)

    def left(**more: Any) -> list[str]:
        chosen = choose([path], random_options(9, per_article=9), QUIET, read_known([], **more)).chosen
        return sorted(choice.sentence.source_id or "" for choice in chosen)

    everything = [f"pool-{at}" for at in range(8)]
    assert left(shipped=shipped) == ["pool-2", "pool-3"]
    assert left(shipped=shipped, again=True) == everything
    assert left() == everything
    assert read_known([]).articles == articles_of_test()


# ---------------------------------------------------------------- the round


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_round_is_the_same_for_a_seed_and_another_for_another(pool_path: str, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        sample([pool_path], tmp_path / name, SampleOptions(n=20, models=("fast",), seed=seed), QUIET)
    first, again, other = (content(tmp_path / name) for name in "abc")
    assert first == again
    assert first["key.jsonl"] != other["key.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_a_folder_in_use_is_refused_and_left_alone(pool_path: str, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="in use"):
        sample([pool_path], tmp_path, random_options(5), QUIET)
    assert content(tmp_path) == {"note.txt": b"mine"}


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["framelens-train", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_a_whole_round(pool_path: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.delenv("FRAMELENS_DATA", raising=False)
    folder = tmp_path / "round12"
    options = ("--model", "bundled", "--model", "fast", "--double", "0.5", "--batch", "8", "--seed", "3")
    assert call(monkeypatch, "sample", pool_path, "-n", "40", "-o", f"{folder}/", *options) == 0
    said = capsys.readouterr().err
    assert "16 natural, 8 uncertain, 8 disagreement, 8 diverse" in said
    assert f"framelens-train adjudicate {folder}" in said

    # Blind: nothing of the rows' other columns, of strata or of models stands in what judges get.
    key = read_key(folder)
    digests = {digest for row in key.rows.values() for digest in row["models"].values()}
    hidden = ["zyqqor", "xhosantia", "2031", "quibble", "hill times", "hill_times", "river_post", "xpool"]
    given_out = [
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("key.jsonl", "manifest.json")
    ]
    assert len(given_out) > 8
    for path in given_out:
        shown = path.read_text(encoding="utf-8").lower()
        assert not any(word in shown for word in [*hidden, *digests]), path
        if path.name != "README.md":
            assert not any(word in shown for word in ("natural", "disagreement", "score", "seed")), path

    # Everything in the key: why, how likely, by what, from where.
    assert len(digests) == 2
    assert {row["seed"] for row in key.rows.values()} == {3}
    assert {row["round"] for row in key.rows.values()} == {12}
    for row in key.rows.values():
        assert (row["inclusion_probability"] is None) == (row["stratum"] != "natural")
        assert (row["score"] is None) == (row["stratum"] == "natural")
        assert row["stratum"] != "disagreement" or 0 < row["score"] <= 1
        assert row["provenance"]["country"] == "Xhosantia"
        assert row["source_id"].startswith("xpool-")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["chosen"] == {"natural": 16, "uncertain": 8, "disagreement": 8, "diverse": 8}
    assert manifest["population"]["sentences"] == sum(manifest["population"]["groups"].values())

    # Two judges, who differ on one sentence that both read.
    (contested, *_) = [name for name, row in key.rows.items() if len(row["sheets"]) == 2]
    for (judge, number), ids in key.sheets.items():
        lines = []
        for name in ids:
            word = key.rows[name]["text"].split()[0]
            state = judge == "judge2" and name == contested
            lines.append(f"{name}\tS1\t1\t{word}\n" if state else f"{name}\tI\t1\t-\n")
        (folder / judge / f"batch{number:02}.tsv").write_text("".join(lines), encoding="utf-8")
    outcome = adjudicate(folder)
    assert outcome.faults == []
    total = outcome.tallies["all"]
    assert (total.items, total.read_twice, total.agreed, total.settled) == (40, 20, 19, 39)
    rows = [json.loads(line) for line in (folder / "settled.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = {row["text"]: row for row in rows}
    assert len(texts) == 39
    assert {row["id"] for row in rows} == {
        row["source_id"] for name, row in key.rows.items() if name != contested
    }
    assert Counter(row["judges"] for row in rows) == {1: 20, 2: 19}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--share", "uncertain"), "expected --share as"),
        (("--share", "uncertain=x"), "expected --share as"),
        (("--judges", "1", "--double", "0.2"), "expected two judges"),
        (("--strategy", "disagreement"), "give --model several times"),
        (("--data-dir", "/no/such/folder"), "does not exist"),
    ],
)
def test_the_command_tells_mistakes_in_a_line(
    pool_path, tmp_path, monkeypatch, capsys, options, message
) -> None:
    assert call(monkeypatch, "sample", pool_path, "-o", tmp_path / "round", *options) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert not (tmp_path / "round").exists()


@pytest.mark.parametrize("command", ["sample", "adjudicate"])
def test_help_teaches(monkeypatch, capsys, command: str) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    assert call(monkeypatch, command, "--help") == 0
    shown = capsys.readouterr().out
    assert "Examples" in shown
    assert f"framelens-train {command}" in shown
