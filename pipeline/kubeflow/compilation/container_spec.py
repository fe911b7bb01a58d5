"""Complete a step's container: arguments for our entry point, image, resources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graft.pipeline.kubeflow.compilation import refusals
from graft.pipeline.kubeflow.compilation.pipeline_file import STEP_ARGUMENT
from graft.pipeline.kubeflow.compilation.pipeline_spec import title_of
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.container.dashboard import EVALUATION_TITLE, OUTPUT_TYPES


@dataclass(frozen=True)
class ArtifactClasses:
    """The Python classes behind the artifact types of a spec.

    Attributes:
        class_paths: Title of a custom type to the dotted path of its class.
        dashboard_types: Title of a type to the type that the dashboard shows it as,
            such as `system.HTML`.
    """

    class_paths: Mapping[str, str] = field(default_factory=dict)
    dashboard_types: Mapping[str, str] = field(default_factory=dict)


def complete_container(
    container: dict[str, Any],
    name: str,
    *,
    component: dict[str, Any],
    profile: Profile,
    classes: ArtifactClasses,
    overrides: Mapping[str, Any],
    output_names: Mapping[str, str],
) -> None:
    """Give a container its arguments, image, environment and resources.

    Args:
        container: `PipelineContainerSpec` from TFX, which is changed.
        name: Name of the step.
        component: `ComponentSpec` of the step; outputs for the dashboard are added.
        profile: The cluster.
        classes: The Python classes behind the artifact types.
        overrides: Inputs of the step to the places that their values replace.
        output_names: Names of outputs: on Kubeflow, and in TFX.

    Raises:
        CompileError: The image is missing, malformed, or has a tag that moves.
    """
    runs_file_driver = container.pop("lifecycle", None) is not None
    step = _describe_step(component, classes, overrides)
    if output_names:
        step["output_names"] = dict(output_names)
    if runs_file_driver:
        step["runs_file_driver"] = True
    # The id makes equal containers differ. The backend stores a container's spec under
    # its hash, and so would give two steps one spec.
    container["args"] = [
        *container.get("args", ()),
        "--component_id",
        name,
        STEP_ARGUMENT,
        json.dumps(step, sort_keys=True),
    ]
    is_gpu = profile.is_gpu_step(name)
    image = profile.gpu_image if is_gpu and profile.gpu_image else profile.image
    container["image"] = refusals.check_image(image)
    env = {**profile.env, **profile.settings_of(name).env}
    container["env"] = [{"name": key, "value": env[key]} for key in sorted(env)]
    container["resources"] = _resources(profile, name)


def _describe_step(
    component: dict[str, Any],
    classes: ArtifactClasses,
    overrides: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the entry point needs to know, and add the dashboard's outputs."""
    step: dict[str, Any] = {}
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
        title = title_of(output["artifactType"])
        if title == EVALUATION_TITLE:
            step["dashboard"] = {"evaluation": key, "outputs": sorted(OUTPUT_TYPES)}
            outputs |= {
                name: {"artifactType": dict(artifact_type)}
                for name, artifact_type in OUTPUT_TYPES.items()
            }
        dashboard_type = classes.dashboard_types.get(title)
        if dashboard_type is not None:
            step.setdefault("output_types", {})[key] = output["artifactType"]
            output["artifactType"] = {
                "schemaTitle": dashboard_type,
                "schemaVersion": "0.0.1",
            }
    return step


def _resources(profile: Profile, name: str) -> dict[str, Any]:
    """Return the `ResourceSpec` of a step."""
    settings = profile.settings_of(name)
    gpu = profile.gpu_pool if profile.is_gpu_step(name) else None
    if gpu is not None:
        resources = settings.gpu_resources or gpu.resources
    else:
        resources = settings.resources or profile.resources
    spec: dict[str, Any] = {
        "resourceCpuRequest": resources.cpu,
        "resourceCpuLimit": resources.cpu_limit or resources.cpu,
        "resourceMemoryRequest": resources.memory,
        "resourceMemoryLimit": resources.memory_limit or resources.memory,
    }
    if gpu is not None:
        spec["accelerator"] = {
            "resourceType": gpu.resource,
            "resourceCount": str(settings.gpu_count or gpu.count),
        }
    return spec
