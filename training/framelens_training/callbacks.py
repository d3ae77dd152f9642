"""What happens beside a fit's steps: checkpoints, the file of metrics, the draws of an epoch, the bar."""
# ruff: noqa: ARG002  (the arguments are the Trainer's)

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers import ProgressCallback, TrainerCallback

from framelens_training.files import write_json, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from transformers import TrainerControl, TrainerState, TrainingArguments

__all__ = ["Bar", "Checkpoints", "Drawn", "Epochs", "MetricsFile", "metrics"]

_NOT_REPEATABLE = ("_runtime", "_per_second")
_OF_THE_END = ("train_loss", "total_flos")


def metrics(history: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The entries of a Trainer's history, without what differs between two equal fits.

    That are times, and the last entry, which sums up one process's steps.

    Yields:
        ``step`` and ``epoch``, and the other figures in the order of their names.
    """
    for entry in history:
        kept = {
            name: entry[name]
            for name in sorted(entry)
            if name not in _OF_THE_END and not name.endswith(_NOT_REPEATABLE)
        }
        if kept.keys() - {"step", "epoch"}:
            yield {"step": kept.pop("step"), "epoch": kept.pop("epoch"), **kept}


class MetricsFile(TrainerCallback):
    """Keeps ``metrics.jsonl`` as long as the history, while it grows.

    Args:
        path: of the file; a resumed fit begins it with what its checkpoint knows.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Write what is known."""
        if state.is_world_process_zero:
            write_lines(self._path, metrics(state.log_history))

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Append the newest entry."""
        if state.is_world_process_zero:
            with self._path.open("a", encoding="utf-8") as lines:
                lines.writelines(json.dumps(entry) + "\n" for entry in metrics(state.log_history[-1:]))


class Drawn(Protocol):
    """A data set or a sampler that draws anew in every epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Draw for an epoch, counted from 0."""


class Epochs(TrainerCallback):
    """Tells what draws anew in every epoch which one begins.

    accelerate would tell a sampler or a data set, and neither behind the batches that a resumed fit skips.

    Args:
        drawn: to be told.
    """

    def __init__(self, drawn: Sequence[Drawn]) -> None:
        self._drawn = drawn

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Tell them."""
        for part in self._drawn:
            part.set_epoch(int(state.epoch or 0))


class Checkpoints(TrainerCallback):
    """Asks for a checkpoint within an epoch when the last is some time ago; and keeps the time of the fit.

    What is summed up of the loss between two logs stands in no checkpoint. So one is asked for only where
    the loss has just been logged, and it is logged at the end of every epoch, where the Trainer writes a
    checkpoint of its own once it has looked at dev.

    Args:
        minutes: between two checkpoints, at least 0.
        path: of ``time.json``: how many ``seconds`` the fit took, without what crashes cost.
        before: the seconds of what is gone on with.
    """

    def __init__(self, minutes: float, path: Path, before: float) -> None:
        self._seconds, self._path, self._before = 60 * minutes, path, before
        self._began = self._saved = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Ask where it is time."""
        epoch_ends = state.global_step % (state.max_steps // state.num_train_epochs) == 0
        if control.should_log and not epoch_ends and self._is_time(args):
            control.should_save = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Have the loss logged."""
        control.should_log = True

    def _is_time(self, args: TrainingArguments) -> bool:
        due = time.monotonic() - self._saved >= self._seconds
        if args.world_size == 1:
            return due
        # All processes write a checkpoint together; the first one's clock counts.
        told = torch.tensor(int(due), device=args.device)
        torch.distributed.broadcast(told, 0)
        return bool(told)

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Note the time."""
        self._saved = time.monotonic()
        if state.is_world_process_zero:
            seconds = self._before + self._saved - self._began
            write_json(self._path, {"seconds": round(seconds, 1)})


class Bar(ProgressCallback):
    """The Trainer's bar with the loss behind it, and one line an epoch on what dev gave, all on stderr."""

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Show what was logged."""
        if self.training_bar is None or logs is None:
            return
        if "loss" in logs:
            self.training_bar.set_postfix_str(f"loss {logs['loss']:.3f}")
        if "eval_macro_f1" in logs:
            kinds = (("outlets of training", "in_outlet"), ("outlets held out", "unseen_outlet"))
            parts = [
                f"{kind} {logs[name]:.4f}"
                for kind, suffix in kinds
                if (name := f"eval_macro_f1_{suffix}") in logs
            ]
            more = f" ({', '.join(parts)})" if parts else ""
            line = f"epoch {state.epoch:.0f}: dev macro-F1 {logs['eval_macro_f1']:.4f}{more}"
            self.training_bar.write(line, file=sys.stderr)
