from __future__ import annotations

import re
from pathlib import Path

import pytest

from graft.pipeline.kubeflow.compilation import kubernetes_values
from graft.pipeline.kubeflow.compilation.container_spec import _resources
from graft.pipeline.kubeflow.compilation.profile_file import (
    ProfileError,
    built_in_profiles,
    load_profile,
)
from graft.pipeline.kubeflow.compilation.task_policies import retry_policy


@pytest.fixture
def write_profile(tmp_path):
    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.mark.parametrize("name", ["cpu", "gpu-eks", "gpu-generic", "gpu-gke"])
def test_built_in_profile_is_valid(name):
    profile = load_profile(name)
    assert name in built_in_profiles()
    assert profile.is_gpu_step("Trainer") == name.startswith("gpu")
    assert not profile.is_gpu_step("StatisticsGen")
    assert not profile.is_gpu_step("Evaluator")


def test_own_profile_extends_a_built_in_one(write_profile):
    profile = load_profile(
        write_profile(
            "extends: gpu-gke\n"
            "image: example.org/graft:1.0\n"
            "gpu_steps: [Trainer, Evaluator]\n"
            "gpu_pool: {count: 2}\n"
            "steps: {Trainer: {pool: cpu}}\n"
        )
    )
    assert profile.gpu_pool.count == 2
    assert profile.gpu_pool.vertex_accelerator == "NVIDIA_L4"
    assert profile.is_gpu_step("Evaluator")
    assert not profile.is_gpu_step("Trainer")


def test_sizes_hold_on_the_pool_that_they_are_for(write_profile):
    steps = "{Trainer: {pool: cpu}, Evaluator: {gpu_resources: {memory: 20Gi}}}"
    gpu_steps = "[BottleneckFeatures, Trainer, Evaluator]"
    text = f"extends: gpu-gke\ngpu_steps: {gpu_steps}\nsteps: {steps}\n"
    profile = load_profile(write_profile(text))
    # The CPU profile's 6 GiB of an Evaluator are not for the GPU pool.
    assert memory(profile, "Evaluator") == "20Gi"
    assert memory(profile, "BottleneckFeatures") == profile.gpu_pool.resources.memory
    assert (
        memory(profile, "Trainer")
        == load_profile("cpu").steps["Trainer"].resources.memory
    )
    plain = load_profile(write_profile(f"extends: gpu-gke\ngpu_steps: {gpu_steps}\n"))
    for step in ("BottleneckFeatures", "Trainer", "Evaluator"):
        assert memory(plain, step) == plain.gpu_pool.resources.memory
    assert memory(load_profile("gpu-gke"), "Evaluator") == "6Gi"


def test_sizes_for_the_other_pool_may_be_inherited(tmp_path, write_profile):
    (tmp_path / "base.yaml").write_text(
        "extends: gpu-gke\nsteps: {Trainer: {gpu_resources: {memory: 20Gi}}}\n"
    )
    text = "extends: base.yaml\nsteps: {Trainer: {pool: cpu}}\n"
    assert not load_profile(write_profile(text)).is_gpu_step("Trainer")


def test_profile_of_the_guide_is_valid(write_profile):
    guide = Path(__file__).parents[4] / "docs" / "kubeflow.md"
    (text,) = [
        block
        for block in re.findall(r"```yaml\n(.*?)```", guide.read_text(), re.DOTALL)
        if block.startswith("extends:")
    ]
    profile = load_profile(write_profile(text))
    assert profile.gpu_pool.count == 2
    assert memory(profile, "Evaluator") == "14Gi"


