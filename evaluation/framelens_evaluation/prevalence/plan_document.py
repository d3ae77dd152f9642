"""Making a plan of what to label by hand, and its report."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from framelens import LABELS, InputError
from framelens_evaluation.corpus.dates import unread_dates
from framelens_evaluation.prevalence.gold import join_gold
from framelens_evaluation.prevalence.plan import Plan, draw_rows, pilot_factors, plan_groups
from framelens_evaluation.prevalence.sheet import SHEETS, check_sheets, write_sheets
from framelens_evaluation.reporting.document import Callout, Document, Section, Table, Text
from framelens_evaluation.reporting.provenance import Source, Started, provenance_section

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from framelens_evaluation.prevalence.estimate import Rules
    from framelens_evaluation.prevalence.gold import GoldTable
    from framelens_evaluation.prevalence.plan import Draw, PlannedGroup
    from framelens_evaluation.prevalence.population import Population
    from framelens_evaluation.statistics.bootstrap import Resampling

__all__ = ["make_plan", "plan_document"]

#: Part of the corpus from which on a plan is asked why.
_NEARLY = 0.8
_N_NAMED = 5
_ANY_COMMAND = "framelens-eval prevalence LABELLED --gold FILE"


def make_plan(
    population: Population,
    half_width: float,
    folder: Path,
    how: Resampling,
    rules: Rules,
    *,
    draw: Draw = "uniform",
    pilot: GoldTable | None = None,
    cluster: str = "auto",
    date_column: str = "date",
    command: str | None = None,
    next_command: str | None = None,
) -> Plan:
    """Plan a sample, draw it and write the files to fill in.

    Args:
        population: the corpus.
        half_width: wanted for every label in every group, in (0, 0.5).
        folder: for the files.
        how: its seed is that of the draw.
        rules: level of the intervals and least number of gold rows.
        draw: how sentences are drawn within a group.
        pilot: an earlier gold file, to replace the model's belief in itself.
        cluster, date_column: for the pilot, see `framelens_evaluation.prevalence.gold.join_gold`.
        command: how it was called, for the record.
        next_command: how to get the shares from the labelled sample.

    Raises:
        InputError: groups are made from dates, and none can be read; or see `plan_groups`,
            `draw_rows` and `write_sheets`.
    """
    started = Started()
    check_sheets(folder)
    _check_dates(population, date_column)
    factors = None
    if pilot is not None:
        factors = pilot_factors(join_gold(pilot, population, cluster=cluster, date_column=date_column))
    planned = plan_groups(population, half_width, rules.level, draw, rules.min_gold, factors)
    rows = draw_rows(population, planned, draw, how.seed)
    drawn = Counter(row.stratum for row in rows)
    groups = tuple(
        group.model_copy(
            update={"n_drawn": drawn[" / ".join(group.key)], "key": group.key if population.by else ()}
        )
        for group in planned
    )
    files = write_sheets(rows, folder)
    sources = [Source(role="labelled", name=str(population.files[0]), sha256=None)]
    if pilot is not None:
        sources.append(Source(role="pilot", name=str(pilot.path), sha256=pilot.sha256))
    provenance = started.provenance(command=command, seed=how.seed, n_resamples=None, sources=sources)
    return Plan(
        by=population.by,
        level=rules.level,
        half_width=half_width,
        draw=draw,
        min_gold=rules.min_gold,
        pilot_factors=None if factors is None else dict(zip(LABELS, factors.tolist(), strict=True)),
        n_sentences=sum(group.n_sentences for group in groups),
        n_drawn=len(rows),
        files=files,
        next_command=next_command,
        notes=_notes(groups, half_width, rules.min_gold),
        groups=groups,
        provenance=provenance,
    )


def _check_dates(population: Population, date_column: str) -> None:
    dates = population.dates
    if dates is None or dates.given > dates.unread:
        return
    said = unread_dates(dates.unread, dates.given, dates.example) if dates.example else "every date is empty"
    raise InputError(f"the groups need dates in the column {date_column!r} (--date-column): {said}")


def _notes(groups: Sequence[PlannedGroup], half_width: float, min_gold: int) -> tuple[str, ...]:
    """Why nearly everything is drawn, where it is, and what to do."""
    n, drawn = sum(group.n_sentences for group in groups), sum(group.n_drawn for group in groups)
    if drawn < _NEARLY * n:
        return ()
    if drawn == n:
        found = ["Every sentence is drawn: once all are labelled, no uncertainty of sampling is left."]
    else:
        found = [f"{drawn:,} of {n:,} sentences are drawn, which is nearly all."]
    floored = [" / ".join(group.key) or "whole corpus" for group in groups if group.by_floor]
    if floored:
        more = f" and {len(floored) - _N_NAMED:,} more" if len(floored) > _N_NAMED else ""
        found.append(
            f"The least number of {min_gold} sentences a group (--min-gold), not the width alone, decides in "
            f"{len(floored):,} of {len(groups):,} groups: {', '.join(floored[:_N_NAMED])}{more}. To label "
            "less there, group more coarsely."
        )
    if len(floored) < len(groups):
        found.append(
            f"In {'the other' if floored else 'all'} groups the width of ±{100 * half_width:g} points "
            "decides: group more coarsely, or ask for a wider interval (a larger --plan)."
        )
    return tuple(found)


def plan_document(plan: Plan) -> Document:
    """The report on a plan."""
    alone = sum(group.n_without_model for group in plan.groups)
    half = f"{100 * plan.half_width:g}"
    drawn = (
        "Every sentence of a group is equally likely to be drawn."
        if plan.draw == "uniform"
        else "Sentences of which the model is unsure are likelier to be drawn (Neyman, a quarter spread "
        "evenly); the size of such a sample is a matter of chance."
    )
    belief = (
        "How far the model errs is taken from its own probabilities, since nothing is labelled yet. If it is "
        "surer than it should be, the intervals come out wider than planned, and still hold."
        if plan.pilot_factors is None
        else "The model's own belief in itself was corrected by the pilot: gold minus prediction varies "
        + ", ".join(f"{factor:.2f} times ({label})" for label, factor in plan.pilot_factors.items())
        + " as much as its probabilities claim."
    )
    rows = [
        (
            *(group.key or ("whole corpus",)),
            f"{group.n_sentences:,}",
            f"{group.n_drawn:,}",
            f"{100 * group.expected_half_width:.1f}",
            f"{group.n_without_model:,}",
        )
        for group in plan.groups
    ]
    header = (
        *(plan.by or ("",)),
        "sentences",
        "to label",
        "expected ± (points)",
        "without the model",
    )
    return Document(
        title="Which sentences to label by hand",
        lead=(
            f"A random sample from which every label's share is expected to be known to ±{half} percentage "
            f"points at {plan.level:.0%}, in each group."
        ),
        headline=(
            (f"{plan.n_drawn:,}", f"sentences to label, of {plan.n_sentences:,}"),
            (f"{alone:,}", "would be needed without the model"),
        ),
        sections=(
            Section(
                "What to do",
                (
                    *(Callout(note, "note") for note in plan.notes),
                    Text(
                        f"1. Fill in the column `gold` of `{SHEETS[0]}` or `{SHEETS[1]}` (they hold the same "
                        f"rows): {', '.join(f'`{label}`' for label in LABELS)}, or `not_applicable` where "
                        "the codebook does not apply. `framelens codebook` prints the rules. The model's "
                        "labels are not shown, so that they do not lead the judge."
                    ),
                    Text(
                        "2. Leave the other columns as they are: the key finds the sentence again, and "
                        "`inclusion_probability` and `stratum` say how it was drawn."
                    ),
                    Text(
                        f"3. `{plan.next_command or _ANY_COMMAND}` The rows stand in random order: if "
                        "you stop early, label from the top and add `--blank skip`."
                    ),
                ),
            ),
            Section(
                "Groups",
                (
                    Table(header, tuple(rows), searchable=len(rows) > 10, folded_after=30),
                    Text(
                        f"{drawn} {belief} At least {plan.min_gold} sentences are drawn in a group, or all "
                        "of it."
                    ),
                ),
            ),
            provenance_section(plan.provenance),
        ),
    )
