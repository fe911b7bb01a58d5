"""Write the history of training to TensorBoard's event files.

    <folder>/train/events.out.tfevents...   loss, accuracy, learning_rate, seconds
    <folder>/eval/events.out.tfevents...    loss, accuracy

Steps are epochs, counted from 1 over all phases. For `lbfgs` and `ridge` steps are
penalties, from strong to weak.

`tf.summary.scalar`, `keras.callbacks.TensorBoard` and TensorBoard's own writer need the
package `tensorboard`, which graft doesn't install. The Keras callback also needs `fit`,
which not all phases use.
"""

from __future__ import annotations

import os

import tensorflow as tf

from graft.trainer.loops.training_loop import History

_EVAL_PREFIX = "eval_"
# The metadata that `tf.summary.scalar` writes.
_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
    data_class="DATA_CLASS_SCALAR",
)


class EventFiles:
    """Writes the new rows of a history at each call. It is an `OnEpoch`.

    Args:
        folder: Folder for the event files of `train` and `eval`.
    """

    def __init__(self, folder: str) -> None:
        self._writers = {
            split: tf.summary.create_file_writer(os.path.join(folder, split))
            for split in ("train", "eval")
        }
        self._num_written: dict[str, int] = {}

    def __call__(self, phase: str, history: History) -> None:
        """Write the new rows of a phase's history.

        Args:
            phase: Name of the phase.
            history: All rows of the phase so far.
        """
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
