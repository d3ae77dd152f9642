"""References back to sentences: from files of every kind, and from small git repositories made here."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import shutil
import socket
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens.errors import InputError, JobError
from framelens_training import contents
from framelens_training.contents import split_member
from framelens_training.fetch import NOT_FOUND, rebuild, restore
from framelens_training.locate import normalised
from framelens_training.references import Reference, refer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BEFORE = "The harbour was closed on Monday."
TEXT = 'It opened again on "Tuesday", the mayor’s office said.'
AFTER = "Nobody was hurt."
PIECES = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=25)


def reference(text: str = TEXT, context: str = BEFORE, **columns: Any) -> Reference:
    row = {
        "id": "s1",
        "text": text,
        "context": context,
        "label": "hedged_claim",
        "rule": "H2",
        "cue": [0, 9],
        "article": "made up:1",
        "repo": "owner/name",
        "commit": "0" * 40,
        "path": "a.txt",
    }
    return refer([row | columns])[0]


def back(asked: Reference, path: str, data: bytes) -> dict[str, Any]:
    [found] = restore([asked], path, data)
    assert not isinstance(found, str), found
    return asked.row(found.text, found.context)


def table(rows: list[list[str]], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode()


def zipped(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


def as_text(before: str, text: str, after: str) -> bytes:
    return f"Old news.\n\n{before} {text} {after}".encode()


def as_table(before: str, text: str, after: str) -> bytes:
    return table(
        [["date", "body"], ["1", "Old news."], ["2", f"{before} {text} {after}"], ["3", "New news."]]
    )


def as_tab_table(before: str, text: str, after: str) -> bytes:
    return table([["number", "sentence"], ["1", before], ["2", text], ["3", after]], "\t")


def as_json(before: str, text: str, after: str) -> bytes:
    sentences = [{"text": piece, "role": "Main"} for piece in (before, text, after)]
    return json.dumps({"title": "News", "sentences": sentences, "n": 3}, indent=1).encode()


def as_json_lines(before: str, text: str, after: str) -> bytes:
    lines = [{"body": "Old news."}, {"body": f"{before} {text} {after}", "tags": ["x"]}, None]
    return "".join(json.dumps(line, ensure_ascii=n == 1) + "\n" for n, line in enumerate(lines)).encode()


KINDS: dict[str, Callable[[str, str, str], bytes]] = {
    "a.txt": as_text,
    "a": as_text,
    "docs/20.31-5": as_text,
    "a.csv": as_table,
    "A.CSV": as_table,
    "a.tsv": as_tab_table,
    "a.json": as_json,
    "a.jsonl": as_json_lines,
    "a.txt.gz": lambda *pieces: gzip.compress(as_text(*pieces)),
    "a.csv.gz": lambda *pieces: gzip.compress(as_table(*pieces)),
    "data/all.zip!in/a.json": lambda *pieces: zipped({"in/b.json": b"1", "in/a.json": as_json(*pieces)}),
    "all.zip!a.csv": lambda *pieces: zipped({"a.csv": as_table(*pieces)}),
}


@pytest.mark.parametrize("path", KINDS)
@given(before=PIECES, text=PIECES, after=PIECES)
def test_any_sentence_comes_back_from_a_file_of_any_kind(
    path: str, before: str, text: str, after: str
) -> None:
    text, before, after = f"perhaps {text} indeed", f"{before} so", f"then {after}"
    asked = reference(text, before, cue=[0, 7])
    row = back(asked, path, KINDS[path](before, text, after))
    assert normalised(row["text"]) == normalised(text)
    assert normalised(row["context"]) == normalised(before)
    assert row["text"][slice(*row["cue"])] == "perhaps"


@pytest.mark.parametrize("path", KINDS)
def test_a_plain_sentence_comes_back_as_it_was(path: str) -> None:
    row = back(reference(), path, KINDS[path](BEFORE, TEXT, AFTER))
    assert (row["text"], row["context"], row["cue"]) == (TEXT, BEFORE, [0, 9])


@pytest.mark.parametrize("path", KINDS)
def test_a_sentence_that_was_changed_upstream_is_reported_and_not_restored(path: str) -> None:
    data = KINDS[path](BEFORE, TEXT.replace("again", "late"), AFTER)
    assert restore([reference()], path, data) == [NOT_FOUND]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("a.md", f"---\ntitle: x\n---\n<p>{BEFORE}</p><span id='1'/><p>{TEXT}</p>".encode()),
        ("a.csv", table([["body"], [f"<b>{BEFORE}</b> {TEXT}".replace("’", "&#8217;")]])),
        ("a.txt", f"{BEFORE} {TEXT}".encode("cp1252")),
        ("a.txt", f"{BEFORE} {TEXT}".encode("utf-16")),
        ("a.txt", f"\ufeff{BEFORE}\r\n{TEXT}".encode()),
        ("a.txt", f"{BEFORE}{TEXT}".encode()),
        ("a.csv", f"date;body\n1;{BEFORE} {TEXT.replace(chr(34), '')}".encode()),
        ("a.csv", b'body\n"' + f"{BEFORE} {TEXT}".encode()),
        ("a.json", f'{{"broken": "{BEFORE} {TEXT}'.encode()),
        ("a.json", json.dumps({"1": {"s": BEFORE}, "2": {"s": f"{TEXT} \ud800"}}).encode()),
        ("a.jsonl", b'{"broken\n' + json.dumps([f"{BEFORE} {TEXT} \ud800"]).encode()),
    ],
)
def test_markup_encodings_and_broken_files_are_no_hindrance(path: str, data: bytes) -> None:
    row = back(reference(), path, data)
    assert normalised(row["text"]) == normalised(TEXT)
    assert row["context"].strip('"') == BEFORE
    row["text"].encode()


def test_deeply_nested_json_is_read_as_text() -> None:
    data = b"[" * 100_000 + f"{BEFORE} {TEXT}".encode() + b"]" * 100_000
    assert back(reference(), "a.json", data)["text"].startswith("It opened again")


def test_of_equal_sentences_the_one_of_the_record_is_taken() -> None:
    rows = [["body"], ["Old news."], ["It opened again."], ["“It opened again!”"], ["It opened again?"]]
    data = json.dumps([row[0] for row in rows[1:]]).encode()

    def texts(path: str, data: bytes, *records: Any) -> list[str]:
        return [back(reference("It opened again", "", record=name), path, data)["text"] for name in records]

    assert texts("a.csv", table(rows), 1, 2, 3) == [row[0] for row in rows[2:]]
    assert texts("a.json", data, "row 3", "file", None) == [rows[4][0], rows[2][0], rows[2][0]]


@pytest.mark.parametrize(
    ("path", "data", "reason"),
    [
        ("a.xlsx", zipped({"x": b"1"}) + b"\0" * 9, "a binary file"),
        ("a.txt.gz", b"no gzip", "damaged gzip file"),
        ("a.zip!b", b"no zip", "damaged archive"),
        ("a.zip!b", zipped({"c": b""}), "no such member in the archive"),
        ("a.zip!../b", zipped({"b": b""}), "no such member in the archive"),
        ("a.txt", b"version https://git-lfs.github.com/spec/v1\n", "kept in git LFS, which is not fetched"),
        ("a.txt.gz", gzip.compress(b"x" * 5000), "unpacks to more than 0 MiB"),
        ("a.zip!b", zipped({"b": b"x" * 5000}), "unpacks to more than 0 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(
    path: str, data: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "MAX_UNPACKED_BYTES", 4999)
    assert restore([reference()], path, data) == [reason]


def test_only_a_member_of_an_archive_has_a_member() -> None:
    assert split_member("Wow!.txt") == ("Wow!.txt", None)
    assert split_member("a/B.ZIP!c!.json") == ("a/B.ZIP", "c!.json")


class Upstream:
    """A folder of git repositories, as a host has them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = folder.as_uri()

    def git(self, repo: str, *arguments: str) -> str:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        command = ("git", "-C", str(self.folder / repo), *identity, *arguments)
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, repo: str, files: dict[str, bytes]) -> str:
        """Replace all files of a repository and commit; the name of the commit."""
        folder = self.folder / repo
        if not folder.exists():
            folder.mkdir(parents=True)
            self.git(repo, "init", "--quiet")
        for old in folder.iterdir():
            if old.name != ".git":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        self.git(repo, "add", "--all")
        self.git(repo, "commit", "--quiet", "--message", "files")
        return self.git(repo, "rev-parse", "HEAD")


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    # Whoever runs the tests has settings of their own, and may do so inside a hook of git's.
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    return Upstream(tmp_path / "upstream")


