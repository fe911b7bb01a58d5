"""Load an exported model and ask it."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.saved_model import loader_impl

from graft.contract import signature_names
from graft.contract.label_map import LabelMap
from graft.serving.graph_rewriting import rewrite_functions_once
from graft.storage import files

_NUM_TIMED_CALLS = 15


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
        self._signatures = meta_graph.signature_def
        self._run = self._probabilities(
            signature_names.SERVING_SIGNATURE, signature_names.EXAMPLES_INPUT
        )

    def _probabilities(self, name: str, input_name: str) -> Callable[[Any], np.ndarray]:
        signature = self._signatures[name]
        run: Callable[[Any], np.ndarray] = self._session.make_callable(
            signature.outputs[signature_names.PROBABILITIES_OUTPUT].name,
            [signature.inputs[input_name].name],
        )
        return run

    def feature_scorer(self, width: int) -> Callable[[np.ndarray], np.ndarray] | None:
        """Return a function from features, float32 (N, width), to probabilities.

        Returns:
            None if the model takes no features, or features of another width.
        """
        name, input_name = (
            signature_names.FEATURES_SIGNATURE,
            signature_names.FEATURES_INPUT,
        )
        if name not in self._signatures:
            return None
        shape = self._signatures[name].inputs[input_name].tensor_shape
        if [each.size for each in shape.dim[1:]] != [width]:
            return None
        return self._probabilities(name, input_name)

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
        tags = [tf.saved_model.SERVING]
        # `load` uses this very object.
        rewrite_functions_once(loader.get_meta_graph_def_from_tags(tags).graph_def)
        return session, loader.load(session, tags)


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
