"""Engines that run a frozen backbone: TensorFlow everywhere, OpenVINO on a CPU.

Both take the same Keras model and give the same features; only speed differs.
"""

from __future__ import annotations

import collections
import logging
import os
import re
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Any, Protocol, get_args

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from graft.storage.atomic import replacing
from graft.trainer.backbones.engine_names import EngineName, Precision

_GRAPH_FILES = ("backbone.xml", "backbone.bin")

logger = logging.getLogger(__name__)


class FeatureEngine(Protocol):
    """Runs a backbone over batches of preprocessed images."""

    name: str
    """What the log, the report and the key of stored features call it."""

    batch_size: int
    """Images a batch at which it is fast."""

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
    """The reference: the Keras model as a traced function, on a GPU if there is one."""

    batch_size = 32

    def __init__(self, backbone: keras.Model) -> None:
        self.name = engine_label("tensorflow", "float32")
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
        make_backbone: Builds the Keras model; not called where `keep_in` has its graph.
        precision: `bfloat16` is faster where the processor has it, and less exact.
        keep_in: Local folder that belongs to this backbone alone. Its graph is kept
            there as OpenVINO reads it, since reading the graph is faster than building
            and freezing the Keras model.
    """

    # The outputs of the layers stay in the processor's caches, those of a larger batch
    # do not (docs/decisions/0060-measured-choices.md).
    batch_size = 8

    def __init__(
        self,
        make_backbone: Callable[[], keras.Model],
        precision: Precision = "float32",
        keep_in: str | None = None,
    ) -> None:
        # Imported here: a GPU image, or a host without it, does not need the package.
        # Its usage reports go nowhere: without that package OpenVINO has a stub.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino as ov

        self.name = engine_label("openvino", precision)
        core = ov.Core()
        model = _read_kept(core, keep_in)
        if model is None:
            model = _read_into(core, make_backbone())
            _keep(model, keep_in)
        self._compiled = core.compile_model(
            model,
            "CPU",
            {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_PRECISION_HINT": "bf16"
                if precision == "bfloat16"
                else "f32",
            },
        )
        num_requests = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._requests = [
            self._compiled.create_infer_request() for _ in range(num_requests)
        ]

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Yield the features of each batch; see `FeatureEngine.run`."""
        # A ring of requests and no callbacks: OpenVINO's own queue (2026.4) can wait
        # for ever for a callback that waits for Python's lock.
        free = collections.deque(self._requests)
        running: collections.deque[Any] = collections.deque()

        def finish() -> np.ndarray:
            request, _ = running.popleft()
            request.wait()
            values: np.ndarray = request.get_output_tensor().data.copy()
            free.append(request)
            return values

        try:
            for batch in batches:
                if not free:
                    yield finish()
                request = free.popleft()
                # The batch is kept: the request reads its memory.
                running.append((request, batch))
                request.start_async({0: batch}, share_inputs=True)
            while running:
                yield finish()
        finally:
            # The reader may have stopped half-way; the requests must be idle again.
            for request, _ in running:
                request.wait()


def _read_into(core: Any, backbone: keras.Model) -> Any:
    """Bring a Keras model into OpenVINO as a frozen graph, read from a file.

    Not by `openvino.convert_model`: on Python 3.13 it fails on TensorFlow's functions
    (2026.4), and it is the one call that would report usage.
    """
    function = tf.function(
        lambda pixels: backbone(pixels, training=False),
        input_signature=[tf.TensorSpec([None, *backbone.input_shape[1:]], tf.float32)],
        autograph=False,
    )
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    with tempfile.TemporaryDirectory(prefix="graft-openvino-") as folder:
        path = os.path.join(folder, "backbone.pb")
        tf.io.write_graph(frozen.graph.as_graph_def(), folder, "backbone.pb", False)
        return core.read_model(path)


def _kept_path(folder: str) -> str:
    import openvino as ov

    version = re.sub(r"[^0-9.]+", "-", ov.__version__)
    return os.path.join(folder, f"openvino-{version}.zip")


def _read_kept(core: Any, folder: str | None) -> Any:
    """Read the graph that `_keep` wrote, or None; a damaged file counts as none."""
    if folder is None or not os.path.exists(_kept_path(folder)):
        return None
    try:
        with (
            zipfile.ZipFile(_kept_path(folder)) as archive,  # checks every byte's CRC
            tempfile.TemporaryDirectory(prefix="graft-openvino-") as unpacked,
        ):
            archive.extractall(unpacked, _GRAPH_FILES)
            return core.read_model(os.path.join(unpacked, _GRAPH_FILES[0]))
    except (OSError, KeyError, zipfile.BadZipFile, RuntimeError, zlib.error) as error:
        logger.warning("%s is built anew: %s", _kept_path(folder), error)
        return None


def _keep(model: Any, folder: str | None) -> None:
    """Write a graph for `_read_kept`; it appears whole or not at all."""
    if folder is None:
        return
    import openvino as ov

    with (
        replacing(_kept_path(folder)) as unfinished,
        tempfile.TemporaryDirectory(prefix="graft-openvino-") as unpacked,
    ):
        ov.serialize(model, *(os.path.join(unpacked, name) for name in _GRAPH_FILES))
        with zipfile.ZipFile(unfinished, "w") as archive:
            for name in _GRAPH_FILES:
                archive.write(os.path.join(unpacked, name), name)


def resolve_engine(engine: EngineName) -> EngineName:
    """Return the engine that `auto` stands for here; any other name as it is.

    `auto` takes TensorFlow where a GPU is seen, else OpenVINO where it is installed,
    else TensorFlow.

    Raises:
        ValueError: For an unknown engine.
    """
    if engine not in get_args(EngineName):
        raise ValueError(
            f"`engine` must be one of {', '.join(get_args(EngineName))}. "
            f"Received: engine={engine!r}"
        )
    if engine != "auto":
        return engine
    if tf.config.list_physical_devices("GPU") or find_spec("openvino") is None:
        return "tensorflow"
    return "openvino"


def engine_label(engine: EngineName, precision: Precision) -> str:
    """Return the name of a resolved engine with its precision, for keys and reports."""
    return f"{engine}-{precision if engine == 'openvino' else 'float32'}"


def build_engine(
    make_backbone: Callable[[], keras.Model],
    engine: EngineName = "auto",
    precision: Precision = "float32",
    keep_in: str | None = None,
) -> FeatureEngine:
    """Return an engine for a backbone.

    Args:
        make_backbone: Returns the model, as `backbone.build_backbone` builds it.
        engine: See `resolve_engine`.
        precision: Of OpenVINO's arithmetic.
        keep_in: See `OpenVinoEngine`.

    Raises:
        ValueError: For an unknown engine.
    """
    if resolve_engine(engine) == "openvino":
        return OpenVinoEngine(make_backbone, precision, keep_in)
    return TensorFlowEngine(make_backbone())
