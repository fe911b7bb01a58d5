"""The data of the last run, noted in the model store for the run after it.

The store outlives a run on every platform. Refused runs are noted as well, which leave
no version. Pusher notes its run and leaves the one before in the `PushedModel` artifact
(`LAST_RUN_FILE`), where the report reads it.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timezone

from graft.components.quality.profile import Profile
from graft.storage import atomic, files

LAST_RUN_FILE = "last_run.json"
"""File of the `PushedModel` artifact that holds a `LastRun`; absent for the first."""

_NOTES_FILE = "graft_last_runs.json"
_MOST_RUNS = 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LastRun:
    """A run, as the next one wants to know it.

    Attributes:
        pipeline: Name of the pipeline.
        blessing: URI of the gate's blessing, which tells runs apart.
        written_at: When the run was noted, UTC, ISO 8601.
        data_fingerprint: Identifies its data.
        data_profile: What the data looked like; None where nobody looked.
    """

    pipeline: str
    blessing: str
    written_at: str
    data_fingerprint: str
    data_profile: Profile | None

    def to_json(self) -> str:
        """Return the run as JSON."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> LastRun:
        """Return the run that `to_json` wrote."""
        return cls(**json.loads(text))


def note_run(
    model_folder: str,
    *,
    pipeline: str,
    blessing: str,
    data_fingerprint: str,
    data_profile: Profile | None,
) -> LastRun | None:
    """Note a run in the store, and return the one before it; None for the first.

    A run that is noted twice, as after a crash, is one run.

    Args:
        model_folder: `<store>/<model name>`.
        pipeline: Runs of other pipelines are passed over.
        blessing: See `LastRun`, as the rest.
        data_fingerprint: See there.
        data_profile: See there.
    """
    runs = _read(model_folder)
    if runs and (runs[-1].pipeline, runs[-1].blessing) == (pipeline, blessing):
        runs.pop()
    earlier = [run for run in runs if run.pipeline == pipeline]
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    runs.append(LastRun(pipeline, blessing, now, data_fingerprint, data_profile))
    text = json.dumps([asdict(run) for run in runs[-_MOST_RUNS:]], indent=1)
    atomic.write_text(os.path.join(model_folder, _NOTES_FILE), text)
    return earlier[-1] if earlier else None


def _read(model_folder: str) -> list[LastRun]:
    """Return the runs noted so far; none where the notes can't be read."""
    path = os.path.join(model_folder, _NOTES_FILE)
    if not files.exists(path):
        return []
    try:
        return [LastRun(**run) for run in json.loads(files.read_text(path))]
    except (ValueError, TypeError):
        # They are there for the report alone: no reason for a push to fail.
        logger.warning("The notes on runs in %s are damaged", path, exc_info=True)
        return []
