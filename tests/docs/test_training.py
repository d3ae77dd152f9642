"""docs/training.md is held against the files that it counts."""

from __future__ import annotations

import re
from pathlib import Path

from framelens_training.references import SHIPPED, read_references
from framelens_training.seed import read_seed

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def said(pattern: str) -> int:
    found = re.search(pattern.replace("N", "([0-9,]+)"), PAGE)
    assert found, pattern
    return int(found[1].replace(",", ""))


def test_the_seed_set_is_as_described() -> None:
    sentences = read_seed()
    assert said("set\\*\\*: N sentences that we wrote") == len(sentences)
    assert said("about N countries") == len({each.country for each in sentences})
    assert said("and N topics") == len({each.topic for each in sentences})
    assert said("in N\ncontrast sets") == len({each.set for each in sentences if each.set})


def test_the_references_are_as_described() -> None:
    training, test = read_references(SHIPPED), read_references(SHIPPED.with_name("test.jsonl.gz"))
    assert said("ships N judged sentences") == len(training) + len(test)
    assert said("N sentences of held-out outlets") == len(test)
    assert said("articles, N of them drawn at random") == sum(each.stratum == "natural" for each in test)
    assert said("the N on which the two differed") == sum(bool(each.adjudicated) for each in test)
    apart = [[judge for judge, _, _ in each.judgements or ()] for each in test]
    assert all({"A", "B"} <= set(judges) for judges in apart)
    assert not {each.id for each in training} & {each.id for each in test}
