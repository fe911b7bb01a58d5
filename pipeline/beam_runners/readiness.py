"""Check, before the first step, that the config's runner can run the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graft.pipeline.beam_runners.config import BeamConfig
from graft.pipeline.beam_runners.flink_checks import (
    check_flink,
    restart_note,
    running_tasks,
)


def require_ready(
    config: BeamConfig,
    arguments: Sequence[str],
    folder: str,
    say: Callable[[str], None],
) -> None:
    """Check the runner; a local one needs no check.

    Args:
        config: The runner.
        arguments: All arguments for Beam.
        folder: The folder of the output, which workers must see.
        say: Called with what is being waited for, and with notes on the runner.

    Raises:
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
        folder,
        parallelism=config.flink.parallelism if is_flink else 1,
        timeout_seconds=config.start_timeout_seconds,
        say=say,
        why_late=lambda: running_tasks(config.flink) if is_flink else "",
    )
