"""From what the user names to files in a fixed order: folders, patterns, `datasets` directories.

A *folder* stands for the files in it and below, sorted by their path. A *pattern* (``*``, ``?``,
``[…]``, ``**``) stands for the files that match it. A directory that Hugging Face `datasets` saved with
``save_to_disk`` stands for its data files, in their order, and one of several splits for all of these.

Of a folder or a pattern, files with a suffix that is not read are passed over and named; hidden ones
(``.name``) are not there. A file that was named itself is never passed over.

All this holds of object stores too, where a name that ends in a slash is that of a folder and ``?`` belongs
to no pattern; see `framelens.storage`.
"""

from __future__ import annotations

import glob
import json
import os
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING

from framelens.decoding import STDIN, unusable
from framelens.errors import InputError, JobError
from framelens.readers import InputKind, input_kind
from framelens.storage import (
    ObjectPath,
    address,
    is_uri,
    key_of,
    local_name,
    location,
    names_folder,
    public,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Inputs", "find_inputs"]

_STATE = "state.json"
_SPLITS = "dataset_dict.json"
_DATA = "data-*.arrow"
#: Files that speak of a corpus and do not belong to it.
_ABOUT = ("readme", "license", "licence", "changelog", "citation", "notice")


@dataclass
class Inputs:
    """The files that are read.

    Attributes:
        files: in reading order; "-" is standard input. URIs are such that they can be opened, see
            `framelens.storage.public`.
        skipped: files of folders and patterns that are not read, in order.
        lenient: articles of folders and patterns: one of them that cannot be read is one bad record.
        output: a file or folder that is not looked at.
    """

    files: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    lenient: set[str] = field(default_factory=set)
    output: Path | ObjectPath | None = None

    def leaves_out(self, path: Path | ObjectPath) -> bool:
        """Whether a path is that of the output or in it."""
        if isinstance(path, ObjectPath):
            return self.output is not None and path.is_relative_to(self.output)
        return isinstance(self.output, Path) and path.resolve().is_relative_to(self.output)


def find_inputs(names: Sequence[str], output: Path | ObjectPath | None = None) -> Inputs:
    """The files behind names of files, folders, patterns and `datasets` directories.

    Args:
        names: as the user gives them; a name that is there is never taken for a pattern.
        output: a file or folder that is written, or has been before: of folders and patterns, it and
            what is in it are no input.

    Raises:
        InputError: a folder or pattern has no file that can be read, or a `datasets` directory is
            incomplete. Files that are not there are the readers' to refuse.
        JobError: an object store does not answer.
    """
    found = Inputs(output=output.resolve() if isinstance(output, Path) else output)
    for name in map(local_name, names):
        path = location(name)
        if isinstance(path, ObjectPath):
            _add_objects(name, path, found)
        elif name != STDIN and path.is_dir():
            _add_folder(name, found)
        elif name != STDIN and glob.has_magic(name) and not path.exists():
            _add_pattern(name, found)
        else:
            found.files.append(name)
    return found


def _add_pattern(pattern: str, found: Inputs) -> None:
    # Path.glob takes no pattern with a root or drive. Sorted as a folder's files are.
    matches = sorted(glob.glob(pattern, recursive=True), key=lambda name: PurePath(name).parts)  # noqa: PTH207
    before = len(found.files), len(found.skipped)
    homes = _homes(matches)
    for name in matches:
        if found.leaves_out(Path(name)):
            continue
        if PurePath(name).parent not in homes:
            found.skipped.append(name)
            continue
        # A folder that ** matches is walked through by ** itself.
        if Path(name).is_dir():
            if "**" not in PurePath(pattern).parts:
                _add_folder(name, found)
        else:
            _add_file(name, found)
    if len(found.files) == before[0]:
        raise _unmatched(pattern, len(found.skipped) - before[1], "quote it and check it with ls")


def _homes(matches: Sequence[str]) -> set[PurePath]:
    """The folders of matches, each once: ** follows links, and one that leads back repeats all files."""
    found: dict[Path, PurePath] = {}
    for folder in sorted({PurePath(name).parent for name in matches}, key=lambda path: len(path.parts)):
        found.setdefault(Path(folder).resolve(), folder)
    return set(found.values())


def _add_folder(name: str, found: Inputs) -> None:
    before = len(found.files), len(found.skipped)
    _walk(Path(name), found)
    if len(found.files) == before[0]:
        raise _unreadable(name, found.skipped[before[1] :])


def _unmatched(pattern: str, n_skipped: int, advice: str) -> InputError:
    got = f"{n_skipped:,} of other suffixes" if n_skipped else "none"
    return unusable(pattern, "a pattern that files to read match", got, advice)


def _unreadable(name: str, skipped: Sequence[str]) -> InputError:
    n = len(skipped)
    got = f"{n:,} of other suffixes, such as {PurePath(skipped[-1]).name}" if n else "an empty one"
    return unusable(name, "a folder with files to read", got, "framelens label --help names the formats")


def _walk(folder: Path, found: Inputs) -> None:
    if (folder / _SPLITS).is_file():
        for split in _strings(folder / _SPLITS, "splits"):
            _add_saved(folder / split, found)
        return
    if (folder / _STATE).is_file() and next(folder.glob(_DATA), None):
        _add_saved(folder, found)
        return
    with os.scandir(folder) as entries:
        visible = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda e: e.name)
    for entry in visible:
        path = folder / entry.name
        if found.leaves_out(path):
            continue
        if entry.is_dir(follow_symlinks=False):
            _walk(path, found)
        elif entry.is_dir():
            # It may lead back to where we come from.
            found.skipped.append(str(path))
        else:
            _add_file(str(path), found)


