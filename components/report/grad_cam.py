"""Grad-CAM of an exported model: which parts of an image decide the answer.

An export has one function from images to pixels and one from pixels to probabilities.
Signatures and loops call them. The second one is put into the graph as operations. Its
feature map nearest to the probabilities is the layer that is explained.
tf-keras-vis was considered: it needs the Keras model, and the report has only the
exported graph.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps
from tensorflow.python.framework.function_def_to_graph import (
    function_def_to_graph_def,
)

from graft.components.evaluation.exported_model import open_session, session_config
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
        output = signature.outputs[signature_names.PROBABILITIES_OUTPUT].name
        with self._session.graph.as_default() as graph:
            network = _find_network(
                meta_graph.graph_def, output.partition(":")[0], graph
            )
            self._images = tf.compat.v1.placeholder(tf.string, [None])
            probabilities = network.probabilities_of(network.pixels_of(self._images))
            self._map = _last_feature_map(probabilities)
            score = tf.reduce_sum(
                tf.math.log(tf.reduce_max(probabilities, axis=1) + 1e-12)
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


@dataclass(frozen=True)
class _Call:
    """A call of a function, somewhere in a model.

    Attributes:
        node: The node that calls.
        captured: What it passes after its first argument: tensors of the main graph.
    """

    node: Any
    captured: tuple[tf.Tensor, ...]


@dataclass(frozen=True)
class _Network:
    """The two functions of a model.

    Attributes:
        decode: The call from encoded images to pixels.
        classify: The call from pixels to probabilities.
        function: The FunctionDef that `classify` calls.
    """

    decode: _Call
    classify: _Call
    function: Any

    def pixels_of(self, images: tf.Tensor) -> tf.Tensor:
        """Add the decoding to the default graph, as a call."""
        node = self.decode.node
        call = tf.compat.v1.GraphDef(node=[node])
        arguments = [f"argument_{index}" for index, _ in enumerate(node.input)]
        call.node[0].input[:] = arguments
        # The call has a config of its own, which would rewrite the function.
        call.node[0].attr["config_proto"].s = session_config().SerializeToString()
        (pixels,) = tf.graph_util.import_graph_def(
            call,
            dict(zip(arguments, (images, *self.decode.captured), strict=True)),
            [f"{node.name}:0"],
        )
        shapes = self.function.arg_attr[0].attr["_output_shapes"].list.shape
        pixels.set_shape(tf.TensorShape(shapes[0]))
        return pixels

    def probabilities_of(self, pixels: tf.Tensor) -> tf.Tensor:
        """Add the operations of the network to the default graph."""
        signature = self.function.signature
        graph_def, names = function_def_to_graph_def(self.function)
        arguments = [argument.name for argument in signature.input_arg]
        (probabilities,) = tf.graph_util.import_graph_def(
            graph_def,
            dict(zip(arguments, (pixels, *self.classify.captured), strict=True)),
            [names[self.function.ret[signature.output_arg[0].name]]],
        )
        return probabilities


def _find_network(graph_def: Any, output: str, graph: tf.Graph) -> _Network:
    """Find the function from pixels to probabilities, and what makes its pixels.

    Variables reach a function as arguments of the functions and loops around it. So
    this follows the calls from the main graph, outer ones first.

    Args:
        graph_def: The model's GraphDef.
        output: Name of the node that returns the signature's probabilities.
        graph: The model, loaded.

    Raises:
        LookupError: There is no such function.
    """
    functions = {each.signature.name: each for each in graph_def.library.function}
    start = next(node for node in graph_def.node if node.name == output)
    known = {edge: _tensor(graph, edge) for edge in _data_inputs(start)}
    waiting = deque([([start], known)])
    while waiting:
        nodes, known = waiting.popleft()
        by_name = {node.name: node for node in nodes}
        for node in nodes:
            function = functions.get(_called_by(node))
            if function is None:
                continue
            edges = _data_inputs(node)
            captured = tuple(known.get(edge) for edge in edges[1:])
            maker = by_name.get(edges[0].partition(":")[0]) if edges else None
            if _takes_pixels(function) and maker is not None and None not in captured:
                return _Network(
                    _Call(maker, tuple(known[e] for e in _data_inputs(maker)[1:])),
                    _Call(node, captured),
                    function,
                )
            names = [argument.name for argument in function.signature.input_arg]
            passed = zip(names, (known.get(edge) for edge in edges), strict=True)
            waiting.append((list(function.node_def), dict(passed)))
    raise LookupError("no feature map lies between images and probabilities")


def _data_inputs(node: Any) -> list[str]:
    return [edge for edge in node.input if not edge.startswith("^")]


def _tensor(graph: tf.Graph, edge: str) -> tf.Tensor:
    return graph.get_tensor_by_name(edge if ":" in edge else f"{edge}:0")


def _called_by(node: Any) -> str:
    """Return the name of the function that a node calls or loops over; "" if none."""
    key = "body" if node.op in ("While", "StatelessWhile") else "f"
    return str(node.attr[key].func.name) if key in node.attr else ""


def _takes_pixels(function: Any) -> bool:
    """Return whether a function's first argument is a float tensor (N, H, W, C)."""
    arguments = function.signature.input_arg
    shapes = function.arg_attr[0].attr["_output_shapes"].list.shape
    return bool(
        arguments
        and arguments[0].type == tf.float32.as_datatype_enum
        and shapes
        and len(shapes[0].dim) == _MAP_RANK
    )


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
