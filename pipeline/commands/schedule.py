"""`graft schedule create|list|pause|resume|delete`: retraining on a clock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from graft.pipeline.commands.cluster_options import (
    DEFAULT_HOST,
    CookieFileOption,
    HostOption,
    NamespaceOption,
    ParameterOption,
    TokenFileOption,
    connect,
    parse_parameters,
)

app = typer.Typer(help="Run a pipeline on a clock.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="Name of the schedule.")]


@app.command()
def create(  # noqa: PLR0917 - options of a command
    name: NameArgument,
    pipeline: Annotated[
        str,
        typer.Option(
            "--pipeline",
            help="Name of an uploaded pipeline; for a cronjob the compiled file.",
        ),
    ],
    cron: Annotated[
        str,
        typer.Option("--cron", help='Five fields ("0 3 * * *"), or six with seconds.'),
    ],
    timezone: Annotated[
        str, typer.Option("--timezone", help="Such as Europe/Berlin.")
    ] = "UTC",
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="kubeflow: a recurring run. cronjob: a manifest of a job that submits "
            "only where data, code or config changed.",
        ),
    ] = "kubeflow",
    host: HostOption = DEFAULT_HOST,
    namespace: NamespaceOption = "",
    token_file: TokenFileOption = None,
    cookie_file: CookieFileOption = None,
    parameters: ParameterOption = None,
    service_account: Annotated[
        str | None, typer.Option("--service-account", help="Of the runs' pods.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of one with this name.")
    ] = False,
    profile: Annotated[
        str, typer.Option("--profile", help="cronjob: the deployment profile.")
    ] = "cpu",
    image: Annotated[
        str | None, typer.Option("--image", help="cronjob: image of the job.")
    ] = None,
    multi_user: Annotated[
        bool,
        typer.Option("--multi-user", help="cronjob: the installation knows users."),
    ] = False,
    drift_report: Annotated[
        str | None,
        typer.Option(
            "--drift-report",
            help="cronjob: a further file, on a mount, that reports drift, beside the "
            "drift.json in the model's folder.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="cronjob: the manifest's file."),
    ] = None,
) -> None:
    """Create a schedule: one run at a time, missed times are not made up for."""
    from graft.contract.errors import UserError

    if engine not in ("kubeflow", "cronjob"):
        raise UserError(f"`--engine` must be kubeflow or cronjob. Received: {engine!r}")
    from graft.pipeline.kubeflow.cluster.cron import in_utc, six_fields

    values = parse_parameters(parameters)
    if engine == "kubeflow":
        from graft.pipeline.kubeflow.cluster import schedules

        expression = in_utc(six_fields(cron), timezone)
        if expression != cron:
            typer.echo(f"Kubeflow's form of {cron!r} ({timezone}): {expression!r}, UTC")
        api = connect(host, namespace, token_file, cookie_file)
        made = schedules.create_schedule(
            api,
            name,
            pipeline,
            cron,
            timezone=timezone,
            parameters=values,
            service_account=service_account,
            replace=replace,
        )
        typer.echo(f"Schedule {name}: {made}; it runs the newest version each time.")
        return
    from graft.pipeline.kubeflow.cluster.cronjob import (
        CronJobSettings,
        cronjob_manifests,
    )
    from graft.pipeline.kubeflow.compilation.pipeline_file import (
        check_parameters,
        read_pipeline_file,
    )
    from graft.pipeline.kubeflow.compilation.profile import load_profile

    path = Path(pipeline)
    spec, _ = read_pipeline_file(path)
    check_parameters(spec, {"data_fingerprint": "computed by the job", **values})
    chosen = load_profile(profile)
    if image is not None:
        chosen = chosen.model_copy(update={"image": image})
    is_local = host == DEFAULT_HOST
    settings = CronJobSettings(
        name=name,
        cron=cron,
        timezone=timezone,
        namespace=namespace or ("graft" if multi_user else "kubeflow"),
        is_multi_user=multi_user,
        parameters=values,
        drift_report=drift_report,
        **({} if is_local else {"host": host}),
    )
    text = cronjob_manifests(settings, chosen, path.read_text(encoding="utf-8"))
    target = output or Path(f"{name}-cronjob.yaml")
    target.write_text(text, encoding="utf-8")
    typer.echo(f"{target}: kubectl apply -f {target}")


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


def _add_verb(verb: str, text: str, method: str, done: str) -> None:
    """Add a command that does one thing to a schedule that exists.

    Args:
        verb: The command.
        text: Its help.
        method: Function of `graft.pipeline.kubeflow.cluster.schedules` that does it.
        done: What is said about the schedule afterwards.
    """

    @app.command(name=verb, help=text)
    def command(
        name: NameArgument,
        host: HostOption = DEFAULT_HOST,
        namespace: NamespaceOption = "",
        token_file: TokenFileOption = None,
        cookie_file: CookieFileOption = None,
    ) -> None:
        from graft.pipeline.kubeflow.cluster import schedules

        api = connect(host, namespace, token_file, cookie_file)
        getattr(schedules, method)(api, name)
        typer.echo(f"{name} {done}")


for _verb in (
    (
        "pause",
        "Start no more runs; one that is under way goes on.",
        "pause_schedule",
        "is paused.",
    ),
    (
        "resume",
        "Start runs again, from the next time on.",
        "resume_schedule",
        "runs again.",
    ),
    ("delete", "Remove a schedule; its runs stay.", "delete_schedule", "is deleted."),
):
    _add_verb(*_verb)
