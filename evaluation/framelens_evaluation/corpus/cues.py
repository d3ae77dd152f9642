"""Which phrases were shown as evidence, how often, and which of them set a group apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens import CueKind
from framelens_evaluation.corpus.report import Cue, DistinctCue
from framelens_evaluation.corpus.tallies import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.corpus.report import Group
    from framelens_evaluation.corpus.source import Corpus
    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = ["count_cues", "distinct_cues", "frequent_cues", "log_odds"]

#: In one document alone, a phrase is a quotation of it and not a cue of the corpus.
N_DOCUMENTS_AT_LEAST: Final = 2
N_LISTED: Final = 200
N_DISTINCT: Final = 8
#: Normal quantile: what differs less may do so by chance.
_Z_AT_LEAST = 1.96
#: Cues whose use by group is compared.
_N_COMPARED = 2000
#: Longer spans are clauses, not cues.
_LONGEST = 80
_ENDS = " \t\r\n.,;:!?…'\"`´‘’“”„«»‹›()[]{}<>-–—*"


def count_cues(corpus: Corpus) -> int:
    """Make the table ``cues``: how often each document shows each cue; gives the documents with any.

    A cue is a span in lower case, runs of white space as one space, without punctuation at its ends.
    """
    ends = _ENDS.replace("'", "''")
    shown = 'lower(substr(text, span.start + 1, span."end" - span.start))'
    cue = f"trim(regexp_replace({shown}, '\\s+', ' ', 'g'), '{ends}')"
    groups = grouped(corpus)
    columns = f", {groups}" if groups else ""
    corpus.run(
        f"CREATE TABLE cues AS SELECT kind, cue, unit{columns}, count(*) AS n FROM ("
        f"SELECT span.kind AS kind, {cue} AS cue, unit{columns} FROM ("
        f"SELECT unnest(evidence) AS span, text, unit{columns} FROM sentences "
        "WHERE label >= 0 AND evidence IS NOT NULL AND text IS NOT NULL) "
        'WHERE span.start >= 0 AND span."end" > span.start) '
        f"WHERE length(cue) BETWEEN 1 AND {_LONGEST} GROUP BY ALL"
    )
    return int(corpus.rows("SELECT count(DISTINCT unit) FROM cues")[0][0])


def frequent_cues(corpus: Corpus) -> tuple[Cue, ...]:
    """Of each kind, those in most documents; of cues in as many, those shown more often."""
    found: list[Cue] = []
    for kind in CueKind:
        rows = corpus.rows(
            "SELECT cue, sum(n) AS n, count(DISTINCT unit) AS documents FROM cues WHERE kind = ? "
            f"GROUP BY cue HAVING documents >= {N_DOCUMENTS_AT_LEAST} "
            f"ORDER BY documents DESC, n DESC, cue LIMIT {N_LISTED}",
            [str(kind)],
        )
        found += [Cue(kind=str(kind), cue=cue, n=n, documents=documents) for cue, n, documents in rows]
    return tuple(found)


def distinct_cues(corpus: Corpus, groups: Sequence[Group]) -> tuple[DistinctCue, ...]:
    """For each of some groups, the cues that most set it apart from all other groups.

    A document counts once for a cue however often it shows it, since words come in bursts.
    """
    names = grouped(corpus)
    if not names or len(groups) < 2:
        return ()
    corpus.run(
        f"CREATE TABLE uses AS SELECT kind, cue, {names}, count(DISTINCT unit) AS n FROM cues GROUP BY ALL"
    )
    everywhere = corpus.rows(
        "SELECT kind, cue, sum(n) AS n FROM uses GROUP BY kind, cue "
        f"HAVING sum(n) >= {N_DOCUMENTS_AT_LEAST} ORDER BY n DESC, kind, cue LIMIT {_N_COMPARED}"
    )
    total = float(corpus.rows("SELECT coalesce(sum(n), 0) FROM uses")[0][0])
    counts = np.array([row[2] for row in everywhere], dtype=np.float64)
    place = {row[:2]: at for at, row in enumerate(everywhere)}
    found: list[DistinctCue] = []
    for group in groups:
        wanted = " AND ".join(f"g{at} IS NOT DISTINCT FROM ?" for at in range(len(group.names)))
        rows = corpus.rows(f"SELECT kind, cue, n FROM uses WHERE {wanted}", group.names)
        here = np.zeros(len(counts))
        for kind, cue, n in rows:
            if (kind, cue) in place:
                here[place[kind, cue]] = n
        z = log_odds(here, float(sum(row[2] for row in rows)), counts, total)
        for at in _largest(z):
            kind, cue, n = everywhere[at]
            if here[at] >= N_DOCUMENTS_AT_LEAST:
                found.append(
                    DistinctCue(
                        names=group.names,
                        kind=kind,
                        cue=cue,
                        documents=int(here[at]),
                        documents_elsewhere=int(n - here[at]),
                        z=float(z[at]),
                    )
                )
    return tuple(found)


def log_odds(here: FloatArray, n_here: float, everywhere: FloatArray, n_everywhere: float) -> FloatArray:
    """Log-odds ratio of each cue in a group and outside it, over its standard error.

    Monroe, Colaresi and Quinn (2008), section 3.5.1, with the counts of the whole corpus as the
    informative Dirichlet prior, which keeps cues that are rare everywhere near 0.

    Args:
        here: (n_cues,) counts in the group.
        n_here: sum over all cues of the group, also those that are not listed.
        everywhere: (n_cues,) counts in the whole corpus, each above 0.
        n_everywhere: sum over all cues of the corpus.

    Returns:
        (n_cues,) z-scores; 0 for a cue where a group has nothing else to compare it with.
    """
    elsewhere, n_elsewhere = everywhere - here, n_everywhere - n_here
    mine, others = here + everywhere, elsewhere + everywhere
    rest_of_mine, rest_of_others = n_here + n_everywhere - mine, n_elsewhere + n_everywhere - others
    defined = (rest_of_mine > 0) & (rest_of_others > 0)
    z = np.zeros(len(here))
    a, b, c, d = (x[defined] for x in (mine, others, rest_of_mine, rest_of_others))
    z[defined] = (np.log(a / c) - np.log(b / d)) / np.sqrt(1 / a + 1 / b)
    return z


def _largest(z: FloatArray) -> list[Any]:
    order = np.argsort(-z, kind="stable")[:N_DISTINCT]
    return [int(at) for at in order if z[at] >= _Z_AT_LEAST]
