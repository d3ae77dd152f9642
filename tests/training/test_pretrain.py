"""Pre-training on raw articles: what is learned, what a fit takes from it, and how a killed run goes on."""

from __future__ import annotations

import gzip
import json
import math
import random
import shutil
import signal
import socket
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    TrainingArguments,
)

from framelens.errors import InputError
from framelens_training import cli
from framelens_training.features import IGNORE
from framelens_training.fit import fit, fresh_model
from framelens_training.masked_trainer import MaskedTrainer, begin_with_frequencies, masked_model
from framelens_training.masking import BlockMaker, MaskCollator, MaskedBlocks
from framelens_training.pretrain import pretrain
from framelens_training.recipe import (
    CorpusRecipe,
    MaskedTrainRecipe,
    PretrainRecipe,
    Recipe,
    TrainRecipe,
    load_recipe,
)
from framelens_training.trainer import EpochSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from framelens_training.recipe import DataRecipe

WHO = "the ferryman|our miller|the old harbour master|a young baker|the council of elvik|every shepherd"

DID = "sold|counted|repaired|praised|painted|measured|inspected|forgot"
WHAT = "the red boats|a broken bridge|seven lanterns|the northern road|the town clock|new fishing nets"
WHEN = "before dawn|after the storm|on a quiet monday|during the long winter|at the end of may"

#: Begin, padding, end, unknown and mask; the padding has the id that RoBERTa's kin count positions from.
SPECIALS = ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]")
SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 66, "pad_token_id": 1,
}  # fmt: skip
#: Settings of a tiny encoder of each kind.
KINDS: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "roberta": SMALL | {"type_vocab_size": 1},
    "mpnet": SMALL,
    "deberta-v2": SMALL | {
        "relative_attention": True, "position_buckets": 16, "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False, "type_vocab_size": 0,
    },
    "electra": SMALL | {"embedding_size": 16},
    "distilbert": {
        "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 66,
        "pad_token_id": 1,
    },
    "modernbert": SMALL | {"bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2},
}  # fmt: skip


def made_up_articles(n: int = 60) -> Iterator[dict[str, Any]]:
    """Articles of five sentences, in which a word tells much of the next."""
    rng = random.Random(0)
    for number in range(n):
        parts = [[rng.choice(part.split("|")) for part in (WHO, DID, WHAT, WHEN)] for _ in range(5)]
        text = " ".join(f"{' '.join(words).capitalize()}." for words in parts)
        yield {"text": text, "outlet": "River Post", "article": f"river:{number}"}


def save_tokenizer(folder: Path) -> int:
    """A tokeniser of whole words; gives the size of its vocabulary."""
    words = sorted({word for part in (WHO, DID, WHAT, WHEN) for word in part.replace("|", " ").split()})
    vocabulary = {word: at for at, word in enumerate([*SPECIALS, *words, "."])}
    begin, pad, end, unknown, mask = SPECIALS
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} $B {end}",
        special_tokens=[(token, vocabulary[token]) for token in (begin, end)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token=begin, sep_token=end, pad_token=pad, unk_token=unknown,
        mask_token=mask,
    ).save_pretrained(folder)  # fmt: skip
    return len(vocabulary)


@pytest.fixture(scope="module")
def make_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a random encoder of a kind, with a head for masked words or without."""

    def make(kind: str = "bert", head: bool = False, **settings: Any) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        size = save_tokenizer(folder)
        torch.manual_seed(0)
        config = AutoConfig.for_model(kind, vocab_size=size, **KINDS[kind] | settings)
        model = (AutoModelForMaskedLM if head else AutoModel).from_config(config)
        if head:
            torch.nn.init.normal_(model.get_output_embeddings().bias)
        model.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="module")
def news(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up folder with raw articles."""
    folder = Path(shutil.copytree(data_dir, tmp_path_factory.mktemp("news") / "data"))
    (folder / "raw").mkdir()
    with gzip.open(folder / "raw" / "river.jsonl.gz", "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(article) + "\n" for article in made_up_articles())
    return folder


def tiny(base: Path | str, data: DataRecipe, **train: Any) -> PretrainRecipe:
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 4, "learning_rate": 5e-3} | train
    return PretrainRecipe(
        name="tiny",
        base=str(base),
        data=data,
        corpus=CorpusRecipe(max_tokens=40, held_out=0.2),
        train=MaskedTrainRecipe(**settings),
    )


@pytest.fixture(scope="module")
def recipe(make_base: Any, data_recipe: DataRecipe) -> PretrainRecipe:
    return tiny(make_base(), data_recipe)


