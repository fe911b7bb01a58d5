"""The manifests of TensorFlow Serving: requirements of each workload, and the goldens.

The tests in the first half read the files, and always run. Those in the second half
render them. They are skipped without kubectl or kustomize; the test of the script that
copies from object storage, without rclone.

`PLACEHOLDERS` are in place of digests, because only users know their images. No node
can pull such an image.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from graft.pipeline.kubeflow.compilation.profile_file import load_profile
from graft.serving.embedded.options import parse_flags

FOLDER = Path(__file__).resolve().parents[2] / "kubernetes" / "serving"
OVERLAYS = ("cpu", "gpu", "s3-sync", "gcs")
VERSIONS = ("1.31", "1.33")
PLACEHOLDERS = {
    "tensorflow/serving": {"sha256:SET-DIGEST", "sha256:SET-GPU-DIGEST"},
    "rclone/rclone": {"sha256:SET-RCLONE-DIGEST"},
}
LABELS = {
    "app.kubernetes.io/name": "graft-serving",
    "app.kubernetes.io/component": "serving",
    "app.kubernetes.io/part-of": "graft",
}
SYNC = FOLDER / "overlays" / "s3-sync" / "sync.sh"
# Flags of the binary that the embedded server lacks.
FLAGS_OF_THE_BINARY_ALONE = {"--enable_profiler=false"}


def documents(path: Path) -> list[dict]:
    return [item for item in yaml.safe_load_all(path.read_text()) if item]


def base(name: str) -> dict:
    (item,) = documents(FOLDER / "base" / f"{name}.yaml")
    return item


def of_prometheus() -> list[dict]:
    """The manifests of the component for the Prometheus Operator."""
    folder = FOLDER / "components" / "prometheus-operator"
    (kustomization,) = documents(folder / "kustomization.yaml")
    return [
        item for name in kustomization["resources"] for item in documents(folder / name)
    ]


def pod_files() -> list[Path]:
    """Every file with containers of a pod, in full or as a patch."""
    return [
        path
        for path in sorted(FOLDER.rglob("*.yaml"))
        for item in documents(path)
        if item.get("kind") == "Deployment"
    ]


def described_containers() -> Iterator[tuple[str, dict, dict]]:
    """Yield id, container and pod of all containers that are not patches."""
    for path in pod_files():
        (item,) = documents(path)
        pod = item["spec"]["template"]["spec"]
        for container in pod["containers"]:
            if "image" in container:
                yield f"{path.parent.name}-{container['name']}", container, pod


CONTAINERS = list(described_containers())
each_container = pytest.mark.parametrize(
    "container", [item[1] for item in CONTAINERS], ids=[item[0] for item in CONTAINERS]
)


def environment(container: dict) -> dict[str, str]:
    """The plain environment variables of a container, and its CPU limit."""
    found = {
        item["name"]: item["value"] for item in container["env"] if "value" in item
    }
    found["CPU_LIMIT"] = container["resources"]["limits"]["cpu"]
    return found


def flags(container: dict) -> list[str]:
    """The arguments, with variables replaced as the kubelet does."""
    values = environment(container)
    return [
        re.sub(r"\$\((\w+)\)", lambda match: values[match[1]], argument)
        for argument in container["args"]
    ]


# --- Structure: always ----------------------------------------------------------------
def test_there_are_a_server_and_a_sidecar():
    assert [item[0] for item in CONTAINERS] == ["base-server", "s3-sync-sync"]


@pytest.mark.parametrize("path", sorted((FOLDER / "base").glob("*.yaml")), ids=str)
def test_a_file_holds_one_resource_and_is_named_after_its_kind(path):
    (item,) = documents(path)
    assert path.stem == re.sub("(?<!^)(?=[A-Z])", "-", item["kind"]).lower()


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("kustomization.yaml")), ids=str)
def test_every_file_is_listed(path):
    (kustomization,) = documents(path)
    listed = set(kustomization.get("resources", ()))
    listed |= {
        item["path"] for item in kustomization.get("patches", ()) if "path" in item
    }
    for generator in kustomization.get("configMapGenerator", ()):
        listed |= set(generator["files"])
    files = {item.name for item in path.parent.iterdir()} - {path.name}
    assert {name for name in listed if not name.startswith("../")} == files


def test_base_has_what_a_server_in_production_needs():
    kinds = {path.stem for path in (FOLDER / "base").glob("*.yaml")}
    assert kinds >= {
        "config-map",
        "deployment",
        "horizontal-pod-autoscaler",
        "network-policy",
        "pod-disruption-budget",
        "service",
        "service-account",
    }
    assert [item["kind"] for item in of_prometheus()] == [
        "ServiceMonitor",
        "PrometheusRule",
    ]


@each_container
def test_container_is_restricted_bounded_and_probed(container):
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    for kind in ("requests", "limits"):
        assert {"cpu", "memory"} <= set(container["resources"][kind])
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def test_pod_is_nobody_and_has_no_token():
    pod = base("deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == base("service-account")["metadata"]["name"]


@each_container
def test_image_is_pinned_by_digest(container):
    name = container["image"]
    assert re.fullmatch(r"[a-z0-9./-]+", name), "kustomize adds the digest"
    digests = {
        image["digest"]
        for path in FOLDER.rglob("kustomization.yaml")
        for image in documents(path)[0].get("images", ())
        if image["name"] == name
    }
    assert digests
    for digest in digests - PLACEHOLDERS[name]:
        assert re.fullmatch("sha256:[0-9a-f]{64}", digest), digest


def test_guide_names_every_placeholder():
    guide = (FOLDER.parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")
    for placeholders in PLACEHOLDERS.values():
        for placeholder in placeholders:
            assert placeholder in guide


def test_base_labels_everything():
    (kustomization,) = documents(FOLDER / "base" / "kustomization.yaml")
    (labels,) = kustomization["labels"]
    assert labels == {"includeTemplates": True, "pairs": LABELS}
    chosen = {"app.kubernetes.io/name": LABELS["app.kubernetes.io/name"]}
    for name in ("deployment", "pod-disruption-budget"):
        assert base(name)["spec"]["selector"] == {"matchLabels": chosen}
    monitor, rule = of_prometheus()
    assert monitor["spec"]["selector"] == {"matchLabels": chosen}
    assert monitor["metadata"]["labels"] == rule["metadata"]["labels"] == LABELS
    assert base("network-policy")["spec"]["podSelector"] == {"matchLabels": chosen}
    assert base("service")["spec"]["selector"] == chosen


@pytest.mark.parametrize("overlay", ["base", "gpu"])
def test_server_understands_its_flags(overlay, tmp_path):
    """By the embedded server, which has the binary's flags; files of the ConfigMap."""
    container = base("deployment")["spec"]["template"]["spec"]["containers"][0]
    if overlay == "gpu":
        (patch,) = documents(FOLDER / "overlays" / "gpu" / "deployment-patch.yaml")
        (changed,) = patch["spec"]["template"]["spec"]["containers"]
        container["env"] += changed["env"]
        container["resources"] = changed["resources"]
    for name, text in base("config-map")["data"].items():
        (tmp_path / name).write_text(text)
    given = [
        flag.replace("/etc/graft-serving", str(tmp_path)) for flag in flags(container)
    ]
    options, unknown = parse_flags(given)
    assert set(unknown) == FLAGS_OF_THE_BINARY_ALONE
    cores = int(container["resources"]["limits"]["cpu"])
    assert options.intra_op_parallelism == options.inter_op_parallelism == cores
    assert options.monitoring_path
    assert options.enable_grpc_healthcheck_service
    assert options.enable_model_warmup
    assert options.allow_version_labels_for_unavailable_models
    assert options.model_config_file_poll_wait_seconds > 0
    assert options.max_num_load_retries * options.load_retry_interval_micros >= 60e6
    if overlay == "gpu":
        assert options.grpc_max_threads >= 2 * options.batching.max_batch_size
    else:
        assert options.batching is None
        assert options.grpc_max_threads == 4 * cores


