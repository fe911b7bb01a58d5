"""The real pipeline, compiled once for each of several profiles."""

from __future__ import annotations

import json
import re
import sys

import pytest
import yaml
from google.protobuf import json_format
from kfp.kubernetes import kubernetes_executor_config_pb2
from kfp.pipeline_spec import pipeline_spec_pb2

from graft.pipeline.config import load_config
from graft.pipeline.kubeflow.compilation import compiler, gpu_quota
from graft.pipeline.kubeflow.compilation.pipeline_spec import tasks_of
from graft.pipeline.kubeflow.compilation.profile_file import load_profile
from graft.pipeline.kubeflow.compilation.refusals import STEP_NAME, CompileError

IMAGE = "registry.example.org/graft@sha256:" + "0" * 64


def profile(name, **changes):
    return load_profile(name).model_copy(update={"image": IMAGE, **changes})


def config(*overrides, data="/mnt/data/flowers"):
    return load_config(None, data=data, overrides=["name=flowers", *overrides])


@pytest.fixture(scope="module")
def compiled():
    """Documents of the CPU and the GPU profile, from one import of TFX."""
    return {
        name: compiler.compile_pipeline(config(), profile(name))
        for name in ("cpu", "gpu-gke", "gpu-eks")
    }


def without_hashes(text):
    """Hide values that change with the code: fingerprints, TFX's version."""
    return re.sub("[0-9a-f]{64}", "<hash>", text)


@pytest.mark.parametrize("name", ["cpu", "gpu-gke"])
def test_golden(compiled, golden, name):
    golden(f"{name}.yaml", without_hashes(compiled[name].to_yaml()))


@pytest.mark.parametrize("name", ["cpu", "gpu-gke", "gpu-eks"])
def test_quota_grants_what_the_profile_asks_for(compiled, name):
    needed = gpu_quota.gpus_at_once(compiled[name].pipeline_spec)
    assert needed == ({} if name == "cpu" else gpu_quota.SHIPPED_QUOTA)


def test_no_output_is_the_beginning_of_another(compiled):
    """Up to 2.16.1 the launcher downloads by the beginning of the key."""
    spec = compiled["cpu"].pipeline_spec
    for component in spec["components"].values():
        names = component.get("outputDefinitions", {}).get("artifacts", {})
        pairs = [(a, b) for a in names for b in names if a != b and b.startswith(a)]
        assert pairs == []
    report = spec["root"]["dag"]["tasks"]["Report"]["inputs"]["artifacts"]
    source = report["model_run"]["taskOutputArtifact"]
    assert source["outputArtifactKey"] == "training_run"
    arguments = spec["deploymentSpec"]["executors"]["Trainer_executor"]["container"]
    assert '"output_names": {"training_run": "model_run"}' in arguments["args"][-1]


def test_profiles_differ_in_where_steps_run_and_in_nothing_else(compiled):
    specs = []
    for name in ("cpu", "gpu-gke"):
        spec = json.loads(json.dumps(compiled[name].pipeline_spec))
        for executor in spec["deploymentSpec"]["executors"].values():
            executor["container"].pop("resources")
        for task in tasks_of(spec):
            task.spec.pop("retryPolicy")
        specs.append(spec)
    assert specs[0] == specs[1]


