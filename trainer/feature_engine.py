"""Engines that run a frozen backbone: TensorFlow everywhere, OpenVINO on a CPU.

Both take the same Keras model and give the same features; only speed differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from trainer.feature_engine_names import EngineName, Precision


class FeatureEngine(Protocol):
    """Runs a backbone over batches of preprocessed images."""

    name: str
    """What the log, the report and the key of stored features call it."""

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the features of each batch, in order.

        Args:
            batches: float32 arrays (B, H, W, 3); B may vary. They are pulled while
                earlier ones are computed.

        Yields:
            float32 (B, ...) per batch.
        """
        ...


class TensorFlowEngine:
    """The reference: the Keras model as one traced function, on a GPU where there is one."""

    def __init__(self, backbone: keras.Model) -> None:
        self.name = "tensorflow-float32"
        shape = backbone.input_shape
        self._function = tf.function(
            lambda pixels: backbone(pixels, training=False),
            input_signature=[tf.TensorSpec([None, *shape[1:]], tf.float32)],
            autograph=False,
        )

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the features of each batch; see `FeatureEngine.run`."""
        for batch in batches:
            yield self._function(tf.constant(batch)).numpy()


class OpenVinoEngine:
    """The fast one on a CPU: requests run asynchronously, one a core.

    Args:
        backbone: The Keras model.
        precision: `bfloat16` is faster where the processor has it, and less exact.
    """

    def __init__(self, backbone: keras.Model, precision: Precision = "float32") -> None:
        # Imported here: a GPU image, or a host without it, does not need the package.
        import openvino as ov

        self.name = f"openvino-{precision}"
        shape = backbone.input_shape
        function = tf.function(
            lambda pixels: backbone(pixels, training=False),
            input_signature=[tf.TensorSpec([None, *shape[1:]], tf.float32)],
            autograph=False,
        )
        model = ov.convert_model(function.get_concrete_function())
        self._compiled = ov.Core().compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
            },
        )
        self._queue_class = ov.AsyncInferQueue

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the features of each batch; see `FeatureEngine.run`."""
        queue = self._queue_class(self._compiled)
        finished: dict[int, np.ndarray] = {}

        def keep(request: object, index: int) -> None:
            finished[index] = request.get_output_tensor().data.copy()  # type: ignore[attr-defined]

        queue.set_callback(keep)
        next_index = 0
        for index, batch in enumerate(batches):
            # Waits for a free request: no more than a few batches are in memory.
            queue.start_async({0: batch}, index)
            while next_index in finished:
                yield finished.pop(next_index)
                next_index += 1
        queue.wait_all()
        while next_index in finished:
            yield finished.pop(next_index)
            next_index += 1


def build_engine(
    backbone: keras.Model, engine: EngineName = "auto", precision: Precision = "float32"
) -> FeatureEngine:
    """Return an engine for `backbone`.

    Args:
        backbone: A model built by `backbone.build_backbone`.
        engine: `auto` takes TensorFlow where a GPU is seen, else OpenVINO where it is
            installed, else TensorFlow.
        precision: Of OpenVINO's arithmetic.

    Raises:
        ValueError: For an unknown engine.
    """
    if engine == "auto":
        engine = "tensorflow" if tf.config.list_physical_devices("GPU") else "openvino"
        try:
            import openvino  # noqa: F401
        except ImportError:
            engine = "tensorflow"
    if engine == "tensorflow":
        return TensorFlowEngine(backbone)
    if engine == "openvino":
        return OpenVinoEngine(backbone, precision)
    raise ValueError(
        "`engine` must be one of auto, tensorflow, openvino. "
        f"Received: engine={engine!r}"
    )
