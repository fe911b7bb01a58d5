"""The script of the README's pictures, and its images."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def pictures() -> Any:
    """The module `pictures.py` of this folder."""
    path = Path(__file__).with_name("pictures.py")
    spec = importlib.util.spec_from_file_location("pictures", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def write_photos(pictures: Any) -> Callable[[Path], None]:
    """Write `my_photos` and `new_photos` into a folder."""
    write: Callable[[Path], None] = pictures.write_photos
    return write
