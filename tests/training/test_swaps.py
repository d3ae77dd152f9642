"""Swapped states: the table, mentions and swaps by hand, what never changes, and fits that read them."""

from __future__ import annotations

import json
import random
import re
import signal
import tomllib
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tokenizers import Tokenizer

from framelens.encoding import PairEncoder
from framelens_training.features import ContextDropout, sentence_features
from framelens_training.recipe import TrainRecipe
from framelens_training.states import FORMS, PEOPLE, States, shipped_states
from framelens_training.swaps import SwappedSentences, swap

if TYPE_CHECKING:
    from pathlib import Path

    from framelens_training.recipe import Recipe

TABLE = {
    "leave": ["Ruria Post"],
    "ruria": {
        "names": ["Ruria"],
        "adjectives": ["Rurian"],
        "people": ["Rurians"],
        "capitals": ["Moskau", "~Moskva"],
        "the_seats": ["Keep"],
        "presidents": ["Ivan Orlov / Iwan Orlow", "Boris Lund|"],
        "ministers": ["Anna Frost (f)"],
        "agencies": ["RANA"],
    },
    "isles": {
        "the_names": ["Isles", "IU", "~I.U."],
        "adjectives": ["Islish"],
        "persons": ["Isleman"],
        "people": ["Islish"],
        "capitals": ["Port Ada"],
        "seats": ["Harbour Row"],
        "presidents": ["Omar al-Dain|Dain", "Peter Quill"],
        "ministers": ["Zora Finch (f)"],
        "agencies": ["INS"],
        "the_agencies": ["Isles News Service"],
    },
}
PAIR = States(TABLE)
SHIPPED = shipped_states()
HEAVY = States({**TABLE, "third": {"names": ["Thirdland"], "adjectives": ["Third"], "people": ["Thirds"]}})


def row(text: str, context: str = "", cue: list[int] | None = None, name: str = "one") -> dict[str, Any]:
    return {"id": name, "text": text, "context": context, "cue": cue, "label": None, "rule": "X"}


def swapped(text: str, states: States = PAIR, seed: int = 0) -> str | None:
    found = swap(row(text), random.Random(seed), states)
    return found and str(found["text"])


def every(text: str, n: int = 40) -> set[str | None]:
    """What many draws make of a text, where both states have several forms."""
    return {swapped(text, seed=seed) for seed in range(n)}


# The table that ships.


def test_the_table_has_states_of_all_continents() -> None:
    assert len(SHIPPED.by_name) >= 45
    continents = {
        "russia", "germany", "china", "iran", "india", "united_states", "brazil", "egypt", "south_africa",
        "australia", "north_korea", "ukraine", "israel", "palestine", "cuba",
    }  # fmt: skip
    assert continents <= SHIPPED.by_name.keys()


@pytest.mark.parametrize("name", [*SHIPPED.by_name])
def test_every_state_can_stand_for_others(name: str) -> None:
    state = SHIPPED.by_name[name]
    assert state.written.get("names") or state.written.get("the_names")
    for field in ("adjectives", "persons", "people", "capitals"):
        assert state.written[field]
    assert {"presidents", "premiers", "monarchs"} & state.people.keys()
    assert state.people["ministers"]
    for field, people in state.people.items():
        assert len(people) == len({person.spellings[0][0] for person in people}), field
        for person in people:
            for whole, surname in person.spellings:
                assert surname is None or surname in whole
    for field, forms in state.read.items():
        assert len({*forms}) == len(forms), field
        assert set(state.written.get(field, ())) <= {*forms}


def test_the_table_holds_nothing_but_its_fields() -> None:
    content = files("framelens_training").joinpath("swaps.toml").read_text(encoding="utf-8")
    for name, fields in tomllib.loads(content).items():
        if name != "leave":
            assert fields.keys() <= {*FORMS, *PEOPLE}, name
            forms = [form for values in fields.values() for form in values]
            assert all(form == form.strip() and form for form in forms), name


