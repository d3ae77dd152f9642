"""The manifest says what was done, and its numbers add up."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from framelens import LABELS, FramingClassifier, __version__
from framelens.jobs import LabelJob, run_job

if TYPE_CHECKING:
    from framelens.corpus import Counts

DATA = Path(__file__).parents[1] / "data"
FIELDS = [
    "schema_version", "arguments", "model_digest", "label_order", "inputs", "skipped", "records", "sentences",
    "labels", "statuses", "truncated", "abstained", "wall_seconds", "sentences_per_second", "versions",
    "platform", "processors",
]  # fmt: skip


@pytest.fixture(scope="module")
def classifier() -> FramingClassifier:
    return FramingClassifier(threads=1, abstain_below=0.7)


def run(classifier: FramingClassifier, target: Path, *inputs: Path) -> tuple[Counts, dict[str, Any]]:
    err = Console(file=io.StringIO())
    job = LabelJob(tuple(map(str, inputs)), output=str(target))
    counts = run_job(job, classifier, err, err, {"model": "bundled", "abstain_below": 0.7})
    return counts, json.loads(target.with_name(f"{target.name}.manifest.json").read_text("utf-8"))


@pytest.mark.parametrize("name", ["o.jsonl", "o.csv.gz", "o.parquet", "o.svg", "o.html", "o.txt"])
def test_fields_and_sums(classifier: FramingClassifier, tmp_path: Path, name: str) -> None:
    inputs = (DATA / "judged_sentences.jsonl", *sorted((DATA / "articles").glob("*.txt")))
    counts, manifest = run(classifier, tmp_path / name, *inputs)
    assert list(manifest) == FIELDS
    assert manifest["inputs"] == [
        {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in inputs
    ]
    assert list(manifest["labels"]) == manifest["label_order"] == [str(label) for label in LABELS]
    assert sum(manifest["statuses"].values()) == manifest["sentences"] == counts.sentences
    assert sum(manifest["labels"].values()) == manifest["statuses"]["ok"]
    assert manifest["records"] == 86 + 3
    assert 0 < manifest["abstained"] < manifest["sentences"]
    assert manifest["model_digest"] == classifier.digest
    assert manifest["versions"]["framelens"] == __version__
    assert manifest["arguments"]["inputs"] == [str(path) for path in inputs]
    assert manifest["arguments"]["abstain_below"] == 0.7
    assert manifest["wall_seconds"] > 0


def test_numbers_are_those_of_the_rows(classifier: FramingClassifier, tmp_path: Path) -> None:
    _, manifest = run(classifier, tmp_path / "o.jsonl", DATA / "judged_sentences.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text("utf-8").splitlines()]
    assert manifest["sentences"] == len(rows)
    assert manifest["abstained"] == sum(row["abstained"] for row in rows)
    assert manifest["truncated"] == sum(row["truncated"] for row in rows)
    for label, n in manifest["labels"].items():
        assert n == sum(row["label"] == label for row in rows)
