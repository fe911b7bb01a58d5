"""EMULATED: Kubeflow's backend: run a compiled pipeline on this machine.

Each step runs in a fresh process with an empty disk, so that only uploaded files reach
the next step. This checks graft's side of the contract with Kubeflow, as read in the
backend's source. It does not prove that a cluster agrees.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graft.pipeline.kubeflow.compilation.pipeline_file import (
    check_parameters,
    read_pipeline_file,
)
from graft.pipeline.kubeflow.emulation.pipeline_run import (
    BackendSettings,
    Hooks,
    PipelineRun,
)
from graft.pipeline.kubeflow.emulation.step_result import StepResult
from graft.pipeline.kubeflow.emulation.store import MetadataStore, ObjectStore


class EmulatedBackend:
    """A folder in place of a cluster: buckets, metadata and logs."""

    def __init__(
        self,
        folder: Path,
        *,
        mounts: Mapping[str, Path] | None = None,
        max_parallel: int = 2,
        backoff_scale: float = 0.0,
        hooks: Hooks | None = None,
    ) -> None:
        """Open the folder, or create it.

        Args:
            folder: Folder whose contents persist between runs.
            mounts: Mount path in the compiled file to the local folder in its place.
            max_parallel: Most steps that run at the same time.
            backoff_scale: Factor on the waits between attempts.
            hooks: Functions to call during a run.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.store = ObjectStore(folder / "buckets")
        self.metadata = MetadataStore(folder / "metadata.json")
        self._settings = BackendSettings(
            mounts=dict(mounts or {}),
            max_parallel=max_parallel,
            backoff_scale=backoff_scale,
            hooks=hooks or Hooks(),
        )

    def run(
        self, pipeline_file: Path, parameters: Mapping[str, Any] | None = None
    ) -> dict[str, StepResult]:
        """Run a compiled pipeline.

        Args:
            pipeline_file: What `graft compile` wrote.
            parameters: Values for the pipeline's parameters.

        Returns:
            Results by step; a step that fails does not raise.

        Raises:
            PipelineFileError: Kubeflow would refuse the file or a parameter.
        """
        spec, kubernetes_configs = read_pipeline_file(pipeline_file)
        values = check_parameters(spec, parameters or {})
        run_id = str(uuid.uuid4())
        logs = self._folder / "logs" / run_id
        logs.mkdir(parents=True)
        run = PipelineRun(
            run_id,
            spec,
            kubernetes_configs,
            store=self.store,
            metadata=self.metadata,
            logs=logs,
            settings=self._settings,
        )
        run.run_dag("root", spec["root"], values)
        return run.results
