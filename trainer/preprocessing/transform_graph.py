"""Read the label map of a Transform graph."""

from __future__ import annotations

import tensorflow_transform as tft

from graft.contract import example_keys
from graft.contract.label_map import LabelMap


def read_label_map(transform_graph_path: str) -> LabelMap:
    """Return the label map that `graft.components.transform` wrote.

    Args:
        transform_graph_path: Folder of a Transform graph, local or remote.
    """
    output = tft.TFTransformOutput(transform_graph_path)
    names = output.vocabulary_by_name(example_keys.CLASS_NAMES_VOCABULARY)
    return LabelMap.from_lines(names)
