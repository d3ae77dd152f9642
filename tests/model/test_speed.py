"""Measuring this machine: the sentences, whole commands, and what is recommended."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from statistics import mean
from typing import TYPE_CHECKING

import pytest

from framelens import FramingClassifier, InputError, JobError, cli, speed
from framelens.bundle import find_bundle
from framelens.encoding import PairEncoder
from framelens.speed import (
    PATHS,
    LabelPath,
    Measured,
    built_in_sentences,
    last_line,
    measure_machine,
    recommend,
    render_speed,
    run_path,
    same_labels,
    why_not,
    write_corpus,
)

if TYPE_CHECKING:
    from pathlib import Path

BF16 = PATHS["bf16"].options


def test_built_in_sentences_are_of_the_length_of_news_and_never_repeat() -> None:
    texts = built_in_sentences(1000)
    assert len(texts) == len(set(texts)) == 1000
    assert texts[:40] == built_in_sentences(40)
    assert all(60 <= len(text) <= 270 for text in texts)
    assert len({text.translate(str.maketrans("", "", "0123456789")) for text in texts}) == 40
    bundle = find_bundle()
    encoder = PairEncoder(bundle.tokenizer(), bundle.config.max_tokens, reads_context=False)
    assert 33 <= mean(map(len, encoder.encode([(text, None) for text in texts]))) <= 36


def test_every_path_is_the_plain_command_or_needs_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not(PATHS["default"]) is None
    unknown = LabelPath("x", "x", ("--backend", "torch", "--warp", "9"))
    assert why_not(unknown) == "framelens label has no --warp"
    assert why_not(LabelPath("x", "x", modules=("no_such_module",))) == "no_such_module is not installed"
    monkeypatch.setattr(speed, "_multiplies_bf16", lambda device: device == "cuda")
    if importlib.util.find_spec("torch") and importlib.util.find_spec("transformers"):
        assert "bfloat16" in str(why_not(PATHS["bf16"]))
        assert why_not(PATHS["bf16"], "cuda") is None
        assert why_not(PATHS["torch"]) is None
        assert why_not(PATHS["fp16"]) == "fp16 is for GPUs"


def test_a_run_gives_every_sentence_the_label_it_gets_alone(tmp_path: Path) -> None:
    texts = [*built_in_sentences(11), "Photo: a ferry", "  "]
    write_corpus(texts, tmp_path / "in.jsonl")
    run = run_path(PATHS["default"], tmp_path / "in.jsonl", tmp_path / "out", workers=1, shard_size=4)
    assert (run.sentences, run.workers) == (13, 1)
    assert run.answers["doc_id"].to_pylist() == [f"{i:09}" for i in range(13)]
    alone = [prediction.label for prediction in FramingClassifier().label_many(texts)]
    assert run.answers["label"].to_pylist() == [None if label is None else str(label) for label in alone]
    assert run.answers["label"].null_count == 2
    assert same_labels(run.answers, run.answers) == (11, 11)
    turned = run.answers.set_column(1, "label", run.answers["label"].take([1, 0, *range(2, 13)]))
    differ = run.answers["label"][0] != run.answers["label"][1]
    assert same_labels(run.answers, turned) == (11, 9 if differ else 11)


def test_a_run_that_fails_says_why_and_how_to_repeat_it(tmp_path: Path) -> None:
    write_corpus(["It rained."], tmp_path / "in.jsonl")
    with pytest.raises(
        JobError, match=r"^framelens label --model no/such/model.*: error: .no/such/model"
    ) as caught:
        run_path(
            PATHS["default"],
            tmp_path / "in.jsonl",
            tmp_path / "out",
            model="no/such/model",
            workers=1,
            shard_size=9,
        )
    assert "\n" not in str(caught.value)


def test_the_last_line_that_says_something() -> None:
    assert last_line(b"first\nsecond\n \n") == "second"
    assert last_line(b"caf\xe9") == "caf\ufffd"
    assert last_line(b"") == "it said nothing"


def measured(rate: float | None, n_same: int = 100, options: tuple[str, ...] = (), n: int = 64) -> Measured:
    return Measured("x", "x", options, n, rate, 100, n_same)


def test_recommends_the_fastest_that_labels_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "available_cores", lambda: 64)
    plain = "framelens label CORPUS -o OUT/"
    assert (
        recommend([measured(100), measured(300, options=BF16)]) == f"{plain} --backend torch --precision bf16"
    )
    assert recommend([measured(100), measured(109, options=BF16)]) == plain, "a gain too small for an extra"
    assert recommend([measured(100), measured(900, n_same=98, options=("--fast",))]) == plain, "other labels"
    assert recommend([measured(100), measured(900, n_same=99, options=("--fast",))]) == f"{plain} --fast"
    assert recommend([measured(100), measured(None, n_same=0), measured(90)]) == plain
    assert recommend([measured(100), measured(150, n=1)]) == f"{plain} --workers 1"
    with pytest.raises(InputError, match="got none"):
        recommend([measured(None)])


def test_info_measures_this_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speed, "_SENTENCES_OF_WORKER", 20)
    monkeypatch.setattr(speed, "available_cores", lambda: 1)
    monkeypatch.setattr(
        speed, "PATHS", PATHS | {"odd": LabelPath("odd", "an odd one", ("--warp",)), "fails": _FAILS}
    )
    monkeypatch.setattr(speed, "_MEASURED", ("default", "odd", "fails"))
    monkeypatch.setattr(sys, "argv", ["framelens", "info", "--speed", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    found = json.loads(capsys.readouterr().out)
    default, odd, fails = found["paths"]
    assert found["reference"] == "default"
    assert (found["n_sentences"], default["n_compared"], default["n_same"]) == (20, 20, 20)
    assert default["sentences_per_second"] > 0
    assert default["hours"] == pytest.approx(1e7 / default["sentences_per_second"] / 3600)
    assert odd["why_not"] == "framelens label has no --warp"
    assert odd["sentences_per_second"] is odd["hours"] is None
    assert fails["why_not"].startswith("framelens label --device cpu --precision int8")
    assert "exit code 2: error: " in fails["why_not"]
    assert found["recommended"] == "framelens label CORPUS -o OUT/"

    from rich.console import Console

    console = Console(width=100, file=io.StringIO())
    console.print(render_speed(found))
    shown = console.file.getvalue()
    assert "20 of 20" in shown
    assert "an odd one: framelens label has no --warp" in shown
    assert "framelens label CORPUS -o OUT/" in shown


_FAILS = LabelPath("fails", "no such thing", ("--precision", "int8", "--backend", "onnx"))


def test_without_the_default_path_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_MEASURED", ("default",))
    with pytest.raises(JobError, match="no/such/model"):
        measure_machine("no/such/model", workers=1)
