"""EMULATED: one run of a compiled pipeline: which steps run, when, and how often."""

from __future__ import annotations

import functools
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graft.pipeline.kubeflow.compilation.pipeline_spec import producers_of
from graft.pipeline.kubeflow.emulation import driver
from graft.pipeline.kubeflow.emulation.launcher import run_attempt
from graft.pipeline.kubeflow.emulation.step_result import StepResult
from graft.pipeline.kubeflow.emulation.store import (
    LauncherError,
    MetadataStore,
    ObjectStore,
)

ROOT = "minio://mlpipeline/v2/artifacts"


@dataclass(frozen=True)
class Hooks:
    """Functions that a run calls, for displays and tests.

    Attributes:
        on_event: Called with the step's name and what happened to it.
        on_process: Called with step, attempt (from 1) and process; may kill it.
    """

    on_event: Callable[[str, str], None] = lambda step, event: None
    on_process: Callable[[str, int, subprocess.Popen[bytes]], None] = (
        lambda step, attempt, process: None
    )


@dataclass(frozen=True)
class BackendSettings:
    """Settings of an emulated backend.

    Attributes:
        mounts: Mount path in the compiled file to the local folder in its place.
        max_parallel: Most steps that run at the same time.
        backoff_scale: Factor on the waits between attempts.
        hooks: Functions to call during a run.
    """

    mounts: Mapping[str, Path] = field(default_factory=dict)
    max_parallel: int = 2
    backoff_scale: float = 0.0
    hooks: Hooks = field(default_factory=Hooks)


@dataclass(frozen=True)
class _Scope:
    """What a task can refer to in the DAG that it belongs to.

    Attributes:
        dag_name: Name of the DAG; `root` for the pipeline.
        values: Input parameters of the DAG.
        states: States of the DAG's tasks that have ended.
    """

    dag_name: str
    values: Mapping[str, Any]
    states: Mapping[str, str]