def test_forms_of_two_states_are_only_these() -> None:
    owners: dict[str, set[str]] = {}
    for name, state in SHIPPED.by_name.items():
        for forms in state.read.values():
            for form in forms:
                owners.setdefault(form, set()).add(name)
        for people in state.people.values():
            for person in people:
                for whole, _ in person.spellings:
                    owners.setdefault(whole, set()).add(name)
    shared = {form for form, names in owners.items() if len(names) > 1}
    assert shared == {"Korean", "Koreans", "King Abdullah"}


@pytest.mark.parametrize("name", [*SHIPPED.by_name])
def test_every_written_form_is_found_as_what_it_is(name: str) -> None:
    for field, forms in SHIPPED.by_name[name].written.items():
        for form in forms:
            [mention] = SHIPPED.find([form])[0]
            assert (mention.start, mention.end, mention.state) == (0, len(form), name), (field, form)
    for people in SHIPPED.by_name[name].people.values():
        for person in people:
            [mention] = SHIPPED.find([person.spellings[0][0]])[0]
            assert (mention.state, mention.whole) == (name, True)


def test_no_surname_is_a_common_word() -> None:
    words = "May Park Moon Brown Rice Key English Hague Straw Cook Bishop Fox Martin Price Ban Hunt Ma Su II"
    for word in words.split():
        assert SHIPPED.find([f"{word} came."]) == [[]]


# Finding.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ruria fell.", ["Ruria"]),
        ("Rurian Rurians in Ruria's Moskau", ["Rurian", "Rurians", "Ruria", "Moskau"]),
        ("pro-Rurian, Ruria-Isles", ["Rurian", "Ruria", "Isles"]),
        ("the I.U. and the IU", ["I.U.", "IU"]),
        ("RURIA and RURIAN", ["RURIA", "RURIAN"]),
        ("Ivan Orlov met Iwan Orlow, Orlov, Orlow", ["Ivan Orlov", "Iwan Orlow", "Orlov", "Orlow"]),
        ("al-Dain and Al-Dain and Dain", ["al-Dain", "Al-Dain", "Dain"]),
        # Neither small letters, nor parts of words, nor surnames that the table withholds.
        ("ruria, Rurias, aRuria, Ruria2, Ruria_x, keep, Lund", []),
        # Neither addresses nor handles, nor what is to be left, nor a part of a double name.
        ("www.Ruria.com @Ruria http://x.y/Ruria", []),
        ("the Ruria Post, RURIA POST, Ali Alqasi-RANA", []),
        ("", []),
    ],
)
def test_mentions(text: str, expected: list[str]) -> None:
    [found] = PAIR.find([text])
    assert [text[mention.start : mention.end] for mention in found] == expected


@pytest.mark.parametrize(
    ("texts", "state"),
    [
        (["Korean ships left.", "Pyongyang was silent."], "north_korea"),
        (["Korean ships left.", "Seoul was silent."], "south_korea"),
        (["Korean ships left.", ""], "north_korea"),
    ],
)
def test_a_shared_form_is_read_by_what_else_is_named(texts: list[str], state: str) -> None:
    assert SHIPPED.find(texts)[0][0].state == state


def test_a_shared_surname_is_read_as_who_else_is_named() -> None:
    for named, field in (("Hillary Clinton", "ministers"), ("Bill Clinton", "presidents")):
        for mention in SHIPPED.find([f"{named} came late. Clinton smiled."])[0]:
            assert mention.field == field


