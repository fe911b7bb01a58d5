from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2

from graft.components.evaluation.exported_model import open_session
from graft.serving.embedded.loading.saved_model import SavedModel


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A SavedModel with a call within a called function."""

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)], autograph=False)
        def inner(self, x: tf.Tensor) -> tf.Tensor:
            return x + 1

        @tf.function(input_signature=[tf.TensorSpec([], tf.float32)], autograph=False)
        def outer(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": self.inner(x) * 2}

    module = Module()
    path = tmp_path / "model"
    tf.saved_model.save(module, str(path), {"serving_default": module.outer})
    return path


def _rewrites(graph: tf.Graph) -> list[Any]:
    """Return the options of rewriting of each call of a function."""
    definition = graph.as_graph_def()
    bodies = [function.node_def for function in definition.library.function]
    return [
        config_pb2.ConfigProto.FromString(
            node.attr["config_proto"].s
        ).graph_options.rewrite_options
        for node in itertools.chain(definition.node, *bodies)
        if node.op in ("PartitionedCall", "StatefulPartitionedCall")
    ]


def test_the_gate_and_the_server_rewrite_each_function_once(model: Path) -> None:
    session, _ = open_session(str(model))
    served = SavedModel(model)
    of_gate, of_server = _rewrites(session.graph), _rewrites(served._graph)
    session.close()
    served.close()
    assert of_gate == of_server
    assert len(of_gate) >= 2
    for options in of_gate:
        assert (
            options.meta_optimizer_iterations == rewriter_config_pb2.RewriterConfig.ONE
        )
        assert options.disable_tfg_optimizer
