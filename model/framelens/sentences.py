"""Where the sentences of a news text begin and end.

`NewsSplitter` works in two steps. Layout comes first: blank lines, headings, list items and
headline lines end a sentence whatever they end with, and the line breaks of wrapped prose end
none. Within such a block every full stop, question mark, exclamation mark or ellipsis before
white space is a candidate. Clear cases are settled by a few rules of news style; where the word
before a full stop leaves it open (an initial, a number, "U.S.", "Corp."), the Punkt model of
`nupunkt` decides (Kiss and Strunk 2006, "Unsupervised multilingual sentence boundary detection").

The model has no say about ordinary words: its abbreviations were learnt from legal and official
papers and hold hundreds of words that end news sentences, such as "ashore", "week" or "bombed".
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["NewsSplitter", "SentenceSplitter"]


class SentenceSplitter(Protocol):
    """Anything that finds sentences."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Find the sentences of a text.

        Args:
            text: a document.

        Returns:
            (start, end) of every sentence: in order, not overlapping, not empty and without white
            space at either end; each character that is not white space lies in exactly one.
        """
        ...


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Stand before a name and end no sentence; only with a capital ("Rep. Marsh", but "a sales rep.").
_TITLES = _words(
    "adm amb atty brig capt cdr cmdr col comdr cpl cpt det dr fr ft gen gov hon insp lt maj messrs mlle "
    "mme mr mrs ms mt mx pfc pres prof pt pte pvt rep reps rev sec sen sens sgt spc supt"
)
#: End no sentence, capital or not.
_NEVER_LAST = _words("approx ca cf e.g i.e incl intl nat'l natl viz vs")
#: Belong to the number behind them; before anything else they are words, or dates that end a sentence.
_BEFORE_NUMBER = _words(
    "art arts ch cl fig figs no nos op p para paras pp rs sec secs vol vols "
    "apr aug dec feb jan jul jun mar nov oct sep sept"
)
#: Abbreviations that may end a sentence.
_ABBREVIATIONS = _words(
    "al assn ave bldg bln blvd bn bros co corp dept dist div esq est etc ext govt hrs hwy inc inf jr km "
    "lb lbs llc ltd max mfg mi mil min mln mo mph mtg nr oz pct plc qtr rd regt rte sq sr st ste tel "
    "trn univ yd yds yr"
)
#: Likewise, but only with a capital: days, and states of the U.S. that are words or names otherwise.
_CAPITAL_ABBREVIATIONS = _words(
    "fri mon sat sun thu thur thurs tue tues wed ala ariz ark calif colo conn del fla ga ill ind kan ky la "
    "mass md mich minn miss mont neb nev okla ore pa penn tenn tex va vt wash wis wyo"
)
#: Words that, with a capital, follow an abbreviation only where a sentence begins.
_STARTERS = frozenset(
    word.capitalize()
    for word in _words(
        "a according after all although among an and another as at because before both but by despite during "
        "each earlier even every few for from he her here his how however if in instead it its last later "
        "many meanwhile most my neither nobody nor nothing on only or our several she since so some still "
        "such that the their then there these they this those though under until we what when where "
        "whether while who why with without yesterday yet you your"
    )
)
_SPEECH_VERBS = (
    "added answered asked asks called chanted cried demanded exclaimed inquired joked quipped recalled "
    "remarked replied responded said says shouted tweeted told whispered wondered wrote yelled"
)

_SPACE = re.compile(r"[^\S ]")
_OPENERS = "\"'“‘«„([{*_"
_CLOSERS = "\"'”’»)\\]}*_"
# Not every text has kept the space behind a closing quote or bracket.
_CANDIDATE = re.compile(rf"[.!?…](?:([{_CLOSERS}]*)\s+|([”»)])(?=[A-Z“]))")
_TERMINATED = re.compile(rf"[.!?…:;][{_CLOSERS}]*\Z")
# 5, IV or A-17 behind "No."
_NUMBER = re.compile(r"\d|[IVXLC]+\b|[A-Z]{1,2}[-/]?\d")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_VOWELS = frozenset("aeiouy")
# al-Nadim, de Vries, iTronic, a web address: what keeps its small letter at the start of a sentence.
_SMALL_START = re.compile(
    r"(?:al|an|as|ash|el|ul)-[A-Z]|d[’'][A-Z]|[a-z]{1,2}[A-Z]|(?:bin|da|de|di|du|van|von) |https?:|www\."
)
# “Are we at war?” Ms. Duarte asked: up to five words of a name before the verb.
_SPEAKER = re.compile(rf"(?:[A-Z][\w’'-]*\.?,? ){{1,5}}(?:{'|'.join(_SPEECH_VERBS.split())})\b")

_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_PLACE = r"[A-Z][\w.'’-]*(?:[ ,/]{1,2}[A-Z][\w.'’-]*){0,5}"
_DATELINE = re.compile(
    rf"""
    (?:
        {_PLACE}[.,]\ {_MONTH}\ \d{{1,2}}(?:,\ \d{{4}})?                # Kabul, March 3
        (?: \.?\ /[^/\s]{{2,30}}/\.                                   # . /AGENCY/.
          | (?:[.,]?\ [(A-Z][^.!?]{{0,40}}?)?\ (?:--|[-–—]) )          # (Agency) --
      | (?=[A-Z]{{2}}){_PLACE}(?:\ \([^()]{{1,40}}\))?\ (?:--|[–—])     # ST. JOHN'S, Newfoundland —
    )\s""",
    re.VERBOSE,
)
_MAX_DATELINE = 160

_BULLET = re.compile(r"\s*(?:[-*•·‣◦▪]|\(?[a-zA-Z]\)|\(\d{1,3}\)|#{1,6}|[–—](?=\s+[^\Wa-z_]))\s+\S")
_NUMBERED = re.compile(r"\s*\d{1,3}[.)]\s+\S")
# "1.", "(a)." or "IV." before an item is no sentence.
_ENUMERATOR = re.compile(r"\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})\)?\.")
_HEADING = re.compile(r"\s*#{1,6}\s")
# A line that ends so goes on in the next one.
_UNFINISHED = re.compile(
    r"(?:[-,–—(]|\b(?:a|an|and|as|at|by|for|from|in|of|on|or|that|the|to|with|Dr|Gen|Mr|Mrs|Ms|President)\.?)\Z"
)

# The end of a sentence that starts in the same line; "Gov." and "U.S." are too short to be one.
_INNER_END = re.compile(r"[a-z]{4}[.!?]\S{0,2}\s")

#: Headlines have at most this many characters.
_MAX_TITLE = 120
#: Wrapped prose has at least this many columns; a paragraph of shorter lines is a list of titles.
_MIN_COLUMNS = 45
#: nupunkt reads no more than this at once, because its time grows with the square of the length of some
#: texts (a row of exclamation marks, of quotes or of line breaks).
_WINDOW = 2000
#: Of a sentence longer than that, so much is read again with what follows.
_OVERLAP = 200
#: For the same reason it is not shown the inside of longer words.
_LONG_WORD = re.compile(r"(?<!\S)\S{100,}")
_WORD_END = 10


class _Line(NamedTuple):
    start: int
    #: Without the line break and the white space before it.
    text: str
    ends_page: bool


class NewsSplitter:
    """Splits English news into sentences; see the module's description.

    A dateline belongs to the sentence it opens, a list marker to its item, and a closing quote or
    bracket to the sentence it closes. Each sentence of a longer quotation is one of its own. Time
    and memory grow linearly with the text, whatever it holds.
    """

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Find the sentences of a text.

        Args:
            text: a document; any string.

        Returns:
            (start, end) of every sentence, as `SentenceSplitter` describes them.
        """
        found: list[tuple[int, int]] = []
        for start, end in _blocks(text):
            # White space in a block is of equal meaning: in wrapped prose a line break is a space.
            block = _SPACE.sub(" ", text[start:end])
            position = 0
            for stop, following in _boundaries(block):
                found.append((start + position, start + stop))
                position = following
            found.append((start + position, end))
        return found


# ---------------------------------------------------------------- layout


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Stripped (start, end) of the stretches that no sentence leaves."""
    paragraph: list[_Line] = []
    position = 0
    for raw in text.splitlines(keepends=True):
        line = _Line(position, raw.rstrip(), raw[-1] in "\f\u2029")
        position += len(raw)
        if line.text:
            paragraph.append(line)
        if paragraph and (not line.text or line.ends_page):
            yield from _paragraph_blocks(paragraph)
            paragraph = []
    if paragraph:
        yield from _paragraph_blocks(paragraph)


def _paragraph_blocks(lines: list[_Line]) -> Iterator[tuple[int, int]]:
    columns = max(_MIN_COLUMNS, max(len(line.text) for line in lines))
    is_prose = _is_finished(lines[-1].text)
    first = lines[0]
    is_fresh = True
    for line, following in pairwise(lines):
        is_title = is_fresh and _is_title(line.text)
        breaks = _breaks(line.text, following.text, columns if is_prose else None, is_title)
        if breaks:
            yield first.start + _indent(first.text), line.start + len(line.text)
            first = following
        is_fresh = breaks or _is_finished(line.text)
    yield first.start + _indent(first.text), lines[-1].start + len(lines[-1].text)


def _breaks(line: str, following: str, columns: int | None, is_title: bool) -> bool:
    """Whether the line break between two lines of a paragraph ends a sentence by itself.

    Args:
        line: the line before it.
        following: the line behind it.
        columns: width of the paragraph; None where it does not read as prose.
        is_title: whether ``line`` may be a headline.
    """
    if _BULLET.match(following) or _HEADING.match(line):
        return True
    indent = _indent(following)
    word = following[indent : indent + _MAX_TITLE].split(maxsplit=1)[0]
    # Whoever wraps prose fills the line: a word that would have fitted was kept off it on purpose.
    is_full = columns is not None and len(line) + 1 + len(word) > columns
    if _NUMBERED.match(following):
        return _is_finished(line) or not is_full
    return is_title and not is_full and not word[0].islower()


def _is_finished(line: str) -> bool:
    return _TERMINATED.search(line[-20:]) is not None


def _is_title(line: str) -> bool:
    """Whether a line could be a headline: short, nothing left open, no sentence end in or at it."""
    return not (
        len(line) > _MAX_TITLE
        or _is_finished(line)
        or _UNFINISHED.search(line[-20:])
        or _INNER_END.search(line)
    )


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


# ---------------------------------------------------------------- sentence ends within a block


def _boundaries(block: str) -> Iterator[tuple[int, int]]:
    """(end of a sentence, start of the next) for each boundary within a block."""
    candidates = list(_CANDIDATE.finditer(block))
    if not candidates:
        return
    votes = _votes(block)
    dateline = _DATELINE.match(block[:_MAX_DATELINE])
    body = dateline.end() if dateline else 0
    position = 0
    for candidate in candidates:
        stop = candidate.end(candidate.lastindex or 1)
        vote = stop in votes or candidate[2] is not None
        is_number = _ENUMERATOR.fullmatch(block, position, stop) is not None
        if stop > body and not is_number and _ends_sentence(block, candidate, vote):
            position = candidate.end()
            yield stop, position


def _ends_sentence(block: str, candidate: re.Match[str], vote: bool) -> bool:
    """Whether a sentence ends at a candidate, given what the model says."""
    stop = candidate.start()
    ahead = block[candidate.end() : candidate.end() + 80]
    bare = ahead.lstrip(_OPENERS)
    if bare[:1].islower():
        return vote and _SMALL_START.match(bare) is not None
    if block[stop] in "!?":
        return vote and not ((candidate[1] or candidate[2]) and _SPEAKER.match(ahead))
    if block[stop] == "…" or block[max(0, stop - 1) : stop] in {".", " ", "…", ""}:
        return vote
    if not (bare[:1].isupper() or bare[:1].isdigit()):
        return vote
    return _full_stop_ends_sentence(_last_word(block, stop), bare, vote)


def _last_word(block: str, stop: int) -> str:
    """The word before a full stop, without what opens it; its last 40 characters."""
    tail = block[max(0, stop - 40) : stop].rsplit(maxsplit=1)[-1]
    return re.split(r"[/—–]", tail.lstrip(_OPENERS))[-1]


def _full_stop_ends_sentence(word: str, bare: str, vote: bool) -> bool:
    """Whether a full stop behind ``word`` ends a sentence, a capital or a digit following.

    Args:
        word: what stands before the full stop.
        bare: what stands behind it, without opening quotes and brackets.
        vote: what the model says.
    """
    lowered = word.lower()
    has_capital = word[:1].isupper()
    if lowered in _NEVER_LAST or (has_capital and lowered in _TITLES):
        return False
    if lowered in _BEFORE_NUMBER and word != "P":
        return _NUMBER.match(bare) is None
    following = _WORD.match(bare)
    if following and following[0] in _STARTERS and bare[following.end() : following.end() + 1] != ".":
        return True
    is_abbreviation = lowered in _ABBREVIATIONS or (has_capital and lowered in _CAPITAL_ABBREVIATIONS)
    # "U.S" and "1983" are not alphabetic, an initial has one letter.
    if is_abbreviation or len(word) == 1 or not word.isalpha():
        return vote
    # What has no vowel is likely an abbreviation that the lists lack.
    return vote or not word.isascii() or not _VOWELS.isdisjoint(lowered)


# ---------------------------------------------------------------- the model


@cache
def _model() -> Callable[..., list[tuple[int, int]]]:
    # Imported on first use: the import takes about 30 ms.
    from nupunkt import sentence_spans

    return sentence_spans


def _votes(block: str) -> set[int]:
    """Offsets at which the model ends a sentence."""
    masked = _LONG_WORD.sub(_mask, block)
    votes: set[int] = set()
    start = 0
    while start < len(masked):
        window = masked[start : start + _WINDOW]
        is_last = start + _WINDOW >= len(masked)
        spans = _model()(window, paragraph_breaks=False)
        votes.update(start + end for _, end in spans[: len(spans) if is_last else -1])
        if is_last:
            break
        # The last sentence of a window is cut off: read it again, or the end of it if it is very long.
        # Whatever the model says, at least half a window is gained.
        begin = spans[-1][0] if spans else 0
        if begin < _WINDOW // 2:
            begin = max(window.rfind(" ", 0, _WINDOW - _OVERLAP) + 1, _WINDOW // 2)
        start += begin
    return votes


def _mask(word: re.Match[str]) -> str:
    return "x" * (len(word[0]) - _WORD_END) + word[0][-_WORD_END:]
