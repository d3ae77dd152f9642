"""A round of annotation: sentences of a pool are chosen and written blind for judges.

A row of ``key.jsonl`` is an item: its blind ``id`` and the pool's own (``source_id``), ``text`` and
``context``, the ``stratum`` it was chosen for with its ``score`` or ``inclusion_probability`` (see
`framelens_training.choose.Choice`), the ``group`` that was balanced, digests of the ``models``, the ``seed``,
``provenance`` from the pool, ``shown_from`` where the text begins that judges see, behind a dateline, and
``sheets``: [batch, place], from 0, by judge.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from framelens.errors import InputError
from framelens.inputs import find_inputs
from framelens.manifest import describe_inputs, versions
from framelens.readers import ReadOptions, read_records
from framelens_training.build import RECORD
from framelens_training.choose import Known, choose
from framelens_training.data import SPLITS
from framelens_training.files import write_json
from framelens_training.leakage import evaluation_sets, fingerprints, read_fingerprints
from framelens_training.pool import blind_id
from framelens_training.references import SHIPPED, read_references
from framelens_training.sheets import deal, write_round

if TYPE_CHECKING:
    from collections.abc import Sequence

    from framelens.progress import Reporter
    from framelens_training.choose import Choice, Choices, SampleOptions

__all__ = ["read_known", "sample"]

_FINGERPRINTS: Final = ".txt.gz"
_TEST: Final = "test.jsonl.gz"
#: The stream of random numbers of the order of the items, beside those of `framelens_training.choose`.
_SHUFFLE: Final = 9


def read_known(
    names: Sequence[str],
    data_dir: Path | None = None,
    *,
    again: bool = False,
    shipped: Path = SHIPPED.parent,
) -> Known:
    """What is not to be chosen.

    Args:
        names: files and folders of tables with a column ``text``, folders of ``framelens-train data``, and
            ``.txt.gz`` files of fingerprints.
        data_dir: folder of data, of which ``annotated/`` and every evaluation set is known.
        again: whether what is annotated, in the folder or by the package's references, may be judged again.
        shipped: folder of the references and of the test set that the package has; all of their sentences
            and the test set's articles are known.

    Raises:
        InputError: a file cannot be read.
    """
    tables = [table for name in names if not name.endswith(_FINGERPRINTS) for table in _tables_of(name)]
    if data_dir is not None and not again and (data_dir / "annotated").is_dir():
        tables.append(str(data_dir / "annotated"))
    records = read_records(find_inputs(tables).files, ReadOptions(text_column="text"))
    texts = tuple(record.text for record in records if record.text.strip())
    known = fingerprints(texts)
    for name in names:
        if name.endswith(_FINGERPRINTS):
            known |= read_fingerprints(Path(name))
    if data_dir is not None:
        known.update(*(prints for _, prints in evaluation_sets(data_dir).values()))
    if again:
        return Known(known, texts)
    test = read_references(shipped / _TEST)
    judged = [*read_references(shipped / SHIPPED.name), *test]
    return Known(
        known,
        texts,
        frozenset(reference.text for reference in judged),
        frozenset(reference.article for reference in test),
    )


def _tables_of(name: str) -> list[str]:
    """A name as it is, but for a folder that was built: of that its three sets, as far as they hold rows."""
    if not (Path(name) / RECORD).is_file():
        return [name]
    paths = [Path(name) / f"{part}.jsonl" for part in SPLITS]
    return [str(path) for path in paths if path.is_file() and path.stat().st_size]


def sample(
    names: Sequence[str], out: Path, options: SampleOptions, reporter: Reporter, known: Known | None = None
) -> Choices:
    """Choose sentences of a pool and write them as a round; see `framelens_training.sheets`.

    Args:
        names: of the pool's files, folders and patterns.
        out: folder of the round; must not exist or be empty.
        options: what is asked for.
        reporter: is told how far it is.
        known: what is not to be chosen.

    Raises:
        InputError: the folder is in use, or the pool, a model or an option cannot be used.
        JobError: the pool changed while it was read.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(
            f"{out}: expected a new or empty folder, got one in use; name another for this round"
        )
    choices = choose(names, options, reporter, known)
    rng = np.random.default_rng([options.seed, _SHUFFLE])
    chosen = [choices.chosen[at] for at in rng.permutation(len(choices.chosen))]
    rows = [_key_row(choice, choices, options, out.resolve().name) for choice in chosen]
    dealt = deal([row["id"] for row in rows], options.judges, options.double, options.batch, options.seed)
    manifest = {
        "options": asdict(options),
        "asked": options.counts,
        "chosen": choices.counts,
        "models": choices.models,
        "pool": describe_inputs(choices.files),
        "population": choices.population,
        "versions": versions(),
    }
    # Written beside and moved, so that a round is there as a whole or not at all.
    begun = out.resolve().with_name(f".{out.resolve().name}.begun")
    shutil.rmtree(begun, ignore_errors=True)
    begun.mkdir(parents=True)
    write_round(begun, rows, dealt)
    write_json(begun / "manifest.json", manifest)
    if out.exists():
        out.rmdir()
    begun.rename(out)
    return choices


def _key_row(choice: Choice, choices: Choices, options: SampleOptions, name: str) -> dict[str, Any]:
    number = re.search(r"\d+$", name)
    sentence = choice.sentence
    return {
        "id": blind_id(sentence.text),
        "source_id": sentence.source_id,
        "text": sentence.text,
        "context": sentence.context,
        "stratum": choice.stratum,
        "score": choice.score,
        "inclusion_probability": choice.inclusion_probability,
        "group": sentence.group,
        "round": None if number is None else int(number[0]),
        "models": choices.models,
        "seed": options.seed,
        "provenance": sentence.provenance,
    }
