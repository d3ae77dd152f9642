"""``framelens-train export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from framelens_training.console import RunDir, app, check_extra, say

__all__ = ["export"]


@app.command()
def export(
    run: RunDir,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the bundle.", show_default=False)],
) -> None:
    """Calibrate on dev, write fp16 weights and the ONNX graph, and put them in place if parity holds."""
    check_extra()
    from framelens_training.export import export as run_export

    calibration, parity = run_export(run, out)
    say(
        f"temperature {calibration.temperature:.3f}, ECE on dev {calibration.ece_before:.3f} -> "
        f"{calibration.ece_after:.3f}"
    )
    for path in parity:
        say(
            f"{path.path}: {path.agreement:.3%} equal labels of {path.n_sentences}, largest difference "
            f"{path.max_difference:.1e}, batch dependence {path.batch_dependence:.1e}"
        )
    say(f"the bundle is in {out}")
