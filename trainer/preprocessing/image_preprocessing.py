"""The single definition of how an encoded image becomes the backbone's input.

Transform puts `preprocess_images` into its graph, and from there training, feature
extraction, evaluation and the exported model all take it. Nothing repeats it.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Sequence

import tensorflow as tf

from graft.trainer.decoding.images import decode_image
from graft.trainer.preprocessing.normalisation import normalise_pixels
from graft.trainer.preprocessing.resizing import resize_pixels
from graft.trainer.preprocessing.spec import PreprocessingSpec


# Nothing here has Python control flow on tensors: AutoGraph would only rewrite every
# function, at a second or two each time that a graph is built.
@tf.autograph.experimental.do_not_convert
def preprocess_images(encoded: tf.Tensor, spec: PreprocessingSpec) -> tf.Tensor:
    """Decode, resize and normalise a batch of encoded images.

    Args:
        encoded: string (N,), bytes of image files of any sizes and formats.
        spec: What the backbone's preset asks for.

    Returns:
        float32 (N, spec.height, spec.width, 3) in the value range of `spec.scaling`.
    """
    resized = tf.map_fn(
        lambda item: resize_image(item, spec),
        encoded,
        fn_output_signature=tf.TensorSpec([spec.height, spec.width, 3], tf.float32),
    )
    return normalise_pixels(resized, spec.scaling)


def resize_image(encoded: tf.Tensor, spec: PreprocessingSpec) -> tf.Tensor:
    """Decode one image and bring it to the input size.

    Args:
        encoded: string (), bytes of an image file.
        spec: What the backbone's preset asks for.

    Returns:
        float32 (spec.height, spec.width, 3), values in [0, 255].
    """
    return _resize_function(spec)(encoded)


@functools.lru_cache(maxsize=8)
def _resize_function(spec: PreprocessingSpec) -> tf.types.experimental.ConcreteFunction:
    """Build the graph of `resize_image`, once in a process.

    Transform builds its graph four times, the export once for each signature: what they
    share is a call to this one.
    """
    size = (spec.height, spec.width)

    def resize_one(encoded: tf.Tensor) -> tf.Tensor:
        pixels = decode_image(encoded, target_size=size)
        resized = resize_pixels(
            pixels, size, spec.interpolation, antialias=spec.antialias
        )
        # Bicubic and Lanczos overshoot at edges; a camera never would.
        return tf.clip_by_value(resized, 0.0, 255.0)

    function = tf.function(
        resize_one, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
    )
    # Outside of the graph that happens to be built: that one may be gone tomorrow.
    with tf.init_scope():
        return function.get_concrete_function()


def preprocessing_fingerprint(spec: PreprocessingSpec) -> str:
    """Return a hash of the very graph that `preprocess_images` builds for `spec`.

    Args:
        spec: What the backbone's preset asks for.

    Returns:
        64 hexadecimal digits. They change when the code, the spec, or the TensorFlow
        release (its kernels may differ) changes.
    """
    function = tf.function(
        lambda encoded: preprocess_images(encoded, spec), autograph=False
    )
    with tf.Graph().as_default():
        concrete = function.get_concrete_function(tf.TensorSpec([None], tf.string))
    digest = hashlib.sha256()
    digest.update(tf.__version__.encode())
    digest.update(spec.to_json().encode())
    digest.update(_canonical_graph(concrete.graph.as_graph_def()))
    return digest.hexdigest()


def _canonical_graph(graph: tf.compat.v1.GraphDef) -> bytes:
    """Serialize what a graph computes, without the names that it gives to things.

    TensorFlow numbers functions by a counter of the process and lists them in no order:
    here they are listed as a walk from the main graph meets them, and a node refers to
    its inputs by their position.
    """
    functions = {
        function.signature.name: function for function in graph.library.function
    }
    met: dict[str, int] = {}
    bodies: list[str] = []

    def reference(name: str) -> str:
        if name not in met and name in functions:
            met[name] = len(met)
            function = functions[name]
            arguments = [argument.name for argument in function.signature.input_arg]
            results = [
                function.ret[argument.name]
                for argument in function.signature.output_arg
            ]
            bodies.append(body(arguments, function.node_def, results))
        return f"function {met.get(name, name)}"

    def body(
        arguments: Sequence[str],
        nodes: Iterable[tf.compat.v1.NodeDef],
        results: Sequence[str],
    ) -> str:
        nodes = list(nodes)
        names = [*arguments, *(node.name for node in nodes)]
        positions = {name: str(position) for position, name in enumerate(names)}

        def anonymous(edge: str) -> str:
            name, colon, output = edge.lstrip("^").partition(":")
            control = "^" if edge.startswith("^") else ""
            return control + positions.get(name, name) + colon + output

        lines = []
        for node in nodes:
            inputs = " ".join(anonymous(edge) for edge in node.input)
            lines.append(f"{node.op}({inputs})")
            # How many devices the process saw is no part of what is computed.
            for key in sorted(set(node.attr) - {"config_proto"}):
                attribute = tf.compat.v1.AttrValue()
                attribute.CopyFrom(node.attr[key])
                if attribute.HasField("func"):
                    attribute.func.name = reference(attribute.func.name)
                for function in attribute.list.func:
                    function.name = reference(function.name)
                value = attribute.SerializeToString(deterministic=True)
                lines.append(f"  {key}={value!r}")
        lines.append("-> " + " ".join(anonymous(edge) for edge in results))
        return "\n".join(lines)

    bodies.append(body([], graph.node, []))
    return "\n\n".join(bodies).encode()
