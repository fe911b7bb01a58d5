from __future__ import annotations

import copy
import json

import pytest
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from graft.pipeline.kubeflow.compilation.container_spec import ArtifactClasses
from graft.pipeline.kubeflow.compilation.pipeline_file import (
    check_documents,
    service_account_of,
)
from graft.pipeline.kubeflow.compilation.post_processing import (
    PipelineFile,
    post_process,
)
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.compilation.profile_file import load_profile
from graft.pipeline.kubeflow.compilation.refusals import CompileError

IMAGE = "registry.example.org/graft@sha256:" + "0" * 64
CLASSES = ArtifactClasses(
    class_paths={
        "graft.ImageQuarantine": "graft.components.ingestion.ImageQuarantine",
        "graft.ReportPage": "graft.components.report.artifacts.ReportPage",
    },
    dashboard_types={"graft.ReportPage": "system.HTML"},
)


def profile(name: str = "gpu-gke", **changes) -> Profile:
    base = load_profile(name).model_dump()
    return Profile.model_validate({**base, "image": IMAGE, **changes})


def process(spec, *, name="gpu-gke", require_fingerprint=False, **changes):
    return post_process(
        spec,
        profile(name, **changes),
        CLASSES,
        require_fingerprint=require_fingerprint,
    )


def containers(file: PipelineFile):
    executors = file.pipeline_spec["deploymentSpec"]["executors"]
    return {
        label.removesuffix("_executor"): executor["container"]
        for label, executor in executors.items()
    }


def kubernetes(file: PipelineFile):
    platform = file.platform_spec["platforms"]["kubernetes"]
    configs = platform["deploymentSpec"]["executors"]
    return {label.removesuffix("_executor"): item for label, item in configs.items()}


def step_of(container):
    return json.loads(container["args"][container["args"].index("--graft_step") + 1])


def tasks(file: PipelineFile):
    return file.pipeline_spec["root"]["dag"]["tasks"]


def test_input_is_left_alone(spec):
    before = copy.deepcopy(spec)
    process(spec)
    assert spec == before


def test_both_documents_parse_strictly(spec):
    text = process(spec).to_yaml()
    first, second = yaml.safe_load_all(text)
    json_format.ParseDict(first, pipeline_spec_pb2.PipelineSpec())
    json_format.ParseDict(second, pipeline_spec_pb2.PlatformSpec())
    assert first["schemaVersion"] == "2.1.0"
    assert "constantValue" not in text


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f.pipeline_spec.update(pipelineInfos={}),
        lambda f: containers(f)["Trainer"].update(commands=["x"]),
        lambda f: kubernetes(f)["Trainer"].update(nodeSelectors={}),
        lambda f: f.platform_spec["platforms"]["kubernetes"]["deploymentSpec"][
            "executors"
        ].update(Trainr_executor={}),
    ],
    ids=["spec", "container", "kubernetes", "label"],
)
def test_misspelt_key_is_refused(spec, damage):
    file = process(spec)
    damage(file)
    with pytest.raises(ValueError, match=r"[Mm]essage type|executors"):
        check_documents(file.pipeline_spec, file.platform_spec)


def test_each_container_is_its_own_and_runs_our_entry_point(spec):
    found = containers(process(spec))
    assert len({json.dumps(item, sort_keys=True) for item in found.values()}) == 5
    for name, container in found.items():
        assert container["command"] == [
            "python",
            "-m",
            "graft.pipeline.kubeflow.container.entrypoint",
        ]
        assert container["args"][container["args"].index("--component_id") + 1] == name
        assert container["image"] == IMAGE


