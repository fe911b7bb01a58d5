"""Follow a run on a cluster, and retry its failed steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from graft.pipeline.kubeflow.cluster.api import RETRIED_STATUSES, Api, ApiError

ENDED = ("SUCCEEDED", "SKIPPED", "FAILED", "CANCELED")
UNFINISHED = ("PENDING", "RUNNING", "CANCELING", "PAUSED")
PUSH_STEP = "Pusher"
EXIT_RUN_FAILED = 5
"""Exit status of `graft submit` if the run on the cluster failed."""
MAX_STALE_ANSWERS = 6
"""Most answers after a retry that may still describe the failure before it."""


@dataclass(frozen=True)
class RunState:
    """State of a run on the cluster.

    Attributes:
        run_id: Id of the run.
        name: Its display name.
        state: State in KFP; empty until it has one.
        tasks: Name of each step to its state.
        error: Message of the API about a failure; may be empty.
        finished_at: When it ended, ISO 8601; until then empty, or the year 1970.
        plugin_failures: Message of each plugin of the server that failed, such as
            `mlflow`. The run goes on without it.
    """

    run_id: str
    name: str
    state: str
    tasks: dict[str, str]
    error: str
    finished_at: str = ""
    plugin_failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Whether the run has ended."""
        return self.state in ENDED


def get_run(api: Api, run_id: str, steps: Collection[str]) -> RunState:
    """Return the state of a run and of its steps.

    The API lists each node of the workflow: drivers, executors, a node for each attempt
    (`executor(0)`, `Trainer(0)`) and the workflow itself. The node with the plain name
    of a step has the state of the step.

    Args:
        api: The cluster.
        run_id: The run.
        steps: Names of the pipeline's steps.

    Raises:
        ApiError: The cluster refused the call, or did not answer.
    """
    run = api.call(api.runs.run_service_get_run, run_id)
    details = (run.run_details.task_details or []) if run.run_details else []
    states = {item.display_name: str(item.state or "") for item in details if item}
    return RunState(
        run_id=api.required_id(run.run_id, f"the run {run_id!r}"),
        name=str(run.display_name),
        state=str(run.state or ""),
        tasks={step: states[step] for step in steps if step in states},
        error=str(run.error.message) if run.error and run.error.message else "",
        finished_at=run.finished_at.isoformat() if run.finished_at else "",
        plugin_failures={
            name: str(output.state_message or "no message")
            for name, output in (run.plugins_output or {}).items()
            if output and output.state == "PLUGIN_FAILED"
        },
    )


def follow(
    api: Api,
    run_id: str,
    on_change: Callable[[RunState], None],
    *,
    steps: Collection[str],
    retried: RunState | None = None,
    poll_seconds: float = 10.0,
) -> RunState:
    """Wait until a run ends.

    Args:
        api: The cluster.
        run_id: The run.
        on_change: Called after each change of a state.
        steps: Names of the pipeline's steps.
        retried: The failure after which the run was retried. The API may tell it for
            some more time.
        poll_seconds: Time between two requests.

    Returns:
        The final state of the run.

    Raises:
        ApiError: The cluster no longer answers; the run goes on.
    """
    last: RunState | None = None
    num_stale = 0
    while True:
        state = get_run(api, run_id, steps)
        is_stale = (
            retried is not None
            and state.state == retried.state
            and state.finished_at == retried.finished_at
        )
        if is_stale and num_stale < MAX_STALE_ANSWERS:
            num_stale += 1
        else:
            if state != last:
                on_change(state)
                last = state
            if state.has_ended:
                return state
        time.sleep(poll_seconds)


def retry_run(api: Api, run_id: str) -> None:
    """Run the failed steps of a failed run again; the others keep their outputs.

    Args:
        api: The cluster.
        run_id: The run.

    Raises:
        ApiError: The cluster can't retry this run.
    """
    try:
        api.call(api.runs.run_service_retry_run, run_id, may_repeat=False)
    except ApiError as error:
        # The answer to a retry that took place may be lost.
        if error.status not in (0, *RETRIED_STATUSES):
            raise
        if get_run(api, run_id, ()).has_ended:
            raise
