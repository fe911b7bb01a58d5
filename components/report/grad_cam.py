"""Grad-CAM of an exported model: which parts of an image decide the answer.

The SavedModel's functions are flattened into one graph. The feature map nearest to the
probabilities is the layer that is explained. tf-keras-vis was considered: it needs the
Keras model, and the report has only the exported graph.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow.python.framework.convert_to_constants import (
    disable_lower_using_switch_merge,
)
from tensorflow.python.grappler import tf_optimizer

from graft.components.evaluation.inference import open_session, session_config
from graft.components.pictures import THUMBNAIL_PIXELS, as_picture, data_uri
from graft.contract import signature_names

_MAP_RANK = 4
_OPACITY = 0.55


class Explainer:
    """Compute heat maps for the most probable class of images.

    Args:
        model_path: A SavedModel of `graft.trainer.export`.

    Raises:
        LookupError: The model has no feature map: a tensor (N, H, W, C) between images
            and probabilities.
    """

    def __init__(self, model_path: str) -> None:
        self._session, meta_graph = open_session(model_path)
        signature = meta_graph.signature_def[signature_names.IMAGES_SIGNATURE]
        images = signature.inputs[signature_names.IMAGES_INPUT].name
        probabilities = signature.outputs[signature_names.PROBABILITIES_OUTPUT].name
        with self._session.graph.as_default():
            # Imported into the loaded graph, so that it shares the variables by name.
            self._images, self._probabilities = tf.graph_util.import_graph_def(
                _flatten(meta_graph, probabilities),
                name="explained",
                return_elements=[images, probabilities],
            )
            self._map = _last_feature_map(self._probabilities)
            score = tf.reduce_sum(
                tf.math.log(tf.reduce_max(self._probabilities, axis=1) + 1e-12)
            )
            (self._gradients,) = tf.gradients(score, self._map)
        if self._gradients is None:
            raise LookupError("the probabilities do not depend on the feature map")

    def heat(self, encoded: Sequence[bytes]) -> np.ndarray:
        """Return heat maps, float32 (N, h, w) in [0, 1].

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
    """Draw a heat map over an image, as a `data:` URI.

    Args:
        encoded: The encoded image.
        heat: float32 (h, w) in [0, 1]. It covers the whole image, because models resize
            the whole image to their square input.
    """
    picture = as_picture(encoded)
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


def _flatten(meta_graph: Any, output: str) -> Any:
    """Return the GraphDef of one output, with all function calls inlined.

    Control inputs are removed. They only order operations and run checks.

    Args:
        meta_graph: The MetaGraphDef of the graph that will import the result.
        output: Name of a tensor.
    """
    wanted = meta_graph_pb2.MetaGraphDef(meta_info_def=meta_graph.meta_info_def)
    used = tf.compat.v1.graph_util.extract_sub_graph(
        meta_graph.graph_def, [output.partition(":")[0]]
    )
    # Loops stay single nodes, because lowered loops need their control inputs.
    wanted.graph_def.CopyFrom(disable_lower_using_switch_merge(used))
    # Grappler keeps the nodes listed here as outputs.
    wanted.collection_def["train_op"].node_list.value.append(output)
    config = config_pb2.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.optimizers.append("function")
    rewriting.meta_optimizer_iterations = rewriting.ONE
    rewriting.function_optimization = rewriting.AGGRESSIVE
    rewriting.min_graph_nodes = -1
    flat = tf_optimizer.OptimizeGraph(config, wanted)
    for node in flat.node:
        kept = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(kept)
        # Stale in specialised functions, where import infers another shape.
        node.attr.pop("_output_shapes", None)
        # The remaining calls have a config of their own, which would rewrite them.
        if "config_proto" in node.attr:
            node.attr["config_proto"].s = session_config().SerializeToString()
    loaded = {each.signature.name for each in meta_graph.graph_def.library.function}
    added = [
        each for each in flat.library.function if each.signature.name not in loaded
    ]
    del flat.library.function[:]
    flat.library.function.extend(added)
    return flat


def _last_feature_map(output: tf.Tensor) -> tf.Tensor:
    """Return the tensor (N, H, W, C) nearest to the output, by breadth-first search."""
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
