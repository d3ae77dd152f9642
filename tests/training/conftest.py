"""A made-up data folder, a tiny encoder, and one tiny run that all tests of this folder share."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import re
import runpy
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, BertTokenizerFast

from framelens_training import parity
from framelens_training.export import export
from framelens_training.fit import fit
from framelens_training.recipe import DataRecipe, ModelRecipe, Recipe, TrainRecipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from framelens_training.calibrate import Calibration
    from framelens_training.parity import PathParity

KILLED_FIT = Path(__file__).with_name("killed_fit.py")
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
    article has up to two sentences. Fragments name no outlet, as in the real folder.
    """
    rows = []
    for line in JUDGED.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        number = int(row["id"].rsplit("-", 1)[1])
        outlet = OUTLETS[number % len(OUTLETS)]
        row |= {
            "article": f"{outlet}:{number // (2 * len(OUTLETS))}:{row['id'][:2]}",
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


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what `datasets` caches out of the home folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    """Rows of the made-up folder, for a test to change."""
    return made_up_rows()


@pytest.fixture(scope="session")
def data_recipe() -> DataRecipe:
    return DATA


@pytest.fixture(scope="session")
def make_data() -> Callable[[Path, Iterable[dict[str, Any]]], Path]:
    return write_rows


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("data"), made_up_rows())


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of two layers and 32 dimensions, which knows the sentences' words and letters."""
    folder = tmp_path_factory.mktemp("base")
    words = sorted(
        {word for row in made_up_rows() for word in re.findall(r"\w+|[^\w\s]", row["text"].lower())}
    )
    letters = sorted({letter for word in words for letter in word})
    # Every third word is left to be spelt in pieces.
    known = [word for at, word in enumerate(words) if at % 3 and len(word) > 1]
    entries = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *(f"##{letter}" for letter in letters),
        *known,
    ]
    pieces = BertWordPieceTokenizer({entry: at for at, entry in enumerate(entries)}, lowercase=True)
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
        initializer_range=0.3,  # wide, so that two epochs of heads tell sentences apart
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def tiny_recipe(base: Path | str, **model: Any) -> Recipe:
    return Recipe(
        name="tiny",
        base=str(base),
        data=DATA,
        model=ModelRecipe(max_tokens=64, context_sentences=2, **model),
        train=TrainRecipe(epochs=2, batch_size=2, learning_rate=3e-3),
    )


@pytest.fixture(scope="session")
def make_recipe() -> Callable[..., Recipe]:
    return tiny_recipe


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
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    shutil.copytree(tiny_run.bundle, tmp_path / "bundle")
    return replace(tiny_run, folder=tmp_path / "run", bundle=tmp_path / "bundle")


@pytest.fixture(scope="session")
def fit_in_process() -> Callable[[Recipe, Path, Path, str | None], int]:
    """Fit in a process of its own, begun or resumed, and killed before a write; gives its exit code.

    From a server that has only imported, because OpenMP does not live through a fork once it has computed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["framelens_training.fit", "matplotlib.figure", "tensorboard"])

    def run(recipe: Recipe, folder: Path, data: Path, killed_before: str | None) -> int:
        arguments = {
            "recipe": recipe.model_dump_json(), "run": str(folder), "data": str(data),
            "killed_before": killed_before,
        }  # fmt: skip
        child = context.Process(target=runpy.run_path, args=(str(KILLED_FIT), {"arguments": arguments}))
        child.start()
        child.join()
        assert child.exitcode is not None
        return child.exitcode

    return run
