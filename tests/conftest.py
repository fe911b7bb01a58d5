"""Fixtures that every test may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="Write the golden files anew instead of comparing with them.",
    )


@pytest.fixture(scope="session", autouse=True)
def _beam_stays_local() -> None:
    """Tests of Beam take the runner that `graft run` takes, and download none."""
    if "apache_beam" in sys.modules:
        from pipeline.beam_settings import keep_beam_local

        keep_beam_local()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photographs, which a user's checkout does not have."""
    named = os.environ.get("GRAFT_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real images are not here: set GRAFT_TEST_DATA to their folder")
    return folder
