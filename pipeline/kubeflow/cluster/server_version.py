"""What the version of Kubeflow Pipelines on the cluster allows."""

from __future__ import annotations

import re
from pathlib import Path

from graft.contract.errors import UserError
from graft.pipeline.kubeflow.cluster.api import Api
from graft.pipeline.kubeflow.compilation.pipeline_file import read_run_settings

CHECKED = ("2.16.1", "2.17.0")
"""Versions whose compiler, driver, launcher and API took graft's pipelines."""
FOLLOWS_NEWEST_SINCE = (2, 17)
"""First version whose recurring runs follow the newest version of a pipeline safely.

Before, the API server can panic when such a schedule is created, and its controller
does not find the runs under way, so that `max_concurrency` does not hold
(kubeflow/pipelines, pull request 13440)."""

RUN_SETTINGS_SINCE = (2, 17)
"""First version with limits of a whole run, and with metrics for MLflow."""


class ServerVersionError(UserError):
    """The cluster's Kubeflow Pipelines is too old for a request."""


def parse_version(text: str) -> tuple[int, int] | None:
    """Return major and minor number of a version; None if it is not one."""
    match = re.match(r"v?(\d{1,6})\.(\d{1,6})(?!\d)", text)
    return (int(match[1]), int(match[2])) if match else None


def version_of(api: Api, told: str | None = None) -> str:
    """Return the server's version; empty if nobody tells it.

    Args:
        api: The cluster.
        told: What the user says; counts only if the server tells no version.

    Raises:
        ApiError: The cluster refused the call, or did not answer.
    """
    version = api.server_version()
    if told is not None and parse_version(version) is None:
        return told
    return version


def check_submission(
    version: str, path: Path, mlflow_experiment: str | None = None
) -> None:
    """Refuse what the server would read in part only.

    Args:
        version: What the server tells; empty if it tells none.
        path: What `graft compile` wrote.
        mlflow_experiment: MLflow experiment that the run names.

    Raises:
        ServerVersionError: The server is older than MLflow's experiment or the limits
            of a run in the file, or of an unknown version. It would leave out all
            Kubernetes settings of such a file in silence.
    """
    asked = []
    if read_run_settings(path):
        asked.append("`run_timeout_seconds` and `run_ttl_seconds` of a profile")
    if mlflow_experiment is not None:
        asked.append("`--mlflow-experiment`")
    parsed = parse_version(version)
    if not asked or (parsed is not None and parsed >= RUN_SETTINGS_SINCE):
        return
    needed = ".".join(map(str, RUN_SETTINGS_SINCE))
    if parsed is None:
        mend = (
            "The server does not tell its version, and an older one would leave such "
            f"settings out. {_say_so(needed)}"
        )
    else:
        mend = "Upgrade, or go without (after a change of the profile, compile again)."
    raise ServerVersionError(
        f"Kubeflow Pipelines {needed} or later is needed for {' and '.join(asked)}. "
        f"{mend} Received: version {version!r}"
    )


def describe(version: str) -> str:
    """Return a line about the server's version for the user.

    Args:
        version: What the server tells; empty if it tells none.
    """
    if not version:
        line = "Kubeflow Pipelines of an unknown version"
    else:
        line = f"Kubeflow Pipelines {version}"
    known = {parse_version(checked) for checked in CHECKED}
    if parse_version(version) in known:
        return line
    return f"{line}; graft was checked against {' and '.join(CHECKED)}"


def check_follows_newest(api: Api, told: str | None = None) -> str:
    """Return the server's version if its recurring runs follow the newest version.

    Args:
        api: The cluster.
        told: See `version_of`.

    Raises:
        ServerVersionError: The server is too old, or its version is unknown.
        ApiError: The cluster refused the call, or did not answer.
    """
    version = version_of(api, told)
    parsed = parse_version(version)
    if parsed is not None and parsed >= FOLLOWS_NEWEST_SINCE:
        return version
    needed = ".".join(map(str, FOLLOWS_NEWEST_SINCE))
    mend = "Upgrade it, or use `--engine cronjob`."
    if parsed is None:
        mend = (
            f"The server does not tell its version. {_say_so(needed)} Else use "
            "`--engine cronjob`."
        )
    raise ServerVersionError(
        "A schedule that follows the newest version of a pipeline needs Kubeflow "
        f"Pipelines {needed} or later: an older server may crash, or start a run "
        f"beside another one. {mend} "
        f"Received: version {version!r} of {api.connection.host}"
    )


def _say_so(needed: str) -> str:
    return f"If it is new enough, say so: `--server-version {needed}`."
