"""Run one step of a compiled pipeline in its container, under KFP's launcher.

    python -m graft.pipeline.kubeflow.container.entrypoint --executor_class_path ...

The launcher passes remote URIs. It has downloaded their files to /minio, /s3 or /gcs,
and uploads the files there afterwards. So no step needs credentials or a plug-in for an
object store.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from graft.contract.errors import UserError
from graft.pipeline.kubeflow.container import executor_input, remote_runner
from graft.pipeline.kubeflow.container.executor_input import UriMap
from graft.storage import atomic

PREFIX_VARIABLE = "GRAFT_LAUNCHER_ROOT"
"""Folder above the launcher's mounts, for tests and the emulated backend."""

logger = logging.getLogger("graft.step")


def main(argv: Sequence[str]) -> int:
    """Run the step that the arguments describe.

    Args:
        argv: Arguments without the program's name; unknown ones are passed to Beam.

    Returns:
        0, or the error's `exit_status` after one that the user can correct. Other
        errors are raised.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", force=True
    )
    start = time.monotonic()
    # Imports create many objects and no garbage, so a collection here costs time only.
    gc.disable()
    args, beam_args = _parse(argv)
    try:
        _run(args, beam_args, start)
    except UserError as error:
        sys.stderr.write(f"graft: {args.component_id}: {error}\n")
        return error.exit_status
    finally:
        gc.freeze()
    return 0


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__)
    add = parser.add_argument
    add("--executor_class_path", required=True, help="Dotted path of the executor.")
    add("--json_serialized_invocation_args", required=True, help="An ExecutorInput.")
    add("--json_serialized_inputs_spec_args", default="{}", help="ComponentInputsSpec.")
    add("--component_id", required=True, help="Name of the step, for logs.")
    add("--graft_step", default="{}", help="What the compiler knows about the step.")
    add("--remote_files", action="store_true", help="Vertex AI: leave URIs remote.")
    args, rest = parser.parse_known_args(list(argv))
    return args, rest


class _StepClock:
    """Times of a step: its imports, its executor, and the whole process."""

    def __init__(self, component_id: str, start: float) -> None:
        self._component_id = component_id
        self._start = start
        self._executor_start = start
        self._executor_processor_start = 0.0
        self._executor_end = start
        self._executor_processor_end = 0.0

    def executor_starts(self) -> None:
        self._executor_start = time.monotonic()
        self._executor_processor_start = time.process_time()
        logger.info(
            "%s: executor begins after %.1f s, %.1f s of processor time",
            self._component_id,
            self._executor_start - self._start,
            self._executor_processor_start,
        )

    def executor_ends(self) -> None:
        self._executor_end = time.monotonic()
        self._executor_processor_end = time.process_time()

    def step_ends(self) -> None:
        logger.info(
            "%s: done after %.1f s, %.1f s of it in the executor; "
            "processor time %.1f s, %.1f s of it in the executor",
            self._component_id,
            time.monotonic() - self._start,
            self._executor_end - self._executor_start,
            time.process_time(),
            self._executor_processor_end - self._executor_processor_start,
        )


def _run(args: argparse.Namespace, beam_args: list[str], start: float) -> None:
    given = json.loads(args.json_serialized_invocation_args)
    inputs_spec = json.loads(args.json_serialized_inputs_spec_args)
    step: dict[str, Any] = json.loads(args.graft_step)
    output_names: dict[str, str] = step.get("output_names", {})
    message = executor_input.rename_outputs(given, output_names)
    dashboard: dict[str, Any] = step.get("dashboard", {})
    uris = UriMap(os.environ.get(PREFIX_VARIABLE, ""), is_remote=args.remote_files)
    parts = _parts_for_executor(message, inputs_spec, step, uris)
    _log_artifacts("input", parts["inputs"])

    from graft.pipeline.kubeflow.container import step_execution

    clock = _StepClock(args.component_id, start)

    def on_start() -> None:
        gc.freeze()
        gc.enable()
        clock.executor_starts()

    def execute(message: dict[str, Any], scratch: str | None = None) -> dict[str, Any]:
        return step_execution.execute(
            args.executor_class_path,
            message,
            inputs_spec,
            step,
            beam_args,
            on_start=on_start,
            scratch_in=scratch,
        )

    if remote := step.get(remote_runner.STEP_KEY):
        result = remote_runner.run_with_workers(
            remote,
            args.component_id,
            parts,
            uris,
            beam_args=beam_args,
            run=execute,
        )
    else:
        result = execute(parts)
    clock.executor_ends()
    rewritten = executor_input.rewrite_result(result, message, uris)
    if dashboard:
        outputs = parts["outputs"]["artifacts"]
        (evaluation,) = outputs[dashboard["evaluation"]]["artifacts"]
        _add_dashboard(rewritten, message, evaluation["uri"])
    output_file = message["outputs"]["outputFile"]
    executor_output = executor_input.restore_names(rewritten, output_names)
    atomic.write_text(output_file, json.dumps(executor_output))
    _log_artifacts("output", {"artifacts": result.get("artifacts", {})})
    clock.step_ends()


def _parts_for_executor(
    message: dict[str, Any],
    inputs_spec: dict[str, Any],
    step: dict[str, Any],
    uris: UriMap,
) -> dict[str, Any]:
    """Return the ExecutorInput that TFX takes, and make its folders."""
    inputs = executor_input.rewrite_inputs(
        message, inputs_spec, step.get("overrides", {}), uris
    )
    outputs = executor_input.rewrite_outputs(
        message,
        step.get("output_types", {}),
        uris,
        hidden=step.get("dashboard", {}).get("outputs", ()),
    )
    if not uris.is_remote:
        executor_input.make_folders(outputs)
        # The object store drops the folder of an input that has metadata alone.
        executor_input.make_folders(inputs)
    return {"inputs": inputs, "outputs": outputs}


def _add_dashboard(
    result: dict[str, Any], message: dict[str, Any], evaluation_path: str
) -> None:
    """Fill the outputs for Kubeflow's dashboard; an error here fails no step."""
    from graft.pipeline.kubeflow.container import dashboard

    try:
        found = dashboard.metadata_of(evaluation_path)
    except (OSError, ValueError, KeyError, TypeError):
        logger.exception("no metrics for the dashboard")
        return
    for key, metadata in found.items():
        entry = message["outputs"]["artifacts"].get(key)
        if entry is not None:
            (given,) = entry["artifacts"]
            artifact = {"name": key, "uri": given["uri"], "metadata": metadata}
            result["artifacts"][key] = {"artifacts": [artifact]}


def _log_artifacts(kind: str, part: dict[str, Any]) -> None:
    for key, artifact in executor_input.each_artifact(part):
        logger.info("%s %s: %d bytes", kind, key, _size(artifact["uri"]))


def _size(path: str) -> int:
    """Return the size of a local file or folder in bytes; 0 for a remote one."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(parent, name))
        for parent, _, names in os.walk(path)
        for name in names
    )


if __name__ == "__main__":
    try:
        _status = main(sys.argv[1:])
    except SystemExit as _exit:
        _status = int(_exit.code or 0)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # The outputs are complete. A native library that crashes while the interpreter ends
    # ("pure virtual method called") would fail a step that succeeded.
    os._exit(_status)
