"""`graft submit`: run a compiled pipeline on a cluster, and follow it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from graft.pipeline.kubeflow.cluster.api import Api
    from graft.pipeline.kubeflow.cluster.submission import RunState

DEFAULT_HOST = "http://localhost:8888"
"""Where a port-forward to Kubeflow's API listens."""
HostOption = Annotated[
    str,
    typer.Option(
        "--host",
        envvar="GRAFT_KFP_HOST",
        help="URL of Kubeflow's API, such as http://localhost:8888.",
    ),
]
NamespaceOption = Annotated[
    str,
    typer.Option(
        "--namespace",
        "-n",
        envvar="GRAFT_KFP_NAMESPACE",
        help="Profile namespace of a multi-user installation.",
    ),
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File with a bearer token; or the variable GRAFT_KFP_TOKEN.",
    ),
]
CookieFileOption = Annotated[
    Path | None,
    typer.Option(
        "--cookie-file",
        help="File with the gateway's Cookie header; or GRAFT_KFP_COOKIE.",
    ),
]
ParameterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param", metavar="NAME=VALUE", help="A parameter of the pipeline, as YAML."
    ),
]


def connect(
    host: str, namespace: str, token_file: Path | None, cookie_file: Path | None
) -> Api:
    """Return the API behind the options; secrets come from files or the environment."""
    import os

    from graft.pipeline.kubeflow.cluster.api import Api, Connection

    return Api(
        Connection(
            host=host,
            namespace=namespace,
            token=_secret(token_file, os.environ.get("GRAFT_KFP_TOKEN", "")),
            cookies=_secret(cookie_file, os.environ.get("GRAFT_KFP_COOKIE", "")),
        )
    )


def parse_parameters(texts: list[str] | None) -> dict[str, Any]:
    """Return the values of `--param NAME=VALUE`."""
    import yaml

    from graft.contract.errors import UserError

    values = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"`--param` takes NAME=VALUE. Received: {text!r}")
        try:
            values[name] = yaml.safe_load(value) if value else ""
        except yaml.YAMLError:
            raise UserError(
                f"`--param` takes a YAML value. Received: {text!r}"
            ) from None
    return values


def submit(  # noqa: PLR0917 - options of a command
    pipeline: Annotated[Path, typer.Argument(help="What `graft compile` wrote.")],
    host: HostOption = DEFAULT_HOST,
    namespace: NamespaceOption = "",
    token_file: TokenFileOption = None,
    cookie_file: CookieFileOption = None,
    parameters: ParameterOption = None,
    experiment: Annotated[
        str, typer.Option("--experiment", help="Name of the experiment.")
    ] = "graft",
    service_account: Annotated[
        str | None, typer.Option("--service-account", help="Of the pods.")
    ] = None,
    pipeline_root: Annotated[
        str | None, typer.Option("--pipeline-root", help="Where artifacts go.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for the run's end.")
    ] = True,
    if_changed: Annotated[
        bool,
        typer.Option(
            "--if-changed",
            help="Only where data, code or config changed since the last good run.",
        ),
    ] = False,
    drift_report: Annotated[
        Path | None,
        typer.Option(
            "--drift-report",
            help="With --if-changed: a further file that reports drift, beside the "
            "drift.json in the model's folder, which each run writes; JSON with "
            '{"has_drifted": false} in it says that there is none.',
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --if-changed: submit in any case.")
    ] = False,
) -> None:
    """Upload a compiled pipeline where it is new, run it, and follow the run.

    The exit status is 0 when the run succeeded (or was not due, with --if-changed) and
    1 otherwise. Where the pipeline demands a fingerprint of its data, it is computed
    here, from the path that the run would read.
    """
    from graft.pipeline.kubeflow.cluster import due, submission
    from graft.pipeline.kubeflow.compilation.pipeline_file import (
        check_parameters,
        read_pipeline_file,
        service_account_of,
    )
    from graft.pipeline.kubeflow.compilation.runtime_parameters import (
        FINGERPRINT_PARAMETER,
    )

    spec, configs = read_pipeline_file(pipeline)
    values = parse_parameters(parameters)
    defined = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    fingerprint = defined.get(FINGERPRINT_PARAMETER)
    is_required = fingerprint is not None and "defaultValue" not in fingerprint
    if fingerprint is not None and FINGERPRINT_PARAMETER not in values:
        if is_required or if_changed:
            values[FINGERPRINT_PARAMETER] = due.compute_fingerprint(spec, values)
    check_parameters(spec, values)
    api = connect(host, namespace, token_file, cookie_file)
    uploaded = submission.upload(api, pipeline)
    news = "new" if uploaded.is_new else "known"
    typer.echo(
        f"{spec['pipelineInfo']['name']}, version {uploaded.version_name} ({news})"
    )
    if if_changed and not force:
        paths = [due.drift_path(spec, values), drift_report]
        found = [due.read_drift_report(path) for path in paths if path is not None]
        drift = [report for report in found if report is not None]
        try:
            reason = due.reason_to_run(
                submission.list_runs(api, limit=100),
                uploaded,
                values,
                drift=drift,
            )
        except due.OverlapError as error:
            typer.echo(f"Nothing submitted: {error}")
            return
        if reason is None:
            typer.echo("Nothing submitted: nothing changed since the last good run.")
            for report in drift:
                typer.echo(f"{report.path}: {report.message or 'drift'}")
            return
        typer.echo(f"Due: {reason}.")
    run_id = submission.start_run(
        api,
        pipeline,
        uploaded,
        values,
        experiment=experiment,
        service_account=service_account or service_account_of(configs),
        pipeline_root=pipeline_root,
    )
    typer.echo(f"Run {run_id}: {host.rstrip('/')}/#/runs/details/{run_id}")
    if follow and _follow(api, run_id).state != "SUCCEEDED":
        raise typer.Exit(1)


def runs(
    host: HostOption = DEFAULT_HOST,
    namespace: NamespaceOption = "",
    token_file: TokenFileOption = None,
    cookie_file: CookieFileOption = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, at most.")] = 20,
) -> None:
    """List the newest runs on a cluster."""
    from rich.console import Console
    from rich.table import Table

    from graft.pipeline.kubeflow.cluster import submission

    api = connect(host, namespace, token_file, cookie_file)
    table = Table("run", "state", "started", "id")
    for run in submission.list_runs(api, limit=limit):
        table.add_row(
            str(run.display_name), str(run.state), str(run.created_at), str(run.run_id)
        )
    Console().print(table)


def _follow(api: Api, run_id: str) -> RunState:
    """Show a live table of the steps until the run ends."""
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    from graft.pipeline.kubeflow.cluster import submission

    def table_of(state: RunState) -> Table:
        table = Table(
            "step", "state", title=f"{state.name}: {state.state or 'PENDING'}"
        )
        for name, step_state in state.tasks.items():
            table.add_row(name, step_state or "PENDING")
        return table

    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        ended = submission.follow(
            api, run_id, lambda state: live.update(table_of(state), refresh=True)
        )
    if ended.error:
        console.print(ended.error, markup=False)
    if ended.state != "SUCCEEDED":
        console.print("docs/kubeflow.md, When a run fails, says what to look at.")
    return ended


def _secret(path: Path | None, value: str) -> str:
    from graft.contract.errors import UserError

    if path is None:
        return value
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UserError(f"{str(path)!r} can't be read: {error.strerror}") from error
