"""What the command line sets before it imports a library."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# NumPy's BLAS reads its variables when NumPy is imported. A command imports it after
# `main` has begun.
SCRIPT = """
import os, sys
from graft.pipeline import cli
assert "numpy" not in sys.modules
cli.app = lambda: print(os.environ["OPENBLAS_THREAD_TIMEOUT"])
cli.main()
"""


@pytest.mark.parametrize(
    ("own", "expected"), [({}, "4"), ({"OPENBLAS_THREAD_TIMEOUT": "20"}, "20")]
)
def test_idle_threads_of_blas_sleep_unless_the_user_says_otherwise(
    own: dict[str, str], expected: str
) -> None:
    environment = {
        key: value
        for key, value in os.environ.items()
        if key != "OPENBLAS_THREAD_TIMEOUT"
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=environment | own,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == expected
