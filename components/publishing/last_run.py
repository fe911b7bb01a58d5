"""Notes in the model store on the data of the last runs.

The store outlives a run on every platform. Refused runs, which leave no version, are
noted, too. Pusher notes its run and writes the previous one to the `PushedModel`
artifact (`LAST_RUN_FILE`), where the report reads it.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from graft.components.publishing.store_files import read_json, write_text
from graft.components.quality.profile import Profile

LAST_RUN_FILE = "last_run.json"
"""File of the `PushedModel` artifact that holds a `LastRun`; absent for the first."""

NOTES_FILE = "graft_last_runs.json"
_MOST_RUNS = 20

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LastRun:
    """The note on one run.

    Attributes:
        pipeline: Name of the pipeline.
        blessing: URI of the gate's blessing, which identifies the run.
        written_at: When the run was noted, UTC, ISO 8601.
        data_fingerprint: Identifies its data.
        data_profile: Profile of its data; None if there is none.
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
    """Note a run in the store, and return the previous one, if any.

    A run that is noted twice, such as after a crash, counts once.

    Args:
        model_folder: `<store>/<model name>`.
        pipeline: Name of the pipeline. Runs of other pipelines are ignored.
        blessing: See `LastRun`.
        data_fingerprint: See `LastRun`.
        data_profile: See `LastRun`.
    """
    runs = _read(model_folder)
    if runs and (runs[-1].pipeline, runs[-1].blessing) == (pipeline, blessing):
        runs.pop()
    earlier = [run for run in runs if run.pipeline == pipeline]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    runs.append(LastRun(pipeline, blessing, now, data_fingerprint, data_profile))
    text = json.dumps([asdict(run) for run in runs[-_MOST_RUNS:]], indent=1)
    write_text(os.path.join(model_folder, NOTES_FILE), text)
    return earlier[-1] if earlier else None


def _read(model_folder: str) -> list[LastRun]:
    """Return the noted runs, or an empty list if the file is damaged."""
    path = os.path.join(model_folder, NOTES_FILE)
    runs, damage = read_json(path, list)
    if runs is None and damage is None:
        return []
    try:
        return [LastRun(**run) for run in runs]
    except TypeError:
        # Only the report needs the notes, so the push must not fail.
        logger.warning("The notes on runs in %s are damaged", path, exc_info=True)
        return []
