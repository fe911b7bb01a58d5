"""Deployment profiles: the settings of a cluster, independent of the pipeline."""

from __future__ import annotations

import posixpath
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from graft.contract.strict_model import StrictModel
from graft.pipeline.kubeflow.compilation.kubernetes_values import (
    ENV_NAME,
    MAX_SECONDS,
    Annotations,
    Cpu,
    Environment,
    LabelKey,
    Labels,
    Memory,
    cores,
    num_bytes,
)
from graft.pipeline.kubeflow.compilation.retries import Retry
from graft.pipeline.kubeflow.compilation.schedule_defaults import ScheduleDefaults

NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
OWN_LABELS = {"app.kubernetes.io/part-of": "graft"}
"""Labels of every pod: the network policies in kubernetes/base select pods by them."""

LAUNCHER_FOLDERS = tuple(
    "/kfp-launcher /gcs /s3 /minio /.local /.cache /.config".split()
)
"""Where Kubeflow mounts volumes of its own into each step."""


class Toleration(StrictModel):
    """A taint that a step tolerates; the fields are those of Kubernetes."""

    key: str = Field("", description="Key of the taint; empty with Exists: all.")
    operator: Literal["Exists", "Equal"] = Field("Exists", description="How to match.")
    value: str = Field("", description="Value of the taint, with operator Equal.")
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = Field(
        "NoSchedule", description="Effect of the taint; empty: all."
    )


class NodeRequirement(StrictModel):
    """One condition on a node's labels."""

    key: LabelKey = Field(description="Label of the node.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(
        "In", description="How the label is compared."
    )
    values: tuple[str, ...] = Field((), description="Values to compare with.")

    @model_validator(mode="after")
    def _operator_fits_values(self) -> NodeRequirement:
        """Refuse what Kubernetes refuses when the pod is created."""
        needed, fits = "at least one value", bool(self.values)
        if self.operator in ("Exists", "DoesNotExist"):
            needed, fits = "no values", not self.values
        elif self.operator in ("Gt", "Lt"):
            needed = "one whole number"
            fits = len(self.values) == 1 and self.values[0].isdecimal()
        if not fits:
            raise ValueError(
                f"`operator: {self.operator}` takes {needed}. Received: "
                f"{list(self.values)!r}"
            )
        return self


class NodeAffinity(StrictModel):
    """Conditions on a node: required, or preferred with a weight."""

    requirements: tuple[NodeRequirement, ...] = Field(
        min_length=1, description="Conditions on labels."
    )
    weight: int | None = Field(
        None, ge=1, le=100, description="Weight of the preference; empty: required."
    )


class Pool(StrictModel):
    """The nodes on which pods run."""

    node_selector: Labels = Field({}, description="Labels that a node has.")
    tolerations: tuple[Toleration, ...] = Field((), description="Taints to tolerate.")
    affinity: tuple[NodeAffinity, ...] = Field((), description="Finer choice of nodes.")


class Resources(StrictModel):
    """Requests and limits of a step, as Kubernetes quantities."""

    cpu: Cpu = Field("1", description="Processors requested.")
    cpu_limit: Cpu | None = Field(None, description="Processors at most; empty: `cpu`.")
    memory: Memory = Field("4Gi", description="Memory requested.")
    memory_limit: Memory | None = Field(
        None, description="Memory at most; empty: `memory`."
    )

    @model_validator(mode="after")
    def _limits_cover_requests(self) -> Resources:
        """Refuse limits that Kubernetes refuses; a profile may inherit the request."""
        if self.cpu_limit and cores(self.cpu_limit) < cores(self.cpu):
            raise ValueError(
                f"`cpu_limit` must be at least `cpu`, {self.cpu}. Received: "
                f"{self.cpu_limit!r}"
            )
        if self.memory_limit and num_bytes(self.memory_limit) < num_bytes(self.memory):
            raise ValueError(
                f"`memory_limit` must be at least `memory`, {self.memory}. Received: "
                f"{self.memory_limit!r}"
            )
        return self


class GpuPool(Pool):
    """The nodes with GPUs, and what a step requests on them."""

    resource: str = Field(
        "nvidia.com/gpu",
        pattern=r"^[a-z0-9.-]+/[A-Za-z0-9_.-]+$",
        description="Kubernetes name of the GPU resource.",
    )
    count: int = Field(1, ge=1, le=16, description="GPUs per step.")
    resources: Resources = Field(
        Resources(cpu="3", memory="12Gi"),
        description="Processors and memory of a GPU step.",
    )
    vertex_accelerator: str | None = Field(
        None, description="Vertex AI's name of the GPU, such as NVIDIA_L4."
    )


