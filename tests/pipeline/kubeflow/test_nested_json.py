from __future__ import annotations

import json

import pytest

from graft.pipeline.kubeflow import nested_json

TEXT = json.dumps({"training": json.dumps({"epochs": 30, "l": [1, {"a": "b"}]})})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("training", "epochs"), 30),
        (("training", "l", 1, "a"), "b"),
        ((), TEXT),
    ],
)
def test_read(path, value):
    assert nested_json.read(TEXT, path) == value


@pytest.mark.parametrize(
    "path", [("training", "epoch"), ("training", "l", 2), ("training", "epochs", "x")]
)
def test_read_of_nothing_names_the_path(path):
    with pytest.raises(KeyError, match="nothing at"):
        nested_json.read(TEXT, path)


def test_replace_keeps_the_rest_and_the_nesting():
    changed = nested_json.replace(TEXT, ("training", "l", 1, "a"), "c")
    inner = json.loads(json.loads(changed)["training"])
    assert inner == {"epochs": 30, "l": [1, {"a": "c"}]}


def test_replace_of_nothing_is_refused():
    with pytest.raises(KeyError):
        nested_json.replace(TEXT, ("training", "epoch"), 1)


def test_texts_opens_nested_json():
    assert list(nested_json.texts(TEXT)) == [(("training", "l", 1, "a"), "b")]
    assert list(nested_json.texts("{no json")) == [((), "{no json")]
