from __future__ import annotations

import hashlib

from graft.storage import atomic, hashing
from graft.storage.paths import join

CONTENT = bytes(range(256)) * 5000  # more than a block


def test_a_file_has_the_same_hash_wherever_it_lies(folder: str) -> None:
    path = join(folder, "a[b]#c.bin")
    atomic.write_bytes(path, CONTENT)
    assert hashing.hash_file(path) == hashlib.sha256(CONTENT).hexdigest()
    assert hashing.hash_file(path) == hashing.hash_bytes(CONTENT)
    assert hashing.hash_file(path, "md5") == hashlib.md5(CONTENT).hexdigest()
    atomic.write_bytes(join(folder, "b"), b"2")
    both = hashlib.sha256(CONTENT + b"2").hexdigest()
    assert hashing.hash_files([path, join(folder, "b")]) == both


def test_the_hash_of_a_value_does_not_depend_on_the_order_of_keys() -> None:
    assert hashing.hash_json({"a": 1, "b": [2]}) == hashing.hash_json(
        {"b": [2], "a": 1}
    )
    assert hashing.hash_json({"a": 1}) != hashing.hash_json({"a": 2})
