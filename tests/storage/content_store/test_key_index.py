"""The index of keys finds what a dictionary would find, from memory and from files."""

from __future__ import annotations

import hashlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from graft.storage.content_store import key_index
from graft.storage.content_store.key_index import RECORD, KeyIndex, key_array


def keys_of(numbers: bytes) -> list[bytes]:
    """Return keys that repeat, begin alike, and end with zeros."""
    return [bytes([n // 64]) + bytes(30) + bytes([n % 64 * 4]) for n in numbers]


def records_of(keys: list[bytes], first: int) -> np.ndarray:
    records = np.zeros(len(keys), RECORD)
    records["key"] = key_array(keys)
    records["row"] = np.arange(first, first + len(keys))
    return records


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a few records go to a file, in several blocks."""
    for name, value in {
        "_RECORDS_IN_MEMORY": 4,
        "_BLOCK": 3,
        "_RUNS_TO_MERGE": 2,
        "_MOST_SAMPLES": 3,
        "_KEYS_UNTIL_RELEASE": 2,
    }.items():
        monkeypatch.setattr(key_index, name, value)


@hypothesis.settings(
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.too_slow,
    ]
)
@hypothesis.given(
    parts=st.lists(st.binary(max_size=20), max_size=8),
    others=st.binary(max_size=10),
    is_settled=st.booleans(),
)
def test_the_first_record_of_a_key_is_found(
    small: None, parts: list[bytes], others: bytes, is_settled: bool
) -> None:
    index, expected = KeyIndex(), dict[bytes, int]()
    added = [keys_of(part) for part in parts]
    for number, keys in enumerate(added):
        index.add(records_of(keys, 100 * number))
        for row, key in enumerate(keys):
            expected.setdefault(key, 100 * number + row)
    if is_settled:
        assert len(index) == len(expected)
    wanted = [*keys_of(others), *(key for keys in added for key in keys)]
    is_found, found = index.find(wanted)
    assert is_found.tolist() == [key in expected for key in wanted]
    rows = dict(zip(wanted, found["row"].tolist(), strict=True))
    assert {key: rows[key] for key in expected} == expected


def test_many_keys_are_found_in_files() -> None:
    keys = [hashlib.sha256(str(number).encode()).digest() for number in range(70_000)]
    index = KeyIndex()
    for start in range(0, len(keys), 5_000):
        index.add(records_of(keys[start : start + 5_000], start))
    is_found, found = index.find(keys[::-1])
    assert is_found.all()
    np.testing.assert_array_equal(found["row"], np.arange(len(keys))[::-1])
    assert len(index) == len(keys)
    absent = [hashlib.sha256(key).digest() for key in keys[:1000]]
    assert not index.find(absent)[0].any()
