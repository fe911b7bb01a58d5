"""`graft presets`: list the backbones, and where their weights are."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from graft.pipeline.commands.waiting import shown_while_waiting
from graft.trainer.backbones.presets import PRESETS, Preset
from graft.trainer.backbones.weight_files import find_local_weights

_BATCH = 32
_ROUNDS = 4
_TABLE_WIDTH = 100


def presets(
    measure: Annotated[
        list[str] | None,
        typer.Option(
            "--measure",
            metavar="PRESET",
            help="Measure images per second here; `all` for every preset.",
        ),
    ] = None,
) -> None:
    """List the backbones: size, parameters, accuracy, where their weights are."""
    chosen = set(measure or ())
    table = Table(box=None)
    for heading in ("preset", "pixels", "parameters", "top-1", "weights", "licence"):
        table.add_column(heading, no_wrap=True)
    if chosen:
        table.add_column("images/s here", no_wrap=True)
    for preset in PRESETS.values():
        row = [
            preset.name,
            str(preset.image_size),
            f"{(preset.num_parameters or 0) / 1e6:.1f} M",
            "" if preset.top1 is None else f"{preset.top1:.3f}",
            _weights_location(preset),
            preset.licence,
        ]
        if preset.name in chosen or "all" in chosen:
            row.append(f"{_measure_speed(preset):.0f}")
        table.add_row(*row)
    # A pipe has 80 columns by default, which would cut names.
    Console(width=max(Console().width, _TABLE_WIDTH)).print(table)
    typer.echo(
        "Top-1 is ImageNet's, as published. Any other model of keras.applications "
        "works by its name there, for instance DenseNet121."
    )


def _weights_location(preset: Preset) -> str:
    if find_local_weights(preset) is not None:
        return "here"
    return "to download" if preset.source == "keras" else "package missing"


def _measure_speed(preset: Preset) -> float:
    """Return images per second of the backbone, in batches of 32."""
    from graft.serving.tensorflow_runtime import native_output_hidden

    with shown_while_waiting(f"Measuring {preset.name}"), native_output_hidden():
        return _images_per_second(preset)


def _images_per_second(preset: Preset) -> float:
    import numpy as np
    import tensorflow as tf

    from graft.trainer.backbones.backbone import build_backbone
    from graft.trainer.config import ModelConfig

    backbone = build_backbone(ModelConfig(preset=preset.name, weights="none"))
    extract = tf.function(lambda pixels: backbone(pixels, training=False))
    edge = preset.image_size
    pixels = tf.constant(np.zeros((_BATCH, edge, edge, 3), np.float32))
    extract(pixels)
    started = time.perf_counter()
    for _ in range(_ROUNDS):
        extract(pixels).numpy()
    return _ROUNDS * _BATCH / (time.perf_counter() - started)
