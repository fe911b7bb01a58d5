"""Tell which runs are alive, and which were killed.

A run locks a file in its pipeline's folder while it lives, and writes its ID there. At
its end it removes the file. A file that nobody locks is of a killed run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_FOLDER = "running"


@dataclass(frozen=True)
class Marks:
    """IDs of the runs that have not ended themselves.

    Attributes:
        alive: Those that run now.
        killed: Those whose process is gone.
    """

    alive: frozenset[str]
    killed: frozenset[str]


@contextlib.contextmanager
def mark_run(pipeline_folder: str) -> Iterator[Callable[[str], None]]:
    """Mark a run while it lives.

    Args:
        pipeline_folder: Folder of the pipeline.

    Yields:
        A function that takes the ID of the run, as soon as it is known.
    """
    folder = Path(pipeline_folder) / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / uuid.uuid4().hex
    with path.open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        def name_run(run_id: str) -> None:
            file.seek(0)
            file.write(run_id)
            file.flush()

        try:
            yield name_run
        finally:
            path.unlink(missing_ok=True)


def read_marks(pipeline_folder: str | Path) -> Marks:
    """Return the marks in the folder of a pipeline."""
    alive: set[str] = set()
    killed: set[str] = set()
    for path in (Path(pipeline_folder) / _FOLDER).glob("*"):
        try:
            run_id, is_alive = _read_mark(path)
        except FileNotFoundError:
            continue  # the run has just ended
        (alive if is_alive else killed).add(run_id)
    return Marks(frozenset(alive - {""}), frozenset(killed - {""}))


def _read_mark(path: Path) -> tuple[str, bool]:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            is_alive = False
        except BlockingIOError:
            is_alive = True
        return os.fsdecode(file.read()), is_alive