def memory(profile, step):
    return _resources(profile, step)["resourceMemoryRequest"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("extends: gpu-gke\ngpu_pol: {}\n", "[Dd]id you mean `gpu_pool`"),
        ("resources: {memory: 4 gigs}\n", "4 gigs"),
        (
            "extends: gpu-gke\nsteps: {Trainer: {resources: {memory: 20Gi}}}\n",
            "steps.Trainer.gpu_resources",
        ),
        (
            "extends: gpu-gke\n"
            "steps: {Canary: {pool: gpu, resources: {memory: 20Gi}}}\n",
            "steps.Canary.gpu_resources",
        ),
        (
            "extends: gpu-gke\nsteps: {Evaluator: {gpu_count: 2}}\n",
            "`steps.Evaluator.gpu_count` has no effect. Add 'Evaluator' to `gpu_steps`",
        ),
        (
            "extends: gpu-gke\nsteps: {Trainer: {pool: cpu, gpu_count: 2}}\n",
            "gpu_count` has no effect. Take out `steps.Trainer.pool`",
        ),
        (
            "steps: {Trainer: {gpu_resources: {memory: 14Gi}}}\n",
            "gpu_resources` has no effect. The profile has no `gpu_pool`",
        ),
        ("gpu_steps: 5\nsteps: {Trainer: {timeout_seconds: 5}}\n", "gpu_steps"),
        ("extends: gpu-gke\ngpu_pool: {tolerations: []}\n", "tolerate the taint"),
        (
            "extends: gpu-gke\n"
            "cpu_pool: {tolerations: [{operator: Exists, effect: NoSchedule}]}\n",
            "CPU steps land there",
        ),
        ("steps: {Trainer: {pool: gpu}}\n", "has no `gpu_pool`"),
        ("env: {DATABASE_PASSWORD: hunter2}\n", "name a Secret"),
        ("env: {1A: x}\n", "letters, digits"),
        ("env: {A: '{{workflow.name}}'}\n", "`env`: the value of A holds '{{'"),
        ("env: {A: '$(HOME)'}\n", r"holds '\$\('"),
        (
            "steps: {Trainer: {env: {AWS_SECRET_ACCESS_KEY: abc}}}\n",
            "`steps.Trainer.env`: is stored .* name a Secret",
        ),
        ("steps: {Trainer: {env: {'A B=C': abc}}}\n", "names of letters, digits"),
        ("resources: {cpu: 4Gi}\n", "`resources.cpu`: takes processors"),
        ("resources: {cpu: '0'}\n", "processors above 0"),
        ("resources: {cpu: 0m}\n", "processors above 0"),
        ("resources: {memory: 4000m}\n", "`resources.memory`: takes bytes"),
        ("resources: {memory: '4'}\n", "at least 1Mi"),
        ("resources: {memory: 9Ei}\n", "less than 8Ei"),
        ("shared_memory: 0.5m\n", "`shared_memory`: takes bytes"),
        ("steps: {Trainer: {scratch: '0'}}\n", "`steps.Trainer.scratch`: takes at"),
        ("resources: {cpu: '4', cpu_limit: 2000m}\n", "at least `cpu`, 4"),
        ("resources: {memory: 8Gi, memory_limit: 8e9}\n", "at least `memory`, 8Gi"),
        (
            "extends: cpu\nsteps: {Trainer: {resources: {memory_limit: 4Gi}}}\n",
            "`steps.Trainer.resources`: `memory_limit` must be at least `memory`, 6Gi",
        ),
        ("labels: {team: 'vision & ml'}\n", "'vision & ml' for 'team'"),
        ("labels: {a b: c}\n", "Received: 'a b'"),
        ("labels: {a/b/c: c}\n", "Received: 'a/b/c'"),
        (f"labels: {{a: {'x' * 64}}}\n", "at most 63"),
        ("annotations: {a b: any text}\n", "Received: 'a b'"),
        ("cpu_pool: {node_selector: {pool: '-x'}}\n", "'-x' for 'pool'"),
        (
            "mounts: [{claim: a, path: /tmp}]\nsteps: {Trainer: {scratch: 5Gi}}\n",
            "must not have /tmp beside `steps.Trainer.scratch`",
        ),
        ("mounts: [{claim: a, path: /dev/shm}]\n", "beside `shared_memory`"),
        (
            "mounts: [{claim: a, path: /x/y}, {claim: b, path: /x//y}]\n",
            r"each path once. Received twice: \['/x/y'\]",
        ),
        ("timeout_seconds: 99999999999999999999\n", "`timeout_seconds`: .*2147483647"),
        ("steps: {A: {timeout_seconds: 99999999999}}\n", "less than or equal"),
        ("run_ttl_seconds: 99999999999\n", "less than or equal"),
        ("retry: {backoff_factor: .inf}\n", "retry.backoff_factor"),
        ("retry: {backoff_factor: 90.0, attempts: 9}\n", "the waits must be at most"),
        (
            "mounts: [{claim: a, path: /x}, {claim: a, path: /y}]\n",
            r"each claim once. Received twice: \['a'\]",
        ),
        ("mounts: [{claim: a, path: relative}]\n", "mounts.0.path"),
        ("extends: gpu-gek\n", "Did you mean 'gpu-gke'"),
        ("- a list\n", "keys and values"),
        ("a: [\n", "can't be read as YAML"),
        ("retry: {attempts: -1}\n", "Received: -1"),
    ],
)
def test_mistake_in_profile_is_named(write_profile, text, message):
    with pytest.raises(ProfileError, match=message):
        load_profile(write_profile(text))


