"""From references to sentences: fetches the files with git and finds every sentence in them again."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from framelens_training.contents import UnreadableError, readings, split_member
from framelens_training.gitfiles import FileCache, GoneError, check_base
from framelens_training.locate import Found, Wanted, find

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from framelens_training.references import Reference

__all__ = ["GITHUB", "FetchReport", "Missing", "rebuild", "restore"]

GITHUB = "https://github.com/"
NOT_FOUND = "sentence not in the file"
_NUMBER = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True)
class Missing:
    """A sentence that was not restored.

    Attributes:
        id: of the sentence.
        repo: owner/name.
        path: of the file.
        reason: why not, in a few words that do not depend on the sentence.
    """

    id: str
    repo: str
    path: str
    reason: str


@dataclass(frozen=True)
class FetchReport:
    """What became of references.

    Attributes:
        asked: how many references there were of each repository.
        missing: sentences that were not restored, by id.
        without_context: ids of sentences that were, but whose context does not stand before them.
    """

    asked: dict[str, int]
    missing: tuple[Missing, ...]
    without_context: tuple[str, ...]

    @property
    def restored(self) -> int:
        """How many sentences were restored."""
        return sum(self.asked.values()) - len(self.missing)

    def as_json(self) -> dict[str, Any]:
        """Counts, by repository and reason too, and the ids of what is missing."""
        ids: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for each in self.missing:
            ids[each.repo][each.reason].append(each.id)
        return {
            "asked": sum(self.asked.values()),
            "restored": self.restored,
            "without_context": {"n": len(self.without_context), "ids": list(self.without_context)},
            "repositories": {
                repo: {
                    "asked": n,
                    "restored": n - sum(map(len, ids[repo].values())),
                    "missing": {
                        reason: {"n": len(of), "ids": of} for reason, of in sorted(ids[repo].items())
                    },
                }
                for repo, n in sorted(self.asked.items())
            },
        }

    def table(self) -> str:
        """A line a repository and a line a reason, for a terminal."""
        reasons: dict[str, Counter[str]] = defaultdict(Counter)
        for each in self.missing:
            reasons[each.repo][each.reason] += 1
        width = max(map(len, (*self.asked, "repository")))
        lines = [f"{'repository':<{width}}  restored      of  missing because"]
        for repo, n in sorted(self.asked.items()):
            why = ", ".join(f"{reason} ({count})" for reason, count in reasons[repo].most_common())
            lines.append(f"{repo:<{width}}  {n - reasons[repo].total():>8,} {n:>7,}  {why}".rstrip())
        n = sum(self.asked.values())
        lines.append(f"{'all':<{width}}  {self.restored:>8,} {n:>7,}")
        if self.without_context:
            lines.append(f"{len(self.without_context):,} sentences restored without their context")
        return "\n".join(lines)


def rebuild(
    references: Iterable[Reference],
    cache: Path,
    git_base: str = GITHUB,
    progress: Callable[[str], None] | None = None,
) -> tuple[list[dict[str, Any]], FetchReport]:
    """Fetch the files that references name, and find the sentences in them.

    Args:
        references: from `framelens_training.references.read_references`.
        cache: folder that keeps the files. What is there is not fetched again, so a run that was stopped
            goes on where it stood, repository by repository.
        git_base: where the repositories are: owner/name comes behind it.
        progress: is given a line of text before and after each repository.

    Returns:
        Rows in the columns of the annotated sentences, by id, and what became of each reference.

    Raises:
        InputError: ``git_base`` is no address.
        JobError: the server cannot be reached, or git is not installed.
    """
    files = FileCache(cache, check_base(git_base))
    by_repo: dict[str, list[Reference]] = defaultdict(list)
    for reference in references:
        by_repo[reference.repo].append(reference)
    rows: list[dict[str, Any]] = []
    missing: list[Missing] = []
    bare: list[str] = []
    for number, (repo, its) in enumerate(sorted(by_repo.items()), 1):
        before = len(rows)
        where = f"{repo} ({number} of {len(by_repo)})"
        for reference, outcome in _restored(repo, its, files, _teller(progress, where)):
            if isinstance(outcome, str):
                missing.append(Missing(reference.id, repo, reference.path, outcome))
                continue
            rows.append(reference.row(outcome.text, outcome.context))
            if reference.context and outcome.context is None:
                bare.append(reference.id)
        if progress:
            progress(f"{where}: {len(rows) - before:,} of {len(its):,} sentences restored")
    asked = {repo: len(its) for repo, its in sorted(by_repo.items())}
    rows.sort(key=lambda row: str(row["id"]))
    missing.sort(key=lambda each: each.id)
    return rows, FetchReport(asked, tuple(missing), tuple(sorted(bare)))


def _teller(progress: Callable[[str], None] | None, where: str) -> Callable[[int], None]:
    def tell(n_files: int) -> None:
        if progress:
            progress(f"{where}: fetching {n_files:,} files")

    return tell


def _restored(
    repo: str, references: Sequence[Reference], files: FileCache, fetching: Callable[[int], None]
) -> Iterator[tuple[Reference, Found | str]]:
    """Every reference of a repository with what was found, or with the reason why nothing was."""
    wanted: dict[str, set[str]] = defaultdict(set)
    by_path: dict[tuple[str, str], list[Reference]] = defaultdict(list)
    for reference in references:
        wanted[reference.commit].add(split_member(reference.path)[0])
        by_path[reference.commit, reference.path].append(reference)
    if files.missing(repo, wanted):
        fetching(sum(map(len, wanted.values())))
    try:
        found = files.files(repo, wanted)
    except GoneError as error:
        yield from ((reference, str(error)) for reference in references)
        return
    for (commit, path), its in sorted(by_path.items()):
        file = found[commit, split_member(path)[0]]
        if isinstance(file, str):
            yield from ((reference, file) for reference in its)
        else:
            yield from zip(its, restore(its, path, file.read_bytes()), strict=True)


def restore(references: Sequence[Reference], path: str, data: bytes) -> list[Found | str]:
    """Find the sentences of one file.

    Args:
        references: to sentences of the file.
        path: of the file, with the member if it is an archive.
        data: content of the file or archive.

    Returns:
        What was found, or why nothing was, for each reference.
    """
    wanted = [Wanted(each.anchor, each.text, each.context, _record(each.record)) for each in references]
    best: dict[int, Found] = {}
    left = list(range(len(wanted)))
    try:
        for columns in readings(path, data):
            for at, found in find([wanted[index] for index in left], columns).items():
                if left[at] not in best or found.context is not None:
                    best[left[at]] = found
            left = [index for index in left if _incomplete(best.get(index), wanted[index])]
            if not left:
                break
    except UnreadableError as error:
        return [str(error)] * len(references)
    return [best.get(index, NOT_FOUND) for index in range(len(references))]


def _incomplete(found: Found | None, wanted: Wanted) -> bool:
    return found is None or (found.context is None and wanted.context is not None)


def _record(record: str | None) -> int | None:
    number = _NUMBER.search(record or "")
    return int(number.group()) if number else None
