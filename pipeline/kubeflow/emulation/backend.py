"""EMULATED: Kubeflow's driver: which steps run, with which inputs, and which do not.

Runs a compiled pipeline on this machine, each step in a fresh process with an empty
disk, so that only what was uploaded survives. It checks our side of the contract with
Kubeflow, as we read it in the backend's source; it is no proof that a cluster agrees.
"""

from __future__ import annotations

import copy
import functools
import json
import re
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from graft.pipeline.kubeflow.compilation.pipeline_file import (
    check_parameters,
    read_pipeline_file,
)
from graft.pipeline.kubeflow.emulation.driver import (
    cache_key,
    dependencies_of,
    is_exit_task,
    is_true,
    seconds_of,
)
from graft.pipeline.kubeflow.emulation.launcher import run_attempt
from graft.pipeline.kubeflow.emulation.store import (
    LauncherError,
    MetadataStore,
    ObjectStore,
    StoredArtifact,
)

ROOT = "minio://mlpipeline/v2/artifacts"
State = Literal["SUCCEEDED", "CACHED", "SKIPPED", "OMITTED", "FAILED"]


@dataclass
class StepResult:
    """What became of a step.

    Attributes:
        state: How it ended.
        attempts: How many containers ran for it.
        seconds: From the first attempt's start to the end, in seconds.
        downloaded: Bytes fetched by the last attempt.
        uploaded: Bytes stored.
        artifacts: Output key to the artifact.
        parameters: Values that were put out.
        log_path: Output of its containers.
        message: Why it failed or did not run.
    """

    state: State
    attempts: int = 0
    seconds: float = 0.0
    downloaded: int = 0
    uploaded: int = 0
    artifacts: dict[str, StoredArtifact] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    log_path: Path | None = None
    message: str = ""


@dataclass(frozen=True)
class Hooks:
    """For displays and tests.

    Attributes:
        on_event: Called with the step's name and what happened to it.
        on_process: Called with step, attempt (from 1) and process; may kill it.
    """

    on_event: Callable[[str, str], None] = lambda step, what: None
    on_process: Callable[[str, int, subprocess.Popen[bytes]], None] = (
        lambda step, attempt, process: None
    )