class PipelineRun:
    """One run of a compiled pipeline, with the results of its steps so far."""

    def __init__(
        self,
        run_id: str,
        spec: Mapping[str, Any],
        kubernetes_configs: Mapping[str, Any],
        *,
        store: ObjectStore,
        metadata: MetadataStore,
        logs: Path,
        settings: BackendSettings,
    ) -> None:
        """Prepare a run.

        Args:
            run_id: Id of the run.
            spec: The `PipelineSpec`.
            kubernetes_configs: Kubernetes settings by executor.
            store: The buckets.
            metadata: The metadata store.
            logs: Folder for the steps' logs.
            settings: Settings of the backend.
        """
        self._spec = spec
        self._kubernetes_configs = kubernetes_configs
        self._store = store
        self._metadata = metadata
        self._logs = logs
        self._settings = settings
        self._pipeline = spec["pipelineInfo"]["name"]
        self._root = f"{ROOT}/{self._pipeline}/{run_id}"
        self._lock = threading.Lock()
        self.results: dict[str, StepResult] = {}

    def run_dag(
        self, dag_name: str, component: Mapping[str, Any], values: Mapping[str, Any]
    ) -> str:
        """Run the tasks of a DAG, independent ones in parallel; return its state."""
        tasks: dict[str, dict[str, Any]] = component["dag"]["tasks"]
        waiting = {name: producers_of(task) for name, task in tasks.items()}
        states: dict[str, str] = {}
        with ThreadPoolExecutor(self._settings.max_parallel) as pool:
            running: dict[Future[str], str] = {}
            while waiting or running:
                for name in [n for n, needs in waiting.items() if needs <= set(states)]:
                    needs = waiting.pop(name)
                    if not driver.is_exit_task(tasks[name]) and any(
                        states[need] not in ("SUCCEEDED", "CACHED") for need in needs
                    ):
                        states[name] = "OMITTED"
                        self._end(name, StepResult("OMITTED", message="upstream"))
                        continue
                    scope = _Scope(dag_name, values, dict(states))
                    future = pool.submit(self._run_task, name, tasks[name], scope)
                    running[future] = name
                if not running:
                    continue
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    states[running.pop(future)] = future.result()
        return "FAILED" if "FAILED" in states.values() else "SUCCEEDED"

    def _run_task(self, name: str, task: Mapping[str, Any], scope: _Scope) -> str:
        component = self._spec["components"][task["componentRef"]["name"]]
        try:
            parameters = driver.resolve_parameters(
                task, component, scope.values, results=self.results, states=scope.states
            )
            if "dag" in component:
                return self.run_dag(name, component, parameters)
            result = self._run_step(name, task, component, parameters, scope)
        except LauncherError as error:
            result = StepResult("FAILED", message=str(error))
        self._end(name, result)
        return result.state

    def _end(self, name: str, result: StepResult) -> None:
        with self._lock:
            self.results[name] = result
        self._settings.hooks.on_event(name, result.state)

    def _run_step(
        self,
        name: str,
        task: Mapping[str, Any],
        component: Mapping[str, Any],
        parameters: Mapping[str, Any],
        scope: _Scope,
    ) -> StepResult:
        """Do what driver and launcher do for one step."""
        label = component["executorLabel"]
        executor = self._spec["deploymentSpec"]["executors"][label]
        inputs = driver.resolve_artifacts(task, self.results)
        if "importer" in executor:
            return self._import(component, executor["importer"], scope.values)
        if "container" not in executor:
            raise LauncherError("non-container and non-importer executor")
        container = executor["container"]
        message: dict[str, Any] = {
            "inputs": driver.executor_inputs(
                inputs, parameters, has_type_field=scope.dag_name == "root"
            )
        }
        condition = task.get("triggerPolicy", {}).get("condition")
        if condition and not driver.is_true(condition, message["inputs"]):
            return StepResult("SKIPPED", message=condition)
        config = self._kubernetes_configs.get(label, {})
        key = driver.cache_key(
            self._pipeline,
            component,
            container,
            config,
            inputs=inputs,
            parameters=parameters,
        )
        is_cached = task.get("cachingOptions", {}).get("enableCache", False)
        cached = self._metadata.find_execution(key) if is_cached else None
        if cached is not None:
            return StepResult(
                "CACHED", artifacts=cached["artifacts"], parameters=cached["parameters"]
            )
        message["inputs"]["parameterValues"] = driver.substitute_mounts(
            parameters, self._settings.mounts
        )
        message["outputs"] = driver.provision_outputs(
            component, f"{self._root}/{name}/{uuid.uuid4()}"
        )
        # In the pod a mount is there under its path.
        arguments = [
            driver.substitute_in_text(word, self._settings.mounts)
            for word in container.get("args", ())
        ]
        container = {**container, "args": arguments}
        result = self._run_attempts(name, task, container, message, config)
        if result.state == "SUCCEEDED":
            self._metadata.add_execution(key, result.artifacts, result.parameters)
        return result

    def _run_attempts(
        self,
        name: str,
        task: Mapping[str, Any],
        container: Mapping[str, Any],
        message: Mapping[str, Any],
        config: Mapping[str, Any],
    ) -> StepResult:
        """Run a container until it succeeds or its retry policy ends."""
        policy = task.get("retryPolicy", {})
        longest = driver.seconds_of(policy.get("backoffMaxDuration", "0s"))
        pause = driver.seconds_of(policy.get("backoffDuration", "0s"))
        num_retries = int(policy.get("maxRetryCount", 0)) if longest else 0
        deadline = config.get("activeDeadlineSeconds")
        hooks = self._settings.hooks
        result = StepResult("FAILED", log_path=self._logs / f"{name}.log")
        start = time.monotonic()
        for number in range(1, num_retries + 2):
            hooks.on_event(name, f"attempt {number}")
            attempt = run_attempt(
                container,
                message,
                self._store,
                self._logs / f"{name}.log",
                run_root=self._root,
                number=number,
                deadline_seconds=float(deadline) if deadline else None,
                on_process=functools.partial(hooks.on_process, name, number),
            )
            self._metadata.add_artifact(driver.LOGS, attempt.log_uri, {})
            result.attempts = number
            result.downloaded = attempt.downloaded
            result.uploaded = attempt.uploaded
            if attempt.is_success:
                result.state = "SUCCEEDED"
                result.artifacts = {
                    key: self._metadata.add_artifact(
                        key, artifact["uri"], artifact["metadata"]
                    )
                    for key, artifact in attempt.artifacts.items()
                }
                result.parameters = attempt.parameters
                result.message = ""
                break
            result.message = (
                "over its deadline"
                if attempt.exit_code is None
                else f"exit status {attempt.exit_code}"
            )
            time.sleep(pause * self._settings.backoff_scale)
            pause *= float(policy.get("backoffFactor", 1))
            if time.monotonic() - start > longest:
                break
        result.seconds = time.monotonic() - start
        return result

    def _import(
        self,
        component: Mapping[str, Any],
        importer: Mapping[str, Any],
        values: Mapping[str, Any],
    ) -> StepResult:
        source = importer["artifactUri"]
        uri = source.get("constant") or values[source["runtimeParameter"]]
        self._store.path(uri)  # Refuses a scheme that the launcher does not know.
        key = next(iter(component["outputDefinitions"]["artifacts"]))
        artifact = self._metadata.add_artifact(key, uri, importer.get("metadata", {}))
        return StepResult("SUCCEEDED", artifacts={key: artifact})
