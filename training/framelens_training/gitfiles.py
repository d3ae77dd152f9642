"""Files of a public repository at one of its commits, with git and as little of it as the server allows.

Nothing is checked out and nothing is run: a bare repository in a temporary folder takes the commit without
its history and, where the server can filter, without its files; then the files wanted come in one go and
are copied to a cache by their digest.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import unquote

from framelens.decoding import shown
from framelens.errors import InputError, JobError
from framelens_training.files import write_json

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

__all__ = ["FileCache", "GoneError", "check_base"]

_BASE = re.compile(r"(?:https?|ssh|git|file)://[^\s]+\Z")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_SETTINGS = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",
    "credential.helper=",
    # What is fetched hangs together with nothing that is there already.
    "fetch.negotiationAlgorithm=noop",
    "fetch.recurseSubmodules=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "protocol.ext.allow=never",
    # A server that sends nothing for a minute sends nothing more.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
)
_UNREACHABLE = re.compile(
    r"could not resolve|failed to connect|couldn't connect|connection (?:refused|timed out|reset|closed)"
    r"|timed out|network is unreachable|no route to host|too slow|early eof|hung up|rpc failed"
    r"|unable to connect|ssl (?:connect|certificate|peer)|ssl_|gnutls_|schannel"
    r"|returned error: (?:429|5\d\d)",
    re.IGNORECASE,
)
_GONE = re.compile(
    r"not found|does not appear to be a git repository|could not read username|authentication failed"
    r"|returned error: (?:401|403|404|410|451)",
    re.IGNORECASE,
)
_NO_OBJECT = re.compile(r"not our ref|not a valid object|could not get object info|bad file", re.IGNORECASE)
_COMPLAINT = re.compile(r"(?:fatal|error|remote error): ", re.IGNORECASE)
#: What a repository of git's own tells a program that runs inside it; none of it is meant for us.
_FOREIGN = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_INDEX_FILE",
    "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)  # fmt: skip


class GoneError(Exception):
    """A repository that cannot be had any more; the message says why, in a few words."""


class _RefusedError(Exception):
    """The server does not do what was asked of it, or the repository has no such object."""


def check_base(base: str) -> str:
    """The address before ``owner/name``, with a slash at its end.

    Raises:
        InputError: it is no address that git fetches from.
    """
    if not _BASE.match(base):
        raise InputError(
            f"expected the address before owner/name, such as https://github.com/ or file:///mirrors/, "
            f"got {base!r}"
        )
    if base.startswith("file://") and not Path(unquote(base.removeprefix("file://"))).is_dir():
        raise InputError(f"expected a folder of repositories at {base}, got none")
    return base.rstrip("/") + "/"


class FileCache:
    """Files of repositories, kept in a folder once they are fetched.

    Args:
        folder: is made if need be. ``blobs/`` holds files by git's digest, ``repos/`` which file has which.
        base: from `check_base`.
    """

    def __init__(self, folder: Path, base: str) -> None:
        self._folder = folder
        self._base = base

    def missing(self, repo: str, wanted: Mapping[str, Collection[str]]) -> bool:
        """Whether any of the files wanted was never asked for, so that `files` goes to the server."""
        known = self._known(repo)
        return any(not known.get(commit, {}).keys() >= set(paths) for commit, paths in wanted.items())

    def files(self, repo: str, wanted: Mapping[str, Collection[str]]) -> dict[tuple[str, str], Path | str]:
        """Where files of a repository lie; those that are missing are fetched first.

        Args:
            repo: owner/name.
            wanted: paths by commit.

        Returns:
            By commit and path: where the file lies, or why there is none.

        Raises:
            GoneError: there is no such repository.
            JobError: the server cannot be reached, or git is not installed.
        """
        if self.missing(repo, wanted):
            self._fetch(repo, wanted)
        known = self._known(repo)
        found: dict[tuple[str, str], Path | str] = {}
        for commit, paths in wanted.items():
            blobs = known.get(commit)
            for path in paths:
                blob = blobs.get(path) if blobs is not None else None
                reason = "no such commit" if blobs is None else "no such file in the commit"
                found[commit, path] = self._blob(blob) if blob else reason
        return found

    def _blob(self, name: str) -> Path:
        return self._folder / "blobs" / name[:2] / name[2:]

    def _list(self, repo: str) -> Path:
        return self._folder / "repos" / f"{repo}.json"

    def _known(self, repo: str) -> dict[str, dict[str, str | None]]:
        """Digests of files by commit and path, None for a file that the commit does not have."""
        try:
            known = json.loads(self._list(repo).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        # A file that someone removed from the folder counts as one never asked for.
        return {
            commit: {
                path: blob
                for path, blob in blobs.items()
                if blob is None or (_OBJECT_ID.match(blob) and self._blob(blob).is_file())
            }
            for commit, blobs in known.items()
        }

    def _fetch(self, repo: str, wanted: Mapping[str, Collection[str]]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            found = self._download(repo, wanted, sparse=True)
        except _RefusedError:
            try:
                found = self._download(repo, wanted, sparse=False)
            except _RefusedError as error:
                raise GoneError(f"git: {error}") from error
        known = self._known(repo)
        for commit, blobs in found.items():
            known.setdefault(commit, {}).update(blobs)
        path = self._list(repo)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        write_json(partial, known)
        partial.replace(path)

    def _download(
        self, repo: str, wanted: Mapping[str, Collection[str]], *, sparse: bool
    ) -> dict[str, dict[str, str | None]]:
        """Fetch files into the cache.

        Args:
            repo: owner/name.
            wanted: paths by commit.
            sparse: only the commits, and of them only the files wanted; else all that the repository has,
                which every server gives.

        Returns:
            As in `_known`, without commits that the repository does not have.
        """
        found: dict[str, dict[str, str | None]] = {}
        with tempfile.TemporaryDirectory(
            prefix="git-", dir=self._folder, ignore_cleanup_errors=True
        ) as scratch:
            git = _Git(Path(scratch), f"{self._base}{repo}")
            if not sparse:
                git.fetch("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            for commit, paths in wanted.items():
                if git.has(commit, fetch=sparse):
                    blobs = git.blobs(commit, set(paths))
                    found[commit] = {path: blobs.get(path) for path in sorted(paths)}
            new = {blob for blobs in found.values() for blob in blobs.values() if blob}
            ordered = sorted(blob for blob in new if not self._blob(blob).is_file())
            if sparse and ordered:
                git.fetch("--filter=blob:none", "--stdin", lines=ordered)
            for blob, content in git.contents(ordered):
                partial = Path(scratch) / "partial"
                partial.write_bytes(content)
                path = self._blob(blob)
                path.parent.mkdir(parents=True, exist_ok=True)
                partial.replace(path)
        return found


class _Git:
    """A new bare repository in an empty folder, and what is fetched to it.

    Raises:
        JobError: git is not installed, or from every method: the server cannot be reached.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        self._env = {name: value for name, value in os.environ.items() if name not in _FOREIGN} | {
            "GCM_INTERACTIVE": "never",
            "GIT_ASKPASS": "",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }
        self._env.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
        self._run("init", "--quiet", "--bare", "--template=", str(folder / "git"))
        self._run("config", "remote.origin.url", url)

    def fetch(self, *what: str, lines: Sequence[str] = ()) -> None:
        """Fetch by options and references, and by object names given as lines.

        Raises:
            GoneError: there is no such repository.
        """
        self._run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "origin", *what, text="\n".join(lines)
        )

    def has(self, commit: str, *, fetch: bool) -> bool:
        """Whether the repository has a commit, which is fetched without its history if need be."""
        try:
            if fetch:
                self.fetch("--depth=1", "--filter=blob:none", commit)
            return self._run("cat-file", "-t", commit) == b"commit\n"
        except _RefusedError as error:
            if _NO_OBJECT.search(str(error)):
                return False
            raise

    def blobs(self, commit: str, paths: Collection[str]) -> dict[str, str]:
        """The object names of those of some paths that are files of a commit."""
        found = {}
        for entry in self._run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
            about, _, name = entry.partition(b"\t")
            path = name.decode("utf-8", "replace")
            if path in paths:
                _, kind, blob = about.decode("ascii").split()
                if kind == "blob":
                    found[path] = blob
        return found

    def contents(self, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """What files hold, by their object names."""
        request = self._folder / "request"
        request.write_text("".join(f"{blob}\n" for blob in blobs), encoding="ascii")
        with (
            request.open("rb") as lines,
            subprocess.Popen(
                self._command("cat-file", "--batch"),
                env=self._env,
                stdin=lines,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process,
        ):
            stream = cast("IO[bytes]", process.stdout)
            for blob in blobs:
                name, _, size = stream.readline().decode("ascii").strip().partition(" blob ")
                if name != blob or not size.isdecimal():
                    raise _RefusedError(f"object {blob} did not come")
                content = stream.read(int(size) + 1)[:-1]
                if len(content) != int(size):
                    raise _RefusedError(f"object {blob} did not come whole")
                yield blob, content

    def _command(self, *arguments: str) -> list[str]:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        return ["git", f"--git-dir={self._folder / 'git'}", *settings, *arguments]

    def _run(self, *arguments: str, text: str = "") -> bytes:
        try:
            done = subprocess.run(
                self._command(*arguments),
                env=self._env,
                input=text.encode(),
                capture_output=True,
                check=False,
            )
        except FileNotFoundError as error:
            raise JobError("fetching needs git, which is not installed; install it and run again") from error
        if done.returncode == 0:
            return done.stdout
        said = done.stderr.decode("utf-8", "replace")
        message = next((line for line in said.splitlines() if _COMPLAINT.match(line)), said.strip()[:200])
        if _UNREACHABLE.search(said):
            raise JobError(
                f"{shown(self._url)} cannot be reached ({message}); run again to go on with what was fetched"
            )
        if arguments[0] == "fetch" and _GONE.search(said):
            raise GoneError("no such repository")
        raise _RefusedError(message)
