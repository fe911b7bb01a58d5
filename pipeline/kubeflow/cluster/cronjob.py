"""A CronJob that submits a run only if data, code or config changed, or drift.

A recurring run of Kubeflow can't read the data first. This job mounts the data and
computes their fingerprint. It submits a run if something changed since the last
successful run, or if drift was reported.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from graft.pipeline.kubeflow.cluster.api import AUDIENCE, IN_CLUSTER_HOST, TOKEN_PATH
from graft.pipeline.kubeflow.cluster.cron import check_timezone, five_fields
from graft.pipeline.kubeflow.cluster.following import EXIT_RUN_FAILED
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.compilation.refusals import (
    CompileError,
    check_image,
    check_names,
)

SERVICE_ACCOUNT = "graft-submitter"
PRIORITY_CLASS = "graft-batch"
"""Priority class in kubernetes/base."""
PIPELINE_FOLDER = "/etc/graft"
SUBMIT_SECONDS = 3600
"""Longest time to compute the data's fingerprint and to submit a run."""
DEFAULT_RUN_SECONDS = 24 * 3600
"""Longest time that a job follows a run whose profile sets no limit."""
MAX_CONFIG_MAP_BYTES = 2**20 - 4096
"""Kubernetes limits a ConfigMap to 1 MiB, with its keys and metadata."""


@dataclass(frozen=True)
class CronJobSettings:
    """Settings of the CronJob beyond the profile.

    Attributes:
        name: Name of the CronJob.
        cron: Cron expression, in `timezone`.
        timezone: Time zone; Kubernetes follows its clock changes.
        namespace: Namespace of the CronJob; with `is_multi_user` also of the runs.
        is_multi_user: Whether Kubeflow has several users; the job then gets a token.
        host: URL of Kubeflow's API.
        parameters: Values for the pipeline's parameters.
        service_account: Account of the runs' pods; None: the compiled file's.
        drift_report: Another file that reports drift, on one of the profile's mounts.
            `drift.json` in the model's folder is always read (`run_triggers.py`).
        retries: Times that a failed run is retried; 0: the job does not follow it.
        mlflow_experiment: MLflow experiment for the runs; None: the installation's.
        server_version: The server's version, for a server that tells none.
    """

    name: str
    cron: str
    timezone: str = "UTC"
    namespace: str = "graft"
    is_multi_user: bool = False
    host: str = IN_CLUSTER_HOST
    parameters: Mapping[str, Any] = field(default_factory=dict)
    service_account: str | None = None
    drift_report: str | None = None
    retries: int = 0
    mlflow_experiment: str | None = None
    server_version: str | None = None


def cronjob(
    settings: CronJobSettings, profile: Profile, config_map: str
) -> dict[str, Any]:
    """Return the manifest of the CronJob.

    Args:
        settings: See `CronJobSettings`.
        profile: The cluster, for image and mounts.
        config_map: Name of the ConfigMap with the compiled file as `pipeline.yaml`.

    Raises:
        CronError: The cron expression or the time zone is invalid.
        CompileError: The image, the name or the drift report's path is invalid.
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
            # A start that is more than an hour late is skipped.
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 2,
                    **_limits(settings, profile),
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
    """Return the manifests as YAML: compiled file, account, its rights, CronJob.

    Args:
        settings: See `CronJobSettings`.
        profile: The cluster, for image and mounts.
        pipeline_text: What `graft compile` wrote; at most 1 MiB, a ConfigMap's limit.

    Raises:
        CronError: The cron expression or the time zone is invalid.
        CompileError: The image, the name or the drift report's path is invalid, or
            the file is too large.
    """
    num_bytes = len(pipeline_text.encode())
    if num_bytes > MAX_CONFIG_MAP_BYTES:
        raise CompileError(
            f"The compiled file has {num_bytes} bytes; a ConfigMap holds at most "
            f"{MAX_CONFIG_MAP_BYTES}. Use --engine kubeflow."
        )
    digest = hashlib.sha256(pipeline_text.encode()).hexdigest()[:10]
    config_map = f"{settings.name}-{digest}"
    manifests = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(settings, config_map),
            "immutable": True,
            "data": {"pipeline.yaml": pipeline_text},
        },
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _metadata(settings, SERVICE_ACCOUNT),
            "automountServiceAccountToken": False,
        },
        *([_role_binding(settings)] if settings.is_multi_user else []),
        cronjob(settings, profile, config_map),
    ]
    return yaml.safe_dump_all(manifests, sort_keys=False)


def _role_binding(settings: CronJobSettings) -> dict[str, Any]:
    """Return the right of the job's account to start runs in its namespace."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": _metadata(settings, SERVICE_ACCOUNT),
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


