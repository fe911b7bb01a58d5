"""What a node did last, as the run's metadata store tells; without TFX."""

from __future__ import annotations

from ml_metadata import errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

_DONE = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)


def latest_execution(
    store: MetadataStore, pipeline_name: str, node: str
) -> mlmd.Execution | None:
    """Return a node's latest finished execution; None if it never finished."""
    try:
        context = store.get_context_by_type_and_name("node", f"{pipeline_name}.{node}")
    except errors.NotFoundError:
        return None
    if context is None:
        return None
    done = [
        execution
        for execution in store.get_executions_by_context(context.id)
        if execution.last_known_state in _DONE
    ]
    return max(done, key=lambda execution: execution.id, default=None)
