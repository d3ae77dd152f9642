"""Files on object stores (S3, Google Cloud Storage, Azure), through `pyarrow.fs`.

A name such as ``s3://bucket/news/may.jsonl?region=eu-west-1`` is read as it stands: characters of the path
mean themselves, and ``%3F`` is how a question mark is spelled, behind which the options begin. They are
those of pyarrow's URIs, for S3 among others ``region``, ``endpoint_override`` and ``scheme``, and
``anonymous=true`` for a public bucket (``gs://anonymous@bucket/`` on Google's). Credentials are best left
to where the store's own tools find them. What stands before the path's host and behind its question mark
is needed to open a file and is said nowhere: not in rows, not in manifests, not in messages.

Every other name is a local file's and goes on as `pathlib` has it. ``file:///x`` is the local file ``/x``.

An object store has no rename and no lock, but what is put there appears whole or not at all; `ObjectPath`
says how that is kept.
"""

from __future__ import annotations

import io
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit
from urllib.request import url2pathname

import pyarrow as pa

from framelens.errors import InputError, JobError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "ObjectPath",
    "ObjectStatus",
    "address",
    "is_uri",
    "is_within",
    "key_of",
    "local_name",
    "location",
    "names_folder",
    "public",
]

_SCHEMES: Final = ("s3", "gs", "gcs", "abfs", "abfss")
#: Of these the name before the host is that of a container or account, and only what follows it is secret.
_AZURE: Final = ("abfs", "abfss")
_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://([^/?]*)/?([^?]*)(?:\?(.*))?", re.DOTALL)
#: A request for each of so many bytes: they are slow to begin and quick to go on.
_BYTES_AT_ONCE: Final = 4 * 2**20
_S3_OPTIONS_WITHOUT_ACCOUNT: Final = frozenset({"region", "scheme", "endpoint_override"})


def is_uri(name: str) -> bool:
    """Whether a name is that of something on an object store."""
    match = _URI.match(name)
    return match is not None and match[1].lower() in _SCHEMES


def local_name(name: str) -> str:
    """The name of a local file for its ``file:`` URI; any other name as it is.

    Raises:
        InputError: a URI of a kind that is not read, such as ``https:``.

    >>> local_name("file:///news/a%20b.txt"), local_name("s3://bucket/a.txt")
    ('/news/a b.txt', 's3://bucket/a.txt')
    """
    match = _URI.match(name)
    if match is None or is_uri(name):
        return name
    if match[1].lower() == "file":
        parts = urlsplit(name)
        if parts.netloc not in ("", "localhost"):
            raise InputError(f"{public(name)}: expected file:///PATH, got the host {match[2]}; leave it out")
        return url2pathname(parts.path)
    if Path(name).exists():
        return name
    kinds = ", ".join(f"{scheme}://" for scheme in (*_SCHEMES, "file"))
    raise InputError(f"{public(name)}: expected a local name or one of {kinds}; fetch it first")


def public(name: str) -> str:
    """A name without credentials and options; a local one as it is.

    >>> public("s3://KEY:SECRET@bucket/news/a b.txt?endpoint_override=localhost:9000")
    's3://bucket/news/a b.txt'
    """
    match = _URI.match(name)
    if match is None:
        return name
    scheme, account = match[1].lower(), match[2]
    secret, at, host = account.rpartition("@")
    if scheme in _AZURE and at:
        host = f"{secret.partition(':')[0]}@{host}"
    elif _cut_secret(match):
        return f"{scheme}://"
    return f"{scheme}://{host}/{match[3]}"


def key_of(name: str) -> str:
    """A name as a path: bucket and key of an object, a local name as it is.

    >>> key_of("s3://bucket/year=2020/what%3F.jsonl?region=eu-west-1")
    'bucket/year=2020/what?.jsonl'
    """
    if not is_uri(name):
        return name
    path = ObjectPath.parse(name)
    return f"{path.root.rpartition('@')[2].rpartition('://')[2]}/{path.key}"


def names_folder(name: str) -> bool:
    """Whether the path of a URI ends in a slash or is a whole bucket."""
    match = _URI.match(name)
    return match is not None and (not match[3] or match[3].endswith("/"))


def _cut_secret(match: re.Match[str]) -> bool:
    """Whether the host of a URI is the beginning of a secret that holds a slash: buckets have no colon."""
    return match[1].lower() not in _AZURE and "@" not in match[2] and ":" in match[2] and "@" in match[3]


