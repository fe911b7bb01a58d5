"""`graft submit`: run a compiled pipeline on a cluster, and follow it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
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
from graft.pipeline.commands.waiting import shown_while_waiting

if TYPE_CHECKING:
    from graft.pipeline.kubeflow.cluster.api import Api
    from graft.pipeline.kubeflow.cluster.following import RunState
    from graft.pipeline.kubeflow.cluster.run_triggers import DriftReport
    from graft.pipeline.kubeflow.cluster.submission import PipelineVersion

PipelineArgument = Annotated[Path, typer.Argument(help="What `graft compile` wrote.")]
ExperimentOption = Annotated[
    str, typer.Option("--experiment", help="Name of the experiment.")
]
PipelineRootOption = Annotated[
    str | None, typer.Option("--pipeline-root", help="Where artifacts are stored.")
]
FollowOption = Annotated[
    bool, typer.Option("--follow/--no-follow", help="Wait until the run ends.")
]
RetriesOption = Annotated[
    int,
    typer.Option(
        "--retries",
        min=0,
        max=10,
        help="Times that a failed run is retried while this command follows it. The "
        "steps that had ended keep their outputs.",
    ),
]
IfChangedOption = Annotated[
    bool,
    typer.Option(
        "--if-changed",
        help="Submit only if data, code or config changed since the last "
        "successful run. A run that is under way is followed instead.",
    ),
]
DriftReportOption = Annotated[
    Path | None,
    typer.Option(
        "--drift-report",
        help="With --if-changed: another file that reports drift, beside the "
        "drift.json that each run writes to the model's folder. JSON with "
        '{"has_drifted": false} reports no drift.',
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="With --if-changed: submit in any case.")
]


def submit(  # noqa: PLR0917 - options of a command
    pipeline: PipelineArgument,
    host: HostOption = DEFAULT_HOST,
    namespace: NamespaceOption = "",
    token_file: TokenFileOption = None,
    cookie_file: CookieFileOption = None,
    parameters: ParameterOption = None,
    experiment: ExperimentOption = "graft",
    service_account: ServiceAccountOption = None,
    pipeline_root: PipelineRootOption = None,
    mlflow_experiment: MlflowExperimentOption = None,
    follow: FollowOption = True,
    retries: RetriesOption = 0,
    if_changed: IfChangedOption = False,
    drift_report: DriftReportOption = None,
    force: ForceOption = False,
    server_version: ServerVersionOption = None,
) -> None:
    """Upload a compiled pipeline if it is new, run it, and follow the run.

    The exit status is 0 if the run succeeded, or if --if-changed found no reason to
    submit; 5 if the run failed on the cluster; otherwise 1. If the pipeline requires a
    fingerprint of its data, this computes it from the data path of the run.
    """
    from graft.contract.errors import UserError
    from graft.pipeline.kubeflow.cluster import following, submission
    from graft.pipeline.kubeflow.cluster import server_version as versions
    from graft.pipeline.kubeflow.cluster.run_triggers import OverlapError
    from graft.pipeline.kubeflow.compilation.pipeline_file import (
        check_parameters,
        check_run_paths,
        read_pipeline_file,
        service_account_of,
    )
    from graft.pipeline.kubeflow.compilation.pipeline_spec import tasks_of

    if retries and not follow:
        raise UserError("`--retries` needs `--follow`: only a follower sees a failure.")
    spec, kubernetes_configs = read_pipeline_file(pipeline)
    values = parse_parameters(parameters)
    values |= _computed_fingerprint(spec, values, is_optional=not if_changed)
    check_parameters(spec, values)
    check_run_paths(values, kubernetes_configs)
    api = connect(host, namespace, token_file, cookie_file)
    server = versions.version_of(api, server_version)
    versions.check_submission(server, pipeline, mlflow_experiment)
    typer.echo(versions.describe(server))
    version = submission.upload(api, pipeline)
    typer.echo(
        f"{spec['pipelineInfo']['name']}, version {version.version_name} "
        f"({'new' if version.is_new else 'known'})"
    )

    def start() -> str:
        run_id = submission.start_run(
            api,
            pipeline,
            version,
            values,
            experiment=experiment,
            service_account=service_account or service_account_of(kubernetes_configs),
            pipeline_root=pipeline_root,
            mlflow_experiment=mlflow_experiment,
        )
        typer.echo(f"Run {run_id}: {host.rstrip('/')}/#/runs/details/{run_id}")
        return run_id

    try:
        if if_changed and not force:
            reports = _read_drift_reports(spec, values, drift_report)
            if not _has_reason_to_run(api, version, values, reports):
                return
        run_id = start()
    except OverlapError as error:
        typer.echo(f"Nothing submitted: {error}")
        run_id = error.run_id
    if follow:
        steps = [task.name for task in tasks_of(spec)]
        last = _follow_with_retries(api, run_id, start, steps=steps, retries=retries)
        if last.state != "SUCCEEDED":
            raise typer.Exit(following.EXIT_RUN_FAILED)


def _computed_fingerprint(
    spec: Mapping[str, Any], values: Mapping[str, Any], *, is_optional: bool
) -> dict[str, str]:
    """Return the parameter with the data's fingerprint, unless no one needs it.

    Args:
        spec: The compiled pipeline.
        values: The parameters that the user gave.
        is_optional: Whether the fingerprint may keep its default where it has one.
    """
    from graft.pipeline.kubeflow.cluster.run_triggers import compute_fingerprint
    from graft.pipeline.kubeflow.compilation.runtime_parameters import (
        FINGERPRINT_PARAMETER,
    )

    defined = spec["root"].get("inputDefinitions", {}).get("parameters", {})
    definition = defined.get(FINGERPRINT_PARAMETER)
    if definition is None or FINGERPRINT_PARAMETER in values:
        return {}
    if is_optional and "defaultValue" in definition:
        return {}
    with shown_while_waiting("Listing the images"):
        return {FINGERPRINT_PARAMETER: compute_fingerprint(spec, values)}


def _read_drift_reports(
    spec: Mapping[str, Any], values: Mapping[str, Any], further: Path | None
) -> list[DriftReport]:
    """Read the report in the model's folder, and the one that the user named."""
    from graft.pipeline.kubeflow.cluster import run_triggers

    paths = [run_triggers.drift_report_path(spec, values), further]
    reports = [run_triggers.read_drift_report(path) for path in paths if path]
    return [report for report in reports if report is not None]


