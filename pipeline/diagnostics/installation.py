"""Check the installed environment: packages, versions, weights."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

from graft.pipeline.diagnostics.finding import Finding
from graft.pipeline.environment import install, lock
from graft.serving import child_process
from graft.storage import hashing
from graft.trainer.backbones.presets import Preset

MODULES = (
    "tensorflow",
    "keras",
    "tfx",
    "apache_beam",
    "tensorflow_transform",
    "tensorflow_data_validation",
    "tensorflow_model_analysis",
    "ml_metadata",
    "kfp",
    "openvino",
    "grpc",
)
"""Packages that a run needs, in the order in which `--deep` imports them."""
IMPORT_LIMIT_SECONDS = 120.0


def check_environment() -> Finding:
    """Check whether `.venv` was made from the present lock files."""
    if Path(sys.prefix).resolve() != install.VENV.resolve():
        return Finding(
            name="environment", state="fine", found=f"{sys.prefix}, not .venv"
        )
    if install.is_complete(install.with_gpu()):
        return Finding(name="environment", state="fine", found=str(install.VENV))
    return Finding(
        name="environment",
        state="note",
        found="not made from the present lock files",
        remedy="make setup",
    )


def check_locked_versions() -> Finding:
    """Compare the installed versions with the lock file."""
    path = lock.lock_path()
    if not path.is_file():
        return Finding(
            name="lock", state="note", found=f"no {path.name} beside graft", remedy=""
        )
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    locked = lock.pinned_versions(path, python)
    # Only the environment's own folders: setuptools adds its bundled packages, in other
    # versions, to sys.path.
    folders = [sysconfig.get_path(kind) for kind in ("purelib", "platlib")]
    installed = {
        _normalised(distribution.name): distribution.version
        for distribution in importlib.metadata.distributions(path=folders)
    }
    wrong = [
        f"{name} {installed.get(name, 'absent')} (locked: {version})"
        for name, version in sorted(locked.items())
        if installed.get(name) != version
    ]
    if not wrong:
        return Finding(
            name="lock", state="fine", found=f"{len(locked)} packages as locked"
        )
    rest = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return Finding(
        name="lock",
        state="missing",
        found="; ".join(wrong[:3]) + rest,
        remedy="make setup"
        if (install.VENV / "bin").exists()
        else "reinstall the lock",
    )


def _normalised(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def check_modules() -> Finding:
    """Check whether the packages that a run needs are installed."""
    absent = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if absent:
        return Finding(
            name="packages",
            state="missing",
            found="absent: " + ", ".join(absent),
            remedy="make setup",
        )
    return Finding(
        name="packages", state="fine", found=f"all {len(MODULES)} large ones"
    )


def check_telemetry() -> Finding:
    """Check whether a package that sends usage data is installed."""
    if importlib.util.find_spec("openvino_telemetry") is None:
        return Finding(
            name="telemetry", state="fine", found="OpenVINO's is not installed"
        )
    return Finding(
        name="telemetry",
        state="note",
        found="openvino-telemetry is installed and may send usage data",
        remedy="pip uninstall openvino-telemetry (graft does not need it)",
    )


def check_weights(preset: Preset) -> Finding:
    """Check the weights that a package carries against their published hash."""
    name = f"weights {preset.name}"
    spec = importlib.util.find_spec(str(preset.package))
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        path = Path(folder) / str(preset.weights_file)
        if not path.is_file():
            continue
        digest = hashing.hash_file(str(path))
        if preset.weights_hash == f"sha256:{digest}":
            size = path.stat().st_size / 2**20
            return Finding(
                name=name, state="fine", found=f"{size:.0f} MiB, hash checked"
            )
        return Finding(
            name=name, state="missing", found=f"{path} is damaged", remedy="make setup"
        )
    return Finding(
        name=name,
        state="missing",
        found=f"package {preset.package} is not installed",
        remedy="make setup",
    )


def import_modules() -> Iterator[Finding]:
    """Import each package that a run needs, in a process of its own."""
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    for module in MODULES:
        start = time.monotonic()
        command = [sys.executable, "-W", "ignore", "-c", f"import {module}"]
        try:
            result = subprocess.run(  # noqa: S603 - our own interpreter
                child_process.command(command),
                capture_output=True,
                text=True,
                check=False,
                env=environment,
                timeout=IMPORT_LIMIT_SECONDS,
            )
            error = result.stderr.strip() if result.returncode != 0 else ""
        except subprocess.TimeoutExpired:
            error = f"not finished after {IMPORT_LIMIT_SECONDS:.0f} s"
        seconds = time.monotonic() - start
        yield Finding(
            name=f"import {module}",
            state="missing" if error else "fine",
            found=error.splitlines()[-1] if error else f"{seconds:.1f} s",
            remedy="make setup" if error else "",
        )
