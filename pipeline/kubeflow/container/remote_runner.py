"""A step whose Beam jobs run on a cluster: its checks, and the files that pass."""

from __future__ import annotations

import contextlib
import logging
import os
import posixpath
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from graft.pipeline.beam_runners.config import BeamConfig
from graft.pipeline.beam_runners.flink_checks import check_flink
from graft.pipeline.beam_runners.readiness import require_ready, wait_while_busy
from graft.pipeline.kubeflow.container import executor_input
from graft.pipeline.kubeflow.container.executor_input import UriMap
from graft.pipeline.kubeflow.container.shared_folder import (
    TRIED,
    shared_artifacts,
)
from graft.storage import atomic, hashing

STEP_KEY = "remote_runner"
"""Key in `--graft_step`: a step has it if its Beam jobs run on a cluster."""
FOLDER_KEY, BEAM_KEY, PATHS_KEY = "shared_folder", "beam", "paths"
"""What is below it: the shared folder, `beam` of the config, what the workers read."""
_EXIT_AFTER_SIGTERM = 143

logger = logging.getLogger("graft.step")


def run_with_workers(
    settings: Mapping[str, Any],
    component_id: str,
    message: Mapping[str, Any],
    uris: UriMap,
    *,
    beam_args: Sequence[str],
    run: Callable[[dict[str, Any], str], dict[str, Any]],
) -> dict[str, Any]:
    """Run an executor with its artifacts where the workers see them.

    Args:
        settings: What `--graft_step` has below `STEP_KEY`.
        component_id: Name of the step.
        message: ExecutorInput with the launcher's paths.
        uris: The map of URIs.
        beam_args: Arguments for Beam.
        run: Runs the executor, given an ExecutorInput and a folder for its temporary
            files. Returns its ExecutorOutput.

    Returns:
        The ExecutorOutput with the launcher's paths.

    Raises:
        RunnerError: The runner can't run the step's jobs.
        StepError: The shared folder can't be used.
    """
    with (
        _tidied_after_sigterm(),
        shared_artifacts(settings[FOLDER_KEY], component_id, uris) as shared,
    ):
        beam = BeamConfig.model_validate(settings[BEAM_KEY])
        folders = {
            "`shared_folder` of the profile": shared.work,
            **settings.get(PATHS_KEY, {}),
        }
        run_uri = _run_of(message["outputs"], uris)
        tried = hashing.hash_json([run_uri, *beam_args])
        marker = os.path.join(shared.folder, TRIED, tried)
        _require_ready(beam, beam_args, folders, marker)
        moved = {
            "inputs": shared.share_inputs(message["inputs"]),
            "outputs": shared.share_outputs(message["outputs"]),
        }
        return shared.collect(run(moved, shared.work))


@contextlib.contextmanager
def _tidied_after_sigterm() -> Iterator[None]:
    """Let SIGTERM, by which Kubernetes ends a pod, raise `SystemExit`.

    The step's work is removed then. So a job of it that still runs soon fails, and its
    workers are free for the next attempt.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(_EXIT_AFTER_SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _require_ready(
    beam: BeamConfig,
    beam_args: Sequence[str],
    folders: Mapping[str, str],
    marker: str,
) -> None:
    """Check the runner; the first step of a run, without a marker, tries workers."""

    def check() -> None:
        if os.path.exists(marker):
            check_flink(beam.flink)
        else:
            require_ready(beam, beam_args, folders, logger.info)

    wait_while_busy(check, logger.info)
    atomic.write_text(marker, "")


def _run_of(outputs: Mapping[str, Any], uris: UriMap) -> str:
    """Return the URI of the run that the outputs belong to: run/step/id/output."""
    for _, artifact in executor_input.each_artifact(outputs):
        step_folder = posixpath.dirname(uris.to_remote(artifact["uri"]))
        return posixpath.dirname(posixpath.dirname(step_folder))
    return ""
