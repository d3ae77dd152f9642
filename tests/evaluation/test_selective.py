"""Risk against coverage: hand-worked cases, the papers' definitions, and explicit resamples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from framelens_evaluation.statistics.bootstrap import Resampling, draw
from framelens_evaluation.statistics.metrics import NO_LABEL
from framelens_evaluation.statistics.selective import COVERAGES, RiskCoverage, Selective, aurc

few = settings(max_examples=40, deadline=None)  # a busy machine has no deadlines


def rows_of(confidence: list[float]) -> np.ndarray:
    top = np.array(confidence)
    return np.column_stack([top, (1 - top) / 2, (1 - top) / 2])


def selective(gold, given_, confidence, clusters=None, weights=None) -> Selective:
    gold, given_ = np.array(gold), np.array(given_)
    clusters = np.arange(len(gold)) if clusters is None else clusters
    n = int(clusters.max()) + 1
    mass = np.ones(len(gold)) if weights is None else weights
    curve = RiskCoverage(gold, given_, rows_of(confidence), clusters, n, mass)
    (drawn,) = draw([curve], n, len(gold), Resampling(0, 50), 0)
    return curve.result(drawn)


def test_a_case_worked_by_hand() -> None:
    found = selective([0, 1, 2, 0], [0, 1, 0, 1], [0.9, 0.8, 0.7, 0.6])
    assert found.curve == (
        (0.25, 0.0),
        (0.5, 0.0),
        (0.75, pytest.approx(1 / 3)),
        (1.0, 0.5),
    )
    # The oracle's order: no area to gain.
    assert found.aurc.value == pytest.approx(0.5 + 0.5 * np.log(0.5))
    assert found.excess_aurc.value == pytest.approx(0.0, abs=1e-12)
    half = next(point for point in found.at if point.nominal == 0.5)
    assert (half.coverage, half.threshold, half.n_accepted) == (0.5, 0.8, 2)
    assert (half.accuracy.value, half.macro_f1.value) == (1.0, 1.0)
    most = next(point for point in found.at if point.nominal == 0.7)
    assert (most.coverage, most.threshold, most.n_accepted) == (0.75, 0.7, 3)


def test_close_to_the_mean_over_accepted_sentences() -> None:
    rng = np.random.default_rng(0)
    for n in (5, 50, 500):
        wrong = (rng.random((1, n)) < 0.3).astype(float)
        of_geifman = (np.cumsum(wrong[0]) / np.arange(1, n + 1)).mean()
        assert abs(aurc(wrong, np.ones((1, n)))[0] - of_geifman) < 1 / n


def test_it_is_the_limit_of_ever_finer_sentences() -> None:
    wrong = np.array([[0.0, 1.0, 0.0, 0.0, 1.0, 1.0]])
    fine = np.repeat(wrong[0], 5000)
    of_geifman = (np.cumsum(fine) / np.arange(1, len(fine) + 1)).mean()
    assert aurc(wrong, np.ones((1, 6)))[0] == pytest.approx(of_geifman, abs=1e-3)


def test_ties_come_in_together() -> None:
    one_confidence = selective([0, 1, 2, 0], [0, 0, 0, 0], [0.7] * 4)
    assert one_confidence.aurc.value == pytest.approx(0.5)
    assert one_confidence.curve == ((1.0, 0.5),)
    assert {point.coverage for point in one_confidence.at} == {1.0}


def test_refused_sentences_are_never_covered() -> None:
    found = selective([0, 1, 2, 0, 1], [0, 1, 0, NO_LABEL, NO_LABEL], [0.9, 0.8, 0.7, 0.99, 0.5])
    assert found.n_sentences == 5
    assert found.max_coverage.value == 0.6
    assert found.curve[-1] == (0.6, pytest.approx(1 / 3))
    by_nominal = {point.nominal: point for point in found.at}
    assert by_nominal[1.0].coverage is None
    assert by_nominal[1.0].accuracy.value is None
    assert by_nominal[0.6].accuracy.value == pytest.approx(2 / 3)
    assert by_nominal[0.5].n_accepted == 3  # two of five are less than half


@few
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from([0.4, 0.5, 0.7, 0.9])),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 9),
)
def test_bounds_and_order(rows, seed: int) -> None:
    gold, given_, confidence = zip(*rows, strict=True)
    if set(given_) == {NO_LABEL}:
        return
    found = selective(gold, given_, confidence)
    assert 0 <= found.aurc.value <= 1
    assert found.excess_aurc.value >= -1e-12
    order = np.random.default_rng(seed).permutation(len(rows))
    again = selective(*(np.array(column)[order] for column in (gold, given_, confidence)))
    assert again.aurc.value == pytest.approx(found.aurc.value)
    assert again.curve == found.curve
    assert [point.accuracy.value for point in again.at] == [point.accuracy.value for point in found.at]


def test_weights_repeat_sentences() -> None:
    rng = np.random.default_rng(1)
    gold, given_ = rng.integers(3, size=40), rng.integers(4, size=40)
    confidence, weights = rng.uniform(0.4, 1, size=40), rng.integers(1, 4, size=40)
    weighted = selective(gold, given_, confidence, weights=weights.astype(float))
    again = np.repeat(np.arange(40), weights)
    repeated = selective(gold[again], given_[again], confidence[again])
    assert weighted.aurc.value == pytest.approx(repeated.aurc.value)
    assert np.array(weighted.curve) == pytest.approx(np.array(repeated.curve))
    assert [point.macro_f1.value for point in weighted.at] == pytest.approx(
        [point.macro_f1.value for point in repeated.at]
    )


def test_a_resample_is_the_same_as_repeated_rows() -> None:
    rng = np.random.default_rng(2)
    gold, clusters = rng.integers(3, size=200), rng.integers(15, size=200)
    given_ = np.where(rng.random(200) < 0.7, gold, rng.integers(4, size=200))
    confidence = rng.uniform(0.4, 1, size=200)
    curve = RiskCoverage(gold, given_, rows_of(confidence), clusters, 15, np.ones(200))
    times = rng.multinomial(15, np.full(15, 1 / 15), size=5).astype(float)
    for row, multiplicity in zip(curve.draw(times), times, strict=True):
        again = np.repeat(np.arange(200), multiplicity[clusters].astype(int))
        labelled = again[given_[again] != NO_LABEL]
        assert row[0] == pytest.approx(len(labelled) / len(again))
        falling = np.sort(confidence[labelled])[::-1]
        for at, nominal in enumerate(COVERAGES):
            needed = int(np.ceil(nominal * len(again) - 1e-6))
            if needed > len(labelled):
                assert np.isnan(row[3 + at])
                continue
            accepted = labelled[confidence[labelled] >= falling[needed - 1]]
            assert row[3 + at] == pytest.approx(accuracy_score(gold[accepted], given_[accepted]))
            assert row[3 + len(COVERAGES) + at] == pytest.approx(
                f1_score(gold[accepted], given_[accepted], average="macro")
            )