# Swaps by hand.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Rurian guns", {"Islish guns"}),
        ("A Rurian ship", {"An Islish ship"}),
        ("It is a Rurian ship.", {"It is an Islish ship."}),
        ("an Islish ship", {"a Rurian ship"}),
        ("vitamin A Rurian guns", {"vitamin A Islish guns"}),
        ("a pro-Rurian man", {"a pro-Islish man"}),
        ("A Rurian was seen.", {"An Isleman was seen."}),
        ("An Isleman was seen.", {"A Rurian was seen."}),
        ("Rurians' boats", {None}),
        ("The Islish have left.", {"The Rurians have left."}),
        ("Ruria's fleet", {"The Isles' fleet", "The IU's fleet"}),
        ("from Ruria to Moskva", {"from the Isles to Port Ada", "from the IU to Port Ada"}),
        ("The Isles' fleet", {"Ruria's fleet"}),
        ("the IU’s fleet", {"Ruria’s fleet"}),
        ("IU-backed men of the IU navy", {"Ruria-backed men of the Rurian navy"}),
        ("The IU said so.", {"Ruria said so."}),
        ("He left the I.U.", {"He left Ruria."}),
        ("He left the I.U.”", {"He left Ruria.”"}),
        ("The I.U. has left.", {"Ruria has left."}),
        ("‘He left the Isles’", {"‘He left Ruria’"}),
        # The article cannot stand behind a verb, and the sentence stays as it is.
        ("They love Ruria.", {None}),
        ("the Ruria talks", {"the Isles talks", "the IU talks"}),
        ("MOSKAU - RURIA's fleet", {"PORT ADA - THE ISLES' fleet", "PORT ADA - THE IU'S fleet"}),
        ("The Keep said no.", {"Harbour Row said no."}),
        ("Harbour Row said no.", {"The Keep said no."}),
        ("a Keep aide", {"a Harbour Row aide"}),
        ("RANA reports", {"INS reports", "Isles News Service reports"}),
        ("by the Isles News Service, he", {"by RANA, he"}),
        ("Anna Frost met Frost", {"Zora Finch met Finch"}),
        ("Ivan Orlov’s aide Orlow", {"Omar al-Dain’s aide Dain", "Peter Quill’s aide Quill"}),
        ("al-Dain spoke", {"Orlov spoke"}),
        # Only one of the two has a surname that may stand alone.
        ("Quill met al-Dain", {None}),
        ("Quill met Omar al-Dain", {"Orlov met Boris Lund"}),
        ("Nobody of note came.", {None}),
    ],
)
def test_swaps_by_hand(text: str, expected: set[str | None]) -> None:
    assert every(text) == expected


def test_two_states_change_places_where_there_is_no_third() -> None:
    assert every("Rurian and Islish") == {"Islish and Rurian"}


def test_a_target_without_a_counterpart_is_passed_over() -> None:
    assert {swapped("Rurian guns", HEAVY, seed) for seed in range(40)} == {"Islish guns", "Third guns"}
    assert {swapped("Rurian guns at Moskau", HEAVY, seed) for seed in range(40)} == {
        "Islish guns at Port Ada"
    }


def test_the_shipped_table_keeps_forms_together() -> None:
    text = "Russian guns fell silent, Moscow and the Kremlin said, and Russians slept."
    for seed in range(30):
        found = swapped(text, SHIPPED, seed)
        assert found is not None
        states = {mention.state for mention in SHIPPED.find([found])[0]}
        assert len(states) == 1
        assert "russia" not in states


@pytest.mark.parametrize(
    ("word", "article"),
    [
        ("Ukrainian", "a"),
        ("Uzbek", "an"),
        ("Ugandan", "a"),
        ("Egyptian", "an"),
        ("Australian", "an"),
        ("Emirati", "an"),
        ("Kenyan", "a"),
    ],
)
def test_articles_of_the_shipped_table(word: str, article: str) -> None:
    results = {str(swapped("Then a Cuban ship sank.", SHIPPED, seed)) for seed in range(1500)}
    assert f"Then {article} {word} ship sank." in results
    assert len(results) > 60


# Cues and context.


@pytest.mark.parametrize(
    ("text", "cue", "expected"),
    [
        ("A Rurian man, reportedly, left.", "reportedly", "reportedly"),
        ("Reportedly a Rurian man left.", "Reportedly", "Reportedly"),
        ("It told a Rurian lie today.", "a Rurian lie", "an Islish lie"),
        ("It told a Rurian lie today.", "Rurian", "Islish"),
        # A span that cuts a mention is widened to the whole of it.
        ("Ivan Orlov lied.", "Orlov lied", "Peter Quill lied"),
        ("They say that Ivan Orlov lied.", "say that Ivan", "say that Peter Quill"),
    ],
)
def test_cues_go_with_their_words(text: str, cue: str, expected: str) -> None:
    start = text.index(cue)
    given_row = row(text, cue=[start, start + len(cue)])
    found = {
        new["text"][slice(*new["cue"])]
        for seed in range(20)
        if (new := swap(given_row, random.Random(seed), PAIR)) is not None
    }
    assert expected in found
    assert len(found) == (2 if "Orlov" in text else 1)


