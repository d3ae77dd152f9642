"""Agreement of judges, measured: overall, by label, rule, certainty, stratum and pair, and the ceiling."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import ValidationError

from framelens import LABELS, InputError
from framelens_evaluation.agreement.judgements import MISSING, RULES
from framelens_evaluation.agreement.measures import (
    agreed_share,
    alpha_counts,
    cohen_kappa,
    in_blocks,
    judge_ceiling,
    nominal_alpha,
    pair_confusions,
    pair_counts,
    specific_agreement,
    sums_by_cluster,
)
from framelens_evaluation.agreement.result import (
    AgreementReport,
    Level,
    ModelAgainst,
    PairAgreement,
    ValueAgreement,
)
from framelens_evaluation.reporting.provenance import (
    Source,
    Started,
)
from framelens_evaluation.statistics.bootstrap import (
    Interval,
    Resampling,
    bootstrap,
    cluster_codes,
    cluster_confusions,
    cluster_sums,
)
from framelens_evaluation.statistics.metrics import NO_LABEL, macro_f1

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from framelens_evaluation.agreement.judgements import Judgements
    from framelens_evaluation.inputs.systems import System
    from framelens_evaluation.statistics.metrics import FloatArray, IntArray

__all__ = ["measure_agreement", "read_judge_ceiling", "values_of"]

# Streams of random numbers; groups and pairs take the places from there on.
_LABELS, _RULES, _GROUPS, _PAIRS, _CEILING, _MODEL = 0, 1, 100, 10, 20, 10_000
_NOT_ANNOTATED: Final = "not annotated"


def values_of(judgements: Judgements, with_x: bool) -> tuple[tuple[str, ...], IntArray]:
    """What judges could say and what they said, as numbers.

    Args:
        judgements: as read.
        with_x: whether "not annotated" is a value; else it is missing.

    Returns:
        Names of the values, and their places, shape (n_items, n_judges); `MISSING` where there is none.
    """
    names = tuple(str(label) for label in LABELS)
    if with_x:
        return (*names, _NOT_ANNOTATED), judgements.labels
    return names, np.where(judgements.labels == NO_LABEL, MISSING, judgements.labels)


def measure_agreement(
    judgements: Judgements,
    *,
    with_x: bool = False,
    against: tuple[str, System] | None = None,
    seed: int = 0,
    n_resamples: int = 2000,
    command: str | None = None,
    note: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> AgreementReport:
    """Measure how far judges agree.

    Args:
        judgements: of two judges or more.
        with_x: whether "not annotated" counts as a value; else such a judgement is missing.
        against: a model to score against the same judges: what it was called, and itself.
        seed: of the resampling.
        n_resamples: of articles, behind each interval.
        command: how it was called.
        note: a remark on the judges.
        progress: told of each step as it begins.

    Raises:
        InputError: no sentence was judged by two judges, or the model cannot answer for one that was.
    """
    started = Started()
    tell, how = progress or (lambda _: None), Resampling(seed, n_resamples)
    names, codes = values_of(judgements, with_x)
    twice = (codes != MISSING).sum(1) >= 2
    if not twice.any():
        raise InputError("no sentence was judged by two judges, so that there is no agreement to measure")
    clusters, n_clusters = cluster_codes(judgements.clusters)
    tell(f"measuring the agreement of {len(judgements.judges)} judges on {int(twice.sum()):,} sentences")
    measured = _Measured(codes, clusters, n_clusters, how)
    everything = np.ones(len(codes), dtype=bool)
    tell("scoring judges against each other")
    answers = None if against is None else _answers(judgements, against[1])
    return AgreementReport(
        note=note,
        with_x=with_x,
        judges=judgements.judges,
        values=names,
        n_items=len(codes),
        n_judgements=int((judgements.labels != MISSING).sum()),
        n_not_annotated=int((judgements.labels == NO_LABEL).sum()),
        n_twice=int(twice.sum()),
        by_article=all(
            item.article is not None for item, kept in zip(judgements.items, twice, strict=True) if kept
        ),
        labels=measured.level("labels", names, everything, _LABELS),
        rules=_rules(judgements, with_x, measured),
        by_sure=_by_sure(judgements, names, measured),
        by_stratum=_by_stratum(judgements, names, measured),
        pairs=_pairs(judgements.judges, len(names), measured),
        pooled=_whole(pair_counts(codes, len(names)).sum(0)),
        ceiling=judge_ceiling(
            judgements.labels, judgements.judges, clusters, n_clusters, how, model=answers, stream=_CEILING
        ),
        model=None if against is None else against[1].name,
        model_against=() if answers is None else _model_against(judgements, answers, measured),
        # Last, so that its wall time is that of everything above.
        provenance=started.provenance(
            command=command,
            seed=seed,
            n_resamples=n_resamples,
            sources=_sources(judgements, against),
        ),
    )


def read_judge_ceiling(path: Path) -> Interval:
    """How well judges reach each other's labels, from the ``report.json`` of an agreement.

    Returns:
        Macro-F1 of one judge against another; see `framelens_evaluation.agreement.measures.judge_ceiling`.

    Raises:
        InputError: the file cannot be read, or is no such report.
    """
    try:
        return AgreementReport.model_validate_json(path.read_bytes()).ceiling.macro_f1
    except OSError as error:
        raise InputError(f"cannot read the judges' agreement: {path}: {error.strerror}") from error
    except ValidationError as error:
        raise InputError(
            f"{path}: expected the report.json of `framelens-eval agreement`: {error.errors()[0]['msg']}"
        ) from error


class _Measured:
    """Values of all judges, and how intervals are made."""

    def __init__(self, codes: IntArray, clusters: IntArray, n_clusters: int, how: Resampling) -> None:
        self.codes, self.clusters, self.n_clusters, self.how = codes, clusters, n_clusters, how

    def level(
        self,
        name: str,
        values: tuple[str, ...],
        kept: npt.NDArray[np.bool_],
        stream: int,
        codes: IntArray | None = None,
    ) -> Level:
        """Agreement on the sentences kept, of the judges' values or of others such as rules."""
        codes = (self.codes if codes is None else codes)[kept]
        n = len(values)
        pairs = pair_counts(codes, n)
        counts = np.stack([alpha_counts(codes, n), pairs], axis=1)
        sums = sums_by_cluster(counts, self.clusters[kept], self.n_clusters)
        total = sums.sum(0)
        draws = in_blocks(sums, _level_statistics, self.how, stream)
        found = _level_statistics(total)
        intervals = [Interval.of(found[at], draws[:, at], len(sums)) for at in range(2 + n)]
        twice = (codes != MISSING).sum(1) >= 2
        given = [int((codes[twice] == at).sum()) for at in range(n)]
        return Level(
            name=name,
            n_items=int(twice.sum()),
            n_clusters=len(sums),
            alpha=intervals[0],
            agreed=intervals[1],
            values=tuple(
                ValueAgreement(value=value, n_given=n_given, agreement=interval)
                for value, n_given, interval in zip(values, given, intervals[2:], strict=True)
            ),
        )


