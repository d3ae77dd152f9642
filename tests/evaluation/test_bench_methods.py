"""The metric and its threshold, the baselines, the probe and fine-tuning, on tiny encoders."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from transformers import BertConfig, BertModel, BertTokenizerFast

from framelens import LABELS, InputError, ModelFormatError
from framelens_evaluation.bench.encoder import Encoder
from framelens_evaluation.bench.finetune import FineTune
from framelens_evaluation.bench.methods import (
    Always,
    Parts,
    Probe,
    TfIdf,
    ZeroShot,
    build_methods,
    suits,
)
from framelens_evaluation.bench.scoring import Scorer
from framelens_evaluation.bench.tasks import FineTuning, all_tasks
from framelens_evaluation.statistics.bootstrap import Resampling

if TYPE_CHECKING:
    from pathlib import Path

PTC, BABE = all_tasks()["ptc_emnlp2019"], all_tasks()["babe_sg2"]
PROPAGANDA = PTC.positive
LOADED = ("glorious", "heroic", "radiant", "mighty")
PLAIN = ("grey", "northern", "wooden", "little")
PLACES = ("pier", "mole", "bridge", "tower", "tunnel")
HOW = Resampling(seed=1, n_resamples=200)


def two_columns(shares: list[float], positive: int = 0) -> np.ndarray:
    found = np.empty((len(shares), 2))
    found[:, positive], found[:, 1 - positive] = shares, 1 - np.array(shares)
    return found


# --- metric and threshold ----------------------------------------------------------------------------

LABELLED = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40)


@given(LABELLED)
def test_macro_f1_is_that_of_scikit_learn_over_the_classes_in_gold(pairs: list[tuple[int, int]]) -> None:
    gold, found = np.array(pairs).T
    expected = f1_score(gold, found, labels=np.unique(gold), average="macro", zero_division=0)
    assert Scorer(3).score(gold, found) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40))
def test_f1_of_a_class_is_that_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    gold, found = np.array(pairs).T
    score = Scorer(2, positive=1).score(gold, found)
    if gold.any():
        assert score == pytest.approx(f1_score(gold, found, zero_division=0))
    else:
        assert np.isnan(score)


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.35, 0.5, 0.8, 1.0])), min_size=1),
    st.sampled_from([0, 1]),
)
def test_no_threshold_does_better_than_the_one_chosen(rows: list[tuple[bool, float]], positive: int) -> None:
    scorer = Scorer(2, positive)
    gold = np.array([positive if is_it else 1 - positive for is_it, _ in rows])
    probabilities = two_columns([share for _, share in rows], positive)
    chosen = scorer.threshold(gold, probabilities)
    if not any(is_it for is_it, _ in rows):
        assert chosen is None
        return
    tried = [scorer.score(gold, scorer.decide(probabilities, at)) for at in np.linspace(0, 1.01, 203)]
    reached = scorer.best_score(gold, probabilities)
    assert reached == pytest.approx(max(tried))
    order = np.random.default_rng(0).permutation(len(gold))
    assert scorer.threshold(gold[order], probabilities[order]) == pytest.approx(chosen)


def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_taken() -> None:
    scorer = Scorer(2, positive=0)
    assert scorer.threshold(np.array([0, 1]), two_columns([0.9, 0.2])) == pytest.approx(0.55)
    assert scorer.threshold(np.array([0, 0]), two_columns([0.9, 0.2])) == 0.0


def test_neighbouring_floats_are_still_told_apart() -> None:
    low = 0.3
    high = float(np.nextafter(low, 1))
    scorer, gold, shares = Scorer(2, positive=0), np.array([0, 1]), two_columns([high, low])
    assert scorer.decide(shares, scorer.threshold(gold, shares)).tolist() == [0, 1]


def test_macro_f1_needs_no_threshold() -> None:
    scorer = Scorer(3)
    probabilities = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    assert scorer.threshold(np.array([1, 0]), probabilities) is None
    assert scorer.decide(probabilities, None).tolist() == [1, 0]


def test_the_interval_resamples_groups() -> None:
    rng = np.random.default_rng(3)
    gold = rng.integers(0, 2, 400)
    # Whole groups of ten are right or wrong together.
    found = np.where(np.repeat(rng.random(40) < 0.7, 10), gold, 1 - gold)
    scorer = Scorer(2, positive=1)
    singly = scorer.interval(gold, found, [str(i) for i in range(400)], HOW, 0)
    grouped = scorer.interval(gold, found, [str(i // 10) for i in range(400)], HOW, 0)
    assert singly.value == grouped.value == pytest.approx(f1_score(gold, found))
    assert None not in (singly.low, singly.high, grouped.low, grouped.high)
    assert grouped.high - grouped.low > 1.8 * (singly.high - singly.low)  # type: ignore[operator]
    assert scorer.interval(gold, found, ["one"] * 400, HOW, 0).low is None
    assert grouped == scorer.interval(gold, found, [str(i // 10) for i in range(400)], HOW, 0)


def test_over_folds_the_score_is_their_mean() -> None:
    rng = np.random.default_rng(4)
    gold, found, fold = rng.integers(0, 3, 300), rng.integers(0, 3, 300), np.arange(300) // 100
    scorer, groups = Scorer(3), [str(i // 5) for i in range(300)]
    expected = np.mean([f1_score(gold[fold == at], found[fold == at], average="macro") for at in range(3)])
    interval = scorer.interval(gold, found, groups, HOW, 0, fold)
    assert interval.value == pytest.approx(expected)
    assert interval.low < expected < interval.high  # type: ignore[operator]
    # A fold on which the metric is not defined does not count.
    one_class = np.where(fold == 2, 0, 1)
    only = Scorer(2, positive=1).interval(one_class, one_class, groups, HOW, 0, fold)
    assert only.value == 1.0


# --- methods -----------------------------------------------------------------------------------------


def sentences(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Loaded and plain sentences in turn; one word tells them apart."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    texts = [
        f"The {rng.choice(LOADED if label == PROPAGANDA else PLAIN)} {rng.choice(PLACES)} opened ."
        for label in labels
    ]
    return texts, labels


def parts_of(task=PTC, **settings) -> Parts:
    train, dev, test = (sentences(n, seed) for n, seed in ((96, 0), (24, 1), (24, 2)))
    return Parts(task, Scorer(2, task.positive), train[0], train[1], dev[0], dev[1], test[0], **settings)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of two layers that knows every word above."""
    folder = tmp_path_factory.mktemp("tiny")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "opened", ".", *LOADED, *PLAIN, *PLACES]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=34,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(tiny: Path) -> Encoder:
    return Encoder(str(tiny))


