"""From labelled tables and gold rows to shares: reading, joining, planning, and the commands end to end."""

from __future__ import annotations

import csv
import gzip
import json
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from framelens import LABELS, InputError
from framelens.labels import PROBABILITY_COLUMNS
from framelens_evaluation import cli
from framelens_evaluation.commands import coverage as coverage_command
from framelens_evaluation.prevalence.estimate import Rules, estimate_prevalence
from framelens_evaluation.prevalence.gold import join_gold, read_gold_table
from framelens_evaluation.prevalence.plan import draw_rows, plan_groups, sample_size
from framelens_evaluation.prevalence.population import open_population
from framelens_evaluation.prevalence.timeline import timeline
from framelens_evaluation.statistics.bootstrap import Resampling

HOW = Resampling(seed=0, n_resamples=60)
Row = dict[str, Any]


def made_corpus(n_articles: int = 120, seed: int = 0) -> tuple[list[Row], dict[tuple[str, int], str]]:
    """Labelled rows of two outlets over three months, five sentences an article, and the true labels.

    The model calls a third of the river post's plain sentences state framing.
    """
    rng = np.random.default_rng(seed)
    rows, truth = [], {}
    for article in range(n_articles):
        outlet = ("river_post", "hill_times")[article % 2]
        for index in range(5):
            gold = int(rng.choice(3, p=[0.3, 0.6, 0.1] if article % 2 else [0.2, 0.6, 0.2]))
            wrong = rng.random() < (0.33 if outlet == "river_post" and gold == 1 else 0.1)
            given = (0 if gold == 1 else 1) if wrong else gold
            rest = rng.dirichlet([2, 2, 2]) * 0.3
            rest[given] += 0.7
            name = f"a{article}"
            truth[name, index] = LABELS[gold]
            row: Row = {
                "doc_id": name,
                "sentence_index": index,
                "text": f"Ferry {article} left pier {index}, the harbour office said.",
                "label": LABELS[given],
                **dict(zip(PROBABILITY_COLUMNS, rest.tolist(), strict=True)),
                "status": "ok",
                "outlet": outlet,
                "date": f"2023-0{1 + article % 3}-15",
            }
            rows.append(row)
    for row in rows[:4]:  # fragments, which get no label
        row |= {"label": None, "status": "not_applicable", **dict.fromkeys(PROBABILITY_COLUMNS, None)}
    return rows, truth


ROWS, TRUTH = made_corpus()


def write(path: Path, rows: list[Row]) -> Path:
    """A table in the format of the name."""
    if path.name.endswith(".parquet"):
        numbers = {
            name: [np.nan if r[name] is None else r[name] for r in rows] for name in PROBABILITY_COLUMNS
        }
        pq.write_table(pa.table({name: [row[name] for row in rows] for name in rows[0]} | numbers), path)
    elif ".csv" in path.name:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        opener = gzip.open if path.name.endswith(".gz") else open
        with opener(path, "wt", encoding="utf-8") as stream:
            stream.write(text)
    return path


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    return write(tmp_path / "labelled.parquet", ROWS)


