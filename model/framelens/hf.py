"""The model class, in Hugging Face form; importing it registers it with the Auto classes.

One encoder, one forward pass, two small heads:

* ``classifier``: the sentence label, logits of shape (n_sentences, n_labels);
* ``cue_tagger``: a tag for every token, logits of shape (n_sentences, n_tokens, n_cues + 1).

>>> import framelens.hf                                                    # doctest: +SKIP
>>> AutoModelForSequenceClassification.from_pretrained("path/to/model")    # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal

from framelens.bundle import in_floating_point
from framelens.errors import InputError, require
from framelens.labels import CUE_TAGS, LABELS

torch = require("torch", "torch")
require("transformers", "torch")

from safetensors.numpy import load_file  # noqa: E402
from torch import Tensor, nn  # noqa: E402  (after the check that names the extra)
from transformers import (  # noqa: E402
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils.generic import ModelOutput  # noqa: E402
from transformers.utils.hub import cached_file  # noqa: E402

__all__ = [
    "FramingConfig",
    "FramingForSequenceClassification",
    "FramingOutput",
    "Pooling",
    "encoder_options",
]

Pooling = Literal["cls", "mean", "attention"]
#: What ``from_pretrained`` takes to find files.
_HUB_OPTIONS = ("revision", "subfolder", "token", "cache_dir", "local_files_only", "force_download")


class FramingConfig(PreTrainedConfig):
    """Configuration of `FramingForSequenceClassification`.

    Args:
        encoder: configuration of the encoder, as a dict with its ``model_type``.
        pooling: how token vectors become one sentence vector: the first token, the mean of the
            sentence's tokens, or a learned weighting. Context tokens are never pooled.
        dropout: on the pooled vector and on the tagger's input, in [0, 1).
        calibration_temperature: divisor of the label logits, > 0 (Guo et al. 2017, sec. 4.2).
        max_tokens: longest (sentence, context) pair, special tokens included.
        context_sentences: how many sentences before a sentence the model was trained to read.
        evidence_threshold: a span is evidence when its surest token's cue reaches this probability.
    """

    model_type = "framelens"
    sub_configs = {"encoder": AutoConfig}  # noqa: RUF012  (the base class's declaration)

    def __init__(
        self,
        encoder: dict[str, Any] | PreTrainedConfig | None = None,
        pooling: Pooling = "mean",
        dropout: float = 0.1,
        calibration_temperature: float = 1.0,
        max_tokens: int = 256,
        context_sentences: int = 0,
        evidence_threshold: float = 0.5,
        **kwargs: Any,
    ) -> None:
        if isinstance(encoder, dict):
            settings = dict(encoder)
            encoder = AutoConfig.for_model(settings.pop("model_type"), **settings)
        self.encoder = encoder if encoder is not None else AutoConfig.for_model("bert")
        self.pooling = pooling
        self.dropout = dropout
        self.calibration_temperature = calibration_temperature
        self.max_tokens = max_tokens
        self.context_sentences = context_sentences
        self.evidence_threshold = evidence_threshold
        self.cue_tags = list(CUE_TAGS)
        kwargs.pop("cue_tags", None)
        kwargs["id2label"] = {i: str(label) for i, label in enumerate(LABELS)}
        kwargs["label2id"] = {str(label): i for i, label in enumerate(LABELS)}
        super().__init__(**kwargs)


@dataclass
class FramingOutput(ModelOutput):
    """What one forward pass gives.

    Attributes:
        logits: (n_sentences, n_labels), already divided by the temperature.
        cue_logits: (n_sentences, n_tokens, n_cues + 1).
        pooled: (n_sentences, hidden_size), the sentence vector that the heads read.
    """

    logits: Tensor | None = None
    cue_logits: Tensor | None = None
    pooled: Tensor | None = None


def encoder_options(encoder: PreTrainedConfig) -> dict[str, bool]:
    """What ``AutoModel`` takes to leave out an encoder's own pooling layer, which nothing here reads."""
    kind = MODEL_MAPPING.get(type(encoder), None)
    known = isinstance(kind, type) and "add_pooling_layer" in signature(kind).parameters
    return {"add_pooling_layer": False} if known else {}


