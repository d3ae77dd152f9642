"""What an agreement gives: typed, and written as ``report.json``."""

from __future__ import annotations

from typing import Literal

from framelens_evaluation.agreement.measures import Ceiling
from framelens_evaluation.reporting.provenance import Part, Provenance
from framelens_evaluation.statistics.bootstrap import Interval

__all__ = ["AgreementReport", "Level", "ModelAgainst", "PairAgreement", "ValueAgreement"]


class ValueAgreement(Part):
    """Agreement on one value.

    Attributes:
        value: a label, a rule, or ``not annotated``.
        n_given: how often it was given, on the sentences that two judges judged.
        agreement: given it by one judge, how often another gives it too.
    """

    value: str
    n_given: int
    agreement: Interval


class Level(Part):
    """Agreement of all judges on some sentences.

    Attributes:
        name: what the values are, or which sentences.
        n_items: sentences with two values or more.
        n_clusters: articles of these.
        alpha: Krippendorff's, nominal.
        agreed: share of the pairs of judgements that agree.
        values: agreement on each value.
    """

    name: str
    n_items: int
    n_clusters: int
    alpha: Interval
    agreed: Interval
    values: tuple[ValueAgreement, ...]


class PairAgreement(Part):
    """Two judges.

    Attributes:
        first: a judge.
        second: another.
        n_items: sentences that both judged.
        kappa: Cohen's.
        agreed: share of the sentences to which both gave one value.
        confusion: the first's values (rows) by the second's, as `AgreementReport.values`.
    """

    first: str
    second: str
    n_items: int
    kappa: Interval
    agreed: Interval
    confusion: tuple[tuple[int, ...], ...]


class ModelAgainst(Part):
    """A model scored against one judge.

    Attributes:
        judge: whose labels are taken as gold.
        n_items: sentences with a label by this judge and another one.
        macro_f1: of the model on these.
    """

    judge: str
    n_items: int
    macro_f1: Interval


class AgreementReport(Part):
    """How far judges agree.

    Attributes:
        provenance: where the figures come from.
        note: a remark on the judges, such as of what kind they are.
        with_x: whether "not annotated" counts as a value; else such a judgement is left out.
        judges: names.
        values: what judges could say, in the order of every confusion.
        n_items: sentences judged at all.
        n_judgements: judgements in all.
        n_not_annotated: those of them that say "not annotated".
        n_twice: sentences with two values or more; all figures are on these.
        by_article: whether every one of these has an article; else those without are resampled singly.
        labels: agreement on the labels.
        rules: agreement on the codebook's rules; None where they are not known.
        by_sure: agreement where every judge found the codebook clear, and where one did not.
        by_stratum: agreement by stratum.
        pairs: of judges.
        pooled: values by values over all ordered pairs of judges, symmetric.
        ceiling: one judge scored against another, and a model beside it.
        model: name of the model; None without one.
        model_against: the model against each judge.
    """

    schema_version: Literal[1] = 1
    provenance: Provenance
    note: str | None
    with_x: bool
    judges: tuple[str, ...]
    values: tuple[str, ...]
    n_items: int
    n_judgements: int
    n_not_annotated: int
    n_twice: int
    by_article: bool
    labels: Level
    rules: Level | None
    by_sure: tuple[Level, ...]
    by_stratum: tuple[Level, ...]
    pairs: tuple[PairAgreement, ...]
    pooled: tuple[tuple[int, ...], ...]
    ceiling: Ceiling
    model: str | None
    model_against: tuple[ModelAgainst, ...]
