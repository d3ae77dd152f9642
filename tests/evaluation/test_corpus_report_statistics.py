"""The numbers of the corpus page: intervals over documents, dates, periods, cues that set groups apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from framelens import LABELS
from framelens_evaluation.corpus.cues import log_odds
from framelens_evaluation.corpus.dates import day_sql
from framelens_evaluation.corpus.measure import report_corpus
from framelens_evaluation.corpus.names import percent
from framelens_evaluation.corpus.periods import choose_window, every_start
from framelens_evaluation.corpus.shares import SUMS, cluster_shares
from framelens_evaluation.corpus.source import CorpusRequest
from framelens_evaluation.statistics.bootstrap import bootstrap
from framelens_evaluation.statistics.metrics import ratio

if TYPE_CHECKING:
    from pathlib import Path

    from framelens_evaluation.corpus.shares import Shares


def sums_of(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Sums of (n_groups, n_documents, n_labels) counts, as the query gives them."""
    n = counts.sum(-1)
    found = {"documents": (n > 0).sum(1), "n": n.sum(1), "nn": (n**2).sum(1)}
    for at in range(counts.shape[-1]):
        y = counts[..., at]
        found |= {f"y{at}": y.sum(1), f"yy{at}": (y**2).sum(1), f"yn{at}": (y * n).sum(1)}
    return {name: found[name].astype(np.float64) for name in SUMS}


def shares_of(counts: np.ndarray) -> Shares:
    return cluster_shares(sums_of(counts))


def drawn(rng: np.random.Generator, groups: int, documents: int, share: float, likeness: float) -> np.ndarray:
    """Documents of 5 to 30 sentences whose own shares vary around that of the first label."""
    own = rng.beta(share / likeness, (1 - share) / likeness, (groups, documents))
    n = rng.integers(5, 31, (groups, documents))
    first = rng.binomial(n, own)
    second = rng.binomial(n - first, 0.7)
    return np.stack([first, second, n - first - second], axis=-1)


def test_a_case_by_hand() -> None:
    # Documents of 4, 2 and 4 sentences with 3, 1 and 1 of the first label: p = 5/10, the residuals
    # y - pn are 1, 0 and -1, so v = 3/2 * 2 / 100 = 0.03; independent sentences have 0.025.
    found = shares_of(np.array([[[3, 1, 0], [1, 1, 0], [1, 3, 0]]]))
    assert found.value[0].tolist() == [0.5, 0.5, 0.0]
    assert found.design_effect[0, 0] == pytest.approx(1.2)
    t, n = stats.t.ppf(0.975, 2), 0.25 / 0.03
    half = t * np.sqrt(0.25 / n + t**2 / (4 * n**2)) / (1 + t**2 / n)
    assert (found.low[0, 0], found.high[0, 0]) == (pytest.approx(0.5 - half), pytest.approx(0.5 + half))


def test_sums_give_the_variance_of_the_residuals() -> None:
    counts = drawn(np.random.default_rng(0), 5, 40, 0.3, 0.2)
    n, y = counts.sum(-1), counts[..., 0]
    p = y.sum(1) / n.sum(1)
    v = 40 / 39 * ((y - p[:, None] * n) ** 2).sum(1) / n.sum(1) ** 2
    assert shares_of(counts).design_effect[:, 0] == pytest.approx(v * n.sum(1) / (p * (1 - p)))


def test_agrees_with_resampling_documents() -> None:
    counts = drawn(np.random.default_rng(1), 1, 300, 0.3, 0.2)
    found = shares_of(counts)
    for at in range(3):
        sums = np.stack([counts[0, :, at], counts[0].sum(-1)], axis=-1)
        other = bootstrap(sums, lambda s: ratio(s[..., 0], s[..., 1]), 4000, np.random.default_rng(2))
        assert other.low is not None
        assert other.high is not None
        width = other.high - other.low
        assert found.low[0, at] == pytest.approx(other.low, abs=0.1 * width)
        assert found.high[0, at] == pytest.approx(other.high, abs=0.1 * width)


@pytest.mark.parametrize(("documents", "share"), [(40, 0.3), (40, 0.05), (8, 0.3)])
def test_how_often_an_interval_holds_the_share(documents: int, share: float) -> None:
    counts = drawn(np.random.default_rng(3), 4000, documents, share, 0.15)
    found = shares_of(counts)
    holds = (found.low[:, 0] <= share) & (share <= found.high[:, 0])
    # A rare label that some documents are full of is the hard case: its share is skewed.
    assert 0.92 <= holds.mean() <= 0.985
    n, p = found.sentences, found.value[:, 0]
    naive = np.abs(p - share) <= 1.96 * np.sqrt(p * (1 - p) / n)
    assert naive.mean() < 0.85


counts_of_documents = st.lists(st.tuples(*[st.integers(0, 30)] * 3).filter(any), min_size=1, max_size=12).map(
    lambda rows: np.array([rows])
)


