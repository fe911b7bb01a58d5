"""From what TFX's compiler writes to what Kubeflow's backend takes: a pure function.

TFX's own output is meant for Vertex AI; on open-source Kubeflow each of its steps
fails. docs/kubeflow-facts.md lists why, and which line here answers to it.
"""

from __future__ import annotations

import copy
import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from graft.pipeline.kubeflow.compilation import refusals
from graft.pipeline.kubeflow.compilation.kubernetes_config import kubernetes_config
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.compilation.runtime_parameters import (
    FINGERPRINT_PARAMETER,
    PARAMETERS,
    RuntimeParameter,
    existing_places,
)
from graft.pipeline.kubeflow.container.dashboard import EVALUATION_TITLE, OUTPUT_TYPES

OVERRIDE_PREFIX = "graft_override_"
UNCACHED_OUTPUTS = ("tfx.PushedModel",)
"""A step with such an output acts on the world: an old answer would be none."""


@dataclass(frozen=True)
class ArtifactClasses:
    """What the spec does not say about the artifact types in it.

    Attributes:
        class_paths: Title of a custom type to the dotted path of its class.
        dashboard_types: Title of a type to the type that the dashboard shows it as,
            such as `system.HTML`.
    """

    class_paths: Mapping[str, str] = field(default_factory=dict)
    dashboard_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PipelineFile:
    """A compiled pipeline.

    Attributes:
        pipeline_spec: The first document, a `PipelineSpec`.
        platform_spec: The second document, a `PlatformSpec`.
    """

    pipeline_spec: dict[str, Any]
    platform_spec: dict[str, Any]

    def to_yaml(self) -> str:
        """Return both documents as one YAML text, keys sorted."""
        return yaml.safe_dump_all(
            [self.pipeline_spec, self.platform_spec], sort_keys=True, allow_unicode=True
        )


def post_process(
    spec: Mapping[str, Any],
    profile: Profile,
    classes: ArtifactClasses,
    *,
    require_fingerprint: bool = False,
) -> PipelineFile:
    """Make TFX's spec one that the backend accepts and its launcher can run.

    Args:
        spec: `PipelineSpec` of schema 2.1.0, as a dict, from TFX's compiler.
        profile: The cluster.
        classes: The Python classes behind the types.
        require_fingerprint: Every run must name a fingerprint of its data; ingestion is
            then answered from the cache while it stays the same.

    Returns:
        The two documents, checked against their protos.

    Raises:
        CompileError: The pipeline or the profile would fail on the cluster.
    """
    result = copy.deepcopy(dict(spec))
    tasks = {name: task for _, _, name, task in all_tasks(result)}
    executors = result["deploymentSpec"]["executors"]
    refusals.check_names(result["pipelineInfo"]["name"], tasks)
    refusals.check_executors(executors)
    _check_profile_steps(profile, tasks)
    for name, task in tasks.items():
        refusals.check_constants(name, constants_of(task))
    _mend_producers(result)
    overrides = _add_runtime_parameters(result, tasks, require_fingerprint)
    platform: dict[str, Any] = {}
    for name, task in tasks.items():
        component = result["components"][task["componentRef"]["name"]]
        label = component.get("executorLabel")
        container = executors.get(label, {}).get("container")
        if container is None:
            continue
        _mend_container(
            container,
            name,
            component=component,
            profile=profile,
            classes=classes,
            overrides=overrides.get(name, {}),
        )
        wish = profile.settings_of(name).cache
        _set_caching(task, component, wish, classes, require_fingerprint)
        _set_retry(task, name, profile)
        platform[label] = kubernetes_config(profile, name)
    pipeline_file = PipelineFile(
        pipeline_spec=result,
        platform_spec={
            "platforms": {"kubernetes": {"deploymentSpec": {"executors": platform}}}
        },
    )
    check_documents(pipeline_file)
    return pipeline_file


def all_tasks(
    spec: Mapping[str, Any],
) -> Iterator[tuple[str, dict[str, Any], str, dict[str, Any]]]:
    """Yield (DAG's name, its component, task's name, task) of all but sub-DAGs."""
    dags = {"root": spec["root"]}
    dags |= {name: c for name, c in spec.get("components", {}).items() if "dag" in c}
    for dag_name, component in dags.items():
        for name, task in component["dag"]["tasks"].items():
            if task["componentRef"]["name"] not in dags:
                yield dag_name, component, name, task