@pytest.fixture(scope="module")
def unbroken(recipe: PretrainRecipe, news: Path, fit_in_process: Any, tmp_path_factory: Any) -> Path:
    """A run that was not killed."""
    folder: Path = tmp_path_factory.mktemp("unbroken") / "run"
    assert fit_in_process(recipe, folder, news, None) == 0
    return folder


def entries(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_run_tells_what_it_was_made_of_and_what_came_of_it(unbroken: Path, recipe: PretrainRecipe) -> None:
    measured = [entry for entry in entries(unbroken) if "eval_perplexity" in entry]
    steps = [entry["step"] for entry in measured]
    assert steps == [0, steps[1], 2 * steps[1]]
    assert measured[-1]["eval_perplexity"] < 0.9 * measured[0]["eval_perplexity"]
    assert all(entry["eval_perplexity"] == pytest.approx(math.exp(entry["eval_loss"])) for entry in measured)
    assert any("loss" in entry for entry in entries(unbroken))
    assert PretrainRecipe.model_validate_json((unbroken / "recipe.json").read_bytes()) == recipe
    assert "torch" in json.loads((unbroken / "environment.json").read_bytes())["packages"]
    corpus = json.loads((unbroken / "corpus.json").read_bytes())
    assert corpus["new_head"]
    assert sum(corpus["articles"].values()) == 60
    assert corpus["blocks"]["train"] > corpus["blocks"]["held_out"] > 0
    assert steps[1] == math.ceil(corpus["blocks"]["train"] / 4)
    assert "ferryman" not in json.dumps(corpus)


def test_a_fit_takes_the_encoder_as_it_is(
    unbroken: Path, recipe: PretrainRecipe, make_recipe: Any, tmp_path: Path
) -> None:
    begun: Recipe = make_recipe(unbroken / "model", pooling="cls")
    fitted, tokenizer = fresh_model(begun)
    mine = fitted.encoder.state_dict()
    saved = load_file(unbroken / "model" / "model.safetensors")
    before = AutoModel.from_pretrained(recipe.base).state_dict()
    for name, values in mine.items():
        assert torch.equal(values, saved[f"bert.{name}"]), name
    # Where a word is looked up or what a layer does, all of it has learned.
    assert all(not torch.equal(mine[name], before[name]) for name in mine if name.endswith("weight"))
    assert tokenizer.mask_token_id == 4
    begun = begun.model_copy(update={"train": TrainRecipe(epochs=1, batch_size=8)})
    fit(begun, tmp_path / "run", data=unbroken / "splits")
    assert (tmp_path / "run" / "model" / "model.safetensors").is_file()


def test_what_was_pre_trained_can_be_pre_trained_further(unbroken: Path) -> None:
    model, _, is_new = masked_model(str(unbroken / "model"))
    assert not is_new
    saved = load_file(unbroken / "model" / "model.safetensors")
    assert torch.equal(model.get_output_embeddings().bias, saved["cls.predictions.bias"])


@pytest.mark.parametrize("head", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_head_is_the_checkpoints_own_or_new_and_tied(kind: str, head: bool, make_base: Any) -> None:
    folder = make_base(kind, head)
    model, _, is_new = masked_model(str(folder))
    assert is_new != head
    weights = AutoModel.from_pretrained(folder).state_dict()
    for name, values in model.base_model.state_dict().items():
        assert torch.equal(values, weights[name]), name
    output = model.get_output_embeddings()
    if kind != "deberta-v2" or model.config.legacy:
        assert output.weight is model.get_input_embeddings().weight
    assert bool(output.bias.detach().abs().max() > 0) == head


def trainer_of(
    folder: Path, base: Path, articles: list[list[str]], **settings: Any
) -> tuple[MaskedTrainer, MaskedBlocks]:
    model, tokenizer, _ = masked_model(str(base))
    blocks = BlockMaker(tokenizer, 40).blocks(articles)
    masked = MaskedBlocks(blocks, tokenizer, 0.3, whole_words=True, seed=0)
    args = TrainingArguments(
        str(folder), use_cpu=True, report_to=[], label_names=["labels"], disable_tqdm=True, **settings
    )
    trainer = MaskedTrainer(
        EpochSampler(blocks.lengths, 4, 0),
        model=model.eval(),
        args=args,
        train_dataset=masked,
        eval_dataset=masked,
        data_collator=MaskCollator(tokenizer.pad_token_id),
        compute_metrics=lambda told: {"all": told.predictions.sum(0)},
    )
    return trainer, masked


SENTENCES = [[f"{who} {did}." for who, did in product(WHO.split("|")[:3], DID.split("|")[:3])]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_that_of_the_whole_model(kind: str, make_base: Any, tmp_path: Path) -> None:
    trainer, masked = trainer_of(tmp_path, make_base(kind, True), SENTENCES)
    batch = trainer.data_collator([masked[at] for at in range(len(masked))])
    model = trainer.model
    model.zero_grad()
    loss, told = trainer.compute_loss(model, batch, return_outputs=True)
    loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    expected = model(**batch).loss
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, atol=1e-6, rtol=1e-4)
    total, n = told["sums"].sum(0)
    assert n == (batch["labels"] != IGNORE).sum()
    torch.testing.assert_close(total / n, expected)


def test_perplexity_counts_every_masked_token_alike(make_base: Any, tmp_path: Path) -> None:
    # Of the blocks, five, the last is short and is measured alone.
    articles = [*SENTENCES * 2, ["The ferryman sold."]]
    trainer, masked = trainer_of(tmp_path, make_base(), articles, per_device_eval_batch_size=2)
    assert len(masked) == 5
    total, n = trainer.evaluate()["eval_all"]
    one_by_one = 0.0
    for at in range(len(masked)):
        batch = trainer.data_collator([masked[at]])
        due = int((batch["labels"] != IGNORE).sum())
        one_by_one += due * trainer.model(**batch).loss.item()
    assert total == pytest.approx(one_by_one, rel=1e-4)
    assert n == sum(int((masked[at]["labels"] != IGNORE).sum()) for at in range(len(masked)))


def test_batches_of_a_step_count_together(make_base: Any, tmp_path: Path) -> None:
    base = make_base("bert", head=True, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    weights = []
    for size in (4, 2):
        trainer, _ = trainer_of(
            tmp_path / str(size), base, SENTENCES * 8, per_device_train_batch_size=size,
            gradient_accumulation_steps=4 // size, max_steps=4, optim="sgd", learning_rate=0.5,
        )  # fmt: skip
        trainer.train()
        weights.append(trainer.model.state_dict())
    for name, values in weights[0].items():
        torch.testing.assert_close(values, weights[1][name], atol=1e-5, rtol=1e-4)


def test_a_new_head_begins_with_the_frequencies_of_tokens(make_base: Any) -> None:
    model, tokenizer, _ = masked_model(str(make_base()))
    ids = np.array([7] * 6 + [8] * 2, np.int32)
    begin_with_frequencies(model, ids)
    expected = torch.ones(len(tokenizer))
    expected[7], expected[8] = 7, 3
    bias = model.get_output_embeddings().bias
    torch.testing.assert_close(bias.softmax(0), expected / expected.sum())
    batch = torch.full((1, 5), 9)
    told = model.eval()(input_ids=batch).logits[0, 0]
    # The bias is what the head computes with, and outweighs a random encoder.
    assert {int(place) for place in told.topk(2).indices} == {7, 8}


# A checkpoint is begun with its folder and whole with its state.
KILLS = ("splits/dev", "corpus.json.new", "checkpoint-10/trainer_state", "checkpoint-20", "model.new")


def test_a_run_killed_again_and_again_comes_to_the_same_result(
    recipe: PretrainRecipe, news: Path, unbroken: Path, fit_in_process: Any, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    for killed_before in KILLS:
        assert fit_in_process(recipe, run, news, killed_before) == -signal.SIGKILL
        assert not (run / "model").exists()
    assert fit_in_process(recipe, run, news, None) == 0
    for name in ("model/model.safetensors", "model/config.json", "metrics.jsonl", "corpus.json"):
        assert (run / name).read_bytes() == (unbroken / name).read_bytes(), name


def test_a_finished_run_is_left_as_it_is(unbroken: Path, recipe: PretrainRecipe) -> None:
    before = {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")}
    found = pretrain(recipe, unbroken, resume=True)
    assert {path: path.stat().st_mtime_ns for path in unbroken.rglob("*")} == before
    assert found["after"] < found["before"]
    with pytest.raises(InputError, match=r"begun with train\.epochs = 2, got 3"):
        pretrain(tiny(recipe.base, recipe.data, epochs=3), unbroken, resume=True)


@pytest.fixture
def begun(unbroken: Path, tmp_path: Path) -> Path:
    """A run that lacks its model."""
    run = Path(shutil.copytree(unbroken, tmp_path / "run"))
    shutil.rmtree(run / "model")
    return run


def test_other_articles_are_refused(begun: Path, recipe: PretrainRecipe, news: Path, tmp_path: Path) -> None:
    other = tmp_path / "river.jsonl.gz"
    with gzip.open(other, "wt", encoding="utf-8") as lines:
        lines.writelines(json.dumps(article) + "\n" for article in made_up_articles(40))
    with pytest.raises(InputError, match=r"begun with other articles .*: files in corpus\.json"):
        pretrain(recipe, begun, [other], news, resume=True)
    # The same articles elsewhere are the same.
    (tmp_path / "moved").mkdir()
    shutil.copy(news / "raw" / "river.jsonl.gz", tmp_path / "moved")
    pretrain(recipe, begun, [tmp_path / "moved"], news, resume=True)
    assert (begun / "model" / "model.safetensors").is_file()


def test_nothing_is_written_before_what_may_be_refused(
    recipe: PretrainRecipe, news: Path, data_dir: Path, make_base: Any, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(InputError, match="no articles at"):
        pretrain(recipe, run, data_dir=data_dir)
    with pytest.raises(InputError, match="nothing to resume"):
        pretrain(recipe, run, data_dir=news, resume=True)
    with pytest.raises(InputError, match=r"no encoder could be had from .*absent"):
        pretrain(tiny(tmp_path / "absent", recipe.data), run, data_dir=news)
    long = recipe.model_copy(update={"corpus": CorpusRecipe(max_tokens=67)})
    with pytest.raises(InputError, match=r"reads at most 66 tokens, and corpus\.max_tokens is 67"):
        pretrain(long, run, data_dir=news)
    # A decoder, which reads on from what it has.
    decoder = tmp_path / "gpt2"
    size = save_tokenizer(decoder)
    GPT2Model(GPT2Config(vocab_size=size, n_embd=8, n_layer=1, n_head=1)).save_pretrained(decoder)
    with pytest.raises(InputError, match=r"fill in masked words, got .*, a gpt2"):
        pretrain(tiny(decoder, recipe.data), run, data_dir=news)
    assert not run.exists()


def test_several_gpus_in_one_process_are_refused(
    recipe: PretrainRecipe, news: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda _: 2))
    with pytest.raises(InputError, match="got 2 for one; start it with `accelerate launch"):
        pretrain(recipe, tmp_path / "run", data_dir=news)


def test_offline_no_socket_is_opened(make_base: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        asked.append(arguments)
        raise OSError("there is no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    masked_model(str(make_base()), offline=True)
    with pytest.raises(InputError, match="'framelens-tests/no-such-encoder' without the network"):
        masked_model("framelens-tests/no-such-encoder", offline=True)
    assert asked == []


TOML = """
name = "tiny"
[data]
sources = "default"
dev_outlets = ["dune_daily"]
test_outlets = ["marsh_mail"]
dev_fraction = 0.1
test_fraction = 0.1
split_seed = 5
[corpus]
max_tokens = 40
held_out = 0.2
articles_of_file = 20
[train]
batch_size = 4
"""


def test_the_command_says_what_came_of_it_and_what_is_next(
    make_base: Any,
    news: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tiny.toml").write_text(TOML, encoding="utf-8")
    run = tmp_path / "run"
    arguments = ["pretrain", tmp_path / "tiny.toml", "-o", run, "--data-dir", news, "--base", make_base()]
    monkeypatch.setattr(sys, "argv", ["framelens-train", *map(str, arguments), "--set", "train.epochs=1"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    said = capsys.readouterr().err
    assert "a new head for masked words" in said
    assert "river.jsonl.gz: 20 articles, left out: 40 beyond articles_of_file" in said
    assert f"the encoder is in {run / 'model'}" in said
    assert f"fit RECIPE --base {run / 'model'} --data {run / 'splits'}" in said


def test_the_shipped_recipe_keeps_out_what_the_shipped_fits_measure_on() -> None:
    splitting = ("dev_outlets", "test_outlets", "dev_fraction", "test_fraction", "split_seed")
    shipped = load_recipe("news", PretrainRecipe)
    for name in ("minilm", "mpnet"):
        other = load_recipe(name, Recipe)
        assert all(getattr(shipped.data, field) == getattr(other.data, field) for field in splitting)
    with pytest.raises(InputError, match=r"no recipe named 'olds'; shipped are news"):
        load_recipe("olds", PretrainRecipe)
