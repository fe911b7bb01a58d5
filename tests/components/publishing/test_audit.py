"""The audit log takes several writers at once, and skips what it can't read."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from graft.components.publishing import audit
from graft.storage import atomic


@pytest.fixture(params=["local", "memory", "s3", "gs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The folder of a model, in each kind of store."""
    if request.param == "local":
        return str(tmp_path)
    return f"{request.getfixturevalue(f'{request.param}_folder')}/m"


def test_of_several_writers_none_loses_a_line(folder: str) -> None:
    def append(writer: int) -> None:
        for number in range(5):
            line = {"action": "publish", "version": 10 * writer + number}
            audit.append_audit(folder, line)

    writers = [threading.Thread(target=append, args=(each,)) for each in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = audit.read_lines(folder)
    assert None not in lines
    versions = [line["version"] for line in lines if line is not None]
    assert sorted(versions) == [10 * w + n for w in range(3) for n in range(5)]
    for writer in range(3):
        own = [version for version in versions if version // 10 == writer]
        assert own == sorted(own)


def test_a_line_is_appended_once(memory_folder: str) -> None:
    line = {"action": "promote", "version": 1, "id": "a"}
    for _ in range(2):
        audit.append_audit(memory_folder, line)
    assert len(audit.read_audit(memory_folder)) == 1


@pytest.mark.parametrize(
    "bad", ["[]", "3", "{", "", '{"action": "publish"}', '{"action": 3, "version": 1}']
)
def test_a_line_that_is_none_is_skipped_and_told(tmp_path: Path, bad: str) -> None:
    good = [{"action": "promote", "version": number} for number in (1, 2)]
    text = "\n".join([json.dumps(good[0]), bad, json.dumps(good[1]), ""])
    atomic.write_text(str(tmp_path / audit.AUDIT_NAME), text)
    assert audit.read_audit(str(tmp_path)) == good
    assert audit.production_position(str(tmp_path)) == 3
    assert audit.log_damage(str(tmp_path)) == "has unreadable lines: 2"
