"""Learning rates by depth: lower layers of an encoder may learn more slowly than its heads."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from torch import nn

from framelens.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Collection

    from framelens.hf import FramingForSequenceClassification
    from framelens_training.recipe import TrainRecipe

__all__ = ["depths", "parameter_groups"]


def depths(model: FramingForSequenceClassification) -> dict[int, int]:
    """How far from the input each parameter of the encoder stands, by its ``id``.

    Embeddings stand at 0 and layer i, counted from 0, at i + 1. What belongs to no layer, such as a last
    normalisation or positions that all layers share, stands with the last layer.

    Raises:
        InputError: the encoder has no list of its layers.
    """
    n_layers = model.config.encoder.num_hidden_layers
    lists = [part for part in model.encoder.modules() if isinstance(part, nn.ModuleList)]
    layers = next((part for part in lists if len(part) == n_layers), None)
    if layers is None:
        raise InputError(
            f"train.layer_decay needs an encoder of separate layers, got a {model.config.encoder.model_type} "
            "without; leave it at 1"
        )
    found = {id(parameter): i + 1 for i, layer in enumerate(layers) for parameter in layer.parameters()}
    for name, parameter in model.encoder.named_parameters():
        embeds = any(part.startswith("embeddings") for part in name.split("."))
        found.setdefault(id(parameter), 0 if embeds else n_layers)
    return found


def parameter_groups(
    module: nn.Module,
    model: FramingForSequenceClassification,
    recipe: TrainRecipe,
    decayed: Collection[str],
) -> list[dict[str, Any]]:
    """What an optimiser takes: parameters with their rate and weight decay, the heads first.

    A layer's rate is ``layer_decay`` times that of the layer above it, the last layer's that of
    ``learning_rate`` (Howard and Ruder 2018, "ULMFiT", sec. 3.2; Clark et al. 2020, "ELECTRA", app. B).

    Args:
        module: holds the model, and heads that are only fitted.
        model: whose encoder has layers.
        recipe: the rates.
        decayed: names in ``module`` of the parameters that weight decay draws towards 0.

    Raises:
        InputError: the encoder has no list of its layers.
    """
    n_layers = model.config.encoder.num_hidden_layers
    # Without decay every layer learns alike, and an encoder needs no list of them.
    depth = (
        depths(model)
        if recipe.layer_decay < 1
        else dict.fromkeys(map(id, model.encoder.parameters()), n_layers)
    )
    groups: dict[tuple[int, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            decay = recipe.weight_decay if name in decayed else 0.0
            groups[depth.get(id(parameter), n_layers + 1), decay].append(parameter)

    def rate(at: int) -> float:
        if at > n_layers:
            return recipe.head_learning_rate or recipe.learning_rate
        return recipe.learning_rate * float(recipe.layer_decay ** (n_layers - at))

    # The Trainer logs the rate of the first group.
    ordered = sorted(groups.items(), key=lambda entry: (-entry[0][0], entry[0][1]))
    return [
        {"params": parameters, "lr": rate(at), "weight_decay": decay} for (at, decay), parameters in ordered
    ]
