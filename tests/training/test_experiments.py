"""One table of many runs: hand-checkable scores, and runs that do not compare."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from framelens.errors import InputError
from framelens.labels import LABELS
from framelens_training.experiments import experiments, table

if TYPE_CHECKING:
    from pathlib import Path

S, IND, H = map(str, LABELS)
#: (article, outlet, stratum, judged) of a dev set.
DEV = [
    ("a", "held", "natural", S), ("b", "held", "natural", IND), ("c", "other", "natural", H),
    ("d", "other", "state_cue", S), ("e", "other", "state_cue", IND), ("f", "other", "state_cue", None),
]  # fmt: skip


def run(folder: Path, told: list[str], dev=DEV, **recipe: object) -> Path:
    (folder / "splits").mkdir(parents=True)
    rows = [
        {"id": f"s{i}", "article": article, "outlet_id": outlet, "stratum": stratum, "label": label}
        for i, (article, outlet, stratum, label) in enumerate(dev)
    ]
    write(folder / "splits" / "dev.jsonl", rows)
    write(folder / "splits" / "train.jsonl", [{"label": S}, {"label": IND}, {"label": None}])
    sure = [{label: 0.98 if label == answer else 0.01 for label in (S, IND, H)} for answer in told]
    write(folder / "dev_predictions.jsonl", [{"id": f"s{i}", "probabilities": p} for i, p in enumerate(sure)])
    (folder / "time.json").write_text(json.dumps({"seconds": 90.0}))
    settings = {"name": folder.name, "base": "/models/one", "data": {"dev_outlets": ["held"]}} | recipe
    (folder / "recipe.json").write_text(json.dumps(settings))
    return folder


def write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_scores_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    perfect = run(tmp_path / "perfect", [S, IND, H, S, IND, IND])
    half = run(tmp_path / "half", [S, S, H, S, IND, S], base="/models/two")
    first, second = experiments([perfect, half])
    assert first.macro_f1["all"].value == 1.0
    assert (first.macro_f1["all"].low, first.macro_f1["all"].high) <= (1.0, 1.0)
    # State: 2 right, 1 wrong: 0.8. Independent: 1 right, 1 missed: 2/3. Hedged: 1.
    assert second.label_f1[S].value == pytest.approx(0.8)
    assert second.macro_f1["all"].value == pytest.approx((0.8 + 2 / 3 + 1) / 3)
    assert second.macro_f1["all"].n_sentences == 5  # without the one out of scope
    # Unseen: state 2/3, independent 0, hedged 0.
    assert second.macro_f1["unseen outlets"].value == pytest.approx(2 / 9)
    assert second.macro_f1["drawn at random"].n_sentences == 3
    assert second.macro_f1["all"].low <= second.macro_f1["all"].value <= second.macro_f1["all"].high
    # Four of five right at a confidence of 0.98, a bin a sentence.
    assert second.ece == pytest.approx((4 * 0.02 + 0.98) / 5)
    assert (second.n_train, second.minutes) == (2, 1.5)
    assert first.changes == ()
    assert second.changes == ("base=two",)


def test_the_table_names_what_changed_and_nothing_of_the_machine(tmp_path: Path) -> None:
    found = experiments(
        [run(tmp_path / "one", [S] * 6), run(tmp_path / "two", [IND] * 6, base="/models/two")]
    )
    page = table(found)
    assert "the recipe as it is" in page
    assert "`base=two`" in page
    assert "/models" not in page
    assert "all 5, seen outlets 3, unseen outlets 2, drawn at random 3 sentences" in page
    widths = {line.count("|") for line in page.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_runs_of_other_sentences_do_not_compare(tmp_path: Path) -> None:
    one = run(tmp_path / "one", [S] * 6)
    other = run(tmp_path / "other", [S] * 5, dev=DEV[:4] + DEV[5:])
    with pytest.raises(InputError, match="other sentences"):
        experiments([one, other])
    (one / "dev_predictions.jsonl").unlink()
    with pytest.raises(InputError, match="once it is finished"):
        experiments([one])
    with pytest.raises(InputError, match="no run of framelens-train"):
        experiments([tmp_path / "nothing"])
