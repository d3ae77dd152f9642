"""What a billion sentences cost, worked out from measured rates and from prices that are assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from framelens_evaluation.reporting.document import Section, Table, Text

if TYPE_CHECKING:
    from framelens_evaluation.speed.result import SpeedReport

__all__ = ["cost_section", "dollars"]

_BILLION: Final = 1e9
_SECONDS: Final = 3600


def dollars(rate: float, dollars_per_hour: float) -> float:
    """US dollars for a billion sentences.

    Args:
        rate: sentences a second of what the price is of, > 0.
        dollars_per_hour: its price.
    """
    return _BILLION / rate / _SECONDS * dollars_per_hour


def cost_section(report: SpeedReport) -> Section:
    """The table of costs; every row is measured on processors, but the last, which is on paper."""
    terms = report.terms
    rows = []
    for system in report.systems:
        if system.rate is None:
            continue
        # The pipeline's threads work on one sentence together, our workers each on their own.
        rate = system.rate.value / terms.cores
        hours = _BILLION / rate / _SECONDS
        cost = dollars(rate, terms.dollars_per_core_hour)
        rows.append((system.title, f"{rate:,.0f}", f"{hours:,.0f}", f"{cost:,.0f}"))
    gpu = terms.gpu_instance_cores * report.tokeniser.sentences_one
    rows.append(
        (
            f"a GPU with {terms.gpu_instance_cores} cores, at best, not measured",
            f"{report.tokeniser.sentences_one:,.0f}",
            f"{_BILLION / gpu / _SECONDS * terms.gpu_instance_cores:,.0f}",
            f"{dollars(gpu, terms.dollars_per_gpu_hour):,.0f}",
        )
    )
    header = ("", "sentences/s a core", "core hours for 10⁹", "dollars for 10⁹")
    text = (
        f"Sentences of {terms.mean_tokens:.0f} tokens. Assumed: a core like this machine's is rented at "
        f"${terms.dollars_per_core_hour:g} an hour, and is as quick when all of its neighbours work; reading "
        "from and writing to a store is not counted. The last row is on paper: a GPU instance at "
        f"${terms.dollars_per_gpu_hour:g} an hour, whose GPU keeps up with {terms.gpu_instance_cores} cores "
        "that do nothing but tokenise: a bound that no measurement reaches."
    )
    return Section("What a billion sentences cost", (Text(text), Table(header, tuple(rows))))
