"""The manifests of Flink: what the operator makes pods of, and at one with the code.

The schema of a FlinkDeployment comes with the operator, not with Kubernetes. So the
pods are checked here, and the rest is what the operator's own schema allowed.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from graft.pipeline.beam_runners import worker_pool
from graft.pipeline.beam_runners.config import FlinkConfig
from graft.pipeline.kubeflow.compilation.pipeline_file import lies_in
from graft.pipeline.kubeflow.compilation.profile import OWN_LABELS
from graft.pipeline.kubeflow.compilation.profile_file import load_profile

FOLDER = Path(__file__).resolve().parents[2] / "kubernetes" / "flink"
VERSIONS = ("1.31", "1.33")


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    """Each document as kustomize renders it, by kind."""
    return {item["kind"]: item for item in render(FOLDER)}


def render(folder: Path) -> list[dict[str, Any]]:
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not installed")
    text = subprocess.run(
        ["kubectl", "kustomize", str(folder)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return list(yaml.safe_load_all(text))


def rendered_in(
    folder: Path, overlay: str, components: list[str]
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return an overlay with components, by kind and name."""
    folder.mkdir()
    kubernetes = FOLDER.parent
    places = {
        "resources": [kubernetes / "overlays" / overlay],
        "components": [kubernetes / "components" / name for name in components],
    }
    relative = {
        key: [os.path.relpath(path, folder) for path in paths]
        for key, paths in places.items()
    }
    # As in docs/kubeflow.md.
    namespace = "kubeflow" if overlay == "standalone" else "graft"
    text = yaml.safe_dump({"namespace": namespace, **relative})
    (folder / "kustomization.yaml").write_text(text)
    return {(item["kind"], item["metadata"]["name"]): item for item in render(folder)}


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
    peers = [peer for rule in spec["ingress"] for peer in rule["from"]]
    (operator,) = [peer for peer in peers if set(peer) != {"podSelector"}]
    # By the label that the operator's chart gives it.
    labels = {"app.kubernetes.io/name": "flink-kubernetes-operator"}
    assert operator["podSelector"] == {"matchLabels": labels}


@pytest.mark.parametrize("overlay", ["standalone", "gke", "eks"])
def test_component_puts_a_cluster_beside_the_runs(tmp_path: Path, overlay: str) -> None:
    """It changes the claims, and adds what is in `kubernetes/flink`."""
    with_flink, alone = (
        rendered_in(tmp_path / name, overlay, components)
        for name, components in (("with", ["flink"]), ("alone", []))
    )
    added = with_flink.keys() - alone.keys()
    assert {kind for kind, _ in added} == {"FlinkDeployment", "NetworkPolicy"}
    spaces = {
        item["metadata"]["namespace"]
        for (kind, _), item in with_flink.items()
        if kind in ("FlinkDeployment", "NetworkPolicy", "PersistentVolumeClaim")
    }
    assert len(spaces) == 1
    for name in ("graft-data", "graft-cache"):
        claim = with_flink["PersistentVolumeClaim", name]
        assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    changed = {key for key in alone if with_flink[key] != alone[key]}
    assert {name for _, name in changed} <= {"graft-data", "graft-cache"}


def test_steps_reach_the_job_manager(tmp_path: Path) -> None:
    """What leaves a step may go there, and what comes may enter."""
    items = rendered_in(tmp_path / "mine", "gke", ["flink"])
    egress = items["NetworkPolicy", "graft-egress"]["spec"]
    assert egress["podSelector"]["matchLabels"].items() <= OWN_LABELS.items()
    assert any({"podSelector": {}} in rule.get("to", []) for rule in egress["egress"])
    (rule,) = [
        rule
        for rule in items["NetworkPolicy", "graft-flink"]["spec"]["ingress"]
        if {"podSelector": {}} in rule["from"]
    ]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8081}]


@pytest.mark.parametrize("version", VERSIONS)
def test_component_fits_the_schemas(tmp_path: Path, version: str) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate",
        reason="the schemas are in the package kubernetes-validate",
    )
    for (kind, _), item in rendered_in(tmp_path / "mine", "gke", ["flink"]).items():
        if kind != "FlinkDeployment":
            validate.validate(item, version, strict=True)


def test_folder_of_the_artifacts_is_one_that_workers_mount(
    documents: dict[str, Any],
) -> None:
    spec = pod_of(documents["FlinkDeployment"], "taskManager")["spec"]
    writable = [
        mount["mountPath"]
        for mount in spec["containers"][1]["volumeMounts"]
        if not mount.get("readOnly") and mount["name"] != "scratch"
    ]
    assert any(lies_in(load_profile("cpu").shared_folder, path) for path in writable)


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
