"""Save and restore the arrays of a solver, so that a killed fit goes on exactly.

The checkpoint is one folder, as `checkpoint.py` has one:

    <phase>-<epoch>.npz   the arrays
    <phase>-state.json    the name of that file, and what was trained

The state file is written last and atomically.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

import numpy as np

from graft.storage import atomic, files
from graft.storage.paths import join, name_of

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
        path = join(self._folder, self._state_name)
        if not files.exists(path):
            return None
        saved = json.loads(files.read_text(path))
        if saved["fingerprint"] != self._fingerprint:
            logger.warning("Ignored the checkpoint of another run in %s", self._folder)
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
        content = {
            "fingerprint": self._fingerprint,
            "file": name,
            "state": {"epoch": epoch},
        }
        atomic.write_text(join(self._folder, self._state_name), json.dumps(content))
        for path in files.files_below(self._folder):
            other = name_of(path)
            if other.startswith(f"{self._phase}-") and other.endswith(".npz"):
                if other != name:
                    files.remove_file(path)

    @property
    def _state_name(self) -> str:
        return f"{self._phase}-state.json"
