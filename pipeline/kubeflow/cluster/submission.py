"""Submit a compiled pipeline: upload it if it is new, and run it."""

from __future__ import annotations

import datetime
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graft.pipeline.kubeflow.cluster.api import RETRIED_STATUSES, Api, ApiError
from graft.pipeline.kubeflow.compilation.pipeline_file import (
    check_parameters,
    read_pipeline_file,
)
from graft.storage import hashing

DEFAULT_EXPERIMENT = "graft"


@dataclass(frozen=True)
class PipelineVersion:
    """A version of a pipeline on the cluster.

    Attributes:
        pipeline_id: Id of the pipeline.
        version_id: Id of the version.
        version_name: Its name, a hash of the file: the same file is the same version.
        is_new: Whether this call uploaded it.
    """

    pipeline_id: str
    version_id: str
    version_name: str
    is_new: bool


def upload(api: Api, path: Path) -> PipelineVersion:
    """Upload a compiled pipeline: a new pipeline, or a new version of one.

    Args:
        api: The cluster.
        path: What `graft compile` wrote.

    Returns:
        The version; an earlier call may have uploaded it.

    Raises:
        PipelineFileError: Kubeflow would refuse the file.
        ApiError: The cluster refused a call.
    """
    spec, _ = read_pipeline_file(path)
    name = spec["pipelineInfo"]["name"]
    version_name = "v-" + hashing.hash_file(str(path))[:16]
    namespace = api.connection.namespace or None
    pipeline_id = find_pipeline(api, name)
    if pipeline_id is None:
        try:
            made = api.call(
                api.pipelines.pipeline_service_create_pipeline,
                api.models.V2beta1Pipeline(
                    name=name, display_name=name, namespace=namespace
                ),
            )
            pipeline_id = api.required_id(made.pipeline_id, f"the pipeline {name!r}")
        except ApiError as error:
            # Another client created it, or the answer to the first attempt was lost.
            if error.status != 409:
                raise
            pipeline_id = find_pipeline(api, name)
    if pipeline_id is None:
        raise ApiError(f"The pipeline {name!r} exists, but can't be read.", 409)
    version_id = find_version(api, pipeline_id, version_name)
    if version_id is not None:
        return PipelineVersion(pipeline_id, version_id, version_name, is_new=False)
    try:
        made = api.call(
            api.uploads.upload_pipeline_version,
            str(path),
            name=version_name,
            pipelineid=pipeline_id,
        )
        made_id = api.required_id(made.pipeline_version_id, "the new version")
        return PipelineVersion(pipeline_id, made_id, version_name, is_new=True)
    except ApiError as error:
        if error.status != 409:
            raise
    version_id = find_version(api, pipeline_id, version_name)
    if version_id is None:
        raise ApiError(f"Version {version_name!r} exists, but can't be read.", 409)
    return PipelineVersion(pipeline_id, version_id, version_name, is_new=False)


def find_pipeline(api: Api, name: str) -> str | None:
    """Return the id of a pipeline; None if there is none of this name."""
    try:
        found = api.call(
            api.pipelines.pipeline_service_get_pipeline_by_name,
            name,
            namespace=api.connection.namespace or None,
        )
    except ApiError as error:
        if error.status == 404:
            return None
        raise
    return api.required_id(found.pipeline_id, f"the pipeline {name!r}")


def find_version(api: Api, pipeline_id: str, name: str) -> str | None:
    """Return the id of a version; None if the pipeline has none of this name."""
    for version in list_versions(api, pipeline_id):
        if name in (version.display_name, version.name):
            return api.required_id(version.pipeline_version_id, f"version {name!r}")
    return None


def list_versions(api: Api, pipeline_id: str) -> list[Any]:
    """Return the versions of a pipeline, newest first."""
    return api.pages(
        api.pipelines.pipeline_service_list_pipeline_versions,
        pipeline_id,
        field="pipeline_versions",
        page_size=100,
        sort_by="created_at desc",
    )


