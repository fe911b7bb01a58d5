"""The model that a folder stands for."""

from __future__ import annotations

import pytest

from graft.serving.errors import ModelNotFoundError
from graft.serving.model_store import find_model, newest_version


@pytest.fixture
def add(tmp_path):
    def add(name, *numbers):
        for number in numbers:
            version = tmp_path / name / number
            version.mkdir(parents=True)
            (version / "saved_model.pb").write_bytes(b"")
        return tmp_path / name

    return add


def test_the_only_model_is_meant(add, tmp_path):
    base = add("flowers", "1", "12", "9")
    (base / "20").mkdir()  # It is being written.
    (base / "tmp-30").mkdir()
    assert find_model(tmp_path) == base
    assert newest_version(base) == (12, base / "12")


def test_one_of_several_must_be_named(add, tmp_path):
    add("flowers", "1")
    add("graft", "1")
    with pytest.raises(ModelNotFoundError, match=r"several models in .*: flowers, g"):
        find_model(tmp_path)
    assert find_model(tmp_path, "flowers").name == "flowers"


def test_a_base_path_is_a_model_itself(add):
    base = add("flowers", "3")
    assert find_model(base) == base
    assert find_model(base, "flowers") == base


@pytest.mark.parametrize("name", [None, "graft"])
def test_nothing_pushed_names_the_command(tmp_path, name):
    with pytest.raises(ModelNotFoundError, match="`graft run`"):
        find_model(tmp_path / "nowhere", name)


def test_a_wrong_name_lists_the_right_ones(add, tmp_path):
    add("flowers", "1")
    with pytest.raises(ModelNotFoundError, match=r"'dogs' in .*, only: flowers"):
        find_model(tmp_path, "dogs")