def _add_file(name: str, found: Inputs) -> None:
    path = PurePath(key_of(name))
    about = path.name.lower().split(".")[0] in _ABOUT
    try:
        kind = input_kind(name)
    except InputError:
        kind = None
    if kind is None or (about and kind is InputKind.ARTICLE) or not (is_uri(name) or Path(name).is_file()):
        found.skipped.append(public(name))
        return
    found.files.append(name)
    if kind is InputKind.ARTICLE:
        found.lenient.add(name)


def _add_objects(name: str, path: ObjectPath, found: Inputs) -> None:
    """What a URI stands for; one listing finds all that lies below a folder."""
    if not names_folder(name) and path.is_file():
        found.files.append(name)
    elif path.is_dir():
        _add_matched(path, _listed(path, found), found)
    elif glob.has_magic(path.key):
        _add_objects_like(name, path, found)
    elif names_folder(name):
        raise _unreadable(name, ())
    else:
        found.files.append(name)


def _listed(folder: ObjectPath, found: Inputs) -> list[tuple[str, ...]]:
    """The objects below a folder, by the parts of their paths from there, in order."""
    return sorted(parts for parts in folder.files_below() if not found.leaves_out(folder.joined(parts)))


def _add_objects_like(name: str, path: ObjectPath, found: Inputs) -> None:
    before = len(found.files), len(found.skipped)
    parts = PurePosixPath(path.key).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    folder, pattern = replace(path, key="/".join(parts[:fixed])), parts[fixed:]
    # A folder that ** matches is walked through by ** itself.
    depth = None if "**" in pattern else len(pattern)
    for head, group in groupby(_listed(folder, found), key=lambda parts: parts[:depth]):
        if _matches(head, pattern):
            _add_matched(folder.joined(head), [parts[len(head) :] for parts in group], found)
    if len(found.files) == before[0]:
        raise _unmatched(name, len(found.skipped) - before[1], "check it with the store's own ls")


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a path matches a pattern as `glob` has it: no wildcard stands for a leading dot."""
    if not pattern or not parts:
        return not parts and all(part == "**" for part in pattern)
    hidden = parts[0].startswith(".")
    if pattern[0] == "**":
        return _matches(parts, pattern[1:]) or (not hidden and _matches(parts[1:], pattern))
    fits = fnmatchcase(parts[0], pattern[0]) and (not hidden or pattern[0].startswith("."))
    return fits and _matches(parts[1:], pattern[1:])


def _add_matched(path: ObjectPath, below: list[tuple[str, ...]], found: Inputs) -> None:
    """An object, a folder or, as a store allows, both of one name.

    Args:
        path: its name.
        below: the objects in it, by the parts of their paths from there, in order; () is the object itself.
        found: is added to.
    """
    before = len(found.files), len(found.skipped)
    visible = [parts for parts in below if not any(part.startswith(".") for part in parts)]
    with_data = {parts[:-1] for parts in visible if parts and fnmatchcase(parts[-1], _DATA)}
    homes = {
        parts[:-1]
        for parts in visible
        if parts and (parts[-1] == _SPLITS or (parts[-1] == _STATE and parts[:-1] in with_data))
    }

    def home_of(parts: tuple[str, ...]) -> tuple[str, ...] | None:
        return next((parts[:i] for i in range(len(parts)) if parts[:i] in homes), None)

    for home, group in groupby(visible, key=home_of):
        if home is None:
            for parts in group:
                _add_file(address(path.joined(parts)), found)
            continue
        saved = path.joined(home)
        is_split = (*home, _SPLITS) in visible
        for folder in [saved / name for name in _strings(saved / _SPLITS, "splits")] if is_split else [saved]:
            _add_saved(folder, found)
    if len(found.files) == before[0] and any(below):
        raise _unreadable(address(path), found.skipped[before[1] :])


def _add_saved(folder: Path | ObjectPath, found: Inputs) -> None:
    """The files of one split that `datasets` saved; others beside them are its caches."""
    names = _data_files(folder / _STATE)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        got = f"no {missing[0]}" if missing else "none in its state.json"
        raise unusable(str(folder), "the data files of a saved dataset", got, "save it again: save_to_disk")
    found.files += [address(folder / name) for name in names]


def _data_files(state: Path | ObjectPath) -> list[str]:
    try:
        content = json.loads(state.read_bytes())
        selected = content.get("_indices_data_files")
        names = [str(entry["filename"]) for entry in content["_data_files"]]
    except JobError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(state, error) from error
    if selected:
        advice = "save it again: dataset.flatten_indices().save_to_disk(FOLDER)"
        raise unusable(str(state), "a dataset without a selection of rows", "one with it", advice)
    return names


def _strings(path: Path | ObjectPath, key: str) -> list[str]:
    try:
        return [str(name) for name in json.loads(path.read_bytes())[key]]
    except JobError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path | ObjectPath, error: Exception) -> InputError:
    return unusable(str(path), "a file of datasets' save_to_disk", f"another ({error!r})", "save it again")
