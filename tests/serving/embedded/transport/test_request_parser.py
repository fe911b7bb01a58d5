"""Targets of requests, as libevent reads them."""

from __future__ import annotations

import pytest

from graft.serving.embedded.transport.request_parser import path_of


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/v1/models/m:predict", "/v1/models/m:predict"),
        ("/v1/models/m%3Apredict", "/v1/models/m%3Apredict"),
        ("/a?b=c?d", "/a?b=c?d"),
        ("/a?", "/a?"),
        ("/a#b/?", "/a#b/?"),
        ("http://localhost:8501/v1/models/m", "/v1/models/m"),
        ("HTTPS://user:secret@[::1]:8501/v1", "/v1"),
        ("http://localhost", ""),
        ("http://localhost:?x", "?x"),
        ("//host/v1/models/m", "/v1/models/m"),
        ("x:v1/models", "v1/models"),
        ("v1/models:m", "v1/models:m"),
        ("*", "*"),
        ("", ""),
    ],
)
def test_path(target, path):
    assert path_of(target) == path


@pytest.mark.parametrize(
    "target",
    [
        "/a b",
        "/a|b",
        '/"',
        "/[a]",
        "/\u00e4",
        "/\udcff",
        "/%",
        "/%4",
        "/%zz",
        "/a?[",
        "/a#b#c",
        "1:a",
        "//a@b@c/",
        "//host:65536/",
        "//host:8x/",
        "//[::1/",
        "//[1.2.3.4]/",
        "/a\n",
    ],
)
def test_no_path(target):
    with pytest.raises(ValueError):
        path_of(target)


def test_long_targets_take_little_time():
    assert len(path_of("/" + "%41" * 300_000)) == 900_001
    with pytest.raises(ValueError):
        path_of("/" + "a" * 1_000_000 + "|")
