"""Choose GPUs and number formats for training with the backbone in the loop."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import keras
import tensorflow as tf

from graft.trainer.config import TrainingConfig

logger = logging.getLogger(__name__)

PLAIN_POLICY = "float32"
_BFLOAT16_FROM = (8, 0)
"""Lowest compute capability that is fast at bfloat16 (Ampere)."""
_FLOAT16_FROM = (7, 0)
"""Lowest compute capability that is fast at float16 (Volta)."""


def choose_policy(choice: str, capabilities: Sequence[tuple[int, int]]) -> str:
    """Return the name of the Keras dtype policy for a config.

    Args:
        choice: `training.mixed_precision`.
        capabilities: Compute capability of each GPU; empty on a CPU.
    """
    if choice == "auto":
        slowest = min(capabilities, default=(0, 0))
        if slowest >= _BFLOAT16_FROM:
            choice = "bfloat16"
        else:
            choice = "float16" if slowest >= _FLOAT16_FROM else "off"
    return PLAIN_POLICY if choice == "off" else f"mixed_{choice}"


def choose_strategy(
    choice: str, devices: Sequence[str]
) -> tf.distribute.Strategy | None:
    """Return a strategy that trains on all devices.

    Args:
        choice: `training.devices`.
        devices: Names of the logical GPUs.

    Returns:
        The strategy, or None for training on one device.
    """
    if choice == "one" or len(devices) < 2:
        return None
    return tf.distribute.MirroredStrategy(list(devices))


@contextmanager
def training_devices(training: TrainingConfig) -> Iterator[bool]:
    """Make models built within the context train on this machine's devices.

    Args:
        training: `devices` and `mixed_precision` are read.

    Yields:
        Whether these models are plain: float32 variables on one device.
    """
    capabilities = [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in tf.config.list_physical_devices("GPU")
    ]
    gpus = [device.name for device in tf.config.list_logical_devices("GPU")]
    strategy = choose_strategy(training.devices, gpus)
    policy = choose_policy(training.mixed_precision, capabilities)
    logger.info(
        "Training on %s in %s",
        f"{len(gpus)} GPUs" if strategy else "one GPU" if gpus else "the CPU (no GPU)",
        "float32: no mixed precision" if policy == PLAIN_POLICY else policy,
    )
    with ExitStack() as stack:
        stack.enter_context(dtype_policy(policy))
        if strategy is not None:
            stack.enter_context(strategy.scope())
        yield strategy is None and policy == PLAIN_POLICY


@contextmanager
def dtype_policy(policy: str) -> Iterator[None]:
    """Set Keras's dtype policy for layers built within the context."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
