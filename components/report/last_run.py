"""What the data of the last run looked like, kept where the next run finds it.

In the model store, beside the versions: it outlives a run on every platform, and knows
of refused runs, too, which leave no version.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import datetime, timezone

from graft.components.publishing import files
from graft.components.publishing.labels import replace_text
from graft.components.quality.profile import Profile

LAST_RUNS_FILE = "graft_last_runs.json"
_MOST_RUNS = 20


@dataclass(frozen=True)
class LastRun:
    """A run, as the next one wants to know it.

    Attributes:
        pipeline: Name of the pipeline.
        evaluation: URI of its evaluation, which tells runs apart.
        written_at: When its report was written.
        data_fingerprint: Identifies its data.
        data_profile: What the data looked like; None where nobody looked.
    """

    pipeline: str
    evaluation: str
    written_at: str
    data_fingerprint: str
    data_profile: Profile | None


def remember_run(
    model_folder: str,
    *,
    pipeline: str,
    evaluation: str,
    data_fingerprint: str,
    data_profile: Profile | None,
) -> LastRun | None:
    """Note a run down, and return the one before it; None for the first.

    A report that is written again is one run, not two.

    Args:
        model_folder: `<store>/<model name>`.
        pipeline: Runs of others are passed over.
        evaluation: See `LastRun`, as the rest.
        data_fingerprint: See there.
        data_profile: See there.
    """
    runs = _read(model_folder)
    if runs and (runs[-1].pipeline, runs[-1].evaluation) == (pipeline, evaluation):
        runs.pop()
    earlier = [run for run in runs if run.pipeline == pipeline]
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    runs.append(LastRun(pipeline, evaluation, now, data_fingerprint, data_profile))
    files.make_folder(model_folder)
    text = json.dumps([asdict(run) for run in runs[-_MOST_RUNS:]], indent=1)
    replace_text(os.path.join(model_folder, LAST_RUNS_FILE), text)
    return earlier[-1] if earlier else None


def _read(model_folder: str) -> list[LastRun]:
    path = os.path.join(model_folder, LAST_RUNS_FILE)
    if not files.exists(path):
        return []
    with files.open_file(path) as file:
        return [LastRun(**run) for run in json.loads(file.read())]
