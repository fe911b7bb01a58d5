"""A `run_fn` that is killed in training and resumed ends like an uninterrupted one.

It runs in its own process, which gets SIGKILL.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from graft.contract import example_keys
from graft.trainer.config import ModelConfig, TrainingConfig
from graft.trainer.custom_config import (
    CHECKPOINTS_KEY,
    CODE_FINGERPRINT_KEY,
    HISTORY_FILE,
    MODEL_KEY,
    TRAINING_KEY,
)
from graft.trainer.loops.checkpoint import checkpoint_folder, remove_checkpoints
from graft.trainer.preprocessing.spec import PreprocessingSpec

ROOT = Path(__file__).resolve().parents[2]
_NAMES = ["falling", "rising"]
_SIZE = 32
_CUT = "block2b_add"
"""Shallow, so that nothing takes long."""
_FEATURES = 24
_DEADLINE_SECONDS = 400
_MODEL = {
    "preset": "efficientnet_lite0",
    "cut": _CUT,
    "weights": "none",
    "image_size": _SIZE,
}
_STORED = {
    "strategy": "feature_extraction",
    "optimizer": "adamw",
    "epochs": 60,
    "batch_size": 8,
    "ema_momentum": 0.9,
}
_IN_THE_LOOP = {
    "strategy": "fine_tune",
    "epochs": 2,
    "batch_size": 16,
    "augmentation": {"horizontal_flip": True, "rotation_degrees": 10, "mixup": 0.2},
    "fine_tune": {"blocks": ["block2"], "epochs": 8, "learning_rate": 0.01},
}
_RUN = """
import json, logging, sys, types
logging.basicConfig(level=logging.INFO)
from graft.trainer.run_fn import run_fn
run_fn(types.SimpleNamespace(**json.loads(sys.argv[1])))
"""


def _image(label: int, seed: int) -> bytes:
    rng = np.random.default_rng([label, seed])
    ramp = np.linspace(0, 200, _SIZE)[:: 1 if label else -1]
    pixels = np.broadcast_to(ramp[:, None, None], (_SIZE, _SIZE, 3))
    noisy = pixels + rng.uniform(0, 55, (_SIZE, _SIZE, 3))
    return bytes(tf.io.encode_png(noisy.astype(np.uint8)).numpy())


def _write(path: Path, *, num_examples: int, seed: int, is_stored: bool) -> None:
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for index in range(num_examples):
            label = index % 2
            example = tf.train.Example()
            feature = example.features.feature
            if is_stored:
                values = rng.normal(size=_FEATURES) + label * 0.1
                feature[example_keys.FEATURES_KEY].float_list.value.extend(values)
                feature[example_keys.LABEL_KEY].int64_list.value.append(label)
            else:
                image = _image(label, 1000 * seed + index)
                feature[example_keys.IMAGE_KEY].bytes_list.value.append(image)
                name = _NAMES[label].encode()
                feature[example_keys.CLASS_NAME_KEY].bytes_list.value.append(name)
            writer.write(example.SerializeToString())


@pytest.fixture(scope="module")
def transform_graph(analyse) -> str:
    """Write the Transform graph that the pipeline would."""
    spec = PreprocessingSpec(height=_SIZE, width=_SIZE, scaling="lite")
    return analyse([_image(label, 0) for label in (0, 1)], _NAMES[:2], spec)


class _Trainings:
    """Starts `run_fn` in processes of their own, as TFX would call it."""

    def __init__(
        self, folder: Path, graph: str, training: dict[str, object], code: str = "1"
    ) -> None:
        self.folder = folder
        self._graph = graph
        self._training = TrainingConfig.model_validate(training)
        self._code = code
        self.started: list[subprocess.Popen[bytes]] = []
        is_stored = self._training.strategy == "feature_extraction"
        for split, seed in (("train", 1), ("eval", 2)):
            path = folder / "data" / split / "data"
            _write(path, num_examples=48, seed=seed, is_stored=is_stored)

    def start(self, name: str, checkpoints: str) -> subprocess.Popen[bytes]:
        """Start one whose outputs and checkpoints have names of their own."""
        data, output = self.folder / "data", self.folder / name
        arguments = {
            "train_files": [str(data / "train" / "*")],
            "eval_files": [str(data / "eval" / "*")],
            "transform_graph_path": self._graph,
            "serving_model_dir": str(output / "model"),
            "model_run_dir": str(output / "model_run"),
            "custom_config": {
                MODEL_KEY: ModelConfig.model_validate(_MODEL).model_dump_json(),
                TRAINING_KEY: self._training.model_dump_json(),
                CHECKPOINTS_KEY: str(self.folder / checkpoints),
                CODE_FINGERPRINT_KEY: self._code,
            },
        }
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _RUN, json.dumps(arguments)],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.started.append(process)
        return process

    def end(self) -> None:
        """Leave no process behind."""
        for process in self.started:
            process.kill()
            process.wait()

    def finish(self, name: str, process: subprocess.Popen[bytes]) -> None:
        """Wait for one, which must succeed."""
        code = process.wait(_DEADLINE_SECONDS)
        assert code == 0, (self.folder / f"{name}.log").read_text()[-3000:]

    def kill_after(
        self, process: subprocess.Popen[bytes], checkpoints: str, phase: str, epoch: int
    ) -> None:
        """Kill one when it has saved so many epochs of a phase."""
        deadline = time.monotonic() + _DEADLINE_SECONDS
        pattern = f"{checkpoints}/*/{phase}-state.json"
        while time.monotonic() < deadline and process.poll() is None:
            for path in self.folder.glob(pattern):
                if json.loads(path.read_text())["state"]["epoch"] >= epoch:
                    process.send_signal(signal.SIGKILL)
                    assert process.wait() == -signal.SIGKILL
                    return
            time.sleep(0.005)
        pytest.fail("the training ended, or never began, before it could be killed")

    def weights(self, name: str) -> dict[str, np.ndarray]:
        """Return every variable of an exported model."""
        path = self.folder / name / "model" / "variables" / "variables"
        reader = tf.train.load_checkpoint(str(path))
        return {
            key: reader.get_tensor(key)
            for key in reader.get_variable_to_shape_map()
            if "VARIABLE_VALUE" in key
        }

    def history(self, name: str) -> dict[str, list[float]]:
        path = self.folder / name / "model_run" / HISTORY_FILE
        history: dict[str, list[float]] = json.loads(path.read_text())
        return history


@pytest.mark.timeout(1000)
@pytest.mark.parametrize(
    ("training", "phase", "epoch"),
    [
        pytest.param(_STORED, "head", 10, id="stored features"),
        # `test_streamed_heads.py` breaks such trainings off within one process.
        pytest.param(
            *({"feature_reading": "stream"}, "head", 5),
            id="stream",
            marks=pytest.mark.large,
        ),
        pytest.param(
            *({**_STORED, "feature_reading": "stream"}, "head", 10),
            id="stream, gradient steps",
            marks=pytest.mark.large,
        ),
        # Large: three processes of half a minute. `test_training.py` breaks such a
        # training off within one process.
        pytest.param(
            *(_IN_THE_LOOP, "fine_tune", 2),
            id="fine-tuning with augmentation",
            marks=pytest.mark.large,
        ),
    ],
)
def test_killed_training_ends_like_an_unbroken_one(
    training: dict[str, object],
    phase: str,
    epoch: int,
    transform_graph: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    trainings = _Trainings(tmp_path, transform_graph, training)
    request.addfinalizer(trainings.end)
    killed = trainings.start("killed", "checkpoints")
    trainings.kill_after(killed, "checkpoints", phase, epoch)
    unbroken = trainings.start("unbroken", "others")
    resumed = trainings.start("resumed", "checkpoints")
    trainings.finish("unbroken", unbroken)
    trainings.finish("resumed", resumed)

    expected, received = trainings.weights("unbroken"), trainings.weights("resumed")
    assert expected.keys() == received.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(received[key], value, err_msg=key)
    assert (
        trainings.history("resumed")["eval_loss"]
        == trainings.history("unbroken")["eval_loss"]
    )
    # It resumed, and the checkpoints are removed.
    log = (tmp_path / "resumed.log").read_text()
    assert f"Resumed {phase} after epoch" in log
    assert not list((tmp_path / "checkpoints").iterdir())
    assert not list((tmp_path / "others").iterdir())


def test_checkpoints_are_those_of_one_training() -> None:
    folders = {
        checkpoint_folder("/root", *facts)
        for facts in (["a", "b"], ["ab", ""], ["a", "c"], ["a", "b", ""])
    }
    assert len(folders) == 4
    assert checkpoint_folder("/root", "a", "b") in folders


def test_long_forsaken_checkpoints_go(tmp_path: Path) -> None:
    for name, age_days in (("done", 0), ("recent", 1), ("forsaken", 40)):
        path = tmp_path / name / "head-state.json"
        path.parent.mkdir()
        path.write_text("{}")
        written = time.time() - age_days * 24 * 3600
        os.utime(path, (written, written))
    remove_checkpoints(str(tmp_path / "done"))
    assert [path.name for path in tmp_path.iterdir()] == ["recent"]
