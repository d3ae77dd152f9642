"""The losses: their weights by hand, and whom they move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from framelens.encoding import PairEncoder
from framelens.errors import InputError
from framelens.labels import LABELS
from framelens_training.features import IGNORE, Collator, sentence_features
from framelens_training.fit import fresh_model
from framelens_training.objective import FitModel, label_weights
from framelens_training.recipe import TrainRecipe

if TYPE_CHECKING:
    from pathlib import Path

COUNTS = st.lists(st.integers(1, 10_000), min_size=3, max_size=3)


def by_label(counts: list[int]) -> dict[str, int]:
    return dict(zip(map(str, LABELS), counts, strict=True))


@pytest.mark.parametrize(
    ("counts", "balance", "expected"),
    [
        ([6, 3, 1], 0.0, [1.0, 1.0, 1.0]),
        # Inverse to the counts: every label weighs a third of all 9 sentences.
        ([6, 2, 1], 1.0, [0.5, 1.5, 3.0]),
        # 1/4, 1/2 and 1, and 16 + 4 + 1 sentences that weigh 4 + 2 + 1 before scaling.
        ([16, 4, 1], 0.5, [0.75, 1.5, 3.0]),
    ],
)
def test_label_weights_by_hand(counts: list[int], balance: float, expected: list[float]) -> None:
    torch.testing.assert_close(label_weights(by_label(counts), balance), torch.tensor(expected))


@given(COUNTS, st.floats(0, 1))
def test_label_weights_have_mean_one_over_the_sentences(counts: list[int], balance: float) -> None:
    weights = label_weights(by_label(counts), balance).double()
    sizes = torch.tensor(counts, dtype=torch.double)
    assert float((weights * sizes).sum() / sizes.sum()) == pytest.approx(1, rel=1e-5)
    assert bool((weights > 0).all())


def test_fragments_do_not_weigh() -> None:
    counts = by_label([6, 2, 1])
    torch.testing.assert_close(
        label_weights(counts | {"not_applicable": 50}, 1.0), label_weights(counts, 1.0)
    )


@pytest.mark.parametrize("absent", [{"hedged_claim": 0}, None])
def test_a_label_without_sentences_is_named(absent: dict[str, int] | None) -> None:
    counts = by_label([6, 2, 1])
    if absent is None:
        del counts["hedged_claim"]
    with pytest.raises(InputError, match=r"no sentence labelled hedged_claim$"):
        label_weights(counts | (absent or {}), 0.5)


class Bench:
    """A model without dropout and batches of the made-up sentences."""

    def __init__(self, recipe: Any, rows: list[dict[str, Any]]) -> None:
        torch.manual_seed(0)
        model, tokenizer = fresh_model(recipe)
        self._encoder = PairEncoder(tokenizer.backend_tokenizer, 64)
        self._rows = rows
        self.fit_model = FitModel(model, TrainRecipe(), torch.ones(3)).eval()

    def batch(self, labelled: int, fragments: int) -> dict[str, torch.Tensor]:
        chosen = [row for row in self._rows if row["label"]][:labelled]
        chosen += [row for row in self._rows if not row["label"]][:fragments]
        kept = [{k: row[k] for k in ("text", "context", "label", "rule", "cue")} for row in chosen]
        return Collator(self._encoder.pad_id)(sentence_features(Dataset.from_list(kept), self._encoder, True))

    def gradients(self, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        self.fit_model.zero_grad()
        self.fit_model(**batch)["loss"].backward()
        return {name: p.grad.clone() for name, p in self.fit_model.named_parameters() if p.grad is not None}


@pytest.fixture
def bench(tiny_base: Path, make_recipe: Any, rows: list[dict[str, Any]]) -> Bench:
    return Bench(make_recipe(tiny_base), rows)


HEADS = ("model.classifier", "model.cue_tagger", "rule_head")


def moved(gradients: dict[str, torch.Tensor]) -> set[str]:
    return {head for head in HEADS if bool(gradients[f"{head}.weight"].any())}


def test_labelled_sentences_move_every_head(bench: Bench) -> None:
    assert moved(bench.gradients(bench.batch(4, 0))) == set(HEADS)


def test_fragments_alone_move_nothing(bench: Bench) -> None:
    gradients = bench.gradients(bench.batch(0, 5))
    assert all(bool(torch.isfinite(found).all()) for found in gradients.values())
    assert moved(gradients) == set()


def test_fragments_beside_sentences_do_not_move_the_label_head(bench: Bench) -> None:
    mixed = bench.batch(4, 5)
    alone = {name: value[:4] for name, value in mixed.items()}
    for name in ("model.classifier.weight", "rule_head.weight", "model.cue_tagger.weight"):
        torch.testing.assert_close(bench.gradients(mixed)[name], bench.gradients(alone)[name])


def test_label_weights_and_smoothing_reach_the_loss(bench: Bench) -> None:
    batch = bench.batch(6, 2)
    only_labels = {"rule_weight": 0.0, "cue_weight": 0.0}
    weights = torch.tensor([0.5, 1.0, 2.5])
    model = bench.fit_model.model
    weighted = FitModel(model, TrainRecipe(label_smoothing=0.2, **only_labels), weights).eval()
    output = weighted(**batch)
    known = batch["labels"] != IGNORE
    # Both by the textbook: mean over the sentences' weights; 0.2 of each target spread over all labels.
    logs, gold = output["logits"][known].log_softmax(-1), batch["labels"][known]
    hard = -(weights[gold] * logs[range(len(gold)), gold]).sum()
    spread = -(logs * weights).sum() / 3
    expected = (0.8 * hard + 0.2 * spread) / weights[gold].sum()
    torch.testing.assert_close(output["loss"], expected)


def test_a_weight_of_nothing_leaves_a_sentence_out(bench: Bench) -> None:
    batch = bench.batch(6, 2)
    light = batch | {"weights": torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0])}
    kept = batch["labels"].new_tensor([0, 2, 3, 6, 7])
    without = {name: value[kept] for name, value in batch.items()}
    found, expected = bench.gradients(light), bench.gradients(without)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], msg=name)
    none = bench.gradients(batch | {"weights": torch.zeros(8)})
    assert not any(bool(gradient.any()) for gradient in none.values())


def test_a_half_weight_counts_half(bench: Bench) -> None:
    batch = bench.batch(5, 0)
    bench.fit_model._recipe = TrainRecipe(rule_weight=0.0, cue_weight=0.0)
    weights = torch.tensor([1.0, 0.5, 0.5, 1.0, 0.5])
    output = bench.fit_model(**batch | {"weights": weights})
    each = torch.nn.functional.cross_entropy(output["logits"], batch["labels"], reduction="none")
    torch.testing.assert_close(output["loss"], (each * weights).sum() / 3.5)


@pytest.mark.parametrize("part", ["rule_weight", "cue_weight"])
def test_a_weight_of_zero_switches_its_loss_off(bench: Bench, part: str) -> None:
    head = {"rule_weight": "rule_head", "cue_weight": "model.cue_tagger"}[part]
    bench.fit_model._recipe = TrainRecipe(**{part: 0.0})
    assert moved(bench.gradients(bench.batch(4, 2))) == set(HEADS) - {head}
