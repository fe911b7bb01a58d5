"""Read the metadata store of local runs: ML Metadata in SQLite, without TFX."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from ml_metadata import errors
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from graft.pipeline.local.metadata_check import damage_error, require_intact

_FINISHED = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)
_FAILED = mlmd.Execution.FAILED
DELETED = mlmd.Artifact.DELETED
"""State of an artifact whose files were removed."""
_FAILURE_PROPERTY = "graft_failure"


class LocalMetadata:
    """The executions and artifacts of the pipelines in one metadata store."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the store.

        Args:
            path: SQLite file; it is created where it is missing.

        Raises:
            UserError: The file is damaged.
        """
        require_intact(path)
        connection = mlmd.ConnectionConfig()
        connection.sqlite.filename_uri = os.fspath(path)
        try:
            self._store = MetadataStore(connection)
        except RuntimeError as error:
            # SQLite finds the file in order, but tables or columns are not there.
            reason = str(error).partition(" Errors: ")[2] or str(error)
            raise damage_error(path, reason.strip().splitlines()[0][:200]) from error

    def pipeline_runs(self) -> list[mlmd.Context]:
        """Return a context per pipeline run, oldest first."""
        contexts = self._store.get_contexts_by_type("pipeline_run")
        return sorted(contexts, key=lambda context: context.id)

    def executions_of(self, pipeline_run: mlmd.Context) -> list[mlmd.Execution]:
        """Return the executions of a pipeline run, in the order in which they began."""
        executions = self._store.get_executions_by_context(pipeline_run.id)
        return sorted(executions, key=lambda execution: execution.id)

    def node_of(self, execution: mlmd.Execution) -> str:
        """Return the id of the node that an execution belongs to."""
        for context in self._store.get_contexts_by_execution(execution.id):
            (context_type,) = self._store.get_context_types_by_id([context.type_id])
            if context_type.name == "node":
                return str(context.name).rpartition(".")[2]
        return str(execution.name)

    def latest_execution(self, pipeline_name: str, node: str) -> mlmd.Execution | None:
        """Return a node's latest finished execution, or None if it never finished."""
        try:
            context = self._store.get_context_by_type_and_name(
                "node", f"{pipeline_name}.{node}"
            )
        except errors.NotFoundError:
            return None
        if context is None:
            return None
        finished = [
            execution
            for execution in self._store.get_executions_by_context(context.id)
            if execution.last_known_state in _FINISHED
        ]
        return max(finished, key=lambda execution: execution.id, default=None)

    def output_of_run(self, run_id: str, node: str, key: str) -> mlmd.Artifact | None:
        """Return an output of a node in one run, if the node finished there."""
        for context in self.pipeline_runs():
            if context.name != run_id:
                continue
            for execution in reversed(self.executions_of(context)):
                is_finished = execution.last_known_state in _FINISHED
                if is_finished and self.node_of(execution) == node:
                    return self.outputs_of(execution).get(key)
        return None

    def states_of_run(self, run_id: str) -> dict[str, str]:
        """Return the state of each node's last execution in a run, such as CACHED."""
        return {
            self.node_of(execution): mlmd.Execution.State.Name(
                execution.last_known_state
            )
            for context in self.pipeline_runs()
            if context.name == run_id
            for execution in self.executions_of(context)
        }

    def note_failure(self, run_id: str, reason: str) -> None:
        """Note in the failed executions of a run why they failed."""
        for context in self.pipeline_runs():
            if context.name != run_id:
                continue
            executions = self.executions_of(context)
            failed = [e for e in executions if e.last_known_state == _FAILED]
            for execution in failed:
                execution.custom_properties[_FAILURE_PROPERTY].string_value = reason
            self._store.put_executions(failed)

    def failure_of(self, execution: mlmd.Execution) -> str:
        """Return why an execution failed, in a word or two; "" if it is unknown."""
        return property_of(execution, _FAILURE_PROPERTY)

    def inputs_of(self, execution: mlmd.Execution) -> dict[str, mlmd.Artifact]:
        """Return the input artifacts of an execution by input key."""
        return self._artifacts_of(execution, mlmd.Event.INPUT)

    def outputs_of(self, execution: mlmd.Execution) -> dict[str, mlmd.Artifact]:
        """Return the output artifacts of an execution by output key."""
        return self._artifacts_of(execution, mlmd.Event.OUTPUT)

    def uris_of(self, executions: Iterable[int]) -> set[str]:
        """Return the URIs of the inputs and outputs of executions, by their IDs."""
        events = self._store.get_events_by_execution_ids(list(executions))
        artifacts = {event.artifact_id for event in events}
        return {each.uri for each in self._store.get_artifacts_by_id(list(artifacts))}

    def mark_deleted(self, is_deleted: Callable[[str], bool]) -> None:
        """Mark artifacts, so that TFX takes none of them from its cache.

        Args:
            is_deleted: Takes the URI of an artifact.
        """
        artifacts = [
            artifact
            for artifact in self._store.get_artifacts()
            if artifact.state != DELETED and is_deleted(artifact.uri)
        ]
        for artifact in artifacts:
            artifact.state = DELETED
        self._store.put_artifacts(artifacts)

    def _artifacts_of(
        self, execution: mlmd.Execution, event_type: int
    ) -> dict[str, mlmd.Artifact]:
        keys = {
            event.artifact_id: event.path.steps[0].key
            for event in self._store.get_events_by_execution_ids([execution.id])
            if event.type == event_type and event.path.steps
        }
        artifacts = self._store.get_artifacts_by_id(list(keys))
        return {keys[artifact.id]: artifact for artifact in artifacts}

    def latest_output(
        self, pipeline_name: str, node: str, key: str
    ) -> mlmd.Artifact | None:
        """Return an output of a node's latest finished execution, if there is one."""
        execution = self.latest_execution(pipeline_name, node)
        return None if execution is None else self.outputs_of(execution).get(key)


def property_of(execution: mlmd.Execution, name: str) -> str:
    """Return a text property of an execution; "" if it has none of that name."""
    return str(
        execution.custom_properties[name].string_value
        or execution.properties[name].string_value
    )
