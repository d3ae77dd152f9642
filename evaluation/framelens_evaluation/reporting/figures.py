"""How figures are drawn: one style, SVG that follows the page's colours, and a name for screen readers.

Colours are those of Okabe and Ito (2008), which people with a colour deficiency tell apart.
"""

from __future__ import annotations

import io
import re
import warnings
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING, Any, Final

from framelens import Label
from framelens.errors import require

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ACCENT",
    "INK",
    "LABELS_AS_WRITTEN",
    "LABEL_COLOURS",
    "LABEL_NAMES",
    "MUTED",
    "RULE",
    "SERIES",
    "drawing",
    "to_svg",
]

LABEL_COLOURS: Final = {
    Label.STATE_MEDIA_FRAMING: "#d55e00",
    Label.INDEPENDENT_REPORTING: "#009e73",
    Label.HEDGED_CLAIM: "#0072b2",
}
#: Short names for axes and legends.
LABEL_NAMES: Final = {
    Label.STATE_MEDIA_FRAMING: "state framing",
    Label.INDEPENDENT_REPORTING: "independent",
    Label.HEDGED_CLAIM: "hedged",
}
#: What people may write for a label, in lower case with spaces: its name, or the short one.
LABELS_AS_WRITTEN: Final = {
    name.replace("_", " "): label for label in Label for name in (str(label), LABEL_NAMES[label])
}
#: For whatever is not a label: systems, groups.
SERIES: Final = ("#0072b2", "#e69f00", "#cc79a7", "#56b4e9", "#009e73", "#d55e00", "#7f7f7f")
ACCENT: Final = SERIES[0]
# Stand-ins, replaced in the SVG by the page's own colours so that figures follow its dark mode.
INK: Final = "#1a1b1e"
MUTED: Final = "#6b6d72"
RULE: Final = "#d9d9d4"
_PAGE_COLOURS = {
    INK: "var(--ink, #1a1b1e)",
    MUTED: "var(--muted, #6b6d72)",
    RULE: "var(--rule, #d9d9d4)",
}
_STYLE: Final[dict[str, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "framelens",
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    # Names of outlets and files are shown as they are; two dollar signs do not make them a formula.
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "none",
    "lines.linewidth": 1.6,
}


@contextmanager
def drawing(width: float = 7.2, height: float = 3.4, **subplots: Any) -> Iterator[tuple[Any, Any]]:
    """A matplotlib figure and its axes in the reports' style, without a display.

    Args:
        width: in inches; 7.2 fills the page.
        height: in inches.
        subplots: passed on to ``Figure.subplots``, such as ``nrows`` and ``sharey``.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    matplotlib = require("matplotlib", "eval")
    figure_module = require("matplotlib.figure", "eval")
    with matplotlib.rc_context(_STYLE):
        figure = figure_module.Figure(figsize=(width, height))
        yield figure, figure.subplots(**subplots)


def to_svg(figure: Any, title: str, description: str) -> str:
    """A drawn figure as an ``<svg>`` element: no XML header, no dates, named for screen readers.

    Call it inside `drawing`. The same figure always gives the same text.

    Args:
        figure: from `drawing`.
        title: its accessible name.
        description: what it shows, for readers who cannot see it.
    """
    stream = io.StringIO()
    with warnings.catch_warnings():
        # Text is written as text, in the reader's fonts; that ours lack a letter only misjudges its width.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    drawn = stream.getvalue()
    drawn = drawn[drawn.index("<svg") :].strip()
    # matplotlib's own metadata block names web addresses, and says nothing that a reader needs.
    drawn = re.sub(r"<metadata>.*?</metadata>\s*", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", drawn, count=1)
    drawn = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", drawn, count=1)
    drawn = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", drawn)
    drawn = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", drawn)
    for stand_in, page_colour in _PAGE_COLOURS.items():
        drawn = drawn.replace(stand_in, page_colour)
    name = re.sub(r"\W+", "-", title.lower()).strip("-")
    drawn = _own_ids(drawn, name)
    head = (
        f'<svg role="img" aria-labelledby="{name}-title {name}-desc"'
        if description
        else f'<svg role="img" aria-labelledby="{name}-title"'
    )
    labels = f'<title id="{name}-title">{escape(title)}</title>'
    if description:
        labels += f'<desc id="{name}-desc">{escape(description)}</desc>'
    drawn = drawn.replace("<svg", head, 1)
    end = drawn.index(">") + 1
    return drawn[:end] + labels + drawn[end:]


def _own_ids(drawn: str, name: str) -> str:
    """Ids with the figure's name before them: matplotlib numbers them alike in every figure of a page."""
    drawn = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', drawn)
    drawn = re.sub(r'xlink:href="#([^"]+)"', rf'xlink:href="#{name}-\1"', drawn)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", drawn)
