"""The report of a corpus as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from framelens import LABELS, CueKind
from framelens_evaluation.corpus.dates import READABLE
from framelens_evaluation.corpus.figures import (
    N_GROUPS_DRAWN,
    confidence_figure,
    group_figure,
    multiples_figure,
    timeline_figure,
)
from framelens_evaluation.corpus.names import clipped, group_name, percent, shown_value
from framelens_evaluation.corpus.samples import fact_name
from framelens_evaluation.reporting.document import Callout, Cell, Document, Examples, Section, Table, Text
from framelens_evaluation.reporting.figures import LABEL_NAMES
from framelens_evaluation.reporting.provenance import provenance_section

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from framelens_evaluation.corpus.report import CorpusReport, Cue, Timeline
    from framelens_evaluation.reporting.document import Block, Example, Tone
    from framelens_evaluation.statistics.bootstrap import Interval

__all__ = ["corpus_document", "headline"]

_CUE_TITLES: Final = {
    CueKind.STATE: "Cues of a state's voice",
    CueKind.HEDGE: "Cues of a hedged claim",
}
_FOLDED = 25
_N_CUES_SHOWN = 100


def headline(report: CorpusReport) -> str:
    """The key figures, one a line, for a terminal."""
    counts = report.counts
    lines = [f"{counts.labelled:,} labelled of {counts.rows:,} rows"]
    lines += [f"{found.label}: {percent(found.share)}" for found in report.overall.labels]
    return "\n".join(lines)


def corpus_document(report: CorpusReport, examples: Sequence[Example], tables: Sequence[Path]) -> Document:
    """The document.

    Args:
        report: the figures.
        examples: sentences for the page.
        tables: the tables in CSV, which the text names.
    """
    counts = report.counts
    named = frozenset(path.name for path in tables)
    sections = [_whole(report)]
    if report.by:
        sections.append(_groups(report, named))
    if report.timeline is not None:
        sections.append(_over_time(report.timeline, named))
    sections.append(_cues(report, named))
    if report.overall.labels[0].confidence is not None:
        sections.append(_confidence(report))
    sections.append(_unlabelled(report))
    if examples:
        sections.append(_sentences(report, examples))
    if report.manifests:
        sections.append(_labelling(report))
    sections.append(provenance_section(report.provenance))
    documents = "documents unknown" if counts.documents is None else _number_of(counts.documents, "document")
    return Document(
        title=report.title,
        lead=(
            "What `framelens label` found in this corpus: how often each label was given, to what, when, "
            "on which words, and how sure it was."
        ),
        headline=(
            (f"{counts.labelled:,}", f"labelled sentences; {counts.rows:,} rows, {documents}"),
            *(
                (percent(found.share), f"{LABEL_NAMES[found.label]}, as counted")
                for found in report.overall.labels
            ),
        ),
        sections=tuple(sections),
    )


def _number_of(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _share(value: Interval) -> Cell:
    # n/a sorts below every share.
    return Cell(percent(value), sort=-1.0 if value.value is None else round(value.value, 6))


def _whole(report: CorpusReport) -> Section:
    counts, overall = report.counts, report.overall
    blocks: list[Block] = [
        Callout(
            "These shares are **plain counts of what the classifier said**, with its errors in them. The "
            "intervals tell how far a count would move with other documents, not how far it is from the "
            "truth, and groups differ in how often the classifier is wrong on them. To estimate true shares "
            "from these labels and a sample of judged sentences, use `framelens-eval prevalence`.",
            "warn",
        )
    ]
    if not counts.labelled:
        blocks.append(Callout("No row has a label, so there is no share to show.", "bad"))
    elif counts.documents is None:
        blocks.append(
            Callout(
                "No column names the documents, so there are no intervals: sentences of one document "
                "resemble each other. Name the column with `--cluster`.",
                "warn",
            )
        )
    elif overall.documents < 2:
        blocks.append(
            Callout("With one document there are no intervals: nothing shows how documents differ.", "note")
        )
    elif overall.documents == counts.labelled and counts.labelled > 2:
        blocks.append(
            Callout(
                "Every document has one labelled sentence. If these are sentences of longer articles, the "
                "intervals are too narrow: name the column of the article with `--cluster`.",
                "warn",
            )
        )
    rows = tuple(
        (
            LABEL_NAMES[found.label],
            f"{found.n:,}",
            _share(found.share),
            "n/a" if found.design_effect is None else f"{found.design_effect:.2f}",
            "n/a" if found.mean_probability is None else f"{100 * found.mean_probability:.1f} %",
        )
        for found in overall.labels
    )
    blocks += [
        Table(("label", "sentences", "share [95 %]", "design effect", "mean probability"), rows),
        Text(
            "Intervals take documents, not sentences, as the unit of sampling: the variance of the ratio by "
            "linearisation, and Wilson's interval with the effective number of sentences and Student's t "
            "(Korn and Graubard 1998). The **design effect** is that variance over the one of independent "
            "sentences. The **mean probability** is the share that the classifier's probabilities add up to; "
            "where it is far from the counted share, the count leans on doubtful sentences."
        ),
    ]
    return Section("The whole corpus", tuple(blocks))


def _groups(report: CorpusReport, named: frozenset[str]) -> Section:
    by = " and ".join(report.by)
    shown = tuple(group for group in report.groups if group.sentences)
    blocks: list[Block] = []
    if len(shown) > 1:
        blocks.append(group_figure(shown, report.by, report.overall))
    if len(shown) > N_GROUPS_DRAWN:
        blocks.append(
            Text(
                f"The figure has the {N_GROUPS_DRAWN} groups with the most labelled sentences; "
                "the table has more."
            )
        )
    rows = tuple(
        (
            *(shown_value(name) for name in group.names),
            f"{group.sentences:,}",
            f"{group.documents:,}",
            *(_share(share) for share in group.shares),
        )
        for group in report.groups
    )
    header = (*report.by, "sentences", "documents", *(LABEL_NAMES[label] for label in LABELS))
    caption = f"{_number_of(report.n_groups, 'group')} by {by}; share of the labelled sentences [95 %]"
    blocks.append(Table(header, rows, caption, searchable=len(rows) > 8, folded_after=_FOLDED))
    where = " All of them are in `tables/groups.csv`." if "groups.csv" in named else ""
    if report.n_groups > len(report.groups):
        blocks.append(
            Text(f"The table has the {len(report.groups):,} largest groups of {report.n_groups:,}.{where}")
        )
    elif where:
        blocks.append(Text("The same table for machines is `tables/groups.csv`."))
    return Section(f"By {by}", tuple(blocks))


def _over_time(timeline: Timeline, named: frozenset[str]) -> Section:
    blocks: list[Block] = []
    if timeline.over != timeline.asked:
        blocks.append(
            Callout(
                f"There are too many {timeline.asked}s to draw, so this shows {timeline.over}s; "
                f"`tables/periods.csv` has every {timeline.asked}.",
                "note",
            )
        )
    if timeline.periods:
        if len(timeline.periods) > 1:
            blocks.append(timeline_figure(timeline))
        if len(timeline.periods) > 1 and len(timeline.groups) > 1:
            blocks.append(multiples_figure(timeline))
        rows = tuple(
            (
                period.start,
                f"{period.sentences:,}",
                f"{period.documents:,}",
                *(_share(share) for share in period.shares),
            )
            for period in timeline.periods
        )
        header = (
            f"{timeline.over} from",
            "sentences",
            "documents",
            *(LABEL_NAMES[label] for label in LABELS),
        )
        blocks.append(Table(header, rows, "Share of the labelled sentences [95 %]", folded_after=12))
    else:
        found = f"No labelled sentence has a date in the column `{timeline.column}` that can be read."
        blocks.append(Callout(found, "warn"))
    blocks += _dates(timeline)
    files = [f"`tables/{name}`" for name in ("periods.csv", "groups_by_period.csv") if name in named]
    if files:
        blocks.append(Text(f"For machines: {' and '.join(files)}."))
    return Section("Over time", tuple(blocks))


def _dates(timeline: Timeline) -> list[Block]:
    """What is not in the time line, and why."""
    notes = []
    if timeline.n_left_out:
        n = _number_of(timeline.n_left_out, "labelled sentence")
        notes.append(f"{n} with a stray date, far before or after all others, not shown.")
    if timeline.without_date:
        notes.append(f"{_number_of(timeline.without_date, 'row')} without a date.")
    if timeline.unreadable:
        examples = ", ".join(f"`{example}`" for example in timeline.examples)
        notes.append(
            f"{_number_of(timeline.unreadable, 'row')} with a date that cannot be read, such as {examples}; "
            f"readable are {READABLE}."
        )
    tone: Tone = "warn" if timeline.unreadable or timeline.n_left_out else "note"
    return [Callout(" ".join(notes), tone)] if notes else []


def _cues(report: CorpusReport, named: frozenset[str]) -> Section:
    if report.cues is None:
        return Section("Cues", (Text("The files have no evidence to count."),))
    blocks: list[Block] = [
        Text(
            "Spans shown as evidence, in lower case and without punctuation at their ends, that stand in two "
            "documents or more. They are what the classifier pointed at, which is not always what decided."
        )
    ]
    if not report.cues:
        blocks.append(Text("No cue stands in two documents."))
    n_documents = report.counts.documents
    for kind, title in _CUE_TITLES.items():
        found = [cue for cue in report.cues if cue.kind == str(kind)][:_N_CUES_SHOWN]
        if found:
            rows = tuple(_cue_row(cue, n_documents) for cue in found)
            header = ("cue", "shown", "documents", "share of documents")
            blocks.append(Table(header, rows, title, searchable=len(rows) > 8, folded_after=15))
    if report.distinct_cues:
        names = {cue.names for cue in report.distinct_cues}
        rows = tuple(
            (
                group_name(cue.names),
                cue.cue,
                "state" if cue.kind == str(CueKind.STATE) else "hedge",
                f"{cue.documents:,}",
                f"{cue.documents_elsewhere:,}",
                f"{cue.z:.1f}",
            )
            for cue in report.distinct_cues
        )
        by = " and ".join(report.by)
        blocks += [
            Table(
                (by, "cue", "kind", "documents here", "elsewhere", "z"),
                rows,
                f"Cues that set a group apart ({_number_of(len(names), 'group')})",
                searchable=True,
                folded_after=_FOLDED,
            ),
            Text(
                "Of the largest groups. z is the log-odds ratio of a cue in the group and outside it over "
                "its standard error, with the whole corpus as prior (Monroe et al. 2008); a document counts "
                "once for a cue. Many cues are compared, so some reach z = 2 by chance."
            ),
        ]
    if "cues.csv" in named:
        blocks.append(Text("For machines: `tables/cues.csv`."))
    return Section("Cues", tuple(blocks))


def _cue_row(cue: Cue, n_documents: int | None) -> tuple[object, ...]:
    share = "n/a" if not n_documents else f"{100 * cue.documents / n_documents:.2f} %"
    return cue.cue, f"{cue.n:,}", f"{cue.documents:,}", share


def _confidence(report: CorpusReport) -> Section:
    return Section(
        "Confidence",
        (
            Text(
                "Calibrated probability of the label that was given. It says how sure the classifier was, on "
                "text like that which it was calibrated on; `framelens-eval run` measures whether that holds."
            ),
            confidence_figure(report.overall),
        ),
    )


def _unlabelled(report: CorpusReport) -> Section:
    counts = report.counts

    def row(name: str, n: int, what: str) -> tuple[object, ...]:
        share = f"{100 * n / counts.rows:.2f} %" if counts.rows else "n/a"
        return name, f"{n:,}", share, what

    meanings = {
        "ok": "labelled",
        "empty": "nothing to read",
        "error": "could not be labelled; see the messages",
        "not_applicable": "a fragment, byline or caption",
    }
    rows = [row(status, n, meanings.get(status, "")) for status, n in counts.statuses.items()]
    rows += [
        row("truncated", counts.truncated, "longer than the model reads; its end was cut off"),
        row("abstained", counts.abstained, "labelled below the threshold; still in the shares"),
    ]
    blocks: list[Block] = [Table(("status or mark", "rows", "share of rows", "meaning"), tuple(rows))]
    if counts.foreign_labels:
        blocks.append(
            Callout(
                f"{_number_of(counts.foreign_labels, 'row')} with a label that is none of the three; they "
                "count as not labelled.",
                "bad",
            )
        )
    if report.errors:
        found = tuple((clipped(error.message, 160), f"{error.n:,}") for error in report.errors)
        more = report.n_error_messages - len(report.errors)
        caption = "Errors" + (f"; {more:,} rarer messages are not shown" if more else "")
        blocks.append(Table(("message", "rows"), found, caption))
    return Section("Statuses and errors", tuple(blocks))


def _sentences(report: CorpusReport, examples: Sequence[Example]) -> Section:
    turns = f", and in turn from the largest groups by {' and '.join(report.by)}" if report.by else ""
    caption = (
        f"{_number_of(len(examples), 'sentence')} drawn at random within each label{turns}: as many of a "
        "rare label as of a frequent one, so this list is no picture of the shares. Evidence is marked."
    )
    filters = ("label", *(fact_name(column) for column in report.by))
    return Section("Sentences", (Examples(tuple(examples), caption, filters),))


def _labelling(report: CorpusReport) -> Section:
    blocks: list[Block] = []
    if len({manifest.model_digest for manifest in report.manifests}) > 1:
        blocks.append(
            Callout("The files were labelled by different models; their shares are not comparable.", "bad")
        )
    if report.manifest_rows is not None and report.manifest_rows != report.counts.rows:
        blocks.append(
            Callout(
                f"The manifests count {report.manifest_rows:,} sentences, the files hold "
                f"{report.counts.rows:,}: a file was changed after it was labelled.",
                "bad",
            )
        )
    rows = tuple(
        (
            manifest.name,
            manifest.model or "n/a",
            f"`{manifest.model_digest[:16]}…`" if manifest.model_digest else "n/a",
            manifest.version or "n/a",
            manifest.precision or "n/a",
            "n/a" if manifest.abstain_below is None else f"{manifest.abstain_below:g}",
            "n/a" if manifest.sentences is None else f"{manifest.sentences:,}",
        )
        for manifest in report.manifests
    )
    header = ("file", "model", "digest", "framelens", "precision", "abstains below", "sentences")
    blocks.append(Table(header, rows, "From the manifests beside the files", folded_after=10))
    return Section("How it was labelled", tuple(blocks))