def gold_rows(n: int, seed: int = 1, **more: Any) -> list[Row]:
    """A simple random sample of the corpus with true labels."""
    drawn = np.random.default_rng(seed).choice(len(ROWS), n, replace=False)
    keys = [(ROWS[at]["doc_id"], ROWS[at]["sentence_index"]) for at in drawn]
    return [{"doc_id": key[0], "sentence_index": key[1], "gold": TRUTH[key], **more} for key in keys]


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["framelens-eval", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.jsonl", "t.jsonl.gz"])
def test_every_format_gives_the_same_sums(tmp_path: Path, name: str) -> None:
    with open_population([write(tmp_path / name, ROWS)], ["outlet", "month"]) as population:
        totals = population.totals()
        assert population.n_rows == len(ROWS)
        assert population.without_label == {"not_applicable": 4}
    kept = [row for row in ROWS if row["label"]]
    counted = Counter((row["outlet"], row["date"][:7]) for row in kept)
    assert dict(zip(totals.keys, totals.n.tolist(), strict=True)) == counted
    here = [row for row in kept if (row["outlet"], row["date"][:7]) == totals.keys[0]]
    values = np.array([[row[column] for column in PROBABILITY_COLUMNS] for row in here])
    moments = totals.moments(0)
    assert moments.mean == pytest.approx(values.mean(0))
    assert moments.variance == pytest.approx(values.var(0))
    assert totals.given[0].tolist() == [sum(row["label"] == label for row in here) for label in LABELS]
    assert totals.overall.n == len(kept)


def test_a_folder_of_shards_is_one_corpus(tmp_path: Path) -> None:
    shards = tmp_path / "job"
    shards.mkdir()
    write(shards / "part-0.parquet", ROWS[:200])
    write(shards / "part-1.jsonl", ROWS[200:])
    (shards / "part-0.parquet.manifest.json").write_text("{}", encoding="utf-8")
    with open_population([shards]) as population:
        assert population.n_rows == len(ROWS)
        assert population.totals().keys == (("all",),)


@pytest.mark.parametrize(
    ("unit", "wanted"),
    [
        ("year", "2024"),
        ("quarter", "2024-Q4"),
        ("month", "2024-12"),
        ("week", "2025-W01"),
        ("day", "2024-12-31"),
    ],
)
@pytest.mark.parametrize("date", ["2024-12-31", "2024-12-31T08:00:00Z", "20241231"])
def test_time_is_made_from_dates(tmp_path: Path, unit: str, wanted: str, date: str) -> None:
    table = write(tmp_path / "t.jsonl", [{**ROWS[9], "date": date}, {**ROWS[10], "date": "last spring"}])
    with open_population([table], [unit]) as population:
        assert [key for (key,) in population.totals().keys] == sorted(["(none)", wanted])


def test_labels_alone_will_do(labelled: Path) -> None:
    with open_population([labelled], soft=False) as population:
        totals = population.totals()
    assert totals.sums == pytest.approx(totals.given)
    assert totals.squares == pytest.approx(totals.given)


def changed(at: int, **more: Any) -> list[Row]:
    return [{**row, **(more if each == at else {})} for each, row in enumerate(ROWS)]


@pytest.mark.parametrize(
    ("rows", "by", "message"),
    [
        (changed(9, label="propaganda"), [], "'propaganda'"),
        (changed(9, p_hedged_claim=0.9), [], "1 labelled rows have no probabilities"),
        (changed(9, p_hedged_claim=None), [], "1 labelled rows have no probabilities"),
        ([{key: row[key] for key in ("doc_id", "label")} for row in ROWS], [], "p_hedged_claim is missing"),
        ([{"id": "1", "text": "The ferry left."}], [], "run framelens label first"),
        (ROWS, ["paper"], "no column 'paper'"),
        ([{key: row[key] for key in row if key != "date"} for row in ROWS], ["month"], "--date-column"),
        ([{**row, "label": None} for row in ROWS], [], "has a label"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(
    tmp_path: Path, rows: list[Row], by: list[str], message: str
) -> None:
    table = write(tmp_path / "t.jsonl", rows)
    with pytest.raises(InputError, match=message), open_population([table], by) as population:
        population.totals()


def test_missing_files_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.parquet", tmp_path, Path(__file__)):
        with pytest.raises(InputError, match=path.name), open_population([path]):
            pass


# --- joining --------------------------------------------------------------------------------------


def joined(labelled: Path, tmp_path: Path, rows: list[Row], name: str = "gold.jsonl", **how: Any):
    with open_population([labelled], ["outlet"]) as population:
        return join_gold(read_gold_table(write(tmp_path / name, rows)), population, **how)


@pytest.mark.parametrize("name", ["gold.jsonl", "gold.csv"])
def test_gold_finds_its_predictions(labelled: Path, tmp_path: Path, name: str) -> None:
    rows = gold_rows(50)
    found = joined(labelled, tmp_path, rows, name)
    by_key = {(row["doc_id"], row["sentence_index"]): row for row in ROWS}
    wanted = [by_key[row["doc_id"], row["sentence_index"]] for row in rows]
    wanted = [row for row in wanted if row["label"]]
    assert [LABELS[code] for code in found.given] == [row["label"] for row in wanted]
    assert found.groups == tuple((row["outlet"],) for row in wanted)
    assert found.sample.predictions == pytest.approx(
        np.array([[row[column] for column in PROBABILITY_COLUMNS] for row in wanted])
    )
    assert found.uniform
    assert found.sample.inclusion == pytest.approx(len(wanted) / (len(ROWS) - 4))
    assert found.clustered_by == "doc_id"
    assert found.sample.n_units == len({row["doc_id"] for row in wanted})


def test_gold_of_sentences_without_a_label_is_counted(labelled: Path, tmp_path: Path) -> None:
    rows = [{"doc_id": "a0", "sentence_index": at, "gold": LABELS[1]} for at in range(5)]
    found = joined(labelled, tmp_path, rows)
    assert (len(found.sample), found.n_without_prediction) == (1, 4)
    with pytest.raises(InputError, match="none of the 4 gold rows"):
        joined(labelled, tmp_path, rows[:4])


def test_gold_from_elsewhere_is_refused(labelled: Path, tmp_path: Path) -> None:
    rows = [*gold_rows(10), {"doc_id": "b1", "sentence_index": 0, "gold": LABELS[0]}]
    with pytest.raises(InputError, match=r"1 of 11 gold rows are not in the labelled tables.*'b1'"):
        joined(labelled, tmp_path, rows)
    with pytest.raises(InputError, match="stands in the file twice"):
        joined(labelled, tmp_path, [rows[0], rows[0]])
    with pytest.raises(InputError, match="cannot be found in the corpus"):
        joined(labelled, tmp_path, [{"gold": LABELS[0], "note": "none"}])
    with pytest.raises(InputError, match="no column 'page'"):
        joined(labelled, tmp_path, gold_rows(5), cluster="page")
    with pytest.raises(InputError, match="at most 1"):
        joined(labelled, tmp_path, gold_rows(5, inclusion_probability=1.5))


def test_gold_of_a_corpus_that_was_called_otherwise(tmp_path: Path) -> None:
    table = write(tmp_path / "t.jsonl", [row | {"doc_id": f"new.csv:{row['doc_id']}"} for row in ROWS])
    rows = [row | {"doc_id": f"old.csv:{row['doc_id']}"} for row in gold_rows(10)]
    with pytest.raises(InputError, match=r"10 of 10 .*; 10 would be found .*called otherwise.*--id-column"):
        joined(table, tmp_path, rows)
    with pytest.raises(InputError, match="must be drawn from the corpus"):
        joined(table, tmp_path, gold_rows(10))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("State framing", 0),
        ("STATE_MEDIA_FRAMING", 0),
        ("independent", 1),
        (" independent  reporting", 1),
        ("Hedged", 2),
        ("not applicable", 3),
    ],
)
def test_short_names_of_labels_will_do(tmp_path: Path, written: str, code: int) -> None:
    path = write(tmp_path / "gold.csv", [{"id": "1", "gold": written}])
    assert read_gold_table(path).codes.tolist() == [code]


def test_a_sentence_that_stands_twice_in_the_corpus_is_refused(tmp_path: Path) -> None:
    table = write(tmp_path / "twice.parquet", ROWS + ROWS)
    with pytest.raises(InputError, match="more than once"):
        joined(table, tmp_path, gold_rows(5))


def test_gold_may_bring_its_own_predictions(labelled: Path, tmp_path: Path) -> None:
    rows = [
        {key: row[key] for key in ("label", "outlet", *PROBABILITY_COLUMNS)} | {"gold": LABELS[at % 3]}
        for at, row in enumerate(ROWS[10:40])
    ]
    found = joined(labelled, tmp_path, rows)
    assert found.joined_by == ()
    assert [LABELS[code] for code in found.given] == [row["label"] for row in rows]
    assert found.groups == tuple((row["outlet"],) for row in rows)
    assert found.clustered_by is None
    with pytest.raises(InputError, match="need the columns outlet too"):
        joined(labelled, tmp_path, [{key: row[key] for key in row if key != "outlet"} for row in rows])


def test_what_a_blank_gold_label_means_must_be_said(tmp_path: Path) -> None:
    rows = [*gold_rows(6), {"doc_id": "a9", "sentence_index": 1, "gold": " "}]
    path = write(tmp_path / "gold.csv", rows)
    with pytest.raises(InputError, match="1 of 7 rows have no gold label"):
        read_gold_table(path)
    skipped = read_gold_table(path, blank="skip")
    assert (len(skipped.rows), skipped.n_skipped) == (6, 1)
    outside = read_gold_table(path, blank="out-of-scope")
    assert (len(outside.rows), outside.codes[-1]) == (7, 3)
    rows[-1]["gold"] = "not_applicable"
    assert read_gold_table(write(tmp_path / "gold.csv", rows)).codes[-1] == 3
    rows[-1]["gold"] = "state"
    with pytest.raises(InputError, match="row 7: expected a gold label"):
        read_gold_table(write(tmp_path / "gold.csv", rows))


def test_stopping_early_lowers_the_inclusion_probability(labelled: Path, tmp_path: Path) -> None:
    rows = [
        {**row, "inclusion_probability": 0.2, "gold": row["gold"] if at < 30 else ""}
        for at, row in enumerate(gold_rows(40))
    ]
    path = write(tmp_path / "gold.jsonl", rows)
    with open_population([labelled]) as population:
        found = join_gold(read_gold_table(path, blank="skip"), population)
    assert found.sample.inclusion == pytest.approx(0.2 * 30 / 40)


# --- estimating -----------------------------------------------------------------------------------


def estimated(labelled: Path, tmp_path: Path, rows: list[Row], by=("outlet",), rules: Rules | None = None):
    with open_population([labelled], list(by)) as population:
        return estimate_prevalence(population, read_gold_table(write(tmp_path / "g.jsonl", rows)), HOW, rules)


def true_shares(outlet: str | None = None) -> list[float]:
    counted = Counter(
        TRUTH[row["doc_id"], row["sentence_index"]]
        for row in ROWS
        if row["label"] and outlet in (None, row["outlet"])
    )
    return [counted[label] / sum(counted.values()) for label in LABELS]


def test_corrected_shares_hold_the_truth_where_counting_does_not(labelled: Path, tmp_path: Path) -> None:
    result = estimated(labelled, tmp_path, gold_rows(250))
    river = next(group for group in result.groups if group.key == ("river_post",))
    assert [group.rectifier for group in result.groups] == ["own", "own"]
    truth = true_shares("river_post")
    for label, share in zip(LABELS, truth, strict=True):
        best = river.shares["prediction_powered"][label]
        assert best.low <= share <= best.high
    state = river.shares["plain_count"][LABELS[0]]
    assert not state.low <= truth[0] <= state.high
    assert sum(best.value for best in river.shares["prediction_powered"].values()) == pytest.approx(1)
    assert result.warnings == ()
    assert result.overall.n_gold == result.n_gold


def test_a_group_with_little_gold_borrows_and_says_so(labelled: Path, tmp_path: Path) -> None:
    hill = [row for row in gold_rows(300) if int(row["doc_id"][1:]) % 2]
    few = [row for row in gold_rows(300) if not int(row["doc_id"][1:]) % 2][:10]
    result = estimated(labelled, tmp_path, hill + few)
    flags = {group.key[0]: group.rectifier for group in result.groups}
    assert flags == {"hill_times": "own", "river_post": "borrowed"}
    assert any("not mixed as the corpus's are" in warning for warning in result.warnings)
    strict = estimated(labelled, tmp_path, hill + few, rules=Rules(borrow=False))
    river = next(group for group in strict.groups if group.key == ("river_post",))
    assert river.rectifier == "none"
    assert river.shares["prediction_powered"][LABELS[0]].value is None
    assert str(river.shares["prediction_powered"][LABELS[0]]) == "n/a"


def test_hardly_any_gold_gives_no_correction(labelled: Path, tmp_path: Path) -> None:
    result = estimated(labelled, tmp_path, gold_rows(12))
    assert result.overall.rectifier == "none"
    assert "12 gold rows" in result.warnings[0]


def test_inclusion_probabilities_of_another_corpus_are_noticed(labelled: Path, tmp_path: Path) -> None:
    result = estimated(labelled, tmp_path, gold_rows(60, inclusion_probability=0.001))
    assert any("times as many sentences" in warning for warning in result.warnings)


def test_impossible_rules() -> None:
    with pytest.raises(InputError, match="level"):
        Rules(level=95)
    with pytest.raises(InputError, match="at least 3"):
        Rules(min_gold=2)


# --- planning -------------------------------------------------------------------------------------


def test_the_sample_size_is_cochran_s() -> None:
    # 1.96² · 0.25 / 0.05² = 384.1, and 2 or 3 more for t; of 1,000 sentences 277.5, and 2 more.
    assert sample_size(0.25, 0.0, 0.05, 0.95, 10**9) in (386, 387)
    assert sample_size(0.25, 0.25 / 1000, 0.05, 0.95, 1000) in (279, 280)
    assert sample_size(0.25, 0.25 / 20, 0.05, 0.95, 20) == 20
    assert sample_size(0.0, 0.0, 0.05, 0.95, 20) == 1


def test_a_uniform_draw_is_exact_and_depends_on_keys_alone(tmp_path: Path) -> None:
    drawn = []
    for name, rows in (("a.parquet", ROWS), ("b.csv", ROWS[::-1])):
        with open_population([write(tmp_path / name, rows)], ["outlet"]) as population:
            planned = plan_groups(population, 0.08, 0.95, "uniform", 30)
            drawn.append(draw_rows(population, planned, "uniform", seed=5))
    assert drawn[0] == drawn[1]
    counted = Counter(row.stratum for row in drawn[0])
    for group in planned:
        rows = [row for row in drawn[0] if row.stratum == group.key[0]]
        assert counted[group.key[0]] == group.n_to_label < group.n_without_model
        assert {row.inclusion_probability for row in rows} == {group.n_to_label / group.n_sentences}
        assert group.expected_half_width <= 0.08
    labelled_keys = {(row["doc_id"], str(row["sentence_index"])) for row in ROWS if row["label"]}
    assert {tuple(row.key.values()) for row in drawn[0]} <= labelled_keys
    third = next(row for row in drawn[0] if row.key["sentence_index"] == "3")
    number = third.key["doc_id"][1:]
    assert third.context == " ".join(
        f"Ferry {number} left pier {at}, the harbour office said." for at in (1, 2)
    )


def test_every_sentence_is_drawn_as_often_as_it_should_be(labelled: Path) -> None:
    seen: Counter[tuple[str, ...]] = Counter()
    promised: dict[tuple[str, ...], float] = {}
    with open_population([labelled]) as population:
        planned = plan_groups(population, 0.1, 0.95, "uncertainty", 30)
        for seed in range(60):
            for row in draw_rows(population, planned, "uncertainty", seed):
                seen[tuple(row.key.values())] += 1
                promised[tuple(row.key.values())] = row.inclusion_probability
    expected = np.array([60 * promised[key] for key in promised])
    found = np.array([seen[key] for key in promised])
    # A sum of squared standard scores of independent draws, near the number of sentences.
    score = ((found - expected) ** 2 / (expected * (1 - expected / 60))).mean()
    assert 0.8 < score < 1.25
    assert found.sum() / 60 == pytest.approx(planned[0].n_to_label, rel=0.05)
    assert len(set(promised.values())) > 100


def test_from_plan_to_shares(monkeypatch, capsys, labelled: Path, tmp_path: Path) -> None:
    plan, report = tmp_path / "plan", tmp_path / "shares"
    arguments = ("prevalence", labelled, "--by", "outlet")
    assert call(monkeypatch, *arguments, "--plan", "0.07", "-o", plan) == 0
    assert "sentences to label by hand" in capsys.readouterr().out
    with (plan / "to_label.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["gold"] for row in rows} == {""}
    assert not {"label", *PROBABILITY_COLUMNS} & set(rows[0])
    assert "gold" in (plan / "report.md").read_text(encoding="utf-8")
    assert call(monkeypatch, *arguments, "--plan", "0.07", "-o", plan) == 2
    assert "made by hand" in capsys.readouterr().err

    for row in rows:
        row["gold"] = TRUTH[row["doc_id"], int(row["sentence_index"])]
    filled = write(tmp_path / "filled.csv", rows)
    assert call(monkeypatch, *arguments, "--gold", filled, "-o", report) == 0
    assert "state_media_framing: " in capsys.readouterr().out
    result = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert result["uniform"] is False
    assert result["warnings"] == []
    widest = 0.0
    for group in result["groups"]:
        assert group["rectifier"] == "own"
        for share in group["shares"]["prediction_powered"].values():
            widest = max(widest, (share["high"] - share["low"]) / 2)
    # The model is less sure than it is right here, so the plan's promise holds.
    assert widest < 0.09
    with (report / "estimates.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 3 * 4 * 3
    assert {line["outlet"] for line in lines} == {"", "river_post", "hill_times"}
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "plain count" in page
    assert "Ferry" not in (report / "report.md").read_text(encoding="utf-8")


def test_a_plan_that_draws_everything_says_why_and_what_then(
    monkeypatch, capsys, labelled: Path, tmp_path: Path
) -> None:
    plan, report = tmp_path / "my plan", tmp_path / "shares"
    few = write(tmp_path / "few.parquet", ROWS[10:60])
    by = ("--by", "outlet", "--by", "month")
    assert call(monkeypatch, "prevalence", few, *by, "--plan", "0.2", "-o", plan) == 0
    shown = capsys.readouterr().out
    assert "mind: Every sentence is drawn" in shown
    assert "The least number of 30 sentences a group" in shown
    assert "decides in 6 of 6 groups: hill_times / 2023-01, " in shown
    then = shlex.split(shown.split("then: ")[1].splitlines()[0])
    assert then[:5] == ["framelens-eval", "prevalence", str(few), "--by", "outlet,month"]
    assert f"3. `{shlex.join(then)}`" in (plan / "report.md").read_text(encoding="utf-8")
    with (plan / "to_label.csv").open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        row["gold"] = TRUTH[row["doc_id"], int(row["sentence_index"])]
    write(plan / "to_label.csv", rows)
    assert call(monkeypatch, *then[1:-1], report) == 0
    assert "In all groups every sentence is labelled: no uncertainty of sampling" in capsys.readouterr().out
    overall = json.loads((report / "report.json").read_text(encoding="utf-8"))["overall"]
    for share in overall["shares"]["prediction_powered"].values():
        assert share["low"] == pytest.approx(share["value"])
        assert share["high"] == pytest.approx(share["value"])

    assert call(monkeypatch, "prevalence", labelled, "--plan", "0.1", "-o", tmp_path / "other") == 0
    assert "mind" not in capsys.readouterr().out
    assert call(monkeypatch, "prevalence", labelled, *by, "--plan", "0.01", "-o", tmp_path / "fine") == 0
    assert "a wider interval" in capsys.readouterr().out


def test_dates_that_cannot_be_read_are_told(monkeypatch, capsys, tmp_path: Path) -> None:
    arguments = ("--by", "month", "--plan", "0.1", "-o", tmp_path / "plan")
    rows = [row | {"date": "12/03/2024" if at % 2 else row["date"]} for at, row in enumerate(ROWS)]
    half = write(tmp_path / "half.parquet", rows)
    assert call(monkeypatch, "prevalence", half, *arguments) == 0
    told = "mind: 298 of 596 dates could not be read, such as '12/03/2024'; write them as 2024-03-12"
    assert told in capsys.readouterr().err
    none = write(tmp_path / "none.parquet", [row | {"date": "March 2024"} for row in ROWS])
    assert call(monkeypatch, "prevalence", none, *arguments[:-1], tmp_path / "p") == 2
    assert "596 of 596 dates could not be read, such as 'March 2024'" in capsys.readouterr().err
    gold = write(tmp_path / "gold.jsonl", gold_rows(60))
    assert call(monkeypatch, "prevalence", none, "--by", "month", "--gold", gold, "-o", tmp_path / "s") == 0
    assert "mind: 596 of 596 dates" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["", "month", "outlet,month"])
def test_a_report_over_time_and_without(monkeypatch, capsys, labelled: Path, tmp_path: Path, by: str) -> None:
    gold = write(tmp_path / "gold.jsonl", gold_rows(120))
    assert call(monkeypatch, "prevalence", labelled, "--by", by, "--gold", gold, "-o", tmp_path / "r") == 0
    figures = sorted(path.name for path in (tmp_path / "r" / "figures").iterdir())
    assert figures == (
        ["shares-hedged-claim.svg", "shares-independent-reporting.svg", "shares-state-media-framing.svg"]
        if by
        else ["shares.svg"]
    )
    assert ("are **borrowed**" in (tmp_path / "r" / "report.md").read_text(encoding="utf-8")) == (
        by == "outlet,month"
    )


def test_a_pilot_replaces_the_model_s_belief(monkeypatch, labelled: Path, tmp_path: Path) -> None:
    gold = write(tmp_path / "gold.jsonl", gold_rows(200))
    sizes = {}
    for name, more in (("without", ()), ("with", ("--gold", gold))):
        out = tmp_path / name
        assert call(monkeypatch, "prevalence", labelled, "--plan", "0.06", *more, "-o", out) == 0
        sizes[name] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert sizes["without"]["pilot_factors"] is None
    assert all(factor > 0 for factor in sizes["with"]["pilot_factors"].values())
    assert sizes["with"]["n_drawn"] != sizes["without"]["n_drawn"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--gold, or let --plan"),
        (["--plan", "5"], "between 0 and 0.5"),
        (["--plan", "0.05", "--draw", "hopefully"], "uniform, uncertainty"),
        (["--plan", "0.05", "--prediction", "label", "--draw", "uncertainty"], "needs the probabilities"),
        (["--plan", "0.05", "--prediction", "guess"], "--prediction probability or label"),
        (["--gold", "absent.jsonl"], "absent.jsonl"),
        (["--gold", "absent.jsonl", "--level", "2"], "level"),
    ],
)
def test_what_is_wrong_is_one_line(monkeypatch, capsys, labelled: Path, tmp_path, arguments, message) -> None:
    assert call(monkeypatch, "prevalence", labelled, *arguments, "-o", tmp_path / "out") == 2
    shown = capsys.readouterr().err.strip().splitlines()[-1]
    assert shown.startswith("framelens-eval: ")
    assert message in shown


# --- the coverage experiment ----------------------------------------------------------------------


def test_coverage_on_judged_sentences(monkeypatch, capsys, tmp_path: Path) -> None:
    assert coverage_command.coverage  # importing it registers the command
    kept = ROWS[10:]
    judged = [
        {
            "id": str(at), "text": row["text"], "label": TRUTH[row["doc_id"], row["sentence_index"]],
            "article": row["doc_id"], "stratum": "natural", "side": row["outlet"],
        }
        for at, row in enumerate(kept)
    ]  # fmt: skip
    predictions = [
        {key: row[key] for key in ("label", *PROBABILITY_COLUMNS)} | {"id": str(at)}
        for at, row in enumerate(kept)
    ]
    data = write(tmp_path / "judged.jsonl", judged)
    file = write(tmp_path / "predictions.jsonl", predictions)
    code = call(
        monkeypatch, "coverage", "--data", data, "--model", file, "--by", "side", "--no-simulated",
        "--gold-rows", "120", "--repetitions", "150", "--resamples", "30", "-o", tmp_path / "out",
    )  # fmt: skip
    assert code == 0
    assert "prediction-powered: mean coverage" in capsys.readouterr().out
    result = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    rows = [row for row in result["rows"] if row["method"] == "prediction_powered"]
    assert {row["group"] for row in rows} == {"whole corpus", "river_post", "hill_times"}
    assert {row["scenario"] for row in rows} == {"held out", "held out, by article"}
    assert all(row["low"] <= row["coverage"] <= row["high"] for row in rows)
    assert 0.9 < np.mean([row["coverage"] for row in rows]) <= 0.985
    assert (tmp_path / "out" / "figures" / "coverage-held-out.svg").is_file()


def test_coverage_needs_something_to_draw_from(monkeypatch, capsys, tmp_path: Path) -> None:
    assert call(monkeypatch, "coverage", "--no-simulated", "-o", tmp_path / "o") == 2
    assert "--data" in capsys.readouterr().err
    assert call(monkeypatch, "coverage", "--gold-rows", "many", "-o", tmp_path / "o") == 2
    assert "'many'" in capsys.readouterr().err
    assert (
        call(monkeypatch, "coverage", "--gold-rows", "20000", "--repetitions", "1", "-o", tmp_path / "o") == 2
    )
    assert "expected between 3 and" in capsys.readouterr().err


# --- time on an axis ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "names", "places"),
    [
        ("year", ["2020", "2023"], [0, 3]),
        ("quarter", ["2020-Q3", "2021-Q1"], [0, 2]),
        ("month", ["2020-11", "2021-02"], [0, 3]),
        ("week", ["2020-W52", "2020-W53", "2021-W01"], [0, 1, 2]),
        ("day", ["2024-02-28", "2024-03-01"], [0, 2]),
        ("month", ["Nov 2020", "Oct 2021"], [0, 1]),
        ("month", [], []),
    ],
)
def test_missing_moments_leave_gaps(unit: str, names: list[str], places: list[int]) -> None:
    found, ticks = timeline(unit, names)
    assert [found[name] for name in names] == places
    assert [name for _, name in ticks][:1] == names[:1]
    assert all(found.get(name, at) == at for at, name in ticks)


def test_a_long_axis_has_few_ticks() -> None:
    _, ticks = timeline("day", ["2015-01-01", "2024-12-31"])
    assert len(ticks) <= 6
    assert ticks[0] == (0, "2015-01-01")
