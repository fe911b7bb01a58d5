"""The short way on Kubeflow, as docs/kubeflow.md has it, on this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "kubeflow.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
DIGEST = "0" * 64
ON_A_CLUSTER = ("kubectl", "graft submit", "graft schedule")


def _block(text: str, begin: str) -> str:
    found = re.search(rf"^```\w+\n({re.escape(begin)}.*?)^```$", text, re.DOTALL | re.M)
    assert found, begin
    return found[1]


@pytest.mark.large
@pytest.mark.timeout(1800)
def test_the_short_way_works_as_written(tmp_path: Path, write_photos) -> None:
    """Large: a compilation, and a whole run in the emulation."""
    write_photos(tmp_path)
    profile = _block(PAGE, "# cluster.yaml")
    (tmp_path / "cluster.yaml").write_text(
        profile.replace("REGISTRY/graft@sha256:...", f"registry/graft@sha256:{DIGEST}")
    )
    (tmp_path / "my.yaml").write_text(_block(README, "# my.yaml"))
    commands = [
        line.partition(" #")[0].strip()
        for line in _block(PAGE, "graft compile my.yaml").splitlines()
    ]
    here = [line for line in commands if not line.startswith(ON_A_CLUSTER)]
    assert [line.split()[:2] for line in here] == [
        ["graft", "compile"],
        ["mkdir", "-p"],
        ["graft", "emulate"],
    ]
    scripts = os.path.dirname(sys.executable)
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    for command in here:
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert list((tmp_path / "models" / "my-photos").glob("[0-9]*/saved_model.pb"))