def test_context_goes_with_its_sentence() -> None:
    for seed in range(10):
        found = swap(row("Moskau fell.", "Rurian guns."), random.Random(seed), PAIR)
        assert found is not None
        assert (found["text"], found["context"]) == ("Port Ada fell.", "Islish guns.")
    found = swap(row("It fell.", "Rurian guns."), random.Random(0), PAIR)
    assert found is not None
    assert (found["text"], found["context"]) == ("It fell.", "Islish guns.")


def test_the_given_row_and_its_other_columns_stay() -> None:
    given_row = row("Rurian guns", cue=[0, 6]) | {"label": "hedged_claim", "sure": 0}
    before = json.dumps(given_row)
    found = swap(given_row, random.Random(0), PAIR)
    assert json.dumps(given_row) == before
    assert found is not None
    assert {**found, "text": 0, "cue": 0} == {**given_row, "text": 0, "cue": 0}


# What holds of every sentence.

PLAIN = [
    "tin",
    "harbour",
    "slowly",
    "—",
    "(",
    ")",
    ",",
    "2031",
    "reportedly",
    "\u00a0",
    "“",
    "of",
    "in",
    "the",
]
NAMED = [
    form
    for name in ("russia", "ukraine", "iran", "china", "germany", "north_korea", "cuba", "egypt", "canada")
    for forms in SHIPPED.by_name[name].written.values()
    for form in forms
]
sentences = st.lists(st.sampled_from(PLAIN) | st.sampled_from(NAMED), min_size=1, max_size=12).map(" ".join)
seeds = st.integers(0, 10_000)


def skeleton(text: str) -> list[str]:
    """What is left of a text without its mentions and articles."""
    parts = []
    end = 0
    for mention in SHIPPED.find([text])[0]:
        parts.append(text[end : mention.start])
        end = mention.end
    return re.sub(r"\b[Tt]he\b", " ", " ".join([*parts, text[end:]])).split()


@given(sentences, seeds)
def test_nothing_changes_beside_mentions(text: str, seed: int) -> None:
    found = swapped(text, SHIPPED, seed)
    if found is not None:
        assert skeleton(found) == skeleton(text)


@given(sentences, seeds)
def test_states_go_to_other_states_one_to_one(text: str, seed: int) -> None:
    found = swapped(text, SHIPPED, seed)
    if found is None:
        return
    before, after = SHIPPED.find([text])[0], SHIPPED.find([found])[0]
    pairs = {(old.state, new.state) for old, new in zip(before, after, strict=True)}
    assert len({old for old, _ in pairs}) == len({new for _, new in pairs}) == len(pairs)
    assert all(old != new for old, new in pairs)


@given(st.lists(st.sampled_from(PLAIN), min_size=1).map(" ".join), seeds)
def test_a_text_without_mentions_is_left(text: str, seed: int) -> None:
    assert swapped(text, SHIPPED, seed) is None


@given(sentences, sentences, seeds)
def test_a_cue_between_mentions_keeps_its_words(before: str, after: str, seed: int) -> None:
    cue = "it was whispered, they add,"
    start = len(before) + 1
    given_row = row(f"{before} {cue} {after}", cue=[start, start + len(cue)])
    found = swap(given_row, random.Random(seed), SHIPPED)
    if found is not None:
        assert found["text"][slice(*found["cue"])] == cue


@given(st.text(max_size=40), st.text(max_size=40), seeds, st.data())
def test_any_text_gives_a_cue_within_it(before: str, after: str, seed: int, data: st.DataObject) -> None:
    text = f"{before}Russia{after}"
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    found = swap(row(text, cue=[start, end]), random.Random(seed), SHIPPED)
    if found is not None:
        assert 0 <= found["cue"][0] < found["cue"][1] <= len(found["text"])


@given(sentences, seeds)
def test_a_draw_can_be_repeated(text: str, seed: int) -> None:
    assert swapped(text, SHIPPED, seed) == swapped(text, SHIPPED, seed)


# What a fit reads.

