"""A step's Kubernetes settings, built through kfp-kubernetes's proto.

The backend silently drops unknown keys of this document, so none is written by hand.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format, struct_pb2
from kfp.kubernetes import kubernetes_executor_config_pb2 as pb
from kfp.pipeline_spec import pipeline_spec_pb2

from graft.pipeline.kubeflow.compilation.pipeline_file import SERVICE_ACCOUNT_ANNOTATION
from graft.pipeline.kubeflow.compilation.profile import (
    Pool,
    Profile,
    StepSettings,
)


def kubernetes_config(profile: Profile, step: str) -> dict[str, Any]:
    """Return `platforms.kubernetes.deploymentSpec.executors.<label>` of a step."""
    settings = profile.settings_of(step)
    annotations = dict(profile.annotations)
    if profile.service_account:
        annotations[SERVICE_ACCOUNT_ANNOTATION] = profile.service_account
    config = pb.KubernetesExecutorConfig(
        image_pull_policy=profile.image_pull_policy,
        active_deadline_seconds=settings.timeout_seconds or profile.timeout_seconds,
        pod_metadata=pb.PodMetadata(
            labels={**profile.labels, "app.kubernetes.io/component": step.lower()},
            annotations=annotations,
        ),
        security_context=pb.SecurityContext(run_as_non_root=True),
    )
    pool = profile.gpu_pool if profile.is_gpu_step(step) else profile.cpu_pool
    if pool is not None:
        _add_pool(config, pool)
    for name in profile.image_pull_secrets:
        config.image_pull_secret.append(
            pb.ImagePullSecret(secret_name_parameter=_constant(name))
        )
    _add_secrets(config, profile)
    _add_volumes(config, profile, settings)
    result: dict[str, Any] = json_format.MessageToDict(config)
    return result


def _add_secrets(config: Any, profile: Profile) -> None:
    for secret in profile.secrets:
        config.secret_as_env.append(
            pb.SecretAsEnv(
                secret_name_parameter=_constant(secret.secret),
                key_to_env=[
                    pb.SecretAsEnv.SecretKeyToEnvMap(
                        secret_key=secret.key, env_var=secret.env
                    )
                ],
                optional=secret.optional,
            )
        )


def _add_volumes(config: Any, profile: Profile, settings: StepSettings) -> None:
    for mount in profile.mounts:
        config.pvc_mount.append(
            pb.PvcMount(
                mount_path=mount.path,
                sub_path=mount.sub_path,
                pvc_name_parameter=_constant(mount.claim),
            )
        )
    if profile.shared_memory:
        config.empty_dir_mounts.append(
            pb.EmptyDirMount(
                volume_name="shared-memory",
                mount_path="/dev/shm",  # noqa: S108 - the mount that is meant
                medium="Memory",
                size_limit=profile.shared_memory,
            )
        )
    if settings.scratch:
        # An ephemeral volume would belong to root, and Kubeflow has no field for the
        # group that may write to it.
        config.empty_dir_mounts.append(
            pb.EmptyDirMount(
                volume_name="graft-scratch",
                mount_path="/tmp",  # noqa: S108 - the mount that is meant
                size_limit=settings.scratch,
            )
        )


def _add_pool(config: Any, pool: Pool) -> None:
    if pool.node_selector:
        config.node_selector.labels.update(pool.node_selector)
    for toleration in pool.tolerations:
        config.tolerations.append(
            pb.Toleration(
                key=toleration.key,
                operator=toleration.operator,
                value=toleration.value,
                effect=toleration.effect,
            )
        )
    for affinity in pool.affinity:
        term = pb.NodeAffinityTerm(
            match_expressions=[
                pb.SelectorRequirement(
                    key=item.key, operator=item.operator, values=item.values
                )
                for item in affinity.requirements
            ]
        )
        if affinity.weight is not None:
            term.weight = affinity.weight
        config.node_affinity.append(term)


def _constant(value: str) -> Any:
    spec = pipeline_spec_pb2.TaskInputsSpec.InputParameterSpec()
    spec.runtime_value.constant.CopyFrom(struct_pb2.Value(string_value=value))
    return spec
