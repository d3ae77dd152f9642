"""Fine-tuning an encoder on a benchmark: fixed settings, the best epoch on dev.

The recipe is the usual one (Devlin et al. 2019, appendix A.3): AdamW, a warm-up over a tenth of the steps
and a linear decay to 0. On the mean of the token vectors stands one linear layer. Nothing in it was tuned
on a benchmark.
"""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from framelens_evaluation.bench.encoder import mean_of_tokens
from framelens_evaluation.bench.methods import Answers, check_two_classes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from framelens_evaluation.bench.encoder import Encoder
    from framelens_evaluation.bench.methods import Parts
    from framelens_evaluation.bench.tasks import FineTuning
    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = ["FineTune", "uses_bf16"]

_WARM_UP = 0.1
_DROPOUT = 0.1
_DECAY = 0.01
_LARGEST_GRADIENT = 1.0
#: Batches whose sentences are sorted by length together, so that padding stays small.
_WINDOW = 32


def uses_bf16(torch: Any) -> bool:
    """Whether training multiplies in bfloat16: where the GPU, or the processor's AMX, does so in hardware."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


class FineTune:
    """A copy of an encoder with a new linear head, trained on each task anew.

    Args:
        encoder: whose weights training starts from; they are not changed.
    """

    name = "finetune"

    def __init__(self, encoder: Encoder) -> None:
        import torch

        self._torch: Any = torch
        self._encoder = encoder

    def answer(self, parts: Parts) -> Answers:
        """Train for the task's epochs and answer with the weights that were best on dev."""
        check_two_classes(parts)
        torch = self._torch
        # The seed holds for this alone: whoever calls keeps their own state of torch.
        with torch.random.fork_rng():
            torch.manual_seed(parts.seed)
            run = _Run(torch, self._encoder, parts)
            epoch = run.train()
        return Answers(run.answer(parts.dev_texts), run.answer(parts.test_texts), {"epoch": float(epoch)})


class _Run:
    """One training."""

    def __init__(self, torch: Any, encoder: Encoder, parts: Parts) -> None:
        self._torch = torch
        self._parts = parts
        self._tokenizer = encoder.tokenizer
        self._settings: FineTuning = parts.task.finetuning
        self._max_tokens = min(encoder.max_tokens, self._settings.max_tokens)
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._bf16 = uses_bf16(torch)
        self._body = copy.deepcopy(encoder.network).to(self._device)
        width, n_classes = self._body.config.hidden_size, parts.scorer.n_classes
        self._head = torch.nn.Sequential(torch.nn.Dropout(_DROPOUT), torch.nn.Linear(width, n_classes)).to(
            self._device
        )
        self._model = torch.nn.ModuleList([self._body, self._head])
        # Each class weighs the same in sum, as in the other methods.
        n = np.bincount(parts.train_labels, minlength=n_classes)
        weights = np.where(n > 0, len(parts.train_labels) / (np.maximum(n, 1) * (n > 0).sum()), 0.0)
        self._loss = torch.nn.CrossEntropyLoss(
            weight=torch.tensor(weights, dtype=torch.float32, device=self._device)
        )

    def train(self) -> int:
        """Fit; leaves the weights of the best epoch and returns its number, from 1."""
        torch, parts = self._torch, self._parts
        ids = self._token_ids(parts.train_texts)
        labels = torch.tensor(parts.train_labels)
        steps = -(-len(ids) // self._settings.batch_size) * self._settings.epochs
        optimiser = torch.optim.AdamW(
            self._model.parameters(), lr=self._settings.learning_rate, weight_decay=_DECAY
        )
        warm_up = max(1, int(_WARM_UP * steps))
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda at: min((at + 1) / warm_up, max(0.0, (steps - at) / max(1, steps - warm_up)))
        )
        best_score, best_epoch, best = -1.0, 0, None
        step = 0
        for epoch in range(1, self._settings.epochs + 1):
            self._model.train()
            for batch in self._batches([len(row) for row in ids], epoch):
                loss = self._loss(self._logits([ids[i] for i in batch]), labels[batch].to(self._device))
                loss.backward()
                torch.nn.utils.clip_grad_norm_(self._model.parameters(), _LARGEST_GRADIENT)
                optimiser.step()
                schedule.step()
                optimiser.zero_grad()
                step += 1
                if step % 100 == 0:
                    parts.tell(f"step {step:,} of {steps:,}, loss {loss.item():.3f}")
            score = parts.scorer.best_score(parts.dev_labels, self.answer(parts.dev_texts))
            parts.tell(f"epoch {epoch}: {parts.task.metric} {score:.3f} on dev")
            if np.nan_to_num(score, nan=-0.5) > best_score:
                best_score, best_epoch = float(np.nan_to_num(score, nan=-0.5)), epoch
                best = {name: value.detach().clone() for name, value in self._model.state_dict().items()}
        self._model.load_state_dict(best)
        return best_epoch

    def answer(self, texts: list[str]) -> FloatArray:
        """Probabilities of shape (n_sentences, n_classes)."""
        torch = self._torch
        self._model.eval()
        ids = self._token_ids(texts)
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        found = np.empty((len(ids), self._parts.scorer.n_classes))
        size = 2 * self._settings.batch_size
        for first in range(0, len(order), size):
            batch = order[first : first + size]
            with torch.inference_mode():
                found[batch] = self._logits([ids[i] for i in batch]).double().softmax(-1).cpu().numpy()
        return found

    def _logits(self, ids: list[list[int]]) -> Any:
        torch = self._torch
        inputs = self._tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self._device)
        mixed = torch.autocast(self._device, dtype=torch.bfloat16) if self._bf16 else nullcontext()
        with mixed:
            tokens = self._body(**inputs).last_hidden_state
        # The head in float32: it is small, and bfloat16 would round its logits coarsely.
        return self._head(mean_of_tokens(tokens.float(), inputs["attention_mask"]))

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        found: list[list[int]] = self._tokenizer(texts, truncation=True, max_length=self._max_tokens)[
            "input_ids"
        ]
        return found

    def _batches(self, lengths: list[int], epoch: int) -> Iterator[list[int]]:
        """Every sentence once, in a random order, with those of like length together."""
        rng = np.random.default_rng([self._parts.seed, epoch])
        size = self._settings.batch_size
        order = rng.permutation(len(lengths)).tolist()
        batches = []
        for first in range(0, len(order), size * _WINDOW):
            window = sorted(order[first : first + size * _WINDOW], key=lambda i: lengths[i])
            batches += [window[at : at + size] for at in range(0, len(window), size)]
        for at in rng.permutation(len(batches)):
            yield batches[at]
