"""One table of many fits: what each changed, and what it gave on dev.

Reads what `framelens_training.fit` leaves in a run directory, so that no figure is typed by hand. Runs are
comparable where they were measured on the same sentences; others are refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import f1_score

from framelens.errors import InputError
from framelens.labels import LABELS
from framelens_training.calibrate import expected_calibration_error
from framelens_training.rows import read_objects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from framelens.arrays import FloatArray, IntArray

__all__ = ["Experiment", "Figure", "as_json", "experiments", "table"]

RESAMPLES = 1_000
SEED = 0
#: What of a recipe names or dates a run and decides nothing.
_NOT_CHANGES = ("name",)
_BINS = "15 bins of equal mass"


@dataclass(frozen=True)
class Figure:
    """A share in [0, 1] with its 95 % interval, from resampled articles; ``value`` None without sentences."""

    value: float | None
    low: float | None
    high: float | None
    n_sentences: int


@dataclass(frozen=True)
class Experiment:
    """One run.

    Attributes:
        name: of the run's folder.
        changes: fields of the recipe that differ from the first run's, as ``SECTION.FIELD=VALUE``.
        n_train: judged sentences that it was fitted on.
        macro_f1: on ``all``, ``seen`` and ``unseen`` outlets, and ``natural``, the sentences drawn at random.
        label_f1: by label.
        ece: expected calibration error before any calibration.
        minutes: of fitting; None where the run does not say.
    """

    name: str
    changes: tuple[str, ...]
    n_train: int
    macro_f1: dict[str, Figure]
    label_f1: dict[str, Figure]
    ece: float
    minutes: float | None


def experiments(runs: Sequence[Path]) -> list[Experiment]:
    """Measure runs on their dev set.

    Args:
        runs: finished run directories; the first is what the others' recipes are told apart from.

    Raises:
        InputError: a run is not finished, or was measured on other sentences than the first.
    """
    recipes = [_fields(_read(run / "recipe.json")) for run in runs]
    found: list[Experiment] = []
    first: list[str] | None = None
    for run, recipe in zip(runs, recipes, strict=True):
        told = {row["id"]: row["probabilities"] for _, row in _lines(run / "dev_predictions.jsonl")}
        dev = [row for _, row in _lines(run / "splits" / "dev.jsonl") if row["label"] is not None]
        ids = sorted(row["id"] for row in dev)
        first = first or ids
        if ids != first or not told.keys() >= set(ids):
            raise InputError(f"{run} was measured on other sentences than {runs[0]}, so they do not compare")
        changes = [
            f"{name}={_short(value)}" for name, value in recipe.items() if value != recipes[0].get(name)
        ]
        found.append(_measured(run, tuple(changes), dev, told, recipe))
    return found


def table(found: Sequence[Experiment]) -> str:
    """The runs as a Markdown table, the first named as what the others differ from."""
    heads = ["run", "what changed", "sentences", *(f"macro-F1 {group}" for group in _GROUPS)]
    heads += [f"F1 {_words(label)}" for label in LABELS] + ["ECE", "minutes"]
    lines = [_row(heads), _row(["---"] * len(heads))]
    for number, each in enumerate(found):
        changed = "; ".join(f"`{change}`" for change in each.changes)
        cells = [
            each.name,
            changed or ("the recipe as it is" if number == 0 else "nothing"),
            f"{each.n_train:,}",
        ]
        cells += [_cell(each.macro_f1[group]) for group in _GROUPS]
        cells += [_cell(each.label_f1[str(label)]) for label in LABELS]
        lines.append(_row([*cells, f"{each.ece:.3f}", "" if each.minutes is None else f"{each.minutes:.0f}"]))
    n = {group: found[0].macro_f1[group].n_sentences for group in _GROUPS} if found else {}
    lines += [
        "",
        f"On dev: {', '.join(f'{group} {count:,}' for group, count in n.items())} sentences. Brackets: 95 % "
        f"intervals from {RESAMPLES:,} resamples of articles, seed {SEED}. ECE over {_BINS}, before "
        "calibration. One fit a row.",
    ]
    return "\n".join(lines) + "\n"


def as_json(found: Sequence[Experiment]) -> list[dict[str, Any]]:
    """The runs as plain JSON types."""
    return [asdict(each) for each in found]


_Groups = dict[str, Callable[["Mapping[str, Any]", "frozenset[str]"], bool]]
_GROUPS: _Groups = {
    "all": lambda _, __: True,
    "seen outlets": lambda row, held_out: row["outlet_id"] not in held_out,
    "unseen outlets": lambda row, held_out: row["outlet_id"] in held_out,
    "drawn at random": lambda row, _: row["stratum"] == "natural",
}


def _measured(
    run: Path,
    changes: tuple[str, ...],
    dev: Sequence[Mapping[str, Any]],
    told: Mapping[str, Mapping[str, float]],
    recipe: Mapping[str, Any],
) -> Experiment:
    gold = np.array([LABELS.index(row["label"]) for row in dev])
    probabilities = np.array([[told[row["id"]][str(label)] for label in LABELS] for row in dev])
    held_out = frozenset(recipe["data.dev_outlets"])
    articles = np.unique([row["article"] for row in dev], return_inverse=True)[1]
    predicted = probabilities.argmax(-1)
    scores = {
        group: _figure(gold, predicted, articles, np.array([belongs(row, held_out) for row in dev]), "macro")
        for group, belongs in _GROUPS.items()
    }
    whole = np.ones(len(dev), dtype=bool)
    train = sum(row["label"] is not None for _, row in _lines(run / "splits" / "train.jsonl"))
    times = run / "time.json"
    seconds = _read(times)["seconds"] if times.is_file() else 0.0
    return Experiment(
        name=run.name,
        changes=changes,
        n_train=train,
        macro_f1=scores,
        label_f1={
            str(label): _figure(gold, predicted, articles, whole, index) for index, label in enumerate(LABELS)
        },
        ece=expected_calibration_error(probabilities, gold),
        minutes=seconds / 60 if seconds else None,
    )


def _figure(
    gold: IntArray, predicted: IntArray, articles: IntArray, chosen: np.ndarray[Any, Any], of: str | int
) -> Figure:
    gold, predicted, articles = gold[chosen], predicted[chosen], articles[chosen]
    if not len(gold):
        return Figure(None, None, None, 0)
    rng = np.random.default_rng(SEED)
    places = [np.flatnonzero(articles == article) for article in np.unique(articles)]
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([places[i] for i in rng.integers(0, len(places), len(places))])
        drawn.append(_score(gold[rows], predicted[rows], of))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Figure(_score(gold, predicted, of), float(low), float(high), len(gold))


def _score(gold: IntArray, predicted: IntArray, of: str | int) -> float:
    by_label: FloatArray = f1_score(
        gold, predicted, labels=range(len(LABELS)), average=None, zero_division=0.0
    )
    return float(by_label.mean() if of == "macro" else by_label[int(of)])


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path.parent} is no run of framelens-train: {path.name} is missing")
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def _lines(path: Path) -> list[tuple[int, Any]]:
    if not path.is_file():
        raise InputError(f"{path} is missing; a run has it once it is finished")
    return list(read_objects(path))


def _fields(recipe: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in recipe.items():
        if isinstance(value, dict):
            flat |= _fields(value, f"{prefix}{name}.")
        elif f"{prefix}{name}" not in _NOT_CHANGES:
            flat[f"{prefix}{name}"] = value
    return flat


def _short(value: Any) -> str:
    # A folder's own name is enough to tell encoders apart, and says nothing of the machine.
    return str(value).rstrip("/").rpartition("/")[2] if isinstance(value, str) else json.dumps(value)


def _words(label: str) -> str:
    return str(label).partition("_")[0]


def _cell(figure: Figure) -> str:
    if figure.value is None:
        return "n/a"
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
