"""Serve mixed requests for an hour while versions change, and check every answer.

    python tests/benchmarks/server_endurance.py                  # an hour
    python tests/benchmarks/server_endurance.py --seconds 120    # the short form

Four clients send Predict, Classify, Regress, status, metadata and wrong requests, by
gRPC and by REST. Meanwhile versions are published, the label `stable` moves by
HandleReloadConfigRequest, and old versions are deleted. It ends with status 1 if an
answer was wrong, if memory grew, or if descriptors or threads stayed open.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
from server_clients import GrpcClient, RestClient, WrongAnswerError
from server_processes import NAME, Server, serve
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
SWAP_SECONDS = 60.0
SAMPLE_SECONDS = 5.0
MEMORY_TOLERANCE = 0.05
"""Largest growth of memory, from the second tenth of the time to the last one."""
_SETTLE_SECONDS = 10.0


class Versions:
    """Publishes versions and moves the label `stable` to the newest.

    Odd versions multiply by 4, even ones by 8.

    Args:
        base_path: The model's folder.
        sources: Folders of the odd and the even version.
    """

    def __init__(self, base_path: Path, sources: tuple[Path, Path]) -> None:
        self.number = 0
        self._base_path = base_path
        self._sources = sources

    def publish(self) -> None:
        """Make the next version appear at once."""
        source = self._sources[self.number % 2]
        self.number += 1
        hidden = self._base_path / f".{self.number}"
        shutil.copytree(source, hidden)
        hidden.rename(self._base_path / str(self.number))

    def swap(self, server: Server) -> None:
        """Publish a version, move the label to it, and delete the one before."""
        self.publish()
        with grpc.insecure_channel(server.target) as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            deadline = time.monotonic() + 60
            while True:
                try:
                    stub.HandleReloadConfigRequest(self._config(), timeout=60)
                    break
                except grpc.RpcError as error:
                    # The label waits for its version to load.
                    code = error.code()
                    is_early = code is grpc.StatusCode.FAILED_PRECONDITION
                    if not is_early or time.monotonic() > deadline:
                        raise
                time.sleep(0.2)
        shutil.rmtree(self._base_path / str(self.number - 1))

    def _config(self) -> Any:
        request = model_management_pb2.ReloadConfigRequest()
        config = request.config.model_config_list.config.add(
            name=NAME, base_path=str(self._base_path), model_platform="tensorflow"
        )
        config.version_labels["stable"] = self.number
        return request


class Watch:
    """Samples of a process: memory in MiB, descriptors and threads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.memory: list[float] = []
        self.descriptors: list[int] = []
        self.threads: list[int] = []

    def sample(self) -> None:
        """Take one."""
        process = Path(f"/proc/{self._server.process.pid}")
        self.memory.append(self._server.memory_mib())
        self.descriptors.append(len(os.listdir(process / "fd")))
        self.threads.append(len(os.listdir(process / "task")))


def run(
    server: Server, versions: Versions, images: Any, options: Any
) -> dict[str, Any]:
    """Send requests for a time, and return the figures."""
    counts: Counter[str] = Counter()
    errors: list[str] = []
    is_over = threading.Event()
    pause = 4 / options.rate

    def work(make: Callable[[int], Any], seed: int) -> None:
        try:
            with contextlib.closing(make(seed)) as client:
                while not is_over.wait(pause):
                    counts[client.ask()] += 1
        except (WrongAnswerError, grpc.RpcError, OSError) as error:
            errors.append(f"{type(error).__name__}: {error}"[:2000])
            is_over.set()

    def grpc_client(seed: int) -> Any:
        return GrpcClient(server.target, NAME, images, seed)

    def rest_client(seed: int) -> Any:
        return RestClient(server.rest_port, NAME, images, seed)

    before, watch, after = Watch(server), Watch(server), Watch(server)
    makes = (grpc_client, rest_client, grpc_client, rest_client)
    versions.swap(server)
    _one_of_each(makes, counts)
    time.sleep(_SETTLE_SECONDS)
    before.sample()
    threads = [
        threading.Thread(target=work, args=(make, seed))
        for seed, make in enumerate(makes)
    ]
    for thread in threads:
        thread.start()
    begin = swapped = time.monotonic()
    while time.monotonic() < begin + options.seconds and not is_over.is_set():
        watch.sample()
        if time.monotonic() > swapped + options.swap_seconds:
            swapped = time.monotonic()
            versions.swap(server)
        is_over.wait(SAMPLE_SECONDS)
        if options.progress:
            line = f"{time.monotonic() - begin:.0f} s {watch.memory[-1]:.1f} MiB"
            sys.stderr.write(f"{line} {counts.total()} answers\n")
    seconds = time.monotonic() - begin
    is_over.set()
    for thread in threads:
        thread.join()
    time.sleep(_SETTLE_SECONDS)
    after.sample()
    return _figures(seconds, counts, errors, versions, (before, watch, after))


