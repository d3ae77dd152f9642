"""How far a run is: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from rich.console import Console

    from framelens.corpus import Counts

__all__ = ["Reporter"]

SECONDS_BETWEEN_LINES = 30.0


class Reporter:
    """Tells how far a run is; a context manager.

    Args:
        console: where.
        quiet: say nothing.
    """

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("reading through", total=None, note="")
        self._started = self._told = time.monotonic()
        self._stage = "reading through"
        self._total: int | None = None
        self._before = 0

    def __enter__(self) -> Reporter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, stage: str, total: int | None = None, done: int = 0) -> None:
        """Begin a stage.

        Args:
            stage: what is being done.
            total: records; None where that is not known.
            done: records that an earlier run has done.
        """
        self._stage, self._total, self._before = stage, total, done
        self._started = time.monotonic()
        self._bar.reset(self._task, total=total, completed=done, description=stage, note="")

    def read(self, records: int) -> None:
        """Tell how many records or files the stage has seen."""
        self._bar.update(self._task, completed=records)
        self._line(records, "")

    def labelled(self, counts: Counts) -> None:
        """Tell what this run has labelled so far."""
        seconds = max(time.monotonic() - self._started, 1e-3)
        note = f"{counts.sentences:,} sentences, {counts.sentences / seconds:,.0f}/s"
        if errors := counts.statuses["error"]:
            note += f", {errors:,} error{'' if errors == 1 else 's'}"
        self._bar.update(self._task, completed=self._before + counts.records, note=note)
        left = ""
        if self._total is not None and counts.records:
            remaining = self._total - self._before - counts.records
            left = f", {_duration(seconds * remaining / counts.records)} left"
        self._line(self._before + counts.records, f": {note}{left}")

    def say(self, text: str) -> None:
        """A line that stays."""
        if not self._quiet:
            self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    def _line(self, records: int, rest: str) -> None:
        now = time.monotonic()
        if self._quiet or self._console.is_terminal or now - self._told < SECONDS_BETWEEN_LINES:
            return
        self._told = now
        of = "" if self._total is None else f" of {self._total:,}"
        self.say(f"{self._stage}, {records:,}{of} records{rest}")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
