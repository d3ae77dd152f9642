"""Whatever can be measured, opened by name."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from framelens import (
    LABELS,
    CueKind,
    FramingClassifier,
    InputError,
    Label,
    ModelFormatError,
    ModelNotFoundError,
)
from framelens_evaluation.inputs.predictions import PredictionFile
from framelens_evaluation.inputs.systems import (
    Answers,
    FramingSystem,
    PipelineSystem,
    fitted_baseline,
    is_prediction_file,
    open_system,
    read_label_map,
)
from framelens_evaluation.statistics.metrics import NO_LABEL

if TYPE_CHECKING:
    from pathlib import Path

STATE, PLAIN, HEDGED = LABELS
WORDS = ("[PAD]", "[UNK]", "the", "bridge", "was", "reportedly", "hit", "glorious", "army", "reopened")
THEIRS = ("neutral", "boast", "threat", "doubt")
MAP = {"neutral": PLAIN, "boast": STATE, "threat": STATE, "doubt": HEDGED}


@dataclass(frozen=True)
class Sentence:
    text: str
    id: str | None = None
    context: str = ""


ROWS = [Sentence("the bridge was reportedly hit"), Sentence("glorious army"), Sentence("the bridge reopened")]


def save_classifier(
    folder: Path, names: tuple[str, ...] = THEIRS, *, pads: bool = True, headless: bool = False
):
    """A tiny BERT with random weights and a vocabulary of `WORDS`."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = {"unk_token": "[UNK]", **({"pad_token": "[PAD]"} if pads else {})}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=12,
        initializer_range=1.0,
        id2label=dict(enumerate(names)),
        label2id={name: at for at, name in enumerate(names)},
    )
    torch.manual_seed(0)
    kind = transformers.BertModel if headless else transformers.BertForSequenceClassification
    kind(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def foreign(tmp_path_factory) -> Path:
    """A model of four labels, none called as ours are."""
    return save_classifier(tmp_path_factory.mktemp("models") / "foreign")


@pytest.fixture(scope="module")
def bundled() -> FramingSystem:
    found = open_system("bundled")
    assert isinstance(found, FramingSystem)
    return found


# Opening. ----------------------------------------------------------------------------------------------


def test_the_bundled_model(bundled: FramingSystem) -> None:
    classifier = FramingClassifier()
    assert bundled.name == "framelens"
    assert bundled.digest == classifier.digest
    assert bundled.with_context == (classifier.context_sentences > 0)
    assert bundled.reads == ("sentence and context" if bundled.with_context else "sentence")


def test_a_folder_of_ours(tmp_path: Path, bundled: FramingSystem) -> None:
    from importlib.resources import as_file, files

    with as_file(files("framelens") / "bundled") as folder:
        shutil.copytree(folder, tmp_path / "mine")
    found = open_system(f"{tmp_path}/mine/", label_map=MAP)  # a map is for models that are not ours
    assert isinstance(found, FramingSystem)
    assert found.name == "mine"
    assert found.digest == bundled.digest


def test_baselines_by_name(train) -> None:
    for name in ("majority", "lexicon", "tfidf"):
        found = open_system(name, train=train)
        assert found.name == name
        assert found.reads == ("nothing" if name == "majority" else "sentence")
        assert found.digest is None
        answers = found.answer(train.labelled[:3])
        assert answers.given.tolist() == ([0, 0, 0] if name == "majority" else [0, 1, 2])
        assert (answers.given == answers.probabilities.argmax(-1)).all()


def test_baselines_without_training_sentences() -> None:
    lexicon = open_system("lexicon")
    answers = lexicon.answer([Sentence("The ferry reportedly sank."), Sentence("The ferry left.")])
    assert answers.given.tolist() == [2, 1]
    assert [len(spans) for spans in answers.evidence] == [1, 0]
    assert answers.evidence[0][0].kind is CueKind.HEDGE
    for name in ("majority", "tfidf"):
        with pytest.raises(InputError, match=rf"{name} is fitted in the run: .*--train"):
            open_system(name)
    with pytest.raises(InputError, match="majority, lexicon, tfidf, frozen"):
        fitted_baseline("oracle", None)


@pytest.mark.parametrize("name", ["found.jsonl", "found.JSONL.gz", "found.v2.csv", "found.tsv"])
def test_files_by_suffix(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    mark = "\t" if name.endswith(".tsv") else ","
    lines = (
        json.dumps({"text": "One.", "label": "hedged_claim"})
        if "json" in name.lower()
        else f"text{mark}label\nOne.{mark}hedged_claim"
    )
    path.write_bytes(gzip.compress(lines.encode()) if name.endswith(".gz") else lines.encode())
    found = open_system(str(path))
    assert isinstance(found, PredictionFile)
    assert found.answer([Sentence("One.")]).given.tolist() == [2]


def test_what_a_name_means(tmp_path: Path) -> None:
    assert is_prediction_file("none/here.parquet")
    assert not is_prediction_file("bundled")
    assert not is_prediction_file("someone/some-model")
    assert not is_prediction_file("found.jsonl.bak")
    (tmp_path / "model.csv").mkdir()
    assert not is_prediction_file(str(tmp_path / "model.csv"))


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the predictions"):
        open_system(str(tmp_path / "none.jsonl"))
    (tmp_path / "notes.txt").write_text("Notes.", encoding="utf-8")
    with pytest.raises(InputError, match=r"notes.txt is a file, and no table of predictions.*\.parquet"):
        open_system(str(tmp_path / "notes.txt"))
    with pytest.raises(ModelNotFoundError, match="neither a folder nor a hub id"):
        open_system(str(tmp_path / "no" / "such" / "folder"))
    pytest.importorskip("transformers")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelFormatError, match=r"is no framelens model: .*; transformers cannot load"):
        open_system(str(tmp_path / "empty"))


# Our model. --------------------------------------------------------------------------------------------


def test_refused_sentences_have_probabilities_too(bundled: FramingSystem) -> None:
    rows = [
        Sentence("Photo: the bridge at dusk"),
        Sentence("The ferry was reportedly hit.", context="It rained."),
        Sentence("By Jane Roe and John Doe"),
    ]
    found = bundled.answer(rows)
    assert found.given.tolist() == [NO_LABEL, 2, NO_LABEL]
    contexts = [row.context or None for row in rows] if bundled.with_context else None
    known = bundled.classifier.predict_proba([row.text for row in rows], context=contexts)
    assert np.allclose(found.probabilities, known, atol=1e-4)
    assert [bool(spans) for spans in found.evidence] == [False, True, False]


def test_context_is_given_only_where_it_is_read(model, gold) -> None:
    rows = gold.labelled
    alone, paired = (FramingSystem(model, with_context=flag).answer(rows) for flag in (False, True))
    assert alone.given.tolist() != paired.given.tolist()
    right = [LABELS.index(row.label) for row in rows]
    assert [given for given in paired.given.tolist() if given != NO_LABEL] == [right[0], *right[2:]]


def test_a_model_that_drops_sentences_is_refused(model, gold, monkeypatch) -> None:
    whole = model.label_many
    monkeypatch.setattr(model, "label_many", lambda *a, **k: list(whole(*a, **k))[1:])
    with pytest.raises(InputError, match="27 predictions for 28"):
        FramingSystem(model).answer(gold.sentences)


def test_some_of_the_answers(model, gold) -> None:
    answers = FramingSystem(model).answer(gold.sentences)
    kept = np.arange(28) % 3 == 0
    found = answers.of(kept)
    assert found.given.tolist() == answers.given[kept].tolist()
    assert found.evidence == tuple(answers.evidence[at] for at in range(0, 28, 3))
    assert Answers(answers.given, answers.probabilities).of(kept).evidence is None


@pytest.mark.parametrize("spec", ["bundled", "lexicon", "tfidf"])
def test_the_order_of_sentences_does_not_matter(spec: str, gold, train) -> None:
    system = open_system(spec, train=train)
    order = np.random.default_rng(0).permutation(len(gold.sentences))
    found = system.answer(gold.sentences)
    shuffled = system.answer([gold.sentences[at] for at in order])
    assert shuffled.given.tolist() == found.given[order].tolist()
    assert np.allclose(shuffled.probabilities, found.probabilities[order], atol=1e-4)
    assert system.answer([]).probabilities.shape == (0, 3)


# Models of others. -------------------------------------------------------------------------------------


def test_labels_are_mapped_and_add_up(foreign: Path) -> None:
    system = open_system(str(foreign), label_map=MAP)
    assert isinstance(system, PipelineSystem)
    assert (system.name, system.reads) == ("foreign", "sentence")
    found = system.answer(ROWS)
    transformers = pytest.importorskip("transformers")
    pipeline = transformers.pipeline("text-classification", model=str(foreign), device="cpu", top_k=None)
    for row, answer, given in zip(ROWS, found.probabilities, found.given, strict=True):
        (scores,) = pipeline([row.text])
        theirs = {each["label"]: each["score"] for each in scores}
        expected = [theirs["boast"] + theirs["threat"], theirs["neutral"], theirs["doubt"]]
        assert answer == pytest.approx(expected, abs=1e-5)
        assert given == np.argmax(expected)
    assert found.evidence is None
    assert len(set(np.round(found.probabilities[:, 0], 3))) > 1  # the texts matter


def test_batches_order_and_length_do_not_matter(foreign: Path) -> None:
    rows = [*ROWS, Sentence("the " * 200), Sentence("hit"), Sentence("no word known here")]
    together = PipelineSystem(str(foreign), MAP).answer(rows)
    singly = PipelineSystem(str(foreign), MAP, batch_size=1).answer(rows[::-1])
    assert np.allclose(together.probabilities, singly.probabilities[::-1], atol=1e-5)
    assert np.allclose(together.probabilities.sum(-1), 1)
    assert together.given.dtype == np.int64
    assert PipelineSystem(str(foreign), MAP).answer([]).probabilities.shape == (0, 3)


def test_a_tokeniser_without_padding(tmp_path: Path, foreign: Path) -> None:
    system = PipelineSystem(str(save_classifier(tmp_path / "plain", pads=False)), MAP)
    padded = PipelineSystem(str(foreign), MAP)
    assert np.allclose(system.answer(ROWS).probabilities, padded.answer(ROWS).probabilities)


def test_labels_called_as_ours_need_no_map(tmp_path: Path) -> None:
    names = (str(HEDGED), str(PLAIN))
    found = open_system(str(save_classifier(tmp_path / "two", names))).answer(ROWS)
    assert (found.probabilities[:, 0] == 0).all()
    assert (found.probabilities[:, 1:] > 0).all()
    assert set(found.given.tolist()) <= {1, 2}


def test_the_digest_tells_models_apart(foreign: Path, tmp_path: Path) -> None:
    shutil.copytree(foreign, tmp_path / "copy")
    digest = PipelineSystem(str(foreign), MAP).digest
    assert digest == PipelineSystem(str(tmp_path / "copy"), MAP).digest
    save_classifier(tmp_path / "other", (*THEIRS[::-1],))
    assert digest != PipelineSystem(str(tmp_path / "other"), MAP).digest


def test_labels_without_meaning(foreign: Path) -> None:
    with pytest.raises(InputError, match="gives the labels neutral, boast, threat, doubt; say with"):
        open_system(str(foreign))
    incomplete = {name: label for name, label in MAP.items() if name != "doubt"}
    for wrong in (incomplete, {**MAP, "rumour": HEDGED}, {}):
        with pytest.raises(InputError, match=r"once: expected boast, doubt, neutral, threat, got"):
            open_system(str(foreign), label_map=wrong)


def test_weights_without_a_trained_head_are_refused(tmp_path: Path) -> None:
    # transformers would make up a head at random, and say so in a log alone.
    folder = save_classifier(tmp_path / "encoder", headless=True)
    with pytest.raises(ModelFormatError, match=r"no trained classifier: .*bias, classifier\.weight"):
        open_system(str(folder), label_map=MAP)


def test_one_score_is_no_choice(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError, match="one score"):
        open_system(str(save_classifier(tmp_path / "one", ("score",))), label_map={"score": HEDGED})


def test_damaged_models(foreign: Path, tmp_path: Path) -> None:
    def damaged(name: str, content: bytes | None) -> str:
        folder = tmp_path / "damaged"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(foreign, folder)
        for path in folder.glob(name):
            path.unlink()
            if content is not None:
                path.write_bytes(content)
        return str(folder)

    for name, content in (
        ("config.json", b"{"),
        ("config.json", None),
        ("model.safetensors", b"junk"),
        ("model.safetensors", None),
    ):
        with pytest.raises(ModelFormatError, match="; transformers cannot load a classifier") as raised:
            open_system(damaged(name, content), label_map=MAP)
        assert "\n" not in str(raised.value)
    # Without its files transformers makes up a tokeniser that knows no word.
    with pytest.raises(ModelFormatError, match="no vocabulary"):
        open_system(damaged("token*", None), label_map=MAP)


def test_weights_of_another_shape_are_refused(foreign: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wider"
    shutil.copytree(foreign, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 32}), encoding="utf-8")
    with pytest.raises(ModelFormatError, match="transformers cannot load"):
        open_system(str(folder), label_map=MAP)


def test_the_folder_one_is_in_has_a_name(foreign: Path, monkeypatch) -> None:
    monkeypatch.chdir(foreign)
    assert open_system(".", label_map=MAP).name == foreign.name


# Label maps. -------------------------------------------------------------------------------------------


def test_reading_a_label_map(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({name: str(label) for name, label in MAP.items()}), encoding="utf-8")
    found = read_label_map(path)
    assert found == MAP
    assert all(isinstance(label, Label) for label in found.values())


@pytest.mark.parametrize(
    "content", ['{"a": "propaganda"}', '["a"]', "{", '{"a": ["hedged_claim"]}', "7", "\xff"]
)
def test_what_is_no_label_map(tmp_path: Path, content: str) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match="expected a JSON object of the model's labels to"):
        read_label_map(path)
    with pytest.raises(InputError, match="cannot read the label map"):
        read_label_map(tmp_path / "none.json")
