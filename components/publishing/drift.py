"""`drift.json` beside the versions: whether production's model knows today's data.

Every run that compares writes it, pushed or refused; so may whoever else watches the
model. `graft submit --if-changed` reads it (pipeline/kubeflow/cluster/due.py). Keys:

    has_drifted         bool: the data have moved, and production was trained before
    production_version  number of the version that is meant
    compared_with       number of the version that the run was compared with
    data_fingerprint    of the data that were looked at; absent: not a run's
    properties          what has moved: `name`, `divergence`, `value`, `before`, `after`
    message             the same for people
    written_at          UTC, ISO 8601
"""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from typing import Any

from graft.components.evaluation.verdict import Verdict
from graft.components.publishing.store import served_version
from graft.storage import atomic

DRIFT_FILE = "drift.json"
_KEYS = ("name", "divergence", "value", "before", "after")


def write_drift(
    model_folder: str,
    verdict: Verdict | None,
    *,
    is_production: bool,
    data_fingerprint: str | None,
) -> dict[str, Any] | None:
    """Write what a run found out about drift, so that a reader sees it whole.

    Args:
        model_folder: `<store>/<model name>`.
        verdict: The gate's; None: it said nothing.
        is_production: Whether the run's own model is production now, which settles it.
        data_fingerprint: Of the run's data.

    Returns:
        What was written; None without a verdict or a version that is served.
    """
    served = served_version(model_folder)
    if verdict is None or served is None:
        return None
    moved = [
        {key: shift[key] for key in _KEYS}
        for shift in verdict.drift
        if shift["is_drifted"]
    ]
    before = verdict.baseline["version"] if verdict.baseline else None
    report: dict[str, Any] = {
        "has_drifted": bool(moved) and not is_production,
        "production_version": served.number,
        "compared_with": before,
        "data_fingerprint": data_fingerprint,
        "properties": moved,
        "message": _message(moved, before, is_production),
        "written_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    path = os.path.join(model_folder, DRIFT_FILE)
    atomic.write_text(path, json.dumps(report, indent=1, allow_nan=False))
    return report


def _message(
    moved: list[dict[str, Any]], before: int | None, is_production: bool
) -> str:
    if not moved:
        return "No drift was found."
    names = ", ".join(f"{shift['name']} {shift['divergence']:.2f}" for shift in moved)
    end = "was pushed" if is_production else "is not in production: see its report"
    return (
        f"The data have drifted from those of version {before} ({names}); the model "
        f"that learned from them {end}."
    )
