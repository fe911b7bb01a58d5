"""Unfreeze blocks of a backbone by name, each with its own learning rate."""

from __future__ import annotations

import difflib
import logging

import keras

from graft.contract.errors import UserError
from graft.trainer.backbones.presets import Preset
from graft.trainer.config import FineTuneConfig

logger = logging.getLogger(__name__)

_DEFAULT_SHARE = 0.2
"""Share of the layers to unfreeze if neither config nor preset names blocks."""


def unfreeze(
    backbone: keras.Model, preset: Preset, config: FineTuneConfig
) -> list[list[keras.layers.Layer]]:
    """Make the chosen blocks of a backbone trainable and freeze the rest, in place.

    Args:
        backbone: A model of `build_backbone`.
        preset: Names the blocks if the config doesn't.
        config: Blocks or the first layer to unfreeze.

    Returns:
        The unfrozen layers with weights, by block, from shallow to deep.

    Raises:
        UserError: A named block or layer doesn't exist. The message suggests similar
            names.
    """
    layers = [layer for layer in backbone.layers if layer.weights]
    blocks = _chosen_blocks(backbone, layers, preset, config)
    backbone.trainable = True
    chosen = {id(layer) for block in blocks for layer in block}
    for layer in backbone.layers:
        layer.trainable = id(layer) in chosen
    logger.info("Unfroze %d of %d layers", len(chosen), len(layers))
    return blocks


def rate_factors(
    blocks: list[list[keras.layers.Layer]], config: FineTuneConfig
) -> dict[str, float]:
    """Return the rate of each unfrozen variable as a factor on the head's rate.

    Args:
        blocks: Result of `unfreeze`.
        config: `backbone_rate_factor` and `block_rate_decay` are read.

    Returns:
        Path of a variable to its factor.
    """
    factors = {}
    for depth, block in enumerate(reversed(blocks)):
        factor = config.backbone_rate_factor * config.block_rate_decay**depth
        for layer in block:
            for variable in layer.trainable_variables:
                factors[variable.path] = factor
    return factors


def _chosen_blocks(
    backbone: keras.Model,
    layers: list[keras.layers.Layer],
    preset: Preset,
    config: FineTuneConfig,
) -> list[list[keras.layers.Layer]]:
    names = [layer.name for layer in backbone.layers]
    if config.from_layer is not None:
        if config.from_layer not in names:
            raise UserError(_no_such(config.from_layer, names, "from_layer"))
        later = set(names[names.index(config.from_layer) :])
        return [[layer] for layer in layers if layer.name in later]
    prefixes = config.blocks if config.blocks is not None else preset.fine_tune_from
    if not prefixes:
        count = max(1, round(len(layers) * _DEFAULT_SHARE))
        return [[layer] for layer in layers[-count:]]
    blocks = []
    for prefix in prefixes:
        block = [layer for layer in layers if layer.name.startswith(prefix)]
        if not block and config.blocks is not None:
            raise UserError(_no_such(prefix, preset.blocks or names, "blocks"))
        blocks.append(block)
    order = {name: index for index, name in enumerate(names)}
    kept = [block for block in blocks if block]
    if not kept:
        raise UserError(
            "`fine_tune` has nothing to unfreeze: the cut removed the preset's last "
            f"blocks {list(prefixes)}. Name others under `blocks`"
        )
    return sorted(kept, key=lambda block: order[block[0].name])


def _no_such(name: str, known: object, key: str) -> str:
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.3)  # type: ignore[call-overload]
    hint = f"; the nearest names are {near}" if near else ""
    return f"`{key}` must name a part of the backbone{hint}. Received: {name!r}"
