"""Whether near-duplicates are found: by hand, by law, and beside a second implementation."""

from __future__ import annotations

import gzip
import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framelens.errors import InputError
from framelens.sentences import NewsSplitter
from framelens_training.leakage import (
    RUN_WORDS,
    clean_context,
    evaluation_sets,
    fingerprints,
    leaks,
    owned_fingerprints,
    read_fingerprints,
    sets_of,
    source_of_leak,
)

if TYPE_CHECKING:
    from pathlib import Path

SENTENCE = "The ferry to Nordholm left two hours late because fog had closed the outer harbour."
KNOWN = fingerprints([SENTENCE])


def words(prefix: str, n: int) -> list[str]:
    return [f"{prefix}{i}" for i in range(n)]


@pytest.mark.parametrize(
    "text",
    [
        SENTENCE,
        SENTENCE.upper(),
        "“The ferry to Nordholm left two hours late, because fog had closed the outer harbour”",
        "the ferry to nordholm left two hours late because fog had closed the outerharbour",
    ],
)
def test_equal_up_to_case_and_punctuation_leaks(text: str) -> None:
    assert leaks(text, KNOWN)


def test_a_sentence_with_a_few_words_more_leaks() -> None:
    assert leaks(SENTENCE.removesuffix(".") + ", the port said.", KNOWN)
    assert leaks("On Monday " + SENTENCE, KNOWN)


def test_a_piece_of_eight_words_of_a_known_sentence_leaks() -> None:
    assert leaks("left two hours late because fog had closed", KNOWN)


def test_shorter_pieces_do_not_leak() -> None:
    assert not leaks("left two hours late because fog had", KNOWN)
    assert not leaks("The ferry left.", KNOWN)


def test_another_word_order_does_not_leak() -> None:
    assert not leaks(
        "Because fog had closed the outer harbour, the ferry to Nordholm left two hours late.", KNOWN
    )


def test_short_texts_leak_when_equal_alone() -> None:
    known = fingerprints(["Nobody was hurt."])
    assert leaks("NOBODY was hurt", known)
    assert not leaks("Nobody was hurt there.", known)


@pytest.mark.parametrize(
    ("shared_runs", "all_runs", "expected"),
    [(4, 8, False), (5, 8, True), (3, 7, False), (4, 7, True), (1, 2, False)],
)
def test_more_than_half_of_the_runs_must_be_known(shared_runs: int, all_runs: int, expected: bool) -> None:
    shared = words("old", shared_runs + RUN_WORDS - 1)
    text = [*shared, *words("new", all_runs - shared_runs)]
    assert len(text) - RUN_WORDS + 1 == all_runs
    assert leaks(" ".join(text), fingerprints([" ".join([*shared, *words("rest", 20)])])) is expected


def test_runs_of_several_known_texts_count_together() -> None:
    first, second = words("a", 10), words("b", 10)
    both = " ".join([*first, *second])
    known = fingerprints([" ".join(first)])
    assert not leaks(both, known)  # 3 of 13 runs
    known |= fingerprints([" ".join([*first[3:], *second[:6]])])
    assert leaks(both, known)  # 3 + 6 of 13


@given(st.text(), st.lists(st.text(), max_size=3))
def test_a_text_leaks_against_its_own_fingerprints(text: str, others: list[str]) -> None:
    assert leaks(text, fingerprints([text, *others]))


def texts_over(letters: str) -> st.SearchStrategy[str]:
    return st.lists(st.text(letters, min_size=1, max_size=4), min_size=1, max_size=25).map(" ".join)


@given(texts_over("abc"), st.lists(texts_over("xyz"), max_size=4))
def test_texts_without_a_common_word_never_leak(text: str, others: list[str]) -> None:
    assert not leaks(text, fingerprints(others))


def similar(text: str, others: list[str]) -> bool:
    """The rule of the module's docstring, on words instead of on digests."""

    def runs(of: str) -> list[tuple[str, ...]]:
        tokens = re.findall(r"\w+", of.lower())
        return list(zip(*(tokens[i:] for i in range(8)), strict=False))

    known = {run for other in others for run in runs(other)}
    bare = {"".join(re.findall(r"\w", other.lower())) for other in others}
    mine = runs(text)
    hits = [run for run in mine if run in known]
    return "".join(re.findall(r"\w", text.lower())) in bare or len(hits) > len(mine) / 2


@given(st.data())
def test_agrees_with_an_implementation_on_words(data: st.DataObject) -> None:
    # Two words only, and pieces of the others: runs are shared often.
    others = data.draw(
        st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=14), min_size=1, max_size=3)
    )
    source = data.draw(st.sampled_from(others))
    cut = data.draw(st.integers(0, len(source)))
    tail = data.draw(st.lists(st.sampled_from(["a", "B", "c,"]), max_size=6))
    text, joined = " ".join([*source[cut:], *tail]), [" ".join(other) for other in others]
    assert leaks(text, fingerprints(joined)) is similar(text, joined)


@given(st.lists(st.text(), max_size=5))
def test_fingerprints_of_all_are_the_union_of_each(texts: list[str]) -> None:
    assert fingerprints(texts) == set().union(*(fingerprints([text]) for text in texts))


