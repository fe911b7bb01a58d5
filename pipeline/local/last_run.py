"""Remember which run was the last one in an output folder, and of which data.

The metadata store of a pipeline knows its own runs only, and takes long to read.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from graft.pipeline.config import METADATA_FILE, PIPELINES_FOLDER
from graft.storage import atomic

_FILE = "last_run.json"


@dataclass(frozen=True)
class LastRun:
    """The last run of a pipeline that began, whether or not it succeeded.

    Attributes:
        pipeline: Name of the pipeline.
        started: When it began, in Unix seconds.
        model: Name of its model; "" if it is unknown.
        data: Its `data.path`, absolute if it is local; "" if it is unknown.
        label_fixes: `data.label_fixes`, as written, of the last run that came to its
            end.
        refusal: Why its model was refused; "" if it was not, or it has not ended.
        words: What followed `graft run` on the command line of the last run that came
            to its end; empty if it is unknown.
        has_ended: Whether a run of the pipeline ever came to its end.
    """

    pipeline: str
    started: float
    model: str = ""
    data: str = ""
    label_fixes: tuple[str, ...] = ()
    refusal: str = ""
    words: tuple[str, ...] = ()
    has_ended: bool = True


def remember_run(
    pipeline_folder: str,
    *,
    model: str,
    data: str,
    label_fixes: Sequence[str] = (),
    refusal: str = "",
    words: Sequence[str] = (),
    has_ended: bool = True,
) -> None:
    """Write that a run of a pipeline begins, or ends, now.

    Args:
        pipeline_folder: Folder of the pipeline, which exists.
        model: Name of its model.
        data: See `LastRun.data`.
        label_fixes: Files of label fixes, see `LastRun.label_fixes`.
        refusal: See `LastRun.refusal`.
        words: See `LastRun.words`.
        has_ended: See `LastRun.has_ended`.
    """
    name = os.path.basename(pipeline_folder.rstrip("/"))
    fixes = tuple(label_fixes)
    run = LastRun(
        name, time.time(), model, data, fixes, refusal, tuple(words), has_ended
    )
    text = json.dumps(asdict(run), indent=1)
    atomic.write_text(os.path.join(pipeline_folder, _FILE), text)


def last_runs(output: str | os.PathLike[str]) -> list[LastRun]:
    """Return the last run of each pipeline in an output folder, latest run first."""
    stores = Path(output, PIPELINES_FOLDER).glob(f"*/{METADATA_FILE}")
    runs = [last_run_of(store.parent) for store in stores]
    return sorted(runs, key=lambda run: run.started, reverse=True)


def last_run_of(pipeline_folder: Path) -> LastRun:
    """Return the last run of a pipeline.

    Versions before December 2026 wrote no file, and a file may be damaged. The newest
    log then tells when the run began.
    """
    try:
        values = json.loads((pipeline_folder / _FILE).read_text(encoding="utf-8"))
        return LastRun(
            pipeline_folder.name,
            float(values["started"]),
            str(values["model"]),
            str(values["data"]),
            tuple(map(str, values.get("label_fixes", ()))),
            str(values.get("refusal", "")),
            tuple(map(str, values.get("words", ()))),
            bool(values.get("has_ended", True)),
        )
    except (OSError, ValueError, TypeError, KeyError):
        logs = (path.stat().st_mtime for path in pipeline_folder.glob("logs/*.log"))
        is_old = (pipeline_folder / METADATA_FILE).is_file()
        started = max(logs, default=0.0)
        return LastRun(pipeline_folder.name, started, has_ended=is_old)
