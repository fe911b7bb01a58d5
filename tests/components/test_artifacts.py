"""TFX's container entrypoint imports our artifacts by the name of their type."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import components

TYPE_NAMES = sorted(
    name
    for path in Path(components.__file__).parent.glob("*/artifacts.py")
    for name in re.findall(r'TYPE_NAME = "components\.(\w+)"', path.read_text())
)


@pytest.mark.parametrize("name", TYPE_NAMES)
def test_a_type_name_leads_to_its_class(name: str) -> None:
    found = getattr(components, name)
    assert found.TYPE_NAME == f"components.{name}"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="NoSuchArtifact"):
        _ = components.NoSuchArtifact
