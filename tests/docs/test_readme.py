"""The commands of the README, in its order, on a small folder of images."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEADLINE_SECONDS = 120


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language; an empty one has none."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.M)
    return [text for of, text in fenced if of == language]


def commands(block: str) -> list[str]:
    """Return the command lines of a block, without their comments."""
    lines = [line.partition(" #")[0].strip() for line in block.splitlines()]
    return [line for line in lines if line]


(CLONE, *MAKE), OWN_IMAGES = map(commands, blocks("sh"))
(MY_YAML,) = blocks("yaml")
(CALL,) = blocks("python")
(LAST_SCREEN,) = blocks("")[:1]


@pytest.fixture(scope="module")
def folder(write_photos, tmp_path_factory) -> Path:
    """A user's folder: training images, new images, a config and `.venv`."""
    made = tmp_path_factory.mktemp("user")
    write_photos(made)
    (made / "my.yaml").write_text(MY_YAML, encoding="utf-8")
    (made / ".venv").symlink_to(sys.prefix)
    return made


def run(command: str, folder: Path) -> str:
    """Run a line of the README in a shell of the user; return standard output."""
    activate = OWN_IMAGES[0]
    assert activate.startswith("source ")
    done = subprocess.run(
        ["bash", "-ec", f"{activate}\n{command}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_commands_are_those_that_are_tested_here():
    """A command that is added to the README needs a test in this file."""
    assert CLONE == "git clone REPOSITORY graft && cd graft"
    assert MAKE == ["make run", "make test"]
    assert [line.split()[:2] for line in OWN_IMAGES] == [
        ["source", ".venv/bin/activate"],
        ["graft", "run"],
        ["graft", "predict"],
        ["graft", "serve"],
    ]


def test_my_yaml_is_accepted(folder):
    run("graft config check my.yaml", folder)
    with pytest.raises(AssertionError, match="min_acuracy"):
        run("graft config check my.yaml --set gate.min_acuracy=0.9", folder)


def test_make_test_runs_pytest():
    shown = subprocess.run(
        [*MAKE[1].split(), "--dry-run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "-m pytest" in shown.stdout


@pytest.mark.large
@pytest.mark.timeout(900)
def test_make_run_ends_with_the_screen_that_is_shown(folder):
    """A run of the whole pipeline."""
    config = {
        "name": "digits",
        "output": str(folder / "made"),
        "data": {"path": str(folder / "my_photos")},
        "model": {"image_size": 64},
        "push": {"model_name": "digits"},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(config))
    # Set-up made this environment, and must not change it while tests run.
    done = subprocess.run(
        [*MAKE[0].split(), "--assume-old=setup", f"CONFIG={path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    labels = re.findall(r"^(\w.*?) {2,}", LAST_SCREEN, re.M)
    assert len(labels) > 5
    for label in labels:
        assert re.search(rf"^{label} {{2,}}\S", done.stdout, re.M), label


@pytest.fixture(scope="module")
def pushed(folder) -> Path:
    """The folder of the model that the README's `graft run` pushed."""
    run(OWN_IMAGES[1], folder)
    (version,) = (folder / "graft_output" / "serving" / "my-photos").glob("[0-9]*")
    return version


@pytest.mark.large
@pytest.mark.timeout(900)
def test_pushed_model_classifies_new_photos(pushed, folder):
    """A run of the whole pipeline, by the fixture."""
    shown = run(OWN_IMAGES[2], folder)
    for path in (folder / "new_photos").iterdir():
        assert path.name in shown
    assert "digit 0" in shown


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[int, int]]:
    """Run the README's server on free ports; give those of gRPC and REST."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        grpc, rest = one.getsockname()[1], other.getsockname()[1]
    script = f"{OWN_IMAGES[0]}\nexec {OWN_IMAGES[3]} --port {grpc} --rest-port {rest}"
    process = subprocess.Popen(
        ["bash", "-ec", script],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield grpc, rest
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.mark.large
@pytest.mark.timeout(900)
def test_server_serves_the_pushed_model(pushed, folder):
    """A run of the whole pipeline, by the fixture, and the start of a server."""
    with serving(folder) as (grpc, rest):
        url = f"http://127.0.0.1:{rest}/v1/models/my-photos"
        deadline = time.monotonic() + DEADLINE_SECONDS
        status = None
        while status is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(url) as answer:
                    status = json.load(answer)["model_version_status"][0]
            time.sleep(0.2)
        (folder / "call.py").write_text(CALL.replace("8500", str(grpc)))
        answer = run("python call.py", folder)
    assert re.match(r"digit 0 0\.\d+", answer)
    assert status is not None
    assert (status["version"], status["state"]) == (pushed.name, "AVAILABLE")


@pytest.mark.large
@pytest.mark.timeout(900)
def test_my_yaml_makes_no_second_model(folder, pushed):
    """Another run of the whole pipeline."""
    command = re.match(r"# my.yaml +(graft run .*)", MY_YAML)
    assert command
    run(command[1], folder)
    assert [each.name for each in pushed.parent.parent.iterdir()] == ["my-photos"]
