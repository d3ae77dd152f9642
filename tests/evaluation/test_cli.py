"""The command: what it writes, and how it fails."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

import framelens
from framelens_evaluation import cli

if TYPE_CHECKING:
    from pathlib import Path


COMMANDS = (
    "run",
    "compare",
    "audit",
    "bench",
    "agreement",
    "prevalence",
    "coverage",
    "corpus",
    "sentences",
    "speed",
    "endurance",
    "cost",
)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["framelens-eval", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture
def data(gold, tmp_path: Path) -> Path:
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(row.model_dump_json() + "\n" for row in gold.sentences), encoding="utf-8")
    return path


@pytest.fixture
def known_model(model, monkeypatch):
    class Loader:
        @staticmethod
        def from_pretrained(name: str):
            assert name == "bundled"
            return model

    monkeypatch.setattr(framelens, "FramingClassifier", Loader, raising=False)


@pytest.mark.parametrize("arguments", [(), *((name,) for name in COMMANDS)])
def test_help_answers(monkeypatch, capsys, arguments) -> None:
    assert call(monkeypatch, *arguments, "--help") == 0
    shown = capsys.readouterr().out
    assert "Usage" in shown
    assert not arguments or f"framelens-eval {arguments[0]}" in shown


def test_run_writes_a_report(monkeypatch, capsys, known_model, data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    code = call(
        monkeypatch, "run", "bundled", "--data", data, "--train", data, "--baseline", "majority",
        "--resamples", 50, "-o", folder, "--note", "made up",
    )  # fmt: skip
    shown = capsys.readouterr()
    assert code == 0
    assert "framelens: macro-F1 0." in shown.out
    assert "framelens without context: macro-F1 0." in shown.out
    assert str(folder / "report.html") in shown.out.replace("\n", "")
    assert "baseline majority" in shown.err
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["command"].startswith("framelens-eval run bundled --data")
    assert report["provenance"]["n_resamples"] == 50
    assert report["note"] == "made up"
    assert "stand in both the data and the training file" in (folder / "report.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "bundled", "--data", "absent.jsonl"], "absent.jsonl"),
        (
            ["run", "bundled", "--data", "absent.jsonl", "--baseline", "oracle"],
            "majority, lexicon, tfidf, frozen",
        ),
        (["speed", "--data", "absent.txt"], "absent.txt"),
    ],
)
def test_what_is_wrong_is_one_line(monkeypatch, capsys, arguments, message) -> None:
    assert call(monkeypatch, *arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("framelens-eval: ")
    assert message in shown.err
    assert len(shown.err.splitlines()) == 1


def test_a_file_in_the_report_s_place(monkeypatch, capsys, data: Path) -> None:
    assert call(monkeypatch, "run", "bundled", "--data", data, "-o", data) == 2
    assert "needs a folder" in capsys.readouterr().err


def test_sentences_prints_a_table(monkeypatch, capsys) -> None:
    segmentation = pytest.importorskip("framelens_evaluation.segmentation")
    monkeypatch.setattr(segmentation, "compare_splitters", list)
    monkeypatch.setattr(segmentation, "markdown_table", lambda scores: f"| {len(scores)} |")
    assert call(monkeypatch, "sentences") == 0
    assert "| 0 |" in capsys.readouterr().out
