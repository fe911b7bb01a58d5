"""The `beam` section of a config: where Beam jobs run."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from graft.contract.strict_model import StrictModel


def _check_address(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?:[0-9]{1,5}", value):
        raise ValueError(
            f"must be HOST:PORT, such as flink-rest:8081. Received: {value!r}"
        )
    return value


Address = Annotated[str, AfterValidator(_check_address)]
"""A host and a port."""


class FlinkConfig(StrictModel):
    """A Flink cluster, and the pool of Beam workers beside each of its TaskManagers."""

    master: Address | None = Field(
        None, description="Address of the JobManager's REST API, HOST:PORT."
    )
    job_server_jar: str | None = Field(
        None,
        min_length=1,
        description="File of Beam's job server for this version of Flink. graft puts "
        "the job into it and gives it to Flink.",
    )
    job_server: Address | None = Field(
        None,
        description="Address of a running job server, HOST:PORT, in place of "
        "`job_server_jar`.",
    )
    worker_pool: Address = Field(
        "localhost:50000",
        description="Address of the pool of workers, as a TaskManager sees it.",
    )
    parallelism: int = Field(
        1, ge=1, le=10_000, description="Number of slots, and so of workers, of a job."
    )


class DataflowConfig(StrictModel):
    """Google Cloud Dataflow."""

    project: str | None = Field(
        None,
        pattern="^([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$",
        description="ID of the Google Cloud project.",
    )
    region: str | None = Field(
        None,
        pattern="^[a-z]+-[a-z]+[0-9]+$",
        description="Region of the workers, such as europe-west4.",
    )
    temp_location: str | None = Field(
        None,
        pattern="^gs://[a-z0-9][a-z0-9._-]{2,}(/.*)?$",
        description="Folder on gs:// for what Dataflow stages.",
    )
    image: str | None = Field(
        None, min_length=1, description="graft's image, from a registry."
    )
    machine_type: str | None = Field(
        None,
        pattern="^[a-z0-9-]+$",
        description="Machine type of a worker; empty: as Dataflow chooses.",
    )
    disk_gb: int | None = Field(
        None, ge=30, le=65_536, description="Size of a worker's disk; empty: 250."
    )
    max_workers: int = Field(10, ge=1, le=1000, description="Workers at most.")
    service_account: str | None = Field(
        None,
        pattern="^[^@ ]+@[^@ ]+$",
        description="Service account of the workers; empty: the project's default.",
    )
    subnetwork: str | None = Field(
        None,
        pattern="^(https://|regions/).+$",
        description="Subnetwork of the workers, regions/REGION/subnetworks/NAME.",
    )
    public_addresses: bool = Field(
        True, description="Whether workers have addresses on the internet."
    )
    gpu: str | None = Field(
        None,
        pattern="^nvidia-[a-z0-9-]+$",
        description="GPU of a worker, such as nvidia-l4; empty: none.",
    )
    gpu_count: int = Field(1, ge=1, le=16, description="GPUs of a worker.")


class BeamConfig(StrictModel):
    """The runner of Beam jobs."""

    runner: Literal["local", "flink", "dataflow"] = Field(
        "local",
        description="`local`: in the process of the step; `flink`: on a Flink cluster; "
        "`dataflow`: on Google Cloud.",
    )
    flink: FlinkConfig = Field(FlinkConfig(), description="The Flink cluster.")
    dataflow: DataflowConfig = Field(
        DataflowConfig(), description="The settings of Dataflow."
    )
    start_timeout_seconds: float = Field(
        300.0,
        gt=0,
        le=86_400,
        description="How long the first job, which only tries the runner, may take.",
    )

    @property
    def is_remote(self) -> bool:
        """Whether jobs run in other processes than the step, maybe on other hosts."""
        return self.runner != "local"

    @model_validator(mode="after")
    def _runner_has_its_settings(self) -> BeamConfig:
        if self.runner == "flink":
            if not self.flink.master:
                raise ValueError(
                    "`beam.flink.master` must name the JobManager's REST API with "
                    "`beam.runner: flink`, HOST:PORT. Received: None"
                )
            given = [self.flink.job_server_jar, self.flink.job_server]
            if given.count(None) != 1:
                raise ValueError(
                    "`beam.flink` must have either `job_server_jar`, a file, or "
                    "`job_server`, the address of a running one. Received: "
                    f"{'neither' if given.count(None) else 'both'}"
                )
        if self.runner == "dataflow":
            needed = ("project", "region", "temp_location", "image")
            missing = [key for key in needed if getattr(self.dataflow, key) is None]
            if missing:
                names = ", ".join(f"`beam.dataflow.{key}`" for key in missing)
                raise ValueError(
                    f"{names} must be set with `beam.runner: dataflow`. Received: None"
                )
        return self
