"""What a run sees of the model store, such that a repeated run sees the same.

TFX's cache answers for a node whose inputs and execution properties did not change. But
a run that pushes changes the store: seen naively, the next run would find a new model
in production, compare the unchanged candidate with itself, and evaluate everything
again.

So a manifest records which candidate a version came from (`candidate_key`: data, config
and code that decide the training) and what the run that pushed it saw. While production
serves the very candidate that a run is about to make, the run sees what that earlier
run saw, and every answer comes from the cache. As soon as anything that decides the
candidate changes, or production serves something else (another candidate, a rollback,
an emptied store), it sees the store as it is, and the gate looks anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from graft.components.publishing.served_model import NO_VERSION
from graft.components.publishing.store import served_version
from graft.components.publishing.versions import list_versions
from graft.storage import hashing

CANDIDATE_KEY = "candidate_key"
BASELINE_VERSION = "baseline_version"
STORE_STATE = "store_state"


@dataclass(frozen=True)
class StoreView:
    """What a run sees of the store.

    Attributes:
        baseline_version: Number of the version to compare with; `NO_VERSION` for none.
        store_state: A hash for Pusher's cache key.
    """

    baseline_version: int
    store_state: str


def view_store(model_folder: str, candidate_key: str) -> StoreView:
    """Look at a store for a run that makes the candidate `candidate_key`."""
    served = served_version(model_folder)
    if served is None:
        return StoreView(NO_VERSION, hashing.hash_json([]))
    manifest = served.manifest
    was_compared = BASELINE_VERSION in manifest and STORE_STATE in manifest
    if manifest.get(CANDIDATE_KEY) == candidate_key and was_compared:
        return StoreView(manifest[BASELINE_VERSION], manifest[STORE_STATE])
    versions = list_versions(model_folder)
    state = [[version.number, version.files_hash] for version in versions]
    return StoreView(served.number, hashing.hash_json([served.number, state]))
