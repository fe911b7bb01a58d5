"""What can be known of a Flink cluster before the first job."""

from __future__ import annotations

import http.client
import json
import os
import urllib.request
from typing import Any

from graft.contract.errors import UserError
from graft.pipeline.beam_runners.config import FlinkConfig

_SECONDS = 10.0
_TOO_LITTLE_PER_SLOT = 64 << 20
"""Bytes of network memory with which Transform's jobs fail
(docs/decisions/0072-remote-runners.md)."""
_ENOUGH_PER_SLOT = 256 << 20
"""Bytes with which they run."""
_NO_RESTART = ("none", "off", "disable")


class RunnerError(UserError):
    """The runner that the config names can't run jobs; the message says why."""


class BusyError(RunnerError):
    """The runner has enough workers, and other jobs have them now."""


def check_flink(config: FlinkConfig) -> None:
    """Check that a cluster can take jobs of `config.parallelism` slots.

    Raises:
        BusyError: Other jobs have the slots.
        RunnerError: It can't; the message names the key to change.
    """
    overview = _ask(config, "/overview")
    if config.job_server:
        _check_job_server(config.job_server)
    elif not os.path.isfile(config.job_server_jar or ""):
        raise RunnerError(
            "`beam.flink.job_server_jar` must be a file. Received: "
            f"{config.job_server_jar!r}. docs/flink.md says where to get it."
        )
    if _starts_task_managers(config):
        return
    total, free = overview["slots-total"], overview["slots-available"]
    if free < config.parallelism:
        kind = BusyError if total >= config.parallelism else RunnerError
        raise kind(
            f"`beam.flink.parallelism` must be at most the number of free slots. Flink "
            f"at {config.master} has {overview['taskmanagers']} TaskManagers with "
            f"{total} slots, {free} of them free. Received: {config.parallelism}. Wait "
            "for other jobs, start more TaskManagers, or lower it."
        )
    _check_network_memory(config)


def restart_note(config: FlinkConfig) -> str | None:
    """Return a sentence for a cluster on which a lost worker ends the run; else None.

    Raises:
        RunnerError: The cluster does not answer.
    """
    settings = _settings(config)
    # Flink knows the key by its old name, too. Without one, it restarts no batch job.
    strategy = settings.get("restart-strategy.type", settings.get("restart-strategy"))
    if strategy not in (None, *_NO_RESTART):
        return None
    return (
        f"Note: a lost worker will end the run, since Flink at {config.master} starts "
        "no job again: its `restart-strategy.type` is "
        f"{'not set' if strategy is None else strategy}. docs/flink.md shows one."
    )


def running_tasks(config: FlinkConfig) -> str:
    """Return one sentence on the jobs of a cluster, for the message of a timeout."""
    try:
        jobs = _ask(config, "/jobs/overview")["jobs"]
    except RunnerError as error:
        return str(error)
    running = [job for job in jobs if job["end-time"] < 0]
    if not running:
        return "Flink runs no job."
    tasks = max(running, key=lambda job: int(job["start-time"]))["tasks"]
    if tasks.get("running"):
        return (
            "Flink runs the job, and waits for a worker. Is there a pool of workers at "
            f"{config.worker_pool} beside each TaskManager? Look at its log."
        )
    return "Flink has the job, and runs no task of it: look at the JobManager's log."


def _check_network_memory(config: FlinkConfig) -> None:
    for manager in _ask(config, "/taskmanagers")["taskmanagers"]:
        details = _ask(config, f"/taskmanagers/{manager['id']}")
        memory = details.get("memoryConfiguration", {}).get("networkMemory")
        slots = max(1, int(details.get("slotsNumber", 1)))
        if memory is not None and memory <= slots * _TOO_LITTLE_PER_SLOT:
            raise RunnerError(
                "Flink's `taskmanager.memory.network.min` and `.max` must be larger, "
                "or jobs fail for want of network buffers: "
                f"{slots * _ENOUGH_PER_SLOT >> 20}m are enough for {slots} slot(s). "
                f"Received: {memory >> 20}m on TaskManager {manager['id']}."
            )


def _starts_task_managers(config: FlinkConfig) -> bool:
    """Return whether the cluster starts TaskManagers when a job needs them."""
    settings = _settings(config)
    return "kubernetes.cluster-id" in settings and (
        settings.get("execution.target", "kubernetes-session").startswith("kubernetes")
    )


def _settings(config: FlinkConfig) -> dict[str, str]:
    """Return the settings of a cluster that were given."""
    return {each["key"]: each["value"] for each in _ask(config, "/jobmanager/config")}


def _check_job_server(address: str) -> None:
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        request = beam_job_api_pb2.DescribePipelineOptionsRequest()
        try:
            service.DescribePipelineOptions(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            raise RunnerError(
                "`beam.flink.job_server` must be the address of Beam's job server. "
                f"There is none: {_first_line(error.details())}. Received: {address!r}"
            ) from None


def _ask(config: FlinkConfig, path: str) -> Any:
    """Return an answer of the JobManager's REST API."""
    url = f"http://{config.master}/v1{path}"
    try:
        # `HOST:PORT` was checked, so this is no other scheme.
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            return json.load(answer)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise RunnerError(
            "`beam.flink.master` must be the address of the JobManager's REST API. "
            f"It does not answer: {_first_line(str(reason))}. Received: "
            f"{config.master!r}"
        ) from None


def _first_line(text: str | None) -> str:
    return ((text or "").splitlines() or [""])[0][:300]
