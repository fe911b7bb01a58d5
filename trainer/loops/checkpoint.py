"""Save and restore checkpoints, so that a killed training resumes exactly.

The checkpoint of a training is one folder:

    <phase>-<epoch>.weights.h5       weights and optimizer
    <phase>-best-<epoch>.weights.h5  weights of the best epoch so far
    <phase>-state.json               history; see `state_file.py`

The folder may be on an object store: files are written to a local folder first and
copied.

`keras.callbacks.BackupAndRestore` works only with `fit`. It keeps neither the history
nor the best weights.
"""

from __future__ import annotations

import logging
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from graft.storage import copying, files, hashing
from graft.storage.paths import join, parent_of
from graft.trainer.loops.state_file import STATE_SUFFIX, StateFile

logger = logging.getLogger(__name__)

_RETENTION_SECONDS = 30 * 24 * 3600
"""Time for which the checkpoint of an abandoned training is kept."""


def checkpoint_folder(root: str, *facts: str) -> str:
    """Return the folder for the checkpoints of one training.

    Args:
        root: Folder or URI of all checkpoints.
        *facts: Texts that identify the training: model, data and code. The same facts
            give the same folder.
    """
    return join(root, hashing.hash_bytes("\n".join(facts).encode())[:20])


def remove_checkpoints(folder: str) -> None:
    """Remove the checkpoints of a finished training and of long abandoned ones.

    Args:
        folder: Folder of the finished training, from `checkpoint_folder`.
    """
    files.remove_folder(folder)
    root = parent_of(folder)
    oldest = time.time() - _RETENTION_SECONDS
    for name in files.list_folder(root) if files.is_folder(root) else ():
        other = join(root, name)
        states = [
            path for path in files.files_below(other) if path.endswith(STATE_SUFFIX)
        ]
        if states and all(files.modified_at(path) < oldest for path in states):
            files.remove_folder(other)


@dataclass
class LoopState:
    """The state of a training loop after an epoch, without weights."""

    epoch: int = 0
    """Number of finished epochs."""
    best_epoch: int = 0
    """Epoch with the least eval loss, from 1; 0: none yet."""
    best_loss: float = float("inf")
    learning_rate: float | None = None
    """Current rate of a `plateau` schedule."""
    is_finished: bool = False
    history: dict[str, list[float]] = field(default_factory=dict)


class Checkpoint:
    """The checkpoint of one training phase.

    Args:
        folder: Folder or URI; None saves nothing.
        phase: Name of the phase.
        fingerprint: Identifies the training. `restore` ignores checkpoints of others.
    """

    def __init__(self, folder: str | None, phase: str, fingerprint: str) -> None:
        self._folder = folder
        self._phase = phase
        self._state = None if folder is None else StateFile(folder, phase, fingerprint)
        self.best: list[np.ndarray] | None = None
        """Weights of the best epoch, in memory."""

    @property
    def location(self) -> str:
        """Path of the last saved weights, for a message."""
        if self._state is None:
            return "nowhere (no folder was given)"
        saved = self._state.read()
        if saved is None:
            return f"nowhere (no epoch of {self._phase} was finished)"
        return self._path(saved["file"])

    def restore(self, model: keras.Model) -> LoopState | None:
        """Restore a model and its optimizer from the last saved epoch.

        Args:
            model: A compiled model whose optimizer is built. It is changed in place.

        Returns:
            The state after that epoch, or None if there is no matching checkpoint.
        """
        saved = None if self._state is None else self._state.read_own()
        if saved is None:
            return None
        if saved["best_file"]:
            self._load(model, saved["best_file"])
            self.best = model.get_weights()
        self._load(model, saved["file"])
        state = LoopState(**saved["state"])
        logger.info("Resumed %s after epoch %d", self._phase, state.epoch)
        return state

    def save(self, model: keras.Model, state: LoopState, *, is_best: bool) -> None:
        """Save the state after an epoch, then remove the previous one.

        Args:
            model: The model to save, with its optimizer.
            state: The state to save.
            is_best: Whether `best` holds new weights to save.
        """
        if self._state is None:
            return
        name = f"{self._phase}-{state.epoch}.weights.h5"
        self._store(model, name)
        best_file = f"{self._phase}-best-{state.best_epoch}.weights.h5"
        if is_best and self.best is not None:
            current = model.get_weights()
            model.set_weights(self.best)
            self._store(model, best_file)
            model.set_weights(current)
        best_files = [best_file] if self.best is not None else []
        content = {
            "file": name,
            "best_file": best_file if best_files else None,
            "state": asdict(state),
        }
        self._state.replace(content, name, *best_files)

    def _path(self, name: str) -> str:
        return join(str(self._folder), name)

    def _store(self, model: keras.Model, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            local = str(Path(folder) / name)
            model.save_weights(local)
            copying.copy_file(local, self._path(name))

    def _load(self, model: keras.Model, name: str) -> None:
        with files.local_copy(self._path(name)) as local:
            model.load_weights(local)