@pytest.mark.parametrize("name", ["cpu", "gpu-gke", "gpu-eks"])
def test_strict_parse(compiled, name):
    first, second = yaml.safe_load_all(compiled[name].to_yaml())
    json_format.ParseDict(first, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(
        first["deploymentSpec"], pipeline_spec_pb2.PipelineDeploymentConfig()
    )
    json_format.ParseDict(second, pipeline_spec_pb2.PlatformSpec())
    configs = second["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert set(configs) == set(first["deploymentSpec"]["executors"])
    for item in configs.values():
        json_format.ParseDict(
            item, kubernetes_executor_config_pb2.KubernetesExecutorConfig()
        )


def test_what_the_backend_reads(compiled):
    """Facts 1, 3, 4, 5, 6, 7, 8, 10 and 34 on the compiled file."""
    spec = compiled["gpu-gke"].pipeline_spec
    text = compiled["gpu-gke"].to_yaml()
    assert spec["schemaVersion"] == "2.1.0"
    assert "constantValue" not in text
    assert "_wheels" not in text
    assert "[[" not in json.dumps(spec["root"].get("inputDefinitions"))
    assert not re.search(r"(minio|s3|gs)://", text)
    names = [task.name for task in tasks_of(spec)]
    assert all(STEP_NAME.fullmatch(name) for name in names)
    for task in tasks_of(spec):
        inputs = task.spec.get("inputs", {})
        producers = set(task.spec.get("dependentTasks", ()))
        producers |= {
            source["taskOutputArtifact"]["producerTask"]
            for source in inputs.get("artifacts", {}).values()
        }
        assert producers <= set(task.dag)
    executors = spec["deploymentSpec"]["executors"]
    assert all(set(item) <= {"container", "importer"} for item in executors.values())
    dumps = {json.dumps(item, sort_keys=True) for item in executors.values()}
    assert len(dumps) == len(executors)
    for executor in executors.values():
        container = executor["container"]
        assert container["command"] == [
            "python",
            "-m",
            "graft.pipeline.kubeflow.container.entrypoint",
        ]
        assert "lifecycle" not in container


def test_gpu_steps_have_accelerator_and_toleration(compiled):
    for name in ("gpu-gke", "gpu-eks"):
        spec, platform = compiled[name].pipeline_spec, compiled[name].platform_spec
        configs = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        with_gpu = set()
        for label, executor in spec["deploymentSpec"]["executors"].items():
            has_gpu = "accelerator" in executor["container"]["resources"]
            assert (
                has_gpu
                == ("tolerations" in configs[label])
                == ("nodeSelector" in configs[label])
            )
            with_gpu |= {label.removesuffix("_executor")} if has_gpu else set()
        assert with_gpu == {"BottleneckFeatures", "Trainer"}


def test_cpu_profile_knows_no_gpu(compiled):
    assert "nvidia" not in compiled["cpu"].to_yaml()


def test_every_parameter_reaches_a_step(compiled):
    spec = compiled["cpu"].pipeline_spec
    defined = spec["root"]["inputDefinitions"]["parameters"]
    assert set(defined) == {
        "data_path",
        "data_fingerprint",
        "epochs",
        "learning_rate",
        "min_accuracy",
        "push_destination",
    }
    used = {
        value["componentInputParameter"]
        for task in tasks_of(spec)
        for value in task.spec["inputs"].get("parameters", {}).values()
        if "componentInputParameter" in value
    }
    assert used == set(defined)
    # The Evaluator, not the manifest alone, must get the floor.
    evaluator = spec["root"]["dag"]["tasks"]["Evaluator"]["inputs"]["parameters"]
    assert "graft_override_min_accuracy" in evaluator


def test_ids_of_custom_types_lead_to_their_classes(compiled):
    import importlib

    for executor in (
        compiled["cpu"].pipeline_spec["deploymentSpec"]["executors"].values()
    ):
        arguments = executor["container"]["args"]
        step = json.loads(arguments[arguments.index("--graft_step") + 1])
        for title, path in step.get("artifact_classes", {}).items():
            module, _, name = path.rpartition(".")
            assert getattr(importlib.import_module(module), name).TYPE_NAME == title


def test_dashboard_shows_report_numbers_and_confusion_matrix(compiled):
    """By the types of outputs, because Kubeflow's dashboard uses only these."""
    spec = compiled["cpu"].pipeline_spec
    shown = {
        f"{name}.{key}": output["artifactType"]["schemaTitle"]
        for name, component in spec["components"].items()
        for key, output in component["outputDefinitions"]["artifacts"].items()
        if output["artifactType"].get("schemaTitle", "").startswith("system.")
    }
    assert shown == {
        "Report.report": "system.HTML",
        "Report.model_card": "system.Markdown",
        "Evaluator.metrics": "system.Metrics",
        "Evaluator.confusion_matrix": "system.ClassificationMetrics",
    }


def test_tfx_command_line_is_not_imported(compiled):
    """Its engine for Kubeflow can't be imported in TFX 1.21."""
    assert not [name for name in sys.modules if name.startswith("tfx.tools.cli")]


def test_beam_arguments_reach_beam_steps():
    found = compiler.compile_pipeline(
        config("beam_args=[--runner=FlinkRunner, --flink_master=flink:8081]"),
        profile("cpu"),
    )
    executors = found.pipeline_spec["deploymentSpec"]["executors"]
    container = executors["ImageExampleGen_executor"]["container"]
    assert "--flink_master=flink:8081" in container["args"]


REMOTE = {
    "flink": ("beam.flink.master=flink:8081", "beam.flink.job_server=flink:8099"),
    "dataflow": (
        "beam.dataflow.project=my-project",
        "beam.dataflow.region=europe-west4",
        "beam.dataflow.temp_location=gs://bucket/tmp",
        f"beam.dataflow.image={IMAGE}",
    ),
}


def test_dataflow_reaches_the_beam_steps_on_vertex():
    overrides = ("push.destination=gs://b/m", "beam.runner=dataflow")
    found = compiler.compile_for_vertex(
        config(*overrides, *REMOTE["dataflow"], data="gs://bucket/flowers"),
        profile("gpu-gke"),
    )
    executors = json.loads(found)["pipelineSpec"]["deploymentSpec"]["executors"]
    arguments = executors["BottleneckFeatures_executor"]["container"]["args"]
    assert "--runner=DataflowRunner" in arguments
    assert f"--sdk_container_image={IMAGE}" in arguments


def test_vertex_gets_its_own_form():
    job = json.loads(
        compiler.compile_for_vertex(
            config("push.destination=gs://bucket/models", data="gs://bucket/flowers"),
            profile("gpu-gke"),
        )
    )
    json_format.ParseDict(job, pipeline_spec_pb2.PipelineJob())
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"]
    trainer = executors["Trainer_executor"]["container"]
    assert trainer["resources"] == {
        "cpuLimit": 3.0,
        "memoryLimit": 12.885,
        "accelerator": {"type": "NVIDIA_L4", "count": "1"},
    }
    assert "--remote_files" in trainer["args"]
    with pytest.raises(CompileError, match="gs:// for Vertex"):
        compiler.compile_for_vertex(config(), profile("cpu"))
    with pytest.raises(CompileError, match="vertex_accelerator"):
        compiler.compile_for_vertex(
            config("push.destination=gs://b/m", data="gs://b/f"), profile("gpu-eks")
        )


@pytest.mark.parametrize(
    ("overrides", "data", "message"),
    [
        ((), "photos", r"`data.path` must lie in one of.*'photos'"),
        ((), "s3://bucket/photos", "`data.path` names object storage"),
        (
            ("push.destination=/srv/models",),
            "/mnt/data/x",
            "`push.destination` must lie",
        ),
        (("features.cache=../x",), "/mnt/data/x", "`features.cache` must lie"),
        ((), "/mnt/data/../etc", "`data.path` must lie"),
    ],
)
def test_path_that_no_container_finds_is_refused(overrides, data, message):
    with pytest.raises(CompileError, match=message):
        compiler.compile_pipeline(config(*overrides, data=data), profile("cpu"))


def test_image_is_asked_for_before_anything_heavy():
    with pytest.raises(CompileError, match="--image"):
        compiler.compile_pipeline(config(), load_profile("cpu"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("my_photos", "/mnt/data/my_photos"),
        ("./sets/a/", "/mnt/data/sets/a"),
        ("/mnt/other/photos", "/mnt/other/photos"),
        ("gs://bucket/photos", "gs://bucket/photos"),
        ("sklearn:digits", "sklearn:digits"),
        ("../photos", "../photos"),
        ("~/photos", "~/photos"),
    ],
)
def test_a_relative_path_lies_in_the_profiles_folder(path: str, expected: str) -> None:
    cluster = profile("cpu", data_folder="/mnt/data")
    assert compiler.path_in_pods(path, cluster) == expected
    assert compiler.path_in_pods(path, profile("cpu")) == path
    compiled = compiler.with_cluster_folders(config(data=path), cluster)
    assert compiled.data.path == expected


def test_label_fixes_lie_in_the_mounts_like_the_data():
    cluster = profile("cpu", data_folder="/mnt/data")
    relative = config("data.label_fixes=fixes.csv", data="flowers")
    found = compiler.with_cluster_folders(relative, cluster).data
    assert found.label_fixes == ("/mnt/data/fixes.csv",)
    outside = config("data.label_fixes=[/mnt/data/a.csv, /home/me/b.csv]")
    with pytest.raises(CompileError, match=r"`data.label_fixes\[1\]` must lie in"):
        compiler.check_paths(
            compiler.with_cluster_folders(outside, profile("cpu")), profile("cpu")
        )