def served_model(config_map: dict) -> model_server_config_pb2.ModelConfig:
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse(config_map["data"]["models.config"], config)
    (model,) = config.model_config_list.config
    return model


@pytest.mark.parametrize(
    "path",
    ["base/config-map.yaml", "overlays/gcs/config-map-patch.yaml"],
)
def test_labels_point_to_versions_that_are_asked_for(path):
    (config_map,) = documents(FOLDER / path)
    model = served_model(config_map)
    assert model.name == "graft"
    versions = set(model.model_version_policy.specific.versions)
    assert set(model.version_labels) == {"stable", "canary"}
    assert set(model.version_labels.values()) <= versions
    assert model.base_path.startswith(("/mnt/models/", "gs://"))


def test_nobody_waits_longer_than_the_pod_has():
    container = base("deployment")["spec"]["template"]["spec"]["containers"][0]
    pod = base("deployment")["spec"]["template"]["spec"]
    _, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    (longest,) = [
        int(flag.partition("=")[2]) / 1000
        for flag in flags(container)
        if flag.startswith("--rest_api_timeout_in_ms=")
    ]
    assert pod["terminationGracePeriodSeconds"] >= int(seconds) + longest
    rollout = base("deployment")["spec"]["strategy"]["rollingUpdate"]
    assert rollout["maxUnavailable"] == 0


