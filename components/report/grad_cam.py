"""Grad-CAM of an exported model: what in an image the answer rests on.

The page is written from what was exported, without the code that built it: the
SavedModel is flattened into one graph, whose last feature map, as seen from the
probabilities, is the layer that is explained.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from components.report.pictures import THUMBNAIL_PIXELS, data_uri
from trainer import features

_MAP_RANK = 4
_OPACITY = 0.55


class Explainer:
    """Tells what the most probable class of an image rests on.

    Args:
        model_path: A SavedModel of `trainer.export`.

    Raises:
        LookupError: The model has no feature map, that is a tensor (N, H, W, C) between
            images and probabilities.
    """

    def __init__(self, model_path: str) -> None:
        loaded: Any = tf.saved_model.load(model_path)
        frozen = convert_variables_to_constants_v2(
            loaded.signatures[features.IMAGES_SIGNATURE],
            lower_control_flow=False,
            aggressive_inlining=True,
        )
        (images,) = [each for each in frozen.inputs if each.dtype == tf.string]
        # Outputs lose their names: the label is a string, the probabilities are floats.
        (probabilities,) = [each for each in frozen.outputs if each.dtype.is_floating]
        self._graph = tf.Graph()
        with self._graph.as_default():
            tf.graph_util.import_graph_def(_without_order(frozen.graph), name="")
            tensor = self._graph.get_tensor_by_name
            self._images = tensor(images.name)
            self._probabilities = tensor(probabilities.name)
            self._map = _last_feature_map(self._probabilities)
            score = tf.reduce_sum(
                tf.math.log(tf.reduce_max(self._probabilities, axis=1) + 1e-12)
            )
            (self._gradients,) = tf.gradients(score, self._map)
        if self._gradients is None:
            raise LookupError("the probabilities do not depend on the feature map")
        self._session = tf.compat.v1.Session(graph=self._graph)

    def heat(self, encoded: Sequence[bytes]) -> np.ndarray:
        """Return how much each place counts, float32 (N, h, w) in [0, 1].

        Args:
            encoded: Encoded images.
        """
        maps, gradients = self._session.run(
            [self._map, self._gradients], {self._images: list(encoded)}
        )
        weights = gradients.mean(axis=(1, 2), keepdims=True)
        heat = np.maximum((weights * maps).sum(axis=-1), 0)
        most = heat.max(axis=(1, 2), keepdims=True)
        return np.asarray(heat / np.maximum(most, 1e-12), np.float32)

    def close(self) -> None:
        """Free the graph."""
        self._session.close()


def overlay(encoded: bytes, heat: np.ndarray) -> str:
    """Return the image with its heat over it, as a `data:` URI.

    Args:
        encoded: The encoded image.
        heat: float32 (h, w) in [0, 1]; it covers the whole image, as models squeeze an
            image to their square input.
    """
    with Image.open(io.BytesIO(encoded)) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    scale = THUMBNAIL_PIXELS / max(picture.size)
    width, height = (max(1, round(edge * scale)) for edge in picture.size)
    size = width, height
    picture = ImageOps.grayscale(picture.resize(size)).convert("RGB")
    smooth = Image.fromarray((heat * 255).astype(np.uint8)).resize(
        size, Image.Resampling.BICUBIC
    )
    strength = np.asarray(smooth, np.float32)[..., np.newaxis] / 255
    colour = np.concatenate(
        [np.ones_like(strength), 1 - strength, np.zeros_like(strength)], axis=-1
    )
    share = _OPACITY * strength
    mixed = (1 - share) * np.asarray(picture, np.float32) + share * 255 * colour
    return data_uri(Image.fromarray(mixed.astype(np.uint8)))


def _without_order(graph: tf.Graph) -> Any:
    """Return a graph's definition without control inputs: mere order, and checks.

    Among it is the look-up of a label that nobody gives, in a table that is not there.
    """
    definition = graph.as_graph_def()
    for node in definition.node:
        kept = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(kept)
    return definition


def _last_feature_map(output: tf.Tensor) -> tf.Tensor:
    """Go back from the output, level by level, to the first tensor (N, H, W, C)."""
    queue, seen = deque([output]), {output.name}
    while queue:
        tensor = queue.popleft()
        shape = tensor.shape
        is_map = shape.rank == _MAP_RANK and tensor.dtype.is_floating
        if is_map and (shape[1] or 0) > 1 and (shape[2] or 0) > 1:
            return tensor
        for source in tensor.op.inputs:
            if source.name not in seen:
                seen.add(source.name)
                queue.append(source)
    raise LookupError("no feature map lies between images and probabilities")
