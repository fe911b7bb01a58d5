"""Number formats and several devices don't change the result of training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import pytest

from graft.trainer.config import TrainingConfig
from graft.trainer.loops.devices import choose_policy, choose_strategy, training_devices

_ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("choice", "capabilities", "policy"),
    [
        ("auto", [], "float32"),
        ("auto", [(9, 0)], "mixed_bfloat16"),
        ("auto", [(8, 0), (7, 5)], "mixed_float16"),
        ("auto", [(6, 1)], "float32"),
        ("off", [(9, 0)], "float32"),
        ("bfloat16", [], "mixed_bfloat16"),
        ("float16", [], "mixed_float16"),
    ],
)
def test_policy(choice: str, capabilities: list[tuple[int, int]], policy: str) -> None:
    """The slowest GPU decides. Without a GPU, mixed precision is off."""
    assert choose_policy(choice, capabilities) == policy


def test_one_device_needs_no_strategy() -> None:
    assert choose_strategy("all", []) is None
    assert choose_strategy("all", ["GPU:0"]) is None
    assert choose_strategy("one", ["GPU:0", "GPU:1"]) is None


def test_policy_ends_with_the_training(caplog: pytest.LogCaptureFixture) -> None:
    before = keras.config.dtype_policy().name
    with caplog.at_level("INFO"):
        with training_devices(TrainingConfig(mixed_precision="bfloat16")) as is_plain:
            assert keras.layers.Dense(1).compute_dtype == "bfloat16"
            assert not is_plain
    assert keras.config.dtype_policy().name == before
    with caplog.at_level("INFO"):
        with training_devices(TrainingConfig(mixed_precision="auto")):
            pass
    assert "no mixed precision" in caplog.text


_TWO_DEVICES = """
import sys, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * 2
)
import keras
from graft.trainer.config import FineTuneConfig, ModelConfig, TrainingConfig
from graft.trainer.loops.devices import choose_strategy
from graft.trainer.loops.image_epochs import ImageStream
from graft.trainer.loops.training import fit_end_to_end
from contextlib import nullcontext

def stream(seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(48) % 2
    images = rng.normal(size=(48, 8, 8, 3)) + labels[:, None, None, None]
    return ImageStream(
        tf.data.Dataset.from_tensor_slices((images.astype("float32"), labels))
    )

def fit(scope, folder):
    with scope:
        keras.utils.set_random_seed(1)
        image = keras.Input((8, 8, 3))
        x = keras.layers.Conv2D(4, 3, name="block1_conv")(image)
        x = keras.layers.GlobalAveragePooling2D()(x)
        backbone = keras.Model(image, x)
        backbone.trainable = False
        fitted = fit_end_to_end(
            stream(1), stream(2), backbone=backbone, model=ModelConfig(),
            training=TrainingConfig(
                strategy="fine_tune", epochs=2, batch_size=12, ema_momentum=0.5,
                optimizer="adam", learning_rate=0.01,
                fine_tune=FineTuneConfig(
                    blocks=("block1",), epochs=2, learning_rate=0.01,
                    backbone_rate_factor=0.5,
                ),
            ),
            num_classes=2, checkpoint_dir=folder,
        )
        return [*backbone.get_weights(), *fitted.head.get_weights()], fitted.history

devices = [device.name for device in tf.config.list_logical_devices("CPU")]
strategy = choose_strategy("all", devices)
assert strategy.num_replicas_in_sync == 2
one, history = fit(nullcontext(), None)
two, history_of_two = fit(strategy.scope(), sys.argv[1])
for a, b in zip(one, two, strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5)
np.testing.assert_allclose(history["eval_loss"], history_of_two["eval_loss"], atol=1e-4)
assert history["eval_loss"][-1] < 0.8 * history["eval_loss"][0], history
"""


def test_two_devices_give_the_weights_of_one(tmp_path: Path) -> None:
    """MirroredStrategy over two logical processors, in a process of their own."""
    result = subprocess.run(
        [sys.executable, "-c", _TWO_DEVICES, str(tmp_path / "checkpoints")],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