def _level_statistics(counts: npt.NDArray[Any]) -> FloatArray:
    """(..., 2, n_values, n_values) of `alpha_counts` and `pair_counts` to (..., 2 + n_values)."""
    coincidences, pairs = counts[..., 0, :, :], counts[..., 1, :, :]
    overall = np.stack([nominal_alpha(coincidences), agreed_share(pairs)], axis=-1)
    return np.concatenate([overall, specific_agreement(pairs)], axis=-1)


def _pair_statistics(counts: npt.NDArray[Any]) -> FloatArray:
    return np.stack([cohen_kappa(counts), agreed_share(counts)], axis=-1)


def _rules(judgements: Judgements, with_x: bool, measured: _Measured) -> Level | None:
    codes = judgements.rules
    names = tuple(RULES)
    if with_x:
        codes = np.where(judgements.labels == NO_LABEL, len(names), codes)
        names = (*names, _NOT_ANNOTATED)
    if not ((judgements.rules != MISSING).sum(1) >= 2).any():
        return None
    return measured.level("rules", names, np.ones(len(codes), dtype=bool), _RULES, codes)


def _by_sure(judgements: Judgements, names: tuple[str, ...], measured: _Measured) -> tuple[Level, ...]:
    """Sentences by whether every judge found the codebook clear; those where that is not known in neither."""
    judged = judgements.labels != MISSING
    known = ((judgements.sure != MISSING) | ~judged).all(1)
    if not known.any():
        return ()
    unsure = (judgements.sure == 0).any(1)
    groups = (("every judge sure", known & ~unsure), ("a judge unsure", known & unsure))
    return tuple(measured.level(name, names, kept, _GROUPS + at) for at, (name, kept) in enumerate(groups))