@settings(max_examples=60, deadline=None)
@given(counts=counts_of_documents, seed=st.integers(0, 99))
def test_properties_of_intervals(counts: np.ndarray, seed: int) -> None:
    found = shares_of(counts)
    known = ~np.isnan(found.low)
    assert known.all() == (counts.shape[1] > 1)
    assert found.value.sum() == pytest.approx(1)
    assert (found.low[known] <= found.value[known]).all()
    assert (found.value[known] <= found.high[known]).all()
    assert (found.low[known] >= 0).all()
    assert (found.high[known] <= 1).all()
    order = np.random.default_rng(seed).permutation(counts.shape[1])
    other = shares_of(counts[:, order])
    np.testing.assert_allclose(other.low, found.low, equal_nan=True)
    # Ten times as many documents of the same kind narrow every interval that is not of nothing.
    more = shares_of(np.tile(counts, (1, 10, 1)))
    assert ((more.high - more.low)[known] < (found.high - found.low)[known]).all()


def test_no_sentences_have_no_share() -> None:
    found = shares_of(np.zeros((1, 3, 3), dtype=int))
    for part in (found.value, found.low, found.high, found.design_effect):
        assert np.isnan(part).all()


def test_a_document_in_two_groups_is_one_cluster_of_the_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    documents, groups, labels = (rng.integers(size, size=600) for size in (30, 2, 3))
    columns = {
        "doc_id": [str(each) for each in documents],
        "section": [f"section {each}" for each in groups],
        "label": [str(LABELS[each]) for each in labels],
        "date": [f"2024-0{each % 3 + 1}-15" for each in range(600)],
    }
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    request = CorpusRequest((tmp_path / "x.parquet",), by=("section",), over="month")
    report = report_corpus(request, tmp_path / "out").report

    def expected(kept: np.ndarray) -> list[str]:
        counts = np.zeros((1, 30, 3), dtype=int)
        np.add.at(counts[0], (documents[kept], labels[kept]), 1)
        found = shares_of(counts)
        ends = zip(found.value[0], found.low[0], found.high[0], strict=True)
        return [f"{100 * p:.1f} % [{100 * low:.1f}, {100 * high:.1f}]" for p, low, high in ends]

    everything = np.ones(600, dtype=bool)
    assert [percent(found.share) for found in report.overall.labels] == expected(everything)
    for group in report.groups:
        name = 0 if group.names == ("section 0",) else 1
        assert [percent(share) for share in group.shares] == expected(groups == name)
    assert report.timeline is not None
    for at, period in enumerate(report.timeline.periods):
        assert [percent(share) for share in period.shares] == expected(np.arange(600) % 3 == at)


@pytest.mark.parametrize(
    ("written", "over", "start"),
    [
        ("2024-05-31", "day", "2024-05-31"),
        ("2024-05-31", "week", "2024-05-27"),
        ("2024-05-31T23:59:59+09:00", "month", "2024-05-01"),
        ("2024-05-31 10:00", "quarter", "2024-04-01"),
        ("2024/05/31", "year", "2024-01-01"),
        (" 20240531 ", "day", "2024-05-31"),
        ("31 May 2024", "day", "2024-05-31"),
        ("1 September 2024", "day", "2024-09-01"),
        ("Sep 1, 2024", "day", "2024-09-01"),
        ("Fri, 31 May 2024 10:00:00 +0000", "day", "2024-05-31"),
        ("2024-05", "month", "2024-05-01"),
        ("2024", "year", "2024-01-01"),
        ("2024-05", "week", None),
        ("2024", "month", None),
        ("31/05/2024", "day", None),
        ("05/06/07", "day", None),
        ("2024-02-30", "day", None),
        ("0024-05-31", "day", None),
        ("infinity", "day", None),
        ("yesterday", "day", None),
    ],
)
def test_dates(written: str, over, start: str | None) -> None:
    day = f"date_trunc('{over}', {day_sql('written', 'VARCHAR', over)})"
    query = f"SELECT strftime({day}, '%Y-%m-%d') FROM (SELECT CAST(? AS VARCHAR) AS written)"
    assert duckdb.execute(query, [written]).fetchall() == [(start,)]


def test_dates_that_parquet_has_types_for(tmp_path: Path) -> None:
    when = np.array(["2024-05-31T23:30:00"], dtype="datetime64[us]")
    for values in (
        pa.array(when),
        pa.array(when, pa.timestamp("us", "Asia/Tokyo")),
        pa.array(when).cast(pa.timestamp("ns")),
        pa.array(when.astype("datetime64[D]")),
        pa.array([20240531]),
    ):
        pq.write_table(pa.table({"written": values}), tmp_path / "x.parquet")
        source = f"read_parquet('{tmp_path / 'x.parquet'}')"
        kind = duckdb.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()[0][1]
        day = duckdb.execute(f"SELECT {day_sql('written', kind, 'day')} FROM {source}").fetchall()[0][0]
        assert str(day) == "2024-05-31"


