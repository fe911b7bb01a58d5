"""The manifests of Flink: what the operator makes pods of, and at one with the code.

The schema of a FlinkDeployment comes with the operator, not with Kubernetes. So the
pods are checked here, and the rest is what the operator's own schema allowed.
"""

from __future__ import annotations

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from graft.pipeline.beam_runners import worker_pool
from graft.pipeline.beam_runners.config import FlinkConfig
from graft.pipeline.kubeflow.compilation.profile_file import load_profile

FOLDER = Path(__file__).resolve().parents[2] / "kubernetes" / "flink"
VERSIONS = ("1.31", "1.33")


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    """Each document as kustomize renders it, by kind."""
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    text = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return {item["kind"]: item for item in yaml.safe_load_all(text)}


def pod_of(deployment: dict[str, Any], part: str) -> dict[str, Any]:
    """Return a pod as the operator makes it of both templates."""
    spec = copy.deepcopy(deployment["spec"]["podTemplate"]["spec"])
    own = deployment["spec"][part].get("podTemplate", {}).get("spec", {})
    spec["containers"] += own.get("containers", [])
    spec["containers"][0]["image"] = deployment["spec"]["image"]
    spec["volumes"] = own.get("volumes", [])
    metadata = {"name": part, "labels": {"app": deployment["metadata"]["name"]}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.mark.parametrize("version", VERSIONS)
def test_schemas(documents: dict[str, Any], version: str) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate",
        reason="the schemas are in the package kubernetes-validate",
    )
    deployment = documents["FlinkDeployment"]
    validate.validate(documents["NetworkPolicy"], version, strict=True)
    for part in ("jobManager", "taskManager"):
        validate.validate(pod_of(deployment, part), version, strict=True)


def test_pods_are_restricted(documents: dict[str, Any]) -> None:
    for part in ("jobManager", "taskManager"):
        spec = pod_of(documents["FlinkDeployment"], part)["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in spec["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}


def test_workers_are_those_of_the_defaults(documents: dict[str, Any]) -> None:
    spec = pod_of(documents["FlinkDeployment"], "taskManager")["spec"]
    (workers,) = [each for each in spec["containers"] if each["name"] == "workers"]
    assert workers["command"] == ["python", "-m", worker_pool.__name__]
    assert workers["args"] == ["--port", str(worker_pool.DEFAULT_PORT)]
    assert FlinkConfig().worker_pool == f"localhost:{worker_pool.DEFAULT_PORT}"


def test_claims_are_mounted_where_the_profiles_mount_them(
    documents: dict[str, Any],
) -> None:
    spec = pod_of(documents["FlinkDeployment"], "taskManager")["spec"]
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in spec["volumes"]
        if "persistentVolumeClaim" in volume
    }
    mounted = {
        (claims[mount["name"]], mount["mountPath"])
        for mount in spec["containers"][1]["volumeMounts"]
        if mount["name"] in claims
    }
    given = {(mount.claim, mount.path) for mount in load_profile("cpu").mounts}
    assert len(mounted) == 2
    assert mounted <= given


def test_flink_is_not_reached_from_elsewhere(documents: dict[str, Any]) -> None:
    """Flink runs any job that it is given."""
    spec = documents["NetworkPolicy"]["spec"]
    assert spec["podSelector"] == {"matchLabels": {"app": "graft-flink"}}
    assert spec["policyTypes"] == ["Ingress"]
    for rule in spec["ingress"]:
        assert all(set(peer) == {"podSelector"} for peer in rule["from"])


def test_job_survives_a_lost_worker(documents: dict[str, Any]) -> None:
    """Flink restarts no job by default."""
    settings = documents["FlinkDeployment"]["spec"]["flinkConfiguration"]
    assert settings["restart-strategy.type"] == "fixed-delay"


def test_network_memory_is_enough(documents: dict[str, Any]) -> None:
    from graft.pipeline.beam_runners import flink_checks

    settings = documents["FlinkDeployment"]["spec"]["flinkConfiguration"]
    slots = int(settings["taskmanager.numberOfTaskSlots"])
    enough = f"{slots * flink_checks._ENOUGH_PER_SLOT >> 20}m"
    assert settings["taskmanager.memory.network.min"] == enough
    assert settings["taskmanager.memory.network.max"] == enough
