"""Check, before the first step, that the config's runner can run the pipeline."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from graft.pipeline.beam_runners.config import BeamConfig
from graft.pipeline.beam_runners.flink_checks import (
    BusyError,
    check_flink,
    restart_note,
    running_tasks,
)

_BUSY_SECONDS = 20.0


def require_ready(
    config: BeamConfig,
    arguments: Sequence[str],
    folders: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Check the runner; a local one needs no check.

    Args:
        config: The runner.
        arguments: All arguments for Beam.
        folders: What the workers must see; see `try_runner`.
        say: Called with what is being waited for, and with notes on the runner.

    Raises:
        BusyError: Other jobs have the workers.
        RunnerError: It can't run the pipeline; the message says why.
    """
    if not config.is_remote:
        return
    is_flink = config.runner == "flink"
    if is_flink:
        check_flink(config.flink)
        if note := restart_note(config.flink):
            say(note)
    say("Trying the runner with a small job")
    # Imported here, since Beam takes a second to import.
    from graft.pipeline.beam_runners.trial import try_runner

    try_runner(
        arguments,
        folders,
        parallelism=config.flink.parallelism if is_flink else 1,
        timeout_seconds=config.start_timeout_seconds,
        say=say,
        why_late=lambda: running_tasks(config.flink) if is_flink else "",
    )


def wait_while_busy(check: Callable[[], None], say: Callable[[str], None]) -> None:
    """Call a check again while other jobs have the workers.

    Args:
        check: Raises `BusyError` then.
        say: Called with the reason, each time.
    """
    while True:
        try:
            check()
        except BusyError as error:
            say(f"Waiting for other jobs to end. {error}")
            time.sleep(_BUSY_SECONDS)
        else:
            return
