"""Build a pretrained backbone: architecture, weights, cut and pooling."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence

import keras

from graft.contract.errors import UserError
from graft.storage import hashing
from graft.trainer.backbones.efficientnet_lite import build_efficientnet_lite
from graft.trainer.backbones.presets import Preset, get_preset
from graft.trainer.backbones.weights import RANDOM_WEIGHTS, load_weights, weights_digest
from graft.trainer.config import ModelConfig

_ARCHITECTURE_VERSION = 1
"""Raise it when a change here changes features, so that stored ones are not reused."""


def image_size_of(config: ModelConfig) -> int:
    """Return the edge of the square input in pixels.

    Raises:
        UserError: The size is below the backbone's minimum.
    """
    preset = get_preset(config.preset)
    size = config.image_size or preset.image_size
    if size < preset.min_image_size:
        raise UserError(
            f"`image_size` must be {preset.min_image_size} pixels or more for "
            f"{preset.name!r}. Received: image_size={size!r}"
        )
    return size


def build_backbone(config: ModelConfig) -> keras.Model:
    """Build a frozen backbone with pretrained weights, cut and pooled.

    Args:
        config: Preset, weights, image size, cut and pooling.

    Returns:
        A model from preprocessed images, float32 (B, S, S, 3), to features: float32
        (B, F), or (B, h, w, C) with pooling `none`. It is not trainable.

    Raises:
        UserError: The image is too small or a cut layer does not exist.
        WeightsError: The weights are missing, damaged, or for another architecture.
    """
    preset = get_preset(config.preset)
    network = _build_architecture(preset, image_size_of(config))
    _number_layers_from_zero(network)
    outputs = _cut(network, _resolve_cut(preset, config))
    load_weights(network, preset, config)
    features = _pool(outputs, config)
    backbone = keras.Model(network.inputs, features, name="backbone")
    backbone.trainable = False
    return backbone


def shared_backbone(config: ModelConfig) -> keras.Model:
    """Return the model of `build_backbone`, built once in a process.

    A local run computes features and exports the model in one process, and TFX passes
    no objects between the two steps. Callers must leave the model as it is.

    Raises:
        UserError: As `build_backbone`.
        WeightsError: As `build_backbone`.
    """
    return _build_shared(backbone_fingerprint(config), config.model_dump_json())


# One model, so that a process that builds many keeps the memory of the last one only.
@functools.lru_cache(maxsize=1)
def _build_shared(fingerprint: str, config_json: str) -> keras.Model:
    return build_backbone(ModelConfig.model_validate_json(config_json))


def backbone_fingerprint(config: ModelConfig) -> str:
    """Return a hash, 64 hexadecimal digits, that changes whenever features change.

    It covers the architecture, the bytes of the weights in use, the image size, the
    cut and the pooling. The head has no effect.

    Raises:
        WeightsError: The weights are missing.
    """
    preset = get_preset(config.preset)
    facts = {
        "version": _ARCHITECTURE_VERSION,
        "architecture": preset.constructor,
        "width": preset.width,
        "depth": preset.depth,
        "weights": weights_digest(preset, config),
        "image_size": image_size_of(config),
        "cut": _resolve_cut(preset, config),
        "pooling": config.pooling,
    }
    return hashing.hash_json(facts)


def _number_layers_from_zero(network: keras.Model) -> None:
    """Give layers without a name of their own the names of a new process.

    Keras numbers such layers, as InceptionV3's `conv2d_3`, per process. After other
    models a cut would name another layer, or none. Keras counts on, so that no later
    layer gets one of these names.
    """
    numbers = {layer: _automatic_name(layer) for layer in network.layers}
    first: dict[str, int] = {}
    for stem, number in filter(None, numbers.values()):
        first[stem] = min(number, first.get(stem, number))
    for layer, found in numbers.items():
        if found is not None:
            stem, number = found
            position = number - first[stem]
            layer.name = f"{stem}_{position}" if position else stem


def _automatic_name(layer: keras.Layer) -> tuple[str, int] | None:
    """Return stem and number of a name that Keras made from the class of a layer."""
    stem, _, suffix = layer.name.rpartition("_")
    if not suffix.isdecimal():
        stem, suffix = layer.name, "0"
    is_automatic = stem.replace("_", "") == type(layer).__name__.lower()
    return (stem, int(suffix)) if is_automatic else None


def _build_architecture(preset: Preset, size: int) -> keras.Model:
    shape = (size, size, 3)
    if preset.constructor == "EfficientNetLite":
        return build_efficientnet_lite(
            input_shape=shape, width=preset.width, depth=preset.depth, name=preset.name
        )
    constructor = getattr(keras.applications, preset.constructor)
    return constructor(include_top=False, weights=None, input_shape=shape)


def _resolve_cut(preset: Preset, config: ModelConfig) -> tuple[str, ...]:
    """Return the config's cut layers, else the preset's; empty: the last layer."""
    if config.cut is not None:
        return config.cut
    return () if config.pooling == "none" else preset.default_cut


def _cut(network: keras.Model, cut: Sequence[str]) -> list[keras.KerasTensor]:
    if not cut:
        return list(network.outputs)
    layers = {layer.name: layer for layer in network.layers}
    for name in cut:
        if name not in layers:
            near = difflib.get_close_matches(name, layers, n=3, cutoff=0.3)
            hint = f"the nearest names are {near}" if near else "see `graft presets`"
            raise UserError(
                f"`cut` must name layers of the backbone; {hint}. Received: {name!r}"
            )
    return [layers[name].output for name in cut]


def _pool(outputs: list[keras.KerasTensor], config: ModelConfig) -> keras.KerasTensor:
    if config.pooling == "none":
        if len(outputs) > 1:
            raise UserError(
                "several cut layers need `pooling` 'avg' or 'max', since their maps "
                f"differ in size. Received: pooling='none', cut={config.cut!r}"
            )
        return outputs[0]
    pooling = {
        "avg": keras.layers.GlobalAveragePooling2D,
        "max": keras.layers.GlobalMaxPooling2D,
    }[config.pooling]
    pooled = [pooling()(output) for output in outputs]
    return pooled[0] if len(pooled) == 1 else keras.layers.Concatenate()(pooled)


__all__ = [
    "RANDOM_WEIGHTS",
    "backbone_fingerprint",
    "build_backbone",
    "image_size_of",
    "shared_backbone",
]
