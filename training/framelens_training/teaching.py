"""What teachers make of sentences: worked out once, kept beside the run, and taken up again after a crash.

Several teachers are one ensemble: the mean of their probabilities. Their tokenisers may differ from the
student's; what a teacher says of a token is carried over by the characters that both cover.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from framelens.bundle import find_bundle
from framelens.encoding import PairEncoder, collate
from framelens.hf import FramingForSequenceClassification
from framelens.labels import CUE_TAGS, LABELS
from framelens_training.rundir import supports_bf16

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from framelens.arrays import FloatArray
    from framelens.encoding import EncodedPair

__all__ = ["Taught", "Teacher", "carried_over", "teach"]

#: Sentences of one file; at most so many are worked out again after a crash.
PART = 8_192
BATCH = 64


@dataclass(frozen=True)
class Taught:
    """What the teachers make of each sentence.

    Attributes:
        labels: probabilities of the labels, shape (n_sentences, n_labels).
        cues: for each sentence, probabilities of the tags of the student's tokens, (n_tokens, n_cues + 1).
    """

    labels: FloatArray
    cues: list[FloatArray]


class Teacher:
    """A fitted model that is asked for probabilities.

    Args:
        name: ``bundled``, a bundle's path, a hub id, or a run directory, whose model is taken.
    """

    def __init__(self, name: str) -> None:
        own = Path(name) / "model"
        bundle = find_bundle(own if (own / "config.json").is_file() else name)
        self.folder = bundle.folder
        self.digest = bundle.digest
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = FramingForSequenceClassification.from_pretrained(bundle.folder, dtype=torch.float32)
        model.config.calibration_temperature = 1.0
        self.model = model.eval().requires_grad_(requires_grad=False).to(device)
        self.encoder = PairEncoder(bundle.tokenizer(), bundle.config.max_tokens, reads_context=False)
        self.precision = "bf16" if supports_bf16() else "fp32"
        self._autocast = torch.autocast(device, torch.bfloat16, enabled=self.precision == "bf16")

    def __call__(
        self, texts: Sequence[str]
    ) -> Iterator[tuple[int, FloatArray, FloatArray, list[tuple[int, int, int]]]]:
        """Each text's place, its label and tag probabilities, and its tokens; the shortest text first."""
        pairs = self.encoder.encode([(text, None) for text in texts])
        order = sorted(range(len(texts)), key=lambda i: len(pairs[i]))
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            labels, tags = self._batch([pairs[i] for i in places])
            for row, place in enumerate(places):
                yield place, labels[row], tags[row], pairs[place].tokens

    def _batch(self, pairs: Sequence[EncodedPair]) -> tuple[FloatArray, FloatArray]:
        arrays = collate(pairs, self.encoder.pad_id).arrays()
        inputs = {name: torch.from_numpy(array).to(self.model.device) for name, array in arrays.items()}
        with torch.inference_mode(), self._autocast:
            output = self.model(**inputs)
        return (
            output.logits.float().softmax(-1).cpu().numpy(),
            output.cue_logits.float().softmax(-1).cpu().numpy(),
        )


def teach(
    teachers: Sequence[Teacher],
    texts: Sequence[str],
    pairs: Sequence[EncodedPair],
    folder: Path,
    progress: Callable[[int], None] | None = None,
) -> Taught:
    """Ask all teachers about all sentences.

    Args:
        teachers: at least one; each counts alike.
        texts: the sentences.
        pairs: the same, as the student reads them.
        folder: of the parts that are done; those of the same sentences and teachers are read again.
        progress: told the number of sentences after every part.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels: list[FloatArray] = []
    cues: list[FloatArray] = []
    for start in range(0, len(texts), PART):
        here = slice(start, start + PART)
        path = folder / f"part-{start // PART:05d}.safetensors"
        digest = _digest(teachers, texts[here], pairs[here])
        found = _read(path, digest)
        if found is None:
            found = _ask(teachers, texts[here], pairs[here])
            _write(path, digest, found)
        labels.append(found.labels)
        cues.extend(found.cues)
        if progress is not None:
            progress(len(cues))
    return Taught(np.concatenate(labels), cues)


def carried_over(
    tags: FloatArray, tokens: Sequence[tuple[int, int, int]], to: Sequence[tuple[int, int, int]]
) -> FloatArray:
    """Tag probabilities of one tokeniser's tokens, for another's tokens of the same text.

    Args:
        tags: (n_tokens of the text and its special tokens, n_cues + 1).
        tokens: (position in ``tags``, start, end) in characters.
        to: the other's tokens.

    Returns:
        (len(to), n_cues + 1): the mean over the tokens that share a character, weighted by how many they
        share; certainly no cue where none does.
    """
    carried = np.zeros((len(to), tags.shape[-1]), dtype=np.float32)
    first = 0
    for row, (_, start, end) in enumerate(to):
        while first < len(tokens) and tokens[first][2] <= start:
            first += 1
        weight = 0
        for position, other_start, other_end in tokens[first:]:
            if other_start >= end:
                break
            shared = max(0, min(end, other_end) - max(start, other_start))
            carried[row] += shared * tags[position]
            weight += shared
        if weight:
            carried[row] /= weight
        else:
            carried[row, 0] = 1.0
    return carried


def _ask(teachers: Sequence[Teacher], texts: Sequence[str], pairs: Sequence[EncodedPair]) -> Taught:
    labels: FloatArray = np.zeros((len(texts), len(LABELS)), dtype=np.float32)
    cues: list[FloatArray] = [np.zeros((len(pair.tokens), len(CUE_TAGS)), dtype=np.float32) for pair in pairs]
    for teacher in teachers:
        for place, probabilities, tags, tokens in teacher(texts):
            labels[place] += probabilities / len(teachers)
            cues[place] += carried_over(tags, tokens, pairs[place].tokens) / len(teachers)
    # As a part keeps them: what is read again after a crash is to be the same.
    return Taught(labels, [tags.astype(np.float16).astype(np.float32) for tags in cues])


def _digest(teachers: Sequence[Teacher], texts: Sequence[str], pairs: Sequence[EncodedPair]) -> str:
    """Of all that the answers hang on."""
    digest = hashlib.sha256()
    for teacher in teachers:
        digest.update(f"{teacher.digest} {teacher.precision}\n".encode())
    for text, pair in zip(texts, pairs, strict=True):
        spans = [(start, end) for _, start, end in pair.tokens]
        digest.update(f"{len(text)} {text} {spans}\n".encode())
    return digest.hexdigest()


def _read(path: Path, digest: str) -> Taught | None:
    """A part that is done; None for one that is not, or of other sentences."""
    try:
        with safe_open(path, framework="numpy") as part:
            if (part.metadata() or {}).get("digest") != digest:
                return None
            tags = part.get_tensor("cues").astype(np.float32)
            ends = np.cumsum(part.get_tensor("lengths"))
            return Taught(part.get_tensor("labels"), np.split(tags, ends[:-1]))
    except (FileNotFoundError, SafetensorError):
        return None


def _write(path: Path, digest: str, taught: Taught) -> None:
    content: dict[str, np.ndarray[Any, Any]] = {
        "labels": taught.labels,
        "cues": np.concatenate(taught.cues).astype(np.float16),
        "lengths": np.array([len(tags) for tags in taught.cues], dtype=np.int64),
    }
    unfinished = path.with_suffix(".part")
    save_file(content, unfinished, metadata={"digest": digest})
    unfinished.replace(path)