def test_readiness_asks_what_fails_after_a_failed_load():
    container = base("deployment")["spec"]["template"]["spec"]["containers"][0]
    path = container["readinessProbe"]["httpGet"]["path"]
    assert path == f"/v1/models/{served_model(base('config-map')).name}/metadata"


def test_models_are_mounted_to_be_read():
    container = base("deployment")["spec"]["template"]["spec"]["containers"][0]
    (mount,) = [item for item in container["volumeMounts"] if item["name"] == "models"]
    assert mount["readOnly"] is True
    for item in container["volumeMounts"]:
        assert "subPath" not in item, "such a mount never sees a changed ConfigMap"


def test_server_on_a_gpu_fits_the_pool_of_the_profile():
    (patch,) = documents(FOLDER / "overlays" / "gpu" / "deployment-patch.yaml")
    pod = patch["spec"]["template"]["spec"]
    pool = load_profile("gpu-generic").gpu_pool
    assert pod["nodeSelector"] == pool.node_selector
    tolerated = {(item["key"], item["effect"]) for item in pod["tolerations"]}
    for name in ("gpu-generic", "gpu-gke", "gpu-eks"):
        taints = load_profile(name).gpu_pool.tolerations
        assert {(taint.key, taint.effect) for taint in taints} <= tolerated
    (container,) = pod["containers"]
    limits = container["resources"]["limits"]
    assert limits[pool.resource] == str(pool.count)
    assert (limits["cpu"], limits["memory"]) == (
        pool.resources.cpu,
        pool.resources.memory,
    )


def test_service_has_no_address_of_its_own():
    assert base("service")["spec"]["clusterIP"] == "None"


def test_only_named_clients_reach_the_server():
    spec = base("network-policy")["spec"]
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    assert spec["egress"] == []
    assert all(rule["from"] and rule["ports"] for rule in spec["ingress"])


