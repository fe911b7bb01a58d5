"""Each unmet requirement of the host gives a sentence with the remedy."""

import platform
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from graft.pipeline.environment import host

Version = namedtuple("Version", "major minor micro releaselevel serial")


@pytest.mark.parametrize(
    ("system", "machine", "is_met"),
    [
        ("Linux", "x86_64", True),
        ("Linux", "aarch64", False),
        ("Darwin", "x86_64", False),
    ],
)
def test_platform(monkeypatch, system, machine, is_met):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    check = host.check_platform()
    assert check.is_met is is_met
    assert machine in check.found
    assert ("container" in check.remedy) is not is_met


@pytest.mark.parametrize(
    ("version", "is_met"),
    [((3, 10), False), ((3, 11), True), ((3, 13), True), ((3, 14), False)],
)
def test_python(monkeypatch, version, is_met):
    monkeypatch.setattr(sys, "version_info", Version(*version, 1, "final", 0))
    check = host.check_python()
    assert check.is_met is is_met
    assert check.found == f"CPython {version[0]}.{version[1]}.1"
    assert ("PYTHON=" in check.remedy) is not is_met


@pytest.mark.parametrize(
    ("version", "release", "is_met", "text"),
    [
        ((2, 41), ("debian", "13"), True, "glibc 2.41"),
        ((2, 38), ("fedora", "39"), True, "glibc 2.38"),
        ((2, 36), ("debian", "12"), True, "newer one"),
        ((2, 35), ("ubuntu", "22.04"), False, "glibc 2.35"),
        ((2, 34), ("rhel", "9"), False, "glibc 2.34"),
        (None, ("alpine", "3.20"), False, "not glibc"),
    ],
    ids=str,
)
def test_libc(monkeypatch, tmp_path, version, release, is_met, text):
    for tool in ("apt-get", "dpkg-deb"):
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(host, "glibc_version", lambda: version)
    monkeypatch.setattr(host, "debian_release", lambda: release)
    check = host.check_libc()
    assert check.is_met is is_met
    assert text in check.found
    assert ("debian:13" in check.remedy) is not is_met


def test_old_debian_without_apt_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(host, "glibc_version", lambda: (2, 36))
    monkeypatch.setattr(host, "debian_release", lambda: ("debian", "12"))
    assert not host.check_libc().is_met


def test_glibc_version_is_the_running_ones():
    major, minor = host.glibc_version()
    assert platform.libc_ver() == ("glibc", f"{major}.{minor}")


def test_compiler_absent(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    check = host.check_compiler()
    assert not check.is_met
    assert "C++ compiler" in check.found
    assert "apt-get install g++" in check.remedy


def test_neither_pip_nor_ensurepip(monkeypatch):
    monkeypatch.setattr(host, "has_module", lambda name: False)
    check = host.check_venv()
    assert not check.is_met
    assert "python3-venv" in check.remedy


def test_has_module():
    assert host.has_module("json")
    assert not host.has_module("no_such_module_anywhere")


def test_disk(tmp_path):
    assert host.check_disk(tmp_path, needed_gib=0.0).is_met
    check = host.check_disk(tmp_path, needed_gib=1e9)
    assert not check.is_met
    assert str(tmp_path) in check.remedy


def test_base_python_is_outside_the_virtual_environment():
    path = Path(host.base_python())
    assert path.is_file()
    assert not path.is_relative_to(sys.prefix) or sys.prefix == sys.base_prefix
