"""The clock, and the real pipeline on a tiny model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from framelens import LABELS, InputError, Prediction, Status
from framelens_evaluation.speed import alternate, measure_speed, read_texts

if TYPE_CHECKING:
    from pathlib import Path


def test_turns_alternate_after_a_warm_up() -> None:
    calls: list[str] = []

    def call(name: str) -> list[str]:
        calls.append(name)
        return [name]

    (first, times), (second, other_times) = alternate(lambda: call("a"), lambda: call("b"), 3)
    assert "".join(calls) == "ab" * 4
    assert (first, second) == (["a"], ["b"])
    assert len(times) == len(other_times) == 3
    assert all(seconds >= 0 for seconds in times + other_times)


def test_nothing_to_time() -> None:
    with pytest.raises(InputError, match="repeats"):
        alternate(lambda: [1], lambda: [1], 0)
    with pytest.raises(InputError, match="at least one sentence"):
        alternate(list, list, 1)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    """A random model of one layer whose vocabulary is a dozen words."""
    hf = pytest.importorskip("framelens.hf")
    tokenizers = pytest.importorskip("tokenizers")
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("bundle")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "ferry", "sank", "sailed", "reportedly", "."]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=16,
    ).save_pretrained(folder)
    encoder = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=16,
    )
    hf.FramingForSequenceClassification(hf.FramingConfig(encoder=encoder)).save_pretrained(folder)
    return folder


class FirstLabel:
    """Gives every sentence the first label, but for the first, which it refuses."""

    def label_many(self, texts):
        for i, text in enumerate(texts):
            if i == 0:
                yield Prediction(text, None, status=Status.NOT_APPLICABLE)
            else:
                yield Prediction(text, LABELS[0], dict.fromkeys(LABELS, 1 / 3))


def test_beside_the_real_pipeline(bundle: Path) -> None:
    texts = ["the ferry sailed.", "the ferry reportedly sank.", "ferry " * 40] * 15
    result = measure_speed(texts, bundle, repeats=2, classifier=FirstLabel())  # type: ignore[arg-type]
    assert len(result.ours) == len(result.pipeline) == 2
    assert result.n_sentences == 45
    assert result.n_compared == 44
    assert 0 <= result.n_same <= 44
    assert result.ratio > 1  # the fake does nothing
    assert "Ratio of the medians" in result.to_markdown()


def test_reads_texts(tmp_path: Path) -> None:
    lines = tmp_path / "a.txt"
    lines.write_text("The ferry sailed.\n\n It sank. \n", encoding="utf-8")
    assert read_texts(lines) == ["The ferry sailed.", "It sank."]
    rows = tmp_path / "a.jsonl"
    rows.write_text('{"text": "The ferry sailed.", "more": 1}\n', encoding="utf-8")
    assert read_texts(rows) == ["The ferry sailed."]
    rows.write_text('{"text": "The ferry sailed."}\n{"body": "It sank."}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.jsonl:2"):
        read_texts(rows)
    lines.write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match="no sentences"):
        read_texts(lines)
    with pytest.raises(InputError, match="cannot read"):
        read_texts(tmp_path / "none.txt")
