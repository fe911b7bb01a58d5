"""What a cluster lacks is told before the first job."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from graft.pipeline.beam_runners.config import FlinkConfig
from graft.pipeline.beam_runners.flink_checks import (
    RunnerError,
    check_flink,
    restart_note,
    running_tasks,
)


@pytest.fixture
def jar(tmp_path: Path) -> str:
    path = tmp_path / "job-server.jar"
    path.touch()
    return str(path)


def unused_address() -> str:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        return f"localhost:{found.getsockname()[1]}"


def test_good_cluster_passes(rest: Any, jar: str) -> None:
    check_flink(FlinkConfig(master=rest.address, job_server_jar=jar, parallelism=2))


def test_no_cluster(jar: str) -> None:
    address = unused_address()
    config = FlinkConfig(master=address, job_server_jar=jar)
    with pytest.raises(RunnerError, match=rf"`beam.flink.master`.*{address}"):
        check_flink(config)
    assert "`beam.flink.master`" in running_tasks(config)


def test_something_else_at_the_address(jar: str) -> None:
    with socket.create_server(("localhost", 0)) as server:
        threading.Thread(target=_answer_nonsense, args=(server,)).start()
        address = f"localhost:{server.getsockname()[1]}"
        with pytest.raises(RunnerError, match=r"`beam\.flink\.master`"):
            check_flink(FlinkConfig(master=address, job_server_jar=jar))


def _answer_nonsense(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1000)
        connection.sendall(b"@@@@\r\n\r\n")


def test_no_job_server(rest: Any) -> None:
    config = FlinkConfig(master=rest.address, job_server=unused_address())
    with pytest.raises(RunnerError, match=r"`beam\.flink\.job_server` must be"):
        check_flink(config)


def test_no_jar(rest: Any) -> None:
    config = FlinkConfig(master=rest.address, job_server_jar="/absent.jar")
    with pytest.raises(RunnerError, match=r"job_server_jar.*'/absent.jar'"):
        check_flink(config)


def test_too_few_slots(rest: Any, jar: str) -> None:
    config = FlinkConfig(master=rest.address, job_server_jar=jar, parallelism=3)
    with pytest.raises(RunnerError, match=r"2 slots, 2 of them free. Received: 3"):
        check_flink(config)
    # This kind of cluster starts TaskManagers when a job needs them.
    rest.answers["/v1/jobmanager/config"] = [
        {"key": "kubernetes.cluster-id", "value": "graft"}
    ]
    check_flink(config)


@pytest.mark.parametrize(
    ("settings", "noted"),
    [
        ({}, "is not set"),
        ({"restart-strategy.type": "none"}, "is none"),
        ({"restart-strategy": "off"}, "is off"),
        ({"restart-strategy.type": "fixed-delay"}, None),
        ({"restart-strategy": "failure-rate"}, None),
    ],
)
def test_cluster_that_starts_no_job_again_is_noted(
    rest: Any, settings: dict[str, str], noted: str | None
) -> None:
    rest.answers["/v1/jobmanager/config"] += [
        {"key": key, "value": value} for key, value in settings.items()
    ]
    note = restart_note(FlinkConfig(master=rest.address, job_server="flink:8099"))
    assert (note is None) == (noted is None)
    if note and noted:
        assert "a lost worker will end the run" in note
        assert f"`restart-strategy.type` {noted}." in note


def test_too_little_network_memory(rest: Any, jar: str) -> None:
    details = rest.answers["/v1/taskmanagers/one"]
    details["memoryConfiguration"]["networkMemory"] = 128 << 20
    config = FlinkConfig(master=rest.address, job_server_jar=jar)
    with pytest.raises(RunnerError, match=r"512m are enough.* Received: 128m .* one"):
        check_flink(config)


@pytest.mark.parametrize(
    ("tasks", "words"),
    [({"running": 2}, "waits for a worker"), ({"scheduled": 2}, "runs no task")],
)
def test_timeout_says_what_the_cluster_does(
    rest: Any, jar: str, tasks: dict[str, int], words: str
) -> None:
    job = {"end-time": -1, "start-time": 5, "tasks": tasks}
    rest.answers["/v1/jobs/overview"] = {"jobs": [job]}
    config = FlinkConfig(master=rest.address, job_server_jar=jar)
    assert words in running_tasks(config)
    job["end-time"] = 7
    assert running_tasks(config) == "Flink runs no job."