def sentences(upstream: Upstream) -> list[Reference]:
    """References to two repositories and to what is not there."""
    first = upstream.commit(
        "owner/news",
        {
            "a b/“post”.txt": as_text(BEFORE, TEXT, AFTER),
            "all.zip": zipped({"a.csv": as_table(BEFORE, TEXT, AFTER)}),
            "big.bin": os.urandom(300_000),
        },
    )
    changed = as_text(BEFORE, TEXT.replace("again", "late"), AFTER)
    second = upstream.commit("owner/news", {"a b/“post”.txt": changed, "new.txt": b"New."})
    third = upstream.commit("owner/news", {"gone.txt": b"All else is gone."})
    other = upstream.commit("hill/times", {"a.json": as_json("Old news.", TEXT, AFTER)})
    assert third not in (first, second)
    place = {"repo": "owner/news", "commit": first, "path": "a b/“post”.txt"}
    return [
        reference(id="plain", **place),
        reference(id="member", **place | {"path": "all.zip!a.csv"}),
        reference(id="changed", **place | {"commit": second}),
        reference(id="no file", **place | {"path": "gone.txt"}),
        reference(id="folder", **place | {"path": "a b"}),
        reference(id="no member", **place | {"path": "all.zip!b.csv"}),
        reference(id="no commit", **place | {"commit": "1" * 40}),
        reference(id="binary", **place | {"path": "big.bin"}),
        reference(id="no repo", **place | {"repo": "owner/olds"}),
        reference(id="other", **place | {"repo": "hill/times", "commit": other, "path": "a.json"}),
    ]