def location(name: str | Path) -> Path | ObjectPath:
    """What a name means: a path here, or one on an object store."""
    if isinstance(name, str) and is_uri(name):
        return ObjectPath.parse(name)
    return Path(name)


def address(path: Path | ObjectPath) -> str:
    """The name by which `location` finds a path again, in another process too; it may hold secrets."""
    return path.uri if isinstance(path, ObjectPath) else str(path)


def is_within(name: str, folder: str) -> bool:
    """Whether a name is that of a folder, or of something below it."""
    path, target = location(name), location(folder)
    if isinstance(path, ObjectPath) or isinstance(target, ObjectPath):
        return isinstance(path, ObjectPath) and path.is_relative_to(target)
    return path.resolve().is_relative_to(target.resolve())


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """What `ObjectPath.stat` tells, under the names that `os.stat_result` has for it.

    Attributes:
        st_size: bytes.
        st_mtime_ns: time of the last change, in nanoseconds since 1970; S3 counts whole seconds.
    """

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """A path on an object store, with the few methods of `pathlib.Path` that are needed there.

    Folders are there as soon as something is in them. An empty object counts as none: Azure shows one
    under a name whose content is still on its way, and of what a job relies on nothing is empty.

    As text it is without secrets; `uri` is the name that opens it.

    Attributes:
        root: scheme, credentials and host: ``s3://bucket``.
        key: what follows, without slashes at its ends; empty for the whole bucket.
        options: what stands behind the question mark.
    """

    root: str
    key: str
    options: str = ""

    @classmethod
    def parse(cls, uri: str) -> ObjectPath:
        """The path that a URI names.

        Raises:
            InputError: it names no bucket.
        """
        match = _URI.fullmatch(uri)
        if match is None or not match[2]:
            raise InputError(f"{public(uri)}: expected a bucket behind ://, got none; give s3://BUCKET/PATH")
        if _cut_secret(match):
            raise InputError(
                f"{public(uri)}: expected a bucket, got a key whose secret holds a slash; write it %2F, or "
                "better set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        return cls(f"{match[1].lower()}://{match[2]}", unquote(match[3]).strip("/"), match[4] or "")

    def __str__(self) -> str:
        return public(self.uri)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __truediv__(self, name: str) -> ObjectPath:
        return self.joined((name,))

    def joined(self, parts: Sequence[str]) -> ObjectPath:
        """The path some parts further down."""
        return ObjectPath(self.root, "/".join((self.key, *parts)).strip("/"), self.options)

    @property
    def uri(self) -> str:
        """The name that `parse` takes, secrets included."""
        key = self.key.replace("%", "%25").replace("?", "%3F")
        return f"{self.root}/{key}" + (f"?{self.options}" if self.options else "")

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.key).name

    def is_relative_to(self, other: Path | ObjectPath) -> bool:
        """Whether it is the other path or below it."""
        if not isinstance(other, ObjectPath):
            return False
        ours, theirs = (public(f"{path.root}/").lower() for path in (self, other))
        return ours == theirs and (not other.key or f"{self.key}/".startswith(f"{other.key}/"))

    def is_dir(self) -> bool:
        """Whether something lies below it; of a bucket, whether it is there."""
        return bool(self._info().type.name == "Directory")

    def is_file(self) -> bool:
        """Whether there is an object that is not empty."""
        return bool(self._info().size)

    def stat(self) -> ObjectStatus:
        """Size and time of change.

        Raises:
            FileNotFoundError: there is no object of that name.
        """
        info = self._info()
        if info.size is None:
            raise FileNotFoundError(2, "No such object", str(self))
        return ObjectStatus(info.size, info.mtime_ns)

    def files_below(self) -> list[tuple[str, ...]]:
        """All objects in a folder and the folders below it, each as the parts of its path from there."""
        above = len(PurePosixPath(self._reach()[1]).parts)
        infos = self._listed(recursive=True)
        return [PurePosixPath(info.path).parts[above:] for info in infos if info.is_file]

    def sizes_inside(self) -> dict[str, int | None]:
        """What lies right in a folder, by name: bytes of an object that is not empty, None for a folder."""
        infos = self._listed(recursive=False)
        return {info.base_name: info.size for info in infos if info.size or not info.is_file}

    def read_bytes(self) -> bytes:
        """The whole content of an object."""
        with self._asked("can be read"), self.open_random() as file:
            return bytes(file.readall())

    def write_bytes(self, content: bytes | memoryview) -> None:
        """Store an object, in the place of what had its name: all of it, or nothing.

        Arrow completes an upload whenever its stream is closed, which an exception and even the garbage
        collector do, and what was cut short would stand there as if it were whole. So all bytes go in one
        call, which fails as a whole, and the thread that makes it is none that Ctrl-C could stop between
        opening and closing. A process that is killed leaves nothing under the name (but, on S3, parts of
        an upload that a bucket should be told to expire).
        """

        system, path = self._reach()

        def upload() -> None:
            # The name's suffix would be taken for an order to compress.
            stream = system.open_output_stream(path, compression=None)
            stream.write(content)
            stream.close()

        with self._asked("can be written to"), ThreadPoolExecutor(1) as thread:
            thread.submit(upload).result()

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove an object."""
        system, path = self._reach()
        with self._asked("can be written to"):
            try:
                system.delete_file(path)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def open_stream(self) -> io.BufferedReader:
        """The content from its beginning, read in large pieces."""
        system, path = self._reach()
        with self._asked("can be read"):
            raw = _Raw(system.open_input_stream(path, compression=None), self)
        return io.BufferedReader(raw, _BYTES_AT_ONCE)

    def open_random(self) -> Any:
        """The content as Arrow's readers take it, which fetch what they need."""
        system, path = self._reach()
        with self._asked("can be read"):
            return system.open_input_file(path)

    def failure(self, what: str, error: Exception) -> JobError:
        """The error for a store that does not do what it is asked to."""
        got = str(error).replace(self.root, public(self.root))
        if self.options:
            got = got.replace(f"?{self.options}", "")
        return JobError(
            f"{self}: expected a name that {what}, got {' '.join(got.split())}; check the name, your "
            "credentials, and options such as ?region=eu-west-1 behind it"
        )

    def _info(self) -> Any:
        system, path = self._reach()
        with self._asked("can be read"):
            return system.get_file_info(path)

    def _listed(self, *, recursive: bool) -> list[Any]:
        from pyarrow.fs import FileSelector

        system, path = self._reach()
        with self._asked("can be read"):
            selector = FileSelector(path, allow_not_found=True, recursive=recursive)
            return list(system.get_file_info(selector))

    def _reach(self) -> tuple[Any, str]:
        """The file system, and the path in it."""
        with self._asked("can be reached"):
            system, base = connect(self.root, self.options)
        return system, "/".join(part for part in (base.rstrip("/"), self.key) if part)

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise self.failure(what, error) from error


