"""A rollback is served at the server's next poll, and no request fails meanwhile."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from graft.components.publishing import store
from graft.components.publishing.production import read_production, served_version
from graft_client import PredictionClient
from graft_client.errors import CallError

ROOT = Path(__file__).resolve().parents[3]
POLL_SECONDS = 1
"""The server's own default, and TensorFlow Serving's."""


@contextmanager
def serving(model_folder: Path, log: Path) -> Iterator[PredictionClient]:
    """Run the embedded server on a model's folder until the block ends."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "graft.serving.embedded", f"--port={port}"]
    command += ["--rest_api_port=0", f"--model_name={model_folder.name}"]
    command += [f"--model_base_path={model_folder}"]
    command += [f"--file_system_poll_wait_seconds={POLL_SECONDS}"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=file, stderr=file, env={**os.environ}
        )
    try:
        with PredictionClient(
            f"localhost:{port}", name=model_folder.name, max_attempts=1
        ) as client:
            yield client
    finally:
        process.terminate()
        process.wait(30)


def ask(client: PredictionClient) -> tuple[int, str]:
    """Return the version that answers, and its answer about a red image."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((12, 10, 3), (200, 20, 20), np.uint8)).save(buffer, "PNG")
    (answer,) = client.predict([buffer.getvalue()])
    return answer.model_version, answer.class_name


def wait_for_version(client: PredictionClient, number: int, *, starting: bool) -> str:
    """Return the answer of a version as soon as it serves; others may answer before."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            version, name = ask(client)
        except CallError:
            assert starting, "a request failed while versions changed"
        else:
            if version == number:
                return name
        time.sleep(0.05)
    raise AssertionError(f"version {number} was not served")


def test_a_rollback_is_served_at_the_next_poll(
    save_model: Callable[..., Path], tmp_path: Path
) -> None:
    folder = tmp_path / "store" / "colours"
    good, bad = (
        store.publish(
            str(save_model(name, order) / "Format-Serving"),
            str(folder),
            {},
            against=read_production(str(folder)),
            keep_versions=5,
        )
        for name, order in (("good", (2, 1, 0)), ("bad", (0, 1, 2)))
    )
    with serving(folder, tmp_path / "server.log") as client:
        assert wait_for_version(client, bad.number, starting=True) == "blue"
        start = time.monotonic()
        graft = [sys.executable, "-c", "from graft.pipeline.cli import main; main()"]
        rollback = [*graft, "rollback", "--reason", "red became blue"]
        done = subprocess.run(
            [*rollback, "--model-dir", str(folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        rolled_back = time.monotonic()
        served = served_version(str(folder))
        assert served is not None
        assert served.number > bad.number > good.number
        assert wait_for_version(client, served.number, starting=False) == "red"
        print(  # noqa: T201 - figures for `pytest -s`
            f"rollback {rolled_back - start:.2f} s, then served after "
            f"{time.monotonic() - rolled_back:.2f} s"
        )
