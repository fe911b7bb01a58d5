"""Recurring runs on Kubeflow that follow the newest version of a pipeline.

A recurring run that names a version always runs this version. One that names only the
pipeline runs the newest version each time. It starts one run at a time
(`max_concurrency` 1), skips times at which it was paused or the cluster was down
(`no_catchup`), and goes on after a failed run. Servers before 2.17 can't do this
safely.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graft.contract.errors import UserError
from graft.pipeline.kubeflow.cluster.api import Api, ApiError
from graft.pipeline.kubeflow.cluster.cron import in_utc, six_fields
from graft.pipeline.kubeflow.cluster.server_version import check_follows_newest
from graft.pipeline.kubeflow.cluster.submission import (
    DEFAULT_EXPERIMENT,
    experiment_id,
    find_pipeline,
    list_versions,
    plugins_input,
)
from graft.pipeline.kubeflow.compilation.pipeline_file import (
    check_parameters,
    check_run_paths,
    kubernetes_configs,
    service_account_of,
)


class ScheduleError(UserError):
    """A schedule can't be created or found."""


@dataclass(frozen=True)
class RecurringRunSettings:
    """Settings of a recurring run.

    Attributes:
        name: Name of the schedule.
        pipeline: Name of the uploaded pipeline.
        cron: Cron expression, in `timezone`.
        timezone: Time zone; the expression is converted to UTC, the default of
            Kubeflow's controller.
        parameters: Values for the pipeline's parameters; the others keep the
            defaults of the version that runs.
        experiment: Name of the experiment.
        service_account: Service account of the pods; None: the profile's.
        mlflow_experiment: MLflow experiment for the runs; None: the installation's.
    """

    name: str
    pipeline: str
    cron: str
    timezone: str = "UTC"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    experiment: str = DEFAULT_EXPERIMENT
    service_account: str | None = None
    mlflow_experiment: str | None = None


def create_schedule(
    api: Api,
    settings: RecurringRunSettings,
    *,
    replace: bool = False,
    server_version: str | None = None,
) -> str:
    """Create a recurring run and return its id.

    Args:
        api: The cluster.
        settings: See `RecurringRunSettings`.
        replace: Whether to replace a schedule of the same name.
        server_version: The server's version, for a server that tells none.

    Raises:
        CronError: The expression or the time zone is invalid.
        ScheduleError: There is no such pipeline, or a schedule of this name exists.
        ServerVersionError: The cluster can't follow the newest version safely, or
            its version is unknown.
        PipelineFileError: A parameter is unknown, missing, or has the wrong type.
    """
    expression = in_utc(six_fields(settings.cron), settings.timezone)
    check_follows_newest(api, server_version)
    pipeline_id, documents = _newest_version(api, settings.pipeline)
    # With Kubernetes settings the API returns both documents in one.
    spec = documents.get("pipeline_spec", documents)
    if "root" in spec:
        check_parameters(spec, settings.parameters)
    configs = kubernetes_configs(documents.get("platform_spec") or {})
    check_run_paths(settings.parameters, configs)
    account = settings.service_account
    if account is None:
        account = service_account_of(configs)
    old = find_schedules(api, settings.name)
    if old and not replace:
        raise ScheduleError(
            f"There is a schedule {settings.name!r} already. Use --replace, or delete "
            "it first."
        )
    wanted = api.models.V2beta1RecurringRun(
        display_name=settings.name,
        experiment_id=experiment_id(api, settings.experiment),
        pipeline_version_reference=api.models.V2beta1PipelineVersionReference(
            pipeline_id=pipeline_id
        ),
        runtime_config=api.models.V2beta1RuntimeConfig(
            parameters=dict(settings.parameters)
        ),
        trigger=api.models.V2beta1Trigger(
            cron_schedule=api.models.V2beta1CronSchedule(cron=expression)
        ),
        max_concurrency="1",
        no_catchup=True,
        mode="ENABLE",
        service_account=account,
        plugins_input=plugins_input(settings.mlflow_experiment),
    )
    return _replace(api, old, wanted)


