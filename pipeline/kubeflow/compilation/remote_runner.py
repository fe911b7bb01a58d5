"""Compile a pipeline whose Beam jobs run on a Flink cluster."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable
from typing import Any

from graft.pipeline.config import PipelineConfig
from graft.pipeline.kubeflow.compilation.pipeline_file import STEP_ARGUMENT, lies_in
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.compilation.refusals import CompileError
from graft.pipeline.kubeflow.container.remote_runner import (
    BEAM_KEY,
    FOLDER_KEY,
    PATHS_KEY,
    STEP_KEY,
)

_STEP_ON_WORKERS = "BottleneckFeatures"
_BEAM_FIELDS = {"runner", "start_timeout_seconds", "flink"}


def check_remote_runner(config: PipelineConfig, profile: Profile) -> None:
    """Refuse a runner whose workers would not find what they need.

    Args:
        config: The config with the cluster's paths.
        profile: The cluster.

    Raises:
        CompileError: The message names the key.
    """
    if not config.beam.is_remote:
        return
    if config.beam.runner != "flink":
        raise CompileError(
            "`beam.runner` must be local or flink on Kubeflow Pipelines. For Dataflow, "
            f"compile for Vertex AI (--target vertex). Received: "
            f"{config.beam.runner!r}"
        )
    folders = [mount.path for mount in profile.mounts]
    if not any(lies_in(profile.shared_folder, folder) for folder in folders):
        raise CompileError(
            "`shared_folder` of the profile must lie in one of its mounts "
            f"{folders}, which Flink's workers mount at the same path "
            f"(docs/flink.md). Received: {profile.shared_folder!r}"
        )
    jar = config.beam.flink.job_server_jar
    if jar is not None and not posixpath.isabs(jar):
        raise CompileError(
            "`beam.flink.job_server_jar` must be an absolute path in the steps' image, "
            f"or in one of the profile's mounts {folders}. Received: {jar!r}"
        )
    if profile.is_gpu_step(_STEP_ON_WORKERS):
        raise CompileError(
            f"With `beam.runner: flink` the workers do what {_STEP_ON_WORKERS} does, "
            "and a GPU of its pod would do nothing. Set `gpu_steps: [Trainer]` in the "
            f"profile. Received: {list(profile.gpu_steps)}"
        )


def add_remote_runner(
    spec: dict[str, Any],
    steps: Iterable[str],
    config: PipelineConfig,
    profile: Profile,
) -> None:
    """Tell the steps that run Beam jobs where they run.

    Args:
        spec: A compiled `PipelineSpec`; it is changed.
        steps: The names of these steps.
        config: The config with the cluster's paths.
        profile: The cluster.
    """
    settings = {
        FOLDER_KEY: profile.shared_folder,
        BEAM_KEY: config.beam.model_dump(mode="json", include=_BEAM_FIELDS),
        PATHS_KEY: {
            "`data.path`": config.data.path,
            "`features.cache`": config.feature_cache,
        },
    }
    for name in steps:
        label = spec["components"][name]["executorLabel"]
        words = spec["deploymentSpec"]["executors"][label]["container"]["args"]
        position = words.index(STEP_ARGUMENT) + 1
        step = {**json.loads(words[position]), STEP_KEY: settings}
        words[position] = json.dumps(step, sort_keys=True)
