"""The contracts of labelling, held by every backend on the bundled model."""

import json
import math
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framelens import (
    LABELS,
    CueKind,
    FramingClassifier,
    InputError,
    Label,
    LabelledDocument,
    ModelFormatError,
    Prediction,
    Status,
)
from framelens.classifier import LOOKAHEAD

DATA = Path(__file__).parents[1] / "data"
LINES = (DATA / "judged_sentences.jsonl").read_text(encoding="utf-8").splitlines()
JUDGED = [json.loads(line) for line in LINES]
TEXTS = [row["text"] for row in JUDGED if row["label"]]
CRASS = {
    "The convoy was reportedly hit near the bridge.": Label.HEDGED_CLAIM,
    "It could not be independently verified how many ships had left the port.": Label.HEDGED_CLAIM,
    "Parliament passed the budget by 212 votes to 140.": Label.INDEPENDENT_REPORTING,
    "Our invincible army under the great leader crushed the puppet clique's mercenaries.": (
        Label.STATE_MEDIA_FRAMING
    ),
}
#: bfloat16 keeps 8 bits, and its sums depend on the shapes that they are taken over.
TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2, "int8": 0.0}

few_examples = settings(max_examples=15, deadline=None)
any_text = st.text(max_size=200) | st.sampled_from(TEXTS)


class Endless:
    """The same text without end, counting how often it was taken."""

    def __init__(self, text: str) -> None:
        self.taken = 0
        self._text = text

    def __iter__(self) -> Iterator[str]:
        while True:
            self.taken += 1
            yield self._text


def labels_of(document: LabelledDocument) -> list[Label | None]:
    return [sentence.prediction.label for sentence in document.sentences]


def tolerance(classifier: FramingClassifier) -> float:
    return TOLERANCE[classifier._backend.precision]


@pytest.mark.parametrize(("text", "label"), CRASS.items())
def test_crass_cases(any_classifier: FramingClassifier, text: str, label: Label) -> None:
    assert any_classifier.label(text).label is label


def test_far_better_than_chance_on_sentences_of_our_own(any_classifier: FramingClassifier) -> None:
    """Not a measurement: a model with its labels in another order would score about a third."""
    gold = [row["label"] for row in JUDGED if row["label"]]
    assert np.mean(any_classifier.predict(TEXTS) == np.array(gold)) > 0.7


def test_predict_is_the_argmax_of_predict_proba(any_classifier: FramingClassifier) -> None:
    probabilities = any_classifier.predict_proba(TEXTS)
    assert probabilities.shape == (len(TEXTS), len(LABELS))
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    assert any_classifier.predict(TEXTS).tolist() == [str(LABELS[i]) for i in probabilities.argmax(1)]