NEWS = [
    row("Moscow said that Russian farmers had sown early.", "Rain fell.", name="a"),
    row("The herring boats came home at noon.", "", name="b"),
    row("In Cuba the ferries do not run.", "Havana was dark.", [15, 22], name="c"),
]


@pytest.fixture
def encoder(tiny_base: Path) -> PairEncoder:
    return PairEncoder(Tokenizer.from_file(str(tiny_base / "tokenizer.json")), 64)


def read(encoder: PairEncoder, share: float, epoch: int = 0, seed: int = 0, hidden: float = 0.0) -> list[Any]:
    rows = [{**one, "label": "hedged_claim", "rule": "H1"} for one in NEWS]
    lone, paired = (sentence_features(rows, encoder, context) for context in (False, True))
    plain = ContextDropout(paired, lone, hidden, seed)
    shown = SwappedSentences(plain, rows, encoder, share, seed)
    shown.set_epoch(epoch)
    assert len(shown) == len(rows)
    return [shown[i] for i in range(len(rows))]


def test_share_0_shows_every_sentence_as_it_is(encoder: PairEncoder) -> None:
    rows = [{**one, "label": "hedged_claim", "rule": "H1"} for one in NEWS]
    assert read(encoder, 0.0) == sentence_features(rows, encoder, context=True)


def test_share_1_shows_other_states_in_every_epoch(encoder: PairEncoder) -> None:
    plain = read(encoder, 0.0)
    epochs = [read(encoder, 1.0, epoch) for epoch in range(4)]
    for shown in epochs:
        assert [new["pair"].ids == old["pair"].ids for new, old in zip(shown, plain, strict=True)] == [
            False, True, False,
        ]  # fmt: skip
        assert [new["label"] for new in shown] == [old["label"] for old in plain]
        assert any(shown[2]["tags"])
    assert len({str(shown[0]["pair"].ids) for shown in epochs}) == 4
    assert epochs[2] == read(encoder, 1.0, 2)
    assert epochs[2] != read(encoder, 1.0, 2, seed=1)


def test_a_hidden_context_stays_hidden(encoder: PairEncoder) -> None:
    for share in (0.0, 1.0):
        assert all({*new["pair"].type_ids} == {0} for new in read(encoder, share, hidden=1.0))
        assert {*read(encoder, share)[0]["pair"].type_ids} == {0, 1}


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_a_share(share: float) -> None:
    with pytest.raises(ValidationError, match="swap_share"):
        TrainRecipe(swap_share=share)


# At the end of the second epoch: what is gone on with is a checkpoint within it.
KILLS = ("checkpoint-28", None)


def test_a_killed_fit_draws_the_same_states_again(
    rows: list[dict[str, Any]],
    tiny_base: Path,
    make_recipe: Any,
    make_data: Any,
    fit_in_process: Any,
    tmp_path: Path,
) -> None:
    # Every training sentence names a state, behind which its cue moves on.
    opening = "Cuba waits: "
    for one in rows:
        one["text"] = opening + one["text"]
        one["cue"] = one["cue"] and [place + len(opening) for place in one["cue"]]
    data = make_data(tmp_path / "data", rows)
    runs = {}
    for name, share, kills in (("plain", 0.0, KILLS[1:]), ("once", 1.0, KILLS[1:]), ("again", 1.0, KILLS)):
        train = TrainRecipe(epochs=2, batch_size=2, learning_rate=3e-3, swap_share=share)
        recipe: Recipe = make_recipe(tiny_base).model_copy(update={"train": train})
        runs[name] = tmp_path / name
        for killed_before in kills:
            expected = 0 if killed_before is None else -signal.SIGKILL
            assert fit_in_process(recipe, runs[name], data, killed_before) == expected

    def content(run: str, file: str) -> bytes:
        return (runs[run] / file).read_bytes()

    for file in ("model/model.safetensors", "metrics.jsonl", "dev_predictions.jsonl"):
        assert content("again", file) == content("once", file)
        assert content("plain", file) != content("once", file)
    # The sentences themselves are what was built, of every split.
    for split in ("train", "dev", "test"):
        assert content("once", f"splits/{split}.jsonl") == content("plain", f"splits/{split}.jsonl")
        assert b"Cuba waits" in content("once", f"splits/{split}.jsonl")