def test_too_many_weeks_are_shown_by_month_to_the_day(tmp_path: Path) -> None:
    days = np.arange("2001-01-01", "2012-01-01", dtype="datetime64[D]")
    columns = {"doc_id": days.astype(str), "label": [str(LABELS[0])] * len(days), "date": days.astype(str)}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    timeline = report_corpus(
        CorpusRequest((tmp_path / "x.parquet",), over="week"), tmp_path / "out"
    ).report.timeline
    assert timeline is not None
    assert (timeline.asked, timeline.over, len(timeline.periods)) == ("week", "month", 132)
    assert [period.sentences for period in timeline.periods[:3]] == [31, 28, 31]


def test_every_period_between_two_days() -> None:
    def starts(first: str, last: str, over) -> list[str]:
        return [str(day) for day in every_start(np.datetime64(first), np.datetime64(last), over)]

    assert starts("2023-11-01", "2024-02-01", "month") == [
        "2023-11-01",
        "2023-12-01",
        "2024-01-01",
        "2024-02-01",
    ]
    assert starts("2023-05-01", "2024-01-01", "quarter") == [
        "2023-04-01",
        "2023-07-01",
        "2023-10-01",
        "2024-01-01",
    ]
    assert starts("2024-02-26", "2024-03-11", "week") == ["2024-02-26", "2024-03-04", "2024-03-11"]
    assert starts("2023-01-01", "2024-01-01", "year") == ["2023-01-01", "2024-01-01"]
    assert starts("2024-02-28", "2024-03-01", "day") == ["2024-02-28", "2024-02-29", "2024-03-01"]


def test_what_a_time_line_shows() -> None:
    assert choose_window([], np.array([], dtype=int), "day") is None
    one = choose_window(["2024-05-01"], np.array([3]), "month")
    assert one is not None
    assert (one.first, one.last, one.n_left_out) == ("2024-05-01", "2024-05-01", 0)
    # A few sentences at the end of an even spread are no strays.
    days = [str(day) for day in np.arange("2020-01-01", "2021-01-01", dtype="datetime64[D]")]
    kept = choose_window(days, np.full(len(days), 1000), "day")
    assert kept is not None
    assert (kept.first, kept.last, kept.over) == ("2020-01-01", "2020-12-31", "day")
    coarse = choose_window(["2000-01-01", "2020-01-01"], np.array([5, 5]), "day")
    assert coarse is not None
    assert coarse.over == "month"


def test_log_odds_by_hand() -> None:
    # 8 of 10 uses of the group and 10 of 40 of the corpus: with the corpus as prior,
    # 18 : 32 in the group and 12 : 58 elsewhere.
    z = log_odds(np.array([8.0]), 10, np.array([10.0]), 40)
    assert z[0] == pytest.approx((np.log(18 / 32) - np.log(12 / 58)) / np.sqrt(1 / 18 + 1 / 12))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=2, max_size=10))
def test_log_odds_of_two_halves_are_opposite(rows: list[tuple[int, int]]) -> None:
    here, elsewhere = np.array(rows, dtype=np.float64).T
    everywhere = here + elsewhere
    args = here.sum(), everywhere, everywhere.sum()
    mine = log_odds(here, *args)
    theirs = log_odds(elsewhere, elsewhere.sum(), *args[1:])
    np.testing.assert_allclose(mine, -theirs)
    same = log_odds(everywhere / 2, everywhere.sum() / 2, *args[1:])
    np.testing.assert_allclose(same, 0, atol=1e-12)


def test_a_cue_that_is_all_there_is_sets_nothing_apart() -> None:
    assert log_odds(np.array([5.0]), 5, np.array([9.0]), 9).tolist() == [0.0]


def test_cues_of_a_group_are_found(tmp_path: Path) -> None:
    words = ["valiant", "reportedly", "glorious"]
    rows = [
        {
            "doc_id": f"{outlet}{at}",
            "outlet": outlet,
            "label": str(LABELS[0]),
            "text": f"A {word} day.",
            "evidence": [{"start": 2, "end": 2 + len(word), "kind": "state_cue"}],
        }
        for outlet, often in (("Post", 0), ("Times", 2))
        for at in range(40)
        for word in [words[often] if at % 4 else words[1]]
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "x.parquet")
    report = report_corpus(CorpusRequest((tmp_path / "x.parquet",), by=("outlet",)), tmp_path / "out").report
    found = {(cue.names, cue.cue): (cue.documents, cue.documents_elsewhere) for cue in report.distinct_cues}
    assert found == {(("Post",), "valiant"): (30, 0), (("Times",), "glorious"): (30, 0)}