def constants_of(task: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a task that have a constant value."""
    inputs = task.get("inputs", {}).get("parameters", {})
    return {
        name: value["runtimeValue"]["constant"]
        for name, value in inputs.items()
        if "constant" in value.get("runtimeValue", {})
    }


def title_of(artifact_type: Mapping[str, Any]) -> str:
    """Return the title of an `ArtifactTypeSchema`."""
    if "schemaTitle" in artifact_type:
        return str(artifact_type["schemaTitle"])
    schema = yaml.safe_load(artifact_type.get("instanceSchema") or "") or {}
    return str(schema.get("title", ""))


def check_documents(pipeline_file: PipelineFile) -> None:
    """Parse both documents strictly, and every part of them that is a free-form struct.

    Raises:
        CompileError: A key that a proto does not have, or a label without an executor.
    """
    from google.protobuf import json_format
    from kfp.kubernetes import kubernetes_executor_config_pb2
    from kfp.pipeline_spec import pipeline_spec_pb2

    spec, platform = pipeline_file.pipeline_spec, pipeline_file.platform_spec
    configs = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    try:
        json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
        json_format.ParseDict(
            spec["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig()
        )
        json_format.ParseDict(platform, pipeline_spec_pb2.PlatformSpec())
        for config in configs.values():
            json_format.ParseDict(
                config, kubernetes_executor_config_pb2.KubernetesExecutorConfig()
            )
    except json_format.ParseError as error:
        raise refusals.CompileError(
            f"The backend would not take this: {error}"
        ) from error
    strangers = sorted(set(configs) - set(spec["deploymentSpec"]["executors"]))
    if strangers:
        raise refusals.CompileError(
            f"Settings for executors that don't exist: {strangers}"
        )


def _check_profile_steps(profile: Profile, tasks: Mapping[str, Any]) -> None:
    for name in profile.steps:
        # Optional steps are named in the profiles that come with graft.
        if name in tasks or name in ("BottleneckFeatures", "Canary", "Evaluator"):
            continue
        near = difflib.get_close_matches(name, tasks, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise refusals.CompileError(
            f"`steps` of the profile names no step of this pipeline.{hint} "
            f"Allowed: {sorted(tasks)}. Received: {name!r}"
        )


def _mend_producers(spec: dict[str, Any]) -> None:
    """Name the real producers of values: TFX's `<id>_task` does not exist."""
    for _, dag, name, task in all_tasks(spec):
        component = spec["components"][task["componentRef"]["name"]]
        for key, value in task.get("inputs", {}).get("parameters", {}).items():
            source = value.get("taskOutputParameter")
            if source is None:
                continue
            producer = source["producerTask"]
            if producer not in dag["dag"]["tasks"]:
                producer = producer.removesuffix("_task")
            if producer not in dag["dag"]["tasks"]:
                raise refusals.CompileError(
                    f"{name}.{key} takes a value of {producer!r}, which is no step."
                )
            source["producerTask"] = producer
            made_by = dag["dag"]["tasks"][producer]["componentRef"]["name"]
            outputs = spec["components"][made_by]["outputDefinitions"]["parameters"]
            component["inputDefinitions"]["parameters"][key]["parameterType"] = outputs[
                source["outputParameterKey"]
            ]["parameterType"]


def _add_runtime_parameters(
    spec: dict[str, Any], tasks: Mapping[str, Any], require_fingerprint: bool
) -> dict[str, dict[str, list[list[Any]]]]:
    """Define the pipeline's parameters and hand each to the steps that it changes.

    Returns:
        Step to input to the places, `[property, key, ...]`, that the input replaces.
    """
    properties = {name: constants_of(task) for name, task in tasks.items()}
    overrides: dict[str, dict[str, list[list[Any]]]] = {}
    for parameter in PARAMETERS:
        places = existing_places(parameter, properties)
        if not places:
            continue
        is_required = parameter.name == FINGERPRINT_PARAMETER and require_fingerprint
        default = None if is_required else next(iter(places.values()))
        _define_in_root(spec, parameter, default)
        for place in places:
            inputs = tasks[place.step]["inputs"]["parameters"]
            reference = {"componentInputParameter": parameter.name}
            if not place.path:
                inputs[place.property] = reference
                continue
            key = OVERRIDE_PREFIX + parameter.name
            inputs[key] = reference
            component = tasks[place.step]["componentRef"]["name"]
            definitions = spec["components"][component]["inputDefinitions"][
                "parameters"
            ]
            definitions[key] = {"parameterType": parameter.type}
            step = overrides.setdefault(place.step, {})
            step.setdefault(key, []).append([place.property, *place.path])
    _hand_to_sub_dags(spec)
    return overrides


def _define_in_root(
    spec: dict[str, Any], parameter: RuntimeParameter, default: Any
) -> None:
    definition: dict[str, Any] = {
        "parameterType": parameter.type,
        "description": parameter.description,
    }
    if default is not None:
        if parameter.type == "NUMBER_DOUBLE":
            default = float(default)
        definition |= {"defaultValue": default, "isOptional": True}
    inputs = spec["root"].setdefault("inputDefinitions", {})
    inputs.setdefault("parameters", {})[parameter.name] = definition


def _hand_to_sub_dags(spec: dict[str, Any]) -> None:
    """Repeat the root's parameters on each DAG below it and on its task."""
    parameters = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    for name, component in spec["components"].items():
        if "dag" not in component or not parameters:
            continue
        component.setdefault("inputDefinitions", {})["parameters"] = copy.deepcopy(
            parameters
        )
        for task in spec["root"]["dag"]["tasks"].values():
            if task["componentRef"]["name"] == name:
                task.setdefault("inputs", {})["parameters"] = {
                    key: {"componentInputParameter": key} for key in parameters
                }


def _mend_container(
    container: dict[str, Any],
    name: str,
    *,
    component: dict[str, Any],
    profile: Profile,
    classes: ArtifactClasses,
    overrides: Mapping[str, Any],
) -> None:
    """Give a container our arguments, its image, resources and environment."""
    step: dict[str, Any] = {}
    if container.pop("lifecycle", None) is not None:
        step["runs_file_driver"] = True
    if overrides:
        step["overrides"] = dict(overrides)
    inputs = component.get("inputDefinitions", {}).get("artifacts", {})
    outputs = component.get("outputDefinitions", {}).get("artifacts", {})
    titles = {
        title_of(item["artifactType"]) for item in [*inputs.values(), *outputs.values()]
    }
    if paths := {t: p for t, p in classes.class_paths.items() if t in titles}:
        step["artifact_classes"] = paths
    for key, output in list(outputs.items()):
        if title_of(output["artifactType"]) == EVALUATION_TITLE:
            step["dashboard"] = {"evaluation": key, "outputs": sorted(OUTPUT_TYPES)}
            outputs |= {
                name: {"artifactType": dict(artifact_type)}
                for name, artifact_type in OUTPUT_TYPES.items()
            }
        shown_as = classes.dashboard_types.get(title_of(output["artifactType"]))
        if shown_as is not None:
            step.setdefault("output_types", {})[key] = output["artifactType"]
            output["artifactType"] = {"schemaTitle": shown_as, "schemaVersion": "0.0.1"}
    # The id makes each container its own: the backend stores specs by a container's
    # hash.
    container["args"] = [
        *container.get("args", ()),
        "--component_id",
        name,
        "--graft_step",
        json.dumps(step, sort_keys=True),
    ]
    settings = profile.settings_of(name)
    is_gpu = profile.is_gpu_step(name)
    image = profile.gpu_image if is_gpu and profile.gpu_image else profile.image
    container["image"] = refusals.check_image(image)
    env = {**profile.env, **settings.env}
    container["env"] = [{"name": key, "value": env[key]} for key in sorted(env)]
    gpu = profile.gpu_pool if is_gpu else None
    resources = settings.resources or (gpu.resources if gpu else profile.resources)
    container["resources"] = {
        "resourceCpuRequest": resources.cpu,
        "resourceCpuLimit": resources.cpu_limit or resources.cpu,
        "resourceMemoryRequest": resources.memory,
        "resourceMemoryLimit": resources.memory_limit or resources.memory,
    }
    if gpu is not None:
        container["resources"]["accelerator"] = {
            "resourceType": gpu.resource,
            "resourceCount": str(settings.gpu_count or gpu.count),
        }


def _set_caching(
    task: dict[str, Any],
    component: Mapping[str, Any],
    wish: bool | None,
    classes: ArtifactClasses,
    require_fingerprint: bool,
) -> None:
    """Cache a step that is a function of its inputs, and no other.

    A step without input artifacts reads something outside of the pipeline. It is a
    function only with a fingerprint of what it reads, which the run must then name. A
    step that pushes, or that fills the dashboard, runs every time.
    """
    inputs = task.get("inputs", {})
    is_function = bool(inputs.get("artifacts")) or (
        require_fingerprint and FINGERPRINT_PARAMETER in inputs.get("parameters", {})
    )
    outputs = component.get("outputDefinitions", {}).get("artifacts", {}).values()
    shown = set(classes.dashboard_types.values())
    for output in outputs:
        if title_of(output["artifactType"]) in (*UNCACHED_OUTPUTS, *shown):
            is_function = False
    task["cachingOptions"] = {"enableCache": is_function if wish is None else wish}


def _set_retry(task: dict[str, Any], name: str, profile: Profile) -> None:
    """Write all four fields: an absent one is zero to the backend, and means no retry.

    Argo counts `backoffMaxDuration` from the first attempt's start.
    """
    settings = profile.settings_of(name)
    retry = settings.retry or profile.retry
    if not retry.attempts:
        return
    timeout = settings.timeout_seconds or profile.timeout_seconds
    waits = sum(
        retry.backoff_seconds * retry.backoff_factor**attempt
        for attempt in range(retry.attempts)
    )
    # An hour more for each attempt: waiting for a node is a part of it.
    longest = (retry.attempts + 1) * (timeout + 3600) + waits
    task["retryPolicy"] = {
        "maxRetryCount": retry.attempts,
        "backoffDuration": f"{retry.backoff_seconds}s",
        "backoffFactor": retry.backoff_factor,
        "backoffMaxDuration": f"{int(longest)}s",
    }
