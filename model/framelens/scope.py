"""Text that the codebook does not apply to, told by its form alone.

Bylines, credits, captions, boilerplate, navigation, pure questions and scraps without a verb-like
shape carry no claim that could be framed. The rules here are deliberately few and narrow: what they
catch is nearly always out of scope, and the model's scope head finds the rest.
"""

from __future__ import annotations

import re

__all__ = ["out_of_scope"]

_NAME = r"[A-Z][\w.'’-]+"
_BYLINE = re.compile(
    rf"(?i:by|(?:additional )?(?:reporting|writing|editing) by) {_NAME}(?:[\s,;&]+(?:(?:and|in|for) )?{_NAME}){{0,7}}\.?"
)
_CONTRIBUTED = re.compile(r"\bcontributed (?:reporting|to this (?:report|reporting|article|story))\b.{0,40}$", re.I)
_HEADED = re.compile(
    r"(?:file |photo )?(?:photo|picture|image|video|graphic|caption|watch|read more|read also|see also|listen|related"
    r"|advertisement) ?(?::|/|\||—|–|- )",
    re.I,
)
_CREDIT = re.compile(
    r"^\(?(?:photo|image|picture|video)s? (?:by|credit|courtesy)\b"
    r"|(?:getty images|\bap photo|\breuters/[a-z]+ [a-z]+|/afp)\W*$",
    re.I,
)
_NAVIGATION = re.compile(
    r"share this|follow us|sign up|subscribe|click here|all rights reserved|copyright|©|advertisement$"
    r"|https?://\S+$|\S+@\S+\.\w+\W*$",
    re.I,
)
_WORD = re.compile(r"[^\W\d_]{2,}")
_CLOSERS = "\"'”’»)] "


def out_of_scope(text: str) -> bool:
    """Whether a text's form alone shows that it is no statement of news.

    Args:
        text: one sentence, not empty.
    """
    line = text.strip().lstrip("#>*•-–— ").strip("*_ ")
    if len(_WORD.findall(line)) < 2:
        return True
    if _is_pure_question(line):
        return True
    return bool(
        (len(line) < 120 and (_BYLINE.fullmatch(line) or _CONTRIBUTED.search(line)))
        or _HEADED.match(line)
        or _CREDIT.search(line)
        or _NAVIGATION.match(line)
    )


def _is_pure_question(line: str) -> bool:
    """A question of one clause-like piece: nothing asserted before it and nobody reported asking it."""
    if not line.rstrip(_CLOSERS).endswith("?"):
        return False
    body = line.strip(_CLOSERS + "“‘«([")
    return len(body) < 160 and not re.search(r"[:;.!]\s|[,”\"]\s*(?:said|asked|he|she|they)\b", body)
