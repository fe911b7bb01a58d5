"""Paths that a library would misread are refused before anything runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graft.contract.errors import UserError
from graft.pipeline.commands.run import run
from graft.pipeline.config import ConfigError, load_config
from graft.pipeline.path_checks import check_local_output

FOLDERS = ["output", "push.destination", "training.checkpoints"]
OTHERS = ["data.path", "data_validation.schema_path", "features.cache"]
REFUSED = ["\n", "\t", "\x7f", "\x85"]
PATTERNS = ["*", "?", "[", "\\"]
ALLOWED = [*"]{}()<>'\"`,;:@&=+$!#%^~|", " ", "é", "e\u0301", "日", "-", "\u200d"]


def _load(key: str, path: str):
    """Load a config whose `key` is `path`."""
    overrides = ["data.path=photos", f"{key}={_quoted(path)}"]
    return load_config(None, overrides=overrides)


def _quoted(path: str) -> str:
    """Write a path as a YAML string with escapes."""
    return '"' + "".join(f"\\u{ord(letter):04x}" for letter in path) + '"'


@pytest.mark.parametrize("key", [*FOLDERS, *OTHERS])
@pytest.mark.parametrize("letter", REFUSED, ids=ascii)
def test_a_character_that_breaks_lists_is_refused(key: str, letter: str):
    path = f"a{letter}b"
    with pytest.raises(ConfigError) as caught:
        _load(key, path)
    assert f"`{key}` must not hold {letter!r}" in str(caught.value)
    assert f"Received: {path!r}" in str(caught.value)


@pytest.mark.parametrize("key", [*FOLDERS, *OTHERS])
@pytest.mark.parametrize("path", ["$HOME/x", "${data}/x", "/x/$A_1", "gs://$BUCKET/x"])
def test_a_variable_is_refused_since_nothing_expands_it(key: str, path: str):
    with pytest.raises(ConfigError, match="not expanded in a config") as caught:
        _load(key, path)
    assert f"Received: {path!r}" in str(caught.value)


@pytest.mark.parametrize("key", ["data", "output"])
def test_a_name_that_is_no_utf8_is_refused(key: str):
    with pytest.raises(ConfigError, match=r"unicode string\. Received: 'a\\udcffb'"):
        load_config(None, **{"data": "photos", key: "a\udcffb"})


@pytest.mark.parametrize("key", FOLDERS)
@pytest.mark.parametrize("letter", PATTERNS)
def test_a_character_of_patterns_is_refused_in_folders(key: str, letter: str):
    with pytest.raises(
        ConfigError, match=re.escape(f"`{key}` must not hold {letter!r}")
    ):
        _load(key, f"a/b{letter}c")


@pytest.mark.parametrize("key", OTHERS)
@pytest.mark.parametrize("letter", PATTERNS)
def test_a_character_of_patterns_is_literal_elsewhere(key: str, letter: str):
    assert _load(key, f"a/b{letter}c")


@pytest.mark.parametrize("key", [*FOLDERS, *OTHERS])
@pytest.mark.parametrize("letter", ALLOWED, ids=ascii)
def test_any_other_character_is_allowed(key: str, letter: str):
    assert _load(key, f"a/{letter}b")


@pytest.mark.parametrize("output", ["file:out", "FILE:///tmp/out"])
def test_a_file_address_is_refused(output: str):
    with pytest.raises(ConfigError, match="must not begin with `file:`"):
        load_config(None, data="photos", output=output)
    load_config(None, data="photos", output=f"./{output}")


def test_a_remote_output_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"local folder.*gs://bucket/out"):
        run(data="photos", output="gs://bucket/out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("length", "allowed"), [(200, True), (600, False)])
def test_a_path_that_sqlite_cannot_open_is_refused(length: int, allowed: bool):
    output = "/tmp" + "/x" * (length // 2)
    config = load_config(None, data="photos", output=output)
    if allowed:
        check_local_output(config.output, config.metadata_path)
    else:
        with pytest.raises(ValueError, match=r"too long.*at most 500 bytes"):
            check_local_output(config.output, config.metadata_path)


@pytest.mark.parametrize(
    ("key", "path", "hint"),
    [
        ("output", r"C:\out", "This is a path of Windows. Under WSL"),
        ("output", r"out\run", "Write `/` between folders, not `\\`: 'out/run'."),
        ("output", "file:///tmp/out", "without `file://`: '/tmp/out'."),
        ("output", "file:out", "or write './file:out'."),
        ("features.cache", "file:///tmp/a", "without `file://`: '/tmp/a'."),
        ("push.destination", "FILE:///tmp/a", "without `file://`: '/tmp/a'."),
        ("data.path", "file:///tmp/a", "a URI of gs:// or s3://. Received"),
    ],
)
def test_a_refused_path_comes_with_what_to_write(key: str, path: str, hint: str):
    with pytest.raises(ConfigError) as caught:
        _load(key, path)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (r"configs\a.yaml", "Write `/` between folders, not `\\`: 'configs/a.yaml'."),
        ("file:///tmp/a.yaml", "without `file://`: '/tmp/a.yaml'."),
        (Path("file:///tmp/a.yaml"), "without `file://`: '/tmp/a.yaml'."),
    ],
)
def test_a_config_that_is_not_there_comes_with_what_to_write(path, hint: str):
    with pytest.raises(ConfigError, match="No such config") as caught:
        load_config(path)
    assert hint in str(caught.value)


def test_a_folder_with_a_similar_name_is_named(tmp_path: Path):
    (tmp_path / "my_photos").mkdir()
    (tmp_path / "my_photo.yaml").touch()
    with pytest.raises(ConfigError, match="no such folder of images") as caught:
        load_config(str(tmp_path / "my_photo"))
    assert f"Did you mean {str(tmp_path / 'my_photos')!r}?" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        load_config(str(tmp_path / "my_phot.yaml"))
    assert "my_photo.yaml'?" in str(caught.value)