class _Raw(io.RawIOBase):
    """An object's bytes; a store that fails is told from content that is damaged."""

    def __init__(self, file: Any, path: ObjectPath) -> None:
        self._file = file
        self._path = path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            return int(self._file.readinto(buffer))
        except (OSError, pa.ArrowException) as error:
            raise self._path.failure("can be read", error) from error

    def close(self) -> None:
        self._file.close()
        super().close()


@lru_cache(maxsize=64)
def connect(root: str, options: str) -> tuple[Any, str]:
    """The `pyarrow.fs.FileSystem` of a bucket, and the path of the bucket in it.

    Args:
        root: as `ObjectPath.root`.
        options: as `ObjectPath.options`.

    Raises:
        InputError: an option is unknown.
        OSError: the store does not answer.
    """
    from pyarrow import fs

    try:
        chosen = dict(parse_qsl(options, keep_blank_values=True))
        if chosen.pop("anonymous", "false") == "true" and root.startswith("s3:"):
            bucket = root.rpartition("@")[2].rpartition("/")[2]
            if unknown := sorted(chosen.keys() - _S3_OPTIONS_WITHOUT_ACCOUNT):
                expected = ", ".join(sorted(_S3_OPTIONS_WITHOUT_ACCOUNT))
                raise InputError(
                    f"{public(root)}: expected of {expected} beside anonymous, got {unknown[0]}; leave it out"
                )
            if not chosen.keys() & {"region", "endpoint_override"}:
                chosen["region"] = fs.resolve_s3_region(bucket)
            return fs.S3FileSystem(anonymous=True, **chosen), bucket
        system, base = fs.FileSystem.from_uri(f"{root}/" + (f"?{options}" if options else ""))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(str(ObjectPath(root, "", options).failure("can be reached", error))) from error
    return system, base
