"""The model card and ``quality.json``: written from measured files alone, nothing typed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framelens.bundle import find_bundle
from framelens.errors import InputError
from framelens_training.base import base_name
from framelens_training.data_sets import data_sets, teachers_of
from framelens_training.distil import POOL
from framelens_training.recipe import DistilRecipe, Recipe
from framelens_training.sources import RESTRICTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["readme_table", "write_card", "write_readme"]

SCHEMA_VERSION = 1
#: The split that the README quotes.
README_SPLIT = "test"
_JUDGED = (
    "The gold labels were given by language models under the codebook, blind to the source; "
    "human agreement on such labels is lower."
)


def write_card(run_dir: Path, bundle: Path, reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Write ``model_card.md`` and ``quality.json`` into a bundle.

    Args:
        run_dir: the run that the bundle was exported from.
        bundle: the bundle.
        reports: by split, the ``report.json`` of an evaluation of *this* bundle.

    Raises:
        InputError: the run was not exported to this bundle, a report measured another model, or it cannot be
            said which data sets the weights were fitted on.
    """
    measured = run_dir / "export.json"
    if not measured.is_file():
        raise InputError(f"{measured} is missing; export the run first")
    exported = json.loads(measured.read_text(encoding="utf-8"))
    digest = find_bundle(bundle).digest
    if exported.get("model_digest") != digest:
        raise InputError(
            f"{measured} is of the model {exported.get('model_digest')}, the bundle is {digest}; export again"
        )
    for name, report in reports.items():
        if report.get("model_digest") != digest:
            raise InputError(
                f"the report {name!r} measured the model {report.get('model_digest')}, "
                f"the bundle is {digest}; evaluate the bundle again"
            )
    quality = {
        "schema_version": SCHEMA_VERSION,
        "note": _JUDGED,
        **exported,
        "data": json.loads((run_dir / "splits" / "counts.json").read_text(encoding="utf-8")),
        "data_sets": data_sets(run_dir),
        "environment": json.loads((run_dir / "environment.json").read_text(encoding="utf-8")),
        "encoder": _encoder(bundle),
        "reports": {name: _summary(report) for name, report in reports.items()},
    }
    if (run_dir / POOL).is_file():
        quality["pool"] = json.loads((run_dir / POOL).read_bytes())
    kind = DistilRecipe if (run_dir / POOL).is_file() else Recipe
    recipe = kind.model_validate_json((run_dir / "recipe.json").read_bytes())
    _write(bundle / "quality.json", json.dumps(quality, indent=1, ensure_ascii=False))
    _write(bundle / "model_card.md", "\n".join(_card(quality, recipe, reports)))


def readme_table(quality: Mapping[str, Any]) -> str:
    """The README's table: macro-F1 on test of our model and the baselines, as Markdown.

    Args:
        quality: the content of ``quality.json``.
    """
    report = quality["reports"][README_SPLIT]
    rows = []
    for system in report["systems"]:
        subsets = {subset["subset"]: subset for subset in system["subsets"]}
        labels = {entry["label"]: entry["f1"] for entry in subsets["all"]["labels"]}
        by_label = " / ".join(_number(labels[key]["value"]) for key in _LABEL_KEYS)
        scores = (_interval(subsets[name]["macro_f1"]) for name in ("all", "natural", "unseen outlets"))
        rows.append((system["name"], *scores, by_label))
    sizes = {subset["subset"]: subset["n_sentences"] for subset in report["systems"][0]["subsets"]}
    head = (
        "macro-F1 [95 % interval]",
        f"test, n = {sizes['all']:,}",
        f"drawn at random, n = {sizes['natural']:,}",
        f"unseen outlets, n = {sizes['unseen outlets']:,}",
        "F1 state / independent / hedged",
    )
    return "\n".join(_table(head, rows))


def write_readme(readme: Path, bundle: Path) -> None:
    """Put the measured table between the README's quality marks.

    Raises:
        InputError: the bundle has no quality.json, or the README no marks.
    """
    quality = find_bundle(bundle).quality
    text = readme.read_text(encoding="utf-8")
    begin, end = (f"<!-- quality:{edge} -->" for edge in ("begin", "end"))
    if quality is None or begin not in text or end not in text:
        raise InputError(f"expected {begin} and {end} in {readme}, and quality.json in {bundle}")
    before, after = text.partition(begin)[0], text.partition(end)[2]
    _write(readme, f"{before}{begin}\n{readme_table(quality)}\n{end}{after}")


def _write(path: Path, text: str) -> None:
    path.write_text(text.rstrip() + "\n", encoding="utf-8")


def _summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """The headline figures of a report; the whole of it is many times as large as all else."""
    origin = report["provenance"]
    return {
        **{key: origin[key] for key in ("created", "code", "seed", "n_resamples", "machine", "versions")},
        "shared_articles": report["shared_articles"],
        "data": {key: value for key, value in report["data"].items() if key != "name"},
        "systems": [
            {"name": system["name"], "subsets": [_brief(subset) for subset in system["subsets"]]}
            for system in report["systems"]
        ],
    }


