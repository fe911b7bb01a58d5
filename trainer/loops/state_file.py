"""The state file of a checkpoint, which tells what its other files are.

    <phase>-state.json   what was trained, and the names of the other files
    <phase>-...          the other files

It is written last and atomically, so it never names a file that is unfinished.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from graft.storage import atomic, files
from graft.storage.paths import join, name_of

logger = logging.getLogger(__name__)

STATE_SUFFIX = "state.json"
_FINGERPRINT = "fingerprint"


class StateFile:
    """The state file of a training phase.

    Args:
        folder: Folder or URI of the checkpoint.
        phase: Name of the phase.
        fingerprint: Identifies the training.
    """

    def __init__(self, folder: str, phase: str, fingerprint: str) -> None:
        self._folder = folder
        self._phase = phase
        self._fingerprint = fingerprint
        self._name = f"{phase}-{STATE_SUFFIX}"

    def read(self) -> dict[str, Any] | None:
        """Return the content that was written last, of any training; None if none was.

        Raises:
            OSError: The file can't be read.
        """
        path = join(self._folder, self._name)
        if not files.exists(path):
            return None
        content: dict[str, Any] = json.loads(files.read_text(path))
        return content

    def read_own(self) -> dict[str, Any] | None:
        """Return as `read`, but None for the content of another training."""
        content = self.read()
        if content is not None and content[_FINGERPRINT] != self._fingerprint:
            logger.warning("Ignored the checkpoint of another run in %s", self._folder)
            return None
        return content

    def replace(self, content: Mapping[str, Any], *names: str) -> None:
        """Write a new content, then remove the files that only the last one named.

        Args:
            content: Values that JSON can hold.
            *names: Names of all other files of the phase. They are written.

        Raises:
            OSError: The disk is full, or the folder isn't writable.
        """
        text = json.dumps({_FINGERPRINT: self._fingerprint, **content})
        atomic.write_text(join(self._folder, self._name), text)
        for path in files.files_below(self._folder):
            name = name_of(path)
            is_of_phase = name.startswith(f"{self._phase}-")
            if is_of_phase and name not in (self._name, *names):
                files.remove_file(path)
