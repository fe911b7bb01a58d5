"""`graft doctor`: what of this machine and its environment is fine, and what is not.

It answers in a few seconds, so it looks without importing TFX or TensorFlow; `--deep`
imports them, each in a process of its own.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from graft.pipeline.environment import host, install, lock
from graft.trainer.backbones.presets import PRESETS, Preset

State = Literal["fine", "note", "missing"]

MEMORY_GIB = 4.0
"""Least memory for a run on small data, GiB."""
DISK_GIB = 2.0
"""Least room for the output of a run on small data, GiB."""
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
"""What has to be there; in the order in which `--deep` imports them."""
DEEP_LIMIT_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the table.

    Attributes:
        name: What was looked at.
        state: `fine`; `note`, when graft works but not at its best; or `missing`.
        found: What is there.
        remedy: What to do about it; empty when it is fine.
    """

    name: str
    state: State
    found: str
    remedy: str = ""


def doctor(
    deep: Annotated[
        bool, typer.Option("--deep", help="Import the large packages too (a minute).")
    ] = False,
) -> None:
    """Show what of this environment is fine and what is not, with the remedy.

    The exit status is 1 when something is missing that a run needs.
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "what", "found", "what to do"):
        table.add_column(column, overflow="fold")
    marks = {
        "fine": "[green]ok[/]",
        "note": "[yellow]note[/]",
        "missing": "[red]MISSING[/]",
    }
    found = list(findings())
    if deep:
        found += list(_deep_imports())
    for finding in found:
        texts = (finding.name, finding.found, finding.remedy)
        table.add_row(marks[finding.state], *map(escape, texts))
    console = Console()
    console.print(table)
    num_missing = sum(finding.state == "missing" for finding in found)
    if num_missing:
        console.print(f"\n{num_missing} missing: graft can't run here as it is.")
        raise typer.Exit(1)
    console.print("\nNothing that graft needs is missing.")


def findings() -> Iterator[Finding]:
    """Yield what is seen without importing anything large."""
    yield from _host()
    yield _environment()
    yield _lock()
    yield _modules()
    yield _telemetry()
    for preset in PRESETS.values():
        if preset.source == "package":
            yield _weights(preset)
    yield _memory()
    yield _cores()
    yield _gpu()
    yield _engine()
    yield _model_server()


def _host() -> Iterator[Finding]:
    checks = [host.check_platform(), host.check_python(), host.check_libc()]
    for check in checks:
        yield Finding(
            name=check.name,
            state="fine" if check.is_met else "missing",
            found=check.found,
            remedy=check.remedy,
        )
    # A compiler and pip are of no use any more once the environment stands.
    disk = host.check_disk(Path.cwd(), DISK_GIB)
    yield Finding(
        name="disk",
        state="fine" if disk.is_met else "note",
        found=disk.found,
        remedy=disk.remedy,
    )


def _environment() -> Finding:
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


def _lock() -> Finding:
    """Compare the installed versions with the lock; both are plain text to read."""
    path = lock.lock_path()
    if not path.is_file():
        return Finding(
            name="lock", state="note", found=f"no {path.name} beside graft", remedy=""
        )
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    locked = lock.pinned_versions(path, python)
    # The environment's own folders alone: setuptools puts packages that it carries on
    # sys.path, in other versions.
    folders = [sysconfig.get_path(kind) for kind in ("purelib", "platlib")]
    installed = {
        _normal(distribution.name): distribution.version
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


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


def _modules() -> Finding:
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


def _telemetry() -> Finding:
    if importlib.util.find_spec("openvino_telemetry") is None:
        return Finding(
            name="telemetry", state="fine", found="OpenVINO's is not installed"
        )
    return Finding(
        name="telemetry",
        state="note",
        found="openvino-telemetry is installed, and may send usage data",
        remedy="pip uninstall openvino-telemetry (graft does without it)",
    )


def _weights(preset: Preset) -> Finding:
    name = f"weights {preset.name}"
    spec = importlib.util.find_spec(str(preset.package))
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        path = Path(folder) / str(preset.weights_file)
        if not path.is_file():
            continue
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
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


def _read_number(path: str) -> float | None:
    try:
        return float(Path(path).read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def _memory() -> Finding:
    """Take the container's limit where it is less than what the machine has."""
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) / 2**20
    limit = _read_number("/sys/fs/cgroup/memory.max")
    if limit is not None:
        used = _read_number("/sys/fs/cgroup/memory.current") or 0.0
        available = min(available, (limit - used) / 2**30)
    is_enough = available >= MEMORY_GIB
    return Finding(
        name="memory",
        state="fine" if is_enough else "note",
        found=f"{available:.1f} GiB available",
        remedy=""
        if is_enough
        else f"A run of small images takes {MEMORY_GIB:.0f} GiB.",
    )


def _cores() -> Finding:
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        if quota != "max":
            cores = min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        pass
    return Finding(name="cores", state="fine", found=f"{cores:g}")


def _gpu() -> Finding:
    """Ask the driver, and whether the CUDA libraries for TensorFlow are installed."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding(name="GPU", state="fine", found="none; the CPU does the work")
    query = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        result = subprocess.run(  # noqa: S603 - constant arguments
            query, capture_output=True, text=True, check=False, timeout=10
        )
        answer = result.stdout.strip() or result.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(
            name="GPU",
            state="note",
            found=str(error),
            remedy="See to the GPU's driver.",
        )
    if result.returncode != 0:
        return Finding(
            name="GPU", state="note", found=answer, remedy="See to the GPU's driver."
        )
    found = "; ".join(answer.splitlines())
    if importlib.util.find_spec("nvidia") is None:
        return Finding(
            name="GPU",
            state="note",
            found=f"{found}, unused: no CUDA libraries here",
            remedy="make setup GPU=1",
        )
    return Finding(name="GPU", state="fine", found=found)


def _engine() -> Finding:
    """Name what feature extraction on the CPU would run on."""
    if importlib.util.find_spec("openvino") is None:
        return Finding(
            name="CPU engine",
            state="note",
            found="TensorFlow, a third as fast as OpenVINO",
            remedy="make setup",
        )
    flags: set[str] = set()
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("flags"):
            flags.update(line.split())
            break
    bfloat16 = flags & {"amx_bf16", "avx512_bf16"}
    speed = f"with {', '.join(sorted(bfloat16))}" if bfloat16 else "float32 only"
    return Finding(name="CPU engine", state="fine", found=f"OpenVINO, {speed}")


def _model_server() -> Finding:
    program = shutil.which("tensorflow_model_server")
    return Finding(
        name="model server",
        state="fine",
        found=program or "no tensorflow_model_server; the embedded server stands in",
    )


def _deep_imports() -> Iterator[Finding]:
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    for module in MODULES:
        start = time.monotonic()
        try:
            result = subprocess.run(  # noqa: S603 - our own interpreter
                [sys.executable, "-W", "ignore", "-c", f"import {module}"],
                capture_output=True,
                text=True,
                check=False,
                env=environment,
                timeout=DEEP_LIMIT_SECONDS,
            )
            error = result.stderr.strip() if result.returncode != 0 else ""
        except subprocess.TimeoutExpired:
            error = f"no end after {DEEP_LIMIT_SECONDS:.0f} s"
        seconds = time.monotonic() - start
        yield Finding(
            name=f"import {module}",
            state="missing" if error else "fine",
            found=error.splitlines()[-1] if error else f"{seconds:.1f} s",
            remedy="make setup" if error else "",
        )
