"""The three labels, the two kinds of cue, and their one order.

Every array in this package follows it: an axis of size ``n_labels`` is ordered as
`LABELS`, an axis of size ``n_cues`` as `CUE_KINDS` behind "no cue".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["CUE_KINDS", "CUE_TAGS", "LABELS", "PROBABILITY_COLUMNS", "CueKind", "Label"]


class Label(StrEnum):
    """What a sentence does; see ``framelens codebook`` for the definitions."""

    STATE_MEDIA_FRAMING = "state_media_framing"
    INDEPENDENT_REPORTING = "independent_reporting"
    HEDGED_CLAIM = "hedged_claim"


class CueKind(StrEnum):
    """What a span of evidence speaks for."""

    STATE = "state_cue"
    HEDGE = "hedge_cue"


LABELS: Final[tuple[Label, ...]] = tuple(Label)
CUE_KINDS: Final[tuple[CueKind, ...]] = tuple(CueKind)
#: Tags of the token-level head, in the order of its last axis.
CUE_TAGS: Final[tuple[str, ...]] = ("none", *CUE_KINDS)
#: Names of the probability columns in every table that framelens writes.
PROBABILITY_COLUMNS: Final[tuple[str, ...]] = tuple(f"p_{label}" for label in LABELS)
