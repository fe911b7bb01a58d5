"""The interpreter of `.venv`."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from graft.pipeline.environment import host

SCRIPT = Path(__file__).resolve().parents[3] / "pipeline/environment/choose_python.sh"


@pytest.fixture
def choose(tmp_path):
    """Run the script in a checkout of its own; PATH has only what is made here."""
    folder = tmp_path / "pipeline" / "environment"
    folder.mkdir(parents=True)
    script = shutil.copy(SCRIPT, folder)
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in ("sh", "dirname", "sed"):
        (programs / tool).symlink_to(str(shutil.which(tool)))

    def run(*arguments, **fakes):
        for name, text in fakes.items():
            path = programs / name.replace("_", ".")
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        return subprocess.run(
            ["sh", script, *arguments],
            env=dict(os.environ, PATH=str(programs)),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def real():
    return f'exec "{host.base_python()}" "$@"'


def test_first_that_works(choose):
    result = choose(
        python3="exit 127", python3_13="echo broken; exit 1", python3_11=real()
    )
    assert (result.returncode, result.stdout.strip()) == (0, host.base_python())


def test_none(choose):
    result = choose(python3='[ "$1" = --version ] && echo Python 3.9.2 && exit; exit 1')
    assert result.returncode == 1
    assert "found Python 3.9.2, and Python 3.11 to 3.13 is needed" in result.stderr
    assert "PYTHON=" in result.stderr


def test_named_one_is_not_replaced_by_another(choose):
    result = choose("python3.9", python3=real(), python3_9="exit 1")
    assert result.returncode == 1
    assert "PYTHON=python3.9" in result.stderr


def test_the_one_that_made_the_environment_comes_first(choose, tmp_path):
    (tmp_path / ".venv").mkdir()
    made_from = tmp_path / "made from"
    made_from.write_text(f"#!/bin/sh\n: >'{tmp_path}/asked'\n{real()}\n")
    made_from.chmod(0o755)
    (tmp_path / ".venv" / "made-by-graft").write_text(
        f'{{\n "python": "{made_from}",\n "gpu": false\n}}'
    )
    assert choose(python3="exit 1").returncode == 0
    assert (tmp_path / "asked").exists()
