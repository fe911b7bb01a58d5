"""File names are printed without control characters."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from graft.contract.printable import escaped
from graft.pipeline.terminal_text import local_time, shell_command


@pytest.mark.parametrize(
    "name",
    [b"a b.jpg", b"it's \x1b[31m\n.jpg", b"\xff\\x41'\t$HOME.jpg", b"\xe2\x80\xae"],
)
def test_a_shell_gets_the_very_bytes(name: bytes) -> None:
    command = shell_command(["printf", "%s", os.fsdecode(name)])
    assert command == escaped(command)
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stdout == name


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-11-30T12:02:05+00:00", "2026-11-30 14:02:05"),
        ("2026-11-30T12:02:05", "2026-11-30 14:02:05"),
        (datetime(2026, 11, 30, 12, 2, 5, 999, tzinfo=UTC), "2026-11-30 14:02:05"),
        (
            datetime(2026, 11, 30, 7, 2, 5, tzinfo=timezone(timedelta(hours=-5))),
            "2026-11-30 14:02:05",
        ),
        ("no manifest", "no manifest"),
        (None, "None"),
    ],
)
def test_times_are_local(
    monkeypatch: pytest.MonkeyPatch, moment: object, shown: str
) -> None:
    monkeypatch.setenv("TZ", "XYZ-2")
    time.tzset()
    try:
        assert local_time(moment) == shown
    finally:
        monkeypatch.undo()
        time.tzset()
