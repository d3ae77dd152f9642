"""A fit or pre-training that kills its own process, as a crash would, before a write into the run directory.

For the fixture `fit_in_process`, which runs it in a process of its own and gives it ``arguments``: the recipe
as JSON, the folders of the run and of the data, and ``killed_before``, a part of the path that it does not
live to write.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from framelens_training.fit import fit
from framelens_training.pretrain import pretrain
from framelens_training.recipe import PretrainRecipe, Recipe


def main(arguments: dict[str, Any]) -> None:
    run, killed_before = str(arguments["run"]), arguments["killed_before"]

    def watch(event: str, details: tuple[Any, ...]) -> None:
        opened = event == "open" and isinstance(details[1], str) and not set(details[1]).isdisjoint("wax+")
        if (opened or event == "os.mkdir") and killed_before is not None:
            path = os.fsdecode(details[0])
            if path.startswith(run) and killed_before in path:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    torch.set_num_threads(1)  # so small a model gains nothing by more
    tqdm.set_lock(threading.RLock())  # its own is a semaphore that nobody would clean up
    resume = (Path(run) / "recipe.json").exists()
    options: dict[str, Any] = {
        "data_dir": Path(arguments["data"]), "resume": resume, "checkpoint_minutes": 0,
    }  # fmt: skip
    content = arguments["recipe"]
    if "corpus" in json.loads(content):
        pretrain(PretrainRecipe.model_validate_json(content), Path(run), **options)
    else:
        fit(Recipe.model_validate_json(content), Path(run), **options)


main(globals()["arguments"])
