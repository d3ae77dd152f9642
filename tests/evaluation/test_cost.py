"""The benchmark of the harness, tiny."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from framelens import InputError
from framelens_evaluation.cli import app
from framelens_evaluation.cost import Cost, made_up_predictions, measure_cost


def test_made_up_predictions_are_as_said() -> None:
    gold, given, probabilities, articles = made_up_predictions(20_000, 500, np.random.default_rng(0))
    assert set(articles.tolist()) == set(range(500))
    assert probabilities.sum(1) == pytest.approx(np.ones(20_000))
    assert (given == 3).mean() == pytest.approx(0.02, abs=0.005)
    # Calibrated: as many are right as the probabilities say.
    assert (probabilities.argmax(1) == gold).mean() == pytest.approx(probabilities.max(1).mean(), abs=0.01)
    again = made_up_predictions(20_000, 500, np.random.default_rng(0))
    assert all(
        (one == other).all() for one, other in zip((gold, given, probabilities, articles), again, strict=True)
    )


def test_measures() -> None:
    found = measure_cost(200, 20, 5, seed=1)
    assert (found.n_sentences, found.n_articles, found.n_resamples, found.seed) == (200, 20, 5, 1)
    assert found.seconds > 0
    assert found.peak_memory_mb is None or 20 < found.peak_memory_mb < 100_000


def test_more_articles_than_sentences_are_refused() -> None:
    with pytest.raises(InputError, match="no more than there are sentences"):
        measure_cost(10, 11, 5)


def test_command(tmp_path) -> None:
    file = tmp_path / "cost.json"
    sizes = ["--sentences", "200", "--articles", "20", "--resamples", "5"]
    done = CliRunner().invoke(app, ["cost", *sizes, "-o", str(file)])
    assert done.exit_code == 0, done.output
    found = Cost.model_validate_json(file.read_text(encoding="utf-8"))
    assert str(found) in done.output
    assert "scored 200 sentences in 20 articles, 5 resamples" in done.output


def test_a_file_that_cannot_be_written(tmp_path) -> None:
    sizes = ["--sentences", "10", "--articles", "5", "--resamples", "2"]
    done = CliRunner().invoke(app, ["cost", *sizes, "-o", str(tmp_path)])
    assert isinstance(done.exception, InputError)