REASONS = {
    "changed": NOT_FOUND,
    "no file": "no such file in the commit",
    "folder": "no such file in the commit",
    "no member": "no such member in the archive",
    "no commit": "no such commit",
    "binary": "a binary file",
    "no repo": "no such repository",
}


@pytest.mark.parametrize("server", ["filters", "does not filter", "gives no commit by name"])
def test_sentences_are_rebuilt_from_commits_and_what_is_missing_is_reported(
    server: str, upstream: Upstream, tmp_path: Path
) -> None:
    references = sentences(upstream)
    if server == "filters":
        upstream.git("owner/news", "config", "uploadpack.allowFilter", "true")
    if server == "gives no commit by name":
        (tmp_path / "gitconfig").write_text("[protocol]\nversion = 0\n", encoding="utf-8")
    said: list[str] = []
    rows, report = rebuild(references, tmp_path / "cache", upstream.base, said.append)
    assert [row["id"] for row in rows] == ["member", "other", "plain"]
    assert {row["text"] for row in rows} == {TEXT}
    assert [row["context"] for row in rows] == [BEFORE, "", BEFORE]
    assert {each.id: each.reason for each in report.missing} == REASONS
    assert report.without_context == ("other",)
    assert report.restored == 3
    content = report.as_json()
    assert (content["asked"], content["restored"]) == (10, 3)
    news = content["repositories"]["owner/news"]
    assert (news["asked"], news["restored"]) == (8, 2)
    assert news["missing"]["no such file in the commit"] == {"n": 2, "ids": ["folder", "no file"]}
    assert content["repositories"]["owner/olds"]["missing"] == {
        "no such repository": {"n": 1, "ids": ["no repo"]}
    }
    assert json.loads(json.dumps(content)) == content
    shown = report.table()
    assert "no such repository (1)" in shown
    assert "1 sentences restored without their context" in shown
    assert any(line.startswith("owner/news (2 of 3): 2 of 8") for line in said)
    # Nothing but files and their lists stays behind, and nothing that was not asked for.
    kept = {path.relative_to(tmp_path / "cache").parts[0] for path in (tmp_path / "cache").rglob("*")}
    assert kept == {"blobs", "repos"}
    assert len([path for path in (tmp_path / "cache" / "blobs").rglob("*") if path.is_file()]) == 5


