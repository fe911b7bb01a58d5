"""The view of the model store that a run gets: a repeated run gets the same.

TFX reuses the outputs of a node if its inputs and execution properties are unchanged.
But a run that pushes changes the store. Without this module the next run would find a
new model in production. It would compare the unchanged candidate with itself and
evaluate everything again.

So a manifest records the candidate of a version (`candidate_key`: data, config and code
that decide the training), how it was judged (`judge_key`: config and code of the gate)
and the view of the run that pushed it. If production serves the candidate that a run is
about to make and to judge in the same way, the run gets that earlier view. All nodes
then come from the cache.

Otherwise the run gets the current state of the store, and the gate compares again. This
happens if data, config or code change: with another floor, the gate compares the model
with production, even if production is this model. It also happens if production
changes: another candidate, a rollback, an emptied store.
"""

from __future__ import annotations

from dataclasses import dataclass

from graft.components.publishing.production import read_production, served_version
from graft.components.publishing.served_model import NO_VERSION
from graft.components.publishing.versions import list_versions
from graft.storage import hashing

CANDIDATE_KEY = "candidate_key"
JUDGE_KEY = "judge_key"
BASELINE_VERSION = "baseline_version"
AUDIT_POSITION = "audit_position"
STORE_STATE = "store_state"


@dataclass(frozen=True)
class StoreView:
    """The view of the store that a run gets.

    Attributes:
        baseline_version: Number of the version to compare with; `NO_VERSION` for none.
        audit_position: Line of the audit log that put it into production.
        store_state: A hash for Pusher's cache key.
    """

    baseline_version: int
    audit_position: int
    store_state: str


def view_store(model_folder: str, candidate_key: str, judge_key: str) -> StoreView:
    """Return the view of a store for a run.

    Args:
        model_folder: `<store>/<model name>`.
        candidate_key: Which model the run makes.
        judge_key: How the gate judges it.
    """
    production = read_production(model_folder)
    served = served_version(model_folder)
    manifest = {} if served is None else served.manifest
    was_compared = {BASELINE_VERSION, AUDIT_POSITION, STORE_STATE} <= manifest.keys()
    is_same = (manifest.get(CANDIDATE_KEY), manifest.get(JUDGE_KEY)) == (
        candidate_key,
        judge_key,
    )
    if is_same and was_compared:
        return StoreView(
            manifest[BASELINE_VERSION], manifest[AUDIT_POSITION], manifest[STORE_STATE]
        )
    state = [
        production.to_dict(),
        [[each.number, each.files_hash] for each in list_versions(model_folder)],
    ]
    return StoreView(
        NO_VERSION if production.version is None else production.version,
        production.audit_position,
        hashing.hash_json(state),
    )
