"""Fixtures of the tests of graft.storage."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["local", "memory", "s3", "gs"])
def folder(request: pytest.FixtureRequest) -> str:
    """A folder of each kind. The same must hold for all."""
    if request.param == "local":
        path: Path = request.getfixturevalue("tmp_path")
        return str(path / "folder")
    return str(request.getfixturevalue(f"{request.param}_folder"))