def experiment_id(api: Api, name: str) -> str:
    """Return the id of an experiment; create it if it does not exist."""
    condition = {"operation": "EQUALS", "key": "display_name", "string_value": name}
    found = api.call(
        api.experiments.experiment_service_list_experiments,
        filter=json.dumps({"predicates": [condition]}),
        namespace=api.connection.namespace or None,
    )
    if found.experiments:
        return api.required_id(
            found.experiments[0].experiment_id, f"the experiment {name!r}"
        )
    made = api.call(
        api.experiments.experiment_service_create_experiment,
        api.models.V2beta1Experiment(
            display_name=name, namespace=api.connection.namespace or None
        ),
    )
    return api.required_id(made.experiment_id, f"the experiment {name!r}")


def start_run(
    api: Api,
    path: Path,
    version: PipelineVersion,
    parameters: Mapping[str, Any],
    *,
    experiment: str = DEFAULT_EXPERIMENT,
    service_account: str | None = None,
    pipeline_root: str | None = None,
    mlflow_experiment: str | None = None,
) -> str:
    """Start a run and return its id; after a lost answer no second run starts.

    The keyword arguments are the independent settings of a run in Kubeflow.

    Args:
        api: The cluster.
        path: The compiled file, to check the parameters.
        version: Its version on the cluster.
        parameters: Values for the pipeline's parameters.
        experiment: Name of the experiment.
        service_account: Service account of the pods; None: the installation's.
        pipeline_root: Where artifacts are stored; None: the installation's.
        mlflow_experiment: See `plugins_input`.

    Raises:
        PipelineFileError: Kubeflow would refuse a parameter.
        ApiError: The cluster refused a call.
    """
    spec, _ = read_pipeline_file(path)
    check_parameters(spec, parameters)
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    name = f"{spec['pipelineInfo']['name']}-{stamp}-{uuid.uuid4().hex[:6]}"
    run = api.models.V2beta1Run(
        display_name=name,
        experiment_id=experiment_id(api, experiment),
        pipeline_version_reference=api.models.V2beta1PipelineVersionReference(
            pipeline_id=version.pipeline_id, pipeline_version_id=version.version_id
        ),
        runtime_config=api.models.V2beta1RuntimeConfig(
            parameters=dict(parameters), pipeline_root=pipeline_root
        ),
        service_account=service_account,
        plugins_input=plugins_input(mlflow_experiment),
    )
    for attempt in range(api.connection.attempts):
        try:
            made = api.call(api.runs.run_service_create_run, run, may_repeat=False)
            return api.required_id(made.run_id, "the new run")
        except ApiError as error:
            is_last = attempt == api.connection.attempts - 1
            if is_last or error.status not in (0, *RETRIED_STATUSES):
                raise
            time.sleep(api.connection.pause_seconds * 2**attempt)
            started = _run_named(api, name)
            if started is not None:
                return started
    raise AssertionError("unreachable")


def plugins_input(mlflow_experiment: str | None) -> dict[str, Any] | None:
    """Return what a run tells the server's plugins; None: nothing.

    Args:
        mlflow_experiment: MLflow experiment for the run's metrics, where the
            installation sends them to MLflow; None: the installation's.
    """
    if mlflow_experiment is None:
        return None
    return {"mlflow": {"experiment_name": mlflow_experiment}}


def _run_named(api: Api, name: str) -> str | None:
    condition = {"operation": "EQUALS", "key": "display_name", "string_value": name}
    found = api.call(
        api.runs.run_service_list_runs,
        filter=json.dumps({"predicates": [condition]}),
        namespace=api.connection.namespace or None,
    )
    if not found.runs:
        return None
    return api.required_id(found.runs[0].run_id, f"the run {name!r}")


def list_runs(api: Api, *, experiment: str | None = None, limit: int = 20) -> list[Any]:
    """Return the newest runs as the API's models."""
    found = api.call(
        api.runs.run_service_list_runs,
        experiment_id=experiment_id(api, experiment) if experiment else None,
        namespace=api.connection.namespace or None,
        page_size=limit,
        sort_by="created_at desc",
    )
    return list(found.runs or [])
