"""Run exported models on the `test` split, each image once."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl

from graft.components import progress
from graft.components.evaluation.config import SIZE_SLICE
from graft.components.evaluation.predictions import Answers, EvaluatedImages
from graft.contract import example_keys, signature_names
from graft.contract.errors import DataError
from graft.contract.label_map import LabelMap
from graft.storage import files, tfrecords

_BATCH_SIZE = 32
_NUM_TIMED_CALLS = 15
_SIZE_EDGES = (64, 128, 256, 512, 1024, 2048)


class LoadedModel:
    """A SavedModel that runs as in TensorFlow Serving: a graph in a session.

    `tf.saved_model.load` rebuilds each function of the graph and takes longer
    (docs/decisions/0060-measured-choices.md).

    Args:
        path: The SavedModel.

    Raises:
        Exception: TensorFlow can't load the model.
        KeyError: The model has no signature `serving_default`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.class_names = read_label_map(path).class_names
        self._session, meta_graph = open_session(path)
        signature = meta_graph.signature_def[signature_names.SERVING_SIGNATURE]
        self._run = self._session.make_callable(
            signature.outputs[signature_names.PROBABILITIES_OUTPUT].name,
            [signature.inputs[signature_names.EXAMPLES_INPUT].name],
        )

    def answer(self, examples: Sequence[bytes]) -> np.ndarray:
        """Return probabilities, float32 (N, K), for serialized examples."""
        array: np.ndarray = self._run(list(examples))
        return array

    def latency_ms(self, example: bytes) -> float:
        """Return the median time of one example alone, in milliseconds.

        Call `answer` before, because the first call is slower.
        """
        seconds = []
        for _ in range(_NUM_TIMED_CALLS):
            start = time.perf_counter()
            self.answer([example])
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds) * 1e3

    def close(self) -> None:
        """Free the session and its variables."""
        self._session.close()


def open_session(path: str) -> tuple[tf.compat.v1.Session, Any]:
    """Load a SavedModel into a session; return the session and the MetaGraphDef."""
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph, config=session_config())
    with graph.as_default():
        loader = loader_impl.SavedModelLoader(path)
        return session, loader.load(session, [tf.saved_model.SERVING])


def session_config() -> tf.compat.v1.ConfigProto:
    """Return session options without graph rewriting.

    Rewriting takes longer than it saves on the images of one split.
    """
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    return config


def read_label_map(model_path: str) -> LabelMap:
    """Read the label map beside a SavedModel of `graft.trainer.export`."""
    path = os.path.join(model_path, "assets.extra", signature_names.CLASS_NAMES_ASSET)
    return LabelMap.from_text(files.read_text(path))


def predict(
    example_files: Sequence[str],
    models: Mapping[str, LoadedModel],
    slice_keys: Sequence[str] = (),
) -> tuple[EvaluatedImages, dict[str, Answers], dict[str, Exception]]:
    """Run all models on all examples. Each example is read once.

    Args:
        example_files: TFRecords of raw examples.
        models: Name to model.
        slice_keys: Features to keep for slicing, besides `SIZE_SLICE`.

    Returns:
        The images; the answers by the model's name; and, for a model that failed, its
        error instead.

    Raises:
        DataError: There is no example.
    """
    collected: dict[str, list[np.ndarray]] = {name: [] for name in models}
    counters = progress.current()
    failures: dict[str, Exception] = {}
    columns: dict[str, list[str]] = {}
    for batch in _batches(example_files):
        for name, model in models.items():
            if name in failures:
                continue
            try:
                collected[name].append(model.answer(batch))
            except Exception as error:
                failures[name] = error
        for record in batch:
            for key, value in _describe(record, slice_keys).items():
                columns.setdefault(key, []).append(value)
        counters.advance("images", len(batch))
    if not columns:
        raise DataError(
            "The `test` split has no images, so nothing can be said about the model. "
            "Give it a share in `data.split`, or a folder of its own."
        )
    arrays = {key: np.asarray(values) for key, values in columns.items()}
    images = EvaluatedImages(
        class_names=arrays.pop(example_keys.CLASS_NAME_KEY),
        content_hashes=arrays.pop(example_keys.CONTENT_HASH_KEY),
        filenames=arrays.pop(example_keys.FILENAME_KEY),
        slices=arrays,
    )
    answers = {
        name: Answers(models[name].class_names, np.concatenate(batches))
        for name, batches in collected.items()
        if name not in failures
    }
    return images, answers, failures


def _batches(example_files: Sequence[str]) -> Iterator[list[bytes]]:
    dataset = tfrecords.dataset(example_files)
    for batch in dataset.batch(_BATCH_SIZE).prefetch(2).as_numpy_iterator():
        yield list(batch)


def _describe(record: bytes, slice_keys: Sequence[str]) -> dict[str, str]:
    """Return an example's class, hash, filename and slice values as text."""
    found = tf.train.Example.FromString(record).features.feature
    keys = [
        example_keys.CLASS_NAME_KEY,
        example_keys.CONTENT_HASH_KEY,
        example_keys.FILENAME_KEY,
    ]
    described = {key: _text(found[key]) if key in found else "" for key in keys}
    for key in slice_keys:
        if key == SIZE_SLICE:
            sides = [
                found[side].int64_list.value[0]
                for side in (example_keys.HEIGHT_KEY, example_keys.WIDTH_KEY)
                if side in found and found[side].int64_list.value
            ]
            described[key] = size_range(max(sides, default=0))
        else:
            described[key] = _text(found[key]) if key in found else ""
    return described


def _text(feature: tf.train.Feature) -> str:
    match feature.WhichOneof("kind"):
        case "bytes_list":
            values = [v.decode("utf-8", "replace") for v in feature.bytes_list.value]
        case "int64_list":
            values = [str(v) for v in feature.int64_list.value]
        case "float_list":
            values = [f"{v:g}" for v in feature.float_list.value]
        case _:
            values = []
    return ", ".join(values)


def size_range(longer_edge: int) -> str:
    """Return the range of a number of pixels, such as "64 to 127 px"."""
    low = 0
    for edge in _SIZE_EDGES:
        if longer_edge < edge:
            return f"{low} to {edge - 1} px"
        low = edge
    return f"{low} px and more"


def first_example(example_files: Sequence[str]) -> bytes:
    """Return the first example.

    Raises:
        DataError: There is none.
    """
    for record in tfrecords.dataset(example_files).take(1).as_numpy_iterator():
        return bytes(record)
    raise DataError("The `test` split has no images.")
