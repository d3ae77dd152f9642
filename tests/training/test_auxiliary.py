"""Auxiliary tasks: their draws and losses by hand, fits that learn them, and the record of what was read."""

from __future__ import annotations

import json
import math
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from framelens.bundle import find_bundle
from framelens.encoding import PairEncoder
from framelens.errors import InputError
from framelens_training.auxiliary import AuxiliarySet, TaskCollator, check_tasks, quotas, read_auxiliary, turn
from framelens_training.build import build, write_build
from framelens_training.card import write_card
from framelens_training.data_sets import data_sets
from framelens_training.features import IGNORE, sentence_features
from framelens_training.fit import fit, fresh_model
from framelens_training.objective import FitModel, TaskHeads
from framelens_training.recipe import (
    AuxiliaryRecipe,
    DistilRecipe,
    Recipe,
    StudentRecipe,
    TrainRecipe,
    load_recipe,
)
from framelens_training.rundir import begin_run
from framelens_training.trainer import EpochSampler

if TYPE_CHECKING:
    from collections.abc import Callable

HEDGE = [
    ("The bridge may have been closed by then.", "hedge"),
    ("Perhaps forty goats crossed the ridge.", "hedge"),
    ("It is thought that the well ran dry.", "hedge"),
    ("Some bakers seem to prefer rye flour.", "hedge"),
    ("The kiln was built of red brick.", "none"),
    ("Ferries leave the island at noon.", "none"),
    ("Her brother repairs clocks and scales.", "none"),
    ("A gale broke two masts in the harbour.", "none"),
    ("The choir rehearses on Thursdays.", "none"),
]
TONE = [
    ("What a shameful waste of good timber!", "loaded"),
    ("Only a fool would plant maize here.", "loaded"),
    ("Lovely, generous, wonderful rain at last.", "praise"),
    ("The orchard covers nine acres.", "flat"),
]


