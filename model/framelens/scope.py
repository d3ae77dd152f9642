"""Text that the codebook does not apply to, told by its form alone.

Bylines, credits, captions, boilerplate, navigation, pure questions and scraps without a verb-like
shape carry no claim that could be framed. The rules are few and narrow on purpose: a sentence that is
refused a label is lost to a corpus study, while a fragment with a label is one error among others.
"""

from __future__ import annotations

import re

__all__ = ["out_of_scope"]

#: Bylines, credits and navigation are short; a longer line that begins like one is a sentence.
LONGEST_CREDIT = 120
_NAME = r"[A-Z][\w.'’-]+"
_BYLINE = re.compile(rf"(?i:by) {_NAME}(?:[\s,;&]+(?:(?:and|in|for) )?{_NAME}){{0,7}}\.?$")
_STAFF = re.compile(r"(?i:(?:additional )?(?:reporting|writing|editing|compiled|photographs?) by) [A-Z]")
_CONTRIBUTED = re.compile(
    r"\bcontributed (?:reporting|to this (?:report|reporting|article|story))\b.{0,40}$", re.IGNORECASE
)
_HEADED = re.compile(
    r"(?:file |photo )?(?:photo|picture|image|video|graphic|caption|watch|read more|read also"
    r"|see also|listen|related|advertisement) ?(?::|/|\||—|–|- )",
    re.IGNORECASE,
)
_CREDIT = re.compile(
    r"^\(?(?:photo|image|picture|video)s? (?:by|credit|courtesy)\b"
    r"|(?:getty images|\bap photo|\breuters/[a-z]+ [a-z]+|/afp)\W*$",
    re.IGNORECASE,
)
_NAVIGATION = re.compile(
    r"share this|follow us|sign up|subscribe|click here|all rights reserved|copyright (?:©|\d{4})|©"
    r"|advertisement$"
    r"|https?://\S+$|\S+@\S+\.\w+\W*$",
    re.IGNORECASE,
)
_OPENINGS = (_BYLINE, _STAFF, _NAVIGATION)
#: A photographer and an agency, alone in brackets.
_AGENCY = re.compile(r"\([^()/]{2,40}/[^()/]{2,60}\)\.?")
_WORD = re.compile(r"[^\W\d_]{2,}")
_CLOSERS = "\"'”’»)] "


def out_of_scope(text: str) -> bool:
    """Whether a text's form alone shows that it is no statement of news.

    Args:
        text: one sentence, not empty.
    """
    line = text.strip().lstrip("#>*•-–— ").strip("*_ ")
    if len(_WORD.findall(line)) < 2 or _is_pure_question(line) or _AGENCY.fullmatch(line):
        return True
    line = line.lstrip("([")
    return bool(
        _HEADED.match(line)
        or _CREDIT.search(line)
        or (
            len(line) < LONGEST_CREDIT
            and (any(rule.match(line) for rule in _OPENINGS) or _CONTRIBUTED.search(line))
        )
    )


def _is_pure_question(line: str) -> bool:
    """A question of one clause-like piece: nothing asserted before it and nobody reported asking it."""
    if not line.rstrip(_CLOSERS).endswith("?"):
        return False
    body = line.strip(_CLOSERS + "“‘«([")
    return len(body) < 160 and not re.search(r"[:;.!]\s|[,”\"]\s*(?:said|asked|he|she|they)\b", body)
