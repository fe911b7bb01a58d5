"""TensorBoard's files hold the history, also of a run that was resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from graft.trainer.loops.event_files import EventFiles


def _scalars(folder: Path) -> dict[tuple[str, int], float]:
    """Return (tag, step) to value, and check that TensorBoard shows them as scalars."""
    found = {}
    for path in folder.glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                number = float(tf.make_ndarray(value.tensor))
                found[value.tag, int(event.step)] = number
    return found


def test_two_phases_follow_one_another(tmp_path: Path) -> None:
    events = EventFiles(str(tmp_path))
    # A resumed phase reports all its epochs at once, then one by one.
    events("frozen", {"loss": [3.0, 2.0], "eval_loss": [4.0, 3.0]})
    events("fine_tune", {"loss": [1.0], "eval_loss": [2.5]})
    events("fine_tune", {"loss": [1.0, 0.5], "eval_loss": [2.5, 2.0]})
    events.close()
    assert _scalars(tmp_path / "train") == {
        ("loss", 1): 3.0,
        ("loss", 2): 2.0,
        ("loss", 3): 1.0,
        ("loss", 4): 0.5,
    }
    assert _scalars(tmp_path / "eval") == {
        ("loss", 1): 4.0,
        ("loss", 2): 3.0,
        ("loss", 3): 2.5,
        ("loss", 4): 2.0,
    }


def test_no_history_is_no_event(tmp_path: Path) -> None:
    events = EventFiles(str(tmp_path))
    events("head", {})
    events.close()
    assert not _scalars(tmp_path / "train")
    assert _scalars(tmp_path / "eval") == pytest.approx({})