def score(parts: Parts, answers) -> float:
    gold = sentences(24, 2)[1]
    threshold = parts.scorer.threshold(parts.dev_labels, answers.dev)
    return parts.scorer.score(gold, parts.scorer.decide(answers.test, threshold))


def test_a_method_is_given_no_label_of_test() -> None:
    fields = {field.name for field in dataclasses.fields(Parts)}
    assert {name for name in fields if name.startswith("test")} == {"test_texts"}
    assert {name for name in fields if "label" in name} == {"train_labels", "dev_labels"}


def test_the_floors() -> None:
    parts = dataclasses.replace(parts_of(), train_labels=np.array([1] * 60 + [0] * 36))
    majority, always = (Always(name).answer(parts) for name in ("majority", "always"))
    assert majority.is_final
    assert majority.test.argmax(-1).tolist() == [1] * 24
    assert always.test.argmax(-1).tolist() == [PROPAGANDA] * 24
    assert suits("always", PTC)
    assert not suits("always", BABE)


def test_tfidf_tells_separable_classes_apart() -> None:
    parts = parts_of()
    answers = TfIdf().answer(parts)
    assert score(parts, answers) == 1.0
    assert answers.test.sum(-1) == pytest.approx(np.ones(24))


@pytest.mark.parametrize("method", [TfIdf, lambda: Probe(None), lambda: FineTune(None)])
def test_one_class_cannot_be_fitted(method) -> None:
    parts = dataclasses.replace(parts_of(), train_labels=np.zeros(96, dtype=int))
    with pytest.raises(InputError, match="one class only"):
        method().answer(parts)


def test_the_probe_reads_the_first_token_and_the_mean(encoder: Encoder, tiny: Path) -> None:
    texts = ["The glorious pier opened .", "The mole .", "The little wooden tower opened ."]
    found = encoder.vectors(texts)
    assert found.shape == (3, 32)
    network = BertModel.from_pretrained(tiny).eval()
    for text, vector in zip(texts, found, strict=True):
        ids = encoder.tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            tokens = network(**ids).last_hidden_state[0].numpy()
        assert vector == pytest.approx(np.concatenate([tokens[0], tokens.mean(0)]), abs=1e-5)
    assert encoder.vectors(texts[::-1])[::-1] == pytest.approx(found, abs=1e-5)
    assert encoder.vectors([]).shape == (0, 32)
    # Cut to what it reads, which leaves RoBERTa's two positions free.
    assert encoder.max_tokens == 32
    assert encoder.vectors(["pier " * 500]).shape == (1, 32)


def test_the_probe_tells_separable_classes_apart(encoder: Encoder) -> None:
    for task in (PTC, BABE):
        parts = parts_of(task)
        answers = Probe(encoder).answer(parts)
        assert answers.chosen["C"] in {1e-4, 1e-3, 1e-2, 1e-1, 1.0}
        # A random encoder, so not perfect; giving all sentences one class reaches 0.67 at most.
        assert score(parts, answers) > 0.8


def test_the_probe_takes_the_strongest_of_equal_penalties(encoder: Encoder) -> None:
    parts = parts_of()
    # Nothing can be chosen by a dev without the class, so that all penalties are equal.
    empty = dataclasses.replace(parts, dev_labels=np.full(24, 1 - PROPAGANDA))
    assert Probe(encoder).answer(empty).chosen == {"C": 1e-4}


