"""Turn the output of TFX's compiler into what Kubeflow's backend accepts.

TFX writes for Vertex AI; on open-source Kubeflow each of its steps fails.
docs/kubeflow-facts.md lists the reasons, and the code that handles each.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from graft.pipeline.kubeflow.compilation import refusals
from graft.pipeline.kubeflow.compilation.container_spec import (
    ArtifactClasses,
    complete_container,
)
from graft.pipeline.kubeflow.compilation.kubernetes_config import kubernetes_config
from graft.pipeline.kubeflow.compilation.output_names import rename_outputs
from graft.pipeline.kubeflow.compilation.pipeline_file import check_documents
from graft.pipeline.kubeflow.compilation.pipeline_spec import Task, tasks_of
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.compilation.runtime_parameters import (
    add_runtime_parameters,
)
from graft.pipeline.kubeflow.compilation.task_policies import (
    caching_options,
    retry_policy,
)

OPTIONAL_STEPS = (
    "BottleneckFeatures",
    "Canary",
    "CuratedSchema",
    "Evaluator",
    "SchemaGen",
)
"""Steps that a profile may name although the pipeline lacks them.

Profiles are made for several pipelines, and some pipelines lack these steps."""


class _Dumper(yaml.SafeDumper):
    """Quotes texts that YAML 1.2 reads as numbers, and PyYAML's YAML 1.1 does not.

    Kubeflow's servers read `4e9` and `0o7` as numbers.
    """


_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$|[-+]?0o[0-7]+$"),
    list("-+.0123456789"),
)


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
        documents = [self.pipeline_spec, self.platform_spec]
        text: str = yaml.dump_all(
            documents, Dumper=_Dumper, sort_keys=True, allow_unicode=True
        )
        return text


def post_process(
    spec: Mapping[str, Any],
    profile: Profile,
    classes: ArtifactClasses,
    *,
    require_fingerprint: bool = False,
) -> PipelineFile:
    """Return a pipeline that Kubeflow's backend accepts and its launcher can run.

    Args:
        spec: `PipelineSpec` of schema 2.1.0, as a dict, from TFX's compiler.
        profile: The cluster.
        classes: The Python classes behind the artifact types.
        require_fingerprint: Whether every run must name a fingerprint of its data.
            Ingestion is then cached while the fingerprint stays the same.

    Returns:
        The two documents, checked against their protos.

    Raises:
        CompileError: The pipeline or the profile would fail on the cluster.
    """
    result = copy.deepcopy(dict(spec))
    tasks = {task.name: task for task in tasks_of(result)}
    executors = result["deploymentSpec"]["executors"]
    refusals.check_names(result["pipelineInfo"]["name"], tasks)
    refusals.check_executors(executors)
    _check_profile_steps(profile, tasks)
    for name, task in tasks.items():
        refusals.check_constants(name, task.constants)
    _correct_producers(result, tasks)
    output_names = rename_outputs(result, tasks)
    overrides = add_runtime_parameters(
        result, tasks, require_fingerprint=require_fingerprint
    )
    platform: dict[str, Any] = {}
    for name, task in tasks.items():
        component = result["components"][task.component]
        label = component.get("executorLabel")
        container = executors.get(label, {}).get("container")
        if container is None:
            continue
        complete_container(
            container,
            name,
            component=component,
            profile=profile,
            classes=classes,
            overrides=overrides.get(name, {}),
            output_names=output_names.get(task.component, {}),
        )
        task.spec["cachingOptions"] = caching_options(
            task.spec,
            component,
            is_forced=profile.settings_of(name).cache,
            uncached_types=frozenset(classes.dashboard_types.values()),
            require_fingerprint=require_fingerprint,
        )
        policy = retry_policy(profile, name)
        if policy is not None:
            task.spec["retryPolicy"] = policy
        platform[label] = kubernetes_config(profile, name)
    kubernetes: dict[str, Any] = {"deploymentSpec": {"executors": platform}}
    if run_settings := _run_settings(profile):
        kubernetes["pipelineConfig"] = run_settings
    pipeline_file = PipelineFile(result, {"platforms": {"kubernetes": kubernetes}})
    try:
        check_documents(result, pipeline_file.platform_spec)
    except ValueError as error:
        raise refusals.CompileError(
            f"Kubeflow would refuse the compiled file: {error}"
        ) from error
    return pipeline_file


def _run_settings(profile: Profile) -> dict[str, int]:
    """Return the `PipelineConfig`: settings of a run as a whole.

    All three times to live are set: the manifests of Kubeflow 2.17.0 set defaults for
    successes and failures, which go before the one for both.
    """
    settings = {
        "activeDeadlineSeconds": profile.run_timeout_seconds,
        "resourceTtlOnCompletion": profile.run_ttl_seconds,
        "resourceTtlOnSuccess": profile.run_ttl_seconds,
        "resourceTtlOnFailure": profile.run_ttl_seconds,
    }
    return {key: value for key, value in settings.items() if value is not None}


def _check_profile_steps(profile: Profile, tasks: Mapping[str, Task]) -> None:
    """Refuse settings of steps that no pipeline of graft has."""
    allowed = {*tasks, *OPTIONAL_STEPS}
    for key, names in (("steps", profile.steps), ("gpu_steps", profile.gpu_steps)):
        for name in names:
            if name in allowed:
                continue
            lower = {step.lower(): step for step in sorted(allowed)}
            near = difflib.get_close_matches(name.lower(), lower, n=1)
            hint = f" Did you mean {lower[near[0]]!r}?" if near else ""
            raise refusals.CompileError(
                f"`{key}` of the profile names no step of this pipeline.{hint} "
                f"Allowed: {sorted(allowed)}. Received: {name!r}"
            )


def _correct_producers(spec: dict[str, Any], tasks: Mapping[str, Task]) -> None:
    """Replace the producer `<id>_task`, which TFX writes, by the task's real name."""
    for task in tasks.values():
        component = spec["components"][task.component]
        for key, value in task.spec.get("inputs", {}).get("parameters", {}).items():
            source = value.get("taskOutputParameter")
            if source is None:
                continue
            producer = source["producerTask"]
            if producer not in task.dag:
                producer = producer.removesuffix("_task")
            if producer not in task.dag:
                raise refusals.CompileError(
                    f"{task.name}.{key} takes a value of {producer!r}, which is no "
                    "step."
                )
            source["producerTask"] = producer
            made_by = task.dag[producer]["componentRef"]["name"]
            outputs = spec["components"][made_by]["outputDefinitions"]["parameters"]
            component["inputDefinitions"]["parameters"][key]["parameterType"] = outputs[
                source["outputParameterKey"]
            ]["parameterType"]