def test_gpu_steps_and_no_others_land_on_the_gpu_pool(spec):
    file = process(spec, gpu_steps=["Trainer", "Evaluator"])
    for name, container in containers(file).items():
        config = kubernetes(file)[name]
        is_gpu = name in ("Trainer", "Evaluator")
        assert ("accelerator" in container["resources"]) == is_gpu
        assert ("tolerations" in config) == is_gpu
        assert ("nodeSelector" in config) == is_gpu
    assert containers(file)["Trainer"]["resources"] == {
        "resourceCpuRequest": "3",
        "resourceCpuLimit": "3",
        "resourceMemoryRequest": "12Gi",
        "resourceMemoryLimit": "12Gi",
        "accelerator": {"resourceType": "nvidia.com/gpu", "resourceCount": "1"},
    }
    assert {
        "effect": "NoSchedule",
        "key": "nvidia.com/gpu",
        "operator": "Equal",
        "value": "present",
    } in kubernetes(file)["Trainer"]["tolerations"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"gpu_steps": ["Trainr"]},
            "`gpu_steps` of the profile .* Did you mean 'Trainer'",
        ),
        ({"gpu_steps": ["trainer", "BottleneckFeatures"]}, "mean 'Trainer'"),
        ({"steps": {"Trainr": {}}}, "`steps` of the profile .* mean 'Trainer'"),
        ({"name": "cpu", "gpu_steps": ["Train"]}, "mean 'Trainer'"),
    ],
)
def test_step_that_no_pipeline_has_is_refused(spec, changes, message):
    with pytest.raises(CompileError, match=message):
        process(spec, **changes)


def test_step_that_this_pipeline_lacks_may_be_named(spec):
    file = process(spec, gpu_steps=["Trainer", "Evaluator", "Canary", "SchemaGen"])
    assert "Canary" not in tasks(file)


@pytest.mark.parametrize("text", ["4e9", "-1E+3", ".5e1", "0o17", "1_000", "yes"])
def test_text_that_looks_like_a_number_is_quoted(spec, text):
    file = process(spec, env={"A": text})
    assert f"value: '{text}'" in file.to_yaml()
    assert list(yaml.safe_load_all(file.to_yaml())) == [
        file.pipeline_spec,
        file.platform_spec,
    ]


def test_cpu_profile_has_no_gpu_anywhere(spec):
    assert "gpu" not in process(spec, name="cpu").to_yaml()


def test_steps_of_a_function_are_cached_and_no_others(spec):
    cached = {
        name: task["cachingOptions"].get("enableCache")
        for name, task in tasks(process(spec)).items()
    }
    assert cached == {
        "ImageExampleGen": False,
        "Trainer": True,
        "Evaluator": True,
        "Pusher": False,
        "Report": False,
    }


def test_required_fingerprint_lets_ingestion_be_cached(spec):
    file = process(spec, require_fingerprint=True)
    assert tasks(file)["ImageExampleGen"]["cachingOptions"]["enableCache"]
    parameters = file.pipeline_spec["root"]["inputDefinitions"]["parameters"]
    assert "defaultValue" not in parameters["data_fingerprint"]
    assert "isOptional" not in parameters["data_fingerprint"]


def test_profile_may_turn_the_cache_off(spec):
    file = process(spec, steps={"Trainer": {"cache": False}})
    assert not tasks(file)["Trainer"]["cachingOptions"]["enableCache"]


def test_all_fields_of_a_retry_are_written(spec):
    file = process(
        spec,
        retry={"attempts": 2, "backoff_seconds": 30, "backoff_factor": 2.0},
        timeout_seconds=7200,
    )
    policy = tasks(file)["Trainer"]["retryPolicy"]
    assert policy["maxRetryCount"] == 2
    assert policy["backoffDuration"] == "30s"
    assert policy["backoffFactor"] == 2.0
    # Longer than three attempts of two hours and the waits between.
    assert int(policy["backoffMaxDuration"].removesuffix("s")) > 3 * 7200 + 90
    assert kubernetes(file)["Trainer"]["activeDeadlineSeconds"] == "7200"


def test_no_retries_writes_no_policy(spec):
    file = process(spec, retry={"attempts": 0})
    assert "retryPolicy" not in tasks(file)["Trainer"]


