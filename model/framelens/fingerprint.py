"""What decides the bytes of a job's shards, and how two such descriptions differ."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from framelens import __version__
from framelens.storage import ObjectPath, location, public

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["describe_files", "differences", "file_digest", "fingerprint"]

_PACKAGES = ("nupunkt", "numpy", "pyarrow", "tokenizers")
_OF_BACKEND = {"onnx": ("onnxruntime",), "torch": ("torch", "transformers")}
_DIGITS_SHOWN = 12


def fingerprint(
    *,
    inputs: Sequence[Mapping[str, Any]],
    model_digest: str,
    options: Mapping[str, Any],
    graph_digest: str | None = None,
) -> dict[str, Any]:
    """Everything that decides what a shard holds, as plain JSON types.

    Args:
        inputs: from `describe_files`.
        model_digest: see `framelens.bundle.Bundle.digest`.
        graph_digest: SHA-256 of the ONNX graph; None where there is none.
        options: of the job, and of the model's computation.
    """
    backend = _OF_BACKEND.get(str(options.get("backend")), ())
    return {
        "framelens": __version__,
        "packages": {name: _version(name) for name in (*_PACKAGES, *backend)},
        "model_digest": model_digest,
        "graph_digest": graph_digest,
        "options": dict(options),
        "inputs": [dict(entry) for entry in inputs],
    }


def describe_files(
    names: Sequence[str],
    known: Sequence[Mapping[str, Any]] = (),
    seen: Callable[[int], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Name, size, time of change and SHA-256 of each file, in their order; see `file_digest`.

    Args:
        names: of files.
        known: an earlier description: a file of the same name, size and time of change is taken for the
            same and not read. The records are compared as well when they are read again, see
            `framelens.survey.PartReader`.
        seen: is called with the number of files so far.
    """
    earlier = {(entry["name"], entry["bytes"], entry["mtime_ns"]): entry["sha256"] for entry in known}
    found = []
    for number, name in enumerate(names, 1):
        status = location(name).stat()
        key = (public(name), status.st_size, status.st_mtime_ns)
        digest = earlier.get(key) or file_digest(name)
        found.append(dict(zip(("name", "bytes", "mtime_ns", "sha256"), (*key, digest), strict=True)))
        seen(number)
    return found


def file_digest(name: str) -> str | None:
    """SHA-256 of a file; None of one that cannot be read, which is a record with an error.

    Raises:
        JobError: an object store does not answer.
    """
    path = location(name)
    if isinstance(path, ObjectPath):
        with path.open_stream() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    try:
        with path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError:
        return None


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What has changed between two fingerprints, each as one phrase."""
    found = []
    if before["model_digest"] != now["model_digest"]:
        old, new = (digest["model_digest"][:_DIGITS_SHOWN] for digest in (before, now))
        found.append(f"model {old} -> {new}")
    elif before["graph_digest"] and now["graph_digest"] and before["graph_digest"] != now["graph_digest"]:
        found.append("the model's ONNX graph")
    found += _changes(before["options"], now["options"], "")
    # A backend that one of them does not use has no version there, and has been told as an option.
    shared = before["packages"].keys() & now["packages"].keys()
    old_versions, new_versions = (
        {"framelens": state["framelens"]} | {name: state["packages"][name] for name in sorted(shared)}
        for state in (before, now)
    )
    found += _changes(old_versions, new_versions, "version of ")
    return found + _input_changes(before["inputs"], now["inputs"])


def _changes(before: Mapping[str, Any], now: Mapping[str, Any], what: str) -> list[str]:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return [f"{what}{name} {before.get(name)} -> {now.get(name)}" for name in names]


def _input_changes(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[str]:
    old, new = ({entry["name"]: entry for entry in entries} for entries in (before, now))
    found = [f"input {name} is gone" for name in old if name not in new]
    found += [f"input {name} is new" for name in new if name not in old]
    for name in old:
        if name not in new or old[name]["sha256"] == new[name]["sha256"]:
            continue
        sizes = old[name]["bytes"], new[name]["bytes"]
        change = "{:,} -> {:,} bytes".format(*sizes) if sizes[0] != sizes[1] else "of the same size"
        was, is_now = ((entry[name]["sha256"] or "unreadable")[:_DIGITS_SHOWN] for entry in (old, new))
        found.append(f"content of {name} ({change}, sha256 {was} -> {is_now})")
    if not found and [entry["name"] for entry in before] != [entry["name"] for entry in now]:
        found.append("order of the inputs")
    return found


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
