"""Install a newer glibc into the virtual environment if the host's is too old.

Debian 12 has glibc 2.36, and two wheels of the TFX family need 2.38. apt downloads
three packages of Debian 13 from the mirror of the host, and checks them with the
host's Debian keyring. The interpreter of the virtual environment becomes a copy that
loads these libraries. The host is not changed, and no root is needed.

Why this and not a container: docs/decisions/0002-old-glibc.md.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import List, Optional

from . import host

RELEASE = "trixie"
PACKAGES = ("libc6", "libstdc++6", "libgcc-s1")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FOLDER_NAME = "glibc"


class GlibcError(RuntimeError):
    """The newer glibc could not be installed; the message says why."""


def _run(command: List[str], cwd: Optional[Path] = None) -> str:
    result = subprocess.run(  # noqa: S603 - commands are ours, without a shell
        command, cwd=cwd, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        tail = (result.stderr or result.stdout).strip()[-800:]
        raise GlibcError(f"`{command[0]} {command[1]} …` failed: {tail}")
    return result.stdout


def _main_archive_uri() -> str:
    """Return the URI of the Debian archive in this host's apt settings."""
    rows = _run(
        ["apt-get", "indextargets", "--format", "$(LABEL)|$(CREATED_BY)|$(REPO_URI)"]
    )
    for row in rows.splitlines():
        label, created_by, uri = row.split("|", 2)
        if label == "Debian" and created_by == "Packages":
            return uri
    raise GlibcError(
        "apt knows no Debian archive; run `apt-get update` as root, and try again"
    )


def _apt_options(folder: Path) -> List[str]:
    """Return the options that give apt a private state, cache and sources list."""
    for name in ("lists/partial", "cache/archives/partial", "parts", "dpkg"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "dpkg" / "status").touch()
    sources = folder / "sources.list"
    sources.write_text(
        f"deb [signed-by={KEYRING}] {_main_archive_uri()} {RELEASE} main\n",
        encoding="utf-8",
    )
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": folder / "parts",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": folder / "dpkg" / "status",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    return [f"-o{key}={value}" for key, value in settings.items()]


def fetch_libraries(venv: Path) -> Path:
    """Download and unpack the newer libraries into `venv`.

    Args:
        venv: The virtual environment's folder.

    Returns:
        The folder that holds libc.so.6, ld-linux and libstdc++.so.6.

    Raises:
        GlibcError: The keyring is missing, or a command of apt or dpkg fails.
    """
    if not KEYRING.is_file():
        raise GlibcError(
            f"{KEYRING} is missing: apt-get install debian-archive-keyring"
        )
    scratch = venv / "apt"
    target = venv / FOLDER_NAME
    options = _apt_options(scratch)
    _run(["apt-get", *options, "update", "-qq"])
    _run(["apt-get", *options, "download", "-qq", *PACKAGES], cwd=scratch)
    for package in sorted(scratch.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(target)])
    shutil.rmtree(scratch)
    libraries = sorted(target.glob("usr/lib/*/libc.so.6"))
    if len(libraries) != 1:
        raise GlibcError(f"the packages unpacked to {target} have no libc.so.6")
    return libraries[0].parent


def adopt(venv: Path, patchelf: Path) -> None:
    """Replace the interpreter of `venv` by a copy that uses the newer libraries.

    Args:
        venv: A virtual environment made with symbolic links by the running interpreter.
        patchelf: The patchelf program.

    Raises:
        GlibcError: A command fails, or the copy does not start.
    """
    libraries = fetch_libraries(venv)
    loader = libraries / "ld-linux-x86-64.so.2"
    base = Path(os.path.realpath(host.base_python()))
    own_libraries = sysconfig.get_config_var("LIBDIR") or str(
        base.parent.parent / "lib"
    )
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    copy = venv / "bin" / f".{name}.new"
    shutil.copy2(base, copy)
    _run(
        [
            str(patchelf),
            "--force-rpath",
            "--set-rpath",
            f"{libraries}:{own_libraries}:/usr/lib/x86_64-linux-gnu",
            "--add-needed",
            "libstdc++.so.6",
            "--set-interpreter",
            str(loader),
            str(copy),
        ]
    )
    _run([str(copy), "-c", "import ssl, ctypes, sqlite3"])
    for link in ("python", "python3"):
        path = venv / "bin" / link
        path.unlink()
        path.symlink_to(name)
    target = venv / "bin" / name
    target.unlink(missing_ok=True)
    os.replace(copy, target)