def test_runtime_parameters_have_defaults_and_reach_their_steps(spec):
    file = process(spec)
    parameters = file.pipeline_spec["root"]["inputDefinitions"]["parameters"]
    defaults = {name: item["defaultValue"] for name, item in parameters.items()}
    assert defaults == {
        "data_path": "/mnt/data/flowers",
        "data_fingerprint": "not computed",
        "epochs": 30,
        "learning_rate": 0.001,
        "min_accuracy": 0.9,
        "push_destination": "/mnt/models",
    }
    for task in tasks(file).values():
        component = file.pipeline_spec["components"][task["componentRef"]["name"]]
        for key, value in task["inputs"].get("parameters", {}).items():
            assert key in component["inputDefinitions"]["parameters"]
            if "componentInputParameter" in value:
                assert value["componentInputParameter"] in parameters
    assert step_of(containers(file)["Trainer"])["overrides"][
        "graft_override_epochs"
    ] == [["custom_config", "training", "epochs"]]
    assert step_of(containers(file)["Evaluator"])["overrides"] == {
        "graft_override_min_accuracy": [["gate", "min_accuracy"]]
    }


def test_parameters_are_handed_to_a_sub_dag(spec):
    """As TFX nests all tasks where the pipeline has an exit handler."""
    inner = spec["root"]["dag"]
    spec["components"]["tfx-dag"] = {"dag": inner}
    spec["root"]["dag"] = {
        "tasks": {"tfx-dag": {"componentRef": {"name": "tfx-dag"}, "taskInfo": {}}}
    }
    file = process(spec)
    names = set(file.pipeline_spec["root"]["inputDefinitions"]["parameters"])
    dag = file.pipeline_spec["components"]["tfx-dag"]
    task = tasks(file)["tfx-dag"]
    assert set(dag["inputDefinitions"]["parameters"]) == names
    assert task["inputs"]["parameters"] == {
        name: {"componentInputParameter": name} for name in names
    }
    assert "retryPolicy" in dag["dag"]["tasks"]["Trainer"]


def test_producer_of_a_value_is_named_as_it_is(spec):
    outputs = spec["components"]["Trainer"]["outputDefinitions"]
    outputs["parameters"] = {"steps": {"parameterType": "NUMBER_INTEGER"}}
    definitions = spec["components"]["Report"]["inputDefinitions"]["parameters"]
    definitions["steps"] = {"parameterType": "STRING"}
    report = spec["root"]["dag"]["tasks"]["Report"]
    report["inputs"]["parameters"]["steps"] = {
        "taskOutputParameter": {
            "producerTask": "Trainer_task",
            "outputParameterKey": "steps",
        }
    }
    file = process(spec)
    value = tasks(file)["Report"]["inputs"]["parameters"]["steps"]
    assert value["taskOutputParameter"]["producerTask"] == "Trainer"
    component = file.pipeline_spec["components"]["Report"]
    parameters = component["inputDefinitions"]["parameters"]
    assert parameters["steps"]["parameterType"] == "NUMBER_INTEGER"

    report["inputs"]["parameters"]["steps"]["taskOutputParameter"]["producerTask"] = (
        "No"
    )
    with pytest.raises(CompileError, match="'No', which is no step"):
        process(spec)


def test_page_is_shown_by_the_dashboard_and_stays_ours_for_the_step(spec):
    file = process(spec)
    outputs = file.pipeline_spec["components"]["Report"]["outputDefinitions"]
    assert outputs["artifacts"]["page"]["artifactType"] == {
        "schemaTitle": "system.HTML",
        "schemaVersion": "0.0.1",
    }
    step = step_of(containers(file)["Report"])
    assert step["output_types"]["page"] == {
        "instanceSchema": "title: graft.ReportPage\n"
    }
    assert step["artifact_classes"] == {
        "graft.ReportPage": "graft.components.report.artifacts.ReportPage"
    }


def test_driver_of_file_based_example_gen_is_marked(spec):
    executor = spec["deploymentSpec"]["executors"]["ImageExampleGen_executor"]
    executor["container"]["lifecycle"] = {"preCacheCheck": {"command": ["python"]}}
    found = containers(process(spec))["ImageExampleGen"]
    assert "lifecycle" not in found
    assert step_of(found)["runs_file_driver"] is True