def test_the_probe_encodes_a_sentence_once_a_task(encoder: Encoder, monkeypatch) -> None:
    asked: list[int] = []
    vectors = encoder.vectors

    def counted(texts: list[str], tell) -> np.ndarray:
        asked.append(len(texts))
        return vectors(texts, tell)

    monkeypatch.setattr(encoder, "vectors", counted)
    probe, parts = Probe(encoder), parts_of()
    probe.answer(parts)
    probe.answer(parts)
    probe.answer(dataclasses.replace(parts, task=BABE))
    assert asked[0] == asked[2] > 0
    assert asked[1] == 0


def test_several_classes_and_one_that_train_lacks() -> None:
    task = all_tasks()["newsdiscourse"]
    texts = [f"The {word} pier opened ." for word in (*LOADED, *PLAIN)] * 6
    labels = np.array([3] * 4 + [5] * 4).repeat(1).tolist() * 6
    parts = Parts(task, Scorer(9), texts, np.array(labels), texts[:8], np.array(labels[:8]), texts[:8])
    answers = TfIdf().answer(parts)
    assert answers.test.shape == (8, 9)
    assert answers.test[:, [0, 1, 2, 4, 6, 7, 8]].max() == 0
    assert answers.test.argmax(-1).tolist() == labels[:8]


# --- fine-tuning -------------------------------------------------------------------------------------


def tuned(**settings) -> Parts:
    task = PTC.model_copy(update={"finetuning": FineTuning(learning_rate=5e-3, batch_size=16, **settings)})
    return parts_of(task, seed=5)


def test_fine_tuning_learns_and_leaves_the_encoder_alone(encoder: Encoder) -> None:
    before = {name: value.clone() for name, value in encoder.network.state_dict().items()}
    state = torch.random.get_rng_state()
    told: list[str] = []
    parts = dataclasses.replace(tuned(epochs=4), tell=told.append)
    answers = FineTune(encoder).answer(parts)
    assert score(parts, answers) == 1.0
    assert answers.test.sum(-1) == pytest.approx(np.ones(24))
    assert 1 <= answers.chosen["epoch"] <= 4
    assert sum("on dev" in line for line in told) == 4
    assert torch.equal(torch.random.get_rng_state(), state)
    after = encoder.network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_fine_tuning_depends_on_the_seed_alone(encoder: Encoder) -> None:
    parts = tuned(epochs=1)
    first, again = (FineTune(encoder).answer(parts) for _ in range(2))
    assert np.array_equal(first.test, again.test)
    other = FineTune(encoder).answer(dataclasses.replace(parts, seed=6))
    assert not np.array_equal(first.test, other.test)


def test_the_answers_are_those_of_the_epoch_that_was_best_on_dev(encoder: Encoder) -> None:
    """A dev without the class never improves, so that the first epoch's weights must come back."""
    parts = dataclasses.replace(tuned(epochs=3), dev_labels=np.full(24, 1 - PROPAGANDA))
    answers = FineTune(encoder).answer(parts)
    assert answers.chosen == {"epoch": 1.0}


# --- models ------------------------------------------------------------------------------------------


def test_our_own_model_is_known_by_its_digest() -> None:
    ours = Encoder("bundled")
    assert ours.is_framelens
    assert len(ours.digest or "") == 64
    assert ours.vectors(["A pier opened."]).shape == (1, 768)


def test_any_encoder_is_taken_and_nothing_else(encoder: Encoder, tiny: Path, tmp_path: Path) -> None:
    assert not encoder.is_framelens
    assert encoder.name == tiny.name
    assert encoder.digest is None
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFormatError, match="no encoder could be loaded"):
        Encoder(str(tmp_path))


def test_zero_shot_takes_the_label_s_probability_as_it_is() -> None:
    class Fixed:
        def predict_proba(self, texts: list[str]) -> np.ndarray:
            found = np.full((len(texts), 3), 0.2)
            found[:, LABELS.index("state_media_framing")] = 0.6
            return found

    answers = ZeroShot(Fixed()).answer(parts_of())
    assert answers.test[:, PROPAGANDA] == pytest.approx(0.6)
    assert answers.test[:, 1 - PROPAGANDA] == pytest.approx(0.4)
    assert suits("zero-shot", PTC)
    assert not suits("zero-shot", BABE)
    with pytest.raises(InputError, match="declares no label"):
        ZeroShot(Fixed()).answer(parts_of(BABE))


def test_methods_are_built_by_name(encoder: Encoder) -> None:
    built = build_methods(["tfidf", "probe", "finetune"], encoder, "tiny")
    assert [method.name for method in built] == ["majority", "always", "tfidf", "probe", "finetune"]
    with pytest.raises(InputError, match="probe needs a model"):
        build_methods(["probe"], None, "bundled")
    with pytest.raises(InputError, match="needs a framelens model, got 'tiny'"):
        build_methods(["zero-shot"], encoder, "tiny")
