"""The README is held against the tree, the measured files and the code."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ROOTS = ("model/framelens", "training/framelens_training", "evaluation/framelens_evaluation")


def between(name: str) -> str:
    found = re.search(rf"<!-- {name}:begin -->(.*?)<!-- {name}:end -->", README, re.DOTALL)
    assert found, f"README has no section {name}"
    return found[1].strip()


def test_file_map_is_the_tree() -> None:
    mapped: dict[str, set[str]] = {}
    for line in between("map").strip("`\n").splitlines():
        if line.endswith("/"):
            mapped[folder := line.rstrip("/")] = set()
        elif line.strip():
            mapped[folder].add(line.split()[0])
    for root in ROOTS:
        there = {path.name for path in (ROOT / root).glob("*.py")}
        there |= {f"{path.parent.name}/" for path in (ROOT / root).glob("*/__init__.py")}
        if root != ROOTS[0]:
            there.discard("__init__.py")
        assert mapped[root] == there, root


def test_quality_table_is_the_measured_one() -> None:
    card = pytest.importorskip("framelens_training.card")
    quality = json.loads((files("framelens") / "bundled" / "quality.json").read_text(encoding="utf-8"))
    assert between("quality") == card.readme_table(quality)


def test_boundary_figure_is_the_measured_one() -> None:
    segmentation = pytest.importorskip("framelens_evaluation.segmentation")
    scores = segmentation.compare_splitters()
    (held,) = [score for score in scores if (score.splitter, score.part) == ("framelens", "held")]
    assert between("boundary") == f"{held.f1.value:.3f} [{held.f1.low:.3f}, {held.f1.high:.3f}]"


def test_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"\*\*From Python:\*\*\n\n```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("hedged_claim 0.")


def test_commands_named_in_the_readme_exist() -> None:
    from typer.main import get_command

    from framelens.cli import app as label
    from framelens_evaluation.cli import app as evaluate
    from framelens_training.cli import app as train

    for name, app in {"framelens": label, "framelens-train": train, "framelens-eval": evaluate}.items():
        known = get_command(app).commands  # type: ignore[attr-defined]
        # Commands stand in code blocks or between backticks; sentences may name a program too.
        for used in re.findall(rf"(?:^|`|bin/){name} ([a-z]+)", README, re.MULTILINE):
            assert used in known, f"{name} {used}"


def test_files_linked_from_the_readme_exist() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


def test_the_picture_loads_nothing() -> None:
    picture = (ROOT / "docs" / "example.svg").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"')]+", picture)) <= {"http://www.w3.org/2000/svg"}
