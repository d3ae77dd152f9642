"""From labelled files to a report and its page."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from framelens_evaluation.corpus.cues import count_cues, distinct_cues, frequent_cues
from framelens_evaluation.corpus.document import corpus_document
from framelens_evaluation.corpus.manifests import read_manifests
from framelens_evaluation.corpus.report import CorpusReport
from framelens_evaluation.corpus.samples import draw_sentences
from framelens_evaluation.corpus.source import open_corpus
from framelens_evaluation.corpus.tables import write_tables
from framelens_evaluation.corpus.tallies import (
    count_documents,
    count_errors,
    count_sentences,
    measure_groups,
    measure_timeline,
)
from framelens_evaluation.reporting.output import write_outputs
from framelens_evaluation.reporting.provenance import (
    Source,
    Started,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from framelens_evaluation.corpus.report import ManifestSummary
    from framelens_evaluation.corpus.source import Corpus, CorpusRequest

__all__ = ["Written", "report_corpus"]

#: Groups on the page and in the JSON; the tables in CSV have all of them.
N_GROUPS_LISTED: Final = 2000
#: Groups with a time line, cues and samples of their own.
N_GROUPS_FOLLOWED: Final = 6

_N_FILES_NAMED = 10
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Written:
    """What a run made.

    Attributes:
        report: the figures.
        page: path of ``report.html``.
        tables: paths of the tables in CSV.
    """

    report: CorpusReport
    page: Path
    tables: tuple[Path, ...]


def report_corpus(
    request: CorpusRequest,
    folder: Path,
    *,
    command: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Written:
    """Measure a labelled corpus and write its page, JSON, Markdown, figures and tables.

    Memory does not grow with the corpus: DuckDB keeps at most 1 GB, or 256 MB a thread where that is more,
    and puts the rest into a temporary folder (``TMPDIR``).

    Args:
        request: what to show.
        folder: where the report goes; made if need be.
        command: how it was called, for the report.
        progress: told of every step.

    Raises:
        InputError: a file cannot be read, lacks a column that was asked for, or holds no row; a
            column to group by has more than 100,000 values; the folder cannot be written.
        MissingExtraError: duckdb, jinja2, matplotlib or scipy is not installed.
    """
    started = Started()
    progress("opening the files")
    with open_corpus(request) as corpus:
        progress("counting labels by document")
        count_documents(corpus)
        progress("counting statuses and confidence")
        counts, overall = count_sentences(corpus)
        errors, n_error_messages = count_errors(corpus)
        groups, n_groups = measure_groups(corpus, N_GROUPS_LISTED)
        followed = tuple(group for group in groups[:N_GROUPS_FOLLOWED] if group.sentences)
        timeline = measure_timeline(corpus, followed)
        cues, cue_documents = None, 0
        if {"evidence", "text"} <= corpus.columns:
            progress("counting cues")
            cue_documents = count_cues(corpus)
            cues = frequent_cues(corpus)
        distinct = distinct_cues(corpus, followed) if cues is not None else ()
        progress("drawing sentences")
        examples = draw_sentences(corpus, followed)
        progress("writing tables")
        tables = write_tables(corpus, cues, folder / "tables")
        progress("taking digests of the files")
        sources = _sources(corpus)
        manifests = read_manifests(corpus.files)
    report = CorpusReport(
        provenance=started.provenance(
            command=command,
            seed=request.seed,
            n_resamples=None,
            sources=sources,
        ),
        title=request.title
        or f"Corpus {corpus.files[0].name if len(corpus.files) == 1 else request.paths[0].name}",
        manifests=manifests,
        manifest_rows=_rows_noted(manifests, len(corpus.files)),
        counts=counts,
        overall=overall,
        by=request.by,
        n_groups=n_groups,
        groups=groups,
        timeline=timeline,
        cues=cues,
        cue_documents=cue_documents,
        distinct_cues=distinct,
        errors=errors,
        n_error_messages=n_error_messages,
        n_sampled=len(examples),
    )
    progress("drawing figures")
    page = write_outputs(report, corpus_document(report, examples, tables), folder)
    return Written(report, page, tables)


def _rows_noted(manifests: Sequence[ManifestSummary], n_files: int) -> int | None:
    noted = [manifest.sentences for manifest in manifests if manifest.sentences is not None]
    return sum(noted) if len(noted) == n_files else None


def _sources(corpus: Corpus) -> tuple[Source, ...]:
    """The files with their digests; many files as one, with the digest of the list of their digests."""
    if len(corpus.files) <= _N_FILES_NAMED:
        return tuple(Source(role="labelled", name=str(path), sha256=_digest(path)) for path in corpus.files)
    listed = "".join(f"{_digest(path)}  {path.name}\n" for path in corpus.files)
    names = ", ".join(str(path) for path in corpus.request.paths[:_N_FILES_NAMED])
    described = (
        f"{len(corpus.files):,} files; the digest is that of the list that sha256sum prints of their names"
    )
    digest = hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()
    return (Source(role="labelled", name=names, sha256=digest, described=described),)


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
