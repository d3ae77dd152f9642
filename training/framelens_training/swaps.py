"""Counterfactual swaps: a sentence with other states in place of its own, so that no model learns states.

What a state, its people, capital, agencies and seat of power are called is exchanged for what another state
calls them, and the label stays: neither who speaks nor of whom decides it. The method is counterfactual data
augmentation (Lu et al. 2020, "Gender Bias in Neural Natural Language Processing", section 4).
"""

from __future__ import annotations

import random
import re
import unicodedata
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from framelens_training.features import sentence_features
from framelens_training.states import shipped_states

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from framelens.encoding import PairEncoder
    from framelens_training.features import ContextDropout
    from framelens_training.states import Mention, Person, State, States

__all__ = ["SwappedSentences", "swap"]

_JOINTS = ("-", "‑", "–", "/")
_ARTICLE = re.compile(r"\b(the|The|THE)\s$")
_INDEFINITE = re.compile(r"(?<![\w'’-])(an?|An?)\s$")
_LAST_WORD = re.compile(r"([^\W\d_]+)\s+$")
_NEXT_WORD = re.compile(r"\s+([^\W\d_]+)")
_CLOSED = re.compile(r"[\s\"”’')\]]*$")
_SENTENCE_START = re.compile(r"(?:^\s*|[.!?]['\"”’)]*\s+|[\"“‘])$")
_OPEN_QUOTE = re.compile(r"(?:^|[\s(])['‘]\w")
_POSSESSIVE = re.compile(r"(['’])[sS]\b")
#: Before a name that takes "the", one of these shows that the article can stand there.
_BEFORE_ARTICLE = re.compile(
    r"about|across|after|against|among|and|as|at|before|behind|between|but|by|despite|"
    r"during|for|from|in|inside|into|like|near|of|off|on|or|outside|over|since|than|that|"
    r"through|to|toward|towards|under|until|upon|via|when|where|which|while|with|within|"
    r"without"
)
_VERB = re.compile(
    r"is|are|was|were|has|have|had|will|would|can|could|may|might|must|shall|should|do|"
    r"does|did"
)
#: Behind a name, one of these too shows that it stands for itself and belongs to no noun that follows; so do
#: what ends as verbs and adverbs do, but for the adjectives and nouns among them.
_BEHIND_NAME = re.compile(
    r"a|again|alone|also|an|announces|backs|became|because|becomes|began|begins|believes|"
    r"both|calls|came|claims|comes|continues|denies|either|faces|gave|gets|gives|goes|got|"
    r"here|held|his|hit|holds|how|if|insists|instead|intends|its|itself|just|keeps|kept|"
    r"knew|knows|last|launches|leaves|led|lets|lost|made|makes|more|needs|never|nor|not|"
    r"now|only|plans|put|puts|remains|said|saw|say|says|seeks|sees|sent|sets|so|sought|"
    r"spent|still|supports|takes|tells|the|then|there|these|this|threatens|today|told|too|"
    r"took|tries|urges|wants|warns|went|what|who|whom|whose|why|won|yesterday|yet"
    r"|(?!(?:ally|armed|assembly|family|only|supply|unmanned|united)$)[a-z]+(?:ed|ly)"
)
_PAIRED = ("names", "seats", "agencies", "outlets")


class _Edit(NamedTuple):
    start: int
    end: int
    new: str


class _Stands(Enum):
    """How a name stands before what follows it."""

    ALONE = auto()
    BEFORE_NOUN = auto()
    JOINED = auto()


def swap(row: Mapping[str, Any], draw: random.Random, states: States | None = None) -> dict[str, Any] | None:
    """A row with other states in place of its own.

    All forms of one state in the sentence and its context go to the same other state, and no two states to
    one. Forms are found in the longest reading, with capitals as in the table and never within words.
    "a" and "an", "the" and the possessive are set right; what stands between is left as it is.

    Args:
        row: with ``text``, ``context`` and ``cue``, which is [start, end) in the text or None.
        draw: which states; the result hangs on the row and on this alone.
        states: the table; without, that of the package.

    Returns:
        The row with another text, context and cue. None where there is nothing to swap: it names no state, or
        a state for whose forms no other has counterparts.
    """
    states = states or shipped_states()
    texts = (row["text"], row["context"] or "")
    found = states.find(texts)
    edits: tuple[list[_Edit], ...] = ([], [])
    free = list(states.by_name)
    for source in dict.fromkeys(mention.state for mine in found for mention in mine):
        own = [[mention for mention in mine if mention.state == source] for mine in found]
        for target in draw.sample(free, len(free)):
            exchanged = None if target == source else _exchange(texts, own, states, target, draw)
            if exchanged is not None:
                break
        else:
            return None
        free.remove(target)
        for mine, new in zip(edits, exchanged, strict=True):
            mine += new
    if not any(edits):
        return None
    text, context = (_edited(text, sorted(mine)) for text, mine in zip(texts, edits, strict=True))
    cue = row["cue"]
    if cue is not None:
        cue = [_moved(edits[0], cue[0], is_end=False), _moved(edits[0], cue[1], is_end=True)]
    return {**row, "text": text, "context": context, "cue": cue}


