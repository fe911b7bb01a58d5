"""A CronJob that submits a run only where there is something new to learn from.

A recurring run of Kubeflow's can't look at the data first. This job can: it mounts the
data, computes their fingerprint, and submits where data, code or config changed since
the last good run, or where drift was reported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from graft.pipeline.kubeflow.cluster.api import AUDIENCE, IN_CLUSTER_HOST, TOKEN_PATH
from graft.pipeline.kubeflow.cluster.cron import check_timezone, five_fields
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.compilation.refusals import (
    CompileError,
    check_image,
    check_names,
)

SERVICE_ACCOUNT = "graft-submitter"
PRIORITY_CLASS = "graft-batch"
"""Of kubernetes/base."""
PIPELINE_FOLDER = "/etc/graft"
MAX_CONFIG_MAP_BYTES = 2**20 - 4096
"""Kubernetes takes 1 MiB with the names around it."""


@dataclass(frozen=True)
class CronJobSettings:
    """What the manifest says beyond the profile.

    Attributes:
        name: Name of the CronJob.
        cron: When, in `timezone`.
        timezone: Zone of the hours; Kubernetes follows its clock changes.
        namespace: Of the CronJob; with `is_multi_user`, of the runs too.
        is_multi_user: Whether the installation knows users; the job then gets a token.
        host: URL of Kubeflow's API.
        parameters: Values for the pipeline's parameters.
        drift_report: A further file that reports drift, on one of the profile's mounts;
            `drift.json` in the model's folder is looked at anyhow (`due.py`).
    """

    name: str
    cron: str
    timezone: str = "UTC"
    namespace: str = "graft"
    is_multi_user: bool = False
    host: str = IN_CLUSTER_HOST
    parameters: Mapping[str, Any] = field(default_factory=dict)
    drift_report: str | None = None


def cronjob(
    settings: CronJobSettings, profile: Profile, config_map: str
) -> dict[str, Any]:
    """Return the CronJob alone.

    Args:
        settings: See `CronJobSettings`.
        profile: The cluster, for image and mounts.
        config_map: Name of the ConfigMap with the compiled file as `pipeline.yaml`.

    Raises:
        CronError: The schedule is no good.
        CompileError: The image, the name or the drift report's path is no good.
    """
    check_timezone(settings.timezone)
    check_names(settings.name, {})
    labels = _labels(settings)
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _metadata(settings, settings.name),
        "spec": {
            "schedule": five_fields(settings.cron),
            "timeZone": settings.timezone,
            "concurrencyPolicy": "Forbid",
            # A time that was missed by more than an hour is not made up for.
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 2,
                    "activeDeadlineSeconds": 3600,
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": _pod(settings, profile, config_map),
                    },
                }
            },
        },
    }


def cronjob_manifests(
    settings: CronJobSettings, profile: Profile, pipeline_text: str
) -> str:
    """Return the manifests as YAML: the compiled file, an account, its rights, the job.

    Args:
        settings: See `CronJobSettings`.
        profile: The cluster, for image and mounts.
        pipeline_text: What `graft compile` wrote; at most 1 MiB, a ConfigMap's limit.

    Raises:
        CronError: The schedule is no good.
        CompileError: The image, the name or the drift report's path is no good, or the
            file is too large.
    """
    num_bytes = len(pipeline_text.encode())
    if num_bytes > MAX_CONFIG_MAP_BYTES:
        raise CompileError(
            f"The compiled file has {num_bytes} bytes; a ConfigMap holds at most "
            f"{MAX_CONFIG_MAP_BYTES}. Use --engine kubeflow."
        )
    digest = hashlib.sha256(pipeline_text.encode()).hexdigest()[:10]
    config_map = f"{settings.name}-{digest}"
    job = cronjob(settings, profile, config_map)

    def metadata(name: str) -> dict[str, Any]:
        return _metadata(settings, name)

    manifests: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(config_map),
            "immutable": True,
            "data": {"pipeline.yaml": pipeline_text},
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": metadata(SERVICE_ACCOUNT),
            "automountServiceAccountToken": False,
        },
    ]
    if settings.is_multi_user:
        manifests.append(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": metadata(SERVICE_ACCOUNT),
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "kubeflow-pipelines-edit",
                },
                "subjects": [
                    {
                        "kind": "ServiceAccount",
                        "name": SERVICE_ACCOUNT,
                        "namespace": settings.namespace,
                    }
                ],
            }
        )
    manifests.append(job)
    return yaml.safe_dump_all(manifests, sort_keys=False)


def _labels(settings: CronJobSettings) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "graft-retrain",
        "app.kubernetes.io/instance": settings.name,
        "app.kubernetes.io/part-of": "graft",
    }


def _metadata(settings: CronJobSettings, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": settings.namespace}
    return {**metadata, "labels": _labels(settings)}


def _drift_report(settings: CronJobSettings, profile: Profile) -> list[str]:
    path = settings.drift_report
    if path is None:
        return []
    folders = [mount.path for mount in profile.mounts]
    if not any(path.startswith(f"{folder}/") for folder in folders):
        raise CompileError(
            f"`--drift-report` must lie in one of the profile's mounts {folders}, for "
            f"the job to find it. Received: {path!r}"
        )
    return [f"--drift-report={path}"]


def _pod(
    settings: CronJobSettings, profile: Profile, config_map: str
) -> dict[str, Any]:
    volumes: list[dict[str, Any]] = [
        {"name": "pipeline", "configMap": {"name": config_map}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}},
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "pipeline", "mountPath": PIPELINE_FOLDER, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the mount that is meant
    ]
    for index, mount in enumerate(profile.mounts):
        volumes.append(
            {
                "name": f"data-{index}",
                "persistentVolumeClaim": {"claimName": mount.claim, "readOnly": True},
            }
        )
        entry = {"name": f"data-{index}", "mountPath": mount.path, "readOnly": True}
        mounts.append(entry | ({"subPath": mount.sub_path} if mount.sub_path else {}))
    arguments = [
        "submit",
        f"{PIPELINE_FOLDER}/pipeline.yaml",
        f"--host={settings.host}",
        "--if-changed",
        *_drift_report(settings, profile),
        "--no-follow",
    ]
    if settings.is_multi_user:
        arguments.append(f"--namespace={settings.namespace}")
        volumes.append(
            {
                "name": "token",
                "projected": {
                    "sources": [
                        {
                            "serviceAccountToken": {
                                "audience": AUDIENCE,
                                "expirationSeconds": 7200,
                                "path": "token",
                            }
                        }
                    ]
                },
            }
        )
        mounts.append(
            {
                "name": "token",
                "mountPath": TOKEN_PATH.rpartition("/")[0],
                "readOnly": True,
            }
        )
    for key, value in sorted(settings.parameters.items()):
        arguments.append(f"--param={key}={yaml.safe_dump(value).splitlines()[0]}")
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "priorityClassName": PRIORITY_CLASS,
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            # No fsGroup: it would take the volumes away from group 0.
            "runAsGroup": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **(
            {
                "imagePullSecrets": [
                    {"name": name} for name in profile.image_pull_secrets
                ]
            }
            if profile.image_pull_secrets
            else {}
        ),
        "containers": [
            {
                "name": "submit",
                "image": check_image(profile.image),
                "imagePullPolicy": profile.image_pull_policy,
                "command": ["graft"],
                "args": arguments,
                "resources": {
                    "requests": {"cpu": "100m", "memory": "256Mi"},
                    "limits": {"cpu": "1", "memory": "1Gi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "readOnlyRootFilesystem": True,
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": volumes,
    }
