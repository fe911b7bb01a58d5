"""A Flink cluster on this machine: JobManager, TaskManagers, a pool of workers.

    .venv/bin/python tests/flink/cluster.py

starts one and prints its addresses; Ctrl+C ends it. Every process ends with the one
that started the cluster, also if that is killed. They listen on loopback. During a job
that is not so for Beam's services inside the TaskManagers: see `own_network`.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from downloads import distribution, job_server_jar

from graft.serving import child_process

_START_SECONDS = 300
_OPEN_PACKAGES = (
    *("java.lang", "java.lang.reflect", "java.net", "java.nio", "java.text"),
    *("java.time", "java.util", "java.util.concurrent"),
)
_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_TASK_MANAGER_SETTINGS = {
    "taskmanager.cpu.cores": "1",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.task.heap.size": "384m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.task.off-heap.size": "64m",
    "taskmanager.memory.managed.size": "128m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "64m",
    "taskmanager.memory.jvm-overhead.max": "64m",
}


class FlinkCluster:
    """A running cluster; see `flink_cluster`.

    Attributes:
        folder: Logs, and whatever the processes write.
        master: Address of the JobManager's REST API.
        pool: Address of the pool of workers.
        job_server: Address of Beam's job server.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.master = f"localhost:{free_port()}"
        self.pool = f"localhost:{free_port()}"
        self.job_server = f"localhost:{free_port()}"
        self._settings = dict(settings)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *, task_managers: int) -> None:
        """Start all processes, and wait until each TaskManager offers its slot."""
        self._write_configuration()
        self._start_java("job-manager", _JOB_MANAGER)
        for number in range(task_managers):
            self.start_task_manager(number)
        self.start_pool()
        deadline = time.monotonic() + _START_SECONDS
        # A TaskManager registers first, and offers its slot a moment later.
        while self.count_free_slots() < task_managers:
            if time.monotonic() > deadline or self._ended():
                raise RuntimeError(f"the cluster does not start: {self.folder}")
            time.sleep(0.2)

    def start_task_manager(self, number: int) -> None:
        """Start a TaskManager of one slot."""
        options = {**_TASK_MANAGER_SETTINGS, **self._settings}
        words = [word for item in options.items() for word in ("-D", "=".join(item))]
        self._start_java(f"task-manager-{number}", _TASK_MANAGER, words)

    def start_pool(self, *, without: Path | None = None) -> None:
        """Start the pool of workers, as the sidecar of a TaskManager does.

        Args:
            without: A folder of this machine that the pod of the pool does not have.
        """
        port = self.pool.rpartition(":")[2]
        module = "graft.pipeline.beam_runners.worker_pool"
        words = [sys.executable, "-m", module, f"--port={port}"]
        if without is not None:
            hide = Path(__file__).with_name("without_folder.py")
            words = [sys.executable, str(hide), str(without), *words]
        self._start("pool", words)
        _wait_for_port(int(port))

    def start_job_server(self) -> None:
        """Start Beam's job server, which submits jobs to this cluster."""
        port = self.job_server.rpartition(":")[2]
        words = [
            *("java", "-Xmx512m", "-jar", str(job_server_jar())),
            *("--job-host=localhost", f"--job-port={port}"),
            *("--artifact-port=0", "--expansion-port=0"),
            *(f"--flink-master={self.master}",),
            f"--artifacts-dir={self.folder / 'artifacts'}",
        ]
        self._start("job-server", words)
        _wait_for_port(int(port))

    def workers(self) -> list[int]:
        """Return the process IDs of the pool's workers."""
        return children_of(self._processes["pool"].pid)

    def count_free_slots(self) -> int:
        """Return the number of free slots; 0 if there is no answer."""
        with contextlib.suppress(OSError):
            found: int = self.ask("/overview")["slots-available"]
            return found
        return 0

    def ask(self, path: str) -> Any:
        """Return an answer of the JobManager's REST API."""
        url = f"http://{self.master}/v1{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    def count_restarts(self) -> int:
        """Return how often a job was started again."""
        return self.log("job-manager").count(
            "switched from state RUNNING to RESTARTING"
        )

    def count_jobs(self, state: str) -> int:
        """Return the number of jobs in a state, such as FINISHED."""
        jobs = self.ask("/jobs/overview")["jobs"]
        return sum(job["state"] == state for job in jobs)

    def cancel_jobs(self) -> None:
        """Cancel the jobs that still run, and wait until their slots are free."""
        deadline = time.monotonic() + _START_SECONDS
        while running := self._running_jobs():
            for job in running:
                url = f"http://{self.master}/v1/jobs/{job}?mode=cancel"
                request = urllib.request.Request(url, method="PATCH")
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(request, timeout=5).close()
            if time.monotonic() > deadline:
                raise RuntimeError(f"jobs do not end: {running}")
            time.sleep(0.5)

    def _running_jobs(self) -> list[str]:
        jobs = self.ask("/jobs/overview")["jobs"]
        return [job["jid"] for job in jobs if job["end-time"] < 0]

    def kill(self, name: str) -> None:
        """End a process as `kill -9` does."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End all processes."""
        for name in list(self._processes):
            self.kill(name)

    def log(self, name: str) -> str:
        """Return what a process has written so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _ended(self) -> bool:
        return any(one.poll() is not None for one in self._processes.values())

    def _write_configuration(self) -> None:
        host, _, port = self.master.partition(":")
        settings = {
            "jobmanager.rpc.address": host,
            "jobmanager.rpc.port": str(free_port()),
            "jobmanager.bind-host": host,
            "jobmanager.memory.process.size": "1g",
            "rest.address": host,
            "rest.bind-address": host,
            "rest.port": port,
            "blob.server.port": "0",
            "taskmanager.host": host,
            "taskmanager.bind-host": host,
            "taskmanager.numberOfTaskSlots": "1",
            "taskmanager.memory.network.min": "256m",
            "taskmanager.memory.network.max": "256m",
            "io.tmp.dirs": str(self.folder / "tmp"),
            "web.upload.dir": str(self.folder / "uploads"),
            # Otherwise a lost worker fails the job.
            "restart-strategy.type": "fixed-delay",
            "restart-strategy.fixed-delay.attempts": "3",
            "restart-strategy.fixed-delay.delay": "1 s",
            "heartbeat.interval": "1000",
            "heartbeat.timeout": "15000",
            **self._settings,
        }
        (self.folder / "tmp").mkdir()
        (self.folder / "config.yaml").write_text(
            "".join(f"{key}: {json.dumps(value)}\n" for key, value in settings.items())
        )
        (self.folder / "log4j.properties").write_text(
            "rootLogger.level = INFO\nrootLogger.appenderRef.c.ref = c\n"
            "appender.c.name = c\nappender.c.type = CONSOLE\n"
            "appender.c.layout.type = PatternLayout\n"
            "appender.c.layout.pattern = %d{HH:mm:ss} %-5p %c{1} %m%n\n"
        )

    def _start_java(self, name: str, main: str, words: list[str] | None = None) -> None:
        opened = [
            f"--add-opens=java.base/{each}=ALL-UNNAMED" for each in _OPEN_PACKAGES
        ]
        command = [
            *("java", "-Xmx768m", "-XX:+UseSerialGC", *opened),
            f"-Dlog4j.configurationFile={self.folder / 'log4j.properties'}",
            *("-cp", f"{distribution()}/*", main, "--configDir", str(self.folder)),
            *(words or ()),
        ]
        self._start(name, command)

    def _start(
        self, name: str, words: list[str], environment: dict[str, str] | None = None
    ) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                child_process.command(words),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
            )


@contextlib.contextmanager
def flink_cluster(
    folder: Path, *, task_managers: int = 2, **settings: str
) -> Iterator[FlinkCluster]:
    """Start a cluster, and end it.

    Args:
        folder: An empty folder, which all processes see.
        task_managers: How many, of one slot each.
        settings: Settings of Flink; `__` stands for a dot, and `_` for a hyphen.
    """
    named = {
        key.replace("__", ".").replace("_", "-"): value
        for key, value in settings.items()
    }
    cluster = FlinkCluster(folder, named)
    try:
        cluster.start(task_managers=task_managers)
        yield cluster
    finally:
        cluster.stop()


def free_port() -> int:
    """Return a port on loopback that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def children_of(process_id: int) -> list[int]:
    """Return the process IDs of the living children of a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            if stat[0] != "Z" and int(stat[1]) == process_id:
                found.append(int(folder.name))
    return sorted(found)


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("localhost", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return


def main() -> None:
    """Run a cluster until Ctrl+C."""
    stopped = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stopped.set())
    folder = Path(tempfile.mkdtemp(prefix="graft-flink-"))
    with flink_cluster(folder) as cluster:
        cluster.start_job_server()
        print(  # noqa: T201
            f"master={cluster.master} pool={cluster.pool} "
            f"job_server={cluster.job_server} jar={job_server_jar()} logs={folder}",
            flush=True,
        )
        stopped.wait()


if __name__ == "__main__":
    main()