def _has_reason_to_run(
    api: Api,
    version: PipelineVersion,
    values: Mapping[str, Any],
    reports: list[DriftReport],
) -> bool:
    """Decide whether --if-changed submits a run, and print why.

    Raises:
        OverlapError: A run of the pipeline has not ended.
    """
    from graft.pipeline.kubeflow.cluster import run_triggers, submission

    runs = submission.list_runs(api, limit=100)
    reason = run_triggers.reason_to_run(runs, version, values, drift=reports)
    if reason is not None:
        typer.echo(f"Submitting: {reason}.")
        return True
    typer.echo("Nothing submitted: nothing changed since the last successful run.")
    for report in reports:
        typer.echo(f"{report.path}: {report.message or 'drift'}")
    return False


def _follow_with_retries(
    api: Api,
    run_id: str,
    start: Callable[[], str],
    *,
    steps: Collection[str],
    retries: int,
) -> RunState:
    """Follow a run. After a failure retry it, or start another one if that can't be.

    If pushing failed, another version may have come into production since the gate's
    verdict. A retry would push by the same verdict, so another run asks the gate.

    Args:
        api: The cluster.
        run_id: The run.
        start: Starts another run with the same parameters, and returns its id.
        steps: Names of the pipeline's steps.
        retries: Most retries.

    Returns:
        The final state of the last run.
    """
    from graft.pipeline.kubeflow.cluster import following
    from graft.pipeline.kubeflow.cluster.api import ApiError

    last = _follow(api, run_id, steps=steps, retried=None)
    for number in range(1, retries + 1):
        if last.state != "FAILED":
            break
        retried: RunState | None = last
        try:
            if last.tasks.get(following.PUSH_STEP) == "FAILED":
                raise ApiError("pushing failed, so that the gate must be asked again")
            following.retry_run(api, run_id)
            typer.echo(f"Retry {number} of {retries}: the failed steps run again.")
        except ApiError as error:
            typer.echo(
                f"Retry {number} of {retries}: the run can't be retried ({error}). "
                "Another one starts; finished steps come from the cache."
            )
            run_id, retried = start(), None
        last = _follow(api, run_id, steps=steps, retried=retried)
    if last.state != "SUCCEEDED":
        typer.echo('docs/kubeflow.md, "When a run fails", lists what to check.')
    return last


def _follow(
    api: Api, run_id: str, *, steps: Collection[str], retried: RunState | None
) -> RunState:
    """Show a live table of the steps until the run ends."""
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    from graft.pipeline.kubeflow.cluster import following

    def table_of(run: RunState) -> Table:
        table = Table("step", "state", title=f"{run.name}: {run.state or 'PENDING'}")
        for name, step_state in run.tasks.items():
            table.add_row(name, step_state or "PENDING")
        return table

    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        last = following.follow(
            api,
            run_id,
            lambda run: live.update(table_of(run), refresh=True),
            steps=steps,
            retried=retried,
        )
    if last.error:
        console.print(last.error, markup=False)
    for name, message in last.plugin_failures.items():
        console.print(f"The run went on without {name}: {message}", markup=False)
    return last
