"""Each wheel installs one import name."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UV = ROOT / ".venv" / "bootstrap" / "bin" / "uv"
SOURCES = [
    *("setup.py", "pyproject.toml", "README.md"),
    *sorted(marker.parent.name for marker in ROOT.glob("*/py.typed")),
]


def build_wheel(project: Path, target: Path) -> zipfile.ZipFile:
    """Build a project's wheel, without a network, and open it."""
    subprocess.run(
        [
            *(UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--offline"),
            *("--python", sys.executable, "--out-dir", target, project),
        ],
        check=True,
    )
    (wheel,) = target.glob("*.whl")
    return zipfile.ZipFile(wheel)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of the sources: building writes beside them."""
    folder = tmp_path_factory.mktemp("checkout")
    ignore = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, folder)
    return folder


@pytest.mark.parametrize(
    ("project", "top", "some"),
    [
        (".", "graft", "graft/serving/embedded/server.py"),
        ("serving/client", "graft_client", "graft_client/protos/serving_pb2.py"),
    ],
    ids=["graft-tfx", "graft-client"],
)
def test_a_wheel_has_one_folder_at_the_top(checkout, tmp_path, project, top, some):
    with build_wheel(checkout / project, tmp_path) as wheel:
        names = wheel.namelist()
    assert some in names
    tops = {name.partition("/")[0] for name in names}
    assert {each for each in tops if not each.endswith(".dist-info")} == {top}
    assert not [name for name in names if top == "graft" and "graft_client" in name]
