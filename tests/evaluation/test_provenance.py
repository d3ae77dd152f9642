"""Where a figure comes from."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from shutil import which
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydantic import ValidationError

from framelens_evaluation.reporting import provenance
from framelens_evaluation.reporting.document import Document
from framelens_evaluation.reporting.markdown import render_markdown
from framelens_evaluation.reporting.provenance import (
    Machine,
    Part,
    Provenance,
    Source,
    code_revision,
    describe_machine,
    installed_versions,
    provenance_section,
)

if TYPE_CHECKING:
    from pathlib import Path

needs_git = pytest.mark.skipif(which("git") is None, reason="needs git")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def module(tmp_path: Path, monkeypatch) -> Path:
    """A file that takes the place of the package's own."""
    path = tmp_path / "checkout" / "package" / "provenance.py"
    path.parent.mkdir(parents=True)
    path.write_text("# A module.\n", encoding="utf-8")
    monkeypatch.setattr(provenance, "__file__", str(path))
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)
    # Whatever repository the temporary folder may lie in is not looked at.
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    return path


@needs_git
def test_the_revision_of_a_checkout(module: Path) -> None:
    root = module.parents[1]
    git(root, "init", "--quiet")
    assert code_revision() is None  # a repository without the file
    git(root, "add", ".")
    assert code_revision() is None  # and without a commit
    git(root, "commit", "--quiet", "-m", "First")
    commit = git(root, "rev-parse", "HEAD")
    assert code_revision() == commit[:12]
    (root / "notes.txt").write_text("Not tracked.\n", encoding="utf-8")
    assert code_revision() == commit[:12]
    module.write_text("# A changed module.\n", encoding="utf-8")
    assert code_revision() == f"{commit[:12]}+changes"


@needs_git
def test_an_installed_copy_inside_a_foreign_repository_has_no_revision(module: Path) -> None:
    root = module.parents[1]
    git(root, "init", "--quiet")
    (root / "theirs.txt").write_text("Theirs.\n", encoding="utf-8")
    git(root, "add", "theirs.txt")
    git(root, "commit", "--quiet", "-m", "Theirs")
    assert code_revision() is None


def test_outside_of_any_repository_and_without_git(module: Path, monkeypatch) -> None:
    assert code_revision() is None
    monkeypatch.setenv("PATH", str(module.parent))
    assert code_revision() is None


def test_versions_and_machine() -> None:
    versions = installed_versions()
    assert versions["numpy"] == np.__version__
    assert set(versions) >= {"framelens", "onnxruntime", "torch"}
    machine = describe_machine()
    assert machine.python.startswith("3.")
    assert machine.n_cpus is None or machine.n_cpus >= 1


def test_versions_of_what_is_missing(monkeypatch) -> None:
    monkeypatch.setattr(provenance, "_PACKAGES", ("numpy", "no-such-package-anywhere"))
    assert installed_versions()["no-such-package-anywhere"] is None


def example(**changes) -> Provenance:
    settings = {
        "created": datetime(2024, 2, 29, 12, 30, tzinfo=UTC),
        "seconds": 1234.5,
        "command": "framelens-eval run bundled",
        "code": "0123456789ab",
        "seed": 7,
        "n_resamples": 1000,
        "sources": (Source(role="data", name="gold.jsonl", sha256="f" * 64, described="24 sentences"),),
        "versions": {"numpy": "2.0", "torch": None},
        "machine": Machine(platform="Any", processor=None, n_cpus=4, python="3.11.9"),
    }
    return Provenance(**{**settings, **changes})


def shown(found: Provenance) -> str:
    return render_markdown(Document("A", "b", (provenance_section(found),)))


def test_the_section_holds_what_is_needed_to_repeat() -> None:
    text = shown(example())
    for part in (
        "`framelens-eval run bundled`",
        "2024-02-29 12:30 UTC, 1,234 s",
        "0123456789ab",
        "| seed | 7 |",
        "| resamples behind an interval | 1,000 |",
        "gold.jsonl: 24 sentences; sha256 `ffffffffffffffff…`",
        "numpy 2.0",
        "Any, 4 CPUs, Python 3.11.9",
    ):
        assert part in text
    assert "torch" not in text


def test_the_section_of_a_run_without_command_code_or_resamples() -> None:
    source = Source(role="corpus", name="folder/", sha256=None)
    text = shown(example(command=None, code=None, n_resamples=None, sources=(source,)))
    assert "called from Python" in text
    assert "not under version control" in text
    assert "resamples" not in text
    assert "| corpus | folder/ |" in text


def test_parts_are_frozen_and_strict() -> None:
    found = example()
    with pytest.raises(ValidationError):
        found.seed = 8  # type: ignore[misc]
    with pytest.raises(ValidationError, match="more"):
        Source(role="data", name="x", sha256=None, more=1)  # type: ignore[call-arg]
    assert Provenance.model_validate_json(found.model_dump_json()) == found
    assert issubclass(Provenance, Part)
