"""A config's YAML: nothing is lost, and nothing takes long."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from graft.contract.errors import UserError
from graft.pipeline import strict_yaml
from graft.pipeline.config import load_config

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {x: 1, y: 2}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED = {
    "aliases": (LAUGHS, "more than 10,000 values"),
    "merged aliases": (MERGES, "more than 10,000 values"),
    "an alias of itself": ("a: &a [*a]", "an alias within itself"),
    "lists in lists": ("a: " + "[" * 40_000, "nested more than 50 deep"),
    "keys in keys": ("{a: " * 20_000, "nested more than 50 deep"),
    "blocks in blocks": ("- " * 40_000 + "x", "nested more than 50 deep"),
    "a long number": ("a: " + "1" * 5000, "no such value"),
    "a long number in another base": ("a: 0x" + "f" * 90_000, "more than 64 digits"),
    "a long binary number": ("a: -0b" + "1" * 65, "more than 64 digits"),
    "an octal number": ("training: {epochs: 017}", "octal"),
    "an octal number with a sign": ("training: {epochs: +0_17}", "octal"),
    "a number to the base 60": ("training: {epochs: 1:30}", "base 60"),
    "a long number to the base 60": ("a: " + "1:" * 20_000 + "30", "base 60"),
    "a fraction to the base 60": ("a: 1:30.5", "base 60"),
    "a day that isn't": ("a: 2026-02-30", "no such value"),
    "a key twice": ("name: a\ndata: {}\nname: b\n", "'name'"),
    "a nested key twice": ("data:\n  path: a\n  path: b\n", "'path'"),
    "a large file": ("# " + "x" * 200_000, "larger than 100,000 bytes"),
    "many values": ("a: [" + "1," * 20_000 + "]", "more than 10,000 values"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.timeout(20)
def test_a_config_that_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load_config(path)
    assert message in str(error.value)
    assert len(str(error.value)) < 1000


def test_a_device_is_not_read_for_ever() -> None:
    with pytest.raises(yaml.YAMLError, match="larger"):
        strict_yaml.read_file(Path("/dev/zero"))


def test_merged_keys_may_be_overridden() -> None:
    text = "base: &base {a: 1, b: 2}\nmine: {<<: *base, b: 3}\nagain: *base\n"
    assert strict_yaml.parse(text) == {
        "base": {"a": 1, "b": 2},
        "mine": {"a": 1, "b": 3},
        "again": {"a": 1, "b": 2},
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-12", -12),
        ("0x1F", 31),
        ("0.5", 0.5),
        ("00:x", "00:x"),
        ("'017'", "017"),
    ],
)
def test_a_clear_number_is_read(text: str, value: object) -> None:
    assert strict_yaml.parse(text) == value


def test_a_generated_file_may_have_octal_modes() -> None:
    assert strict_yaml.parse_generated("defaultMode: 0444") == [{"defaultMode": 0o444}]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_other_values_are_as_pyyaml_reads_them(value: object) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert strict_yaml.parse(text) == yaml.safe_load(text)
    assert strict_yaml.parse_generated(text) == [yaml.safe_load(text)]


@given(st.text(st.sampled_from("{}[]:,-&*a1!%@`|>'\"#? \n\t<0x.eE+~")))
def test_any_text_is_a_value_or_an_error(text: str) -> None:
    try:
        strict_yaml.parse(text)
    except yaml.YAMLError:
        pass
