"""From what the user names to files in a fixed order: folders, patterns, `datasets` directories.

A *folder* stands for the files in it and below, sorted by their path. A *pattern* (``*``, ``?``,
``[…]``, ``**``) stands for the files that match it. A directory that Hugging Face `datasets` saved with
``save_to_disk`` stands for its data files, in their order, and one of several splits for all of these.

Of a folder or a pattern, files with a suffix that is not read are passed over and named; hidden ones
(``.name``) are not there. A file that was named itself is never passed over.
"""

from __future__ import annotations

import glob
import json
import os
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from framelens.decoding import STDIN, unusable
from framelens.errors import InputError
from framelens.readers import InputKind, input_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Inputs", "find_inputs"]

_STATE = "state.json"
_SPLITS = "dataset_dict.json"
#: Files that speak of a corpus and do not belong to it.
_ABOUT = ("readme", "license", "licence", "changelog", "citation", "notice")


@dataclass
class Inputs:
    """The files that are read.

    Attributes:
        files: in reading order; "-" is standard input.
        skipped: files of folders and patterns that are not read, in order.
        lenient: articles of folders and patterns: one of them that cannot be read is one bad record.
        output: a file or folder that is not looked at.
    """

    files: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    lenient: set[str] = field(default_factory=set)
    output: Path | None = None

    def leaves_out(self, path: Path) -> bool:
        """Whether a path is that of the output or in it."""
        return self.output is not None and path.resolve().is_relative_to(self.output)


def find_inputs(names: Sequence[str], output: Path | None = None) -> Inputs:
    """The files behind names of files, folders, patterns and `datasets` directories.

    Args:
        names: as the user gives them; a name that is there is never taken for a pattern.
        output: a file or folder that is written, or has been before: of folders and patterns, it and
            what is in it are no input.

    Raises:
        InputError: a folder or pattern has no file that can be read, or a `datasets` directory is
            incomplete. Files that are not there are the readers' to refuse.
    """
    found = Inputs(output=None if output is None else output.resolve())
    for name in names:
        path = Path(name)
        if name != STDIN and path.is_dir():
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
        got = f"{len(found.skipped) - before[1]:,} of other suffixes" if matches else "none"
        raise unusable(pattern, "a pattern that files to read match", got, "quote it and check it with ls")


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
        n = len(found.skipped) - before[1]
        got = f"{n:,} of other suffixes, such as {PurePath(found.skipped[-1]).name}" if n else "an empty one"
        raise unusable(name, "a folder with files to read", got, "framelens label --help names the formats")


def _walk(folder: Path, found: Inputs) -> None:
    if (folder / _SPLITS).is_file():
        for split in _strings(folder / _SPLITS, "splits"):
            _add_saved(folder / split, found)
        return
    if (folder / _STATE).is_file() and next(folder.glob("data-*.arrow"), None):
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
    path = PurePath(name)
    about = path.name.lower().split(".")[0] in _ABOUT
    try:
        kind = input_kind(name)
    except InputError:
        kind = None
    if kind is None or (about and kind is InputKind.ARTICLE) or not Path(name).is_file():
        found.skipped.append(name)
        return
    found.files.append(name)
    if kind is InputKind.ARTICLE:
        found.lenient.add(name)


def _add_saved(folder: Path, found: Inputs) -> None:
    """The files of one split that `datasets` saved; others beside them are its caches."""
    names = _data_files(folder / _STATE)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        got = f"no {missing[0]}" if missing else "none in its state.json"
        raise unusable(str(folder), "the data files of a saved dataset", got, "save it again: save_to_disk")
    found.files += [str(folder / name) for name in names]


def _data_files(state: Path) -> list[str]:
    try:
        content = json.loads(state.read_bytes())
        selected = content.get("_indices_data_files")
        names = [str(entry["filename"]) for entry in content["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(state, error) from error
    if selected:
        advice = "save it again: dataset.flatten_indices().save_to_disk(FOLDER)"
        raise unusable(str(state), "a dataset without a selection of rows", "one with it", advice)
    return names


def _strings(path: Path, key: str) -> list[str]:
    try:
        return [str(name) for name in json.loads(path.read_bytes())[key]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return unusable(str(path), "a file of datasets' save_to_disk", f"another ({error!r})", "save it again")
