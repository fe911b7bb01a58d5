"""`graft schedule create|list|pause|resume|delete`: runs at set times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graft.pipeline.commands.cluster_options import (
    DEFAULT_HOST,
    CookieFileOption,
    HostOption,
    MlflowExperimentOption,
    NamespaceOption,
    ParameterOption,
    ServerVersionOption,
    ServiceAccountOption,
    TokenFileOption,
    connect,
    parse_parameters,
)
from graft.pipeline.commands.options import FormerFileOption

if TYPE_CHECKING:
    from graft.pipeline.kubeflow.cluster.api import Api
    from graft.pipeline.kubeflow.cluster.cronjob import CronJobSettings
    from graft.pipeline.kubeflow.cluster.schedules import RecurringRunSettings
    from graft.pipeline.kubeflow.compilation.schedule_defaults import ScheduleDefaults

app = typer.Typer(help="Run a pipeline at set times.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the schedule.")]
PipelineOption = Annotated[
    str,
    typer.Option(
        "--pipeline",
        help="The compiled file; for a recurring run also a pipeline's name.",
    ),
]
CronOption = Annotated[
    str | None,
    typer.Option(
        "--cron",
        help='Five fields ("0 3 * * *"), or six with seconds; or `schedule.cron` of '
        "the profile.",
    ),
]
TimezoneOption = Annotated[
    str | None,
    typer.Option(
        "--timezone",
        help="Such as Europe/Berlin; or `schedule.timezone` of the profile, or UTC.",
    ),
]
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="kubeflow (the default): create a recurring run. cronjob: write the "
        "manifest of a job that submits only if data, code or config changed.",
    ),
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Replace a schedule of the same name.")
]
ProfileOption = Annotated[
    str,
    typer.Option(
        "--profile",
        help="The deployment profile; its `schedule` may hold the values of --cron, "
        "--timezone, --engine, --namespace, --multi-user, --drift-report, --retries "
        "and --mlflow-experiment.",
    ),
]
ImageOption = Annotated[
    str | None, typer.Option("--image", help="cronjob: image of the job.")
]
MultiUserOption = Annotated[
    bool | None,
    typer.Option("--multi-user", help="cronjob: Kubeflow has several users."),
]
DriftReportOption = Annotated[
    str | None,
    typer.Option(
        "--drift-report",
        help="cronjob: another file, on a mount, that reports drift, beside the "
        "drift.json in the model's folder.",
    ),
]
RetriesOption = Annotated[
    int | None,
    typer.Option(
        "--retries",
        min=0,
        max=10,
        help="cronjob: times that a failed run is retried. The job then follows the "
        "run and holds its volumes, so these must allow ReadWriteMany.",
    ),
]
ManifestOption = Annotated[
    Path | None, typer.Option("--to", "-o", help="cronjob: the manifest's file.")
]


ENGINES = ("kubeflow", "cronjob")
ENGINE_OF_OPTION = {
    "token_file": "kubeflow",
    "cookie_file": "kubeflow",
    "replace": "kubeflow",
    "image": "cronjob",
    "multi_user": "cronjob",
    "drift_report": "cronjob",
    "retries": "cronjob",
    "to": "cronjob",
}
"""Options of `create` that only one engine uses."""


@app.command()
def create(  # noqa: PLR0917 - options of a command
    context: typer.Context,
    name: NameArgument,
    pipeline: PipelineOption,
    cron: CronOption = None,
    timezone: TimezoneOption = None,
    engine: EngineOption = None,
    host: HostOption = DEFAULT_HOST,
    namespace: NamespaceOption = "",
    token_file: TokenFileOption = None,
    cookie_file: CookieFileOption = None,
    parameters: ParameterOption = None,
    service_account: ServiceAccountOption = None,
    mlflow_experiment: MlflowExperimentOption = None,
    replace: ReplaceOption = False,
    profile: ProfileOption = "cpu",
    image: ImageOption = None,
    multi_user: MultiUserOption = None,
    drift_report: DriftReportOption = None,
    retries: RetriesOption = None,
    to: ManifestOption = None,
    former_to: FormerFileOption = None,
    server_version: ServerVersionOption = None,
) -> None:
    """Create a schedule. It starts one run at a time and skips missed times."""
    from graft.contract.errors import UserError
    from graft.pipeline.kubeflow.cluster.cronjob import CronJobSettings
    from graft.pipeline.kubeflow.cluster.schedules import RecurringRunSettings

    if engine not in (None, *ENGINES):
        raise UserError(f"`--engine` must be kubeflow or cronjob. Received: {engine!r}")
    chosen = with_profile(
        {
            "cron": cron,
            "timezone": timezone,
            "engine": engine,
            "namespace": namespace or None,
            "multi_user": multi_user,
            "drift_report": drift_report,
            "retries": retries,
            "mlflow_experiment": mlflow_experiment,
        },
        profile,
    )
    _refuse_unused_options(context, chosen.engine)
    values = parse_parameters(parameters)
    if chosen.engine == "kubeflow":
        _create_recurring_run(
            RecurringRunSettings(
                name,
                _name_of(pipeline),
                chosen.cron,
                timezone=chosen.timezone,
                parameters=values,
                service_account=service_account,
                mlflow_experiment=chosen.mlflow_experiment,
            ),
            connect=lambda: connect(host, chosen.namespace, token_file, cookie_file),
            replace=replace,
            server_version=server_version,
        )
        return
    settings = CronJobSettings(
        name=name,
        cron=chosen.cron,
        timezone=chosen.timezone,
        namespace=chosen.namespace or ("graft" if chosen.multi_user else "kubeflow"),
        is_multi_user=chosen.multi_user,
        parameters=values,
        service_account=service_account,
        drift_report=chosen.drift_report,
        retries=chosen.retries,
        mlflow_experiment=chosen.mlflow_experiment,
        server_version=server_version,
        # The default is a port-forward, which a pod can't reach.
        **({} if host == DEFAULT_HOST else {"host": host}),
    )
    _write_cronjob(
        settings,
        profile=profile,
        image=image,
        pipeline=Path(pipeline),
        output=to or Path(f"{name}-cronjob.yaml"),
    )


def _refuse_unused_options(context: typer.Context, engine: str) -> None:
    """Refuse options on the command line that the engine does not use."""
    from graft.contract.errors import UserError

    for option, needed in ENGINE_OF_OPTION.items():
        source = context.get_parameter_source(option)
        if needed != engine and source is not None and source.name == "COMMANDLINE":
            flag = f"--{option.replace('_', '-')}"
            raise UserError(
                f"`{flag}` needs `--engine {needed}`. Received: {flag} with "
                f"--engine {engine}, which does not use it"
            )


def with_profile(options: Mapping[str, Any], profile: str) -> ScheduleDefaults:
    """Return the settings of a schedule: options, then what the profile says.

    Args:
        options: Values by key of `schedule` in a profile; None: no such option.
        profile: Name or file of the profile.

    Raises:
        UserError: Neither says when to run, or the profile is invalid.
    """
    from graft.contract.errors import UserError
    from graft.pipeline.kubeflow.compilation.profile_file import load_profile
    from graft.pipeline.kubeflow.compilation.schedule_defaults import ScheduleDefaults

    saved = load_profile(profile).schedule
    given = {key: value for key, value in options.items() if value is not None}
    if saved is None and "cron" not in given:
        raise UserError(
            "No time to run at. Name it by `--cron`, or by `schedule: {cron: ...}` in "
            f"the file that `--profile` names. Received: --profile {profile}"
        )
    # Not validated: an option for another engine is refused by its own name.
    defaults = ScheduleDefaults(cron="@daily") if saved is None else saved
    return defaults.model_copy(update=given)


def _name_of(pipeline: str) -> str:
    """Return the name of a pipeline, which may be named by its compiled file."""
    from graft.pipeline.kubeflow.compilation.pipeline_file import read_pipeline_file

    if not Path(pipeline).is_file():
        return pipeline
    spec, _ = read_pipeline_file(Path(pipeline))
    return str(spec["pipelineInfo"]["name"])


def _create_recurring_run(
    settings: RecurringRunSettings,
    *,
    connect: Callable[[], Api],
    replace: bool,
    server_version: str | None,
) -> None:
    """Create a recurring run on Kubeflow, after the cron expression was checked."""
    from graft.pipeline.kubeflow.cluster.cron import in_utc, six_fields
    from graft.pipeline.kubeflow.cluster.schedules import create_schedule

    cron, timezone = settings.cron, settings.timezone
    expression = in_utc(six_fields(cron), timezone)
    if expression != cron:
        typer.echo(f"Kubeflow's form of {cron!r} ({timezone}): {expression!r}, UTC")
    schedule_id = create_schedule(
        connect(), settings, replace=replace, server_version=server_version
    )
    typer.echo(
        f"Schedule {settings.name}: {schedule_id}; each time it runs the newest "
        "version of the pipeline."
    )


def _write_cronjob(
    settings: CronJobSettings,
    *,
    profile: str,
    image: str | None,
    pipeline: Path,
    output: Path,
) -> None:
    """Write the manifests of a CronJob for a compiled pipeline."""
    from graft.contract.errors import UserError
    from graft.pipeline.commands.compile import is_same_file, write_output
    from graft.pipeline.kubeflow.cluster.cronjob import cronjob_manifests
    from graft.pipeline.kubeflow.compilation.pipeline_file import (
        check_parameters,
        check_run_paths,
        read_pipeline_file,
    )
    from graft.pipeline.kubeflow.compilation.profile_file import (
        files_of_profile,
        load_profile,
    )

    inputs = [("--pipeline", pipeline)]
    inputs += [("--profile", file) for file in files_of_profile(profile)]
    for option, given in inputs:
        if is_same_file(output, given):
            raise UserError(
                f"`--to` must be another file than that of {option}. Received: "
                f"{str(output)!r}"
            )
    if not pipeline.is_file():
        raise UserError(
            "`--pipeline` must be the file that `graft compile` wrote, with `--engine "
            f"cronjob`. Received: {str(pipeline)!r}, which is no file"
        )
    loaded = load_profile(profile, image=image)
    spec, kubernetes_configs = read_pipeline_file(pipeline)
    computed = {"data_fingerprint": "computed by the job"}
    check_parameters(spec, {**computed, **settings.parameters})
    check_run_paths(settings.parameters, kubernetes_configs)
    text = cronjob_manifests(settings, loaded, pipeline.read_text(encoding="utf-8"))
    write_output(output, text)
    typer.echo(f"{output}: kubectl apply -f {output}")


@app.command(name="list")
def list_(
    host: HostOption = DEFAULT_HOST,
    namespace: NamespaceOption = "",
    token_file: TokenFileOption = None,
    cookie_file: CookieFileOption = None,
) -> None:
    """List the schedules on a cluster."""
    from rich.console import Console
    from rich.table import Table

    from graft.pipeline.kubeflow.cluster import schedules

    table = Table("schedule", "status", "cron (UTC)", "id")
    for item in schedules.list_schedules(
        connect(host, namespace, token_file, cookie_file)
    ):
        trigger = item.trigger.cron_schedule if item.trigger else None
        table.add_row(
            str(item.display_name),
            str(item.status),
            str(trigger.cron if trigger else ""),
            str(item.recurring_run_id),
        )
    Console().print(table)


def _add_command(name: str, summary: str, function: str, result: str) -> None:
    """Add a command that changes an existing schedule.

    Args:
        name: Name of the command.
        summary: Help of the command.
        function: Function of `graft.pipeline.kubeflow.cluster.schedules` to call.
        result: Text after the schedule's name, printed at the end.
    """

    @app.command(name=name, help=summary)
    def command(
        name: NameArgument,
        host: HostOption = DEFAULT_HOST,
        namespace: NamespaceOption = "",
        token_file: TokenFileOption = None,
        cookie_file: CookieFileOption = None,
    ) -> None:
        from graft.pipeline.kubeflow.cluster import schedules

        api = connect(host, namespace, token_file, cookie_file)
        getattr(schedules, function)(api, name)
        typer.echo(f"{name} {result}")


_add_command(
    "pause",
    "Start no more runs; a run that has started goes on.",
    "pause_schedule",
    "is paused.",
)
_add_command(
    "resume",
    "Start runs again, from the next set time.",
    "resume_schedule",
    "runs again.",
)
_add_command(
    "delete",
    "Delete a schedule; its runs stay.",
    "delete_schedule",
    "is deleted.",
)
