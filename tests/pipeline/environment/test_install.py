"""Set-up: when it starts again, what it keeps, and its lock."""

import ast
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from graft.pipeline.environment import host, install

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted((ROOT / "pipeline" / "environment").glob("*.py"))


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with the files that set-up reads, instead of this checkout."""
    for path in [*ROOT.glob("requirements*.lock"), ROOT / "setup.py"]:
        shutil.copy(path, tmp_path)
    venv = tmp_path / ".venv"
    monkeypatch.setattr(install, "ROOT", tmp_path)
    monkeypatch.setattr(install, "VENV", venv)
    monkeypatch.setattr(install, "MUTEX", tmp_path / ".venv.lock")
    monkeypatch.setattr(install, "MARKER", venv / "made-by-graft")
    monkeypatch.setattr(install, "STAMP", venv / "graft-setup.json")
    monkeypatch.delenv("GPU", raising=False)
    return tmp_path


def make_complete(gpu=False):
    (install.VENV / "bin").mkdir(parents=True)
    (install.VENV / "bin" / "graft").touch()
    install.MARKER.write_text(json.dumps({"gpu": gpu}))
    install.STAMP.write_text(json.dumps(install.fingerprint(gpu)))


def test_complete_is_left_alone(checkout, monkeypatch):
    make_complete()
    monkeypatch.setattr(
        host, "check_host", lambda folder: pytest.fail("looked at host")
    )
    assert install.main() == 0
    assert not install.MUTEX.exists()


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-dev.lock", "setup.py"]
)
def test_a_changed_file_is_noticed(checkout, name):
    make_complete()
    assert install.is_complete(gpu=False)
    with (checkout / name).open("a") as file:
        file.write("#")
    assert not install.is_complete(gpu=False)


def test_gpu_lock_counts_only_with_gpu(checkout):
    make_complete()
    with (checkout / "requirements-gpu.lock").open("a") as file:
        file.write("#")
    assert install.is_complete(gpu=False)
    assert not install.is_complete(gpu=True)


@pytest.mark.parametrize("content", ["", "[]", '{"files": "other"}'])
def test_a_half_written_stamp_is_noticed(checkout, content):
    make_complete()
    install.STAMP.write_text(content)
    assert not install.is_complete(gpu=False)


def test_a_moved_folder_is_noticed(checkout, monkeypatch):
    make_complete()
    monkeypatch.setattr(install, "VENV", install.VENV.rename(checkout / "moved"))
    monkeypatch.setattr(install, "STAMP", checkout / "moved" / "graft-setup.json")
    assert not install.is_complete(gpu=False)


@pytest.mark.parametrize(
    ("asked", "recorded", "expected"),
    [
        ("", False, False),
        ("", True, True),
        ("1", False, True),
        ("0", True, False),
    ],
)
def test_gpu_is_remembered(checkout, monkeypatch, asked, recorded, expected):
    make_complete(gpu=recorded)
    monkeypatch.setenv("GPU", asked)
    assert install.with_gpu() is expected


def test_gpu_nonsense(checkout, monkeypatch, capsys):
    monkeypatch.setenv("GPU", "yes")
    assert install.main() == 1
    assert capsys.readouterr().err == (
        "setup: `GPU` must be 0 or 1. Received: GPU='yes'\n"
    )


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_is_not_ours_is_not_touched(checkout, monkeypatch, capsys, kind):
    monkeypatch.setattr(host, "check_host", lambda folder: [])
    target = install.VENV if kind == "folder" else checkout / "elsewhere"
    target.mkdir()
    (target / "precious").write_text("mine")
    if kind == "link":
        (target / "made-by-graft").touch()
        install.VENV.symlink_to(target)
    assert install.main() == 1
    assert "was not made by `make setup`" in capsys.readouterr().err
    assert (target / "precious").read_text() == "mine"


def test_the_first_unmet_requirement_stops_it(checkout, monkeypatch, capsys):
    checks = [host.Check("python", False, "CPython 3.9", "Install one.")]
    monkeypatch.setattr(host, "check_host", lambda folder: checks)
    assert install.main() == 1
    assert capsys.readouterr().err == "setup: python: CPython 3.9. Install one.\n"
    assert not install.VENV.exists()


def test_a_failed_step_shows_its_end_and_the_remedy(checkout):
    with install.MUTEX.open("w") as mutex:
        builder = install._Builder(mutex.fileno())
        with pytest.raises(install.SetupError) as caught:
            builder.run(["sh", "-c", "echo why >&2; exit 3"], "this", "Do that.")
    assert str(caught.value) == "this failed:\nwhy\nDo that."


def test_what_a_killed_set_up_left_running_holds_the_lock(checkout):
    mutex = install.MUTEX.open("w")
    fcntl.flock(mutex, fcntl.LOCK_EX)
    builder = install._Builder(mutex.fileno())
    child = threading.Thread(target=builder.run, args=(["sleep", "1.5"], "sleeping"))
    child.start()
    time.sleep(0.5)
    mutex.close()  # As the kernel does when the set-up process is killed.
    with install.MUTEX.open("w") as second:
        with pytest.raises(BlockingIOError):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        child.join()
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_mirror_of_pip_is_used_by_uv(monkeypatch):
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("UV_INDEX", "kept")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environment = install.child_environment(
        "global.index-url='https://mirror.example/simple'\n"
        "global.extra-index-url='https://other.example'\n"
        ":env:.cert='/etc/ca.pem'\n"
        "global.timeout='3'\n"
    )
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert environment["UV_INDEX"] == "kept"
    assert environment["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert "PIP_USER" not in environment
    assert "PYTHONPATH" not in environment


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_runs_before_anything_is_installed(path):
    """Old Pythons can parse it, and it needs the standard library alone."""
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    # The lock is written and checked inside the finished environment.
    allowed = {"packaging"} if path.name == "lock.py" else set()
    foreign = {
        name
        for name in names
        if name.split(".")[0] not in sys.stdlib_module_names | allowed
        and name
        != ""  # `from . import`: relative, for it runs without an installed graft
    }
    assert not foreign


@pytest.mark.large
@pytest.mark.timeout(900)
def test_full_set_up_after_a_kill(tmp_path):
    """Build an environment twice, from the network or a cache: minutes."""
    folder = tmp_path / "a checkout"
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in names.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    environment = {k: v for k, v in os.environ.items() if k not in ("GPU", "MAKEFLAGS")}
    command = [host.base_python(), "-m", "pipeline.environment.install"]
    process = subprocess.Popen(command, cwd=folder, env=environment)
    site_packages = folder / ".venv" / "lib"
    deadline = time.monotonic() + 600
    while not list(site_packages.glob("python*/site-packages/numpy")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    both = [
        subprocess.Popen(["make", "setup"], cwd=folder, env=environment)
        for _ in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0]
    program = (
        "import tensorflow_data_validation, ml_metadata, graft.pipeline.environment"
    )
    subprocess.run(
        [folder / ".venv/bin/python", "-c", program], cwd=tmp_path, check=True
    )
    start = time.monotonic()
    subprocess.run(["make", "setup"], cwd=folder, env=environment, check=True)
    assert time.monotonic() - start < 5.0
