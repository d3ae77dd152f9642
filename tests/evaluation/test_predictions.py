"""A file of predictions as a system."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens import LABELS, CueKind, Evidence, FramingClassifier, InputError
from framelens.cli import app
from framelens_evaluation.inputs.predictions import PredictionFile, parse_evidence
from framelens_evaluation.inputs.systems import FramingSystem
from framelens_evaluation.statistics.metrics import NO_LABEL, encode_labels

if TYPE_CHECKING:
    from pathlib import Path

STATE, PLAIN, HEDGED = LABELS
SPAN = {"start": 4, "end": 9, "kind": "hedge_cue", "score": 0.5}


@dataclass(frozen=True)
class Sentence:
    text: str
    id: str | None = None
    context: str = ""


def prediction(text: str | None = None, label=PLAIN, **more) -> dict[str, object]:
    found: dict[str, object] = {} if text is None else {"text": text}
    return {**found, "label": label, **more}


def shares(*values: object) -> dict[str, object]:
    return {f"p_{label}": value for label, value in zip(LABELS, values, strict=True)}


def jsonl(path: Path, *rows: dict[str, object]) -> PredictionFile:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return PredictionFile(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "found.jsonl"


# Joining. ----------------------------------------------------------------------------------------------


def test_joined_by_text(path: Path) -> None:
    system = jsonl(path, prediction("One.", STATE), prediction("Two.", HEDGED), prediction("Three.", PLAIN))
    found = system.answer([Sentence("Two.", "a"), Sentence("One.", "b")])
    assert found.given.tolist() == [2, 0]
    assert np.isnan(found.probabilities).all()
    assert found.probabilities.shape == (2, 3)
    assert found.evidence is None
    assert (system.name, system.reads) == ("found.jsonl", "a file")
    assert system.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_joined_by_id_before_text(path: Path) -> None:
    # The texts are equal; only the ids tell the rows apart.
    system = jsonl(path, prediction("Same.", STATE, id="x"), prediction("Same.", HEDGED, id="y"))
    assert system.answer([Sentence("Same.", "y"), Sentence("Same.", "x")]).given.tolist() == [2, 0]
    assert jsonl(path, prediction(None, STATE, id=7)).answer([Sentence("Any.", "7")]).given.tolist() == [0]


def test_a_sentence_without_id_gets_the_row_that_no_id_took(path: Path) -> None:
    rows = [prediction("Same.", STATE, id="x"), prediction("Same.", HEDGED, id="y")]
    for asked in ([Sentence("Same."), Sentence("Same.", "x")], [Sentence("Same.", "x"), Sentence("Same.")]):
        found = jsonl(path, *rows).answer(asked).given.tolist()
        assert dict(zip([each.id for each in asked], found, strict=True)) == {"x": 0, None: 2}


def test_equal_texts_are_answered_in_their_order(path: Path) -> None:
    system = jsonl(path, prediction("Same.", STATE), prediction("Other."), prediction("Same.", HEDGED))
    assert system.answer([Sentence("Same."), Sentence("Same.")]).given.tolist() == [0, 2]
    assert system.answer([Sentence("Same.")]).given.tolist() == [0]  # each call begins anew
    with pytest.raises(InputError, match=r"has no prediction for the sentence 'Same\.', or too few"):
        system.answer([Sentence("Same.")] * 3)


def test_what_is_missing_is_named(path: Path) -> None:
    system = jsonl(path, prediction("One.", id="a"))
    with pytest.raises(InputError, match="no prediction for the sentence 'b'"):
        system.answer([Sentence("Two.", "b")])
    with pytest.raises(InputError, match=r"sentence 'y{60}…'"):
        system.answer([Sentence("y" * 90)])


def test_an_id_stands_for_one_sentence(path: Path) -> None:
    with pytest.raises(InputError, match="row 2: the id 'a' stands in the file twice"):
        jsonl(path, prediction("One.", id="a"), prediction("Two.", id="a"))
    with pytest.raises(InputError, match="two sentences have one id"):
        jsonl(path, prediction("One.", id="a")).answer([Sentence("One.", "a"), Sentence("One.", "a")])


def test_an_id_with_another_text_is_another_data_set(path: Path) -> None:
    texts = ["One.", "  Two\n words.", ""]
    system = jsonl(path, *(prediction(text, id=str(at)) for at, text in enumerate(texts)))
    assert system.answer([Sentence("Two words.", "1"), Sentence("Any.", "2")]).given.tolist() == [1, 1]
    with pytest.raises(InputError, match="row 1 has the id '0' of a sentence with another text"):
        system.answer([Sentence("Something else.", "0")])


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 3)), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_and_sentences_does_not_matter(tmp_path_factory, items, random) -> None:
    # Those with an id share one text.
    sentences = [
        Sentence("Same.", f"s{at}") if named else Sentence(f"Number {at}.")
        for at, (named, _) in enumerate(items)
    ]
    rows = [
        {"text": each.text, "id": each.id, "label": None if code == NO_LABEL else LABELS[code]}
        for each, (_, code) in zip(sentences, items, strict=True)
    ]
    random.shuffle(rows)
    system = jsonl(tmp_path_factory.mktemp("any") / "found.jsonl", *rows)
    order = list(range(len(items)))
    random.shuffle(order)
    assert system.answer(sentences).given.tolist() == [code for _, code in items]
    assert system.answer([sentences[at] for at in order]).given.tolist() == [items[at][1] for at in order]


# What a row holds. -------------------------------------------------------------------------------------


def test_refusals_probabilities_and_evidence(path: Path) -> None:
    system = jsonl(
        path,
        prediction("One.", None, **shares(None, None, None), evidence=[]),
        prediction("Two.", "", **shares(0.2, 0.5, 0.3)),
        prediction("It reportedly leaks.", HEDGED, **shares(0.1, 0.2, 0.7), evidence=[SPAN]),
        prediction("Four.", PLAIN, **shares("0.25", "0.5", "0.25"), evidence=json.dumps([SPAN])),
        prediction("Five.", PLAIN, **shares(float("nan"), 0.5, 0.5)),
        prediction("Six.", PLAIN),
    )
    texts = ["One.", "Two.", "It reportedly leaks.", "Four.", "Five.", "Six."]
    found = system.answer([Sentence(text) for text in texts])
    assert found.given.tolist() == [NO_LABEL, NO_LABEL, 2, 1, 1, 1]
    assert np.isnan(found.probabilities).all(-1).tolist() == [True, False, False, False, True, True]
    assert found.probabilities[3].tolist() == [0.25, 0.5, 0.25]
    span = Evidence(4, 9, CueKind.HEDGE, 0.5)
    assert found.evidence == ((), (), (span,), (span,), (), ())


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (prediction("One.", "propaganda"), "expected a label among state_media_framing.* got 'propaganda'"),
        (prediction("One.", 1), "expected a label among"),
        (prediction("One.", ["hedged_claim"]), "expected a label among"),
        (prediction("One.", **shares(20, 50, 30)), r"sum to 1, got \[20, 50, 30\]"),
        (prediction("One.", **shares(-0.2, 0.7, 0.5)), "sum to 1"),
        (prediction("One.", **shares("high", 0, 0)), "expected probabilities, got"),
        (prediction("One.", evidence="glorious"), "expected evidence as a list of spans"),
        (prediction("One.", evidence=[{"start": 0}]), "expected evidence as a list of spans"),
    ],
)
def test_a_row_that_is_no_prediction(path: Path, row, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        jsonl(path, row).answer([Sentence("One.")])
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_rounded_probabilities_are_taken(path: Path) -> None:
    found = jsonl(path, prediction("One.", **shares(0.33, 0.33, 0.33))).answer([Sentence("One.")])
    assert found.probabilities.tolist() == [[0.33, 0.33, 0.33]]


def test_a_row_without_a_label_column_is_no_refusal(path: Path) -> None:
    with pytest.raises(InputError, match="row 2 has no label"):
        jsonl(path, prediction("One."), {"text": "Two."})


def test_files_that_are_no_predictions(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the predictions"):
        PredictionFile(tmp_path / "none.csv")
    with pytest.raises(InputError, match="columns label and id or text, got text, verdict"):
        jsonl(tmp_path / "a.jsonl", {"text": "One.", "verdict": "fine"})
    with pytest.raises(InputError, match="columns label and id or text, got label"):
        jsonl(tmp_path / "b.jsonl", {"label": "hedged_claim"})
    (tmp_path / "c.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match="Parquet"):
        PredictionFile(tmp_path / "c.parquet")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, ()),
        ("", ()),
        ("[]", ()),
        ([], ()),
        ([SPAN], (Evidence(4, 9, CueKind.HEDGE, 0.5),)),
        (json.dumps([SPAN]), (Evidence(4, 9, CueKind.HEDGE, 0.5),)),
    ],
)
def test_evidence(value: object, expected: tuple[Evidence, ...]) -> None:
    assert parse_evidence(value) == expected


@pytest.mark.parametrize("value", ["{", "3", "null", [3], [{**SPAN, "kind": "other"}], 3])
def test_what_is_no_evidence(value: object) -> None:
    with pytest.raises(InputError, match="list of spans"):
        parse_evidence(value)


# Formats, and what our own command writes. --------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_other_tables(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"found{suffix}"
    probabilities = shares([0.1, 0.3], [0.2, 0.3], [0.7, 0.4])
    columns = {"id": ["1", "2"], "label": ["hedged_claim", None], **probabilities}
    if suffix == ".parquet":
        pq.write_table(pa.table({**columns, "id": [1, 2]}), path)
    else:
        mark = "," if suffix == ".csv" else "\t"
        lines = [columns, *zip(*columns.values(), strict=True)]
        text = "\n".join(mark.join("" if cell is None else str(cell) for cell in line) for line in lines)
        path.write_text(text + "\n", encoding="utf-8")
    found = PredictionFile(path).answer([Sentence("Two.", "2"), Sentence("One.", "1")])
    assert found.given.tolist() == [NO_LABEL, 2]
    assert found.probabilities.tolist() == [[0.3, 0.3, 0.4], [0.1, 0.2, 0.7]]


@pytest.fixture(scope="module")
def sentences() -> list[Sentence]:
    return [
        Sentence("The ferry was reportedly hit near the pier.", "s1", "It rained."),
        Sentence("Our glorious army crushed the puppet clique's bandits.", "s2"),
        Sentence("Photo: the pier at dusk", "s3"),
        Sentence('The mayor said, "We open, on Monday; at 9."', "s4", "A, B; C."),
        Sentence("The ferry was reportedly hit near the pier.", "s5", "The sun shone."),
    ]


@pytest.mark.parametrize("name", ["found.jsonl", "found.jsonl.gz", "found.csv", "found.parquet"])
def test_the_output_of_our_command(tmp_path: Path, sentences: list[Sentence], name: str) -> None:
    source = tmp_path / "gold.jsonl"
    rows = [{**vars(each), "label": "hedged_claim"} for each in sentences]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    out = tmp_path / name
    with pytest.raises(SystemExit) as left:
        app(["label", str(source), "--context-column", "context", "-o", str(out)])
    assert not left.value.code
    direct = FramingSystem(FramingClassifier(), with_context=True).answer(sentences)
    order = [3, 0, 4, 2, 1]
    found = PredictionFile(out).answer([sentences[at] for at in order])
    assert found.given.tolist() == direct.given[order].tolist()
    assert found.given[3] == NO_LABEL  # the caption, and not the gold label that stands in its row
    labelled = found.given != NO_LABEL
    assert np.allclose(found.probabilities[labelled], direct.probabilities[order][labelled], atol=1e-4)
    assert np.isnan(found.probabilities[~labelled]).all()
    assert direct.evidence is not None
    assert found.evidence is not None
    for spans, known in zip(found.evidence, [direct.evidence[at] for at in order], strict=True):
        assert [(span.start, span.end, span.kind) for span in spans] == [
            (span.start, span.end, span.kind) for span in known
        ]
    assert encode_labels([HEDGED])[0] in found.given
