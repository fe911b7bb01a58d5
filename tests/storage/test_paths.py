from __future__ import annotations

import os

import pytest

from graft.storage import paths


@pytest.mark.parametrize(
    ("path", "scheme"),
    [
        ("gs://bucket/a", "gs"),
        ("S3://bucket/a", "s3"),
        ("/data/a", ""),
        ("a.png", ""),
        ("/data/http://a", ""),
        ("keras:mnist", ""),
        ("~/a", ""),
    ],
)
def test_the_scheme_of_a_path(path: str, scheme: str) -> None:
    assert paths.scheme_of(path) == scheme
    assert paths.is_remote(path) == bool(scheme)


@pytest.mark.parametrize(
    ("folder", "names", "joined"),
    [
        ("/data", ("a", "b.png"), "/data/a/b.png"),
        ("/data/", ("/other/a",), "/other/a"),
        ("/data", ("gs://b/a",), "gs://b/a"),
        ("gs://b/data/", ("a", "b.png"), "gs://b/data/a/b.png"),
        ("gs://b/data", ("/mnt/a",), "/mnt/a"),
        ("data", ("a",), "data/a"),
    ],
)
def test_join(folder: str, names: tuple[str, ...], joined: str) -> None:
    assert paths.join(folder, *names) == joined


@pytest.mark.parametrize(
    ("path", "parent", "name"),
    [
        ("gs://b/a/c.png", "gs://b/a", "c.png"),
        ("s3://b/a/", "s3://b", "a"),
        ("/data/c.png", "/data", "c.png"),
        ("c.png", "", "c.png"),
        ("/c", "/", "c"),
    ],
)
def test_parent_and_name(path: str, parent: str, name: str) -> None:
    assert (paths.parent_of(path), paths.name_of(path)) == (parent, name)


def test_the_home_of_a_local_path_alone_is_expanded() -> None:
    assert paths.expand_home("~/a") == os.path.expanduser("~/a")
    assert paths.expand_home("gs://b/~/a") == "gs://b/~/a"
