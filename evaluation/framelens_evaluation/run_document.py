"""The report of a run as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framelens_evaluation.markdown import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.report import DataSummary, ModelDetails, Report, SystemResult

__all__ = ["headline", "render"]


def render(report: Report) -> str:
    """The whole report as one Markdown text."""
    parts = [
        "# Evaluation of framelens\n",
        _setting(report),
        "## Scores\n",
        "Value and 95 % interval from resampling articles. Macro-F1 is the mean over the labels that\n"
        "occur in gold. A sentence that a system refuses to label counts as missed.\n",
        _scores(report),
        "## By label\n",
        _labels(report),
    ]
    if report.differences:
        parts += ["## Differences\n", "Macro-F1 on the same resamples of articles.\n", _differences(report)]
    for system in report.systems:
        if system.details is not None:
            parts += [f"## More on {system.name}\n", _details(system.details)]
    return "\n".join(parts)


def _setting(report: Report) -> str:
    rows: list[tuple[str, object]] = [("data", _data(report.data))]
    if report.note:
        rows.append(("note", report.note))
    rows.append(("train", "n/a" if report.train is None else _data(report.train)))
    if report.shared_articles is not None:
        warning = "; **these make the scores too good**" if report.shared_articles else ""
        rows.append(("articles in both", f"{report.shared_articles}{warning}"))
    versions = ", ".join(f"{name} {found}" for name, found in report.versions.items() if found)
    machine = report.machine
    rows += [
        ("model digest", report.model_digest or "n/a"),
        ("made to read", _context(report.model_context_sentences)),
        ("resamples, seed", f"{report.n_resamples:,}, {report.seed}"),
        ("command", f"`{report.command}`" if report.command else "n/a"),
        ("versions", versions),
        (
            "machine",
            f"{machine.processor or machine.platform}, {machine.n_cpus} CPUs, Python {machine.python}",
        ),
        ("time", f"{report.created:%Y-%m-%d %H:%M} UTC, {report.seconds:.0f} s"),
    ]
    return table(("", ""), rows)


def _data(data: DataSummary) -> str:
    return (
        f"{data.name}: {data.n_labelled:,} labelled sentences of {data.n_articles:,} articles, "
        f"{data.n_out_of_scope:,} not applicable; sha256 {data.sha256[:16]}…"
    )


def _context(n_sentences: int | None) -> str:
    if n_sentences is None:
        return "n/a"
    return "the sentence alone" if n_sentences == 0 else f"the sentence and {n_sentences} before it"


def _scores(report: Report) -> str:
    header = ("sentences", "system", "reads", "n", "articles", "macro-F1", "accuracy")
    rows = [
        (
            part.subset,
            system.name,
            system.reads,
            f"{part.n_sentences:,}",
            f"{part.n_articles:,}",
            part.macro_f1,
            part.accuracy,
        )
        for at in range(len(report.systems[0].subsets))
        for system, part in ((system, system.subsets[at]) for system in report.systems)
    ]
    return table(header, rows)


def _labels(report: Report) -> str:
    header = ("sentences", "system", "label", "n", "precision", "recall", "F1")
    rows = [
        (part.subset, system.name, found.label, f"{found.n_gold:,}", found.precision, found.recall, found.f1)
        for at in range(len(report.systems[0].subsets))
        for system, part in ((system, system.subsets[at]) for system in report.systems)
        for found in part.labels
    ]
    return table(header, rows)


def _differences(report: Report) -> str:
    rows = [(d.subset, d.system, d.other, d.macro_f1) for d in report.differences]
    open_ones = [f"- {d.in_words}" for d in report.differences if d.macro_f1.includes_zero]
    parts = [table(("sentences", "system", "minus", "macro-F1"), rows)]
    if open_ones:
        parts.append("\n".join(open_ones) + "\n")
    return "\n".join(parts)


def _details(details: ModelDetails) -> str:
    evidence, calibration, scope = details.evidence, details.calibration, details.scope
    rows = [
        (f"evidence: word F1 ({evidence.n_with_cue:,} sentences with a cue)", evidence.f1),
        ("evidence: word precision", evidence.precision),
        ("evidence: word recall", evidence.recall),
        (
            f"evidence shown without a cue ({evidence.n_without_cue:,} sentences)",
            evidence.shown_without_cue,
        ),
        (
            f"expected calibration error, {calibration.n_bins} bins of equal mass",
            _plain(calibration.ece),
        ),
        (
            f"mean confidence on mistakes ({calibration.n_mistakes:,})",
            _plain(calibration.confidence_on_mistakes),
        ),
        (
            "not applicable: precision",
            f"{_plain(scope.precision)} ({scope.caught} of {scope.caught + scope.refused})",
        ),
        ("not applicable: recall", f"{_plain(scope.recall)} ({scope.caught} of {scope.n_out})"),
        ("labelled sentences refused", f"{scope.refused:,} of {scope.n_labelled:,}"),
        ("macro-F1 if none were refused", scope.macro_f1_forced),
    ]
    return table(("", ""), rows)


def _plain(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def headline(systems: Sequence[SystemResult]) -> str:
    """Macro-F1 of every system on all sentences, one a line."""
    return "\n".join(f"{system.name}: macro-F1 {system.subsets[0].macro_f1}" for system in systems)
