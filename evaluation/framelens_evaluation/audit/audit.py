"""The whole audit of a system."""

from __future__ import annotations

from typing import TYPE_CHECKING

from framelens_evaluation.audit.asking import ask
from framelens_evaluation.audit.behaviour import build_cases, group_results, judge, texts_of
from framelens_evaluation.audit.material import read_material
from framelens_evaluation.audit.result import AuditResult
from framelens_evaluation.audit.symmetry import build_grid, measure, summarise
from framelens_evaluation.reporting.provenance import (
    Source,
    Started,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from framelens_evaluation.audit.material import Check, Material
    from framelens_evaluation.inputs.systems import System
    from framelens_evaluation.statistics.bootstrap import Resampling

__all__ = ["questions", "run_audit"]


def run_audit(
    system: System,
    how: Resampling,
    checks: Sequence[Check] | None = None,
    *,
    command: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> AuditResult:
    """Put the checks to a system.

    Args:
        system: what is audited.
        how: seed, and resamples behind the intervals of shifts.
        checks: which, from `framelens_evaluation.audit.material.select_checks`; None for all.
        command: how the run was called.
        progress: told each step.

    Raises:
        InputError: the system cannot answer for one of the sentences.
    """
    tell = progress or _silent
    started = Started()
    material = read_material()
    wanted = material.checks if checks is None else tuple(checks)
    places = {check.id: at for at, check in enumerate(material.checks)}
    cases = {check.id: build_cases(check, material, how) for check in wanted if not check.exchange}
    grids = [build_grid(check, material) for check in wanted if check.exchange]
    texts = [text for some in cases.values() for text in texts_of(some)]
    texts += [text for grid in grids for text in grid.flat]
    answered = ask(system, texts, tell)
    tell("judging the answers")
    judged = [
        judge(check, cases[check.id], answered, how, places[check.id])
        for check in wanted
        if not check.exchange
    ]
    measured = [measure(grid, answered, how, places[grid.check.id]) for grid in grids]
    judged += [each.judged for each in measured]
    return AuditResult(
        system=system.name,
        reads=system.reads,
        n_sentences=len(answered.places),
        checks=tuple(each.result for each in judged),
        groups=group_results(judged),
        symmetry=summarise(measured, how),
        provenance=started.provenance(
            command=command,
            seed=how.seed,
            n_resamples=how.n_resamples,
            sources=(Source(role="model", name=system.name, sha256=system.digest, described=system.reads),),
        ),
    )


def _silent(_: str) -> None:
    """No progress."""


def questions(how: Resampling, checks: Sequence[Check], material: Material | None = None) -> list[str]:
    """Every different sentence that the checks ask, in order; for labelling them elsewhere."""
    found = material or read_material()
    texts: list[str] = []
    for check in checks:
        texts += build_grid(check, found).flat if check.exchange else texts_of(build_cases(check, found, how))
    return list(dict.fromkeys(texts))
