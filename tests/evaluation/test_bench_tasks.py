"""The declarations: complete, consistent, and sourced."""

from __future__ import annotations

import re

import pytest

from framelens import InputError, Label
from framelens_evaluation.bench.tasks import all_tasks, pick_tasks, read_task

NAMES = (
    "babe_sg2",
    "basil",
    "checkthat2023_subj_en",
    "conll2010_wiki",
    "mpqa12_sentences",
    "newsdiscourse",
    "polnear",
    "ptc_emnlp2019",
)
DECLARATION = """
name = "tides"
title = "Tides"
asks = "Does the sentence speak of a tide?"
file = "tides.jsonl.gz"
licence = "made up"
group = "doc_id"
group_is = "article"
none_comparable = "made up"
homes = [{ repository = "nobody/tides", commit = "0123456789012345678901234567890123456789", path = "tides" }]

[labels]
yes = "tide"
no = "none"

[splits]
kind = "published"
dev = "published"

[metric]
kind = "f1"
of = "tide"
"""
PUBLISHED = '[[published]]\nsystem = "T"\nvalue = 0.5\nsource = "S"\n'


def test_every_set_is_declared() -> None:
    assert tuple(all_tasks()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_declaration_is_complete(name: str) -> None:
    task = all_tasks()[name]
    assert task.name == name
    assert task.file == f"{name}.jsonl.gz"
    assert len(task.classes) >= 2
    assert bool(task.published) != bool(task.none_comparable)
    assert all(0 < published.value < 1 and published.source for published in task.published)
    assert task.homes
    assert task.licence
    assert task.asks.endswith("?")
    # An address is only given where it follows from the source's own name.
    for published in task.published:
        if published.url is not None:
            name_in_url = re.sub(r"^https://(aclanthology\.org|arxiv\.org/abs)/", "", published.url)
            assert name_in_url in published.source


def test_sets_that_the_bundled_model_was_fitted_on_say_so() -> None:
    assert {name for name, task in all_tasks().items() if task.overlaps_training} == {
        "mpqa12_sentences",
        "newsdiscourse",
    }


def test_the_set_that_repeats_itself_is_measured_without_repeats() -> None:
    assert [name for name, task in all_tasks().items() if task.deduplicated] == ["ptc_emnlp2019"]


def test_zero_shot_names_one_of_our_labels() -> None:
    tasks = all_tasks()
    assert tasks["ptc_emnlp2019"].zero_shot is Label.STATE_MEDIA_FRAMING
    assert tasks["conll2010_wiki"].zero_shot is Label.HEDGED_CLAIM


def test_tasks_are_picked_once_and_in_order() -> None:
    assert [task.name for task in pick_tasks(["polnear", "basil", "polnear"])] == ["polnear", "basil"]
    assert len(pick_tasks([])) == len(NAMES)
    with pytest.raises(InputError, match=r"expected a task among babe_sg2.*got 'tides'"):
        pick_tasks(["tides"])


def test_a_sound_declaration_is_read() -> None:
    task = read_task("tides", DECLARATION)
    assert task.classes == ("tide", "none")
    assert task.positive == 0
    assert str(task.metric) == "F1 of tide"
    assert task.finetuning.epochs == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[labels]", "[labels", "no TOML"),
        ('of = "tide"', "", "names a class"),
        ('of = "tide"', 'of = "wave"', "one of two classes"),
        ('no = "none"', 'no = "none"\nmaybe = "perhaps"', "one of two classes"),
        ('none_comparable = "made up"', "", "either published figures or none_comparable"),
        ("[labels]", f"{PUBLISHED}[labels]", "either published figures or none_comparable"),
        ('kind = "published"', 'kind = "cross-validation"', "cuts its dev"),
        ("[labels]", 'leaves_out = { yes = "unclear" }\n[labels]', "used or left out"),
        ('title = "Tides"', 'titel = "Tides"', "titel|title"),
        ('commit = "0123', 'commit = "xyz', "commit"),
        ('kind = "f1"\nof = "tide"', 'kind = "accuracy"', "kind"),
    ],
)
def test_what_is_wrong_in_a_declaration_is_named(old: str, new: str, message: str) -> None:
    assert old in DECLARATION
    with pytest.raises(InputError, match=message) as raised:
        read_task("tides", DECLARATION.replace(old, new, 1))
    assert "the task tides" in str(raised.value)


def test_zero_shot_needs_a_class() -> None:
    text = DECLARATION.replace('kind = "f1"\nof = "tide"', 'kind = "macro-f1"')
    assert read_task("tides", text).positive is None
    with pytest.raises(InputError, match="zero_shot needs"):
        read_task("tides", f'zero_shot = "hedged_claim"\n{text}')
