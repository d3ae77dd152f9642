"""The order of sentences, the rates of layers, the figures on dev, and what stands beside the steps."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import EvalPrediction, TrainerControl, TrainerState

from framelens.errors import InputError
from framelens_training import callbacks
from framelens_training.callbacks import Checkpoints, MetricsFile, metrics
from framelens_training.features import IGNORE
from framelens_training.fit import fresh_model
from framelens_training.objective import FitModel
from framelens_training.rates import parameter_groups
from framelens_training.recipe import TrainRecipe
from framelens_training.trainer import EpochSampler, FitTrainer, dev_metrics, training_arguments

if TYPE_CHECKING:
    from pathlib import Path

LENGTHS = st.lists(st.integers(1, 200), min_size=1, max_size=60)


@given(LENGTHS, st.integers(1, 8), st.integers(0, 9), st.integers(0, 9))
def test_an_epoch_reads_every_sentence_once_and_in_the_same_order_again(
    lengths: list[int], size: int, seed: int, epoch: int
) -> None:
    torch.manual_seed(1)
    sampler = EpochSampler(lengths, size, seed)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert sorted(order) == list(range(len(lengths)))
    assert len(sampler) == len(lengths)
    # Whatever torch has drawn since, and whichever epoch came before.
    torch.manual_seed(2)
    other = EpochSampler(lengths, size, seed)
    list(other)
    other.set_epoch(epoch)
    assert list(other) == order


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochSampler([7] * 40, 4, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_sentences_of_like_length_share_a_batch() -> None:
    lengths = np.random.default_rng(0).integers(1, 100, 800)
    order = np.array(list(EpochSampler(lengths.tolist(), 8, 0)))
    within = np.ptp(lengths[order].reshape(-1, 8), axis=1).mean()
    assert within < 0.2 * np.ptp(lengths.reshape(-1, 8), axis=1).mean()


def prediction(gold: list[int], found: list[int]) -> EvalPrediction:
    return EvalPrediction(predictions=np.eye(3)[found], label_ids=np.array(gold))


def test_figures_on_dev_by_hand() -> None:
    # Of the second label one of two is found, and what is found for it is right in one case of two.
    figures = dev_metrics(prediction([0, 0, 1, 1, 2, IGNORE], [0, 1, 1, 2, 2, 0]))
    f1 = {"state_media_framing": 2 / 3, "independent_reporting": 1 / 2, "hedged_claim": 2 / 3}
    assert figures == pytest.approx(
        {"macro_f1": 11 / 18, "accuracy": 3 / 5, **{f"f1_{label}": value for label, value in f1.items()}}
    )


def test_kinds_of_outlet_are_measured_apart() -> None:
    gold, found = [0, 1, 2, 0, 1, 2, IGNORE], [0, 1, 2, 1, 2, 0, 0]
    unseen = np.array([False, False, False, True, True, True, True])
    figures = dev_metrics(prediction(gold, found), unseen)
    assert figures["macro_f1_in_outlet"] == 1
    assert figures["macro_f1_unseen_outlet"] == 0
    everywhere = dev_metrics(prediction(gold, found), np.ones(7, dtype=bool))
    assert "macro_f1_in_outlet" not in everywhere
    assert everywhere["macro_f1_unseen_outlet"] == everywhere["macro_f1"]


def test_a_label_that_is_never_found_counts_nothing() -> None:
    figures = dev_metrics(prediction([0, 1, 2], [1, 1, 1]))
    assert figures["f1_state_media_framing"] == 0
    assert figures["macro_f1"] == pytest.approx(0.5 / 3)


def test_what_a_fit_sets_goes_before_what_all_fits_have(tmp_path: Path) -> None:
    recipe = TrainRecipe(batch_size=3, warmup=0.2)
    plain = training_arguments(recipe, tmp_path)
    assert (plain.per_device_train_batch_size, plain.warmup_steps, plain.save_total_limit) == (3, 0.2, 1)
    assert training_arguments(recipe, tmp_path, save_total_limit=2).save_total_limit == 2


@pytest.fixture
def fit_model(tiny_base: Path, make_recipe: Any) -> FitModel:
    model, _ = fresh_model(make_recipe(tiny_base, pooling="attention"))
    return FitModel(model, TrainRecipe(), torch.ones(3))


def rates(module: FitModel, recipe: TrainRecipe) -> dict[str, tuple[float, float]]:
    """Rate and weight decay of every parameter; each must stand in one group."""
    decayed = {name for name, _ in module.named_parameters() if name.endswith("weight")}
    groups = parameter_groups(module, module.model, recipe, decayed)
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    counted = Counter(id(parameter) for group in groups for parameter in group["params"])
    assert set(counted.values()) == {1}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in groups
        for parameter in group["params"]
    }


def test_each_layer_learns_more_slowly_than_the_one_above_it(fit_model: FitModel) -> None:
    recipe = TrainRecipe(learning_rate=1e-3, layer_decay=0.5, head_learning_rate=4e-3, weight_decay=0.1)
    found = rates(fit_model, recipe)
    assert found.keys() == dict(fit_model.named_parameters()).keys()
    by_part = {
        "model.encoder.embeddings.": 0.25e-3, "model.encoder.encoder.layer.0.": 0.5e-3,
        "model.encoder.encoder.layer.1.": 1e-3, "model.pool_scores": 4e-3, "model.classifier": 4e-3,
        "model.cue_tagger": 4e-3, "rule_head": 4e-3,
    }  # fmt: skip
    for name, (rate, decay) in found.items():
        (expected,) = (value for part, value in by_part.items() if name.startswith(part))
        assert rate == pytest.approx(expected)
        assert decay == (0.1 if name.endswith("weight") else 0.0)


def test_heads_alone_may_learn_faster(fit_model: FitModel) -> None:
    fit_model.model.encoder.embeddings.requires_grad_(requires_grad=False)
    found = rates(fit_model, TrainRecipe(learning_rate=1e-3, head_learning_rate=1e-2))
    assert {rate for name, (rate, _) in found.items() if ".encoder." in name} == {1e-3}
    assert {rate for name, (rate, _) in found.items() if ".encoder." not in name} == {1e-2}
    assert not any("embeddings" in name for name in found)


def test_an_encoder_without_layers_of_its_own_is_named(fit_model: FitModel) -> None:
    fit_model.model.config.encoder.num_hidden_layers = 7
    with pytest.raises(
        InputError, match=r"train\.layer_decay needs an encoder of separate layers, got a bert"
    ):
        rates(fit_model, TrainRecipe(layer_decay=0.9))
    assert rates(fit_model, TrainRecipe(head_learning_rate=1e-2))


@pytest.mark.parametrize(("change", "n_groups"), [({}, 2), ({"layer_decay": 0.9}, 8)])
def test_the_optimiser_is_the_trainers_own_but_for_the_rates(
    change: dict[str, float], n_groups: int, fit_model: FitModel, tmp_path: Path
) -> None:
    recipe = TrainRecipe(**change)
    sampler = EpochSampler([3, 4], 1, 0)
    trainer = FitTrainer(
        fit_model, recipe, sampler, args=training_arguments(recipe, tmp_path), train_dataset=[{}, {}]
    )
    optimiser = trainer.create_optimizer()
    assert len(optimiser.param_groups) == n_groups
    assert optimiser.param_groups[0]["betas"] == (0.9, 0.999)
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(fit_model.parameters()))


HISTORY = [
    {"loss": 2.0, "learning_rate": 0.1, "epoch": 0.5, "step": 10},
    {"eval_macro_f1": 0.5, "eval_loss": 1.5, "eval_runtime": 3.2, "eval_samples_per_second": 9, "epoch": 1.0,
     "step": 20},
    {"train_runtime": 8.0, "train_loss": 1.9, "total_flos": 12, "epoch": 1.0, "step": 20},
]  # fmt: skip
KEPT = [
    {"step": 10, "epoch": 0.5, "learning_rate": 0.1, "loss": 2.0},
    {"step": 20, "epoch": 1.0, "eval_loss": 1.5, "eval_macro_f1": 0.5},
]


def test_metrics_are_what_two_equal_fits_have_in_common() -> None:
    found = list(metrics(HISTORY))
    assert found == KEPT
    assert [list(entry) for entry in found] == [list(entry) for entry in KEPT]


def test_the_file_of_metrics_grows_with_the_history_and_begins_with_it(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"loss": 1}\n{"los', encoding="utf-8")  # of a fit that was killed
    state = TrainerState(is_world_process_zero=True)
    state.log_history = HISTORY[:1]
    file = MetricsFile(path)
    file.on_train_begin(None, state, None)
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == KEPT[:1]
    for entry in HISTORY[1:]:
        state.log_history.append(entry)
        file.on_log(None, state, None)
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == KEPT


@pytest.mark.parametrize(
    ("minutes", "step", "logged", "asked"),
    [
        (2, 20, True, True),
        (2, 20, False, False),
        # The last step of an epoch: dev is looked at first.
        (2, 30, True, False),
        (3, 20, True, False),
        (0, 20, True, True),
    ],
)
def test_a_checkpoint_is_asked_for_when_it_is_time(
    minutes: float, step: int, logged: bool, asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr(callbacks, "time", clock)
    now = 100.0
    checkpoints = Checkpoints(minutes, tmp_path / "time.json", before=5.0)
    now = 100.0 + 150.0
    state = TrainerState(global_step=step, max_steps=90, num_train_epochs=3, is_world_process_zero=True)
    control = TrainerControl(should_log=logged)
    args = SimpleNamespace(world_size=1)
    checkpoints.on_step_end(args, state, control)
    assert control.should_save == asked
    checkpoints.on_save(args, state, control)
    assert json.loads((tmp_path / "time.json").read_bytes()) == {"seconds": 155.0}
    # The next one is due so many minutes later.
    control = TrainerControl(should_log=True)
    checkpoints.on_step_end(args, TrainerState(global_step=22, max_steps=90, num_train_epochs=3), control)
    assert control.should_save == (minutes == 0)