class PvcMount(StrictModel):
    """A PersistentVolumeClaim, mounted into every step."""

    claim: str = Field(pattern=NAME, description="Name of the claim.")
    path: str = Field(pattern="^/[^:]*[^/:]$", description="Where it is mounted.")
    sub_path: str = Field("", description="Folder of the volume; empty: its root.")


class SecretEnv(StrictModel):
    """A key of a Secret as environment variable; the value never enters the file."""

    secret: str = Field(pattern=NAME, description="Name of the Secret.")
    key: str = Field(min_length=1, description="Key in it.")
    env: str = Field(
        pattern=f"^{ENV_NAME.pattern}$", description="Environment variable."
    )
    optional: bool = Field(False, description="Run without the Secret if it is absent.")


class StepSettings(StrictModel):
    """Settings of one step; an empty field takes the profile's value."""

    pool: Literal["cpu", "gpu"] | None = Field(
        None, description="Where it runs; empty: as `gpu_steps` says."
    )
    resources: Resources | None = Field(
        None, description="Processors and memory on the CPU pool."
    )
    gpu_resources: Resources | None = Field(
        None, description="The same on the GPU pool; empty: those of `gpu_pool`."
    )
    gpu_count: int | None = Field(None, ge=1, le=16, description="GPUs.")
    retry: Retry | None = Field(None, description="Retries.")
    timeout_seconds: int | None = Field(
        None, ge=1, le=MAX_SECONDS, description="Longest time of one attempt."
    )
    env: Environment = Field({}, description="More environment variables.")
    cache: bool | None = Field(
        None, description="Answer from Kubeflow's cache; empty: graft decides."
    )
    scratch: Memory | None = Field(
        None,
        description="Most that /tmp may hold, on the node's disk; empty: no limit.",
    )


