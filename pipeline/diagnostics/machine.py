"""Check the machine: platform, disk, memory, processors, GPU, model server."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from graft.pipeline.diagnostics.finding import Finding
from graft.pipeline.environment import host

MEMORY_GIB = 4.0
"""Least memory for a run on small data, GiB."""
DISK_GIB = 2.0
"""Least disk space for the output of a run on small data, GiB."""


def check_host() -> Iterator[Finding]:
    """Check what graft requires of the host, and the disk space."""
    checks = [host.check_platform(), host.check_python(), host.check_libc()]
    for check in checks:
        yield Finding(
            name=check.name,
            state="fine" if check.is_met else "missing",
            found=check.found,
            remedy=check.remedy,
        )
    # A finished environment needs no compiler and no pip, so they are not checked.
    disk = host.check_disk(Path.cwd(), DISK_GIB)
    yield Finding(
        name="disk",
        state="fine" if disk.is_met else "note",
        found=disk.found,
        remedy=disk.remedy,
    )


def _read_number(path: str) -> float | None:
    try:
        return float(Path(path).read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def check_memory() -> Finding:
    """Check the available memory, within the limit of a container."""
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
        else f"A run of small images needs {MEMORY_GIB:.0f} GiB.",
    )


def check_cores() -> Finding:
    """Count the processors, within the limit of a container."""
    cores = float(len(os.sched_getaffinity(0)))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        if quota != "max":
            cores = min(cores, int(quota) / int(period))
    except (OSError, ValueError):
        pass
    return Finding(name="cores", state="fine", found=f"{cores:g}")


def check_gpu() -> Finding:
    """Check the GPU, its driver, and the CUDA libraries for TensorFlow."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Finding(name="GPU", state="fine", found="none; the CPU is used")
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
            remedy="Check the GPU's driver.",
        )
    if result.returncode != 0:
        return Finding(
            name="GPU", state="note", found=answer, remedy="Check the GPU's driver."
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


def check_cpu_engine() -> Finding:
    """Check which engine extracts features on the CPU."""
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


def check_model_server() -> Finding:
    """Check whether TensorFlow Serving is installed."""
    program = shutil.which("tensorflow_model_server")
    return Finding(
        name="model server",
        state="fine",
        found=program or "no tensorflow_model_server; the embedded server is used",
    )
