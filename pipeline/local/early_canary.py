"""Decide when the canary's server starts: before the canary, if it will run."""

from __future__ import annotations

from tfx.types import standard_artifacts

from graft.components.artifact_files import exported_model
from graft.components.canary.early_start import EarlyServer
from graft.pipeline.local.metadata_store import LocalMetadata


class EarlyCanary:
    """Starts the canary's server in a run.

    The canary runs if any node before it has a new result, since TFX's cache knows
    nodes by their inputs. If all results come from the cache, no server starts.

    Args:
        server: The server to start; the canary takes it over.
        metadata_path: SQLite file of the run.
    """

    def __init__(self, server: EarlyServer, metadata_path: str) -> None:
        self.server = server
        self._metadata_path = metadata_path

    def before(self, node: str, run_id: str) -> None:
        """Do what must be done before a node runs.

        The process imports TensorFlow while the Trainer works, and loads the model
        while the gate asks it.
        """
        if node not in ("Trainer", "Evaluator"):
            return
        metadata = LocalMetadata(self._metadata_path)
        if "COMPLETE" not in metadata.states_of_run(run_id).values():
            return
        if node == "Trainer":
            self.server.start()
            return
        found = metadata.output_of_run(run_id, "Trainer", "model")
        if found is not None:
            model = standard_artifacts.Model()
            model.set_mlmd_artifact(found)
            self.server.give(exported_model([model]))