class FramingForSequenceClassification(PreTrainedModel):
    """Encoder with a label head and a cue tagger."""

    config_class = FramingConfig
    base_model_prefix = "encoder"
    _supports_sdpa = True

    def __init__(self, config: FramingConfig) -> None:
        super().__init__(config)
        if getattr(config, "precision", "fp32") == "int8":
            raise InputError("expected weights in floating point, got an int8 model; use from_pretrained")
        if config.pooling not in ("cls", "mean", "attention"):
            raise InputError(f"pooling must be cls, mean or attention, got {config.pooling!r}")
        self.encoder = AutoModel.from_config(config.encoder, **encoder_options(config.encoder))
        width = config.encoder.hidden_size
        self.dropout = nn.Dropout(config.dropout)
        if config.pooling == "attention":
            self.pool_scores = nn.Linear(width, 1)
        self.classifier = nn.Linear(width, len(LABELS))
        self.cue_tagger = nn.Linear(width, len(CUE_TAGS))
        self.post_init()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a model as transformers does; one that is stored as int8 is loaded in floating point.

        Args:
            pretrained_model_name_or_path: a folder or a hub id.
            args: as in transformers.
            kwargs: as in transformers.

        """
        name, config = pretrained_model_name_or_path, kwargs.get("config")
        hub = {option: kwargs[option] for option in _HUB_OPTIONS if option in kwargs}
        place = name if config is None else config
        if place is not None and not isinstance(place, PreTrainedConfig):
            config = FramingConfig.from_pretrained(place, **hub)
        if config is None or getattr(config, "precision", "fp32") != "int8" or "state_dict" in kwargs:
            return super().from_pretrained(name, *args, **kwargs)
        # transformers would take the bytes for weights and leave out their steps.
        if not isinstance(place, PreTrainedConfig):
            kwargs.pop("config", None)
            config, kwargs = FramingConfig.from_pretrained(place, return_unused_kwargs=True, **kwargs)
        stored = load_file(str(cached_file(name, "model.safetensors", **hub)))
        kwargs = {
            option: value for option, value in kwargs.items() if option not in (*_HUB_OPTIONS, "config")
        }
        return super().from_pretrained(
            None,
            *args,
            config=FramingConfig.from_dict(config.to_dict() | {"precision": "fp32"}),
            state_dict={key: torch.from_numpy(values) for key, values in in_floating_point(stored).items()},
            **kwargs,
        )

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        return_dict: bool = True,
        **_: Any,
    ) -> FramingOutput | tuple[Tensor, ...]:
        """Run the encoder once and the heads on top.

        Args:
            input_ids: (n_sentences, n_tokens) int64.
            attention_mask: same shape, 1 for tokens and 0 for padding; all ones when absent.
            token_type_ids: same shape, 1 for context tokens; all zeros when absent.
            return_dict: False gives the tuple of `FramingOutput`'s fields.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if getattr(self.config.encoder, "type_vocab_size", 0) > 1:
            inputs["token_type_ids"] = token_type_ids
        tokens = self.encoder(**inputs).last_hidden_state
        pooled = self._pool(tokens, attention_mask * (1 - token_type_ids))
        output = FramingOutput(
            logits=self.classifier(self.dropout(pooled)) / self.config.calibration_temperature,
            cue_logits=self.cue_tagger(self.dropout(tokens)),
            pooled=pooled,
        )
        return output if return_dict else output.to_tuple()

    def _pool(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """(n_sentences, n_tokens, hidden_size) and a 0/1 mask of the sentence to one vector each."""
        if self.config.pooling == "cls":
            return tokens[:, 0]
        if self.config.pooling == "attention":
            scores = self.pool_scores(tokens).squeeze(-1)
            scores = scores.masked_fill(mask == 0, torch.finfo(scores.dtype).min)
            weights = scores.softmax(-1).unsqueeze(-1)
        else:
            weights = mask.unsqueeze(-1).to(tokens.dtype)
            weights = weights / weights.sum(1, keepdim=True).clamp(min=1.0)
        pooled: Tensor = (tokens * weights).sum(1)
        return pooled


AutoConfig.register(FramingConfig.model_type, FramingConfig, exist_ok=True)
AutoModelForSequenceClassification.register(FramingConfig, FramingForSequenceClassification, exist_ok=True)
