"""How much memory a process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")
_GROUPS_OF_PROCESS = Path("/proc/self/cgroup")


def memory_limit() -> int:
    """Return the bytes of memory that this process may use at most.

    That is the memory of the machine, or less if a control group limits it, as that of
    a container does. What this and other programs use already is not subtracted.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in _limit_files():
        try:
            limits.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue  # No such file, or `max`: no limit.
    return min(limits)


def _limit_files() -> Iterator[Path]:
    """Yield the files with the limits of the process's groups and all above them."""
    try:
        lines = _GROUPS_OF_PROCESS.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    # A container may see its own group as the root, or not know its group's path.
    for line in (*lines, "0::/", "0:memory:/"):
        _, controllers, group = line.split(":", 2)
        path = PurePosixPath(group.removeprefix("/"))
        for folder in (path, *path.parents):
            if not controllers:  # Version 2 of control groups.
                yield _CGROUPS / folder / "memory.max"
                yield _CGROUPS / folder / "memory.high"
            elif "memory" in controllers.split(","):
                yield _CGROUPS / "memory" / folder / "memory.limit_in_bytes"
