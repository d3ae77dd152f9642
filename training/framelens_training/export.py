"""From a run directory to the directory that ships, through calibration and the parity gate."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save
from tokenizers import Tokenizer

from framelens.bundle import find_bundle
from framelens.errors import InputError
from framelens_training.calibrate import calibrate, forward
from framelens_training.data import read_splits
from framelens_training.encoder_graph import encoder_graph, has_encoder_graph
from framelens_training.files import write_json
from framelens_training.graph import weightless_graph
from framelens_training.parity import INT8_PATHS, PATHS, gate, measure_parity, parity_rows
from framelens_training.quantize import quantised_weights
from framelens_training.run_calibration import check_finished, fitted_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from framelens.arrays import FloatArray
    from framelens.encoding import PairEncoder
    from framelens.hf import FramingConfig, FramingForSequenceClassification
    from framelens_training.calibrate import Calibration
    from framelens_training.parity import PathParity, Reference
    from framelens_training.quantize import ActivationRange

__all__ = ["MAX_BYTES", "export"]

#: The whole bundle; it travels in every wheel.
MAX_BYTES = 95_000_000
_ENCODER_NOISE = ("_name_or_path", "id2label", "label2id", "architectures", "transformers_version")
_TOKENIZER_SETTINGS = (
    "tokenizer_class", "do_lower_case", "strip_accents", "tokenize_chinese_chars",
    "cls_token", "sep_token", "pad_token", "unk_token", "mask_token", "bos_token", "eos_token",
)  # fmt: skip


def export(run_dir: Path, out: Path) -> tuple[Calibration, list[PathParity]]:
    """Calibrate a fitted model on dev, write the bundle, measure parity, and only then put it in place.

    Args:
        run_dir: what `framelens_training.fit.fit` wrote.
        out: the bundle's folder; an existing one is replaced.

    Returns:
        The calibration, and the parity of every path.

    Raises:
        InputError: no finished run, a bundle that is too large or fails the gate, or a folder of other things
            in the bundle's place.
    """
    check_finished(run_dir)
    if out.exists() and not (out / "config.json").is_file() and (out.is_file() or any(out.iterdir())):
        raise InputError(f"{out} is no model, so it is not replaced; choose another folder")
    for name in ("dev", "test", "train"):
        if not (run_dir / "splits" / f"{name}.jsonl").is_file():
            raise InputError(f"{run_dir} holds no finished run: splits/{name}.jsonl is missing")
    splits = read_splits(run_dir / "splits")
    rows = parity_rows({"dev": splits.dev, "test": splits.test, "train": splits.train})
    model, encoder, ranges = fitted_model(run_dir)
    calibration = calibrate(model, encoder, splits.dev)
    model.config.calibration_temperature = calibration.temperature
    model.config.evidence_threshold = calibration.evidence_threshold
    with TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "bundle"
        _write(model, run_dir, bundle, ranges)
        size = sum(path.stat().st_size for path in bundle.iterdir())
        if size > MAX_BYTES:
            raise InputError(f"the bundle weighs {size / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:.0f} MB")
        parity = measure_parity(
            _as_fitted(model, encoder, rows),
            bundle,
            [row["text"] for row in rows],
            [row["context"] for row in rows],
            [row["label"] for row in rows],
            PATHS if ranges is None else INT8_PATHS,
        )
        measured = {
            "model_digest": find_bundle(bundle).digest,
            "calibration": calibration.to_dict(),
            "parity": [path.to_dict() for path in parity],
        }
        write_json(run_dir / "export.json", measured)
        gate(parity)
        if out.exists():
            shutil.rmtree(out)
        shutil.copytree(bundle, out)
    return calibration, parity


def _as_fitted(
    model: FramingForSequenceClassification, encoder: PairEncoder, rows: Sequence[Mapping[str, Any]]
) -> Reference:
    """The model in torch, in fp32, and rounded as it ships where it is int8."""
    pairs = encoder.encode([(row["text"], row["context"]) for row in rows])

    def probabilities(n: int, batch_size: int) -> FloatArray:
        # By length, or padding would be most of what is computed.
        order = sorted(range(len(pairs[:n])), key=lambda i: len(pairs[i]))
        logits, _ = forward(model, [pairs[i] for i in order], encoder.pad_id, batch_size)
        found = np.empty_like(logits)
        found[order] = torch.from_numpy(logits).softmax(-1).numpy()
        return found

    return probabilities


def _write(
    model: FramingForSequenceClassification,
    run_dir: Path,
    folder: Path,
    ranges: Mapping[str, ActivationRange] | None,
) -> None:
    """Write config, tokeniser, weights in half precision or int8, and the graphs."""
    folder.mkdir()
    if ranges is None:
        weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    else:
        weights = quantised_weights(model)
    # Not save_file, which makes a file that its owner alone may read, also when it is installed.
    (folder / "model.safetensors").write_bytes(save(weights, metadata={"format": "pt"}))
    config = json.loads(model.config.to_json_string(use_diff=False))
    for key in _ENCODER_NOISE:
        config["encoder"].pop(key, None)
    config.pop("_name_or_path", None)
    config |= {"architectures": [type(model).__name__], "dtype": "float16"}
    if ranges is not None:
        config |= {"dtype": "float32", "precision": "int8"}
    write_json(folder / "config.json", config)
    tokenizer = Tokenizer.from_file(str(run_dir / "model" / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = json.loads((run_dir / "model" / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings = {key: settings[key] for key in _TOKENIZER_SETTINGS if settings.get(key) is not None}
    write_json(folder / "tokenizer_config.json", settings | {"model_max_length": model.config.max_tokens})
    chosen: FramingConfig = model.config  # type: ignore[assignment]
    if has_encoder_graph(chosen):
        stored = {name: value.numpy() for name, value in weights.items()}
        (folder / "model.onnx").write_bytes(encoder_graph(chosen, stored))
        if ranges is not None:
            (folder / "model.int8.onnx").write_bytes(encoder_graph(chosen, stored, ranges))
    elif ranges is None:
        # What is traced has the weights that ship.
        (folder / "model.onnx").write_bytes(weightless_graph(copy.deepcopy(model).half().float()))
    else:
        raise InputError(
            f"{run_dir}: an int8 model must be a BERT or MPNet encoder with the pooling cls or mean"
        )
