"""Checkpoints of training: written whole or not at all, and resumed exactly.

The checkpoint of a training is one folder:

    <phase>-<epoch>.weights.h5       weights and optimizer
    <phase>-best-<epoch>.weights.h5  weights of the best epoch so far
    <phase>-state.json               written last: history, and the names of the others

The folder may be on an object store: files are written here first and copied.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

logger = logging.getLogger(__name__)

_STATE_FILE = "state.json"
_KEPT_SECONDS = 30 * 24 * 3600
"""How long the checkpoint of a training that nobody went on with is kept."""


def checkpoint_folder(root: str, *facts: str) -> str:
    """Return the folder for the checkpoints of one training.

    Args:
        root: Folder or URI of all of them.
        *facts: What is trained, on what, and by which code: the same ones after a kill
            give the same folder.
    """
    digest = hashlib.sha256("\n".join(facts).encode()).hexdigest()
    return os.path.join(root, digest[:20])


def forget(folder: str) -> None:
    """Remove the checkpoints of a training that is done, and those long given up."""
    if tf.io.gfile.exists(folder):
        tf.io.gfile.rmtree(folder)
    root = os.path.dirname(folder)
    oldest = time.time() - _KEPT_SECONDS
    for name in tf.io.gfile.listdir(root) if tf.io.gfile.isdir(root) else ():
        other = os.path.join(root, name.rstrip("/"))
        states = tf.io.gfile.glob(os.path.join(other, f"*{_STATE_FILE}"))
        if states and all(_written(path) < oldest for path in states):
            tf.io.gfile.rmtree(other)


def _written(path: str) -> float:
    """Return when a file was written, in seconds since 1970."""
    return float(tf.io.gfile.stat(path).mtime_nsec) / 1e9


@dataclass
class LoopState:
    """What a training loop knows after an epoch, besides weights."""

    epoch: int = 0
    """Epochs done."""
    best_epoch: int = 0
    """Epoch of the least eval loss, counted from 1; 0: none yet."""
    best_loss: float = float("inf")
    learning_rate: float | None = None
    """The rate of a `plateau` schedule."""
    is_finished: bool = False
    history: dict[str, list[float]] = field(default_factory=dict)


class Checkpoint:
    """The checkpoint of one phase of training in a folder."""

    def __init__(self, folder: str | None, phase: str, fingerprint: str) -> None:
        """Name the folder (None: keep nothing) and what the run must match."""
        self._folder = folder
        self._phase = phase
        self._fingerprint = fingerprint
        self.best: list[np.ndarray] | None = None
        """The best epoch's weights, in memory."""

    @property
    def place(self) -> str:
        """Where the last saved weights lie, for a message."""
        if self._folder is None:
            return "nowhere (no folder was given)"
        path = str(self._path(self._state_name))
        if not tf.io.gfile.exists(path):
            return f"nowhere (no epoch of {self._phase} was finished)"
        with tf.io.gfile.GFile(path) as file:
            return str(self._path(json.load(file)["file"]))

    def restore(self, model: keras.Model) -> LoopState | None:
        """Bring a model back to its last saved epoch; None when none matches."""
        path = self._path(self._state_name)
        if path is None or not tf.io.gfile.exists(path):
            return None
        with tf.io.gfile.GFile(path) as file:
            saved = json.load(file)
        if saved["fingerprint"] != self._fingerprint:
            logger.warning("Ignored the checkpoint in %s: of another run", self._folder)
            return None
        if saved["best_file"]:
            self._load(model, saved["best_file"])
            self.best = model.get_weights()
        self._load(model, saved["file"])
        state = LoopState(**saved["state"])
        logger.info("Resumed %s after epoch %d", self._phase, state.epoch)
        return state

    def save(self, model: keras.Model, state: LoopState, *, is_best: bool) -> None:
        """Save the state after an epoch; the last one stays until this is whole."""
        if self._folder is None:
            return
        tf.io.gfile.makedirs(self._folder)
        name = f"{self._phase}-{state.epoch}.weights.h5"
        self._store(model, name)
        best_file = f"{self._phase}-best-{state.best_epoch}.weights.h5"
        if is_best and self.best is not None:
            current = model.get_weights()
            model.set_weights(self.best)
            self._store(model, best_file)
            model.set_weights(current)
        path = os.path.join(self._folder, self._state_name)
        content = {
            "fingerprint": self._fingerprint,
            "file": name,
            "best_file": best_file if self.best is not None else None,
            "state": asdict(state),
        }
        with tf.io.gfile.GFile(f"{path}.partial", "w") as file:
            json.dump(content, file)
        tf.io.gfile.rename(f"{path}.partial", path, overwrite=True)
        self._forget_all_but({name, content["best_file"]})

    @property
    def _state_name(self) -> str:
        return f"{self._phase}-{_STATE_FILE}"

    def _path(self, name: str) -> str | None:
        return None if self._folder is None else os.path.join(self._folder, name)

    def _store(self, model: keras.Model, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            local = str(Path(folder) / name)
            model.save_weights(local)
            target = str(self._path(name))
            tf.io.gfile.copy(local, f"{target}.partial", overwrite=True)
            tf.io.gfile.rename(f"{target}.partial", target, overwrite=True)

    def _load(self, model: keras.Model, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            local = str(Path(folder) / name)
            tf.io.gfile.copy(str(self._path(name)), local)
            model.load_weights(local)

    def _forget_all_but(self, kept: set[object]) -> None:
        for name in tf.io.gfile.listdir(self._folder):
            if name.startswith(f"{self._phase}-") and "weights.h5" in name:
                if name not in kept:
                    tf.io.gfile.remove(str(self._path(name)))