class SwappedSentences(torch.utils.data.Dataset[dict[str, Any]]):
    """Shows a share of the sentences with other states in place of theirs, drawn anew in every epoch.

    A draw hangs on the seed, the epoch and the row's id alone, so that a resumed fit sees what an unbroken
    one sees. A swapped sentence is encoded when it is read.

    Args:
        sentences: shown where none is swapped; also says which stand without their context.
        rows: that they were made of, in their order.
        encoder: of the model that will read them.
        share: of the readings in which states are swapped, in [0, 1].
        seed: of the draw.
        unsure_weight: see `sentence_features`.
    """

    def __init__(
        self,
        sentences: ContextDropout,
        rows: Sequence[Mapping[str, Any]],
        encoder: PairEncoder,
        share: float,
        seed: int,
        unsure_weight: float = 1.0,
    ) -> None:
        self._sentences, self._rows, self._encoder = sentences, rows, encoder
        self._share, self._unsure_weight = share, unsure_weight
        self._seed, self._epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Draw for an epoch, counted from 0."""
        self._epoch = epoch
        self._sentences.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._sentences)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self._rows[index]
        draw = random.Random(f"{self._seed}:{self._epoch}:swap:{row['id']}")
        swapped = swap(row, draw) if draw.random() < self._share else None
        if swapped is None:
            return self._sentences[index]
        context = not self._sentences.hides(index)
        return sentence_features([swapped], self._encoder, context, self._unsure_weight)[0]


def _exchange(
    texts: Sequence[str], found: Sequence[Sequence[Mention]], states: States, target: str, draw: random.Random
) -> list[list[_Edit]] | None:
    """The edits of each text that put a state in another's place; None where that lacks a counterpart."""
    mentions = [mention for mine in found for mention in mine]
    writer = _Writer(states.by_name[mentions[0].state], states.by_name[target], draw)
    if not writer.cast(mentions):
        return None
    exchanged = []
    for text, mine in zip(texts, found, strict=True):
        edits: list[_Edit] = []
        for mention in mine:
            new = writer.edits(text, mention)
            if new is None:
                return None
            edits += new
        exchanged.append(edits)
    return exchanged


class _Writer:
    """Writes one state's mentions as another's."""

    def __init__(self, source: State, target: State, draw: random.Random) -> None:
        self._source = source
        # One order for all mentions: the same form comes again wherever it fits.
        self._forms = {field: draw.sample(forms, len(forms)) for field, forms in target.written.items()}
        self._people = {field: draw.sample(people, len(people)) for field, people in target.people.items()}
        self._paired = {}
        for field in _PAIRED:
            both = [(form, False) for form in self._forms.get(field, ())]
            both += [(form, True) for form in self._forms.get(f"the_{field}", ())]
            self._paired[field] = draw.sample(both, len(both))
        self._cast: dict[tuple[str, int], Person] = {}

    def cast(self, mentions: Iterable[Mention]) -> bool:
        """Give every person another of the same office and sex; False where there are too few."""
        needs_surname: dict[tuple[str, int], bool] = {}
        for mention in mentions:
            if mention.person is not None:
                key = mention.field, mention.person
                needs_surname[key] = needs_surname.get(key, False) or not mention.whole
        for (field, place), with_surname in needs_surname.items():
            is_woman = self._source.people[field][place].is_woman
            for person in self._people.get(field, ()):
                fits = person.is_woman == is_woman and person not in self._cast.values()
                if fits and (person.spellings[0][1] or not with_surname):
                    self._cast[field, place] = person
                    break
            else:
                return False
        return True

    def edits(self, text: str, mention: Mention) -> list[_Edit] | None:
        """What changes where a mention stands; None where the other state has nothing for it."""
        start, end = mention.start, mention.end
        core = text[start:end]
        if core.endswith(".") and _CLOSED.match(text, end):
            end -= 1  # it also ends the sentence
        possessive = _possessive(text, mention)
        chosen = self._chosen(text, mention, possessive=bool(possessive))
        if chosen is None:
            return None
        start, new, is_plural = chosen
        if possessive:
            if mention.field == "people" and not new.endswith("s"):
                return None
            quote, letter = possessive[0], "S" if mention.upper else "s"
            new += quote if is_plural and new.endswith("s") else quote + letter
            end += len(possessive)
        if mention.upper:
            new = new.upper()
        elif _SENTENCE_START.search(text, 0, start):
            new = new[0].upper() + new[1:]
        article = _INDEFINITE.search(text[:start])
        edits = [_Edit(start, end, new)]
        # "A" within a sentence is a letter, as in "vitamin A".
        if article and (article[1][0] == "a" or _SENTENCE_START.search(text, 0, article.start())):
            fitting = article[1][0] + ("n" if _sounds_like_vowel(new) else "")
            if fitting != article[1]:
                edits.insert(0, _Edit(article.start(1), article.end(1), fitting))
        return edits

    def _chosen(self, text: str, mention: Mention, possessive: bool) -> tuple[int, str, bool] | None:
        """From where on to write what, and whether that is a plural."""
        if mention.person is not None:
            whole, surname = self._cast[mention.field, mention.person].spellings[0]
            return mention.start, whole if mention.whole else surname or whole, False
        field = mention.field
        if field == "adjectives":
            field = self._part_of_speech(text, mention)
        if field.removeprefix("the_") in _PAIRED:
            return self._chosen_name(text, mention, possessive)
        forms = self._forms.get(field)
        return (mention.start, forms[0], field == "people") if forms else None

    def _part_of_speech(self, text: str, mention: Mention) -> str:
        """Whether "Chinese" or "Russian" is an adjective, a person, or all people there."""
        end = mention.end
        follower = _NEXT_WORD.match(text, end)
        is_noun = (
            not text[end:].strip()
            or text[end] in ".;:!?'’"
            or bool(follower and _VERB.fullmatch(follower[1]))
        )
        before = _LAST_WORD.search(text[: mention.start])
        word = before[1].lower() if before else ""
        form = text[mention.start : end]
        if is_noun and word in ("a", "an", "another", "one") and form in self._source.read["persons"]:
            return "persons"
        if is_noun and word == "the" and form in self._source.read["people"]:
            return "people"
        return "adjectives"

    def _chosen_name(self, text: str, mention: Mention, possessive: bool) -> tuple[int, str, bool] | None:
        """As `_chosen`, of a name that may follow "the"."""
        start = mention.start
        follows_the = mention.field.startswith("the_")
        forms = self._paired[mention.field.removeprefix("the_")]
        article = _ARTICLE.search(text[:start])
        stands = _Stands.ALONE if possessive else _stands(text, mention)
        if not forms:
            return None
        if stands is _Stands.BEFORE_NOUN and mention.field == "the_names":
            return start, self._forms["adjectives"][0], False
        if stands is _Stands.ALONE and follows_the and article:
            form, takes_the = forms[0]
            return article.start(), f"{article[1]} {form}" if takes_the else form, takes_the
        if mention.field.endswith("names"):
            # "a Brazil expert" is more usual than "a United Arab Emirates expert".
            forms = sorted(forms, key=lambda form: form[1])
        if stands is not _Stands.ALONE or article:
            return start, *forms[0]
        for form, takes_the in forms:
            if not takes_the:
                return start, form, False
            if _article_can_stand(text, start):
                return start, f"the {form}", True
        # A headline goes without articles.
        return (start, *forms[0]) if follows_the else None


