"""What runs the network: order, limits, and what each of them refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from framelens import FramingClassifier, InputError
from framelens.backend import OnnxBackend, build_backend
from framelens.bundle import FAST, SCALE_SUFFIX, find_bundle
from framelens.encoding import PairEncoder, collate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from framelens.encoding import EncodedBatch

TEXTS = [
    f"The mayor of Elvik opened {'one more ' * (i % 6)}bridge number {i}, officials said." for i in range(24)
]


def batches() -> Iterator[EncodedBatch]:
    encoder = PairEncoder(find_bundle().tokenizer(), 256, reads_context=False)
    pairs = encoder.encode([(text, None) for text in TEXTS])
    for pair in pairs:
        yield collate([pair], encoder.pad_id)


@pytest.mark.parametrize(("model", "name"), [("bundled", "onnx"), ("fast", "onnx"), ("bundled", "torch")])
def test_scores_come_in_the_order_of_the_batches(model: str, name: str) -> None:
    if name == "torch":
        pytest.importorskip("torch")
    backend = build_backend(find_bundle(model), name)  # type: ignore[arg-type]
    together = list(backend.run(batches()))
    alone = [next(iter(backend.run([batch]))) for batch in batches()]
    assert len(together) == len(TEXTS)
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.logits, other.logits)
        np.testing.assert_array_equal(one.cue_logits, other.cue_logits)
    assert len({tuple(scores.logits[0]) for scores in together}) == len(TEXTS)


def test_an_int8_model_is_given_sentences_of_one_length(monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = FramingClassifier.from_pretrained(FAST)
    run, masks = classifier._backend.run, []

    def watched(given):  # type: ignore[no-untyped-def]
        for batch in given:
            masks.append(batch.attention_mask)
            yield from run([batch])

    monkeypatch.setattr(classifier._backend, "run", watched)
    found = [p.text for p in classifier.label_many(TEXTS)]
    assert found == TEXTS
    assert all(mask.all() for mask in masks)
    assert max(len(mask) for mask in masks) > 1


def test_an_int8_model_refuses_a_padded_batch() -> None:
    encoder = PairEncoder(find_bundle().tokenizer(), 256, reads_context=False)
    pairs = encoder.encode([(TEXTS[0], None), (TEXTS[1], None)])
    assert len(pairs[0]) != len(pairs[1])
    with pytest.raises(InputError, match="got a padded batch"):
        list(build_backend(find_bundle(FAST)).run([collate(pairs, encoder.pad_id)]))


def test_precisions(tmp_path: Path) -> None:
    assert build_backend(find_bundle()).precision == "fp32"
    assert build_backend(find_bundle(FAST)).precision == "int8"
    assert build_backend(find_bundle(FAST), precision="fp32").precision == "fp32"
    with pytest.raises(InputError, match="computes this model in fp32 or int8, got 'bf16'"):
        build_backend(find_bundle(FAST), precision="bf16")
    with pytest.raises(InputError, match="precision must be one of"):
        build_backend(find_bundle(), precision="fp64")  # type: ignore[arg-type]
    # As it is exported without int8.
    plain = Path(shutil.copytree(find_bundle(FAST).folder, tmp_path / "plain"))
    (plain / "model.int8.onnx").unlink()
    config = json.loads((plain / "config.json").read_bytes())
    (plain / "config.json").write_text(json.dumps(config | {"precision": "fp32"}), encoding="utf-8")
    assert build_backend(find_bundle(plain)).precision == "fp32"
    with pytest.raises(InputError, match=r"computes this model in fp32, got 'int8'; .* such as 'fast'"):
        build_backend(find_bundle(plain), precision="int8")


def test_torch_refuses_what_it_cannot_compute() -> None:
    pytest.importorskip("torch")
    with pytest.raises(InputError, match=r"got 'int8' on 'cpu'"):
        build_backend(find_bundle(FAST), "torch", precision="int8")
    with pytest.raises(InputError, match=r"got 'fp16' on 'cpu'"):
        build_backend(find_bundle(), "torch", precision="fp16")


def test_a_gpu_gives_what_the_processor_gives() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU")
    here = FramingClassifier.from_pretrained(backend="torch").predict_proba(TEXTS)
    for precision, apart in (("fp32", 1e-3), ("fp16", 1e-2), ("bf16", 5e-2)):
        there = FramingClassifier.from_pretrained(backend="torch", device="cuda", precision=precision)
        np.testing.assert_allclose(there.predict_proba(TEXTS), here, atol=apart)


def test_int8_weights_are_whole_steps_of_their_rows() -> None:
    bundle = find_bundle(FAST)
    stored, weights = bundle.tensors(), bundle.weights()
    whole = {name for name, values in stored.items() if values.dtype == np.int8}
    assert weights.keys() == {name for name in stored if not name.endswith(SCALE_SUFFIX)}
    assert "encoder.embeddings.word_embeddings.weight" in whole
    for name in whole:
        steps = stored[f"{name}{SCALE_SUFFIX}"]
        np.testing.assert_array_equal(weights[name], stored[name].astype(np.float32) * steps[:, None])


def test_the_digest_covers_the_ranges_of_an_int8_graph(tmp_path: Path) -> None:
    copy = Path(shutil.copytree(find_bundle(FAST).folder, tmp_path / "copy"))
    assert find_bundle(copy).digest == find_bundle(FAST).digest
    graph = copy / "model.int8.onnx"
    graph.write_bytes(graph.read_bytes() + b" ")
    assert find_bundle(copy).digest != find_bundle(FAST).digest


def test_the_graph_of_another_model_is_refused(tmp_path: Path) -> None:
    from framelens import ModelFormatError

    copy = Path(shutil.copytree(find_bundle(FAST).folder, tmp_path / "copy"))
    shutil.copy(find_bundle().folder / "model.onnx", copy / "model.onnx")
    with pytest.raises(ModelFormatError, match="export them again"):
        OnnxBackend(find_bundle(copy), precision="fp32")