def _labels(settings: CronJobSettings) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "graft-retrain",
        "app.kubernetes.io/instance": settings.name,
        "app.kubernetes.io/part-of": "graft",
    }


def _metadata(settings: CronJobSettings, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": settings.namespace}
    return {**metadata, "labels": _labels(settings)}


def _limits(settings: CronJobSettings, profile: Profile) -> dict[str, Any]:
    """Return the time limit of the job, and what its own retries are for.

    A job that follows the run lives as long as the run and its retries. The job is not
    repeated for a run that failed in spite of them.
    """
    if not settings.retries:
        return {"activeDeadlineSeconds": SUBMIT_SECONDS}
    longest = profile.run_timeout_seconds or DEFAULT_RUN_SECONDS
    failed = {"containerName": "submit", "operator": "In", "values": [EXIT_RUN_FAILED]}
    return {
        "activeDeadlineSeconds": SUBMIT_SECONDS + (settings.retries + 1) * longest,
        "podFailurePolicy": {"rules": [{"action": "FailJob", "onExitCodes": failed}]},
    }


def _arguments(settings: CronJobSettings, profile: Profile) -> list[str]:
    """Return the arguments of `graft` in the job."""
    arguments = [
        "submit",
        f"{PIPELINE_FOLDER}/pipeline.yaml",
        f"--host={settings.host}",
        "--if-changed",
        *_drift_report(settings, profile),
        f"--retries={settings.retries}" if settings.retries else "--no-follow",
    ]
    if settings.service_account is not None:
        arguments.append(f"--service-account={settings.service_account}")
    if settings.mlflow_experiment is not None:
        arguments.append(f"--mlflow-experiment={settings.mlflow_experiment}")
    if settings.server_version is not None:
        arguments.append(f"--server-version={settings.server_version}")
    if settings.is_multi_user:
        arguments.append(f"--namespace={settings.namespace}")
    for key, value in sorted(settings.parameters.items()):
        arguments.append(f"--param={key}={_yaml(value)}")
    return arguments


def _yaml(value: object) -> str:
    """Return a value as YAML on one line; PyYAML folds lines at column 80 otherwise."""
    text = yaml.safe_dump(value, width=math.inf, default_flow_style=True)
    text = text.removesuffix("...\n").rstrip("\n")
    if "\n" in text:
        # Only double quotes can escape a line break.
        text = yaml.safe_dump(value, width=math.inf, default_style='"').rstrip("\n")
    return text


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


def _volumes(
    settings: CronJobSettings, profile: Profile, config_map: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes of the pod, and their mounts in the container."""
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
    if settings.is_multi_user:
        token = {"audience": AUDIENCE, "expirationSeconds": 7200, "path": "token"}
        sources = [{"serviceAccountToken": token}]
        volumes.append({"name": "token", "projected": {"sources": sources}})
        folder = TOKEN_PATH.rpartition("/")[0]
        mounts.append({"name": "token", "mountPath": folder, "readOnly": True})
    return volumes, mounts


def _pod(
    settings: CronJobSettings, profile: Profile, config_map: str
) -> dict[str, Any]:
    volumes, mounts = _volumes(settings, profile, config_map)
    pull_secrets = [{"name": name} for name in profile.image_pull_secrets]
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "priorityClassName": PRIORITY_CLASS,
        "automountServiceAccountToken": False,
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            # An fsGroup would take the volumes away from group 0.
            "runAsGroup": 0,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
        "containers": [
            {
                "name": "submit",
                "image": check_image(profile.image),
                "imagePullPolicy": profile.image_pull_policy,
                "command": ["graft"],
                "args": _arguments(settings, profile),
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
