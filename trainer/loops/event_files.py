"""TensorBoard's event files: the history of training, epoch by epoch.

    <folder>/train/events.out.tfevents...   loss, accuracy, learning_rate, seconds
    <folder>/eval/events.out.tfevents...    loss, accuracy

The steps are epochs, counted from 1 through all phases; for `lbfgs` and `ridge` they
are the penalties, from the strongest on.
"""

from __future__ import annotations

import os

import tensorflow as tf

from graft.trainer.loops.training_loop import History

_EVAL_PREFIX = "eval_"
# `tf.summary.scalar` would be this, if TensorBoard were installed beside TensorFlow.
_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class="DATA_CLASS_SCALAR",
)


class EventFiles:
    """Writes what a history gained since the last call; an `OnEpoch`."""

    def __init__(self, folder: str) -> None:
        """Open a file for `train` and one for `eval` below the folder."""
        self._writers = {
            split: tf.summary.create_file_writer(os.path.join(folder, split))
            for split in ("train", "eval")
        }
        self._num_written: dict[str, int] = {}

    def __call__(self, phase: str, history: History) -> None:
        """Write the rows of a phase's history that are new."""
        num_rows = len(next(iter(history.values()), ()))
        for row in range(self._num_written.get(phase, 0), num_rows):
            self._num_written[phase] = row + 1
            step = sum(self._num_written.values())
            for key, values in history.items():
                name = key.removeprefix(_EVAL_PREFIX)
                split = "eval" if key.startswith(_EVAL_PREFIX) else "train"
                with self._writers[split].as_default(step=step):
                    tf.summary.write(name, values[row], metadata=_SCALAR)
        for writer in self._writers.values():
            writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
