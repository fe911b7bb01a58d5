"""The default runner of Apache Beam, and how it starts worker processes."""

from __future__ import annotations

import shlex
from typing import Any

from apache_beam.options.pipeline_options import StandardOptions
from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    SubprocessSdkWorkerHandler,
    WorkerHandler,
)

from graft.serving import child_process

LOCAL_RUNNER = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"


def keep_beam_local() -> None:
    """Make Beam's in-process runner the default, and end its workers with this process.

    Otherwise Beam downloads a Go program from GitHub for every job, without a hash, and
    uses the in-process runner only if GitHub can't be reached. Hosts with and without
    internet access would run different code.
    """
    StandardOptions.DEFAULT_RUNNER = LOCAL_RUNNER
    WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)(
        _WorkerThatEndsWithParent
    )


class _WorkerThatEndsWithParent(SubprocessSdkWorkerHandler):
    """A worker process of `--direct_running_mode=multi_processing`.

    Beam's own outlives a pipeline that is killed.
    """

    def __init__(self, worker_command_line: bytes, *others: Any) -> None:
        # Beam gives the command to a shell. With `exec`, the shell becomes the worker
        # in place of a parent between it and this process.
        start = f"exec {shlex.join(child_process.command([]))} "
        super().__init__(start.encode() + worker_command_line, *others)
