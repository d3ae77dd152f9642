"""The calibration of a run's model, on its own dev or on other judged sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from framelens.bundle import find_bundle
from framelens.encoding import PairEncoder
from framelens.errors import InputError
from framelens.hf import FramingForSequenceClassification
from framelens.labels import LABELS
from framelens_training.calibrate import calibrate
from framelens_training.data import as_dataset
from framelens_training.distil import read_ranges
from framelens_training.files import write_json
from framelens_training.quantize import prepare, set_ranges
from framelens_training.resume import is_finished
from framelens_training.rows import read_objects

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset

    from framelens_training.calibrate import Calibration
    from framelens_training.quantize import ActivationRange

__all__ = ["calibrate_run", "check_finished", "fitted_model", "read_judged"]


def calibrate_run(run_dir: Path, data: Path | None = None) -> Calibration:
    """Calibrate a run's model and write ``calibration.json`` into the run.

    Args:
        run_dir: a finished run.
        data: judged sentences as JSON lines, in place of the run's own ``splits/dev.jsonl``: ``text`` and
            ``label``, and where they are known ``context``, ``cue`` and ``article``.

    Raises:
        InputError: the run is not finished, or the sentences cannot be used.
    """
    check_finished(run_dir)
    dev = read_judged(data or run_dir / "splits" / "dev.jsonl")
    model, encoder, _ = fitted_model(run_dir)
    calibration = calibrate(model, encoder, dev)
    write_json(run_dir / "calibration.json", calibration.to_dict())
    return calibration


def check_finished(run_dir: Path) -> None:
    """See that a run has its model.

    Raises:
        InputError: it has none.
    """
    if not is_finished(run_dir):
        raise InputError(f"{run_dir} holds no finished run: model/model.safetensors is missing")


def fitted_model(
    run_dir: Path,
) -> tuple[FramingForSequenceClassification, PairEncoder, dict[str, ActivationRange] | None]:
    """The model of a finished run as it ships, its encoder, and the ranges of an int8 student."""
    model = FramingForSequenceClassification.from_pretrained(run_dir / "model", dtype=torch.float32).eval()
    ranges = read_ranges(run_dir)
    if ranges is not None:
        prepare(model)
        set_ranges(model, ranges)
    encoder = PairEncoder(
        find_bundle(run_dir / "model").tokenizer(),
        model.config.max_tokens,
        reads_context=model.config.context_sentences > 0,
    )
    return model, encoder, ranges


def read_judged(path: Path) -> Dataset:
    """Judged sentences from JSON lines; each is its own article where none is named.

    Raises:
        InputError: the file is missing, is no JSON, or a row of it has no text or an unknown label or cue; or
            no sentence has a label.
    """
    rows = []
    for number, row in read_objects(path):
        where = f"{path}, line {number}"
        if not isinstance(row, dict) or not isinstance(row.get("text"), str) or not row["text"]:
            raise InputError(f"{where}: expected an object with a text, got {str(row)[:60]!r}")
        label, cue = row.get("label"), row.get("cue")
        if label is not None and label not in LABELS:
            raise InputError(f"{where}: expected a label of {', '.join(LABELS)}, or null, got {label!r}")
        if cue is not None and not _is_span(cue, len(row["text"])):
            raise InputError(f"{where}: expected a cue within the text, got {cue!r}")
        article = str(row.get("article") or f"line {number}")
        context = row.get("context") or ""
        rows.append({"text": row["text"], "context": context, "label": label, "cue": cue, "article": article})
    if all(row["label"] is None for row in rows):
        raise InputError(f"expected judged sentences in {path}, got none with a label")
    return as_dataset(rows)


def _is_span(cue: object, length: int) -> bool:
    match cue:
        case [int(start), int(end)]:
            return 0 <= start < end <= length
    return False
