"""A recipe: everything that decides what a fit gives, in one validated TOML file."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from framelens.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "AuxiliaryRecipe",
    "DataRecipe",
    "DistilRecipe",
    "LoraRecipe",
    "MaskedTrainRecipe",
    "ModelRecipe",
    "PoolRecipe",
    "PretrainRecipe",
    "QuantizeRecipe",
    "Recipe",
    "StudentRecipe",
    "TrainRecipe",
    "load_recipe",
]

Fraction = Annotated[float, Field(ge=0, lt=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataRecipe(_Section):
    """Which sentences are fitted on, and which only measured on."""

    sources: str = Field("default", description="a shipped declaration of sources by name, or a .toml's path")
    include: tuple[str, ...] = Field((), description="names of sources that are declared but off")
    exclude: tuple[str, ...] = Field((), description="names of sources to leave out")
    allow_restricted: bool = Field(
        False, description="read sources whose terms keep weights from shipping, for experiments"
    )
    dev_outlets: tuple[str, ...] = Field(description="outlet_ids that stand in dev alone")
    test_outlets: tuple[str, ...] = Field(description="outlet_ids that stand in test alone")
    dev_fraction: Fraction = Field(0.1, description="share of the other outlets' articles that goes to dev")
    test_fraction: Fraction = Field(
        0.06, description="share of the other outlets' articles that goes to test"
    )
    split_seed: int = 0


class ModelRecipe(_Section):
    """The network."""

    pooling: Literal["cls", "mean", "attention"] = "mean"
    dropout: Fraction = 0.1
    attention_dropout: Fraction = Field(0.0, description="inside the encoder; drawing it is slow on CPUs")
    hidden_dropout: Fraction | None = Field(
        None, description="behind the encoder's layers; none leaves what the encoder's own settings say"
    )
    max_tokens: int = Field(256, ge=16, le=8192, description="longest pair, in tokens")
    context_sentences: int = Field(0, ge=0, le=2, description="sentences before that the model reads")


class TrainRecipe(_Section):
    """How it is fitted."""

    seed: int = 0
    epochs: int = Field(6, ge=1)
    patience: int = Field(2, ge=1, description="epochs without a better dev macro-F1 before stopping")
    batch_size: int = Field(32, ge=1, description="sentences that one device reads at once")
    gradient_accumulation: int = Field(1, ge=1, description="batches before each step")
    gradient_clip: float = Field(1.0, ge=0, description="largest norm of the gradients; 0 leaves them be")
    learning_rate: float = Field(1e-4, gt=0)
    head_learning_rate: float | None = Field(None, gt=0, description="of the new heads; none is the same")
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="the rate of each layer, as a share of that of the layer above it"
    )
    freeze_embeddings: bool = Field(False, description="leave the encoder's embeddings as they are")
    warmup: Fraction = Field(0.1, description="share of the steps in which the rate rises")
    weight_decay: float = Field(0.01, ge=0)
    unsure_weight: float = Field(
        1.0, ge=0, description="weight of a sentence of which its judge was not sure; of others it is 1"
    )
    label_smoothing: Fraction = 0.0
    balance: Fraction = Field(0.0, description="0 weights every sentence alike; towards 1, every label alike")
    context_dropout: float = Field(
        0.5, ge=0, le=1, description="share of the training sentences shown without their context"
    )
    swap_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the training sentences shown with other states in place of theirs, drawn anew "
        "each epoch",
    )
    cue_weight: float = Field(1.0, ge=0, description="weight of the cue tagger's loss")
    rule_weight: float = Field(
        0.5, ge=0, description="weight of an auxiliary loss on the codebook's rule; its head is not exported"
    )


class AuxiliaryRecipe(_Section):
    """Tasks of public sets that the encoder learns before ours or beside it; their heads are not exported."""

    tasks: tuple[str, ...] = Field((), description="those of the data set's auxiliary tasks that are learned")
    weight: float = Field(0.5, gt=0, description="of their loss; that of the label's is 1")
    share: float = Field(
        0.5, ge=0, description="auxiliary sentences that an epoch shows for each training sentence of ours"
    )
    before: int = Field(
        0, ge=0, description="epochs on auxiliary sentences alone, which come before all others"
    )

    @model_validator(mode="after")
    def _has_a_use_for_its_tasks(self) -> Self:
        if len({*self.tasks}) < len(self.tasks):
            raise ValueError("tasks names a task twice")
        if self.before and not self.tasks:
            raise ValueError("before asks for epochs on auxiliary tasks, and tasks names none")
        if self.tasks and not (self.share or self.before):
            raise ValueError("tasks are named, and with share = 0 and before = 0 nothing of them is read")
        return self


class LoraRecipe(_Section):
    """Low-rank changes of a large encoder in place of all its weights (Hu et al. 2022, "LoRA")."""

    rank: int = Field(0, ge=0, description="0 fits all weights")
    alpha: float = Field(16.0, gt=0, description="the change is scaled by alpha / rank")
    dropout: Fraction = 0.0
    target_modules: str | tuple[str, ...] = Field(
        "all-linear", description="names of the matrices that change, or a pattern of them"
    )


class Recipe(_Section):
    """The whole recipe; ``base`` is a path, a hub id, or ``packaged`` for all-MiniLM-L6-v2."""

    name: str
    base: str = "packaged"
    data: DataRecipe
    model: ModelRecipe = ModelRecipe()
    train: TrainRecipe = TrainRecipe()
    auxiliary: AuxiliaryRecipe = AuxiliaryRecipe()
    lora: LoraRecipe = LoraRecipe()


class PoolRecipe(_Section):
    """The sentences without labels that a student learns from."""

    sentences_of_file: int = Field(
        16_000, ge=0, description="most sentences of one file of articles; 0 learns from judged ones alone"
    )
    min_words: int = Field(5, ge=1)
    max_words: int = Field(70, ge=1)
    seed: int = 0


class StudentRecipe(_Section):
    """The student, and how it learns from its teachers; it begins either as ``base`` or with ``layers``."""

    base: str | None = Field(None, description="the encoder that the student begins as, as in a fit's recipe")
    model: ModelRecipe = Field(ModelRecipe(), description="the network on top of ``base``")
    layers: tuple[int, ...] = Field(
        (), description="layers that the student begins with, beside word vectors"
    )
    layers_of: str | None = Field(
        None, description="the bundle or run directory that they are taken from; none is the first teacher"
    )
    seed: int = 0
    epochs: float = Field(2.0, gt=0)
    batch_size: int = Field(64, ge=1)
    learning_rate: float = Field(4e-4, gt=0)
    warmup: Fraction = Field(0.06, description="share of the steps in which the rate rises")
    weight_decay: float = Field(0.01, ge=0)
    temperature: float = Field(1.5, gt=0, description="softens the teacher's labels")
    cue_weight: float = Field(1.0, ge=0, description="weight of the cue tagger's loss")
    max_tokens: int = Field(128, ge=16, description="of a sentence while it learns")
    label_weight: Fraction = Field(
        0.0, description="how much a judge's label counts beside the teachers' opinion of the same sentence"
    )
    judged_repeats: int = Field(1, ge=1, description="times that an epoch shows each judged sentence")

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if (self.base is None) == (not self.layers):
            raise ValueError("a student begins either as a base or with layers of another model")
        if self.layers_of is not None and not self.layers:
            raise ValueError("layers_of says whose layers the student begins with; give layers as well")
        return self


class QuantizeRecipe(_Section):
    """How the ranges of the activations are found, and how a student learns to live with the rounding."""

    sentences: int = Field(2_048, ge=1, description="that they are measured on")
    tails: tuple[Annotated[float, Field(ge=0, lt=0.5)], ...] = Field(
        (1e-5,), min_length=1, description="shares of the values beyond a range, on either side, to try"
    )
    smoothings: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (0.0,),
        min_length=1,
        description="how much of the spread between dimensions the weights take over, to try",
    )
    steps: int = Field(0, ge=0, description="of learning with the rounding in place")
    learning_rate: float = Field(1e-5, gt=0, description="in these steps")


class DistilRecipe(_Section):
    """A small model that learns from larger ones.

    ``teachers`` are bundles (a name, a path or a hub id) or run directories; several are one ensemble.
    Without ``[quantize]`` the student stays in floating point.
    """

    name: str
    teachers: tuple[str, ...] = Field(("bundled",), min_length=1)
    data: DataRecipe
    pool: PoolRecipe = PoolRecipe()
    student: StudentRecipe
    quantize: QuantizeRecipe | None = None


class CorpusRecipe(_Section):
    """Which articles an encoder is pre-trained on, and how their sentences are packed into blocks."""

    articles_of_file: int | None = Field(
        None, ge=1, description="most articles of one file, drawn at random; none takes all"
    )
    min_words: int = Field(4, ge=1, description="of a sentence; shorter ones are left out")
    max_tokens: int = Field(128, ge=16, le=8192, description="longest block, in tokens")
    held_out: float = Field(
        0.02, gt=0, lt=1, description="share of the articles that only measures perplexity"
    )
    seed: int = Field(0, description="of what is drawn and held out")


class MaskedTrainRecipe(_Section):
    """How an encoder learns to fill in what is masked."""

    seed: int = Field(0, ge=0)
    mask_share: float = Field(0.15, gt=0, lt=1, description="share of the tokens that are to be filled in")
    whole_words: bool = Field(True, description="mask all pieces of a word together")
    epochs: int = Field(2, ge=1)
    batch_size: int = Field(32, ge=1, description="blocks that one device reads at once")
    gradient_accumulation: int = Field(1, ge=1, description="batches before each step")
    gradient_clip: float = Field(1.0, ge=0, description="largest norm of the gradients; 0 leaves them be")
    learning_rate: float = Field(1e-4, gt=0)
    warmup: Fraction = Field(0.06, description="share of the steps in which the rate rises")
    weight_decay: float = Field(0.01, ge=0)


class PretrainRecipe(_Section):
    """Masked-language pre-training of an encoder on raw articles; ``base`` as in `Recipe`.

    ``data`` says which sentences will be fitted on and measured on later: nothing of its dev and test, and
    none of its held-out outlets, is read.
    """

    name: str
    base: str = "packaged"
    data: DataRecipe
    corpus: CorpusRecipe = CorpusRecipe()
    train: MaskedTrainRecipe = MaskedTrainRecipe()


AnyRecipe = TypeVar("AnyRecipe", Recipe, DistilRecipe, PretrainRecipe)
_FOLDERS: dict[type[BaseModel], str] = {
    Recipe: "recipes",
    DistilRecipe: "recipes/students",
    PretrainRecipe: "recipes/pretrain",
}


def load_recipe(name_or_path: str, kind: type[AnyRecipe], changes: Sequence[str] = ()) -> AnyRecipe:
    """Read a recipe by the name of a shipped one or by path.

    Args:
        name_or_path: such as ``minilm``, or a path that ends in ``.toml``.
        kind: of the recipe.
        changes: ``SECTION.FIELD=VALUE`` that replace what the file says; a value is read as TOML, and
            as a string where it is none.

    Raises:
        InputError: no such recipe, broken TOML, or a field that is unknown or out of range.
    """
    shipped = files("framelens_training") / _FOLDERS[kind]
    path = Path(name_or_path)
    if path.suffix == ".toml":
        if not path.is_file():
            raise InputError(f"no recipe at {path}")
        content = path.read_bytes()
    else:
        resource = shipped / f"{name_or_path}.toml"
        if not resource.is_file():
            names = sorted(
                p.name.removesuffix(".toml") for p in shipped.iterdir() if p.name.endswith(".toml")
            )
            raise InputError(
                f"no recipe named {name_or_path!r}; shipped are {', '.join(names)}, or give a path to a .toml"
            )
        content = resource.read_bytes()
    try:
        fields = tomllib.loads(content.decode())
        for change in changes:
            _apply(change, fields)
        return kind.model_validate(fields)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{name_or_path} is not valid TOML in UTF-8: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise InputError(f"{name_or_path}: {field}: {first['msg']} (got {first['input']!r})") from error


def _apply(change: str, fields: dict[str, Any]) -> None:
    name, equals, value = change.partition("=")
    *sections, field = name.split(".")
    if not equals or len(sections) > 1:
        raise InputError(f"expected SECTION.FIELD=VALUE, such as model.pooling=mean, got {change!r}")
    for section in sections:
        fields = fields.setdefault(section, {})
    try:
        fields[field] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        fields[field] = value
