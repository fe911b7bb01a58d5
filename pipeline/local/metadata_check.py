"""Check the metadata store of local runs before ML Metadata opens it.

ML Metadata answers a damaged file with a long query and a trace, and may notice the
damage in the middle of a run only.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import urllib.parse
from pathlib import Path

from graft.contract.errors import UserError


def require_intact(path: str | os.PathLike[str]) -> None:
    """Check a store, if there is one.

    Args:
        path: The SQLite file.

    Raises:
        UserError: It is damaged, or no database. The message says what is lost by
            moving it away.
    """
    file = Path(path)
    if not file.exists():
        return
    problem = _find_problem(file)
    if problem:
        raise damage_error(file, problem)


def damage_error(path: str | os.PathLike[str], problem: str) -> UserError:
    """Return the error for a damaged store.

    Args:
        path: The SQLite file.
        problem: What is wrong with it.
    """
    name = os.fspath(path)
    move = shlex.join(["mv", name, f"{name}.damaged"])
    return UserError(
        f"The record of earlier runs, {name!r}, is damaged: {problem}. Put "
        f"back a copy of it, or move it away: {move}\n"
        "Without it, `graft runs`, `graft diff` and earlier reports know no run "
        "before, and the next run computes each step again. Models in production, "
        "their history and the features in the cache stay."
    )


def _find_problem(file: Path) -> str:
    if not file.is_file():
        return "it is no file"
    # Not read-only: a journal of a killed run must be rolled back first.
    uri = f"file:{urllib.parse.quote(str(file.absolute()))}?mode=rw"
    try:
        connection = sqlite3.connect(uri, uri=True)
        try:
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.OperationalError:
        # Locked by a run, or on a read-only disk: ML Metadata has the last word.
        return ""
    except sqlite3.DatabaseError as error:
        return str(error)
    except UnicodeDecodeError:
        return "its schema is no text"
    return "" if answer == "ok" else str(answer).splitlines()[0]
