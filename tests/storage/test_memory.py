"""The memory that a process may use: that of the machine, or of its control group."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from graft.storage import memory

_MIB = 2**20


def test_a_machine_without_groups_gives_all_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "_GROUPS_OF_PROCESS", tmp_path / "missing")
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert memory.memory_limit() == pages


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/\n", {"memory.max": 64}, 64),
        ("0::/\n", {"memory.max": 64, "memory.high": 48}, 48),
        ("0::/a/b\n", {"a/b/memory.max": 64, "a/memory.max": 32}, 32),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": 32}, 32),
        # The path of the host, which a container doesn't have.
        ("0::/of/the/host\n", {"memory.max": 64}, 64),
        (
            "9:name=systemd:/\n4:cpu,memory:/a\n0::/\n",
            {"memory/a/memory.limit_in_bytes": 16},
            16,
        ),
        ("4:memory:/host\n", {"memory/memory.limit_in_bytes": 16}, 16),
        ("", {"memory.max": 64}, 64),
    ],
    ids=[
        "v2",
        "v2-high",
        "v2-parent",
        "v2-no-limit",
        "v2-container",
        "v1",
        "v1-container",
        "unknown",
    ],
)
def test_the_smallest_limit_of_all_groups_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    groups: str,
    limits: dict[str, int | str],
    expected: int,
) -> None:
    for name, limit in limits.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = limit if isinstance(limit, str) else str(limit * _MIB)
        path.write_text(f"{text}\n")
    (tmp_path / "cgroup").write_text(groups)
    monkeypatch.setattr(memory, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(memory, "_GROUPS_OF_PROCESS", tmp_path / "cgroup")
    assert memory.memory_limit() == expected * _MIB