@pytest.mark.parametrize(
    ("memory", "num_bytes"), [("4e9", 4e9), ("1Pi", 2**50), ("1.5Gi", 1.5 * 2**30)]
)
def test_quantities_of_kubernetes_are_valid(write_profile, memory, num_bytes):
    text = f"resources: {{cpu: 1500m, cpu_limit: '2', memory: '{memory}'}}\n"
    text += "labels: {app.kubernetes.io/part-of: graft, team: ''}\n"
    text += "mounts: [{claim: a, path: /tmp}]\n"
    profile = load_profile(write_profile(text))
    assert kubernetes_values.num_bytes(profile.resources.memory) == num_bytes


def test_longest_times_reach_the_cluster(write_profile):
    text = "timeout_seconds: 2147483647\nretry: {attempts: 10, backoff_factor: 1.0}\n"
    policy = retry_policy(load_profile(write_profile(text)), "Trainer")
    assert policy["backoffMaxDuration"] == "2147483647s"


def test_unknown_profile_names_the_known_ones():
    with pytest.raises(ProfileError, match="Did you mean 'gpu-eks'"):
        load_profile("gpu-ek")


def test_profiles_that_extend_each_other_are_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    with pytest.raises(ProfileError, match="circle"):
        load_profile(str(tmp_path / "a.yaml"))


def test_pods_keep_the_label_of_the_network_policies(write_profile):
    own = {"app.kubernetes.io/part-of": "graft"}
    text = "extends: gpu-gke\nlabels: {team: vision}\n"
    assert load_profile(write_profile(text)).labels == {**own, "team": "vision"}
    text = "labels: {app.kubernetes.io/part-of: vision}\n"
    with pytest.raises(ProfileError, match=r"must have 'graft'.*Received: 'vision'"):
        load_profile(write_profile(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mounts: [{claim: a, path: /minio}]\n", "Received: '/minio'"),
        ("mounts: [{claim: a, path: /kfp-launcher}]\n", "Kubeflow mounts"),
        ("cpu_pool: {affinity: [{requirements: [{key: a}]}]}\n", "at least one"),
        (
            "cpu_pool: {affinity: [{requirements: [{key: a, operator: Gt, "
            "values: [x, y]}]}]}\n",
            "one whole number",
        ),
        (
            "cpu_pool: {affinity: [{requirements: [{key: a, operator: Exists, "
            "values: [x]}]}]}\n",
            "no values",
        ),
        (
            "secrets: [{secret: s, key: k, env: A}, {secret: s, key: l, env: A}]\n",
            r"Received twice: \['A'\]",
        ),
        (
            "env: {A: b}\nsecrets: [{secret: s, key: k, env: A}]\n",
            r"Received twice: \['A'\]",
        ),
    ],
)
def test_what_the_cluster_would_refuse_is_refused(write_profile, text, message):
    with pytest.raises(ProfileError, match=message):
        load_profile(write_profile(text))


def test_profile_that_extends_itself_by_another_path_is_refused(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "dot.yaml").write_text("extends: sub/../dot.yaml\n")
    with pytest.raises(ProfileError, match="circle"):
        load_profile(str(tmp_path / "dot.yaml"))