class EmulatedBackend:
    """A folder that stands for a cluster: buckets, metadata, logs."""

    def __init__(
        self,
        folder: Path,
        *,
        mounts: Mapping[str, Path] | None = None,
        max_parallel: int = 2,
        backoff_scale: float = 0.0,
        hooks: Hooks | None = None,
    ) -> None:
        """Open the folder, or make it.

        Args:
            folder: Where everything is kept, between runs too.
            mounts: Mount path in the compiled file to the folder that stands for it.
            max_parallel: Steps that run at the same time at most.
            backoff_scale: Share of the waits between attempts that is waited.
            hooks: See `Hooks`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.store = ObjectStore(folder / "buckets")
        self.metadata = MetadataStore(folder / "metadata.json")
        self._mounts = dict(mounts or {})
        self._max_parallel = max_parallel
        self._backoff_scale = backoff_scale
        self._hooks = hooks or Hooks()

    def run(
        self, pipeline_file: Path, parameters: Mapping[str, Any] | None = None
    ) -> dict[str, StepResult]:
        """Run a compiled pipeline.

        Args:
            pipeline_file: What `graft compile` wrote.
            parameters: Values for the pipeline's parameters.

        Returns:
            Name of each step to what became of it; a failed one does not raise.

        Raises:
            PipelineFileError: The file or a parameter would be refused.
        """
        spec, platform = read_pipeline_file(pipeline_file)
        values = check_parameters(spec, parameters or {})
        run = _Run(self, spec, platform, run_id=str(uuid.uuid4()))
        run.execute_dag("root", spec["root"], values)
        return run.results


class _Run:
    """One run: its results so far, and the way to more of them."""

    def __init__(
        self,
        backend: EmulatedBackend,
        spec: Mapping[str, Any],
        platform: Mapping[str, Any],
        *,
        run_id: str,
    ) -> None:
        self._backend = backend
        self._spec = spec
        self._platform = platform
        self._pipeline = spec["pipelineInfo"]["name"]
        self._root = f"{ROOT}/{self._pipeline}/{run_id}"
        self._logs = backend._folder / "logs" / run_id
        self._logs.mkdir(parents=True)
        self._lock = threading.Lock()
        self.results: dict[str, StepResult] = {}

    def execute_dag(
        self, dag_name: str, component: Mapping[str, Any], values: Mapping[str, Any]
    ) -> str:
        """Run the tasks of a DAG, side by side where they may; return its state."""
        tasks: dict[str, dict[str, Any]] = component["dag"]["tasks"]
        waiting = {name: dependencies_of(task, tasks) for name, task in tasks.items()}
        states: dict[str, str] = {}
        with ThreadPoolExecutor(self._backend._max_parallel) as pool:
            running: dict[Future[str], str] = {}
            while waiting or running:
                for name in [n for n, needs in waiting.items() if needs <= set(states)]:
                    del waiting[name]
                    needs = dependencies_of(tasks[name], tasks)
                    if not is_exit_task(tasks[name]) and any(
                        states[need] not in ("SUCCEEDED", "CACHED") for need in needs
                    ):
                        states[name] = "OMITTED"
                        self._end(name, StepResult("OMITTED", message="upstream"))
                        continue
                    future = pool.submit(
                        self._task, dag_name, name, tasks[name], values, dict(states)
                    )
                    running[future] = name
                if not running:
                    continue
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    states[running.pop(future)] = future.result()
        return "FAILED" if "FAILED" in states.values() else "SUCCEEDED"

    def _task(
        self,
        dag_name: str,
        name: str,
        task: Mapping[str, Any],
        values: Mapping[str, Any],
        states: Mapping[str, str],
    ) -> str:
        component = self._spec["components"][task["componentRef"]["name"]]
        try:
            if "dag" in component:
                inner = self._parameters(task, component, values, states)
                return self.execute_dag(name, component, inner)
            result = self._step(dag_name, name, task, component, values, states)
        except LauncherError as error:
            result = StepResult("FAILED", message=str(error))
        self._end(name, result)
        return result.state

    def _end(self, name: str, result: StepResult) -> None:
        with self._lock:
            self.results[name] = result
        self._backend._hooks.on_event(name, result.state)

    def _step(  # noqa: PLR0917
        self,
        dag_name: str,
        name: str,
        task: Mapping[str, Any],
        component: Mapping[str, Any],
        values: Mapping[str, Any],
        states: Mapping[str, str],
    ) -> StepResult:
        """What driver and launcher do for one step."""
        label = component["executorLabel"]
        executor = self._spec["deploymentSpec"]["executors"][label]
        parameters = self._parameters(task, component, values, states)
        inputs = self._input_artifacts(task)
        if "importer" in executor:
            return self._import(component, executor["importer"], values)
        if "container" not in executor:
            raise LauncherError("non-container and non-importer executor")
        container = executor["container"]
        message: dict[str, Any] = {
            "inputs": {
                "artifacts": {
                    key: {
                        "artifacts": [item.as_input(has_type_field=dag_name == "root")]
                    }
                    for key, item in inputs.items()
                },
                "parameterValues": parameters,
            }
        }
        condition = task.get("triggerPolicy", {}).get("condition")
        if condition and not is_true(condition, message["inputs"]):
            return StepResult("SKIPPED", message=condition)
        config = self._platform.get(label, {})
        key = cache_key(
            self._pipeline,
            component,
            container,
            config,
            inputs=inputs,
            parameters=parameters,
        )
        is_cached = task.get("cachingOptions", {}).get("enableCache", False)
        found = self._backend.metadata.find_execution(key) if is_cached else None
        if found is not None:
            return StepResult(
                "CACHED", artifacts=found["artifacts"], parameters=found["parameters"]
            )
        message["inputs"]["parameterValues"] = self._with_local_mounts(parameters)
        message["outputs"] = self._outputs(name, component)
        result = self._attempts(name, task, container, message, config)
        if result.state == "SUCCEEDED":
            self._backend.metadata.add_execution(
                key, result.artifacts, result.parameters
            )
        return result

    def _attempts(
        self,
        name: str,
        task: Mapping[str, Any],
        container: Mapping[str, Any],
        message: Mapping[str, Any],
        config: Mapping[str, Any],
    ) -> StepResult:
        policy = task.get("retryPolicy", {})
        longest = seconds_of(policy.get("backoffMaxDuration", "0s"))
        pause = seconds_of(policy.get("backoffDuration", "0s"))
        num_retries = int(policy.get("maxRetryCount", 0)) if longest else 0
        deadline = config.get("activeDeadlineSeconds")
        hooks = self._backend._hooks
        log_path = self._logs / f"{name}.log"
        result = StepResult("FAILED", log_path=log_path)
        start = time.monotonic()
        for attempt in range(1, num_retries + 2):
            hooks.on_event(name, f"attempt {attempt}")
            done = run_attempt(
                container,
                message,
                self._backend.store,
                log_path,
                run_root=self._root,
                deadline_seconds=float(deadline) if deadline else None,
                on_process=functools.partial(hooks.on_process, name, attempt),
            )
            result.attempts = attempt
            result.downloaded, result.uploaded = done.downloaded, done.uploaded
            if done.is_success:
                result.state = "SUCCEEDED"
                result.artifacts = {
                    key: self._backend.metadata.add_artifact(
                        key, artifact["uri"], artifact["metadata"]
                    )
                    for key, artifact in done.artifacts.items()
                }
                result.parameters = done.parameters
                result.message = ""
                break
            result.message = (
                "over its deadline"
                if done.exit_code is None
                else f"exit status {done.exit_code}"
            )
            time.sleep(pause * self._backend._backoff_scale)
            pause *= float(policy.get("backoffFactor", 1))
            if time.monotonic() - start > longest:
                break
        result.seconds = time.monotonic() - start
        return result

    def _outputs(self, name: str, component: Mapping[str, Any]) -> dict[str, Any]:
        """Provision the outputs, the launcher's own log among them."""
        definitions = component.get("outputDefinitions", {})
        folder = f"{self._root}/{name}/{uuid.uuid4()}"
        artifacts = {
            key: {
                "artifacts": [
                    {
                        "name": key,
                        "uri": f"{folder}/{key}",
                        "type": definition["artifactType"],
                        "metadata": copy.deepcopy(definition.get("metadata", {})),
                    }
                ]
            }
            for key, definition in definitions.get("artifacts", {}).items()
        }
        artifacts["executor-logs"] = {
            "artifacts": [
                {
                    "name": "executor-logs",
                    "uri": f"{folder}/executor-logs",
                    "type": {
                        "schemaTitle": "system.Artifact",
                        "schemaVersion": "0.0.1",
                    },
                    "metadata": {},
                }
            ]
        }
        outputs: dict[str, Any] = {"artifacts": artifacts}
        if definitions.get("parameters"):
            outputs["parameters"] = {
                key: {"outputFile": f"/tmp/kfp/outputs/{key}"}  # noqa: S108
                for key in definitions["parameters"]
            }
        return outputs

    def _parameters(
        self,
        task: Mapping[str, Any],
        component: Mapping[str, Any],
        values: Mapping[str, Any],
        states: Mapping[str, str],
    ) -> dict[str, Any]:
        definitions = component.get("inputDefinitions", {}).get("parameters", {})
        resolved = {}
        for key, source in task.get("inputs", {}).get("parameters", {}).items():
            if "componentInputParameter" in source:
                parent = source["componentInputParameter"]
                if parent not in values:
                    raise LauncherError(
                        f"parent DAG does not have input parameter {parent!r}"
                    )
                value = values[parent]
            elif "taskOutputParameter" in source:
                output = source["taskOutputParameter"]
                producer = self.results.get(output["producerTask"])
                if producer is None:
                    raise LauncherError(f"unknown producer task {output!r}")
                value = producer.parameters[output["outputParameterKey"]]
            elif "taskFinalStatus" in source:
                producer_name = source["taskFinalStatus"]["producerTask"]
                is_good = states[producer_name] == "SUCCEEDED"
                value = {"state": "COMPLETE" if is_good else "FAILED"}
            else:
                value = source["runtimeValue"]["constant"]
            kind = definitions.get(key, {}).get("parameterType")
            if kind == "STRING" and not isinstance(value, str):
                value = json.dumps(value)
            resolved[key] = value
        return resolved

    def _input_artifacts(self, task: Mapping[str, Any]) -> dict[str, StoredArtifact]:
        found = {}
        for key, source in task.get("inputs", {}).get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            producer = self.results.get(output["producerTask"])
            if (
                producer is None
                or output["outputArtifactKey"] not in producer.artifacts
            ):
                raise LauncherError(f"no artifact for input {key!r}: {output}")
            found[key] = producer.artifacts[output["outputArtifactKey"]]
        return found

    def _import(
        self,
        component: Mapping[str, Any],
        importer: Mapping[str, Any],
        values: Mapping[str, Any],
    ) -> StepResult:
        source = importer["artifactUri"]
        uri = source.get("constant") or values[source["runtimeParameter"]]
        self._backend.store.path(uri)
        key = next(iter(component["outputDefinitions"]["artifacts"]))
        artifact = self._backend.metadata.add_artifact(
            key, uri, importer.get("metadata", {})
        )
        return StepResult("SUCCEEDED", artifacts={key: artifact})

    def _with_local_mounts(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Put the folders of this machine in the place of the volumes' mounts."""
        changed = dict(parameters)
        for path, folder in self._backend._mounts.items():
            pattern = re.compile(rf'(?<![\w/.-]){re.escape(path)}(?=$|[/"\\])')
            for key, value in changed.items():
                if isinstance(value, str):
                    changed[key] = pattern.sub(lambda _, f=folder: str(f), value)  # type: ignore[misc]
        return changed
