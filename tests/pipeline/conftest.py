"""A small real data set, and the command line as a user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

RunGraft = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def small() -> tuple[str, ...]:
    """64 pixels instead of 224: a fraction of the time, and enough for three digits."""
    return ("--set", "model.image_size=64", "--set", "gate.min_accuracy=0.8")


def write_digits(folder: Path, *, per_class: int, classes: tuple[int, ...]) -> None:
    """Write handwritten digits of scikit-learn as PNG files in class folders."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for digit in classes:
        target = folder / f"digit {digit}"
        target.mkdir(parents=True)
        chosen = digits.images[digits.target == digit][:per_class]
        for index, image in enumerate(chosen):
            pixels = (image * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).save(target / f"{index:03d}.png")


@pytest.fixture(scope="session")
def digit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 60 real images each; read only."""
    folder = tmp_path_factory.mktemp("digits") / "images"
    write_digits(folder, per_class=60, classes=(0, 1, 4))
    return folder


@pytest.fixture(scope="session")
def run_graft() -> RunGraft:
    """Run `graft` in a process of its own: `run_graft("run", ..., timeout=200)`."""

    def run(
        *arguments: object, timeout: float = 280
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "graft.pipeline.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    return run


@pytest.fixture(scope="session")
def kill_graft_at() -> Callable[..., None]:
    """Start `graft`, and kill it -9 as soon as its log says that a node is running."""

    def kill(node: str, output: Path, *arguments: object) -> None:
        before = set(output.glob("pipelines/*/logs/*.log"))
        process = subprocess.Popen(
            [sys.executable, "-m", "graft.pipeline.cli", *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 250
        try:
            while time.monotonic() < deadline:
                logs = set(output.glob("pipelines/*/logs/*.log")) - before
                if any(f"node {node} is running" in log.read_text() for log in logs):
                    return
                assert process.poll() is None, f"graft ended before {node} began"
                time.sleep(0.05)
            raise AssertionError(f"{node} never began")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    return kill
