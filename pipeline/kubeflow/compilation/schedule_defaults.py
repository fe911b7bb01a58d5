"""What a deployment profile keeps for `graft schedule create`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from graft.contract.strict_model import StrictModel


class ScheduleDefaults(StrictModel):
    """When `graft schedule create` runs a pipeline, unless an option says otherwise."""

    cron: str = Field(description='Five fields, such as "0 3 * * *", or six.')
    timezone: str = Field("UTC", description="Such as Europe/Berlin.")
    engine: Literal["kubeflow", "cronjob"] = Field(
        "kubeflow",
        description="A recurring run of Kubeflow, or a CronJob that submits only if "
        "something changed.",
    )
    namespace: str = Field("", description="Namespace of the runs; empty: the default.")
    multi_user: bool = Field(
        False, description="Kubeflow has several users; with `engine: cronjob`."
    )
    drift_report: str | None = Field(
        None,
        description="Another file, on a mount, that reports drift; with `engine: "
        "cronjob`.",
    )
    retries: int = Field(
        0,
        ge=0,
        le=10,
        description="Times that a failed run is retried; with `engine: cronjob`.",
    )
    mlflow_experiment: str | None = Field(
        None, description="MLflow experiment for the metrics of the runs."
    )

    @model_validator(mode="after")
    def _settings_fit_the_engine(self) -> ScheduleDefaults:
        for key in ("multi_user", "drift_report", "retries"):
            if self.engine == "kubeflow" and getattr(self, key):
                raise ValueError(
                    f"`{key}` needs `engine: cronjob`. Received: {getattr(self, key)!r}"
                )
        return self
