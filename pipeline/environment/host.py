"""Check what graft requires of a host, before anything is installed.

`make setup` stops at the first unmet requirement; `graft doctor` lists them all.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

PYTHON_MINIMUM = (3, 11)
PYTHON_MAXIMUM = (3, 13)

# ml-metadata and tensorflow-data-validation 1.21 are tagged manylinux_2_39; their
# symbols need glibc 2.38 and the libstdc++ of GCC 13.2 or later (GLIBCXX_3.4.32).
GLIBC_MINIMUM = (2, 38)

CONTAINER_REMEDY = (
    "Use a container of debian:13 or ubuntu:24.04, or the image that "
    "kubernetes/Dockerfile makes"
)


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was checked.
        is_met: Whether the host meets the requirement.
        found: What the host has.
        remedy: What to do, in one sentence; empty if the requirement is met.
    """

    name: str
    is_met: bool
    found: str
    remedy: str = ""


def _version_text(version: Tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def base_python() -> str:
    """Return the path of the base interpreter, even in a virtual environment."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    path = os.path.join(sys.base_prefix, "bin", name)
    return path if os.path.exists(path) else sys.executable


def has_module(name: str) -> bool:
    """Return whether the base interpreter has a top-level module."""
    probe = subprocess.run(  # noqa: S603 - our own interpreter
        [base_python(), "-I", "-c", f"import {name}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return probe.returncode == 0


def glibc_version() -> Optional[Tuple[int, int]]:
    """Return (major, minor) of this process's glibc; None if it uses another libc."""
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        return None
    match = re.match(r"glibc (\d+)\.(\d+)", text)
    return (int(match.group(1)), int(match.group(2))) if match else None


def debian_release() -> Tuple[str, str]:
    """Return (`ID`, `VERSION_ID`) of /etc/os-release; empty if it is absent."""
    fields = {}
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition("=")
        fields[key] = value.strip().strip('"')
    return fields.get("ID", ""), fields.get("VERSION_ID", "")


def can_carry_own_glibc() -> bool:
    """Return whether `make setup` can download a newer glibc for `.venv`."""
    return debian_release()[0] == "debian" and all(
        shutil.which(tool) for tool in ("apt-get", "dpkg-deb")
    )


def check_platform() -> Check:
    """Require Linux on x86-64: tfx-bsl and TFDV have no other wheels."""
    found = f"{platform.system()} on {platform.machine()}"
    is_met = (platform.system(), platform.machine()) == ("Linux", "x86_64")
    return Check(
        "platform",
        is_met,
        found,
        ""
        if is_met
        else f"TFX has wheels for Linux on x86_64 only. {CONTAINER_REMEDY}.",
    )


def check_python() -> Check:
    """Require a CPython that every locked package supports."""
    version = sys.version_info[:3]
    found = f"{platform.python_implementation()} {_version_text(version)}"
    is_met = (
        platform.python_implementation() == "CPython"
        and PYTHON_MINIMUM <= version[:2] <= PYTHON_MAXIMUM
    )
    remedy = (
        f"Install CPython {_version_text(PYTHON_MINIMUM)} to "
        f"{_version_text(PYTHON_MAXIMUM)} and name it: make setup PYTHON=python3.12"
    )
    return Check("python", is_met, found, "" if is_met else remedy)


def check_libc() -> Check:
    """Require glibc 2.38 or later, or Debian, where set-up downloads it."""
    version = glibc_version()
    if version is None:
        return Check("libc", False, "not glibc", f"{CONTAINER_REMEDY}.")
    found = f"glibc {_version_text(version)}"
    if version >= GLIBC_MINIMUM:
        return Check("libc", True, found)
    if can_carry_own_glibc():
        return Check("libc", True, f"{found}; .venv gets its own, newer one")
    remedy = (
        f"glibc {_version_text(GLIBC_MINIMUM)} or later is needed, as in Debian 13 and "
        f"Ubuntu 24.04. {CONTAINER_REMEDY}."
    )
    return Check("libc", False, found, remedy)


def check_compiler() -> Check:
    """Require a C++ compiler and Python's headers: `pyfarmhash` has no wheel."""
    compiler = shutil.which("c++") or shutil.which("g++") or ""
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    missing = [
        text
        for text, is_there in (
            ("a C++ compiler", compiler),
            ("Python.h", header.is_file()),
        )
        if not is_there
    ]
    if not missing:
        return Check("compiler", True, compiler)
    return Check(
        "compiler",
        False,
        "without " + " and ".join(missing),
        "Install them: apt-get install g++ python3-dev (one package, pyfarmhash, "
        "is built from source).",
    )


def check_venv() -> Check:
    """Require pip or ensurepip; Debian's Python has neither."""
    for module in ("ensurepip", "pip"):
        if has_module(module):
            return Check("pip", True, module)
    return Check(
        "pip",
        False,
        "neither pip nor ensurepip",
        "Install one: apt-get install python3-venv",
    )


def check_disk(folder: Path, needed_gib: float = 8.0) -> Check:
    """Require disk space for the packages and for the installer's cache."""
    free_gib = shutil.disk_usage(folder).free / 2**30
    found = f"{free_gib:.0f} GiB free"
    is_met = free_gib >= needed_gib
    remedy = f"Free some: {needed_gib:.0f} GiB are needed in {folder}."
    return Check("disk", is_met, found, "" if is_met else remedy)


def check_host(folder: Path) -> List[Check]:
    """Return every check that applies before set-up, the most important first.

    Args:
        folder: The project's root, where `.venv` is to be made.
    """
    return [
        check_platform(),
        check_python(),
        check_libc(),
        check_venv(),
        check_compiler(),
        check_disk(folder),
    ]
