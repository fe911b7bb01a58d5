"""Limit TensorFlow's rewriting of the functions of a loaded graph.

The embedded server and the gate load models in this way, so their answers are equal.
"""

from __future__ import annotations

import itertools
from typing import Any

from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2


def rewrite_functions_once(graph: Any) -> None:
    """Let Grappler go over each function of a GraphDef once, in place.

    A function is rewritten as its calls say, whatever the session's config, when it is
    first called. One pass fuses convolutions with what follows them, which saves time
    on each image. The second pass and the optimizer on MLIR delay the first call and
    save nothing after it (docs/decisions/0060-measured-choices.md).
    """
    functions = [function.node_def for function in graph.library.function]
    for node in itertools.chain(graph.node, *functions):
        if node.op not in ("PartitionedCall", "StatefulPartitionedCall"):
            continue
        config = config_pb2.ConfigProto.FromString(node.attr["config_proto"].s)
        rewrites = config.graph_options.rewrite_options
        rewrites.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
        rewrites.disable_tfg_optimizer = True
        node.attr["config_proto"].s = config.SerializeToString()