def test_a_server_that_filters_sends_no_file_that_was_not_asked_for(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    references = [each for each in sentences(upstream) if each.id == "plain"]
    upstream.git("owner/news", "config", "uploadpack.allowFilter", "true")
    # The server's side of the connection runs this in place of git pack-objects.
    hook = tmp_path / "hook"
    hook.write_text(f'#!/bin/sh\n"$@" | tee -a "{tmp_path}/sent"\n', encoding="utf-8")
    hook.chmod(0o755)
    (tmp_path / "gitconfig").write_text(f'[uploadpack]\npackObjectsHook = "{hook}"\n', encoding="utf-8")
    rows, _ = rebuild(references, tmp_path / "cache", upstream.base)
    assert len(rows) == 1
    assert 100 < (tmp_path / "sent").stat().st_size < 10_000


def test_a_run_that_was_stopped_goes_on_without_the_repositories_that_it_has(
    upstream: Upstream, tmp_path: Path
) -> None:
    references = sentences(upstream)

    def stop(line: str) -> None:
        if line.startswith("owner/news"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild(references, tmp_path / "cache", upstream.base, stop)
    shutil.rmtree(upstream.folder / "hill")
    rows, report = rebuild(references, tmp_path / "cache", upstream.base)
    assert [row["id"] for row in rows] == ["member", "other", "plain"]
    assert {each.id: each.reason for each in report.missing} == REASONS
    # Now all is there that there is: the host is asked for the rest only, and not at all without it.
    shutil.rmtree(upstream.folder / "owner")
    found = [each for each in references if each.id not in ("no commit", "no repo")]
    said: list[str] = []
    assert rebuild(found, tmp_path / "cache", upstream.base, said.append)[0] == rows
    assert not any("fetching" in line for line in said)


def test_a_cache_that_was_spoilt_is_fetched_again(upstream: Upstream, tmp_path: Path) -> None:
    references = [each for each in sentences(upstream) if each.id in ("plain", "other")]
    cache = tmp_path / "cache"
    rows, _ = rebuild(references, cache, upstream.base)
    (cache / "repos" / "owner" / "news.json").write_text("{", encoding="utf-8")
    shutil.rmtree(cache / "blobs")
    assert rebuild(references, cache, upstream.base)[0] == rows


def test_files_of_a_commit_that_are_asked_for_later_are_added(upstream: Upstream, tmp_path: Path) -> None:
    plain, member = sentences(upstream)[:2]
    for asked in ([plain], [member], [plain, member]):
        rows, report = rebuild(asked, tmp_path / "cache", upstream.base)
        assert (len(rows), report.missing) == (len(asked), ())


def test_nothing_of_a_repository_is_run_or_checked_out(upstream: Upstream, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction", "post-merge"):
        (hooks / name).write_text(f'#!/bin/sh\ntouch "{mark}"\n', encoding="utf-8")
        (hooks / name).chmod(0o755)
    settings = f'[core]\nhooksPath = "{hooks}"\n[init]\ntemplateDir = "{tmp_path}"\n'
    references = sentences(upstream)
    (tmp_path / "gitconfig").write_text(settings, encoding="utf-8")
    rows, _ = rebuild(references, tmp_path / "cache", upstream.base)
    assert len(rows) == 3
    assert not mark.exists()


def test_a_host_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(JobError, match=r"owner/name cannot be reached .*; run again to go on") as caught:
            rebuild([reference()], tmp_path / "cache", base)
    assert "\n" not in str(caught.value)


def test_git_that_is_not_installed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JobError, match="needs git, which is not installed"):
        rebuild([reference()], tmp_path / "cache", tmp_path.as_uri())


@pytest.mark.parametrize(
    "base",
    [
        "",
        "github.com",
        "--upload-pack=touch x",
        "ext::sh -c x",
        "git@github.com:",
        "/srv/git",
        "a b://c",
    ],
)
def test_an_address_that_is_none_is_refused(base: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the address before owner/name"):
        rebuild([reference()], tmp_path / "cache", base)
    assert not (tmp_path / "cache").exists()


def test_a_folder_of_repositories_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder of repositories"):
        rebuild([reference()], tmp_path / "cache", (tmp_path / "none").as_uri())
