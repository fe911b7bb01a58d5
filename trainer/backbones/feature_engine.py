"""Engines that run a frozen backbone: TensorFlow everywhere, OpenVINO on a CPU.

Both take the same Keras model. In float32 they return the same features up to rounding,
at different speeds.
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
from collections.abc import Callable, Generator, Iterable
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
    """Name in the log, the report and the key of stored features."""

    batch_size: int
    """Images per batch that the engine is fast at."""

    def run(self, batches: Iterable[np.ndarray]) -> Generator[np.ndarray]:
        """Yield the features of each batch, in order.

        Args:
            batches: float32 arrays (B, H, W, 3); B may vary. The engine may fetch a
                batch while it computes earlier ones.

        Close the generator if you don't read it to its end.

        Yields:
            float32 (B, ...) per batch.
        """
        ...


class TensorFlowEngine:
    """Runs the Keras model as a traced function, on a GPU if there is one."""

    batch_size = 32

    def __init__(self, backbone: keras.Model) -> None:
        self.name = engine_label("tensorflow", "float32")
        shape = backbone.input_shape
        self._function = tf.function(
            lambda pixels: backbone(pixels, training=False),
            input_signature=[tf.TensorSpec([None, *shape[1:]], tf.float32)],
            autograph=False,
        )

    def run(self, batches: Iterable[np.ndarray]) -> Generator[np.ndarray]:
        """Yield the features of each batch; see `FeatureEngine.run`."""
        for batch in batches:
            yield self._function(tf.constant(batch)).numpy()


class OpenVinoEngine:
    """Runs the backbone on a CPU with asynchronous OpenVINO requests.

    Args:
        make_backbone: Builds the Keras model. It isn't called if `cache_folder` holds
            the graph.
        precision: `bfloat16` is less exact, and faster on processors that support it.
        cache_folder: Local folder used for this backbone only. It holds the graph in
            OpenVINO's format, which loads faster than building and freezing the Keras
            model.
    """

    # With small batches the outputs of layers fit into the processor's caches
    # (docs/decisions/0060-measured-choices.md).
    batch_size = 8

    def __init__(
        self,
        make_backbone: Callable[[], keras.Model],
        precision: Precision = "float32",
        cache_folder: str | None = None,
    ) -> None:
        # Imported here, since a GPU image doesn't have the package. Hiding
        # openvino_telemetry turns off usage reports: OpenVINO then uses a stub.
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino as ov

        self.name = engine_label("openvino", precision)
        core = ov.Core()
        model = _read_cached_graph(core, cache_folder)
        if model is None:
            model = _convert(core, make_backbone())
            _write_cached_graph(model, cache_folder)
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

    def run(self, batches: Iterable[np.ndarray]) -> Generator[np.ndarray]:
        """Yield the features of each batch; see `FeatureEngine.run`."""
        # Not OpenVINO's AsyncInferQueue (2026.4): it can deadlock with a callback that
        # waits for Python's global interpreter lock.
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
                # Keep a reference to the batch: the request reads its memory.
                running.append((request, batch))
                request.start_async({0: batch}, share_inputs=True)
            while running:
                yield finish()
        finally:
            # The caller may stop early. The requests must be idle for the next run.
            for request, _ in running:
                request.wait()


def _convert(core: Any, backbone: keras.Model) -> Any:
    """Convert a Keras model to OpenVINO through the file of a frozen graph.

    `openvino.convert_model` (2026.4) was tried. On Python 3.13 it fails on TensorFlow's
    functions, and it is the only call that reports usage.
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


def _cache_path(folder: str) -> str:
    import openvino as ov

    version = re.sub(r"[^0-9.]+", "-", ov.__version__)
    return os.path.join(folder, f"openvino-{version}.zip")


def _read_cached_graph(core: Any, folder: str | None) -> Any:
    """Read a graph from the cache; return None if it is missing or damaged."""
    if folder is None or not os.path.exists(_cache_path(folder)):
        return None
    try:
        with zipfile.ZipFile(_cache_path(folder)) as archive:
            if archive.comment != _owner_of(folder):
                raise OSError("it is of another folder, so maybe of another backbone")
            # `read` checks the CRC.
            return core.read_model(*map(archive.read, _GRAPH_FILES))
    except (OSError, KeyError, zipfile.BadZipFile, RuntimeError, zlib.error) as error:
        logger.warning("Rebuilding %s: %s", _cache_path(folder), error)
        return None


def _write_cached_graph(model: Any, folder: str | None) -> None:
    """Write a graph to the cache atomically."""
    if folder is None:
        return
    import openvino as ov

    with (
        replacing(_cache_path(folder)) as unfinished,
        tempfile.TemporaryDirectory(prefix="graft-openvino-") as unpacked,
    ):
        ov.serialize(model, *(os.path.join(unpacked, name) for name in _GRAPH_FILES))
        with zipfile.ZipFile(unfinished, "w") as archive:
            archive.comment = _owner_of(folder)
            for name in _GRAPH_FILES:
                archive.write(os.path.join(unpacked, name), name)


def _owner_of(folder: str) -> bytes:
    """Return the name of a backbone's folder, which is a hash of what it is."""
    return os.path.basename(os.path.normpath(folder)).encode()


def resolve_engine(engine: EngineName) -> EngineName:
    """Resolve `auto` to an engine of this machine. Other names stay unchanged.

    `auto` is TensorFlow on a machine with a GPU, else OpenVINO if it is installed, else
    TensorFlow.

    Raises:
        ValueError: The engine is unknown.
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
    """Return an engine's name with its precision, for keys and reports."""
    return f"{engine}-{precision if engine == 'openvino' else 'float32'}"


def build_engine(
    make_backbone: Callable[[], keras.Model],
    engine: EngineName = "auto",
    precision: Precision = "float32",
    cache_folder: str | None = None,
) -> FeatureEngine:
    """Build an engine for a backbone.

    Args:
        make_backbone: Returns a model of `backbone.build_backbone`.
        engine: See `resolve_engine`.
        precision: Number format of OpenVINO. TensorFlow always uses float32.
        cache_folder: See `OpenVinoEngine`.

    Raises:
        ValueError: The engine is unknown.
    """
    if resolve_engine(engine) == "openvino":
        return OpenVinoEngine(make_backbone, precision, cache_folder)
    return TensorFlowEngine(make_backbone())
