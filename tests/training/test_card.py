"""The card: measured figures alone, and of this model alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from framelens import FramingClassifier
from framelens.bundle import find_bundle
from framelens.errors import InputError
from framelens_evaluation.inputs.dataset import read_gold
from framelens_evaluation.inputs.systems import FramingSystem
from framelens_evaluation.run.evaluate import evaluate
from framelens_training.card import write_card


@pytest.fixture(scope="module")
def report(tiny_run) -> dict[str, Any]:
    """An evaluation of the tiny bundle on its test split, as `framelens-eval run` writes it."""
    splits = tiny_run.folder / "splits"
    model = FramingClassifier.from_pretrained(tiny_run.bundle)
    found = evaluate(
        [FramingSystem(model)],
        read_gold(splits / "test.jsonl"),
        read_gold(splits / "train.jsonl"),
        baselines=["majority"],
        n_resamples=50,
    )
    return found.report.model_dump(mode="json")


def test_the_card_is_written_from_the_report(own_run, report: dict[str, Any]) -> None:
    digest = find_bundle(own_run.bundle).digest
    write_card(own_run.folder, own_run.bundle, {"test": report})
    assert find_bundle(own_run.bundle).digest == digest
    card = (own_run.bundle / "model_card.md").read_text(encoding="utf-8")
    assert digest in card
    assert "# framelens tiny" in card
    assert card.startswith("---\nlicense: apache-2.0\n")
    for system in report["systems"]:
        whole = next(subset for subset in system["subsets"] if subset["subset"] == "all")
        score = whole["macro_f1"]
        cells = (
            f"| {system['name']} | all | {whole['n_sentences']} | {score['value']:.3f} [{score['low']:.3f}, "
        )
        assert cells in card
    counts = json.loads((own_run.folder / "splits" / "counts.json").read_text(encoding="utf-8"))["sentences"][
        "dev"
    ]
    row = [counts["state_media_framing"], counts["independent_reporting"], counts["hedged_claim"]]
    assert f"| dev | {' | '.join(map(str, [*row, counts['not_applicable']]))} |" in card
    for path in own_run.parity:
        assert f"| {path.path} | {path.n_sentences} | {path.agreement:.3%} |" in card


def test_quality_is_what_was_measured(own_run, report: dict[str, Any]) -> None:
    write_card(own_run.folder, own_run.bundle, {"test": report})
    quality = find_bundle(own_run.bundle).quality
    assert quality is not None
    assert quality["model_digest"] == find_bundle(own_run.bundle).digest
    assert quality["calibration"] == own_run.calibration.to_dict()
    assert quality["parity"] == [path.to_dict() for path in own_run.parity]
    systems = quality["reports"]["test"]["systems"]
    assert [system["name"] for system in systems] == ["framelens", "majority"]
    for kept, measured in zip(systems, report["systems"], strict=True):
        assert kept["subsets"][0]["macro_f1"] == measured["subsets"][0]["macro_f1"]
    assert quality["reports"]["test"]["data"]["n_labelled"] == report["data"]["n_labelled"]


def test_a_report_of_another_model_is_refused(own_run, report: dict[str, Any]) -> None:
    other = report | {"model_digest": "0" * 64}
    with pytest.raises(InputError, match=f"'dev' measured the model {'0' * 64}"):
        write_card(own_run.folder, own_run.bundle, {"test": report, "dev": other})
    assert not (own_run.bundle / "model_card.md").exists()
    assert not (own_run.bundle / "quality.json").exists()


def test_a_bundle_of_another_run_is_refused(own_run, report: dict[str, Any]) -> None:
    config = own_run.bundle / "config.json"
    config.write_text(config.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    other = report | {"model_digest": find_bundle(own_run.bundle).digest}
    with pytest.raises(InputError, match="export again"):
        write_card(own_run.folder, own_run.bundle, {"test": other})


def test_a_run_that_was_not_exported_is_refused(own_run, report: dict[str, Any]) -> None:
    (own_run.folder / "export.json").unlink()
    with pytest.raises(InputError, match="export the run first"):
        write_card(own_run.folder, own_run.bundle, {"test": report})
