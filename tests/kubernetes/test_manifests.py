"""The manifests: rendered, valid for two versions of Kubernetes, at one with the code.

What needs `kubectl` or the package kubernetes-validate is skipped where they are not.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from graft.components.publishing.config import PushConfig
from graft.pipeline.kubeflow.cluster.cronjob import CronJobSettings, cronjob
from graft.pipeline.kubeflow.compilation import gpu_quota
from graft.pipeline.kubeflow.compilation.profile_file import load_profile

FOLDER = Path(__file__).resolve().parents[2] / "kubernetes"
OVERLAYS = ("standalone", "gke", "eks")
OVERLAY_FOLDERS = tuple(f"overlays/{name}" for name in OVERLAYS)
VERSIONS = ("1.31", "1.33")
CRON_JOB_HEAD = """\
# Retraining by the clock, where data, code or config changed since the last good run.
# Suspended until a pipeline is there:
#
#   kubectl create configmap graft-pipeline --from-file=pipeline.yaml
#   kubectl patch cronjob graft-retrain -p '{"spec": {"suspend": false}}'
#
# Written by `make goldens` from pipeline/kubeflow/cluster/cronjob.py: the command
# `graft schedule create --engine cronjob` makes the same for a pipeline of yours.
"""


QUOTA_HEAD = """\
# No more GPUs at once than this, whatever is submitted: what one run by the profiles of
# graft asks for. `graft compile` warns of a pipeline that asks for more.
#
# Written by `make goldens` from pipeline/kubeflow/compilation/gpu_quota.py.
"""


def documents(path: Path) -> list[dict]:
    return [item for item in yaml.safe_load_all(path.read_text()) if item]


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-goldens", default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), "see `make goldens`"

    return compare


def render(folder: Path) -> str:
    """Render an overlay by kubectl's kustomize, or by kustomize itself."""
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    elif shutil.which("kustomize"):
        command = ["kustomize", "build"]
    else:
        pytest.skip("neither kubectl nor kustomize is installed")
    done = subprocess.run(
        [*command, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def rendered():
    """Each overlay as one YAML text."""
    return {name: render(FOLDER / "overlays" / name) for name in OVERLAYS}


# --- Structure: always
# ------------------------------------------------------------------
def test_no_package_shadows_the_kubernetes_client():
    assert not list(FOLDER.rglob("__init__.py"))


@pytest.mark.parametrize(
    "path",
    [FOLDER / name / "kustomization.yaml" for name in ("base", *OVERLAY_FOLDERS)],
    ids=str,
)
def test_every_resource_of_a_kustomization_exists_and_none_is_left_out(path):
    (kustomization,) = documents(path)
    listed = {path.parent / name for name in kustomization["resources"]}
    components = {path.parent / name for name in kustomization.get("components", ())}
    assert all(item.exists() for item in listed | components)
    listed |= {
        path.parent / patch["path"]
        for patch in kustomization.get("patches", ())
        if "path" in patch
    }
    files = set(path.parent.glob("*.yaml")) - {path}
    assert files == {item for item in listed if item.is_file()}


@pytest.mark.parametrize("path", sorted((FOLDER / "base").glob("*.yaml")), ids=str)
def test_file_is_named_after_the_kind_in_it(path):
    kinds = {item["kind"] for item in documents(path)}
    assert len(kinds) == 1
    name = re.sub("(?<!^)(?=[A-Z])", "-", kinds.pop()).lower()
    assert path.stem == name or path.stem.startswith(f"{name}-")


def test_cron_job_is_the_one_that_the_command_makes(golden):
    profile = load_profile("cpu").model_copy(update={"image": "graft:0.1.0"})
    settings = CronJobSettings(name="graft-retrain", cron="0 3 * * *")
    manifest = cronjob(settings, profile, "graft-pipeline")
    del manifest["metadata"]["namespace"]
    manifest["spec"]["suspend"] = True
    text = CRON_JOB_HEAD + yaml.safe_dump(manifest, sort_keys=False)
    golden(FOLDER / "base" / "cron-job.yaml", text)


def test_claims_are_those_of_the_profiles():
    claims = {
        item["metadata"]["name"]
        for path in (FOLDER / "base").glob("persistent-volume-claim-*.yaml")
        for item in documents(path)
    }
    for name in ("cpu", "gpu-gke", "gpu-eks", "gpu-generic"):
        assert {mount.claim for mount in load_profile(name).mounts} == claims


def pods(items):
    """Yield every pod's spec in some manifests."""
    for item in items:
        spec = item.get("spec", {})
        if item["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec:
            yield item["metadata"]["name"], spec["template"]["spec"]


def all_base():
    for path in sorted((FOLDER / "base").glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from documents(path)


def test_every_pod_is_restricted():
    found = dict(pods(all_base()))
    assert found
    for name, pod in found.items():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= set(container["resources"])
            assert not container["image"].endswith(":latest")
            assert ":" in container["image"]


def test_nothing_is_public_and_no_secret_has_a_value():
    for path in FOLDER.rglob("*.yaml"):
        text = path.read_text()
        assert "LoadBalancer" not in text, path
        assert "kind: Secret\n" not in text, path


def test_roles_name_no_wildcard():
    for item in all_base():
        for rule in item.get("rules", ()):
            assert "*" not in [*rule["verbs"], *rule["resources"], *rule["apiGroups"]]


# --- Node pools against the profiles
# ----------------------------------------------------
def tolerated(pool):
    return {(t.key, t.value, t.effect) for t in pool.tolerations}


def test_eks_node_group_matches_its_profile():
    (cluster,) = documents(FOLDER / "node-pools" / "eks" / "node-group.yaml")
    (group,) = cluster["managedNodeGroups"]
    pool = load_profile("gpu-eks").gpu_pool
    assert group["labels"] == pool.node_selector
    taints = {(t["key"], t["value"], t["effect"]) for t in group["taints"]}
    assert taints == tolerated(pool)
    assert (group["minSize"], group["desiredCapacity"]) == (0, 0)


def test_gke_node_pool_matches_its_profile():
    text = (FOLDER / "node-pools" / "gke" / "main.tf").read_text()
    labels = dict(
        re.findall(
            r'"([^"]+)"\s*=\s*"([^"]+)"', re.search(r"labels = {(.*?)}", text, re.S)[1]
        )
    )
    # GKE sets this label by the kind of GPU.
    kind = re.search(r'guest_accelerator {\s*type\s*=\s*"([^"]+)"', text)[1]
    labels["cloud.google.com/gke-accelerator"] = kind
    pool = load_profile("gpu-gke").gpu_pool
    assert labels == pool.node_selector
    taints = re.findall(
        r'key\s*=\s*"([^"]+)"\s*value\s*=\s*"([^"]+)"\s*effect\s*=\s*"([^"]+)"', text
    )
    effects = {"NO_SCHEDULE": "NoSchedule"}
    assert {
        (key, value, effects[effect]) for key, value, effect in taints
    } == tolerated(pool)
    assert "min_node_count  = 0" in text
    assert re.search(r"^\s+count = (\d+)", text, re.M)[1] == str(pool.count)


def test_gke_nodes_have_secure_boot_and_an_account_of_their_own():
    text = (FOLDER / "node-pools" / "gke" / "main.tf").read_text()
    assert re.search(r"enable_secure_boot\s*=\s*true", text)
    assert re.search(r"enable_integrity_monitoring\s*=\s*true", text)
    assert "service_account = google_service_account.nodes.email" in text
    scopes = set(re.findall(r"googleapis\.com/auth/([\w.]+)", text))
    assert scopes == {"devstorage.read_only", "logging.write", "monitoring"}
    roles = set(re.findall(r'"(roles/[^"]+)"', text))
    assert roles == {
        "roles/container.defaultNodeServiceAccount",
        "roles/artifactregistry.reader",
    }


def pod_templates(value: object, path: str = "") -> list[tuple[str, dict]]:
    """Return what looks like a pod template in a manifest."""
    found = []
    if isinstance(value, dict):
        if "containers" in (value.get("spec") or {}):
            found.append((path, value))
        for key, inner in value.items():
            found += pod_templates(inner, f"{path}/{key}")
    return found


def test_every_pod_is_under_the_network_policies():
    """They select pods by this label."""
    templates = [
        found
        for path in sorted(FOLDER.glob("base/*.yaml"))
        for item in documents(path)
        for found in pod_templates(item, path.name)
    ]
    assert len(templates) == 2
    for path, template in templates:
        labels = template.get("metadata", {}).get("labels", {})
        assert labels.get("app.kubernetes.io/part-of") == "graft", path


def test_no_container_gets_a_secret_as_a_variable():
    for path in FOLDER.rglob("*.yaml"):
        assert "secretKeyRef" not in path.read_text(), path


def test_terraform_reads_the_gke_pool():
    """Check syntax and form. The provider's own checks need a download."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    folder = FOLDER / "node-pools" / "gke"
    done = subprocess.run(
        ["terraform", f"-chdir={folder}", "fmt", "-check", "-diff"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- What the cluster must have
# ----------------------------------------------------
def by_kind(kind):
    return {
        item["metadata"]["name"]: item for item in all_base() if item["kind"] == kind
    }


def test_quota_is_the_one_that_the_compiler_compares_with(golden):
    manifest = gpu_quota.quota_manifest(gpu_quota.SHIPPED_QUOTA)
    text = QUOTA_HEAD + yaml.safe_dump(manifest, sort_keys=False)
    golden(FOLDER / "base" / "resource-quota.yaml", text)


@pytest.mark.parametrize("name", ["gpu-generic", "gpu-gke", "gpu-eks"])
def test_quota_grants_what_a_run_by_the_profiles_asks_for(name):
    # The steps on the GPU pool wait for each other; test_compiler.py compiles them.
    pool = load_profile(name).gpu_pool
    assert {pool.resource: pool.count} == gpu_quota.SHIPPED_QUOTA


def test_priority_is_below_everything_and_pushes_nobody_out():
    (name,) = by_kind("PriorityClass")
    priority = by_kind("PriorityClass")[name]
    assert priority["value"] < 0
    assert priority["preemptionPolicy"] == "Never"
    assert not priority["globalDefault"]
    (job,) = by_kind("CronJob").values()
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["priorityClassName"] == name


def test_policies_hold_for_the_pods_of_the_profiles():
    labels = load_profile("cpu").labels
    policies = by_kind("NetworkPolicy")
    assert {kind for p in policies.values() for kind in p["spec"]["policyTypes"]} == {
        "Ingress",
        "Egress",
    }
    for policy in policies.values():
        wanted = policy["spec"]["podSelector"]["matchLabels"]
        assert wanted.items() <= labels.items()
    assert "ingress" not in policies["graft-no-ingress"]["spec"]
    # The API, the metadata store and the object store are in Kubeflow's namespace.
    egress = str(policies["graft-egress"]["spec"]["egress"])
    assert "kubernetes.io/metadata.name" in egress
    for port in (53, 443, 6443):
        assert f"'port': {port}" in egress


def test_runner_has_the_rights_of_a_step_and_no_others():
    (role,) = by_kind("Role").values()
    rights = {
        (resource, verb, *rule.get("resourceNames", ()))
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert rights == {
        ("configmaps", "get", "kfp-launcher"),
        ("secrets", "get", "mlpipeline-minio-artifact"),
        ("workflowtaskresults", "create"),
        ("workflowtaskresults", "patch"),
    }
    (binding,) = by_kind("RoleBinding").values()
    assert [s["name"] for s in binding["subjects"]] == ["graft-runner"]


# --- Rendered
# ---------------------------------------------------------------------------
@pytest.mark.parametrize("name", OVERLAYS)
def test_rendered_overlay_is_as_reviewed(rendered, golden, name):
    golden(Path(__file__).parent / "goldens" / f"{name}.yaml", rendered[name])


@pytest.mark.parametrize("name", OVERLAYS)
def test_rendered_names_fit_together(rendered, name):
    items = [item for item in yaml.safe_load_all(rendered[name]) if item]
    by_kind = {}
    for item in items:
        by_kind.setdefault(item["kind"], {})[item["metadata"]["name"]] = item
    namespace = "kubeflow" if name == "standalone" else "graft"
    for kind, found in by_kind.items():
        for item in found.values():
            if kind in ("Namespace", "PriorityClass", "StorageClass"):
                continue
            assert item["metadata"]["namespace"] == namespace
            assert item["metadata"]["labels"]["app.kubernetes.io/part-of"] == "graft"
    for claim in by_kind["PersistentVolumeClaim"].values():
        storage_class = claim["spec"].get("storageClassName")
        # GKE provides `standard-rwx`.
        known = {None, "standard-rwx", *by_kind.get("StorageClass", ())}
        assert storage_class in known
    for binding in by_kind["RoleBinding"].values():
        for subject in binding["subjects"]:
            assert subject["name"] in by_kind["ServiceAccount"]
            assert subject["namespace"] == namespace
    for pod_name, pod in pods(items):
        assert pod["serviceAccountName"] in by_kind["ServiceAccount"], pod_name
        volumes = {volume["name"] for volume in pod["volumes"]}
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert claim in by_kind["PersistentVolumeClaim"]
        for container in pod["containers"]:
            assert {m["name"] for m in container["volumeMounts"]} <= volumes


def rules_of(text: str, name: str) -> list[dict]:
    (policy,) = [
        item
        for item in yaml.safe_load_all(text)
        if item and item["kind"] == "NetworkPolicy" and item["metadata"]["name"] == name
    ]
    return policy["spec"]["egress"]


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("standalone", {}),
        ("gke", {"169.254.169.254/32": 80, "169.254.169.252/32": 988}),
        ("eks", {"169.254.170.23/32": 80}),
    ],
)
def test_steps_reach_the_server_of_their_identity(rendered, name, addresses):
    found = {
        rule["to"][0]["ipBlock"]["cidr"]: rule["ports"][0]["port"]
        for rule in rules_of(rendered[name], "graft-egress")
        if "ipBlock" in str(rule)
    }
    assert found == addresses


def test_object_store_on_another_port_is_one_component_away(tmp_path):
    here = tmp_path / "mine"
    here.mkdir()
    base = os.path.relpath(FOLDER / "overlays" / "standalone", here)
    component = os.path.relpath(FOLDER / "components" / "object-store-port", here)
    kustomization = {"resources": [base], "components": [component]}
    (here / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    text = render(here)
    (rule,) = rules_of(text, "graft-object-store")
    assert rule["ports"] == [{"protocol": "TCP", "port": 9000}]
    selectors = [
        item["spec"]["podSelector"]
        for item in yaml.safe_load_all(text)
        if item and item["metadata"]["name"] in ("graft-egress", "graft-object-store")
    ]
    assert selectors[0] == selectors[1]


@pytest.mark.parametrize("name", ["gke", "eks"])
def test_namespace_takes_restricted_pods_only(rendered, name):
    (namespace,) = [
        item
        for item in yaml.safe_load_all(rendered[name])
        if item and item["kind"] == "Namespace"
    ]
    enforced = namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    assert enforced == "restricted"


@pytest.mark.parametrize("name", ["gke", "eks"])
def test_job_of_shared_volumes_follows_and_retries_its_run(rendered, name):
    (job,) = [
        item
        for item in yaml.safe_load_all(rendered[name])
        if item and item["kind"] == "CronJob"
    ]
    settings = CronJobSettings("graft-retrain", "0 3 * * *", retries=2)
    image = {"image": "graft:0.1.0"}
    profile = load_profile("cpu").model_copy(update=image)
    expected = cronjob(settings, profile, "graft-pipeline")["spec"]["jobTemplate"]
    found = job["spec"]["jobTemplate"]
    for key in ("activeDeadlineSeconds", "podFailurePolicy", "backoffLimit"):
        assert found["spec"][key] == expected["spec"][key]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    (wanted,) = expected["spec"]["template"]["spec"]["containers"]
    assert container["args"] == [*wanted["args"], "--namespace=graft"]


def servers(text: str) -> list[dict]:
    items = [item for item in yaml.safe_load_all(text) if item]
    return [item for item in items if item["kind"] == "Deployment"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_server_reads_what_the_pipeline_pushes(rendered, name):
    (deployment,) = servers(rendered[name])
    pod = deployment["spec"]["template"]["spec"]
    (server,) = pod["containers"]
    profile = load_profile("cpu")
    model_folder = f"{profile.model_store}/{PushConfig().model_name}"
    (config_file,) = [
        item["value"] for item in server["env"] if item["name"] == "MODEL_CONFIG_FILE"
    ]
    assert config_file == f"{model_folder}/models.config"
    path = server["readinessProbe"]["httpGet"]["path"]
    assert path == f"/v1/models/{PushConfig().model_name}/metadata"
    mounted = {
        volume["persistentVolumeClaim"]["claimName"]: mount["mountPath"]
        for volume in pod["volumes"]
        for mount in server["volumeMounts"]
        if "persistentVolumeClaim" in volume and mount["name"] == volume["name"]
    }
    claims = {mount.claim: mount.path for mount in profile.mounts}
    assert mounted.items() <= claims.items()
    assert list(mounted.values()) == [profile.model_store]


def selects(selector: dict, labels: dict) -> bool:
    """Whether a label selector selects a pod, for the selectors that we use."""
    for rule in selector.get("matchExpressions", ()):
        assert rule["operator"] == "NotIn"
        if labels.get(rule["key"]) in rule["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()


@pytest.mark.parametrize("name", OVERLAYS)
def test_no_policy_widens_that_of_the_servers(rendered, name):
    """A connection is allowed if any policy allows it."""
    (deployment,) = servers(rendered[name])
    pods_of = {
        "servers": deployment["spec"]["template"]["metadata"]["labels"],
        "steps": load_profile("cpu").labels,
    }
    found: dict[str, set[str]] = {whose: set() for whose in pods_of}
    for item in yaml.safe_load_all(rendered[name]):
        if item["kind"] == "NetworkPolicy":
            for whose, labels in pods_of.items():
                if selects(item["spec"]["podSelector"], labels):
                    found[whose].add(item["metadata"]["name"])
    assert found == {
        "servers": {"graft-serving"},
        "steps": {"graft-no-ingress", "graft-egress"},
    }


@pytest.mark.parametrize(
    ("name", "serving"),
    [("gke", "gpu"), ("gke", "gcs"), ("eks", "gpu"), ("eks", "s3-sync")],
)
def test_another_way_to_serve_takes_one_line(tmp_path, name, serving):
    """The line that the comment in the overlay speaks of; a bucket, two."""
    copy = tmp_path / "kubernetes"
    shutil.copytree(FOLDER, copy)
    path = copy / "overlays" / name / "kustomization.yaml"
    text = path.read_text()
    assert f"or {serving} in the place of cpu" in text or f"; {serving} or" in text
    text = text.replace("serving/overlays/cpu", f"serving/overlays/{serving}")
    reads_bucket = serving in ("gcs", "s3-sync")
    if reads_bucket:
        assert f"Not with {serving}" in text
        text = text.replace("  - ../../serving/components/follow-labels\n", "  []\n")
    path.write_text(text)
    text = render(path.parent)
    (deployment,) = servers(text)
    assert deployment["metadata"]["namespace"] == "graft"
    assert ("claimName: graft-models" in yaml.safe_dump(deployment)) != reads_bucket
    assert ("nvidia.com/gpu" in yaml.safe_dump(deployment)) == (serving == "gpu")
    for version in VERSIONS:
        check_schemas(text, version)


def test_overlay_of_ones_own_names_images_and_asks_for_alerts(tmp_path):
    """The one of docs/kubeflow.md, with digests and without a path of its own."""
    guide = (FOLDER.parent / "docs" / "kubeflow.md").read_text(encoding="utf-8")
    (block,) = [
        block
        for block in re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
        if "kind: Kustomization" in block
    ]
    shutil.copytree(FOLDER, tmp_path / "graft" / "kubernetes")
    (tmp_path / "mine").mkdir()
    digest = "sha256:" + "0" * 64
    block = re.sub(r"sha256:\.\.\.", digest, block)
    (tmp_path / "mine" / "kustomization.yaml").write_text(block)
    text = render(tmp_path / "mine")
    images = re.findall(r"image: (\S+)", text)
    assert set(images) == {
        f"REGISTRY/graft@{digest}",
        f"tensorflow/serving@{digest}",
    }
    (monitor,) = [
        item for item in yaml.safe_load_all(text) if item["kind"] == "ServiceMonitor"
    ]
    (service,) = [
        item for item in yaml.safe_load_all(text) if item["kind"] == "Service"
    ]
    wanted = monitor["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]


def test_job_shows_who_it_is_where_there_are_users(rendered):
    for name in OVERLAYS:
        (job,) = [
            item
            for item in yaml.safe_load_all(rendered[name])
            if item["kind"] == "CronJob"
        ]
        has_token = "pipelines.kubeflow.org" in yaml.safe_dump(job)
        assert has_token == (name != "standalone")


def check_schemas(text: str, version: str) -> None:
    validate = pytest.importorskip(
        "kubernetes_validate",
        reason="the schemas are in the package kubernetes-validate",
    )
    for item in yaml.safe_load_all(text):
        validate.validate(item, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OVERLAYS)
def test_rendered_overlay_fits_the_schemas(rendered, name, version):
    """All of it: what needs another's kinds is a component that one adds by choice."""
    check_schemas(rendered[name], version)
