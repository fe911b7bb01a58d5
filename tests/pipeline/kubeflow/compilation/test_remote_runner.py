"""What a pipeline for a Flink cluster needs, and what its steps are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graft.pipeline.config import PipelineConfig, load_config
from graft.pipeline.kubeflow.compilation import compiler
from graft.pipeline.kubeflow.compilation.missing_mounts import missing_mounts
from graft.pipeline.kubeflow.compilation.pipeline_file import kubernetes_configs
from graft.pipeline.kubeflow.compilation.post_processing import PipelineFile
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.compilation.profile_file import load_profile
from graft.pipeline.kubeflow.compilation.refusals import CompileError

IMAGE = "registry.example.org/graft@sha256:" + "0" * 64
JAR = "/mnt/cache/job-server.jar"
FLINK = (
    "beam.runner=flink",
    "beam.flink.master=graft-flink-rest:8081",
    f"beam.flink.job_server_jar={JAR}",
    "beam.flink.parallelism=2",
)
DATAFLOW = (
    "beam.runner=dataflow",
    "beam.dataflow.project=my-project",
    "beam.dataflow.region=europe-west4",
    "beam.dataflow.temp_location=gs://bucket/tmp",
    f"beam.dataflow.image={IMAGE}",
)
BEAM_STEPS = {
    "BottleneckFeatures",
    "DataQuality",
    "Evaluator",
    "ImageExampleGen",
    "StatisticsGen",
    "Transform",
}


def config(*overrides: str) -> PipelineConfig:
    return load_config(
        None, data="/mnt/data/flowers", overrides=["name=flowers", *overrides]
    )


def profile(name: str = "cpu", **changes: Any) -> Profile:
    return load_profile(name).model_copy(update={"image": IMAGE, **changes})


@pytest.fixture(scope="module")
def compiled() -> PipelineFile:
    return compiler.compile_pipeline(config(*FLINK), profile())


def steps_of(compiled: PipelineFile) -> dict[str, list[str]]:
    executors = compiled.pipeline_spec["deploymentSpec"]["executors"]
    return {
        label.removesuffix("_executor"): executor["container"]["args"]
        for label, executor in executors.items()
    }


def test_steps_that_use_beam_know_the_cluster(compiled: PipelineFile) -> None:
    for name, words in steps_of(compiled).items():
        step = json.loads(words[words.index("--graft_step") + 1])
        assert ("remote_runner" in step) == (name in BEAM_STEPS)
        # TFX gives them to all steps.
        assert "--flink_master=graft-flink-rest:8081" in words
        if name in BEAM_STEPS:
            settings = step["remote_runner"]
            assert settings["shared_folder"] == "/mnt/cache/flink"
            assert settings["beam"]["runner"] == "flink"
            assert settings["paths"] == {
                "`data.path`": "/mnt/data/flowers",
                "`features.cache`": "/mnt/cache/features",
            }
            assert settings["beam"]["flink"]["job_server_jar"] == JAR


def test_local_runner_adds_nothing() -> None:
    found = compiler.compile_pipeline(config(), profile())
    assert "remote_runner" not in found.to_yaml()
    assert "/mnt/cache/flink" not in found.to_yaml()


def test_emulation_needs_the_mount_of_the_folder(compiled: PipelineFile) -> None:
    """Also if no other path of the pipeline lies in it."""
    other = profile(
        mounts=(
            *load_profile("cpu").mounts,
            load_profile("cpu")
            .mounts[0]
            .model_copy(update={"claim": "shared", "path": "/mnt/shared"}),
        )
    )
    for changes, is_needed in (({}, False), ({"shared_folder": "/mnt/shared/a"}, True)):
        found = compiler.compile_pipeline(
            config(*FLINK), other.model_copy(update=changes)
        )
        missing = missing_mounts(
            [], found.pipeline_spec, kubernetes_configs(found.platform_spec)
        )
        assert ("/mnt/shared" in missing) == is_needed


@pytest.mark.parametrize(
    ("overrides", "changes", "message"),
    [
        (DATAFLOW, {}, r"`beam\.runner` must be local or flink.*'dataflow'"),
        (FLINK, {"shared_folder": "/tmp/x"}, r"`shared_folder` of.*mounts.*'/tmp/x'"),
        (FLINK, {"mounts": ()}, "must lie in one of the profile's mounts"),
        (
            (*FLINK, "features.cache=/srv/features"),
            {},
            "`features.cache` must lie in one of the profile's mounts",
        ),
        (
            (*FLINK, "beam.flink.job_server_jar=lib/server.jar"),
            {},
            r"`beam\.flink\.job_server_jar` must be an absolute path",
        ),
    ],
)
def test_what_workers_would_not_find_is_refused(
    overrides: tuple[str, ...], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(CompileError, match=message):
        compiler.compile_pipeline(config(*overrides), profile(**changes))


def test_gpu_that_would_do_nothing_is_refused() -> None:
    with pytest.raises(CompileError, match=r"Set `gpu_steps: \[Trainer\]`"):
        compiler.compile_pipeline(config(*FLINK), profile("gpu-gke"))
    compiler.compile_pipeline(
        config(*FLINK), profile("gpu-gke", gpu_steps=("Trainer",))
    )