def _one_of_each(makes: Sequence[Callable[[int], Any]], counts: Counter[str]) -> None:
    """Let each kind of request start the threads that it needs."""
    for make in makes[:2]:
        with contextlib.closing(make(0)) as client:
            for kind in client.kinds:
                counts[client.ask(kind)] += 1


def _figures(
    seconds: float,
    counts: Counter[str],
    errors: list[str],
    versions: Versions,
    watches: tuple[Watch, Watch, Watch],
) -> dict[str, Any]:
    watch = watches[1]
    tenth = max(1, len(watch.memory) // 10)
    early = statistics.median(watch.memory[tenth : 2 * tenth] or watch.memory)
    late = statistics.median(watch.memory[-tenth:])
    return {
        "seconds": round(seconds, 1),
        "answers": counts.total(),
        "answers_by_kind": dict(sorted(counts.items())),
        "versions": versions.number,
        "wrong": errors,
        "memory_mib_by_tenths": [
            round(statistics.median(watch.memory[start : start + tenth]), 1)
            for start in range(0, len(watch.memory), tenth)
        ],
        "memory_growth": round(late / early - 1, 4),
        "descriptors": _before_most_after(watches, "descriptors"),
        "threads": _before_most_after(watches, "threads"),
    }


def _before_most_after(watches: tuple[Watch, Watch, Watch], name: str) -> list[int]:
    before, watch, after = (getattr(each, name) for each in watches)
    return [before[0], max(watch), after[0]]


def problems(figures: dict[str, Any]) -> list[str]:
    """Return what is wrong with the figures of a run."""
    found = list(figures["wrong"])
    if figures["memory_growth"] > MEMORY_TOLERANCE:
        found.append(f"memory grew by {figures['memory_growth']:.1%}")
    for name in ("descriptors", "threads"):
        before, _, after = figures[name]
        # Pools keep the threads that they started, so some more may be left.
        allowed = before if name == "descriptors" else before + 16
        if after > allowed:
            found.append(f"{name}: {before} before, {after} after")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server and its clients; return the exit status."""
    parser = argparse.ArgumentParser(description="An hour of mixed requests.")
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--rate", type=float, default=80, help="requests a second")
    parser.add_argument("--swap-seconds", type=float, default=SWAP_SECONDS)
    parser.add_argument("--progress", action="store_true")
    options = parser.parse_args(arguments)
    sys.path.insert(0, str(ROOT / "tests" / "serving"))
    from conftest import BUILD, png

    images = {"red": png(250, 5, 5), "green": png(5, 250, 5), "blue": png(5, 5, 250)}
    with tempfile.TemporaryDirectory(prefix="graft-endurance-") as folder:
        sources = Path(folder) / "four", Path(folder) / "eight"
        subprocess.run([sys.executable, "-c", BUILD, *map(str, sources)], check=True)
        base_path = Path(folder) / NAME
        base_path.mkdir()
        versions = Versions(base_path, sources)
        versions.publish()
        with serve(base_path) as server:
            figures = run(server, versions, images, options)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    found = problems(figures)
    for each in found:
        sys.stderr.write(f"{each}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