def test_labels_do_not_depend_on_batch_mates(any_classifier: FramingClassifier) -> None:
    together = any_classifier.predict_proba(TEXTS)
    alone = np.concatenate([any_classifier.predict_proba([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=tolerance(any_classifier))


def test_label_and_label_many_and_predict_proba_agree(any_classifier: FramingClassifier) -> None:
    probabilities = any_classifier.predict_proba(TEXTS)
    for row, found in zip(probabilities, any_classifier.label_many(TEXTS), strict=True):
        if found.status is Status.OK:
            np.testing.assert_allclose(
                [found.probabilities[label] for label in LABELS], row, atol=tolerance(any_classifier)
            )
            assert found.label is max(LABELS, key=lambda label, found=found: found.probabilities[label])


@few_examples
@given(texts=st.lists(any_text | st.none() | st.integers() | st.just("\ud800"), max_size=12))
def test_one_prediction_a_record_in_order(classifier: FramingClassifier, texts: list[object]) -> None:
    found = list(classifier.label_many(texts))  # type: ignore[arg-type]
    assert len(found) == len(texts)
    for text, prediction in zip(texts, found, strict=True):
        assert prediction.text == (text if isinstance(text, str) else "")
        if not isinstance(text, str) or text == "\ud800":
            assert prediction.status is Status.ERROR
            assert prediction.error
        elif not text.strip():
            assert prediction.status is Status.EMPTY
        assert (prediction.label is not None) == (prediction.status is Status.OK)


@few_examples
@given(text=any_text, context=st.none() | any_text)
def test_evidence_lies_in_the_text(classifier: FramingClassifier, text: str, context: str | None) -> None:
    found = classifier.label(text, context)
    end = 0
    for span in found.evidence:
        assert end <= span.start < span.end <= len(text)
        assert 0 <= span.score <= 1
        end = span.end
    json.dumps(found.to_dict(), allow_nan=False)


def test_evidence_names_the_deciding_words(classifier: FramingClassifier) -> None:
    text = "The convoy was reportedly hit near the bridge."
    spans = [(text[span.start : span.end], span.kind) for span in classifier.label(text).evidence]
    assert any("reportedly" in words and kind is CueKind.HEDGE for words, kind in spans)
    with_context = classifier.label(text, "The roads were closed.").evidence
    assert any("reportedly" in text[span.start : span.end] for span in with_context)


def test_label_many_reads_no_more_than_a_window_ahead(classifier: FramingClassifier) -> None:
    texts = Endless("")
    next(classifier.label_many(texts))
    assert texts.taken <= LOOKAHEAD


def test_empty_documents_fill_the_window_too(classifier: FramingClassifier) -> None:
    texts = Endless(" ")
    assert next(classifier.label_documents(texts)).sentences == ()
    assert texts.taken <= LOOKAHEAD


def test_long_sentences_are_cut_and_say_so(classifier: FramingClassifier) -> None:
    found = classifier.label("The ministry said the harbour was closed. " * 200)
    assert found.truncated
    assert not classifier.label("The ministry said the harbour was closed.").truncated


def test_a_cut_context_is_no_truncation(classifier: FramingClassifier) -> None:
    assert not classifier.label("The harbour was closed.", "The ministry spoke. " * 300).truncated


def test_a_long_context_keeps_its_end(classifier: FramingClassifier) -> None:
    before, far = "A ministry spokesman answered questions.", "Rain fell on the hills. " * 100
    sentence = "The harbour was closed by saboteurs, he added."
    near = classifier.predict_proba([sentence], [far + before])
    same = classifier.predict_proba([sentence], ["Snow lay. " + far + before])
    np.testing.assert_allclose(near, same, atol=1e-6)


def test_document_offsets_and_profile(classifier: FramingClassifier) -> None:
    for path in sorted((DATA / "articles").glob("*.txt")):
        text = path.read_bytes().decode()
        document = classifier.label_document(text)
        assert [sentence.index for sentence in document.sentences] == list(range(len(document.sentences)))
        for sentence in document.sentences:
            assert text[sentence.start : sentence.end] == sentence.prediction.text
        profile = document.profile
        assert profile.n_sentences == len(document.sentences)
        assert sum(profile.counts.values()) + profile.n_unlabelled == profile.n_sentences
        assert math.isclose(sum(profile.shares.values()), 1)


def test_documents_together_are_labelled_as_alone(classifier: FramingClassifier) -> None:
    texts = [path.read_bytes().decode() for path in sorted((DATA / "articles").glob("*.txt"))]
    texts.insert(1, "")
    for text, document in zip(texts, classifier.label_documents(texts), strict=True):
        alone = classifier.label_document(text)
        assert document.text == text
        assert labels_of(document) == labels_of(alone)


def test_a_splitter_can_be_replaced(classifier: FramingClassifier) -> None:
    class Lines:
        def spans(self, text: str) -> list[tuple[int, int]]:
            middle = text.index("\n")
            return [(0, middle), (middle + 1, len(text))]

    document = classifier.label_document("The port. It reopened.\nShips left at noon.", Lines())
    found = [sentence.prediction.text for sentence in document.sentences]
    assert found == ["The port. It reopened.", "Ships left at noon."]


def test_thresholds_move_without_the_model(classifier: FramingClassifier) -> None:
    document = classifier.label_document("The harbour was closed. Ships may have left at noon.")
    assert document.profile.n_abstained == 0
    strict = document.with_threshold(1.0)
    assert strict.profile.n_abstained == 2
    assert strict.sentences[0].prediction.label is document.sentences[0].prediction.label
    assert FramingClassifier(abstain_below=1.0).label("The harbour was closed.").abstained
    with pytest.raises(InputError, match="between 0 and 1"):
        document.with_threshold(1.5)


def test_predictions_are_frozen(classifier: FramingClassifier) -> None:
    found = classifier.label("The harbour was closed.")
    assert isinstance(found, Prediction)
    with pytest.raises(FrozenInstanceError):
        found.label = None  # type: ignore[misc]


def test_refusals_say_what_was_got(classifier: FramingClassifier) -> None:
    with pytest.raises(InputError, match="got int"):
        classifier.label(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"for one sentence use label\(\)"):
        next(classifier.label_many("one sentence"))
    with pytest.raises(InputError, match="an empty one at index 1"):
        classifier.predict(["a", " "])
    with pytest.raises(InputError, match="context ended before texts"):
        list(classifier.label_many(["A ship left.", "A ship came."], ["Before."]))
    with pytest.raises(InputError, match="texts ended before context"):
        list(classifier.label_many(["A ship left."], ["Before.", "After."]))
    with pytest.raises(InputError, match=r"for one text use label_document\(\)"):
        next(classifier.label_documents("one text"))
    with pytest.raises(InputError, match="got NoneType at index 1"):
        list(classifier.label_documents(["A ship left.", None]))  # type: ignore[list-item]
    with pytest.raises(InputError, match="as context, got int"):
        classifier.predict_proba(["A ship left."], [5])  # type: ignore[list-item]
    with pytest.raises(InputError, match="threads"):
        FramingClassifier(threads=0)
    with pytest.raises(InputError, match="got 'abacus'"):
        FramingClassifier.from_pretrained(device="abacus")
    with pytest.raises(InputError, match="batch_size"):
        FramingClassifier(batch_size=0)
    with pytest.raises(InputError, match="got 'jax'"):
        FramingClassifier.from_pretrained(backend="jax")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="bf16 and fp16 need backend='torch'"):
        FramingClassifier.from_pretrained(precision="bf16")


def test_nothing_in_gives_nothing_out(classifier: FramingClassifier) -> None:
    assert list(classifier.label_many([])) == []
    assert classifier.predict([]).shape == (0,)
    assert classifier.predict_proba([]).shape == (0, len(LABELS))
    assert classifier.label_document(" \n").sentences == ()


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match=r"config\.json, tokenizer\.json, model\.safetensors missing"):
        FramingClassifier.from_pretrained(tmp_path)
