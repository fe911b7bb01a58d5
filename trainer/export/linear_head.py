"""What an export tells of its linear head, for a later training to start from.

The weights are read from the variables of the SavedModel. A copy beside them could be
that of another head, and has the size of the backbone with a thousand classes.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

import numpy as np

from graft.contract import signature_names
from graft.storage import atomic, files

VARIABLES_FOLDER = "variables"
HEAD_VARIABLES = "head_variables"
"""Attribute of `ServingModel` that holds kernel and bias."""


@dataclass(frozen=True)
class LinearHead:
    """How a linear head was trained.

    Attributes:
        features: Fingerprint of the features; see `graft.trainer.warm_start`.
        penalty: The chosen L2 penalty.
    """

    features: str
    penalty: float

    def write(self, folder: str) -> None:
        """Write the file of a SavedModel."""
        atomic.write_text(path_in(folder), json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, folder: str) -> LinearHead:
        """Read the file of a SavedModel.

        Raises:
            OSError: There is no such file.
            ValueError: It holds something else.
        """
        try:
            values = json.loads(files.read_small_text(path_in(folder)))
            return cls(str(values["features"]), float(values["penalty"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path_in(folder)!r} is damaged") from error


def path_in(folder: str) -> str:
    """Return the path of the file in a SavedModel."""
    return os.path.join(folder, "assets.extra", signature_names.LINEAR_HEAD_FILE)


def read_weights(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """Read kernel, float32 (F, K), and bias, float32 (K,), of a SavedModel.

    With output `sigmoid`, the one column becomes two of opposite signs, which give the
    same probabilities.

    Raises:
        ValueError: The model has no such variables.
    """
    # Imported here, since TensorFlow is slow to import and the paths do not need it.
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(
            os.path.join(folder, VARIABLES_FOLDER, VARIABLES_FOLDER)
        )
        kernel, bias = (
            reader.get_tensor(f"{HEAD_VARIABLES}/{index}/.ATTRIBUTES/VARIABLE_VALUE")
            for index in range(2)
        )
    except (tf.errors.OpError, RuntimeError) as error:
        raise ValueError(f"{folder!r} holds no linear head: {error}") from error
    if kernel.ndim == 2 and kernel.shape[1] == 1:
        kernel = np.concatenate([-kernel, kernel], 1) / 2
        bias = np.concatenate([-bias, bias]) / 2
    return kernel, bias