def test_fingerprints_tell_nothing_of_the_text() -> None:
    assert all(re.fullmatch("[0-9a-f]{16}", found) for found in KNOWN)
    assert len(KNOWN) == 1 + len(SENTENCE.split()) - RUN_WORDS + 1


def test_read_fingerprints_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "fingerprints.txt.gz"
    with gzip.open(path, "wt", encoding="ascii") as lines:
        lines.writelines(f"{found}\n" for found in sorted(KNOWN))
    assert read_fingerprints(path) == KNOWN


@pytest.mark.parametrize(
    "content", [None, b"no gzip", gzip.compress(b"0" * 999)[:-9], gzip.compress(b"\xff")]
)
def test_fingerprints_that_cannot_be_read_are_refused_by_name(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "absent.gz").write_bytes(content)
    with pytest.raises(InputError, match=r"absent\.gz cannot be read"):
        read_fingerprints(tmp_path / "absent.gz")


@given(texts_over("ab"), st.lists(texts_over("ab"), min_size=1, max_size=4))
def test_a_leak_is_traced_to_a_sentence_that_shares_something(text: str, others: list[str]) -> None:
    owners = owned_fingerprints((str(i), other) for i, other in enumerate(others))
    assert owners.keys() == fingerprints(others)
    found = source_of_leak(text, owners)
    assert (found is None) is not leaks(text, owners)
    if found is not None:
        assert fingerprints([text]) & fingerprints([others[int(found)]])


def test_a_leak_is_traced_to_the_sentence_that_shares_most() -> None:
    first, second = " ".join(words("a", 10)), " ".join(words("b", 12))
    owners = owned_fingerprints([("first", first), ("second", second)])
    assert source_of_leak(f"{first} {second}"[:-4], owners) is None
    assert source_of_leak(" ".join([*words("a", 8), *words("b", 12)][7:]), owners) == "second"
    assert source_of_leak(first.upper(), owners) == "first"


@given(st.dictionaries(st.sampled_from("xyz"), st.sets(st.sampled_from("abcdef"))))
def test_sets_together_know_what_each_knows_and_name_the_first(known: dict[str, set[str]]) -> None:
    owners = sets_of(known)
    assert owners.keys() == set().union(*known.values())
    for found, name in owners.items():
        assert name == next(one for one, its in known.items() if found in its)


OTHER = "Nobody at the port would say when the harbour would be open to larger ships again."


@pytest.mark.parametrize(
    ("context", "left"),
    [
        ("", ""),
        (OTHER, OTHER),
        (SENTENCE, ""),
        (f"{OTHER} {SENTENCE}", ""),
        (f"{SENTENCE} {OTHER}", OTHER),
        # A context is held to more than a sentence: one run of eight words is enough.
        (f"In spring the ferry to Nordholm left two hours late because of nets. {OTHER}", OTHER),
        (f"In spring the ferry to Nordholm left two hours late. {OTHER}", OTHER),
        (
            f"In spring the ferry to Nordholm left two. {OTHER}",
            f"In spring the ferry to Nordholm left two. {OTHER}",
        ),
        # The sentence stands there across what the splitter takes for an end.
        ("It is true. The ferry to Nordholm left! Two hours late because fog had closed.", ""),
    ],
)
def test_a_context_is_cut_behind_the_last_sentence_that_is_known(context: str, left: str) -> None:
    assert clean_context(context, KNOWN, NewsSplitter()) == left


@given(st.lists(st.sampled_from([SENTENCE, OTHER, "Rain fell.", "Then the fog came back."]), max_size=4))
def test_what_is_left_of_a_context_is_its_end_and_shares_nothing(sentences: list[str]) -> None:
    known = fingerprints([SENTENCE, "Rain fell."])
    context = " ".join(sentences)
    left = clean_context(context, known, NewsSplitter())
    assert context.endswith(left)
    assert not fingerprints([left]) & known
    kept = sentences[::-1]
    bad = next((i for i, each in enumerate(kept) if each in (SENTENCE, "Rain fell.")), len(kept))
    assert left == " ".join(kept[:bad][::-1])


def test_the_evaluation_sets_of_a_folder_are_its_sealed_ones_and_the_public_test_splits(
    tmp_path: Path,
) -> None:
    assert evaluation_sets(tmp_path) == {}
    for name in ("sealed", "bench"):
        (tmp_path / name).mkdir()
    sealed = tmp_path / "sealed" / "fingerprints.txt.gz"
    with gzip.open(sealed, "wt", encoding="ascii") as lines:
        lines.writelines(f"{found}\n" for found in KNOWN)
    for name, split in (("hedges", "test"), ("roles", "train")):
        with gzip.open(tmp_path / "bench" / f"{name}.jsonl.gz", "wt", encoding="utf-8") as lines:
            lines.writelines(
                json.dumps({"text": f"A {kind} of {name}.", "split": kind}) + "\n"
                for kind in ("train", "dev", split)
            )
    assert evaluation_sets(tmp_path) == {
        "sealed": (sealed, KNOWN),
        "hedges test": (tmp_path / "bench" / "hedges.jsonl.gz", fingerprints(["A test of hedges."])),
    }
