"""GPUs that a pipeline asks for at once, against what a quota grants."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml

from graft.contract.errors import UserError
from graft.pipeline.kubeflow.compilation import gpu_quota
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.compilation.profile_file import load_profile

GPU = "nvidia.com/gpu"


def granting(count):
    return {GPU: gpu_quota.Grant(count)}


def pipeline(gpus, edges):
    """Return a spec whose steps ask for GPUs; an edge (a, b): b waits for a."""
    names = sorted({*gpus, *(name for edge in edges for name in edge)})
    executors = {}
    for name in names:
        container = {"image": "i:1", "resources": {}}
        if name in gpus:
            count = str(gpus[name])
            accelerator = {"resourceType": "nvidia.com/gpu", "resourceCount": count}
            container["resources"]["accelerator"] = accelerator
        executors[name] = {"container": container}
    tasks = {
        name: {
            "componentRef": {"name": name},
            "dependentTasks": [a for a, b in edges if b == name],
        }
        for name in names
    }
    return {
        "components": {name: {"executorLabel": name} for name in names},
        "deploymentSpec": {"executors": executors},
        "root": {"dag": {"tasks": tasks}},
    }


@pytest.mark.parametrize(
    ("gpus", "edges", "count"),
    [
        ({"A": 1}, [], 1),
        ({"A": 1, "B": 1}, [("A", "B")], 1),
        ({"A": 1, "B": 2}, [("A", "B")], 2),
        ({"A": 1, "B": 2}, [], 3),
        # They wait for each other by way of a step without a GPU.
        ({"A": 1, "C": 1}, [("A", "B"), ("B", "C")], 1),
        # B and C run side by side after A; A alone asks for more.
        ({"A": 4, "B": 1, "C": 2}, [("A", "B"), ("A", "C")], 4),
        ({"A": 2, "B": 1, "C": 2}, [("A", "B"), ("A", "C")], 3),
    ],
)
def test_steps_that_wait_for_each_other_share_gpus(gpus, edges, count):
    needed = gpu_quota.gpus_at_once(pipeline(gpus, edges))
    assert needed == {"nvidia.com/gpu": count}


def test_pipeline_without_gpus_needs_none():
    assert gpu_quota.gpus_at_once(pipeline({}, [("A", "B")])) == {}
    assert gpu_quota.describe_shortage({}, granting(0)) == ""


def test_shortage_is_told_with_the_patch_that_mends_it(tmp_path):
    text = gpu_quota.describe_shortage({GPU: 2}, granting(1))
    assert "2 nvidia.com/gpu at once where the quota grants 1" in text
    kustomization = yaml.safe_load(text[text.index("patches:") : text.index("\nThen")])
    (patch,) = kustomization["patches"]
    (operation,) = yaml.safe_load(patch["patch"])
    assert operation["path"] == "/spec/hard/requests.nvidia.com~1gpu"
    assert operation["value"] == "2"
    assert not gpu_quota.describe_shortage({GPU: 1}, granting(1))
    # A resource that no quota names has no limit.
    assert not gpu_quota.describe_shortage({"amd.com/gpu": 8}, granting(1))


def test_quota_is_read_from_rendered_manifests(tmp_path):
    path = tmp_path / "rendered.yaml"
    quotas = [gpu_quota.quota_manifest({"nvidia.com/gpu": n}) for n in (4, 2)]
    path.write_text(yaml.safe_dump_all([{"kind": "Namespace"}, None, *quotas]))
    assert gpu_quota.read_quota(path, [GPU]) == granting(2)


def test_quota_of_the_runs_namespace_counts(tmp_path):
    path = tmp_path / "all.yaml"
    quotas = [
        {**manifest, "metadata": {"name": "graft-gpu", "namespace": namespace}}
        for namespace, count in (("ours", 4), ("theirs", 1), ("cpu", None))
        for manifest in [gpu_quota.quota_manifest({GPU: count} if count else {})]
    ]
    path.write_text(yaml.safe_dump({"kind": "List", "items": quotas}))
    ours = gpu_quota.Grant(4, "graft-gpu", "ours")
    assert gpu_quota.read_quota(path, [GPU], "ours") == {GPU: ours}
    assert gpu_quota.read_quota(path, [GPU], "cpu") == {}
    assert gpu_quota.read_quota(path, []) == {}
    with pytest.raises(UserError, match=r"\['cpu', 'ours', 'theirs'\].*--namespace"):
        gpu_quota.read_quota(path, [GPU])
    with pytest.raises(UserError, match="Received: 'our'"):
        gpu_quota.read_quota(path, [GPU], "our")
    # One without a namespace holds wherever it is applied.
    path.write_text(yaml.safe_dump_all([gpu_quota.quota_manifest({GPU: 2}), *quotas]))
    assert gpu_quota.read_quota(path, [GPU], "ours")[GPU].count == 2


def test_quota_of_another_name_is_told_by_its_name(tmp_path):
    text = (
        "kind: List\nitems:\n- {kind: ResourceQuota, metadata: {name: team, namespace: "
        "a}, spec: {hard: {requests.nvidia.com/gpu: 1, "
        "gold.storageclass.storage.k8s.io/requests.storage: 500Gi, "
        "requests.example.org/disk: 5Gi}}}\n"
    )
    path = tmp_path / "quota.yaml"
    path.write_text(text)
    granted = gpu_quota.read_quota(path, [GPU])
    assert granted == {GPU: gpu_quota.Grant(1, "team", "a")}
    warning = gpu_quota.describe_shortage({GPU: 2}, granted, ["steps.A.gpu_count"])
    assert "exceeded quota: team of namespace a" in warning
    assert "name: team}" in warning
    assert "Lower `steps.A.gpu_count`, or" in warning


@pytest.mark.parametrize(("value", "count"), [("1k", 1000), ("0", 0), (3, 3)])
def test_quota_is_read_from_standard_input(monkeypatch, value, count):
    manifest = gpu_quota.quota_manifest({GPU: value})
    content = io.BytesIO(yaml.safe_dump(manifest).encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content))
    assert gpu_quota.read_quota(Path("-"), [GPU]) == granting(count)


def test_keys_that_set_the_counts_are_named():
    spec = pipeline({"Trainer": 2, "Evaluator": 1}, [])
    base = load_profile("gpu-gke").model_dump()
    steps = {"Evaluator": {"pool": "gpu", "gpu_count": 3}}
    profile = Profile.model_validate({**base, "steps": steps})
    assert gpu_quota.keys_of_counts(profile, spec) == [
        "gpu_pool.count",
        "steps.Evaluator.gpu_count",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kind: Namespace\n", "must hold a ResourceQuota"),
        ("", "must hold a ResourceQuota"),
        ("a: [", "can't be read as YAML"),
        (
            "kind: ResourceQuota\nspec: {hard: {requests.nvidia.com/gpu: many}}\n",
            "whole number",
        ),
        ("kind: ResourceQuota\nspec: [1]\n", "`spec` of a ResourceQuota must hold"),
        ("kind: ResourceQuota\nspec: {hard: [a]}\n", "`spec.hard` of a ResourceQuota"),
        ("kind: ResourceQuota\nmetadata: x\n", "`metadata` of a ResourceQuota"),
    ],
)
def test_file_without_a_quota_is_refused(tmp_path, text, message):
    path = tmp_path / "rendered.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        gpu_quota.read_quota(path, [GPU])