def _replace(api: Api, old: Sequence[Any], wanted: Any) -> str:
    """Create a recurring run, and delete those of its name. Return its id.

    Raises:
        ApiError: The cluster refused a call. If it refused the new recurring run, the
            old ones go on.
    """
    running = [item for item in old if item.status == "ENABLED"]
    for item in old:
        # Without the pause both schedules could start a run.
        _set_enabled(api, item, is_enabled=False)
    try:
        made = api.call(
            api.recurring_runs.recurring_run_service_create_recurring_run,
            wanted,
            may_repeat=False,
        )
    except ApiError as error:
        if not error.status and old:
            raise ApiError(
                f"{error} The schedule {wanted.display_name!r} from before is paused, "
                "since the new one may exist. `graft schedule list` shows both."
            ) from error
        for item in running:
            _set_enabled(api, item, is_enabled=True)
        raise
    for item in old:
        api.call(
            api.recurring_runs.recurring_run_service_delete_recurring_run,
            item.recurring_run_id,
        )
    return api.required_id(made.recurring_run_id, "the new schedule")


def _newest_version(api: Api, pipeline: str) -> tuple[str, Any]:
    """Return the id of a pipeline, and the documents of its newest version."""
    pipeline_id = find_pipeline(api, pipeline)
    if pipeline_id is None:
        raise ScheduleError(
            f"There is no pipeline {pipeline!r} on the cluster. `graft submit` uploads "
            "one."
        )
    versions = list_versions(api, pipeline_id)
    if not versions:
        raise ScheduleError(
            f"The pipeline {pipeline!r} has no version. `graft submit` uploads one."
        )
    newest = [item for item in versions if item.created_at == versions[0].created_at]
    if len(newest) > 1:
        # Kubeflow stores whole seconds, and takes any version of the newest second.
        names = sorted(str(item.display_name) for item in newest)
        raise ScheduleError(
            f"Versions {names} of {pipeline!r} were uploaded in the same second, so "
            "that none is the newest. Delete all but the one that is to run."
        )
    documents = versions[0].pipeline_spec or {}
    if not isinstance(documents, dict):
        raise ScheduleError(
            f"The newest version of {pipeline!r} holds no pipeline. Upload it again "
            f"with `graft submit`. Received: {str(documents)[:100]!r}"
        )
    return pipeline_id, documents


def list_schedules(api: Api) -> list[Any]:
    """Return the recurring runs as the API's models."""
    return api.pages(
        api.recurring_runs.recurring_run_service_list_recurring_runs,
        field="recurring_runs",
        page_size=100,
        namespace=api.connection.namespace or None,
    )


def find_schedules(api: Api, name: str) -> list[Any]:
    """Return the recurring runs of this name; Kubeflow allows several."""
    return [item for item in list_schedules(api) if item.display_name == name]


def pause_schedule(api: Api, name: str) -> None:
    """Start no more runs; a run that has started goes on.

    Raises:
        ScheduleError: There is no such schedule.
    """
    for item in _existing(api, name):
        _set_enabled(api, item, is_enabled=False)


def resume_schedule(api: Api, name: str) -> None:
    """Start runs again, from the next set time.

    Raises:
        ScheduleError: There is no such schedule.
    """
    for item in _existing(api, name):
        _set_enabled(api, item, is_enabled=True)


def delete_schedule(api: Api, name: str) -> None:
    """Remove the schedule; its runs stay.

    Raises:
        ScheduleError: There is no such schedule.
    """
    for item in _existing(api, name):
        api.call(
            api.recurring_runs.recurring_run_service_delete_recurring_run,
            item.recurring_run_id,
        )


def _existing(api: Api, name: str) -> list[Any]:
    found = find_schedules(api, name)
    if not found:
        names = sorted({str(item.display_name) for item in list_schedules(api)})
        raise ScheduleError(f"There is no schedule {name!r}. Schedules: {names}")
    return found


def _set_enabled(api: Api, item: Any, *, is_enabled: bool) -> None:
    service = api.recurring_runs
    if is_enabled:
        method = service.recurring_run_service_enable_recurring_run
    else:
        method = service.recurring_run_service_disable_recurring_run
    api.call(method, item.recurring_run_id)