# --- The sidecar's script -------------------------------------------------------------
@pytest.fixture
def sync(tmp_path) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Runs one round from `store` to `models` in the test's folder."""
    if not shutil.which("rclone"):
        pytest.skip("rclone is not installed")

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(SYNC)],
            env={
                "PATH": os.environ["PATH"],
                "RCLONE_CONFIG": str(tmp_path / "rclone.conf"),
                "SYNC_SOURCE": str(tmp_path / "store"),
                "SYNC_TARGET": str(tmp_path / "models"),
                "SYNC_HEARTBEAT": str(tmp_path / "heartbeat"),
                "SYNC_SECONDS": "0",
                "SYNC_KEEP": "2",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def push(folder: Path, number: int, *, is_complete: bool = True) -> None:
    variables = folder / "store" / str(number) / "variables"
    variables.mkdir(parents=True)
    (variables / "variables.index").write_text(f"index {number}")
    if is_complete:
        (variables.parent / "saved_model.pb").write_text(f"graph {number}")


def test_sync_copies_complete_versions_and_holds_the_newest(sync, tmp_path):
    push(tmp_path, 9)
    push(tmp_path, 10)
    push(tmp_path, 11, is_complete=False)
    assert sync().returncode == 0
    models = tmp_path / "models"
    assert sorted(os.listdir(models)) == ["10", "9"]
    index = models / "10" / "variables" / "variables.index"
    assert index.read_text() == "index 10"
    assert (tmp_path / "heartbeat").exists()
    (tmp_path / "store" / "11" / "saved_model.pb").write_text("graph 11")
    assert sync().returncode == 0
    assert sorted(os.listdir(models)) == ["10", "11"]


def test_sync_goes_on_where_it_was_killed(sync, tmp_path):
    push(tmp_path, 9)
    partial = tmp_path / "models" / ".9.partial"
    partial.mkdir(parents=True)
    (partial / "saved_model.pb").write_text("half")
    (partial / "left-over").write_text("of another time")
    assert sync().returncode == 0
    assert os.listdir(tmp_path / "models") == ["9"]
    assert sorted(os.listdir(tmp_path / "models" / "9")) == [
        "saved_model.pb",
        "variables",
    ]
    assert (tmp_path / "models" / "9" / "saved_model.pb").read_text() == "graph 9"


@pytest.mark.parametrize("state", ["away", "empty"])
def test_sync_removes_nothing_when_the_store_shows_nothing(sync, tmp_path, state):
    (tmp_path / "models" / "9").mkdir(parents=True)
    if state == "empty":
        (tmp_path / "store").mkdir()
    assert sync().returncode != 0
    assert os.listdir(tmp_path / "models") == ["9"]
    assert (tmp_path / "heartbeat").exists()


# --- Rendered -------------------------------------------------------------------------
@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    """Each overlay as one YAML text."""
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    elif shutil.which("kustomize"):
        command = ["kustomize", "build"]
    else:
        pytest.skip("neither kubectl nor kustomize is installed")
    return {
        name: subprocess.run(
            [*command, str(FOLDER / "overlays" / name)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in OVERLAYS
    }


@pytest.mark.parametrize("name", OVERLAYS)
def test_rendered_overlay_is_as_reviewed(rendered, name, request):
    path = Path(__file__).parent / "goldens" / "serving" / f"{name}.yaml"
    if request.config.getoption("--update-goldens", default=False):
        path.parent.mkdir(exist_ok=True)
        path.write_text(rendered[name], encoding="utf-8")
    assert rendered[name] == path.read_text(encoding="utf-8"), "see `make goldens`"


def pipeline_claim() -> str:
    """Return the claim that the pipeline's manifests make, and its profiles mount."""
    root = FOLDER.parents[1]
    path = root / "kubernetes" / "base" / "persistent-volume-claim-models.yaml"
    claim = yaml.safe_load(path.read_text(encoding="utf-8"))["metadata"]["name"]
    path = root / "pipeline" / "kubeflow" / "profiles" / "cpu.yaml"
    mounts = yaml.safe_load(path.read_text(encoding="utf-8"))["mounts"]
    assert {"claim": claim, "path": "/mnt/models"} in mounts
    return claim


@pytest.mark.parametrize("name", OVERLAYS)
def test_rendered_names_fit_together(rendered, name):
    items = list(yaml.safe_load_all(rendered[name]))
    by_kind: dict[str, dict[str, dict]] = {}
    for item in items:
        assert item["metadata"]["namespace"] == "graft"
        assert item["metadata"]["labels"].items() >= LABELS.items()
        by_kind.setdefault(item["kind"], {})[item["metadata"]["name"]] = item
    (deployment,) = by_kind["Deployment"].values()
    template = deployment["spec"]["template"]
    assert template["metadata"]["labels"] == LABELS
    pod = template["spec"]
    assert pod["serviceAccountName"] in by_kind["ServiceAccount"]
    claims = set()
    for volume in pod["volumes"]:
        if "configMap" in volume:
            assert volume["configMap"]["name"] in by_kind["ConfigMap"]
        if "persistentVolumeClaim" in volume:
            claims.add(volume["persistentVolumeClaim"]["claimName"])
    # The pipeline's manifests define the claim. A second definition would conflict.
    assert "PersistentVolumeClaim" not in by_kind
    assert claims == (set() if name in ("gcs", "s3-sync") else {pipeline_claim()})
    volumes = {volume["name"] for volume in pod["volumes"]}
    mounted = set()
    for container in pod["containers"]:
        names = {mount["name"] for mount in container["volumeMounts"]}
        assert names <= volumes
        mounted |= names
        assert re.search("@sha256:", container["image"])
    assert mounted == volumes
    (scaler,) = by_kind["HorizontalPodAutoscaler"].values()
    assert scaler["spec"]["scaleTargetRef"]["name"] in by_kind["Deployment"]
    assert "replicas" not in deployment["spec"]
    needs_network = name in ("s3-sync", "gcs")
    (policy,) = by_kind["NetworkPolicy"].values()
    assert bool(policy["spec"]["egress"]) == needs_network
    # What hands out the identity on the node: port 443 alone does not reach it.
    addresses = {
        rule["to"][0]["ipBlock"]["cidr"]
        for rule in policy["spec"]["egress"]
        if "to" in rule
    }
    identity = {
        "gcs": {"169.254.169.254/32", "169.254.169.252/32"},
        "s3-sync": {"169.254.170.23/32"},
    }
    assert addresses == identity.get(name, set())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OVERLAYS)
def test_rendered_overlay_fits_the_schemas(rendered, name, version):
    validate = pytest.importorskip(
        "kubernetes_validate",
        reason="the schemas are in the package kubernetes-validate",
    )
    for item in yaml.safe_load_all(rendered[name]):
        validate.validate(item, version, strict=True)