def _by_stratum(judgements: Judgements, names: tuple[str, ...], measured: _Measured) -> tuple[Level, ...]:
    strata = np.array([item.stratum or "" for item in judgements.items])
    found = [
        measured.level(name, names, strata == name, _GROUPS + 10 + at)
        for at, name in enumerate(sorted(set(strata.tolist()) - {""}))
    ]
    return tuple(level for level in found if level.n_items)


def _pairs(judges: tuple[str, ...], n_values: int, measured: _Measured) -> tuple[PairAgreement, ...]:
    codes, clusters = measured.codes, measured.clusters
    pairs = list(combinations(range(len(judges)), 2))
    by_pair = [
        cluster_sums(pair_confusions(codes[:, i], codes[:, j], n_values), clusters, measured.n_clusters)
        for i, j in pairs
    ]
    sums = np.stack(by_pair, axis=1)
    used = (sums.sum((-2, -1)) > 0).sum(0)
    sums = sums[sums.sum((1, 2, 3)) > 0]
    total = sums.sum(0)
    values, draws = _pair_statistics(total), in_blocks(sums, _pair_statistics, measured.how, _PAIRS)
    return tuple(
        PairAgreement(
            first=judges[i],
            second=judges[j],
            n_items=int(total[at].sum()),
            kappa=Interval.of(values[at, 0], draws[:, at, 0], int(used[at])),
            agreed=Interval.of(values[at, 1], draws[:, at, 1], int(used[at])),
            confusion=_whole(total[at]),
        )
        for at, (i, j) in enumerate(pairs)
    )


def _whole(counts: FloatArray) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(n) for n in row) for row in counts)


def _answers(judgements: Judgements, system: System) -> IntArray:
    """A model's labels of the sentences that two judges gave a label; `NO_LABEL` elsewhere."""
    asked = _labelled_twice(judgements)
    rows = [item for item, kept in zip(judgements.items, asked, strict=True) if kept]
    silent = [row.id for row in rows if not row.text]
    if silent and system.reads != "a file":
        raise InputError(
            f"{system.name} needs the sentences, and {len(silent):,} of {len(rows):,} have no text "
            f"(such as {silent[0]!r}): give a table with the columns id and text (--items)"
        )
    given = np.full(len(judgements.items), NO_LABEL, dtype=np.int64)
    if rows:
        given[asked] = system.answer(rows).given
    return given


def _labelled_twice(judgements: Judgements) -> npt.NDArray[np.bool_]:
    labels = judgements.labels
    twice: npt.NDArray[np.bool_] = ((labels >= 0) & (labels < NO_LABEL)).sum(1) >= 2
    return twice


def _model_against(
    judgements: Judgements, answers: IntArray, measured: _Measured
) -> tuple[ModelAgainst, ...]:
    twice = _labelled_twice(judgements)
    found = []
    for at, judge in enumerate(judgements.judges):
        gold = judgements.labels[:, at]
        kept = twice & (gold >= 0) & (gold < NO_LABEL)
        codes, n = cluster_codes(measured.clusters[kept].tolist())
        sums = cluster_confusions(gold[kept], answers[kept], codes, n)
        how = measured.how
        score = bootstrap(sums, macro_f1, how.n_resamples, how.rng(_MODEL + at))
        found.append(ModelAgainst(judge=judge, n_items=int(kept.sum()), macro_f1=score))
    return tuple(found)


def _sources(judgements: Judgements, against: tuple[str, System] | None) -> tuple[Source, ...]:
    if against is None:
        return judgements.sources
    spec, system = against
    described = f"shown as {system.name}, reads {system.reads}"
    model = Source(role="model", name=spec, sha256=system.digest, described=described)
    return (*judgements.sources, model)
