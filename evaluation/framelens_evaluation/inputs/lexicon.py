"""A baseline without learning: the codebook's rules as word lists.

What a careful reader could write down from the codebook in an afternoon, and what any trained model has
to beat. The lists and their order come from the codebook alone; no data were looked at to choose or to
tune them. Each sentence is read on its own.

The rules, in the codebook's order (`Rule`):

* ``S1``: loaded vocabulary of a state's own voice, such as an enemy label, glorification, a slogan.
* ``H``: a disclaimer ("could not be verified") or an epistemic hedge ("reportedly", "may have been").
* ``I2``: a state's claim beside another side's, joined by a contrast.
* ``S2``: a state actor to whom an accusation, denial, threat, claim of success or the like is attributed.
* ``I``: whatever is left.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import numpy as np

from framelens import LABELS, CueKind, Evidence, Label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens_evaluation.statistics.metrics import FloatArray

__all__ = ["CONFIDENCE", "Finding", "Lexicon", "Rule", "apply_rules"]

#: Probability of the label that the rules give; the others share the rest. It is a convention and not a
#: measurement: rules count nothing, so the calibration of this baseline says nothing about them.
CONFIDENCE: Final = 0.8


class Rule(StrEnum):
    """The rule that decided."""

    VOICE = "S1"
    HEDGE = "H"
    TWO_SIDES = "I2"
    RELAY = "S2"
    REST = "I"


_LABEL_OF: Final = {
    Rule.VOICE: Label.STATE_MEDIA_FRAMING,
    Rule.HEDGE: Label.HEDGED_CLAIM,
    Rule.TWO_SIDES: Label.INDEPENDENT_REPORTING,
    Rule.RELAY: Label.STATE_MEDIA_FRAMING,
    Rule.REST: Label.INDEPENDENT_REPORTING,
}


class Finding(NamedTuple):
    """What the rules say of a sentence.

    Attributes:
        label: of the rule.
        rule: the first that fits.
        spans: [start, end) characters of the words it rests on; empty for an independent sentence.
    """

    label: Label
    rule: Rule
    spans: tuple[tuple[int, int], ...]


def _any_of(*loose: str, exact: tuple[str, ...] = ()) -> re.Pattern[str]:
    """A pattern of whole words and phrases; a space stands for any white space.

    Args:
        loose: in upper or lower case.
        exact: as written, where the case tells them apart, as in "Kiev regime".
    """
    parts = [rf"(?i:{'|'.join(loose)})", *exact]
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)".replace(" ", r"\s+"))


# S1: the wording itself is the state's. --------------------------------------------------------------
_VOICE = _any_of(
    "puppets?(?! (?:show|theat|maker|master))|lackeys?|stooges?|running dogs?|henchm[ae]n|clique|splittists?",
    r"traitors?|warmonger\w*|hegemon(?:s|y|ic|ism)|imperialists?|neo-nazis?|banderites?|zionist",
    "arrogant powers|global arrogance|hostile forces|collective west|colou?r revolutions?",
    r"the regime|(?:criminal|fascist|illegal|terrorist|clerical|occupation|puppet) regime|the enemy(?! of)",
    # Of the Islamic State this is said almost everywhere.
    r"so-called(?! \W?(?:islamic state|isis|isil|is\b|daesh|caliphate))",
    # One word of legitimacy between quotation marks.
    r"[\"“'‘](?:government|president|parliament|republic|elections?|referendum|democra\w+|independence"
    r"|human rights|evidence|experts?|activists?|journalists?|opposition)[\"”'’]",
    "glorious|glory to|invincible|heroic(?:ally)?|valiant(?:ly)?|immortal|unparalleled",
    "(?:great|dear|beloved|wise|brilliant|outstanding|respected) (?:leader|marshal|general)",
    "(?:wise|brilliant|outstanding|correct) leadership|(?:father|mother)land|martyr(?:s|ed|dom)",
    "sacred (?:duty|war|land)|our great|crushing (?:blow|defeat|response)|merciless(?:ly)?|wiped? out",
    r"our (?:\w+ )?(?:troops|soldiers|army|forces|fighters|gunners|people[’']s army|nation)",
    r"special military operation|vocational (?:\w+ and \w+ )?cent(?:er|re)s?|denazif\w+|anti-\w+ forces",
    exact=(
        # A government is named by its place; a sanctions or visa regime is none.
        r"(?!The |Sanctions |Visa |Tax )[A-Z][\w’'-]+ regime",
        r"[Rr]egime (?:in|of) (?:the )?(?:[A-Z]|south|north|west|east)[\w’'-]*",
        r"[Rr]espected Comrade|Comrade [A-Z]\w+",
    ),
)
_TERRORISTS = _any_of("terrorists|terrorist (?:clique|gang|bandits?|militias?)")
#: Groups that are called terrorist almost everywhere, so that the word is no state's label.
_DESIGNATED = _any_of(
    "islamic state|daesh|al(?:-| )qa[e']?[ei]?da|boko haram|al(?:-| )shabaab", exact=("IS", "ISIS", "ISIL")
)

# H1 and H2: the writer marks a claim as unverified or uncertain. ---------------------------------------
_BE = r"(?:is|are|was|were|be|been|being)"
_ADVERB = r"(?:\w+ly |also |not |now |still |already |widely |well )?"
_PARTICIPLE = (
    r"(?:\w+ed|\w+wn|taken|given|hit|struck|shot|sent|made|led|lost|left|come|become|gone|begun|done|had|held"
    r"|fled|fought|found|got|gotten|cut|put|set|brought|built|bought|caught|paid|sold|told|won|sunk|broken"
    r"|stolen|fallen|driven|spoken|written|chosen|hidden|been)"
)
_CHECKED = r"(?:verif\w+|confirm\w*|check\w*|corroborat\w+|establish\w*)"
_HEDGE = _any_of(
    # Disclaimers.
    rf"(?:could not|can not|cannot) {_ADVERB}(?:be )?{_ADVERB}{_CHECKED}",
    rf"(?:unable|impossible|no way) to {_ADVERB}{_CHECKED}",
    rf"(?:has|have|had) (?:not|yet to|not yet) be(?:en)? {_ADVERB}(?:verified|confirmed)",
    "no (?:immediate |independent |official )*(?:confirmation|verification)",
    r"(?:offer|provid|g[ia]v|present|produc|cit|show)\w* (?:no|little) (?:\w+ )?(?:evidence|proof)",
    r"without (?:\w+ing )?(?:any )?(?:evidence|proof)",
    rf"did not {_ADVERB}(?:offer|provide|give|present) (?:any |further )?(?:evidence|proof|details)",
    rf"(?:not {_ADVERB}(?:clear|known)|unclear)(?: whether| if| how| who| what| why)?",
    r"(?:figures|estimates|accounts|reports) (?:var|differ|conflict)\w*",
    "conflicting (?:reports|accounts|claims)",
    # Adverbs and adjectives of hearsay; a state's own "alleged that" is its account (S2).
    "allegedly|reportedly|purported(?:ly)?|supposedly|apparently|seemingly|ostensibly|presumably|unconfirmed",
    "unverified|rumou?r(?:s|ed)?|suspected|probably|perhaps|possibly|maybe|(?:un)?likely",
    "alleged(?! that| the)",
    # Passives.
    rf"{_BE} {_ADVERB}(?:said|believed|thought|understood|feared|assumed|presumed|reported|alleged) to",
    rf"it (?:is|was) {_ADVERB}(?:believed|thought|feared|understood|rumou?red|alleged)",
    rf"feared (?:dead|drowned|killed|trapped|lost)|{_BE} accused of",
    # Verbs of seeming and of guessing.
    "(?:appear|seem)(?:s|ed)?(?: not)? (?:to|that|likely)",
    "(?:police|investigators|officials|analysts|experts|researchers|scientists|observers|authorities)"
    rf" {_ADVERB}(?:believed?|suspect(?:ed)?|think|thought|fear(?:ed)?)",
    # "may visit" and "can reach" are plan and ability; a perfect or a state of affairs is a guess.
    rf"(?:may|might|could) {_ADVERB}have {_ADVERB}{_PARTICIPLE}",
    r"(?:may|might) (?:well|be (?:\w+ing|behind|responsible|involved|linked|dead|alive|the|an?))",
)

# S2: a state actor, and what is attributed to it. ------------------------------------------------------
_ACTOR = (
    r"(?:(?i:ministry|ministries|minister|premier|chancellor|president|government|regime|army|navy|military"
    r"|air force|armed forces|air defen[cs]es?|general staff|commander(?:-in-chief)?|colonel|admiral"
    r"|general(?! (?:assembly|election|strike|public|manager|director))|security services?|police chief"
    r"|state (?:media|tv|television|radio|news agency|department|broadcaster)|state-run \w+|official daily"
    r"|ruling party|central committee|politburo|supreme leader|revolutionary guards?|ambassador|envoy"
    r"|foreign office|security council secretary|secretary of (?:state|defen[cs]e)|defen[cs]e secretary)"
    r"|Kremlin|White House|Pentagon|Downing Street|IDF|IRGC|FSB|KCNA|TASS|Xinhua|IRNA"
    r"|Moscow|Beijing|Kyiv|Kiev|Tehran|Pyongyang|Washington|Ankara|Damascus|Seoul|Minsk|Jerusalem)"
)
# Verbs whose content is an account of the matter, whatever it is.
_STANCE = (
    r"(?i:den(?:y|ies|ied)|accus(?:e|es|ed|ing)|claim(?:s|ed)?|alleg(?:e|es)|alleged that|assert(?:s|ed)?"
    r"|contend(?:s|ed)?|insist(?:s|ed)?|warn(?:s|ed)?|threaten(?:s|ed)?|vow(?:s|ed)?|pledg(?:e|es|ed)"
    r"|condemn(?:s|ed)?|denounc(?:e|es|ed)|blam(?:e|es|ed)|slam(?:s|med)|reject(?:s|ed)?|dismiss(?:es|ed)?"
    r"|hail(?:s|ed)?|prais(?:e|es|ed)|boast(?:s|ed)?|demand(?:s|ed)?|justif(?:y|ies|ied)|defended"
    r"|brand(?:s|ed)|urg(?:e|es|ed))"
)
# Verbs that pass on a plain remark as well as an account: the content decides.
_SAYING = (
    r"(?i:said|says|say|saying|told|tells|stated|states|announced|announces|added|reported|reports"
    r"|declared|declares|stressed|stresses|according to|quoted)"
)
_CONTESTED = _any_of(
    r"enem(?:y|ies)|destroy\w*|shot down|shoot\w* down|downed|repel\w*|repuls\w*|intercept\w*",
    r"neutrali[sz]ed?|eliminat\w+|liberat\w+|captured|seized control|militants|terror\w*|extremists?",
    r"mercenar\w+|saboteurs?|success\w*|victor\w+|triumph\w*|defeat\w*|aggress\w+|threat\w*",
    r"provo(?:cation|cative|ke)\w*|violat\w+|interfer\w+|illegal\w*|unlawful\w*|baseless|groundless",
    r"false|fabricat\w+|lies?|smear\w*|plot\w*|conspir\w+|blame\w*|responsib\w+|guilty|crimes?|genocide",
    r"propaganda|hostile|unacceptable|hypocri\w+|retaliat\w+|respond (?:harshly|firmly|decisively)|crush\w*",
    r"punish\w*|red lines?|consequences|will never|will not (?:tolerate|allow|accept)",
    "(?:pay|paying) (?:a|the) price|self-defen[cs]e|sovereignty",
    r"legitimate|firm(?:ly)?|determin\w+|historic|resolute(?:ly)?",
)


def _attribution(verb: str) -> re.Pattern[str]:
    """A state actor before or behind a verb, within one clause as semicolons part them."""
    actor, verb = rf"(?<!\w){_ACTOR}(?!\w)", rf"(?<!\w){verb}(?!\w)"
    return re.compile(rf"{actor}[^;]{{0,60}}?{verb}|{verb}[^;,]{{0,25}}?{actor}".replace(" ", r"\s+"))


_STANCE_TAKEN = _attribution(_STANCE)
_SAID = _attribution(_SAYING)

# Two sides set against each other. ---------------------------------------------------------------------
_CONTRAST = _any_of("but|however|although|(?:even )?though|whereas|while|yet|despite|in contrast")
_OTHER_SIDE = _any_of(
    "(?:eye)?witness(?:es)?|residents|villagers|locals|survivors|relatives|courts?|judges?|researchers|experts",
    "analysts|monitors|observers|rights groups?|human rights watch|amnesty|opposition|activists|protesters",
    "investigators|journalists|doctors|hospitals?|independent media|united nations|red cross|reuters",
    r"photograph\w*|photos?|images?|footage|videos?|satellite|documents?|records?|data|evidence|survey\w*",
    r"contradict\w*|disput\w+|rebut\w*|refut\w+|den(?:y|ies|ied)",
    exact=(r"U\.?N\.?",),
)
_QUOTED = re.compile(r"“[^”]*(?:”|$)|\"[^\"]*(?:\"|$)|«[^»]*(?:»|$)")


def apply_rules(text: str) -> Finding:
    """The label of a sentence by rule, with the words that it rests on."""
    if spans := _voice(text):
        return Finding(_LABEL_OF[Rule.VOICE], Rule.VOICE, spans)
    if spans := _spans(_HEDGE, text):
        return Finding(_LABEL_OF[Rule.HEDGE], Rule.HEDGE, spans)
    if spans := _relay(text):
        rule = Rule.TWO_SIDES if _has_two_sides(text) else Rule.RELAY
        return Finding(_LABEL_OF[rule], rule, spans if rule is Rule.RELAY else ())
    return Finding(_LABEL_OF[Rule.REST], Rule.REST, ())


def _spans(pattern: re.Pattern[str], text: str) -> tuple[tuple[int, int], ...]:
    return tuple(found.span() for found in pattern.finditer(text))


def _voice(text: str) -> tuple[tuple[int, int], ...]:
    spans = _spans(_VOICE, text)
    if not _DESIGNATED.search(text):
        spans += _spans(_TERRORISTS, text)
    if spans and _OTHER_SIDE.search(text) and not _STANCE_TAKEN.search(text) and not _SAID.search(text):
        # In the mouth of a source that is no state's, the words are not a state's voice.
        quoted = _spans(_QUOTED, text)
        spans = tuple(span for span in spans if not any(a < span[0] and span[1] < b for a, b in quoted))
    return _apart(spans)


def _relay(text: str) -> tuple[tuple[int, int], ...]:
    spans = _spans(_STANCE_TAKEN, text)
    if spans:
        return spans
    said = _spans(_SAID, text)
    return _apart((*said, *_spans(_CONTESTED, text))) if said and _CONTESTED.search(text) else ()


def _apart(spans: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Spans in order, those that overlap made one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _has_two_sides(text: str) -> bool:
    """Whether a contrast parts a state's claim from another voice or from evidence."""
    for contrast in _CONTRAST.finditer(text):
        halves = (text[: contrast.start()], text[contrast.end() :])
        if not halves[0].strip(" \t\"'“”‘’,"):
            # "Although A, B": the comma parts the two.
            first, _, second = halves[1].partition(",")
            halves = (first, second)
        for one, other in (halves, halves[::-1]):
            if (_relay(one) or _SAID.search(one)) and (_OTHER_SIDE.search(other) or _relay(other)):
                return True
    return False


class Lexicon:
    """The rules as a baseline: nothing is fitted."""

    needs_fitting: ClassVar[bool] = False

    def fit(self, texts: Sequence[str], labels: Sequence[Label]) -> None:
        """Do nothing: the rules are what they are."""

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """`CONFIDENCE` for the label that the rules give, the rest shared by the others.

        Returns:
            Shape (n_sentences, n_labels).
        """
        probabilities = np.full((len(texts), len(LABELS)), (1 - CONFIDENCE) / (len(LABELS) - 1))
        for row, text in zip(probabilities, texts, strict=True):
            row[LABELS.index(apply_rules(text).label)] = CONFIDENCE
        return probabilities

    def evidence(self, texts: Sequence[str]) -> tuple[tuple[Evidence, ...], ...]:
        """The words that each label rests on; none for an independent sentence."""
        findings = [apply_rules(text) for text in texts]
        return tuple(
            tuple(
                Evidence(start, end, CueKind.HEDGE if found.rule is Rule.HEDGE else CueKind.STATE, CONFIDENCE)
                for start, end in found.spans
            )
            for found in findings
        )
