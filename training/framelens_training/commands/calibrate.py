"""``framelens-train calibrate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens_training.console import RunDir, app, check_extra, say

__all__ = ["calibrate"]


@app.command()
def calibrate(
    run: RunDir,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Judged sentences as JSON lines (text, label; context, cue, article where known), in place "
            "of the run's own dev.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Say how well a fitted model knows what it knows, and find the temperature that mends it.

    One temperature divides the logits of all labels. It is the one of the least log loss on dev; no label
    changes by it. The calibration error (ECE) is shown as it is, and debiased, without what chance alone adds
    to it; and for each label's own probability. Also chosen is the threshold above which words are shown as
    evidence. All of it is written to RUN/calibration.json.

    `export` does the same once more on dev and puts the temperature into the bundle; this command shows it
    before, or on other sentences.

    Examples:

        framelens-train calibrate runs/minilm

        framelens-train calibrate runs/minilm --data mine/judged.jsonl
    """
    check_extra()
    from framelens_training.run_calibration import calibrate_run

    found = calibrate_run(run, data)
    say(f"temperature {found.temperature:.3f}, on {found.n_sentences:,} sentences")
    for name, before, after in (
        ("log loss", found.log_loss_before, found.log_loss_after),
        ("ECE", found.ece_before, found.ece_after),
        ("ECE, debiased", found.ece_debiased_before, found.ece_debiased_after),
        *(
            (f"ECE of {label}", was, found.label_ece_after[label])
            for label, was in found.label_ece_before.items()
        ),
    ):
        say(f"{name:<28} {before:.4f} -> {after:.4f}")
    if found.n_cues:
        say(
            f"evidence from a probability of {found.evidence_threshold:.2f}: F1 {found.evidence_f1:.3f} by "
            f"characters, against {found.n_cues:,} cues"
        )
    say(f"wrote {run / 'calibration.json'}")
