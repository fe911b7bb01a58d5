"""Outputs of a graph as the results of Classify and Regress."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graft.serving.embedded.contract.status import invalid
from graft.serving.embedded.contract.tensors import Array, enum_name, shape_text


def fill_classifications(
    result: Any, signature: Any, found: Mapping[str, Array], num_examples: int
) -> None:
    """Copy the outputs of a classification into a ClassificationResult.

    Args:
        result: The ClassificationResult to fill.
        signature: The SignatureDef, with `classes` (string), `scores` (float32), or
            both, of shape (N, K).
        found: Output by name of its tensor.
        num_examples: N.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    columns: dict[str, Array] = {}
    for alias, kind, type_name in (
        ("classes", "O", "DT_STRING"),
        ("scores", "f", "DT_FLOAT"),
    ):
        if alias not in signature.outputs:
            continue
        array = found[signature.outputs[alias].name]
        if array.ndim != 2:
            raise invalid(
                "Expected Tensor shape: [batch_size num_classes] but got "
                f"{shape_text(array.shape)}"
            )
        if array.dtype.kind != kind or (kind == "f" and array.dtype.itemsize != 4):
            raise invalid(
                f"Expected {alias} Tensor of {type_name}. Got: {enum_name(array.dtype)}"
            )
        if array.shape[0] != num_examples:
            raise invalid(
                f"Expected {alias} output batch size of {num_examples}. "
                f"Got: {array.shape[0]}"
            )
        columns[alias] = array
    widths = [array.shape[1] for array in columns.values()]
    if len(set(widths)) != 1:
        raise invalid(
            "Tensors class and score should match in dim_size(1). Got "
            f"{widths[0]} vs. {widths[1]}"
        )
    classes, scores = columns.get("classes"), columns.get("scores")
    for row in range(num_examples):
        classifications = result.classifications.add()
        for column in range(widths[0]):
            entry = classifications.classes.add()
            if classes is not None:
                entry.label = _text(classes[row, column])
            if scores is not None:
                entry.score = float(scores[row, column])


def fill_regressions(result: Any, output: Array, num_examples: int) -> None:
    """Copy the output of a regression into a RegressionResult.

    Args:
        result: The RegressionResult to fill.
        output: float32 (N,) or (N, 1).
        num_examples: N.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words.
    """
    if not (output.ndim == 1 or (output.ndim == 2 and output.shape[1] == 1)):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] "
            f"but got {shape_text(output.shape)}"
        )
    if output.shape[0] != num_examples:
        raise invalid(
            f"Input batch size did not match output batch size: {num_examples} vs. "
            f"{output.shape[0]}"
        )
    if output.dtype != np.float32:
        raise invalid(
            f"Expected output Tensor of DT_FLOAT.  Got: {enum_name(output.dtype)}"
        )
    for value in output.ravel().tolist():
        result.regressions.add(value=value)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
