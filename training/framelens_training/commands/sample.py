"""``framelens-train sample``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from framelens.choices import Unit as UnitChoice
from framelens.errors import InputError
from framelens_training.console import app, say

if TYPE_CHECKING:
    from framelens_training.choose import Choices

__all__ = ["sample"]

_HELP = (
    "Choose the next sentences to annotate, and write them blind for judges.\n\n"
    "POOL is tables (.jsonl, .csv, .tsv, .parquet, most also .gz or .zst) and folders of them: of "
    "sentences, with the columns text, context and if you like id; or of articles, whose text is split "
    "into sentences. Other columns are provenance: they go into the key and are shown to no judge.\n\n"
    "The sentences are of four strata. In each, outlets (--by) take turns, and no article gives more than "
    "--per-article in all.\n\n"
    "    natural       drawn at random; each has its probability beside it, for weighted figures\n\n"
    "    uncertain     the model's two likeliest labels are closest\n\n"
    "    disagreement  several models, such as seeds of one recipe, differ most\n\n"
    "    diverse       farthest from all that is chosen or has been judged before\n\n"
    "Nothing is chosen that repeats, or nearly repeats, another one, a sentence of --exclude, or of the "
    "data folder's annotated and evaluation sets; nor what the package's references and test set hold, or "
    "an article of that test set.\n\n"
    "Examples:\n\n"
    "    framelens-train sample raw/*.jsonl.gz -n 600 -o round4/\n\n"
    "    framelens-train sample raw/ -n 5000 -o round5/ --model seed1/ --model seed2/ --judges 4\n\n"
    "    framelens-train sample raw/ -n 1500 -o gold/ --strategy random --double 1.0\n\n"
    "Afterwards give every judge README.md and one judgeN/ (sheets batchNN.txt to answer in batchNN.tsv, "
    "or labelstudio.json to import into a project with labelstudio.xml). Keep key.jsonl and "
    "manifest.json to yourself: they tell where each sentence is from. Then: "
    "framelens-train adjudicate round4/\n\n"
    "The pool is read twice and its text is not kept; a sentence takes 32 bytes, a candidate its text."
)


@app.command(help=_HELP)
def sample(
    pool: Annotated[list[str], typer.Argument(help="Tables of sentences or articles.", show_default=False)],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder of the round, a new one.", show_default=False)
    ],
    n: Annotated[int, typer.Option("-n", help="Sentences to choose.", min=1)] = 5000,
    model: Annotated[
        list[str] | None,
        typer.Option(help="bundled, a folder, or a hub id; repeatable.", show_default="bundled"),
    ] = None,
    strategy: Annotated[
        str, typer.Option(help="mixed, or all of one: random, uncertain, disagreement, diverse.")
    ] = "mixed",
    share: Annotated[
        str | None,
        typer.Option(
            help="Of a mixed round, such as uncertain=0.3,diverse=0.2; the rest is drawn at random. By "
            "default uncertain=0.4,diverse=0.2, and of several models uncertain=0.2,disagreement=0.2,"
            "diverse=0.2.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Column to balance; none balances nothing. By default outlet_id, or outlet.",
            show_default=False,
        ),
    ] = None,
    per_article: Annotated[int, typer.Option(help="Most sentences of one article.", min=1)] = 3,
    unit: Annotated[
        UnitChoice,
        typer.Option(help="What a row is; auto: a table with a column context is of sentences."),
    ] = UnitChoice.AUTO,
    min_words: Annotated[int, typer.Option(help="Of a sentence.", min=1)] = 5,
    max_words: Annotated[int, typer.Option(help="Of a sentence.", min=1)] = 80,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            help="Table or folder of sentences to leave out, a folder of `framelens-train data`, or .txt.gz "
            "of fingerprints; repeatable.",
            show_default=False,
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder whose annotated/, sealed/ and test splits of bench/ are left out too; else "
            "$FRAMELENS_DATA, if set.",
            show_default=False,
        ),
    ] = None,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Have sentences judged again: do not leave out annotated/, nor what the package has judged.",
        ),
    ] = False,
    candidates: Annotated[
        int | None,
        typer.Option(
            help="Sentences, drawn at random, that models score and that are compared.",
            min=1,
            show_default="20 times -n",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of every draw.", min=0)] = 0,
    judges: Annotated[int, typer.Option(help="Who share the sentences.", min=1)] = 2,
    batch: Annotated[int, typer.Option(help="Most sentences of a sheet.", min=1)] = 60,
    double: Annotated[
        float | None,
        typer.Option(
            help="Share that two judges read; 1.0 for whatever measures quality.",
            min=0.0,
            max=1.0,
            show_default="0.1, of one judge 0",
        ),
    ] = None,
) -> None:
    """Choose the next sentences to annotate."""
    from rich.console import Console

    from framelens.progress import Reporter
    from framelens_training.choose import SampleOptions
    from framelens_training.data import find_data_dir
    from framelens_training.sample import read_known
    from framelens_training.sample import sample as run_sample

    options = SampleOptions(
        n=n,
        models=tuple(model or ("bundled",)),
        strategy=strategy,
        shares=_shares(share),
        by=by,
        unit=unit.value,
        per_article=per_article,
        words=(min_words, max_words),
        candidates=candidates,
        seed=seed,
        judges=judges,
        batch=batch,
        double=(0.1 if judges > 1 else 0.0) if double is None else double,
    )
    has_data = data_dir is not None or bool(os.environ.get("FRAMELENS_DATA"))
    with Reporter(Console(stderr=True)) as reporter:
        reporter.begin("reading what is left out")
        folder = find_data_dir(data_dir) if has_data else None
        known = read_known(list(exclude or ()), folder, again=again)
        choices = run_sample(pool, out, options, reporter, known)
    _tell(choices, options.n, out)


def _shares(given: str | None) -> dict[str, float]:
    """The shares of ``uncertain=0.3,diverse=0.2``."""
    shares: dict[str, float] = {}
    for part in (given or "").split(",") if given else ():
        name, separator, value = part.partition("=")
        try:
            shares[name.strip()] = float(value)
        except ValueError:
            separator = ""
        if not separator:
            raise InputError(f"expected --share as uncertain=0.3,diverse=0.2, got {part!r}")
    return shares


def _tell(choices: Choices, asked: int, out: Path) -> None:
    from framelens_training.pool import told_counts

    population = choices.population
    of = f"{population['sentences']:,} sentences in {population['rows']:,} rows"
    say(f"{told_counts(choices.counts)}, of {of}")
    say(f"left out: {told_counts(cast('dict[str, int]', population['left_out']))}")
    if (n := len(choices.chosen)) < asked:
        say(f"{n:,} instead of {asked:,}: the pool has no more; take more articles or a larger --per-article")
    say(f"the round is in {out}: judges get README.md and a judgeN/ each, and no other file")
    say(f"next: framelens-train adjudicate {out}")
