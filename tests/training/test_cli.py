"""The command: its help, and how it fails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from framelens_training import cli

if TYPE_CHECKING:
    from pathlib import Path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["framelens-train", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """What a refused call says: one line on stderr, exit code 2, nothing on stdout."""

    def run(*arguments: object) -> str:
        assert call(monkeypatch, *arguments) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1
        assert said.err.startswith("framelens-train: ")
        return said.err

    return run


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ((), ("fit", "export", "card")),
        (("fit",), ("RECIPE", "--data-dir", "--overwrite")),
        (("export",), ("RUN", "--out")),
        (("card",), ("BUNDLE", "--report")),
    ],
)
def test_help_answers(monkeypatch, capsys, arguments: tuple[str, ...], shown: tuple[str, ...]) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert call(monkeypatch, *arguments, "--help") == 0
    help_text = capsys.readouterr().out
    assert all(word.lower() in help_text.lower() for word in ("usage", *shown))


def test_a_fit_without_data_says_where_to_give_it(monkeypatch, refused, tmp_path: Path) -> None:
    monkeypatch.delenv("FRAMELENS_DATA", raising=False)
    assert "--data-dir" in refused("fit", "minilm", "-o", tmp_path / "run")
    assert "does not exist" in refused("fit", "minilm", "-o", tmp_path / "run", "--data-dir", tmp_path / "no")
    assert not (tmp_path / "run").exists()


def test_a_fit_into_an_existing_run_is_refused(refused, data_dir: Path, tmp_path: Path) -> None:
    # A name that a terminal's markup would swallow.
    run = tmp_path / "[red]run"
    run.mkdir()
    assert f"{run} exists" in refused("fit", "minilm", "-o", run, "--data-dir", data_dir)


def test_an_unknown_recipe_is_refused(refused, tmp_path: Path) -> None:
    assert "shipped are" in refused("fit", "maxilm", "-o", tmp_path / "run")


def test_an_export_of_nothing_is_refused(refused, tmp_path: Path) -> None:
    assert "no finished run" in refused("export", tmp_path, "-o", tmp_path / "bundle")


def test_without_the_extra_its_name_is_told_in_full(monkeypatch, refused, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "accelerate", None)
    for arguments in (
        ("fit", "minilm", "-o", tmp_path / "run"),
        ("export", tmp_path, "-o", tmp_path / "out"),
    ):
        said = refused(*arguments)
        assert "needs accelerate" in said
        assert "pip install 'framelens[train]'" in said


@pytest.mark.parametrize("content", [None, "not JSON", "[1]"])
def test_a_card_without_a_report_is_refused(monkeypatch, capsys, content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert call(monkeypatch, "card", tmp_path, tmp_path, "--report", f"test={path}") == 2
    assert "report.json" in capsys.readouterr().err


def test_a_card_of_a_run_that_was_not_exported_is_refused(refused, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("{}", encoding="utf-8")
    assert "export the run first" in refused("card", tmp_path, tmp_path, "--report", f"test={path}")
