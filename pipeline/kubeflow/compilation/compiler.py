"""Compile the pipeline: config and profile to a file for Kubeflow, or for Vertex AI."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from typing import Any

from graft.pipeline.config import PipelineConfig
from graft.pipeline.kubeflow.compilation import refusals
from graft.pipeline.kubeflow.compilation.container_spec import ArtifactClasses
from graft.pipeline.kubeflow.compilation.kubernetes_values import cores, num_bytes
from graft.pipeline.kubeflow.compilation.pipeline_file import BUILT_IN_DATA, lies_in
from graft.pipeline.kubeflow.compilation.post_processing import (
    PipelineFile,
    post_process,
)
from graft.pipeline.kubeflow.compilation.profile import Profile
from graft.pipeline.kubeflow.compilation.remote_runner import (
    add_remote_runner,
    check_remote_runner,
)
from graft.pipeline.kubeflow.container.executor_input import (
    UNMOUNTED_SCHEMES,
    describe_unmounted,
)
from graft.storage.paths import is_remote

ENTRYPOINT_COMMAND = ("python", "-m", "graft.pipeline.kubeflow.container.entrypoint")
NO_FINGERPRINT = "not computed"


def compile_pipeline(
    config: PipelineConfig, profile: Profile, *, require_fingerprint: bool = False
) -> PipelineFile:
    """Compile for open-source Kubeflow Pipelines.

    Args:
        config: The run's config, with paths inside the containers.
        profile: The cluster.
        require_fingerprint: Whether every run must name its data's fingerprint.

    Returns:
        The two documents.

    Raises:
        CompileError: The pipeline or the profile would fail on the cluster.
    """
    refusals.check_image(profile.image)
    config = with_cluster_folders(config, profile)
    check_paths(config, profile)
    check_remote_runner(config, profile)
    job, pipeline = tfx_compile(config)
    compiled = post_process(
        job["pipelineSpec"],
        profile,
        artifact_classes(pipeline),
        require_fingerprint=require_fingerprint,
    )
    if config.beam.is_remote:
        steps = beam_steps(pipeline)
        add_remote_runner(compiled.pipeline_spec, steps, config, profile)
    return compiled


def with_cluster_folders(config: PipelineConfig, profile: Profile) -> PipelineConfig:
    """Return the config with the profile's folders where it names none.

    Args:
        config: The config as the user wrote it.
        profile: The cluster, with folders for models, features and checkpoints.
    """
    push = config.push.model_copy(
        update={"destination": config.push.destination or profile.model_store}
    )
    features = config.features.model_copy(
        update={"cache": config.features.cache or profile.feature_cache}
    )
    training = config.training.model_copy(
        update={"checkpoints": config.training.checkpoints or profile.checkpoints}
    )
    data = config.data.model_copy(
        update={
            "path": path_in_pods(config.data.path, profile),
            "label_fixes": tuple(
                path_in_pods(path, profile) for path in config.data.label_fixes
            ),
        }
    )
    return config.model_copy(
        update={
            "data": data,
            "push": push,
            "features": features,
            "training": training,
            "output": "/tmp/graft_output",  # noqa: S108
        }
    )


def path_in_pods(path: str, profile: Profile) -> str:
    """Return a path of data in the pods; a relative one lies in the profile's folder.

    Args:
        path: `data.path`, or one of `data.label_fixes`.
        profile: Names the folder.
    """
    is_relative = not is_remote(path) and not path.startswith((*BUILT_IN_DATA, "/"))
    inner = posixpath.normpath(path)
    if profile.data_folder is None or not is_relative or inner.startswith((".", "~")):
        return path
    return posixpath.join(profile.data_folder, inner)


def check_paths(config: PipelineConfig, profile: Profile) -> None:
    """Refuse paths that containers can't reach.

    Raises:
        CompileError: A path is outside of the mounts; the message names the key.
    """
    paths = {
        "data.path": config.data.path,
        **_label_fixes(config),
        "push.destination": config.push_destination,
        "features.cache": config.feature_cache,
        "training.checkpoints": config.checkpoint_folder,
        "data_validation.schema_path": config.data_validation.schema_path or "",
    }
    for key, path in paths.items():
        if not path or path.startswith((*BUILT_IN_DATA, "gs://")):
            continue
        if path.startswith(UNMOUNTED_SCHEMES):
            raise refusals.CompileError(describe_unmounted(key, path))
        folders = [mount.path for mount in profile.mounts]
        if not any(lies_in(path, folder) for folder in folders):
            raise refusals.CompileError(
                f"`{key}` must lie in one of the profile's mounts {folders}, or on "
                f"gs://, for the containers to find it.{_hint(key, folders)} Received: "
                f"{path!r}"
            )


def _label_fixes(config: PipelineConfig) -> dict[str, str]:
    """Return the files of label fixes by their keys."""
    files = enumerate(config.data.label_fixes)
    return {f"data.label_fixes[{index}]": path for index, path in files}


def tfx_compile(config: PipelineConfig) -> tuple[dict[str, Any], Any]:
    """Run TFX's compiler over the pipeline.

    Args:
        config: The config with the cluster's paths.

    Returns:
        The `PipelineJob` as a dict, and TFX's pipeline.
    """
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as runner

    from graft.pipeline.pipeline import create_pipeline

    pipeline = create_pipeline(
        config, data_fingerprint=NO_FINGERPRINT, beam_args=config.all_beam_args
    )
    # TFX requires an image; post-processing sets the real one per step.
    runner_config = runner.KubeflowV2DagRunnerConfig(
        default_image="graft:set-afterwards",
        default_commands=list(ENTRYPOINT_COMMAND),
        use_pipeline_spec_2_1=True,
    )
    job = runner.KubeflowV2DagRunner(runner_config).run(pipeline, write_out=False)
    return job, pipeline


def artifact_classes(pipeline: Any) -> ArtifactClasses:
    """Collect the artifact classes of a TFX pipeline.

    The attribute `DASHBOARD_TYPE` of a class, such as "system.HTML", is its type in the
    dashboard.
    """
    paths: dict[str, str] = {}
    shown: dict[str, str] = {}
    for node in pipeline.components:
        for channel in (*node.inputs.values(), *node.outputs.values()):
            cls = channel.type
            if not cls.__module__.startswith("tfx."):
                paths[cls.TYPE_NAME] = f"{cls.__module__}.{cls.__qualname__}"
            if hasattr(cls, "DASHBOARD_TYPE"):
                shown[cls.TYPE_NAME] = cls.DASHBOARD_TYPE
    return ArtifactClasses(class_paths=paths, dashboard_types=shown)


def beam_steps(pipeline: Any) -> list[str]:
    """Return the steps of a TFX pipeline that run Beam jobs."""
    from tfx.dsl.components.base.executor_spec import BeamExecutorSpec

    return [
        node.id
        for node in pipeline.components
        if isinstance(node.executor_spec, BeamExecutorSpec)
    ]


def compile_for_vertex(config: PipelineConfig, profile: Profile) -> str:
    """Compile for Vertex AI: the `PipelineJob` as JSON, with our entry point and image.

    Mounts, pools and secrets of the profile are ignored; paths must be on gs://.

    Raises:
        CompileError: A path is not on gs://, or the GPU has no name for Vertex AI.
    """
    config = config.model_copy(
        update={
            "features": config.features
            if config.features.cache
            else config.features.model_copy(update={"cache": "none"}),
        }
    )
    for key, path in (
        ("data.path", config.data.path),
        *_label_fixes(config).items(),
        ("push.destination", config.push.destination or ""),
    ):
        if not path.startswith(("gs://", *BUILT_IN_DATA)):
            raise refusals.CompileError(
                f"`{key}` must be on gs:// for Vertex AI. Received: {path!r}"
            )
    job, pipeline = tfx_compile(config)
    compiled = post_process(job["pipelineSpec"], profile, artifact_classes(pipeline))
    job["pipelineSpec"] = compiled.pipeline_spec
    job["runtimeConfig"] = {"gcsOutputDirectory": ""}
    for label, executor in compiled.pipeline_spec["deploymentSpec"][
        "executors"
    ].items():
        container = executor.get("container")
        if container is not None:
            _to_vertex(label, container, profile)
    return json.dumps(job, indent=1, sort_keys=True)


def _to_vertex(label: str, container: dict[str, Any], profile: Profile) -> None:
    container["args"] += ["--remote_files"]
    resources = container["resources"]
    # Vertex AI takes numbers: cores, and memory in GB.
    vertex: dict[str, Any] = {
        "cpuLimit": float(cores(resources["resourceCpuLimit"])),
        "memoryLimit": round(
            float(num_bytes(resources["resourceMemoryLimit"])) / 1e9, 3
        ),
    }
    accelerator = resources.get("accelerator")
    if accelerator is not None:
        pool = profile.gpu_pool
        if pool is None or pool.vertex_accelerator is None:
            raise refusals.CompileError(
                f"{label} uses a GPU: set its name on Vertex AI in "
                "`gpu_pool.vertex_accelerator`, such as NVIDIA_L4."
            )
        vertex["accelerator"] = {
            "type": pool.vertex_accelerator,
            "count": accelerator["resourceCount"],
        }
    container["resources"] = vertex


def _hint(key: str, folders: Sequence[str]) -> str:
    """Return how to name another folder for the images; empty for other keys."""
    if key != "data.path" or not folders:
        return ""
    return f" Use `--data`, such as `--data {folders[0]}/photos`."
