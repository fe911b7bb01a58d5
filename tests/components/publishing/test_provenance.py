"""The environment of a model is described by the names and versions of packages."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from graft.components.publishing.provenance import _name_and_version


def test_names_and_versions_are_those_of_the_standard_library() -> None:
    for each in metadata.distributions():
        expected = f"{(each.metadata['Name'] or '').lower()}=={each.version}"
        assert _name_and_version(each) == expected


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("METADATA", "Name: Cat\nVersion: 1.2\n\nName: dog\nVersion: 3\n", "cat==1.2"),
        ("PKG-INFO", "Metadata-Version: 2.1\nVersion: 1\nName: cat\n", "cat==1"),
        ("METADATA", "", "==None"),
    ],
    ids=["description", "egg", "empty"],
)
def test_only_the_fields_are_read(
    tmp_path: Path, file: str, text: str, expected: str
) -> None:
    folder = tmp_path / "cat.dist-info"
    folder.mkdir()
    (folder / file).write_text(text)
    assert _name_and_version(metadata.PathDistribution(folder)) == expected