def test_volumes_secrets_and_environment(spec):
    file = process(
        spec,
        env={"A": "1"},
        secrets=[{"secret": "s", "key": "k", "env": "B"}],
        image_pull_secrets=["registry"],
        steps={"Trainer": {"env": {"A": "2"}, "scratch": "20Gi"}},
    )
    assert containers(file)["Trainer"]["env"] == [{"name": "A", "value": "2"}]
    config = kubernetes(file)["Trainer"]
    assert [mount["mountPath"] for mount in config["pvcMount"]] == [
        "/mnt/data",
        "/mnt/cache",
        "/mnt/models",
    ]
    assert config["secretAsEnv"][0]["keyToEnv"] == [{"secretKey": "k", "envVar": "B"}]
    assert config["imagePullSecret"][0]["secretNameParameter"] == {
        "runtimeValue": {"constant": "registry"}
    }
    assert {m["mountPath"] for m in config["emptyDirMounts"]} == {"/dev/shm", "/tmp"}
    assert config["securityContext"] == {"runAsNonRoot": True}


def test_affinity_and_more_gpus_for_one_step(spec):
    pool = {
        "node_selector": {"pool": "gpu"},
        "tolerations": [{"key": "nvidia.com/gpu"}],
        "affinity": [
            {"requirements": [{"key": "zone", "values": ["a", "b"]}]},
            {
                "requirements": [{"key": "spot", "operator": "Exists"}],
                "weight": 10,
            },
        ],
    }
    file = process(
        spec,
        gpu_pool=pool,
        steps={"Trainer": {"gpu_count": 4}, "Evaluator": {"pool": "gpu"}},
    )
    config = kubernetes(file)["Trainer"]
    demanded, preferred = config["nodeAffinity"]
    assert demanded == {
        "matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]
    }
    assert preferred["weight"] == 10
    counts = {
        name: container["resources"].get("accelerator", {}).get("resourceCount")
        for name, container in containers(file).items()
    }
    assert (counts["Trainer"], counts["Evaluator"], counts["Pusher"]) == (
        "4",
        "1",
        None,
    )
    assert "nodeAffinity" not in kubernetes(file)["Pusher"]


def test_service_account_is_told_to_whoever_starts_a_run(spec):
    file = process(spec, service_account="runner", annotations={"a": "b"})
    config = kubernetes(file)["Trainer"]
    assert config["podMetadata"]["annotations"]["a"] == "b"
    configs = file.platform_spec["platforms"]["kubernetes"]["deploymentSpec"]
    assert service_account_of(configs["executors"]) == "runner"
    plain = process(spec).platform_spec["platforms"]["kubernetes"]["deploymentSpec"]
    assert service_account_of(plain["executors"]) is None


def test_profile_that_names_no_step_is_refused(spec):
    with pytest.raises(CompileError, match="Did you mean 'Trainer'"):
        process(spec, steps={"Trainr": {}})


def test_latest_image_is_refused(spec):
    with pytest.raises(CompileError, match="graft:latest"):
        process(spec, image="graft:latest")


def test_resolver_is_refused(spec):
    executors = spec["deploymentSpec"]["executors"]
    executors["Trainer_executor"] = {"resolver": {}}
    with pytest.raises(CompileError, match="Look the baseline up in a component"):
        process(spec)


def test_outputs_of_ours_that_begin_alike_are_refused(spec):
    outputs = spec["components"]["Report"]["outputDefinitions"]["artifacts"]
    outputs["page_data"] = dict(outputs["page"])
    with pytest.raises(CompileError, match=r"'page' of Report .*'page_data'"):
        process(spec)


def test_limits_of_a_run_are_in_the_file(spec):
    limits = {"run_timeout_seconds": 7200, "run_ttl_seconds": 86400}
    kubernetes = process(spec, **limits).platform_spec["platforms"]["kubernetes"]
    assert kubernetes["pipelineConfig"] == {
        "activeDeadlineSeconds": 7200,
        "resourceTtlOnCompletion": 86400,
        "resourceTtlOnSuccess": 86400,
        "resourceTtlOnFailure": 86400,
    }
    kubernetes = process(spec).platform_spec["platforms"]["kubernetes"]
    assert "pipelineConfig" not in kubernetes
