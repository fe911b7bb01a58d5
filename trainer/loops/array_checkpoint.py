"""Save and restore the arrays of a solver, so that a killed fit goes on exactly.

The checkpoint is one folder, as `checkpoint.py` has one, with a file for the arrays:

    <phase>-<epoch>.npz   the arrays
    <phase>-state.json    see `state_file.py`
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from graft.storage import atomic, files
from graft.storage.paths import join
from graft.trainer.loops.state_file import StateFile

logger = logging.getLogger(__name__)


class ArrayCheckpoint:
    """The checkpoint of a fit.

    Args:
        folder: Folder or URI; None saves nothing.
        phase: Name of the phase.
        fingerprint: Identifies the training. `restore` ignores checkpoints of others.
    """

    def __init__(self, folder: str | None, phase: str, fingerprint: str) -> None:
        self._folder = folder
        self._phase = phase
        self._fingerprint = fingerprint

    def restore(self) -> dict[str, np.ndarray] | None:
        """Return the arrays that were saved last; None if there are none."""
        if self._folder is None:
            return None
        saved = self._state_in(self._folder).read_own()
        if saved is None:
            return None
        with files.local_copy(join(self._folder, saved["file"])) as local:
            with np.load(local) as arrays:
                found = dict(arrays)
        logger.info("Resumed %s after epoch %d", self._phase, saved["state"]["epoch"])
        return found

    def save(self, epoch: int, arrays: Mapping[str, np.ndarray]) -> None:
        """Save the arrays after an epoch, then remove those of the previous one.

        Args:
            epoch: Number of finished epochs.
            arrays: The arrays by their names.

        Raises:
            OSError: The disk is full, or the folder isn't writable.
        """
        if self._folder is None:
            return
        name = f"{self._phase}-{epoch}.npz"
        with (
            atomic.replacing(join(self._folder, name)) as unfinished,
            open(unfinished, "wb") as file,
        ):
            np.savez(file, allow_pickle=False, **arrays)
        state = self._state_in(self._folder)
        state.replace({"file": name, "state": {"epoch": epoch}}, name)

    def _state_in(self, folder: str) -> StateFile:
        return StateFile(folder, self._phase, self._fingerprint)
