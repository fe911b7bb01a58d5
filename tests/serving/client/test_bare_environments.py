"""graft-client alone in a virtual environment, with the oldest and newest requirements.

Large: it downloads grpcio, protobuf and pytest, and makes two environments.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[3]
UV = ROOT / ".venv" / "bootstrap" / "bin" / "uv"
TESTS = [
    Path(__file__).with_name(name)
    for name in ("test_client.py", "test_prediction.py", "test_wire.py")
]
CLASSIFY = """
import sys
from graft_client import PredictionClient

with PredictionClient(sys.argv[1], name="colours") as client:
    print(*[each.class_name for each in client.predict([sys.stdin.buffer.read()])])
"""


def lower_bounds() -> list[tuple[str, str]]:
    """Return the oldest release of each requirement that graft-client claims."""
    bounds = [
        (requirement.name, specifier.version)
        for requirement in map(Requirement, metadata.requires("graft-client") or [])
        for specifier in requirement.specifier
        if specifier.operator == ">="
    ]
    assert sorted(name for name, _ in bounds) == ["grpcio", "protobuf"]
    return bounds


def run(*command, **settings):
    done = subprocess.run(
        [*map(str, command)],
        cwd="/",
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        check=False,
        **settings,
    )
    output = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == 0, output
    return done.stdout.decode()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    scratch = tmp_path_factory.mktemp("graft-client")
    source = scratch / "source"
    shutil.copytree(
        ROOT / "serving" / "client",
        source,
        ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"),
    )
    run(
        *(UV, "build", "--quiet", "--wheel", "--no-build-isolation"),
        *("--python", sys.executable, "--out-dir", scratch / "dist", source),
    )
    (built,) = (scratch / "dist").glob("*.whl")
    return built


@pytest.mark.large
@pytest.mark.parametrize("is_oldest", [True, False], ids=["oldest", "newest"])
def test_the_client_works_alone(is_oldest, wheel, tmp_path, server, colours):
    # The base interpreter of .venv, which may have its own C library.
    base = getattr(sys, "_base_executable", sys.executable)
    run(UV, "venv", "--quiet", "--python", base, tmp_path / "bare")
    python = tmp_path / "bare" / "bin" / "python"
    install = (UV, "pip", "install", "--quiet", "--python", python)
    exact = [f"{name}=={version}" for name, version in lower_bounds() if is_oldest]
    run(*install, "--only-binary=:all:", wheel, *exact)
    listed = json.loads(run(UV, "pip", "list", "--python", python, "--format=json"))
    versions = {each["name"]: each["version"] for each in listed}
    assert {"graft-client", "grpcio", "protobuf"} <= set(versions)
    # grpcio's own requirements: six in old releases, typing-extensions in new ones.
    assert set(versions) <= {
        *("graft-client", "grpcio", "protobuf", "six", "typing-extensions"),
    }
    assert run(
        *(python, "-W", "error", "-c", CLASSIFY, server.target), input=colours["blue"]
    ).split() == ["blue"]

    run(*install, "pytest")
    told = run(
        *(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"),
        *("-c", "/dev/null", "--rootdir", tmp_path, "--noconftest", *TESTS),
    )
    assert " passed" in told