def _brief(subset: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: subset[key] for key in _SUBSET_KEYS},
        "labels": [{key: entry[key] for key in ("label", "n_gold", "f1")} for entry in subset["labels"]],
    }


def _encoder(bundle: Path) -> dict[str, Any]:
    found = find_bundle(bundle)
    config = json.loads((found.folder / "config.json").read_bytes())["encoder"]
    return {
        "kind": config["model_type"],
        "layers": config.get("num_hidden_layers", config.get("n_layers")),
        "parameters": sum(values.size for values in found.weights().values()),
    }


def _card(
    quality: Mapping[str, Any], recipe: Recipe | DistilRecipe, reports: Mapping[str, Any]
) -> Iterable[str]:
    restricted = [entry for entry in quality["data_sets"] if entry["terms"] in RESTRICTED]
    unknown = any(entry["terms"] is None for entry in quality["data_sets"])
    yield from (
        "---",
        f"license: {'other' if restricted or unknown else 'apache-2.0'}",
        "language: en",
        "pipeline_tag: text-classification",
        "library_name: transformers",
        "---",
        "",
        f"# framelens {recipe.name}",
        "",
        "Labels a sentence of English news as `state_media_framing`, `independent_reporting` or",
        "`hedged_claim`, and tags the words that speak for it. The label describes the sentence's framing,",
        "never its truth, and no person, outlet or country. Written by `framelens-train card` from",
        "measured files.",
        "",
        *_restrictions(restricted),
        f"- **Digest** `{quality['model_digest']}`",
        "- **Encoder** {kind} of {layers} layers, {parameters:,} parameters with the heads".format(
            **quality["encoder"]
        ),
        *(_student_facts(recipe, quality) if isinstance(recipe, DistilRecipe) else _facts(recipe)),
        f"- **Intended use** shares of labels in corpora, and reading aids. {_JUDGED}",
        "- **Not for** judging single persons or outlets by single sentences, moderation without a human, "
        "languages other than English",
        "",
        "## Data",
        "",
        *_table(("split", *_LABEL_KEYS, "not_applicable"), _split_rows(quality["data"]["sentences"])),
        "",
        "Splits are by article; some outlets stand in dev alone and others in test alone. Dev decided",
        "early stopping, pooling, thresholds and temperature; test decided nothing. Sentences that equal or",
        f"nearly equal one of an evaluation set were dropped: {_dropped(quality['data']['dropped'])}.",
        "",
        "The weights were fitted on:",
        "",
        *_data_sets(quality["data_sets"]),
        "",
    )
    for name, report in reports.items():
        yield from _quality_section(name, report)
    yield from _parity_section(quality)


