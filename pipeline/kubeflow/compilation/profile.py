"""Deployment profiles: the settings of a cluster, independent of the pipeline."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from graft.contract.strict_model import StrictModel

QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
NAME = r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"
ENV_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


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

    key: str = Field(min_length=1, description="Label of the node.")
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"] = Field(
        "In", description="How the label is compared."
    )
    values: tuple[str, ...] = Field((), description="Values to compare with.")


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

    node_selector: dict[str, str] = Field({}, description="Labels that a node has.")
    tolerations: tuple[Toleration, ...] = Field((), description="Taints to tolerate.")
    affinity: tuple[NodeAffinity, ...] = Field((), description="Finer choice of nodes.")


class Resources(StrictModel):
    """Requests and limits of a step, as Kubernetes quantities."""

    cpu: str = Field("1", pattern=QUANTITY, description="Processors requested.")
    cpu_limit: str | None = Field(
        None, pattern=QUANTITY, description="Processors at most; empty: `cpu`."
    )
    memory: str = Field("4Gi", pattern=QUANTITY, description="Memory requested.")
    memory_limit: str | None = Field(
        None, pattern=QUANTITY, description="Memory at most; empty: `memory`."
    )


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
    env: str = Field(pattern=ENV_NAME.pattern, description="Environment variable.")
    optional: bool = Field(False, description="Run without the Secret if it is absent.")


class Retry(StrictModel):
    """How failed attempts are repeated."""

    attempts: int = Field(
        2, ge=0, le=10, description="Retries after the first attempt."
    )
    backoff_seconds: int = Field(60, ge=1, description="Wait before the first retry.")
    backoff_factor: float = Field(2.0, ge=1, description="Growth of the wait.")


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
        None, ge=1, description="Longest time of one attempt."
    )
    env: dict[str, str] = Field({}, description="More environment variables.")
    cache: bool | None = Field(
        None, description="Answer from Kubeflow's cache; empty: graft decides."
    )
    scratch: str | None = Field(
        None,
        pattern=QUANTITY,
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
    shared_memory: str | None = Field(
        "2Gi", pattern=QUANTITY, description="Size of /dev/shm; empty: 64 MiB."
    )
    retry: Retry = Field(Retry(), description="Of a step without its own.")
    timeout_seconds: int = Field(
        6 * 3600, ge=1, description="Longest time of one attempt of a step."
    )
    run_timeout_seconds: int | None = Field(
        None,
        ge=1,
        description="Longest time of a run, from 2.17 of Kubeflow on; empty: no limit.",
    )
    run_ttl_seconds: int | None = Field(
        None,
        ge=1,
        description="Time that an ended run's pods and workflow stay, from 2.17 of "
        "Kubeflow on; empty: as the installation says. The run's record stays.",
    )
    mounts: tuple[PvcMount, ...] = Field((), description="Claims, in every step.")
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
    env: dict[str, str] = Field(
        {}, description="Environment of every step; no secrets."
    )
    secrets: tuple[SecretEnv, ...] = Field((), description="Secrets as environment.")
    labels: dict[str, str] = Field(
        {"app.kubernetes.io/part-of": "graft"}, description="Labels of the pods."
    )
    annotations: dict[str, str] = Field({}, description="Annotations of the pods.")
    steps: dict[str, StepSettings] = Field({}, description="By name of the step.")

    @field_validator("mounts")
    @classmethod
    def _claims_are_mounted_once(cls, mounts: tuple[PvcMount, ...]) -> Any:
        """Refuse mounts that give a pod which Kubernetes refuses."""
        for attribute in ("claim", "path"):
            values = [getattr(mount, attribute) for mount in mounts]
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(
                    f"`mounts` must name each {attribute} once. Received twice: {twice}"
                )
        return mounts

    @field_validator("env")
    @classmethod
    def _env_names(cls, env: dict[str, str]) -> dict[str, str]:
        for name in env:
            if not ENV_NAME.match(name):
                raise ValueError(
                    f"`env` takes names of letters, digits and _. Received: {name!r}"
                )
            if re.search("(PASSWORD|SECRET|TOKEN|API_KEY|ACCESS_KEY)", name.upper()):
                raise ValueError(
                    f"`env` is stored in the file as plain text: name a Secret in "
                    f"`secrets` instead. Received: {name!r}"
                )
        return env

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