def _stands(text: str, mention: Mention) -> _Stands:
    if text[mention.end : mention.end + 1] in _JOINTS or text[: mention.start].endswith(_JOINTS):
        return _Stands.JOINED
    follower = _NEXT_WORD.match(text, mention.end)
    if not follower:
        return _Stands.ALONE
    alone = any(words.fullmatch(follower[1]) for words in (_VERB, _BEFORE_ARTICLE, _BEHIND_NAME))
    return _Stands.ALONE if alone else _Stands.BEFORE_NOUN


def _article_can_stand(text: str, start: int) -> bool:
    before = _LAST_WORD.search(text[:start])
    if before:
        return bool(_BEFORE_ARTICLE.fullmatch(before[1].lower()))
    return not text[:start].strip() or text[:start].rstrip()[-1] in ',;:.!?(["“‘—–-'


def _possessive(text: str, mention: Mention) -> str:
    """The apostrophe behind a mention and its "s", empty without."""
    end = mention.end
    if match := _POSSESSIVE.match(text, end):
        return match[0]
    is_plural = (
        text[end - 1] in "sS" and text[end : end + 1] in ("'", "’") and not text[end + 1 : end + 2].isalnum()
    )
    return text[end] if is_plural and not _OPEN_QUOTE.search(text[: mention.start]) else ""


def _sounds_like_vowel(form: str) -> bool:
    """Whether "an" stands before it."""
    word = unicodedata.normalize("NFD", re.split(r"[\s'’-]", form, maxsplit=1)[0])
    if word.isupper() and (len(word) <= 3 or not set(word) & set("AEIOU")):
        return word[0] in "AEFHILMNORSX"  # it is spelt out
    return word[0] in "AEIOUaeiou" and not word.lower().startswith(("eu", "uga", "ukr", "uni", "uru"))


def _edited(text: str, edits: Sequence[_Edit]) -> str:
    parts = []
    end = 0
    for edit in edits:
        parts += [text[end : edit.start], edit.new]
        end = edit.end
    return "".join([*parts, text[end:]])


def _moved(edits: Iterable[_Edit], place: int, is_end: bool) -> int:
    """Where an offset stands in the edited text: within an edit, a span is widened to the whole of it."""
    moved = place
    for edit in edits:
        if edit.end <= place:
            moved += len(edit.new) - (edit.end - edit.start)
        elif edit.start < place:
            moved += edit.start - place + (len(edit.new) if is_end else 0)
    return moved
