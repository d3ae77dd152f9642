"""A made-up data folder, a tiny encoder, and one tiny run that all tests of this folder share."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

from framelens_training import parity
from framelens_training.export import export
from framelens_training.fit import fit
from framelens_training.recipe import DataRecipe, ModelRecipe, Recipe, TrainRecipe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from framelens_training.calibrate import Calibration
    from framelens_training.parity import PathParity

JUDGED = Path(__file__).parents[1] / "data" / "judged_sentences.jsonl"
#: The third outlet is held out for dev, the fourth for test.
OUTLETS = ("river_post", "hill_times", "dune_daily", "marsh_mail")
DATA = DataRecipe(
    dev_outlets=("dune_daily",),
    test_outlets=("marsh_mail",),
    dev_fraction=0.1,
    test_fraction=0.1,
    split_seed=5,
)


def made_up_rows() -> list[dict[str, Any]]:
    """The judged sentences of the repository in invented articles of invented outlets.

    Every fourth sentence of a label goes to the same outlet, so that each outlet has all labels; an
    article has up to three sentences. Fragments name no outlet, as in the real folder.
    """
    rows = []
    for line in JUDGED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        number = int(row["id"].rsplit("-", 1)[1])
        outlet = OUTLETS[number % len(OUTLETS)]
        row |= {
            "article": f"{outlet}:{number // (3 * len(OUTLETS))}",
            "source": "made up",
            "stratum": "natural" if number % 2 else "hedge_cue",
            "sentence_index": number,
            "date": "2031-05-04",
            # Numbers in some sources and names in others.
            "record": number if number % 2 else f"page {number}",
        }
        if row["label"] is not None:
            row["outlet_id"] = outlet
        rows.append(row)
    return rows


def write_rows(data_dir: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """Write rows as a data folder, in the two files that `load_annotated` reads."""
    annotated = data_dir / "annotated"
    annotated.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[str]] = {"sentences": [], "not_annotated": []}
    for row in rows:
        parts["not_annotated" if row["rule"] == "X" else "sentences"].append(json.dumps(row) + "\n")
    for name, lines in parts.items():
        with gzip.open(annotated / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(lines)
    return data_dir


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return made_up_rows()


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("data"), made_up_rows())


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers and 32 dimensions, whose vocabulary is learned from the sentences."""
    folder = tmp_path_factory.mktemp("base")
    pieces = BertWordPieceTokenizer(lowercase=True)
    pieces.train_from_iterator(
        [row["text"] for row in made_up_rows()], vocab_size=600, min_frequency=1, show_progress=False
    )
    tokenizer = BertTokenizerFast(tokenizer_object=pieces._tokenizer, do_lower_case=True)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def tiny_recipe(base: Path, **model: Any) -> Recipe:
    return Recipe(
        name="tiny",
        base=str(base),
        data=DATA,
        model=ModelRecipe(max_tokens=64, context_sentences=2, **model),
        train=TrainRecipe(epochs=2, batch_size=2, learning_rate=3e-3),
    )


@dataclass(frozen=True)
class TinyRun:
    """A run of `tiny_recipe` on the made-up folder, and what was exported from it."""

    folder: Path
    bundle: Path
    best: dict[str, float]
    calibration: Calibration
    parity: list[PathParity]


@pytest.fixture(scope="session")
def tiny_run(tiny_base: Path, data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyRun:
    folder = tmp_path_factory.mktemp("runs")
    best = fit(tiny_recipe(tiny_base), folder / "run", data_dir)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "MIN_SENTENCES", 10)
        calibration, measured = export(folder / "run", folder / "bundle")
    return TinyRun(folder / "run", folder / "bundle", best, calibration, measured)


@pytest.fixture
def own_run(tiny_run: TinyRun, tmp_path: Path) -> TinyRun:
    """A copy of the tiny run that a test may spoil."""
    for name in ("run", "bundle"):
        shutil.copytree(getattr(tiny_run, "folder" if name == "run" else name), tmp_path / name)
    return TinyRun(
        tmp_path / "run", tmp_path / "bundle", tiny_run.best, tiny_run.calibration, tiny_run.parity
    )
