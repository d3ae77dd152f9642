"""Where the time goes: which stage a stack of calls is in, what is added up, and a real path."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from framelens import InputError
from framelens.speed import LabelPath, built_in_sentences
from framelens_evaluation import cli
from framelens_evaluation.speed.profile import ProfileReport, measure_profile, shares
from framelens_evaluation.speed.sampled import LOADING, STAGES, Sampler, operator_seconds, stage_of
from framelens_evaluation.speed.sentences import read_sentences

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("calls", "stage"),
    [
        ([("nupunkt.core", "x"), ("framelens.sentences", "spans"), ("framelens.pairs", "x")], "splitting"),
        ([("framelens.encoding", "encode"), ("framelens.classifier", "_label_new")], "tokenising"),
        ([("framelens.encoding", "collate"), ("framelens.classifier", "_scored")], "batching and padding"),
        ([("torch.nn", "forward"), ("framelens.hf", "forward"), ("framelens.backend", "run")], "network"),
        ([("framelens.hf", "__init__"), ("framelens.backend", "__init__")], LOADING),
        ([("framelens.evidence", "x"), ("framelens.shards", "x")], "evidence and result objects"),
        ([("framelens.formats", "x"), ("framelens.corpus", "x")], "writing"),
        ([("pyarrow", "<module>"), ("importlib._bootstrap", "_load"), ("framelens.writers", "x")], LOADING),
        ([("framelens.cli", "label"), ("typer.main", "x")], LOADING),
        ([("framelens_evaluation.speed.sampled", "main")], LOADING),
        ([], LOADING),
    ],
)  # fmt: skip
def test_a_stack_is_in_the_stage_of_its_innermost_function_of_ours(
    calls: list[tuple[str, str]], stage: str
) -> None:
    assert stage_of(calls) == stage
    assert stage in (*STAGES, LOADING)


def test_time_goes_to_what_runs() -> None:
    scope: dict[str, Any] = {"__name__": "framelens.sentences"}
    exec("def spans(done):\n    while not done():\n        pass", scope)
    with Sampler() as sampler:
        scope["spans"](lambda: sampler.looks >= 20)
    assert sampler.looks >= 20
    assert max(sampler.seconds, key=lambda stage: sampler.seconds[stage]) == "splitting"


def test_shares_are_of_the_named_parts() -> None:
    found = shares({"a": 3.0, "b": 1.0, "left out": 96.0}, ["b", "a", "c"])
    assert [(part.name, part.share) for part in found] == [("b", 0.25), ("a", 0.75), ("c", 0.0)]
    assert [part.share for part in shares({}, ["a"])] == [0.0]


def test_operators_are_added_up() -> None:
    node = {"cat": "Node", "args": {"op_name": "MatMul"}}
    events = [
        {**node, "name": "m1_kernel_time", "dur": 2_000_000},
        {**node, "name": "m2_kernel_time", "dur": 500_000},
        {**node, "name": "m1_fence_before", "dur": 9_000_000},
        {"cat": "Session", "name": "model_run", "dur": 9_000_000},
    ]
    assert operator_seconds(events) == {"MatMul": 2.5}


def test_a_real_path(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    data, folder = tmp_path / "a.txt", tmp_path / "profile"
    data.write_text("\n".join(built_in_sentences(60)), encoding="utf-8")
    arguments = ["framelens-eval", "speed", "--data", str(data), "--profile", "default", "-o", str(folder)]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr()
    assert not ended.value.code, shown.err
    report = ProfileReport.model_validate_json((folder / "report.json").read_bytes())
    assert 55 <= report.n_sentences <= 65, "made articles are split again"
    assert [stage.name for stage in report.stages] == list(STAGES)
    assert sum(stage.share for stage in report.stages) == pytest.approx(1)
    assert sum(stage.share for stage in report.operators) == pytest.approx(1)
    assert "MatMul" in {operator.name for operator in report.operators}
    assert report.looks > 0
    assert "network" in shown.out
    assert "| MatMul |" in (folder / "report.md").read_text(encoding="utf-8")


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    data = tmp_path / "a.txt"
    data.write_text("It rained.", encoding="utf-8")
    with pytest.raises(InputError, match="odd is not available: framelens label has no --warp"):
        measure_profile(read_sentences(data), LabelPath("odd", "an odd one", ("--warp",)))
