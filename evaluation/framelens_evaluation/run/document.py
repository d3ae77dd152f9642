"""The report of a run as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framelens import LABELS
from framelens_evaluation.reporting.document import (
    Block,
    Callout,
    Cell,
    Document,
    Section,
    Table,
    Text,
    Tone,
    three_digits,
)
from framelens_evaluation.reporting.figures import LABEL_NAMES
from framelens_evaluation.reporting.provenance import provenance_section
from framelens_evaluation.run.faithfulness import faithfulness_section
from framelens_evaluation.run.figures import confusion_figure, reliability_figure, risk_figure, score_figure
from framelens_evaluation.run.mistakes import surest_mistakes
from framelens_evaluation.run.slices import slices_section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.run.evaluate import Evaluation
    from framelens_evaluation.run.report import Details, EvidenceScores, Report, SystemResult
    from framelens_evaluation.statistics.bootstrap import Interval
    from framelens_evaluation.statistics.conformal import Conformal

__all__ = ["headline", "run_document", "warnings"]


def headline(report: Report) -> str:
    """Macro-F1 of every system on all sentences, one a line."""
    return "\n".join(f"{system.name}: macro-F1 {system.subsets[0].macro_f1}" for system in report.systems)


def warnings(report: Report) -> list[str]:
    """What makes the figures other than they seem, in sentences; none is the rule."""
    found = []
    if report.shared_articles:
        found.append(
            f"{report.shared_articles:,} articles stand in both the data and the training file: "
            "**these make the scores too good.**"
        )
    if report.shared_sentences:
        found.append(
            f"{report.shared_sentences:,} of the {report.data.n_labelled:,} sentences stand in the training "
            "file too: **these make the scores too good.**"
        )
    return [*found, *(f"left out: {reason}" for reason in report.left_out)]


def run_document(found: Evaluation) -> Document:
    """The report for reading; the page also shows mistakes, from the rows behind it."""
    report = found.report
    first, details = report.systems[0], report.details
    sections = [
        _scores(report),
        _labels(report),
        *_probabilities(report),
        slices_section(details.slices),
        *_evidence(details),
        _scope(details),
        Section("Mistakes", _mistakes(found)),
        provenance_section(report.provenance),
    ]
    return Document(
        title=f"How often {first.name} is wrong",
        lead=_lead(report),
        sections=tuple(sections),
        headline=_key_figures(report),
    )


def _lead(report: Report) -> str:
    data = report.data
    counts = ", ".join(f"{data.n_by_label[label]:,} {LABEL_NAMES[label]}" for label in LABELS)
    parts = [
        f"{data.n_labelled:,} judged sentences of {data.n_articles:,} articles ({counts}). Intervals are "
        "95 % and come from resampling articles, since sentences of one article resemble each other."
    ]
    if report.note:
        parts.append(f"{report.note.rstrip('.')}.")
    return " ".join(parts)


def _key_figures(report: Report) -> tuple[tuple[str, str], ...]:
    first = report.systems[0]
    right = first.subsets[0].accuracy.value
    shown = [] if right is None else [(f"{1 - right:.1%}", "of all sentences labelled wrongly or not at all")]
    shown += [
        (str(part.macro_f1), f"macro-F1, {part.subset} (n = {part.n_sentences:,})")
        for part in first.subsets
        if part.macro_f1.value is not None and part.subset != "seen outlets"
    ]
    calibration = first.subsets[0].calibration
    if calibration is not None:
        shown.append((three_digits(calibration.ece_debiased), "ECE, debiased; 0 is perfect calibration"))
    if report.judge_ceiling is not None:
        shown.append((str(report.judge_ceiling), "macro-F1 of one judge against another"))
    return tuple(shown)


def _scores(report: Report) -> Section:
    blocks: list[Block] = [Callout(warning, "bad") for warning in warnings(report)]
    blocks += [
        Callout(gap.in_words, _tone(gap.macro_f1)) for gap in report.differences if gap.subset == "all"
    ]
    blocks.append(score_figure(report))
    if report.data.n_labelled and len(report.systems[0].subsets) > 1:
        blocks.append(
            Text(
                "A set in which rare labels were looked for is not the world: `natural` holds only what was "
                "drawn at random. `unseen outlets` stand in no training file. A sentence that a system "
                "refuses to label counts as missed. MCC is the correlation of given and gold labels: 0 by "
                "chance, 1 where all are right."
            )
        )
    rows = [
        (
            part.subset,
            system.name,
            system.reads,
            f"{part.n_sentences:,}",
            f"{part.n_articles:,}",
            part.macro_f1,
            part.accuracy,
            part.mcc,
        )
        for at in range(len(report.systems[0].subsets))
        for system, part in ((system, system.subsets[at]) for system in report.systems)
    ]
    header = ("sentences", "system", "reads", "n", "articles", "macro-F1", "accuracy", "MCC")
    blocks.append(Table(header, tuple(rows), "Scores with 95 % intervals"))
    others = [gap for gap in report.differences if gap.subset != "all"]
    if others:
        blocks.append(
            Table(
                ("sentences", "system", "minus", "macro-F1", "in words"),
                tuple(
                    (d.subset, d.system, d.other, _toned(d.macro_f1), d.in_words) for d in report.differences
                ),
                "Differences on the same resamples of articles; not corrected for their number, as "
                "`framelens-eval compare` does",
                folded_after=6,
            )
        )
    return Section("Scores", tuple(blocks))


def _tone(gap: Interval) -> Tone:
    if gap.includes_zero:
        return "warn"
    return "good" if (gap.value or 0.0) > 0 else "bad"


def _toned(gap: Interval) -> Cell:
    return Cell(str(gap), sort=gap.value, tone="warn" if gap.includes_zero else None)


def _labels(report: Report) -> Section:
    header = (
        "sentences", "system", "label", "n", "precision", "recall", "F1", "AUROC", "AUPRC", "share",
    )  # fmt: skip
    rows = tuple(
        (
            part.subset,
            system.name,
            LABEL_NAMES[found.label],
            f"{found.n_gold:,}",
            found.precision,
            found.recall,
            found.f1,
            found.auroc,
            found.auprc,
            found.prevalence,
        )
        for at in range(len(report.systems[0].subsets))
        for system, part in ((system, system.subsets[at]) for system in report.systems)
        for found in part.labels
    )
    text = Text(
        "AUROC is 0.5 by chance, AUPRC the label's share. Both ask whether the label's probability ranks "
        "its sentences above the others, whatever the threshold."
    )
    first = report.systems[0]
    table = Table(header, rows, "Scores by label", searchable=True, folded_after=3 * len(report.systems))
    return Section("By label", (confusion_figure(first), text, table))


def _probabilities(report: Report) -> list[Section]:
    """Calibration, selective prediction and conformal sets; nothing without probabilities."""
    known = [system for system in report.systems if system.subsets[0].calibration is not None]
    if report.systems[0] not in known:
        return []
    blocks: list[Block] = [_calibration(known)]
    figure = reliability_figure(report.systems[0])
    calibration = report.systems[0].subsets[0].calibration
    if calibration is not None and calibration.ece is not None:
        perfect = calibration.ece_if_calibrated
        text = (
            f"The expected calibration error (ECE) of {report.systems[0].name} is {calibration.ece:.3f} "
            f"over {len(calibration.reliability)} bins of equally many sentences. A perfectly calibrated "
            f"model with the same probabilities would get {perfect} at this n, so not all of it is the "
            "model's fault. "
            f"Debiased, it is {three_digits(calibration.ece_debiased)}; the debiased root mean squared gap, "
            f"which has an interval, is {calibration.rms_error}. Log loss and Brier score are lower for "
            "better probabilities."
        )
        blocks.insert(0, Text(text))
    if figure is not None:
        blocks.insert(1, figure)
    sections = [Section("Probabilities", tuple(blocks))]
    risk = risk_figure(report)
    selective = report.systems[0].subsets[0].selective
    if risk is not None and selective is not None:
        table = Table(
            ("coverage asked", "coverage", "probability at least", "n", "accuracy", "macro-F1"),
            tuple(
                (
                    f"{at.nominal:.0%}",
                    f"{at.coverage:.1%}",
                    f"{at.threshold:.2f}",
                    f"{at.n_accepted:,}",
                    at.accuracy,
                    at.macro_f1,
                )
                for at in selective.at
                if at.coverage is not None and at.threshold is not None
            ),
            f"{report.systems[0].name}, labelling only its surest sentences; it labels "
            f"{_share(selective.max_coverage)} at most. AURC {selective.aurc}, above a perfect ranking of "
            f"the same mistakes by {selective.excess_aurc}.",
        )
        sections.append(Section("Labelling only what is sure", (risk, table)))
    conformal = report.details.conformal
    if conformal is not None:
        sections.append(_conformal(conformal))
    return sections


def _calibration(systems: Sequence[SystemResult]) -> Table:
    rows = []
    for system in systems:
        part = system.subsets[0]
        calibration = part.calibration
        if calibration is None:
            continue
        rows.append(
            (
                system.name,
                f"{part.n_scored:,}",
                part.log_loss,
                part.brier,
                "n/a" if calibration.ece is None else f"{calibration.ece:.3f}",
                calibration.ece_if_calibrated,
                three_digits(calibration.ece_debiased),
                calibration.rms_error,
                part.macro_auroc,
                part.macro_auprc,
            )
        )
    header = (
        "system", "n", "log loss", "Brier (0 to 2)", "ECE", "if calibrated", "debiased",
        "RMS, debiased", "macro AUROC", "macro AUPRC",
    )  # fmt: skip
    return Table(header, tuple(rows), "How good the probabilities are, on all sentences")


def _conformal(found: Conformal) -> Section:
    rows = tuple(
        (
            f"{level.nominal:.0%}",
            str(level.coverage),
            *(
                "n/a" if (share := level.coverage_by_label[label]) is None else f"{share:.1%}"
                for label in LABELS
            ),
            str(level.mean_size),
            *(f"{share:.0%}" for share in level.shares),
            str(level.accuracy_of_single),
        )
        for level in found.levels
    )
    header = (
        "promised", "measured", *(LABEL_NAMES[label] for label in LABELS), "mean size",
        "none", "one", "two", "three", "right, if one",
    )  # fmt: skip
    text = Text(
        "A conformal set is made to hold the gold label with a promised probability, however wrong the "
        "system's probabilities are. The promise is exact for exchangeable sentences; those of one article "
        "resemble each other, so it holds about, and on new articles of the same kind alone. Measured over "
        f"{found.n_splits:,} random halvings of {found.n_articles:,} articles: one half sets the threshold, "
        "the other is measured; in brackets, the lowest and highest of the halvings. Coverage is promised on "
        "average, not for each label."
    )
    return Section("Sets of labels", (text, Table(header, rows, "Split conformal sets of labels")))


def _evidence(details: Details) -> list[Section]:
    if details.evidence is None:
        return []
    sections = [Section("Evidence and the judges' cues", (_cues(details.evidence),))]
    if details.faithfulness is not None:
        sections.append(faithfulness_section(details.faithfulness))
    return sections


def _cues(evidence: EvidenceScores) -> Table:
    rows = (
        ("word F1", evidence.f1, f"{evidence.n_with_cue:,} sentences with a cue"),
        ("word precision", evidence.precision, ""),
        ("word recall", evidence.recall, ""),
        ("evidence shown", evidence.shown_without_cue, f"{evidence.n_without_cue:,} sentences without a cue"),
    )
    return Table(
        ("", "value", "on"), rows, "Words shown as evidence beside the words that decided for the judge"
    )


def _scope(details: Details) -> Section:
    scope = details.scope
    rows = (
        (
            "found among those judged not applicable",
            f"{scope.caught:,} of {scope.n_out:,}",
            three_digits(scope.recall),
        ),
        (
            "judged not applicable among those refused",
            f"{scope.caught:,} of {scope.caught + scope.refused:,}",
            three_digits(scope.precision),
        ),
        ("sentences with a label that were refused", f"{scope.refused:,} of {scope.n_labelled:,}", ""),
        ("macro-F1 if none were refused", str(scope.macro_f1_forced), ""),
    )
    text = Text(
        "Fragments, bylines and captions get no label; what the system refuses is held against the judges."
    )
    return Section("Not applicable", (text, Table(("", "", "share"), rows)))


def _mistakes(found: Evaluation) -> tuple[Block, ...]:
    details = found.report.details
    sure = details.confidence_on_mistakes
    text = (
        f"{details.n_mistakes:,} labelled sentences got a wrong label"
        + (f", with a mean probability of {sure:.2f}" if sure is not None else "")
        + ". The page that belongs to this report lists those that the system was surest of."
    )
    return Text(text), surest_mistakes(found.rows, found.answers)


def _share(found: Interval) -> str:
    return "n/a" if found.value is None else f"{found.value:.1%}"
