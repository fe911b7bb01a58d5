"""Kills, damaged files, overlapping changes and hostile requests, all on one store.

`make test-chaos` runs it. GRAFT_CHAOS_SEED repeats a game.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from hostile_requests import (
    METHODS,
    PATHS,
    attack,
    random_message,
    send_path,
    send_random_body,
    still_serves,
)

from graft.components.publishing.production import read_production
from graft_client import PredictionClient

TESTS = Path(__file__).resolve().parents[1]
NUM_REQUESTS = 5000


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_chaos(tmp_path, model_versions, run_server, colours):
    """Large: some minutes."""
    seed = int(os.environ.get("GRAFT_CHAOS_SEED", time.time_ns() % 2**32))
    sys.stdout.write(f"GRAFT_CHAOS_SEED={seed}\n")
    folder = tmp_path / "store" / "colours"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    paths = [str(TESTS / "components" / "publishing"), os.environ.get("PYTHONPATH", "")]
    script = subprocess.Popen(
        [
            *(sys.executable, str(TESTS / "serving" / "chaos_script.py")),
            *(str(folder), str(model_versions[0].parent), str(seed)),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "TMPDIR": str(temporary),
            "TF_CPP_MIN_LOG_LEVEL": "2",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        while not list(folder.glob("[0-9]*")):
            assert script.poll() is None, script.communicate()[0]
            time.sleep(0.1)
        flags = (
            "--model_name=colours",
            f"--model_base_path={folder}",
            "--file_system_poll_wait_seconds=1",
        )
        with run_server(tmp_path / "server.log", *flags) as server:
            harass(server, random.Random(seed), colours)
            told, _ = script.communicate(timeout=1500)
            sys.stdout.write(told)
            assert script.returncode == 0, f"seed {seed}: {told}"
            wait_for(server, read_production(str(folder)).version, colours)
            still_serves(server, colours)
            assert server.stop() == 0
            assert "Traceback" not in server.log.read_text()
    finally:
        script.kill()
        script.communicate()


def harass(server, generator: random.Random, colours) -> None:
    with grpc.insecure_channel(server.target) as channel:
        for number in range(NUM_REQUESTS):
            kind = number % 10
            if kind < 6:
                message = random_message(generator, colours["red"])
                attack(channel, message, generator.choice(METHODS))
            elif kind < 9:
                send_random_body(server, generator)
            else:
                send_path(server, generator.choice(PATHS))
    assert server.process.poll() is None


def wait_for(server, version: int | None, colours) -> None:
    """Wait until the server answers with the version in production."""
    with PredictionClient(server.target, name="colours") as client:
        deadline = time.monotonic() + 60
        while client.predict([colours["red"]])[0].model_version != version:
            assert time.monotonic() < deadline
            time.sleep(0.2)
