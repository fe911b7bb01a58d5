"""Turn encoded images into the backbone's input: decode, resize, normalise.

Transform puts `preprocess_images` into its graph. Training, feature extraction,
evaluation and the exported model all use that graph. Nothing repeats it.
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


# There is no Python control flow on tensors here. AutoGraph would still rewrite every
# function each time a graph is built, which takes seconds.
@tf.autograph.experimental.do_not_convert
def preprocess_images(encoded: tf.Tensor, spec: PreprocessingSpec) -> tf.Tensor:
    """Decode, resize and normalise a batch of encoded images.

    Args:
        encoded: string (N,), bytes of image files of any sizes and formats.
        spec: Preprocessing of the backbone's preset.

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
    """Decode one image and resize it to the input size.

    Args:
        encoded: string (), bytes of an image file.
        spec: Preprocessing of the backbone's preset.

    Returns:
        float32 (spec.height, spec.width, 3), values in [0, 255].
    """
    return _resize_function(spec)(encoded)


@functools.lru_cache(maxsize=8)
def _resize_function(spec: PreprocessingSpec) -> tf.types.experimental.ConcreteFunction:
    """Build the graph of `resize_image` once per process.

    Transform builds its graph four times, and the export builds one per signature. All
    of them call this function.
    """
    size = (spec.height, spec.width)

    def resize_one(encoded: tf.Tensor) -> tf.Tensor:
        pixels = decode_image(encoded, target_size=size)
        resized = resize_pixels(
            pixels, size, spec.interpolation, antialias=spec.antialias
        )
        # Bicubic and Lanczos interpolation overshoot at edges.
        return tf.clip_by_value(resized, 0.0, 255.0)

    function = tf.function(
        resize_one, input_signature=[tf.TensorSpec([], tf.string)], autograph=False
    )
    # Built outside of the current graph, since the cached function outlives it.
    with tf.init_scope():
        return function.get_concrete_function()


def preprocessing_fingerprint(spec: PreprocessingSpec) -> str:
    """Return a hash of the graph that `preprocess_images` builds for `spec`.

    Args:
        spec: Preprocessing of the backbone's preset.

    Returns:
        64 hexadecimal digits. They change with the graph, the spec and the TensorFlow
        release, whose kernels may differ.
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
    """Serialize what a graph computes, independent of its names.

    TensorFlow numbers functions by a counter per process and lists them in any order.
    Here functions are listed in the order of a walk from the main graph, and nodes
    refer to their inputs by position.
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
            # `config_proto` has the number of devices, which changes no result.
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
