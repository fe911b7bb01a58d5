"""A `graft run` that is killed in training ends like an uninterrupted one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graft.trainer.custom_config import HISTORY_FILE

_EPOCHS = 8
_TRAINING = {
    "strategy": "fine_tune",
    "epochs": 2,
    "learning_rate": 0.01,
    "batch_size": 16,
    "augmentation.rotation_degrees": 5,
    "fine_tune.from_layer": "top_conv",
    "fine_tune.learning_rate": 0.001,
    "fine_tune.epochs": _EPOCHS,
}
_KILLED_AFTER_EPOCH = 2


def _kill_in_training(command: list[str], output: Path) -> None:
    """Start it, and kill it and all its processes after an epoch of fine-tuning."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 280
    try:
        while time.monotonic() < deadline:
            pattern = "pipelines/graft/checkpoints/*/fine_tune-state.json"
            for path in output.glob(pattern):
                if (
                    json.loads(path.read_text())["state"]["epoch"]
                    >= _KILLED_AFTER_EPOCH
                ):
                    return
            assert process.poll() is None, "graft ended before it could be killed"
            time.sleep(0.01)
        raise AssertionError("no epoch was saved")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _versions(output: Path) -> list[Path]:
    return list((output / "serving" / "graft").glob("[0-9]*"))


def _weights(output: Path) -> dict[str, np.ndarray]:
    """Return every variable of the pushed model."""
    import tensorflow as tf

    (version,) = _versions(output)
    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    return {
        key: reader.get_tensor(key)
        for key in reader.get_variable_to_shape_map()
        if "VARIABLE_VALUE" in key
    }


def _history(output: Path) -> dict[str, list[float]]:
    trainer = output / "pipelines" / "graft" / "artifacts" / "Trainer"
    (path,) = trainer.rglob(HISTORY_FILE)
    history: dict[str, list[float]] = json.loads(path.read_text())
    history.pop("seconds")
    return history


@pytest.mark.large
@pytest.mark.timeout(900)
def test_same_weights_and_metrics_as_an_unbroken_run(
    run_graft: Callable[..., Any],
    digit_folder: Path,
    small: tuple[str, ...],
    tmp_path: Path,
) -> None:
    """Three runs of about a minute."""
    overrides = [f"--set=training.{key}={value}" for key, value in _TRAINING.items()]

    def arguments(output: Path) -> list[str]:
        data = ["--data", str(digit_folder), "--output", str(output)]
        return ["run", *data, "--set=name=graft", *small, *overrides]

    killed, unbroken = tmp_path / "killed", tmp_path / "unbroken"
    command = [sys.executable, "-m", "graft.pipeline.cli", *arguments(killed)]
    _kill_in_training(command, killed)
    assert not _versions(killed)
    outcomes = []
    for output in (killed, unbroken):
        done = run_graft(*arguments(output))
        assert done.returncode == 0, done.stdout + done.stderr
        outcomes.append(
            [line for line in done.stdout.splitlines() if "accuracy" in line]
        )
    logs = "".join(
        path.read_text() for path in killed.glob("pipelines/graft/logs/*.log")
    )
    assert "Resumed fine_tune after epoch" in logs
    assert outcomes[0] == outcomes[1] != []
    assert _history(killed) == _history(unbroken)
    expected, received = _weights(unbroken), _weights(killed)
    assert expected.keys() == received.keys() != set()
    for key, value in expected.items():
        np.testing.assert_array_equal(received[key], value, err_msg=key)
    assert not list((killed / "pipelines" / "graft" / "checkpoints").iterdir())