@pytest.fixture(scope="session")
def folder(data_dir: Path, tmp_path_factory: Any) -> Path:
    """The made-up folder, and two tasks of three public sets, one of which keeps weights from shipping."""
    folder = Path(shutil.copytree(data_dir, tmp_path_factory.mktemp("tasks") / "data"))
    sources = [
        ("hints", "hedge", HEDGE[:-3], "CC BY-SA 4.0", "open"),
        ("loud", "tone", TONE, "no licence stated", "unstated"),
        ("closed", "hedge", HEDGE[-3:], "AGPL-3.0", "agpl"),
    ]
    declared = [
        '[[source]]\nname = "judged"\nkind = "annotated"\nlicence = "ours"\nterms = "open"\n'
        'files = ["annotated/sentences.jsonl.gz", "annotated/not_annotated.jsonl.gz"]\n'
    ]
    for name, task, rows, licence, terms in sources:
        lines = [json.dumps({"text": text, "label": label, "split": "train"}) + "\n" for text, label in rows]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
        labels = ", ".join(f'{label} = "{label}"' for label in sorted({label for _, label in rows}))
        declared.append(
            f'[[source]]\nname = "{name}"\nkind = "benchmark"\nrole = "train"\nfiles = ["{name}.jsonl"]\n'
            f'licence = "{licence}"\nterms = "{terms}"\ntask = "{task}"\nlabels = {{ {labels} }}\n'
            f"weight = {2.0 if name == 'loud' else 1.0}\non = {str(name != 'closed').lower()}\n"
        )
    (folder / "sources.toml").write_text("\n".join(declared), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def make(folder: Path, tiny_base: Path, make_recipe: Any) -> Callable[..., Recipe]:
    """A recipe on that folder with an ``[auxiliary]``."""

    def made(**auxiliary: Any) -> Recipe:
        plain: Recipe = make_recipe(tiny_base)
        data = plain.data.model_copy(update={"sources": str(folder / "sources.toml")})
        return plain.model_copy(update={"data": data, "auxiliary": AuxiliaryRecipe(**auxiliary)})

    return made


@pytest.fixture(scope="session")
def built(make: Any, folder: Path, tmp_path_factory: Any) -> Path:
    found: Path = tmp_path_factory.mktemp("built") / "data"
    write_build(build(make().data, folder), found)
    return found


@pytest.fixture(scope="session")
def encoder(tiny_base: Path, make_recipe: Any) -> PairEncoder:
    _, tokenizer = fresh_model(make_recipe(tiny_base))
    return PairEncoder(tokenizer.backend_tokenizer, 64)


# -- what an epoch draws --


@pytest.mark.parametrize(
    ("sizes", "n", "expected"),
    [
        # Roots 2, 4 and 6.
        ([4, 16, 36], 12, [2, 4, 6]),
        ([4, 16, 36], 0, [0, 0, 0]),
        ([9], 20, [20]),
        # Roots 1 and 3: two of eight and six.
        ([1, 9], 8, [2, 6]),
        ([], 0, []),
    ],
)
def test_quotas_by_hand(sizes: list[int], n: int, expected: list[int]) -> None:
    assert quotas(sizes, n) == expected


@given(st.lists(st.integers(1, 50_000), min_size=1, max_size=8), st.integers(0, 40_000))
def test_quotas_sum_up_and_go_with_the_roots(sizes: list[int], n: int) -> None:
    found = quotas(sizes, n)
    assert sum(found) == n
    total = sum(map(math.sqrt, sizes))
    for size, quota in zip(sizes, found, strict=True):
        assert quota >= 0
        assert abs(quota - n * math.sqrt(size) / total) <= 1 + 1e-6


@given(st.integers(1, 30), st.integers(0, 70), st.integers(1, 6), st.text(max_size=3))
def test_no_sentence_comes_again_before_all_have_come(size: int, quota: int, epochs: int, key: str) -> None:
    shown = [place for epoch in range(epochs) for place in turn(size, quota, epoch, key)]
    assert len(shown) == epochs * quota
    for first in range(0, len(shown), size):
        part = shown[first : first + size]
        assert len(set(part)) == len(part)
        assert set(part) <= set(range(size))


def test_seeds_tasks_and_rounds_have_orders_of_their_own() -> None:
    orders = [tuple(turn(40, 40, epoch, key)) for epoch in range(3) for key in ("0:a", "0:b", "1:a")]
    assert len(set(orders)) == 9


def test_an_epoch_reads_all_of_ours_and_a_share_of_theirs(built: Path, encoder: PairEncoder) -> None:
    tasks = ("tone", "hedge")
    rows = read_auxiliary(built, tasks)
    auxiliary = AuxiliarySet(rows, tasks, encoder, seed=3)
    assert auxiliary.n_targets == {"tone": 3, "hedge": 2}
    # One task behind another in the recipe's order, whatever that of the file.
    assert [feature["task"] for feature in auxiliary.features] == [0] * 4 + [1] * 6
    own = 10
    lengths = [5] * own + [len(feature["pair"]) for feature in auxiliary.features]
    sampler = EpochSampler(lengths, 2, 3, auxiliary.beside(own, share=0.5))
    assert len(sampler) == 15
    theirs: Counter[int] = Counter()
    orders = []
    for epoch in range(4):
        sampler.set_epoch(epoch)
        orders.append(tuple(sampler))
        assert sorted(orders[-1])[:own] == list(range(own))
        theirs.update(place - own for place in orders[-1] if place >= own)
    assert len(set(orders)) == 4
    # Of every five, 2 : sqrt(6) give 2 and 3: in four epochs all come twice.
    assert theirs == Counter(dict.fromkeys(range(10), 2))
    # A share of nothing leaves ours alone.
    assert sorted(EpochSampler(lengths, 2, 3, auxiliary.beside(own, share=0.0))) == list(range(own))


def test_without_tasks_nothing_is_read_and_the_order_is_as_ever(encoder: PairEncoder, tmp_path: Path) -> None:
    none = AuxiliarySet(read_auxiliary(tmp_path / "absent", ()), (), encoder, seed=0)
    lengths = [3, 9, 4, 4, 8, 1, 7]
    sampler = EpochSampler(lengths, 2, 0, none.beside(len(lengths), share=0.5))
    assert list(sampler) == list(EpochSampler(lengths, 2, 0))
    assert (none.features, none.n_targets) == ([], {})


# -- losses --


def heads(**n_targets: int) -> TaskHeads:
    """Heads that find every target as likely as any other."""
    found = TaskHeads(3, n_targets, weight=0.5)
    for parameter in found.parameters():
        torch.nn.init.zeros_(parameter)
    return found


def test_losses_by_hand() -> None:
    tasks = heads(a=2, b=4)
    targets = torch.tensor([[0, IGNORE], [IGNORE, 3], [IGNORE, IGNORE], [1, IGNORE]])
    weights = torch.tensor([1.0, 0.5, 7.0, 2.0])
    pooled = torch.ones(4, 3)
    # ln 2 of a, twice as much of b; the third sentence is of no task.
    whole = (1 + 0.5 * 2 + 2) * math.log(2)
    torch.testing.assert_close(tasks(pooled, targets, weights), torch.tensor(0.5 * whole / 3.5))
    sums = tasks.take_sums()
    torch.testing.assert_close(sums, torch.tensor([[3 * math.log(2), math.log(2)], [3.0, 0.5]]))
    # One of a that is found with 1 in 4, and the other with 3 in 4.
    with torch.no_grad():
        tasks.heads[0].bias.copy_(torch.tensor([0.0, math.log(3)]))  # type: ignore[union-attr, operator]
    whole = math.log(4) + 0.5 * math.log(4) + 2 * math.log(4 / 3)
    torch.testing.assert_close(tasks(pooled, targets, weights), torch.tensor(0.5 * whole / 3.5))


def test_the_sums_are_those_of_training_since_they_were_taken() -> None:
    tasks = heads(a=2)
    one = torch.ones(1, 3), torch.tensor([[1]]), torch.ones(1)
    tasks.eval()(*one)
    assert not tasks.take_sums().any()
    for _ in range(3):
        tasks.train()(*one)
    torch.testing.assert_close(tasks.take_sums(), torch.tensor([[3 * math.log(2)], [3.0]]))
    assert not tasks.take_sums().any()


def test_a_batch_of_no_task_costs_nothing_and_moves_nothing() -> None:
    tasks = TaskHeads(3, {"a": 2, "b": 4}, weight=0.5)
    pooled = torch.ones(2, 3, requires_grad=True)
    loss = tasks(pooled, torch.full((2, 2), IGNORE), torch.ones(2))
    loss.backward()
    assert loss.item() == 0
    gradients = [pooled.grad, *(parameter.grad for parameter in tasks.parameters())]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


class Bench:
    """A model with the heads of both tasks, and features of ours and of theirs."""

    def __init__(self, recipe: Recipe, built: Path, encoder: PairEncoder, rows: list[dict[str, Any]]) -> None:
        torch.manual_seed(0)
        model, _ = fresh_model(recipe)
        tasks = ("hedge", "tone")
        auxiliary = AuxiliarySet(read_auxiliary(built, tasks), tasks, encoder, 0)
        heads = TaskHeads(model.config.encoder.hidden_size, auxiliary.n_targets, 0.5)
        self.model = FitModel(model, TrainRecipe(), torch.ones(3), heads).eval()
        self.collator = TaskCollator(encoder.pad_id, 2)
        self.ours = sentence_features([row for row in rows if row["label"]][:4], encoder, context=True)
        self.theirs = auxiliary.features

    def loss(self, features: list[dict[str, Any]]) -> torch.Tensor:
        loss: torch.Tensor = self.model(**self.collator(features))["loss"]
        return loss

    def moved(self, features: list[dict[str, Any]]) -> set[str]:
        self.model.zero_grad()
        self.loss(features).backward()
        names = ("model.classifier", "model.cue_tagger", "rule_head", "tasks.heads.0", "tasks.heads.1")
        parameters = dict(self.model.named_parameters())
        assert parameters["model.encoder.embeddings.word_embeddings.weight"].grad.any()  # type: ignore[union-attr]
        return {name for name in names if parameters[f"{name}.weight"].grad.any()}  # type: ignore[union-attr]


@pytest.fixture
def bench(make: Any, built: Path, encoder: PairEncoder, rows: list[dict[str, Any]]) -> Bench:
    return Bench(make(), built, encoder, rows)


def test_a_mixed_batch_costs_what_its_parts_cost(bench: Bench) -> None:
    parts = bench.loss(bench.ours) + bench.loss(bench.theirs)
    torch.testing.assert_close(bench.loss([*bench.ours[:2], *bench.theirs, *bench.ours[2:]]), parts)


def test_a_sentence_moves_the_heads_of_its_own_task_alone(bench: Bench) -> None:
    assert bench.moved(bench.ours) == {"model.classifier", "model.cue_tagger", "rule_head"}
    hedge = [feature for feature in bench.theirs if feature["task"] == 0]
    tone = [feature for feature in bench.theirs if feature["task"] == 1]
    assert bench.moved(hedge) == {"tasks.heads.0"}
    assert bench.moved(tone[:1]) == {"tasks.heads.1"}
    assert bench.moved([hedge[0], tone[0], bench.ours[0]]) >= {"tasks.heads.0", "tasks.heads.1", "rule_head"}


def test_targets_stand_in_the_column_of_their_task(bench: Bench) -> None:
    batch = bench.collator([bench.ours[0], *bench.theirs])
    # By the alphabet: hedge 0 and none 1; flat 0, loaded 1 and praise 2.
    hedge, tone = batch["task_targets"].T.tolist()
    assert hedge == [IGNORE, 0, 0, 0, 0, 1, 1, *[IGNORE] * 4]
    assert tone == [*[IGNORE] * 7, 1, 1, 2, 0]
    # The weight that the source declares.
    assert batch["weights"].tolist() == [1.0] * 7 + [2.0] * 4
    assert set(batch["labels"][1:].tolist()) == set(batch["rules"][1:].tolist()) == {IGNORE}
    assert (batch["cue_labels"][1:] == IGNORE).all()


# -- fits --

#: Before: two epochs of five steps, and a checkpoint at each one's end. Then two epochs of 21 steps, with
#: checkpoints behind the tenth, twentieth and so on and at the ends.
KILLS = (
    "before/checkpoints/checkpoint-10",
    "run/checkpoints/checkpoint-10/trainer_state",
    "run/checkpoints/checkpoint-30",
)
EQUAL = ("model/model.safetensors", "metrics.jsonl", "before/metrics.jsonl", "dev_predictions.jsonl")


@pytest.fixture(scope="module")
def both(make: Any) -> Recipe:
    """Learns both tasks before ours and beside it."""
    found: Recipe = make(tasks=("hedge", "tone"), share=0.5, before=2)
    return found


@pytest.fixture(scope="module")
def unbroken(both: Recipe, folder: Path, fit_in_process: Any, tmp_path_factory: Any) -> Path:
    run: Path = tmp_path_factory.mktemp("unbroken") / "run"
    assert fit_in_process(both, run, folder, None) == 0
    return run


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_fit_killed_in_either_part_comes_to_the_same_weights(
    both: Recipe, folder: Path, fit_in_process: Any, unbroken: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for killed_before in KILLS:
        assert fit_in_process(both, run, folder, killed_before) == -signal.SIGKILL
        assert not (run / "model").exists()
    assert fit_in_process(both, run, tmp_path / "gone", None) == 0
    for name in EQUAL:
        assert (run / name).read_bytes() == (unbroken / name).read_bytes(), name


def test_the_loss_of_every_task_is_logged(unbroken: Path) -> None:
    names = {"auxiliary_loss_hedge", "auxiliary_loss_tone"}
    for name, steps in (("before/metrics.jsonl", [5, 10]), ("metrics.jsonl", [10, 20, 21, 30, 40, 42])):
        logged = [entry for entry in entries(unbroken / name) if "loss" in entry]
        assert [entry["step"] for entry in logged] == steps
        told = [entry for entry in logged if names <= entry.keys()]
        # The one step between two logs may hold no sentence of a task.
        assert len(told) >= len(logged) - 2
        assert all(entry[name] > 0 for entry in told for name in names)
    # Dev has none, and is looked at behind our own epochs alone.
    measured = [entry for entry in entries(unbroken / "metrics.jsonl") if "eval_macro_f1" in entry]
    assert [entry["step"] for entry in measured] == [21, 42]
    assert not any(name in entry for entry in measured for name in names)
    assert not any("eval_macro_f1" in entry for entry in entries(unbroken / "before" / "metrics.jsonl"))


def test_the_heads_stay_behind_and_the_time_is_that_of_both_parts(unbroken: Path, tiny_run: Any) -> None:
    fitted, plain = (load_file(run / "model" / "model.safetensors") for run in (unbroken, tiny_run.folder))
    assert fitted.keys() == plain.keys()
    assert any(not torch.equal(fitted[name], plain[name]) for name in fitted)
    before, whole = (
        json.loads((folder / "time.json").read_bytes())["seconds"]
        for folder in (unbroken / "before", unbroken)
    )
    assert 0 < before < whole
    assert sorted(path.name for path in (unbroken / "before").iterdir()) == ["metrics.jsonl", "time.json"]


def test_without_tasks_a_fit_is_what_it_was(make: Any, built: Path, tiny_run: Any, tmp_path: Path) -> None:
    """Though the data set has auxiliary sentences."""
    fit(make(), tmp_path / "run", data=built)
    assert (tmp_path / "run" / "splits" / "auxiliary.jsonl").is_file()
    for name in ("model/model.safetensors", "metrics.jsonl", "dev_predictions.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tiny_run.folder / name).read_bytes()
    assert not (tmp_path / "run" / "before").exists()


def test_tasks_before_alone_leave_our_epochs_to_ours(make: Any, built: Path, tmp_path: Path) -> None:
    fit(make(tasks=("tone",), share=0, before=1), tmp_path / "run", data=built)
    assert all("auxiliary_loss_tone" in entry for entry in entries(tmp_path / "run/before/metrics.jsonl"))
    own = entries(tmp_path / "run" / "metrics.jsonl")
    assert [entry["step"] for entry in own if "eval_macro_f1" in entry] == [14, 28]
    assert not any("auxiliary_loss_tone" in entry for entry in own)


# -- what is refused --


def test_a_task_that_the_data_set_lacks_is_named_with_how_to_build_it(
    make: Any, built: Path, data_dir: Path, make_recipe: Any, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.json").write_text("{}", encoding="utf-8")  # an old run, which stays as it is
    with pytest.raises(
        InputError,
        match=r"names 'propaganda', and the data set has hedge, tone; .*`framelens-train data --with ptc -o",
    ):
        fit(make(tasks=("hedge", "propaganda")), run, data=built, overwrite=True)
    with pytest.raises(InputError, match=r"names 'odd', .*declaration, and build with `--with` its name"):
        fit(make(tasks=("odd",)), run, data=built, overwrite=True)
    plain = make_recipe("nowhere").model_copy(update={"auxiliary": AuxiliaryRecipe(tasks=("hedge",))})
    with pytest.raises(InputError, match="the data set has no auxiliary sentences; build one"):
        fit(plain, run, data_dir, overwrite=True)
    assert [path.name for path in run.iterdir()] == ["recipe.json"]


def test_sets_that_keep_weights_from_shipping_are_not_offered() -> None:
    with pytest.raises(InputError) as caught:
        check_tasks(("bias",), {"auxiliary": {}})
    assert "--with basil" in str(caught.value)
    assert "babe" not in str(caught.value)


def test_a_task_of_one_target_is_refused() -> None:
    record = {"auxiliary": {"tone": {"flat": 9}, "hedge": {"hedge": 1, "none": 3}}}
    check_tasks(("hedge",), record)
    with pytest.raises(InputError, match="names 'tone', and all its sentences have the target 'flat'"):
        check_tasks(("hedge", "tone"), record)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("before = 1", "before asks for epochs on auxiliary tasks, and tasks names none"),
        ('tasks = ["a"]\nshare = 0', "with share = 0 and before = 0 nothing of them is read"),
        ('tasks = ["a", "a"]', "tasks names a task twice"),
        ('tasks = ["a"]\nweight = 0', "auxiliary.weight: Input should be greater than 0"),
        ('tasks = ["a"]\nshare = -1', "auxiliary.share: Input should be greater than or equal to 0"),
    ],
)
def test_a_section_that_makes_no_sense_is_refused(section: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        f'name = "m"\n[data]\ndev_outlets = []\ntest_outlets = []\n[auxiliary]\n{section}\n', encoding="utf-8"
    )
    with pytest.raises(InputError) as caught:
        load_recipe(str(path), Recipe)
    assert said in str(caught.value)


# -- the record of what was read --


def stated(entries: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(entry["name"], entry["task"], entry["sentences"], entry["terms"]) for entry in entries]


def test_a_run_says_which_data_sets_it_was_fitted_on(
    make: Any, built: Path, tmp_path: Path, data_recipe: Any
) -> None:
    own = ("judged", None, sum(row["label"] is not None for row in entries(built / "train.jsonl")), "open")
    for tasks, theirs in (
        ((), []),
        (("tone",), [("loud", "tone", 4, "unstated")]),
        (("tone", "hedge"), [("hints", "hedge", 6, "open"), ("loud", "tone", 4, "unstated")]),
    ):
        run = tmp_path / f"run{len(tasks)}"
        begin_run(make(tasks=tasks), run, None, False, built)
        assert stated(data_sets(run)) == [own, *theirs]
    # A student was touched by what its teachers read.
    teachers = (str(tmp_path / "run0"), str(tmp_path / "run2"))
    student = StudentRecipe(layers=(0,), layers_of=str(tmp_path / "run1"))
    recipe = DistilRecipe(name="student", teachers=teachers, data=make().data, student=student)
    begin_run(recipe, tmp_path / "student", None, False, built)
    found = data_sets(tmp_path / "student")
    assert stated(found[:1]) == [own]
    assert Counter(entry["teacher"] for entry in found[1:]) == {
        str(tmp_path / "run0"): 1, str(tmp_path / "run2"): 3, str(tmp_path / "run1"): 2,
    }  # fmt: skip
    (tmp_path / "run2").rename(tmp_path / "moved")
    with pytest.raises(InputError, match=r"learned from .*run2, which is not there any more"):
        data_sets(tmp_path / "student")


def test_a_teacher_without_a_record_is_said(make: Any, built: Path, own_run: Any, tmp_path: Path) -> None:
    recipe = DistilRecipe(
        name="student", teachers=(str(own_run.bundle),), data=make().data, student=StudentRecipe(layers=(0,))
    )
    begin_run(recipe, tmp_path / "student", None, False, built)
    assert data_sets(tmp_path / "student")[1:] == [
        dict.fromkeys(("name", "task", "sentences", "licence", "terms")) | {"teacher": str(own_run.bundle)}
    ]
    # Its card is the record.
    write_card(own_run.folder, own_run.bundle, {})
    found = data_sets(tmp_path / "student")[1:]
    assert found == [entry | {"teacher": str(own_run.bundle)} for entry in data_sets(own_run.folder)]


def test_the_card_states_data_sets_and_licences(
    make: Any, built: Path, folder: Path, own_run: Any, tmp_path: Path
) -> None:
    def card(recipe: Recipe, data: Path) -> str:
        begin_run(recipe, tmp_path / "begun", None, True, data)
        for name in ("recipe.json", "splits"):
            source, place = tmp_path / "begun" / name, own_run.folder / name
            shutil.rmtree(place) if place.is_dir() else place.unlink()
            source.rename(place)
        (tmp_path / "begun" / "recipe.json").touch()
        write_card(own_run.folder, own_run.bundle, {})
        return (own_run.bundle / "model_card.md").read_text(encoding="utf-8")

    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "recipe.json").touch()
    open_card = card(make(tasks=("hedge",)), built)
    assert "| `hints` | auxiliary task `hedge` | 6 | CC BY-SA 4.0 | open |" in open_card
    assert "`loud`" not in open_card
    assert "license: apache-2.0\n" in open_card
    assert "may not ship" not in open_card

    recipe = make(tasks=("hedge",))
    data = recipe.data.model_copy(update={"include": ("closed",), "allow_restricted": True})
    write_build(build(data, folder), tmp_path / "restricted")
    closed_card = card(recipe.model_copy(update={"data": data}), tmp_path / "restricted")
    assert "| `closed` | auxiliary task `hedge` | 3 | AGPL-3.0 | agpl |" in closed_card
    assert "license: other\n" in closed_card
    assert "may not ship: they were fitted on closed (AGPL-3.0).**" in closed_card
    # Read, and no task of it learned.
    unused = make(tasks=("tone",)).model_copy(update={"data": data})
    assert "may not ship" not in card(unused, tmp_path / "restricted")
    assert find_bundle(own_run.bundle).quality["data_sets"][1]["name"] == "loud"  # type: ignore[index]