def _restrictions(restricted: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    if listed := ", ".join(f"{entry['name']} ({entry['licence']})" for entry in restricted):
        yield f"**These weights are for experiments and may not ship: they were fitted on {listed}.**"
        yield ""


def _data_sets(entries: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    rows = []
    for entry in entries:
        learned = "labels, rules and cues" if entry["task"] is None else f"auxiliary task `{entry['task']}`"
        through = "" if entry["teacher"] is None else f", through the teacher `{entry['teacher']}`"
        if entry["name"] is None:
            rows.append((f"those of the teacher `{entry['teacher']}`", *["not recorded"] * 4))
        else:
            size = f"{entry['sentences']:,}"
            rows.append((f"`{entry['name']}`", learned + through, size, entry["licence"], entry["terms"]))
    return _table(("data set", "what was learned", "sentences", "licence", "terms"), rows)


_SUBSET_KEYS = ("subset", "n_sentences", "n_articles", "n_refused", "macro_f1", "accuracy", "mcc")
_LABEL_KEYS = ("state_media_framing", "independent_reporting", "hedged_claim")


def _facts(recipe: Recipe) -> Iterable[str]:
    yield f"- **Base** {base_name(recipe.base)}"
    yield (
        f"- **Input** {_input(recipe)}, at most {recipe.model.max_tokens} tokens; "
        "longer sentences are cut and flagged"
    )
    yield f"- **Pooling** {recipe.model.pooling}"


def _student_facts(recipe: DistilRecipe, quality: Mapping[str, Any]) -> Iterable[str]:
    student, pool = recipe.student, quality["pool"]
    many = len(recipe.teachers) > 1
    named = ", ".join(f"`{name}`" for name in recipe.teachers)
    whose = "its" if student.layers_of is None else f"`{student.layers_of}`'s"
    layers = ", ".join(map(str, student.layers))
    began = f"as {base_name(student.base)}" if student.base else f"with {whose} layers {layers}"
    yield from (
        f"- **Base** of `{name}`: {base_name(theirs.base)}" for name, theirs in _fitted(recipe).items()
    )
    yield (
        f"- **Teacher{'s' * many}** {named}; this one began {began} and learned "
        f"{'the mean of their' if many else 'its'} probabilities of labels and cues on "
        f"{pool['sentences']:,} sentences, {pool['judged']:,} of them judged training sentences and the "
        "others without labels"
    )
    if student.label_weight:
        yield (
            f"- **Judges' labels** count {student.label_weight:.0%} beside the teachers' opinion of the same "
            "sentence"
        )
    if recipe.quantize is not None:
        yield (
            "- **Precision** int8 with ranges measured once, so that no sentence changes another's label; on "
            "processors only. Its own fp32, with the same weights and no rounding between them, also ships"
        )
    yield "- **Input** a sentence alone; longer sentences than the model reads are cut and flagged"


def _fitted(recipe: DistilRecipe) -> dict[str, Recipe]:
    """The recipes of those that a student learned from or began with, where they are runs of a fit."""
    found = {}
    for name in teachers_of(recipe.model_dump()):
        path = Path(name) / "recipe.json"
        if path.is_file() and "teachers" not in json.loads(path.read_bytes()):
            found[name] = Recipe.model_validate_json(path.read_bytes())
    return found


def _input(recipe: Recipe) -> str:
    n = recipe.model.context_sentences
    return f"a sentence and up to {n} sentences before it" if n else "a sentence alone"


def _dropped(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} ({where})" for where, n in counts.items()) or "none"


def _split_rows(sentences: Mapping[str, Mapping[str, int]]) -> list[tuple[str, ...]]:
    columns = (*_LABEL_KEYS, "not_applicable")
    return [(name, *(str(counts.get(key, 0)) for key in columns)) for name, counts in sentences.items()]


def _quality_section(name: str, report: Mapping[str, Any]) -> Iterable[str]:
    origin, data = report["provenance"], report["data"]
    machine = origin["machine"]
    yield from (
        f"## Quality on {name}",
        "",
        f"n = {data['n_labelled']} sentences of {data['n_articles']} articles; 95 % intervals by "
        f"{origin['n_resamples']} bootstrap resamples of articles, seed {origin['seed']}; "
        f"{machine['processor']}, {machine['n_cpus']} processors, Python {machine['python']}.",
        "",
    )
    rows = []
    for system in report["systems"]:
        for subset in system["subsets"]:
            labels = {entry["label"]: entry["f1"] for entry in subset["labels"]}
            scores = [subset["macro_f1"], *(labels.get(key) for key in _LABEL_KEYS)]
            rows.append(
                (system["name"], subset["subset"], str(subset["n_sentences"]), *map(_interval, scores))
            )
    head = ("system", "sentences", "n", "macro-F1", "F1 state", "F1 independent", "F1 hedged")
    yield from (*_table(head, rows), "", *_details(report), "")


def _details(report: Mapping[str, Any]) -> Iterable[str]:
    """What was measured of our model alone."""
    first, details = report["systems"][0], report["details"]
    evidence, scope, calibration = details["evidence"], details["scope"], first["subsets"][0]["calibration"]
    yield (
        f"- **Evidence** against the judges' cue, by words: F1 {_interval(evidence['f1'])}, precision "
        f"{_interval(evidence['precision'])}, recall {_interval(evidence['recall'])} "
        f"(n = {evidence['n_with_cue']}); shown on {_interval(evidence['shown_without_cue'])} of "
        f"{evidence['n_without_cue']} sentences without a cue."
    )
    perfect = calibration["ece_if_calibrated"]
    yield (
        f"- **Calibration** ECE {_number(calibration['ece'])} over {len(calibration['reliability'])} bins of "
        f"equal mass, where a perfectly calibrated model would get {_number(perfect['mean'])} "
        f"[{_number(perfect['low'])}, {_number(perfect['high'])}]; debiased "
        f"{_number(calibration['ece_debiased'])}; root mean squared gap, debiased, "
        f"{_interval(calibration['rms_error'])}; mean confidence on {details['n_mistakes']} mistakes "
        f"{_number(details['confidence_on_mistakes'])}."
    )
    yield (
        f"- **Not applicable** {scope['caught']} of {scope['n_out']} found, {scope['refused']} of "
        f"{scope['n_labelled']} labelled sentences refused (precision {_number(scope['precision'])}, "
        f"recall {_number(scope['recall'])})."
    )


def _parity_section(quality: Mapping[str, Any]) -> Iterable[str]:
    calibration = quality["calibration"]
    rows = [
        (
            entry["path"],
            str(entry["n_sentences"]),
            f"{entry['agreement']:.3%}",
            f"{entry['max_difference']:.1e}",
            f"{entry['batch_dependence']:.1e}",
            f"{entry['macro_f1']:.4f}",
        )
        for entry in quality["parity"]
    ]
    yield from (
        "## Parity",
        "",
        "Every path that ships beside the model as fitted in torch, on the sentences of dev and test.",
        "Batch dependence is the largest change of a probability between a sentence alone and in a batch of",
        "32.",
        "",
        *_table(("path", "n", "equal labels", "largest difference", "batch dependence", "macro-F1"), rows),
        "",
        f"Calibration: temperature {calibration['temperature']:.3f}, fitted on the "
        f"{calibration['n_sentences']} sentences of dev; ECE there {calibration['ece_before']:.3f} before "
        f"and {calibration['ece_after']:.3f} after.",
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _interval(value: Mapping[str, Any] | None) -> str:
    if value is None or value["value"] is None:
        return "n/a"
    if value["low"] is None:
        return f"{value['value']:.3f}"
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"