class Profile(StrictModel):
    """A deployment profile."""

    description: str = Field("", description="Text for users; not used.")
    image: str | None = Field(
        None, description="Image by digest or fixed tag; empty: --image names it."
    )
    gpu_image: str | None = Field(
        None, description="Image of GPU steps; empty: `image`."
    )
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        "IfNotPresent", description="When a node pulls the image."
    )
    image_pull_secrets: tuple[str, ...] = Field(
        (), description="Secrets for the image's registry."
    )
    service_account: str | None = Field(
        None, pattern=NAME, description="Of the runs; empty: the backend's default."
    )
    gpu_steps: tuple[str, ...] = Field(
        ("BottleneckFeatures", "Trainer"),
        description="Steps for the GPU pool where the profile has one; Evaluator may "
        "be added. A step that the pipeline does not have is left out.",
    )
    cpu_pool: Pool = Field(Pool(), description="Where the other steps run.")
    gpu_pool: GpuPool | None = Field(None, description="Empty: no step uses a GPU.")
    resources: Resources = Field(Resources(), description="Of a step without its own.")
    shared_memory: Memory | None = Field(
        "2Gi", description="Size of /dev/shm; empty: 64 MiB."
    )
    retry: Retry = Field(Retry(), description="Of a step without its own.")
    timeout_seconds: int = Field(
        6 * 3600,
        ge=1,
        le=MAX_SECONDS,
        description="Longest time of one attempt of a step.",
    )
    run_timeout_seconds: int | None = Field(
        None,
        ge=1,
        le=MAX_SECONDS,
        description="Longest time of a run, from 2.17 of Kubeflow on; empty: no limit.",
    )
    run_ttl_seconds: int | None = Field(
        None,
        ge=1,
        le=MAX_SECONDS,
        description="Time that an ended run's pods and workflow stay, from 2.17 of "
        "Kubeflow on; empty: as the installation says. The run's record stays.",
    )
    schedule: ScheduleDefaults | None = Field(
        None, description="When schedules run; empty: `--cron` says it."
    )
    mounts: tuple[PvcMount, ...] = Field((), description="Claims, in every step.")
    emulated_mounts: dict[str, str] = Field(
        {},
        description="Path of a mount, or of a folder in one, to the folder of this "
        "machine that `graft emulate` uses in its place. A relative folder starts from "
        "the working directory.",
    )
    data_folder: str | None = Field(
        None,
        pattern="^/",
        description="Folder in the pods that holds the images, such as /mnt/data. A "
        "relative `data.path` of a config lies in it. Empty: `data.path` must be a "
        "path in the pods.",
    )
    model_store: str = Field(
        "/mnt/models", description="Default of `push.destination` on this cluster."
    )
    feature_cache: str = Field(
        "/mnt/cache/features", description="Default of `features.cache` there."
    )
    checkpoints: str = Field(
        "/mnt/cache/checkpoints",
        description="Default of `training.checkpoints` there.",
    )
    shared_folder: str = Field(
        "/mnt/cache/flink",
        pattern="^/[^:]*[^/:]$",
        description="Folder in a mount that Flink's workers mount, too, for artifacts; "
        "only with `beam.runner: flink`.",
    )
    env: Environment = Field({}, description="Environment of every step; no secrets.")
    secrets: tuple[SecretEnv, ...] = Field((), description="Secrets as environment.")
    labels: Labels = Field(
        OWN_LABELS, description="Labels of the pods, beside graft's own."
    )
    annotations: Annotations = Field({}, description="Annotations of the pods.")
    steps: dict[str, StepSettings] = Field({}, description="By name of the step.")

    @field_validator("labels")
    @classmethod
    def _pods_keep_own_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        """Add graft's labels, without which a network policy selects no pod."""
        for key, value in OWN_LABELS.items():
            if labels.get(key, value) != value:
                raise ValueError(
                    f"must have {value!r} for {key!r}, by which network policies "
                    f"select pods, or must leave it out. Received: {labels[key]!r}"
                )
        return {**OWN_LABELS, **labels}

    @field_validator("mounts")
    @classmethod
    def _claims_are_mounted_once(cls, mounts: tuple[PvcMount, ...]) -> Any:
        """Refuse mounts that give a pod which Kubernetes refuses."""
        for attribute in ("claim", "path"):
            # A path may be written in two ways. A claim has no slashes.
            values = [posixpath.normpath(getattr(mount, attribute)) for mount in mounts]
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(
                    f"`mounts` must name each {attribute} once. Received twice: {twice}"
                )
        return mounts

    @model_validator(mode="after")
    def _each_folder_has_one_mount(self) -> Profile:
        """Refuse a mount where a step has a volume of its own."""
        for mount in self.mounts:
            if posixpath.normpath(mount.path) in LAUNCHER_FOLDERS:
                raise ValueError(
                    f"`mounts` must not have {list(LAUNCHER_FOLDERS)}, where Kubeflow "
                    f"mounts its own volumes. Received: {mount.path!r}"
                )
        own = {"/dev/shm": "shared_memory"} if self.shared_memory else {}  # noqa: S108
        for name, settings in self.steps.items():
            if settings.scratch:
                own["/tmp"] = f"steps.{name}.scratch"  # noqa: S108
        for mount in self.mounts:
            if key := own.get(posixpath.normpath(mount.path)):
                raise ValueError(
                    f"`mounts` must not have {mount.path} beside `{key}`, which mounts "
                    f"a volume there. Received: {mount.claim!r}"
                )
        return self

    @model_validator(mode="after")
    def _each_variable_has_one_source(self) -> Profile:
        """Refuse a variable that several entries set; one would win in silence."""
        names = [secret.env for secret in self.secrets]
        names += self.env
        for settings in self.steps.values():
            names += set(settings.env) - set(self.env)
        secret_names = {secret.env for secret in self.secrets}
        twice = sorted({name for name in secret_names if names.count(name) > 1})
        if twice:
            raise ValueError(
                "`secrets` must name each variable once, and none of `env`. Received "
                f"twice: {twice}"
            )
        return self

    @model_validator(mode="after")
    def _gpu_steps_reach_the_pool(self) -> Profile:
        pool = self.gpu_pool
        if pool is not None and not any(_tolerates_gpu(t) for t in pool.tolerations):
            raise ValueError(
                "`gpu_pool.tolerations` must tolerate the taint that keeps other pods "
                "off the GPU nodes, such as {key: nvidia.com/gpu, operator: Exists, "
                f"effect: NoSchedule}}. Received: {list(pool.tolerations)!r}"
            )
        for name, settings in self.steps.items():
            if settings.pool == "gpu" and pool is None:
                raise ValueError(
                    f"`steps.{name}.pool` is gpu, but the profile has no `gpu_pool`."
                )
        for toleration in self.cpu_pool.tolerations:
            if pool is not None and (
                toleration in pool.tolerations or _tolerates_gpu(toleration)
            ):
                raise ValueError(
                    "`cpu_pool.tolerations` must not tolerate the GPU nodes' taint, or "
                    f"CPU steps land there. Received: {toleration!r}"
                )
        return self

    def settings_of(self, step: str) -> StepSettings:
        """Return the settings of a step; empty ones if it has none."""
        return self.steps.get(step, StepSettings())

    def is_gpu_step(self, step: str) -> bool:
        """Return whether a step runs on the GPU pool."""
        if self.gpu_pool is None:
            return False
        pool = self.settings_of(step).pool
        return pool == "gpu" or (pool is None and step in self.gpu_steps)


def _tolerates_gpu(toleration: Toleration) -> bool:
    everything = toleration.operator == "Exists" and not toleration.key
    return everything or "gpu" in toleration.key.lower()
