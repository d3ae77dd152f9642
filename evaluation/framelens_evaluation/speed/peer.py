"""What a user would write without framelens: the same model in a Hugging Face pipeline, file to file.

Run as ``python -m framelens_evaluation.speed.peer IN.jsonl OUT.jsonl --model FOLDER``. Rows of IN have ``id``
and ``text``; rows of OUT have ``id``, ``label`` and ``score``. Prints its own clocks as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BATCH_SIZE", "main"]

BATCH_SIZE: Final = 32


def main(arguments: Sequence[str] | None = None) -> None:
    """Label a file.

    The clock of ``seconds`` runs from opening IN to closing OUT; importing libraries and loading the model
    come before it.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args(arguments)

    begun = time.perf_counter()
    import torch
    import transformers

    import framelens.hf  # noqa: F401  (tells transformers of the model class)

    pipeline: Any = transformers.pipeline
    classify = pipeline(
        "text-classification",
        model=given.model,
        batch_size=BATCH_SIZE,
        dtype=torch.float32,
        device=given.device,
    )
    loaded = time.perf_counter()
    with given.source.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    with given.target.open("w", encoding="utf-8") as out:
        # Without truncation the pipeline stops at the first text that is too long.
        answers = classify((row["text"] for row in rows), truncation=True)
        for row, answer in zip(rows, answers, strict=True):
            out.write(
                json.dumps({"id": row["id"], "label": answer["label"], "score": answer["score"]}) + "\n"
            )
    ended = time.perf_counter()
    clocks = {
        "loading_seconds": loaded - begun,
        "seconds": ended - loaded,
        "threads": torch.get_num_threads(),
    }
    sys.stdout.write(json.dumps(clocks) + "\n")


if __name__ == "__main__":
    main()
